//! The built executable beside a controller: it brings back what the controller took away, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ng_engine::plan::AlertKind;
use serde_json::{Value, json};
use support::{Bench, rule};

/// Both nodes triggered and marked, and the load gone for `seconds`.
fn cooled(seconds: u64) -> Bench {
    let mut bench = Bench::new();
    bench.controller();
    // The marks are seen on the nodes.
    bench.wait(5);
    bench.controller();
    bench.load(10).wait(10);
    bench.controller();
    bench.wait(seconds);
    bench
}

#[test]
fn config_is_golden() {
    let bench = Bench::new();
    let run = bench.run(&["--config"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let config: Value = serde_json::from_str(&run.stdout).unwrap();
    let expected: Value = serde_json::from_str(include_str!("config.json")).unwrap();
    assert_eq!(config, expected, "{config:#}");
    assert!(!bench.path("state/state.db").exists());
}

#[test]
fn wrong_usage_is_2_and_help_and_version_are_0() {
    let bench = Bench::new();
    for (arguments, status) in [
        (&["--nonsense"][..], 2),
        (&["--config", "x"][..], 2),
        (&["--help"][..], 0),
        (&["--version"][..], 0),
    ] {
        assert_eq!(bench.run(arguments).status, Some(status), "{arguments:?}");
    }
}

#[test]
fn brings_back_what_the_controller_took_away_once() {
    let bench = cooled(10);
    let run = bench.recovery();
    assert_eq!(run.status, Some(0), "{run:?}");
    for node in ["node-1", "node-2"] {
        let filter = run.node_filter(node).unwrap();
        for part in ["\"hot\"", "\"state\"", "\"why\"", "unschedulable"] {
            assert!(filter.contains(part), "{part}: {filter}");
        }
        assert!(!filter.contains("other"), "only what is ours: {filter}");
    }
    assert_eq!(
        run.events()
            .iter()
            .filter(|reason| **reason == "RuleRecovered")
            .count(),
        3,
        "{run:?}"
    );
    let alerts = bench.alerts(AlertKind::Recovery);
    let mut told: Vec<&str> = alerts.iter().map(|alert| alert.node.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["node-1", "node-2"]);
    assert!(bench.alerts(AlertKind::Trigger).len() == 2);
    // The same run again, with a snapshot that does not show it yet: nothing is done or told twice.
    let again = bench.wait(1).recovery();
    assert_eq!((again.status, again.events()), (Some(0), Vec::new()));
    assert_eq!(bench.alerts(AlertKind::Recovery).len(), 2);
}

#[test]
fn waits_for_the_conditions_and_for_their_durations() {
    let bench = cooled(0);
    assert!(
        bench.recovery().node_filter("node-1").is_none(),
        "10 s are not over"
    );
    bench.load(60).wait(10);
    assert!(
        bench.recovery().node_filter("node-1").is_none(),
        "not under 50"
    );
    bench.load(10).wait(10);
    assert!(
        bench.recovery().node_filter("node-1").is_none(),
        "counted anew"
    );
    bench.wait(10);
    assert!(bench.recovery().node_filter("node-1").is_some());
}

#[test]
fn both_spellings_of_each_action_mean_the_same() {
    let old = json!([
        {"type": "untaint", "untaint": {"key": "hot"}},
        {"type": "removeLabel", "removeLabel": {"labels": ["state"]}},
        {"type": "removeAnnotation", "removeAnnotation": {"annotations": ["why"]}},
        {"type": "uncordon"},
        {"type": "alert", "alert": {"channels": ["log"]}},
    ]);
    let play = |spelling: Option<&Value>| {
        let mut bench = Bench::new();
        if let Some(actions) = spelling {
            bench.rules[0]["spec"]["recoveryActions"] = actions.clone();
        }
        bench.controller();
        bench.wait(5);
        bench.controller();
        bench.load(10).wait(10);
        bench.controller();
        let run = bench.wait(10).recovery();
        run.node_filter("node-1").unwrap().to_owned()
    };
    assert_eq!(play(Some(&old)), play(None));
}

#[test]
fn what_another_rule_still_wants_stays() {
    let mut bench = Bench::new();
    let mut other = rule("other");
    other["spec"]["recoveryConditions"] = json!([{"metric": "memoryUtilizationPercent", "operator": "<", "value": 5, "duration": "0s"}]);
    other["spec"]["actions"] = json!([
        {"type": "cordon"},
        {"type": "label", "label": {"labels": {"state": "hot"}}},
    ]);
    bench.rules.push(other);
    bench.controller();
    bench.wait(5);
    bench.controller();
    bench.load(10).wait(10);
    bench.controller();
    let run = bench.wait(10).recovery();
    let filter = run.node_filter("node-1").unwrap();
    assert!(
        filter.contains("\"hot\"") && filter.contains("\"why\""),
        "{filter}"
    );
    assert!(
        !filter.contains("unschedulable") && !filter.contains("\"state\""),
        "{filter}"
    );
}

#[test]
fn a_pause_forbids_any_change_and_ends() {
    let bench = cooled(10);
    bench.configure(&json!({"safety": {"paused": true, "maxNodes": "100%"}}));
    let run = bench.recovery();
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(
        run.patches
            .iter()
            .all(|patch| patch["subresource"] == "status"),
        "{run:?}"
    );
    assert!(bench.alerts(AlertKind::Recovery).is_empty());
    bench.configure(&json!({"safety": {"maxNodes": "100%"}}));
    assert!(bench.wait(10).recovery().node_filter("node-1").is_some());
}

#[test]
fn a_safety_limit_never_holds_recovery() {
    let bench = cooled(10);
    bench.configure(&json!({"safety": {"maxNodes": 1}}));
    let run = bench.recovery();
    assert!(
        run.node_filter("node-1").is_some() && run.node_filter("node-2").is_some(),
        "{run:?}"
    );
    assert_eq!(bench.alerts(AlertKind::Recovery).len(), 2);
}

#[test]
fn rules_that_hold_nothing_are_left_to_the_controller() {
    let bench = Bench::new();
    let run = bench.recovery();
    assert_eq!((run.status, run.patches.len()), (Some(0), 0), "{run:?}");
    assert!(bench.history().rules.is_empty());
    assert!(bench.alerts(AlertKind::Trigger).is_empty());
}

#[test]
fn goes_on_from_the_statuses_where_the_state_is_lost() {
    // A run with nothing to rebuild leaves that to the controller, and one that finds held nodes does it.
    let mut bench = cooled(0);
    let statuses: Vec<Value> = bench
        .rules
        .iter_mut()
        .map(|rule| rule["status"].take())
        .collect();
    bench.lose_state();
    assert_eq!(bench.recovery().patches, Vec::<Value>::new());
    for (rule, status) in bench.rules.iter_mut().zip(statuses) {
        rule["status"] = status;
    }
    bench.recovery();
    let records = &bench.history().rules["hot"].records;
    assert_eq!(records.len(), 2, "rebuilt");
    let run = bench.wait(10).recovery();
    assert!(run.node_filter("node-1").is_some(), "{run:?}");
    assert_eq!(bench.alerts(AlertKind::Recovery).len(), 2);
    assert!(
        bench.alerts(AlertKind::Trigger).is_empty(),
        "nothing triggers twice"
    );
}

#[test]
fn a_damaged_state_is_set_aside_and_that_is_said_with_nothing_to_recover() {
    let bench = Bench::new();
    bench.damage_state();
    let run = bench.recovery();
    assert_eq!(run.status, Some(0), "{run:?}");
    let said = "the state was damaged, and alerts that were not sent are lost";
    let line = run.stdout.lines().find(|line| line.contains(said)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let kept = bench.path("state/state.db.corrupt-1");
    assert_eq!(line["level"], "error");
    assert_eq!(line["set_aside"], kept.display().to_string());
    assert!(
        line["reason"].as_str().unwrap().contains("not a database"),
        "{line}"
    );
    let run = bench.wait(10).recovery();
    assert!(!run.stdout.contains(said), "{}", run.stdout);
}

#[test]
fn a_broken_context_can_be_repeated_and_changes_nothing() {
    let bench = cooled(10);
    let run = bench.run(&[]);
    assert_eq!(run.status, Some(1), "no context file yet: {run:?}");
    assert!(run.stderr.contains("context.json"), "{}", run.stderr);
    assert!(bench.alerts(AlertKind::Recovery).is_empty());
}
