//! `preview`: everything that would go out, and nothing that must not be seen.

use std::path::Path;

use crate::call;
use crate::support::Desk;
use crate::support::receiver::Receiver;

fn shipped(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    root.join(path).display().to_string()
}

/// Arguments with files in braces, exit status, and parts of stdout.
const PREVIEWS: &[(&[&str], i32, &[&str])] = &[
    (
        &["--template", "{en}"],
        0,
        &["# node-alert\n", "# node-mail\n", "HTML:\n<h2>"],
    ),
    (
        &[
            "--template",
            "{en}",
            "--name",
            "node-alert",
            "--nodes",
            "120",
        ],
        0,
        &[
            "Title: high-load: 120 nodes, first worker-1 triggered",
            "and 70 more",
        ],
    ),
    (
        &[
            "--template",
            "{zh}",
            "--name",
            "node-alert",
            "--kind",
            "recovery",
        ],
        0,
        &["已恢复", "持续 30m"],
    ),
    (
        &[
            "--template",
            "{examples}",
            "--rule",
            "{rule}",
            "--name",
            "disk-space-alert",
        ],
        0,
        &["Title: [warning] worker-1: disk is 71 % full"],
    ),
    (
        &[
            "--template",
            "{en}",
            "--name",
            "node-alert",
            "--channel",
            "webhook",
        ],
        0,
        &["POST http://", "\"triggeredNodes\"", "***"],
    ),
    (
        &[
            "--template",
            "{en}",
            "--name",
            "node-alert",
            "--channel",
            "slack",
        ],
        0,
        &["POST https://hooks.slack.com/", "\"text\""],
    ),
    (
        &[
            "--template",
            "{en}",
            "--name",
            "node-mail",
            "--channel",
            "telegram",
        ],
        0,
        &["POST "],
    ),
    (
        &[
            "--template",
            "{en}",
            "--name",
            "node-mail",
            "--channel",
            "email",
        ],
        0,
        &["Subject: ", "worker-1"],
    ),
    (
        &[
            "--template",
            "{en}",
            "--name",
            "node-alert",
            "--channel",
            "log",
        ],
        0,
        &["warning: high-load: worker-1 triggered"],
    ),
    (
        &[
            "--template",
            "{folder}/bare.json",
            "--rule",
            "{folder}/bare-rule.yaml",
        ],
        0,
        &["Title: unknown!"],
    ),
    (
        &["--template", "{folder}/broken.yaml"],
        1,
        &["high-load: worker-1 triggered"],
    ),
    (&["--template", "{en}", "--channel", "pigeon"], 2, &[]),
    (&["--template", "{en}", "--name", "nope"], 2, &[]),
    (&["--template", "{folder}/rule-only.yaml"], 2, &[]),
    (&["--template", "{folder}/mistake.yaml"], 2, &[]),
    (&["--template", "/nowhere"], 2, &[]),
    (&["--template", "{en}", "--rule", "{en}"], 2, &[]),
    (&["--template", "{en}", "--nodes", "0"], 2, &[]),
];

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
    desk.put(
        "bare.json",
        r#"{"title": "{{.ruleName}}!", "description": "x"}"#,
    );
    desk.put(
        "bare-rule.yaml",
        "metadata: {description: Bare}\nconditions: []\n",
    );
    let files = |text: &str| {
        text.replace("{en}", &shipped("templates/en.yaml"))
            .replace("{zh}", &shipped("templates/zh.yaml"))
            .replace("{examples}", &shipped("examples/alert-templates.yaml"))
            .replace("{rule}", &shipped("examples/disk-space-alert.yaml"))
            .replace("{folder}", &desk.path("").display().to_string())
    };
    for (arguments, status, parts) in PREVIEWS.iter().copied() {
        let arguments: Vec<String> = arguments.iter().map(|text| files(text)).collect();
        let mut all = vec!["preview"];
        all.extend(arguments.iter().map(String::as_str));
        let done = call(&desk, &all, &[]);
        assert_eq!(done.status, Some(status), "{arguments:?}: {done:?}");
        for part in parts {
            assert!(
                done.stdout.contains(part),
                "{arguments:?}: {part:?} in {}",
                done.stdout
            );
        }
        assert_eq!(done.stdout.is_empty(), status == 2, "{all:?}: {done:?}");
        // A channel that is not configured is shown with made-up settings, which is said.
        let made_up = all.contains(&"telegram") || all.contains(&"email");
        let silent = status == 0 && !made_up;
        assert_eq!(done.stderr.is_empty(), silent, "{all:?}: {done:?}");
        let said = format!("{}{}", done.stdout, done.stderr);
        for secret in ["token-in-the-path", "XXXXXXXXXXXX", "T00000000"] {
            assert!(!said.contains(secret), "{arguments:?}: {said}");
        }
    }
    assert_eq!(receiver.got(), [""; 0]);
    assert!(!desk.path("state/state.db").exists());
}
