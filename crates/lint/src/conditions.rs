//! Conditions that no reading meets, that every reading meets, and recoveries that hold while the trigger does.
//!
//! Each test is a set: an interval of readings, or some statuses of a node condition. Conditions under `AND` are the
//! intersection of their sets, metric by metric.

use std::collections::BTreeMap;
use std::time::Duration;

use ng_engine::rule::{Comparison, Condition, Conditions, Logic, NodeStatus, Rule, Test};
use ng_engine::spec::{ConditionSpec, RuleObject};

use crate::{Check, Level, Notes};

/// The readings, or statuses, for which a test is true.
#[derive(Clone, Debug, PartialEq)]
enum Set {
    Readings(Interval),
    Statuses(Vec<NodeStatus>),
}

/// Readings between two bounds, without some single ones.
#[derive(Clone, Debug, PartialEq)]
struct Interval {
    low: Bound,
    high: Bound,
    without: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound {
    at: f64,
    /// Whether the bound itself belongs to the interval.
    closed: bool,
}

/// What one metric, or node condition, must be for several conditions at once.
type Together<'a> = BTreeMap<&'a str, Set>;

impl Interval {
    const ALL: Interval = Interval {
        low: Bound {
            at: f64::NEG_INFINITY,
            closed: true,
        },
        high: Bound {
            at: f64::INFINITY,
            closed: true,
        },
        without: Vec::new(),
    };

    /// What a metric can be at all.
    fn domain(metric: &str) -> Self {
        let high = match metric {
            "cpuUtilizationPercent"
            | "memoryUtilizationPercent"
            | "diskUtilizationPercent"
            | "podUtilizationPercent" => 100.0,
            "cpuLoadRatio" => f64::INFINITY,
            _ => return Self::ALL,
        };
        Interval {
            low: Bound {
                at: 0.0,
                closed: true,
            },
            high: Bound {
                at: high,
                closed: true,
            },
            without: Vec::new(),
        }
    }

    fn of(comparison: Comparison, threshold: f64) -> Self {
        let open = Bound {
            at: threshold,
            closed: false,
        };
        let closed = Bound {
            at: threshold,
            closed: true,
        };
        match comparison {
            Comparison::GreaterThan => Interval {
                low: open,
                ..Self::ALL
            },
            Comparison::GreaterThanOrEqual => Interval {
                low: closed,
                ..Self::ALL
            },
            Comparison::LessThan => Interval {
                high: open,
                ..Self::ALL
            },
            Comparison::LessThanOrEqual => Interval {
                high: closed,
                ..Self::ALL
            },
            Comparison::EqualTo => Interval {
                low: closed,
                high: closed,
                without: Vec::new(),
            },
            Comparison::NotEqualTo => Interval {
                without: vec![threshold],
                ..Self::ALL
            },
        }
    }

    fn and(&self, other: &Self) -> Self {
        let tighter = |one: Bound, two: Bound, wins: bool| if wins { one } else { two };
        let low_wins =
            self.low.at > other.low.at || (self.low.at >= other.low.at && !self.low.closed);
        let high_wins =
            self.high.at < other.high.at || (self.high.at <= other.high.at && !self.high.closed);
        Interval {
            low: tighter(self.low, other.low, low_wins),
            high: tighter(self.high, other.high, high_wins),
            without: [self.without.as_slice(), &other.without].concat(),
        }
    }

    fn is_empty(&self) -> bool {
        let one_point = self.low.at >= self.high.at;
        let at = self.low.at;
        let missing = || {
            self.without.iter().any(|point| {
                point
                    .partial_cmp(&at)
                    .is_some_and(std::cmp::Ordering::is_eq)
            })
        };
        self.low.at > self.high.at
            || (one_point && (!self.low.closed || !self.high.closed || missing()))
    }

    /// Whether everything the metric can be is in it.
    fn holds_all_of(&self, domain: &Self) -> bool {
        let below =
            self.low.at < domain.low.at || (self.low.at <= domain.low.at && self.low.closed);
        let above =
            self.high.at > domain.high.at || (self.high.at >= domain.high.at && self.high.closed);
        let gap = |point: &f64| *point >= domain.low.at && *point <= domain.high.at;
        below && above && !self.without.iter().any(gap)
    }
}

impl Set {
    fn of(test: &Test) -> (&str, Self) {
        match test {
            Test::Metric {
                metric,
                comparison,
                threshold,
            } => (
                metric,
                Set::Readings(Interval::of(*comparison, threshold.get())),
            ),
            Test::Node {
                condition,
                statuses,
            } => (condition, Set::Statuses(statuses.clone())),
        }
    }

    /// Both at once. A metric and a node condition of one name have nothing to do with each other.
    fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Set::Readings(one), Set::Readings(two)) => Set::Readings(one.and(two)),
            (Set::Statuses(one), Set::Statuses(two)) => Set::Statuses(
                one.iter()
                    .copied()
                    .filter(|status| two.contains(status))
                    .collect(),
            ),
            (one, _) => one.clone(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Set::Readings(interval) => interval.is_empty(),
            Set::Statuses(statuses) => statuses.is_empty(),
        }
    }
}

/// One of the conditions: where it stands, and what it asks for.
struct Placed<'a> {
    path: String,
    condition: &'a Condition,
}

pub(crate) fn check(object: &RuleObject, rule: &Rule, notes: &mut Notes<'_>) {
    let can_trigger = list("spec.conditions", &rule.trigger, "triggers", notes);
    twice("spec.conditions", &object.spec.conditions, notes);
    twice(
        "spec.recoveryConditions",
        &object.spec.recovery_conditions,
        notes,
    );
    durations(rule, notes);
    let Some(recovery) = &rule.recovery else {
        return;
    };
    let can_recover = list("spec.recoveryConditions", recovery, "recovers", notes);
    if can_trigger && can_recover {
        overlap(&rule.trigger, recovery, notes);
    }
}

fn placed<'a>(path: &str, conditions: &'a Conditions) -> Vec<Placed<'a>> {
    let all = conditions.all.iter().enumerate();
    all.map(|(index, condition)| Placed {
        path: format!("{path}[{index}]"),
        condition,
    })
    .collect()
}

/// Checks a list of conditions, and says whether it can hold.
fn list(path: &str, conditions: &Conditions, does: &str, notes: &mut Notes<'_>) -> bool {
    let all = placed(path, conditions);
    let dead = all
        .iter()
        .filter(|placed| single(placed, conditions.logic, notes))
        .count();
    match conditions.logic {
        Logic::Or => dead < all.len(),
        Logic::And => dead == 0 && !contradicts(path, &all, does, notes),
    }
}

/// Checks one condition, and says whether no reading meets it.
fn single(placed: &Placed<'_>, logic: Logic, notes: &mut Notes<'_>) -> bool {
    let Test::Metric {
        metric,
        comparison,
        threshold,
    } = &placed.condition.test
    else {
        return false;
    };
    let domain = Interval::domain(metric);
    let set = Interval::of(*comparison, threshold.get());
    let test = &placed.condition.test;
    let range = if domain.high.at.is_finite() {
        "0 to 100"
    } else {
        "0 and above"
    };
    if set.and(&domain).is_empty() {
        let level = match logic {
            Logic::And => Level::Error,
            Logic::Or => Level::Warning,
        };
        let found = format!("{test} is never true: {metric} is {range}");
        notes.add(
            (level, Check::Unreachable),
            format!("{}.value", placed.path),
            found,
            "choose a value in that range",
        );
        return true;
    }
    if set.holds_all_of(&domain) && domain != Interval::ALL {
        let found = format!("{test} is always true: {metric} is {range}");
        notes.add(
            (Level::Warning, Check::AlwaysTrue),
            format!("{}.value", placed.path),
            found,
            "choose a value within that range, or remove the condition",
        );
    }
    false
}

/// Whether conditions that must all hold exclude each other.
fn contradicts(path: &str, all: &[Placed<'_>], does: &str, notes: &mut Notes<'_>) -> bool {
    let mut together: BTreeMap<&str, (Set, &Placed<'_>)> = BTreeMap::new();
    for placed in all {
        let (name, set) = Set::of(&placed.condition.test);
        let Some((before, first)) = together.get(name) else {
            together.insert(name, (set, placed));
            continue;
        };
        let both = before.and(&set);
        if both.is_empty() {
            let found = format!(
                "{} and {} of {} are never true together, so the rule never {does}",
                placed.condition.test, first.condition.test, first.path
            );
            let fix = format!("change one of them, or combine {path} with OR");
            notes.add(
                (Level::Error, Check::Unreachable),
                placed.path.clone(),
                found,
                fix,
            );
            return true;
        }
        let first = *first;
        together.insert(name, (both, first));
    }
    false
}

/// What has to be for the conditions to hold: one way under `AND`, one for each condition under `OR`.
fn ways(conditions: &Conditions) -> Vec<Together<'_>> {
    let sets = conditions
        .all
        .iter()
        .map(|condition| Set::of(&condition.test));
    match conditions.logic {
        Logic::Or => sets
            .map(|(name, set)| Together::from([(name, set)]))
            .collect(),
        Logic::And => {
            let mut together = Together::new();
            for (name, set) in sets {
                join(&mut together, name, &set);
            }
            vec![together]
        }
    }
}

fn join<'a>(together: &mut Together<'a>, name: &'a str, set: &Set) {
    let both = together
        .get(name)
        .map_or_else(|| set.clone(), |before| before.and(set));
    together.insert(name, both);
}

/// A node for which trigger and recovery hold at once goes back and forth between them.
fn overlap(trigger: &Conditions, recovery: &Conditions, notes: &mut Notes<'_>) {
    let mut doubt: Option<String> = None;
    for (index, way) in ways(recovery).iter().enumerate() {
        for (number, triggers) in ways(trigger).iter().enumerate() {
            let mut both = triggers.clone();
            for (name, set) in way {
                join(&mut both, name, set);
            }
            if both
                .iter()
                .any(|(name, set)| set.is_empty() || is_out_of_range(name, set))
            {
                continue;
            }
            let shared = triggers.keys().find(|name| way.contains_key(*name));
            if let Some(name) = shared {
                let path = in_list("spec.recoveryConditions", recovery, index);
                let found = format!(
                    "{name} can meet this and the trigger ({}) at once",
                    said(trigger, number)
                );
                let fix = "put the threshold of recovery on the other side of the trigger's";
                notes.add((Level::Error, Check::RecoveryOverlap), path, found, fix);
                return;
            }
            doubt.get_or_insert_with(|| said(trigger, number));
        }
    }
    if let Some(trigger) = doubt {
        let found = format!(
            "recovery says nothing of the trigger {trigger}, and can hold while that still does"
        );
        let fix = "add the opposite of that trigger, and combine recovery with AND";
        notes.add(
            (Level::Warning, Check::RecoveryOverlap),
            "spec.recoveryConditions",
            found,
            fix,
        );
    }
}

fn is_out_of_range(name: &str, set: &Set) -> bool {
    match set {
        Set::Readings(interval) => interval.and(&Interval::domain(name)).is_empty(),
        Set::Statuses(_) => false,
    }
}

fn in_list(path: &str, conditions: &Conditions, index: usize) -> String {
    match conditions.logic {
        Logic::Or => format!("{path}[{index}]"),
        Logic::And if conditions.all.len() == 1 => format!("{path}[0]"),
        Logic::And => path.to_owned(),
    }
}

/// One way of holding, in words.
fn said(conditions: &Conditions, way: usize) -> String {
    let tests: Vec<String> = match conditions.logic {
        Logic::Or => conditions
            .all
            .get(way)
            .into_iter()
            .map(|one| one.test.to_string())
            .collect(),
        Logic::And => conditions
            .all
            .iter()
            .map(|one| one.test.to_string())
            .collect(),
    };
    tests.join(" and ")
}

/// The same test twice in a list.
fn twice(path: &str, specs: &[ConditionSpec], notes: &mut Notes<'_>) {
    for (index, spec) in specs.iter().enumerate() {
        let same = |other: &&ConditionSpec| {
            let test = |spec: &ConditionSpec| {
                (
                    spec.metric.clone(),
                    spec.operator.clone(),
                    spec.value.clone(),
                    spec.node_condition.clone(),
                    spec.status.clone(),
                )
            };
            test(other) == test(spec)
        };
        if specs[..index].iter().any(|other| same(&other)) {
            let path = format!("{path}[{index}]");
            notes.add(
                (Level::Warning, Check::Duplicate),
                path,
                "the condition stands there twice",
                "remove one of them",
            );
        }
    }
}

/// A duration shorter than the time between two evaluations holds only at the second one.
fn durations(rule: &Rule, notes: &mut Notes<'_>) {
    let recovery = rule
        .recovery
        .as_ref()
        .map(|recovery| placed("spec.recoveryConditions", recovery));
    let all = placed("spec.conditions", &rule.trigger)
        .into_iter()
        .chain(recovery.into_iter().flatten());
    for Placed { path, condition } in all {
        if condition.duration > Duration::ZERO && condition.duration < rule.check_interval {
            let (duration, interval) = (shown(condition.duration), shown(rule.check_interval));
            let found = format!(
                "{duration} is shorter than the check interval of {interval}, and takes that long"
            );
            let fix =
                format!("write {interval} or more, 0s, or a shorter spec.monitoring.checkInterval");
            notes.add(
                (Level::Warning, Check::ShortDuration),
                format!("{path}.duration"),
                found,
                fix,
            );
        }
    }
}

fn shown(duration: Duration) -> String {
    ng_config::duration::format(duration)
}
