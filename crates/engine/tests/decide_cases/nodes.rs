//! Nodes that go, come back, are replaced, or are missing from a snapshot.

use crate::decide_support::{Story, alerts, events};

const RULE: &str = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 60s}]
actions:
  - {type: cordon}
  - {type: alert, alert: {channels: [log]}}
recoveryActions: [{type: uncordon}]";

const LABELS: &str = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions: [{type: label, label: {labels: {state: ours}}}]
recoveryActions: [{type: removeLabel, label: {keys: [state]}}]";

fn triggered() -> Story {
    let mut story = Story::new(["n1", "n2"]).rule("hot", RULE);
    story.load("n1", 2.0);
    story.repeat(3, 30);
    assert_eq!(story.marks(), ["n1 cordoned"]);
    story
}

#[test]
fn a_node_missing_from_one_snapshot_is_neither_forgotten_nor_released() {
    let mut story = triggered();
    let missing = story.cluster.nodes.remove("n1").unwrap();
    let plan = story.repeat(5, 30);
    assert!(events(&plan).is_empty() && plan.changes.is_empty());
    story.cluster.nodes.insert("n1".to_owned(), missing);
    let plan = story.after(30);
    assert!(events(&plan).is_empty() && plan.changes.is_empty() && plan.alerts.is_empty());
    assert!(story.is_triggered("hot", "n1"));
    story.load("n1", 0.0);
    story.repeat(3, 30);
    assert!(story.marks().is_empty(), "still ours");
}

#[test]
fn a_deleted_node_is_forgotten_in_the_end() {
    let mut story = triggered();
    story.cluster.nodes.remove("n1");
    story.repeat(20, 30);
    assert!(story.record("hot", "n1").is_some());
    let plan = story.after(30);
    assert_eq!(events(&plan), ["hot/n1: Gone"]);
    assert!(story.record("hot", "n1").is_none());
    assert!(story.history.ledgers.is_empty());
    assert!(story.after(30).decisions.is_empty());
}

#[test]
fn whoever_was_told_of_a_node_is_told_when_it_is_gone() {
    let told = RULE.replace(
        "{type: uncordon}",
        "{type: alert, alert: {channels: [log]}}",
    );
    for (is_replaced, slow) in [(false, false), (true, false), (false, true)] {
        let mut story = Story::new(["n1", "n2"]).rule("hot", &told);
        if slow {
            // Evaluated often, so that the node is forgotten between two evaluations of the other rule.
            let rule = told.clone() + "\nmonitoring: {checkInterval: 7m}";
            story = Story::new(["n1", "n2"])
                .rule("hot", &rule)
                .rule("often", LABELS);
        }
        story.load("n1", 2.0);
        story.repeat(if slow { 60 } else { 3 }, 30);
        assert!(story.is_triggered("hot", "n1"), "slow: {slow}");
        let mut heard = Vec::new();
        if is_replaced {
            story.node("n1").uid = "another".to_owned();
            heard.extend(alerts(&story.after(30)));
        } else {
            story.cluster.nodes.remove("n1");
            for _ in 0..45 {
                heard.extend(alerts(&story.after(30)));
            }
        }
        assert_eq!(
            heard,
            ["hot/n1: recovery"],
            "replaced: {is_replaced}, slow: {slow}"
        );
    }
}

#[test]
fn a_node_replaced_under_its_name_starts_healthy() {
    let mut story = triggered();
    let node = story.node("n1");
    node.uid = "another".to_owned();
    let plan = story.after(30);
    assert_eq!(events(&plan), ["hot/n1: Gone"]);
    assert!(!story.is_triggered("hot", "n1"));
    assert!(
        plan.changes.is_empty(),
        "the cordon on the new node is not ours"
    );
    assert_eq!(
        story.repeat(2, 30).changes.len(),
        0,
        "and stays, as it is there already"
    );
    assert!(story.is_triggered("hot", "n1"));
    story.load("n1", 0.0);
    story.repeat(10, 30);
    assert_eq!(story.marks(), ["n1 cordoned"]);
}

#[test]
fn a_replaced_node_has_to_be_hot_for_the_whole_duration_again() {
    let mut story = Story::new(["n1"]).rule("hot", RULE);
    story.load("n1", 2.0);
    story.repeat(2, 30);
    story.node("n1").uid = "another".to_owned();
    story.repeat(2, 30);
    assert!(!story.is_triggered("hot", "n1"));
    story.after(30);
    assert!(story.is_triggered("hot", "n1"));
}

#[test]
fn an_empty_snapshot_says_nothing() {
    let mut story = triggered();
    let nodes = std::mem::take(&mut story.cluster.nodes);
    let before = story.history.clone();
    for _ in 0..50 {
        let plan = story.after(30);
        assert!(plan.decisions.is_empty() && plan.changes.is_empty() && plan.evaluated.is_empty());
    }
    assert_eq!(story.history, before);
    story.cluster.nodes = nodes;
    assert!(story.after(30).changes.is_empty());
    assert!(story.is_triggered("hot", "n1"));
}

#[test]
fn new_nodes_and_another_order_disturb_no_timer() {
    let mut story = Story::new(["n5"]).rule("hot", RULE);
    story.load("n5", 2.0);
    story.after(30);
    for name in ["n1", "n9"] {
        let node = crate::decide_support::cluster::Node::new(name);
        story.cluster.nodes.insert(name.to_owned(), node);
        story.load(name, 2.0);
        story.after(30);
    }
    assert!(story.is_triggered("hot", "n5"));
    assert!(!story.is_triggered("hot", "n1"));
    story.after(30);
    assert!(story.is_triggered("hot", "n1"));
    assert!(!story.is_triggered("hot", "n9"));
}

#[test]
fn a_rule_deleted_while_its_node_is_missing_waits_for_it() {
    let mut story = triggered();
    let missing = story.cluster.nodes.remove("n1").unwrap();
    story.rules.clear();
    story.repeat(3, 30);
    story.cluster.nodes.insert("n1".to_owned(), missing);
    story.after(30);
    assert!(story.marks().is_empty());
}

#[test]
fn a_label_that_lands_on_a_new_node_of_the_same_name_is_taken_off() {
    for (late, expected) in [(true, 1), (false, 0)] {
        let mut story = Story::new(["n1"]).rule("hot", LABELS);
        story.node("n1").label("state", "theirs");
        story.load("n1", 2.0);
        story.after(30);
        assert_eq!(story.marks(), ["n1 state=ours"]);
        if !late {
            story.after(30);
        }
        // The write under way, or a node that its owner labels so.
        story.node("n1").uid = "another".to_owned();
        story.load("n1", 0.0);
        let plan = story.after(30);
        assert_eq!(plan.changes.len(), expected);
        let value = if late { "theirs" } else { "ours" };
        assert_eq!(story.marks(), [format!("n1 state={value}")]);
        assert!(story.repeat(3, 30).changes.is_empty());
        assert!(story.history.ledgers.is_empty());
    }
}

#[test]
fn the_timers_of_a_missing_node_go_on_when_it_is_back() {
    for (missing, replaced, triggers) in [(1, false, true), (8, false, false), (1, true, false)] {
        let mut story = Story::new(["n1", "n2", "n3"]).rule("hot", RULE);
        story.load("n2", 2.0);
        story.after(30);
        let node = story.cluster.nodes.remove("n2").unwrap();
        story.repeat(missing, 30);
        story.cluster.nodes.insert("n2".to_owned(), node);
        if replaced {
            story.node("n2").uid = "another".to_owned();
        }
        story.after(30);
        assert_eq!(
            story.is_triggered("hot", "n2"),
            triggers,
            "{missing} {replaced}"
        );
    }
}
