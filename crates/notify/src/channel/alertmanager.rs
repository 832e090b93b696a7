//! Alertmanager's API v2: its own routes, silences and notifications work on our alerts.
//!
//! Every node of a message is one alert. Identity is the set of labels, so it holds only what stays the same from
//! trigger to recovery: `alertname` (the rule), `node`, `severity`, `cluster` where one is configured,
//! `source="nodeguardian"`, and `test="true"` of a test. Texts and values are annotations.
//!
//! The severity is the rule's own: a template may give the recovery another one, and an alert of other labels would
//! end nothing. A firing alert ends by itself a day after it was told last, in case its recovery is lost or the
//! rule's severity is edited in between; every repeat extends it.

use std::borrow::Cow;
use std::time::Duration;

use ng_config::HttpUrl;
use ng_engine::plan::AlertKind;
use ng_engine::time::Time;
use serde::Serialize;

use crate::http::{Answer, Request};
use crate::message::{Message, NodeFacts, Outcome};
use crate::text::{Form, body, characters, line, one_line, plain};
use crate::words::{PRODUCT, TEST_NOTICE, kind, marked};

/// How long a firing alert lasts without a word: longer than any sensible cooldown.
const LASTS: Duration = Duration::from_hours(24);
/// How long a test lasts; nobody ends it.
const TEST_LASTS: Duration = Duration::from_mins(5);

const SUMMARY: Form = Form {
    limit: 1000,
    measure: characters,
    escape: plain,
};
/// The text stands in every alert of the array; of many nodes it is shortened, so that the array stays small.
const DESCRIPTION: usize = 4000;
const DESCRIPTION_OF_MANY: usize = 400;
const MANY: usize = 10;

/// All nodes of the message in one array.
pub(crate) fn request(url: &HttpUrl, message: &Message) -> Request {
    let base = url.expose().trim_end_matches('/');
    let limit = if message.nodes.len() > MANY {
        DESCRIPTION_OF_MANY
    } else {
        DESCRIPTION
    };
    let texts = Texts {
        summary: line(&marked(message, &message.title), SUMMARY),
        description: body(message, SUMMARY.within(limit)),
    };
    let alerts: Vec<_> = if message.nodes.is_empty() {
        vec![Alert::of(message, None, &texts)]
    } else {
        let nodes = message.nodes.iter();
        nodes
            .map(|node| Alert::of(message, Some(node), &texts))
            .collect()
    };
    Request::json(&format!("{base}/api/v2/alerts"), &alerts)
}

/// What all alerts of a message say.
struct Texts {
    summary: String,
    description: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: Labels<'a>,
    annotations: Annotations<'a>,
    starts_at: String,
    ends_at: String,
}

#[derive(Serialize)]
struct Labels<'a> {
    alertname: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    severity: &'static str,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<&'static str>,
}

#[derive(Serialize)]
struct Annotations<'a> {
    summary: &'a str,
    description: &'a str,
    r#type: &'static str,
    fingerprint: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    conditions: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<String>,
    #[serde(rename = "dryRun", skip_serializing_if = "Option::is_none")]
    dry_run: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

impl<'a> Alert<'a> {
    fn of(message: &'a Message, node: Option<&'a NodeFacts>, texts: &'a Texts) -> Self {
        let since = node.map_or(message.since, |node| node.since);
        Self {
            labels: Labels {
                alertname: one_line(&message.rule),
                cluster: message.cluster.as_deref().map(one_line),
                node: node.map(NodeFacts::name),
                severity: message.rule_severity.word(),
                source: PRODUCT,
                test: message.test.then_some("true"),
            },
            annotations: Annotations::of(message, node, texts),
            starts_at: since.min(message.at).to_string(),
            ends_at: ends_at(message).to_string(),
        }
    }
}

impl<'a> Annotations<'a> {
    fn of(message: &'a Message, node: Option<&'a NodeFacts>, texts: &'a Texts) -> Self {
        let conditions = node.into_iter().flat_map(NodeFacts::conditions);
        let seen: Vec<&str> = conditions.map(|(input, _)| input.test.as_str()).collect();
        let repeats = node.map_or(0, |node| node.repeats);
        let guard = node.and_then(|node| node.guard());
        Self {
            summary: &texts.summary,
            description: &texts.description,
            r#type: kind(message.kind),
            fingerprint: node.map_or(&message.fingerprint, NodeFacts::fingerprint),
            conditions: seen.join("; "),
            repeats: (repeats > 0).then(|| repeats.to_string()),
            guard: guard.map(|guard| format!("{}: {guard}", guard.word())),
            dry_run: message.dry_run.then_some("true"),
            notice: message.test.then_some(TEST_NOTICE),
        }
    }
}

/// When the alert ends: at the recovery, or late enough for the next repeat.
fn ends_at(message: &Message) -> Time {
    match message.kind {
        AlertKind::Recovery => message.at,
        AlertKind::Trigger | AlertKind::Repeat if message.test => message.at.plus(TEST_LASTS),
        AlertKind::Trigger | AlertKind::Repeat => message.at.plus(LASTS),
    }
}

/// The status decides. After a 400 the valid alerts of the array are stored and only the others are named: sending
/// all of them again would not change that.
pub(crate) fn verdict(answer: &Answer) -> Outcome {
    answer.by_status()
}
