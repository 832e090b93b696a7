//! What NodeGuardian has set: from its state, and from the rules' statuses.
//!
//! The state knows all of it and goes with the pod; the statuses know what rules hold at present, outlive everything,
//! and can be older or newer than a copy of the state. So both count.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use ng_engine::history::{History, Ledger};
use ng_engine::spec::RuleStatus;
use ng_engine::status::restore;
use ng_state::Store;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::known::Known;
use super::{Ledgers, name};

/// What `held` prints and `cleanup --held` reads.
#[derive(Serialize, Deserialize)]
struct Held {
    /// The form; a reader refuses one that it does not know.
    version: u32,
    /// What was set, by node; of a node that is held without a mark, that there is none.
    nodes: Ledgers,
}

const VERSION: u32 = 1;

/// What the state in this directory says, as JSON. Nothing is changed, and NodeGuardian may be running.
pub(crate) fn export(state_dir: &Path) -> anyhow::Result<String> {
    let held = Held {
        version: VERSION,
        nodes: from_state(state_dir)?,
    };
    Ok(serde_json::to_string_pretty(&held)?)
}

fn from_state(state_dir: &Path) -> anyhow::Result<Ledgers> {
    let Some(store) = Store::read(state_dir)? else {
        return Ok(Ledgers::new());
    };
    let peeked = store.peek(&store.glances()?, &[])?;
    Ok(held_by(peeked.history()))
}

/// The ledgers, and empty ones of the other nodes that rules hold: `cleanup` has to tell a node without marks from one
/// that the state does not know.
fn held_by(history: &History) -> Ledgers {
    let mut ledgers = history.ledgers.clone();
    let records = history.rules.values().flat_map(|rule| &rule.records);
    for (node, record) in records {
        ledgers.entry(node.clone()).or_insert_with(|| Ledger {
            uid: record.uid.clone(),
            ..Ledger::default()
        });
    }
    ledgers
}

/// Reads what [`export`] gave, from a file or, for `-`, from standard input.
pub(crate) fn read(file: &Path) -> anyhow::Result<Ledgers> {
    let shown = file.display();
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        text
    } else {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?
    };
    let held: Held = serde_json::from_str(&text)
        .with_context(|| format!("{shown}: not what `held` has printed"))?;
    anyhow::ensure!(
        held.version == VERSION,
        "{shown}: version {} is not known, only {VERSION}",
        held.version
    );
    Ok(held.nodes)
}

/// The rules' statuses, by rule. One that cannot be read is a problem: what it would say is not undone.
pub(super) fn statuses<'a>(
    rules: &'a [Value],
    problems: &mut Vec<String>,
) -> Vec<(&'a str, RuleStatus)> {
    let mut statuses = Vec::new();
    for rule in rules {
        let Some(status) = rule.get("status") else {
            continue;
        };
        match serde_json::from_value(status.clone()) {
            Ok(status) => statuses.push((name(rule), status)),
            Err(error) => problems.push(format!(
                "rule {}: its status cannot be read: {error}; what it holds is not known",
                name(rule)
            )),
        }
    }
    statuses
}

/// What the statuses say was set.
pub(super) fn from_statuses(statuses: &[(&str, RuleStatus)]) -> Known {
    let mut known = Known::default();
    for (rule, status) in statuses {
        let mut history = History::default();
        restore(&mut history, rule, "", status);
        known.add(history.ledgers);
    }
    known
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_that_cannot_be_read_is_told() {
        let mut problems = Vec::new();
        let broken = json!({"metadata": {"name": "r"}, "status": {"nodes": "all"}});
        assert!(statuses(&[broken], &mut problems).is_empty());
        assert!(problems[0].starts_with("rule r: its status cannot be read"));
    }

    #[test]
    fn a_node_that_is_held_without_a_mark_is_known_to_have_none() {
        let status = json!({"nodes": [
            {"name": "n-1", "uid": "u-1", "phase": "Triggered", "triggeredAt": "2026-01-01T00:00:00Z"},
            {"name": "n-2", "uid": "u-2", "phase": "Triggered", "triggeredAt": "2026-01-01T00:00:00Z",
             "owned": [{"kind": "cordon"}]},
        ]});
        let mut history = History::default();
        let status = serde_json::from_value(status).unwrap();
        restore(&mut history, "r", "", &status);
        let held = held_by(&history);
        let told: Vec<_> = held
            .iter()
            .map(|(node, ledger)| (node.as_str(), ledger.uid.as_str(), ledger.marks.len()))
            .collect();
        assert_eq!(told, [("n-1", "u-1", 0), ("n-2", "u-2", 1)]);
    }
}
