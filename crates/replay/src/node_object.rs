//! A node's object with marks put on it and taken off, and what stands on it in words.

use ng_engine::history::{Mark, MarkKey, Owned};
use serde_json::{Value, json};

/// Puts a mark on a node.
pub(crate) fn set(object: &mut Value, mark: &Mark) {
    match &mark.key {
        MarkKey::Taint { key, effect } => {
            let mut taints = taints(object);
            taints.retain(|taint| taint["key"] != **key || taint["effect"] != effect.word());
            taints.push(json!({"key": key, "value": mark.value, "effect": effect.word()}));
            set_taints(object, taints);
        }
        MarkKey::Label { key } => object["metadata"]["labels"][key] = mark.value.as_str().into(),
        MarkKey::Annotation { key } => {
            object["metadata"]["annotations"][key] = mark.value.as_str().into();
        }
        MarkKey::Cordon => object["spec"]["unschedulable"] = true.into(),
    }
}

/// Takes a mark away only where it stands as it was set; what it replaced comes back.
pub(crate) fn unset(object: &mut Value, owned: &Owned) {
    let value = owned.mark.value.as_str();
    let previous = owned.previous.as_deref();
    match &owned.mark.key {
        MarkKey::Taint { key, effect } => {
            let ours = |taint: &Value| {
                taint["key"] == **key
                    && taint["effect"] == effect.word()
                    && taint["value"].as_str().unwrap_or_default() == value
            };
            let mut taints = taints(object);
            match previous {
                Some(previous) => taints
                    .iter_mut()
                    .filter(|taint| ours(taint))
                    .for_each(|taint| taint["value"] = previous.into()),
                None => taints.retain(|taint| !ours(taint)),
            }
            set_taints(object, taints);
        }
        MarkKey::Label { key } => {
            unset_pair(&mut object["metadata"]["labels"], key, value, previous);
        }
        MarkKey::Annotation { key } => {
            unset_pair(&mut object["metadata"]["annotations"], key, value, previous);
        }
        MarkKey::Cordon => remove(&mut object["spec"], "unschedulable"),
    }
}

fn unset_pair(map: &mut Value, key: &str, value: &str, previous: Option<&str>) {
    if map[key] == value {
        match previous {
            Some(previous) => map[key] = previous.into(),
            None => remove(map, key),
        }
    }
}

/// The taints of a node.
pub(crate) fn taints(object: &Value) -> Vec<Value> {
    object["spec"]["taints"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// A taint as kubectl shows it.
pub(crate) fn taint_text(taint: &Value) -> String {
    let text = |key: &str| taint[key].as_str().unwrap_or_default();
    let value = text("value");
    let equals = if value.is_empty() { "" } else { "=" };
    format!("{}{equals}{value}:{}", text("key"), text("effect"))
}

/// What differs between two states of a node, in words.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<String> {
    let (old, new) = (marks(before), marks(after));
    let gone = old.iter().filter(|mark| !new.contains(mark));
    let come = new.iter().filter(|mark| !old.contains(mark));
    gone.map(|mark| format!("- {mark}"))
        .chain(come.map(|mark| format!("+ {mark}")))
        .collect()
}

/// The marks on a node, in words.
pub(crate) fn marks(object: &Value) -> Vec<String> {
    let mut marks: Vec<String> = taints(object)
        .iter()
        .map(|taint| format!("taint {}", taint_text(taint)))
        .collect();
    for (word, map) in [
        ("label", &object["metadata"]["labels"]),
        ("annotation", &object["metadata"]["annotations"]),
    ] {
        for (key, value) in map.as_object().into_iter().flatten() {
            marks.push(format!(
                "{word} {key}={}",
                value.as_str().unwrap_or_default()
            ));
        }
    }
    if object["spec"]["unschedulable"] == true {
        marks.push("cordon".to_owned());
    }
    marks
}

/// Replaces the taints of a node. An empty list is none at all: the field goes.
pub(crate) fn set_taints(object: &mut Value, taints: Vec<Value>) {
    if taints.is_empty() {
        remove(&mut object["spec"], "taints");
    } else {
        object["spec"]["taints"] = taints.into();
    }
}

/// Removes a field, if there is one.
pub(crate) fn remove(object: &mut Value, key: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(key);
    }
}
