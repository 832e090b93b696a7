//! Alerts that are counted and not sent.

use std::time::Duration;

use ng_engine::node::MUTE_UNTIL_ANNOTATION;
use ng_engine::plan::{AlertKind, Mute, Plan};
use ng_engine::time::Time;

use crate::decide_support::cluster::Node;
use crate::decide_support::{START, Story};

const METRIC: &str = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions: [{type: label, label: {labels: {hot: r1}}}, {type: alert, alert: {channels: [log]}}]
recoveryActions: [{type: removeLabel, label: {keys: [hot]}}, {type: alert, alert: {channels: [log]}}]
monitoring: {cooldownPeriod: 1m, recoveryCooldownPeriod: 0s}";

const MIXED: &str = "conditions:
  - {metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}
  - {nodeCondition: Ready, status: ['False', Unknown], duration: 0s}
conditionLogic: OR
actions: [{type: alert, alert: {channels: [log]}}]
monitoring: {cooldownPeriod: 1m}";

const CORDON: &str = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions: [{type: cordon}, {type: alert, alert: {channels: [log]}}]
recoveryActions: [{type: uncordon}, {type: alert, alert: {channels: [log]}}]
monitoring: {cooldownPeriod: 1m, recoveryCooldownPeriod: 0s}";

fn until(seconds: u64) -> Time {
    START.plus(Duration::from_secs(seconds))
}

/// Each alert of a plan with why it is muted.
fn mutes(plan: &Plan) -> Vec<(AlertKind, Option<Mute>)> {
    let alerts = plan.alerts.iter();
    alerts.map(|alert| (alert.kind, alert.muted)).collect()
}

/// What there is, the rule, what was done to the node, and why the alert is muted.
type Case = (&'static str, &'static str, fn(&mut Node), Option<Mute>);

fn cases() -> [Case; 10] {
    let not_ready: fn(&mut Node) = |node| {
        node.condition("Ready", "Unknown");
    };
    let muted: fn(&mut Node) = |node| {
        node.annotation(MUTE_UNTIL_ANNOTATION, "2026-01-01T01:00:00+01:00");
    };
    [
        ("a healthy node", METRIC, |_| (), None),
        (
            "a node that is not ready hides its metrics",
            METRIC,
            not_ready,
            Some(Mute::NotReady),
        ),
        (
            "a rule that looks at node conditions is never hidden",
            MIXED,
            not_ready,
            None,
        ),
        (
            "someone else's cordon",
            METRIC,
            |node| node.cordoned = true,
            Some(Mute::ForeignCordon),
        ),
        ("our own cordon", CORDON, |_| (), None),
        (
            "someone's cordon under a rule that cordons",
            CORDON,
            |node| node.cordoned = true,
            Some(Mute::ForeignCordon),
        ),
        (
            "a time to come",
            METRIC,
            |node| {
                node.annotation(MUTE_UNTIL_ANNOTATION, "2026-01-01T00:10:00Z");
            },
            Some(Mute::Until(until(600))),
        ),
        ("a time that is reached", METRIC, muted, None),
        (
            "no time",
            METRIC,
            |node| {
                node.annotation(MUTE_UNTIL_ANNOTATION, "tomorrow");
            },
            None,
        ),
        (
            "no value",
            METRIC,
            |node| {
                node.annotation(MUTE_UNTIL_ANNOTATION, "");
            },
            None,
        ),
    ]
}

#[test]
fn what_mutes_an_alert() {
    for (what, rule, prepare, expected) in cases() {
        let mut story = Story::new(["n1"]).rule("hot", rule);
        prepare(story.node("n1"));
        story.load("n1", 2.0);
        let plan = story.evaluate();
        assert_eq!(mutes(&plan), [(AlertKind::Trigger, expected)], "{what}");
        assert_eq!(
            plan.decisions.len(),
            1,
            "{what}: decisions do not depend on it"
        );
        let plan = story.after(60);
        let repeats: Vec<_> = mutes(&plan)
            .into_iter()
            .map(|(kind, mute)| (kind, mute.is_some()))
            .collect();
        assert_eq!(
            repeats,
            [(AlertKind::Repeat, expected.is_some())],
            "{what}: the repeat"
        );
    }
}

#[test]
fn the_end_of_an_episode_is_told_if_anything_of_it_was() {
    let node = |story: &mut Story, ready: &str| {
        story.node("n1").condition("Ready", ready);
    };
    for (what, at_trigger, at_repeat, told) in [
        ("muted throughout", "False", "False", false),
        ("the repeat was told", "False", "True", true),
        ("the trigger was told", "True", "False", true),
        ("told throughout", "True", "True", true),
    ] {
        for (at_recovery, rebuilt) in [("True", false), ("False", false), ("True", true)] {
            let mut story = Story::new(["n1"]).rule("hot", METRIC);
            story.load("n1", 2.0);
            node(&mut story, at_trigger);
            story.evaluate();
            node(&mut story, at_repeat);
            story.after(60);
            node(&mut story, at_recovery);
            if rebuilt {
                story.rebuild();
            }
            story.load("n1", 0.0);
            let plan = story.after(60);
            let expected = (!told && !rebuilt).then_some(Mute::NotReady);
            assert_eq!(
                mutes(&plan),
                [(AlertKind::Recovery, expected)],
                "{what}, {at_recovery}, {rebuilt}"
            );
        }
    }
}

#[test]
fn a_node_that_does_not_say_how_it_is_hides_nothing() {
    let mut story = Story::new(["n1"]).rule("hot", METRIC);
    story.node("n1").conditions.clear();
    story.load("n1", 2.0);
    assert_eq!(mutes(&story.after(60)), [(AlertKind::Trigger, None)]);
}

#[test]
fn a_mute_does_not_outlive_its_episode() {
    let mut story = Story::new(["n1"]).rule("hot", METRIC);
    story.node("n1").condition("Ready", "False");
    for ready in ["False", "True"] {
        story.node("n1").condition("Ready", ready);
        story.load("n1", 2.0);
        let expected = (ready == "False").then_some(Mute::NotReady);
        assert_eq!(mutes(&story.after(60)), [(AlertKind::Trigger, expected)]);
        story.load("n1", 0.0);
        assert_eq!(mutes(&story.after(60)), [(AlertKind::Recovery, expected)]);
    }
}

#[test]
fn a_released_node_of_a_muted_episode_ends_in_silence() {
    let mut story = Story::new(["n1"]).rule("hot", METRIC);
    story.node("n1").cordoned = true;
    story.load("n1", 2.0);
    story.evaluate();
    story.rules.clear();
    let plan = story.after(30);
    assert_eq!(
        mutes(&plan),
        [(AlertKind::Recovery, Some(Mute::ForeignCordon))]
    );
}

#[test]
fn a_time_that_cannot_be_read_is_told_once_an_episode() {
    let mut story = Story::new(["n1"]).rule("a", METRIC).rule("b", METRIC);
    story
        .node("n1")
        .annotation(MUTE_UNTIL_ANNOTATION, "tomorrow");
    story.load("n1", 2.0);
    let plan = story.evaluate();
    let told: Vec<String> = plan.bad_mutes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "node n1: nodeguardian.io/mute-until: expected a time such as \"2026-03-01T12:00:00Z\", found \"tomorrow\"; \
          its alerts are not muted"
        ]
    );
    for seconds in [30, 60, 60] {
        assert_eq!(story.after(seconds).bad_mutes, []);
    }
}
