//! The objects of a YAML or JSON text, for whoever reads manifests: this is the crate that knows both forms.

use serde::Deserialize as _;

use crate::tree::{Format, Node, TOO_DEEP, nests_too_deeply, without_position};

/// One document of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its value; of a key given twice the last counts.
    pub value: serde_json::Value,
    /// The paths of keys that are given more than once.
    pub duplicates: Vec<String>,
}

/// The documents of a text, empty ones left out; or which one, counted from 1, cannot be read, and why.
pub fn documents(text: &str, format: Format) -> Result<Vec<Document>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let mut add = |node: Node<'_>| {
        if node != Node::Null {
            let mut duplicates = Vec::new();
            find_duplicates("", &node, &mut duplicates);
            let value = node.to_json();
            documents.push(Document { value, duplicates });
        }
    };
    match format {
        Format::Json => {
            for (index, node) in serde_json::Deserializer::from_str(text)
                .into_iter()
                .enumerate()
            {
                add(node.map_err(|error: serde_json::Error| (index + 1, error.to_string()))?);
            }
        }
        Format::Yaml if nests_too_deeply(text) => return Err((1, TOO_DEEP.to_owned())),
        Format::Yaml => {
            for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
                let node = Node::deserialize(document);
                add(node.map_err(|error| (index + 1, said(&error)))?);
            }
        }
    }
    Ok(documents)
}

fn said(error: &serde_yaml::Error) -> String {
    let reason = without_position(&error.to_string());
    match error.location() {
        Some(at) => format!("{reason} at line {} column {}", at.line(), at.column()),
        None => reason,
    }
}

fn find_duplicates(path: &str, node: &Node<'_>, found: &mut Vec<String>) {
    let dot = if path.is_empty() { "" } else { "." };
    match node {
        Node::Map(map) => {
            found.extend(
                map.duplicates()
                    .iter()
                    .map(|key| format!("{path}{dot}{key}")),
            );
            for (key, value) in &map.0 {
                find_duplicates(&format!("{path}{dot}{key}"), value, found);
            }
        }
        Node::List(items) => {
            for (index, item) in items.iter().enumerate() {
                find_duplicates(&format!("{path}[{index}]"), item, found);
            }
        }
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_read_or_named() {
        let values = |text, format| {
            documents(text, format).map(|all| {
                all.iter()
                    .map(|one| one.value.to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        for (text, format, expected) in [
            (
                "a: 1\n---\n# nothing\n---\nb: [x]\n...\n",
                Format::Yaml,
                Ok(r#"{"a":1} {"b":["x"]}"#),
            ),
            ("\u{feff}{\"a\": 1}", Format::Yaml, Ok(r#"{"a":1}"#)),
            (
                "{\"a\": 1} {\"b\": 2}",
                Format::Json,
                Ok(r#"{"a":1} {"b":2}"#),
            ),
            ("", Format::Yaml, Ok("")),
            ("", Format::Json, Ok("")),
            ("a: 1\n---\na: [\n", Format::Yaml, Err(2)),
            ("{} {", Format::Json, Err(2)),
        ] {
            let read = values(text, format);
            assert_eq!(
                read.as_deref().map_err(|(number, _)| *number),
                expected,
                "{text:?}"
            );
        }
        let twice = documents("a: 1\nb: {c: [{d: 1, d: 2}]}\na: 2\n", Format::Yaml).unwrap();
        assert_eq!(twice[0].duplicates, ["a", "b.c[0].d"]);
    }
}
