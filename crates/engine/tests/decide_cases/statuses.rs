//! What a rule's status says, that it rests while nothing happens, and that it is enough after a loss.

use std::time::Duration;

use ng_engine::decide::interest;
use ng_engine::history::History;
use ng_engine::rule::{MaxNodes, NodeStatus};
use ng_engine::spec::{NodePhase, Phase, RuleStatus};
use ng_engine::status;

use crate::decide_support::{START, Story};

const RULE: &str = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions:
  - {type: cordon}
  - {type: label, label: {labels: {state: '{{now}}'}}}
recoveryActions:
  - {type: uncordon}
  - {type: removeLabel, label: {keys: [state]}}
recoveryConditions: [{metric: cpuLoadRatio, operator: '<', value: 1, duration: 60s}]";

/// Two hot nodes of three, one of them held back, at a time between two seconds.
fn two_hot() -> Story {
    let mut story = Story::new(["n1", "n2", "n3"]).rule("hot", RULE);
    story.now = story.now.plus(Duration::from_millis(437));
    story.safety.max_nodes = MaxNodes::Count(1);
    for (node, value) in [("n1", 2.0), ("n2", 2.0), ("n3", 0.0)] {
        story.load(node, value);
    }
    story.node("n1").label("state", "old");
    story.after(30);
    story
}

fn condition<'a>(status: &'a RuleStatus, kind: &str) -> (NodeStatus, &'a str) {
    let all = &status.conditions;
    let condition = all.iter().find(|it| it.kind == kind).unwrap();
    (condition.status, condition.reason.as_str())
}

#[test]
fn a_status_names_nodes_guards_and_marks() {
    let story = two_hot();
    let status = story.status("hot", None);
    assert_eq!(status.phase, Some(Phase::Active));
    assert_eq!(status.triggered_nodes, ["n1", "n2"]);
    assert_eq!(status.observed_generation, Some(1));
    assert!(status.last_triggered.is_some() && status.last_recovery.is_none());
    assert!(status.last_error.is_none());
    let [first, second] = status.nodes.as_slice() else {
        panic!("{status:#?}");
    };
    assert!(first.admitted && first.guard.is_none());
    assert_eq!(first.owned.len(), 2);
    assert_eq!(
        first.owned.iter().find_map(|mark| mark.previous.as_deref()),
        Some("old")
    );
    assert_eq!(
        second.guard.as_ref().map(|guard| guard.name.as_str()),
        Some("maxNodes")
    );
    assert_eq!((second.owned.len(), second.marks.len()), (1, 2));
    assert_eq!(
        condition(&status, "ActionsAllowed"),
        (NodeStatus::False, "MaxNodes")
    );
    assert_eq!(
        condition(&status, "DataAvailable"),
        (NodeStatus::True, "Complete")
    );
    assert_eq!(condition(&status, "Ready").0, NodeStatus::True);
    assert_eq!(condition(&status, "Valid").0, NodeStatus::True);
}

#[test]
fn unknown_readings_show() {
    let mut story = two_hot();
    story.silence("n3");
    story.after(30);
    let status = story.status("hot", None);
    assert_eq!(condition(&status, "DataAvailable").0, NodeStatus::False);
    let all = &status.conditions;
    let message = &all
        .iter()
        .find(|it| it.kind == "DataAvailable")
        .unwrap()
        .message;
    assert!(
        message.contains("n3") && message.contains("cpuLoadRatio"),
        "{message}"
    );
}

#[test]
fn an_unknown_recovery_reading_shows() {
    let rule = RULE.replace(
        "recoveryConditions: [{metric: cpuLoadRatio",
        "recoveryConditions: [{metric: diskUtilizationPercent",
    );
    let mut story = Story::new(["n1", "n2"]).rule("hot", &rule);
    story.load("n1", 2.0);
    story.load("n2", 0.0);
    story.repeat(2, 30);
    let status = story.status("hot", None);
    assert_eq!(condition(&status, "DataAvailable").0, NodeStatus::False);
    let all = &status.conditions;
    let message = &all
        .iter()
        .find(|it| it.kind == "DataAvailable")
        .unwrap()
        .message;
    assert!(
        message.contains("n1") && message.contains("diskUtilizationPercent"),
        "{message}"
    );
    story.metric("diskUtilizationPercent", "n1", 5.0);
    story.after(30);
    assert_eq!(
        condition(&story.status("hot", None), "DataAvailable").0,
        NodeStatus::True
    );
}

#[test]
fn a_status_rests_while_nothing_happens() {
    let mut story = two_hot();
    let published = story.status("hot", None);
    for _ in 0..15 {
        story.after(30);
        assert_eq!(story.status("hot", Some(&published)), published);
    }
    story.load("n1", 0.5);
    story.after(30);
    let recovering = story.status("hot", Some(&published));
    assert_eq!(recovering.nodes[0].phase, NodePhase::Recovering);
    story.after(30);
    assert_eq!(story.status("hot", Some(&recovering)), recovering);
}

#[test]
fn a_status_read_back_equals_the_one_that_was_written() {
    let story = two_hot();
    let evaluated = story.plans[0].evaluated[0].clone();
    let standing = status::Standing::Evaluated(&evaluated);
    let written = status::of("hot", 1, &standing, &story.history, (None, story.now));
    let read: RuleStatus = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
    assert_eq!(read, written, "else every tick writes it again");
    let later = story.now.plus(Duration::from_secs(30));
    let again = status::of("hot", 1, &standing, &story.history, (Some(&read), later));
    assert_eq!(again, read);
}

#[test]
fn conditions_keep_the_time_of_their_last_change() {
    let mut story = two_hot();
    let first = story.status("hot", None);
    story.load("n2", 0.0);
    story.repeat(4, 30);
    let second = story.status("hot", Some(&first));
    for (old, new) in first.conditions.iter().zip(&second.conditions) {
        let same = old.status == new.status;
        assert_eq!(
            same,
            old.last_transition_time == new.last_transition_time,
            "{new:?}"
        );
        assert_eq!(same, old.kind != "ActionsAllowed");
    }
}

#[test]
fn a_disabled_rule_is_inactive() {
    let mut story = two_hot();
    story.edit("hot", &format!("{RULE}\nmetadata: {{enabled: false}}"));
    story.after(30);
    let status = story.status("hot", None);
    assert_eq!(status.phase, Some(Phase::Inactive));
    assert!(status.triggered_nodes.is_empty());
    let leaving = status.nodes.iter().flat_map(|detail| &detail.owned);
    assert!(leaving.clone().count() > 0 && leaving.clone().all(|owned| owned.leaving));
    story.after(30);
    assert!(story.status("hot", None).nodes.is_empty(), "they are gone");
    assert_eq!(condition(&status, "Ready"), (NodeStatus::False, "Disabled"));
}

#[test]
fn a_rebuild_from_the_status_goes_on_where_it_was() {
    let mut story = two_hot();
    let published = story.status("hot", None);
    story.rebuild();
    let plan = story.after(30);
    assert!(
        plan.changes.is_empty() && plan.alerts.is_empty(),
        "{plan:#?}"
    );
    assert_eq!(story.status("hot", Some(&published)), published);
    assert_eq!(story.guard("hot", "n2"), "maxNodes");
    // What was ours is still ours, and what it replaced comes back.
    for node in ["n1", "n2"] {
        story.load(node, 0.0);
    }
    story.repeat(4, 30);
    assert_eq!(story.marks(), ["n1 state=old"]);
}

#[test]
fn a_rebuild_keeps_dry_runs_dry_and_edits_edited() {
    let dry = format!("{RULE}\nmetadata: {{dryRun: true}}");
    let mut story = Story::new(["n1"]).rule("hot", &dry);
    story.load("n1", 2.0);
    story.after(30);
    story.safety.paused = true;
    story.after(30);
    story.rebuild();
    story.safety.paused = false;
    story.repeat(3, 30);
    assert!(story.plans.iter().all(|plan| plan.changes.is_empty()));
    // The rule became a dry run while nobody remembered.
    let mut story = two_hot();
    story.rebuild();
    story.edit("hot", &dry);
    let plan = story.after(30);
    assert!(
        plan.changes.iter().all(|change| change.set.is_empty()),
        "{plan:#?}"
    );
}

#[test]
fn a_rebuild_keeps_the_cooldown_of_triggered_nodes() {
    let mut story = two_hot();
    story.repeat(10, 30);
    story.rebuild();
    let plan = story.repeat(9, 30);
    assert_eq!(story.record("hot", "n1").unwrap().repeats, 0, "{plan:?}");
    story.after(30);
    assert_eq!(story.record("hot", "n1").unwrap().repeats, 1);
}

/// Loses the memory while the snapshots still show an older status, which is none.
fn rebuilt_too_early(story: &mut Story) -> RuleStatus {
    let late = story.status("hot", None);
    story.history = History::default();
    let remembered = story.history.rules.entry("hot".to_owned()).or_default();
    story.now = story.now.plus(Duration::from_secs(5));
    remembered.summary.rebuilt = Some(story.now);
    late
}

fn learn(story: &mut Story, late: &RuleStatus) {
    let rules = story.rules.values().map(|written| &written.rule);
    let nodes = story
        .cluster
        .read(&interest(rules, &story.history), story.cluster.nodes.keys());
    status::learn(&mut story.history, &[("hot", late.clone())], &nodes);
}

#[test]
fn a_status_that_shows_up_after_the_rebuild_is_taken_in() {
    type Between = fn(&mut Story);
    let cases: [(&str, Between, &[&str]); 5] = [
        ("nothing happened in between", |_| (), &["n1 state=old"]),
        (
            "the node triggered again",
            |story| {
                story.evaluate();
            },
            &["n1 state=old"],
        ),
        (
            "someone took a mark away",
            |story| story.node("n1").cordoned = false,
            &["n1 state=old"],
        ),
        (
            "the node was replaced",
            |story| story.node("n1").uid = "another".to_owned(),
            &["n1 state=1767225630437 cordoned"],
        ),
        (
            "the status is of our time",
            |story| story.history.rules.get_mut("hot").unwrap().summary.rebuilt = Some(START),
            &["n1 state=1767225630437 cordoned", "n2 state=1767225630437"],
        ),
    ];
    for (what, between, expected) in cases {
        let mut story = two_hot();
        let late = rebuilt_too_early(&mut story);
        between(&mut story);
        learn(&mut story, &late);
        for node in ["n1", "n2"] {
            story.load(node, 0.0);
        }
        story.repeat(8, 30);
        assert_eq!(story.marks(), expected, "{what}");
        let plan = story.after(30);
        assert!(plan.changes.is_empty(), "{what}");
    }
}

#[test]
fn a_late_status_does_not_begin_again_what_has_ended() {
    let no_rest = format!("{RULE}\nmonitoring: {{cooldownPeriod: 0s, recoveryCooldownPeriod: 0s}}");
    let mut story = two_hot().rule("hot", &no_rest);
    story.after(30);
    let late = rebuilt_too_early(&mut story);
    learn(&mut story, &late);
    for node in ["n1", "n2"] {
        story.load(node, 0.0);
    }
    story.repeat(3, 30);
    assert!(!story.is_triggered("hot", "n1"));
    let before = story.marks();
    learn(&mut story, &late);
    assert!(!story.is_triggered("hot", "n1"));
    assert!(story.after(10).changes.is_empty());
    assert_eq!(story.marks(), before);
}

/// A rule with cooldowns, whose label carries the time.
fn resting() -> Story {
    let rule = RULE.replace(
        "recoveryConditions: [{metric: cpuLoadRatio, operator: '<', value: 1, duration: 60s}]",
        "monitoring: {cooldownPeriod: 5m, recoveryCooldownPeriod: 3m}",
    );
    let mut story = Story::new(["n1", "n2"]).rule("hot", &rule);
    story.load("n2", 0.0);
    story
}

#[test]
fn a_rebuild_keeps_the_cooldowns_of_recovered_nodes() {
    let mut story = resting();
    // Triggered at 30s and recovered at 60s: no trigger before 5m30s, and no recovery before 4m.
    for value in [2.0, 0.0, 2.0] {
        story.load("n1", value);
        story.after(30);
    }
    let published = story.status("hot", None);
    assert_eq!(published.nodes[0].phase, NodePhase::Recovered);
    story.rebuild();
    story.repeat(7, 30);
    assert!(!story.is_triggered("hot", "n1"), "the cooldown runs");
    story.after(30);
    assert!(story.is_triggered("hot", "n1"));
    let record = story.record("hot", "n1").unwrap();
    assert_eq!(
        record.recovered_at,
        Some(START.plus(Duration::from_mins(1)))
    );
}

#[test]
fn the_end_of_a_cooldown_is_not_worth_a_write() {
    let mut story = resting();
    for value in [2.0, 0.0, 0.0] {
        story.load("n1", value);
        story.after(30);
    }
    let published = story.status("hot", None);
    assert_eq!(published.nodes.len(), 1);
    for _ in 0..20 {
        story.after(30);
        assert_eq!(story.status("hot", Some(&published)), published);
    }
    assert!(
        story.record("hot", "n1").is_none(),
        "the cooldowns are over"
    );
    story.load("n2", 2.0);
    story.after(30);
    let names: Vec<String> = story
        .status("hot", Some(&published))
        .nodes
        .into_iter()
        .map(|detail| detail.name)
        .collect();
    assert_eq!(names, ["n2"]);
}

#[test]
fn a_rebuild_takes_off_what_was_being_removed_or_outdated() {
    // The removal gets lost, and the state with it; or the write of a repeat.
    for seconds in [30, 330] {
        let mut story = resting();
        story.load("n1", 2.0);
        story.repeat(2, 30);
        story.lose = true;
        if seconds == 30 {
            story.load("n1", 0.0);
        }
        story.after(seconds);
        assert!(!story.marks().is_empty());
        story.rebuild();
        story.lose = false;
        story.load("n1", 0.0);
        story.repeat(10, 30);
        assert!(story.marks().is_empty(), "{seconds}: {:?}", story.marks());
        assert!(story.after(30).changes.is_empty());
    }
}

/// What is published of one node more than there is room for, the last of them with a mark, and the others by `owned`.
fn published(owned: &serde_json::Value) -> RuleStatus {
    let details = (0..=status::MAX_DETAILS).map(|number| {
        let cordon = serde_json::json!([{"kind": "cordon"}]);
        let is_last = number == status::MAX_DETAILS;
        serde_json::json!({
            "name": format!("n-{number:04}"), "phase": "Triggered",
            "triggeredAt": "2026-01-01T00:00:00Z",
            "owned": if is_last { &cordon } else { owned },
        })
    });
    let all = serde_json::json!({"nodes": details.collect::<Vec<_>>()});
    let mut history = History::default();
    status::restore(&mut history, "r", "", &serde_json::from_value(all).unwrap());
    let standing = status::Standing::Disabled { waiting: true };
    status::of("r", 1, &standing, &history, (None, START))
}

#[test]
fn details_of_nodes_with_marks_are_the_last_to_be_left_out() {
    let some = published(&serde_json::json!([]));
    assert_eq!(some.triggered_nodes.len(), status::MAX_DETAILS + 1);
    assert_eq!(some.nodes.len(), status::MAX_DETAILS);
    assert_eq!(some.nodes.last().unwrap().name, "n-2000");
    assert!(!status::may_leave_out_marks(&some));

    let all = published(&serde_json::json!([{"kind": "cordon"}]));
    assert_eq!(all.nodes.len(), status::MAX_DETAILS);
    assert!(status::may_leave_out_marks(&all));
}
