//! Plans as documents for shell-operator.
//!
//! A change of taints or of the cordon, and every removal, is a jq filter: shell-operator reads the node, filters it
//! and writes it back with the version it read, again after a conflict. The filter itself looks at the node once more:
//! a node that was replaced, or that someone asked to be left alone in the meantime, stays as it is. Labels and
//! annotations that are only set need none of this and go as a merge patch.

use ng_engine::history::{Mark, MarkKey, Owned};
use ng_engine::node::IGNORE_ANNOTATION;
use ng_engine::plan::NodeChange;
use ng_engine::spec::{API_VERSION, RULE_KIND, RuleStatus};
use ng_hook::{PatchOperation, Target};
use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};
use serde_json::{Map, Value, json};

/// One write for all marks of one node. What is taken away is looked at once more where it stands, which only a filter
/// can do; labels and annotations that are only set touch the named keys and no others in a merge patch.
pub(crate) fn node(change: &NodeChange) -> anyhow::Result<PatchOperation> {
    let is_map =
        |mark: &Mark| matches!(mark.key, MarkKey::Label { .. } | MarkKey::Annotation { .. });
    let simple = change.unset.is_empty() && change.set.iter().all(is_map);
    let target = Target::node(&change.node);
    Ok(if simple {
        PatchOperation::merge(target, &merge(change))?
    } else {
        PatchOperation::jq(target, filter(change))?
    })
}

/// Labels and annotations are maps: a merge patch touches the named keys and no others.
fn merge(change: &NodeChange) -> Value {
    let (mut labels, mut annotations) = (Map::new(), Map::new());
    let mut put = |key: &MarkKey, value: Value| match key {
        MarkKey::Label { key } => {
            labels.insert(key.clone(), value);
        }
        MarkKey::Annotation { key } => {
            annotations.insert(key.clone(), value);
        }
        MarkKey::Taint { .. } | MarkKey::Cordon => {}
    };
    for mark in &change.set {
        put(&mark.key, Value::String(mark.value.clone()));
    }
    let mut metadata = Map::new();
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(labels));
    }
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), Value::Object(annotations));
    }
    json!({ "metadata": metadata })
}

/// The jq filter for changes that a merge patch cannot make without overwriting other writers' taints.
fn filter(change: &NodeChange) -> String {
    let mut guards = Vec::new();
    if !change.uid.is_empty() {
        guards.push(format!(".metadata.uid == {}", quoted(&change.uid)));
    }
    if change.is_disruptive() {
        guards.push(format!(
            "(.metadata.annotations // {{}})[{}] != \"true\"",
            quoted(IGNORE_ANNOTATION)
        ));
    }
    let steps: Vec<String> = change
        .unset
        .iter()
        .map(unset)
        .chain(change.set.iter().map(set))
        .collect();
    let steps = steps.join(" | ");
    if guards.is_empty() {
        steps
    } else {
        format!("if {} then {steps} else . end", guards.join(" and "))
    }
}

fn set(mark: &Mark) -> String {
    let value = quoted(&mark.value);
    match &mark.key {
        MarkKey::Taint { key, effect } => {
            let (key, effect) = (quoted(key), quoted(effect.word()));
            format!(
                ".spec.taints = ([(.spec.taints // [])[] | select((.key == {key} and .effect == {effect}) | not)] \
                 + [{{\"key\": {key}, \"value\": {value}, \"effect\": {effect}}}])"
            )
        }
        MarkKey::Label { key } => format!(".metadata.labels[{}] = {value}", quoted(key)),
        MarkKey::Annotation { key } => format!(".metadata.annotations[{}] = {value}", quoted(key)),
        MarkKey::Cordon => ".spec.unschedulable = true".to_owned(),
    }
}

/// Takes a mark away only where it still stands as we set it; what it replaced comes back.
fn unset(owned: &Owned) -> String {
    let value = quoted(&owned.mark.value);
    match &owned.mark.key {
        MarkKey::Taint { key, effect } => {
            let ours = format!(
                ".key == {} and .effect == {} and (.value // \"\") == {value}",
                quoted(key),
                quoted(effect.word())
            );
            match &owned.previous {
                Some(previous) => format!(
                    "(if .spec.taints then .spec.taints |= map(if {ours} then .value = {} else . end) else . end)",
                    quoted(previous)
                ),
                None => format!(
                    "(if .spec.taints then .spec.taints |= map(select(({ours}) | not)) else . end)"
                ),
            }
        }
        MarkKey::Label { key } => {
            unset_pair(".metadata.labels", key, &value, owned.previous.as_deref())
        }
        MarkKey::Annotation { key } => unset_pair(
            ".metadata.annotations",
            key,
            &value,
            owned.previous.as_deref(),
        ),
        MarkKey::Cordon => "del(.spec.unschedulable)".to_owned(),
    }
}

fn unset_pair(map: &str, key: &str, value: &str, previous: Option<&str>) -> String {
    let key = quoted(key);
    let then = match previous {
        Some(previous) => format!("{map}[{key}] = {}", quoted(previous)),
        None => format!("del({map}[{key}])"),
    };
    format!("(if ({map} // {{}})[{key}] == {value} then {then} else . end)")
}

/// A jq string; JSON's escapes mean the same there, and a backslash before a bracket is itself escaped.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The write of a rule's status.
pub(crate) fn status(rule: &str, status: &RuleStatus) -> anyhow::Result<PatchOperation> {
    let target = Target::cluster(API_VERSION, RULE_KIND, rule).subresource("status");
    let status = Whole(status);
    Ok(PatchOperation::merge(target, &WholeStatus { status })?)
}

#[derive(Serialize)]
struct WholeStatus<'a> {
    status: Whole<'a>,
}

/// A status whose absent fields are `null`, so that a merge patch removes them.
struct Whole<'a>(&'a RuleStatus);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let RuleStatus {
            phase,
            triggered_nodes,
            last_triggered,
            last_recovery,
            last_error,
            conditions,
            observed_generation,
            nodes,
        } = self.0;
        let mut fields = serializer.serialize_struct("status", 8)?;
        fields.serialize_field("phase", phase)?;
        fields.serialize_field("triggeredNodes", triggered_nodes)?;
        fields.serialize_field(
            "lastTriggered",
            &last_triggered.map(|time| time.to_string()),
        )?;
        fields.serialize_field("lastRecovery", &last_recovery.map(|time| time.to_string()))?;
        fields.serialize_field("lastError", last_error)?;
        fields.serialize_field("conditions", conditions)?;
        fields.serialize_field("observedGeneration", observed_generation)?;
        fields.serialize_field("nodes", nodes)?;
        fields.end()
    }
}
