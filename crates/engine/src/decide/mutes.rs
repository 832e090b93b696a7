//! Which alerts are counted and not sent. Decisions, marks and evictions do not depend on it.

use crate::history::{History, MarkKey};
use crate::node::MUTE_UNTIL_ANNOTATION;
use crate::plan::{AlertKind, BadMute, Mute, Plan};
use crate::rule::{Rule, Test};
use crate::time::Time;

use super::{Act, Due, World};

/// Why the alerts of an act are muted, and what is remembered of that: an episode of which something was sent has its
/// end told whatever comes, and one of which nothing was sent ends in silence.
pub(super) fn of_act(
    history: &mut History,
    due: Option<&Due<'_>>,
    act: &Act,
    world: &World<'_>,
    plan: &mut Plan,
) -> Option<Mute> {
    if act.kind == AlertKind::Recovery {
        return act.record.muted;
    }
    let (nodes, node) = (world.inputs.nodes, act.node);
    let asked = nodes.annotation(node, MUTE_UNTIL_ANNOTATION);
    let until = asked.map(|text| text.parse::<Time>().map_err(|_| text));
    if let (Some(Err(text)), AlertKind::Trigger) = (&until, act.kind)
        && plan
            .bad_mutes
            .iter()
            .all(|bad| bad.node != nodes.name(node))
    {
        plan.bad_mutes.push(BadMute {
            node: nodes.name(node).to_owned(),
            value: (*text).to_owned(),
        });
    }
    let mute = match until {
        Some(Ok(until)) if until > world.inputs.now => Some(Mute::Until(until)),
        _ if is_foreign_cordon(history, node, world) => Some(Mute::ForeignCordon),
        _ if nodes.is_not_ready(node) && due.is_some_and(|due| is_of_metrics(due.rule)) => {
            Some(Mute::NotReady)
        }
        _ => None,
    };
    let record = history
        .rules
        .get_mut(&act.rule)
        .and_then(|remembered| remembered.records.get_mut(nodes.name(node)));
    if let Some(record) = record {
        record.muted = match act.kind {
            AlertKind::Trigger => mute,
            AlertKind::Repeat | AlertKind::Recovery => record.muted.and(mute),
        };
    }
    mute
}

/// Whether someone else cordoned the node.
fn is_foreign_cordon(history: &History, node: usize, world: &World<'_>) -> bool {
    let nodes = world.inputs.nodes;
    let ours = || {
        let ledger = history.ledgers.get(nodes.name(node));
        ledger.is_some_and(|ledger| {
            let mut marks = ledger.marks.iter();
            marks.any(|owned| owned.mark.key == MarkKey::Cordon)
        })
    };
    nodes.is_unschedulable(node) && !ours()
}

/// Whether the rule looks at metrics alone: a rule that looks at node conditions may be there to tell of the node
/// that is not ready.
fn is_of_metrics(rule: &Rule) -> bool {
    let mut conditions = rule.trigger.all.iter();
    conditions.all(|condition| matches!(condition.test, Test::Metric { .. }))
}
