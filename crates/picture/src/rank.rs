//! Which node comes first.

use std::cmp::Ordering;

use crate::model::{Level, Measure, Node, Readiness};

/// The nodes, the worst first: by level, then those that are not ready, then by how soon something is full, then by the highest reading.
pub(crate) fn worst_first(nodes: &[Node]) -> Vec<&Node> {
    let mut ranked: Vec<&Node> = nodes.iter().collect();
    ranked.sort_by(|one, other| compare(one, other));
    ranked
}

fn compare(one: &Node, other: &Node) -> Ordering {
    other
        .level
        .cmp(&one.level)
        .then_with(|| is_ready(one).cmp(&is_ready(other)))
        .then_with(|| match (one.next, other.next) {
            (Some(one), Some(other)) => one.arrival.at.cmp(&other.arrival.at),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        })
        .then_with(|| peak(other).total_cmp(&peak(one)))
        .then_with(|| one.name.cmp(&other.name))
}

fn is_ready(node: &Node) -> bool {
    node.readiness == Readiness::Ready
}

/// The highest reading; a load of two for each CPU counts as full. A node without readings comes after those with some.
fn peak(node: &Node) -> f64 {
    let of = |measure: &Measure| {
        let factor = if *measure == Measure::Load { 50.0 } else { 1.0 };
        node.readings.get(*measure).map(|value| value * factor)
    };
    Measure::ALL.iter().filter_map(of).fold(-1.0, f64::max)
}

/// How many nodes are at each level, in the order of [`Level::WORST_FIRST`].
pub(crate) fn counts<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> [(Level, usize); 4] {
    let mut counts = Level::WORST_FIRST.map(|level| (level, 0));
    for node in nodes {
        for (level, count) in &mut counts {
            *count += usize::from(*level == node.level);
        }
    }
    counts
}

/// The nodes for which something is forecast, the soonest first.
pub(crate) fn soonest_first(nodes: &[Node]) -> Vec<&Node> {
    let mut ranked: Vec<&Node> = nodes.iter().filter(|node| node.next.is_some()).collect();
    ranked.sort_by_key(|node| (node.next.map(|next| next.arrival.at), &node.name));
    ranked
}
