//! The JSON Schema of the configuration file, made from the settings themselves.

use serde_json::{Map, Value, json};

use crate::names::MetricName;
use crate::resolve::{Inputs, resolve};

/// The JSON Schema (draft 2020-12) of `config.json`.
pub fn schema() -> Value {
    let mut properties = Map::new();
    let file_only = |path: &&crate::Entry| path.path != "namespace";
    for entry in resolve(&Inputs::default()).entries.iter().filter(file_only) {
        let mut setting = (entry.schema)();
        setting["description"] = entry.doc.into();
        setting["default"] = entry.value.clone();
        match entry.path.split_once('.') {
            Some((section, key)) => {
                let section = properties
                    .entry(section)
                    .or_insert_with(|| object(&json!({})));
                section["properties"][key] = setting;
            }
            None => {
                properties.insert(entry.path.clone(), setting);
            }
        }
    }
    let metric = json!({"type": "object", "required": ["query"], "properties": {"query": {"type": "string", "pattern": "\\S"}}});
    properties.insert(
        "metrics".to_owned(),
        json!({
            "type": "object",
            "description": "PromQL of further metrics, by name",
            "propertyNames": {"pattern": MetricName::PATTERN},
            "additionalProperties": metric,
        }),
    );
    properties.insert(
        "nodeMonitor".to_owned(),
        json!({"type": "object", "description": "Settings of the node monitor"}),
    );
    properties.insert(
        "python".to_owned(),
        json!({"description": "Accepted and ignored", "deprecated": true}),
    );
    let mut schema = object(&Value::Object(properties));
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "NodeGuardian configuration".into();
    schema
}

fn object(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties})
}
