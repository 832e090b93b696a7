//! One thing to tell on one or more channels.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use ng_engine::history::Guard;
use ng_engine::parcel::Reading;
use ng_engine::plan::{ActionNote, AlertKind, Input, Notice};
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use serde::{Serialize, Serializer};

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
    pub name: SharedText,
    /// Of this node under this rule in this cluster; the same from trigger to recovery.
    pub fingerprint: SharedText,
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

/// A text that may be part of a longer one: those of a thousand nodes are one piece of memory.
#[derive(Clone)]
pub struct SharedText {
    whole: Arc<str>,
    part: Range<usize>,
}

impl SharedText {
    /// A part of a text; where that has no such part, nothing.
    pub(crate) fn of(whole: &Arc<str>, part: Range<usize>) -> Self {
        Self {
            whole: Arc::clone(whole),
            part,
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.whole.get(self.part.clone()).unwrap_or_default()
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<T: Into<Arc<str>>> From<T> for SharedText {
    fn from(text: T) -> Self {
        let whole = text.into();
        let part = 0..whole.len();
        Self { whole, part }
    }
}

impl PartialEq for SharedText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl fmt::Display for SharedText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), out)
    }
}

impl Serialize for SharedText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// Known metrics in the order of their names, which most nodes of a message have in common.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    names: Arc<[String]>,
    /// Of several nodes, one after another.
    values: Arc<[f64]>,
    /// Where those of this node begin.
    from: usize,
}

impl Metrics {
    /// The values of metrics whose names are in order.
    pub fn of(names: &Arc<[String]>, values: impl IntoIterator<Item = f64>) -> Self {
        Self::nth(names, &values.into_iter().collect(), 0)
    }

    /// The values of one of several nodes, from the values of all.
    pub(crate) fn nth(names: &Arc<[String]>, values: &Arc<[f64]>, node: usize) -> Self {
        Self {
            from: names.len() * node,
            names: Arc::clone(names),
            values: Arc::clone(values),
        }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        let names = self.names.iter().map(String::as_str);
        let values = self.values.get(self.from..).unwrap_or_default();
        names.zip(values.iter().copied())
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

impl PartialEq for Metrics {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// The conditions of a node, which most nodes of a message have in common but for the numbers.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    heads: Arc<[Input]>,
    /// Of several nodes, one after another.
    readings: Arc<[Reading]>,
    /// Where those of this node begin.
    from: usize,
}

impl Conditions {
    /// The conditions of one of several nodes, from the numbers of all, which stand in the place of their own.
    pub(crate) fn nth(heads: &Arc<[Input]>, readings: &Arc<[Reading]>, node: usize) -> Self {
        Self {
            from: heads.len() * node,
            heads: Arc::clone(heads),
            readings: Arc::clone(readings),
        }
    }

    /// Each with its numbers, which are the ones that count.
    pub fn iter(&self) -> impl Iterator<Item = (&Input, Reading)> {
        let readings = self.readings.get(self.from..).unwrap_or_default();
        self.heads.iter().zip(readings.iter().copied())
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
        Self::nth(&heads, &readings, 0)
    }
}

impl PartialEq for Conditions {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
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
