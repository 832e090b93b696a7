//! The examples that ship with the project are good ones.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;

use ng_engine::rule::{Action, RecoveryAction, Rule};
use ng_engine::spec::{RULE_KIND, RuleObject, TEMPLATE_KIND, TemplateObject};
use ng_engine::validate::{Defaults, validate};
use serde::Deserialize;
use serde_json::Value;

/// Every document in the folder of examples, with its file's name.
fn documents() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/examples");
    let mut documents = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let yaml = std::fs::read_to_string(&path).unwrap();
        for document in serde_yaml::Deserializer::from_str(&yaml) {
            documents.push((file.clone(), Value::deserialize(document).unwrap()));
        }
    }
    documents
}

/// Metrics that every configuration has beyond the built-in ones.
const READY_METRICS: [&str; 5] = [
    "inodeUtilizationPercent",
    "memoryPressurePercent",
    "ioPressurePercent",
    "readyChanges",
    "notReadyPercent",
];

fn rules() -> Vec<Rule> {
    let mut defaults = Defaults::default();
    let ready = READY_METRICS.map(str::to_owned);
    defaults.known_metrics.extend(ready);
    documents()
        .into_iter()
        .filter(|(_, document)| document["kind"] == RULE_KIND)
        .map(|(file, document)| {
            let object = RuleObject::from_json(&document.to_string()).unwrap();
            assert_eq!(file, format!("{}.yaml", object.metadata.name));
            validate(&object, &defaults).unwrap_or_else(|problems| panic!("{file}: {problems:#?}"))
        })
        .collect()
}

fn templates() -> Vec<TemplateObject> {
    documents()
        .into_iter()
        .filter(|(_, document)| document["kind"] == TEMPLATE_KIND)
        .map(|(_, document)| TemplateObject::from_json(&document.to_string()).unwrap())
        .collect()
}

#[test]
fn every_rule_is_valid_and_undoes_what_it_does() {
    let rules = rules();
    assert_eq!(rules.len(), 10);
    for rule in rules {
        let name = &rule.name;
        assert!(rule.recovery.is_some(), "{name}");
        for action in &rule.actions {
            let is_undone =
                |undo: &dyn Fn(&RecoveryAction) -> bool| rule.recovery_actions.iter().any(undo);
            let undone = match action {
                Action::Taint(taint) => is_undone(
                    &|undo| matches!(undo, RecoveryAction::RemoveTaint(key) if *key == taint.key),
                ),
                Action::Label(labels) => is_undone(&|undo| {
                    matches!(undo, RecoveryAction::RemoveLabel(keys)
                        if labels.iter().all(|(key, _)| keys.contains(key)))
                }),
                Action::Annotation(annotations) => is_undone(&|undo| {
                    matches!(undo, RecoveryAction::RemoveAnnotation(keys)
                        if annotations.iter().all(|(key, _)| keys.contains(key)))
                }),
                Action::Cordon | Action::Drain(_) => {
                    is_undone(&|undo| matches!(undo, RecoveryAction::Uncordon))
                }
                Action::Evict(_) | Action::Alert(_) => true,
            };
            assert!(undone, "{name}: {action:?} is not undone");
        }
    }
}

#[test]
fn every_template_is_used_and_every_used_one_is_there() {
    let mut used = BTreeSet::new();
    for rule in rules() {
        for action in rule.actions {
            if let Action::Alert(alert) = action {
                used.insert(alert.template);
            }
        }
        for action in rule.recovery_actions {
            if let RecoveryAction::Alert(alert) = action {
                used.insert(alert.template);
            }
        }
    }
    let there: BTreeSet<String> = templates()
        .into_iter()
        .map(|template| {
            assert!(!template.spec.subject.is_empty() && !template.spec.body.is_empty());
            template.metadata.name
        })
        .collect();
    assert_eq!(used, there);
}
