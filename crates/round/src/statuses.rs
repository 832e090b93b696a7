//! Statuses of rules: written when they differ from what the API server shows.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use ng_engine::history::History;
use ng_engine::plan::Plan;
use ng_engine::spec::{RuleStatus, StatusCondition};
use ng_engine::status::{self, Standing};
use ng_hook::PatchOperation;

use crate::due::Duty;
use crate::patches;
use crate::rule_item::RuleItem;
use crate::tick::Desk;

/// How long a status that the API server does not show is left alone before it is written again: until then it is
/// taken to be on its way.
const STATUS_PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

/// The status as the snapshot shows it; `None` if there is none that can be read.
pub(crate) fn published(item: &RuleItem<'_>) -> Option<RuleStatus> {
    item.status.and_then(|status| status.decode().ok())
}

/// The writes of statuses that differ from what the API server shows.
pub(crate) fn writes(
    duty: &Duty<'_>,
    plan: &Plan,
    history: &mut History,
    desk: &Desk<'_>,
) -> Vec<anyhow::Result<PatchOperation>> {
    let mut operations = Vec::new();
    for (item, standing) in standings(duty, plan, desk.config.safety.paused) {
        let published = published(item);
        let times = (published.as_ref(), desk.now);
        let fresh = status::of(&item.name, item.generation, &standing, history, times);
        let Some(remembered) = history.rules.get_mut(&item.name) else {
            continue;
        };
        if published.as_ref() == Some(&fresh) {
            continue;
        }
        let hash = timeless_hash(&fresh);
        let written = &mut remembered.summary.status_written;
        let on_its_way = written
            .is_some_and(|(before, at)| before == hash && desk.now.since(at) < STATUS_PATIENCE);
        if !on_its_way {
            *written = Some((hash, desk.now));
            operations.push(patches::status(&item.name, &fresh));
        }
    }
    operations
}

/// How every rule of this run stands.
fn standings<'a>(
    duty: &'a Duty<'a>,
    plan: &'a Plan,
    paused: bool,
) -> Vec<(&'a RuleItem<'a>, Standing<'a>)> {
    let seen: BTreeMap<&str, _> = plan
        .evaluated
        .iter()
        .map(|evaluated| (evaluated.rule.as_str(), evaluated))
        .collect();
    let evaluated = duty.evaluate.iter().filter_map(|due| {
        let seen = seen.get(due.rule.name.as_str())?;
        Some((&due.item, Standing::Evaluated(seen)))
    });
    let disabled = duty
        .disabled
        .iter()
        .map(|due| (&due.item, Standing::Disabled { waiting: paused }));
    let invalid = duty
        .invalid
        .iter()
        .map(|rule| (&rule.item, Standing::Invalid(&rule.problems)));
    evaluated.chain(disabled).chain(invalid).collect()
}

/// Hash of a status without the times at which its conditions changed: they differ with every
/// attempt to write it.
fn timeless_hash(status: &RuleStatus) -> u64 {
    let RuleStatus {
        phase,
        triggered_nodes,
        last_triggered,
        last_recovery,
        last_error,
        conditions,
        observed_generation,
        nodes,
    } = status;
    let mut hasher = rustc_hash::FxHasher::default();
    (phase, triggered_nodes, last_triggered, last_recovery).hash(&mut hasher);
    (last_error, observed_generation, nodes).hash(&mut hasher);
    for condition in conditions {
        let StatusCondition {
            kind,
            status,
            observed_generation,
            last_transition_time: _,
            reason,
            message,
        } = condition;
        (kind, status, observed_generation, reason, message).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use ng_engine::rule::NodeStatus;
    use ng_engine::time::Time;

    use super::*;

    #[test]
    fn a_status_is_the_same_one_whenever_its_conditions_changed() {
        let condition = |message: &str, at: i64| StatusCondition {
            kind: "Ready".to_owned(),
            status: NodeStatus::True,
            observed_generation: Some(1),
            last_transition_time: Some(Time::from_millis(at)),
            reason: "Evaluated".to_owned(),
            message: message.to_owned(),
        };
        let status = |message: &str, at: i64, nodes: &[&str]| RuleStatus {
            triggered_nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            conditions: vec![condition(message, at)],
            ..RuleStatus::default()
        };
        let first = timeless_hash(&status("", 1_000, &["one"]));
        assert_eq!(first, timeless_hash(&status("", 2_000, &["one"])));
        assert_ne!(first, timeless_hash(&status("late", 1_000, &["one"])));
        assert_ne!(first, timeless_hash(&status("", 1_000, &["two"])));
        assert_ne!(first, timeless_hash(&status("", 1_000, &[])));
    }
}
