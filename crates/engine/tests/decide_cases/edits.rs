//! Rules that are edited, disabled, deleted and made again while nodes are triggered.

use crate::decide_support::{Story, alerts, events};

/// A rule with these actions and recovery actions, in flow style.
fn rule(actions: &str, recovery: &str, rest: &str) -> String {
    format!(
        "conditions: [{{metric: cpuLoadRatio, operator: '>', value: 1, duration: 60s}}]
actions: [{actions}]
recoveryActions: [{recovery}]
{rest}"
    )
}

const TAINT: &str = "{type: taint, taint: {key: hot, value: 'yes', effect: NoSchedule}}";
const LABEL: &str = "{type: label, label: {labels: {state: hot}}}";
const ALERT: &str = "{type: alert, alert: {channels: [log]}}";
const UNTAINT: &str = "{type: removeTaint, taint: {key: hot}}";

fn triggered(yaml: &str) -> Story {
    let mut story = Story::new(["n1", "n2"]).rule("hot", yaml);
    story.load("n1", 2.0);
    story.repeat(3, 30);
    assert!(story.is_triggered("hot", "n1"));
    story
}

#[test]
fn marks_follow_an_edit() {
    let start = rule(&format!("{TAINT}, {LABEL}, {{type: cordon}}"), UNTAINT, "");
    let label = "{type: label, label: {labels: {state: 'very-hot', more: 'x'}}}";
    for (actions, marks) in [
        (TAINT.to_owned(), vec!["n1 hot=yes:NoSchedule"]),
        (
            format!("{LABEL}, {{type: cordon}}"),
            vec!["n1 state=hot cordoned"],
        ),
        (label.to_owned(), vec!["n1 more=x state=very-hot"]),
        (
            TAINT.replace("NoSchedule", "NoExecute"),
            vec!["n1 hot=yes:NoExecute"],
        ),
        (ALERT.to_owned(), vec![]),
    ] {
        for paused in [false, true] {
            let mut story = triggered(&start);
            story.safety.paused = paused;
            story.edit("hot", &rule(&actions, UNTAINT, ""));
            let plan = story.after(30);
            if paused {
                assert!(plan.changes.is_empty());
                story.repeat(40, 30);
                assert_eq!(story.marks(), ["n1 hot=yes:NoSchedule state=hot cordoned"]);
                story.safety.paused = false;
                story.after(30);
            }
            assert_eq!(story.marks(), marks, "{actions} paused: {paused}");
            assert!(story.after(30).changes.is_empty());
            assert!(story.is_triggered("hot", "n1"));
        }
    }
}

#[test]
fn an_edit_tells_nobody_and_evicts_nobody() {
    let mut story = triggered(&rule(&format!("{TAINT}, {ALERT}"), UNTAINT, ""));
    story.edit(
        "hot",
        &rule(
            &format!("{TAINT}, {LABEL}, {ALERT}"),
            UNTAINT,
            "metadata: {description: new}",
        ),
    );
    let plan = story.after(30);
    assert!(plan.alerts.is_empty(), "{:?}", alerts(&plan));
    assert!(events(&plan).is_empty(), "{:?}", events(&plan));
}

#[test]
fn an_eviction_that_was_taken_out_of_the_rule_stops() {
    let mut story = triggered(&rule(
        "{type: evict, evict: {maxPods: 3}}, {type: drain}",
        "",
        "",
    ));
    assert_eq!(story.jobs("hot", "n1"), 2);
    story.edit("hot", &rule("{type: evict, evict: {maxPods: 3}}", "", ""));
    story.after(30);
    assert_eq!(story.jobs("hot", "n1"), 1);
    story.edit("hot", &rule(ALERT, "", ""));
    story.after(30);
    assert_eq!(story.jobs("hot", "n1"), 0);
    assert_eq!(story.history.rules["hot"].summary.jobs, 0);
}

#[test]
fn timers_survive_an_edit_that_leaves_the_test_alone() {
    let base = rule(ALERT, "", "");
    for (edited, phase) in [
        (base.replace("60s", "30s"), 'T'),
        (base.replace("60s", "90s"), '-'),
        (base.clone() + "metadata: {description: other}", 'T'),
        (base.replace("value: 1", "value: 1.5"), '-'),
        (
            base.replace("cpuLoadRatio", "memoryUtilizationPercent"),
            '-',
        ),
    ] {
        let mut story = Story::new(["n1"]).rule("hot", &base);
        story.load("n1", 2.0);
        story.metric("memoryUtilizationPercent", "n1", 2.0);
        story.repeat(2, 30);
        story.edit("hot", &edited);
        story.after(30);
        assert_eq!(story.phase("hot", "n1"), phase, "{edited}");
        story.repeat(2, 30);
        assert!(story.is_triggered("hot", "n1"), "{edited}");
    }
}

#[test]
fn progress_under_an_old_recovery_condition_does_not_count_for_a_new_one() {
    let recovery = |value: &str| {
        rule(
            ALERT,
            "",
            &format!(
                "recoveryConditions: [{{metric: cpuLoadRatio, operator: '<', value: {value}, duration: 60s}}]"
            ),
        )
    };
    let mut story = triggered(&recovery("1"));
    story.load("n1", 0.9);
    story.repeat(2, 30);
    assert_eq!(story.phase("hot", "n1"), 'R');
    story.load("n1", 0.4);
    story.edit("hot", &recovery("0.5"));
    story.after(30);
    assert!(
        story.is_triggered("hot", "n1"),
        "below 0.5 for no minute yet"
    );
    story.repeat(2, 30);
    assert!(!story.is_triggered("hot", "n1"));
}

#[test]
fn a_rule_that_goes_releases_what_it_holds() {
    let yaml = rule(
        &format!("{TAINT}, {LABEL}, {ALERT}, {{type: drain}}"),
        &format!("{UNTAINT}, {ALERT}"),
        "",
    );
    for deleted in [true, false] {
        let mut story = triggered(&yaml);
        story.node("n2").label("state", "hot");
        if deleted {
            story.rules.clear();
        } else {
            story.edit("hot", &(yaml.clone() + "metadata: {enabled: false}"));
        }
        story.safety.paused = true;
        assert!(
            story.repeat(3, 30).changes.is_empty(),
            "recovery waits while paused"
        );
        story.safety.paused = false;
        let plan = story.after(30);
        assert_eq!(events(&plan), ["hot/n1: Released"]);
        assert_eq!(alerts(&plan), ["hot/n1: recovery"]);
        assert_eq!(story.marks(), ["n2 state=hot"], "deleted: {deleted}");
        // Deleted, it is remembered until its marks are seen gone.
        assert!(story.history.rules.contains_key("hot"));
        for _ in 0..2 {
            let plan = story.after(30);
            assert!(plan.changes.is_empty() && plan.alerts.is_empty());
        }
        assert_eq!(story.history.rules.contains_key("hot"), !deleted);
        assert_eq!(story.jobs("hot", "n1"), 0);
    }
}

#[test]
fn a_rule_whose_text_is_lost_still_lets_go() {
    let mut story = triggered(&rule(TAINT, UNTAINT, ""));
    story
        .history
        .rules
        .get_mut("hot")
        .unwrap()
        .summary
        .spec
        .clear();
    story.rules.clear();
    story.after(30);
    assert!(story.marks().is_empty());
}

#[test]
fn a_released_mark_stays_where_another_rule_wants_it() {
    let yaml = rule(TAINT, UNTAINT, "");
    let mut story = triggered(&yaml);
    story.edit("other", &yaml);
    story.repeat(3, 30);
    story.rules.remove("hot");
    assert!(story.after(30).changes.is_empty());
    assert_eq!(story.marks(), ["n1 hot=yes:NoSchedule"]);
    story.rules.clear();
    story.after(30);
    assert!(story.marks().is_empty());
}

#[test]
fn a_rule_made_again_at_once_takes_over() {
    let yaml = rule(&format!("{TAINT}, {ALERT}"), UNTAINT, "");
    let mut story = triggered(&yaml);
    let written = story.rules.get_mut("hot").unwrap();
    written.rule.uid = "another".to_owned();
    let plan = story.after(30);
    assert!(plan.changes.is_empty() && plan.alerts.is_empty());
    assert_eq!(story.history.rules["hot"].summary.uid, "another");
    // Deleted for one evaluation: released, and it starts from the beginning.
    let written = story.rules.remove("hot").unwrap();
    story.after(30);
    assert!(story.marks().is_empty());
    story.rules.insert("hot".to_owned(), written);
    story.repeat(2, 30);
    assert!(!story.is_triggered("hot", "n1"));
    story.after(30);
    assert!(story.is_triggered("hot", "n1"));
}

#[test]
fn a_node_that_is_no_longer_selected_is_released() {
    let yaml = rule(
        &format!("{TAINT}, {ALERT}"),
        &format!("{UNTAINT}, {ALERT}"),
        "nodeSelector: {matchLabels: {pool: a}}",
    );
    let mut story = Story::new(["n1"]).rule("hot", &yaml);
    story.node("n1").label("pool", "a");
    story.load("n1", 2.0);
    story.repeat(3, 30);
    assert!(story.is_triggered("hot", "n1"));
    story.node("n1").label("pool", "b");
    let plan = story.after(30);
    assert_eq!(events(&plan), ["hot/n1: Released"]);
    assert_eq!(alerts(&plan), ["hot/n1: recovery"]);
    assert_eq!(story.marks(), ["n1 pool=b"]);
}

#[test]
fn enabling_a_rule_again_respects_the_cooldown() {
    let yaml = rule(ALERT, "", "");
    let mut story = triggered(&yaml);
    story.edit("hot", &(yaml.clone() + "metadata: {enabled: false}"));
    story.after(30);
    story.edit("hot", &yaml);
    story.repeat(18, 30);
    assert!(!story.is_triggered("hot", "n1"));
    story.after(30);
    assert!(
        story.is_triggered("hot", "n1"),
        "ten minutes after its last trigger"
    );
}

/// What a rule that is invalid, or missing from the snapshot, holds while every rule is a dry run.
#[test]
fn where_all_rules_are_dry_one_that_is_not_evaluated_lets_go() {
    let actions = format!("{{type: cordon}}, {{type: drain}}, {TAINT}, {LABEL}, {ALERT}");
    let all = ["n1 hot=yes:NoSchedule state=hot cordoned"];
    for (paused, missing) in [(false, false), (false, true), (true, false)] {
        let mut story = triggered(&rule(&actions, "{type: uncordon}", ""));
        assert_eq!(story.marks(), all);
        let present = story.jobs("hot", "n1");
        assert_eq!(present, 1);
        story.resting = Some("hot");
        assert!(story.after(30).changes.is_empty() && story.marks() == all);

        (story.safety.dry_run, story.safety.paused) = (true, paused);
        let away = missing.then(|| story.cluster.nodes.remove("n1")).flatten();
        if let Some(node) = away {
            assert!(story.after(30).changes.is_empty());
            story.cluster.nodes.insert("n1".to_owned(), node);
        }
        let plan = story.after(30);
        assert_eq!(story.guard("hot", "n1"), "dryRun");
        assert_eq!(story.jobs("hot", "n1"), 0, "a drain under way stops");
        assert!(story.is_triggered("hot", "n1") && plan.alerts.is_empty());
        if paused {
            assert_eq!(story.marks(), all, "the emergency stop comes first");
            story.safety.paused = false;
            story.after(30);
        }
        assert!(story.marks().is_empty(), "{:?}", story.marks());
        assert!(story.repeat(5, 30).changes.is_empty());

        // Nobody but the rule itself can say what it wants again.
        story.safety.dry_run = false;
        assert!(story.repeat(3, 30).changes.is_empty());
        story.resting = None;
        let plan = story.after(30);
        assert_eq!(story.marks(), all);
        assert_eq!(story.jobs("hot", "n1"), 1);
        assert!(plan.alerts.is_empty(), "its alert was told");
    }
}
