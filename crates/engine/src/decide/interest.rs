//! What has to be known of a node.

use std::collections::BTreeSet;

use crate::history::{History, MarkKey};
use crate::node::{
    CONTROL_PLANE_LABELS, IGNORE_ANNOTATION, Interest, MUTE_UNTIL_ANNOTATION, Reasons,
};
use crate::rule::{Action, Rule, Test};

/// What rules and history ask of nodes, so that readers keep that and nothing else.
pub fn interest<'a>(rules: impl IntoIterator<Item = &'a Rule>, history: &'a History) -> Interest {
    let mut keys = Keys {
        labels: CONTROL_PLANE_LABELS.into(),
        annotations: [IGNORE_ANNOTATION, MUTE_UNTIL_ANNOTATION].into(),
        conditions: ["Ready"].into(),
    };
    for rule in rules {
        keys.of_rule(rule);
    }
    let wanted = history
        .rules
        .values()
        .flat_map(|rule| rule.records.values())
        .flat_map(|record| &record.marks);
    let owned = history
        .ledgers
        .values()
        .flat_map(|ledger| &ledger.marks)
        .map(|owned| &owned.mark);
    let removed = history
        .ledgers
        .values()
        .flat_map(|ledger| &ledger.removed)
        .map(|removed| &removed.key);
    let present = wanted.chain(owned).map(|mark| &mark.key);
    for key in present.chain(removed) {
        keys.of_mark(key);
    }
    let list = |keys: BTreeSet<&str>| keys.into_iter().map(str::to_owned).collect();
    Interest {
        reasons: Reasons::Dropped,
        labels: list(keys.labels),
        annotations: list(keys.annotations),
        conditions: list(keys.conditions),
    }
}

struct Keys<'a> {
    labels: BTreeSet<&'a str>,
    annotations: BTreeSet<&'a str>,
    conditions: BTreeSet<&'a str>,
}

impl<'a> Keys<'a> {
    fn of_rule(&mut self, rule: &'a Rule) {
        self.labels.extend(
            rule.selector
                .labels
                .iter()
                .map(|requirement| requirement.key.as_str()),
        );
        for action in &rule.actions {
            match action {
                Action::Label(pairs) => self
                    .labels
                    .extend(pairs.iter().map(|(key, _)| key.as_str())),
                Action::Annotation(pairs) => self
                    .annotations
                    .extend(pairs.iter().map(|(key, _)| key.as_str())),
                Action::Taint(_)
                | Action::Cordon
                | Action::Evict(_)
                | Action::Drain(_)
                | Action::Alert(_) => {}
            }
        }
        let recovery = rule.recovery.iter().flat_map(|recovery| &recovery.all);
        for condition in rule.trigger.all.iter().chain(recovery) {
            match &condition.test {
                Test::Node { condition, .. } => {
                    self.conditions.insert(condition);
                }
                Test::Metric { .. } => {}
            }
        }
    }

    fn of_mark(&mut self, key: &'a MarkKey) {
        match key {
            MarkKey::Label { key } => {
                self.labels.insert(key);
            }
            MarkKey::Annotation { key } => {
                self.annotations.insert(key);
            }
            MarkKey::Taint { .. } | MarkKey::Cordon => {}
        }
    }
}
