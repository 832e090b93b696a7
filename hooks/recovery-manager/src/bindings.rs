//! What the recovery-manager listens to.

use ng_hook::{HookConfig, Schedule};
use ng_nodes::NODES;
use ng_round::bindings::{RULES, rules};

/// The schedule that looks at held nodes.
const CHECK: &str = "recovery-check";

/// A queue of its own: a controller that is busy holds up nobody's recovery.
const QUEUE: &str = "nodeguardian-recovery";
const GROUP: &str = "recovery";

/// Between the controller's ticks, which are at every fifth second, so that the two seldom meet.
const EVERY_TEN_SECONDS: &str = "3-59/10 * * * * *";

/// The answer to `--config`.
pub(crate) fn bindings() -> HookConfig {
    HookConfig::new()
        .kubernetes(rules().snapshot_only().queue(QUEUE).group(GROUP))
        .kubernetes(ng_nodes::binding().queue(QUEUE).group(GROUP))
        .schedule(
            Schedule::new(CHECK, EVERY_TEN_SECONDS)
                .queue(QUEUE)
                .group(GROUP)
                .allow_failure()
                .snapshots([RULES, NODES]),
        )
}
