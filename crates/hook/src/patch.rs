//! Object patches as values, and the file through which shell-operator applies them.
//!
//! A run that fails half-way is repeated as a whole, so only operations that can be applied twice
//! can be made: no plain create, no blocking delete, no removal by position.

#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// A patch that shell-operator would refuse, or could not repeat.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot patch {object}: {reason}")]
pub struct PatchError {
    object: String,
    reason: String,
}

/// The object of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    api_version: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subresource: Option<String>,
}

impl Target {
    /// An object outside of namespaces.
    pub fn cluster(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: name.to_owned(),
            subresource: None,
        }
    }

    /// An object in a namespace.
    pub fn namespaced(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..Self::cluster(api_version, kind, name)
        }
    }

    /// A node.
    pub fn node(name: &str) -> Self {
        Self::cluster("v1", "Node", name)
    }

    /// A part of the object that is written on its own, such as `status`.
    #[must_use]
    pub fn subresource(mut self, subresource: &str) -> Self {
        self.subresource = Some(subresource.to_owned());
        self
    }

    fn shown(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }

    fn refuse(&self, reason: impl Into<String>) -> PatchError {
        PatchError {
            object: self.shown(),
            reason: reason.into(),
        }
    }

    fn check(self) -> Result<Self, PatchError> {
        let fields = [
            ("apiVersion", Some(&self.api_version)),
            ("kind", Some(&self.kind)),
            ("namespace", self.namespace.as_ref()),
            ("name", Some(&self.name)),
            ("subresource", self.subresource.as_ref()),
        ];
        match fields
            .iter()
            .find(|(_, value)| value.is_some_and(String::is_empty))
        {
            Some((field, _)) => Err(self.refuse(format!("{field} is empty"))),
            None => Ok(self),
        }
    }
}

/// A step of a JSON patch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum JsonPatchStep {
    /// Fails the patch unless the value is this: guards what follows against other writers.
    Test {
        /// JSON pointer.
        path: String,
        /// The expected value.
        value: Value,
    },
    /// Sets a field of an object, whether it is there or not.
    Add {
        /// JSON pointer; not into a list, where a repetition would add once more.
        path: String,
        /// The new value.
        value: Value,
    },
    /// Sets a field or list item that is there.
    Replace {
        /// JSON pointer.
        path: String,
        /// The new value.
        value: Value,
    },
}

/// JSON as it will be written.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
struct Document(Box<RawValue>);

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// One change of one object that can be applied twice.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatchOperation {
    operation: &'static str,
    #[serde(flatten)]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_missing_object: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merge_patch: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jq_filter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Document>,
}

impl PatchOperation {
    /// Sets the given fields; `null` removes one. Lists are replaced whole: patch a list that
    /// others write, too, with [`jq`](Self::jq). An object that is gone is no error.
    pub fn merge(target: Target, patch: &impl Serialize) -> Result<Self, PatchError> {
        let target = target.check()?;
        let patch = to_raw_value(patch).map_err(|error| target.refuse(error.to_string()))?;
        if !patch.get().starts_with('{') || patch.get() == "{}" {
            return Err(target.refuse("a merge patch is an object with at least one field"));
        }
        Ok(Self {
            merge_patch: Some(Document(patch)),
            ..Self::change("MergePatch", target)
        })
    }

    /// Reads the object, filters it and writes it back, again after a conflict; what the filter
    /// leaves as it was is not written. An object that is gone is no error.
    pub fn jq(target: Target, filter: impl Into<String>) -> Result<Self, PatchError> {
        let (target, filter) = (target.check()?, filter.into());
        if filter.trim().is_empty() {
            return Err(target.refuse("the jq filter is empty"));
        }
        Ok(Self {
            jq_filter: Some(filter),
            ..Self::change("JQPatch", target)
        })
    }

    /// Applies the steps in order, all or none. An object that is gone is no error.
    pub fn json(target: Target, steps: &[JsonPatchStep]) -> Result<Self, PatchError> {
        let target = target.check()?;
        if steps.is_empty() {
            return Err(target.refuse("the JSON patch has no steps"));
        }
        for step in steps {
            step.check().map_err(|reason| target.refuse(reason))?;
        }
        // As a string: of a list, shell-operator checks the first step against a wrong schema.
        let text =
            serde_json::to_string(steps).map_err(|error| target.refuse(error.to_string()))?;
        Ok(Self {
            json_patch: Some(text),
            ..Self::change("JSONPatch", target)
        })
    }

    /// Creates an object with a fixed name unless there is one of that name.
    pub fn create_if_not_exists(object: &Value) -> Result<Self, PatchError> {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let shown = Target::cluster(
            text("/apiVersion"),
            text("/kind"),
            // A generated name would be a new one at each repetition.
            text("/metadata/name"),
        );
        Self::create_named(shown, object)
    }

    /// As [`create_if_not_exists`](Self::create_if_not_exists), for a document that is written as it is: `target` says
    /// once more which object that is.
    pub fn create_named(target: Target, object: &impl Serialize) -> Result<Self, PatchError> {
        let target = target.check()?;
        let object = to_raw_value(object).map_err(|error| target.refuse(error.to_string()))?;
        if !object.get().starts_with('{') {
            return Err(target.refuse("it is not an object"));
        }
        Ok(Self {
            object: Some(Document(object)),
            ..Self::empty("CreateIfNotExists")
        })
    }

    /// Deletes the object and does not wait until it is gone; one that is gone is no error.
    pub fn delete_in_background(target: Target) -> Result<Self, PatchError> {
        let target = target.check()?;
        if target.subresource.is_some() {
            return Err(target.refuse("a subresource cannot be deleted"));
        }
        Ok(Self {
            target: Some(target),
            ..Self::empty("DeleteInBackground")
        })
    }

    /// Makes an object that is gone an error, which fails the run; for patches.
    #[must_use]
    pub fn require_object(mut self) -> Self {
        self.ignore_missing_object = self.ignore_missing_object.map(|_| false);
        self
    }

    /// The operation as one line of JSON, line break included.
    pub fn to_json_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|line| line + "\n")
    }

    fn change(operation: &'static str, target: Target) -> Self {
        Self {
            target: Some(target),
            ignore_missing_object: Some(true),
            ..Self::empty(operation)
        }
    }

    fn empty(operation: &'static str) -> Self {
        Self {
            operation,
            target: None,
            ignore_missing_object: None,
            merge_patch: None,
            jq_filter: None,
            json_patch: None,
            object: None,
        }
    }
}

impl JsonPatchStep {
    fn check(&self) -> Result<(), String> {
        let (path, adds) = match self {
            Self::Test { path, .. } | Self::Replace { path, .. } => (path, false),
            Self::Add { path, .. } => (path, true),
        };
        if !path.starts_with('/') {
            return Err(format!(
                "JSON patch: expected a path such as /spec/x, found {path:?}"
            ));
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        if adds && (last == "-" || last.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(format!(
                "JSON patch: adding at {path} would add again when repeated"
            ));
        }
        Ok(())
    }
}

/// Writes operations, all at once: to the file, or to stdout without one. None: nothing is opened.
pub fn write(operations: &[PatchOperation], path: Option<&Path>) -> Result<(), OutputError> {
    let mut text = String::new();
    for operation in operations {
        let line = operation
            .to_json_line()
            .map_err(|error| OutputError::new("object patches", path, error))?;
        text.push_str(&line);
    }
    write_output("object patches", &text, path)
}

/// An output that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the {what} to {}", path.as_deref().unwrap_or(Path::new("stdout")).display())]
pub struct OutputError {
    what: &'static str,
    path: Option<PathBuf>,
    source: io::Error,
}

impl OutputError {
    pub(crate) fn new(
        what: &'static str,
        path: Option<&Path>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self {
            what,
            path: path.map(Path::to_owned),
            source: source.into(),
        }
    }
}

/// Whether the file can be written, as far as that can be told without making it: what a run decides and cannot hand
/// over would be lost.
fn check_output(what: &'static str, path: Option<&Path>) -> Result<(), OutputError> {
    let Some(path) = path else {
        return Ok(());
    };
    match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && has_folder(path) => Ok(()),
        opened => opened
            .map(drop)
            .map_err(|error| OutputError::new(what, Some(path), error)),
    }
}

fn has_folder(path: &Path) -> bool {
    path.parent()
        .is_some_and(|folder| folder.as_os_str().is_empty() || folder.is_dir())
}

/// Whether both outputs of a run can be written.
pub(crate) fn check_outputs(
    patches: Option<&Path>,
    metrics: Option<&Path>,
) -> Result<(), OutputError> {
    check_output("object patches", patches)?;
    check_output("metrics", metrics)
}

/// Appends the text with one write, so that no reader sees half of it.
pub(crate) fn write_output(
    what: &'static str,
    text: &str,
    path: Option<&Path>,
) -> Result<(), OutputError> {
    if text.is_empty() {
        return Ok(());
    }
    let written = match path {
        Some(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes())),
        None => write_stdout(text),
    };
    written.map_err(|source| OutputError::new(what, path, source))
}

/// Writes to stdout without its line buffer in between.
pub(crate) fn write_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
