//! Nodes as the hooks watch them: the binding, and its snapshot into columns.
//!
//! Several hooks read the same snapshot, and reading it is most of what a run does, so it stands alone and is built
//! for speed. Nothing here decides what is to be known of a node: that comes in with the table to fill.

mod reader;

pub use reader::{read_filtered, read_objects, read_snapshot};

use ng_hook::Kubernetes;

/// Name of the binding.
pub const NODES: &str = "nodes";

/// What of a node is handed over. Leaves out images, heartbeats, managed fields and volumes; every part of it is
/// total.
pub const NODE_FILTER: &str = "{name: .metadata.name, uid: .metadata.uid, labels: .metadata.labels, \
    annotations: .metadata.annotations, taints: .spec.taints, unschedulable: .spec.unschedulable, \
    capacity: .status.capacity, allocatable: .status.allocatable, \
    conditions: [.status.conditions[]? | {type, status, reason, lastTransitionTime}], \
    addresses: .status.addresses}";

/// The binding: a snapshot only, never full objects, since a full node is some ten times as large.
pub fn binding() -> Kubernetes {
    Kubernetes::new(NODES, "v1", "Node")
        .snapshot_only()
        .without_full_objects()
        .jq_filter(NODE_FILTER)
}
