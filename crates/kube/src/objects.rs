//! Pods and nodes with the fields that decisions need, and no others.
//!
//! The whole types of k8s-openapi know hundreds of fields: reading 500 pods into them takes at least four times as
//! long, and their code alone is a megabyte of a static executable. Small types of the API (taints, conditions,
//! addresses, owners, statuses of requests) are taken from there.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeAddress, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::Deserialize;

/// `metadata` of either kind.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectMeta {
    /// Name.
    pub name: Option<String>,
    /// Namespace; nodes have none.
    pub namespace: Option<String>,
    /// UID.
    pub uid: Option<String>,
    /// The version that was read.
    pub resource_version: Option<String>,
    /// When its deletion was asked for.
    pub deletion_timestamp: Option<String>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Owners.
    pub owner_references: Option<Vec<OwnerReference>>,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Who it is.
    pub metadata: ObjectMeta,
    /// Where it runs, and how much it matters.
    pub spec: Option<PodSpec>,
    /// How it is.
    pub status: Option<PodStatus>,
}

/// `spec` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// The node it is bound to.
    pub node_name: Option<String>,
    /// Its priority; absent: 0.
    pub priority: Option<i32>,
    /// Its volumes.
    pub volumes: Option<Vec<Volume>>,
}

/// A volume, as far as it dies with its pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Volume {
    /// Set if the data go with the pod.
    pub empty_dir: Option<EmptyDir>,
}

/// An `emptyDir`; what it says of itself does not matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EmptyDir {}

/// `status` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// `Running` and so on.
    pub phase: Option<String>,
    /// Quality of service.
    pub qos_class: Option<String>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Who it is.
    pub metadata: ObjectMeta,
    /// What people and controllers want of it.
    pub spec: Option<NodeSpec>,
    /// How it is.
    pub status: Option<NodeStatus>,
}

/// `spec` of a node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// Taints.
    pub taints: Option<Vec<Taint>>,
    /// Whether it is cordoned.
    pub unschedulable: Option<bool>,
}

/// `status` of a node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Conditions.
    pub conditions: Option<Vec<NodeCondition>>,
    /// Addresses.
    pub addresses: Option<Vec<NodeAddress>>,
    /// What it has.
    pub capacity: Option<BTreeMap<String, Quantity>>,
}
