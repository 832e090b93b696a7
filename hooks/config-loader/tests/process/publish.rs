//! Commands that publish and describe the configuration, and that check what is held against it.

use serde_json::{Value, json};

use crate::support::{Desk, parts};

const SHIPPED: &str = include_str!("../../../../config/config.json");

/// The objects of a manifest.
fn manifests(text: &str) -> Vec<Value> {
    let read = ng_config::documents(text, ng_config::Format::Yaml).unwrap();
    read.into_iter().map(|document| document.value).collect()
}

#[test]
fn k8s_prints_what_means_the_same_when_it_is_mounted() {
    let desk = Desk::new();
    desk.put("c.json", SHIPPED);
    let outcome = desk.call(&["k8s", "--config", "c.json"]);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""));
    let shipped = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "nodeguardian-config", "namespace": "nodeguardian-system",
            "labels": {"app.kubernetes.io/name": "nodeguardian"},
        },
        "data": {"config.json": SHIPPED},
    });
    assert_eq!(manifests(&outcome.stdout), [shipped]);

    let text = SHIPPED.replace("\"password\": \"\"", "\"password\": \"hunter2\"");
    desk.put("c.json", text);
    desk.put(
        "s.yaml",
        "slack-webhook-url: https://hooks.example.com/x\nwebhook-secret: s3cret\n",
    );
    let outcome = desk.call(&[
        "k8s", "-c", "c.json", "-s", "s.yaml", "-n", "guards", "-o", "all.yaml",
    ]);
    assert_eq!(
        (outcome.status, outcome.stdout.as_str()),
        (Some(0), "all.yaml: written\n")
    );
    assert!(
        outcome.stderr.contains("moved") && !outcome.stderr.contains("hunter2"),
        "{outcome:?}"
    );
    let objects = manifests(&desk.text("all.yaml"));
    assert_eq!(
        objects[0]["data"]["config.json"], SHIPPED,
        "a ConfigMap holds no password"
    );
    assert_eq!(objects[1]["kind"], "Secret");
    assert_eq!(
        objects[1]["metadata"],
        json!({
            "name": "nodeguardian-secrets", "namespace": "guards", "labels": {"app.kubernetes.io/name": "nodeguardian"},
        })
    );
    let secrets = objects[1]["stringData"].as_object().unwrap();
    assert_eq!(
        objects[1]["stringData"],
        json!({
            "email-password": "hunter2", "slack-webhook-url": "https://hooks.example.com/x", "webhook-secret": "s3cret",
        })
    );
    // Mounted, they are what the file was.
    desk.put(
        "config/config.json",
        objects[0]["data"]["config.json"].as_str().unwrap(),
    );
    for (name, text) in secrets {
        desk.put(&format!("secrets/{name}"), text.as_str().unwrap());
    }
    assert_eq!(
        parts(&desk.call(&["validate"])),
        (Some(0), "valid: 0 errors, 0 warnings\n", "")
    );
    let again = desk.call(&[
        "k8s",
        "-c",
        "config/config.json",
        "-s",
        "secrets",
        "-n",
        "guards",
    ]);
    assert_eq!(again.stdout, desk.text("all.yaml"));

    desk.put("bad.json", "{\"log\": {\"level\": \"LOUD\"}}");
    assert_eq!(desk.call(&["k8s", "-c", "bad.json"]).status, Some(1));
    assert_eq!(
        desk.call(&["k8s", "-c", "c.json", "-n", "Not_One"]).status,
        Some(2)
    );
    desk.put("s.json", "[\"hunter2\"]");
    let wrong = desk.call(&["k8s", "-c", "c.json", "-s", "s.json"]);
    assert!(
        wrong.status == Some(1) && !wrong.stderr.contains("hunter2"),
        "{wrong:?}"
    );
}

#[test]
fn k8s_takes_a_secret_as_it_is_applied() {
    let desk = Desk::new();
    desk.put("c.json", "{}");
    let manifest = "\
apiVersion: v1
kind: Secret
metadata: {name: nodeguardian-secrets}
data: {email-password: aHVudGVyMgo=, webhook-secret: b2xk}
stringData: {webhook-secret: s3cret}
";
    let expected = json!({"email-password": "hunter2", "webhook-secret": "s3cret"});
    let as_json =
        json!({"apiVersion": "v1", "kind": "Secret", "data": null, "stringData": expected});
    let of = |file: &str| {
        let outcome = desk.call(&["k8s", "-c", "c.json", "-s", file]);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""));
        manifests(&outcome.stdout)[1]["stringData"].clone()
    };
    desk.put("s.yaml", manifest);
    desk.put("s.json", as_json.to_string());
    assert_eq!((of("s.yaml"), of("s.json")), (expected.clone(), expected));
}

#[test]
fn k8s_refuses_what_are_no_secrets() {
    let desk = Desk::new();
    desk.put("c.json", "{}");
    let head = "apiVersion: v1\nkind: Secret\n";
    let manifest = |rest: &str| format!("{head}{rest}\n");
    for (text, said) in [
        (String::new(), "found 0 documents"),
        ("- hunter2".to_owned(), "found a list"),
        ("hunter2: [".to_owned(), "it cannot be parsed"),
        (manifest("---\na: hunter2"), "found 2 documents"),
        (
            "kind: ConfigMap\ndata: {a: hunter2}".to_owned(),
            "kind \"ConfigMap\"",
        ),
        (
            "kind: Secret\napiVersion: x/v1\nstringData: {a: hunter2}".to_owned(),
            "apiVersion \"x/v1\"",
        ),
        (
            "metadata: {name: hunter2}".to_owned(),
            "\"metadata\": expected a text",
        ),
        (
            "email: {password: hunter2}".to_owned(),
            "\"email\": expected a text",
        ),
        (
            "email-password: 123456".to_owned(),
            "(a number needs quotes), found a number",
        ),
        (
            "a: x\na: hunter2".to_owned(),
            "\"a\": the key is given more than once",
        ),
        ("a b: hunter2".to_owned(), "\"a b\": expected a name"),
        ("..data: hunter2".to_owned(), "\"..data\": expected a name"),
        (
            manifest("stringData: [hunter2]"),
            "stringData: expected an object",
        ),
        (
            manifest("stringData: {a: {b: hunter2}}"),
            "stringData.\"a\": expected a text",
        ),
        (
            manifest("data: {a: '*hunter2*'}"),
            "data.\"a\": expected a text in base64",
        ),
        (
            manifest("data: {a: /w==}"),
            "data.\"a\": expected UTF-8 text in base64",
        ),
    ] {
        desk.put("s.yaml", &text);
        let outcome = desk.call(&["k8s", "-c", "c.json", "-s", "s.yaml"]);
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (Some(1), ""),
            "{text}"
        );
        assert!(
            outcome.stderr.starts_with("config-loader: s.yaml: "),
            "{outcome:?}"
        );
        assert!(outcome.stderr.contains(said), "{said}: {outcome:?}");
        assert!(!outcome.stderr.contains("123456"), "{outcome:?}");
        let shown = outcome.stderr.contains("hunter2");
        assert!(!shown, "{outcome:?}");
    }
}

#[test]
fn k8s_prefers_given_secrets_under_each_of_their_names() {
    let desk = Desk::new();
    desk.put(
        "c.yaml",
        "alert: {webhookSecret: old}\nemail: {password: kept}\n",
    );
    for (name, expected) in [
        (
            "webhook-secret",
            json!({"webhook-secret": "new", "email-password": "kept"}),
        ),
        (
            "alert-webhook-secret",
            json!({"alert-webhook-secret": "new", "email-password": "kept"}),
        ),
    ] {
        desk.put(
            "s.json",
            json!({name: "new", "email-password": ""}).to_string(),
        );
        let outcome = desk.call(&["k8s", "-c", "c.yaml", "-s", "s.json"]);
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let objects = manifests(&outcome.stdout);
        assert_eq!(objects[1]["stringData"], expected);
        let config = objects[0]["data"]["config.yaml"].as_str().unwrap();
        assert!(
            !config.contains("old") && !config.contains("kept"),
            "{config}"
        );
        assert_eq!(
            outcome.stderr.matches("was moved").count(),
            1,
            "{outcome:?}"
        );
    }
}

#[test]
fn schema_and_completion_are_printed() {
    let desk = Desk::new();
    let schema: Value = serde_json::from_str(&desk.call(&["schema"]).stdout).unwrap();
    assert_eq!(
        schema["properties"]["email"]["properties"]["smtpPort"]["default"],
        587
    );
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef config-loader"),
        ("fish", "complete -c config-loader"),
    ] {
        let outcome = desk.call(&["completion", shell]);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""));
        assert!(
            outcome.stdout.contains(sign) && outcome.stdout.contains("validate"),
            "{shell}"
        );
    }
}

const RULE: &str = "\
apiVersion: nodeguardian.k8s.io/v1
kind: NodeGuardianRule
metadata: {name: hot}
spec:
  conditions: [{metric: cpuUtilizationPercent, operator: '>', value: 80}]
  recoveryConditions: [{metric: cpuUtilizationPercent, operator: '<', value: 90}]
";

#[test]
fn lint_reads_files_folders_and_standard_input() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path("repo/deep/.git")).unwrap();
    desk.put("repo/deep/rules.yaml", format!("# first\n---\n{RULE}"));
    desk.put("repo/deep/.git/rules.yaml", "nodeguardian.k8s.io {{");
    desk.put("repo/chart.yaml", "{{ a template of another tool");
    desk.put("repo/notes.txt", "nodeguardian.k8s.io {{");
    let expected = "\
error: repo/deep/rules.yaml: NodeGuardianRule hot: spec.recoveryConditions[0]: cpuUtilizationPercent can meet this and the trigger \
(cpuUtilizationPercent > 80) at once; put the threshold of recovery on the other side of the trigger's [recovery-overlap]
1 object: 1 error, 0 warnings
";
    assert_eq!(
        parts(&desk.call(&["lint", "repo"])),
        (Some(1), expected, "")
    );
    let piped = desk.call_with(&["lint", "-"], &[], RULE);
    assert_eq!(
        piped.stdout,
        expected.replace("repo/deep/rules.yaml", "stdin")
    );
    let json: Value =
        serde_json::from_str(&desk.call(&["lint", "repo", "-o", "json"]).stdout).unwrap();
    assert_eq!((&json["errors"], &json["objects"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&json["findings"][0]["check"], &json["findings"][0]["name"]),
        (&json!("recovery-overlap"), &json!("hot"))
    );

    let doubtful = RULE.replace("value: 90", "value: 70") + "  actions: [{type: cordon}]\n";
    desk.put("doubtful.yaml", doubtful);
    assert_eq!(desk.call(&["lint", "doubtful.yaml"]).status, Some(0));
    assert_eq!(
        desk.call(&["lint", "doubtful.yaml", "--strict"]).status,
        Some(1)
    );
    desk.put(
        "repo/broken.yaml",
        "apiVersion: nodeguardian.k8s.io/v1\nkind: [\n",
    );
    let broken = desk.call(&["lint", "repo"]);
    assert!(
        broken
            .stdout
            .starts_with("error: repo/broken.yaml: cannot be read: document 1: "),
        "{broken:?}"
    );
    desk.put("none.yaml", "kind: ConfigMap\n");
    let none = desk.call(&["lint", "none.yaml"]);
    assert_eq!(
        parts(&none),
        (
            Some(1),
            "",
            "config-loader: none.yaml: there is no NodeGuardianRule and no AlertTemplate\n"
        )
    );
    assert_eq!(desk.call(&["lint", "missing.yaml"]).status, Some(1));
}

#[test]
fn lint_knows_the_configuration() {
    let desk = Desk::new();
    desk.put(
        "rule.yaml",
        RULE.replace("cpuUtilizationPercent", "gpuTemperature")
            .replace("value: 90", "value: 70"),
    );
    assert_eq!(desk.call(&["lint", "rule.yaml"]).status, Some(1));
    desk.put(
        "c.yaml",
        "metrics: {gpuTemperature: {query: up}}\nsafety: {maxNodes: 5%}\n",
    );
    let known = desk.call(&["lint", "rule.yaml", "--config", "c.yaml"]);
    assert_eq!(
        parts(&known),
        (Some(0), "1 object: 0 errors, 0 warnings\n", "")
    );
    let small = desk.call(&["lint", "rule.yaml", "--config", "c.yaml", "--nodes", "10"]);
    assert!(
        small
            .stdout
            .starts_with("warning: configuration: safety.maxNodes: 5% of 10 nodes"),
        "{small:?}"
    );
}
