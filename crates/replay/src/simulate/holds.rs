//! Which nodes carry a taint or a cordon that the hooks set, over time.

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use crate::node_object::marks;

/// Marks in words, by node.
#[derive(Debug, Default)]
pub(super) struct Holds(BTreeMap<String, BTreeSet<String>>);

impl Holds {
    /// Takes in what one write changed on a node.
    pub(super) fn note(&mut self, node: &str, effects: &[String]) {
        for mark in effects
            .iter()
            .filter_map(|effect| effect.strip_prefix("+ "))
        {
            if is_disruptive(mark) {
                let marks = self.0.entry(node.to_owned()).or_default();
                marks.insert(mark.to_owned());
            }
        }
    }

    /// The nodes on which something of it still stands.
    pub(super) fn count(&mut self, world: &World) -> usize {
        self.0.retain(|node, held| {
            let standing = world.nodes.get(node);
            let standing = standing.map_or_else(Vec::new, |kept| marks(&kept.object));
            held.retain(|mark| standing.contains(mark));
            !held.is_empty()
        });
        self.0.len()
    }
}

/// Whether a mark takes capacity away.
fn is_disruptive(mark: &str) -> bool {
    mark == "cordon" || (mark.starts_with("taint ") && !mark.ends_with(":PreferNoSchedule"))
}
