//! What the controller listens to.

use ng_hook::{HookConfig, ObjectEvent, Schedule};
use ng_nodes::NODES;
use ng_round::bindings::{RULES, rules};

/// The schedule that evaluates rules.
const EVALUATION: &str = "rule-evaluation";

/// One queue, so that an evaluation never overlaps another; one group, so that however many things happen at once
/// there is one context with one copy of the snapshots.
const QUEUE: &str = "nodeguardian-evaluation";
const GROUP: &str = "evaluation";

/// A run with nothing due costs about a millisecond, so ticks may be as frequent as the shortest useful interval.
const EVERY_FIVE_SECONDS: &str = "*/5 * * * * *";

/// The answer to `--config`.
pub(crate) fn bindings() -> HookConfig {
    HookConfig::new()
        .kubernetes(
            rules()
                .on_events([
                    ObjectEvent::Added,
                    ObjectEvent::Modified,
                    ObjectEvent::Deleted,
                ])
                .queue(QUEUE)
                .group(GROUP),
        )
        .kubernetes(ng_nodes::binding().queue(QUEUE).group(GROUP))
        .schedule(
            Schedule::new(EVALUATION, EVERY_FIVE_SECONDS)
                .queue(QUEUE)
                .group(GROUP)
                .allow_failure()
                .snapshots([RULES, NODES]),
        )
}
