//! The schema and the reader against the shipped file and a corpus: what one accepts the other accepts, and each file
//! with one mistake is refused by both.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use ng_config::{File, Format, Inputs, resolve};
use regex::Regex;
use serde_json::{Value, json};

const SHIPPED: &str = include_str!("../../../config/config.json");

/// Whether a value meets a schema, for the keywords our schema uses; another keyword fails the test.
fn accepts(schema: &Value, value: &Value) -> bool {
    let keywords = schema.as_object().unwrap();
    keywords
        .iter()
        .all(|(keyword, argument)| match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "examples" | "writeOnly"
            | "deprecated" => true,
            "type" => match argument {
                Value::Array(types) => types.iter().any(|one| is_of(one, value)),
                one => is_of(one, value),
            },
            "enum" => argument.as_array().unwrap().contains(value),
            "pattern" => value.as_str().is_none_or(|text| {
                Regex::new(argument.as_str().unwrap())
                    .unwrap()
                    .is_match(text)
            }),
            "minimum" => is_number(value, argument, |number, limit| number >= limit),
            "exclusiveMinimum" => is_number(value, argument, |number, limit| number > limit),
            "maximum" => is_number(value, argument, |number, limit| number <= limit),
            "anyOf" => argument
                .as_array()
                .unwrap()
                .iter()
                .any(|one| accepts(one, value)),
            "allOf" => argument
                .as_array()
                .unwrap()
                .iter()
                .all(|one| accepts(one, value)),
            "not" => !accepts(argument, value),
            "items" => value
                .as_array()
                .is_none_or(|items| items.iter().all(|item| accepts(argument, item))),
            "required" => value.as_object().is_none_or(|map| {
                argument
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|key| map.contains_key(key.as_str().unwrap()))
            }),
            "properties" => {
                value.as_object().is_none_or(|map| {
                    argument.as_object().unwrap().iter().all(|(key, schema)| {
                        map.get(key).is_none_or(|value| accepts(schema, value))
                    })
                })
            }
            "additionalProperties" => value
                .as_object()
                .is_none_or(|map| map.values().all(|value| accepts(argument, value))),
            "propertyNames" => value.as_object().is_none_or(|map| {
                map.keys()
                    .all(|key| accepts(argument, &key.as_str().into()))
            }),
            other => panic!("the keyword {other} is not known here"),
        })
}

/// Whether a number is as it has to be; anything else is.
fn is_number(value: &Value, limit: &Value, holds: fn(f64, f64) -> bool) -> bool {
    let limit = limit.as_f64().unwrap();
    value.as_f64().is_none_or(|number| holds(number, limit))
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("the type {other} is not known here"),
    }
}

fn has_errors(text: &str) -> bool {
    let file = Some(File {
        name: "config.json",
        text,
        format: Format::Json,
    });
    !resolve(&Inputs {
        file,
        ..Inputs::default()
    })
    .errors
    .is_empty()
}

fn corpus(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder);
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn what_is_valid_is_accepted_by_both() {
    let schema = ng_config::schema();
    assert!(accepts(&schema, &serde_json::from_str(SHIPPED).unwrap()));
    for (path, text) in corpus("valid") {
        assert!(!has_errors(&text), "{}", path.display());
        assert!(
            accepts(&schema, &serde_json::from_str(&text).unwrap()),
            "{}",
            path.display()
        );
    }
}

#[test]
fn each_mistake_is_refused_by_both() {
    let schema = ng_config::schema();
    let broken = corpus("broken");
    assert!(broken.len() > 60);
    for (path, text) in broken {
        assert!(has_errors(&text), "{}", path.display());
        assert!(
            !accepts(&schema, &serde_json::from_str(&text).unwrap()),
            "{}",
            path.display()
        );
    }
}

/// Null is how a layer of Helm or Kustomize takes a key out of the layer below.
#[test]
fn null_says_the_same_as_nothing_in_both() {
    let schema = ng_config::schema();
    let defaults = resolve(&Inputs::default());
    let mut paths: Vec<&str> = defaults
        .entries
        .iter()
        .filter(|entry| entry.path != "namespace" && !entry.path.starts_with("metrics."))
        .flat_map(|entry| {
            entry
                .path
                .match_indices('.')
                .map(|(end, _)| &entry.path[..end])
                .chain([entry.path.as_str()])
        })
        .collect();
    paths.extend([
        "python",
        "metrics",
        "metrics.gpu",
        "metrics.readyChanges",
        "alert.webhookHeaders.X-Team",
    ]);
    for path in paths {
        let keys = path.rsplit('.');
        let document = keys.fold(Value::Null, |inner, key| json!({key: inner}));
        let text = document.to_string();
        assert!(accepts(&schema, &document), "{text}");
        let file = Some(File {
            name: "config.json",
            text: &text,
            format: Format::Json,
        });
        let resolution = resolve(&Inputs {
            file,
            ..Inputs::default()
        });
        assert_eq!(
            (resolution.errors, resolution.warnings),
            (vec![], vec![]),
            "{text}"
        );
        assert_eq!(resolution.config, defaults.config, "{text}");
    }
}

#[test]
fn the_defaults_meet_their_own_schema() {
    let schema = ng_config::schema();
    for entry in resolve(&Inputs::default()).entries {
        if !entry.path.contains('.') {
            continue;
        }
        let keys = entry.path.split('.');
        let setting = keys.fold(&schema, |place, key| &place["properties"][key]);
        assert!(
            accepts(setting, &setting["default"]),
            "{}: {setting}",
            entry.path
        );
        assert!(setting["description"].is_string(), "{}", entry.path);
    }
}
