//! What the hook listens to.

use ng_hook::{HookConfig, Kubernetes, ObjectEvent, Schedule};
use ng_nodes::NODES;

/// The schedule of the checks.
pub(crate) const CHECK: &str = "node-check";
/// Changes of nodes that cannot wait for a check.
pub(crate) const EVENTS: &str = "node-events";

/// A queue of its own: checks wait for sources of metrics, and nothing else must wait for them.
const QUEUE: &str = "nodeguardian-monitor";

/// Beside the ticks of the other hooks. Whether a check is due then depends on the configured interval.
const EVERY_FIFTEEN_SECONDS: &str = "7-59/15 * * * * *";

/// Readiness, taints, cordons, and what they are judged by: no heartbeats, no images, no addresses. In the form of
/// the binding of nodes, of which it is a part.
const EVENT_FILTER: &str = "{name: .metadata.name, uid: .metadata.uid, \
    labels: ((.metadata.labels // {}) | with_entries(select(.key == \"topology.kubernetes.io/zone\"))), \
    annotations: ((.metadata.annotations // {}) | with_entries(select(.key == \"nodeguardian.io/mute-until\"))), \
    taints: .spec.taints, unschedulable: .spec.unschedulable, \
    conditions: [.status.conditions[]? | select(.type == \"Ready\") | {type, status, reason}]}";

/// The answer to `--config`. The events are in no group: each has to say what happened to which node, and needs no
/// other one.
pub(crate) fn bindings() -> HookConfig {
    HookConfig::new()
        .kubernetes(ng_nodes::binding().queue(QUEUE))
        .kubernetes(
            Kubernetes::new(EVENTS, "v1", "Node")
                .on_events([
                    ObjectEvent::Added,
                    ObjectEvent::Modified,
                    ObjectEvent::Deleted,
                ])
                .without_synchronization()
                .without_full_objects()
                .jq_filter(EVENT_FILTER)
                .queue(QUEUE),
        )
        .schedule(
            Schedule::new(CHECK, EVERY_FIFTEEN_SECONDS)
                .queue(QUEUE)
                .allow_failure()
                .snapshots([NODES]),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_operator_takes_the_bindings() {
        assert_eq!(bindings().problems(), Vec::<String>::new());
    }
}
