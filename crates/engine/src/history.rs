//! What earlier evaluations left behind: the only memory the engine has.
//!
//! Timers are soft: losing them only delays a trigger. Records and ledgers are hard: they say what NodeGuardian
//! did, so that exactly that is undone.

mod ledger;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::Mute;
use crate::rule::{DrainAction, EvictAction, Severity, TaintEffect};
use crate::time::Time;
use crate::timers::Timers;

pub(crate) use ledger::Sight;
pub use ledger::{Earlier, Ledger, Owned, Queue, Removed, Sent};

/// Everything remembered, by rule and by node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// By rule name.
    pub rules: BTreeMap<String, RuleHistory>,
    /// What NodeGuardian set on each node, by node name.
    pub ledgers: BTreeMap<String, Ledger>,
    /// Numbers given to nodes in timers.
    pub roster: crate::roster::Roster,
}

/// What is remembered of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleHistory {
    /// The small part, needed in every run.
    pub summary: RuleSummary,
    /// Since when conditions are true; only loaded for rules that are evaluated.
    pub timers: Timers,
    /// Nodes that are triggered, or were within their cooldowns, by name.
    pub records: BTreeMap<String, NodeRecord>,
}

impl RuleHistory {
    /// Brings the numbers of nodes that are held, and of those with work under way, up to date.
    pub fn count(&mut self) {
        let busy = |record: &&NodeRecord| record.jobs.iter().any(|job| job.end.is_none());
        let held = |record: &&NodeRecord| record.is_active();
        self.summary.jobs = self.records.values().filter(busy).count();
        self.summary.held = self.records.values().filter(held).count();
    }
}

/// The part of a rule's history that every run needs, also for rules that are not due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSummary {
    /// UID of the object the history belongs to.
    pub uid: String,
    /// Hash of `spec` and of the defaults it was checked with; a change is evaluated at once.
    pub spec_hash: u64,
    /// The rule's `spec` as JSON, for recovery actions after its deletion; empty until a node triggers.
    pub spec: String,
    /// When the rule was evaluated last.
    pub last_evaluated: Option<Time>,
    /// Milliseconds between evaluations; tells a due rule without reading its spec.
    pub check_interval: i64,
    /// Smaller acts first.
    pub priority: i64,
    /// For gauges of rules that are not evaluated in a run.
    pub severity: Option<Severity>,
    /// Nodes of which too little was known at the last evaluation.
    pub unknown: usize,
    /// Nodes on the way to a trigger at the last evaluation.
    pub pending: usize,
    /// Nodes with an eviction or drain under way, which goes on also when the rule is not due.
    #[serde(default)]
    pub jobs: usize,
    /// Nodes that are triggered or recovering.
    #[serde(default)]
    pub held: usize,
    /// When a node triggered last.
    pub last_triggered: Option<Time>,
    /// When a node recovered last.
    pub last_recovery: Option<Time>,
    /// Hash of the status written last, and when it was written.
    pub status_written: Option<(u64, Time)>,
    /// When the history was rebuilt from statuses, after the one before was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<Time>,
}

/// What is remembered of one node under one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRecord {
    /// UID of the node; a new node of the same name starts afresh.
    pub uid: String,
    /// Where the node stands.
    pub phase: Phase,
    /// When the present episode began, or the last one.
    pub triggered_at: Time,
    /// When actions ran last: trigger or repeat.
    pub acted_at: Time,
    /// How often the actions ran again in this episode.
    #[serde(default)]
    pub repeats: u32,
    /// When the node recovered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Time>,
    /// Progress of each recovery condition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<Option<Timer>>,
    /// Since when the trigger logic is false; used when a rule has no recovery conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<Timer>,
    /// Marks that the rule wants on the node, rendered when the actions ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// What holds disruptive actions back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// Whether disruptive actions were let through in this episode.
    #[serde(default)]
    pub admitted: bool,
    /// Evictions and drains under way or done in this episode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Job>,
    /// Hash of the spec that `marks` come from; [`RESTORED`] if they come from a status.
    #[serde(default)]
    pub spec_hash: u64,
    /// Whether the rule only pretends.
    #[serde(default)]
    pub dry_run: bool,
    /// Since when the node is missing from the snapshot; forgotten after [`FORGET_AFTER`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Time>,
    /// Since when the emergency stop holds up evictions and drains under way; that time is not theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Time>,
    /// Why nothing was sent of this episode yet: then its end is not told either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<Mute>,
}

/// `spec_hash` of a record that was restored from a status: its marks are taken over as they are.
pub const RESTORED: u64 = 0;

/// How long a node that is missing from the snapshot is remembered: shell-operator's cache can lose an object
/// that still exists, and forgetting our marks on it would leave them there for ever.
pub const FORGET_AFTER: std::time::Duration = std::time::Duration::from_mins(10);

impl NodeRecord {
    /// Takes times that lie ahead for `now`: after a clock that ran ahead was set back, cooldowns would last until it
    /// gets there again.
    pub(crate) fn not_after(&mut self, now: Time) {
        self.triggered_at = self.triggered_at.min(now);
        self.acted_at = self.acted_at.min(now);
        self.recovered_at = self.recovered_at.map(|recovered| recovered.min(now));
    }

    /// For how long a job has been worked on.
    pub fn worked_on(&self, job: &Job, now: Time) -> std::time::Duration {
        self.paused.unwrap_or(now).since(job.started)
    }

    /// Begins or ends the time in which nothing may be evicted.
    pub(crate) fn pause(&mut self, guard: Option<&Guard>, now: Time) {
        let mut open = self.jobs.iter_mut().filter(|job| job.end.is_none());
        match (guard, self.paused) {
            (Some(Guard::Paused), None) if open.next().is_some() => self.paused = Some(now),
            (Some(Guard::Paused), _) | (_, None) => {}
            (_, Some(since)) => {
                open.for_each(|job| job.started = job.started.plus(now.since(since)));
                self.paused = None;
            }
        }
    }

    /// Whether the node is in an episode: triggered, or on its way back.
    pub fn is_active(&self) -> bool {
        match self.phase {
            Phase::Triggered | Phase::Recovering => true,
            Phase::Idle => false,
        }
    }
}

/// Where a node stands under a rule. Pending is not stored: it follows from the timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// No episode; the record only keeps cooldowns.
    Idle,
    /// The rule has triggered.
    Triggered,
    /// Recovery conditions are true, but not yet for long enough.
    Recovering,
}

/// Since when something is true, and when it was last seen to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// The first sight.
    pub since: Time,
    /// The last sight.
    pub seen: Time,
}

/// What identifies a mark on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum MarkKey {
    /// A taint, by key and effect.
    Taint {
        /// Key.
        key: String,
        /// Effect.
        effect: TaintEffect,
    },
    /// A label.
    Label {
        /// Key.
        key: String,
    },
    /// An annotation.
    Annotation {
        /// Key.
        key: String,
    },
    /// `spec.unschedulable`.
    Cordon,
}

impl MarkKey {
    /// Whether the mark takes capacity from the cluster.
    pub fn is_disruptive(&self) -> bool {
        match self {
            Self::Taint { effect, .. } => !matches!(effect, TaintEffect::PreferNoSchedule),
            Self::Cordon => true,
            Self::Label { .. } | Self::Annotation { .. } => false,
        }
    }

    /// Whether two rules that set both are in conflict: the same taint key (whatever the effect), label or
    /// annotation.
    pub fn rivals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Taint { key, .. }, Self::Taint { key: other, .. })
            | (Self::Label { key }, Self::Label { key: other })
            | (Self::Annotation { key }, Self::Annotation { key: other }) => key == other,
            (Self::Cordon, Self::Cordon) => true,
            _ => false,
        }
    }
}

/// A mark with its rendered value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What is marked.
    pub key: MarkKey,
    /// Value; empty for a cordon.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// Why a disruptive action is held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "name")]
pub enum Guard {
    /// `safety.paused` is set.
    Paused,
    /// The rule only pretends.
    DryRun,
    /// The node is annotated to be left alone.
    Ignored,
    /// The node belongs to the control plane and the rule does not ask for it.
    ControlPlane,
    /// As many nodes are out of service as are allowed.
    MaxNodes {
        /// Nodes allowed.
        limit: usize,
        /// Nodes counted: held by NodeGuardian, cordoned or not ready.
        counted: usize,
    },
}

impl Guard {
    /// The name shown in status, logs, Events and metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::DryRun => "dryRun",
            Self::Ignored => "ignored",
            Self::ControlPlane => "controlPlane",
            Self::MaxNodes { .. } => "maxNodes",
        }
    }

    /// Whether the guard stops every change, not only disruptive ones.
    pub const fn stops_everything(&self) -> bool {
        match self {
            Self::Paused | Self::DryRun => true,
            Self::Ignored | Self::ControlPlane | Self::MaxNodes { .. } => false,
        }
    }

    /// Whether both are the same guard, whatever they counted.
    pub fn is_like(&self, other: &Self) -> bool {
        self.word() == other.word()
    }
}

impl std::fmt::Display for Guard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paused => out.write_str("safety.paused is set in the configuration"),
            Self::DryRun => out.write_str("metadata.dryRun of the rule or safety.dryRun is set"),
            Self::Ignored => write!(
                out,
                "the node is annotated {}: \"true\"",
                crate::node::IGNORE_ANNOTATION
            ),
            Self::ControlPlane => out.write_str(
                "control-plane node, which the rule selects neither by that label nor by name",
            ),
            Self::MaxNodes { limit, counted } => {
                write!(
                    out,
                    "{counted} nodes are held, cordoned or not ready, and the safety limit is {limit}"
                )
            }
        }
    }
}

/// An eviction or drain of one node, carried on in short passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// What is to be done.
    pub task: Task,
    /// When the job was given; passes after `started + timeout` do nothing but end it.
    pub started: Time,
    /// Pods that were tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodAttempt>,
    /// How it ended; `None` while under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<JobEnd>,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// Evict some pods.
    Evict(EvictAction),
    /// Evict every pod that can go.
    Drain(DrainAction),
}

/// One pod in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodAttempt {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID, so that a later pod of the same name is another one.
    pub uid: String,
    /// How it went.
    pub result: PodResult,
}

/// How far a pod is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PodResult {
    /// The request is about to be sent, or its answer was lost.
    Asked,
    /// The API server accepted the eviction, or the pod is gone.
    Evicted,
    /// Refused for now, by a budget or by load; not before this time again.
    Waiting {
        /// Next attempt.
        until: Time,
        /// What the API server said.
        reason: String,
        /// How often it was refused.
        refusals: u32,
    },
    /// Will not work.
    Failed {
        /// What the API server said.
        reason: String,
    },
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobEnd {
    /// Everything that was asked for is done.
    Done,
    /// Time ran out with pods left.
    TimedOut,
    /// The node recovered, went away or was taken from the rule.
    Cancelled,
}
