//! What a round needs from shell-operator, and which moment it is for.

use std::time::Duration;

use ng_engine::time::Time;
use ng_hook::Kubernetes;

/// Name of the binding of the rules.
pub const RULES: &str = "monitor-nodeguardian-rules";

/// Only what users change: our own status must not wake us.
const RULE_FILTER: &str = "{spec: .spec, deletionTimestamp: .metadata.deletionTimestamp}";

/// The binding of the rules, full objects; which events wake the hook is left to it.
pub fn rules() -> Kubernetes {
    Kubernetes::new(RULES, "nodeguardian.k8s.io/v1", "NodeGuardianRule").jq_filter(RULE_FILTER)
}

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
