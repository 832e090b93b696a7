//! What NodeGuardian has set: from its state, and from the rules' statuses.
//!
//! The state knows all of it and goes with the pod; the statuses know what rules hold at present, outlive everything,
//! and can be older or newer than a copy of the state. So both count.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use ng_engine::history::{Earlier, History, Ledger, Owned};
use ng_engine::spec::RuleStatus;
use ng_engine::status::restore;
use ng_engine::time::Time;
use ng_state::Store;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Ledgers, name};

/// What `held` prints and `cleanup --held` reads.
#[derive(Serialize, Deserialize)]
struct Held {
    /// The form; a reader refuses one that it does not know.
    version: u32,
    /// What was set, by node.
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
    Ok(peeked.history().ledgers.clone())
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

/// What the rules' statuses say. One that cannot be read is a problem: what it would say is not undone.
pub(super) fn from_statuses(rules: &[Value], problems: &mut Vec<String>) -> Ledgers {
    let mut ledgers = Ledgers::new();
    for rule in rules {
        let Some(status) = rule.get("status") else {
            continue;
        };
        match serde_json::from_value::<RuleStatus>(status.clone()) {
            Ok(status) => {
                let mut history = History::default();
                restore(&mut history, name(rule), "", &status);
                merge(&mut ledgers, history.ledgers);
            }
            Err(error) => problems.push(format!(
                "rule {}: its status cannot be read: {error}; what it holds is not known",
                name(rule)
            )),
        }
    }
    ledgers
}

/// Adds what another source says. A node of another UID was replaced meanwhile: the first word stands.
pub(super) fn merge(ledgers: &mut Ledgers, others: Ledgers) {
    for (node, other) in others {
        match ledgers.get_mut(&node) {
            Some(ledger) if ledger.uid == other.uid => add(ledger, other),
            Some(_) => {}
            None => {
                ledgers.insert(node, other);
            }
        }
    }
}

fn add(ledger: &mut Ledger, other: Ledger) {
    for found in other.marks {
        let mut marks = ledger.marks.iter_mut();
        match marks.find(|known| known.mark.key == found.mark.key) {
            Some(known) => agree(known, found),
            None => ledger.marks.push(found),
        }
    }
}

/// Two words on one mark: every value of ours may be the one that stands, and what was there before all of them comes
/// back.
fn agree(known: &mut Owned, found: Owned) {
    let is_ours = |owned: &Owned, value: &Option<String>| {
        value.as_ref().is_some_and(|value| {
            owned.mark.value == *value || owned.earlier.iter().any(|old| old.value == *value)
        })
    };
    if is_ours(&found, &known.previous) {
        known.previous.clone_from(&found.previous);
    }
    let values = [found.mark.value].into_iter().chain(found.shown);
    let values = values.chain(found.earlier.into_iter().map(|earlier| earlier.value));
    for value in values {
        if known.mark.value != value && known.earlier.iter().all(|old| old.value != value) {
            // The time of a copy says nothing: the value is ours however old it is.
            let until = Time::from_millis(0);
            known.earlier.push(Earlier { value, until });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(name: &str, marks: &Value) -> Value {
        json!({
            "metadata": {"name": name},
            "status": {"nodes": [{
                "name": "n-1", "uid": "u-1", "phase": "Triggered", "triggeredAt": "2026-01-01T00:00:00Z",
                "owned": marks,
            }]},
        })
    }

    fn values(ledgers: &Ledgers) -> Vec<(String, Vec<String>, Option<String>)> {
        let marks = ledgers.values().flat_map(|ledger| &ledger.marks);
        marks
            .map(|owned| {
                let earlier = owned.earlier.iter().map(|old| old.value.clone());
                (
                    owned.mark.value.clone(),
                    earlier.collect(),
                    owned.previous.clone(),
                )
            })
            .collect()
    }

    #[test]
    fn sources_that_differ_both_count() {
        let label = |value: &str, previous: &str| json!([{"kind": "label", "key": "a", "value": value, "previous": previous}]);
        let mut problems = Vec::new();
        let rules = [
            rule("new", &label("2", "1")),
            rule("old", &label("1", "theirs")),
        ];
        let ledgers = from_statuses(&rules, &mut problems);
        let expected = ("2".to_owned(), vec!["1".to_owned()], Some("theirs".into()));
        assert_eq!(values(&ledgers), [expected]);
        assert!(problems.is_empty());
    }

    #[test]
    fn a_copy_of_the_state_adds_what_no_rule_speaks_of() {
        let mut ledgers =
            from_statuses(&[rule("r", &json!([{"kind": "cordon"}]))], &mut Vec::new());
        let copy = json!({
            "n-1": {"uid": "u-1", "marks": [{"mark": {"key": {"kind": "label", "key": "a"}, "value": "1"}}]},
            "n-2": {"uid": "u-2", "marks": [{"mark": {"key": {"kind": "cordon"}}}]},
        });
        merge(&mut ledgers, serde_json::from_value(copy).unwrap());
        let count = |node: &str| ledgers.get(node).map(|ledger| ledger.marks.len());
        assert_eq!((count("n-1"), count("n-2")), (Some(2), Some(1)));
    }

    #[test]
    fn a_node_that_was_replaced_is_not_mixed_with_the_one_before() {
        let mut ledgers =
            from_statuses(&[rule("r", &json!([{"kind": "cordon"}]))], &mut Vec::new());
        let before = ledgers.clone();
        let copy = json!({"n-1": {"uid": "u-0", "marks": [{"mark": {"key": {"kind": "label", "key": "a"}, "value": "1"}}]}});
        merge(&mut ledgers, serde_json::from_value(copy).unwrap());
        assert_eq!(ledgers, before);
    }

    #[test]
    fn a_status_that_cannot_be_read_is_told() {
        let mut problems = Vec::new();
        let broken = json!({"metadata": {"name": "r"}, "status": {"nodes": "all"}});
        assert!(from_statuses(&[broken], &mut problems).is_empty());
        assert!(problems[0].starts_with("rule r: its status cannot be read"));
    }
}
