//! One recorded binding context through a hook's executable, with everything it writes caught.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use ng_hook::env;
use serde_json::{Value, json};

use crate::show::{Paint, Tone};

/// Where the image has the controller.
const IN_IMAGE: &str = "/hooks/001-nodeguardian-controller";
/// How a hook finds the Kubernetes API.
const WAYS_TO_THE_API: [&str; 3] = [
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
];

/// Whether the hook may reach the Kubernetes API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Hidden,
    Allowed,
}

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) file: PathBuf,
    pub(crate) hook: PathBuf,
    pub(crate) now: Option<jiff::Timestamp>,
    pub(crate) config_dir: Option<PathBuf>,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) api: Api,
}

/// What the hook said and wrote.
#[derive(Debug)]
pub(crate) struct Told {
    /// `None`: a signal ended it.
    pub(crate) exit: Option<i32>,
    log: Vec<Value>,
    patches: Vec<Value>,
    metrics: Vec<Value>,
    error: String,
}

/// The hook to run; what is missing is told at once.
pub(crate) fn hook(given: Option<PathBuf>, file: &Path) -> Result<PathBuf, Vec<String>> {
    let mut problems = Vec::new();
    if !file.is_file() {
        problems.push(format!("{}: no such file", file.display()));
    }
    let beside = std::env::current_exe().ok().and_then(|program| {
        let path = program.parent()?.join("controller");
        path.is_file().then_some(path)
    });
    let hook = match given {
        Some(path) => path,
        None => beside.unwrap_or_else(|| PathBuf::from(IN_IMAGE)),
    };
    if !hook.is_file() {
        problems.push(format!(
            "{}: no such hook; name one with --hook",
            hook.display()
        ));
    }
    if problems.is_empty() {
        Ok(hook)
    } else {
        Err(problems)
    }
}

/// Runs the hook once.
pub(crate) fn run(request: &Request) -> anyhow::Result<Told> {
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    let at = |name: &str| folder.path().join(name);
    for name in ["state", "config", "home"] {
        fs::create_dir(at(name)).with_context(|| format!("cannot make {}", at(name).display()))?;
    }
    if let Some(state) = &request.state_dir {
        copy(state, &at("state")).with_context(|| format!("cannot copy {}", state.display()))?;
    }
    let mut command = Command::new(&request.hook);
    command
        .env(env::BINDING_CONTEXT_PATH, &request.file)
        .env(env::KUBERNETES_PATCH_PATH, at("patches"))
        .env(env::METRICS_PATH, at("metrics"))
        .env(env::STATE_DIR, at("state"))
        .env(
            env::CONFIG_DIR,
            request.config_dir.as_ref().unwrap_or(&at("config")),
        );
    if let Some(now) = request.now {
        command.env(env::NOW, now.to_string());
    }
    if request.api == Api::Hidden {
        for variable in WAYS_TO_THE_API {
            command.env_remove(variable);
        }
        // There may be a kubeconfig in the home directory.
        command.env("HOME", at("home"));
    }
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", request.hook.display()))?;
    Ok(Told {
        exit: output.status.code(),
        log: documents(&output.stdout),
        patches: documents(&fs::read(at("patches")).unwrap_or_default()),
        metrics: documents(&fs::read(at("metrics")).unwrap_or_default()),
        error: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Copies a directory with everything in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// One document a line; a line that is none stays text.
fn documents(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line)))
        .collect()
}

/// For machines.
pub(crate) fn json(told: &Told) -> Value {
    json!({
        "exitCode": told.exit,
        "log": told.log,
        "patches": told.patches,
        "metrics": told.metrics,
        "error": told.error,
    })
}

/// For people.
pub(crate) fn print(out: &mut impl Write, told: &Told, paint: Paint) -> io::Result<()> {
    writeln!(out, "log:")?;
    for line in &told.log {
        let text = logged(line);
        let tone = match line["level"].as_str() {
            Some("error") => Tone::Bad,
            Some("warn" | "warning") => Tone::Notable,
            _ => Tone::Quiet,
        };
        writeln!(out, "  {}", paint.text(tone, &text))?;
    }
    writeln!(out, "patches: {}", told.patches.len())?;
    for patch in &told.patches {
        for line in patched(patch) {
            writeln!(out, "  {line}")?;
        }
    }
    writeln!(out, "metrics: {}", told.metrics.len())?;
    if !told.error.is_empty() {
        writeln!(out, "{}", paint.text(Tone::Bad, &told.error))?;
    }
    match told.exit {
        Some(code) => writeln!(out, "exit status {code}"),
        None => writeln!(out, "ended by a signal"),
    }
}

/// A record as `level  message  key=value …`.
fn logged(line: &Value) -> String {
    let Value::Object(fields) = line else {
        return text(line);
    };
    let field = |key: &str| fields.get(key).map(text).unwrap_or_default();
    let mut shown = format!("{:5}  {}", field("level"), field("msg"));
    for (key, value) in fields {
        if !["level", "msg", "time"].contains(&key.as_str()) {
            shown.extend(["  ", key, "=", &text(value)]);
        }
    }
    shown
}

/// What an operation does to which object.
fn patched(patch: &Value) -> Vec<String> {
    let object = &patch["object"];
    let (kind, name) = if object.is_object() {
        (&object["kind"], &object["metadata"]["name"])
    } else {
        (&patch["kind"], &patch["name"])
    };
    let mut head = format!(
        "{} {} {}",
        text(&patch["operation"]),
        text(kind),
        text(name)
    );
    if let Some(part) = patch["subresource"].as_str() {
        head.extend([" (", part, ")"]);
    }
    let mut lines = vec![head];
    if let Some(message) = object["message"].as_str() {
        lines.push(format!("    {}: {message}", text(&object["reason"])));
    }
    if let Some(filter) = patch["jqFilter"].as_str() {
        lines.push(format!("    {filter}"));
    }
    let merged = &patch["mergePatch"];
    if !merged.is_null() {
        lines.push(format!("    {merged}"));
    }
    lines
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
