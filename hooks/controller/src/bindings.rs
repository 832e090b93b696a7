//! What the controller listens to.

use ng_hook::{HookConfig, Kubernetes, ObjectEvent, Schedule};

/// Binding of the rules.
pub(crate) const RULES: &str = "monitor-nodeguardian-rules";
/// Binding of the nodes.
pub(crate) const NODES: &str = "nodes";
/// The schedule that evaluates rules.
pub(crate) const EVALUATION: &str = "rule-evaluation";

/// One queue, so that an evaluation never overlaps another; one group, so that however many things happen at once
/// there is one context with one copy of the snapshots.
const QUEUE: &str = "nodeguardian-evaluation";
const GROUP: &str = "evaluation";

/// A run with nothing due costs about a millisecond, so ticks may be as frequent as the shortest useful interval.
const EVERY_FIVE_SECONDS: &str = "*/5 * * * * *";

/// Only what users change: our own status must not wake us.
const RULE_FILTER: &str = "{spec: .spec, deletionTimestamp: .metadata.deletionTimestamp}";

/// Leaves out images, heartbeats, managed fields and volumes; every part of it is total.
pub(crate) const NODE_FILTER: &str = "{name: .metadata.name, uid: .metadata.uid, labels: .metadata.labels, \
    annotations: .metadata.annotations, taints: .spec.taints, unschedulable: .spec.unschedulable, \
    capacity: .status.capacity, allocatable: .status.allocatable, \
    conditions: [.status.conditions[]? | {type, status, reason, lastTransitionTime}], \
    addresses: .status.addresses}";

/// The answer to `--config`.
pub fn bindings() -> HookConfig {
    HookConfig::new()
        .kubernetes(
            Kubernetes::new(RULES, "nodeguardian.k8s.io/v1", "NodeGuardianRule")
                .jq_filter(RULE_FILTER)
                .on_events([
                    ObjectEvent::Added,
                    ObjectEvent::Modified,
                    ObjectEvent::Deleted,
                ])
                .queue(QUEUE)
                .group(GROUP),
        )
        .kubernetes(
            Kubernetes::new(NODES, "v1", "Node")
                .snapshot_only()
                .without_full_objects()
                .jq_filter(NODE_FILTER)
                .queue(QUEUE)
                .group(GROUP),
        )
        .schedule(
            Schedule::new(EVALUATION, EVERY_FIVE_SECONDS)
                .queue(QUEUE)
                .group(GROUP)
                .allow_failure()
                .snapshots([RULES, NODES]),
        )
}
