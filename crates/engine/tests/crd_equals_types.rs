//! The schemas in `config/crd` and the types in `ng_engine::spec` say the same: the API server drops what a schema
//! does not name, and users read in it what the types do not know.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crd_support;

use std::collections::BTreeSet;

use crd_support::{full_rule, full_template};
use ng_engine::rule::{Comparison, NodeStatus, Severity, TaintEffect};
use ng_engine::spec::{API_VERSION, RULE_KIND, RuleObject, TEMPLATE_KIND, TemplateObject};
use ng_engine::validate::{Defaults, MAX_ACTIONS, MAX_CONDITIONS, validate};
use serde_json::{Map, Value, json};

const RULES: &str = include_str!("../../../config/crd/nodeguardianrules.yaml");
const TEMPLATES: &str = include_str!("../../../config/crd/alerttemplates.yaml");

fn parse(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).unwrap()
}

fn schema(crd: &str) -> Value {
    parse(crd)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn is_opaque(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == json!(true)
}

/// Calls `visit` with every path of a schema below `spec` and `status`, and with what stands there.
fn walk(schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            if path.is_empty() && !matches!(name.as_str(), "spec" | "status") {
                continue;
            }
            walk(property, &format!("{path}.{name}"), visit);
        }
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(&schema["additionalProperties"], &format!("{path}.*"), visit);
    }
}

/// The paths of an object; `strays` are those that the schema does not have, or has with another type.
fn compare(
    value: &Value,
    schema: &Value,
    path: &str,
    seen: &mut BTreeSet<String>,
    strays: &mut Vec<String>,
) {
    seen.insert(path.to_owned());
    if is_opaque(schema) {
        return;
    }
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    let is_either = schema["x-kubernetes-int-or-string"] == json!(true);
    if schema["type"] != kind && !is_either {
        strays.push(format!(
            "{path}: {kind} in the types, {} in the schema",
            schema["type"]
        ));
    }
    for (name, value) in value.as_object().unwrap_or(&Map::new()) {
        if path.is_empty() && name == "metadata" {
            continue;
        }
        let (inner, path) = match schema["properties"].get(name) {
            Some(inner) => (inner, format!("{path}.{name}")),
            None if schema["additionalProperties"].is_object() => {
                (&schema["additionalProperties"], format!("{path}.*"))
            }
            None => {
                strays.push(format!("{path}.{name}: only in the types"));
                continue;
            }
        };
        compare(value, inner, &path, seen, strays);
    }
    for value in value.as_array().into_iter().flatten() {
        compare(value, &schema["items"], &format!("{path}[]"), seen, strays);
    }
}

fn assert_equal(sample: &Value, crd: &str) {
    let schema = schema(crd);
    let (mut seen, mut differences) = (BTreeSet::new(), Vec::new());
    compare(sample, &schema, "", &mut seen, &mut differences);
    walk(&schema, "", &mut |path, _| {
        if !seen.contains(path) {
            differences.push(format!("{path}: only in the schema"));
        }
    });
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn rules_have_the_fields_of_their_schema() {
    assert_equal(&serde_json::to_value(full_rule()).unwrap(), RULES);
}

#[test]
fn templates_have_the_fields_of_their_schema() {
    assert_equal(&serde_json::to_value(full_template()).unwrap(), TEMPLATES);
}

#[test]
fn objects_survive_writing_and_reading() {
    let rule = full_rule();
    let json = serde_json::to_string(&rule).unwrap();
    assert_eq!(RuleObject::from_json(&json).unwrap(), rule);
    let template = full_template();
    let json = serde_json::to_string(&template).unwrap();
    assert_eq!(TemplateObject::from_json(&json).unwrap(), template);
}

#[test]
fn names_are_those_of_the_types() {
    for (crd, kind, short) in [(RULES, RULE_KIND, "ngr"), (TEMPLATES, TEMPLATE_KIND, "ngt")] {
        let crd = parse(crd);
        let spec = &crd["spec"];
        let version = &spec["versions"][0];
        let group = spec["group"].as_str().unwrap();
        assert_eq!(
            format!("{group}/{}", version["name"].as_str().unwrap()),
            API_VERSION
        );
        assert_eq!(spec["names"]["kind"], kind);
        assert_eq!(spec["names"]["shortNames"], json!([short]));
        assert_eq!(spec["scope"], "Cluster");
        assert_eq!(version["subresources"], json!({"status": {}}));
        let approval = &crd["metadata"]["annotations"]["api-approved.kubernetes.io"];
        assert!(approval.as_str().unwrap().starts_with("unapproved"));
    }
}

#[test]
fn everything_is_described_and_what_users_write_is_bounded() {
    for crd in [RULES, TEMPLATES] {
        let mut missing = Vec::new();
        walk(&schema(crd), "", &mut |path, schema| {
            let mut expect = |field: &str| {
                if schema[field].is_null() {
                    missing.push(format!("{path} has no {field}"));
                }
            };
            expect("description");
            if !path.starts_with(".spec") || is_opaque(schema) {
                return;
            }
            match schema["type"].as_str() {
                Some("string") if schema["enum"].is_null() => expect("maxLength"),
                Some("array") => expect("maxItems"),
                Some("object") if schema["additionalProperties"].is_object() => {
                    expect("maxProperties");
                }
                _ => {}
            }
        });
        assert!(missing.is_empty(), "{missing:#?}");
    }
}

#[test]
fn limits_and_words_are_those_of_validation() {
    let schema = schema(RULES);
    let at = |path: &str| {
        let mut found = Value::Null;
        walk(&schema, "", &mut |here, schema| {
            if here == path {
                found = schema.clone();
            }
        });
        found
    };
    for (path, most) in [
        (".spec.conditions", MAX_CONDITIONS),
        (".spec.recoveryConditions", MAX_CONDITIONS),
        (".spec.actions", MAX_ACTIONS),
        (".spec.recoveryActions", MAX_ACTIONS),
    ] {
        assert_eq!(at(path)["maxItems"], json!(most), "{path}");
    }
    let operators: Vec<&str> = Comparison::ALL
        .map(Comparison::word)
        .into_iter()
        .chain(Comparison::ALL.map(Comparison::sign))
        .collect();
    let statuses = [NodeStatus::True, NodeStatus::False, NodeStatus::Unknown];
    let severities = [Severity::Info, Severity::Warning, Severity::Critical];
    let effects = [
        TaintEffect::NoSchedule,
        TaintEffect::PreferNoSchedule,
        TaintEffect::NoExecute,
    ];
    for (path, words) in [
        (".spec.conditions[].operator", json!(operators)),
        (".spec.recoveryConditions[].operator", json!(operators)),
        (".spec.conditions[].status[]", json!(statuses)),
        (".spec.metadata.severity", json!(severities)),
        (".status.nodes[].marks[].effect", json!(effects)),
    ] {
        assert_eq!(at(path)["enum"], words, "{path}");
    }
}

/// Fills in defaults as the API server does.
fn fill(value: &mut Value, schema: &Value) {
    if let (Some(object), Some(properties)) =
        (value.as_object_mut(), schema["properties"].as_object())
    {
        for (name, property) in properties {
            if !object.contains_key(name) && !property["default"].is_null() {
                object.insert(name.clone(), property["default"].clone());
            }
            if let Some(inner) = object.get_mut(name) {
                fill(inner, property);
            }
        }
    }
    for item in value.as_array_mut().into_iter().flatten() {
        fill(item, &schema["items"]);
    }
}

#[test]
fn defaults_of_the_schema_are_those_of_validation() {
    let written = json!({
        "metadata": {"name": "sample"},
        "spec": {
            "conditions": [{"metric": "cpuLoadRatio", "operator": ">", "value": 1}],
            "actions": [
                {"type": "taint", "taint": {}},
                {"type": "evict", "evict": {}},
                {"type": "drain", "drain": {}},
                {"type": "alert", "alert": {}},
            ],
            "recoveryConditions": [{"metric": "cpuLoadRatio", "operator": "<", "value": 1}],
            "recoveryActions": [{"type": "removeTaint", "taint": {}}],
        },
    });
    let mut filled = written.clone();
    fill(&mut filled, &schema(RULES));
    assert_eq!(filled["spec"]["metadata"]["severity"], "warning");
    assert_eq!(
        filled["spec"]["monitoring"],
        json!({"recoveryCooldownPeriod": "2m"})
    );
    assert_eq!(filled["spec"]["actions"], written["spec"]["actions"]);
    let rule = |value: &Value| {
        let object = RuleObject::from_json(&value.to_string()).unwrap();
        validate(&object, &Defaults::default()).unwrap()
    };
    assert_eq!(rule(&written), rule(&filled));
}

#[test]
fn a_status_that_cannot_be_read_does_not_hide_the_rule() {
    let mut value = serde_json::to_value(full_rule()).unwrap();
    value["status"] = json!({"phase": "Sleeping", "lastTriggered": "yesterday"});
    let rule = RuleObject::from_json(&value.to_string()).unwrap();
    assert_eq!(rule.spec, full_rule().spec);
    assert_eq!(rule.status, None);
}

#[test]
fn an_object_that_cannot_be_read_is_named() {
    let json = r#"{"metadata": {"name": "broken"}, "spec": {"conditions": 7}}"#;
    let error = RuleObject::from_json(json).unwrap_err();
    assert_eq!(error.to_string(), "cannot read NodeGuardianRule \"broken\"");
    assert_eq!(error.name, "broken");
    assert_eq!(
        error.source.to_string(),
        "invalid type: integer `7`, expected a sequence at line 1 column 57"
    );
}

#[test]
fn a_channel_keeps_its_secrets_out_of_debug_output() {
    let mut template = full_template();
    template.spec.channels = serde_json::from_value(json!([{
        "type": "webhook", "url": "http://host/hunter2", "headers": {"Authorization": "Bearer hunter2"}
    }]))
    .unwrap();
    let shown = format!("{template:?}");
    assert!(
        shown.contains("Authorization") && !shown.contains("hunter2"),
        "{shown}"
    );
}
