//! `PagerDuty`'s Events API.
//!
//! A message is one event for each of its nodes, whatever their number: nodes recover one by one, and an incident of
//! several nodes could not be resolved by one of them. The key of an event is the node's fingerprint, so that the
//! recovery resolves what the trigger opened, and a repeat adds to it.

use std::time::Duration;

use ng_engine::plan::AlertKind;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::channel::webhook;
use crate::http::{Answer, Request};
use crate::message::{Message, NodeFacts, Outcome};
use crate::receiver::Integration;
use crate::text::{Form, body, bytes, characters, json_bytes, line, plain};
use crate::words::{PRODUCT, TEST_NOTICE, kind, marked};

const SUMMARY: Form = Form {
    limit: 1024,
    measure: characters,
    escape: plain,
};
/// An event may have 512 KB. A text this long is read by nobody.
const DETAILS: Form = Form {
    limit: 20_000,
    measure: json_bytes,
    escape: plain,
};
/// The text of a message stands in every of its events; of many nodes it is shortened.
const DETAILS_OF_MANY: usize = 1000;
const MANY: usize = 10;
/// The documentation advises minutes.
const FLOOD_WAIT: Duration = Duration::from_mins(2);

/// What stands in every event of a message, made once for all of them.
pub(crate) struct Texts {
    title: String,
    summary: String,
    description: String,
    rule_description: String,
}

impl Texts {
    pub(crate) fn of(message: &Message) -> Self {
        let limit = if message.nodes.len() > MANY {
            DETAILS_OF_MANY
        } else {
            DETAILS.limit
        };
        Self {
            title: line(&message.title, SUMMARY),
            summary: line(&message.summary, SUMMARY),
            description: body(message, DETAILS.within(limit)),
            rule_description: line(&message.rule_description, SUMMARY),
        }
    }
}

/// The event of one node; `None`: of a message that names none.
pub(crate) fn request(
    integration: &Integration,
    message: &Message,
    texts: &Texts,
    node: Option<&NodeFacts>,
) -> Request {
    let resolves = message.kind == AlertKind::Recovery;
    let fingerprint = node.map_or(message.fingerprint.as_str(), NodeFacts::fingerprint);
    let key = Form {
        limit: 255,
        measure: bytes,
        ..SUMMARY
    };
    let event = Event {
        routing_key: integration.routing_key.expose(),
        action: if resolves { "resolve" } else { "trigger" },
        dedup_key: line(fingerprint, key),
        client: (!resolves).then_some(PRODUCT),
        payload: (!resolves).then(|| Payload::of(message, texts, node)),
    };
    Request::json(integration.url.expose(), &event)
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    #[serde(rename = "event_action")]
    action: &'static str,
    dedup_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
}

#[derive(Serialize)]
struct Payload<'a> {
    summary: String,
    source: &'a str,
    severity: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    class: &'a str,
    custom_details: Details<'a>,
}

impl<'a> Payload<'a> {
    fn of(message: &'a Message, texts: &'a Texts, node: Option<&'a NodeFacts>) -> Self {
        let name = node.map(NodeFacts::name);
        let summary = match name {
            Some(name) if !texts.title.contains(name) => format!("{name}: {}", texts.title),
            _ => texts.title.clone(),
        };
        Self {
            summary: line(&marked(message, &summary), SUMMARY),
            source: name.or(message.cluster.as_deref()).unwrap_or(PRODUCT),
            severity: message.severity.word(),
            timestamp: message.at.to_string(),
            component: name,
            group: message.cluster.as_deref(),
            class: &message.rule,
            custom_details: Details {
                r#type: kind(message.kind),
                rule: &message.rule,
                rule_description: &texts.rule_description,
                summary: &texts.summary,
                description: &texts.description,
                since: node.map_or(message.since, |node| node.since).to_string(),
                dry_run: message.dry_run,
                test: message.test.then_some(TEST_NOTICE),
                node: node.map(webhook::facts),
            },
        }
    }
}

#[derive(Serialize)]
struct Details<'a> {
    r#type: &'static str,
    rule: &'a str,
    rule_description: &'a str,
    summary: &'a str,
    description: &'a str,
    since: String,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Box<RawValue>>,
}

/// The status decides.
pub(crate) fn verdict(answer: &Answer) -> Outcome {
    match answer.by_status() {
        Outcome::Retry { reason, after } if answer.status == 429 => Outcome::Retry {
            reason,
            after: Some(after.unwrap_or(FLOOD_WAIT)),
        },
        other => other,
    }
}
