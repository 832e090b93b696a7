//! Inputs nobody wants: each command ends with a message and an exit status, and leaves files as they were.

use std::fmt::Write as _;

use crate::support::{Desk, applied};

/// Name, content, and a part of what is said about it; empty where the content is good.
fn inputs() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let nested = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat();
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            "large.json",
            format!("{{\"clusterName\": \"{}\"}}", "x".repeat(10 << 20)).into_bytes(),
            "larger than 1 MiB",
        ),
        (
            "deep.json",
            nested("[", "]").into_bytes(),
            "recursion limit",
        ),
        (
            "deep-objects.json",
            nested("{\"a\":", "}").into_bytes(),
            "recursion limit",
        ),
        (
            "deep.yaml",
            nested("[", "]").into_bytes(),
            "recursion limit",
        ),
        (
            "deep-items.yaml",
            "- ".repeat(100_000).into_bytes(),
            "recursion limit",
        ),
        (
            "deep-keys.yaml",
            "? ".repeat(100_000).into_bytes(),
            "recursion limit",
        ),
        ("bomb.yaml", bomb().into_bytes(), "config"),
        (
            "mark.json",
            text("\u{feff}{\"log\": {\"level\": \"INFO\"}}"),
            "",
        ),
        (
            "crlf.json",
            text("{\r\n  \"log\": {\r\n    \"level\": \"INFO\"\r\n  }\r\n}\r\n"),
            "",
        ),
        ("crlf.yaml", text("log:\r\n  level: INFO\r\n"), ""),
        (
            "twice.json",
            text("{\"log\": {\"level\": \"LOUD\", \"level\": \"INFO\"}}"),
            "",
        ),
        (
            "binary.json",
            vec![0x7f, b'E', b'L', b'F', 0, 0xff, 0xfe],
            "not UTF-8",
        ),
        ("nul.json", vec![0; 64], "column 1"),
        ("empty.json", Vec::new(), "EOF"),
        ("number.json", text("1"), "expected an object"),
        (
            "surrogate.json",
            text("{\"clusterName\": \"\\ud800\"}"),
            "line 1",
        ),
        (
            "huge-number.json",
            text("{\"email\": {\"smtpPort\": 1e999}}"),
            "out of range",
        ),
    ]
}

/// Aliases that would grow to gigabytes.
fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let items = vec![before; 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{items}]").unwrap();
    }
    text
}

#[test]
fn hostile_files_are_refused_in_words() {
    let desk = Desk::new();
    for (name, content, said) in inputs() {
        desk.put(name, &content);
        let validate = desk.call(&["validate", "--config", name]);
        let set = desk.call(&["set", "-c", name, "-s", "log", "-k", "level", "-v", "WARN"]);
        let lint = desk.call(&["lint", name]);
        let k8s = desk.call(&["k8s", "-c", name]);
        if said.is_empty() {
            assert_eq!(validate.status, Some(0), "{name}: {validate:?}");
            assert_eq!(set.status, Some(0), "{name}: {set:?}");
            assert_eq!(k8s.status, Some(0), "{name}: {k8s:?}");
            let changed = std::fs::read(desk.path(name)).unwrap();
            let lengths = (changed.len(), content.len());
            assert_eq!(
                lengths.0, lengths.1,
                "{name}: one word became another of the same length"
            );
            let again = desk.call(&["get", "-c", name, "-k", "log.level"]);
            assert_eq!(again.stdout, "WARN\n", "{name}: {again:?}");
            continue;
        }
        for outcome in [&validate, &set, &lint, &k8s] {
            assert_eq!(outcome.status, Some(1), "{name}: {outcome:?}");
            assert!(
                outcome.stdout.len() + outcome.stderr.len() < 10_000,
                "{name}: {outcome:?}"
            );
            assert!(!outcome.stderr.contains("panicked"), "{name}: {outcome:?}");
        }
        let all = format!("{}{}", validate.stdout, validate.stderr);
        assert!(all.contains(said) || name == "bomb.yaml", "{name}: {all}");
        assert_eq!(
            std::fs::read(desk.path(name)).unwrap(),
            content,
            "{name} is left as it was"
        );
    }
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    let desk = Desk::new();
    desk.put("c.json", "{}");
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(desk.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = names();
    for arguments in [
        &["init", "--output", "no/such/folder.json"][..],
        &["init", "--output", "state", "--force"],
        &["init", "--output", "c.json/x", "--force"],
        &["k8s", "-c", "c.json", "-o", "no/such/folder.yaml"],
        &["k8s", "-c", "c.json", "-o", "state"],
        &["set", "-c", "state", "-k", "clusterName", "-v", "x"],
        &["validate", "--config", "missing.json"],
        &["k8s", "-c", "c.json", "-s", "missing"],
        &["lint", "no/such/folder"],
    ] {
        let outcome = desk.call(arguments);
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (Some(1), ""),
            "{arguments:?}: {outcome:?}"
        );
        assert!(
            outcome.stderr.starts_with("config-loader: "),
            "{arguments:?}: {outcome:?}"
        );
    }
    assert_eq!(names(), before);
    assert_eq!(desk.text("c.json"), "{}");
}

#[test]
fn hostile_contexts_end_in_words() {
    let desk = Desk::new();
    for data in [
        serde_json::json!({"config.json": "[".repeat(100_000)}),
        serde_json::json!({"config.json": "{\"clusterName\": \"\u{0}\"}", "config.yaml": "\u{feff}"}),
        serde_json::json!({"config.yaml": bomb()}),
    ] {
        let run = desk.run(&applied(&data), "2026-01-02T00:00:00Z");
        assert_eq!(run.outcome.status, Some(0), "{:?}", run.outcome.stderr);
        assert!(run.gauge("nodeguardian_config_valid").is_some());
    }
    desk.put(
        "contexts.json",
        "[{\"binding\": \"config\", \"type\": \"Event\", \"object\": {\"data\": 3}}]",
    );
    let path = desk.path("contexts.json").display().to_string();
    let broken = desk.call_with(&[], &[("BINDING_CONTEXT_PATH", &path)], "");
    assert_eq!(broken.status, Some(1), "{broken:?}");
    assert!(broken.stderr.contains("contexts.json"), "{broken:?}");
}
