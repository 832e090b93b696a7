//! The controller's metrics. Each group is written whole, since shell-operator drops what a group does not repeat.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use ng_engine::history::{History, NodeRecord, Phase};
use ng_engine::plan::{OutOfService, Plan};
use ng_engine::reading::{Reading, Unknown};
use ng_hook::MetricGroup;
use ng_metrics::{Fetched, Wanted};
use ng_state::{Counter, Glance};
use rustc_hash::FxHasher;

/// How many groups the rules are spread over: a run that was woken by one rule writes the group of that rule, and
/// before it applies a group shell-operator looks through all series there are.
const GROUPS: usize = 16;

/// Gauges of rules, from what is remembered, so that rules which were not due are in them, too.
pub(crate) struct Rules<'a> {
    /// As they were when the run began.
    pub(crate) glances: &'a BTreeMap<String, Glance>,
    /// As they are now, at least those that are new or have changed, and those with records.
    pub(crate) history: &'a History,
    /// Rules that the cluster no longer has.
    pub(crate) gone: &'a [String],
}

impl Rules<'_> {
    /// Every group that has a rule in it.
    pub(crate) fn all(&self) -> Vec<MetricGroup> {
        self.write(|_| true)
    }

    /// Every group: what was lost with the state may have left series in any.
    pub(crate) fn anew(&self) -> Vec<MetricGroup> {
        let mut groups = self.write(|_| true);
        let missing = (0..GROUPS)
            .map(name_of)
            .filter(|name| groups.iter().all(|group| group.name() != name));
        let missing: Vec<MetricGroup> = missing.map(MetricGroup::expire).collect();
        groups.extend(missing);
        groups
    }

    /// The groups of rules that have changed in this run.
    pub(crate) fn changed(&self) -> Vec<MetricGroup> {
        let mut changed = [false; GROUPS];
        for (name, rule) in &self.history.rules {
            if self.glances.get(name) != Some(&Glance::of(&rule.summary)) {
                changed[group_of(name)] = true;
            }
        }
        for name in self.gone {
            changed[group_of(name)] = true;
        }
        self.write(|group| changed[group])
    }

    fn write(&self, is_wanted: impl Fn(usize) -> bool) -> Vec<MetricGroup> {
        let mut groups = Groups {
            is_wanted,
            made: std::array::from_fn(|_| None),
        };
        for name in self.gone {
            // Made even if nothing is left in it: that takes the rule's series away.
            groups.of(name);
        }
        for (name, glance) in self.glances {
            let is_told = self.history.rules.contains_key(name) || self.gone.contains(name);
            if !is_told && let Some(group) = groups.of(name) {
                rule(group, name, *glance, &BTreeMap::new());
            }
        }
        for (name, remembered) in &self.history.rules {
            if let Some(group) = groups.of(name) {
                let glance = Glance::of(&remembered.summary);
                rule(group, name, glance, &remembered.records);
            }
        }
        groups.made.into_iter().flatten().collect()
    }
}

/// The groups that are written, made when there is something in them.
struct Groups<F> {
    is_wanted: F,
    made: [Option<MetricGroup>; GROUPS],
}

impl<F: Fn(usize) -> bool> Groups<F> {
    /// The group of a rule, if it is written.
    fn of(&mut self, rule: &str) -> Option<&mut MetricGroup> {
        let number = group_of(rule);
        let new = || MetricGroup::new(name_of(number));
        (self.is_wanted)(number).then(|| self.made[number].get_or_insert_with(new))
    }
}

/// Stays the same over the runs between two starts of shell-operator, which forgets all groups.
fn group_of(rule: &str) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(rule.as_bytes());
    usize::try_from(hasher.finish() % GROUPS as u64).unwrap_or(0)
}

fn name_of(group: usize) -> String {
    format!("controller-rules-{group}")
}

/// The gauges of one rule.
fn rule(
    group: &mut MetricGroup,
    name: &str,
    glance: Glance,
    records: &BTreeMap<String, NodeRecord>,
) {
    let (mut triggered, mut recovering, mut held_back) = (0, 0, 0);
    for record in records.values() {
        triggered += usize::from(record.phase == Phase::Triggered);
        recovering += usize::from(record.phase == Phase::Recovering);
        held_back += usize::from(record.is_active() && record.guard.is_some());
    }
    let labels = [("rule", name)];
    for (gauge, count) in [
        ("nodeguardian_triggered_nodes", triggered + recovering),
        ("nodeguardian_recovering_nodes", recovering),
        ("nodeguardian_pending_nodes", glance.pending),
        ("nodeguardian_unknown_nodes", glance.unknown),
        ("nodeguardian_held_back_nodes", held_back),
    ] {
        group.set(gauge, &labels, float(count));
    }
}

/// How much of the configured limit is used.
pub(crate) fn safety(counted: OutOfService) -> MetricGroup {
    let limit = float(counted.limit);
    MetricGroup::new("controller-safety")
        .with(
            "nodeguardian_nodes_out_of_service",
            &[],
            float(counted.counted),
        )
        .with("nodeguardian_nodes_out_of_service_limit", &[], limit)
}

/// Known and unknown readings, a group for each metric: rules with other intervals ask for others at other times.
pub(crate) fn readings(wanted: &[Wanted], fetched: &Fetched) -> Vec<MetricGroup> {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for (wanted, column) in wanted.iter().zip(&fetched.columns) {
        let count = counts.entry(&wanted.metric).or_default();
        for node in 0..column.len() {
            match column.get(node) {
                Reading::Value { .. } => count.known += 1,
                Reading::Unknown(reason) => *count.unknown.entry(reason).or_default() += 1,
            }
        }
    }
    let groups = counts.into_iter().map(|(metric, count)| {
        let mut group = MetricGroup::new(readings_of(metric));
        let known = "nodeguardian_known_readings";
        group.set(known, &[("metric", metric)], float(count.known));
        for (reason, count) in count.unknown {
            let labels = [("metric", metric), ("reason", reason.word())];
            group.set("nodeguardian_unknown_readings", &labels, float(count));
        }
        group
    });
    groups.collect()
}

/// Takes away what [`readings`] has told of metrics that no rule asks for any more.
pub(crate) fn no_readings(metrics: &[String]) -> impl Iterator<Item = MetricGroup> {
    metrics
        .iter()
        .map(|metric| MetricGroup::expire(readings_of(metric)))
}

/// Readings of one metric.
#[derive(Default)]
struct Count {
    known: usize,
    unknown: BTreeMap<Unknown, usize>,
}

fn readings_of(metric: &str) -> String {
    format!("controller-readings-{metric}")
}

/// Totals that go on over runs.
pub(crate) fn totals(counters: &[Counter]) -> MetricGroup {
    let mut group = MetricGroup::new("controller-totals");
    for counter in counters {
        let labels: Vec<(&str, &str)> = counter
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "totals stay far below 2^53")]
        group.set(&counter.name, &labels, counter.value as f64);
    }
    group
}

/// How long the evaluation took, and how much it looked at.
pub(crate) fn run(plan: &Plan, nodes: usize, requests: u32, seconds: f64) -> MetricGroup {
    let mut group = MetricGroup::new("controller-run");
    group.set("nodeguardian_evaluation_duration_seconds", &[], seconds);
    group.set(
        "nodeguardian_evaluated_rules",
        &[],
        float(plan.evaluated.len()),
    );
    group.set("nodeguardian_nodes", &[], float(nodes));
    group.set("nodeguardian_metric_requests", &[], f64::from(requests));
    group
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glances(rules: &[String]) -> BTreeMap<String, Glance> {
        let glance = Glance {
            pending: 2,
            ..Glance::default()
        };
        rules.iter().map(|rule| (rule.clone(), glance)).collect()
    }

    /// The rules whose series stand in these groups.
    fn told(groups: &[MetricGroup]) -> Vec<String> {
        let text: String = groups.iter().map(MetricGroup::to_json_lines).collect();
        let mut rules: Vec<String> = text
            .lines()
            .filter(|line| line.contains("nodeguardian_pending_nodes"))
            .filter_map(|line| {
                Some(
                    line.split("\"rule\":\"")
                        .nth(1)?
                        .split('"')
                        .next()?
                        .to_owned(),
                )
            })
            .collect();
        rules.sort_unstable();
        rules
    }

    fn mates<'a>(of: &str, rules: &'a [String]) -> Vec<&'a String> {
        let group = group_of(of);
        rules
            .iter()
            .filter(|rule| group_of(rule) == group)
            .collect()
    }

    #[test]
    fn a_changed_rule_is_told_with_all_rules_of_its_group_and_no_others() {
        let rules: Vec<String> = (100..200).map(|rule| format!("rule-{rule}")).collect();
        let before = glances(&rules);
        let mut history = History::default();
        let changed = history.rules.entry("rule-107".to_owned()).or_default();
        changed.summary.pending = 3;
        let gauges = Rules {
            glances: &before,
            history: &history,
            gone: &[],
        };
        assert_eq!(
            told(&gauges.changed()),
            mates("rule-107", &rules)
                .into_iter()
                .cloned()
                .collect::<Vec<_>>()
        );
        assert_eq!(told(&gauges.all()), rules, "by schedule");
        let groups: std::collections::BTreeSet<usize> =
            rules.iter().map(|rule| group_of(rule)).collect();
        assert_eq!(groups.len(), GROUPS, "rules are spread");
    }

    #[test]
    fn the_group_of_a_deleted_rule_is_written_without_it_even_if_nothing_is_left() {
        let rules: Vec<String> = (100..200).map(|rule| format!("rule-{rule}")).collect();
        let history = History::default();
        let gone = ["rule-107".to_owned()];
        let left: Vec<String> = mates("rule-107", &rules)
            .into_iter()
            .filter(|rule| **rule != gone[0])
            .cloned()
            .collect();
        assert!(!left.is_empty(), "the group has other rules");
        let many = glances(&rules);
        let few = glances(&gone);
        for (glances, left) in [(&many, left), (&few, Vec::new())] {
            let groups = Rules {
                glances,
                history: &history,
                gone: &gone,
            }
            .changed();
            assert_eq!(groups.len(), 1);
            assert_eq!(told(&groups), left);
        }
    }

    #[test]
    fn after_a_loss_every_group_is_written() {
        let rules = ["rule-107".to_owned()];
        let glances = glances(&rules);
        let gauges = Rules {
            glances: &glances,
            history: &History::default(),
            gone: &[],
        };
        let groups = gauges.anew();
        let names: std::collections::BTreeSet<&str> =
            groups.iter().map(MetricGroup::name).collect();
        assert_eq!((groups.len(), names.len()), (GROUPS, GROUPS));
        assert_eq!(told(&groups), rules);
    }
}
