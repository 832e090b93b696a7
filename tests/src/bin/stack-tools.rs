//! Builds what is missing of the servers and clients for the tests, and prints where each one is.
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
    match (ng_tests::Tools::locate(), ng_tests::Clients::locate()) {
        (Ok(tools), Ok(clients)) => {
            for (name, path) in tools.list().into_iter().chain(clients.list()) {
                println!("{name}\t{}", path.display());
            }
            ExitCode::SUCCESS
        }
        (tools, clients) => {
            for missing in [tools.err(), clients.err()].into_iter().flatten() {
                eprintln!("error: {missing}");
            }
            ExitCode::FAILURE
        }
    }
}
