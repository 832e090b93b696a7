//! Totals that go on over runs.

use std::collections::BTreeMap;

use ng_engine::history::MarkKey;
use ng_engine::plan::{Happening, Plan};
use ng_state::{Store, Transaction};

use crate::evictions;

/// Counts what was decided. The counters of deleted rules end.
pub(crate) fn decided(
    transaction: &mut Transaction<'_>,
    plan: &Plan,
    gone: &[String],
) -> anyhow::Result<()> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for decision in &plan.decisions {
        let word = match decision.event {
            Happening::Triggered => "triggered",
            Happening::Repeated => "repeated",
            Happening::Held => "held",
            Happening::Recovered => "recovered",
            Happening::Released => "released",
            Happening::Admitted | Happening::Recovering | Happening::Relapsed | Happening::Gone => {
                continue;
            }
        };
        *counts.entry((&decision.rule, word)).or_default() += 1;
    }
    for ((rule, event), count) in counts {
        transaction.count(
            "nodeguardian_transitions_total",
            &[("rule", rule), ("event", event)],
            count,
        )?;
    }
    let mut actions: BTreeMap<&str, u64> = BTreeMap::new();
    for change in &plan.changes {
        for mark in &change.set {
            *actions.entry(set_word(&mark.key)).or_default() += 1;
        }
        for owned in &change.unset {
            *actions.entry(unset_word(&owned.mark.key)).or_default() += 1;
        }
    }
    for (action, count) in actions {
        transaction.count(
            "nodeguardian_actions_total",
            &[("action", action), ("result", "written")],
            count,
        )?;
    }
    let mut alerts: BTreeMap<&str, u64> = BTreeMap::new();
    for alert in &plan.alerts {
        *alerts.entry(alert.rule.as_str()).or_default() += 1;
    }
    for (rule, count) in alerts {
        transaction.count("nodeguardian_alerts_queued_total", &[("rule", rule)], count)?;
    }
    for name in gone {
        transaction.forget_counters("rule", name)?;
    }
    Ok(())
}

/// Counts what the passes did and which jobs are still open.
pub(crate) fn evicted(store: &mut Store, passes: &evictions::Passes) -> anyhow::Result<()> {
    let mut transaction = store.begin()?;
    let mut history = transaction.load(&[])?;
    for remembered in history.rules.values_mut() {
        remembered.count();
    }
    transaction.save(&history)?;
    for (result, count) in &passes.results {
        transaction.count(
            "nodeguardian_actions_total",
            &[("action", "evictPod"), ("result", result)],
            *count,
        )?;
    }
    Ok(transaction.commit()?)
}

fn set_word(key: &MarkKey) -> &'static str {
    match key {
        MarkKey::Taint { .. } => "taint",
        MarkKey::Label { .. } => "label",
        MarkKey::Annotation { .. } => "annotation",
        MarkKey::Cordon => "cordon",
    }
}

fn unset_word(key: &MarkKey) -> &'static str {
    match key {
        MarkKey::Taint { .. } => "removeTaint",
        MarkKey::Label { .. } => "removeLabel",
        MarkKey::Annotation { .. } => "removeAnnotation",
        MarkKey::Cordon => "uncordon",
    }
}
