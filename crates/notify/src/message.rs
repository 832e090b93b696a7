//! One thing to tell on one or more channels.

use std::sync::Arc;

use ng_engine::history::Guard;
use ng_engine::parcel::Reading;
use ng_engine::plan::{ActionNote, AlertKind, Input, Notice};
use ng_engine::rule::Severity;
use ng_engine::time::Time;

/// What is told of the nodes of one rule: words made from a template, and the facts they were made from.
///
/// Values are as they are; a channel escapes and shortens them for its own form.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What is told.
    pub kind: AlertKind,
    /// How bad it is, in the words of the template or the rule.
    pub severity: Severity,
    /// How bad the rule says it is, whatever a template says: the same from trigger to recovery.
    pub rule_severity: Severity,
    /// Name of the rule.
    pub rule: String,
    /// The rule's description.
    pub rule_description: String,
    /// The cluster's name, where one is configured.
    pub cluster: Option<String>,
    /// One line without line breaks: the subject of a mail, the heading of a chat message.
    pub title: String,
    /// A short text; may be equal to the title.
    pub summary: String,
    /// The text, lines ending in `\n`.
    pub body: String,
    /// The text for HTML, values escaped; `None`: made from `body`.
    pub html: Option<String>,
    /// The nodes that are told in detail, in the order of their names.
    pub nodes: Vec<NodeFacts>,
    /// How many nodes the message speaks for; more than `nodes` when the rest is only counted.
    pub total: usize,
    /// When the newest of the alerts happened.
    pub at: Time,
    /// When the first of the episodes began.
    pub since: Time,
    /// Whether the rule only pretends.
    pub dry_run: bool,
    /// Whether this is a test, of which every channel says so.
    pub test: bool,
    /// Stays the same when the message is sent again after a failure; made of letters, digits and `-`.
    pub id: String,
    /// Of the node if the message is about one, else of the rule; the same from trigger to recovery.
    pub fingerprint: String,
    /// Of the rule, whatever the nodes; the same from trigger to recovery.
    pub group: String,
}

/// What is told of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeFacts {
    /// Name of the node.
    pub name: String,
    /// Of this node under this rule in this cluster; the same from trigger to recovery.
    pub fingerprint: String,
    /// When its episode began.
    pub since: Time,
    /// How often the actions ran again.
    pub repeats: u32,
    /// What holds disruptive actions back.
    pub guard: Option<Guard>,
    /// Known metrics by name.
    pub metrics: Metrics,
    /// The conditions as they were seen.
    pub conditions: Conditions,
    /// What was done; most nodes of a message have it in common.
    pub actions: Arc<[ActionNote]>,
    /// The largest pods, largest memory first; empty where no template asked for them.
    pub top_pods: Vec<TopPod>,
    /// The words that came with the alert, where no rule stands behind it.
    pub notice: Option<Arc<Notice>>,
}

/// Known metrics in the order of their names, which most nodes of a message have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    names: Arc<[String]>,
    values: Vec<f64>,
}

impl Metrics {
    /// The values of metrics whose names are in order.
    pub fn of(names: &Arc<[String]>, values: impl IntoIterator<Item = f64>) -> Self {
        let mut known = Vec::with_capacity(names.len());
        known.extend(values);
        Self {
            names: Arc::clone(names),
            values: known,
        }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        let names = self.names.iter().map(String::as_str);
        names.zip(self.values.iter().copied())
    }

    /// The value of a metric.
    pub fn get(&self, name: &str) -> Option<f64> {
        let found = self.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value)
    }

    /// Whether both have their names in common, and not only alike.
    pub(crate) fn share_names(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.names, &other.names)
    }
}

/// The conditions of a node, which most nodes of a message have in common but for the numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    heads: Arc<[Input]>,
    readings: Vec<Reading>,
}

impl Conditions {
    /// Conditions with numbers in the place of their own.
    pub fn of(heads: &Arc<[Input]>, readings: impl IntoIterator<Item = Reading>) -> Self {
        let mut known = Vec::with_capacity(heads.len());
        known.extend(readings);
        Self {
            heads: Arc::clone(heads),
            readings: known,
        }
    }

    /// Each with its numbers, which are the ones that count.
    pub fn iter(&self) -> impl Iterator<Item = (&Input, Reading)> {
        self.heads.iter().zip(self.readings.iter().copied())
    }

    /// Each by itself.
    pub fn inputs(&self) -> impl Iterator<Item = Input> {
        self.iter().map(|(head, reading)| reading.put_into(head))
    }

    /// Whether both have all but their numbers in common, and not only alike.
    pub(crate) fn share_heads(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.heads, &other.heads)
    }
}

impl FromIterator<Input> for Conditions {
    fn from_iter<I: IntoIterator<Item = Input>>(inputs: I) -> Self {
        let heads: Arc<[Input]> = inputs.into_iter().collect();
        let readings = heads.iter().map(Reading::of).collect();
        Self { heads, readings }
    }
}

/// A pod and what it uses.
#[derive(Clone, Debug, PartialEq)]
pub struct TopPod {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Cores.
    pub cpu: f64,
    /// Bytes.
    pub memory: f64,
}

/// How one attempt to tell something ended. Reasons are short sentences without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// Trying again can help, at the earliest after the receiver's own wait, if it named one.
    Retry {
        /// What went wrong.
        reason: String,
        /// What the receiver asks for.
        after: Option<std::time::Duration>,
    },
    /// Trying again cannot help.
    Permanent {
        /// What went wrong.
        reason: String,
    },
}
