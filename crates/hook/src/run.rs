//! From arguments to exit status: `--config`, one run, help.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::config::HookConfig;
use crate::context::{ContextError, ContextFile, Sink};
use crate::env::{self, Env};
use crate::log::{Clock, Level, Logger, Output, Value};
use crate::patch::write_stdout;
use crate::report::Report;
use crate::{metrics, patch};

/// The time a run gives itself. shell-operator has no limit, but holds the queue meanwhile and
/// waits 30 s for it when it shuts down: within them the outputs must be written and applied.
pub const RUN_LIMIT: Duration = Duration::from_secs(25);

/// The longest reason that goes to stderr: the operator reads it in chunks of 32 KiB.
const MAX_REASON: usize = 8_000;

/// Wrong arguments.
const USAGE: u8 = 2;

/// A hook: what it listens to and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Hook {
    /// The program's name.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// Answers `--config`: no file, no network, no environment.
    pub bindings: fn() -> HookConfig,
    /// One run. An error means that nothing was done and repeating the run can help.
    pub handle: fn(&Run) -> anyhow::Result<Report>,
}

/// What one run has at hand.
#[derive(Debug)]
pub struct Run {
    /// The environment.
    pub env: Env,
    /// The time of this run.
    pub now: Timestamp,
    /// The log.
    pub log: Logger,
    /// When the run has to be over.
    pub deadline: Instant,
    contexts: ContextFile,
}

impl Run {
    /// A run in this environment, on the context file it names.
    pub fn from_env(env: Env) -> anyhow::Result<Self> {
        let contexts = ContextFile::from_env(&env)?;
        Self::with_contexts(env, contexts)
    }

    /// A run in this environment, on these contexts.
    pub fn with_contexts(env: Env, contexts: ContextFile) -> anyhow::Result<Self> {
        let started = Instant::now();
        let clock = match env.now()? {
            Some(now) => Clock { now, started: None },
            None => Clock {
                now: wall_clock(),
                started: Some(started),
            },
        };
        let output = match env.patch_path() {
            Some(_) => Output::Stdout,
            None => Output::Stderr,
        };
        Ok(Self {
            log: logger(&env, output, clock),
            now: clock.now,
            deadline: started + RUN_LIMIT,
            contexts,
            env,
        })
    }

    /// The binding contexts, to read more than once or to borrow from.
    pub fn contexts(&self) -> &ContextFile {
        &self.contexts
    }

    /// Reads all binding contexts into the sink.
    pub fn read_contexts<'a>(&'a self, sink: &mut impl Sink<'a>) -> Result<(), ContextError> {
        self.contexts.read(sink)
    }

    /// The time that is left; zero when the run should be over.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// A logger on stderr in this environment, for commands: their result goes to stdout.
pub fn command_logger(env: &Env) -> anyhow::Result<Logger> {
    let clock = Clock {
        now: env.now()?.unwrap_or_else(wall_clock),
        started: None,
    };
    Ok(logger(env, Output::Stderr, clock))
}

/// The time of the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a run takes its time; everything else gets it as an argument"
)]
pub fn wall_clock() -> Timestamp {
    Timestamp::now()
}

fn logger(env: &Env, output: Output, clock: Clock) -> Logger {
    let logger = Logger::with_clock(output, clock);
    match env.get(env::LOG_LEVEL).map(str::parse::<Level>) {
        Some(Ok(level)) => logger.set_level(level),
        Some(Err(error)) => {
            let fields = [
                ("variable", env::LOG_LEVEL.into()),
                ("error", Value::Shown(&error)),
            ];
            logger.warn("unknown log level, using info", &fields);
        }
        None => {}
    }
    logger
}

/// Runs the hook as the arguments of this process say.
pub fn run(hook: &Hook) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    protocol(hook, &arguments).unwrap_or_else(|| usage(hook, &arguments))
}

/// As [`run`], for a hook that is a command-line tool, too: `commands` gets all arguments that
/// shell-operator does not use, `--help` included.
pub fn run_with_commands(hook: &Hook, commands: fn(Vec<OsString>) -> ExitCode) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    protocol(hook, &arguments).unwrap_or_else(|| commands(arguments))
}

/// What shell-operator asks for; `None` if these are not its arguments. Compared by hand, since
/// building a command line parser would take longer than many a run.
fn protocol(hook: &Hook, arguments: &[OsString]) -> Option<ExitCode> {
    match arguments {
        [] => Some(run_once(hook, Env::from_process())),
        [only] if only == "--config" => Some(print_config(hook)),
        _ => None,
    }
}

fn print_config(hook: &Hook) -> ExitCode {
    let printed = (hook.bindings)()
        .to_json()
        .map_err(io::Error::from)
        .and_then(|config| write_stdout(&(config + "\n")));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(
            hook,
            &anyhow::Error::new(error).context("cannot print the bindings"),
        ),
    }
}

fn run_once(hook: &Hook, env: Env) -> ExitCode {
    match attempt(hook, env) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(hook, &reason),
    }
}

fn attempt(hook: &Hook, env: Env) -> anyhow::Result<()> {
    let run = Run::from_env(env)?;
    patch::check_outputs(run.env.patch_path(), run.env.metrics_path())?;
    let report = (hook.handle)(&run)?;
    for failure in &report.failures {
        let reason = format!("{:#}", failure.error);
        run.log.error(
            "part of the run failed",
            &[("error", reason.as_str().into())],
        );
    }
    // shell-operator reads no output of a failed run, so none is written: the same everywhere.
    if let Some(reason) = retry_reason(&report) {
        return Err(reason);
    }
    metrics::write(&report.metrics, run.env.metrics_path())?;
    patch::write(&report.patches, run.env.patch_path())?;
    Ok(())
}

fn retry_reason(report: &Report) -> Option<anyhow::Error> {
    let reasons: Vec<String> = report
        .retries()
        .map(|failure| format!("{:#}", failure.error))
        .collect();
    (!reasons.is_empty()).then(|| anyhow::anyhow!(reasons.join("; ")))
}

/// Writes the reason as one line to stderr, which is the operator's error text. The program's name
/// comes first, so that the line cannot be taken for JSON.
fn fail(hook: &Hook, reason: &anyhow::Error) -> ExitCode {
    let mut line: String = format!("{}: {reason:#}", hook.name)
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(MAX_REASON)
        .collect();
    line.push('\n');
    // Without a reader the exit status has to do.
    let _unread = io::stderr().lock().write_all(line.as_bytes());
    ExitCode::FAILURE
}

/// Help, version, or what is wrong with the arguments. Three options by hand: a parser of command lines would be a
/// fortieth of the executable, and hooks that are commands bring their own.
fn usage(hook: &Hook, arguments: &[OsString]) -> ExitCode {
    let (name, about) = (hook.name, hook.about);
    let asked = match arguments {
        [only] => only.to_str(),
        _ => None,
    };
    // Help goes to stdout, mistakes to stderr; a reader that has gone away changes neither.
    match asked {
        Some("-h" | "--help") => {
            let _unread = write_stdout(&format!("{about}\n\nUsage: {name} [--config]\n\n{HELP}\n"));
            ExitCode::SUCCESS
        }
        Some("-V" | "--version") => {
            let _unread = write_stdout(&format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        _ => {
            let given: Vec<_> = arguments
                .iter()
                .map(|argument| argument.to_string_lossy())
                .collect();
            let text = format!(
                "error: unexpected arguments: {}\n\nUsage: {name} [--config]\n\nFor more, try '--help'.\n",
                given.join(" ")
            );
            let _unread = io::stderr().lock().write_all(text.as_bytes());
            ExitCode::from(USAGE)
        }
    }
}

const HELP: &str = "\
Options:
      --config   Print the bindings for shell-operator
  -h, --help     Print help
  -V, --version  Print version

Without arguments it runs once on the contexts in the file BINDING_CONTEXT_PATH.";
