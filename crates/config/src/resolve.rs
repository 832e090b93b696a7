//! From texts to a configuration: the pure part, without any I/O.

use std::collections::BTreeMap;
use std::fmt;

use crate::issue::{Entry, Issue};
use crate::model::Config;
use crate::reader::Reader;
use crate::secret::Secret;
use crate::sections;
use crate::tree::{Format, Map, Node};

/// A configuration file that has been read.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// The name for messages, such as `config.json`.
    pub name: &'a str,
    /// The content.
    pub text: &'a str,
    /// How it is written.
    pub format: Format,
}

/// Everything a configuration is made of.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The configuration file; without one the layers below hold.
    pub file: Option<File<'a>>,
    /// The node monitor's own file, in the form of the former stand-alone monitor.
    pub monitor: Option<File<'a>>,
    /// The Secret's files by name, line ends at their ends removed.
    pub secrets: &'a BTreeMap<String, Secret>,
    /// The environment.
    pub env: &'a BTreeMap<String, String>,
    /// How much is told.
    pub detail: Detail,
}

/// How much a resolution tells besides the configuration, its errors and warnings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Every effective setting and where it came from.
    #[default]
    Entries,
    /// Nothing: for runs that only use the values, of which there are many.
    Values,
}

impl Default for Inputs<'_> {
    fn default() -> Self {
        static SECRETS: BTreeMap<String, Secret> = BTreeMap::new();
        static ENV: BTreeMap<String, String> = BTreeMap::new();
        Inputs {
            file: None,
            monitor: None,
            secrets: &SECRETS,
            env: &ENV,
            detail: Detail::default(),
        }
    }
}

impl fmt::Debug for Inputs<'_> {
    /// Names the variables, but shows no values: some are passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs")
            .field("file", &self.file.map(|file| file.name))
            .field("monitor", &self.monitor.map(|file| file.name))
            .field("secrets", &self.secrets.keys())
            .field("env", &self.env.keys())
            .field("detail", &self.detail)
            .finish()
    }
}

/// A configuration with all that was found on the way to it. It is complete even with errors: in place of
/// a wrong value stands the one of the next layer.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// The configuration.
    pub config: Config,
    /// Every effective setting and where it came from, secrets masked.
    pub entries: Vec<Entry>,
    /// What makes the configuration invalid.
    pub errors: Vec<Issue>,
    /// What may be a mistake.
    pub warnings: Vec<Issue>,
}

/// Checks and combines all layers; every mistake is found at once.
pub fn resolve(inputs: &Inputs<'_>) -> Resolution {
    let mut syntax_errors = Vec::new();
    let root = parsed(inputs.file, &mut syntax_errors).unwrap_or_default();
    let monitor = parsed(inputs.monitor, &mut syntax_errors);
    let mut reader = Reader::new(inputs, &root, monitor.as_ref());
    let config = sections::read(&mut reader);
    let mut resolution = reader.finish(config);
    resolution.errors.splice(0..0, syntax_errors);
    resolution
}

/// The document of a file, if there is one and it can be read.
fn parsed<'a>(file: Option<File<'a>>, errors: &mut Vec<Issue>) -> Option<Map<'a>> {
    parse(&file?).map_err(|issue| errors.push(issue)).ok()
}

/// The document of a file, which must be an object; an empty YAML document is one without keys.
pub(crate) fn parse<'a>(file: &File<'a>) -> Result<Map<'a>, Issue> {
    match Node::parse(file.text, file.format) {
        Ok(Node::Map(map)) => Ok(map),
        Ok(Node::Null) if file.format == Format::Yaml => Ok(Map::default()),
        Ok(other) => Err(Issue::new(
            file.name,
            "",
            format!("expected an object, found {}", other.describe()),
        )),
        Err(error) => {
            let position = error.position.map_or_else(String::new, |(line, column)| {
                format!("line {line}, column {column}: ")
            });
            Err(Issue::new(
                file.name,
                "",
                format!("{position}{}", error.reason),
            ))
        }
    }
}
