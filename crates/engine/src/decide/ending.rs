//! The end of an episode: recovery, or release by a rule that is edited, disabled or deleted.

use crate::history::{Guard, History, MarkKey, NodeRecord, Phase};
use crate::plan::{AlertKind, Happening, Input, Plan};
use crate::rule::{RecoveryAction, Rule};

use super::{Act, Due, Retired, Told, Turn, World};

/// The end of an episode, however it comes.
pub(super) struct Ending<'run, 'a> {
    pub(super) node: usize,
    /// Name of the rule.
    pub(super) name: &'run str,
    /// The rule, unless it is lost.
    pub(super) rule: Option<&'run Rule>,
    pub(super) turn: &'run mut Turn,
    pub(super) plan: &'run mut Plan,
    pub(super) world: &'run World<'a>,
}

impl Ending<'_, '_> {
    /// Runs the recovery actions and leaves nothing but the cooldowns in the record.
    pub(super) fn end(&mut self, record: &mut NodeRecord, event: Happening, inputs: Vec<Input>) {
        let now = self.world.inputs.now;
        let name = self.world.inputs.nodes.name(self.node);
        let actions = self
            .rule
            .map(|rule| rule.recovery_actions.as_slice())
            .unwrap_or_default();
        if !record.dry_run {
            // The keys in the recovery actions, whichever rule set them …
            for key in actions.iter().flat_map(removed_by) {
                self.turn.given_up.push((name.to_owned(), key));
            }
            // … and on release everything the rule wanted: nobody else would ever remove it.
            if event == Happening::Released {
                self.turn.given_up.extend(
                    record
                        .marks
                        .iter()
                        .map(|mark| (name.to_owned(), mark.key.clone())),
                );
            }
        }
        self.turn.acts.push(Act {
            rule: self.name.to_owned(),
            node: self.node,
            kind: AlertKind::Recovery,
            inputs: inputs.clone(),
            record: record.clone(),
            actions: Some(actions.to_vec()),
            told: self.rule.map(|rule| Told {
                description: rule.description.clone(),
                severity: rule.severity,
            }),
        });
        self.plan
            .decisions
            .push(self.world.decision(self.name, self.node, event, inputs));
        record.phase = Phase::Idle;
        record.recovered_at = Some(now);
        record.marks.clear();
        record.recovery.clear();
        record.clear = None;
        record.guard = None;
        record.muted = None;
        record.paused = None;
        record.admitted = false;
        record.jobs.clear();
    }
}

/// The marks that a recovery action names. A taint is named by its key alone, whatever its effect.
fn removed_by(action: &RecoveryAction) -> Vec<MarkKey> {
    match action {
        RecoveryAction::RemoveTaint(key) => [
            crate::rule::TaintEffect::NoSchedule,
            crate::rule::TaintEffect::PreferNoSchedule,
            crate::rule::TaintEffect::NoExecute,
        ]
        .into_iter()
        .map(|effect| MarkKey::Taint {
            key: key.clone(),
            effect,
        })
        .collect(),
        RecoveryAction::RemoveLabel(keys) => keys
            .iter()
            .map(|key| MarkKey::Label { key: key.clone() })
            .collect(),
        RecoveryAction::RemoveAnnotation(keys) => keys
            .iter()
            .map(|key| MarkKey::Annotation { key: key.clone() })
            .collect(),
        RecoveryAction::Uncordon => vec![MarkKey::Cordon],
        RecoveryAction::Alert(_) => Vec::new(),
    }
}

/// Runs the recovery actions for every node that a disabled or deleted rule holds. Waits while paused.
///
/// A deleted rule is remembered until what has to go is seen gone. Rules are what brings runs about: with the last one
/// forgotten, nobody would repeat a removal that was lost, nor notice that it has come and a later mark is not ours.
pub(super) fn release(
    history: &mut History,
    retired: &Retired<'_>,
    world: &World<'_>,
    turn: &mut Turn,
    plan: &mut Plan,
) {
    let Some(remembered) = history.rules.get_mut(retired.name) else {
        return;
    };
    let mut ended = false;
    if !world.inputs.safety.paused {
        for (name, record) in remembered
            .records
            .iter_mut()
            .filter(|(_, record)| record.is_active())
        {
            let Some(node) = world.positions.get(name.as_str()).copied() else {
                continue;
            };
            let mut ending = Ending {
                node,
                name: retired.name,
                rule: retired.rule,
                turn,
                plan,
                world,
            };
            ending.end(record, Happening::Released, Vec::new());
            remembered.summary.last_recovery = Some(world.inputs.now);
            ended = true;
        }
    }
    remembered.timers = crate::timers::Timers::default();
    remembered.summary.pending = 0;
    remembered.summary.unknown = 0;
    if retired.exists || remembered.records.values().any(NodeRecord::is_active) {
        return;
    }
    // A rule that is made again under the name begins anew.
    remembered.records.clear();
    let leaving = history
        .ledgers
        .iter()
        .any(|(node, ledger)| ledger.is_leaving() && world.positions.contains_key(node.as_str()));
    if !ended && !leaving {
        history.rules.remove(retired.name);
    }
}

/// While every rule is a dry run: nodes of rules that are not evaluated, since they are invalid or missing, give up
/// what was set and what is under way, as those of the others do. They stay triggered, and dry until their rule is
/// evaluated again.
pub(super) fn withdraw(
    history: &mut History,
    due: &[&Due<'_>],
    world: &World<'_>,
    turn: &mut Turn,
    plan: &mut Plan,
) {
    for (rule, remembered) in &mut history.rules {
        if due.iter().any(|due| due.rule.name == *rule) {
            continue;
        }
        for (name, record) in &mut remembered.records {
            // A node that is missing for a while has its turn when it is back: nothing can be given up before.
            let Some(node) = world.positions.get(name.as_str()).copied() else {
                continue;
            };
            if record.dry_run || !record.is_active() {
                continue;
            }
            let guard = Some(Guard::DryRun);
            let mut held = world.decision(rule, node, Happening::Held, Vec::new());
            held.guard.clone_from(&guard);
            plan.decisions.push(held);
            let marks = record.marks.iter();
            turn.given_up
                .extend(marks.map(|mark| (name.clone(), mark.key.clone())));
            record.dry_run = true;
            record.admitted = false;
            record.jobs.retain(|job| job.end.is_some());
            record.pause(guard.as_ref(), world.inputs.now);
            record.guard = guard;
        }
    }
}
