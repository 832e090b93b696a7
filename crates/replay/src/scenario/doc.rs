//! Walks a YAML document and collects everything that is wrong with it, each with its path.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;

/// What is wrong with one file.
#[derive(Debug)]
pub(crate) struct Problems {
    file: String,
    found: RefCell<Vec<String>>,
}

impl Problems {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            found: RefCell::default(),
        }
    }

    /// Notes a problem; an empty path means the whole file.
    pub(crate) fn add(&self, path: &str, text: &str) {
        let line = if path.is_empty() {
            format!("{}: {text}", self.file)
        } else {
            format!("{}: {path}: {text}", self.file)
        };
        self.found.borrow_mut().push(line);
    }

    /// Everything that was noted.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.found.into_inner()
    }
}

/// A value and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Doc<'a> {
    problems: &'a Problems,
    path: String,
    value: &'a Value,
}

impl<'a> Doc<'a> {
    pub(crate) fn root(value: &'a Value, problems: &'a Problems) -> Self {
        Self {
            problems,
            path: String::new(),
            value,
        }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// Says that the value is not what it should be.
    pub(crate) fn expected(&self, what: &str) {
        self.problem(&format!("expected {what}, found {}", shown(self.value)));
    }

    /// Notes a problem at this path.
    pub(crate) fn problem(&self, text: &str) {
        self.problems.add(&self.path, text);
    }

    /// A mapping whose keys are all known.
    pub(crate) fn fields(&self, known: &'static [&'static str]) -> Option<Fields<'a>> {
        let Value::Object(map) = self.value else {
            self.expected(&format!("a mapping with the keys {}", known.join(", ")));
            return None;
        };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let hint = match nearest(key, known) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("expected one of {}", known.join(", ")),
            };
            self.at_key(key, &Value::Null)
                .problem(&format!("unknown key; {hint}"));
        }
        Some(Fields { doc: self.clone() })
    }

    /// The entries of a mapping with free keys.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Doc<'a>)> {
        let Value::Object(map) = self.value else {
            self.expected("a mapping");
            return Vec::new();
        };
        map.iter()
            .map(|(key, value)| (key.as_str(), self.at_key(key, value)))
            .collect()
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Vec<Doc<'a>> {
        let Value::Array(items) = self.value else {
            self.expected("a list");
            return Vec::new();
        };
        let item = |(index, value)| Doc {
            problems: self.problems,
            path: format!("{}[{index}]", self.path),
            value,
        };
        items.iter().enumerate().map(item).collect()
    }

    /// Text; a number or a truth value stands for how it is written.
    pub(crate) fn text(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                self.expected("text");
                None
            }
        }
    }

    /// A list of texts, or a single one.
    pub(crate) fn texts(&self) -> Vec<String> {
        match self.value {
            Value::String(text) => vec![text.clone()],
            _ => self.items().iter().filter_map(Self::text).collect(),
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.expected("true or false");
        }
        flag
    }

    /// A whole number that is not negative.
    pub(crate) fn count(&self) -> Option<usize> {
        let count = self
            .value
            .as_u64()
            .and_then(|count| usize::try_from(count).ok());
        if count.is_none() {
            self.expected("a whole number such as 3");
        }
        count
    }

    /// A whole number.
    pub(crate) fn integer(&self) -> Option<i64> {
        let number = self.value.as_i64();
        if number.is_none() {
            self.expected("a whole number such as 100");
        }
        number
    }

    /// A duration such as `1m30s`.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let parsed = match self.value {
            Value::String(text) => duration(text),
            Value::Number(number) => duration(&number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        if parsed.is_none() {
            self.expected("a duration such as 30s, 5m or 1h30m");
        }
        parsed
    }

    fn at_key<'b>(&self, key: &str, value: &'b Value) -> Doc<'b>
    where
        'a: 'b,
    {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Doc {
            problems: self.problems,
            path,
            value,
        }
    }
}

/// A mapping whose keys were checked.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    doc: Doc<'a>,
}

impl<'a> Fields<'a> {
    /// A field that may be absent.
    pub(crate) fn get(&self, key: &str) -> Option<Doc<'a>> {
        let value = self.doc.value.get(key)?;
        Some(self.doc.at_key(key, value))
    }

    /// A field that must be there.
    pub(crate) fn need(&self, key: &str) -> Option<Doc<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.doc.problem(&format!("the key {key:?} is missing"));
        }
        found
    }

    /// The mapping itself.
    pub(crate) fn doc(&self) -> &Doc<'a> {
        &self.doc
    }
}

/// Reads a duration.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    ng_config::duration::parse(text).ok()
}

/// A value as it is shown in a message, shortened.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        Value::Array(items) => return format!("a list of {}", items.len()),
        Value::Object(map) => {
            let keys: Vec<&str> = map.keys().map(String::as_str).take(5).collect();
            return format!("a mapping with the keys {}", keys.join(", "));
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    };
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST).chain("…".chars()).collect()
}

/// The known name nearest to a written one, if one is near enough to be meant.
fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let allowed = (written.chars().count() / 3).max(1);
    let written = written.to_lowercase();
    known
        .iter()
        .map(|name| (distance(&written, &name.to_lowercase()), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions and replacements between two names.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != *other);
            line.push(replaced.min(above[column + 1] + 1).min(line[column] + 1));
        }
        above = line;
    }
    above.last().copied().unwrap_or_default()
}
