//! A checked rule: what [`crate::validate`] makes of a `NodeGuardianRule`, with every default filled in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One rule, ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// `metadata.name` of the object.
    pub name: String,
    /// `metadata.uid` of the object; tells a rule from a later one of the same name.
    pub uid: String,
    /// `metadata.generation` of the object.
    pub generation: i64,
    /// What must be true of a node; never empty.
    pub trigger: Conditions,
    /// Which nodes are looked at.
    pub selector: NodeSelector,
    /// What is done on trigger, in order.
    pub actions: Vec<Action>,
    /// What must be true for recovery; `None`: the trigger has been false for its longest duration.
    pub recovery: Option<Conditions>,
    /// What is done on recovery, in order.
    pub recovery_actions: Vec<RecoveryAction>,
    /// Time between two evaluations.
    pub check_interval: Duration,
    /// Time between two runs of the actions while the trigger holds.
    pub cooldown: Duration,
    /// Least time between two recoveries of one node.
    pub recovery_cooldown: Duration,
    /// Where readings come from, if not from where the configuration says.
    pub source: MetricsSource,
    /// A smaller number acts first and wins conflicts.
    pub priority: i64,
    /// A disabled rule releases what it holds.
    pub enabled: bool,
    /// Free text for people.
    pub description: String,
    /// How bad a trigger is.
    pub severity: Severity,
    /// Free words for people.
    pub tags: Vec<String>,
    /// Do everything but change the cluster.
    pub dry_run: bool,
    /// The rule's own safety limit.
    pub max_nodes: Option<MaxNodes>,
}

/// Conditions and how they are combined.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// `AND` or `OR`.
    pub logic: Logic,
    /// Never empty.
    pub all: Vec<Condition>,
}

impl Conditions {
    /// The longest duration any of the conditions asks for.
    pub fn longest(&self) -> Duration {
        self.all
            .iter()
            .map(|condition| condition.duration)
            .max()
            .unwrap_or_default()
    }
}

/// How conditions are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Logic {
    /// Every condition holds.
    #[serde(rename = "AND")]
    And,
    /// At least one condition holds.
    #[serde(rename = "OR")]
    Or,
}

/// A test that has to stay true for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is tested.
    pub test: Test,
    /// How long it must have been true at every evaluation; zero holds at the first.
    pub duration: Duration,
    /// Free text for people.
    pub description: String,
}

impl Condition {
    /// The description, if the author gave one.
    pub(crate) fn own_words(&self) -> Option<String> {
        let words = self.description.trim();
        (!words.is_empty()).then(|| words.to_owned())
    }
}

/// What a condition compares.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// A reading against a threshold.
    Metric {
        /// Name of the metric, such as `cpuLoadRatio`.
        metric: String,
        /// How the reading is compared.
        comparison: Comparison,
        /// What it is compared with.
        threshold: Threshold,
    },
    /// A condition in the node's status, such as `Ready`.
    Node {
        /// `type` of the node condition.
        condition: String,
        /// The statuses for which the test is true; never empty.
        statuses: Vec<NodeStatus>,
    },
}

impl fmt::Display for Test {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric {
                metric,
                comparison,
                threshold,
            } => {
                write!(out, "{metric} {} {}", comparison.sign(), threshold.get())
            }
            Self::Node {
                condition,
                statuses,
            } => {
                write!(out, "{condition} is")?;
                for (index, status) in statuses.iter().enumerate() {
                    write!(out, "{} {status}", if index == 0 { "" } else { " or" })?;
                }
                Ok(())
            }
        }
    }
}

/// `GreaterThan` and `>` are one variant after parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `>`
    GreaterThan,
    /// `>=`
    GreaterThanOrEqual,
    /// `<`
    LessThan,
    /// `<=`
    LessThanOrEqual,
    /// `==`
    EqualTo,
    /// `!=`
    NotEqualTo,
}

impl Comparison {
    /// Every comparison, for tables and messages.
    pub const ALL: [Self; 6] = [
        Self::GreaterThan,
        Self::GreaterThanOrEqual,
        Self::LessThan,
        Self::LessThanOrEqual,
        Self::EqualTo,
        Self::NotEqualTo,
    ];

    /// The word used in a rule.
    pub const fn word(self) -> &'static str {
        match self {
            Self::GreaterThan => "GreaterThan",
            Self::GreaterThanOrEqual => "GreaterThanOrEqual",
            Self::LessThan => "LessThan",
            Self::LessThanOrEqual => "LessThanOrEqual",
            Self::EqualTo => "EqualTo",
            Self::NotEqualTo => "NotEqualTo",
        }
    }

    /// The sign accepted instead of the word.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::GreaterThan => ">",
            Self::GreaterThanOrEqual => ">=",
            Self::LessThan => "<",
            Self::LessThanOrEqual => "<=",
            Self::EqualTo => "==",
            Self::NotEqualTo => "!=",
        }
    }

    /// The comparison that `text` names, by word or by sign.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|comparison| comparison.word() == text || comparison.sign() == text)
    }

    /// Whether `reading` compares so with `threshold`; false for a reading that is not a number.
    pub fn holds(self, reading: f64, threshold: Threshold) -> bool {
        let threshold = threshold.get();
        match self {
            Self::GreaterThan => reading > threshold,
            Self::GreaterThanOrEqual => reading >= threshold,
            Self::LessThan => reading < threshold,
            Self::LessThanOrEqual => reading <= threshold,
            Self::EqualTo => same(reading, threshold),
            Self::NotEqualTo => !reading.is_nan() && !same(reading, threshold),
        }
    }
}

#[expect(
    clippy::float_cmp,
    reason = "readings and thresholds are rounded to the same grid before they are compared"
)]
fn same(left: f64, right: f64) -> bool {
    left == right
}

/// A finite number, rounded to six decimals like every reading (see [`round`]).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Threshold(f64);

impl Threshold {
    /// `None` unless `value` is finite.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self(round(value)))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// Rounds to six decimals: a quotient such as 9.999999999999998 then equals the 10 it stands for.
/// Numbers too large to have six decimals stay as they are.
pub fn round(value: f64) -> f64 {
    const GRID: f64 = 1e6;
    if value.abs() < 1e9 {
        (value * GRID).round() / GRID
    } else {
        value
    }
}

/// `status` of a node condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NodeStatus {
    /// The condition is met.
    True,
    /// The condition is not met.
    False,
    /// The node controller does not know.
    Unknown,
}

impl NodeStatus {
    /// The status that `text` names.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "True" => Some(Self::True),
            "False" => Some(Self::False),
            "Unknown" => Some(Self::Unknown),
            _ => None,
        }
    }
}

impl fmt::Display for NodeStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        })
    }
}

/// Which nodes a rule looks at; every part must match, and no part selects every node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeSelector {
    /// Label requirements; `matchLabels` are `In` with one value.
    pub labels: Vec<Requirement>,
    /// Node names; empty: any name.
    pub names: Vec<String>,
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What is asked of its value.
    pub operator: LabelOperator,
}

/// What is asked of a label's value, as in `NodeSelectorRequirement` of Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelOperator {
    /// The label is there with one of these values.
    In(Vec<String>),
    /// The label is absent or has none of these values.
    NotIn(Vec<String>),
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The label is an integer greater than this.
    Gt(i64),
    /// The label is an integer less than this.
    Lt(i64),
}

/// What a rule does on trigger. Values are template texts, rendered when the rule triggers.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Sets a taint.
    Taint(TaintAction),
    /// Sets labels.
    Label(Vec<(String, String)>),
    /// Sets annotations.
    Annotation(Vec<(String, String)>),
    /// Makes the node unschedulable.
    Cordon,
    /// Evicts some pods.
    Evict(EvictAction),
    /// Cordons and evicts every pod that can go.
    Drain(DrainAction),
    /// Tells people.
    Alert(AlertAction),
}

impl Action {
    /// The word in `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Taint(_) => "taint",
            Self::Label(_) => "label",
            Self::Annotation(_) => "annotation",
            Self::Cordon => "cordon",
            Self::Evict(_) => "evict",
            Self::Drain(_) => "drain",
            Self::Alert(_) => "alert",
        }
    }

    /// Whether the action takes capacity from the cluster, so that safety limits apply.
    pub const fn is_disruptive(&self) -> bool {
        match self {
            Self::Taint(taint) => !matches!(taint.effect, TaintEffect::PreferNoSchedule),
            Self::Cordon | Self::Evict(_) | Self::Drain(_) => true,
            Self::Label(_) | Self::Annotation(_) | Self::Alert(_) => false,
        }
    }
}

/// A taint to set.
#[derive(Clone, Debug, PartialEq)]
pub struct TaintAction {
    /// Key, a qualified name.
    pub key: String,
    /// Template of the value.
    pub value: String,
    /// Effect.
    pub effect: TaintEffect,
}

/// `effect` of a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if they can.
    PreferNoSchedule,
    /// Running pods leave, too.
    NoExecute,
}

impl TaintEffect {
    /// The word Kubernetes uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }

    /// The effect that `text` names.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::NoSchedule, Self::PreferNoSchedule, Self::NoExecute]
            .into_iter()
            .find(|effect| effect.word() == text)
    }
}

/// How many pods to evict, and from where not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvictAction {
    /// The most pods evicted by one trigger.
    pub max_pods: u32,
    /// Namespaces whose pods stay.
    pub exclude_namespaces: Vec<String>,
}

/// How a node is drained; the fields mean what they mean to `kubectl drain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainAction {
    /// Seconds each pod gets to stop; `None`: what the pod says.
    pub grace_period: Option<Duration>,
    /// When to give up.
    pub timeout: Duration,
    /// Whether pods with `emptyDir` volumes may go.
    pub delete_empty_dir_data: bool,
    /// Whether pods without a controller may go.
    pub force: bool,
    /// Namespaces whose pods stay.
    pub exclude_namespaces: Vec<String>,
}

/// Who is told, and with which words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertAction {
    /// Name of an `AlertTemplate`; empty: the built-in one.
    pub template: String,
    /// Channels by name; never empty.
    pub channels: Vec<String>,
}

/// What a rule does on recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryAction {
    /// Removes the taints with this key.
    RemoveTaint(String),
    /// Removes labels.
    RemoveLabel(Vec<String>),
    /// Removes annotations.
    RemoveAnnotation(Vec<String>),
    /// Makes the node schedulable.
    Uncordon,
    /// Tells people.
    Alert(AlertAction),
}

impl RecoveryAction {
    /// The word in `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RemoveTaint(_) => "removeTaint",
            Self::RemoveLabel(_) => "removeLabel",
            Self::RemoveAnnotation(_) => "removeAnnotation",
            Self::Uncordon => "uncordon",
            Self::Alert(_) => "alert",
        }
    }
}

/// Where a rule's readings come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricsSource {
    /// The rule's own Prometheus; `None`: the configured one.
    pub prometheus_url: Option<String>,
    /// Ask metrics.k8s.io first for what it knows.
    pub prefer_metrics_server: bool,
}

/// How bad a trigger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information.
    Info,
    /// Someone should look.
    Warning,
    /// Someone should come.
    Critical,
}

impl Severity {
    /// The word used in rules and messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity that `text` names.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical]
            .into_iter()
            .find(|severity| severity.word() == text)
    }
}

/// How many nodes may be out of service at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxNodes {
    /// That many nodes.
    Count(u32),
    /// That share of all nodes, in percent, rounded down.
    Percent(u8),
}

impl MaxNodes {
    /// The limit in a cluster of `total` nodes; never less than one, so that a small cluster is healed, too.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => (count as usize).max(1),
            Self::Percent(percent) => (total * usize::from(percent) / 100).max(1),
        }
    }
}
