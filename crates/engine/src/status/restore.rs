//! History made from what was published, after the state directory was lost.
//!
//! What is published reaches us late: a status that was written shortly before the loss shows up after the rebuild.
//! So for a while every status is looked through once more for what it says of the time before.

use std::time::Duration;

use crate::decide::stands;
use crate::history::{
    Guard, History, Ledger, Mark, MarkKey, NodeRecord, Owned, Phase as RecordPhase, RESTORED,
    RuleHistory, RuleSummary,
};
use crate::node::Nodes;
use crate::rule::TaintEffect;
use crate::spec::{MarkKind, NodeDetail, NodePhase, OwnedMark, RuleStatus};
use crate::time::Time;

/// How long after a rebuild statuses of the time before may still show up. Snapshots lag by seconds.
const SETTLING: Duration = Duration::from_mins(2);

impl RuleSummary {
    /// When the history was rebuilt, while statuses of the time before may still show up.
    pub fn settling(&self, now: Time) -> Option<Time> {
        settling(self.rebuilt, now)
    }
}

/// `rebuilt`, while statuses of the time before may still show up.
pub fn settling(rebuilt: Option<Time>, now: Time) -> Option<Time> {
    rebuilt.filter(|rebuilt| now.since(*rebuilt) < SETTLING)
}

/// Puts what a rule's status says into an empty history: after the state directory was lost, nothing is released
/// that was held, nothing is done twice, and what was ours stays ours. Timers and evictions under way are lost:
/// a trigger may come later, an eviction is taken up again with the next run of the actions.
pub fn restore(history: &mut History, rule: &str, uid: &str, status: &RuleStatus) {
    let remembered = history.rules.entry(rule.to_owned()).or_default();
    uid.clone_into(&mut remembered.summary.uid);
    remembered.summary.last_triggered = status.last_triggered;
    remembered.summary.last_recovery = status.last_recovery;
    for detail in &status.nodes {
        let Some(triggered_at) = detail.triggered_at else {
            continue;
        };
        remembered
            .records
            .insert(detail.name.clone(), record(detail, triggered_at));
        let owned: Vec<Owned> = detail
            .owned
            .iter()
            .filter_map(|owned| owned_mark(owned, detail))
            .collect();
        if !owned.is_empty() {
            let ledger = history.ledgers.entry(detail.name.clone()).or_default();
            ledger.uid.clone_from(&detail.uid);
            for owned in owned {
                if ledger
                    .marks
                    .iter()
                    .all(|known| known.mark.key != owned.mark.key)
                {
                    ledger.marks.push(owned);
                }
            }
        }
    }
}

/// Whether a status tells of an episode that began before the rebuild.
pub fn tells_of_before(status: &RuleStatus, rebuilt: Time) -> bool {
    status
        .nodes
        .iter()
        .any(|detail| is_of_before(detail, rebuilt))
}

fn is_of_before(detail: &NodeDetail, rebuilt: Time) -> bool {
    detail
        .triggered_at
        .is_some_and(|triggered| triggered < rebuilt.whole_second())
}

/// Takes in what statuses, by rule, say of the time before a rebuild and the rebuild did not know: episodes, and marks
/// that stand on their nodes. A mark that NodeGuardian set and forgot would otherwise pass for someone else's, and
/// stay.
pub fn learn(history: &mut History, late: &[(&str, RuleStatus)], nodes: &Nodes) {
    if late.is_empty() {
        return;
    }
    let positions = nodes.positions();
    for (rule, status) in late {
        let Some(remembered) = history.rules.get_mut(*rule) else {
            continue;
        };
        let Some(rebuilt) = remembered.summary.rebuilt else {
            continue;
        };
        for detail in status
            .nodes
            .iter()
            .filter(|detail| is_of_before(detail, rebuilt))
        {
            let Some(node) = positions
                .get(detail.name.as_str())
                .copied()
                .filter(|node| nodes.uid(*node) == detail.uid)
            else {
                continue;
            };
            let episode = learn_episode(remembered, detail);
            let ledger = history.ledgers.entry(detail.name.clone()).or_default();
            detail.uid.clone_into(&mut ledger.uid);
            for found in detail
                .owned
                .iter()
                .filter_map(|owned| owned_mark(owned, detail))
            {
                let here = stands(nodes, node, &found.mark.key);
                let stands = here == Some(found.mark.value.as_str());
                let leaving = match episode {
                    Episode::Under => found.leaving,
                    Episode::Over => Some(rebuilt),
                };
                learn_mark(ledger, Owned { leaving, ..found }, stands);
            }
            if ledger.is_empty() {
                history.ledgers.remove(&detail.name);
            }
        }
    }
}

/// Whether an episode goes on.
enum Episode {
    Under,
    Over,
}

/// Begins an episode that was forgotten, unless it has ended since.
fn learn_episode(remembered: &mut RuleHistory, detail: &NodeDetail) -> Episode {
    let triggered_at = detail.triggered_at.unwrap_or(Time::from_millis(0));
    if detail.phase == NodePhase::Recovered {
        let known = remembered
            .records
            .entry(detail.name.clone())
            .or_insert_with(|| record(detail, triggered_at));
        known.recovered_at = known.recovered_at.max(detail.recovered_at);
        return Episode::Over;
    }
    match remembered.records.get_mut(&detail.name) {
        Some(known) if known.is_active() => {
            known.admitted |= detail.admitted;
            known.triggered_at = known.triggered_at.min(triggered_at);
            Episode::Under
        }
        Some(known) if known.triggered_at.whole_second() == triggered_at => Episode::Over,
        known => {
            let recovered_at = known.and_then(|known| known.recovered_at);
            let fresh = NodeRecord {
                recovered_at,
                ..record(detail, triggered_at)
            };
            remembered.records.insert(detail.name.clone(), fresh);
            Episode::Under
        }
    }
}

/// One mark that was ours; what does not stand on its node is only a value that nobody else set.
fn learn_mark(ledger: &mut Ledger, found: Owned, stands: bool) {
    let mut marks = ledger.marks.iter_mut();
    match marks.find(|known| known.mark.key == found.mark.key) {
        Some(known) => {
            if known.previous.as_ref() == Some(&found.mark.value) {
                known.previous = found.previous;
            }
            if stands && known.mark.value != found.mark.value {
                known.shown = Some(found.mark.value);
            }
        }
        None if stands => ledger.marks.push(Owned {
            shown: Some(found.mark.value.clone()),
            ..found
        }),
        None => {}
    }
}

fn owned_mark(owned: &OwnedMark, detail: &NodeDetail) -> Option<Owned> {
    let mark = Mark {
        key: key_of(owned.kind, &owned.key, owned.effect)?,
        value: owned.value.clone(),
    };
    let told_at = detail.recovered_at.max(detail.acted_at);
    Some(Owned {
        leaving: owned
            .leaving
            .then_some(told_at.unwrap_or(Time::from_millis(0))),
        // A rule that was not due when another one handed it the mark still publishes the other's value as ours; its
        // own is ours as well, and may be what stands.
        shown: owned
            .shown
            .clone()
            .or_else(|| wanted_instead(detail, &mark)),
        ..Owned::new(mark, owned.previous.clone())
    })
}

/// The value that the rule wants where another one was published as ours.
fn wanted_instead(detail: &NodeDetail, owned: &Mark) -> Option<String> {
    let wanted = detail
        .marks
        .iter()
        .find(|mark| key_of(mark.kind, &mark.key, mark.effect).as_ref() == Some(&owned.key))?;
    (wanted.value != owned.value).then(|| wanted.value.clone())
}

fn record(detail: &NodeDetail, triggered_at: Time) -> NodeRecord {
    NodeRecord {
        uid: detail.uid.clone(),
        phase: match detail.phase {
            NodePhase::Triggered | NodePhase::Recovering => RecordPhase::Triggered,
            NodePhase::Recovered => RecordPhase::Idle,
        },
        triggered_at,
        acted_at: detail.acted_at.unwrap_or(triggered_at),
        repeats: detail.repeats,
        recovered_at: detail.recovered_at,
        recovery: Vec::new(),
        clear: None,
        marks: detail
            .marks
            .iter()
            .filter_map(|mark| {
                Some(Mark {
                    key: key_of(mark.kind, &mark.key, mark.effect)?,
                    value: mark.value.clone(),
                })
            })
            .collect(),
        guard: None,
        admitted: detail.admitted,
        jobs: Vec::new(),
        spec_hash: RESTORED,
        dry_run: detail
            .guard
            .as_ref()
            .is_some_and(|guard| guard.name == Guard::DryRun.word()),
        absent: None,
        paused: None,
        muted: None,
    }
}

fn key_of(kind: MarkKind, key: &str, effect: Option<TaintEffect>) -> Option<MarkKey> {
    let key = key.to_owned();
    match (kind, effect) {
        (MarkKind::Taint, Some(effect)) => Some(MarkKey::Taint { key, effect }),
        (MarkKind::Taint, None) => None,
        (MarkKind::Label, _) => Some(MarkKey::Label { key }),
        (MarkKind::Annotation, _) => Some(MarkKey::Annotation { key }),
        (MarkKind::Cordon, _) => Some(MarkKey::Cordon),
    }
}
