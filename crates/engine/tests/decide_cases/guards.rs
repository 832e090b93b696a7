//! What holds disruptive actions back, and what it lets through.

use ng_engine::history::Guard;
use ng_engine::plan::{AlertKind, Happening};
use ng_engine::rule::MaxNodes;

use crate::decide_support::{Story, alerts, happened};

const CORDON: &str = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions:
  - {type: cordon}
  - {type: label, label: {labels: {state: hot}}}
  - {type: drain}
  - {type: alert, alert: {channels: [log]}}
recoveryActions:
  - {type: uncordon}
  - {type: removeLabel, label: {keys: [state]}}
  - {type: alert, alert: {channels: [log]}}
monitoring: {recoveryCooldownPeriod: 0s}";

const NODES: [&str; 10] = ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"];

fn cordon(rest: &str) -> String {
    format!("{CORDON}\n{rest}")
}

fn heat(story: &mut Story, nodes: &[&str], value: f64) {
    for node in nodes {
        story.load(node, value);
    }
}

fn cordoned(story: &Story) -> Vec<&str> {
    let nodes = story.cluster.nodes.iter();
    nodes
        .filter(|(_, node)| node.cordoned)
        .map(|(name, _)| name.as_str())
        .collect()
}

#[test]
fn the_smaller_limit_counts_and_it_is_never_less_than_one() {
    use MaxNodes::{Count, Percent};
    for (configured, own, total, allowed) in [
        (Percent(30), "", 10, 3),
        (Percent(30), "", 9, 2),
        (Percent(30), "", 3, 1),
        (Percent(30), "", 1, 1),
        (Percent(1), "", 10, 1),
        (Count(4), "", 10, 4),
        (Percent(50), "safety: {maxNodes: 2}", 10, 2),
        (Percent(20), "safety: {maxNodes: 5}", 10, 2),
        (Percent(50), "safety: {maxNodes: '40%'}", 10, 4),
        (Percent(20), "safety: {maxNodes: '90%'}", 10, 2),
        (Percent(100), "safety: {maxNodes: '1%'}", 10, 1),
    ] {
        let mut story = Story::new(NODES).rule("hot", &cordon(own));
        story
            .cluster
            .nodes
            .retain(|name, _| NODES[..total].contains(&name.as_str()));
        story.safety.max_nodes = configured;
        heat(&mut story, &NODES, 2.0);
        let plan = story.after(30);
        let what = format!("{configured:?} {own} of {total}");
        assert_eq!(cordoned(&story), &NODES[..allowed], "{what}");
        assert_eq!(plan.alerts.len(), total, "alerts still flow: {what}");
        assert_eq!(story.marks().len(), total, "labels still flow: {what}");
        assert_eq!(story.repeat(3, 30).changes.len(), 0);
        assert_eq!(cordoned(&story), &NODES[..allowed], "{what}");
        for (position, node) in NODES[..total].iter().enumerate() {
            let (guard, jobs) = if position < allowed {
                ("", 1)
            } else {
                ("maxNodes", 0)
            };
            assert_eq!(story.guard("hot", node), guard, "{what} {node}");
            assert_eq!(story.jobs("hot", node), jobs, "{what} {node}");
        }
    }
}

#[test]
fn nodes_that_are_cordoned_or_not_ready_count() {
    let mut story = Story::new(NODES).rule("hot", CORDON);
    story.safety.max_nodes = MaxNodes::Count(3);
    story.node("n8").cordoned = true;
    story.node("n9").condition("Ready", "Unknown");
    heat(&mut story, &NODES[..4], 2.0);
    let plan = story.after(30);
    assert_eq!(cordoned(&story), ["n0", "n8"]);
    let counted = plan.out_of_service.unwrap();
    assert_eq!((counted.counted, counted.limit), (3, 3));
    // The one that becomes ready leaves its place to the next.
    story.node("n9").condition("Ready", "True");
    let plan = story.after(30);
    assert_eq!(cordoned(&story), ["n0", "n1", "n8"]);
    assert!(happened(&plan, "n1", Happening::Admitted));
    assert_eq!(story.jobs("hot", "n1"), 1, "held-back evictions start, too");
    story.node("n7").condition("Ready", "False");
    story.repeat(2, 30);
    assert_eq!(
        cordoned(&story),
        ["n0", "n1", "n8"],
        "nothing is taken back"
    );
}

/// A node that does not say how it is counts as soon as it is acted on, and not before: otherwise nodes without
/// conditions would all be in the count already, and acting on them would be free.
#[test]
fn a_node_that_does_not_say_how_it_is_takes_a_place_like_any_other() {
    let mut story = Story::new(NODES).rule("hot", CORDON);
    story.safety.max_nodes = MaxNodes::Count(2);
    for node in NODES {
        story.node(node).conditions.clear();
    }
    heat(&mut story, &NODES, 2.0);
    let plan = story.after(30);
    assert_eq!(cordoned(&story), ["n0", "n1"]);
    assert_eq!(plan.out_of_service.unwrap().counted, 2);
}

#[test]
fn a_node_that_counts_already_takes_no_further_place() {
    let mut story = Story::new(NODES).rule("hot", CORDON);
    story.safety.max_nodes = MaxNodes::Count(2);
    for node in ["n1", "n2", "n3"] {
        story.node(node).condition("Ready", "False");
    }
    heat(&mut story, &NODES[..5], 2.0);
    story.after(30);
    assert_eq!(cordoned(&story), ["n1", "n2", "n3"]);
    // Two rules on one node take one place.
    let mut story = Story::new(NODES).rule("a", CORDON).rule("b", CORDON);
    story.safety.max_nodes = MaxNodes::Count(1);
    heat(&mut story, &NODES, 2.0);
    story.after(30);
    assert_eq!(cordoned(&story), ["n0"]);
    assert_eq!((story.guard("a", "n0"), story.guard("b", "n0")), ("", ""));
}

#[test]
fn the_limit_holds_for_all_rules_together_and_in_their_order() {
    let first = cordon("metadata: {priority: 1}").replace("cpuLoadRatio", "diskUtilizationPercent");
    let mut story = Story::new(NODES).rule("z", &first).rule("a", CORDON);
    story.safety.max_nodes = MaxNodes::Count(2);
    heat(&mut story, &NODES[..5], 2.0);
    story.metric("diskUtilizationPercent", "n9", 2.0);
    story.after(30);
    assert_eq!(cordoned(&story), ["n0", "n9"]);
    // Held-back nodes get their turn in the order in which they triggered.
    story.load("n0", 0.0);
    story.after(30);
    story.repeat(2, 30);
    assert_eq!(cordoned(&story), ["n1", "n9"]);
}

#[test]
fn a_place_is_free_only_when_the_node_is_seen_to_be_back() {
    let mut story = Story::new(NODES).rule("hot", CORDON);
    story.safety.max_nodes = MaxNodes::Count(1);
    heat(&mut story, &NODES[..2], 2.0);
    story.after(30);
    story.load("n0", 0.0);
    story.lose = true;
    story.repeat(5, 30);
    story.lose = false;
    story.after(30);
    assert_eq!(
        story.marks(),
        ["n1 state=hot"],
        "n0 is only now on its way back"
    );
    story.after(30);
    assert_eq!(cordoned(&story), ["n1"]);
}

#[test]
fn a_write_that_was_lost_or_is_not_seen_yet_keeps_its_place() {
    let mut story = Story::new(NODES).rule("hot", CORDON);
    story.safety.max_nodes = MaxNodes::Count(2);
    heat(&mut story, &NODES, 2.0);
    story.lose = true;
    for _ in 0..5 {
        assert_eq!(
            story
                .after(30)
                .changes
                .iter()
                .filter(|it| it.is_disruptive())
                .count(),
            2
        );
    }
    story.lose = false;
    story.lag = 3;
    story.repeat(5, 30);
    assert_eq!(cordoned(&story), ["n0", "n1"]);
}

#[test]
fn preferences_labels_and_alerts_take_no_place() {
    let rule = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions:
  - {type: taint, taint: {key: hot, value: 'yes', effect: PreferNoSchedule}}
  - {type: annotation, annotation: {annotations: {why: load}}}";
    let mut story = Story::new(NODES).rule("hot", rule);
    story.safety.max_nodes = MaxNodes::Count(1);
    story.node("n0").ignore();
    heat(&mut story, &NODES, 2.0);
    let plan = story.after(30);
    assert_eq!(story.marks().len(), 10);
    assert_eq!(plan.out_of_service.unwrap().counted, 0);
    assert_eq!(story.guard("hot", "n0"), "");
}

#[test]
fn an_ignored_node_keeps_its_pods_and_its_schedule() {
    let mut story = Story::new(["n1", "n2"]).rule("hot", CORDON);
    story.node("n1").ignore();
    heat(&mut story, &["n1"], 2.0);
    let plan = story.after(30);
    assert!(cordoned(&story).is_empty());
    assert_eq!(alerts(&plan), ["hot/n1: trigger"]);
    assert_eq!(
        plan.alerts[0].guard.as_ref().map(Guard::word),
        Some("ignored")
    );
    assert_eq!(story.guard("hot", "n1"), "ignored");
    assert_eq!(story.node("n1").labels["state"], "hot");
    assert!(story.after(30).changes.is_empty());
    // Any other value is none.
    story
        .node("n1")
        .annotation("nodeguardian.io/ignore", "false");
    story.after(30);
    assert_eq!(cordoned(&story), ["n1"]);
}

#[test]
fn a_node_that_is_ignored_later_is_left_as_it_is() {
    let rule = cordon("").replace(
        "recoveryCooldownPeriod",
        "cooldownPeriod: 2m, recoveryCooldownPeriod",
    );
    let mut story = Story::new(["n1", "n2"]).rule("hot", &rule);
    heat(&mut story, &["n1"], 2.0);
    story.after(30);
    assert_eq!(cordoned(&story), ["n1"]);
    story.node("n1").ignore();
    assert!(
        story.after(30).changes.is_empty(),
        "what stands is not taken back"
    );
    assert_eq!(story.guard("hot", "n1"), "ignored");
    // Someone takes the cordon away: it is not set again, and no pass of the actions evicts.
    story.node("n1").cordoned = false;
    let rule = story.history.rules.get_mut("hot").unwrap();
    rule.records.get_mut("n1").unwrap().jobs.clear();
    for _ in 0..10 {
        let plan = story.after(30);
        assert!(plan.changes.is_empty(), "{plan:?}");
        assert_eq!(story.jobs("hot", "n1"), 0);
    }
    // And a cordon of theirs is not lifted with our recovery.
    story.node("n1").cordoned = true;
    story.after(30);
    story.load("n1", 0.0);
    story.repeat(3, 30);
    assert_eq!(cordoned(&story), ["n1"]);
}

#[test]
fn recovery_is_never_held_back() {
    let mut story = Story::new(NODES).rule("hot", CORDON);
    heat(&mut story, &NODES[..3], 2.0);
    story.after(30);
    story.safety.max_nodes = MaxNodes::Count(1);
    story.node("n0").ignore();
    story
        .node("n1")
        .label("node-role.kubernetes.io/control-plane", "");
    story.node("n9").condition("Ready", "False");
    heat(&mut story, &NODES[..3], 0.0);
    story.after(30);
    assert!(cordoned(&story).is_empty());
}

#[test]
fn the_control_plane_has_to_be_asked_for() {
    const ROLE: &str = "node-role.kubernetes.io/control-plane";
    for (selector, allowed) in [
        ("{}", false),
        ("{matchLabels: {pool: a}}", false),
        ("{nodeNames: [n1]}", true),
        (
            "{matchExpressions: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]}",
            true,
        ),
        (
            "{matchLabels: {node-role.kubernetes.io/control-plane: ''}}",
            true,
        ),
        (
            "{matchExpressions: [{key: node-role.kubernetes.io/control-plane, operator: In, values: ['', x]}]}",
            true,
        ),
        (
            "{matchExpressions: [{key: node-role.kubernetes.io/worker, operator: DoesNotExist}]}",
            false,
        ),
        (
            "{matchExpressions: [{key: node-role.kubernetes.io/master, operator: DoesNotExist}]}",
            false,
        ),
        (
            "{matchExpressions: [{key: node-role.kubernetes.io/control-plane, operator: NotIn, values: [x]}]}",
            false,
        ),
    ] {
        let mut story =
            Story::new(["n1", "n2"]).rule("hot", &cordon(&format!("nodeSelector: {selector}")));
        story.node("n1").label(ROLE, "").label("pool", "a");
        story.load("n1", 2.0);
        let plan = story.after(30);
        assert_eq!(cordoned(&story).len(), usize::from(allowed), "{selector}");
        assert_eq!(
            story.guard("hot", "n1"),
            if allowed { "" } else { "controlPlane" }
        );
        assert_eq!(plan.alerts.len(), 1, "{selector}");
        assert_eq!(story.jobs("hot", "n1"), usize::from(allowed));
    }
    let mut story = Story::new(["n1"]).rule("hot", CORDON);
    story
        .node("n1")
        .label("node-role.kubernetes.io/master", "true");
    story.load("n1", 2.0);
    story.after(30);
    assert_eq!(story.guard("hot", "n1"), "controlPlane", "the older label");
}

#[test]
fn a_control_plane_node_that_is_no_longer_asked_for_is_left_as_it_is() {
    let rule = cordon("nodeSelector: {nodeNames: [n1]}").replace(
        "recoveryCooldownPeriod",
        "cooldownPeriod: 2m, recoveryCooldownPeriod",
    );
    let mut story = Story::new(["n1", "n2"]).rule("hot", &rule);
    story
        .node("n1")
        .label("node-role.kubernetes.io/control-plane", "");
    story.load("n1", 2.0);
    story.after(30);
    assert_eq!(cordoned(&story), ["n1"]);
    story.edit("hot", &rule.replace("{nodeNames: [n1]}", "{}"));
    story.after(30);
    assert_eq!(
        (cordoned(&story), story.guard("hot", "n1")),
        (vec!["n1"], "controlPlane")
    );
    story.node("n1").cordoned = false;
    let remembered = story.history.rules.get_mut("hot").unwrap();
    remembered.records.get_mut("n1").unwrap().jobs.clear();
    for _ in 0..8 {
        story.after(30);
        assert!(cordoned(&story).is_empty());
        assert_eq!(story.jobs("hot", "n1"), 0);
    }
}

#[test]
fn a_dry_run_changes_nothing_and_tells_everything() {
    let mut story = Story::new(["n1"]).rule("hot", &cordon("metadata: {dryRun: true}"));
    story.load("n1", 2.0);
    let plan = story.after(30);
    assert!(story.marks().is_empty() && plan.changes.is_empty());
    assert_eq!(alerts(&plan), ["hot/n1: trigger"]);
    assert!(plan.alerts[0].dry_run);
    assert_eq!(
        (story.guard("hot", "n1"), story.jobs("hot", "n1")),
        ("dryRun", 0)
    );
    assert_eq!(plan.out_of_service.unwrap().counted, 0, "it takes no place");
    story.repeat(30, 30);
    story.load("n1", 0.0);
    let plan = story.after(30);
    assert_eq!(plan.alerts[0].kind, AlertKind::Recovery);
    assert!(plan.alerts[0].dry_run);
    assert!(story.plans.iter().all(|plan| plan.changes.is_empty()));
}

#[test]
fn a_dry_run_does_not_remove_what_others_set() {
    let real = CORDON
        .replace("cpuLoadRatio", "diskUtilizationPercent")
        .replace("uncordon", "alert");
    let mut story = Story::new(["n1"])
        .rule("hot", &cordon("metadata: {dryRun: true}"))
        .rule("real", &real);
    story.load("n1", 2.0);
    story.metric("diskUtilizationPercent", "n1", 2.0);
    story.after(30);
    story.metric("diskUtilizationPercent", "n1", 0.0);
    story.after(30);
    assert_eq!(
        cordoned(&story),
        ["n1"],
        "left by a rule that does not remove it"
    );
    story.load("n1", 0.0);
    story.repeat(3, 30);
    assert_eq!(cordoned(&story), ["n1"]);
}

#[test]
fn a_dry_run_that_ends_acts_and_one_that_begins_lets_go() {
    let mut story = Story::new(["n1"]).rule("hot", &cordon("metadata: {dryRun: true}"));
    story.load("n1", 2.0);
    story.after(30);
    story.edit("hot", CORDON);
    let plan = story.after(30);
    assert_eq!(story.marks(), ["n1 state=hot cordoned"]);
    assert_eq!(story.jobs("hot", "n1"), 1);
    assert!(plan.alerts.is_empty());
    story.edit("hot", &cordon("metadata: {dryRun: true}"));
    story.after(30);
    assert!(story.marks().is_empty());
    assert_eq!(story.jobs("hot", "n1"), 0, "a drain under way stops");
    assert!(story.is_triggered("hot", "n1"));
    assert!(story.repeat(5, 30).changes.is_empty());
}

#[test]
fn the_emergency_stop_changes_nothing_and_its_end_completes_everything() {
    let mut story = Story::new(NODES).rule("hot", CORDON);
    heat(&mut story, &["n0", "n1"], 2.0);
    story.after(30);
    story.safety.paused = true;
    let before = story.marks();
    story.load("n1", 0.0);
    story.load("n2", 2.0);
    story.node("n0").cordoned = false;
    let before: Vec<String> = before
        .iter()
        .map(|line| line.replace("n0 state=hot cordoned", "n0 state=hot"))
        .collect();
    let plan = story.after(30);
    assert_eq!(alerts(&plan), ["hot/n2: trigger"]);
    assert_eq!(story.guard("hot", "n2"), "paused");
    assert_eq!(story.phase("hot", "n1"), 'R', "recovery waits");
    story.repeat(25, 30);
    assert!(story.plans[1..].iter().all(|plan| plan.changes.is_empty()));
    assert_eq!(story.marks(), before);
    story.safety.paused = false;
    let plan = story.after(30);
    assert_eq!(cordoned(&story), ["n0", "n2"]);
    assert_eq!(alerts(&plan), ["hot/n1: recovery"]);
    assert!(story.jobs("hot", "n2") == 1 && story.jobs("hot", "n1") == 0);
    assert!(story.after(30).changes.is_empty());
}

#[test]
fn a_place_is_kept_while_a_write_may_still_be_on_its_way() {
    let rule = cordon("").replace(
        "recoveryCooldownPeriod",
        "checkInterval: 5s, recoveryCooldownPeriod",
    );
    let mut story = Story::new(NODES).rule("hot", &rule);
    story.safety.max_nodes = MaxNodes::Count(1);
    story.lag = 2;
    story.repeat(3, 5);
    story.load("n0", 2.0);
    story.after(5);
    assert_eq!(cordoned(&story), ["n0"]);
    // Recovered before any snapshot shows the cordon, and the removal gets lost.
    story.load("n0", 0.0);
    story.lose = true;
    story.after(5);
    story.lose = false;
    story.load("n1", 2.0);
    for _ in 0..20 {
        story.after(5);
        assert!(cordoned(&story).len() <= 1, "{:?}", cordoned(&story));
    }
    assert_eq!(cordoned(&story), ["n1"]);
}

/// A rule on its own metric that cordons.
fn cordoning(metric: &str, priority: i64) -> String {
    format!(
        "conditions: [{{metric: {metric}, operator: '>', value: 1, duration: 0s}}]
actions: [{{type: cordon}}]
recoveryActions: [{{type: uncordon}}]
monitoring: {{checkInterval: 1m, cooldownPeriod: 0s, recoveryCooldownPeriod: 0s}}
metadata: {{priority: {priority}}}"
    )
}

#[test]
fn a_rule_that_rests_keeps_its_turn() {
    // n1 holds the only place, n2 waits under `first`, and n3 comes under `second` when n1 is free again.
    for (priority, rests, edited, winner) in [
        (5, 1, false, "n2"),
        (50, 1, false, "n3"),
        (5, 5, false, "n3"),
        (5, 1, true, "n3"),
    ] {
        let mut story = Story::new(["n1", "n2", "n3", "n4"])
            .rule("first", &cordoning("cpuLoadRatio", priority))
            .rule("second", &cordoning("diskUtilizationPercent", 10));
        story.safety.max_nodes = MaxNodes::Count(1);
        story.metric("diskUtilizationPercent", "n1", 2.0);
        story.evaluate();
        story.load("n2", 2.0);
        story.evaluate();
        assert_eq!(story.marks(), ["n1 cordoned"]);
        assert_eq!(story.guard("first", "n2"), "maxNodes");
        if edited {
            // Someone made it invalid: it cannot take its turn.
            story
                .history
                .rules
                .get_mut("first")
                .unwrap()
                .summary
                .spec_hash = 1;
        }
        story.resting = Some("first");
        story.repeat(rests, 60);
        story.metric("diskUtilizationPercent", "n1", 0.0);
        story.after(1);
        story.metric("diskUtilizationPercent", "n3", 2.0);
        story.repeat(3, 1);
        story.resting = None;
        story.after(1);
        assert_eq!(
            story.marks(),
            [format!("{winner} cordoned")],
            "{priority} {rests} {edited}"
        );
    }
}

#[test]
fn a_pause_is_no_part_of_a_drains_time() {
    let rule = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions: [{type: drain, drain: {timeout: 5m}}]
monitoring: {cooldownPeriod: 1h}";
    let mut story = Story::new(["n1", "n2"]).rule("hot", rule);
    story.load("n1", 2.0);
    story.after(30);
    let worked_on = |story: &Story| {
        let record = story.record("hot", "n1").unwrap();
        record.worked_on(&record.jobs[0], story.now).as_secs()
    };
    for (paused, seconds, expected) in [
        (false, 60, 60),
        (true, 30, 90),
        (true, 600, 90),
        (false, 30, 90),
        (false, 30, 120),
        (true, 10, 130),
        (false, 100, 130),
    ] {
        story.safety.paused = paused;
        story.after(seconds);
        assert_eq!(worked_on(&story), expected);
    }
}
