//! Where each node stands under each rule, read back from the state that the hook keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ng_engine::history::{Guard, History, NodeRecord, Phase as Recorded};
use ng_engine::time::Time;
use ng_state::Store;

use super::world::World;
use crate::scenario::Phase;

/// The phases after the last tick.
#[derive(Debug, Default)]
pub(super) struct Phases {
    /// The nodes of the last snapshot, in its order.
    pub(super) nodes: Vec<String>,
    history: History,
    /// Rules that need only one of their conditions.
    any_of: BTreeSet<String>,
    /// Rules and nodes that wait for a duration.
    pending: BTreeSet<(String, String)>,
    before: BTreeSet<(String, String)>,
}

impl Phases {
    /// Reads the state. Nothing is written: the transaction ends unsaved.
    pub(super) fn load(&mut self, state: &Path, now: Time, world: &World) -> anyhow::Result<()> {
        let mut store = Store::open(state, now)?.store;
        let enabled = world
            .rules
            .iter()
            .filter(|(_, rule)| rule["spec"]["metadata"]["enabled"] != false);
        let names: Vec<&str> = enabled.clone().map(|(name, _)| name.as_str()).collect();
        self.history = store.begin()?.load(&names)?;
        self.any_of = enabled
            .filter(|(_, rule)| {
                let logic = rule["spec"]["conditionLogic"].as_str().unwrap_or_default();
                logic.eq_ignore_ascii_case("or")
            })
            .map(|(name, _)| name.clone())
            .collect();
        self.before = std::mem::take(&mut self.pending);
        self.pending = self.waiting(&names);
        Ok(())
    }

    fn waiting(&self, rules: &[&str]) -> BTreeSet<(String, String)> {
        let positions = self.history.roster.positions();
        let mut waiting = BTreeSet::new();
        for rule in rules {
            let Some(remembered) = self.history.rules.get(*rule) else {
                continue;
            };
            let tests = &remembered.timers.tests;
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            let running = tests.iter().flat_map(|test| &test.entries);
            for entry in running.filter(|entry| entry.seen.is_none()) {
                let position = positions.get(&entry.node);
                if let Some(name) = position.and_then(|position| self.nodes.get(*position)) {
                    *counts.entry(name).or_default() += 1;
                }
            }
            let needed = if self.any_of.contains(*rule) {
                1
            } else {
                tests.len()
            };
            for (node, count) in counts {
                let active = remembered
                    .records
                    .get(node)
                    .is_some_and(NodeRecord::is_active);
                if count >= needed && !active {
                    waiting.insert(((*rule).to_owned(), node.to_owned()));
                }
            }
        }
        waiting
    }

    /// Who has begun to wait, and who has ceased without triggering, since the reading before.
    #[expect(clippy::type_complexity, reason = "two lists of rules and nodes")]
    pub(super) fn turned(&self) -> (Vec<(String, String)>, Vec<(String, String)>) {
        let come = self.pending.difference(&self.before).cloned().collect();
        let gone = self.before.difference(&self.pending);
        let gone = gone.filter(|(rule, node)| {
            self.record(rule, node)
                .is_none_or(|record| !record.is_active())
        });
        (come, gone.cloned().collect())
    }

    /// The tests that are true on a node, and since when.
    pub(super) fn since(&self, rule: &str, node: &str) -> Vec<(String, Time)> {
        let positions = self.history.roster.positions();
        let is_node = |number: &u32| {
            let position = positions.get(number);
            position
                .and_then(|position| self.nodes.get(*position))
                .is_some_and(|name| name == node)
        };
        let remembered = self.history.rules.get(rule);
        let tests = remembered
            .into_iter()
            .flat_map(|remembered| &remembered.timers.tests);
        tests
            .filter_map(|test| {
                let entry = test.entries.iter().find(|entry| is_node(&entry.node))?;
                Some((test.test.clone(), entry.since))
            })
            .collect()
    }

    fn record(&self, rule: &str, node: &str) -> Option<&NodeRecord> {
        self.history.rules.get(rule)?.records.get(node)
    }

    pub(super) fn phase(&self, rule: &str, node: &str) -> Phase {
        match self.record(rule, node).map(|record| record.phase) {
            Some(Recorded::Triggered) => Phase::Triggered,
            Some(Recorded::Recovering) => Phase::Recovering,
            Some(Recorded::Idle) | None => {
                if self.pending.contains(&(rule.to_owned(), node.to_owned())) {
                    Phase::Pending
                } else {
                    Phase::Healthy
                }
            }
        }
    }

    /// The name of the guard that holds a node's actions back.
    pub(super) fn guard(&self, rule: &str, node: &str) -> Option<&'static str> {
        let record = self
            .record(rule, node)
            .filter(|record| record.is_active())?;
        record.guard.as_ref().map(Guard::word)
    }
}
