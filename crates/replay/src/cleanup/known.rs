//! What all sources together say was set, by node.

use std::collections::BTreeMap;

use ng_engine::history::{Earlier, Ledger, Owned};
use ng_engine::time::Time;

use super::Ledgers;

/// Ledgers by node. A node that was replaced under its name has one for each UID: sources differ in their age, so that
/// none of them can say which node is there now.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, Vec<Ledger>>);

impl Known {
    /// Adds what another source says.
    pub(super) fn add(&mut self, others: Ledgers) {
        for (node, other) in others {
            let ledgers = self.0.entry(node).or_default();
            match ledgers.iter_mut().find(|ledger| ledger.uid == other.uid) {
                Some(ledger) => add(ledger, other),
                None => ledgers.push(other),
            }
        }
    }

    /// What was set on the node that has this UID; a UID that was never told is taken for the same.
    pub(super) fn of(&self, node: &str, uid: &str) -> Option<Ledger> {
        let is_same = |ledger: &&Ledger| ledger.uid == uid || ledger.uid.is_empty();
        let mut found = self.0.get(node)?.iter().filter(is_same).cloned();
        let mut ledger = found.next()?;
        uid.clone_into(&mut ledger.uid);
        for other in found {
            add(&mut ledger, other);
        }
        Some(ledger)
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
    use serde_json::{Value, json};

    use super::*;

    /// What one source says of `n-1`.
    fn says(uid: &str, marks: &Value) -> Ledgers {
        serde_json::from_value(json!({"n-1": {"uid": uid, "marks": marks}})).unwrap()
    }

    fn label(key: &str, value: &str, previous: &str) -> Value {
        json!([{"mark": {"key": {"kind": "label", "key": key}, "value": value}, "previous": previous}])
    }

    fn cordon() -> Value {
        json!([{"mark": {"key": {"kind": "cordon"}}}])
    }

    fn known(sources: impl IntoIterator<Item = Ledgers>) -> Known {
        let mut known = Known::default();
        for source in sources {
            known.add(source);
        }
        known
    }

    /// Value, earlier values and what was there before, of each mark.
    fn values(ledger: Option<Ledger>) -> Vec<(String, Vec<String>, Option<String>)> {
        let marks = ledger.into_iter().flat_map(|ledger| ledger.marks);
        marks
            .map(|owned| {
                let earlier = owned.earlier.into_iter().map(|old| old.value);
                (owned.mark.value, earlier.collect(), owned.previous)
            })
            .collect()
    }

    #[test]
    fn sources_that_differ_both_count() {
        let known = known([
            says("u-1", &label("a", "2", "1")),
            says("u-1", &label("a", "1", "theirs")),
        ]);
        let expected = ("2".to_owned(), vec!["1".to_owned()], Some("theirs".into()));
        assert_eq!(values(known.of("n-1", "u-1")), [expected]);
    }

    #[test]
    fn a_source_adds_what_no_other_one_speaks_of() {
        let other = json!({"n-2": {"uid": "u-2", "marks": cordon()}});
        let known = known([
            says("u-1", &cordon()),
            says("u-1", &label("a", "1", "0")),
            serde_json::from_value(other).unwrap(),
        ]);
        let count = |node, uid| known.of(node, uid).map(|ledger| ledger.marks.len());
        assert_eq!(count("n-1", "u-1"), Some(2));
        assert_eq!(count("n-2", "u-2"), Some(1));
        assert_eq!(count("n-3", "u-3"), None);
    }

    #[test]
    fn a_node_that_was_replaced_is_not_mixed_with_the_one_before() {
        let (old, new) = (
            says("u-old", &cordon()),
            says("u-new", &label("a", "1", "0")),
        );
        // Whichever source is read first: rules come in the order of their names, not of their age.
        for sources in [[old.clone(), new.clone()], [new.clone(), old.clone()]] {
            let known = known(sources);
            assert_eq!(known.of("n-1", "u-old"), old.get("n-1").cloned());
            assert_eq!(known.of("n-1", "u-new"), new.get("n-1").cloned());
            assert_eq!(known.of("n-1", "u-newer"), None);
        }
    }

    #[test]
    fn a_source_without_a_uid_speaks_of_the_node_that_is_there() {
        let known = known([
            says("", &cordon()),
            says("u-1", &label("a", "1", "0")),
            says("u-0", &label("b", "1", "0")),
        ]);
        let ledger = known.of("n-1", "u-1").unwrap();
        assert_eq!((ledger.uid.as_str(), ledger.marks.len()), ("u-1", 2));
    }
}
