//! Takes off a cluster's nodes what NodeGuardian has set there, and nothing else.
//!
//! For the time when NodeGuardian does not run any more: what it holds is in the rules' statuses, and in its state
//! where that was kept. Each node is read and written with the version that was read, so that a change that someone
//! else makes meanwhile is not undone. Run again, it finds nothing to do.

mod cluster;
mod held;
mod known;
mod told;
mod untold;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ng_engine::decide::{hand_back, interest};
use ng_engine::history::{History, Ledger};
use ng_engine::node::Nodes;
use ng_kube::objects::Node;
use serde_json::{Map, Value, json};

use crate::node_object::{differences, unset};

use known::Known;

pub(crate) use cluster::Cluster;
pub(crate) use held::{export, read};
pub(crate) use told::{Told, json, print};

/// How often a node is looked at again because someone else changes it at the same time.
const ATTEMPTS: usize = 10;

/// Whether the cluster is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Change,
    /// Only tells what would be done.
    Pretend,
}

/// Where the API server is, and what was kept of the state.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) kubeconfig: Option<PathBuf>,
    /// What `held` printed, where it was asked.
    pub(crate) held: Option<Ledgers>,
    pub(crate) mode: Mode,
}

/// What was set, by node.
pub(crate) type Ledgers = BTreeMap<String, Ledger>;

/// Takes everything off, and tells of each node what became of it. An error means that nothing was changed.
pub(crate) fn run(order: Order) -> anyhow::Result<Told> {
    let cluster = Cluster::connect(order.kubeconfig.as_deref())?;
    let rules = cluster.rules()?;
    let mut told = Told::new(order.mode);
    let nodes = cluster.nodes()?;
    let statuses = held::statuses(&rules, &mut told.problems);
    let untold = untold::untold(&statuses, order.held.as_ref(), &nodes);
    told.problems.extend(untold);
    let mut known = held::from_statuses(&statuses);
    known.add(order.held.unwrap_or_default());
    for node in nodes {
        match undo(&cluster, node, &known, order.mode) {
            Ok(changes) => told.note(changes),
            Err(problem) => told.problems.push(problem),
        }
    }
    if order.mode == Mode::Change {
        check(&cluster, &known, &mut told);
        if told.problems.is_empty() {
            clear_statuses(&cluster, &rules, &mut told);
        }
    }
    Ok(told)
}

/// What was taken off one node.
#[derive(Debug)]
pub(crate) struct Undone {
    pub(crate) node: String,
    /// In words; empty: nothing of ours stood there.
    pub(crate) changes: Vec<String>,
}

/// Takes our marks off one node, again after someone else has changed it. An error names the node.
fn undo(cluster: &Cluster, mut node: Value, known: &Known, mode: Mode) -> Result<Undone, String> {
    let name = name(&node).to_owned();
    for _ in 0..ATTEMPTS {
        let cleaned = without_ours(&node, known);
        let undone = Undone {
            node: name.clone(),
            changes: differences(&node, &cleaned),
        };
        if undone.changes.is_empty() || mode == Mode::Pretend {
            return Ok(undone);
        }
        match cluster.patch_node(&name, &patch(&node, &cleaned)) {
            Ok(()) => return Ok(undone),
            Err(error) if error.is_conflict() => {}
            Err(error) if error.is_not_found() => return Ok(nothing(name)),
            Err(error) => return Err(format!("node {name}: {:#}", anyhow::Error::from(error))),
        }
        match cluster.node(&name) {
            Ok(Some(fresh)) => node = fresh,
            Ok(None) => return Ok(nothing(name)),
            Err(error) => return Err(format!("node {name}: {error:#}")),
        }
    }
    Err(format!(
        "node {name}: someone else changes it all the time; given up after {ATTEMPTS} attempts"
    ))
}

/// A node that is gone.
fn nothing(node: String) -> Undone {
    Undone {
        node,
        changes: Vec::new(),
    }
}

fn name(node: &Value) -> &str {
    node["metadata"]["name"].as_str().unwrap_or_default()
}

fn uid(node: &Value) -> &str {
    node["metadata"]["uid"].as_str().unwrap_or_default()
}

/// The node as it is without our marks.
fn without_ours(node: &Value, known: &Known) -> Value {
    let mut cleaned = node.clone();
    let ledger = known.of(name(node), uid(node));
    let mine: Ledgers = ledger
        .map(|ledger| (name(node).to_owned(), ledger))
        .into_iter()
        .collect();
    for change in hand_back(&mine, &table(node, &mine)) {
        for owned in &change.unset {
            unset(&mut cleaned, owned);
        }
    }
    cleaned
}

/// One node as the engine reads it; none if it is not in the form of a node.
fn table(node: &Value, ledgers: &Ledgers) -> Nodes {
    let history = History {
        ledgers: ledgers.clone(),
        ..History::default()
    };
    let mut nodes = Nodes::new(&interest([], &history));
    if let Ok(node) = serde_json::from_value::<Node>(node.clone()) {
        ng_nodes::read_objects(&[node], &mut nodes);
    }
    nodes
}

/// The merge patch from one state of a node to another, bound to the version that was read.
fn patch(before: &Value, after: &Value) -> Value {
    let mut metadata = Map::new();
    metadata.insert(
        "resourceVersion".to_owned(),
        before["metadata"]["resourceVersion"].clone(),
    );
    for part in ["labels", "annotations"] {
        let changed = changed(&before["metadata"][part], &after["metadata"][part]);
        if !changed.is_empty() {
            metadata.insert(part.to_owned(), Value::Object(changed));
        }
    }
    let spec = changed(&before["spec"], &after["spec"]);
    json!({"metadata": metadata, "spec": spec})
}

/// The fields of an object that differ, `null` for those that are gone.
fn changed(before: &Value, after: &Value) -> Map<String, Value> {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return Map::new();
    };
    let differs = |key: &&String| before.get(*key) != after.get(*key);
    before
        .keys()
        .chain(after.keys())
        .filter(differs)
        .map(|key| (key.clone(), after.get(key).cloned().unwrap_or_default()))
        .collect()
}

/// Looks once more: whoever still runs NodeGuardian has it set again by now.
fn check(cluster: &Cluster, known: &Known, told: &mut Told) {
    let nodes = match cluster.nodes() {
        Ok(nodes) => nodes,
        Err(error) => {
            let problem = format!("cannot look whether everything is gone: {error:#}");
            told.problems.push(problem);
            return;
        }
    };
    for node in nodes {
        let start = format!("node {}: ", name(&node));
        let left = differences(&node, &without_ours(&node, known));
        let is_told = told
            .problems
            .iter()
            .any(|problem| problem.starts_with(&start));
        if !left.is_empty() && !is_told {
            let left = left.join(", ");
            told.problems.push(format!(
                "{start}still there, or there again: {left}; is NodeGuardian still running?"
            ));
        }
    }
}

/// Takes away what the rules' statuses say of nodes, now that it is no longer so.
fn clear_statuses(cluster: &Cluster, rules: &[Value], told: &mut Told) {
    for rule in rules.iter().filter(|rule| speaks_of_nodes(rule)) {
        match cluster.clear_status(name(rule)) {
            Ok(()) => told.cleared.push(name(rule).to_owned()),
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                let error = anyhow::Error::from(error);
                told.problems
                    .push(format!("rule {}: {error:#}", name(rule)));
            }
        }
    }
}

fn speaks_of_nodes(rule: &Value) -> bool {
    let is_empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    !is_empty(&rule["status"]["nodes"]) || !is_empty(&rule["status"]["triggeredNodes"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_names_what_differs_and_the_version() {
        let before = json!({
            "metadata": {"resourceVersion": "7", "labels": {"a": "1", "b": "2"}, "annotations": {"c": "3"}},
            "spec": {"taints": [{"key": "x"}, {"key": "y"}], "unschedulable": true},
        });
        let mut after = before.clone();
        after["metadata"]["labels"] = json!({"b": "theirs"});
        after["spec"] = json!({"taints": [{"key": "y"}]});
        let expected = json!({
            "metadata": {"resourceVersion": "7", "labels": {"a": null, "b": "theirs"}},
            "spec": {"taints": [{"key": "y"}], "unschedulable": null},
        });
        assert_eq!(patch(&before, &after), expected);
    }

    /// A rule whose status says that it has put a label on `n-1`.
    fn rule(name: &str, uid: &str, label: &str) -> Value {
        json!({
            "metadata": {"name": name},
            "status": {"triggeredNodes": ["n-1"], "nodes": [{
                "name": "n-1", "uid": uid, "phase": "Triggered", "triggeredAt": "2026-01-01T00:00:00Z",
                "owned": [{"kind": "label", "key": label, "value": "1"}],
            }]},
        })
    }

    #[test]
    fn a_status_of_the_node_before_hides_no_mark_of_the_one_that_is_there() {
        let rules = [rule("a", "u-old", "of-a"), rule("b", "u-new", "of-b")];
        let copy = json!({"n-1": {"uid": "u-new", "marks": [
            {"mark": {"key": {"kind": "label", "key": "of-state"}, "value": "1"}},
        ]}});
        let mut known = held::from_statuses(&held::statuses(&rules, &mut Vec::new()));
        known.add(serde_json::from_value(copy).unwrap());
        let labels = json!({"of-a": "1", "of-b": "1", "of-state": "1"});
        let node =
            json!({"metadata": {"name": "n-1", "uid": "u-new", "labels": labels}, "spec": {}});
        let cleaned = without_ours(&node, &known);
        assert_eq!(cleaned["metadata"]["labels"], json!({"of-a": "1"}));
    }

    #[test]
    fn only_statuses_that_speak_of_nodes_are_cleared() {
        let cases = [
            (json!({}), false),
            (
                json!({"status": {"phase": "Active", "nodes": [], "triggeredNodes": []}}),
                false,
            ),
            (json!({"status": {"triggeredNodes": ["n-1"]}}), true),
            (json!({"status": {"nodes": [{"name": "n-1"}]}}), true),
        ];
        for (rule, expected) in cases {
            assert_eq!(speaks_of_nodes(&rule), expected, "{rule}");
        }
    }
}
