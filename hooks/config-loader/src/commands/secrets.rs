//! The secrets that `k8s` is given: a folder, a manifest, or names with their texts.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ng_config::{Secret, documents, read_secrets};
use serde_json::{Map, Value};

use super::files::ConfigFile;

const EXPECTED: &str = "expected a Secret (kind Secret of v1, with stringData or data) or an object of names and texts, \
                        such as {\"email-password\": \"...\"}";

/// Kubernetes takes keys of at most this many bytes.
const MAX_NAME: usize = 253;

/// Reads the text of an entry, or says what was expected.
type Decode = fn(&Value) -> Result<String, &'static str>;

/// The secrets of a folder or file; every mistake is found at once, and no value is shown.
pub(super) fn given(path: &Path) -> anyhow::Result<BTreeMap<String, Secret>> {
    let mut found = Found::default();
    let place = if path.is_dir() {
        let (secrets, unreadable) = read_secrets(path);
        let unreadable = unreadable.iter().map(ToString::to_string);
        found.problems.extend(unreadable);
        for (name, secret) in secrets {
            found.add("", &name, Ok(secret.expose().to_owned()));
        }
        path.display().to_string()
    } else {
        let file = ConfigFile::read(path)?;
        found.read(&file);
        file.name
    };
    if found.problems.is_empty() {
        return Ok(found.secrets);
    }
    let problems = found.problems.iter();
    let lines: Vec<String> = problems.map(|it| format!("{place}: {it}")).collect();
    bail!("{}", lines.join("\n"))
}

/// What has been read so far.
#[derive(Default)]
struct Found {
    secrets: BTreeMap<String, Secret>,
    problems: Vec<String>,
}

impl Found {
    fn read(&mut self, file: &ConfigFile) {
        // What a parser says may quote a secret.
        let Ok(documents) = documents(&file.text, file.format) else {
            let problem = format!("{EXPECTED}; it cannot be parsed");
            return self.problems.push(problem);
        };
        let [document] = documents.as_slice() else {
            let problem = format!("{EXPECTED}; found {} documents", documents.len());
            return self.problems.push(problem);
        };
        let twice = document.duplicates.iter();
        self.problems
            .extend(twice.map(|key| format!("{key:?}: the key is given more than once")));
        match &document.value {
            Value::Object(object) if is_manifest(object) => self.read_manifest(object),
            Value::Object(texts) => self.add_all("", texts, plain),
            other => self
                .problems
                .push(format!("{EXPECTED}; found {}", kind(other))),
        }
    }

    /// Of a name in both, `stringData` counts, as it does for the API server.
    fn read_manifest(&mut self, object: &Map<String, Value>) {
        let text = |key, absent| {
            object
                .get(key)
                .map_or(absent, |it| it.as_str().unwrap_or(""))
        };
        let (version, kind_found) = (text("apiVersion", "v1"), text("kind", ""));
        if (version, kind_found) != ("v1", "Secret") {
            return self.problems.push(format!(
                "{EXPECTED}; found apiVersion {version:?}, kind {kind_found:?}"
            ));
        }
        let fields: [(&str, Decode); 2] = [("data", decoded), ("stringData", plain)];
        for (field, decode) in fields {
            match object.get(field) {
                None | Some(Value::Null) => {}
                Some(Value::Object(texts)) => self.add_all(&format!("{field}."), texts, decode),
                Some(other) => self.problems.push(format!(
                    "{field}: expected an object of names and texts, found {}",
                    kind(other)
                )),
            }
        }
    }

    fn add_all(&mut self, prefix: &str, texts: &Map<String, Value>, decode: Decode) {
        for (name, value) in texts {
            let text = decode(value)
                .map_err(|expected| format!("expected {expected}, found {}", kind(value)));
            self.add(prefix, name, text);
        }
    }

    fn add(&mut self, prefix: &str, name: &str, text: Result<String, String>) {
        if !is_name(name) {
            self.problems.push(format!(
                "{prefix}{name:?}: expected a name of letters, digits, '-', '_' and '.' that does not begin with '.'"
            ));
        }
        match text {
            Ok(text) => {
                // As the mounted file will be read.
                let text = text.trim_end_matches(['\n', '\r']);
                self.secrets.insert(name.to_owned(), Secret::new(text));
            }
            Err(problem) => self.problems.push(format!("{prefix}{name:?}: {problem}")),
        }
    }
}

/// No secret of ours has one of these names, and every object of Kubernetes has both.
fn is_manifest(object: &Map<String, Value>) -> bool {
    object.contains_key("apiVersion") || object.contains_key("kind")
}

/// What Kubernetes takes as a key. A file whose name begins with a dot would not be read when it is mounted.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fits)
}

fn plain(value: &Value) -> Result<String, &'static str> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or("a text (a number needs quotes)")
}

fn decoded(value: &Value) -> Result<String, &'static str> {
    const EXPECTED: &str = "a text in base64";
    let text = value.as_str().ok_or(EXPECTED)?;
    // Lines of wrapped base64 are one.
    let packed: String = text.split_ascii_whitespace().collect();
    let bytes = BASE64_STANDARD.decode(packed).map_err(|_| EXPECTED)?;
    String::from_utf8(bytes).map_err(|_| "UTF-8 text in base64")
}

/// What kind of value it is; the value may be a secret.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "another text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
