//! Every command as a user calls it: what it prints, what it writes, and its exit status.

use crate::support::{Desk, parts};
use serde_json::{Value, json};

const SHIPPED: &str = include_str!("../../../../config/config.json");
const HELP: &str = include_str!("golden/help.txt");
const SHOWN: &str = include_str!("golden/show.txt");

#[test]
fn usage_is_documented_and_mistakes_are_2() {
    let desk = Desk::new();
    let help = desk.call(&["--help"]);
    assert_eq!(parts(&help), (Some(0), HELP, ""));
    for arguments in [
        &["nonsense"][..],
        &["--config", "x"],
        &["get", "--nonsense"],
        &["update", "--section", "email"],
        &["completion", "tcsh"],
        &["lint"],
        &["k8s"],
    ] {
        let outcome = desk.call(arguments);
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}: {outcome:?}"
        );
        assert!(
            outcome.stderr.starts_with("error: "),
            "{arguments:?}: {outcome:?}"
        );
    }
    for command in [
        "init",
        "validate",
        "get",
        "update",
        "set",
        "show",
        "k8s",
        "lint",
        "schema",
        "completion",
    ] {
        let outcome = desk.call(&[command, "--help"]);
        assert_eq!(
            (outcome.status, outcome.stderr.as_str()),
            (Some(0), ""),
            "{command}"
        );
    }
    assert!(
        desk.call(&["--version"])
            .stdout
            .starts_with("config-loader ")
    );
}

#[test]
fn init_prints_or_writes_the_shipped_file_and_replaces_nothing() {
    let desk = Desk::new();
    for arguments in [&["init"][..], &["init", "--output", "-"]] {
        assert_eq!(parts(&desk.call(arguments)), (Some(0), SHIPPED, ""));
    }
    let write = ["init", "--output", "new.json"];
    assert_eq!(
        parts(&desk.call(&write)),
        (Some(0), "new.json: written\n", "")
    );
    assert_eq!(desk.text("new.json"), SHIPPED);
    desk.put("new.json", "mine");
    let again = desk.call(&write);
    assert_eq!(
        parts(&again),
        (
            Some(1),
            "",
            "config-loader: new.json: it is there already; --force replaces it\n"
        )
    );
    assert_eq!(desk.text("new.json"), "mine");
    assert_eq!(
        desk.call(&["init", "--output", "new.json", "--force"])
            .status,
        Some(0)
    );
    assert_eq!(desk.text("new.json"), SHIPPED);
}

#[test]
fn validate_says_everything() {
    let desk = Desk::new();
    desk.put("good.json", SHIPPED);
    assert_eq!(
        parts(&desk.call(&["validate", "--config", "good.json"])),
        (Some(0), "valid: 0 errors, 0 warnings\n", "")
    );
    desk.put(
        "config.json",
        r#"{"email": {"smtpPort": "abc"}, "log": {"level": "LOUD"}, "emial": {}}"#,
    );
    let expected = "\
error: config.json: email.smtpPort: expected a port number, found \"abc\"
error: config.json: log.level: expected a log level (DEBUG, INFO, WARN or ERROR), found \"LOUD\"
warning: config.json: emial: unknown key, did you mean \"email\"?
invalid: 2 errors, 1 warning
";
    assert_eq!(
        parts(&desk.call(&["validate", "--config", "config.json"])),
        (Some(1), expected, "")
    );
    let outcome = desk.call(&["validate", "--config", "config.json", "-o", "json"]);
    let result: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((outcome.status, &result["valid"]), (Some(1), &json!(false)));
    assert_eq!(
        result["errors"][0],
        json!({
            "place": "config.json", "path": "email.smtpPort", "message": "expected a port number, found \"abc\"",
        })
    );
    // What is mounted, when no file is named; its Secret and the variables count, too.
    assert_eq!(desk.call(&["validate"]).status, Some(0));
    desk.put("config/config.yaml", "log: {level: LOUD}\n");
    desk.put("secrets/slack-webhook-url", "hunter2");
    let mounted = desk.call_with(&["validate"], &[("PROMETHEUS_URL", "prometheus")], "");
    for said in [
        "error: config.yaml: log.level",
        "error: secret slack-webhook-url: slack.webhookUrl",
        "error: PROMETHEUS_URL: prometheus.url",
    ] {
        assert!(mounted.stdout.contains(said), "{said}: {mounted:?}");
    }
    assert!(!format!("{mounted:?}").contains("hunter2"));
    let piped = desk.call_with(&["validate", "--config", "-"], &[], "log: {level: LOUD}");
    assert!(
        piped.stdout.starts_with("error: stdin: log.level: "),
        "{piped:?}"
    );
    assert!(
        !desk.path("state/config.last-valid.json").exists(),
        "commands only look"
    );
}

#[test]
fn validate_answers_in_json_whatever_the_file_is() {
    let desk = Desk::new();
    desk.put("binary.json", b"{\xff}");
    for (file, message) in [
        (
            "missing.json",
            "cannot be read: No such file or directory (os error 2)",
        ),
        (
            "binary.json",
            "cannot be read: it is not UTF-8 text (byte 2)",
        ),
        ("state", "cannot be read: Is a directory (os error 21)"),
    ] {
        let outcome = desk.call(&["validate", "--config", file, "-o", "json"]);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(1), ""));
        let result: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let error = json!({"place": file, "path": "", "message": message});
        assert_eq!(
            result,
            json!({"valid": false, "errors": [error], "warnings": []})
        );
    }
}

#[test]
fn validate_doubts_files_of_other_names() {
    let desk = Desk::new();
    desk.put("config/config.yml", "log: {level: LOUD}\n");
    let outcome = desk.call(&["validate"]);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let said = "expected config.json or config.yaml, found \"config.yml\": no file is in use\nvalid: 0 errors, 1 warning\n";
    assert!(outcome.stdout.ends_with(said), "{outcome:?}");
}

#[test]
fn get_prints_effective_values() {
    let desk = Desk::new();
    desk.put("c.yaml", "email: {to: [a@b.c, d@e.f], password: hunter2}\nmetrics: {gpu: {query: up}}\nnodeMonitor: {thresholds: {cpuWarning: 60}}\nsafety: {paused: true}\n");
    for (place, expected) in [
        (&["--section", "email", "--key", "smtpPort"][..], "587\n"),
        (
            &["--section", "email", "--key", "smtpServer"],
            "smtp.gmail.com\n",
        ),
        (&["--section", "email", "--key", "to[1]"], "d@e.f\n"),
        (
            &["--section", "email", "--key", "to"],
            "[\n  \"a@b.c\",\n  \"d@e.f\"\n]\n",
        ),
        (&["--section", "email", "--key", "password"], "***\n"),
        (
            &["--section", "safety"],
            "{\n  \"dryRun\": false,\n  \"maxNodes\": \"30%\",\n  \"paused\": true\n}\n",
        ),
        (&["--key", "safety.paused"], "true\n"),
        (&["--key", "metrics.gpu.query"], "up\n"),
        (&["--key", "nodeMonitor.thresholds.cpuWarning"], "60\n"),
        (&["--key", "clusterName"], "\n"),
    ] {
        let outcome = desk.call(&[&["get", "--config", "c.yaml"], place].concat());
        assert_eq!(parts(&outcome), (Some(0), expected, ""), "{place:?}");
    }
    let all: Value =
        serde_json::from_str(&desk.call(&["get", "--config", "c.yaml"]).stdout).unwrap();
    assert_eq!(
        (&all["email"]["smtpPort"], &all["email"]["password"]),
        (&json!(587), &json!("***"))
    );
    let missing = desk.call(&[
        "get",
        "--config",
        "c.yaml",
        "--section",
        "email",
        "--key",
        "smtpport",
    ]);
    assert_eq!(
        parts(&missing),
        (
            Some(2),
            "",
            "config-loader: email.smtpport: there is no such setting\n"
        )
    );
    desk.put("broken.json", "{");
    assert_eq!(
        desk.call(&["get", "--config", "broken.json"]).status,
        Some(1),
        "half a configuration has no values"
    );
}

#[test]
fn update_changes_one_value_and_refuses_what_would_be_wrong() {
    let desk = Desk::new();
    desk.put("c.json", SHIPPED);
    let update = |section: &str, key: &str, value: &str| {
        desk.call(&[
            "update",
            "--config",
            "c.json",
            "--section",
            section,
            "--key",
            key,
            "--value",
            value,
        ])
    };
    assert_eq!(
        parts(&update("email", "smtpPort", "25")),
        (Some(0), "c.json: email.smtpPort is now 25\n", "")
    );
    assert_eq!(desk.text("c.json"), SHIPPED.replace("587", "25"));
    assert_eq!(
        parts(&update("email", "smtpPort", "25")),
        (Some(0), "c.json: email.smtpPort is unchanged\n", "")
    );
    assert_eq!(
        parts(&update("email", "password", "hunter2")),
        (Some(0), "c.json: email.password is now ***\n", "")
    );
    assert_eq!(update("email", "to[1]", "x@y.z").status, Some(0));
    assert!(
        desk.text("c.json")
            .contains("\"to\": [\"admin@example.com\", \"x@y.z\"],")
    );
    assert_eq!(update("email", "to[9]", "x@y.z").status, Some(1));
    assert_eq!(update("alert", "flapThreshold", "-3").status, Some(1));
    let before = desk.text("c.json");
    let wrong = update("email", "smtpPort", "abc");
    assert_eq!(
        parts(&wrong),
        (
            Some(1),
            "",
            "config-loader: c.json: not changed: c.json: email.smtpPort: expected a port number, found \"abc\"\n"
        )
    );
    let unknown = update("email", "smtpport", "25");
    assert_eq!(
        parts(&unknown),
        (
            Some(2),
            "",
            "config-loader: email.smtpport: unknown key, did you mean \"email.smtpPort\"?\n"
        )
    );
    assert_eq!(desk.text("c.json"), before);
    // The alias, the mounted file, standard input, and a top level key.
    desk.put("config/config.json", "{}");
    assert_eq!(
        desk.call(&["set", "--key", "clusterName", "--value", "prod"])
            .status,
        Some(0)
    );
    assert_eq!(
        desk.text("config/config.json"),
        "{\"clusterName\": \"prod\"}"
    );
    let piped = desk.call_with(
        &["set", "-c", "-", "-s", "log", "-k", "level", "-v", "WARN"],
        &[],
        "log:\n  level: INFO # loud\n",
    );
    assert_eq!(parts(&piped), (Some(0), "log:\n  level: WARN # loud\n", ""));
}

#[test]
fn update_keeps_links_and_rights_and_needs_a_file() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let desk = Desk::new();
    desk.put("real.json", "{\"log\": {\"level\": \"INFO\"}}");
    std::fs::set_permissions(
        desk.path("real.json"),
        std::fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    symlink("real.json", desk.path("link.json")).unwrap();
    let set =
        |file: &str| desk.call(&["set", "-c", file, "-s", "log", "-k", "level", "-v", "WARN"]);
    assert_eq!(set("link.json").status, Some(0));
    assert!(
        desk.path("link.json")
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    );
    assert_eq!(desk.text("real.json"), "{\"log\": {\"level\": \"WARN\"}}");
    let mode = desk
        .path("real.json")
        .metadata()
        .unwrap()
        .permissions()
        .mode()
        & 0o777;
    assert_eq!(mode, 0o600);
    let missing = set("none.json");
    assert_eq!(
        parts(&missing),
        (
            Some(1),
            "",
            "config-loader: none.json: cannot be read: No such file or directory (os error 2)\n"
        )
    );
    let mounted = desk.call(&["set", "-s", "log", "-k", "level", "-v", "WARN"]);
    assert!(
        mounted
            .stderr
            .contains("neither config.json nor config.yaml"),
        "{mounted:?}"
    );
}

#[test]
fn get_and_show_print_what_was_written() {
    let desk = Desk::new();
    desk.put("c.json", SHIPPED);
    let get = |section: &str, key: &str| {
        let place = ["get", "-c", "c.json", "--section", section, "--key", key];
        desk.call_with(&place, &[("LOG_LEVEL", "error")], "").stdout
    };
    let shipped: Value = serde_json::from_str(SHIPPED).unwrap();
    assert_eq!(shipped["prometheus"]["queryTimeout"], "60s");
    assert_eq!(get("prometheus", "queryTimeout"), "60s\n");
    for (section, key, value) in [
        ("alert", "retryDelay", "90s"),
        ("alert", "batchTimeout", "1500ms"),
        ("log", "maxAge", "168h"),
        ("log", "level", "debug"),
        ("log", "maxSize", "1000kb"),
    ] {
        let set = [
            "set", "-c", "c.json", "-s", section, "-k", key, "--value", value,
        ];
        assert_eq!(desk.call(&set).status, Some(0), "{section}.{key}");
        assert_eq!(get(section, key), format!("{value}\n"), "{section}.{key}");
        let shown = desk.call(&["show", "-c", "c.json", "-o", "json"]).stdout;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let path = format!("{section}.{key}");
        let mut entries = shown.as_array().unwrap().iter();
        let entry = entries.find(|entry| entry["path"] == path.as_str());
        assert_eq!(entry.unwrap()["value"], value, "{path}");
    }
}

#[test]
fn get_answers_for_the_section_that_is_ignored() {
    let desk = Desk::new();
    desk.put("c.json", SHIPPED);
    desk.put("none.yaml", "python: null\n");
    desk.put("config/config.yaml", "python: {timeout: 300s}\n");
    for (place, expected) in [
        (
            &["-c", "c.json", "-s", "python", "-k", "enabled"][..],
            "true\n",
        ),
        (&["-c", "c.json", "-s", "python", "-k", "timeout"], "300s\n"),
        (&["-c", "c.json", "-k", "python.maxRetries"], "3\n"),
        (&["-c", "none.yaml", "-s", "python"], "{}\n"),
        (&["-s", "python"], "{\n  \"timeout\": \"300s\"\n}\n"),
    ] {
        let outcome = desk.call(&[&["get"], place].concat());
        assert_eq!(parts(&outcome), (Some(0), expected, ""), "{place:?}");
    }
    let shipped: Value = serde_json::from_str(SHIPPED).unwrap();
    let all: Value = serde_json::from_str(&desk.call(&["get", "-c", "c.json"]).stdout).unwrap();
    assert_eq!(all["python"], shipped["python"]);
    let missing = desk.call(&["get", "-c", "c.json", "-s", "python", "-k", "nothing"]);
    let said = "config-loader: python.nothing: there is no such setting\n";
    assert_eq!(parts(&missing), (Some(2), "", said));
    let shown = desk.call(&["show", "-c", "c.json"]);
    assert!(
        !shown.stdout.contains("python"),
        "it has no effect: {shown:?}"
    );
}

#[test]
fn show_tells_where_each_value_came_from() {
    let desk = Desk::new();
    desk.put("config/config.json", r#"{"email": {"smtpPort": 25, "password": "hunter2"}, "alert": {"webhookHeaders": {"X-Token": "hunter2"}}}"#);
    desk.put("secrets/webhook-url", "https://hooks.example.com/hunter2\n");
    let outcome = desk.call_with(&["show"], &[("LOG_LEVEL", "debug")], "");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""));
    let trimmed: Vec<&str> = outcome.stdout.lines().map(str::trim_end).collect();
    assert_eq!(trimmed.join("\n") + "\n", SHOWN);
    let json: Value = serde_json::from_str(&desk.call(&["show", "-o", "json"]).stdout).unwrap();
    let port = json
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["path"] == "email.smtpPort")
        .unwrap();
    assert_eq!(
        *port,
        json!({
            "path": "email.smtpPort", "value": 25, "origin": "config.json", "description": "The port of the mail server",
        })
    );
    desk.put("config/config.json", "{");
    let broken = desk.call(&["show"]);
    assert_eq!(
        broken.status,
        Some(0),
        "what the hooks go on with is in effect"
    );
    assert!(
        broken.stderr.contains("invalid configuration"),
        "{broken:?}"
    );
}
