//! The built executable with its files and variables: bad input ends in a message that names the object, and the
//! others go on.

mod support;

use serde_json::{Value, json};
use support::{Answer, Desk, context, node, rule};

fn with(mut rule: Value, path: &str, value: Value) -> Value {
    *rule.pointer_mut(path).expect("the path is in the rule") = value;
    rule
}

#[test]
fn config_is_one_json_document_and_touches_nothing() {
    let desk = Desk::new();
    let run = desk.run_with(&["--config"], &[]);
    assert_eq!(run.status, Some(0), "{run:?}");
    let config: Value = serde_json::from_str(&run.stdout).expect("one JSON document");
    assert_eq!(config["configVersion"], "v1");
    let names: Vec<&str> = ["schedule", "kubernetes"]
        .iter()
        .flat_map(|kind| config[kind].as_array().expect("a list"))
        .filter_map(|binding| binding["name"].as_str())
        .collect();
    assert_eq!(
        names,
        ["rule-evaluation", "monitor-nodeguardian-rules", "nodes"]
    );
    assert_eq!(run.stderr, "");
    assert!(!desk.path("state/state.db").exists());
}

#[test]
fn wrong_usage_is_2_and_help_and_version_are_0() {
    let desk = Desk::new();
    for (arguments, status) in [
        (&["--nonsense"][..], 2),
        (&["--config", "x"][..], 2),
        (&["--help"][..], 0),
        (&["--version"][..], 0),
    ] {
        assert_eq!(
            desk.run_with(arguments, &[]).status,
            Some(status),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_broken_context_names_the_file_and_the_offset_and_can_be_repeated() {
    let desk = Desk::new();
    let whole = context(&[rule("hot")], &[node("node-1")]).to_string();
    let half = &whole[..whole.len() / 2];
    for text in ["", "nonsense", "{}", "[{\"binding\":", half] {
        desk.put("context.json", text);
        let run = desk.tick("2026-01-02T00:00:00Z");
        assert_eq!(run.status, Some(1), "{text:.60}: {run:?}");
        assert!(
            run.stderr.contains("context.json"),
            "{text:.60}: {}",
            run.stderr
        );
        assert_eq!(run.patches, Vec::<Value>::new());
    }
    let run = desk.run_with(&[], &[("BINDING_CONTEXT_PATH", "/nonexistent/context")]);
    assert_eq!(run.status, Some(1));
    assert!(
        run.stderr.contains("/nonexistent/context"),
        "{}",
        run.stderr
    );
}

#[test]
fn unknown_bindings_types_and_fields_are_passed_over() {
    let desk = Desk::new().answering(Answer::all(95.0));
    let mut contexts = context(&[rule("hot")], &[node("node-1")]);
    let known = contexts[0].take();
    desk.put(
        "context.json",
        &json!([
            {"binding": "onStartup"},
            {"binding": "from-the-future", "type": "Telepathy", "thought": {"nodes": [1, 2]}},
            {"binding": "nodes", "type": "Event", "watchEvent": "Vanished", "filterResult": null},
            known,
        ])
        .to_string(),
    );
    let run = desk.tick("2026-01-02T00:00:00Z");
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(run.node_patch("node-1").is_some(), "{run:?}");
}

/// Rules that cannot be evaluated, and what their status has to say.
fn bad_rules() -> Vec<(Value, &'static str)> {
    let conditions: Vec<Value> = vec![rule("x")["spec"]["conditions"][0].clone(); 10_000];
    vec![
        (
            with(rule("bad"), "/spec/conditions", json!(conditions)),
            "conditions",
        ),
        (
            with(rule("bad"), "/spec/conditions/0/duration", json!("-5m")),
            "spec.conditions[0].duration",
        ),
        (
            with(rule("bad"), "/spec/conditions/0/duration", json!("200y")),
            "spec.conditions[0].duration",
        ),
        (
            with(
                rule("bad"),
                "/spec/conditions/0/duration",
                json!("1752000h"),
            ),
            "spec.conditions[0].duration",
        ),
        (
            with(rule("bad"), "/spec/conditions/0/value", json!("NaN")),
            "spec.conditions[0].value",
        ),
        (
            with(rule("bad"), "/spec/conditions/0/operator", json!("Above")),
            "spec.conditions[0].operator",
        ),
        (
            with(
                rule("bad"),
                "/spec/conditions/0/metric",
                json!("cpuUtilisation"),
            ),
            "cpuUtilizationPercent",
        ),
        (
            with(
                rule("bad"),
                "/spec/nodeSelector",
                json!({"matchExpressions": [{"key": "a", "operator": "Near", "values": ["b"]}]}),
            ),
            "spec.nodeSelector.matchExpressions[0].operator",
        ),
        (
            with(rule("bad"), "/spec/conditions", json!("none")),
            "expected a sequence",
        ),
        (with(rule("bad"), "/spec", json!(null)), "bad"),
    ]
}

#[test]
fn one_bad_rule_says_all_that_is_wrong_and_the_others_go_on() {
    for (bad, expected) in bad_rules() {
        let desk = Desk::new().answering(Answer::all(95.0));
        desk.put(
            "context.json",
            &context(&[bad.clone(), rule("hot")], &[node("node-1")]).to_string(),
        );
        let run = desk.tick("2026-01-02T00:00:00Z");
        assert_eq!(run.status, Some(0), "{expected}: {run:?}");
        assert!(
            run.node_patch("node-1").is_some(),
            "{expected}: the good rule acts"
        );
        let status = run
            .rule_status("bad")
            .unwrap_or_else(|| panic!("{expected}: no status in {run:?}"));
        assert_eq!(status["phase"], "Error", "{expected}");
        let error = status["lastError"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "{expected} is not in {error}");
        assert!(error.len() < 6_000, "{}", error.len());
    }
}

#[test]
fn nodes_with_any_name_do_not_stop_the_others() {
    let names = [
        "node-1",
        "a",
        "UPPER.example",
        "node_2",
        "with space",
        "quote\"s",
        "back\\slash",
        "../../etc",
        "节点",
        "\u{0}nul",
        "",
    ];
    let desk = Desk::new().answering(Answer::all(95.0));
    let nodes: Vec<Value> = names.iter().map(|name| node(name)).collect();
    // A limit that lets all of them through.
    desk.put_config(&json!({"safety": {"maxNodes": "100%"}}));
    desk.put("context.json", &context(&[rule("hot")], &nodes).to_string());
    let run = desk.tick("2026-01-02T00:00:00Z");
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(run.node_patch("node-1").is_some(), "{run:?}");
    assert!(run.node_patch("a").is_some(), "{run:?}");
    for patch in &run.patches {
        assert!(
            patch["name"]
                .as_str()
                .is_none_or(|name| !name.contains('/')),
            "{patch}"
        );
    }
}

#[test]
fn a_prometheus_that_misbehaves_is_unknown_with_a_reason() {
    let cases = [
        (Answer::Html, "BadAnswer"),
        (Answer::Hang, "Unreachable"),
        (Answer::Huge, "BadAnswer"),
        (Answer::Refused, "Unreachable"),
        (
            Answer::Text(
                "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}"
                    .to_owned(),
            ),
            "NoSample",
        ),
    ];
    for (answer, reason) in cases {
        let shown = format!("{answer:?}");
        let desk = Desk::new().answering(answer);
        desk.put(
            "context.json",
            &context(&[rule("hot")], &[node("node-1")]).to_string(),
        );
        let run = desk.tick("2026-01-02T00:00:00Z");
        assert_eq!(run.status, Some(0), "{shown}: {run:?}");
        assert!(
            run.node_patch("node-1").is_none(),
            "{shown}: acts without a reading"
        );
        let status = run
            .rule_status("hot")
            .unwrap_or_else(|| panic!("{shown}: no status in {run:?}"));
        let data = status["conditions"]
            .as_array()
            .and_then(|conditions| {
                conditions
                    .iter()
                    .find(|condition| condition["type"] == "DataAvailable")
            })
            .unwrap_or_else(|| panic!("{shown}: {status}"));
        assert_eq!(data["status"], "False", "{shown}");
        assert!(
            data["message"]
                .as_str()
                .unwrap_or_default()
                .contains(reason),
            "{shown}: {data}"
        );
        assert!(
            run.metrics
                .iter()
                .any(|metric| metric["labels"]["reason"] == reason),
            "{shown}: {:?}",
            run.metrics
        );
    }
}

#[test]
fn a_state_directory_that_cannot_be_used_fails_the_run_and_names_itself() {
    let desk = Desk::new().answering(Answer::all(95.0));
    desk.put(
        "context.json",
        &context(&[rule("hot")], &[node("node-1")]).to_string(),
    );
    desk.put("not-a-directory", "");
    let state = desk.path("not-a-directory/state").display().to_string();
    let run = desk.run_with(
        &[],
        &[
            ("NODEGUARDIAN_STATE_DIR", &state),
            ("NODEGUARDIAN_NOW", "2026-01-02T00:00:00Z"),
        ],
    );
    assert_eq!(run.status, Some(1), "{run:?}");
    assert!(run.stderr.contains("not-a-directory"), "{}", run.stderr);
    assert_eq!(run.patches, Vec::<Value>::new());
}

#[test]
fn an_invalid_configuration_is_told_and_the_last_valid_one_used() {
    let desk = Desk::new().answering(Answer::all(95.0));
    desk.put(
        "context.json",
        &context(&[rule("hot")], &[node("node-1")]).to_string(),
    );
    desk.put_config(&json!({"safety": {"paused": true}}));
    let paused = desk.tick("2026-01-02T00:00:00Z");
    assert!(paused.node_patch("node-1").is_none(), "{paused:?}");
    desk.put(
        "config/config.json",
        "{\"safety\": {\"paused\": \"perhaps\"}, \"email\": {\"smtpPort\": \"abc\"}}",
    );
    let run = desk.tick("2026-01-02T00:05:00Z");
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(
        run.node_patch("node-1").is_none(),
        "the emergency stop of the last valid file holds: {run:?}"
    );
    assert!(
        run.stdout
            .contains("config.json: email.smtpPort: expected a port number, found \\\"abc\\\""),
        "{}",
        run.stdout
    );
    let invalid = |metric: &Value| {
        metric["name"] == "nodeguardian_controller_config_valid" && metric["value"] == 0.0
    };
    assert!(run.metrics.iter().any(invalid), "{:?}", run.metrics);
    assert!(
        run.events().any(|event| event["reason"] == "ConfigInvalid"),
        "{:?}",
        run.patches
    );
}

#[test]
fn an_idle_tick_writes_nothing() {
    let desk = Desk::new().answering(Answer::all(10.0));
    desk.put(
        "context.json",
        &context(&[rule("hot")], &[node("node-1")]).to_string(),
    );
    assert_eq!(
        desk.tick("2026-01-02T00:00:00Z").patches.len(),
        1,
        "the first status"
    );
    for now in [
        "2026-01-02T00:00:05Z",
        "2026-01-02T00:00:30Z",
        "2026-01-02T00:00:55Z",
    ] {
        assert_eq!(desk.tick(now).patches, Vec::<Value>::new(), "{now}");
    }
}

#[test]
fn without_a_patch_file_patches_go_to_stdout_and_logs_to_stderr() {
    let desk = Desk::new().answering(Answer::all(95.0));
    desk.put(
        "context.json",
        &context(&[rule("hot")], &[node("node-1")]).to_string(),
    );
    let run = desk.run_with(
        &[],
        &[
            ("KUBERNETES_PATCH_PATH", ""),
            ("NODEGUARDIAN_NOW", "2026-01-02T00:00:00Z"),
        ],
    );
    assert_eq!(run.status, Some(0), "{run:?}");
    for line in run.stdout.lines() {
        let patch: Value = serde_json::from_str(line).expect("a patch a line");
        assert!(patch["operation"].is_string(), "{line}");
    }
    assert!(run.stderr.contains("rule triggered"), "{}", run.stderr);
}
