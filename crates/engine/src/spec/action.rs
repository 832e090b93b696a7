//! What a rule does on trigger and on recovery: a `type`, and the block that belongs to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Names, Scalar};

/// An action on trigger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ActionSpec {
    /// Which action; the block of the same name holds its details.
    #[serde(rename = "type")]
    pub kind: String,
    /// For `taint`.
    pub taint: Option<TaintSpec>,
    /// For `label`.
    pub label: Option<LabelSpec>,
    /// For `annotation`.
    pub annotation: Option<AnnotationSpec>,
    /// For `evict`.
    pub evict: Option<EvictSpec>,
    /// For `drain`.
    pub drain: Option<DrainSpec>,
    /// For `alert`.
    pub alert: Option<AlertSpec>,
}

/// A taint to set; what is empty is the configured default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TaintSpec {
    /// Key.
    pub key: String,
    /// Template of the value; absent: `true`.
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// Labels to set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LabelSpec {
    /// Templates of the values, by key.
    pub labels: BTreeMap<String, String>,
}

/// Annotations to set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AnnotationSpec {
    /// Templates of the values, by key.
    pub annotations: BTreeMap<String, String>,
}

/// How many pods to evict, and from where not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EvictSpec {
    /// The most pods evicted by one trigger.
    pub max_pods: Option<i64>,
    /// Namespaces whose pods stay.
    pub exclude_namespaces: Vec<String>,
}

/// How a node is drained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DrainSpec {
    /// Seconds, or a duration; absent or -1: what each pod says.
    pub grace_period: Option<Scalar>,
    /// When to give up.
    pub timeout: String,
    /// Whether pods with `emptyDir` volumes may go.
    pub delete_empty_dir_data: bool,
    /// Whether pods without a controller may go.
    pub force: bool,
}

/// Who is told, and with which words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AlertSpec {
    /// Absent: true.
    pub enabled: Option<bool>,
    /// Name of an `AlertTemplate`.
    pub template: String,
    /// Names of channels.
    pub channels: Vec<String>,
}

/// An action on recovery. Blocks named `untaint`, `removeLabel` and `removeAnnotation` are older spellings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RecoveryActionSpec {
    /// Which action.
    #[serde(rename = "type")]
    pub kind: String,
    /// For `removeTaint`.
    pub taint: Option<KeySpec>,
    /// For `removeTaint`, older.
    pub untaint: Option<KeySpec>,
    /// For `removeLabel`.
    pub label: Option<KeysSpec>,
    /// For `removeLabel`, older.
    pub remove_label: Option<OldLabelsSpec>,
    /// For `removeAnnotation`.
    pub annotation: Option<KeysSpec>,
    /// For `removeAnnotation`, older.
    pub remove_annotation: Option<OldAnnotationsSpec>,
    /// For `alert`.
    pub alert: Option<AlertSpec>,
}

/// The key of a taint to remove; empty: the configured default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KeySpec {
    /// Key.
    pub key: String,
}

/// Keys of labels or annotations to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KeysSpec {
    /// Keys.
    pub keys: Vec<String>,
}

/// Older spelling of the labels to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OldLabelsSpec {
    /// Keys, or an object with these keys.
    pub labels: Names,
}

/// Older spelling of the annotations to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OldAnnotationsSpec {
    /// Keys, or an object with these keys.
    pub annotations: Names,
}
