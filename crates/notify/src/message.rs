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
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// Name of the node.
    pub name: SharedText,
    /// Of this node under this rule in this cluster; the same from trigger to recovery; made of letters, digits and `-`.
    pub fingerprint: SharedText,
    /// When its episode began.
    pub since: Time,
    /// How often the actions ran again.
    pub repeats: u32,
    /// The largest pods, largest memory first; empty where no template asked for them.
    pub top_pods: Vec<TopPod>,
    /// The rest, and that of others.
    shared: Arc<SharedFacts>,
    /// Which of the nodes in there it is.
    place: u32,
}

/// What most nodes of a message have in common, and the numbers in which they differ.
#[derive(Clone, Debug, Default)]
pub struct SharedFacts {
    /// What holds disruptive actions back.
    pub guard: Option<Guard>,
    /// What was done.
    pub actions: Vec<ActionNote>,
    /// The words that came with the alert, where no rule stands behind it.
    pub notice: Option<Notice>,
    /// Names of the known metrics, in their order.
    pub metrics: Vec<String>,
    /// Values of the metrics, those of one node after those of another.
    pub values: Vec<f64>,
    /// The conditions as they were seen, without their numbers.
    pub conditions: Vec<Input>,
    /// The numbers of the conditions, those of one node after those of another.
    pub readings: Vec<Reading>,
}

impl NodeFacts {
    /// The facts of the node at this place among those that share them.
    pub fn new(
        (name, fingerprint): (SharedText, SharedText),
        since: Time,
        repeats: u32,
        (shared, place): (&Arc<SharedFacts>, u32),
    ) -> Self {
        Self {
            name,
            fingerprint,
            since,
            repeats,
            top_pods: Vec::new(),
            shared: Arc::clone(shared),
            place,
        }
    }

    /// What holds disruptive actions back.
    pub fn guard(&self) -> Option<&Guard> {
        self.shared.guard.as_ref()
    }

    /// What was done.
    pub fn actions(&self) -> &[ActionNote] {
        &self.shared.actions
    }

    /// The words that came with the alert, where no rule stands behind it.
    pub fn notice(&self) -> Option<&Notice> {
        self.shared.notice.as_ref()
    }

    /// The known metrics, in the order of their names.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, f64)> {
        let names = self.shared.metrics.iter().map(String::as_str);
        names.zip(self.of_this_node(&self.shared.values, self.shared.metrics.len()))
    }

    /// The value of a metric.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let found = self.metrics().find(|(other, _)| *other == name);
        found.map(|(_, value)| value)
    }

    /// Each condition with its numbers, which are the ones that count.
    pub fn conditions(&self) -> impl Iterator<Item = (&Input, Reading)> {
        let heads = &self.shared.conditions;
        heads
            .iter()
            .zip(self.of_this_node(&self.shared.readings, heads.len()))
    }

    /// Each condition as it was seen.
    pub fn inputs(&self) -> impl Iterator<Item = Input> {
        self.conditions()
            .map(|(head, reading)| reading.put_into(head))
    }

    /// Whether both have their facts in one place, all but the numbers in common.
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    fn of_this_node<T: Copy>(&self, all: &[T], each: usize) -> impl Iterator<Item = T> {
        let place = usize::try_from(self.place).unwrap_or(usize::MAX);
        let from = place.saturating_mul(each);
        all.get(from..).unwrap_or_default().iter().copied()
    }

    /// Changes what it has in common with others, for itself alone.
    pub fn change(&mut self, change: impl FnOnce(&mut SharedFacts)) {
        change(Arc::make_mut(&mut self.shared));
    }
}

impl PartialEq for NodeFacts {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.fingerprint == other.fingerprint
            && self.since == other.since
            && self.repeats == other.repeats
            && self.top_pods == other.top_pods
            && self.guard() == other.guard()
            && self.actions() == other.actions()
            && self.notice() == other.notice()
            && self.metrics().eq(other.metrics())
            && self.conditions().eq(other.conditions())
    }
}

/// A text that may be part of a longer one: those of a thousand nodes are one piece of memory.
#[derive(Clone)]
pub struct SharedText {
    /// Not an `Arc<str>`, which would be a copy of the text that was written.
    whole: Arc<String>,
    /// Where the part begins and ends; small, since there are thousands.
    part: (u32, u32),
}

impl SharedText {
    /// A part of a text; where that has no such part, nothing.
    pub(crate) fn of(whole: &Arc<String>, part: Range<usize>) -> Self {
        let whole = Arc::clone(whole);
        let part = ends(&part);
        Self { whole, part }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let part = [self.part.0, self.part.1].map(|end| usize::try_from(end).unwrap_or(usize::MAX));
        self.whole.get(part[0]..part[1]).unwrap_or_default()
    }
}

/// No message comes near four gigabytes; a part beyond them would be none.
fn ends(part: &Range<usize>) -> (u32, u32) {
    let end = |end| u32::try_from(end).unwrap_or(u32::MAX);
    (end(part.start), end(part.end))
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<T: Into<String>> From<T> for SharedText {
    fn from(text: T) -> Self {
        let whole = Arc::new(text.into());
        let part = ends(&(0..whole.len()));
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
