//! The JSON Schema of the configuration file, made from the settings themselves.

use serde_json::{Map, Value, json};

use crate::names::MetricName;
use crate::ready::ReadyMetric;
use crate::resolve::{Inputs, resolve};
use crate::sections::IGNORED;

/// The JSON Schema (draft 2020-12) of `config.json`.
pub fn schema() -> Value {
    let mut properties = Map::new();
    let file_only = |path: &&crate::Entry| path.path != "namespace";
    for entry in resolve(&Inputs::default()).entries.iter().filter(file_only) {
        let mut setting = (entry.schema)();
        setting["description"] = entry.doc.into();
        setting["default"] = entry.value.clone();
        if let Some(inner) = setting.get_mut("additionalProperties") {
            allow_null(inner);
        }
        allow_null(&mut setting);
        put(&mut properties, &entry.path, setting);
    }
    let metric = json!({"type": ["object", "null"], "required": ["query"], "properties": {"query": {"type": "string", "pattern": "\\S"}}});
    if let Some(metrics) = properties.get_mut("metrics") {
        metrics["description"] = "PromQL of further metrics, by name".into();
        metrics["propertyNames"] = json!({"pattern": MetricName::PATTERN});
        metrics["additionalProperties"] = metric;
        for ready in ReadyMetric::ALL {
            metrics["properties"][ready.name]["required"] = json!(["query"]);
            let query = &mut metrics["properties"][ready.name]["properties"]["query"];
            // An object that is there must have one.
            query["type"] = "string".into();
            query["pattern"] = "\\S".into();
        }
    }
    properties.insert(
        IGNORED.to_owned(),
        json!({"description": "Accepted and ignored", "deprecated": true}),
    );
    let mut schema = json!({"type": "object", "properties": properties});
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "NodeGuardian configuration".into();
    schema
}

/// Puts a setting at its path; a section is an object, and may hold others.
fn put(properties: &mut Map<String, Value>, path: &str, setting: Value) {
    let Some((section, rest)) = path.split_once('.') else {
        properties.insert(path.to_owned(), setting);
        return;
    };
    let section = properties
        .entry(section)
        .or_insert_with(|| object(&json!({})));
    if let Some(inner) = section["properties"].as_object_mut() {
        put(inner, rest, setting);
    }
}

/// A section; null in its place says the same as nothing there.
fn object(properties: &Value) -> Value {
    json!({"type": ["object", "null"], "properties": properties})
}

/// Lets a setting be null, which says the same as leaving its key out.
fn allow_null(setting: &mut Value) {
    if let Some(forms) = list(setting, "anyOf") {
        forms.push(json!({"type": "null"}));
        return;
    }
    if let Some(words) = list(setting, "enum") {
        words.push(Value::Null);
    }
    match &mut setting["type"] {
        Value::Array(types) => types.push("null".into()),
        one => *one = json!([one, "null"]),
    }
}

fn list<'a>(schema: &'a mut Value, keyword: &str) -> Option<&'a mut Vec<Value>> {
    schema.get_mut(keyword)?.as_array_mut()
}
