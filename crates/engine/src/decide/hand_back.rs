//! The end of everything: what has to be taken off nodes so that nothing of ours is left.

use std::collections::BTreeMap;

use crate::history::{Ledger, Queue};
use crate::node::Nodes;
use crate::plan::NodeChange;
use crate::time::Time;

use super::marks::Balance;

/// The time of ledgers that no evaluation goes on with: no value of ours is too old to be known as such.
const NEVER_LATER: Time = Time::from_millis(0);

/// What takes every mark in the ledgers off its node, where it stands as it was set, and gives back what it replaced.
///
/// For the time after the last evaluation: nothing is wanted any more, and no write is under way. A node that was
/// replaced under its name is another one, and nothing on it is taken for ours.
pub fn hand_back(ledgers: &BTreeMap<String, Ledger>, nodes: &Nodes) -> Vec<NodeChange> {
    let positions = nodes.positions();
    let mut changes = Vec::new();
    for (name, ledger) in ledgers {
        let Some(node) = positions.get(name.as_str()).copied() else {
            continue;
        };
        if !is_same(&ledger.uid, nodes.uid(node)) {
            continue;
        }
        let mut ledger = ledger.clone();
        for owned in &mut ledger.marks {
            owned.leaving.get_or_insert(NEVER_LATER);
        }
        let mut balance = Balance {
            nodes,
            node,
            now: NEVER_LATER,
            queue: Queue::Evaluation,
            ledger: &mut ledger,
        };
        changes.extend(balance.settle(&[], &[]));
    }
    changes
}

/// A UID that was never told is taken for the same.
fn is_same(remembered: &str, present: &str) -> bool {
    remembered == present || remembered.is_empty() || present.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Earlier, Mark, MarkKey, Owned};
    use crate::node::Interest;
    use crate::rule::TaintEffect;

    fn label(key: &str, value: &str, previous: Option<&str>) -> Owned {
        let mark = Mark {
            key: MarkKey::Label {
                key: key.to_owned(),
            },
            value: value.to_owned(),
        };
        Owned::new(mark, previous.map(str::to_owned))
    }

    fn taint(key: &str, value: &str) -> Owned {
        let mark = Mark {
            key: MarkKey::Taint {
                key: key.to_owned(),
                effect: TaintEffect::NoSchedule,
            },
            value: value.to_owned(),
        };
        Owned::new(mark, None)
    }

    fn ledgers(marks: Vec<Owned>) -> BTreeMap<String, Ledger> {
        let ledger = Ledger {
            uid: "u-1".to_owned(),
            marks,
            ..Ledger::default()
        };
        BTreeMap::from([("n-1".to_owned(), ledger)])
    }

    /// A node with these labels, the taint `t=ours:NoSchedule`, and cordoned.
    fn nodes(uid: &str, labels: &[(&str, &str)]) -> Nodes {
        let mut nodes = Nodes::new(&Interest {
            labels: vec!["a".to_owned(), "b".to_owned()],
            ..Interest::default()
        });
        let mut node = nodes.start("n-1");
        node.uid(uid);
        for (key, value) in labels {
            node.label(key, value);
        }
        node.taint("t", "ours", "NoSchedule");
        node.unschedulable(true);
        nodes
    }

    fn unset(changes: &[NodeChange]) -> Vec<(&MarkKey, &str, Option<&str>)> {
        let all = changes.iter().flat_map(|change| &change.unset);
        all.map(|owned| {
            let mark = &owned.mark;
            (&mark.key, mark.value.as_str(), owned.previous.as_deref())
        })
        .collect()
    }

    #[test]
    fn everything_of_ours_goes_and_nothing_else() {
        let cordon = Owned::new(
            Mark {
                key: MarkKey::Cordon,
                value: String::new(),
            },
            None,
        );
        let ours = vec![
            label("a", "1", Some("theirs")),
            taint("t", "ours"),
            cordon.clone(),
        ];
        let changes = hand_back(&ledgers(ours.clone()), &nodes("u-1", &[("a", "1")]));
        let expected: Vec<_> = ours
            .iter()
            .map(|owned| (&owned.mark.key, owned.mark.value.as_str()))
            .zip([Some("theirs"), None, None])
            .map(|((key, value), previous)| (key, value, previous))
            .collect();
        assert_eq!(unset(&changes), expected);
        assert!(changes[0].set.is_empty());
        assert_eq!(hand_back(&BTreeMap::new(), &nodes("u-1", &[])), []);
    }

    #[test]
    fn what_someone_else_has_written_since_stays() {
        let cases: [(&str, Vec<Owned>); 4] = [
            ("another value", vec![label("a", "1", None)]),
            ("gone", vec![label("b", "1", None)]),
            ("another value of a taint", vec![taint("t", "1")]),
            ("no such taint", vec![taint("x", "1")]),
        ];
        for (case, marks) in cases {
            let changes = hand_back(&ledgers(marks), &nodes("u-1", &[("a", "theirs")]));
            assert_eq!(changes, [], "{case}");
        }
    }

    #[test]
    fn a_replaced_node_is_another_one() {
        let present = nodes("u-2", &[("a", "1")]);
        assert_eq!(
            hand_back(&ledgers(vec![label("a", "1", None)]), &present),
            []
        );
    }

    #[test]
    fn an_earlier_value_of_ours_goes_as_it_stands() {
        let mut owned = label("a", "2", None);
        owned.earlier.push(Earlier {
            value: "1".to_owned(),
            until: Time::from_millis(5),
        });
        let changes = hand_back(&ledgers(vec![owned.clone()]), &nodes("u-1", &[("a", "1")]));
        assert_eq!(unset(&changes), [(&owned.mark.key, "1", None)]);
    }
}
