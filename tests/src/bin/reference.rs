//! Writes the pages that are made from the definitions of the kinds and from the schema of the configuration.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

#[expect(clippy::print_stdout, reason = "a command prints its result")]
fn write() -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.parent().unwrap_or(package);
    for (path, text) in ng_tests::reference::pages(root)? {
        let mut file = std::fs::File::create(root.join(path)).context(path)?;
        file.write_all(text.as_bytes()).context(path)?;
        println!("{path}");
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a command says what went wrong")]
fn main() -> ExitCode {
    match write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
