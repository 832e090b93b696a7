//! The checkout as tests of the project itself see it: its files, and what cargo knows of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The checkout.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// A file of the checkout as text.
pub(crate) fn text(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// What cargo knows, with these further arguments.
pub(crate) fn metadata(arguments: &[&str]) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(arguments)
        .current_dir(root())
        .output()
        .context("cannot run cargo")?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata: {problem}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The items of a list in JSON; nothing if it is none.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text in JSON; empty if it is none.
pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Every file of the project, relative to the checkout: what git would take, or without git all but what is built.
pub(crate) fn files() -> Result<Vec<String>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root())
        .output()
        .ok()
        .filter(|output| output.status.success());
    let mut files: Vec<String> = match listed {
        Some(output) => String::from_utf8(output.stdout)?
            .split_terminator('\0')
            .map(str::to_owned)
            .collect(),
        None => below(&root(), &root())?,
    };
    files.retain(|file| root().join(file).is_file());
    ensure!(!files.is_empty(), "the checkout has no files");
    Ok(files)
}

/// Every Rust source file.
pub(crate) fn sources() -> Result<Vec<String>> {
    let mut files = files()?;
    files.retain(|file| Path::new(file).extension().is_some_and(|end| end == "rs"));
    Ok(files)
}

fn below(dir: &Path, root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
        if ["target", ".git", ".cache"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            files.extend(below(&path, root)?);
        } else {
            files.push(name);
        }
    }
    Ok(files)
}
