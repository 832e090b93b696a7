//! The commands for people: what was read, as rows, as a live table and as a page.

pub(crate) mod history;
pub(crate) mod report;
pub(crate) mod scene;
pub(crate) mod top;

use std::fmt::{self, Display};
use std::io::Write as _;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use ng_config::{Config, Sources, duration, inspect};
use ng_engine::time::Time;
use ng_hook::Env;
use ng_samples::History;

/// The exit status of wrong usage.
pub(crate) const USAGE: u8 = 2;

/// What a command works with.
pub(crate) struct Desk {
    pub(crate) env: Env,
    pub(crate) config: Config,
    pub(crate) now: Time,
}

impl Desk {
    /// Reads the configuration as it is in use, and changes nothing.
    pub(crate) fn new(env: Env) -> anyhow::Result<Self> {
        let sources = Sources {
            config_dir: env.config_dir().to_path_buf(),
            secrets_dir: env.secrets_dir().to_path_buf(),
            state_dir: env.state_dir().to_path_buf(),
            env: env.variables(),
        };
        let now = env.now()?.unwrap_or_else(ng_hook::run::wall_clock);
        Ok(Self {
            config: inspect(&sources).config,
            now: Time::from(now),
            env,
        })
    }

    /// The history of readings.
    pub(crate) fn history(&self) -> anyhow::Result<History> {
        let directory = self.env.state_dir();
        let place = directory.display();
        History::read(directory)
            .with_context(|| format!("cannot read the history in {place}"))?
            .with_context(|| format!("there is no history in {place} yet: no check has been made"))
    }

    /// The time that is meant.
    pub(crate) fn since(&self, since: Since) -> Time {
        match since {
            Since::At(time) => time,
            Since::Ago(span) => self.now.minus(span),
        }
    }
}

/// Where something begins, as it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    At(Time),
    Ago(Duration),
}

impl FromStr for Since {
    type Err = Usage;

    fn from_str(text: &str) -> Result<Self, Usage> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        duration::parse(text).map(Self::Ago).map_err(|_| {
            let message = "expected a duration such as 6h, or a time such as 2026-01-02T03:04:05Z";
            Usage(message.to_owned())
        })
    }
}

/// A call that is wrong however often it is made.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl Display for Usage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Carries out a command: prints its result, or the reason why there is none.
pub(crate) fn run(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unread = writeln!(std::io::stderr(), "node-monitor: {error:#}");
            if error.is::<Usage>() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Prints to stdout; a reader that has gone away has seen enough.
pub(crate) fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = write!(out, "{text}").and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot print"),
    }
}

/// The whole seconds of a span.
pub(crate) fn seconds(span: Duration) -> u64 {
    span.as_secs()
}
