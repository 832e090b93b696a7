//! How a command ends: its result on stdout, the reason of a failure on stderr, and the exit status.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;

/// Something is wrong that another call of the same kind can do right.
const FAILED: u8 = 1;
/// Wrong usage.
const USAGE: u8 = 2;

/// The result of a command.
#[derive(Debug)]
pub(super) struct Printed {
    text: String,
    /// Whether the result is that something is wrong.
    failed: bool,
}

/// Why a command has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was asked for does not exist.
    Usage(anyhow::Error),
    /// It could not be done.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Failed(error)
    }
}

impl Printed {
    pub(super) fn done(text: impl Into<String>) -> Self {
        Printed {
            text: text.into(),
            failed: false,
        }
    }

    pub(super) fn json(value: &impl Serialize) -> Result<Self, Failure> {
        let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?;
        Ok(Self::done(text + "\n"))
    }

    /// The same result, which says that something is wrong.
    pub(super) fn failed_if(mut self, failed: bool) -> Self {
        self.failed = failed;
        self
    }
}

/// Help, version, or what is wrong with the arguments.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    // Help goes to stdout, mistakes to stderr; a reader that has gone away changes neither.
    let _unread = error.print();
    if error.use_stderr() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

pub(super) fn finish(result: Result<Printed, Failure>) -> ExitCode {
    let (error, status) = match result {
        Ok(printed) => match write(&printed.text) {
            Ok(()) if printed.failed => return ExitCode::from(FAILED),
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (
                anyhow::Error::new(error).context("cannot write to stdout"),
                FAILED,
            ),
        },
        Err(Failure::Usage(error)) => (error, USAGE),
        Err(Failure::Failed(error)) => (error, FAILED),
    };
    let mut stderr = io::stderr().lock();
    for line in format!("{error:#}").lines() {
        // Without a reader the exit status has to do.
        let _unread = writeln!(stderr, "{}: {line}", crate::NAME);
    }
    ExitCode::from(status)
}

/// Writes all of it; someone who stops reading has seen enough.
fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
