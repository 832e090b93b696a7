//! The guards: what may be done to how many nodes.

use crate::bits::Bits;
use crate::history::{Guard, History, Job, NodeRecord, RESTORED, Task};
use crate::plan::{AlertKind, Happening, OutOfService, Plan};
use crate::rule::{Action, Rule};
use crate::time::Time;

use super::condition::GAP_INTERVALS;
use super::{Due, Turn, World, selector};

/// Lets the disruptive actions of triggered nodes through, or says what holds them back; starts evictions and drains.
///
/// The count is over standing state: nodes that a rule's disruptive action was let through for, nodes that carry or
/// are about to carry a disruptive mark of ours, and nodes that are cordoned or not ready for any reason. Because
/// admission is remembered before anything is written, a limit cannot be outrun by a slow API server.
pub(super) fn admit(
    history: &mut History,
    due: &[&Due<'_>],
    world: &World<'_>,
    turn: &mut Turn,
    plan: &mut Plan,
) {
    let mut places = Places {
        counted: out_of_service(history, world),
        waiting: Bits::none(world.inputs.nodes.len()),
    };
    let mut queue = waiting(history, due, world).into_iter().peekable();
    for due in due {
        let key = (due.rule.priority, due.rule.name.as_str());
        while let Some(waits) = queue.next_if(|waits| (waits.priority, waits.rule.as_str()) < key) {
            places.keep(&waits);
        }
        let Some(remembered) = history.rules.get_mut(&due.rule.name) else {
            continue;
        };
        let mut ran = Bits::none(world.inputs.nodes.len());
        for act in turn
            .acts
            .iter()
            .filter(|act| act.rule == due.rule.name && act.kind != AlertKind::Recovery)
        {
            ran.add(act.node);
        }
        let mut order: Vec<(&String, &mut NodeRecord)> = remembered
            .records
            .iter_mut()
            .filter(|(_, record)| record.is_active())
            .collect();
        order.sort_by_key(|(name, record)| (record.triggered_at, (*name).clone()));
        for (name, record) in order {
            let Some(node) = world.positions.get(name.as_str()).copied() else {
                continue;
            };
            let was_admitted = record.admitted;
            follow_edit(due.rule, record);
            let guard = guard(due.rule, record, node, &mut places, world);
            record.pause(guard.as_ref(), world.inputs.now);
            note(due.rule, record, (node, guard), world, plan);
            if ran.has(node) || !was_admitted {
                start_jobs(due.rule, record, world.inputs.now);
            }
        }
    }
    plan.out_of_service = Some(OutOfService {
        counted: places.counted.count(),
        limit: world.inputs.safety.max_nodes.of(world.inputs.nodes.len()),
    });
    for act in &mut turn.acts {
        if let Some(record) = history
            .rules
            .get(&act.rule)
            .and_then(|remembered| remembered.records.get(world.inputs.nodes.name(act.node)))
            .filter(|record| record.is_active())
        {
            act.record = record.clone();
        }
    }
}

/// The places under the limits.
struct Places {
    /// Nodes that take one.
    counted: Bits,
    /// Nodes for which one is kept free.
    waiting: Bits,
}

impl Places {
    fn taken(&self) -> usize {
        let mut taken = self.counted.clone();
        taken.join(&self.waiting);
        taken.count()
    }

    fn has(&self, node: usize) -> bool {
        self.counted.has(node) || self.waiting.has(node)
    }

    /// Keeps a place free, if the node could have had it.
    fn keep(&mut self, waits: &Waits) {
        if self.taken() < waits.limit {
            self.waiting.add(waits.node);
        }
    }
}

/// A node that waits for a place under a rule that is not evaluated now.
struct Waits {
    priority: i64,
    rule: String,
    since: Time,
    node: usize,
    limit: usize,
}

/// The nodes whose turn it would be before that of a rule which happens to be due. A rule that was not looked at for
/// long, or that cannot be evaluated as it stands, keeps no place from others.
fn waiting(history: &History, due: &[&Due<'_>], world: &World<'_>) -> Vec<Waits> {
    let now = world.inputs.now;
    let is_due = |rule: &str| due.iter().any(|due| due.rule.name == rule);
    let mut all = Vec::new();
    for (name, remembered) in history.rules.iter().filter(|(name, _)| !is_due(name)) {
        let summary = &remembered.summary;
        let watched = summary.check_interval.saturating_mul(GAP_INTERVALS.into());
        let is_watched = |last: Time| now.millis().saturating_sub(last.millis()) <= watched;
        if !summary.last_evaluated.is_some_and(is_watched) {
            continue;
        }
        for (node, record) in &remembered.records {
            let Some(Guard::MaxNodes { limit, .. }) = record.guard else {
                continue;
            };
            let Some(position) = world.positions.get(node.as_str()).copied() else {
                continue;
            };
            let is_current = record.spec_hash == summary.spec_hash || record.spec_hash == RESTORED;
            if record.is_active() && is_current && !world.inputs.nodes.is_ignored(position) {
                all.push(Waits {
                    priority: summary.priority,
                    rule: name.clone(),
                    since: record.triggered_at,
                    node: position,
                    limit,
                });
            }
        }
    }
    all.sort_by(|one, other| {
        let key = |waits: &Waits| (waits.priority, waits.rule.clone(), waits.since, waits.node);
        key(one).cmp(&key(other))
    });
    all
}

/// The guard that holds the node's disruptive actions back; admits the node if there is none.
fn guard(
    rule: &Rule,
    record: &mut NodeRecord,
    node: usize,
    places: &mut Places,
    world: &World<'_>,
) -> Option<Guard> {
    let nodes = world.inputs.nodes;
    let safety = world.inputs.safety;
    if safety.paused {
        return Some(Guard::Paused);
    }
    if rule.dry_run {
        record.admitted = false;
        return Some(Guard::DryRun);
    }
    if !rule.actions.iter().any(Action::is_disruptive) {
        record.admitted = false;
        return None;
    }
    if nodes.is_ignored(node) {
        // A node that was let through before keeps its place: what was done to it stays.
        return Some(Guard::Ignored);
    }
    if nodes.is_control_plane(node)
        && !selector::asks_for_control_plane(&rule.selector, nodes.name(node))
    {
        return Some(Guard::ControlPlane);
    }
    if record.admitted {
        return None;
    }
    let configured = safety.max_nodes.of(nodes.len());
    let limit = rule
        .max_nodes
        .map_or(configured, |own| own.of(nodes.len()).min(configured));
    let held = places.taken();
    if !places.has(node) && held >= limit {
        return Some(Guard::MaxNodes {
            limit,
            counted: held,
        });
    }
    places.counted.add(node);
    record.admitted = true;
    None
}

/// Keeps the guard in the record and says so when it is a new one, or gone.
fn note(
    rule: &Rule,
    record: &mut NodeRecord,
    (node, guard): (usize, Option<Guard>),
    world: &World<'_>,
    plan: &mut Plan,
) {
    let event = match (&record.guard, &guard) {
        (Some(old), Some(new)) if old.is_like(new) => return,
        (None, None) => return,
        (_, Some(_)) => Happening::Held,
        (Some(_), None) => Happening::Admitted,
    };
    let mut decision = world.decision(&rule.name, node, event, Vec::new());
    decision.guard.clone_from(&guard);
    plan.decisions.push(decision);
    record.guard = guard;
}

/// What the rule evicts.
fn tasks(rule: &Rule) -> impl Iterator<Item = Task> {
    rule.actions.iter().filter_map(|action| match action {
        Action::Evict(evict) => Some(Task::Evict(evict.clone())),
        Action::Drain(drain) => Some(Task::Drain(drain.clone())),
        Action::Taint(_)
        | Action::Label(_)
        | Action::Annotation(_)
        | Action::Cordon
        | Action::Alert(_) => None,
    })
}

/// An eviction or drain under way follows an edit of the rule: it goes on by the new text, and stops when the rule
/// no longer has such an action or only pretends.
fn follow_edit(rule: &Rule, record: &mut NodeRecord) {
    record.jobs.retain_mut(|job| {
        if job.end.is_some() || tasks(rule).any(|task| task == job.task) {
            return job.end.is_some() || !rule.dry_run;
        }
        let kind = std::mem::discriminant(&job.task);
        match tasks(rule).find(|task| std::mem::discriminant(task) == kind) {
            Some(task) if !rule.dry_run => {
                job.task = task;
                true
            }
            _ => false,
        }
    });
}

/// Gives the evictions and drains that this run of the actions asks for.
fn start_jobs(rule: &Rule, record: &mut NodeRecord, now: Time) {
    let left_alone = matches!(record.guard, Some(Guard::Ignored | Guard::ControlPlane));
    if !record.admitted || left_alone {
        return;
    }
    for task in tasks(rule) {
        if record
            .jobs
            .iter()
            .any(|job| job.end.is_none() && job.task == task)
        {
            continue;
        }
        record
            .jobs
            .retain(|job| job.end.is_none() || job.task != task);
        record.jobs.push(Job {
            task,
            started: now,
            pods: Vec::new(),
            end: None,
        });
    }
}

/// The nodes that count against the limits.
fn out_of_service(history: &History, world: &World<'_>) -> Bits {
    let nodes = world.inputs.nodes;
    let mut counted = Bits::from_fn(nodes.len(), |node| {
        nodes.is_unschedulable(node) || nodes.is_not_ready(node)
    });
    for remembered in history.rules.values() {
        for (name, record) in &remembered.records {
            if record.admitted
                && record.is_active()
                && let Some(node) = world.positions.get(name.as_str())
            {
                counted.add(*node);
            }
        }
    }
    for (name, ledger) in &history.ledgers {
        let Some(node) = world.positions.get(name.as_str()).copied() else {
            continue;
        };
        let holds = ledger.marks.iter().any(|owned| {
            owned.mark.key.is_disruptive()
                && (owned.leaving.is_none()
                    || owned.may_come(world.inputs.queue, world.inputs.now)
                    || super::marks::stands(nodes, node, &owned.mark.key).is_some())
        });
        if holds {
            counted.add(node);
        }
    }
    counted
}
