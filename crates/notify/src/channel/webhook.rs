//! Any HTTP service: every fact of the message as JSON.
//!
//! The keys of the old system come first and keep their meaning: `title`, `summary`, `description`, `severity`,
//! `ruleName`, `ruleDescription`, `triggeredNodes`, `timestamp`.

use std::sync::Arc;

use ng_engine::history::Guard;
use ng_engine::plan::{ActionNote, Input, Seen, Verdict};
use ng_engine::time::Time;
use serde_json::value::RawValue;

use crate::http::Request;
use crate::json::{self, Object};
use crate::message::{Message, NodeFacts, TopPod};
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
    let mut request = Request::of(webhook.url.expose(), body(message));
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

/// Written field by field and node by node: a thousand nodes are half a megabyte, most of which they have in common.
fn body(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(room(message));
    let mut body = Object::begin(&mut out);
    body.text("title", &marked(message, &message.title));
    body.text("summary", &marked(message, &message.summary));
    body.text("description", &message.body);
    body.text("severity", message.severity.word());
    body.text("ruleName", &message.rule);
    body.text("ruleDescription", &message.rule_description);
    json::list(body.field("triggeredNodes"), &message.nodes, |out, node| {
        json::text(out, &node.name);
    });
    body.text("timestamp", &message.at.to_string());
    body.text("type", kind(message.kind));
    body.text("fingerprint", &message.fingerprint);
    body.text("groupKey", &message.group);
    body.text(
        "clusterName",
        message.cluster.as_deref().unwrap_or_default(),
    );
    body.value("dryRun", &message.dry_run);
    body.value("test", &message.test);
    body.text("since", &message.since.to_string());
    body.value("total", &message.total);
    let mut common = Common::default();
    json::list(body.field("nodes"), &message.nodes, |out, node| {
        common.write(out, node);
    });
    body.end();
    out
}

/// A node's facts by themselves, as `PagerDuty` gets them as details.
pub(super) fn facts(node: &NodeFacts) -> Box<RawValue> {
    let mut out = Vec::new();
    Common::default().write(&mut out, node);
    let text = String::from_utf8(out).expect("written of texts");
    RawValue::from_string(text).expect("what is written is JSON")
}

/// What a node has in common with the one before, already in its form.
#[derive(Default)]
struct Common<'m> {
    since: Option<(Time, String)>,
    actions: Option<(&'m Arc<[ActionNote]>, Vec<u8>)>,
}

impl<'m> Common<'m> {
    fn write(&mut self, out: &mut Vec<u8>, node: &'m NodeFacts) {
        let mut facts = Object::begin(out);
        facts.text("name", &node.name);
        facts.text("fingerprint", &node.fingerprint);
        facts.text("since", self.since(node.since));
        facts.value("repeats", &node.repeats);
        match &node.guard {
            None => facts.field("guard").extend(b"null"),
            Some(guard) => write_guard(facts.field("guard"), guard),
        }
        let mut metrics = Object::begin(facts.field("metrics"));
        for (name, value) in node.metrics.iter() {
            metrics.value(name, &value);
        }
        metrics.end();
        json::list(facts.field("conditions"), &node.conditions, write_condition);
        let actions = self.actions(&node.actions);
        facts.field("actions").extend_from_slice(actions);
        json::list(facts.field("topPods"), &node.top_pods, write_pod);
        // Of an alert without a rule.
        if let Some(notice) = &node.notice {
            facts.text("key", &notice.key);
        }
        facts.end();
    }

    fn since(&mut self, time: Time) -> &str {
        if self.since.as_ref().is_none_or(|(known, _)| *known != time) {
            self.since = None;
        }
        let (_, text) = self.since.get_or_insert_with(|| (time, time.to_string()));
        text
    }

    fn actions(&mut self, actions: &'m Arc<[ActionNote]>) -> &[u8] {
        let known = self.actions.as_ref();
        if known.is_none_or(|(known, _)| !Arc::ptr_eq(known, actions)) {
            self.actions = None;
        }
        let (_, text) = self.actions.get_or_insert_with(|| {
            let mut text = Vec::new();
            json::put(&mut text, &actions[..]);
            (actions, text)
        });
        text
    }
}

/// What holds disruptive actions back.
fn write_guard(out: &mut Vec<u8>, guard: &Guard) {
    let mut held = Object::begin(out);
    held.text("name", guard.word());
    held.text("reason", &guard.to_string());
    held.end();
}

/// A condition as it was seen: exactly one of `value`, `status` and `unknown` is there.
fn write_condition(out: &mut Vec<u8>, input: &Input) {
    let mut condition = Object::begin(out);
    condition.text("test", &input.test);
    match &input.seen {
        Seen::Value { value, .. } => condition.value("value", value),
        Seen::Status(status) => condition.text("status", status),
        Seen::Unknown(reason) => condition.text("unknown", reason),
    }
    let verdict = match input.verdict {
        Verdict::Holds => "holds",
        Verdict::Pending => "pending",
        Verdict::Clear => "clear",
        Verdict::Unknown => "unknown",
    };
    condition.text("verdict", verdict);
    if let Some(millis) = input.true_for {
        condition.value("trueForSeconds", &(millis / 1000));
    }
    condition.value("neededSeconds", &(input.needed / 1000));
    condition.end();
}

fn write_pod(out: &mut Vec<u8>, top: &TopPod) {
    let mut pod = Object::begin(out);
    pod.text("name", &top.name);
    pod.text("namespace", &top.namespace);
    pod.value("cpu", &top.cpu);
    pod.value("memory", &top.memory);
    pod.end();
}
