//! The API server, and everything that is counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ng_engine::plan::{AlertKind, Happening};
use ng_engine::time::Time;
use ng_kube::PodRef;
use ng_kube::eviction::EvictionOutcome;
use ng_kube::objects::{Node as ApiNode, Pod as ApiPod};
use ng_round::Outcome;
use ng_round::ports::{Cluster, LiveNode};

use super::super::apply::{self, Arrival};
use super::super::holds::Holds;
use super::super::snapshot;
use super::super::world::World;
use super::Hook;
use super::load::Dice;
use crate::scenario::Scenario;

/// How many snapshots are kept; none is older.
const KEPT: usize = 8;

/// The API server, and everything that is counted.
pub(super) struct Api {
    pub(super) world: World,
    /// When the next run begins: each takes a millisecond.
    pub(super) clock: Time,
    /// Runs whose writes have not arrived, by when they began.
    pub(super) under_way: BTreeSet<Time>,
    snapshots: VecDeque<Vec<u8>>,
    /// Snapshots that are no longer kept.
    dropped: usize,
    dice: Dice,
    pub(super) troubled: bool,
    holds: Holds,
    pub(super) most_held: usize,
    pub(super) late_writes: usize,
    pub(super) transitions: BTreeMap<(String, String), Vec<(Time, Happening)>>,
    pub(super) told: BTreeMap<(String, String, &'static str), usize>,
    pub(super) runs: BTreeMap<Hook, usize>,
    /// What happened, in words: printed when a test fails.
    pub(super) trace: Vec<String>,
}

/// Whether nothing may be written any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stillness {
    Expected,
    NotYet,
}

impl Api {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let mut world = World::default();
        world.advance(scenario.start);
        scenario.nodes.iter().for_each(|node| world.add_node(node));
        scenario.rules.iter().for_each(|rule| world.add_rule(rule));
        Self {
            world,
            clock: scenario.start,
            under_way: BTreeSet::new(),
            snapshots: VecDeque::new(),
            dropped: 0,
            dice: Dice::new(seed),
            troubled: false,
            holds: Holds::default(),
            most_held: 0,
            late_writes: 0,
            transitions: BTreeMap::new(),
            told: BTreeMap::new(),
            runs: BTreeMap::new(),
            trace: Vec::new(),
        }
    }

    /// A snapshot for a hook, which may be old but never older than the last one it got, and the time.
    pub(super) fn snapshot(&mut self, hook: Hook, last: &mut usize) -> (Vec<u8>, Time) {
        self.clock = self.clock.plus(Duration::from_millis(1));
        self.under_way.insert(self.clock);
        self.snapshots
            .push_back(snapshot::contexts(&mut self.world));
        if self.snapshots.len() > KEPT {
            self.snapshots.pop_front();
            self.dropped += 1;
        }
        let newest = self.dropped + self.snapshots.len() - 1;
        let age = if self.troubled {
            usize::try_from(self.dice.below(4)).unwrap()
        } else {
            0
        };
        *last = newest.saturating_sub(age).max(*last).max(self.dropped);
        let line = format!("begins with snapshot {last} of {newest}");
        self.note(hook, self.clock, &line);
        (self.snapshots[*last - self.dropped].clone(), self.clock)
    }

    /// Takes in what a run decided.
    pub(super) fn take(&mut self, hook: Hook, now: Time, outcome: &Outcome) {
        for decision in &outcome.plan.decisions {
            let line = format!("{} {:?} {}", decision.node, decision.event, decision.rule);
            self.note(hook, now, &line);
            if matches!(
                decision.event,
                Happening::Triggered | Happening::Recovered | Happening::Released
            ) {
                let key = (decision.rule.clone(), decision.node.clone());
                let transitions = self.transitions.entry(key).or_default();
                transitions.push((decision.at, decision.event));
            }
        }
        for change in &outcome.plan.changes {
            let line = format!(
                "{} set {:?} unset {:?}",
                change.node, change.set, change.unset
            );
            self.note(hook, now, &line);
        }
        for alert in &outcome.plan.alerts {
            let key = (alert.rule.clone(), alert.node.clone(), word(alert.kind));
            *self.told.entry(key).or_default() += 1;
        }
        *self.runs.entry(hook).or_default() += usize::from(!outcome.plan.decisions.is_empty());
    }

    /// Takes in what a run wrote, when it arrives.
    pub(super) fn arrive(&mut self, hook: Hook, now: Time, outcome: &Outcome, still: Stillness) {
        for operation in &outcome.report.patches {
            let lost = self.troubled && self.dice.one_in(8);
            let arrival = if lost {
                Arrival::Lost
            } else {
                Arrival::Applied
            };
            let written =
                apply::operation(&mut self.world, operation, &outcome.plan.changes, arrival)
                    .unwrap();
            if written.kind == "Node" {
                self.holds.note(&written.name, &written.effects);
                let line = format!("{} {arrival:?} {:?}", written.name, written.effects);
                self.note(hook, now, &line);
            }
            self.late_writes +=
                usize::from(still == Stillness::Expected && written.kind != "Event");
            let held = self.holds.count(&self.world);
            if held > self.most_held {
                self.most_held = held;
                self.note(hook, now, &format!("{held} nodes are held"));
            }
        }
        self.under_way.remove(&now);
    }

    fn note(&mut self, hook: Hook, began: Time, line: &str) {
        let began = began.millis() % 100_000_000;
        self.trace.push(format!("{began} {hook:?}: {line}"));
    }

    /// What happened to nodes whose names begin so.
    pub(super) fn told_of(&self, name: &str) -> String {
        let is_about =
            |line: &&String| line.contains(&format!(": {name}")) || line.contains("held");
        let lines: Vec<&str> = self
            .trace
            .iter()
            .filter(is_about)
            .map(String::as_str)
            .collect();
        lines.join("\n")
    }

    /// Whether the one case of so many has come, in troubled times.
    pub(super) fn one_in(&mut self, cases: u64) -> bool {
        self.troubled && self.dice.one_in(cases)
    }
}

fn word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Trigger => "trigger",
        AlertKind::Repeat => "repeat",
        AlertKind::Recovery => "recovery",
    }
}

/// No pods, and no question but one.
pub(super) struct Shared<'a>(pub(super) &'a Mutex<Api>);

impl Cluster for Shared<'_> {
    fn is_configured(&self) -> bool {
        true
    }
    fn node(&self, _: &str, _: Instant) -> Result<Option<LiveNode>, String> {
        Err("nothing is evicted here".to_owned())
    }
    fn nodes(&self, _: Instant) -> Result<Vec<ApiNode>, String> {
        Err("every context has a snapshot".to_owned())
    }
    fn rule_exists(&self, name: &str, _: &str, _: Instant) -> Result<bool, String> {
        Ok(self.0.lock().unwrap().world.rules.contains_key(name))
    }
    fn pods_on(&self, _: &str, _: Instant) -> Result<Vec<ApiPod>, String> {
        Ok(Vec::new())
    }
    fn evict(&self, _: &PodRef, _: Option<i64>, _: Instant) -> EvictionOutcome {
        EvictionOutcome::Gone
    }
    fn get(&self, _: &str, _: Instant) -> Result<Vec<u8>, String> {
        Err("there is no metrics.k8s.io".to_owned())
    }
}
