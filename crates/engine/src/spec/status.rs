//! What is published about a rule: short for people, and enough to rebuild lost local state.

use serde::{Deserialize, Serialize};

use crate::rule::{NodeStatus, TaintEffect};
use crate::time::Time;

/// `status` of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuleStatus {
    /// What the rule is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Names of the nodes that are triggered or recovering.
    pub triggered_nodes: Vec<String>,
    /// When a node last triggered.
    #[serde(with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub last_triggered: Option<Time>,
    /// When a node last recovered.
    #[serde(with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub last_recovery: Option<Time>,
    /// What went wrong last; empty: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The usual conditions of Kubernetes.
    pub conditions: Vec<StatusCondition>,
    /// The generation this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Details of the nodes that are not healthy; the writer bounds their number.
    pub nodes: Vec<NodeDetail>,
}

/// What a rule is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// It is evaluated.
    Active,
    /// It is disabled.
    Inactive,
    /// It cannot be evaluated.
    Error,
}

/// A condition as `metav1.Condition`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusCondition {
    /// What is stated.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is so.
    pub status: NodeStatus,
    /// The generation this condition speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed.
    #[serde(default, with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// Why, in one word.
    #[serde(default)]
    pub reason: String,
    /// Why, in a sentence.
    #[serde(default)]
    pub message: String,
}

/// What is known of a node that is not healthy under the rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeDetail {
    /// Name of the node.
    pub name: String,
    /// UID of the node; a later node of the same name starts healthy.
    #[serde(default)]
    pub uid: String,
    /// Where the node stands.
    pub phase: NodePhase,
    /// When it triggered.
    #[serde(default, with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub triggered_at: Option<Time>,
    /// When the actions last ran.
    #[serde(default, with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub acted_at: Option<Time>,
    /// When it recovered last.
    #[serde(default, with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Time>,
    /// How often the actions ran again.
    #[serde(default)]
    pub repeats: u32,
    /// What holds back the disruptive actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardDetail>,
    /// Whether the node has a place under the safety limits.
    #[serde(default)]
    pub admitted: bool,
    /// What the rule wants on the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// What was set on the node, and so may be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned: Vec<OwnedMark>,
}

/// Where a node stands under a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NodePhase {
    /// The rule acts on it.
    Triggered,
    /// Its recovery has begun.
    Recovering,
    /// It has recovered: cooldowns may still run, and marks may still have to go.
    Recovered,
}

/// What holds back the disruptive actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GuardDetail {
    /// Name of the guard.
    pub name: String,
    /// What it says.
    #[serde(default)]
    pub message: String,
}

/// Something a rule wants on a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// What it is.
    pub kind: MarkKind,
    /// Key; empty for a cordon.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Value; empty for a cordon.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Effect; of a taint only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
}

/// Something that was set on a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnedMark {
    /// What it is.
    pub kind: MarkKind,
    /// Key; empty for a cordon.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Value; empty for a cordon.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Effect; of a taint only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
    /// The value that stood there before; absent: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The earlier value that the node still showed, where it was another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// Whether it is being removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}

/// What a mark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MarkKind {
    /// A taint.
    Taint,
    /// A label.
    Label,
    /// An annotation.
    Annotation,
    /// `unschedulable`.
    Cordon,
}

/// `status` of an alert template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TemplateStatus {
    /// The usual conditions of Kubernetes.
    pub conditions: Vec<StatusCondition>,
    /// The generation this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Times as `metav1.Time` writes them.
mod rfc3339 {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Time;

    #[expect(
        clippy::ref_option,
        reason = "the signature is what serde's `with` calls"
    )]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Time>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Time>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let time = text.parse().map_err(|_| {
            D::Error::custom(format_args!(
                "expected a time such as \"2026-03-01T12:00:00Z\", found {text:?}"
            ))
        })?;
        Ok(Some(time))
    }
}
