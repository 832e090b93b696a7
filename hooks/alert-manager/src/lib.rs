//! Delivers the alerts of the outbox.
//!
//! ```text
//! tick ─▶ delivery: admit ─▶ plan, start, claim ─▶ courier: compose, send (each receiver by itself) ─▶ settle
//! templates ─▶ remembered in the state, told in their status
//! ```
//!
//! What goes out when is decided in `ng-delivery`, what it says in `ng-notify`; this puts them together.
//!
//! - `bindings`: what the hook listens to; `templates`: the `AlertTemplate`s
//! - [`delivery`]: one run; [`courier`]: what sends to a receiver; `words`: what is added to a message
//! - `cli`: arguments; `outbox`: the command of that name; [`commands`]: the other commands; [`pods`]: the largest pods

mod bindings;
pub mod chance;
mod cli;
pub mod commands;
pub mod courier;
pub mod delivery;
mod gauges;
mod outbox;
pub mod pods;
mod templates;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ng_config::{Config, Loaded, Sources, State};
use ng_engine::time::Time;
use ng_hook::log::{Format, Level, Output, Value};
use ng_hook::{Env, Hook, Logger, Report, Retry, Run};
use ng_state::{Agenda, Store};

use bindings::{Reasons, Snapshot};
use chance::Chance;
use courier::Shared;
use delivery::{BUSY_INTERVAL, CLEARING_INTERVAL, Clock, Desk, IDLE_INTERVAL, Unusable};

pub use cli::commands as run_command;
pub use templates::Templates;

/// The hook for `main`.
pub const HOOK: Hook = Hook {
    name: "alert-manager",
    about: "Delivers the alerts of the outbox",
    bindings: bindings::bindings,
    handle,
};

/// The time that a run takes for sending: with some seconds for the rest it stays below the limit of a run.
const SENDING: Duration = Duration::from_secs(18);

/// Reads the mounted configuration; whatever is wrong with it, there is one to run on.
pub fn load_config(env: &Env) -> Loaded {
    ng_config::load(&Sources {
        config_dir: env.config_dir().to_path_buf(),
        secrets_dir: env.secrets_dir().to_path_buf(),
        state_dir: env.state_dir().to_path_buf(),
        env: env.variables(),
    })
}

fn handle(run: &Run) -> anyhow::Result<Report> {
    let reasons = Reasons::of(run)?;
    let mut report = Report::default();
    let mut templates = None;
    if reasons.templates {
        match see_templates(run, &mut report) {
            Ok(seen) => templates = Some(seen),
            // Never a failure: a Synchronization that fails holds up every hook.
            Err(error) => report.fail(
                error.context("cannot take over the templates"),
                Retry::Useless,
            ),
        }
    }
    if reasons.delivery {
        let mut store = open(run)?;
        let now = Time::from(run.now);
        let agenda = store.agenda(now)?;
        // A run with nothing to do does not even read the configuration.
        if agenda.has_work() || delivery::is_clearing_due(&agenda, IDLE_INTERVAL, now) {
            serve(run, &agenda, templates, (&mut store, &mut report))?;
        }
        report.metrics.push(gauges::outbox(&store, now)?);
        store.leave();
    }
    Ok(report)
}

fn open(run: &Run) -> anyhow::Result<Store> {
    let opened =
        Store::open(run.env.state_dir(), Time::from(run.now)).context("cannot open the state")?;
    say_what_was_set_aside(&opened.store, &run.log);
    Ok(opened.store)
}

/// Whoever sets a damaged state aside says so: no later run knows that alerts were lost with it.
fn say_what_was_set_aside(store: &Store, log: &Logger) {
    if let Some(aside) = store.set_aside() {
        let path = aside.path.display().to_string();
        log.error(
            "the state was damaged, and alerts that were not sent are lost",
            &[
                ("set_aside", (&path).into()),
                ("reason", (&aside.reason).into()),
            ],
        );
    }
}

/// `templates`: as the same run has seen them before.
fn serve(
    run: &Run,
    agenda: &Agenda,
    templates: Option<Templates>,
    (store, report): (&mut Store, &mut Report),
) -> anyhow::Result<()> {
    let loaded = load_config(&run.env);
    apply_log_settings(&run.log, &loaded.config.log);
    say_what_is_used(&run.log, &loaded);
    let unusable = match loaded.state {
        State::Valid => Unusable::Settle,
        State::Fallback { .. } => Unusable::Wait,
    };
    let config = Arc::new(loaded.config);
    let alerts = alert_logger(run, &config);
    let started = Instant::now();
    let desk = Desk {
        config: &config,
        unusable,
        log: &run.log,
        alerts: &alerts,
        clock: Clock {
            base: Time::from(run.now),
            started: run.env.now()?.is_none().then_some(started),
        },
        deadline: run.deadline.min(started + SENDING),
        step: &|_| {},
    };
    let mut has_sent = false;
    if agenda.has_work() {
        keep_freed_memory();
        let share = |store: &mut Store| {
            let templates = match templates {
                Some(seen) => seen,
                // They come with the contexts; without them, those last seen do.
                None => take_over(run, &config, &Snapshot::of(run)?, (store, report))?,
            };
            Ok(Shared {
                config: Arc::clone(&config),
                env: run.env.clone(),
                templates,
            })
        };
        let mut chance = Chance::from_process();
        has_sent = delivery::deliver(store, agenda, &desk, &mut chance, share)?;
    }
    let interval = if has_sent {
        BUSY_INTERVAL
    } else {
        CLEARING_INTERVAL
    };
    if delivery::is_clearing_due(agenda, interval, desk.clock.base) {
        delivery::clear_up(store, agenda, &desk)?;
    }
    Ok(())
}

/// Lets the allocator keep what is freed for what comes next, instead of giving it back and asking for it again: a run
/// is short, and getting a page costs more than filling it. glibc keeps pieces up to the size of the largest that it
/// once gave back; neither of these is ever written, so that no memory stands behind them.
fn keep_freed_memory() {
    const LARGEST: usize = 4 << 20;
    /// What a message of a thousand alerts takes, so that it is asked for once.
    const USUAL: usize = 640 << 10;
    for size in [LARGEST, USUAL] {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(size)));
    }
}

fn see_templates(run: &Run, report: &mut Report) -> anyhow::Result<Templates> {
    let loaded = load_config(&run.env);
    apply_log_settings(&run.log, &loaded.config.log);
    let snapshot = Snapshot::of(run)?;
    let mut store = open(run)?;
    take_over(run, &loaded.config, &snapshot, (&mut store, report))
}

fn take_over(
    run: &Run,
    config: &Config,
    snapshot: &Snapshot<'_>,
    (store, report): (&mut Store, &mut Report),
) -> anyhow::Result<Templates> {
    let desk = templates::Desk {
        config,
        log: &run.log,
        now: Time::from(run.now),
    };
    let (templates, patches) = templates::take_over(snapshot, store, &desk)?;
    report.patches.extend(patches);
    Ok(templates)
}

/// The log of the `log` channel: an alert is told whatever level is configured for our own records.
fn alert_logger(run: &Run, config: &Config) -> Logger {
    let output = match run.env.patch_path() {
        Some(_) => Output::Stdout,
        None => Output::Stderr,
    };
    let logger = Logger::new(output, run.now);
    apply_log_settings(&logger, &config.log);
    logger.set_level(Level::Trace);
    logger
}

/// Sets level and format as configured.
fn apply_log_settings(log: &Logger, settings: &ng_config::Log) {
    if let Ok(level) = settings.level.as_str().parse::<Level>() {
        log.set_level(level);
    }
    log.set_format(match settings.format {
        ng_config::LogFormat::Json => Format::Json,
        ng_config::LogFormat::Text => Format::Text,
    });
}

/// Says when the mounted configuration is not the one in use; what is wrong with it in full is told by the
/// config-loader.
fn say_what_is_used(log: &Logger, loaded: &Loaded) {
    if let State::Fallback { errors, used } = &loaded.state {
        let used = format!("{used:?}");
        for error in errors {
            log.warn(
                "invalid configuration",
                &[("problem", Value::Shown(error)), ("used", (&used).into())],
            );
        }
    }
}
