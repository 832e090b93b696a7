//! Builds what is missing of the servers for the stack tests, and prints where each one is.
//!
//! It installs nothing: Prometheus and its node exporter come from the system's packages.

use std::process::ExitCode;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints its result"
)]
fn main() -> ExitCode {
    let built = ng_tests::tools::build_missing(|name| eprintln!("building {name}"));
    if let Err(error) = built {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    match ng_tests::Tools::locate() {
        Ok(tools) => {
            for (name, path) in tools.list() {
                println!("{name}\t{}", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(missing) => {
            eprintln!("error: {missing}");
            ExitCode::FAILURE
        }
    }
}
