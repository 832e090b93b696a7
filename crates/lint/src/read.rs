//! From documents to rules and templates, with the path of everything that has the wrong type or that nobody reads.

use ng_engine::rule::Rule;
use ng_engine::spec::{API_VERSION, RULE_KIND, RuleObject, TEMPLATE_KIND, TemplateObject};
use ng_engine::validate::{self, Defaults};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::{Check, Finding, Level, Notes, Object, Read};

/// The most wrong types told of one object.
const MAX_WRONG: usize = 50;

/// The rules and templates that can be read.
pub(crate) fn all(
    objects: &[Object],
    findings: &mut Vec<Finding>,
) -> (Vec<Read<RuleObject>>, Vec<Read<TemplateObject>>) {
    let (mut rules, mut templates) = (Vec::new(), Vec::new());
    for object in objects {
        for value in items(&object.value) {
            let kind = text(value, "kind");
            match kind {
                RULE_KIND => rules.extend(one(object, value, findings)),
                TEMPLATE_KIND => templates.extend(one(object, value, findings)),
                _ => {}
            }
        }
    }
    (rules, templates)
}

pub(crate) fn count(objects: &[Object]) -> usize {
    let kinds = [RULE_KIND, TEMPLATE_KIND];
    let values = objects.iter().flat_map(|object| items(&object.value));
    values
        .filter(|value| kinds.contains(&text(value, "kind")))
        .count()
}

/// The objects of a document: itself, or those of a `List`.
fn items(value: &Value) -> Vec<&Value> {
    match value["items"].as_array() {
        Some(items) if text(value, "kind").ends_with("List") => items.iter().collect(),
        _ => vec![value],
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn one<T: DeserializeOwned>(
    object: &Object,
    value: &Value,
    findings: &mut Vec<Finding>,
) -> Option<Read<T>> {
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    let mut notes = Notes {
        source: &object.source,
        kind: text(value, "kind"),
        name,
        findings,
    };
    head(value, name, &mut notes);
    for path in &object.duplicates {
        let (found, fix) = (
            "the key is given more than once, the last one counts",
            "keep one of them",
        );
        notes.add((Level::Error, Check::Duplicate), path, found, fix);
    }
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        // What we wrote ourselves is not the author's business.
        fields.remove("status");
    }
    let read = typed::<T>(&value, &mut notes)?;
    Some(Read {
        source: object.source.clone(),
        object: read,
    })
}

/// What every object needs.
fn head(value: &Value, name: &str, notes: &mut Notes<'_>) {
    let version = text(value, "apiVersion");
    if version != API_VERSION {
        let found = format!("expected {API_VERSION:?}, found {version:?}");
        notes.add(
            (Level::Error, Check::Invalid),
            "apiVersion",
            found,
            format!("write {API_VERSION}"),
        );
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = name.len() <= 253
        && name.starts_with(edge)
        && name.ends_with(edge)
        && name.chars().all(plain);
    if !is_name {
        let found = format!("expected the name of an object, found {name:?}");
        notes.add(
            (Level::Error, Check::Invalid),
            "metadata.name",
            found,
            "use lower case letters, digits, '-' and '.'",
        );
    }
}

/// The object, if every field has its type. A field of the wrong type is taken out to find the next one.
fn typed<T: DeserializeOwned>(value: &Value, notes: &mut Notes<'_>) -> Option<T> {
    let mut rest = value.clone();
    for attempt in 0..MAX_WRONG {
        let error = match serde_path_to_error::deserialize::<_, T>(&rest) {
            Ok(read) if attempt == 0 => {
                unknown_fields::<T>(value, notes);
                return Some(read);
            }
            Ok(_) => return None,
            Err(error) => error,
        };
        let path = shown(error.path().iter().map(Part::from));
        let found = error.inner().to_string();
        notes.add(
            (Level::Error, Check::WrongType),
            path,
            found,
            "write a value of the type that is expected",
        );
        if !take_out(&mut rest, error.path()) {
            return None;
        }
    }
    None
}

/// Removes the field that a path leads to, which must be the field of an object.
fn take_out(value: &mut Value, path: &serde_path_to_error::Path) -> bool {
    let segments: Vec<&Segment> = path.iter().collect();
    let Some((Segment::Map { key }, parents)) = segments.split_last() else {
        return false;
    };
    let parent = parents
        .iter()
        .try_fold(value, |value, segment| match segment {
            Segment::Map { key } => value.get_mut(key),
            Segment::Seq { index } => value.get_mut(index),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
    parent
        .and_then(Value::as_object_mut)
        .is_some_and(|fields| fields.remove(key).is_some())
}

/// Fields of `spec` that nobody reads: the API server drops them without a word.
fn unknown_fields<T: DeserializeOwned>(value: &Value, notes: &mut Notes<'_>) {
    let mut unknown = Vec::new();
    let read: Result<T, _> = serde_ignored::deserialize(value, |path| {
        let parts = parts(&path);
        if matches!(parts.first(), Some(Part::Key(key)) if key == "spec") {
            unknown.push(shown(parts.into_iter()));
        }
    });
    if read.is_ok() {
        for path in unknown {
            let fix = "correct its name, or remove it: the API server drops it";
            notes.add(
                (Level::Warning, Check::UnknownField),
                path,
                "there is no such field",
                fix,
            );
        }
    }
}

enum Part {
    Key(String),
    Index(usize),
    Other,
}

impl From<&Segment> for Part {
    fn from(segment: &Segment) -> Self {
        match segment {
            Segment::Map { key } => Part::Key(key.clone()),
            Segment::Seq { index } => Part::Index(*index),
            Segment::Enum { .. } | Segment::Unknown => Part::Other,
        }
    }
}

fn parts(path: &serde_ignored::Path<'_>) -> Vec<Part> {
    use serde_ignored::Path;
    let (parent, part) = match path {
        Path::Root => return Vec::new(),
        Path::Seq { parent, index } => (parent, Some(Part::Index(*index))),
        Path::Map { parent, key } => (parent, Some(Part::Key(key.clone()))),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => (parent, None),
    };
    let mut parts = parts(parent);
    parts.extend(part);
    parts
}

fn shown(parts: impl Iterator<Item = Part>) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Key(key) if text.is_empty() => text = key,
            Part::Key(key) => text = format!("{text}.{key}"),
            Part::Index(index) => text = format!("{text}[{index}]"),
            Part::Other => {}
        }
    }
    text
}

/// The rule as the hooks understand it; otherwise everything they say of it.
pub(crate) fn validate(
    object: &RuleObject,
    defaults: &Defaults,
    notes: &mut Notes<'_>,
) -> Option<Rule> {
    match validate::validate(object, defaults) {
        Ok(rule) => Some(rule),
        Err(problems) => {
            for problem in problems {
                let fix = "write what is expected";
                notes.add(
                    (Level::Error, Check::Invalid),
                    problem.path,
                    problem.message,
                    fix,
                );
            }
            None
        }
    }
}
