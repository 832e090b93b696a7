//! Objects of manifests by kind and name, in a form that can be compared.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// What Helm says about itself on every object.
const HELMS_OWN: [&str; 4] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];

/// Objects by `kind namespace/name`.
pub(crate) type Objects = BTreeMap<String, Value>;

/// A text in JSON; empty if it is none.
pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a list in JSON; nothing if it is none.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// These objects by kind and name; two of one name are an error.
pub(crate) fn by_name(objects: Vec<Value>) -> Result<Objects> {
    let mut named = Objects::new();
    for object in objects {
        let meta = &object["metadata"];
        let name = format!(
            "{} {}/{}",
            word(&object["kind"]),
            word(&meta["namespace"]),
            word(&meta["name"])
        );
        ensure!(named.insert(name.clone(), object).is_none(), "{name} twice");
    }
    Ok(named)
}

/// The one object of a kind.
pub(crate) fn one<'a>(objects: &'a Objects, kind: &str) -> Result<&'a Value> {
    let mut found = objects.values().filter(|object| object["kind"] == kind);
    let first = found.next().with_context(|| format!("no {kind}"))?;
    ensure!(found.next().is_none(), "more than one {kind}");
    Ok(first)
}

/// How many objects of a kind there are.
pub(crate) fn count(objects: &Objects, kind: &str) -> usize {
    objects
        .values()
        .filter(|object| object["kind"] == kind)
        .count()
}

/// The spec of the Deployment's pod.
pub(crate) fn pod(objects: &Objects) -> Result<&Value> {
    Ok(&one(objects, "Deployment")?["spec"]["template"]["spec"])
}

/// `config.json` of the `ConfigMap`.
pub(crate) fn configuration_text(objects: &Objects) -> Result<&str> {
    let map = objects
        .get("ConfigMap nodeguardian-system/nodeguardian-config")
        .context("no configuration")?;
    Ok(word(&map["data"]["config.json"]))
}

/// The same as the hooks take it.
pub(crate) fn configuration(objects: &Objects) -> Result<ng_config::Config> {
    let text = configuration_text(objects)?;
    let resolved = ng_config::resolve(&ng_config::Inputs {
        file: Some(ng_config::File {
            name: "config.json",
            text,
            format: ng_config::Format::Json,
        }),
        ..ng_config::Inputs::default()
    });
    ensure!(resolved.errors.is_empty(), "{:?}", resolved.errors);
    ensure!(resolved.warnings.is_empty(), "{:?}", resolved.warnings);
    Ok(resolved.config)
}

/// The same object without what Helm says about itself, and without what means nothing: how texts in it are laid out,
/// and the order of volumes.
pub(crate) fn plain(mut object: Value) -> Value {
    for part in ["labels", "annotations"] {
        if let Some(fields) = object["metadata"][part].as_object_mut() {
            fields.retain(|name, _| {
                !HELMS_OWN.contains(&name.as_str()) && name != "helm.sh/resource-policy"
            });
        }
    }
    if let Some(data) = object["data"].as_object_mut() {
        for text in data.values_mut() {
            if let Ok(document) = serde_json::from_str::<Value>(word(text)) {
                *text = document;
            }
        }
    }
    let volumes = object.pointer_mut("/spec/template/spec/volumes");
    if let Some(volumes) = volumes.and_then(Value::as_array_mut) {
        volumes.sort_by_key(|volume| word(&volume["name"]).to_owned());
    }
    if object["kind"] == "PrometheusRule" {
        one_space(&mut object);
    }
    object
}

/// Layout of `PromQL` and of sentences means nothing, and each tool has its own for folded lines.
fn one_space(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.split_whitespace().collect::<Vec<_>>().join(" "),
        Value::Array(list) => list.iter_mut().for_each(one_space),
        Value::Object(fields) => fields.values_mut().for_each(one_space),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
