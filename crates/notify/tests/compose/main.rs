//! Alerts into messages, as tables and golden files.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

mod builtin;
mod shipped;
mod templates;

use std::fmt::Write as _;
use std::path::Path;

use ng_config::Language;
use ng_engine::history::Guard;
use ng_engine::plan::{Alert, AlertKind, Seen};
use ng_engine::rule::Severity;
use ng_engine::spec::TemplateSpec;
use ng_engine::time::Time;
use ng_notify::compose::{Composed, Context, Problem, TemplateChoice, compose, sample};
use ng_notify::message::Message;

fn composed_in(alerts: &[Alert], template: TemplateChoice<'_>, language: Language) -> Composed {
    let top_pods = sample::top_pods(alerts);
    let context = Context {
        cluster: Some("prod"),
        now: alerts
            .first()
            .map_or(Time::from_millis(0), |alert| alert.at),
        language,
        top_pods: &top_pods,
    };
    compose(alerts, template, &context)
}

fn with_spec(alerts: &[Alert], spec: &TemplateSpec) -> Composed {
    composed_in(
        alerts,
        TemplateChoice::Found { name: "t", spec },
        Language::English,
    )
}

fn spec(value: serde_json::Value) -> TemplateSpec {
    serde_json::from_value(value).unwrap()
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn at(alert: &Alert, seconds: i64) -> Time {
    Time::from_millis(alert.at.millis() + seconds * 1000)
}

/// Compares with a golden file; with `UPDATE_GOLDEN` set in the environment of the build it is written anew.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/compose")
        .join(name);
    if option_env!("UPDATE_GOLDEN").is_some() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test writes its own expectation"
        )]
        std::fs::write(&path, text).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, want, "{}", path.display());
}

/// Adds the words of a message under a heading.
fn add(text: &mut String, heading: &str, message: &Message) {
    let (title, summary, body) = (&message.title, &message.summary, &message.body);
    let _ = write!(
        text,
        "# {heading}\ntitle: {title}\nsummary: {summary}\n----\n{body}\n====\n"
    );
}

/// The stories that built-in words have to tell.
fn stories() -> Vec<(&'static str, Vec<Alert>)> {
    let first = sample::alert();
    let with = |change: fn(&mut Alert)| {
        let mut alert = first.clone();
        change(&mut alert);
        vec![alert]
    };
    let mut guarded = sample::alerts(3);
    guarded[1].guard = Some(Guard::MaxNodes {
        limit: 1,
        counted: 1,
    });
    guarded[2].guard = Some(Guard::MaxNodes {
        limit: 1,
        counted: 1,
    });
    vec![
        ("trigger", vec![first.clone()]),
        (
            "repeat",
            with(|alert| {
                alert.kind = AlertKind::Repeat;
                alert.repeats = 3;
                alert.at = at(alert, 1810);
            }),
        ),
        (
            "recovery",
            with(|alert| {
                alert.kind = AlertKind::Recovery;
                alert.at = at(alert, 5400);
                alert.conditions[0].seen = Seen::Unknown("no sample".to_owned());
                alert.actions.clear();
            }),
        ),
        (
            "dry run, held back",
            with(|alert| {
                alert.dry_run = true;
                alert.guard = Some(Guard::DryRun);
                alert.severity = Severity::Critical;
            }),
        ),
        (
            "node condition",
            with(|alert| {
                alert.rule_description.clear();
                alert.conditions.truncate(1);
                "Ready is False or Unknown".clone_into(&mut alert.conditions[0].test);
                alert.conditions[0].seen = Seen::Status("Unknown".to_owned());
            }),
        ),
        ("three nodes, two held back", guarded),
        ("many nodes", sample::alerts(25)),
    ]
}
