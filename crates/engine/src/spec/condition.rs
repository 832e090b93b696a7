//! What must be true, and of which nodes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Scalar;

/// A metric compared with a value, or a condition in the node's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConditionSpec {
    /// Name of the metric.
    pub metric: String,
    /// A word such as `GreaterThan`, or its sign.
    pub operator: String,
    /// What the reading is compared with.
    pub value: Option<Scalar>,
    /// Type of a node condition, instead of a metric.
    pub node_condition: String,
    /// The statuses of the node condition for which the test is true.
    pub status: Vec<String>,
    /// How long the test must have been true.
    pub duration: String,
    /// Free text.
    pub description: String,
}

/// Which nodes a rule looks at; every given part must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SelectorSpec {
    /// Labels with their values.
    pub match_labels: BTreeMap<String, String>,
    /// Requirements on labels.
    pub match_expressions: Vec<RequirementSpec>,
    /// Names of nodes.
    pub node_names: Vec<String>,
}

/// A requirement on a label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RequirementSpec {
    /// The label's key.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`.
    pub operator: String,
    /// Values for the operator.
    pub values: Vec<String>,
}
