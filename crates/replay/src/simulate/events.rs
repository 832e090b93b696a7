//! Lets happen what a scenario says: people, nodes, outages.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::apply::Arrival;
use super::world::{World, merge};
use super::{Play, configuration};
use crate::scenario::{Change, Event, Scenario};
use crate::timeline::{Entry, Kind};

impl Play<'_> {
    /// Lets something happen; returns whether shell-operator would wake the hook for it.
    pub(super) fn event(&mut self, event: &Event) -> anyhow::Result<bool> {
        let mut wakes = false;
        let mut whats = Vec::new();
        let mut nodes = BTreeSet::new();
        for change in &event.changes {
            wakes |= matches!(
                change,
                Change::EditRule(..) | Change::AddRule(_) | Change::DeleteRule(_)
            );
            nodes.extend(change.node());
            whats.push(match objects(self.world.get_mut(), change, self.scenario) {
                Some(what) => what,
                None => self.surroundings(change)?,
            });
        }
        let what = if event.note.is_empty() {
            whats.join("; ")
        } else {
            event.note.clone()
        };
        let node = nodes.first().copied().unwrap_or_default();
        let entry = Entry::new(self.at, Kind::Event, what);
        self.timeline.push(entry.on(node, ""));
        Ok(wakes)
    }

    /// Changes of what is around the cluster.
    fn surroundings(&mut self, change: &Change) -> anyhow::Result<String> {
        Ok(match change {
            Change::Configure(patch) => {
                merge(&mut self.config_text, patch);
                self.config = configuration(&self.config_text)?;
                format!("the configuration changes: {patch}")
            }
            Change::Prometheus(answers) => {
                self.prometheus = *answers;
                format!("Prometheus is {}", if *answers { "up" } else { "down" })
            }
            Change::Controller(runs) => {
                self.controller = *runs;
                format!("the controller {}", if *runs { "runs" } else { "stops" })
            }
            Change::WipeState => {
                wipe(self.state).context("cannot empty the state directory")?;
                "the state directory is emptied".to_owned()
            }
            Change::LosePatches(true) => {
                self.arrival = Arrival::Lost;
                "what the hook writes gets lost from now on".to_owned()
            }
            Change::LosePatches(false) => {
                self.arrival = Arrival::Applied;
                "what the hook writes arrives again".to_owned()
            }
            Change::DelaySnapshots(ticks) => {
                self.delay = *ticks;
                format!("snapshots are {ticks} ticks old")
            }
            Change::HideRules(hidden) => {
                self.world.get_mut().hides_rules = *hidden;
                let word = if *hidden { "lack" } else { "have" };
                format!("snapshots {word} the rules")
            }
            Change::PatchNode(..)
            | Change::AddNode(_)
            | Change::DeleteNode(_)
            | Change::ReplaceNode(_)
            | Change::EditRule(..)
            | Change::AddRule(_)
            | Change::DeleteRule(_)
            | Change::Budget(..) => String::new(),
        })
    }
}

/// Changes of objects; `None` for other changes.
fn objects(world: &mut World, change: &Change, scenario: &Scenario) -> Option<String> {
    Some(match change {
        Change::PatchNode(pattern, patch) => {
            world.patch_nodes(pattern, patch);
            "someone changes the node".to_owned()
        }
        Change::AddNode(nodes) => {
            for node in nodes {
                world.add_node(node);
            }
            let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
            format!("nodes come: {}", names.join(", "))
        }
        Change::DeleteNode(name) => {
            world.remove_node(name);
            "the node is deleted".to_owned()
        }
        Change::ReplaceNode(name) => {
            world.remove_node(name);
            if let Some(node) = scenario.nodes.iter().find(|node| node.name == *name) {
                world.add_node(node);
            }
            "the node is replaced by a new one of the same name".to_owned()
        }
        Change::EditRule(name, spec) => {
            world.edit_rule(name, spec);
            format!("rule {name} is edited: {spec}")
        }
        Change::AddRule(rules) => {
            for rule in rules {
                world.add_rule(rule);
            }
            let name = |rule: &Value| rule["metadata"]["name"].as_str().map(str::to_owned);
            let names: Vec<String> = rules.iter().filter_map(name).collect();
            format!("rules come: {}", names.join(", "))
        }
        Change::DeleteRule(name) => {
            world.rules.remove(name);
            format!("rule {name} is deleted")
        }
        Change::Budget(name, allowed) => {
            for budget in world
                .budgets
                .iter_mut()
                .filter(|budget| budget.name == *name)
            {
                budget.allowed = *allowed;
            }
            format!("budget {name} allows {allowed}")
        }
        Change::Configure(_)
        | Change::Controller(_)
        | Change::Prometheus(_)
        | Change::WipeState
        | Change::LosePatches(_)
        | Change::DelaySnapshots(_)
        | Change::HideRules(_) => return None,
    })
}

fn wipe(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
