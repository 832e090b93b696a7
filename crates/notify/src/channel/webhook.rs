//! Any HTTP service: every fact of the message as JSON.
//!
//! The keys of the old system come first and keep their meaning: `title`, `summary`, `description`, `severity`,
//! `ruleName`, `ruleDescription`, `triggeredNodes`, `timestamp`.

use ng_engine::history::Guard;
use ng_engine::parcel::Reading;
use ng_engine::plan::{Input, Seen, Verdict};
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
    with: Option<&'m NodeFacts>,
    /// From the fingerprint to the number of repeats.
    since: Vec<u8>,
    /// The names of the metrics, from the second on with a comma.
    metrics: Vec<Vec<u8>>,
    conditions: Vec<Shape>,
    /// From the conditions to the pods.
    actions: Vec<u8>,
}

impl<'m> Common<'m> {
    fn write(&mut self, out: &mut Vec<u8>, node: &'m NodeFacts) {
        self.update(node);
        out.extend_from_slice(b"{\"name\":");
        json::text(out, &node.name);
        out.extend_from_slice(b",\"fingerprint\":");
        json::text(out, &node.fingerprint);
        out.extend_from_slice(&self.since);
        json::put(out, &node.repeats);
        match node.guard() {
            None => out.extend_from_slice(b",\"guard\":null,\"metrics\":{"),
            Some(guard) => {
                write_guard(Object::go_on(out).field("guard"), guard);
                out.extend_from_slice(b",\"metrics\":{");
            }
        }
        for (name, (_, value)) in self.metrics.iter().zip(node.metrics()) {
            out.extend_from_slice(name);
            json::put(out, &value);
        }
        out.extend_from_slice(b"},\"conditions\":[");
        for (shape, (_, reading)) in self.conditions.iter().zip(node.conditions()) {
            shape.write(out, reading);
        }
        out.extend_from_slice(&self.actions);
        json::list(out, &node.top_pods, write_pod);
        // Of an alert without a rule.
        if let Some(notice) = node.notice() {
            Object::go_on(out).text("key", &notice.key);
        }
        out.push(b'}');
    }

    fn update(&mut self, node: &'m NodeFacts) {
        let with = self.with.replace(node);
        if with.is_none_or(|with| with.since != node.since) {
            self.since.clear();
            let mut facts = Object::go_on(&mut self.since);
            facts.text("since", &node.since.to_string());
            facts.field("repeats");
        }
        if with.is_none_or(|with| !with.shares_with(node)) {
            let names = node.metrics().map(|(name, _)| name);
            self.metrics = names.zip(0..).map(metric_name).collect();
            let heads = node.conditions().map(|(head, _)| head);
            self.conditions = heads.zip(0..).map(Shape::of).collect();
            self.actions.clear();
            self.actions.push(b']');
            let mut facts = Object::go_on(&mut self.actions);
            facts.value("actions", node.actions());
            facts.field("topPods");
        }
    }
}

/// What stands before the first of a list, and before each of the others.
const fn before(place: usize) -> &'static [u8] {
    if place == 0 { b"" } else { b"," }
}

fn metric_name((name, place): (&str, usize)) -> Vec<u8> {
    let mut out = before(place).to_vec();
    json::text(&mut out, name);
    out.push(b':');
    out
}

/// A condition without its numbers: the text up to the value, from there to how long it has been true, and the rest.
struct Shape {
    start: Vec<u8>,
    has_value: bool,
    middle: Vec<u8>,
    has_time: bool,
    end: Vec<u8>,
}

impl Shape {
    /// Exactly one of `value`, `status` and `unknown` is there.
    fn of((input, place): (&Input, usize)) -> Self {
        let mut start = before(place).to_vec();
        let mut condition = Object::begin(&mut start);
        condition.text("test", &input.test);
        if let Some(words) = &input.description {
            condition.text("description", words);
        }
        match &input.seen {
            Seen::Value { .. } => {
                condition.field("value");
            }
            Seen::Status(status) => condition.text("status", status),
            Seen::Unknown(reason) => condition.text("unknown", reason),
        }
        let verdict = match input.verdict {
            Verdict::Holds => "holds",
            Verdict::Pending => "pending",
            Verdict::Clear => "clear",
            Verdict::Unknown => "unknown",
        };
        let mut middle = Vec::new();
        let mut condition = Object::go_on(&mut middle);
        condition.text("verdict", verdict);
        if input.true_for.is_some() {
            condition.field("trueForSeconds");
        }
        let mut end = Vec::new();
        let mut condition = Object::go_on(&mut end);
        condition.value("neededSeconds", &(input.needed / 1000));
        condition.end();
        Self {
            start,
            has_value: matches!(input.seen, Seen::Value { .. }),
            middle,
            has_time: input.true_for.is_some(),
            end,
        }
    }

    fn write(&self, out: &mut Vec<u8>, reading: Reading) {
        out.extend_from_slice(&self.start);
        if self.has_value {
            json::put(out, &reading.value);
        }
        out.extend_from_slice(&self.middle);
        if self.has_time {
            json::put(out, &(reading.true_for / 1000));
        }
        out.extend_from_slice(&self.end);
    }
}

/// What holds disruptive actions back.
fn write_guard(out: &mut Vec<u8>, guard: &Guard) {
    let mut held = Object::begin(out);
    held.text("name", guard.word());
    held.text("reason", &guard.to_string());
    held.end();
}

fn write_pod(out: &mut Vec<u8>, top: &TopPod) {
    let mut pod = Object::begin(out);
    pod.text("name", &top.name);
    pod.text("namespace", &top.namespace);
    pod.value("cpu", &top.cpu);
    pod.value("memory", &top.memory);
    pod.end();
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::test_support::{AT, repeat};

    #[test]
    fn every_node_is_written_as_it_is_alone_whatever_comes_before_it() {
        let mut message = repeat();
        let mut nodes = message.nodes.clone();
        nodes[1].since = AT;
        nodes[2].change(|shared| {
            shared.actions.clear();
            shared.metrics.clear();
            shared.values.clear();
        });
        // Each before and after itself and each of the others.
        message.nodes = [0, 0, 1, 1, 2, 2, 0, 2, 1, 0]
            .map(|place: usize| nodes[place].clone())
            .into();
        let body = body(&message);
        let whole: Value = serde_json::from_slice(&body).unwrap();
        for (written, node) in whole["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .zip(&message.nodes)
        {
            let alone: Value = serde_json::from_str(facts(node).get()).unwrap();
            assert_eq!(*written, alone);
        }
    }
}
