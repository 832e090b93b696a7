//! Marks: level-based, shared between rules, and never someone else's.

use ng_engine::rule::TaintEffect::{NoExecute, NoSchedule, PreferNoSchedule};

use crate::decide_support::Story;

const ALL: &str = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions:
  - {type: taint, taint: {key: hot, value: 'yes', effect: NoSchedule}}
  - {type: label, label: {labels: {state: hot}}}
  - {type: annotation, annotation: {annotations: {why: load}}}
  - {type: cordon}
recoveryActions:
  - {type: removeTaint, taint: {key: hot}}
  - {type: removeLabel, label: {keys: [state]}}
  - {type: removeAnnotation, annotation: {keys: [why]}}
  - {type: uncordon}
monitoring: {recoveryCooldownPeriod: 0s}";

/// A rule on its own metric with one taint.
fn tainting(metric: &str, priority: i64, value: &str, effect: &str) -> String {
    format!(
        "conditions: [{{metric: {metric}, operator: '>', value: 1, duration: 0s}}]
actions:
  - {{type: taint, taint: {{key: hot, value: '{value}', effect: {effect}}}}}
  - {{type: label, label: {{labels: {{state: '{value}'}}}}}}
recoveryActions:
  - {{type: removeTaint, taint: {{key: hot}}}}
  - {{type: removeLabel, label: {{keys: [state]}}}}
monitoring: {{recoveryCooldownPeriod: 0s}}
metadata: {{priority: {priority}}}"
    )
}

fn hot() -> Story {
    let mut story = Story::new(["n1", "n2"]).rule("hot", ALL);
    story.load("n1", 2.0);
    story.after(30);
    assert_eq!(
        story.marks(),
        ["n1 hot=yes:NoSchedule state=hot why=load cordoned"]
    );
    story
}

#[test]
fn everything_is_set_once_and_removed_once() {
    let mut story = hot();
    for _ in 0..15 {
        assert!(story.after(30).changes.is_empty());
    }
    story.load("n1", 0.5);
    let plan = story.after(30);
    assert_eq!(plan.changes.len(), 1, "one write a node");
    assert!(story.marks().is_empty(), "{:?}", story.marks());
    for _ in 0..15 {
        assert!(story.after(30).changes.is_empty());
    }
    assert!(story.history.ledgers.is_empty());
}

#[test]
fn what_someone_removed_or_changed_is_set_again() {
    let mut story = hot();
    let node = story.node("n1");
    node.cordoned = false;
    node.taints.clear();
    node.label("state", "other");
    story.after(30);
    assert_eq!(
        story.marks(),
        ["n1 hot=yes:NoSchedule state=hot why=load cordoned"]
    );
    assert!(story.after(30).changes.is_empty());
}

#[test]
fn what_was_there_before_stays_and_what_was_replaced_comes_back() {
    let mut story = Story::new(["n1"]).rule("hot", ALL);
    story
        .node("n1")
        .label("state", "busy")
        .label("other", "1")
        .annotation("why", "load")
        .taint("hot", "mine", PreferNoSchedule)
        .taint("hot", "no", NoSchedule)
        .cordoned = true;
    let before = story.marks();
    story.load("n1", 2.0);
    story.after(30);
    assert_eq!(
        story.marks(),
        ["n1 hot=yes:NoSchedule hot=mine:PreferNoSchedule other=1 state=hot why=load cordoned"]
    );
    story.load("n1", 0.5);
    story.after(30);
    assert_eq!(story.marks(), before);
    assert!(story.repeat(5, 30).changes.is_empty());
    assert_eq!(story.marks(), before);
}

#[test]
fn a_foreign_value_that_came_just_before_recovery_stays() {
    let mut story = hot();
    story.node("n1").label("state", "foreign");
    story.node("n1").taints.clear();
    story.node("n1").taint("hot", "foreign", NoSchedule);
    story.load("n1", 0.5);
    story.after(30);
    assert_eq!(story.marks(), ["n1 hot=foreign:NoSchedule state=foreign"]);
    story.repeat(3, 30);
    assert_eq!(story.marks(), ["n1 hot=foreign:NoSchedule state=foreign"]);
}

#[test]
fn a_foreign_label_that_came_just_before_recovery_stays() {
    let rule = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions: [{type: label, label: {labels: {state: hot}}}]
recoveryActions: [{type: removeLabel, label: {keys: [state]}}]";
    for seen in [false, true] {
        let mut story = Story::new(["n1"]).rule("hot", rule);
        story.load("n1", 2.0);
        story.after(30);
        if seen {
            story.after(30);
        }
        story.node("n1").label("state", "foreign");
        story.load("n1", 0.5);
        story.repeat(3, 30);
        assert_eq!(story.marks(), ["n1 state=foreign"], "seen: {seen}");
    }
}

#[test]
fn a_cordon_of_someone_else_after_ours_was_lifted_stays() {
    let mut story = hot();
    story.after(30);
    story.load("n1", 0.5);
    story.after(30);
    assert!(!story.node("n1").cordoned);
    story.after(30);
    story.node("n1").cordoned = true;
    story.repeat(6, 30);
    assert!(
        story.node("n1").cordoned,
        "an administrator cordoned the node"
    );
}

#[test]
fn another_rule_that_wants_the_same_mark_keeps_it() {
    let mut story = Story::new(["n1"])
        .rule("a", &tainting("cpuLoadRatio", 10, "x", "NoSchedule"))
        .rule(
            "b",
            &tainting("memoryUtilizationPercent", 20, "x", "NoSchedule"),
        );
    for metric in ["cpuLoadRatio", "memoryUtilizationPercent"] {
        story.metric(metric, "n1", 2.0);
    }
    story.after(30);
    assert_eq!(story.marks(), ["n1 hot=x:NoSchedule state=x"]);
    story.metric("cpuLoadRatio", "n1", 0.0);
    let plan = story.after(30);
    assert!(plan.changes.is_empty(), "{plan:?}");
    story.metric("memoryUtilizationPercent", "n1", 0.0);
    story.after(30);
    assert!(story.marks().is_empty());
}

#[test]
fn of_two_rules_the_smaller_priority_number_wins_and_hands_over() {
    for (value, effect) in [
        ("y", "NoSchedule"),
        ("y", "NoExecute"),
        ("x", "NoExecute"),
        ("y", "PreferNoSchedule"),
    ] {
        let mut story = Story::new(["n1"])
            .rule("z-first", &tainting("cpuLoadRatio", 10, "x", "NoSchedule"))
            .rule(
                "a-second",
                &tainting("memoryUtilizationPercent", 20, value, effect),
            );
        let second = vec![format!("n1 hot={value}:{effect} state={value}")];
        story.metric("memoryUtilizationPercent", "n1", 2.0);
        story.after(30);
        assert_eq!(story.marks(), second);
        story.metric("cpuLoadRatio", "n1", 2.0);
        story.after(30);
        assert_eq!(story.marks(), ["n1 hot=x:NoSchedule state=x"]);
        assert!(story.after(30).changes.is_empty());
        story.metric("cpuLoadRatio", "n1", 0.0);
        story.after(30);
        assert_eq!(story.marks(), second);
        assert!(story.repeat(4, 30).changes.is_empty());
        story.metric("memoryUtilizationPercent", "n1", 0.0);
        story.after(30);
        assert!(story.marks().is_empty(), "{:?}", story.marks());
    }
}

#[test]
fn equals_in_priority_are_ordered_by_name() {
    let mut story = Story::new(["n1"])
        .rule("b", &tainting("cpuLoadRatio", 10, "second", "NoSchedule"))
        .rule("a", &tainting("cpuLoadRatio", 10, "first", "NoExecute"));
    story.load("n1", 2.0);
    story.after(30);
    assert_eq!(story.marks(), ["n1 hot=first:NoExecute state=first"]);
}

#[test]
fn a_mark_that_no_recovery_action_removes_stays_and_stays_ours() {
    let keep = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions: [{type: label, label: {labels: {state: hot}}}]";
    let cleaner =
        "conditions: [{metric: memoryUtilizationPercent, operator: '>', value: 1, duration: 0s}]
recoveryActions: [{type: removeLabel, label: {keys: [state, foreign]}}]";
    let mut story = Story::new(["n1", "n2"])
        .rule("keep", keep)
        .rule("cleaner", cleaner);
    story.node("n1").label("foreign", "1");
    story.node("n2").label("state", "hot");
    story.load("n1", 2.0);
    for node in ["n1", "n2"] {
        story.metric("memoryUtilizationPercent", node, 2.0);
    }
    story.after(30);
    story.load("n1", 0.0);
    story.repeat(10, 30);
    assert_eq!(story.marks(), ["n1 foreign=1 state=hot", "n2 state=hot"]);
    for node in ["n1", "n2"] {
        story.metric("memoryUtilizationPercent", node, 0.0);
    }
    story.after(30);
    assert_eq!(story.marks(), ["n1 foreign=1", "n2 state=hot"]);
}

#[test]
fn every_effect_of_a_key_is_removed_by_it() {
    let rule = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions:
  - {type: taint, taint: {key: hot, value: a, effect: NoSchedule}}
  - {type: taint, taint: {key: hot, value: b, effect: NoExecute}}
recoveryActions: [{type: untaint, untaint: {key: hot}}]";
    let mut story = Story::new(["n1"]).rule("hot", rule);
    story.node("n1").taint("hot", "z", PreferNoSchedule);
    story.load("n1", 2.0);
    story.after(30);
    assert!(
        story
            .node("n1")
            .taints
            .contains_key(&("hot".to_owned(), NoExecute))
    );
    story.load("n1", 0.0);
    story.after(30);
    assert_eq!(story.marks(), ["n1 hot=z:PreferNoSchedule"]);
}

#[test]
fn a_lost_write_is_made_again() {
    let mut story = hot();
    story.load("n1", 0.5);
    story.lose = true;
    for _ in 0..10 {
        assert_eq!(story.after(30).changes.len(), 1);
    }
    story.lose = false;
    story.after(30);
    assert!(story.marks().is_empty());
    let mut story = Story::new(["n1"]).rule("hot", ALL);
    story.load("n1", 2.0);
    story.lose = true;
    story.repeat(3, 30);
    story.lose = false;
    story.after(30);
    assert_eq!(story.marks().len(), 1);
}

#[test]
fn a_changed_value_whose_write_was_lost_is_removed_as_it_stands() {
    let rule = ALL.replace("'yes'", "'{{now}}'").replace(
        "recoveryCooldownPeriod",
        "cooldownPeriod: 2m, recoveryCooldownPeriod",
    );
    for (lost_sets, lag) in [(1, 0), (3, 0), (1, 1)] {
        let mut story = Story::new(["n1"]).rule("hot", &rule);
        story.lag = lag;
        story.load("n1", 2.0);
        story.repeat(3, 60);
        story.lose = true;
        story.repeat(2 * lost_sets, 60);
        story.lose = false;
        story.load("n1", 0.5);
        story.repeat(10, 60);
        assert!(story.marks().is_empty(), "{lost_sets}: {:?}", story.marks());
        assert!(story.history.ledgers.is_empty());
    }
}

#[test]
fn a_snapshot_that_lags_behind_leaves_nothing_behind() {
    for lag in 1..3 {
        let rule = ALL.replace(
            "recoveryCooldownPeriod",
            "checkInterval: 10s, recoveryCooldownPeriod",
        );
        let mut story = Story::new(["n1"]).rule("hot", &rule);
        story.lag = lag;
        story.repeat(3, 10);
        story.load("n1", 2.0);
        story.after(10);
        story.load("n1", 0.5);
        story.repeat(20, 10);
        assert!(story.marks().is_empty(), "{lag}: {:?}", story.marks());
    }
}

#[test]
fn our_own_label_does_not_deselect_the_node() {
    let rule = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
nodeSelector: {matchLabels: {state: fine}}
actions: [{type: label, label: {labels: {state: hot}}}]
recoveryActions: [{type: removeLabel, label: {keys: [state]}}]
monitoring: {recoveryCooldownPeriod: 0s}";
    let mut story = Story::new(["n1"]).rule("hot", rule);
    story.node("n1").label("state", "fine");
    story.load("n1", 2.0);
    story.repeat(5, 30);
    assert_eq!(story.marks(), ["n1 state=hot"]);
    assert!(story.is_triggered("hot", "n1"));
    story.load("n1", 0.0);
    story.after(30);
    assert_eq!(story.marks(), ["n1 state=fine"]);
}

#[test]
fn a_value_that_is_what_it_replaced_is_theirs_again() {
    // Someone's own value is outdone, and then wanted by another rule.
    let mut story = Story::new(["n1"])
        .rule("a", &tainting("cpuLoadRatio", 10, "ours", "NoSchedule"))
        .rule(
            "b",
            &tainting("diskUtilizationPercent", 5, "theirs", "NoSchedule"),
        );
    story.node("n1").label("state", "theirs");
    for (metric, value) in [
        ("cpuLoadRatio", 2.0),
        ("diskUtilizationPercent", 2.0),
        ("cpuLoadRatio", 0.0),
        ("diskUtilizationPercent", 0.0),
    ] {
        story.metric(metric, "n1", value);
        story.repeat(3, 30);
    }
    assert_eq!(story.marks(), ["n1 state=theirs"]);
    assert!(story.after(30).changes.is_empty());
    assert!(story.history.ledgers.is_empty());
}

#[test]
fn every_value_under_way_is_known_when_it_lands() {
    // Snapshots are old, and the writes of repeats come or get lost: whichever value stands in the end is ours.
    const STAMP: &str =
        "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions: [{type: label, label: {labels: {at: '{{now}}'}}}]
recoveryActions: [{type: removeLabel, label: {keys: [at]}}]
monitoring: {cooldownPeriod: 10s, recoveryCooldownPeriod: 0s}";
    for landing in 0..5 {
        let mut story = Story::new(["n1"]).rule("stamp", STAMP);
        story.lag = 4;
        story.load("n1", 2.0);
        for run in 0..5 {
            story.lose = run != landing;
            story.after(10);
        }
        story.lose = true;
        story.load("n1", 0.0);
        story.after(10);
        story.lose = false;
        story.repeat(8, 10);
        assert!(story.marks().is_empty(), "{landing}: {:?}", story.marks());
        assert!(story.repeat(3, 30).changes.is_empty());
    }
}
