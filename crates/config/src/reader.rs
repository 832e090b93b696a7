//! Looks settings up through the layers, highest first: Secret files, the file, the environment, the default.
//!
//! The code that reads a setting is the only place that knows it, and from it follow the keys that are known, the
//! Secret files that are, the origins and the schema. A wrong value is noted and the next layer taken, so
//! that one pass finds every mistake.

use std::borrow::Cow;

use crate::issue::{Entry, Issue, Origin};
use crate::key::{Key, kebab};
use crate::resolve::{Detail, Inputs, Resolution};
use crate::setting::{Setting, Wrong};
use crate::suggest::nearest;
use crate::tree::{Map, Node};
use crate::value::{Typed, Value};

/// A variable and what it says of one setting.
type EnvText = (&'static str, String);

/// Reads one document with its layers.
pub(crate) struct Reader<'a> {
    inputs: &'a Inputs<'a>,
    root: &'a Map<'a>,
    /// The node monitor's own file.
    monitor: Option<&'a Map<'a>>,
    /// Its name, while settings are read from it.
    own_file: Option<&'a str>,
    /// The paths read so far, as section and key.
    known: Vec<(&'static str, &'static str)>,
    known_files: Vec<Cow<'static, str>>,
    out: Findings,
}

#[derive(Default)]
struct Findings {
    entries: Vec<Entry>,
    errors: Vec<Issue>,
    warnings: Vec<Issue>,
    /// Keys of a file nobody read.
    unknown: Vec<Unknown>,
}

/// A key that nobody read.
struct Unknown {
    file: String,
    section: &'static str,
    key: String,
}

/// The section of the node monitor.
const MONITOR: &str = "nodeMonitor";

/// Reads the settings of one section.
pub(crate) struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    name: &'static str,
    map: Option<&'a Map<'a>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        inputs: &'a Inputs<'a>,
        root: &'a Map<'a>,
        monitor: Option<&'a Map<'a>>,
    ) -> Self {
        Reader {
            inputs,
            root,
            monitor,
            own_file: None,
            known: Vec::new(),
            known_files: Vec::new(),
            out: Findings::default(),
        }
    }

    fn file_name(&self) -> &'a str {
        let main = || self.inputs.file.as_ref().map_or("", |file| file.name);
        self.own_file.unwrap_or_else(main)
    }

    /// A path as it stands in the file that is being read: the monitor's own file has no section around it.
    fn in_file(&self, path: String) -> String {
        if self.own_file.is_none() {
            return path;
        }
        in_own_file(path)
    }

    pub(crate) fn error(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        let issue = Issue::new(self.file_name(), self.in_file(path.into()), detail);
        self.out.errors.push(issue);
    }

    fn warn(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        let issue = Issue::new(self.file_name(), self.in_file(path.into()), detail);
        self.out.warnings.push(issue);
    }

    /// Reads what stands at the top of the document.
    pub(crate) fn top<T>(&mut self, read: impl FnOnce(&mut Section<'_, 'a>) -> T) -> T {
        let map = Some(self.root);
        read(&mut Section {
            reader: self,
            name: "",
            map,
        })
    }

    /// Reads what only the environment can set: the file has no such key.
    pub(crate) fn env_only<T>(&mut self, read: impl FnOnce(&mut Section<'_, 'a>) -> T) -> T {
        let (keys, files) = (self.known.len(), self.known_files.len());
        let value = read(&mut Section {
            reader: self,
            name: "",
            map: None,
        });
        self.known.truncate(keys);
        self.known_files.truncate(files);
        value
    }

    /// The value of a section that is read as it stands, absent when it is null.
    pub(crate) fn raw(&mut self, name: &'static str) -> Option<&'a Node<'a>> {
        self.known.push(("", name));
        self.root.get(name).filter(|node| **node != Node::Null)
    }

    /// The object at a section, an error if it is anything else.
    pub(crate) fn object(&mut self, name: &'static str) -> Option<&'a Map<'a>> {
        let map = match self.raw(name)? {
            Node::Map(map) => map,
            other => {
                self.error(name, format!("expected an object, found {}", other.kind()));
                return None;
            }
        };
        self.note_duplicates(name, map);
        Some(map)
    }

    pub(crate) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Section<'_, 'a>) -> T,
    ) -> T {
        let map = self.object(name);
        self.read_map(name, map, read)
    }

    fn read_map<T>(
        &mut self,
        name: &'static str,
        map: Option<&'a Map<'a>>,
        read: impl FnOnce(&mut Section<'_, 'a>) -> T,
    ) -> T {
        let first = self.known.len();
        let value = read(&mut Section {
            reader: self,
            name,
            map,
        });
        for key in map.into_iter().flat_map(Map::keys) {
            let known = &self.known[first..];
            if !known
                .iter()
                .any(|(section, known)| *section == name && *known == key)
            {
                self.out.unknown.push(Unknown {
                    file: self.file_name().to_owned(),
                    section: name,
                    key: key.to_owned(),
                });
            }
        }
        value
    }

    /// Reads the settings of the node monitor: of its section, or else of its own file.
    pub(crate) fn monitor<T>(&mut self, read: impl FnOnce(&mut Section<'_, 'a>) -> T) -> T {
        let section = self.object(MONITOR).filter(|map| !map.0.is_empty());
        let map = section.or(self.monitor);
        if let (Some(_), Some(file)) = (section, self.inputs.monitor) {
            let detail = format!(
                "not used, because there is {MONITOR} in {}",
                self.file_name()
            );
            self.out.warnings.push(Issue::new(file.name, "", detail));
        } else {
            self.own_file = self.inputs.monitor.map(|file| file.name);
        }
        if let Some(map) = map.filter(|_| self.own_file.is_some()) {
            self.note_duplicates("", map);
        }
        let value = self.read_map(MONITOR, map, read);
        self.own_file = None;
        value
    }

    /// Warns of a key that is none of a few, in an object whose own name the user chose.
    pub(crate) fn expect_keys(&mut self, path: &str, map: &Map<'_>, known: &[&'static str]) {
        for key in map.keys().filter(|key| !known.contains(key)) {
            self.warn(
                format!("{path}.{key}"),
                unknown_key(nearest(key, known.iter().copied())),
            );
        }
        self.note_duplicates(path, map);
    }

    fn note_duplicates(&mut self, path: &str, map: &Map<'_>) {
        for key in map.duplicates() {
            self.warn(
                join(path, key),
                "the key is given more than once, the last one counts",
            );
        }
    }

    /// Whether anybody asks where the values came from.
    pub(crate) fn wants_entries(&self) -> bool {
        self.inputs.detail == Detail::Entries
    }

    pub(crate) fn record(&mut self, entry: Entry) {
        self.out.entries.push(entry);
    }

    /// The file as the origin of a value.
    pub(crate) fn file_origin(&self) -> Origin {
        Origin::File(self.file_name().to_owned())
    }

    /// Adds what can only be known after everything is read, and gives all findings back.
    pub(crate) fn finish(mut self, config: crate::Config) -> Resolution {
        self.note_duplicates("", self.root);
        for key in self.root.keys() {
            if key != "$schema" && !self.known.contains(&("", key)) {
                self.out.unknown.push(Unknown {
                    file: self.file_name().to_owned(),
                    section: "",
                    key: key.to_owned(),
                });
            }
        }
        let own = self.inputs.monitor.map(|file| file.name);
        for Unknown { file, section, key } in std::mem::take(&mut self.out.unknown) {
            let meant = self.meant(section, &key);
            let (path, meant) = if own == Some(file.as_str()) {
                (in_own_file(join(section, &key)), meant.map(in_own_file))
            } else {
                (join(section, &key), meant)
            };
            let issue = Issue::new(file, path, unknown_key(meant.as_deref()));
            self.out.warnings.push(issue);
        }
        for name in self.inputs.secrets.keys() {
            if !self.known_files.iter().any(|known| known == name) {
                let meant = nearest(name, self.known_files.iter().map(AsRef::as_ref));
                let hint =
                    meant.map_or_else(String::new, |name| format!(", did you mean \"{name}\"?"));
                self.out.warnings.push(Issue::new(
                    format!("secret {name}"),
                    "",
                    format!("unknown file{hint}"),
                ));
            }
        }
        let Findings {
            entries,
            errors,
            warnings,
            unknown: _,
        } = self.out;
        Resolution {
            config,
            entries,
            errors,
            warnings,
        }
    }

    /// The path somebody may have meant: a similar key of the section, or the same key of another.
    fn meant(&self, section: &str, key: &str) -> Option<String> {
        let siblings = self
            .known
            .iter()
            .filter(|(known, _)| *known == section)
            .map(|(_, name)| *name);
        let elsewhere = || {
            self.known
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(key))
        };
        match nearest(key, siblings) {
            Some(name) => Some(join(section, name)),
            None => elsewhere().map(|(section, name)| join(section, name)),
        }
    }
}

/// A path of the node monitor's settings as it stands in its own file.
fn in_own_file(path: String) -> String {
    let inner = path
        .strip_prefix(MONITOR)
        .map(|rest| rest.trim_start_matches('.').to_owned());
    inner.unwrap_or(path)
}

fn unknown_key(meant: Option<&str>) -> String {
    match meant {
        Some(name) => format!("unknown key, did you mean \"{name}\"?"),
        None => "unknown key".to_owned(),
    }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

impl<'a> Section<'_, 'a> {
    /// The name of the file of its own that the settings are read from.
    pub(crate) fn own_file(&self) -> Option<&'a str> {
        self.map.and(self.reader.own_file)
    }

    /// Says that a setting of this section is wrong in a way that only shows beside another one.
    pub(crate) fn error(&mut self, key: &str, detail: String) {
        self.reader.error(join(self.name, key), detail);
    }

    /// Reads a section within this one; `name` is its whole path.
    pub(crate) fn section<T>(
        &mut self,
        key: &'static str,
        name: &'static str,
        read: impl FnOnce(&mut Section<'_, 'a>) -> T,
    ) -> T {
        self.reader.known.push((self.name, key));
        let map = match self.map.and_then(|map| map.get(key)) {
            None | Some(Node::Null) => None,
            Some(Node::Map(map)) => Some(map),
            Some(other) => {
                let detail = format!("expected an object, found {}", other.kind());
                self.reader.error(name, detail);
                None
            }
        };
        if let Some(map) = map {
            self.reader.note_duplicates(name, map);
        }
        self.reader.read_map(name, map, read)
    }

    /// Whether a layer above the environment sets a key.
    pub(crate) fn is_set(&self, key: Key) -> bool {
        let in_file = self
            .map
            .and_then(|map| in_map(map, key))
            .is_some_and(|node| !is_blank(node));
        in_file
            || self
                .secret_names(key)
                .iter()
                .any(|name| self.secret_text(name).is_some())
    }

    /// The effective value of a setting.
    pub(crate) fn read<T: Setting>(&mut self, key: Key, default: T) -> T {
        let mut value = Typed(default);
        self.look_up(key, None, &mut value);
        value.0
    }

    /// The same where the default has several spellings: it is shown in this one.
    pub(crate) fn read_spelled<T: Setting>(&mut self, key: Key, default: T, spelling: &str) -> T {
        let mut value = Typed(default);
        self.look_up(key, Some(spelling), &mut value);
        value.0
    }

    /// How a setting that was read before is shown; nothing where nobody asks.
    pub(crate) fn shown(&self, path: &str) -> Option<&str> {
        let mut entries = self.reader.out.entries.iter();
        entries.find(|entry| entry.path == path)?.value.as_str()
    }

    /// The same for whatever type: there are dozens, and this is in every executable.
    fn look_up(&mut self, key: Key, default: Option<&str>, value: &mut dyn Value) {
        let names = self.secret_names(key);
        let in_env = self.env_text(key);
        let found = self
            .by_secrets(key, &names, value)
            .or_else(|| self.by_file(key, in_env.is_some(), value));
        let found = match (found, &in_env) {
            (Some(found), Some(hidden)) => {
                self.warn_of_hidden(key, hidden, value);
                Some(found)
            }
            (None, Some(used)) => self.by_env(key, used, value),
            (found, None) => found,
        };
        self.reader.known.push((self.name, key.name));
        let alias = key.alias.map(|alias| (self.name, alias));
        self.reader.known.extend(alias);
        self.reader.known_files.extend(names);
        if self.reader.wants_entries() {
            let origin = found.unwrap_or(Origin::Default);
            let text = match (&origin, &in_env) {
                (Origin::Env(_), Some((_, text))) => Some(text.as_str()),
                _ => default,
            };
            let shown = self.show(key, &origin, text, value);
            self.record(key, (origin, shown), value.schema());
        }
    }

    /// The value as it was written, masked where it is a secret; `text` is that of the variable or the default.
    fn show(
        &self,
        key: Key,
        origin: &Origin,
        text: Option<&str>,
        value: &dyn Value,
    ) -> serde_json::Value {
        let text = text.map(|text| Node::Text(text.into()));
        let written = match origin {
            // Whatever came out of a Secret is a secret, also where the file would show it.
            Origin::Secret(_) => return crate::secret::MASK.into(),
            Origin::File(_) => self.map.and_then(|map| in_map(map, key)),
            Origin::Env(_) | Origin::Default => text.as_ref(),
        };
        written.map_or_else(|| value.show(), |written| value.show_as(written))
    }

    fn record(
        &mut self,
        key: Key,
        (origin, value): (Origin, serde_json::Value),
        schema: fn() -> serde_json::Value,
    ) {
        self.reader.record(Entry {
            path: join(self.name, key.name),
            value,
            origin,
            doc: key.doc,
            secret_file: key.secret_file,
            schema,
        });
    }

    /// The names of the Secret files that may hold a key.
    fn secret_names(&self, key: Key) -> Vec<Cow<'static, str>> {
        if self.reader.inputs.secrets.is_empty() {
            return Vec::new();
        }
        let own = kebab(self.name, key.name);
        key.secret_file
            .map(Cow::Borrowed)
            .into_iter()
            .chain([Cow::Owned(own)])
            .collect()
    }

    /// The text of a Secret file; an empty one counts as absent.
    fn secret_text(&self, name: &str) -> Option<&str> {
        self.reader
            .inputs
            .secrets
            .get(name)
            .map(crate::Secret::expose)
            .filter(|text| !text.is_empty())
    }

    /// The text of the variable; an empty one counts as absent.
    fn env_text(&self, key: Key) -> Option<EnvText> {
        let (variable, part) = key.env?;
        let text = self
            .reader
            .inputs
            .env
            .get(variable)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())?;
        Some((variable, part.of(text)?.to_owned()))
    }

    fn by_secrets(
        &mut self,
        key: Key,
        names: &[Cow<'static, str>],
        value: &mut dyn Value,
    ) -> Option<Origin> {
        for name in names {
            let Some(text) = self.secret_text(name) else {
                continue;
            };
            // Blanks and line ends around it are left out where the value cannot have them, as a URL cannot; in a
            // password they count.
            let result = value.take_text(text);
            let result = result.or_else(|_| value.take_text(text.trim()));
            let origin = Origin::Secret(name.to_string());
            match result {
                Ok(()) => return Some(origin),
                Err(wrongs) => self.note_wrong(key, &origin, wrongs, value),
            }
        }
        None
    }

    fn by_file(&mut self, key: Key, env_is_set: bool, value: &mut dyn Value) -> Option<Origin> {
        let node = in_map(self.map?, key)?;
        let blank = match node {
            Node::Null => true,
            Node::Text(text) => text.is_empty() && value.blank_is_unset() && !key.blank_is_value,
            // An empty list is a value of its own, unless it would hide a variable.
            Node::List(items) => items.is_empty() && env_is_set,
            Node::Bool(_) | Node::Number(_) | Node::Map(_) => false,
        };
        if blank {
            return None;
        }
        let origin = self.reader.file_origin();
        match value.take_node(node) {
            Ok(()) => Some(origin),
            Err(wrongs) => {
                self.note_wrong(key, &origin, wrongs, value);
                None
            }
        }
    }

    fn by_env(
        &mut self,
        key: Key,
        (variable, text): &EnvText,
        value: &mut dyn Value,
    ) -> Option<Origin> {
        let origin = Origin::Env(variable);
        match value.take_text(text) {
            Ok(()) => Some(origin),
            Err(wrongs) => {
                self.note_wrong(key, &origin, wrongs, value);
                None
            }
        }
    }

    /// A wrong variable that a higher layer hides does no harm, but somebody should know.
    fn warn_of_hidden(&mut self, key: Key, (variable, text): &EnvText, value: &dyn Value) {
        if !value.takes(text) {
            let detail =
                "the variable is wrong, and not used because a higher layer sets the value";
            self.reader
                .out
                .warnings
                .push(Issue::new(variable, join(self.name, key.name), detail));
        }
    }

    /// Turns what a type says of a value into errors, without the value where it is a secret.
    fn note_wrong(&mut self, key: Key, origin: &Origin, wrongs: Vec<Wrong>, value: &dyn Value) {
        let hidden = value.is_secret() || matches!(origin, Origin::Secret(_));
        for wrong in wrongs {
            let mut path = format!("{}{}", join(self.name, key.name), wrong.at);
            if matches!(origin, Origin::File(_)) {
                path = self.reader.in_file(path);
            }
            let issue = Issue::new(origin, path, wrong.describe(hidden));
            self.reader.out.errors.push(issue);
        }
    }
}

/// The value of a key, under either of its names.
fn in_map<'m, 'a>(map: &'m Map<'a>, key: Key) -> Option<&'m Node<'a>> {
    map.get(key.name)
        .or_else(|| key.alias.and_then(|alias| map.get(alias)))
}

fn is_blank(node: &Node<'_>) -> bool {
    match node {
        Node::Null => true,
        Node::Text(text) => text.is_empty(),
        Node::List(items) => items.is_empty(),
        Node::Bool(_) | Node::Number(_) | Node::Map(_) => false,
    }
}
