//! What the controller listens to.

use std::time::Duration;

use ng_engine::time::Time;
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

/// Milliseconds between two ticks.
const PERIOD: i64 = 5_000;
/// How many milliseconds after its tick a run begins at most.
const DELAY: i64 = 500;

/// The tick that a run belongs to, if it began right after one, and else `now`.
///
/// A run begins some ten to some hundred milliseconds after its tick, now later, now earlier. By the clock a condition
/// that was true at every tick would be just short of its duration half of the time, and wait for another check
/// interval.
pub(crate) fn moment(now: Time) -> Time {
    let late = now.millis().rem_euclid(PERIOD);
    if late <= DELAY {
        now.minus(Duration::from_millis(late.unsigned_abs()))
    } else {
        now
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_belongs_to_the_tick_it_began_right_after() {
        let cases = [
            ("2026-01-01T00:00:05.000Z", "2026-01-01T00:00:05.000Z"),
            ("2026-01-01T00:00:05.239Z", "2026-01-01T00:00:05.000Z"),
            ("2026-01-01T00:00:05.501Z", "2026-01-01T00:00:05.501Z"),
            ("2026-01-01T00:00:06.000Z", "2026-01-01T00:00:06.000Z"),
            ("2026-01-01T00:00:09.999Z", "2026-01-01T00:00:09.999Z"),
        ];
        let time = |text: &str| Time::from(text.parse::<jiff::Timestamp>().unwrap());
        for (now, wanted) in cases {
            assert_eq!(moment(time(now)), time(wanted), "{now}");
        }
    }
}
