//! Changes one setting of a configuration file: order, formatting and comments of the rest stay as they are.

mod json;
mod path;
mod typed;
mod yaml;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::issue::Issue;
use crate::key::kebab;
use crate::resolve::{File, Inputs, parse, resolve};
use crate::secret::Secret;
use crate::tree::{Format, Map, Node};

pub(crate) use path::Step;
pub use path::{Path, PathError};
pub use typed::is_secret;

/// A file with one setting changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The new text.
    pub text: String,
    /// Whether the text was printed anew, because its layout did not tell where the value stands: comments are lost.
    pub reprinted: bool,
    /// What was wrong before and still is.
    pub remaining: Vec<Issue>,
}

/// Why a setting is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file cannot be read as it is.
    #[error("{0}")]
    Syntax(Issue),
    /// There is no such setting.
    #[error("{path}: unknown key{}", .meant.as_ref().map(|name| format!(", did you mean \"{name}\"?")).unwrap_or_default())]
    UnknownKey {
        /// The path that was given.
        path: String,
        /// The path that may be meant.
        meant: Option<String>,
    },
    /// The path leads through a value that has no such part.
    #[error("{path}: expected {expected}, found {found}")]
    Shape {
        /// How far the path leads.
        path: String,
        /// What would have to stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The file would be invalid.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Issue>),
}

/// The file of `inputs` with the value at the path set to what `text` says, in the type of the setting.
///
/// A change that makes anything wrong which was not wrong before is refused. Without a file a new one is begun.
pub fn set(inputs: &Inputs<'_>, path: &Path, text: &str) -> Result<Edited, EditError> {
    let file = inputs.file.unwrap_or(File {
        name: "config.json",
        text: "{}\n",
        format: Format::Json,
    });
    let old = parse(&file).map_err(EditError::Syntax)?;
    let mut wanted = Node::Map(old.clone());
    let value = typed::value(path, find(&wanted, path.steps()), text)?;
    put(&mut wanted, path, value.to_owned_node())?;
    let (text, reprinted) = write(&file, path, &value, &wanted);
    let new = File {
        text: &text,
        ..file
    };
    let before = resolve(&Inputs {
        file: Some(file),
        ..*inputs
    })
    .errors;
    let after = resolve(&Inputs {
        file: Some(new),
        ..*inputs
    })
    .errors;
    let (remaining, added): (Vec<Issue>, Vec<Issue>) =
        after.into_iter().partition(|issue| before.contains(issue));
    if added.is_empty() {
        Ok(Edited {
            text,
            reprinted,
            remaining,
        })
    } else {
        Err(EditError::Invalid(added))
    }
}

/// The text of a file with its secrets taken out, and the Secret files that hold them instead. What is given under one
/// of the names of a setting wins over the file, as a mounted Secret does; an empty one counts as absent.
pub fn split_secrets(
    file: &File<'_>,
    given: &BTreeMap<String, Secret>,
) -> Result<(String, BTreeMap<String, Secret>), EditError> {
    let is_given = |name: &str| given.get(name).is_some_and(|it| !it.expose().is_empty());
    let mut secrets = given.clone();
    let mut text = file.text.to_owned();
    let settings = resolve(&Inputs::default()).entries;
    for entry in settings
        .iter()
        .filter(|entry| (entry.schema)()["writeOnly"] == true)
    {
        let Ok(path) = entry.path.parse::<Path>() else {
            continue;
        };
        let current = File {
            text: &text,
            ..*file
        };
        let mut wanted = Node::Map(parse(&current).map_err(EditError::Syntax)?);
        let (held, blank) = match find(&wanted, path.steps()) {
            Some(Node::Text(held)) if !held.is_empty() => (held.to_string(), Node::Text("".into())),
            Some(Node::Map(Map(lines))) if lines.iter().any(|(_, value)| *value != Node::Null) => {
                (header_lines(lines), Node::Map(Map::default()))
            }
            _ => continue,
        };
        put(&mut wanted, &path, blank.clone())?;
        text = write(&current, &path, &blank, &wanted).0;
        let (section, key) = entry.path.split_once('.').unwrap_or(("", &entry.path));
        let own = kebab(section, key);
        let name = entry.secret_file.unwrap_or(&own);
        if !is_given(name) && !is_given(&own) {
            secrets.insert(name.to_owned(), Secret::new(held));
        }
    }
    Ok((text, secrets))
}

/// Headers as a Secret file has them.
fn header_lines(entries: &[(Cow<'_, str>, Node<'_>)]) -> String {
    let line = |(name, value): &(Cow<'_, str>, Node<'_>)| match value {
        Node::Text(text) => format!("{name}: {text}\n"),
        other => format!("{name}: {}\n", other.to_json()),
    };
    let given = entries.iter().filter(|(_, value)| *value != Node::Null);
    given.map(line).collect()
}

/// The new text, and whether all of it was printed anew. What an edit in place gives is read again and believed only
/// if it says what it should.
fn write(file: &File<'_>, path: &Path, value: &Node<'_>, wanted: &Node<'_>) -> (String, bool) {
    let edited = match file.format {
        Format::Json => json::set(file.text, path.steps(), value),
        Format::Yaml => yaml::set(file.text, path.steps(), value),
    };
    let is_right = |text: &String| Node::parse(text, file.format).is_ok_and(|read| read == *wanted);
    match edited.filter(is_right) {
        Some(text) => (text, false),
        None => (print(wanted, file.format), true),
    }
}

/// The document in our own layout, in the order it had.
fn print(document: &Node<'_>, format: Format) -> String {
    match format {
        Format::Json => json::print(document),
        // Texts in quotes where they need them; of a key given twice, the last one.
        Format::Yaml => {
            serde_yaml::to_string(&to_yaml(document)).unwrap_or_else(|_| json::print(document))
        }
    }
}

fn to_yaml(node: &Node<'_>) -> serde_yaml::Value {
    match node {
        Node::List(items) => serde_yaml::Value::Sequence(items.iter().map(to_yaml).collect()),
        Node::Map(Map(entries)) => serde_yaml::Value::Mapping(
            entries
                .iter()
                .map(|(key, value)| (key.as_ref().into(), to_yaml(value)))
                .collect(),
        ),
        scalar => serde_yaml::to_value(scalar.to_json()).unwrap_or_default(),
    }
}

fn find<'n, 'a>(root: &'n Node<'a>, steps: &[Step]) -> Option<&'n Node<'a>> {
    steps
        .iter()
        .try_fold(root, |node, step| match (step, node) {
            (Step::Key(key), Node::Map(map)) => map.get(key),
            (Step::Index(index), Node::List(items)) => items.get(*index),
            _ => None,
        })
}

/// Sets the value, and makes the objects that lead to it.
fn put<'a>(root: &mut Node<'a>, path: &Path, value: Node<'a>) -> Result<(), EditError> {
    let shape = |expected: &str, found: &Node<'_>| EditError::Shape {
        path: path.to_string(),
        expected: expected.to_owned(),
        found: found.kind().to_owned(),
    };
    let mut place = root;
    for step in path.steps() {
        if *place == Node::Null {
            *place = match step {
                Step::Key(_) => Node::Map(Map::default()),
                Step::Index(_) => Node::List(Vec::new()),
            };
        }
        place = match (step, place) {
            (Step::Key(key), Node::Map(map)) => map.entry(key),
            (Step::Index(index), Node::List(items)) => {
                let length = items.len();
                if *index > length {
                    return Err(EditError::Shape {
                        path: path.to_string(),
                        expected: format!("an index up to {length}"),
                        found: index.to_string(),
                    });
                }
                if *index == length {
                    items.push(Node::Null);
                }
                &mut items[*index]
            }
            (Step::Key(_), other) => return Err(shape("an object on the way", other)),
            (Step::Index(_), other) => return Err(shape("a list on the way", other)),
        };
    }
    *place = value;
    Ok(())
}

impl<'a> Map<'a> {
    /// The value of a key, of a key given twice the last; null if there was none.
    fn entry(&mut self, key: &str) -> &mut Node<'a> {
        let found = self.0.iter().rposition(|(name, _)| name == key);
        let index = found.unwrap_or_else(|| {
            self.0.push((Cow::Owned(key.to_owned()), Node::Null));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }
}
