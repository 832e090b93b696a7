//! Settings changed in texts of every layout: what is changed, and that nothing else is.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use ng_config::edit::{EditError, Edited, set};
use ng_config::{File, Format, Inputs, resolve};

const SHIPPED: &str = include_str!("../../../config/config.json");

fn edit(format: Format, text: &str, path: &str, value: &str) -> Result<Edited, EditError> {
    let name = if format == Format::Json {
        "config.json"
    } else {
        "config.yaml"
    };
    let file = Some(File { name, text, format });
    set(
        &Inputs {
            file,
            ..Inputs::default()
        },
        &path.parse().unwrap(),
        value,
    )
}

/// The text, path, value and the text that should come out.
type Case = (&'static str, &'static str, &'static str, &'static str);

/// Every case: the text, path, value and the text that should come out.
fn check(format: Format, table: &[Case]) {
    for (text, path, value, expected) in table {
        let edited = edit(format, text, path, value).unwrap();
        assert_eq!(edited.text, *expected, "{text:?} {path} {value}");
        assert!(!edited.reprinted, "{text:?} {path} {value}");
    }
}

#[test]
fn json_changes_only_where_the_value_stands() {
    check(Format::Json, JSON);
}

const JSON: &[Case] = &[
    (
        r#"{"email": {"smtpPort": 587}}"#,
        "email.smtpPort",
        "25",
        r#"{"email": {"smtpPort": 25}}"#,
    ),
    (
        "{ \"log\" :{\"level\"\t: \"INFO\" }\r\n}",
        "log.level",
        "WARN",
        "{ \"log\" :{\"level\"\t: \"WARN\" }\r\n}",
    ),
    (
        r#"{"email": {"useTLS": true}}"#,
        "email.useTLS",
        "false",
        r#"{"email": {"useTLS": false}}"#,
    ),
    (
        r#"{"email": {"to": ["a@b.c", "d@e.f"]}}"#,
        "email.to[1]",
        "x@y.z",
        r#"{"email": {"to": ["a@b.c", "x@y.z"]}}"#,
    ),
    (
        r#"{"email": {"to": ["a@b.c"]}}"#,
        "email.to[1]",
        "x@y.z",
        r#"{"email": {"to": ["a@b.c", "x@y.z"]}}"#,
    ),
    (
        r#"{"email": {"to": []}}"#,
        "email.to[0]",
        "x@y.z",
        r#"{"email": {"to": ["x@y.z"]}}"#,
    ),
    (
        r#"{"email": {"to": ["a@b.c"]}}"#,
        "email.to",
        "x@y.z, p@q.r",
        r#"{"email": {"to": ["x@y.z", "p@q.r"]}}"#,
    ),
    (
        r#"{"email": {"to": ["a@b.c"]}}"#,
        "email.to",
        r#"["x@y.z"]"#,
        r#"{"email": {"to": ["x@y.z"]}}"#,
    ),
    (
        "{\n\t\"log\": {\n\t\t\"level\": \"INFO\"\n\t}\n}\n",
        "log.format",
        "text",
        "{\n\t\"log\": {\n\t\t\"level\": \"INFO\",\n\t\t\"format\": \"text\"\n\t}\n}\n",
    ),
    (
        "{\n    \"log\": {\n        \"level\": \"INFO\"\n    }\n}\n",
        "safety.paused",
        "true",
        "{\n    \"log\": {\n        \"level\": \"INFO\"\n    },\n    \"safety\": {\n        \"paused\": true\n    }\n}\n",
    ),
    (
        "{}\n",
        "clusterName",
        "prod",
        "{\n  \"clusterName\": \"prod\"\n}\n",
    ),
    (
        r#"{"log":{"level":"INFO"}}"#,
        "safety.maxNodes",
        "3",
        r#"{"log":{"level":"INFO"},"safety":{"maxNodes": 3}}"#,
    ),
    (
        r#"{"safety": {"maxNodes": 2}}"#,
        "safety.maxNodes",
        "30%",
        r#"{"safety": {"maxNodes": "30%"}}"#,
    ),
    (
        r#"{"log": null, "email": null}"#,
        "log.level",
        "WARN",
        r#"{"log": {"level": "WARN"}, "email": null}"#,
    ),
    (
        r#"{"log": {"level": "INFO", "level": "WARN"}}"#,
        "log.level",
        "ERROR",
        r#"{"log": {"level": "INFO", "level": "ERROR"}}"#,
    ),
    (
        r#"{"a\"b": {"le\u0076el": 1}, "log": {"le\u0076el": "INFO"}}"#,
        "log.level",
        "WARN",
        r#"{"a\"b": {"le\u0076el": 1}, "log": {"le\u0076el": "WARN"}}"#,
    ),
    (
        "\u{feff}{\"clusterName\": \"a\"}",
        "clusterName",
        "b\"\\\n",
        "\u{feff}{\"clusterName\": \"b\\\"\\\\\\n\"}",
    ),
    (
        r#"{"metrics": {"gpu": {"query": "up"}}}"#,
        "metrics.gpu.query",
        "avg(up) ",
        r#"{"metrics": {"gpu": {"query": "avg(up) "}}}"#,
    ),
    (
        r#"{"metrics": {}}"#,
        "metrics.gpu.query",
        "up",
        r#"{"metrics": {"gpu": {"query": "up"}}}"#,
    ),
    (
        r#"{"nodeMonitor": {"thresholds": {"cpuWarning": 90}}}"#,
        "nodeMonitor.thresholds.cpuWarning",
        "80.5",
        r#"{"nodeMonitor": {"thresholds": {"cpuWarning": 80.5}}}"#,
    ),
    (
        r#"{"nodeMonitor": {"checkInterval": "90s"}}"#,
        "nodeMonitor.checkInterval",
        "80s",
        r#"{"nodeMonitor": {"checkInterval": "80s"}}"#,
    ),
    (
        r#"{"alert": {"webhookHeaders": {"X-A": "1"}}}"#,
        "alert.webhookHeaders.X-B",
        "2",
        r#"{"alert": {"webhookHeaders": {"X-A": "1", "X-B": "2"}}}"#,
    ),
];

#[test]
fn yaml_keeps_comments_and_layout() {
    check(Format::Yaml, YAML);
}

const YAML: &[Case] = &[
    (
        "# Top\nlog:\n  # Why\n  level: INFO  # loud\n  format: json\n",
        "log.level",
        "WARN",
        "# Top\nlog:\n  # Why\n  level: WARN  # loud\n  format: json\n",
    ),
    (
        "log:\r\n    level: \"INFO\"\r\n",
        "log.level",
        "WARN",
        "log:\r\n    level: WARN\r\n",
    ),
    (
        "email:\n  to: [a@b.c] # ops\n",
        "email.to",
        "x@y.z,p@q.r",
        "email:\n  to: [x@y.z, p@q.r] # ops\n",
    ),
    (
        "email:\n  to:\n  - a@b.c\n  - d@e.f\n  smtpPort: 25\n",
        "email.to[1]",
        "x@y.z",
        "email:\n  to:\n  - a@b.c\n  - x@y.z\n  smtpPort: 25\n",
    ),
    (
        "email:\n  to:\n    - a@b.c\nlog: {}\n",
        "email.to[1]",
        "x@y.z",
        "email:\n  to:\n    - a@b.c\n    - x@y.z\nlog: {}\n",
    ),
    (
        "log:\n  level: INFO\n\n# Mail\nemail:\n  smtpPort: 25\n",
        "log.format",
        "text",
        "log:\n  level: INFO\n  format: text\n\n# Mail\nemail:\n  smtpPort: 25\n",
    ),
    (
        "log:\n  level: INFO",
        "safety.maxNodes",
        "30%",
        "log:\n  level: INFO\nsafety:\n  maxNodes: 30%\n",
    ),
    (
        "clusterName: a\n",
        "clusterName",
        "yes",
        "clusterName: \"yes\"\n",
    ),
    (
        "clusterName: 'a # b' # c\n",
        "clusterName",
        "x: y",
        "clusterName: \"x: y\" # c\n",
    ),
    ("", "clusterName", "prod", "clusterName: prod\n"),
    (
        "metrics:\n  gpu:\n    query: up\n",
        "metrics.gpu.query",
        "avg(up)",
        "metrics:\n  gpu:\n    query: \"avg(up)\"\n",
    ),
];

#[test]
fn a_layout_that_is_not_understood_is_printed_anew_with_the_right_values() {
    for (text, path, value) in [
        ("log: {level: INFO, format: text}\n", "log.level", "WARN"),
        (
            "metrics:\n  gpu:\n    query: |\n      avg(\n        up)\n",
            "metrics.gpu.query",
            "up",
        ),
        ("email:\n  to:\n    - a@b.c\n", "email.to", "x@y.z"),
        ("? log\n: level: INFO\n", "log.level", "WARN"),
        ("{\"log\": {\"level\": \"INFO\"}}\n", "log.level", "WARN"),
    ] {
        let edited = edit(Format::Yaml, text, path, value).unwrap();
        let again = edit(Format::Yaml, &edited.text, path, value).unwrap();
        assert_eq!(again.text, edited.text, "{text:?}: {edited:?}");
        assert!(
            edited.text.contains(value) && edited.reprinted,
            "{text:?}: {edited:?}"
        );
    }
}

#[test]
fn every_setting_of_the_shipped_file_can_be_set_to_what_it_is() {
    let document: serde_json::Value = serde_json::from_str(SHIPPED).unwrap();
    let mut count = 0;
    for (section, keys) in document.as_object().unwrap() {
        for (key, value) in keys.as_object().unwrap() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let edited = edit(Format::Json, SHIPPED, &format!("{section}.{key}"), &text).unwrap();
            assert_eq!(edited.text, SHIPPED, "{section}.{key}");
            count += 1;
        }
    }
    assert_eq!(count, 40);
}

#[test]
fn what_would_be_wrong_is_refused() {
    for (text, path, value, expected) in REFUSED {
        let said = edit(Format::Json, text, path, value)
            .err()
            .map(|error| error.to_string());
        assert_eq!(said.unwrap_or_default(), expected, "{text} {path} {value}");
    }
}

const REFUSED: [Case; 13] = [
    (
        "{}",
        "email.smtpPort",
        "abc",
        "config.json: email.smtpPort: expected a port number, found \"abc\"",
    ),
    (
        "{}",
        "email.useTLS",
        "maybe",
        "config.json: email.useTLS: expected true or false, found \"maybe\"",
    ),
    (
        "{}",
        "email.to",
        "a@b.c,nobody",
        "config.json: email.to[1]: expected an email address, found \"nobody\"",
    ),
    ("{}", "email.password", "", ""),
    (
        "{}",
        "email.smtpport",
        "25",
        "email.smtpport: unknown key, did you mean \"email.smtpPort\"?",
    ),
    ("{}", "email", "{}", "email: unknown key"),
    ("{}", "namespace", "x", "namespace: unknown key"),
    (
        "{}",
        "email.smtpPort[0]",
        "25",
        "email.smtpPort[0]: unknown key, did you mean \"email.smtpPort\"?",
    ),
    (
        "{}",
        "email.to[1]",
        "a@b.c",
        "email.to[1]: expected an index up to 0, found 1",
    ),
    (
        r#"{"email": 3}"#,
        "email.smtpPort",
        "25",
        "email.smtpPort: expected an object on the way, found a number",
    ),
    (
        "{",
        "email.smtpPort",
        "25",
        "config.json: line 1, column 1: EOF while parsing an object",
    ),
    (
        "[]",
        "email.smtpPort",
        "25",
        "config.json: expected an object, found a list",
    ),
    (
        "{}",
        "slack.webhookUrl",
        "hunter2",
        "config.json: slack.webhookUrl: expected an http or https URL, found a text (not shown: it may be a secret)",
    ),
];

#[test]
fn a_file_with_mistakes_can_be_mended_one_by_one() {
    let edited = edit(
        Format::Json,
        r#"{"log": {"level": "LOUD", "format": "xml"}}"#,
        "log.level",
        "WARN",
    )
    .unwrap();
    assert_eq!(edited.remaining.len(), 1);
    assert_eq!(
        edited.text,
        r#"{"log": {"level": "WARN", "format": "xml"}}"#
    );
}

#[test]
fn secrets_move_out_of_the_file_and_mean_the_same() {
    let text = "{\n  \"email\": {\"password\": \"hunter2\", \"username\": \"\"},\n  \"alert\": {\"webhookUrl\": \"https://hook/x\", \"webhookHeaders\": {\"X-A\": \"1\", \"X-C\": null, \"X-B\": \"2\"}}\n}\n";
    let file = File {
        name: "config.json",
        text,
        format: Format::Json,
    };
    let (public, secrets) =
        ng_config::edit::split_secrets(&file, &std::collections::BTreeMap::new()).unwrap();
    assert_eq!(
        public,
        "{\n  \"email\": {\"password\": \"\", \"username\": \"\"},\n  \"alert\": {\"webhookUrl\": \"\", \"webhookHeaders\": {}}\n}\n"
    );
    let shown: Vec<String> = secrets
        .iter()
        .map(|(name, text)| format!("{name}={}", text.expose()))
        .collect();
    assert_eq!(
        shown,
        [
            "email-password=hunter2",
            "webhook-headers=X-A: 1\nX-B: 2\n",
            "webhook-url=https://hook/x"
        ]
    );
    let before = resolve(&Inputs {
        file: Some(file),
        ..Inputs::default()
    });
    let file = Some(File {
        text: &public,
        ..file
    });
    let after = resolve(&Inputs {
        file,
        secrets: &secrets,
        ..Inputs::default()
    });
    assert_eq!((after.errors, after.warnings), (vec![], vec![]));
    assert_eq!(after.config, before.config);
}
