//! What the built-in words and the facts of a message say.

use std::time::{Duration, Instant};

use ng_config::Language;
use ng_engine::history::Guard;
use ng_engine::plan::{Alert, AlertKind};
use ng_notify::compose::{TemplateChoice, group_fingerprint, node_fingerprint, sample};
use ng_notify::message::NodeFacts;
use serde_json::json;

use crate::{add, at, composed_in, golden, spec, stories, with_spec};

#[test]
fn built_in_words() {
    for (language, file) in [
        (Language::English, "builtin.en.txt"),
        (Language::Chinese, "builtin.zh.txt"),
    ] {
        let mut all = String::new();
        for (story, alerts) in stories() {
            let composed = composed_in(&alerts, TemplateChoice::BuiltIn, language);
            assert_eq!(composed.problems, [], "{story}");
            add(&mut all, story, &composed.message);
        }
        golden(file, &all);
    }
}

#[test]
fn every_guard_is_told_in_both_languages() {
    for language in [Language::English, Language::Chinese] {
        for guard in [
            Guard::Paused,
            Guard::DryRun,
            Guard::Ignored,
            Guard::ControlPlane,
            Guard::MaxNodes {
                limit: 2,
                counted: 3,
            },
        ] {
            let mut alert = sample::alert();
            alert.guard = Some(guard.clone());
            let body = composed_in(&[alert], TemplateChoice::BuiltIn, language)
                .message
                .body;
            assert!(body.contains(guard.word()), "{body}");
        }
    }
}

#[test]
fn no_alerts_are_no_panic() {
    for language in [Language::English, Language::Chinese] {
        let message = composed_in(&[], TemplateChoice::BuiltIn, language).message;
        assert_eq!((message.total, message.nodes.len()), (0, 0));
    }
}

#[test]
fn names_stay_the_same_from_trigger_to_recovery() {
    let trigger = sample::alert();
    let mut recovery = trigger.clone();
    recovery.kind = AlertKind::Recovery;
    recovery.at = at(&trigger, 600);
    recovery.since = trigger.since;
    let of =
        |alerts: &[Alert]| composed_in(alerts, TemplateChoice::BuiltIn, Language::English).message;
    let (first, last) = (of(std::slice::from_ref(&trigger)), of(&[recovery]));
    // In full, since an incident that was opened by a release before this one is closed by these.
    assert_eq!(first.fingerprint, "bea234b31708a81b21e5a297ada5a0a6");
    assert_eq!(first.group, "3dbc57b086c61deb68071d6e258c2e89");
    assert_eq!(first.fingerprint, last.fingerprint);
    assert_eq!(
        first.fingerprint,
        node_fingerprint(Some("prod"), "high-load", "worker-1")
    );
    assert_eq!(
        (&first.group, &first.group),
        (&last.group, &group_fingerprint(Some("prod"), "high-load"))
    );
    assert_ne!(first.id, last.id);
    // Of another action of the same rule.
    let mut other = trigger.clone();
    other.template = "other".to_owned();
    assert_ne!(first.id, of(&[other]).id);
    assert_eq!(first.id, of(std::slice::from_ref(&trigger)).id);
    assert!(
        first
            .id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    );

    let many = of(&sample::alerts(2));
    assert_eq!(many.fingerprint, many.group);
    assert_eq!(many.nodes[0].fingerprint(), first.fingerprint);
    // Names that run together when they are joined are told apart all the same.
    assert_ne!(
        node_fingerprint(None, "ab", "c"),
        node_fingerprint(None, "a", "bc")
    );
    assert_ne!(
        node_fingerprint(Some("x"), "a", "b"),
        node_fingerprint(None, "a", "b")
    );
}

#[test]
fn of_several_alerts_of_a_node_the_newest_counts() {
    let old = sample::alert();
    let mut new = old.clone();
    new.at = at(&old, 600);
    new.repeats = 2;
    new.metrics.insert("cpuLoadRatio".to_owned(), 9.5);
    let mut other = old.clone();
    other.node = "worker-0".to_owned();
    other.since = at(&old, -60);
    for alerts in [
        [old.clone(), new.clone(), other.clone()],
        [new, other, old.clone()],
    ] {
        let message = composed_in(&alerts, TemplateChoice::BuiltIn, Language::English).message;
        let names: Vec<&str> = message.nodes.iter().map(NodeFacts::name).collect();
        assert_eq!((names, message.total), (vec!["worker-0", "worker-1"], 2));
        let load = message.nodes[1].metric("cpuLoadRatio");
        assert!(load.is_some_and(|load| (load - 9.5).abs() < 1e-9));
        assert_eq!((message.at, message.since), (at(&old, 600), at(&old, -60)));
    }
}

#[test]
fn a_thousand_nodes_stay_small_and_quick() {
    let alerts = sample::alerts(1000);
    let spec = spec(json!({
        "subject": "{{triggeredNodes}}",
        "body": "{{total}}: {{triggeredNodes}}\n{{#each nodes}}{{name}} {{metrics.cpuLoadRatio}}\n{{/each}}"
    }));
    let start = Instant::now();
    let composed = with_spec(&alerts, &spec);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let message = composed.message;
    assert_eq!((message.nodes.len(), message.total), (1000, 1000));
    assert!(message.body.contains("and 950 more") && message.body.starts_with("1000: worker-1, "));
    assert!(message.body.len() < 4000, "{}", message.body.len());
    assert!(message.title.chars().count() <= 200);
    for language in [Language::English, Language::Chinese] {
        let message = composed_in(&alerts, TemplateChoice::BuiltIn, language).message;
        assert!(message.title.contains("1000") && message.title.contains("worker-1"));
        assert!(
            message.body.len() < 4000 && message.body.contains("980"),
            "{}",
            message.body
        );
    }
}
