//! The controller's metrics. Each group is written whole, since shell-operator drops what a group does not repeat.

use std::collections::BTreeMap;

use ng_engine::history::{History, Phase};
use ng_engine::plan::Plan;
use ng_engine::reading::{Reading, Unknown};
use ng_hook::MetricGroup;
use ng_metrics::{Fetched, Wanted};
use ng_state::Counter;

/// Gauges of rules and nodes, from history alone, so that rules which were not due are in it, too.
pub(crate) fn rules(history: &History, plan: &Plan) -> MetricGroup {
    let mut group = MetricGroup::new("controller-rules");
    for (name, rule) in &history.rules {
        let labels = [("rule", name.as_str())];
        let count = |phase: Phase| {
            rule.records
                .values()
                .filter(|record| record.phase == phase)
                .count()
        };
        let held = rule
            .records
            .values()
            .filter(|record| record.is_active() && record.guard.is_some())
            .count();
        group.set(
            "nodeguardian_triggered_nodes",
            &labels,
            float(count(Phase::Triggered) + count(Phase::Recovering)),
        );
        group.set(
            "nodeguardian_recovering_nodes",
            &labels,
            float(count(Phase::Recovering)),
        );
        group.set(
            "nodeguardian_pending_nodes",
            &labels,
            float(rule.summary.pending),
        );
        group.set(
            "nodeguardian_unknown_nodes",
            &labels,
            float(rule.summary.unknown),
        );
        group.set("nodeguardian_held_back_nodes", &labels, float(held));
    }
    if let Some(counted) = plan.out_of_service {
        group.set(
            "nodeguardian_nodes_out_of_service",
            &[],
            float(counted.counted),
        );
        group.set(
            "nodeguardian_nodes_out_of_service_limit",
            &[],
            float(counted.limit),
        );
    }
    group
}

/// Unknown readings by metric and reason.
pub(crate) fn readings(wanted: &[Wanted], fetched: &Fetched) -> MetricGroup {
    let mut group = MetricGroup::new("controller-readings");
    let mut counts: BTreeMap<(&str, Unknown), usize> = BTreeMap::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (wanted, column) in wanted.iter().zip(&fetched.columns) {
        for node in 0..column.len() {
            match column.get(node) {
                Reading::Value { .. } => *known.entry(&wanted.metric).or_default() += 1,
                Reading::Unknown(reason) => {
                    *counts.entry((&wanted.metric, reason)).or_default() += 1;
                }
            }
        }
    }
    for (metric, count) in known {
        group.set(
            "nodeguardian_known_readings",
            &[("metric", metric)],
            float(count),
        );
    }
    for ((metric, reason), count) in counts {
        group.set(
            "nodeguardian_unknown_readings",
            &[("metric", metric), ("reason", reason.word())],
            float(count),
        );
    }
    group
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
