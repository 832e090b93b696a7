use super::*;

const HOUR: i64 = 3600;
const NOW: i64 = 1_700_000 * HOUR / 3600 * 3600;

fn entry(number: u16, name: &str, uid: &str, gone: Option<i64>) -> Entry {
    Entry {
        number,
        name: name.to_owned(),
        uid: uid.to_owned(),
        since: NOW - 10 * HOUR,
        gone,
    }
}

fn planned(known: &[Entry], items: &[(&str, &str)], most: u16) -> Plan {
    plan(known, items.iter().copied(), most, NOW)
}

/// The entries after a plan, by number.
fn after(known: &[Entry], plan: &Plan) -> Vec<Entry> {
    let mut entries: std::collections::BTreeMap<u16, Entry> = known
        .iter()
        .map(|entry| (entry.number, entry.clone()))
        .collect();
    for entry in &plan.changed {
        entries.insert(entry.number, entry.clone());
    }
    entries.into_values().collect()
}

#[test]
fn nodes_come_go_and_come_back() {
    let known = [
        entry(0, "a", "1", None),
        entry(1, "b", "2", None),
        entry(3, "c", "3", Some(NOW - HOUR)),
    ];
    let plan = planned(&known, &[("c", "3"), ("a", "1"), ("d", "4")], 10);
    assert_eq!(plan.numbers, [Some(3), Some(0), Some(2)]);
    let new = Entry {
        since: NOW,
        ..entry(2, "d", "4", None)
    };
    let expected = [
        entry(0, "a", "1", None),
        entry(1, "b", "2", Some(NOW)),
        new,
        entry(3, "c", "3", None),
    ];
    assert_eq!(after(&known, &plan), expected);
}

#[test]
fn a_new_node_under_an_old_name_is_another_node() {
    let known = [entry(0, "a", "1", None)];
    let plan = planned(&known, &[("a", "2")], 10);
    assert_eq!(plan.numbers, [Some(1)]);
    assert_eq!(after(&known, &plan)[0].gone, Some(NOW));
    // And the old one may come back, if it was only hidden by a stale answer.
    let known = after(&known, &plan);
    let plan = planned(&known, &[("a", "1")], 10);
    assert_eq!(plan.numbers, [Some(0)]);
    let gone: Vec<_> = after(&known, &plan)
        .into_iter()
        .map(|entry| entry.gone)
        .collect();
    assert_eq!(gone, [None, Some(NOW)]);
}

#[test]
fn a_uid_that_was_not_told_may_be_any() {
    let known = [entry(0, "a", "", None), entry(1, "b", "2", None)];
    let plan = planned(&known, &[("a", "1"), ("b", "")], 10);
    assert_eq!(plan.numbers, [Some(0), Some(1)]);
    let uids: Vec<String> = after(&known, &plan)
        .into_iter()
        .map(|entry| entry.uid)
        .collect();
    assert_eq!(uids, ["1", "2"]);
}

#[test]
fn a_name_counts_once() {
    let plan = planned(&[], &[("a", "1"), ("a", "2"), ("b", "3"), ("a", "1")], 10);
    assert_eq!(plan.numbers, [Some(0), None, Some(1), None]);
    assert_eq!(plan.changed.len(), 2);
}

#[test]
fn numbers_are_taken_from_what_has_been_gone_for_longest() {
    let known = [
        entry(0, "a", "1", Some(NOW - 2 * HOUR)),
        entry(1, "b", "2", Some(NOW - 5 * HOUR)),
        entry(2, "c", "3", None),
        // Gone within this hour: an aggregate may still hold values of it.
        entry(3, "d", "4", Some(NOW)),
    ];
    let plan = planned(&known, &[("c", "3"), ("x", "7"), ("y", "8"), ("z", "9")], 4);
    assert_eq!(plan.numbers, [Some(2), Some(1), Some(0), None]);
    let names: Vec<String> = after(&known, &plan)
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, ["y", "x", "c", "d"]);
}

#[test]
fn numbers_outlast_their_bytes() {
    let numbers = [Some(0), None, Some(19_999), Some(256)];
    assert_eq!(decode(&encode(&numbers)), numbers);
    assert_ne!(
        hash([("ab", "c")].into_iter()),
        hash([("a", "bc")].into_iter())
    );
    assert_ne!(
        hash([("a", "1"), ("b", "2")].into_iter()),
        hash([("b", "2"), ("a", "1")].into_iter())
    );
}
