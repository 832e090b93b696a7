//! Any HTTP service: every fact of the message as JSON.
//!
//! The keys of the old system come first and keep their meaning: `title`, `summary`, `description`, `severity`,
//! `ruleName`, `ruleDescription`, `triggeredNodes`, `timestamp`.

use std::sync::Arc;

use ng_engine::history::Guard;
use ng_engine::plan::{ActionNote, Seen, Verdict};
use ng_engine::time::Time;
use serde::{Serialize, Serializer};

use crate::http::Request;
use crate::message::{Message, Metrics, NodeFacts};
use crate::receiver::Webhook;
use crate::sign;
use crate::words::{kind, marked};

/// The name of the header with a signature in GitHub's form.
const GITHUB_SIGNATURE: &str = "x-hub-signature-256";

/// The request, with the signature that the secret's form asks for.
///
/// A secret that is a key of Standard Webhooks (`whsec_` and base64) signs in that form, any other in GitHub's.
/// `webhook-id` stays the same when the message is sent again.
pub(crate) fn request(webhook: &Webhook, message: &Message, now: Time) -> Request {
    let mut request = Request::json_of(webhook.url.expose(), &Body::of(message), room(message));
    for (name, value) in &webhook.headers {
        request.set(name.as_str(), value.expose());
    }
    request.set("webhook-id", &message.id);
    let Some(secret) = &webhook.secret else {
        return request;
    };
    if let Some(key) = sign::standard_key(secret.expose()) {
        let seconds = now.millis().div_euclid(1000);
        let signature = sign::standard(&key, &message.id, seconds, &request.body);
        request.set("webhook-timestamp", &seconds.to_string());
        request.set("webhook-signature", &signature);
    } else {
        let signature = sign::github(secret.expose(), &request.body);
        request.set(GITHUB_SIGNATURE, &signature);
    }
    request
}

/// About how long the body becomes, so that it need not be moved while it grows.
fn room(message: &Message) -> usize {
    const OF_NODE: usize = 512;
    message.body.len() + OF_NODE * (2 + message.nodes.len())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    title: String,
    summary: String,
    description: &'a str,
    severity: &'static str,
    rule_name: &'a str,
    rule_description: &'a str,
    triggered_nodes: Vec<&'a str>,
    #[serde(serialize_with = "shown")]
    timestamp: Time,
    r#type: &'static str,
    fingerprint: &'a str,
    group_key: &'a str,
    cluster_name: &'a str,
    dry_run: bool,
    test: bool,
    #[serde(serialize_with = "shown")]
    since: Time,
    total: usize,
    nodes: Nodes<'a>,
}

impl<'a> Body<'a> {
    fn of(message: &'a Message) -> Self {
        Self {
            title: marked(message, &message.title),
            summary: marked(message, &message.summary),
            description: &message.body,
            severity: message.severity.word(),
            rule_name: &message.rule,
            rule_description: &message.rule_description,
            triggered_nodes: message
                .nodes
                .iter()
                .map(|node| node.name.as_str())
                .collect(),
            timestamp: message.at,
            r#type: kind(message.kind),
            fingerprint: &message.fingerprint,
            group_key: &message.group,
            cluster_name: message.cluster.as_deref().unwrap_or_default(),
            dry_run: message.dry_run,
            test: message.test,
            since: message.since,
            total: message.total,
            nodes: Nodes(&message.nodes),
        }
    }
}

/// Nodes that are put into form one after another: a thousand at once are half a megabyte.
struct Nodes<'a>(&'a [NodeFacts]);

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut times = Times::default();
        serializer.collect_seq(self.0.iter().map(|node| Node::of(node, &mut times)))
    }
}

/// A node's facts; also what `PagerDuty` gets as details.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node<'a> {
    name: &'a str,
    fingerprint: &'a str,
    #[serde(serialize_with = "text")]
    since: Arc<str>,
    repeats: u32,
    guard: Option<Held>,
    metrics: &'a Metrics,
    conditions: Vec<Condition<'a>>,
    actions: &'a [ActionNote],
    top_pods: Vec<Pod<'a>>,
    /// The key of an alert without a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> Node<'a> {
    pub(super) fn of(node: &'a NodeFacts, times: &mut Times) -> Self {
        Self {
            name: &node.name,
            fingerprint: &node.fingerprint,
            since: times.shown(node.since),
            repeats: node.repeats,
            guard: node.guard.as_ref().map(Held::of),
            metrics: &node.metrics,
            conditions: node.conditions.iter().map(Condition::of).collect(),
            actions: &node.actions,
            top_pods: node
                .top_pods
                .iter()
                .map(|pod| Pod {
                    name: &pod.name,
                    namespace: &pod.namespace,
                    cpu: pod.cpu,
                    memory: pod.memory,
                })
                .collect(),
            key: node.notice.as_ref().map(|notice| notice.key.as_str()),
        }
    }
}

/// What holds disruptive actions back.
#[derive(Serialize)]
struct Held {
    name: &'static str,
    reason: String,
}

impl Held {
    fn of(guard: &Guard) -> Self {
        Self {
            name: guard.word(),
            reason: guard.to_string(),
        }
    }
}

/// A condition as it was seen: exactly one of `value`, `status` and `unknown` is there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition<'a> {
    test: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    /// Why nothing was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
    verdict: &'static str,
    /// Seconds for which the test has been true.
    #[serde(skip_serializing_if = "Option::is_none")]
    true_for_seconds: Option<i64>,
    /// Seconds for which it has to be.
    needed_seconds: i64,
}

impl<'a> Condition<'a> {
    fn of(input: &'a ng_engine::plan::Input) -> Self {
        let (value, status, unknown) = match &input.seen {
            Seen::Value { value, .. } => (Some(*value), None, None),
            Seen::Status(status) => (None, Some(status.as_str()), None),
            Seen::Unknown(reason) => (None, None, Some(reason.as_str())),
        };
        Self {
            test: &input.test,
            value,
            status,
            unknown,
            verdict: match input.verdict {
                Verdict::Holds => "holds",
                Verdict::Pending => "pending",
                Verdict::Clear => "clear",
                Verdict::Unknown => "unknown",
            },
            true_for_seconds: input.true_for.map(|millis| millis / 1000),
            needed_seconds: input.needed / 1000,
        }
    }
}

#[derive(Serialize)]
struct Pod<'a> {
    name: &'a str,
    namespace: &'a str,
    cpu: f64,
    memory: f64,
}

/// Times as texts. Nodes that triggered together share one.
#[derive(Default)]
pub(super) struct Times {
    last: Option<(Time, Arc<str>)>,
}

impl Times {
    fn shown(&mut self, time: Time) -> Arc<str> {
        let known = self.last.as_ref().filter(|(known, _)| *known == time);
        let shown = known.map_or_else(|| time.to_string().into(), |(_, text)| Arc::clone(text));
        self.last = Some((time, Arc::clone(&shown)));
        shown
    }
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde calls")]
fn shown<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
