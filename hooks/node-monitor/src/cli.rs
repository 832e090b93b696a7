//! The command line: everything that is not a run for shell-operator.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use ng_hook::Env;

use crate::commands::history::{self, HistoryArgs};
use crate::commands::report::{self, ReportArgs};
use crate::commands::top::{self, TopArgs};
use crate::commands::{self, Desk, USAGE};

/// Watches nodes by thresholds, without rules
#[derive(Debug, Parser)]
#[command(
    name = "node-monitor",
    version,
    after_help = "Without arguments it runs once on the contexts in the file BINDING_CONTEXT_PATH.\n\
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
    /// Show the readings of a node
    History(HistoryArgs),
    /// Show the nodes as a live table, the worst first
    Top(TopArgs),
    /// Write a page with all nodes, their trends and what was wrong
    Report(ReportArgs),
}

/// Carries out what the arguments say.
pub fn commands(arguments: Vec<OsString>) -> ExitCode {
    let name = OsString::from("node-monitor");
    let cli = match Cli::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let env = Env::from_process();
    let Some(command) = cli.command.filter(|_| !cli.config) else {
        let message = if cli.config {
            "--config takes no further arguments"
        } else {
            "expected a command"
        };
        return refuse(&clap::Error::raw(
            ErrorKind::MissingSubcommand,
            format!("{message}\n"),
        ));
    };
    commands::run(match &command {
        Command::Top(arguments) => top::top(arguments, &env),
        Command::History(arguments) => {
            Desk::new(env).and_then(|desk| history::history(arguments, &desk))
        }
        Command::Report(arguments) => {
            Desk::new(env).and_then(|desk| report::report(arguments, &desk))
        }
    })
}

/// Help goes to stdout, mistakes to stderr; a reader that has gone away changes neither.
fn refuse(error: &clap::Error) -> ExitCode {
    let _unread = error.print();
    if error.use_stderr() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}
