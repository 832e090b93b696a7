//! One thing to tell on one or more channels.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ng_engine::history::Guard;
use ng_engine::parcel::{Parcel, Reading};
use ng_engine::plan::{ActionNote, Alert, AlertKind, Input, Notice};
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

/// What is told of one node: where to find it, since there may be a thousand, and most is the same for all.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// When its episode began.
    pub since: Time,
    /// How often the actions ran again.
    pub repeats: u32,
    /// Where its name begins and ends among those of the parcel.
    pub(crate) name: Range<u32>,
    /// Which alert of the parcel is its own.
    pub(crate) place: u32,
    /// Which of the fingerprints is its own.
    pub(crate) number: u32,
    /// The rest, and that of others.
    pub(crate) shared: Arc<SharedFacts>,
}

/// What is told of the nodes of one parcel.
#[derive(Debug)]
pub(crate) struct SharedFacts {
    /// Their alerts.
    pub(crate) parcel: Parcel,
    /// Those of all nodes of the message.
    pub(crate) fingerprints: Arc<Fingerprints>,
    /// The largest pods by node, for those where a template asked for them.
    pub(crate) top_pods: Arc<BTreeMap<String, Vec<TopPod>>>,
}

/// Fingerprints of one length, one after another.
#[derive(Debug)]
pub(crate) struct Fingerprints {
    /// All of them.
    pub(crate) text: String,
    /// How long each is.
    pub(crate) length: usize,
}

impl NodeFacts {
    /// The facts of an alert by itself.
    pub fn single(alert: Alert, fingerprint: String, top_pods: Vec<TopPod>) -> Self {
        let (since, repeats) = (alert.since, alert.repeats);
        let top_pods = BTreeMap::from([(alert.node.clone(), top_pods)]);
        let parcel = Parcel::single(alert);
        let name = 0..narrow(parcel.nodes().len());
        let length = fingerprint.len();
        let text = fingerprint;
        let shared = SharedFacts {
            parcel,
            fingerprints: Fingerprints { text, length }.into(),
            top_pods: top_pods.into(),
        };
        Self {
            since,
            repeats,
            name,
            place: 0,
            number: 0,
            shared: shared.into(),
        }
    }

    /// Name of the node.
    pub fn name(&self) -> &str {
        let name = wide(self.name.start)..wide(self.name.end);
        self.shared.parcel.nodes().get(name).unwrap_or_default()
    }

    /// Of this node under this rule in this cluster; the same from trigger to recovery; made of letters, digits and `-`.
    pub fn fingerprint(&self) -> &str {
        let Fingerprints { text, length } = &*self.shared.fingerprints;
        let start = wide(self.number) * length;
        text.get(start..start + length).unwrap_or_default()
    }

    /// The largest pods, largest memory first; empty where no template asked for them.
    pub fn top_pods(&self) -> &[TopPod] {
        let found = self.shared.top_pods.get(self.name());
        found.map_or(&[], Vec::as_slice)
    }

    /// What holds disruptive actions back.
    pub fn guard(&self) -> Option<&Guard> {
        self.head().guard.as_ref()
    }

    /// What was done.
    pub fn actions(&self) -> &[ActionNote] {
        &self.head().actions
    }

    /// The words that came with the alert, where no rule stands behind it.
    pub fn notice(&self) -> Option<&Notice> {
        self.head().notice.as_ref()
    }

    /// The known metrics, in the order of their names.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, f64)> {
        let names = self.head().metrics.keys().map(String::as_str);
        names.zip(self.shared.parcel.readings(wide(self.place)))
    }

    /// The value of a metric.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let found = self.metrics().find(|(other, _)| *other == name);
        found.map(|(_, value)| value)
    }

    /// Each condition with its numbers, which are the ones that count.
    pub fn conditions(&self) -> impl Iterator<Item = (&Input, Reading)> {
        let parcel = &self.shared.parcel;
        let readings = parcel.readings_of_conditions(wide(self.place));
        self.head().conditions.iter().zip(readings)
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

    /// What it has in common with others, all but the numbers.
    pub(crate) fn head(&self) -> &Alert {
        self.shared.parcel.head()
    }

    /// Its number in a column of the parcel.
    pub(crate) fn number(&self, column: usize) -> u64 {
        self.shared.parcel.number(column, wide(self.place))
    }
}

impl PartialEq for NodeFacts {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
            && self.fingerprint() == other.fingerprint()
            && self.since == other.since
            && self.repeats == other.repeats
            && self.top_pods() == other.top_pods()
            && self.guard() == other.guard()
            && self.actions() == other.actions()
            && self.notice() == other.notice()
            && self.metrics().eq(other.metrics())
            && self.conditions().eq(other.conditions())
    }
}

/// A place in a text or a list, small, since there are some for every node. No message comes near four gigabytes; what
/// is beyond them is nowhere.
pub(crate) fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The place that [`narrow`] made small.
pub(crate) fn wide(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
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
