//! Marks on nodes: what triggered rules want, what stands there, what is ours.
//!
//! Level-based: every evaluation compares the three, so a mark that was lost is set again, one that another rule
//! still wants stays, and one that we did not set is never touched.

use std::collections::BTreeMap;

use crate::history::{Guard, History, Ledger, Mark, MarkKey, Owned, Queue, Sight};
use crate::node::Nodes;
use crate::plan::{NodeChange, Plan};
use crate::rule::Action;
use crate::time::Time;

use super::notices::metrics_of;
use super::{Due, Facts, Inputs, Place, Turn, World};

/// The marks that a rule's actions put on a node, with rendered values.
pub(super) fn render(due: &Due<'_>, node: usize, world: &World<'_>) -> Vec<Mark> {
    let metrics = metrics_of(due, node);
    let facts = Facts {
        rule: due.rule,
        node: world.inputs.nodes.name(node),
        now: world.inputs.now,
        metrics: &metrics,
    };
    let text = |template: &str, place| world.inputs.render.value(template, &facts, place);
    let mut marks: Vec<Mark> = Vec::new();
    let mut put = |key: MarkKey, value: String| {
        // Of two actions with the same mark the later one counts, as in a script.
        marks.retain(|mark| mark.key != key);
        marks.push(Mark { key, value });
    };
    for action in &due.rule.actions {
        match action {
            Action::Taint(taint) => put(
                MarkKey::Taint {
                    key: taint.key.clone(),
                    effect: taint.effect,
                },
                text(&taint.value, Place::Taint),
            ),
            Action::Label(pairs) => {
                for (key, value) in pairs {
                    put(
                        MarkKey::Label { key: key.clone() },
                        text(value, Place::Label),
                    );
                }
            }
            Action::Annotation(pairs) => {
                for (key, value) in pairs {
                    put(
                        MarkKey::Annotation { key: key.clone() },
                        text(value, Place::Annotation),
                    );
                }
            }
            Action::Cordon | Action::Drain(_) => put(MarkKey::Cordon, String::new()),
            Action::Evict(_) | Action::Alert(_) => {}
        }
    }
    marks
}

/// What stands on the node under this key.
pub(crate) fn stands<'a>(nodes: &'a Nodes, node: usize, key: &MarkKey) -> Option<&'a str> {
    match key {
        MarkKey::Taint { key, effect } => nodes
            .taints(node)
            .iter()
            .find(|taint| *taint.key == **key && taint.effect == Some(*effect))
            .map(|taint| &*taint.value),
        MarkKey::Label { key } => nodes.label(node, key),
        MarkKey::Annotation { key } => nodes.annotation(node, key),
        MarkKey::Cordon => nodes.is_unschedulable(node).then_some(""),
    }
}

/// What may land on a node that took the place of another one: labels and annotations are set whatever the UID, so a
/// write that was under way reaches the new node. It is taken off again where it shows up.
pub(super) fn follow(ledger: &mut Ledger, node: usize, inputs: &Inputs<'_>) {
    let (nodes, queue, now) = (inputs.nodes, inputs.queue, inputs.now);
    nodes.uid(node).clone_into(&mut ledger.uid);
    ledger.absent = None;
    ledger.removed.clear();
    ledger.marks.retain_mut(|owned| {
        let value = Some(owned.mark.value.as_str());
        let here = stands(nodes, node, &owned.mark.key);
        if here != value {
            owned.previous = here.map(str::to_owned);
        }
        let may_come = owned.may_come(queue, now);
        owned.leaving = Some(now);
        owned.shown = None;
        owned.seen_by.clear();
        match owned.mark.key {
            MarkKey::Label { .. } | MarkKey::Annotation { .. } => may_come,
            MarkKey::Taint { .. } | MarkKey::Cordon => false,
        }
    });
}

/// Brings the ledgers up to date and plans the writes. While paused nothing is written, and what is given up is
/// noted for later.
pub(super) fn reconcile(history: &mut History, world: &World<'_>, turn: &Turn, plan: &mut Plan) {
    let mut desired = desired(history, world);
    if world.inputs.safety.paused {
        note_given_up(history, &desired, world.inputs.now, turn);
        return;
    }
    let mut given_up: BTreeMap<&str, Vec<&MarkKey>> = BTreeMap::new();
    for (node, key) in &turn.given_up {
        given_up.entry(node).or_default().push(key);
    }
    let mut names: Vec<String> = desired
        .keys()
        .chain(history.ledgers.keys())
        .cloned()
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let Some(node) = world.positions.get(name.as_str()).copied() else {
            continue;
        };
        let mut ledger = history.ledgers.remove(&name).unwrap_or_default();
        world.inputs.nodes.uid(node).clone_into(&mut ledger.uid);
        let mut balance = Balance {
            nodes: world.inputs.nodes,
            node,
            now: world.inputs.now,
            queue: world.inputs.queue,
            ledger: &mut ledger,
        };
        let given_up = given_up
            .get(name.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let change = balance.settle(&desired.remove(&name).unwrap_or_default(), given_up);
        if !ledger.is_empty() {
            history.ledgers.insert(name, ledger);
        }
        plan.changes.extend(change);
    }
}

/// Notes which marks have to go as soon as something may be written: nobody will give them up a second time.
fn note_given_up(
    history: &mut History,
    desired: &BTreeMap<String, Vec<Mark>>,
    now: Time,
    turn: &Turn,
) {
    for (node, key) in &turn.given_up {
        let wanted = desired
            .get(node)
            .is_some_and(|marks| marks.iter().any(|mark| mark.key == *key));
        let owned = history
            .ledgers
            .get_mut(node)
            .and_then(|ledger| ledger.marks.iter_mut().find(|owned| owned.mark.key == *key));
        if let Some(owned) = owned.filter(|_| !wanted) {
            owned.leaving.get_or_insert(now);
        }
    }
}

/// The marks wanted on each node. Of rules that want the same taint key, label or annotation, the one with the
/// smaller priority number wins, and of equals the first by name; a disruptive mark counts once it was let through.
///
/// On a node that has to be left alone, since it was annotated so or since the rule no longer asks for a
/// control-plane node, a disruptive mark is not wanted: what stands stays, what someone took away is not set again.
fn desired(history: &History, world: &World<'_>) -> BTreeMap<String, Vec<Mark>> {
    let mut rules: Vec<_> = history.rules.iter().collect();
    rules.sort_by_key(|(name, rule)| (rule.summary.priority, name.as_str()));
    let mut desired: BTreeMap<String, Vec<Mark>> = BTreeMap::new();
    for (_, rule) in rules {
        for (node, record) in rule
            .records
            .iter()
            .filter(|(_, record)| record.is_active() && !record.dry_run)
        {
            let position = world.positions.get(node.as_str());
            let left_alone = record.guard == Some(Guard::ControlPlane)
                || position.is_some_and(|node| world.inputs.nodes.is_ignored(*node));
            let wanted = desired.entry(node.clone()).or_default();
            let settled = wanted.len();
            for mark in record
                .marks
                .iter()
                .filter(|mark| (record.admitted && !left_alone) || !mark.key.is_disruptive())
            {
                if !wanted[..settled]
                    .iter()
                    .any(|winner| winner.key.rivals(&mark.key))
                {
                    wanted.push(mark.clone());
                }
            }
        }
    }
    desired
}

/// The removal of a mark as it stands: after a lost write that is an earlier value. What is not seen is removed as it
/// was set last.
fn as_shown(owned: &Owned, sight: Sight) -> Owned {
    let mut shown = owned.clone();
    if let (Sight::Ours, Some(value)) = (sight, &owned.shown) {
        shown.mark.value.clone_from(value);
    }
    shown
}

/// One node's books.
pub(super) struct Balance<'a> {
    pub(super) nodes: &'a Nodes,
    pub(super) node: usize,
    pub(super) now: Time,
    pub(super) queue: Queue,
    pub(super) ledger: &'a mut Ledger,
}

impl Balance<'_> {
    /// Takes in what stands, and says what has to be written so that exactly `desired` is there of ours; what is
    /// neither wanted nor given up stays as it is.
    pub(super) fn settle(&mut self, desired: &[Mark], given_up: &[&MarkKey]) -> Option<NodeChange> {
        let (nodes, node, now, queue) = (self.nodes, self.node, self.now, self.queue);
        let stands = |key: &MarkKey| stands(nodes, node, key);
        // Looked at before new values are taken in: what stands is compared with what was wanted until now.
        self.ledger.forget_removed(stands, (queue, now));
        let owned = self.ledger.marks.iter_mut();
        let sights: Vec<Sight> = owned
            .map(|owned| owned.look(stands(&owned.mark.key), queue, now))
            .collect();
        let set: Vec<Mark> = desired
            .iter()
            .filter(|mark| self.lacks(mark))
            .cloned()
            .collect();
        let wanted = |key: &MarkKey| desired.iter().any(|mark| mark.key == *key);
        // A rule that lost a conflict must not leave its own form of the mark beside the winner's.
        let outdone =
            |key: &MarkKey| !wanted(key) && desired.iter().any(|mark| mark.key.rivals(key));
        let mut unset = Vec::new();
        // Marks that were taken in just now have no sight; they are wanted.
        let sights = sights.into_iter().chain(std::iter::repeat(Sight::Unseen));
        for (mut owned, sight) in std::mem::take(&mut self.ledger.marks)
            .into_iter()
            .zip(sights)
        {
            let key = &owned.mark.key;
            let first = owned.leaving.is_none();
            let fate = if wanted(key) {
                Fate::Stays
            } else if given_up.contains(&key) || outdone(key) || !first {
                let since = *owned.leaving.get_or_insert(now);
                self.leave(&owned, sight, (since, first))
            } else {
                self.left_behind(sight)
            };
            match fate {
                Fate::Stays => {}
                Fate::Removed => unset.push(as_shown(&owned, sight)),
                Fate::Theirs => continue,
                Fate::Gone => {
                    self.ledger.bury(owned, queue, now);
                    continue;
                }
            }
            self.ledger.marks.push(owned);
        }
        (!set.is_empty() || !unset.is_empty()).then(|| NodeChange {
            node: self.nodes.name(self.node).to_owned(),
            uid: self.nodes.uid(self.node).to_owned(),
            set,
            unset,
        })
    }

    /// A mark that has to go, since then; `first`: nothing was written for that yet.
    fn leave(&self, owned: &Owned, sight: Sight, (since, first): (Time, bool)) -> Fate {
        let stands = stands(self.nodes, self.node, &owned.mark.key);
        let is_previous = owned.previous.as_deref() == stands;
        let may_return = owned.may_return(since, self.queue, self.now);
        match sight {
            // What it replaced was the same: it stays, and is theirs again. A write of another value of ours may still
            // come.
            Sight::Ours if is_previous && may_return && !owned.earlier.is_empty() => Fate::Stays,
            Sight::Ours if is_previous => Fate::Theirs,
            Sight::Ours => Fate::Removed,
            Sight::Gone => Fate::Gone,
            // The snapshot may be older than our write, or than the one another hook looked at; a value of someone
            // else is no sign of that.
            Sight::Unseen if first && (stands.is_none() || is_previous) => Fate::Removed,
            Sight::Unseen if may_return => Fate::Stays,
            Sight::Unseen => Fate::Theirs,
        }
    }

    /// A mark of a rule that does not remove it: ours for as long as nobody else touches it. A snapshot of the
    /// recovery may be older than what the evaluation has seen, which decides that.
    fn left_behind(&self, sight: Sight) -> Fate {
        match (sight, self.queue) {
            (Sight::Ours, _) | (Sight::Unseen, Queue::Recovery) => Fate::Stays,
            (Sight::Gone, _) => Fate::Gone,
            (Sight::Unseen, Queue::Evaluation) => Fate::Theirs,
        }
    }

    /// Whether a wanted mark has to be written; takes it into the ledger unless someone else set it so.
    fn lacks(&mut self, mark: &Mark) -> bool {
        let stands = stands(self.nodes, self.node, &mark.key);
        let lacks = stands != Some(mark.value.as_str());
        let marks = &mut self.ledger.marks;
        let known = marks.iter().position(|owned| owned.mark.key == mark.key);
        if let Some(owned) = known.and_then(|known| marks.get_mut(known)) {
            owned.leaving = None;
            owned.change(&mark.value, self.now);
            if lacks {
                owned.send(self.queue, self.now);
            }
        } else if lacks {
            let previous = self.ledger.previous(&mark.key, stands, self.queue);
            let mut owned = Owned::new(mark.clone(), previous);
            owned.send(self.queue, self.now);
            self.ledger
                .removed
                .retain(|removed| removed.key != mark.key);
            self.ledger.marks.push(owned);
        }
        lacks
    }
}

/// What becomes of an entry.
enum Fate {
    /// It is kept.
    Stays,
    /// The mark is taken away; the entry is kept until that is seen.
    Removed,
    /// The mark is gone; for a while an older snapshot may show it.
    Gone,
    /// Whatever stands there is not ours.
    Theirs,
}
