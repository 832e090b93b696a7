//! The direct call and `test`: what is sent, and what they say.

use serde_json::json;

use crate::support::Desk;
use crate::support::receiver::{Answer, Receiver};
use crate::{RULE, call};

/// Arguments, exit status, parts of stdout, and the number of warnings and errors.
const CALLS: &[([&str; 4], i32, &[&str], usize)] = &[
    (
        ["", RULE, r#"["n1"]"#, r#"["log"]"#],
        0,
        &[
            "hot: n1 triggered",
            "\"severity\":\"critical\"",
            "Hot nodes",
        ],
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
    // What cannot be read of a rule does not keep its alert.
    (
        [
            "",
            r#"{"metadata": {"name": "odd"}, "spec": {"metadata": {"description": "Odd one", "severity": "critical"}, "conditions": 5}}"#,
            r#"["n1"]"#,
            r#"["log"]"#,
        ],
        0,
        &["odd: n1 triggered", "Odd one", "\"severity\":\"critical\""],
        1,
    ),
    // What is said beside metadata and spec counts where these do not say it.
    (
        [
            "",
            r#"{"name": "high", "severity": "Critical", "description": "dd"}"#,
            r#"["n1"]"#,
            r#"["log"]"#,
        ],
        0,
        &["high: n1 triggered", "dd", "\"severity\":\"critical\""],
        0,
    ),
    (
        [
            "",
            r#"{"ruleName": "high", "ruleDescription": "the rule", "description": "the message"}"#,
            r#"["n1"]"#,
            r#"["log"]"#,
        ],
        0,
        &["high: n1 triggered", "the rule", "\"severity\":\"warning\""],
        0,
    ),
    (
        [
            "",
            r#"{"ruleName": "other", "severity": "info", "description": "other",
                "metadata": {"name": "hot"}, "spec": {"metadata": {"description": "own", "severity": "critical"}}}"#,
            r#"["n1"]"#,
            r#"["log"]"#,
        ],
        0,
        &["hot: n1 triggered", "own", "\"severity\":\"critical\""],
        0,
    ),
    // Name, severity, description and duration.
    (
        [
            "",
            r#"{"name": 5, "severity": "huge", "description": {}, "conditions": [
                {"metric": "cpuLoadRatio", "operator": ">", "value": 1, "duration": "soon"}]}"#,
            r#"["n1"]"#,
            r#"["log"]"#,
        ],
        0,
        &["unknown: n1 triggered", "\"severity\":\"warning\""],
        4,
    ),
    (
        [
            "",
            RULE,
            r#"[{"name": "n1", "metrics": {"cpuLoadRatio": "3.5", "a": null}}]"#,
            r#"["log"]"#,
        ],
        0,
        &["cpuLoadRatio > 1.5: 3.5"],
        0,
    ),
    (
        [
            "",
            RULE,
            r#"[{"name": "n1", "metrics": {"cpuLoadRatio": "high", "a": "inf", "b": 1}}, {"name": "n2", "metrics": [1]}]"#,
            r#"["log"]"#,
        ],
        0,
        &["n1, n2"],
        3,
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
];

#[test]
fn a_direct_call_writes_to_the_log_and_touches_nothing_else() {
    let desk = Desk::new("");
    for (arguments, status, parts, complaints) in CALLS.iter().copied() {
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
fn conditions_of_a_direct_call_are_told_in_the_words_of_the_rule() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    let rule = r#"{"name": "hot", "conditions": [
        {"metric": "cpuLoadRatio", "operator": ">", "value": 1.5, "description": "too hot"},
        {"metric": "cpuLoadRatio", "operator": ">", "value": 1}]}"#;
    let done = call(&desk, &["", rule, r#"["n1"]"#, r#"["webhook"]"#], &[]);
    assert_eq!(done.status, Some(0), "{done:?}");
    let requests = receiver.requests();
    let conditions = &requests[0].body["nodes"][0]["conditions"];
    assert_eq!(conditions[0]["description"], "too hot", "{conditions}");
    assert_eq!(conditions[1].get("description"), None, "{conditions}");
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

#[test]
fn a_direct_call_is_a_dry_run_where_its_rule_or_every_rule_is_one() {
    let good = Receiver::good();
    let desk = Desk::new(good.url());
    let dry = r#"{"metadata": {"name": "hot"}, "spec": {"metadata": {"dryRun": true}}}"#;
    for (every, rule, expected) in [(false, RULE, false), (false, dry, true), (true, RULE, true)] {
        desk.configure(good.url(), &json!({"safety": {"dryRun": every}}));
        let done = call(&desk, &["", rule, r#"["n1"]"#, r#"["webhook"]"#], &[]);
        assert_eq!(done.status, Some(0), "{done:?}");
        let requests = good.requests();
        let body = &requests.last().expect("a request").body;
        assert_eq!(body["dryRun"], json!(expected), "{every} {rule}: {body}");
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
