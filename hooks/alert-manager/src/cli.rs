//! The command line: everything that is not a run for shell-operator.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use ng_hook::Env;

use crate::commands::{direct, preview, trial};
use crate::outbox;

/// Delivers the alerts of the outbox
#[derive(Debug, Parser)]
#[command(
    name = "alert-manager",
    version,
    after_help = "Without arguments it runs once on the contexts in the file BINDING_CONTEXT_PATH.\n\
                  With four arguments it delivers one alert at once: alert-manager TEMPLATE RULE_JSON NODES_JSON CHANNELS_JSON\n\
                  Exit status: 0 done, 1 failed, 2 wrong usage"
)]
struct Cli {
    /// Print the bindings for shell-operator
    #[arg(long)]
    config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show alerts and dead letters, try them again or drop them
    Outbox(outbox::OutboxArgs),
    /// Show what would go out, from files
    Preview(preview::PreviewArgs),
    /// Send a message that says that it is a test
    Test(trial::TestArgs),
}

/// Carries out what the arguments say.
pub fn commands(arguments: Vec<OsString>) -> ExitCode {
    let env = Env::from_process();
    if let Some(call) = direct::arguments(&arguments) {
        return direct::run(&env, &call);
    }
    let name = OsString::from("alert-manager");
    let cli = match Cli::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match cli.command {
        Some(Command::Outbox(arguments)) => outbox::run(&env, &arguments),
        Some(Command::Preview(arguments)) => preview::run(&env, &arguments),
        Some(Command::Test(arguments)) => trial::run(&env, &arguments),
        None => {
            let message = if cli.config {
                "--config takes no further arguments"
            } else {
                "expected a command or the four arguments of a direct call"
            };
            refuse(&clap::Error::raw(
                ErrorKind::MissingSubcommand,
                format!("{message}\n"),
            ))
        }
    }
}

/// Help goes to stdout, mistakes to stderr; a reader that has gone away changes neither.
fn refuse(error: &clap::Error) -> ExitCode {
    let _unread = error.print();
    if error.use_stderr() {
        ExitCode::from(crate::commands::USAGE)
    } else {
        ExitCode::SUCCESS
    }
}
