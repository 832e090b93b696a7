//! Marks on nodes: set by one rule and never removed, removed and never set, or set by two rules to different values.

use std::collections::{BTreeMap, BTreeSet};

use ng_engine::rule::{RecoveryAction, Rule};
use ng_engine::spec::{ActionSpec, RuleObject};
use ng_engine::validate::Defaults;

use crate::selectors::may_overlap;
use crate::{Check, CheckedRule, Finding, Level, Notes};

/// Something that a rule sets on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// By key and effect: taints of one key and two effects stand beside each other.
    Taint(String, String),
    Label(String),
    Annotation(String),
    Cordon,
}

impl Mark {
    /// What removes it.
    fn removal(&self) -> Removal {
        match self {
            Mark::Taint(key, _) => Removal::Taint(key.clone()),
            Mark::Label(key) => Removal::Label(key.clone()),
            Mark::Annotation(key) => Removal::Annotation(key.clone()),
            Mark::Cordon => Removal::Uncordon,
        }
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Mark::Taint(key, effect) => write!(out, "the taint {key}:{effect}"),
            Mark::Label(key) => write!(out, "the label {key}"),
            Mark::Annotation(key) => write!(out, "the annotation {key}"),
            Mark::Cordon => out.write_str("the cordon"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Removal {
    Taint(String),
    Label(String),
    Annotation(String),
    Uncordon,
}

impl Removal {
    fn fix(&self) -> String {
        match self {
            Removal::Taint(key) => format!("add a recovery action removeTaint for {key}"),
            Removal::Label(key) => format!("add a recovery action removeLabel for {key}"),
            Removal::Annotation(key) => format!("add a recovery action removeAnnotation for {key}"),
            Removal::Uncordon => "add a recovery action uncordon".to_owned(),
        }
    }
}

impl std::fmt::Display for Removal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Removal::Taint(key) => write!(out, "the taint {key}"),
            Removal::Label(key) => write!(out, "the label {key}"),
            Removal::Annotation(key) => write!(out, "the annotation {key}"),
            Removal::Uncordon => out.write_str("a cordon"),
        }
    }
}

/// A mark with its value, and where the rule says so.
struct Placed {
    path: String,
    mark: Mark,
    value: String,
}

/// The marks of a valid rule.
fn placed(object: &RuleObject, defaults: &Defaults) -> Vec<Placed> {
    let actions = object.spec.actions.iter().enumerate();
    actions
        .flat_map(|(index, action)| of_action(&format!("spec.actions[{index}]"), action, defaults))
        .collect()
}

fn of_action(path: &str, action: &ActionSpec, defaults: &Defaults) -> Vec<Placed> {
    let or = |text: &str, default: &str| {
        if text.is_empty() {
            default.to_owned()
        } else {
            text.to_owned()
        }
    };
    let one = |at: String, mark: Mark, value: &str| Placed {
        path: at,
        mark,
        value: value.to_owned(),
    };
    match action.kind.as_str() {
        "taint" => {
            let taint = action.taint.clone().unwrap_or_default();
            let key = or(&taint.key, &defaults.taint_key);
            let effect = or(&taint.effect, defaults.taint_effect.word());
            let value = taint.value.as_deref().unwrap_or("true");
            vec![one(
                format!("{path}.taint"),
                Mark::Taint(key, effect),
                value,
            )]
        }
        "label" => {
            let labels = action.label.iter().flat_map(|block| &block.labels);
            labels
                .map(|(key, value)| {
                    one(
                        format!("{path}.label.labels[{key:?}]"),
                        Mark::Label(key.clone()),
                        value,
                    )
                })
                .collect()
        }
        "annotation" => {
            let annotations = action
                .annotation
                .iter()
                .flat_map(|block| &block.annotations);
            annotations
                .map(|(key, value)| {
                    one(
                        format!("{path}.annotation.annotations[{key:?}]"),
                        Mark::Annotation(key.clone()),
                        value,
                    )
                })
                .collect()
        }
        "cordon" | "drain" => vec![one(path.to_owned(), Mark::Cordon, "")],
        _ => Vec::new(),
    }
}

/// What one recovery action removes.
fn removed_by(action: &RecoveryAction) -> Vec<Removal> {
    match action {
        RecoveryAction::RemoveTaint(key) => vec![Removal::Taint(key.clone())],
        RecoveryAction::RemoveLabel(keys) => keys.iter().cloned().map(Removal::Label).collect(),
        RecoveryAction::RemoveAnnotation(keys) => {
            keys.iter().cloned().map(Removal::Annotation).collect()
        }
        RecoveryAction::Uncordon => vec![Removal::Uncordon],
        RecoveryAction::Alert(_) => Vec::new(),
    }
}

/// Checks the marks of one valid rule.
pub(crate) fn check(object: &RuleObject, rule: &Rule, defaults: &Defaults, notes: &mut Notes<'_>) {
    let marks = placed(object, defaults);
    let removals: BTreeSet<Removal> = rule.recovery_actions.iter().flat_map(removed_by).collect();
    let mut seen = BTreeMap::new();
    for Placed { path, mark, value } in &marks {
        if let Some(before) = seen.insert(mark, value).filter(|_| *mark != Mark::Cordon) {
            let found = format!("{mark} is set twice, to {before:?} and to {value:?}");
            notes.add(
                (Level::Warning, Check::Duplicate),
                path.clone(),
                found,
                "remove one of them",
            );
        } else if !removals.contains(&mark.removal()) {
            let found = format!(
                "{mark} stays on the node after recovery, as no recovery action removes it"
            );
            notes.add(
                (Level::Warning, Check::MarkStays),
                path.clone(),
                found,
                mark.removal().fix(),
            );
        }
        if let Mark::Taint(key, effect) = mark
            && effect == "NoExecute"
        {
            let found =
                format!("pods of DaemonSets leave the node, too, unless they tolerate {key}");
            let fix = "use NoSchedule, or let the DaemonSets tolerate the key";
            notes.add(
                (Level::Warning, Check::DaemonSets),
                format!("{path}.effect"),
                found,
                fix,
            );
        }
    }
    let set: BTreeSet<Removal> = marks.iter().map(|placed| placed.mark.removal()).collect();
    for removal in removals.difference(&set) {
        let found = format!(
            "{removal} is removed on recovery, but the rule does not set it, and what it did not set stays"
        );
        let fix = "correct the key, or remove the recovery action";
        notes.add(
            (Level::Warning, Check::NothingToRemove),
            "spec.recoveryActions",
            found,
            fix,
        );
    }
}

/// Rules that want different values of one mark on nodes that both can select.
pub(crate) fn conflicts(
    rules: &[CheckedRule<'_>],
    defaults: &Defaults,
    findings: &mut Vec<Finding>,
) {
    let mut by_mark: BTreeMap<Mark, Vec<(&CheckedRule<'_>, Placed)>> = BTreeMap::new();
    for checked in rules.iter().filter(|checked| checked.rule.enabled) {
        for placed in placed(checked.object, defaults) {
            by_mark
                .entry(placed.mark.clone())
                .or_default()
                .push((checked, placed));
        }
    }
    for (mark, wanted) in &by_mark {
        for (index, (checked, placed)) in wanted.iter().enumerate() {
            let rival = wanted[..index].iter().find(|(other, theirs)| {
                other.rule.name != checked.rule.name
                    && theirs.value != placed.value
                    && may_overlap(&other.rule.selector, &checked.rule.selector)
            });
            if let Some((other, theirs)) = rival {
                conflict(mark, (checked, placed), (other, theirs), findings);
            }
        }
    }
}

fn conflict(
    mark: &Mark,
    (checked, placed): (&CheckedRule<'_>, &Placed),
    (other, theirs): (&CheckedRule<'_>, &Placed),
    findings: &mut Vec<Finding>,
) {
    let (name, rival) = (&checked.rule.name, &other.rule.name);
    let (level, winner) = match checked.rule.priority.cmp(&other.rule.priority) {
        std::cmp::Ordering::Less => (Level::Warning, format!("{name} wins by its priority")),
        std::cmp::Ordering::Greater => (Level::Warning, format!("{rival} wins by its priority")),
        std::cmp::Ordering::Equal => (Level::Error, "both have the same priority".to_owned()),
    };
    let found = format!(
        "{mark} is set to {:?} here and to {:?} by {rival} ({}), on nodes that both select; {winner}",
        placed.value, theirs.value, other.source
    );
    let fix = match level {
        Level::Error => {
            "use another key or effect, give the rules different priorities, or let them select different nodes"
        }
        Level::Warning => "use another key or effect, or let the rules select different nodes",
    };
    let mut notes = Notes {
        source: checked.source,
        kind: ng_engine::spec::RULE_KIND,
        name,
        findings,
    };
    notes.add(
        (level, Check::MarkConflict),
        placed.path.clone(),
        found,
        fix,
    );
}
