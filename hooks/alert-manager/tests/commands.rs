//! The commands of the built executable: direct call, `test` and `preview`.

mod support;

#[path = "commands/api.rs"]
mod api;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use api::Api;
use serde_json::{Value, json};
use support::receiver::{Answer, Receiver};
use support::{Desk, NOW, template};

/// What a command did.
#[derive(Debug)]
struct Done {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Done {
    /// Messages of the log's warnings and errors.
    fn complaints(&self) -> usize {
        self.stderr
            .lines()
            .filter(|line| {
                line.contains("\"level\":\"warn\"") || line.contains("\"level\":\"error\"")
            })
            .count()
    }
}

/// Calls the alert-manager with an environment of the desk's folders and these variables.
fn call(desk: &Desk, arguments: &[&str], variables: &[(&str, &str)]) -> Done {
    let folder = |name: &str| desk.path(name).display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_alert-manager"))
        .args(arguments)
        .env_clear()
        .envs([
            ("NODEGUARDIAN_CONFIG_DIR", folder("config")),
            ("NODEGUARDIAN_SECRETS_DIR", folder("secrets")),
            ("NODEGUARDIAN_STATE_DIR", folder("state")),
            ("NODEGUARDIAN_NOW", NOW.to_owned()),
        ])
        .envs(variables.iter().copied())
        .output()
        .expect("the alert-manager starts");
    Done {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A rule as the API server has it.
const RULE: &str = r#"{"metadata": {"name": "hot"}, "spec": {"metadata": {"description": "Hot nodes", "severity": "critical"},
    "conditions": [{"metric": "cpuLoadRatio", "operator": "GreaterThan", "value": 1.5, "duration": "3m"}],
    "actions": [{"type": "taint", "taint": {"key": "example.com/hot", "effect": "NoSchedule"}}]}}"#;

#[test]
fn a_direct_call_writes_to_the_log_and_touches_nothing_else() {
    let desk = Desk::new("");
    // Arguments, status, parts of stdout, complaints.
    for (arguments, status, parts, complaints) in [
        (
            ["", RULE, r#"["n1"]"#, r#"["log"]"#],
            0,
            &[
                "hot: n1 triggered",
                "\"severity\":\"critical\"",
                "Hot nodes",
            ][..],
            0,
        ),
        (
            ["gone", RULE, r#"["n1", "n2"]"#, r#"["log"]"#],
            0,
            &["hot: 2 nodes triggered, first n1", "n1, n2"],
            1,
        ),
        (
            ["No Name!", RULE, r#""n1""#, r#""log""#],
            0,
            &["hot: n1 triggered"],
            1,
        ),
        (
            [
                "",
                RULE,
                r#"[{"name": "n1", "metrics": {"cpuLoadRatio": 2.5}}, {"metadata": {"name": "n2"}}]"#,
                r#"[{"type": "log"}]"#,
            ],
            0,
            &["n1: cpuLoadRatio 2.5", "- n2"],
            0,
        ),
        (
            [
                "",
                r#"{"type": "recovery", "metadata": {"name": "hot"}, "spec": {}}"#,
                r#"["n1"]"#,
                r#"["log"]"#,
            ],
            0,
            &["hot: n1 recovered", "\"type\":\"recovery\""],
            0,
        ),
        // A spec alone has no name.
        (
            [
                "",
                r#"{"metadata": {"description": "just a spec"}, "conditions": []}"#,
                r#"["n1"]"#,
                r#"["log"]"#,
            ],
            0,
            &["unknown: n1 triggered", "just a spec"],
            0,
        ),
        (["", RULE, "[]", r#"["log"]"#], 0, &["hot: triggered"], 0),
        (
            ["", RULE, r#"["n1"]"#, r#"["log", "LOG", {"type": "log"}]"#],
            0,
            &["hot: n1 triggered"],
            0,
        ),
        (
            ["", RULE, r#"["n1"]"#, r#"["log", "pager", "slack"]"#],
            0,
            &["hot: n1 triggered"],
            2,
        ),
        (
            [
                "",
                RULE,
                r#"["n1"]"#,
                r#"[{"type": "log", "enabled": false}]"#,
            ],
            0,
            &[],
            0,
        ),
        // Without channels the configured ones: log and mail, which is not configured.
        (["", RULE, r#"["n1"]"#, "[]"], 0, &["hot: n1 triggered"], 1),
        (["", "{", "[1]", "nope"], 2, &[], 3),
        (["", "[]", r#"[""]"#, "[{}, 3]"], 2, &[], 3),
        (
            ["", r#"{"type": "explosion", "spec": {}}"#, "[]", "[]"],
            2,
            &[],
            1,
        ),
    ] {
        let done = call(&desk, &arguments, &[]);
        assert_eq!(done.status, Some(status), "{arguments:?}: {done:?}");
        for part in parts {
            assert!(
                done.stdout.contains(part),
                "{arguments:?}: {part:?} in {done:?}"
            );
        }
        assert!(done.stdout.lines().count() <= 1, "{arguments:?}: {done:?}");
        assert_eq!(done.complaints(), complaints, "{arguments:?}: {done:?}");
    }
    let left: Vec<_> = std::fs::read_dir(desk.path("state"))
        .expect("the folder")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn four_arguments_are_a_call_unless_the_first_is_a_command() {
    let desk = Desk::new("");
    for (arguments, status) in [
        (
            &["preview", "--template", "nowhere.yaml", "--nodes=2"][..],
            2,
        ),
        (&["test", "--channel", "log", "--channel=log"], 0),
        (&["--help", "a", "b", "c"], 0),
        (&["preview", "{}", "[\"n1\"]", "[\"log\"]"], 0),
        (&["a", "{}", "[]"], 2),
        (&["a", "{}", "[]", "[]", "more"], 2),
    ] {
        let done = call(&desk, arguments, &[]);
        assert_eq!(done.status, Some(status), "{arguments:?}: {done:?}");
    }
}

#[test]
fn a_direct_call_posts_at_once_and_fails_with_its_receiver() {
    let good = Receiver::good();
    let bad = Receiver::start(|_, _| Answer::Status(500, ""));
    let desk = Desk::new(good.url());
    let done = call(&desk, &["", RULE, r#"["n1"]"#, r#"["webhook"]"#], &[]);
    assert_eq!(done.status, Some(0), "{done:?}");
    let body = &good.requests()[0].body;
    assert_eq!(body["ruleName"], "hot", "{body}");
    assert_eq!(body["triggeredNodes"], json!(["n1"]));
    assert_eq!(body["severity"], "critical");
    assert_eq!(body["type"], "trigger");

    // An address and headers of the call's own; the good channel has the message although another failed.
    let channels = json!([
        {"type": "webhook", "url": bad.url(), "headers": {"X-Team": "night-shift"}},
        "webhook", "log",
    ]);
    let done = call(&desk, &["", RULE, r#"["n1"]"#, &channels.to_string()], &[]);
    assert_eq!(done.status, Some(1), "{done:?}");
    assert_eq!((good.requests().len(), bad.requests().len()), (2, 1));
    let head = bad.requests()[0].head.to_ascii_lowercase();
    assert!(head.contains("x-team: night-shift"), "{head}");
    assert!(done.stdout.contains("hot: n1 triggered"), "{done:?}");
    assert!(done.stderr.contains("HTTP 500"), "{done:?}");

    for (channel, part) in [
        (
            json!({"type": "webhook", "url": "ftp://token-1/x"}),
            "url: it must begin with http",
        ),
        (
            json!({"type": "webhook", "headers": {"Host": "token-1"}}),
            "headers: \\\"Host\\\"",
        ),
    ] {
        let done = call(&desk, &["", RULE, r#"["n1"]"#, &channel.to_string()], &[]);
        assert_eq!(done.status, Some(1), "{done:?}");
        assert!(
            done.stderr.contains(part) && !done.stderr.contains("token-1"),
            "{done:?}"
        );
    }
}

/// A template and what it makes of the rule above.
fn shout() -> Value {
    template(
        "shout",
        &json!({"subject": "LOUD {{ .ruleName }}", "body": "{{ .triggeredNodes }}!"}),
    )
}

fn remember(desk: &Desk, object: &Value) {
    let mut store = desk.store();
    let mut transaction = store.begin().expect("a transaction");
    let templates = BTreeMap::from([("shout".to_owned(), object.to_string())]);
    transaction
        .set_templates(&templates)
        .expect("templates are kept");
    transaction.commit().expect("the commit");
}

#[test]
fn a_template_is_found_in_the_cluster_else_among_those_last_seen() {
    let direct = ["shout", RULE, r#"["n1", "n2"]"#, r#"["log"]"#];
    let old = template("shout", &json!({"subject": "OLD {{ruleName}}"}));
    let path = "/apis/nodeguardian.k8s.io/v1/alerttemplates/shout";
    let has = Api::start(move |target| (target == path).then(shout));
    let has_not = Api::start(|_| None);
    // A port that nobody listens on.
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").to_string()
    };
    for (name, kubeconfig, remembered, expected, complaints) in [
        (
            "in the cluster",
            Some(has.kubeconfig()),
            Some(&old),
            "LOUD hot",
            0,
        ),
        (
            "gone from the cluster",
            Some(has_not.kubeconfig()),
            Some(&old),
            "hot: 2 nodes triggered",
            1,
        ),
        (
            "unreachable, remembered",
            Some(api::kubeconfig(&nobody)),
            Some(&old),
            "OLD hot",
            1,
        ),
        (
            "unreachable, unknown",
            Some(api::kubeconfig(&nobody)),
            None,
            "hot: 2 nodes triggered",
            2,
        ),
        (
            "broken credentials",
            Some("{".to_owned()),
            Some(&old),
            "OLD hot",
            1,
        ),
        ("no credentials, remembered", None, Some(&old), "OLD hot", 0),
    ] {
        let desk = Desk::new("");
        if let Some(object) = remembered {
            remember(&desk, object);
        }
        let file = desk.path("kubeconfig").display().to_string();
        let mut variables = Vec::new();
        if let Some(text) = &kubeconfig {
            desk.put("kubeconfig", text);
            variables.push(("KUBECONFIG", file.as_str()));
        }
        let done = call(&desk, &direct, &variables);
        assert_eq!(done.status, Some(0), "{name}: {done:?}");
        assert!(done.stdout.contains(expected), "{name}: {done:?}");
        assert_eq!(done.complaints(), complaints, "{name}: {done:?}");
        assert!(!done.stderr.contains("secret-token"), "{name}: {done:?}");
    }
    assert_eq!(has.targets(), [path]);
}

#[test]
fn a_broken_template_is_told_and_the_alert_goes_out() {
    let desk = Desk::new("");
    remember(
        &desk,
        &template(
            "shout",
            &json!({"subject": "s", "body": "{{#if x}}", "channels": ["log"]}),
        ),
    );
    let done = call(&desk, &["shout", RULE, r#"["n1"]"#, "[]"], &[]);
    assert_eq!(done.status, Some(0), "{done:?}");
    assert!(done.stdout.contains("hot: n1 triggered"), "{done:?}");
    assert!(
        done.stderr.contains("body: line 1, column 1") && done.complaints() == 1,
        "{done:?}"
    );
    remember(
        &desk,
        &json!({"metadata": {"name": "shout"}, "spec": {"body": 5}}),
    );
    let done = call(&desk, &["shout", RULE, r#"["n1"]"#, r#"["log"]"#], &[]);
    assert_eq!((done.status, done.complaints()), (Some(0), 1), "{done:?}");
}

/// Pods of `n1` and `n2`, and what they use.
fn cluster(target: &str) -> Option<Value> {
    let pod =
        |namespace: &str, name: &str| json!({"metadata": {"namespace": namespace, "name": name}});
    let usage = |namespace: &str, name: &str, containers: &[(&str, &str)]| {
        let containers: Vec<Value> = containers
            .iter()
            .map(|(cpu, memory)| json!({"name": "c", "usage": {"cpu": cpu, "memory": memory}}))
            .collect();
        json!({"metadata": {"namespace": namespace, "name": name}, "timestamp": NOW, "containers": containers})
    };
    if target == "/apis/metrics.k8s.io/v1beta1/pods" {
        return Some(json!({"kind": "PodMetricsList", "metadata": {}, "items": [
            usage("a", "small", &[("1m", "1Mi")]),
            usage("a", "large", &[("250m", "1Gi"), ("250m", "512Mi")]),
            usage("b", "large", &[("100m", "700Mi")]),
            usage("b", "elsewhere", &[("9", "90Gi")]),
        ]}));
    }
    if target.ends_with("/alerttemplates/pods") {
        return Some(template(
            "pods",
            &json!({
                "subject": "{{nodeName}}",
                "body": "{{#each topPods}}{{namespace}}/{{name}} {{cpu}} {{memory}}; {{else}}none{{/each}}"
            }),
        ));
    }
    if target.starts_with("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&") {
        return Some(
            json!({"kind": "PodList", "metadata": {}, "items": [pod("a", "small"), pod("a", "large"), pod("b", "large"), pod("b", "pending")]}),
        );
    }
    (target.starts_with("/api/v1/pods?fieldSelector=spec.nodeName%3Dn2&"))
        .then(|| json!({"kind": "PodList", "metadata": {}, "items": []}))
}

#[test]
fn the_largest_pods_are_fetched_for_templates_that_show_them() {
    let direct =
        |template: &'static str, nodes: &'static str| [template, RULE, nodes, r#"["log"]"#];
    let many = r#"["n9", "n8", "n7", "n6", "n5", "n4"]"#;
    for (arguments, works, expected, requests, complaints) in [
        (
            direct("pods", r#"["n1"]"#),
            true,
            "a/large 500m 1536Mi; b/large 100m 700Mi; a/small 1m 1Mi;",
            3,
            0,
        ),
        (direct("pods", r#"["n2"]"#), true, "none", 2, 0),
        (
            direct("other", r#"["n1"]"#),
            true,
            "hot: n1 triggered",
            1,
            1,
        ),
        // Only a few nodes are asked for; each that fails is told.
        (direct("pods", many), true, "none", 4, 3),
        (direct("pods", r#"["n1"]"#), false, "none", 3, 1),
    ] {
        let api = Api::start(move |target| {
            let usage = target.contains("metrics.k8s.io");
            (works || !usage).then(|| cluster(target)).flatten()
        });
        let desk = Desk::new("");
        desk.put("kubeconfig", &api.kubeconfig());
        let file = desk.path("kubeconfig").display().to_string();
        let done = call(&desk, &arguments, &[("KUBECONFIG", &file)]);
        assert_eq!(done.status, Some(0), "{arguments:?}: {done:?}");
        assert!(done.stdout.contains(expected), "{arguments:?}: {done:?}");
        assert_eq!(api.targets().len(), requests, "{:?}", api.targets());
        assert_eq!(done.complaints(), complaints, "{arguments:?}: {done:?}");
    }
}

#[test]
fn a_test_message_says_that_it_is_one() {
    let good = Receiver::good();
    let desk = Desk::new(good.url());
    let done = call(&desk, &["test", "--channel", "webhook"], &[]);
    assert_eq!(
        (done.status, done.stdout.as_str()),
        (Some(0), "webhook: delivered to 127.0.0.1\n"),
        "{done:?}"
    );
    let body = good.requests()[0].body.to_string();
    assert!(
        body.contains("nodeguardian-test") && body.to_lowercase().contains("test"),
        "{body}"
    );

    let bad = Receiver::start(|_, _| Answer::Status(403, ""));
    desk.configure(bad.url(), &json!({}));
    for (channels, status, parts) in [
        (
            &["webhook"][..],
            1,
            &["webhook: failed to 127.0.0.1: HTTP 403"][..],
        ),
        (
            &["log", "slack"],
            1,
            &[
                "log: delivered\n",
                "[TEST] ",
                "slack: channel slack is not configured: slack.webhookUrl is missing",
            ],
        ),
        (&["log", "pigeon"], 2, &[]),
        (&[], 2, &[]),
    ] {
        let named = channels.iter().flat_map(|name| ["--channel", name]);
        let arguments: Vec<&str> = ["test"].into_iter().chain(named).collect();
        let done = call(&desk, &arguments, &[]);
        assert_eq!(done.status, Some(status), "{channels:?}: {done:?}");
        for part in parts {
            assert!(
                done.stdout.contains(part),
                "{channels:?}: {part} in {done:?}"
            );
        }
    }
}

fn shipped(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    root.join(path).display().to_string()
}

#[test]
fn a_preview_shows_what_would_go_out_and_sends_nothing() {
    let receiver = Receiver::good();
    let desk = Desk::new(&format!("{}/token-in-the-path", receiver.url()));
    desk.put(
        "secrets/slack-webhook-url",
        "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXX",
    );
    desk.put(
        "broken.yaml",
        "kind: AlertTemplate\nmetadata: {name: b}\nspec: {subject: s, body: '{{#if a}}'}\n",
    );
    desk.put(
        "rule-only.yaml",
        "kind: NodeGuardianRule\nmetadata: {name: r}\nspec: {}\n",
    );
    desk.put("mistake.yaml", "a: [\n");
    let file = |name: &str| desk.path(name).display().to_string();
    let (english, chinese, examples) = (
        shipped("templates/en.yaml"),
        shipped("templates/zh.yaml"),
        shipped("examples/alert-templates.yaml"),
    );
    let rule = shipped("examples/disk-space-alert.yaml");
    let (broken, rules, mistake) = (
        file("broken.yaml"),
        file("rule-only.yaml"),
        file("mistake.yaml"),
    );
    for (arguments, status, parts) in [
        (
            vec!["--template", &english],
            0,
            vec!["# node-alert\n", "# node-mail\n", "HTML:\n<h2>"],
        ),
        (
            vec![
                "--template",
                &english,
                "--name",
                "node-alert",
                "--nodes",
                "120",
            ],
            0,
            vec![
                "Title: high-load: 120 nodes, first worker-1 triggered",
                "and 70 more",
            ],
        ),
        (
            vec![
                "--template",
                &chinese,
                "--name",
                "node-alert",
                "--kind",
                "recovery",
            ],
            0,
            vec!["已恢复", "持续 30m"],
        ),
        (
            vec![
                "--template",
                &examples,
                "--rule",
                &rule,
                "--name",
                "disk-space-alert",
            ],
            0,
            vec!["Title: [warning] worker-1: disk is 71 % full"],
        ),
        (
            vec![
                "--template",
                &english,
                "--name",
                "node-alert",
                "--channel",
                "webhook",
            ],
            0,
            vec!["POST http://", "\"triggeredNodes\"", "***"],
        ),
        (
            vec![
                "--template",
                &english,
                "--name",
                "node-alert",
                "--channel",
                "slack",
            ],
            0,
            vec!["POST https://hooks.slack.com/", "\"text\""],
        ),
        (
            vec![
                "--template",
                &english,
                "--name",
                "node-mail",
                "--channel",
                "telegram",
            ],
            0,
            vec!["POST "],
        ),
        (
            vec![
                "--template",
                &english,
                "--name",
                "node-mail",
                "--channel",
                "email",
            ],
            0,
            vec!["Subject: ", "worker-1"],
        ),
        (
            vec![
                "--template",
                &english,
                "--name",
                "node-alert",
                "--channel",
                "log",
            ],
            0,
            vec!["warning: high-load: worker-1 triggered"],
        ),
        (
            vec!["--template", &broken],
            1,
            vec!["high-load: worker-1 triggered"],
        ),
        (
            vec!["--template", &english, "--channel", "pigeon"],
            2,
            vec![],
        ),
        (vec!["--template", &english, "--name", "nope"], 2, vec![]),
        (vec!["--template", &rules], 2, vec![]),
        (vec!["--template", &mistake], 2, vec![]),
        (vec!["--template", "/nowhere"], 2, vec![]),
        (vec!["--template", &english, "--rule", &english], 2, vec![]),
        (vec!["--template", &english, "--nodes", "0"], 2, vec![]),
    ] {
        let all: Vec<&str> = ["preview"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let done = call(&desk, &all, &[]);
        assert_eq!(done.status, Some(status), "{arguments:?}: {done:?}");
        for part in parts {
            assert!(
                done.stdout.contains(part),
                "{arguments:?}: {part:?} in {}",
                done.stdout
            );
        }
        assert_eq!(
            done.stdout.is_empty(),
            status == 2,
            "{arguments:?}: {done:?}"
        );
        assert_eq!(
            done.stderr.is_empty(),
            status == 0
                && !arguments
                    .iter()
                    .any(|word| ["telegram", "email"].contains(word)),
            "{arguments:?}: {done:?}"
        );
        let said = format!("{}{}", done.stdout, done.stderr);
        for secret in ["token-in-the-path", "XXXXXXXXXXXX", "T00000000"] {
            assert!(!said.contains(secret), "{arguments:?}: {said}");
        }
    }
    assert_eq!(receiver.got(), [""; 0]);
    assert!(!desk.path("state/state.db").exists());
}
