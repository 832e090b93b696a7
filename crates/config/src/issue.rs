//! What is wrong or doubtful, and where each value came from.

use std::fmt;

/// One thing wrong or doubtful: where, at which path, and what. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    place: String,
    path: String,
    detail: String,
}

impl Issue {
    pub(crate) fn new(
        place: impl fmt::Display,
        path: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Issue {
            place: place.to_string(),
            path: path.into(),
            detail: detail.into(),
        }
    }

    /// The file, variable or Secret file.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The path of the setting, such as `email.to[1]`; empty where the whole file is meant.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong, and what was expected.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.detail)
    }
}

/// Where an effective value came from, highest precedence first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file of the mounted Secret, by its name.
    Secret(String),
    /// The configuration file, by its name.
    File(String),
    /// An environment variable.
    Env(&'static str),
    /// Built in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Secret(file) => write!(f, "secret {file}"),
            Origin::File(name) => f.write_str(name),
            Origin::Env(variable) => f.write_str(variable),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// One effective setting, fit to be shown: a secret is masked.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The path, such as `email.smtpPort`.
    pub path: String,
    /// The value in the form of the configuration file; unset is an empty text.
    pub value: serde_json::Value,
    /// Where it came from.
    pub origin: Origin,
    /// What the setting is for, in one line.
    pub doc: &'static str,
    /// The name of its Secret file, where it has one besides section and key in kebab case.
    pub(crate) secret_file: Option<&'static str>,
    /// What the setting may be, as JSON Schema.
    pub(crate) schema: fn() -> serde_json::Value,
}
