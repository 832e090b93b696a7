//! What templates see, and that none of them loses an alert.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ng_config::Language;
use ng_engine::history::Guard;
use ng_engine::rule::Severity;
use ng_notify::compose::{
    Context, ProblemKind, TemplateChoice, check, compose, sample, wants_top_pods,
};
use serde_json::json;

use crate::{composed_in, spec, texts, with_spec};

/// A text in the three dialects, and what it prints.
const DATA: &[(&str, &str)] = &[
    ("{{ruleName}}|{{ rule_name }}|{{ .ruleName }}", "high-load"),
    ("{{ruleDescription}}", "Workers under high load"),
    ("{{severity}} {{type}}", "warning trigger"),
    ("{{nodeName}} {{node_name}}", "worker-1 worker-1"),
    ("{{ .triggeredNodes }}", "worker-1, worker-2, worker-3"),
    ("{{ triggered_nodes|length }} {{ total }}", "3 3"),
    (
        "{{metrics.cpuLoadRatio}} {{metrics.cpu_load_ratio}}",
        "1.82 1.82",
    ),
    (
        "{{metrics.memoryUtilizationPercent}} {{metrics.memory_utilization}}",
        "93.25 93.25",
    ),
    (
        "{{metrics.disk_utilization}} {{metrics.cpu_utilization}}",
        "71 88.4",
    ),
    (
        "{{#each conditions}}{{metric}} {{operator}} {{value}} for {{duration}}, now {{current}};{{/each}}",
        "cpuLoadRatio > 1.5 for 2m, now 1.82;memoryUtilizationPercent > 90 for 2m, now 93.25;",
    ),
    (
        "{{#each conditions}}{{description}};{{/each}}",
        "cpuLoadRatio > 1.5;memoryUtilizationPercent > 90;",
    ),
    (
        "{% for a in actions %}{{ a.type }}: {{ a.description }};{% endfor %}",
        "taint: taint nodeguardian.io/high-load=true:NoSchedule;alert: alert by log, email;",
    ),
    (
        "{{ range .topPods }}{{ .namespace }}/{{ .name }} {{ .cpu }} {{ .memory }};{{ end }}",
        "shop/search-0 1250m 3072Mi;shop/cache-7f9c5 250m 768Mi;",
    ),
    (
        "{% for p in top_pods %}{{ p.cpu_cores }} {{ p.memory_bytes }};{% endfor %}",
        "1.25 3221225472;0.25 805306368;",
    ),
    (
        "{{timestamp}} {{since}} {{duration elapsed}}",
        "2026-01-02T03:04:05Z 2026-01-02T03:04:05Z 0s",
    ),
    ("{{clusterName}} {{cluster_name}}", "prod prod"),
    ("{{repeats}} {{dryRun}} {{ dry_run }}", "0 false false"),
    (
        "{{#each nodes}}{{name}} {{metrics.cpuLoadRatio}};{{/each}}",
        "worker-1 1.82;worker-2 1.82;worker-3 1.82;",
    ),
    (
        "[{{guard}}{{guardReason}}{{nodes.[1].guard}}]",
        "[maxNodes]",
    ),
    (
        "{{runbook}} {{variables.runbook}} {{variables.nodeName}}",
        "https://runbook.example/x https://runbook.example/x string",
    ),
    ("{{nodeName}}", "worker-1"),
];

#[test]
fn templates_see_the_facts() {
    let mut alerts = sample::alerts(3);
    alerts[1].guard = Some(Guard::MaxNodes {
        limit: 1,
        counted: 1,
    });
    for (text, want) in DATA.iter().copied() {
        // A table row of several spellings: each prints the same.
        let spellings: Vec<&str> = if text.contains('|') && !text.contains("|length") {
            text.split('|').collect()
        } else {
            vec![text]
        };
        for text in spellings {
            let spec = spec(json!({"subject": "s", "body": text, "variables": {
                "runbook": "https://runbook.example/x", "nodeName": "string", "typeOnly": "object"
            }}));
            let composed = with_spec(&alerts, &spec);
            assert_eq!(composed.message.body, want, "{text}");
            assert_eq!(composed.problems, [], "{text}");
        }
    }
}

#[test]
fn a_condition_is_described_by_its_author() {
    let mut alert = sample::alert();
    alert.conditions[0].description = Some("负载过高".to_owned());
    let body = "{{#each conditions}}[{{description}}]{{metric}} {{/each}}";
    let composed = with_spec(&[alert], &spec(json!({"subject": "s", "body": body})));
    assert_eq!(
        composed.message.body,
        "[负载过高]cpuLoadRatio [memoryUtilizationPercent > 90]memoryUtilizationPercent"
    );
}

#[test]
fn both_schemas_say_the_same() {
    let alert = [sample::alert()];
    // Spec, title, summary, body.
    for (value, title, summary, body) in [
        (json!({"subject": "a", "body": "b"}), "a", "a", "b"),
        (json!({"title": "a", "description": "b"}), "a", "a", "b"),
        (
            json!({"title": "a", "summary": "s", "description": "b"}),
            "a",
            "s",
            "b",
        ),
        (
            json!({"subject": "a", "title": "old", "body": "b", "description": "old"}),
            "a",
            "a",
            "b",
        ),
        (
            json!({"subject": "{{nodeName}}\nBcc: x@example.com", "body": "b"}),
            "worker-1 Bcc: x@example.com",
            "worker-1 Bcc: x@example.com",
            "b",
        ),
        (
            json!({"subject": "a", "body": "line\r\nline\u{7}\n\n"}),
            "a",
            "a",
            "line\nline",
        ),
    ] {
        let message = with_spec(&alert, &spec(value.clone())).message;
        assert_eq!(
            (
                message.title.as_str(),
                message.summary.as_str(),
                message.body.as_str()
            ),
            (title, summary, body),
            "{value}"
        );
    }
}

#[test]
fn what_a_template_leaves_out_is_built_in() {
    let alert = [sample::alert()];
    let built_in = composed_in(&alert, TemplateChoice::BuiltIn, Language::English).message;
    let only_title = with_spec(&alert, &spec(json!({"title": "t"}))).message;
    assert_eq!(
        (only_title.title.as_str(), &only_title.body),
        ("t", &built_in.body)
    );
    let only_body = with_spec(&alert, &spec(json!({"body": "b"}))).message;
    assert_eq!(
        (&only_body.title, only_body.body.as_str()),
        (&built_in.title, "b")
    );
    let empty = with_spec(
        &alert,
        &spec(json!({"subject": "{{missing}}", "body": " "})),
    );
    assert_eq!(
        (&empty.message.title, &empty.message.body),
        (&built_in.title, &built_in.body)
    );
    assert_eq!(
        texts(&empty.problems),
        [
            "template t: subject: `missing` has no value",
            "template t: subject: prints nothing",
            "template t: body: prints nothing"
        ]
    );
}

#[test]
fn a_severity_of_its_own_wins() {
    for (word, want, doubts) in [
        ("", Severity::Warning, 0),
        ("critical", Severity::Critical, 0),
        ("Info", Severity::Info, 0),
        ("loud", Severity::Warning, 1),
        ("{{ nosuch 1 }}", Severity::Warning, 1),
    ] {
        let spec = spec(json!({"subject": "{{severity}}", "severity": word}));
        let composed = with_spec(&[sample::alert()], &spec);
        assert_eq!(composed.message.severity, want, "{word}");
        assert_eq!(composed.message.title, want.word(), "{word}");
        assert_eq!(
            composed.problems.len(),
            doubts,
            "{word}: {:?}",
            composed.problems
        );
    }
}

#[test]
fn no_template_loses_an_alert() {
    let alert = [sample::alert()];
    let built_in = composed_in(&alert, TemplateChoice::BuiltIn, Language::English).message;
    let broken = [
        json!({"subject": "{{ nosuch 1 }}", "body": "b"}),
        json!({"subject": "s", "body": "{{#if a}}"}),
        json!({"subject": "s", "body": "{{ .nodeName.x }}"}),
        json!({"title": "s", "description": "{{ end }}"}),
        json!({"subject": "s", "summary": "{% if %}", "body": "b"}),
        json!({"subject": "s", "body": "{{> p}}"}),
        json!({"subject": "s", "body": "x".repeat(1 << 20)}),
        json!({"subject": "s", "body": "{{#if a}}".repeat(5000)}),
        json!({"subject": "s", "body": "{{#each @root.nodes}}".repeat(10) + "x" + &"{{/each}}".repeat(10)}),
        json!({"subject": "s", "body": "{% for a in nodes %}{% for b in nodes %}{% for c in nodes %}{% for d in nodes %}{{ a }}{% endfor %}{% endfor %}{% endfor %}{% endfor %}"}),
        json!({"subject": "s", "body": "{{ ''.__class__ }}|e"}),
    ];
    let alerts = sample::alerts(60);
    for value in broken {
        let spec = spec(value);
        let start = Instant::now();
        let composed = with_spec(&alerts, &spec);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{took:?}");
        let head: String = format!("{spec:?}").chars().take(100).collect();
        assert!(
            composed.message.title.contains("60 nodes triggered"),
            "{head}"
        );
        assert!(
            composed
                .problems
                .iter()
                .any(|problem| problem.kind == ProblemKind::Broken),
            "{head}"
        );
    }
    let missing = composed_in(
        &alert,
        TemplateChoice::Missing { name: "gone" },
        Language::English,
    );
    assert_eq!(missing.message, built_in);
    assert_eq!(
        texts(&missing.problems),
        ["template gone: there is no such template, the built-in texts are used"]
    );
    let choice = TemplateChoice::Unreadable {
        name: "odd",
        reason: "spec: expected an object",
    };
    let unreadable = composed_in(&alert, choice, Language::English);
    assert_eq!(unreadable.message, built_in);
    assert_eq!(unreadable.problems[0].kind, ProblemKind::Broken);
}

#[test]
fn every_mistake_is_told_with_its_field_and_place() {
    let spec = spec(json!({"subject": "{{ nosuch 1 }}", "summary": "ok", "body": "a\n{{#if x}}"}));
    let composed = with_spec(&[sample::alert()], &spec);
    let problems = texts(&composed.problems);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with("template t: subject: line 1, column 1: unknown helper `nosuch`"),
        "{problems:?}"
    );
    assert!(
        problems[1].starts_with("template t: body: line 2, column 1: "),
        "{problems:?}"
    );
}

#[test]
fn two_dialects_are_a_mistake_at_the_check_and_the_first_counts_later() {
    let spec = spec(json!({"subject": "s", "body": "{{ .nodeName }} {% if a %}"}));
    let found = check("t", &spec, []);
    assert_eq!((found.len(), found[0].kind), (1, ProblemKind::Broken));
    assert!(
        found[0].text.contains("Jinja") && found[0].text.contains("Go"),
        "{}",
        found[0]
    );
    let composed = with_spec(&[sample::alert()], &spec);
    assert_eq!(composed.message.body, "worker-1 {% if a %}");
}

#[test]
fn a_check_finds_names_that_are_none() {
    for (body, own, want) in [
        (
            "{{metrics.cpuLoadRatio}} {{ topPods }} {{ actions }}",
            &[][..],
            0,
        ),
        ("x {{metrics.gpuTemperature}}", &[][..], 1),
        ("x {{metrics.gpuTemperature}}", &["gpuTemperature"][..], 0),
        ("x {{nodename}}", &[][..], 1),
    ] {
        let spec = spec(json!({"subject": "s", "body": body}));
        let found = check("t", &spec, own.iter().copied());
        assert_eq!(found.len(), want, "{body}: {found:?}");
        assert!(
            found
                .iter()
                .all(|problem| problem.kind == ProblemKind::Doubtful)
        );
    }
}

#[test]
fn a_word_in_bold_makes_no_html_of_a_body() {
    let body = "Node {{nodeName}} is <b>hot</b>\nline2 a < b";
    let composed = with_spec(
        &[sample::alert()],
        &spec(json!({"subject": "s", "body": body})),
    );
    assert_eq!(
        composed.message.body,
        "Node worker-1 is <b>hot</b>\nline2 a < b"
    );
    assert_eq!(composed.message.html, None);
}

#[test]
fn bodies_in_html_are_escaped_and_have_a_text() {
    let mut alert = sample::alert();
    alert.rule_description = "<script>alert(1)</script> & more".to_owned();
    let html = with_spec(
        std::slice::from_ref(&alert),
        &spec(
            json!({"subject": "{{ruleDescription}}", "body": "<p>{{ruleDescription}}</p><ul>{{#each actions}}<li>{{type}}</li>{{/each}}</ul>"}),
        ),
    );
    assert_eq!(
        html.message.html.as_deref(),
        Some(
            "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; more</p><ul><li>taint</li><li>alert</li></ul>"
        )
    );
    assert_eq!(
        html.message.body,
        "<script>alert(1)</script> & more\n- taint\n- alert"
    );
    assert_eq!(html.message.title, "<script>alert(1)</script> & more");
    let plain = with_spec(
        &[alert],
        &spec(json!({"body": "{{ruleDescription}}, load < 5"})),
    );
    assert_eq!(plain.message.html, None);
    assert_eq!(
        plain.message.body,
        "<script>alert(1)</script> & more, load < 5"
    );
}

#[test]
fn pods_are_wanted_where_a_text_shows_them() {
    for (value, want) in [
        (json!({"subject": "s", "body": "{{nodeName}}"}), false),
        (
            json!({"subject": "s", "body": "{{#each topPods}}{{name}}{{/each}}"}),
            true,
        ),
        (
            json!({"subject": "s", "description": "{% for p in top_pods %}{{ p.name }}{% endfor %}"}),
            true,
        ),
        (json!({"subject": "{{ (index .topPods 0).name }}"}), true),
        (
            json!({"subject": "s", "body": "{{#each nodes}}{{#each topPods}}{{name}}{{/each}}{{/each}}"}),
            true,
        ),
        (json!({"subject": "s", "body": "{{#each topPods}"}), false),
        (json!({"subject": "topPods", "body": "no tags"}), false),
    ] {
        let spec = spec(value.clone());
        assert_eq!(
            wants_top_pods(TemplateChoice::Found {
                name: "t",
                spec: &spec
            }),
            want,
            "{value}"
        );
    }
    assert!(!wants_top_pods(TemplateChoice::BuiltIn));
}

#[test]
fn without_pods_the_rest_is_there() {
    let alerts = [sample::alert()];
    let context = Context {
        cluster: None,
        now: alerts[0].at,
        language: Language::English,
        top_pods: &BTreeMap::new(),
    };
    let spec = spec(
        json!({"subject": "s", "body": "{{clusterName}}[{{#each topPods}}{{name}}{{else}}none{{/each}}]"}),
    );
    let composed = compose(
        &alerts,
        TemplateChoice::Found {
            name: "t",
            spec: &spec,
        },
        &context,
    );
    assert_eq!(composed.message.body, "[none]");
    assert_eq!(composed.problems, []);
}
