//! Nodes that a rule holds without a source that says what was set there.

use std::collections::{BTreeMap, BTreeSet};

use ng_engine::spec::RuleStatus;
use ng_engine::status::may_leave_out_marks;
use serde_json::Value;

use super::{Ledgers, name, uid};

/// A sentence for each such node and rule. A status lists every node that is triggered, but details of a bounded number
/// only; without them marks would stay behind in silence. A node that is gone has none.
pub(super) fn untold(
    statuses: &[(&str, RuleStatus)],
    held: Option<&Ledgers>,
    nodes: &[Value],
) -> Vec<String> {
    let present: BTreeMap<&str, &str> = nodes.iter().map(|node| (name(node), uid(node))).collect();
    let remedy = match held {
        None => "give --held",
        Some(_) => "and neither does what --held gives",
    };
    let mut problems = Vec::new();
    for (rule, status) in statuses {
        if !may_leave_out_marks(status) {
            continue;
        }
        let details = status.nodes.iter();
        let told: BTreeSet<&str> = details.map(|detail| detail.name.as_str()).collect();
        for node in &status.triggered_nodes {
            let is_told = told.contains(node.as_str());
            let Some(uid) = present.get(node.as_str()).filter(|_| !is_told) else {
                continue;
            };
            let is_held = held
                .and_then(|held| held.get(node))
                .is_some_and(|ledger| ledger.uid == **uid || ledger.uid.is_empty());
            if !is_held {
                problems.push(format!(
                    "node {node} is held by rule {rule}, but its status does not say what was set there: {remedy}"
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use ng_engine::status::MAX_DETAILS;
    use serde_json::json;

    use super::*;

    /// A status that names one node more than it has details for, and what each detail says of marks.
    fn full(owned: &Value) -> RuleStatus {
        let names = (0..=MAX_DETAILS).map(|number| format!("n-{number}"));
        let details = names
            .clone()
            .take(MAX_DETAILS)
            .map(|name| json!({"name": name, "uid": "u", "phase": "Triggered", "owned": owned}));
        let status = json!({
            "triggeredNodes": names.collect::<Vec<_>>(), "nodes": details.collect::<Vec<_>>(),
        });
        serde_json::from_value(status).unwrap()
    }

    fn node(name: &str, uid: &str) -> Value {
        json!({"metadata": {"name": name, "uid": uid}})
    }

    fn held(uid: &str, marks: &Value) -> Ledgers {
        let name = format!("n-{MAX_DETAILS}");
        serde_json::from_value(json!({name: {"uid": uid, "marks": marks}})).unwrap()
    }

    #[test]
    fn a_node_beyond_the_details_is_a_problem_unless_the_state_knows_it() {
        let statuses = [("r", full(&json!([{"kind": "cordon"}])))];
        let last = format!("n-{MAX_DETAILS}");
        let nodes = [node("n-0", "u"), node(&last, "u")];
        let start = format!(
            "node {last} is held by rule r, but its status does not say what was set there: "
        );
        let marks = json!([{"mark": {"key": {"kind": "cordon"}}}]);
        let cases = [
            (None, Some("give --held")),
            (Some(held("u", &marks)), None),
            // The state knows it, and that nothing was set.
            (Some(held("u", &json!([]))), None),
            (
                Some(held("u-before", &marks)),
                Some("and neither does what --held gives"),
            ),
            (
                Some(Ledgers::new()),
                Some("and neither does what --held gives"),
            ),
        ];
        for (held, expected) in cases {
            let expected: Vec<String> = expected
                .map(|end| format!("{start}{end}"))
                .into_iter()
                .collect();
            assert_eq!(
                untold(&statuses, held.as_ref(), &nodes),
                expected,
                "{held:?}"
            );
        }
    }

    #[test]
    fn a_node_that_is_gone_is_no_problem() {
        let statuses = [("r", full(&json!([{"kind": "cordon"}])))];
        assert!(untold(&statuses, None, &[node("n-0", "u")]).is_empty());
    }

    #[test]
    fn a_rule_that_sets_nothing_leaves_nothing_out() {
        let statuses = [("alerts", full(&json!([])))];
        let nodes = [node(&format!("n-{MAX_DETAILS}"), "u")];
        assert!(untold(&statuses, None, &nodes).is_empty());
    }

    #[test]
    fn a_status_without_details_does_not_say_that_nothing_was_set() {
        let status = serde_json::from_value(json!({"triggeredNodes": ["n-1"]})).unwrap();
        let found = untold(&[("r", status)], None, &[node("n-1", "u")]);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
