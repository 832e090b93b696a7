//! Writes the files below `deploy` that are made from others, and names those that have changed.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use ng_tests::manifests::{checkout, copies};
use ng_tests::server::write_file;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints its result"
)]
fn main() -> ExitCode {
    match write() {
        Ok(changed) => {
            for path in changed {
                println!("{path}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for copy in copies()? {
        let path = checkout(&copy.path);
        if std::fs::read_to_string(&path).is_ok_and(|text| text == copy.text) {
            continue;
        }
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        write_file(&path, &copy.text)?;
        changed.push(copy.path);
    }
    Ok(changed)
}
