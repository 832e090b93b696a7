//! Actions on recovery, in the present and the older spellings.

use crate::rule::RecoveryAction;
use crate::spec::RecoveryActionSpec;

use super::action::{MAX_ENTRIES, alert, block_or_default, taint_key};
use super::names::is_key;
use super::problem::Problems;
use super::selector::KEY;
use super::{Defaults, MAX_ACTIONS};

/// The actions in order, without disabled alerts and without those that have problems.
pub(super) fn check(
    specs: &[RecoveryActionSpec],
    defaults: &Defaults,
    problems: &mut Problems,
) -> Vec<RecoveryAction> {
    const PATH: &str = "spec.recoveryActions";
    if !problems.fits(PATH, specs, MAX_ACTIONS) {
        return Vec::new();
    }
    specs
        .iter()
        .enumerate()
        .filter_map(|(index, spec)| one(&format!("{PATH}[{index}]"), spec, defaults, problems))
        .collect()
}

fn one(
    path: &str,
    spec: &RecoveryActionSpec,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Option<RecoveryAction> {
    const KINDS: [&str; 5] = [
        "removeTaint",
        "removeLabel",
        "removeAnnotation",
        "uncordon",
        "alert",
    ];
    match spec.kind.as_str() {
        "removeTaint" | "untaint" => {
            let (name, key) = match (&spec.taint, &spec.untaint) {
                (None, old @ Some(_)) => ("untaint", old.as_ref()),
                (new, _) => ("taint", new.as_ref()),
            };
            let key = block_or_default(path, name, key, || blocks(spec), problems)?;
            let key = taint_key(&format!("{path}.{name}.key"), &key.key, defaults, problems);
            Some(RecoveryAction::RemoveTaint(key))
        }
        "removeLabel" => {
            let (name, keys) = match (&spec.label, &spec.remove_label) {
                (None, Some(old)) => ("removeLabel.labels", Some(&old.labels.0)),
                (new, _) => ("label.keys", new.as_ref().map(|new| &new.keys)),
            };
            keys_of(path, name, keys, problems).map(RecoveryAction::RemoveLabel)
        }
        "removeAnnotation" => {
            let (name, keys) = match (&spec.annotation, &spec.remove_annotation) {
                (None, Some(old)) => ("removeAnnotation.annotations", Some(&old.annotations.0)),
                (new, _) => ("annotation.keys", new.as_ref().map(|new| &new.keys)),
            };
            keys_of(path, name, keys, problems).map(RecoveryAction::RemoveAnnotation)
        }
        "uncordon" => Some(RecoveryAction::Uncordon),
        "alert" => alert(path, spec.alert.as_ref(), defaults, problems).map(RecoveryAction::Alert),
        other => {
            problems.not_one_of(format_args!("{path}.type"), other, &KINDS);
            None
        }
    }
}

/// The names of the blocks that an action has.
fn blocks(spec: &RecoveryActionSpec) -> Vec<&'static str> {
    [
        ("taint", spec.taint.is_some()),
        ("untaint", spec.untaint.is_some()),
        ("label", spec.label.is_some()),
        ("removeLabel", spec.remove_label.is_some()),
        ("annotation", spec.annotation.is_some()),
        ("removeAnnotation", spec.remove_annotation.is_some()),
        ("alert", spec.alert.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_there)| is_there.then_some(name))
    .collect()
}

fn keys_of(
    path: &str,
    name: &str,
    keys: Option<&Vec<String>>,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let path = format!("{path}.{name}");
    let keys = keys.map(Vec::as_slice).unwrap_or_default();
    if keys.is_empty() {
        problems.add(path, "expected at least one key, found none".to_owned());
        return None;
    }
    if !problems.fits(&path, keys, MAX_ENTRIES) {
        return None;
    }
    for (index, key) in keys.iter().enumerate() {
        problems.require(format_args!("{path}[{index}]"), key, is_key, KEY);
    }
    Some(keys.to_vec())
}
