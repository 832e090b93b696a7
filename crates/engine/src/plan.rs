//! What has to happen: the output of [`crate::decide`], carried out elsewhere.

use serde::{Deserialize, Serialize};

use crate::history::{Guard, Mark, Owned};
use crate::reading::Unknown;
use crate::rule::{AlertAction, Severity};
use crate::time::Time;

/// Everything one evaluation asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Marks to set and to remove, one item a node; empty while paused.
    pub changes: Vec<NodeChange>,
    /// Alerts to queue.
    pub alerts: Vec<Alert>,
    /// What happened, in words and numbers; the source of logs, Events and the replayed timeline.
    pub decisions: Vec<Decision>,
    /// The rules that were evaluated, in the order of their priority.
    pub evaluated: Vec<Evaluated>,
    /// How much of the configured limit is used; `None` if nothing was decided.
    pub out_of_service: Option<OutOfService>,
    /// Values of [`crate::node::MUTE_UNTIL_ANNOTATION`] that are no time, one item a node, told when a node triggers.
    pub bad_mutes: Vec<BadMute>,
}

/// A node whose alerts someone wanted to mute, and the text that says until when, which cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMute {
    /// Name of the node.
    pub node: String,
    /// The annotation's value.
    pub value: String,
}

impl std::fmt::Display for BadMute {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "node {}: {}: expected a time such as \"2026-03-01T12:00:00Z\", found {:?}; its alerts are not muted",
            self.node,
            crate::node::MUTE_UNTIL_ANNOTATION,
            self.value
        )
    }
}

/// The nodes that count against the configured limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfService {
    /// Held by NodeGuardian, cordoned or not ready.
    pub counted: usize,
    /// Allowed.
    pub limit: usize,
}

/// What one rule saw at this evaluation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluated {
    /// Name of the rule.
    pub rule: String,
    /// Nodes the rule selects.
    pub selected: usize,
    /// Nodes whose conditions are true, but not yet for long enough.
    pub pending: usize,
    /// Nodes of which too little is known to decide.
    pub unknown: usize,
    /// The first of those, with the test and the reason.
    pub unknown_example: Option<(String, String, Unknown)>,
}

/// Marks to set and to remove on one node, in one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChange {
    /// Name of the node.
    pub node: String,
    /// UID the node must still have.
    pub uid: String,
    /// Marks to set, values rendered.
    pub set: Vec<Mark>,
    /// Marks of ours to take away.
    pub unset: Vec<Owned>,
}

impl NodeChange {
    /// Whether the change takes capacity away, so that the node must be looked at once more before it is made.
    pub fn is_disruptive(&self) -> bool {
        self.set.iter().any(|mark| mark.key.is_disruptive())
    }
}

/// A thing that happened to one node under one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When.
    pub at: Time,
    /// Name of the rule.
    pub rule: String,
    /// Name of the node.
    pub node: String,
    /// UID of the node.
    pub node_uid: String,
    /// What happened.
    pub event: Happening,
    /// What holds disruptive actions back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// The conditions that led here, with what was known of each.
    pub inputs: Vec<Input>,
}

/// What can happen to a node under a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// The conditions hold: the actions ran.
    Triggered,
    /// The conditions still hold after the cooldown: the actions ran again.
    Repeated,
    /// A guard let go: disruptive actions ran after all.
    Admitted,
    /// A guard holds disruptive actions back.
    Held,
    /// Recovery conditions are true, but not for long enough.
    Recovering,
    /// Recovery conditions are no longer true.
    Relapsed,
    /// The recovery actions ran.
    Recovered,
    /// The recovery actions ran because the rule was disabled or deleted, or no longer selects the node.
    Released,
    /// The node is gone; what was remembered of it is dropped.
    Gone,
}

/// One condition as it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The test in words, such as `cpuLoadRatio > 1.5`.
    pub test: String,
    /// What the author of the rule says of it. Alerts of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The reading, or a node condition's status.
    pub seen: Seen,
    /// Milliseconds for which the test has been true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_for: Option<i64>,
    /// Milliseconds for which it has to be.
    pub needed: i64,
    /// What follows.
    pub verdict: Verdict,
}

impl Input {
    /// The words of the rule's author; where there are none, the test.
    pub fn words(&self) -> &str {
        self.description.as_deref().unwrap_or(&self.test)
    }
}

/// What a condition was compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Seen {
    /// A number and its age in milliseconds.
    Value {
        /// The reading.
        value: f64,
        /// Milliseconds since it was sampled.
        age: i64,
        /// Who answered.
        origin: String,
    },
    /// The status of a node condition.
    Status(String),
    /// Nothing, for this reason.
    Unknown(String),
}

impl Seen {
    /// Nothing was known, for `reason`.
    pub fn unknown(reason: Unknown) -> Self {
        Self::Unknown(reason.word().to_owned())
    }
}

/// What is known of a condition at one evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// True for at least its duration.
    Holds,
    /// True, but not for long enough.
    Pending,
    /// Not true.
    Clear,
    /// Too little is known.
    Unknown,
}

/// An alert for the outbox: the facts; words and channels' forms are made when it is delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What is told.
    #[serde(rename = "type")]
    pub kind: AlertKind,
    /// When it happened.
    pub at: Time,
    /// Name of the rule.
    pub rule: String,
    /// `metadata.description` of the rule.
    pub rule_description: String,
    /// How bad it is.
    pub severity: Severity,
    /// Name of the node.
    pub node: String,
    /// Name of the template; empty: the built-in one.
    pub template: String,
    /// Channels by name.
    pub channels: Vec<String>,
    /// When the episode began.
    pub since: Time,
    /// How often the actions ran again.
    pub repeats: u32,
    /// What holds disruptive actions back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// Whether the rule only pretends.
    pub dry_run: bool,
    /// Known metrics by name.
    pub metrics: std::collections::BTreeMap<String, f64>,
    /// The conditions as they were seen.
    pub conditions: Vec<Input>,
    /// What was done.
    pub actions: Vec<ActionNote>,
    /// Why the alert is counted and not sent; `None`: it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<Mute>,
    /// Words that came with it, where no rule stands behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
}

/// What an alert says where no rule stands behind it: it comes with its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// The same from the first alert to the last, such as `node_worker-1_cpu_high`.
    pub key: String,
    /// One line that says it all.
    pub title: String,
    /// What stands below the facts; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The language of the words: `en` or `zh`.
    pub language: String,
}

/// Why an alert is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mute {
    /// The node is not ready, and the rule looks at metrics alone: they follow from that.
    NotReady,
    /// Someone else cordoned the node: they know.
    ForeignCordon,
    /// The node is annotated with this time, which is still to come.
    Until(Time),
}

impl Mute {
    /// The name shown in logs and metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotReady => "notReady",
            Self::ForeignCordon => "foreignCordon",
            Self::Until(_) => "until",
        }
    }
}

impl Alert {
    /// Copies template and channels from an action.
    #[must_use]
    pub fn addressed(mut self, action: &AlertAction) -> Self {
        self.template.clone_from(&action.template);
        self.channels.clone_from(&action.channels);
        self
    }
}

/// What an alert tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertKind {
    /// A node triggered.
    Trigger,
    /// A node is still triggered.
    Repeat,
    /// A node recovered or was released.
    Recovery,
}

/// An action in an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionNote {
    /// The word in the rule's `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it does, in words.
    pub description: String,
}
