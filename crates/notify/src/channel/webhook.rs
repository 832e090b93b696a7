//! Any HTTP service: every fact of the message as JSON.
//!
//! The keys of the old system come first and keep their meaning: `title`, `summary`, `description`, `severity`,
//! `ruleName`, `ruleDescription`, `triggeredNodes`, `timestamp`.

use ng_engine::history::Guard;
use ng_engine::parcel::Parcel;
use ng_engine::plan::{Alert, Input, Seen, Verdict};
use ng_engine::time::Time;
use serde_json::value::RawValue;

use crate::body::{Body, Text};
use crate::http::Request;
use crate::json::{self, Numbers, Object};
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

/// About the room that the body needs: for each node a fingerprint and some numbers, its name, and the texts between
/// them.
fn room(message: &Message) -> Body {
    const BESIDES: usize = 2048;
    let nodes = message.nodes.len();
    let own = BESIDES + message.body.len() + 80 * nodes;
    Body::with_room(own, BESIDES + 56 * nodes, 8 * nodes)
}

/// Written field by field and node by node: a thousand nodes are half a megabyte, most of which they have in common.
fn body(message: &Message) -> Body {
    let mut body = room(message);
    let mut document = Object::begin(body.own());
    document.text("title", &marked(message, &message.title));
    document.text("summary", &marked(message, &message.summary));
    document.text("description", &message.body);
    document.text("severity", message.severity.word());
    document.text("ruleName", &message.rule);
    document.text("ruleDescription", &message.rule_description);
    document.field("triggeredNodes");
    let names = names(&mut body, &message.nodes);
    write_rule(Object::go_on(body.own()), message);
    let mut common = Common::default();
    for (node, name) in message.nodes.iter().zip(names) {
        common.write(&mut body, (node, name));
    }
    body.own().extend_from_slice(b"]}");
    body
}

/// The names in a list. Each comes again with the rest of its node.
fn names(body: &mut Body, nodes: &[NodeFacts]) -> Vec<Text> {
    let mut names = Vec::with_capacity(nodes.len());
    let list = body.keep(|out| {
        json::list(out, nodes, |out, node| {
            names.push(Text::within(out, |out| json::text(out, node.name())));
        });
    });
    body.put(list);
    names
}

/// What is told of all nodes together, up to the list of them.
fn write_rule(mut document: Object<'_>, message: &Message) {
    document.text("timestamp", &message.at.to_string());
    document.text("type", kind(message.kind));
    document.text("fingerprint", &message.fingerprint);
    document.text("groupKey", &message.group);
    let cluster = message.cluster.as_deref();
    document.text("clusterName", cluster.unwrap_or_default());
    document.value("dryRun", &message.dry_run);
    document.value("test", &message.test);
    document.text("since", &message.since.to_string());
    document.value("total", &message.total);
    document.field("nodes").push(b'[');
}

/// A node's facts by themselves, as `PagerDuty` gets them as details.
pub(super) fn facts(node: &NodeFacts) -> Box<RawValue> {
    let mut body = Body::default();
    let name = body.keep(|out| json::text(out, node.name()));
    Common::default().write(&mut body, (node, name));
    let text = String::from_utf8(body.whole()).expect("written of texts");
    RawValue::from_string(text).expect("what is written is JSON")
}

/// What a node has in common with the one before, already in its form.
#[derive(Default)]
struct Common<'m> {
    with: Option<&'m NodeFacts>,
    /// From the fingerprint to what holds actions back.
    since: Text,
    /// From there to the end.
    parts: Vec<Part>,
    /// From there to the name of the next node.
    next: Text,
    /// Those of the node itself.
    numbers: Numbers,
}

/// A part of what is told of a node.
enum Part {
    /// What it has in common with the others of its parcel.
    Text(Text),
    /// A value of its own, by its column.
    Value(usize),
    /// Seconds of its own, by the column of their milliseconds.
    Seconds(usize),
    /// Its largest pods.
    Pods,
}

impl<'m> Common<'m> {
    fn write(&mut self, body: &mut Body, (node, name): (&'m NodeFacts, Text)) {
        match self.with {
            None => body.own().extend_from_slice(NAME),
            Some(_) => body.put(self.next),
        }
        self.update(body, node);
        self.numbers.clear();
        body.put(name);
        body.own().extend_from_slice(FINGERPRINT);
        json::plain(body.own(), node.fingerprint());
        body.put(self.since);
        for part in &self.parts {
            match *part {
                Part::Text(text) => body.put(text),
                Part::Value(column) => {
                    let value = f64::from_bits(node.number(column));
                    self.numbers.put(body.own(), value);
                }
                Part::Seconds(column) => json::put(body.own(), &seconds(node.number(column))),
                Part::Pods => json::list(body.own(), node.top_pods(), write_pod),
            }
        }
    }

    fn update(&mut self, body: &mut Body, node: &'m NodeFacts) {
        let with = self.with.replace(node);
        // Kept in the order in which it is written: what stands together is one text then.
        if with.is_none_or(|with| (with.since, with.repeats) != (node.since, node.repeats)) {
            self.since = body.keep(|out| {
                let mut facts = Object::go_on(out);
                facts.text("since", &node.since.to_string());
                facts.value("repeats", &node.repeats);
            });
        }
        if with.is_none_or(|with| !with.shares_with(node)) {
            self.parts = Layout::of(body, node);
            self.next = body.keep(|out| {
                out.push(b',');
                out.extend_from_slice(NAME);
            });
        }
    }
}

/// What a node begins with.
const NAME: &[u8] = b"{\"name\":";
/// What stands behind its name.
const FINGERPRINT: &[u8] = b",\"fingerprint\":";

/// Seconds of milliseconds in a column.
const fn seconds(millis: u64) -> i64 {
    millis.cast_signed() / 1000
}

/// The parts of a node, being put together.
struct Layout<'b> {
    body: &'b mut Body,
    parcel: &'b Parcel,
    parts: Vec<Part>,
}

impl<'b> Layout<'b> {
    fn of(body: &'b mut Body, node: &'b NodeFacts) -> Vec<Part> {
        let mut layout = Self {
            body,
            parcel: &node.shared.parcel,
            parts: Vec::new(),
        };
        layout.add_metrics(node.head());
        layout.add_conditions(node.head());
        layout.add_rest(node);
        layout.parts
    }

    /// What holds actions back, and the metrics.
    fn add_metrics(&mut self, head: &Alert) {
        self.text(|out| write_guard(Object::go_on(out), head.guard.as_ref()));
        let metrics = head.metrics.keys().zip(self.parcel.columns_of_metrics());
        for (place, (name, column)) in metrics.enumerate() {
            self.text(|out| {
                out.extend_from_slice(before(place));
                json::text(out, name);
                out.push(b':');
            });
            self.value(column);
        }
        self.text(|out| out.push(b'}'));
    }

    fn add_conditions(&mut self, head: &Alert) {
        self.text(|out| Object::go_on(out).field("conditions").push(b'['));
        let parcel = self.parcel;
        let conditions = head.conditions.iter().zip(parcel.columns_of_conditions());
        for (place, (input, columns)) in conditions.enumerate() {
            self.text(|out| {
                out.extend_from_slice(before(place));
                write_condition(Object::begin(out), input);
            });
            if let Some(column) = columns.value {
                self.value(column);
            }
            self.text(|out| Object::go_on(out).text("verdict", verdict(input.verdict)));
            if let Some(column) = columns.true_for {
                self.text(|out| {
                    Object::go_on(out).field("trueForSeconds");
                });
                self.seconds(column);
            }
            self.text(|out| {
                let mut condition = Object::go_on(out);
                condition.value("neededSeconds", &(input.needed / 1000));
                condition.end();
            });
        }
        self.text(|out| out.push(b']'));
    }

    fn add_rest(&mut self, node: &NodeFacts) {
        self.text(|out| {
            let mut facts = Object::go_on(out);
            facts.value("actions", node.actions());
            facts.field("topPods");
        });
        if node.shared.top_pods.is_empty() {
            self.text(|out| out.extend_from_slice(b"[]"));
        } else {
            self.parts.push(Part::Pods);
        }
        self.text(|out| {
            // Of an alert without a rule.
            if let Some(notice) = node.notice() {
                Object::go_on(out).text("key", &notice.key);
            }
            out.push(b'}');
        });
    }

    fn text(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let text = self.body.keep(write);
        match self.parts.last_mut() {
            Some(Part::Text(before)) => before.extend(text),
            _ => self.parts.push(Part::Text(text)),
        }
    }

    fn value(&mut self, column: usize) {
        match self.parcel.same(column) {
            Some(bits) => self.text(|out| json::put(out, &f64::from_bits(bits))),
            None => self.parts.push(Part::Value(column)),
        }
    }

    fn seconds(&mut self, column: usize) {
        match self.parcel.same(column) {
            Some(millis) => self.text(|out| json::put(out, &seconds(millis))),
            None => self.parts.push(Part::Seconds(column)),
        }
    }
}

/// What stands before the first of a list, and before each of the others.
const fn before(place: usize) -> &'static [u8] {
    if place == 0 { b"" } else { b"," }
}

/// A condition up to what was seen: exactly one of `value`, which is left open, `status` and `unknown`.
fn write_condition(mut condition: Object<'_>, input: &Input) {
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
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Pending => "pending",
        Verdict::Clear => "clear",
        Verdict::Unknown => "unknown",
    }
}

/// What holds disruptive actions back, and the beginning of the metrics.
fn write_guard(mut facts: Object<'_>, guard: Option<&Guard>) {
    let out = facts.field("guard");
    match guard {
        None => json::put(out, &()),
        Some(guard) => {
            let mut held = Object::begin(out);
            held.text("name", guard.word());
            held.text("reason", &guard.to_string());
            held.end();
        }
    }
    facts.field("metrics").push(b'{');
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
    use std::collections::BTreeMap;

    use ng_config::Language;
    use serde_json::Value;

    use super::*;
    use crate::compose::{Context, TemplateChoice, compose};
    use crate::test_support::{AT, alert, repeat};

    #[test]
    fn every_node_is_written_as_it_is_alone_whatever_comes_before_it() {
        // The first three share a parcel.
        let changes: [fn(&mut Alert); 5] = [
            |_| {},
            |alert| alert.since = AT,
            |alert| {
                alert.repeats += 1;
                alert.metrics = BTreeMap::from([("cpuLoadRatio".to_owned(), 2.5)]);
            },
            |alert| alert.metrics.clear(),
            |alert| alert.actions.clear(),
        ];
        let alerts = changes.iter().zip(0..).map(|(change, number)| {
            let mut alert = alert(&format!("worker-{number}"));
            change(&mut alert);
            alert
        });
        let context = Context {
            cluster: None,
            now: AT,
            language: Language::English,
            top_pods: &BTreeMap::new(),
        };
        let alerts: Vec<Alert> = alerts.collect();
        let mut message = compose(&alerts, TemplateChoice::BuiltIn, &context).message;
        let nodes = [message.nodes.clone(), repeat().nodes].concat();
        // Each before and after itself and others.
        let places = (0..nodes.len()).flat_map(|one| [one, one, 0, one, 1, one, 7 - one]);
        message.nodes = places.map(|place| nodes[place].clone()).collect();
        let body = body(&message);
        let whole: Value = serde_json::from_slice(&body.whole()).unwrap();
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
