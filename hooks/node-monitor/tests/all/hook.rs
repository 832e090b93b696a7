//! The hook as shell-operator runs it: processes, contexts, a Prometheus and an API server on loopback.

use crate::support::{Desk, event, keys, node, ready, tick};
use serde_json::{Value, json};

#[test]
fn a_rising_reading_is_told_and_its_fall_resolved() {
    let desk = Desk::new();
    let cluster = [node("a", &ready()), node("b", &ready())];
    desk.put_context(&tick(&cluster));
    desk.prometheus.set("cpu", &[("a", "95.5"), ("b", "40")]);
    let first = desk.run("2026-05-01T10:00:00Z");
    assert_eq!((first.status, first.stderr.as_str()), (Some(0), ""));
    assert_eq!(first.patches, "");
    assert_eq!(keys(&desk), ["trigger node_a_cpu_high"]);
    let alert = &desk.alerts()[0];
    assert_eq!(alert["rule"], "node-monitor/cpu_high");
    assert_eq!(alert["severity"], "critical");
    assert_eq!(alert["channels"], json!(["log"]));
    assert_eq!(alert["metrics"]["cpuUtilizationPercent"], 95.5);
    // Not due yet: nothing is asked for, nothing is written.
    let asked = desk.prometheus.requests();
    let idle = desk.run("2026-05-01T10:00:15Z");
    assert_eq!((idle.status, idle.metrics.len()), (Some(0), 0));
    assert_eq!(desk.prometheus.requests(), asked);
    desk.prometheus.set("cpu", &[("a", "40"), ("b", "40")]);
    desk.run("2026-05-01T10:01:00Z");
    assert_eq!(
        keys(&desk),
        ["trigger node_a_cpu_high", "recovery node_a_cpu_high"]
    );
}

#[test]
fn the_metrics_of_a_check_are_one_whole_group() {
    let desk = Desk::new();
    desk.put_config(&json!({"nodeMonitor": {"perNodeMetrics": true}}));
    desk.put_context(&tick(&[node("a", &ready()), node("b", &ready())]));
    desk.prometheus.set("cpu", &[("a", "75"), ("b", "NaN")]);
    let run = desk.run("2026-05-01T10:00:00Z");
    let value = |name: &str, labels: Value| {
        let found = run.metrics.iter().find(|metric| {
            metric["name"] == name
                && labels
                    .as_object()
                    .unwrap()
                    .iter()
                    .all(|(key, value)| metric["labels"][key] == *value)
        });
        found.map(|metric| metric["value"].as_f64().unwrap())
    };
    assert!(
        run.metrics
            .iter()
            .all(|metric| metric["group"] == "node-monitor")
    );
    let cases = [
        (
            "nodeguardian_monitored_nodes",
            json!({"level": "warning"}),
            Some(1.0),
        ),
        (
            "nodeguardian_monitored_nodes",
            json!({"level": "ok"}),
            Some(1.0),
        ),
        (
            "nodeguardian_monitor_problems",
            json!({"kind": "cpu_high"}),
            Some(1.0),
        ),
        (
            "nodeguardian_monitor_readings",
            json!({"metric": "cpuUtilizationPercent", "state": "unknown"}),
            Some(1.0),
        ),
        (
            "nodeguardian_node_reading",
            json!({"metric": "cpuUtilizationPercent", "node": "a"}),
            Some(75.0),
        ),
        // Unknown is no number.
        (
            "nodeguardian_node_reading",
            json!({"metric": "cpuUtilizationPercent", "node": "b"}),
            None,
        ),
        ("nodeguardian_node_level", json!({"node": "a"}), Some(1.0)),
        ("nodeguardian_node_level", json!({"node": "b"}), Some(0.0)),
    ];
    for (name, labels, expected) in cases {
        assert_eq!(value(name, labels.clone()), expected, "{name} {labels}");
    }
}

#[test]
fn events_are_told_at_once_and_need_no_source() {
    let desk = Desk::new();
    desk.put_context(&tick(&[node("a", &ready()), node("b", &ready())]));
    desk.run("2026-05-01T10:00:00Z");
    let silent = json!({"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"});
    desk.put_context(&json!([
        event("Modified", &node("a", &silent)),
        {"binding": "other", "type": "Event", "watchEvent": "Deleted", "filterResult": node("b", &ready())},
        event("Deleted", &node("b", &ready())),
    ]));
    let run = desk.run("2026-05-01T10:00:05Z");
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        keys(&desk),
        ["trigger node_a_not_ready", "trigger node_b_deleted"]
    );
    let title = &desk.alerts()[0]["notice"]["title"];
    assert_eq!(
        title,
        "[CRITICAL] node a: node not ready: NodeStatusUnknown"
    );
    // A whole object in the place of the filtered one.
    let object = json!({"metadata": {"name": "a", "uid": "uid-a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    desk.put_context(&json!([
        {"binding": "node-events", "type": "Event", "watchEvent": "Modified", "object": object},
    ]));
    desk.run("2026-05-01T10:00:10Z");
    assert_eq!(keys(&desk)[2..], ["recovery node_a_not_ready"]);
}

#[test]
fn a_node_that_is_not_ready_again_within_the_cooldown_is_told_when_that_is_over() {
    let desk = Desk::new();
    desk.put_context(&tick(&[node("a", &ready())]));
    desk.run("2026-05-01T10:00:00Z");
    let silent = json!({"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"});
    for (time, condition) in [
        ("2026-05-01T10:00:05Z", &silent),
        ("2026-05-01T10:00:20Z", &ready()),
        ("2026-05-01T10:00:30Z", &silent),
    ] {
        desk.put_context(&json!([event("Modified", &node("a", condition))]));
        desk.run(time);
    }
    let mut told = vec!["trigger node_a_not_ready", "recovery node_a_not_ready"];
    assert_eq!(keys(&desk), told);
    desk.put_context(&tick(&[node("a", &silent)]));
    desk.run("2026-05-01T10:15:00Z");
    assert_eq!(keys(&desk), told);
    desk.run("2026-05-01T10:16:00Z");
    told.push("trigger node_a_not_ready");
    assert_eq!(keys(&desk), told);
}

#[test]
fn the_file_of_the_former_monitor_brings_its_receivers_and_its_language() {
    let desk = Desk::new();
    desk.put(
        "config/node-monitor.yaml",
        "thresholds: {cpuWarning: 50}\ndingtalk: {webhookURL: 'http://127.0.0.1:1/robot', secret: SECx}\n",
    );
    desk.put_context(&tick(&[node("a", &ready())]));
    desk.prometheus.set("cpu", &[("a", "60")]);
    desk.run("2026-05-01T10:00:00Z");
    let alert = &desk.alerts()[0];
    assert_eq!(alert["channels"], json!(["dingtalk@node-monitor"]));
    assert_eq!(
        alert["notice"]["title"],
        "【警告】节点 a CPU 使用率过高：60%，超过 50%"
    );
}

#[test]
fn trouble_with_a_source_or_a_context_is_said_and_the_rest_goes_on() {
    let desk = Desk::new();
    desk.put_context(&tick(&[node(
        "a",
        &json!({"type": "Ready", "status": "False", "reason": "KubeletNotReady"}),
    )]));
    desk.prometheus.answer_html();
    let run = desk.run("2026-05-01T10:00:00Z");
    assert_eq!(run.status, Some(0));
    assert!(
        run.stdout.contains("\"msg\":\"readings\""),
        "{}",
        run.stdout
    );
    assert_eq!(keys(&desk), ["trigger node_a_not_ready"]);
    for broken in [
        "",
        "{",
        "[{\"binding\": \"node-check\"",
        "[{\"snapshots\": {\"nodes\": 7}}]",
    ] {
        desk.put("context.json", broken);
        let run = desk.run("2026-05-01T11:00:00Z");
        assert_eq!(run.status, Some(1), "{broken}");
        assert!(!run.stderr.is_empty(), "{broken}");
    }
    // Nothing we know of: nothing to do.
    desk.put_context(&json!([{"binding": "later", "type": "Later"}, {"binding": "onStartup"}]));
    assert_eq!(desk.run("2026-05-01T11:00:00Z").status, Some(0));
}

#[test]
fn a_clock_that_goes_backwards_holds_up_no_check() {
    let desk = Desk::new();
    desk.put_context(&tick(&[node("a", &ready())]));
    desk.run("2026-05-01T10:00:00Z");
    desk.prometheus.set("cpu", &[("a", "99")]);
    let run = desk.run("2026-04-01T10:00:00Z");
    assert_eq!(keys(&desk), ["trigger node_a_cpu_high"]);
    let reason = "\"reason\":\"the newest check, of 2026-05-01T10:00:00Z, lies far ahead; ";
    assert!(run.stdout.contains(reason), "{}", run.stdout);
}

#[test]
fn a_damaged_state_is_set_aside_and_that_is_said_once() {
    let desk = Desk::new();
    desk.put(
        "state/state.db",
        "this is not a database, and longer than a header of one would have to be",
    );
    desk.put_context(&tick(&[node("a", &ready())]));
    let said = "the state was damaged, and alerts that were not sent are lost";
    let run = desk.run("2026-05-01T10:00:00Z");
    assert_eq!(run.status, Some(0), "{run:?}");
    let line = run.stdout.lines().find(|line| line.contains(said)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let kept = desk.path("state/state.db.corrupt-1");
    assert_eq!(line["level"], "error");
    assert_eq!(line["set_aside"], kept.display().to_string());
    assert!(
        line["reason"].as_str().unwrap().contains("not a database"),
        "{line}"
    );
    assert!(kept.exists());
    // Nothing was saved that ends the notice, and still it is not said again.
    let run = desk.run("2026-05-01T10:01:00Z");
    assert!(!run.stdout.contains(said), "{}", run.stdout);
}

#[test]
fn disabled_it_does_nothing() {
    let desk = Desk::new();
    desk.put_config(&json!({"nodeMonitor": {"enabled": false}}));
    desk.put_context(&tick(&[node("a", &ready())]));
    desk.prometheus.set("cpu", &[("a", "99")]);
    let run = desk.run("2026-05-01T10:00:00Z");
    assert_eq!(run.status, Some(0));
    // Its metrics end.
    assert_eq!(run.metrics.len(), 1);
    assert_eq!(run.metrics[0]["action"], "expire");
    assert_eq!(desk.prometheus.requests(), 0);
}

#[test]
fn the_bindings_are_what_shell_operator_takes() {
    let output = desk_config();
    let bindings: Value = serde_json::from_str(&output).unwrap();
    let names: Vec<&str> = ["kubernetes", "schedule"]
        .iter()
        .flat_map(|kind| bindings[kind].as_array().unwrap())
        .map(|binding| binding["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["nodes", "node-events", "node-check"]);
    assert_eq!(bindings["kubernetes"][0]["executeHookOnEvent"], json!([]));
    let filter = bindings["kubernetes"][1]["jqFilter"].as_str().unwrap();
    assert!(!filter.contains("eartbeat"), "{filter}");
}

fn desk_config() -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_node-monitor"))
        .arg("--config")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
