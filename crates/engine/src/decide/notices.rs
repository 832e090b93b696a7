//! Alerts and the decisions that go with them.

use std::collections::BTreeMap;

use crate::bits::Bits;
use crate::history::{History, NodeRecord};
use crate::node::Nodes;
use crate::plan::{ActionNote, Alert, AlertKind, Happening, Plan};
use crate::reading::{Reading, Unknown};
use crate::rule::{Action, AlertAction, RecoveryAction, Rule, Severity, Test};
use crate::time::Time;

use super::{Act, Due, Turn, World, mutes};

/// Known metrics of one node by name.
pub(super) fn metrics_of(due: &Due<'_>, node: usize) -> BTreeMap<String, f64> {
    due.metrics
        .iter()
        .filter_map(|(name, column)| match column.get(node) {
            Reading::Value { value, .. } => Some((name.clone(), value)),
            Reading::Unknown(_) => None,
        })
        .collect()
}

/// The first node that cannot be decided, with the first test that is unknown there and the reason; tests of the
/// trigger come before those of recovery.
pub(super) fn example(
    due: &Due<'_>,
    unknown: &Bits,
    nodes: &Nodes,
) -> Option<(String, String, Unknown)> {
    let node = unknown.iter().next()?;
    let trigger = due.rule.trigger.all.iter().zip(&due.trigger);
    let recovery = due.rule.recovery.iter().flat_map(|recovery| &recovery.all);
    trigger
        .chain(recovery.zip(&due.recovery))
        .find_map(|(condition, column)| {
            let (what, reason) = match &condition.test {
                Test::Metric { metric, .. } => match column.map(|column| column.get(node)) {
                    Some(Reading::Value { .. }) => return None,
                    Some(Reading::Unknown(reason)) => (metric.clone(), reason),
                    None => (metric.clone(), Unknown::NoSource),
                },
                Test::Node { condition, .. } => match nodes.condition(node, condition) {
                    Some(_) => return None,
                    None => (condition.clone(), Unknown::NoCondition),
                },
            };
            Some((nodes.name(node).to_owned(), what, reason))
        })
}

/// Writes the alerts of every act, and the decisions of triggers and repeats.
pub(super) fn write(
    history: &mut History,
    due: &[&Due<'_>],
    world: &World<'_>,
    turn: Turn,
    plan: &mut Plan,
) {
    debug_assert!(
        history.rules.len() >= due.len(),
        "every evaluated rule is remembered"
    );
    let by_name: BTreeMap<&str, &Due<'_>> = due
        .iter()
        .map(|due| (due.rule.name.as_str(), *due))
        .collect();
    for act in turn.acts {
        let due = by_name.get(act.rule.as_str()).copied();
        let event = match act.kind {
            AlertKind::Trigger => Some(Happening::Triggered),
            AlertKind::Repeat => Some(Happening::Repeated),
            AlertKind::Recovery => None,
        };
        if let Some(event) = event {
            let mut decision = world.decision(&act.rule, act.node, event, act.inputs.clone());
            decision.guard.clone_from(&act.record.guard);
            plan.decisions.push(decision);
        }
        let mut alert = alert(due, &act, world);
        alert.muted = mutes::of_act(history, due, &act, world, plan);
        plan.alerts.extend(
            addressees(due, &act)
                .into_iter()
                .map(|action| alert.clone().addressed(&action)),
        );
    }
}

/// What is told at the end of a node that has left the cluster: the alerts of the recovery actions, or receivers would
/// wait for its recovery for ever.
pub(super) fn farewells(rule: &Rule, node: &str, record: &NodeRecord, now: Time) -> Vec<Alert> {
    let alert = Alert {
        kind: AlertKind::Recovery,
        at: now,
        rule: rule.name.clone(),
        rule_description: rule.description.clone(),
        severity: rule.severity,
        node: node.to_owned(),
        template: String::new(),
        channels: Vec::new(),
        since: record.triggered_at,
        repeats: record.repeats,
        guard: None,
        dry_run: record.dry_run,
        metrics: BTreeMap::new(),
        conditions: Vec::new(),
        actions: vec![ActionNote {
            kind: "gone".to_owned(),
            description: "the node has left the cluster".to_owned(),
        }],
        muted: record.muted,
        notice: None,
    };
    let actions = rule
        .recovery_actions
        .iter()
        .filter_map(|action| match action {
            RecoveryAction::Alert(action) => Some(action),
            RecoveryAction::RemoveTaint(_)
            | RecoveryAction::RemoveLabel(_)
            | RecoveryAction::RemoveAnnotation(_)
            | RecoveryAction::Uncordon => None,
        });
    actions
        .map(|action| alert.clone().addressed(action))
        .collect()
}

/// The alert actions of the act's rule.
fn addressees(due: Option<&Due<'_>>, act: &Act) -> Vec<AlertAction> {
    match (&act.actions, due) {
        (Some(actions), _) => actions
            .iter()
            .filter_map(|action| match action {
                RecoveryAction::Alert(alert) => Some(alert.clone()),
                RecoveryAction::RemoveTaint(_)
                | RecoveryAction::RemoveLabel(_)
                | RecoveryAction::RemoveAnnotation(_)
                | RecoveryAction::Uncordon => None,
            })
            .collect(),
        (None, Some(due)) => due
            .rule
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Alert(alert) => Some(alert.clone()),
                Action::Taint(_)
                | Action::Label(_)
                | Action::Annotation(_)
                | Action::Cordon
                | Action::Evict(_)
                | Action::Drain(_) => None,
            })
            .collect(),
        (None, None) => Vec::new(),
    }
}

fn alert(due: Option<&Due<'_>>, act: &Act, world: &World<'_>) -> Alert {
    let (description, severity) = match (due, &act.told) {
        (Some(due), _) => (due.rule.description.clone(), due.rule.severity),
        (None, Some(told)) => (told.description.clone(), told.severity),
        (None, None) => (String::new(), Severity::Warning),
    };
    Alert {
        kind: act.kind,
        at: world.inputs.now,
        rule: act.rule.clone(),
        rule_description: description,
        severity,
        node: world.inputs.nodes.name(act.node).to_owned(),
        template: String::new(),
        channels: Vec::new(),
        since: act.record.triggered_at,
        repeats: act.record.repeats,
        guard: act.record.guard.clone(),
        dry_run: act.record.dry_run,
        metrics: due.map(|due| metrics_of(due, act.node)).unwrap_or_default(),
        conditions: act.inputs.clone(),
        actions: match &act.actions {
            Some(actions) => actions.iter().map(recovery_note).collect(),
            None => due
                .map(|due| action_notes(due.rule, act))
                .unwrap_or_default(),
        },
        muted: None,
        notice: None,
    }
}

fn action_notes(rule: &Rule, act: &Act) -> Vec<ActionNote> {
    let held = act.record.guard.as_ref();
    rule.actions
        .iter()
        .map(|action| {
            let what = describe(action);
            let stopped = held.filter(|guard| action.is_disruptive() || guard.stops_everything());
            let description = match stopped {
                Some(guard) if !matches!(action, Action::Alert(_)) => {
                    format!("{what} (held back: {guard})")
                }
                _ => what,
            };
            ActionNote {
                kind: action.kind().to_owned(),
                description,
            }
        })
        .collect()
}

fn describe(action: &Action) -> String {
    match action {
        Action::Taint(taint) if taint.value.is_empty() => {
            format!("taint {}:{}", taint.key, taint.effect.word())
        }
        Action::Taint(taint) => format!(
            "taint {}={}:{}",
            taint.key,
            taint.value,
            taint.effect.word()
        ),
        Action::Label(pairs) => format!("label {}", keys(pairs)),
        Action::Annotation(pairs) => format!("annotate {}", keys(pairs)),
        Action::Cordon => "cordon the node".to_owned(),
        Action::Evict(evict) => format!("evict up to {} pods", evict.max_pods),
        Action::Drain(_) => "drain the node".to_owned(),
        Action::Alert(alert) => format!("alert by {}", alert.channels.join(", ")),
    }
}

fn recovery_note(action: &RecoveryAction) -> ActionNote {
    let description = match action {
        RecoveryAction::RemoveTaint(key) => format!("remove taint {key}"),
        RecoveryAction::RemoveLabel(keys) => format!("remove label {}", keys.join(", ")),
        RecoveryAction::RemoveAnnotation(keys) => format!("remove annotation {}", keys.join(", ")),
        RecoveryAction::Uncordon => "uncordon the node".to_owned(),
        RecoveryAction::Alert(alert) => format!("alert by {}", alert.channels.join(", ")),
    };
    ActionNote {
        kind: action.kind().to_owned(),
        description,
    }
}

fn keys(pairs: &[(String, String)]) -> String {
    pairs
        .iter()
        .map(|(key, _)| key.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
