//! The project's own executables: built by cargo as the tests need them, or taken from a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::tools::variable;

/// Folder with built executables; without it cargo builds them like the tests.
pub const BINARIES_VARIABLE: &str = "NODEGUARDIAN_BIN_DIR";

static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());

/// The executable `binary` of the package `package`.
pub fn program(package: &str, binary: &str) -> Result<PathBuf> {
    if let Some(dir) = variable(BINARIES_VARIABLE) {
        let path = Path::new(&dir).join(binary);
        ensure!(
            path.is_file(),
            "{BINARIES_VARIABLE}: no file {}",
            path.display()
        );
        return Ok(path);
    }
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(binary) {
        return Ok(path.clone());
    }
    let path = build(package, binary)?;
    built.insert(binary.to_owned(), path.clone());
    Ok(path)
}

/// Asks cargo, which knows the target folder and whether anything is to be built.
fn build(package: &str, binary: &str) -> Result<PathBuf> {
    let cargo = variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["build", "--package", package, "--bin", binary])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "cargo build of {binary} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    executable(&String::from_utf8_lossy(&output.stdout), binary)
        .with_context(|| format!("cargo built {package} without naming {binary}"))
}

fn executable(messages: &str, binary: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == binary)
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"b"},"executable":"/t/b"}
{"reason":"compiler-artifact","target":{"name":"a"},"executable":"/t/a"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "a"), Some(PathBuf::from("/t/a")));
        assert_eq!(executable(messages, "c"), None);
    }
}
