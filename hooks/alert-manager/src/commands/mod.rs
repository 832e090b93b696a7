//! What people call by hand: the old direct call, `preview` and `test`.
//!
//! Each is a function from an environment and arguments to an exit status; results go to stdout, the log to stderr.
//!
//! - [`direct`]: `alert-manager TEMPLATE RULE_JSON NODES_JSON CHANNELS_JSON`; `call` reads its arguments, `lookup`
//!   finds its template
//! - [`channels`]: channels with settings of their own
//! - [`preview`]: what would go out, from files
//! - [`trial`]: `alert-manager test`, a marked message to one channel

mod call;
pub mod channels;
pub mod direct;
mod lookup;
pub mod preview;
pub mod trial;

use std::io::Write as _;
use std::process::ExitCode;

use ng_config::{Config, LogFormat, Sources, State};
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use ng_hook::log::{Format, Level, Output, Value};
use ng_hook::run::wall_clock;
use ng_hook::{Env, Logger};
use ng_notify::message::Outcome;
use ng_notify::{LogLine, LogValue};

/// A channel failed.
pub const FAILED: u8 = 1;
/// Wrong arguments.
pub const USAGE: u8 = 2;

/// What every command needs: time, configuration and logs.
pub(crate) struct Scene {
    pub(crate) now: Time,
    pub(crate) config: Config,
    /// On stderr.
    pub(crate) log: Logger,
    /// On stdout: the lines of the `log` channel, which are the result of a command. None is left out.
    pub(crate) results: Logger,
}

impl Scene {
    /// Reads the environment and the configuration, and says what is wrong with it. The error is an exit status,
    /// and has been explained.
    pub(crate) fn set(env: &Env) -> Result<Self, ExitCode> {
        let now = match env.now() {
            Ok(now) => now.unwrap_or_else(wall_clock),
            Err(error) => {
                complain(&error.to_string());
                return Err(ExitCode::from(USAGE));
            }
        };
        let loaded = ng_config::inspect(&Sources {
            config_dir: env.config_dir().to_path_buf(),
            secrets_dir: env.secrets_dir().to_path_buf(),
            state_dir: env.state_dir().to_path_buf(),
            env: env.variables(),
        });
        let log = Logger::new(Output::Stderr, now);
        let results = Logger::new(Output::Stdout, now);
        results.set_level(Level::Trace);
        let settings = &loaded.config.log;
        if let Ok(level) = settings.level.as_str().parse() {
            log.set_level(level);
        }
        let format = match settings.format {
            LogFormat::Json => Format::Json,
            LogFormat::Text => Format::Text,
        };
        log.set_format(format);
        results.set_format(format);
        if let State::Fallback { errors, used } = &loaded.state {
            let used = format!("{used:?}");
            for error in errors {
                let fields = [("problem", Value::Shown(error)), ("used", (&used).into())];
                log.warn("invalid configuration", &fields);
            }
        }
        Ok(Self {
            now: Time::from(now),
            config: loaded.config,
            log,
            results,
        })
    }
}

/// Writes a line of the `log` channel.
pub(crate) fn tell_on(log: &Logger, line: &LogLine<'_>) {
    let level = match line.severity {
        Severity::Info => Level::Info,
        Severity::Warning => Level::Warn,
        Severity::Critical => Level::Error,
    };
    let fields: Vec<_> = line
        .fields
        .iter()
        .map(|(name, value)| {
            let value = match value {
                LogValue::Text(text) => Value::Text(text),
                LogValue::Integer(number) => Value::Integer(*number),
                LogValue::Bool(yes) => Value::Bool(*yes),
            };
            (*name, value)
        })
        .collect();
    log.log(level, &line.text, &fields);
}

/// How an attempt ended, in words.
pub(crate) fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered => "delivered".to_owned(),
        Outcome::Retry {
            reason,
            after: Some(wait),
        } => {
            let wait = ng_config::duration::format(*wait);
            format!("{reason} (the receiver asks to wait {wait})")
        }
        Outcome::Retry {
            reason,
            after: None,
        }
        | Outcome::Permanent { reason } => reason.clone(),
    }
}

/// Writes the result of a command; tells whether there was still a reader.
pub(crate) fn print(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .is_ok()
}

/// Says on stderr what is wrong, where there is no log yet or a person reads.
pub(crate) fn complain(text: &str) {
    // Without a reader the exit status has to do.
    let _unread = std::io::stderr()
        .lock()
        .write_all(format!("alert-manager: {text}\n").as_bytes());
}
