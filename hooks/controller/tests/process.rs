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

#[test]
fn a_run_whose_outputs_cannot_be_written_decides_nothing() {
    let desk = Desk::new().answering(Answer::all(95.0));
    desk.put(
        "context.json",
        &context(&[rule("hot")], &[node("node-1")]).to_string(),
    );
    let folder = desk.path("state").display().to_string();
    let elsewhere = desk.path("no/such/folder/file").display().to_string();
    for variable in ["KUBERNETES_PATCH_PATH", "METRICS_PATH"] {
        for path in [&folder, &elsewhere] {
            let now = ("NODEGUARDIAN_NOW", "2026-01-02T00:00:00Z");
            let run = desk.run_with(&[], &[(variable, path), now]);
            assert_eq!(run.status, Some(1), "{variable} {path}: {run:?}");
            assert!(run.stderr.contains(path.as_str()), "{}", run.stderr);
        }
    }
    let run = desk.tick("2026-01-02T00:00:00Z");
    assert!(run.node_patch("node-1").is_some(), "{run:?}");
    let events: Vec<&Value> = run.events().map(|event| &event["reason"]).collect();
    assert_eq!(events, ["RuleTriggered", "RuleTriggered"], "{run:?}");
}

#[test]
fn a_deleted_rule_is_released_where_the_named_kubeconfig_does_not_exist() {
    let desk = Desk::new().answering(Answer::all(95.0));
    let missing = desk.path("kubeconfig").display().to_string();
    let tick = |rules: &[Value], now: &str| {
        desk.put(
            "context.json",
            &context(rules, &[node("node-1")]).to_string(),
        );
        desk.run_with(&[], &[("NODEGUARDIAN_NOW", now), ("KUBECONFIG", &missing)])
    };
    let run = tick(&[rule("hot")], "2026-01-02T00:00:00Z");
    assert!(run.node_patch("node-1").is_some(), "{run:?}");
    let run = tick(&[], "2026-01-02T00:00:30Z");
    assert!(run.node_patch("node-1").is_some(), "{run:?}");
    assert!(!run.stdout.contains("rule is missing"), "{run:?}");
}

#[test]
fn a_snapshot_counts_more_than_the_objects_of_a_synchronization_before_it() {
    let desk = Desk::new().answering(Answer::all(95.0));
    let group = context(&[rule("hot")], &[node("node-1")])[0].clone();
    let begun = |objects: &[Value]| {
        let objects: Vec<Value> = objects
            .iter()
            .map(|object| json!({"object": object}))
            .collect();
        json!({"binding": "monitor-nodeguardian-rules", "type": "Synchronization", "objects": objects})
    };
    let first = json!([begun(&[]), group]);
    desk.put("context.json", &first.to_string());
    let run = desk.tick("2026-01-02T00:00:00Z");
    assert!(run.node_patch("node-1").is_some(), "{run:?}");
    // Without a snapshot of rules they are all there are.
    let mut nodes_only = group.clone();
    nodes_only["snapshots"] = json!({"nodes": group["snapshots"]["nodes"]});
    let alone = json!([begun(&[rule("hot"), rule("other")]), nodes_only]);
    desk.put("context.json", &alone.to_string());
    let run = desk.tick("2026-01-02T00:01:00Z");
    assert!(run.rule_status("other").is_some(), "{run:?}");
}

/// Names of the groups of readings that a run has written.
fn readings(metrics: &[Value]) -> Vec<String> {
    let mut groups: Vec<String> = metrics
        .iter()
        .filter_map(|metric| metric["group"].as_str())
        .filter(|group| group.starts_with("controller-readings"))
        .map(str::to_owned)
        .collect();
    groups.dedup();
    groups
}

#[test]
fn what_is_unknown_is_in_the_log_once_and_in_the_metrics_until_nobody_asks() {
    let desk = Desk::new().answering(Answer::all(10.0));
    let often = with(
        rule("often"),
        "/spec",
        json!({
            "conditions": [{"metric": "memoryUtilizationPercent", "operator": ">", "value": 90, "duration": "0s"}],
            "actions": [{"type": "cordon"}], "monitoring": {"checkInterval": "10s"},
        }),
    );
    let seldom = with(
        rule("seldom"),
        "/spec",
        json!({
            "conditions": [{"metric": "cpuLoadRatio", "operator": ">", "value": 90, "duration": "0s"}],
            "actions": [{"type": "cordon"}], "monitoring": {"checkInterval": "5m"},
        }),
    );
    let tick = |rules: &[&Value], now: &str| {
        let rules: Vec<Value> = rules.iter().copied().cloned().collect();
        // Of the second node nothing is known.
        let nodes = [node("node-1"), node("node-2")];
        desk.put("context.json", &context(&rules, &nodes).to_string());
        desk.tick(now)
    };
    let told = |run: &support::Outcome| run.stdout.matches("too little is known to decide").count();
    let (load, memory) = (
        "controller-readings-cpuLoadRatio",
        "controller-readings-memoryUtilizationPercent",
    );
    let run = tick(&[&often, &seldom], "2026-01-02T00:00:00Z");
    assert_eq!(told(&run), 2, "{run:?}");
    assert!(
        run.stdout.contains("node-2") && run.stdout.contains("NoSample"),
        "{run:?}"
    );
    assert_eq!(readings(&run.metrics), [load, memory]);
    // The group of the metric that is not due is left as it is.
    let run = tick(&[&often, &seldom], "2026-01-02T00:00:10Z");
    assert_eq!(told(&run), 0, "{run:?}");
    assert_eq!(readings(&run.metrics), [memory]);
    let run = tick(&[&often], "2026-01-02T00:00:20Z");
    let expired = run
        .metrics
        .iter()
        .filter(|metric| metric["group"] == load)
        .map(|metric| &metric["action"]);
    assert_eq!(expired.collect::<Vec<_>>(), ["expire"], "{run:?}");
    let run = tick(&[&often], "2026-01-02T00:00:30Z");
    assert_eq!(readings(&run.metrics), [memory]);
}
