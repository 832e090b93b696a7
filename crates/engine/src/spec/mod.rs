//! The custom resources as they are written: text and numbers, unchecked. [`crate::validate`] makes domain types of them.
//!
//! Unknown fields are accepted, and a field that may be left out may be left out here, too: the API server checks
//! types and fills in the defaults of the schema, but rules also come from files it never saw.

mod action;
mod condition;
mod scalar;
mod status;
mod template;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use action::{
    ActionSpec, AlertSpec, AnnotationSpec, DrainSpec, EvictSpec, KeySpec, KeysSpec, LabelSpec,
    OldAnnotationsSpec, OldLabelsSpec, RecoveryActionSpec, TaintSpec,
};
pub use condition::{ConditionSpec, RequirementSpec, SelectorSpec};
pub(crate) use scalar::whole;
pub use scalar::{Names, Scalar};
pub use status::{
    GuardDetail, Mark, MarkKind, NodeDetail, NodePhase, OwnedMark, Phase, RuleStatus,
    StatusCondition, TemplateStatus,
};
pub use template::{ChannelObject, ChannelSpec, TemplateObject, TemplateSpec};

/// `kind` of a rule.
pub const RULE_KIND: &str = "NodeGuardianRule";
/// `kind` of an alert template.
pub const TEMPLATE_KIND: &str = "AlertTemplate";
/// `apiVersion` of both kinds.
pub const API_VERSION: &str = "nodeguardian.k8s.io/v1";

/// What is read of an object's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectMeta {
    /// Name, unique in the cluster.
    pub name: String,
    /// Tells an object from a later one of the same name.
    pub uid: String,
    /// Counts changes of `spec`; 0 in a file.
    pub generation: i64,
    /// When the deletion was asked for; `None`: it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<String>,
}

/// A `NodeGuardianRule`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleObject {
    /// Who it is.
    pub metadata: ObjectMeta,
    /// What the user wants.
    pub spec: RuleSpec,
    /// What was last published about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RuleStatus>,
}

impl RuleObject {
    /// Reads a rule from JSON. A status that cannot be read is left out: it is written anew, the rule is not.
    pub fn from_json(json: &str) -> Result<Self, InvalidObject> {
        serde_json::from_str(json)
            .or_else(|error| without_status(json).ok_or(error))
            .map_err(|source| InvalidObject::new(RULE_KIND, json, source))
    }
}

fn without_status<T: serde::de::DeserializeOwned>(json: &str) -> Option<T> {
    let mut value: serde_json::Value = serde_json::from_str(json).ok()?;
    value.as_object_mut()?.remove("status")?;
    serde_json::from_value(value).ok()
}

/// An object whose fields have the wrong types; the API server keeps such objects out.
#[derive(Debug, Error)]
#[error("cannot read {kind} {name:?}")]
pub struct InvalidObject {
    /// The kind that was expected.
    pub kind: &'static str,
    /// `metadata.name`; empty if even that cannot be read.
    pub name: String,
    /// What is wrong, and where.
    #[source]
    pub source: serde_json::Error,
}

impl InvalidObject {
    fn new(kind: &'static str, json: &str, source: serde_json::Error) -> Self {
        #[derive(Deserialize)]
        struct Named {
            metadata: ObjectMeta,
        }
        let named = serde_json::from_str::<Named>(json);
        Self {
            kind,
            name: named.map_or_else(|_| String::new(), |named| named.metadata.name),
            source,
        }
    }
}

/// `spec` of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuleSpec {
    /// What must be true of a node.
    pub conditions: Vec<ConditionSpec>,
    /// `AND` or `OR`.
    pub condition_logic: String,
    /// Which nodes are looked at.
    pub node_selector: SelectorSpec,
    /// What is done on trigger.
    pub actions: Vec<ActionSpec>,
    /// What must be true for recovery.
    pub recovery_conditions: Vec<ConditionSpec>,
    /// `AND` or `OR`.
    pub recovery_condition_logic: String,
    /// What is done on recovery.
    pub recovery_actions: Vec<RecoveryActionSpec>,
    /// How often, and from where.
    pub monitoring: MonitoringSpec,
    /// What people say about the rule.
    pub metadata: MetadataSpec,
    /// Limits of the rule's own.
    pub safety: SafetySpec,
}

/// How often a rule is evaluated, and from which readings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MonitoringSpec {
    /// Time between two evaluations.
    pub check_interval: String,
    /// Time between two runs of the actions.
    pub cooldown_period: String,
    /// Least time between two recoveries of one node.
    pub recovery_cooldown_period: String,
    /// Where readings come from.
    pub metrics_source: MetricsSourceSpec,
}

/// Where a rule's readings come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MetricsSourceSpec {
    /// The rule's own Prometheus.
    #[serde(rename = "prometheusURL")]
    pub prometheus_url: String,
    /// Ask metrics.k8s.io first.
    pub use_metrics_server: bool,
}

/// What people say about a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MetadataSpec {
    /// A smaller number acts first.
    pub priority: Option<i64>,
    /// A disabled rule releases what it holds.
    pub enabled: Option<bool>,
    /// Free text.
    pub description: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// Free words.
    pub tags: Vec<String>,
    /// Do everything but change the cluster.
    pub dry_run: bool,
}

/// Limits of a rule's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SafetySpec {
    /// A number of nodes, or a percentage such as `30%`.
    pub max_nodes: Option<Scalar>,
}
