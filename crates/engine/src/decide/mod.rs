//! The evaluation: rules, nodes and readings against history.
//!
//! ```text
//! forget ─▶ episodes ─▶ guards ─▶ marks ─▶ notices
//! ```
//!
//! *episodes* moves each node of each rule between its phases, *guards* lets disruptive actions through or holds
//! them back, *marks* compares what the triggered rules want on a node with what stands there and what we set, and
//! *notices* writes the alerts.

mod condition;
mod ending;
mod episode;
mod guards;
mod hand_back;
mod interest;
mod marks;
mod mutes;
mod notices;
mod selector;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::history::{FORGET_AFTER, History, MarkKey, NodeRecord, Queue};
use crate::node::Nodes;
use crate::plan::{AlertKind, Decision, Happening, Input, Plan};
use crate::reading::Column;
use crate::rule::{MaxNodes, RecoveryAction, Rule};
use crate::time::Time;

pub use hand_back::hand_back;
pub use interest::interest;
pub(crate) use marks::stands;

/// What a decision depends on, besides history.
pub struct Inputs<'a> {
    /// The time of this evaluation.
    pub now: Time,
    /// The queue of shell-operator that this evaluation is in.
    pub queue: Queue,
    /// Every node of the cluster. An empty table means that nothing is known: nothing is decided or forgotten.
    pub nodes: &'a Nodes,
    /// Rules to evaluate now.
    pub due: &'a [Due<'a>],
    /// Rules that are disabled or deleted.
    pub retired: &'a [Retired<'a>],
    /// The configured limits.
    pub safety: Safety,
    /// How templates in values become text.
    pub render: &'a dyn Render,
}

/// A rule to evaluate, and where its readings are.
pub struct Due<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Its `spec` as JSON, remembered while nodes are triggered.
    pub spec: &'a str,
    /// Hash of the spec and of the defaults it was checked with.
    pub spec_hash: u64,
    /// One column for each condition of the trigger; `None` for node conditions.
    pub trigger: Vec<Option<&'a Column>>,
    /// One column for each recovery condition.
    pub recovery: Vec<Option<&'a Column>>,
    /// Every known column by metric name, for templates and alerts.
    pub metrics: &'a [(String, &'a Column)],
}

/// A rule whose nodes are to be released.
pub struct Retired<'a> {
    /// Name of the rule.
    pub name: &'a str,
    /// The rule as it was last valid; `None` if that is lost: its marks are removed all the same.
    pub rule: Option<&'a Rule>,
    /// Whether the object still exists, so that its history is kept.
    pub exists: bool,
}

/// The configured limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safety {
    /// How many nodes may be out of service.
    pub max_nodes: MaxNodes,
    /// The emergency stop: no change to the cluster.
    pub paused: bool,
    /// Whether every rule is a dry run, those that are not evaluated included.
    pub dry_run: bool,
}

/// Turns template texts into values.
pub trait Render {
    /// The text for `template`; a label or taint value that it gives is a legal one. Never fails: a broken template
    /// gives what can be said instead, and the implementor reports it.
    fn value(&self, template: &str, facts: &Facts<'_>, place: Place) -> String;
}

/// Where a rendered text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The value of a taint.
    Taint,
    /// The value of a label.
    Label,
    /// The value of an annotation.
    Annotation,
}

/// What a template may speak of.
pub struct Facts<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Name of the node.
    pub node: &'a str,
    /// The time of the evaluation.
    pub now: Time,
    /// Known metrics of the node.
    pub metrics: &'a BTreeMap<String, f64>,
}

/// Evaluates what is due, brings history up to date and says what has to happen.
pub fn decide(history: &mut History, inputs: &Inputs<'_>) -> Plan {
    let mut plan = Plan::default();
    if inputs.nodes.is_empty() {
        return plan;
    }
    history.roster.align(inputs.nodes, inputs.now);
    let world = World {
        inputs,
        positions: inputs.nodes.positions(),
        numbers: history.roster.positions(),
    };
    let mut turn = Turn::default();
    forget(history, &world, &mut plan);
    let mut due: Vec<&Due<'_>> = inputs.due.iter().collect();
    due.sort_by_key(|due| (due.rule.priority, due.rule.name.as_str()));
    for due in &due {
        episode::evaluate(history, due, &world, &mut turn, &mut plan);
    }
    for retired in inputs.retired {
        ending::release(history, retired, &world, &mut turn, &mut plan);
    }
    if inputs.safety.dry_run {
        ending::withdraw(history, &due, &world, &mut turn, &mut plan);
    }
    guards::admit(history, &due, &world, &mut turn, &mut plan);
    marks::reconcile(history, &world, &turn, &mut plan);
    notices::write(history, &due, &world, turn, &mut plan);
    for remembered in history.rules.values_mut() {
        remembered.count();
    }
    plan
}

/// The inputs with the indexes that every step uses.
struct World<'a> {
    inputs: &'a Inputs<'a>,
    /// Positions of nodes by name.
    positions: FxHashMap<&'a str, usize>,
    /// Positions of nodes by roster number.
    numbers: FxHashMap<u32, usize>,
}

impl<'a> World<'a> {
    /// The rule, if it is evaluated or retired now.
    fn rule(&self, name: &str) -> Option<&'a Rule> {
        let due = self.inputs.due.iter().map(|due| due.rule);
        let retired = self
            .inputs
            .retired
            .iter()
            .filter_map(|retired| retired.rule);
        due.chain(retired).find(|rule| rule.name == name)
    }

    fn decision(&self, rule: &str, node: usize, event: Happening, inputs: Vec<Input>) -> Decision {
        Decision {
            at: self.inputs.now,
            rule: rule.to_owned(),
            node: self.inputs.nodes.name(node).to_owned(),
            node_uid: self.inputs.nodes.uid(node).to_owned(),
            event,
            guard: None,
            inputs,
        }
    }
}

/// What the steps of one evaluation hand on.
#[derive(Default)]
struct Turn {
    /// Actions that ran: the alerts and jobs of the later steps.
    acts: Vec<Act>,
    /// Marks that recoveries and releases give up, by node name.
    given_up: Vec<(String, MarkKey)>,
}

/// One run of a rule's actions, or of its recovery actions, on one node.
struct Act {
    rule: String,
    node: usize,
    kind: AlertKind,
    inputs: Vec<Input>,
    /// The record as it was: a recovered one no longer says since when.
    record: NodeRecord,
    /// Recovery alerts of a rule that is not among the due ones.
    actions: Option<Vec<RecoveryAction>>,
    told: Option<Told>,
}

/// What an alert says of a rule that is no longer evaluated.
#[derive(Clone)]
struct Told {
    description: String,
    severity: crate::rule::Severity,
}

/// Drops what is remembered of nodes that are gone or were replaced under their name.
fn forget(history: &mut History, world: &World<'_>, plan: &mut Plan) {
    let nodes = world.inputs.nodes;
    let now = world.inputs.now;
    let same = |name: &str, uid: &str| match world.positions.get(name) {
        Some(node) => Presence::of(uid, nodes.uid(*node)),
        None => Presence::Absent,
    };
    for (name, remembered) in &mut history.rules {
        let rule = world.rule(name);
        remembered.records.retain(|node, record| {
            let presence = same(node, &record.uid);
            if presence.keeps(&mut record.absent, now) {
                return true;
            }
            if record.is_active() {
                // Whoever was told of the node is told of its end, too: that takes the rule, which is at hand when it
                // is due. Of a node that was replaced nothing may stay, as it would count for the new one.
                if rule.is_none() && presence.may_wait(record.absent, now) {
                    return true;
                }
                plan.decisions.push(Decision {
                    at: now,
                    rule: name.clone(),
                    node: node.clone(),
                    node_uid: record.uid.clone(),
                    event: Happening::Gone,
                    guard: None,
                    inputs: Vec::new(),
                });
                let farewells = rule.map(|rule| notices::farewells(rule, node, record, now));
                plan.alerts.extend(farewells.into_iter().flatten());
            }
            false
        });
    }
    history.ledgers.retain(|name, ledger| {
        let presence = same(name, &ledger.uid);
        if let (Presence::Replaced, Some(node)) = (&presence, world.positions.get(name.as_str())) {
            marks::follow(ledger, *node, world.inputs);
            return !ledger.is_empty();
        }
        presence.keeps(&mut ledger.absent, now)
    });
}

/// How a remembered node stands in the snapshot.
enum Presence {
    Same,
    Replaced,
    Absent,
}

impl Presence {
    /// A UID that was never told is taken for the same.
    fn of(remembered: &str, present: &str) -> Self {
        if remembered == present || remembered.is_empty() || present.is_empty() {
            Self::Same
        } else {
            Self::Replaced
        }
    }

    /// Whether a node that is gone may be remembered until its rule is due.
    fn may_wait(&self, absent: Option<Time>, now: Time) -> bool {
        match self {
            Self::Same | Self::Replaced => false,
            Self::Absent => absent.is_some_and(|since| now.since(since) < 2 * FORGET_AFTER),
        }
    }

    /// Whether to go on remembering; notes since when the node is missing.
    fn keeps(&self, absent: &mut Option<Time>, now: Time) -> bool {
        match self {
            Self::Same => {
                *absent = None;
                true
            }
            Self::Replaced => false,
            Self::Absent => {
                let since = absent.get_or_insert(now);
                *since = (*since).min(now);
                now.since(*since) < FORGET_AFTER
            }
        }
    }
}
