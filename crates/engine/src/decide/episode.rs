//! The phases of a node under a rule: healthy, pending, triggered, recovering, healthy again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bits::Bits;
use crate::history::{History, Ledger, MarkKey, NodeRecord, Phase, RESTORED, RuleHistory, Timer};
use crate::plan::{AlertKind, Evaluated, Happening, Input, Plan, Verdict};
use crate::rule::{Conditions, Logic, Rule};
use crate::time::{Time, millis};

use super::condition::{self, Scene, Standing};
use super::ending::Ending;
use super::{Act, Due, Turn, World, marks, notices, selector};

/// Evaluates one rule on every node.
pub(super) fn evaluate(
    history: &mut History,
    due: &Due<'_>,
    world: &World<'_>,
    turn: &mut Turn,
    plan: &mut Plan,
) {
    let History {
        rules,
        ledgers,
        roster,
    } = history;
    let remembered = rules.entry(due.rule.name.clone()).or_default();
    let scene = Scene {
        nodes: world.inputs.nodes,
        roster,
        positions: &world.numbers,
        now: world.inputs.now,
        last_evaluated: remembered.summary.last_evaluated,
        check_interval: due.rule.check_interval,
    };
    let selected = selector::select(&due.rule.selector, scene.nodes, &world.positions);
    let scope = scope(due.rule, remembered, &selected, ledgers, world);
    let standing = condition::evaluate(
        &due.rule.trigger,
        &due.trigger,
        &scope,
        &mut remembered.timers,
        &scene,
    );
    let mut run = Run {
        due,
        world,
        scene: &scene,
        standing: &standing,
        undecided: Bits::none(scene.nodes.len()),
        turn,
        plan,
    };
    run.advance_records(remembered, ledgers, &scope);
    run.trigger_new(remembered);
    let evaluated = run.summary(&scope, remembered);
    bookkeep(remembered, due, &evaluated, world.inputs.now);
    plan.evaluated.push(evaluated);
}

/// The selected nodes, and the triggered ones that only our own labels took out of the selection.
fn scope(
    rule: &Rule,
    remembered: &RuleHistory,
    selected: &Bits,
    ledgers: &BTreeMap<String, Ledger>,
    world: &World<'_>,
) -> Bits {
    let mut scope = selected.clone();
    let nodes = world.inputs.nodes;
    for (name, record) in remembered
        .records
        .iter()
        .filter(|(_, record)| record.is_active())
    {
        let Some(node) = world
            .positions
            .get(name.as_str())
            .copied()
            .filter(|node| !selected.has(*node))
        else {
            continue;
        };
        let ours = |key: &str| {
            let key = MarkKey::Label {
                key: key.to_owned(),
            };
            let wanted = record.marks.iter().any(|mark| mark.key == key);
            ledgers
                .get(name)?
                .marks
                .iter()
                .find(|owned| wanted && owned.mark.key == key)
        };
        let before = |key: &str| match ours(key) {
            Some(owned) => owned.previous.as_deref(),
            None => nodes.label(node, key),
        };
        if selector::selects(&rule.selector, name, before) {
            scope.add(node);
        }
    }
    scope
}

fn bookkeep(remembered: &mut RuleHistory, due: &Due<'_>, evaluated: &Evaluated, now: Time) {
    let summary = &mut remembered.summary;
    summary.uid.clone_from(&due.rule.uid);
    summary.spec_hash = due.spec_hash;
    summary.check_interval = millis(due.rule.check_interval);
    summary.priority = due.rule.priority;
    summary.severity = Some(due.rule.severity);
    summary.last_evaluated = Some(now);
    summary.pending = evaluated.pending;
    summary.unknown = evaluated.unknown;
    if remembered.records.values().any(NodeRecord::is_active) {
        if summary.spec != due.spec {
            due.spec.clone_into(&mut summary.spec);
        }
    } else {
        summary.spec.clear();
    }
}

/// How far a triggered node is on its way back.
struct Progress {
    /// It has been true for long enough.
    holds: bool,
    /// Whether it is true now; `None` if that is unknown.
    truth: Option<bool>,
    inputs: Vec<Input>,
}

impl Progress {
    fn of(logic: Logic, inputs: Vec<Input>) -> Self {
        let holds = |input: &Input| input.verdict == Verdict::Holds;
        let yes = |input: &Input| matches!(input.verdict, Verdict::Holds | Verdict::Pending);
        let no = |input: &Input| input.verdict == Verdict::Clear;
        let all = inputs.iter();
        let (holds, yes, no) = match logic {
            Logic::And => (
                all.clone().all(holds),
                all.clone().all(yes),
                all.clone().any(no),
            ),
            Logic::Or => (
                all.clone().any(holds),
                all.clone().any(yes),
                all.clone().all(no),
            ),
        };
        Self {
            holds,
            truth: (yes || no).then_some(yes),
            inputs,
        }
    }
}

/// One rule's evaluation.
struct Run<'run, 'a> {
    due: &'run Due<'a>,
    world: &'run World<'a>,
    scene: &'run Scene<'run>,
    standing: &'run Standing,
    /// Triggered nodes of which it is unknown whether they recover.
    undecided: Bits,
    turn: &'run mut Turn,
    plan: &'run mut Plan,
}

impl Run<'_, '_> {
    /// Moves every remembered node on.
    fn advance_records(
        &mut self,
        remembered: &mut RuleHistory,
        ledgers: &BTreeMap<String, Ledger>,
        scope: &Bits,
    ) {
        let rule = self.due.rule;
        let now = self.scene.now;
        for (name, record) in &mut remembered.records {
            record.not_after(now);
            let Some(node) = self.world.positions.get(name.as_str()).copied() else {
                continue;
            };
            if !record.is_active() {
                continue;
            }
            if !scope.has(node) {
                if !self.world.inputs.safety.paused {
                    self.finish(node, record, Happening::Released);
                }
                continue;
            }
            self.follow_edit(name, node, record);
            if self.recovers(node, record) {
                remembered.summary.last_recovery = Some(now);
                self.finish(node, record, Happening::Recovered);
            } else if record.phase == Phase::Triggered
                && self.standing.holds.has(node)
                && now.since(record.acted_at) >= rule.cooldown
                && !rule.cooldown.is_zero()
            {
                record.acted_at = now;
                record.repeats = record.repeats.saturating_add(1);
                let inputs = condition::explain(
                    &rule.trigger,
                    &self.due.trigger,
                    &remembered.timers,
                    node,
                    self.scene,
                );
                self.act(node, record, AlertKind::Repeat, inputs);
            }
        }
        let keep = rule.cooldown.max(rule.recovery_cooldown);
        // A status that shows up late must not begin again what has ended since the rebuild.
        let settling = remembered.summary.settling(now).is_some();
        remembered.records.retain(|name, record| {
            let ended = record.recovered_at.unwrap_or(record.acted_at);
            let rests = settling || now.since(ended.max(record.acted_at)) < keep;
            // The record is what publishes that a mark of ours has to go.
            record.is_active() || rests || ledgers.get(name).is_some_and(Ledger::is_leaving)
        });
    }

    /// After an edit of the rule a triggered node gets the marks of the new text, and loses those it no longer has.
    fn follow_edit(&mut self, name: &str, node: usize, record: &mut NodeRecord) {
        if record.spec_hash == self.due.spec_hash && record.dry_run == self.due.rule.dry_run {
            return;
        }
        if record.spec_hash == RESTORED && record.dry_run == self.due.rule.dry_run {
            record.spec_hash = self.due.spec_hash;
            return;
        }
        // Progress under the old conditions says nothing about the new ones.
        record.recovery.clear();
        record.clear = None;
        let old = std::mem::take(&mut record.marks);
        record.marks = marks::render(self.due, node, self.world);
        record.spec_hash = self.due.spec_hash;
        record.dry_run = self.due.rule.dry_run;
        let kept =
            |key: &MarkKey| !record.dry_run && record.marks.iter().any(|mark| mark.key == *key);
        let dropped = old
            .into_iter()
            .map(|mark| mark.key)
            .filter(|key| !kept(key));
        self.turn
            .given_up
            .extend(dropped.map(|key| (name.to_owned(), key)));
    }

    /// Whether the node recovers now; keeps the timers of recovery.
    fn recovers(&mut self, node: usize, record: &mut NodeRecord) -> bool {
        let Progress {
            holds,
            truth,
            inputs,
        } = match &self.due.rule.recovery {
            Some(conditions) => self.recovery_conditions(conditions, node, record),
            None => self.clearance(node, record),
        };
        let rested = record.recovered_at.is_none_or(|recovered| {
            self.scene.now.since(recovered) >= self.due.rule.recovery_cooldown
        });
        if holds && rested && !self.world.inputs.safety.paused {
            return true;
        }
        let (phase, event) = match truth {
            Some(true) => (Phase::Recovering, Happening::Recovering),
            Some(false) => (Phase::Triggered, Happening::Relapsed),
            None => {
                // Unknown is no relapse: the node stays where it is.
                self.undecided.add(node);
                return false;
            }
        };
        if phase != record.phase {
            record.phase = phase;
            self.plan.decisions.push(
                self.world
                    .decision(&self.due.rule.name, node, event, inputs),
            );
        }
        false
    }

    /// The rule's own recovery conditions.
    fn recovery_conditions(
        &self,
        conditions: &Conditions,
        node: usize,
        record: &mut NodeRecord,
    ) -> Progress {
        record.recovery.resize(conditions.all.len(), None);
        let mut inputs = Vec::with_capacity(conditions.all.len());
        for ((condition, column), timer) in conditions
            .all
            .iter()
            .zip(&self.due.recovery)
            .zip(&mut record.recovery)
        {
            let truth = condition::is_true(&condition.test, *column, self.scene.nodes, node);
            let true_for = self.tick(timer, truth);
            inputs.push(Input {
                test: condition.test.to_string(),
                description: condition.own_words(),
                seen: condition::seen(
                    &condition.test,
                    *column,
                    self.scene.nodes,
                    node,
                    self.scene.now,
                ),
                true_for: true_for.map(millis),
                needed: millis(condition.duration),
                verdict: condition::verdict_of(condition, true_for, truth),
            });
        }
        Progress::of(conditions.logic, inputs)
    }

    /// Without recovery conditions: the trigger logic has been false for as long as its longest duration.
    fn clearance(&self, node: usize, record: &mut NodeRecord) -> Progress {
        let truth = match (
            self.standing.now_false.has(node),
            self.standing.now_true.has(node),
        ) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            (false, false) => None,
        };
        let clear_for = self.tick(&mut record.clear, truth);
        let needed = self.due.rule.trigger.longest();
        let holds = truth == Some(true) && clear_for.unwrap_or_default() >= needed;
        let mut inputs = condition::explain(
            &self.due.rule.trigger,
            &self.due.trigger,
            &crate::timers::Timers::default(),
            node,
            self.scene,
        );
        for input in &mut inputs {
            input.needed = millis(needed);
            input.true_for = None;
        }
        Progress {
            holds,
            truth,
            inputs,
        }
    }

    /// Carries a timer on: true counts, false ends, unknown waits. Returns for how long it has been true.
    fn tick(&self, timer: &mut Option<Timer>, truth: Option<bool>) -> Option<Duration> {
        let now = self.scene.now;
        let watched = timer.filter(|timer| timer.since <= now && self.scene.is_watched(timer.seen));
        *timer = match truth {
            Some(true) => Some(Timer {
                since: watched.map_or(now, |timer| timer.since),
                seen: now,
            }),
            Some(false) => None,
            None => watched,
        };
        match truth {
            Some(true) => timer.map(|timer| now.since(timer.since)),
            _ => None,
        }
    }

    /// Triggers nodes whose conditions hold and that are not triggered.
    fn trigger_new(&mut self, remembered: &mut RuleHistory) {
        let rule = self.due.rule;
        let now = self.scene.now;
        for node in self.standing.holds.iter() {
            let name = self.scene.nodes.name(node);
            let earlier = remembered.records.get(name);
            let resting = earlier.is_some_and(|record| now.since(record.acted_at) < rule.cooldown);
            if earlier.is_some_and(NodeRecord::is_active) || resting {
                continue;
            }
            let mut record = NodeRecord {
                uid: self.scene.nodes.uid(node).to_owned(),
                phase: Phase::Triggered,
                triggered_at: now,
                acted_at: now,
                repeats: 0,
                recovered_at: earlier.and_then(|record| record.recovered_at),
                recovery: Vec::new(),
                clear: None,
                marks: Vec::new(),
                guard: None,
                admitted: false,
                jobs: Vec::new(),
                spec_hash: self.due.spec_hash,
                dry_run: rule.dry_run,
                absent: None,
                paused: None,
                muted: None,
            };
            remembered.summary.last_triggered = Some(now);
            let inputs = condition::explain(
                &rule.trigger,
                &self.due.trigger,
                &remembered.timers,
                node,
                self.scene,
            );
            self.act(node, &mut record, AlertKind::Trigger, inputs);
            remembered.records.insert(name.to_owned(), record);
        }
    }

    /// Runs the actions: renders the marks and notes the act for the later steps.
    fn act(&mut self, node: usize, record: &mut NodeRecord, kind: AlertKind, inputs: Vec<Input>) {
        let old = std::mem::replace(&mut record.marks, marks::render(self.due, node, self.world));
        let dropped = old.into_iter().map(|mark| mark.key);
        let name = self.scene.nodes.name(node);
        let kept = |key: &MarkKey| record.marks.iter().any(|mark| mark.key == *key);
        self.turn.given_up.extend(
            dropped
                .filter(|key| !kept(key))
                .map(|key| (name.to_owned(), key)),
        );
        self.turn.acts.push(Act {
            rule: self.due.rule.name.clone(),
            node,
            kind,
            inputs,
            record: record.clone(),
            actions: None,
            told: None,
        });
    }

    /// Ends the episode of a node of a rule that is still there.
    fn finish(&mut self, node: usize, record: &mut NodeRecord, event: Happening) {
        let rule = self.due.rule;
        let inputs = match &rule.recovery {
            Some(conditions) => self.recovery_conditions(conditions, node, record).inputs,
            None => self.clearance(node, record).inputs,
        };
        let mut ending = Ending {
            node,
            name: &rule.name,
            rule: Some(rule),
            turn: self.turn,
            plan: self.plan,
            world: self.world,
        };
        ending.end(record, event, inputs);
    }

    fn summary(&self, scope: &Bits, remembered: &RuleHistory) -> Evaluated {
        let mut pending = self.standing.now_true.clone();
        pending.drop_all(&self.standing.holds);
        for (name, record) in &remembered.records {
            if record.is_active()
                && let Some(node) = self.world.positions.get(name.as_str())
            {
                pending.remove(*node);
            }
        }
        let mut unknown = scope.clone();
        unknown.drop_all(&self.standing.now_true);
        unknown.drop_all(&self.standing.now_false);
        unknown.join(&self.undecided);
        Evaluated {
            rule: self.due.rule.name.clone(),
            selected: scope.count(),
            pending: pending.count(),
            unknown: unknown.count(),
            unknown_example: notices::example(self.due, &unknown, self.scene.nodes),
        }
    }
}
