//! `alert-manager outbox`: what is in the outbox, and what is to become of it.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use ng_engine::plan::AlertKind;
use ng_engine::time::Time;
use ng_hook::Env;
use ng_hook::run::wall_clock;
use ng_state::{Delivery, DeliveryState, OutboxFilter, QueuedAlert, Store};
use serde_json::{Value, json};

use crate::commands::{FAILED, Scene};
use crate::say_what_was_set_aside;

/// Arguments of `outbox`.
#[derive(Debug, Args)]
pub(crate) struct OutboxArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t = Form::Table, global = true)]
    output: Form,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List alerts that are not told everywhere, oldest first [default]
    List(ListArgs),
    /// Show one alert with everything that is known of it
    Show {
        /// The number in the first column of the list
        id: i64,
    },
    /// Try an alert again at once, on every channel that has not got it
    Retry {
        /// The number in the first column of the list
        id: i64,
    },
    /// Give up an alert: what is not sent yet is never sent
    Drop {
        /// The number in the first column of the list
        id: i64,
    },
}

#[derive(Clone, Debug, Default, Args)]
struct ListArgs {
    /// Only deliveries in this state [default: pending, held and dead ones]
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<DeliveryState>,
    /// Delivered and skipped ones, too
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// The most alerts
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// For programs
    Json,
}

fn state(text: &str) -> Result<DeliveryState, String> {
    DeliveryState::from_word(text)
        .ok_or_else(|| format!("expected pending, held, done, skipped or dead, found {text:?}"))
}

/// Carries it out. 0: done; 1: the state cannot be used, or there is no such alert.
pub(crate) fn run(env: &Env, arguments: &OutboxArgs) -> ExitCode {
    let stdout = &mut io::stdout().lock();
    match carry_out(env, arguments, stdout) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _unread = writeln!(io::stderr(), "alert-manager: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn is_reader_gone(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn carry_out(env: &Env, arguments: &OutboxArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let now = Time::from(env.now()?.unwrap_or_else(wall_clock));
    let mut store = Store::open(env.state_dir(), now)
        .context("cannot open the state")?
        .store;
    if store.set_aside().is_some()
        && let Ok(scene) = Scene::set(env)
    {
        say_what_was_set_aside(&store, &scene.log);
    }
    match &arguments.command {
        None => list(&store, &arguments.list, arguments.output, (now, out)),
        Some(Command::List(filter)) => list(&store, filter, arguments.output, (now, out)),
        Some(Command::Show { id }) => show(&store, *id, arguments.output, (now, out)),
        Some(Command::Retry { id }) => {
            find(&store, *id)?;
            let mut transaction = store.begin()?;
            let count = transaction.retry(*id, now)?;
            transaction.commit()?;
            told(*id, ("retried", count), arguments.output, out)
        }
        Some(Command::Drop { id }) => {
            find(&store, *id)?;
            let mut transaction = store.begin()?;
            let count = transaction.drop_alert(*id, now)?;
            transaction.commit()?;
            told(*id, ("dropped", count), arguments.output, out)
        }
    }
}

fn find(store: &Store, id: i64) -> anyhow::Result<QueuedAlert> {
    let filter = OutboxFilter {
        after: id.saturating_sub(1),
        limit: 1,
        ..OutboxFilter::default()
    };
    match store.outbox(filter)?.pop() {
        Some(alert) if alert.id == id => Ok(alert),
        _ => bail!("there is no alert {id} in the outbox"),
    }
}

fn told(
    id: i64,
    (done, count): (&str, usize),
    form: Form,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match form {
        Form::Json => writeln!(
            out,
            "{}",
            json!({"id": id, "result": done, "channels": count})
        )?,
        Form::Table if count == 0 => {
            writeln!(
                out,
                "alert {id}: nothing to do, it is settled on every channel"
            )?;
        }
        Form::Table => writeln!(out, "alert {id}: {done} on {count} channel(s)")?,
    }
    Ok(())
}

/// Pages through the outbox, so that a long one needs no more memory than a short one.
fn list(
    store: &Store,
    arguments: &ListArgs,
    form: Form,
    (now, out): (Time, &mut impl Write),
) -> anyhow::Result<()> {
    const PAGE: u32 = 500;
    let mut listing = Listing::new(form);
    let mut after = 0;
    let mut left = arguments.limit;
    while left > 0 {
        let filter = OutboxFilter {
            state: arguments.state,
            after,
            limit: PAGE,
        };
        let page = store.outbox(filter)?;
        let Some(last) = page.last() else {
            break;
        };
        after = last.id;
        let mut wanted: Vec<QueuedAlert> = page
            .into_iter()
            .filter(|alert| arguments.all || arguments.state.is_some() || is_open(alert))
            .collect();
        wanted.truncate(left);
        left -= wanted.len();
        listing.page(&wanted, now, out)?;
    }
    listing.end(out)
}

fn is_open(alert: &QueuedAlert) -> bool {
    alert
        .deliveries
        .iter()
        .any(|delivery| match delivery.state {
            DeliveryState::Pending | DeliveryState::Held | DeliveryState::Dead => true,
            DeliveryState::Done | DeliveryState::Skipped => false,
        })
}

/// A list in the making.
struct Listing {
    form: Form,
    /// Widths of the columns, from the first page on.
    widths: Vec<usize>,
    count: usize,
}

const HEADINGS: [&str; 10] = [
    "ID", "AGE", "TYPE", "SEVERITY", "RULE", "NODE", "CHANNEL", "STATE", "TRIES", "REASON",
];

impl Listing {
    const fn new(form: Form) -> Self {
        Self {
            form,
            widths: Vec::new(),
            count: 0,
        }
    }

    fn page(
        &mut self,
        alerts: &[QueuedAlert],
        now: Time,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        match self.form {
            Form::Json => {
                for alert in alerts {
                    write!(
                        out,
                        "{}\n  {}",
                        if self.count == 0 { "[" } else { "," },
                        brief(alert)
                    )?;
                    self.count += 1;
                }
            }
            Form::Table => {
                let rows: Vec<[String; 10]> = alerts
                    .iter()
                    .flat_map(|alert| {
                        let deliveries = alert.deliveries.iter();
                        deliveries.map(|delivery| row(alert, delivery, now))
                    })
                    .collect();
                if self.count == 0 && !rows.is_empty() {
                    self.measure(&rows);
                    self.line(&HEADINGS.map(str::to_owned), out)?;
                }
                self.count += rows.len();
                for row in &rows {
                    self.line(row, out)?;
                }
            }
        }
        Ok(())
    }

    fn end(self, out: &mut impl Write) -> anyhow::Result<()> {
        match (self.form, self.count) {
            (Form::Json, 0) => writeln!(out, "[]")?,
            (Form::Json, _) => writeln!(out, "\n]")?,
            (Form::Table, 0) => writeln!(out, "nothing waits in the outbox")?,
            (Form::Table, _) => {}
        }
        Ok(())
    }

    fn measure(&mut self, rows: &[[String; 10]]) {
        self.widths = HEADINGS.iter().map(|heading| heading.len()).collect();
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
    }

    /// The last column is as wide as it is.
    fn line(&self, cells: &[String; 10], out: &mut impl Write) -> io::Result<()> {
        let cells = cells.iter().zip(&self.widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(out, "{}", padded.join("  ").trim_end())
    }
}

fn row(alert: &QueuedAlert, delivery: &Delivery, now: Time) -> [String; 10] {
    let (kind, severity) = match &alert.alert {
        Ok(facts) => (kind(facts.kind), facts.severity.word()),
        Err(_) => ("?", "?"),
    };
    let reason = delivery.last_error.clone().unwrap_or_default();
    [
        alert.id.to_string(),
        age(now, alert.queued),
        kind.to_owned(),
        severity.to_owned(),
        alert.rule.clone(),
        alert.node.clone(),
        delivery.channel.clone(),
        delivery.state.word().to_owned(),
        delivery.attempts.to_string(),
        one_line(&reason),
    ]
}

const fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Trigger => "trigger",
        AlertKind::Repeat => "repeat",
        AlertKind::Recovery => "recovery",
    }
}

/// The largest two units are enough for people.
fn age(now: Time, then: Time) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Names and reasons come from elsewhere; a control character must not reach the terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .collect()
}

fn brief(alert: &QueuedAlert) -> Value {
    let facts = alert.alert.as_ref().ok();
    json!({
        "id": alert.id,
        "queued": alert.queued.to_string(),
        "rule": alert.rule,
        "node": alert.node,
        "type": facts.map(|facts| kind(facts.kind)),
        "severity": facts.map(|facts| facts.severity.word()),
        "deliveries": alert.deliveries.iter().map(delivery).collect::<Vec<_>>(),
    })
}

fn delivery(delivery: &Delivery) -> Value {
    let is_pending = delivery.state == DeliveryState::Pending;
    json!({
        "channel": delivery.channel,
        "state": delivery.state.word(),
        "attempts": delivery.attempts,
        "nextAttempt": is_pending.then(|| delivery.next_attempt.to_string()),
        "settled": delivery.settled.map(|at| at.to_string()),
        "reason": delivery.last_error,
    })
}

fn show(
    store: &Store,
    id: i64,
    form: Form,
    (now, out): (Time, &mut impl Write),
) -> anyhow::Result<()> {
    let alert = find(store, id)?;
    let mut document = brief(&alert);
    document["alert"] = match &alert.alert {
        Ok(facts) => serde_json::to_value(facts)?,
        Err(error) => json!({"error": format!("cannot be read: {error}")}),
    };
    match form {
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?,
        Form::Table => {
            let mut listing = Listing::new(form);
            listing.page(std::slice::from_ref(&alert), now, out)?;
            writeln!(
                out,
                "\n{}",
                serde_json::to_string_pretty(&document["alert"])?
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ages_are_short() {
        let now = Time::from_millis(1_700_000_000_000);
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (61, "1m1s"),
            (3600, "1h0m"),
            (90_000, "1d1h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(age(now, now.minus(Duration::from_secs(seconds))), expected);
        }
        assert_eq!(age(now, now.plus(Duration::from_secs(5))), "0s");
    }

    #[test]
    fn a_reason_is_one_line_without_control_characters() {
        assert_eq!(one_line("a\nb\u{1b}[31mc"), "a b [31mc");
    }
}
