//! Conditions of one rule over all nodes: three-valued, with durations.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::bits::Bits;
use crate::node::Nodes;
use crate::plan::{Input, Seen, Verdict};
use crate::reading::{Column, Reading, Unknown};
use crate::roster::Roster;
use crate::rule::{Comparison, Condition, Conditions, Logic, Test, Threshold};
use crate::time::{Time, millis};
use crate::timers::{Entry, TestTimers, Timers};

/// Samples further apart than this many check intervals start a timer again.
pub(super) const GAP_INTERVALS: u32 = 3;

/// Where one test is true, and where anything is known of it.
pub(super) struct Look {
    pub(super) yes: Bits,
    pub(super) known: Bits,
}

/// Compares every node at once.
pub(super) fn look(test: &Test, column: Option<&Column>, nodes: &Nodes) -> Look {
    let len = nodes.len();
    match (test, column) {
        (
            Test::Metric {
                comparison,
                threshold,
                ..
            },
            Some(column),
        ) if column.len() == len => {
            let values = column.values();
            Look {
                yes: compare(values, *comparison, *threshold),
                known: Bits::from_fn(len, |node| !values[node].is_nan()),
            }
        }
        (Test::Metric { .. }, _) => Look {
            yes: Bits::none(len),
            known: Bits::none(len),
        },
        (
            Test::Node {
                condition,
                statuses,
            },
            _,
        ) => match nodes.condition_column(condition) {
            Some(column) => Look {
                yes: Bits::from_fn(len, |node| {
                    column[node].is_some_and(|seen| statuses.contains(&seen.status))
                }),
                known: Bits::from_fn(len, |node| column[node].is_some()),
            },
            None => Look {
                yes: Bits::none(len),
                known: Bits::none(len),
            },
        },
    }
}

/// One loop for each comparison, so that the compiler can compare several readings at a time.
fn compare(values: &[f64], comparison: Comparison, threshold: Threshold) -> Bits {
    let limit = threshold.get();
    match comparison {
        Comparison::GreaterThan => Bits::from_fn(values.len(), |node| values[node] > limit),
        Comparison::GreaterThanOrEqual => Bits::from_fn(values.len(), |node| values[node] >= limit),
        Comparison::LessThan => Bits::from_fn(values.len(), |node| values[node] < limit),
        Comparison::LessThanOrEqual => Bits::from_fn(values.len(), |node| values[node] <= limit),
        Comparison::EqualTo | Comparison::NotEqualTo => Bits::from_fn(values.len(), |node| {
            comparison.holds(values[node], threshold)
        }),
    }
}

/// What the trigger of a rule amounts to, by node.
pub(super) struct Standing {
    /// The logic holds: every needed condition has been true for its duration.
    pub(super) holds: Bits,
    /// The logic is true at this moment, whatever the durations.
    pub(super) now_true: Bits,
    /// The logic is false at this moment: certain, whatever is unknown.
    pub(super) now_false: Bits,
}

/// Nodes, clock and numbering that all conditions of a rule share.
pub(super) struct Scene<'a> {
    pub(super) nodes: &'a Nodes,
    pub(super) roster: &'a Roster,
    pub(super) positions: &'a FxHashMap<u32, usize>,
    pub(super) now: Time,
    pub(super) last_evaluated: Option<Time>,
    pub(super) check_interval: Duration,
}

impl Scene<'_> {
    /// Whether a test last seen true at `seen` has been watched closely enough to go on counting.
    pub(super) fn is_watched(&self, seen: Time) -> bool {
        seen <= self.now
            && self.now.since(seen) <= self.check_interval.saturating_mul(GAP_INTERVALS)
    }
}

/// Evaluates the trigger over the selected nodes and carries its timers on.
pub(super) fn evaluate(
    conditions: &Conditions,
    columns: &[Option<&Column>],
    selected: &Bits,
    timers: &mut Timers,
    scene: &Scene<'_>,
) -> Standing {
    let len = scene.nodes.len();
    let mut standing = Standing {
        holds: if conditions.logic == Logic::And {
            selected.clone()
        } else {
            Bits::none(len)
        },
        now_true: if conditions.logic == Logic::And {
            selected.clone()
        } else {
            Bits::none(len)
        },
        now_false: if conditions.logic == Logic::And {
            Bits::none(len)
        } else {
            selected.clone()
        },
    };
    let mut carried: Vec<TestTimers> = Vec::new();
    for (condition, column) in conditions.all.iter().zip(columns) {
        let mut look = look(&condition.test, *column, scene.nodes);
        look.yes.keep(selected);
        let mut no = look.known.clone();
        no.drop_all(&look.yes);
        no.keep(selected);
        let holds = if condition.duration.is_zero() {
            look.yes.clone()
        } else {
            let mut counted = Counted {
                timers,
                carried: &mut carried,
                scene,
            };
            counted.holds(condition, &look, selected)
        };
        match conditions.logic {
            Logic::And => {
                standing.holds.keep(&holds);
                standing.now_true.keep(&look.yes);
                standing.now_false.join(&no);
            }
            Logic::Or => {
                standing.holds.join(&holds);
                standing.now_true.join(&look.yes);
                standing.now_false.keep(&no);
            }
        }
    }
    timers.tests = carried;
    standing
}

/// The timers of the last evaluation and those of this one.
struct Counted<'a> {
    timers: &'a Timers,
    carried: &'a mut Vec<TestTimers>,
    scene: &'a Scene<'a>,
}

impl Counted<'_> {
    /// The nodes on which the condition has been true for its duration.
    fn holds(&mut self, condition: &Condition, look: &Look, selected: &Bits) -> Bits {
        let test = condition.test.to_string();
        let index = if let Some(index) = self.carried.iter().position(|timers| timers.test == test)
        {
            index
        } else {
            let entries = self.carry(self.timers.of(&test), look, selected);
            self.carried.push(TestTimers { test, entries });
            self.carried.len() - 1
        };
        let mut holds = Bits::none(self.scene.nodes.len());
        for entry in self.carried[index]
            .entries
            .iter()
            .filter(|entry| entry.seen.is_none())
        {
            if self.scene.now.since(entry.since) >= condition.duration
                && let Some(node) = self.scene.positions.get(&entry.node)
            {
                holds.add(*node);
            }
        }
        holds
    }

    /// True goes on counting or starts; false ends; unknown waits.
    fn carry(&self, old: &[Entry], look: &Look, selected: &Bits) -> Vec<Entry> {
        let scene = self.scene;
        let mut fresh = look.yes.clone();
        let mut entries = Vec::with_capacity(look.yes.count());
        for entry in old {
            let Some(seen) = entry
                .seen
                .or(scene.last_evaluated)
                .filter(|seen| scene.is_watched(*seen))
            else {
                continue;
            };
            let Some(node) = scene.positions.get(&entry.node).copied() else {
                if scene.roster.is_absent(entry.node) {
                    entries.push(Entry {
                        seen: Some(seen),
                        ..*entry
                    });
                }
                continue;
            };
            if !selected.has(node) {
                continue;
            }
            if look.yes.has(node) {
                fresh.remove(node);
                entries.push(Entry {
                    seen: None,
                    ..*entry
                });
            } else if !look.known.has(node) {
                entries.push(Entry {
                    seen: Some(seen),
                    ..*entry
                });
            }
        }
        let continued = entries.len();
        entries.extend(fresh.iter().map(|node| Entry {
            node: scene.roster.number(node),
            since: scene.now,
            seen: None,
        }));
        if continued > 0 && continued < entries.len() {
            entries.sort_unstable_by_key(|entry| scene.positions.get(&entry.node).copied());
        }
        entries
    }
}

/// What follows for one condition on one node from its truth now and for how long it has been true.
pub(super) fn verdict_of(
    condition: &Condition,
    true_for: Option<Duration>,
    truth: Option<bool>,
) -> Verdict {
    match truth {
        None => Verdict::Unknown,
        Some(false) => Verdict::Clear,
        Some(true) if true_for.unwrap_or_default() >= condition.duration => Verdict::Holds,
        Some(true) => Verdict::Pending,
    }
}

/// What one test sees on one node.
pub(super) fn seen(
    test: &Test,
    column: Option<&Column>,
    nodes: &Nodes,
    node: usize,
    now: Time,
) -> Seen {
    match test {
        Test::Metric { .. } => match column.map_or(Reading::Unknown(Unknown::NoSource), |column| {
            column.get(node)
        }) {
            Reading::Value { value, at, origin } => Seen::Value {
                value,
                age: millis(now.since(at)),
                origin: origin.word().to_owned(),
            },
            Reading::Unknown(reason) => Seen::unknown(reason),
        },
        Test::Node { condition, .. } => match nodes.condition(node, condition) {
            Some(seen) => Seen::Status(seen.status.to_string()),
            None => Seen::unknown(Unknown::NoCondition),
        },
    }
}

/// Whether a test is true of one node; `None` if that is unknown.
pub(super) fn is_true(
    test: &Test,
    column: Option<&Column>,
    nodes: &Nodes,
    node: usize,
) -> Option<bool> {
    match test {
        Test::Metric {
            comparison,
            threshold,
            ..
        } => match column?.get(node) {
            Reading::Value { value, .. } => Some(comparison.holds(value, *threshold)),
            Reading::Unknown(_) => None,
        },
        Test::Node {
            condition,
            statuses,
        } => nodes
            .condition(node, condition)
            .map(|seen| statuses.contains(&seen.status)),
    }
}

/// The conditions of the trigger as they stand on one node.
pub(super) fn explain(
    conditions: &Conditions,
    columns: &[Option<&Column>],
    timers: &Timers,
    node: usize,
    scene: &Scene<'_>,
) -> Vec<Input> {
    let number = scene.roster.number(node);
    let mut inputs = Vec::with_capacity(conditions.all.len());
    for (condition, column) in conditions.all.iter().zip(columns) {
        let test = condition.test.to_string();
        let truth = is_true(&condition.test, *column, scene.nodes, node);
        let entry = timers.of(&test).iter().find(|entry| entry.node == number);
        let true_for = match (truth, entry) {
            (Some(true), Some(entry)) => Some(scene.now.since(entry.since)),
            (Some(true), None) => Some(Duration::ZERO),
            _ => None,
        };
        inputs.push(Input {
            seen: seen(&condition.test, *column, scene.nodes, node, scene.now),
            true_for: true_for.map(millis),
            needed: millis(condition.duration),
            verdict: verdict_of(condition, true_for, truth),
            description: condition.own_words(),
            test,
        });
    }
    inputs
}
