//! From a text on the command line to a value of the setting's type.

use serde_json::{Number, Value, json};

use super::EditError;
use super::path::{Path, Step};
use crate::resolve::{Inputs, resolve};
use crate::sections::IGNORED;
use crate::suggest::nearest;
use crate::tree::{Format, Node};

/// The value that `text` means at the path. What does not fit the type stays a text, which the check then refuses in
/// the words of the setting.
pub(super) fn value(
    path: &Path,
    existing: Option<&Node<'_>>,
    text: &str,
) -> Result<Node<'static>, EditError> {
    Ok(match schema_at(path)? {
        Some(schema) => by_schema(&schema, existing, text),
        None => free(existing, text),
    })
}

/// Whether a setting is one whose value is not shown.
pub fn is_secret(path: &Path) -> bool {
    schema_at(path).is_ok_and(|schema| schema.is_some_and(|schema| schema["writeOnly"] == true))
}

/// What may stand at the path, as JSON Schema; `None` where anything may.
fn schema_at(path: &Path) -> Result<Option<Value>, EditError> {
    let steps = path.steps();
    let key = |index: usize| match steps.get(index) {
        Some(Step::Key(key)) => Some(key.as_str()),
        _ => None,
    };
    match (key(0), key(1), key(2)) {
        (Some(IGNORED), ..) => return Ok(None),
        (Some("metrics"), Some(_), None) if steps.len() == 2 => {
            return Ok(Some(json!({"type": "object"})));
        }
        (Some("metrics"), Some(_), Some("query")) if steps.len() == 3 => {
            return Ok(Some(json!({"type": "string"})));
        }
        _ => {}
    }
    let entries = resolve(&Inputs::default()).entries;
    let known = entries.iter().filter(|entry| entry.path != "namespace");
    let name = |length: usize| {
        (length <= steps.len()).then(|| {
            (0..length)
                .map(|index| key(index).unwrap_or_default())
                .collect::<Vec<_>>()
                .join(".")
        })
    };
    let found = known.clone().find_map(|entry| {
        let length = entry.path.split('.').count();
        (name(length)? == entry.path).then_some((entry, length))
    });
    let inner = found.and_then(|(entry, length)| within((entry.schema)(), &steps[length..]));
    inner.map(Some).ok_or_else(|| {
        let written = path.to_string();
        let paths = known.map(|entry| entry.path.as_str());
        let meant = nearest(&written, paths).map(str::to_owned);
        EditError::UnknownKey {
            path: written,
            meant,
        }
    })
}

/// The schema of a part of a setting.
fn within(schema: Value, steps: &[Step]) -> Option<Value> {
    steps.iter().try_fold(schema, |schema, step| {
        let (part, kind) = match step {
            Step::Index(_) => ("items", "array"),
            Step::Key(_) => ("additionalProperties", "object"),
        };
        let hidden = schema["writeOnly"].clone();
        let mut inner = (schema["type"] == kind).then(|| schema[part].clone())?;
        if !hidden.is_null() {
            inner["writeOnly"] = hidden;
        }
        Some(inner)
    })
}

fn by_schema(schema: &Value, existing: Option<&Node<'_>>, text: &str) -> Node<'static> {
    let as_text = || Node::Text(text.to_owned().into());
    let number = || text.parse::<Number>().ok().map(Node::Number);
    match schema["type"].as_str() {
        Some("boolean") => text.parse().map_or_else(|_| as_text(), Node::Bool),
        Some("integer" | "number") => number().unwrap_or_else(as_text),
        Some("array") => list(&schema["items"], text),
        Some("object") => document(text).unwrap_or_else(as_text),
        Some(_) => as_text(),
        // Several types will do: the one that stands there, or a number where one is written.
        None => match existing {
            Some(Node::Text(old)) if !old.is_empty() => as_text(),
            _ => number().unwrap_or_else(as_text),
        },
    }
}

/// A list as JSON, or items between commas.
fn list(items: &Value, text: &str) -> Node<'static> {
    if text.trim_start().starts_with('[') {
        return document(text).unwrap_or_else(|| Node::Text(text.to_owned().into()));
    }
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    Node::List(parts.map(|part| by_schema(items, None, part)).collect())
}

/// Settings that are not ours to know: the type that stands there, or what JSON makes of the text.
fn free(existing: Option<&Node<'_>>, text: &str) -> Node<'static> {
    match existing {
        Some(Node::Text(_)) => Node::Text(text.to_owned().into()),
        _ => document(text).unwrap_or_else(|| Node::Text(text.to_owned().into())),
    }
}

fn document(text: &str) -> Option<Node<'static>> {
    Node::parse(text, Format::Json)
        .ok()
        .map(|node| node.to_owned_node())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_path() {
        for (path, expected) in [
            ("email.password", true),
            ("slack.webhookUrl", true),
            ("alert.webhookHeaders", true),
            ("alert.webhookHeaders.Authorization", true),
            ("email.to[0]", false),
            ("nodeMonitor.x", false),
            ("nodeMonitor.slack.webhookURL", true),
            ("nothing", false),
        ] {
            assert_eq!(is_secret(&path.parse().unwrap()), expected, "{path}");
        }
    }
}
