//! When actions run again, and how close recoveries may follow each other.

use crate::decide_support::{Story, alerts, events};

const RULE: &str = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
actions:
  - {type: taint, taint: {key: hot, value: '{{now}}', effect: PreferNoSchedule}}
  - {type: evict, evict: {maxPods: 2}}
  - {type: alert, alert: {channels: [log]}}
recoveryConditions: [{metric: cpuLoadRatio, operator: '<', value: 1, duration: 0s}]
recoveryActions:
  - {type: removeTaint, taint: {key: hot}}
  - {type: alert, alert: {channels: [log]}}
monitoring: {checkInterval: 60s, cooldownPeriod: 5m, recoveryCooldownPeriod: 3m}";

/// Plays one reading a minute; gives the alerts: `t`rigger, `r`epeat, `c` for recovery, `.` for none.
fn play(rule: &str, readings: &str) -> String {
    let mut story = Story::new(["n1"]).rule("hot", rule);
    let mut told = String::new();
    for reading in readings.chars() {
        story.load("n1", if reading == '^' { 2.0 } else { 0.5 });
        let plan = story.after(60);
        told.push(match alerts(&plan).as_slice() {
            [] => '.',
            [one] if one.ends_with("trigger") => 't',
            [one] if one.ends_with("repeat") => 'r',
            [one] if one.ends_with("recovery") => 'c',
            more => panic!("{more:?}"),
        });
    }
    told
}

#[test]
fn actions_run_again_after_each_cooldown_and_not_earlier() {
    for (readings, told) in [
        ("^^^^^^^^^^^^", "t....r....r."),
        // No second trigger within the cooldown of the first; the conditions still hold when it is over.
        ("^_^^^^^", "tc...t."),
        ("^____^", "tc...t"),
        ("^_______^", "tc......t"),
        // The repeat counts as well.
        ("^^^^^^_^^^^^", "t....rc...t."),
        // Two recoveries are three minutes apart at least.
        ("^____^_", "tc...tc"),
    ] {
        assert_eq!(play(RULE, readings), told, "{readings}");
    }
}

#[test]
fn two_recoveries_keep_their_distance() {
    let rule = RULE.replace("cooldownPeriod: 5m", "cooldownPeriod: 1m");
    for (readings, told) in [
        ("^_^____", "tct.c.."),
        ("^_^^_", "tctrc"),
        ("^___^_", "tc..tc"),
        ("^_^_^__", "tct.rc."),
    ] {
        assert_eq!(play(&rule, readings), told, "{readings}");
    }
}

#[test]
fn recovery_actions_run_once() {
    let mut story = Story::new(["n1"]).rule("hot", RULE);
    story.load("n1", 2.0);
    story.after(60);
    story.load("n1", 0.5);
    let plan = story.after(60);
    assert_eq!(events(&plan), ["hot/n1: Recovered"]);
    assert_eq!(plan.changes.len(), 1);
    for _ in 0..30 {
        let plan = story.after(60);
        assert!(
            plan.changes.is_empty() && plan.alerts.is_empty() && plan.decisions.is_empty(),
            "{plan:?}"
        );
    }
    assert!(
        story.record("hot", "n1").is_none(),
        "nothing is remembered for ever"
    );
}

#[test]
fn each_run_of_the_actions_starts_one_eviction() {
    let mut story = Story::new(["n1"]).rule("hot", RULE);
    story.load("n1", 2.0);
    story.after(60);
    assert_eq!(story.jobs("hot", "n1"), 1);
    let started = |story: &Story| story.record("hot", "n1").unwrap().jobs[0].started;
    let first = started(&story);
    end_jobs(&mut story);
    for _ in 0..4 {
        story.after(60);
        assert_eq!(
            story.jobs("hot", "n1"),
            0,
            "not before the cooldown is over"
        );
    }
    story.after(60);
    assert_eq!(story.jobs("hot", "n1"), 1);
    assert!(started(&story) > first);
    // One that is still under way goes on and is not doubled.
    let second = started(&story);
    story.repeat(5, 60);
    assert_eq!(story.jobs("hot", "n1"), 1);
    assert_eq!(started(&story), second);
    story.load("n1", 0.5);
    story.after(60);
    assert_eq!(
        story.jobs("hot", "n1"),
        0,
        "a recovered node keeps its pods"
    );
    assert_eq!(story.history.rules["hot"].summary.jobs, 0);
}

fn end_jobs(story: &mut Story) {
    let rule = story.history.rules.get_mut("hot").unwrap();
    for job in &mut rule.records.get_mut("n1").unwrap().jobs {
        job.end = Some(ng_engine::history::JobEnd::Done);
    }
}

#[test]
fn a_rebuild_from_the_status_starts_no_eviction() {
    let mut story = Story::new(["n1"]).rule("hot", RULE);
    story.load("n1", 2.0);
    story.after(60);
    story.rebuild();
    let plan = story.after(60);
    assert_eq!(story.jobs("hot", "n1"), 0);
    assert!(
        plan.alerts.is_empty() && plan.changes.is_empty(),
        "{plan:?}"
    );
    story.repeat(3, 60);
    assert_eq!(story.jobs("hot", "n1"), 0);
    story.after(60);
    assert_eq!(story.jobs("hot", "n1"), 1, "the next run of the actions");
}

#[test]
fn values_are_rendered_again_with_each_run_of_the_actions() {
    let mut story = Story::new(["n1"]).rule("hot", RULE);
    story.load("n1", 2.0);
    story.after(60);
    let first = story.marks();
    story.repeat(4, 60);
    assert_eq!(story.marks(), first);
    story.after(60);
    assert_ne!(story.marks(), first);
    story.load("n1", 0.5);
    story.after(60);
    assert!(story.marks().is_empty(), "{:?}", story.marks());
}
