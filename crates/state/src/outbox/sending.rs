//! Who sends what: deliveries are claimed, started, and settled, each step committed before the next one begins.

use std::collections::{HashMap, HashSet};

use ng_delivery::{Header, ReceiverState, Topic};
use ng_engine::plan::Alert;
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::read_kind;
use crate::claimant::{self, Claimant};
use crate::error::StateError;
use crate::place::Place;
use crate::store::Store;
use crate::transaction::Transaction;

/// The most deliveries that are looked at in one run, oldest first: this bounds its memory.
const MOST_DELIVERIES: u32 = 100_000;

/// An alert with deliveries that are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAlert {
    /// What decides when it goes out.
    pub header: Header,
    /// The channels that have not got it yet.
    pub deliveries: Vec<OpenDelivery>,
}

/// A delivery that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDelivery {
    /// Name of the channel.
    pub channel: String,
    /// Attempts so far.
    pub attempts: u32,
    /// Not to be tried before.
    pub next_attempt: Time,
    /// The message it was tried in.
    pub batch: Option<i64>,
    /// Whether another process that is alive is at it.
    pub busy: bool,
}

/// The facts of an alert, or why they cannot be read.
pub type Facts = Result<Alert, serde_json::Error>;

/// A claim on deliveries.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who claims.
    pub claimant: &'a Claimant,
    /// When the claim ends even if the claimant lives on.
    pub until: Time,
}

/// How an attempt ends for a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The receiver has it.
    Done,
    /// It is tried again in the same message.
    Again {
        /// Not before.
        at: Time,
        /// What went wrong.
        reason: String,
    },
    /// It is given up.
    Dead {
        /// What went wrong.
        reason: String,
    },
    /// It is not to be sent.
    Skipped {
        /// Why not.
        reason: String,
    },
    /// It was claimed and never tried.
    Released,
}

impl Store {
    /// Whether there is anything to decide or to send now. Cheap: it reads no alert.
    pub fn has_work(&self, now: Time) -> Result<bool, StateError> {
        self.connection()
            .query_row(
                "SELECT EXISTS(SELECT * FROM alert WHERE id > (SELECT up_to FROM admitted)) \
                 OR EXISTS(SELECT * FROM memory WHERE calm_at <= ?1 AND calm_at IS NOT NULL) \
                 OR EXISTS(SELECT * FROM delivery WHERE state = 'pending' AND next_attempt <= ?1 \
                           AND state NOT IN ('done', 'skipped'))",
                [now.millis()],
                |row| row.get(0),
            )
            .map_err(StateError::database("look at the outbox", self.place()))
    }

    /// This process as one that delivers; `chance` is a random number.
    pub fn claimant(&self, chance: u64) -> Result<Claimant, StateError> {
        Claimant::new(self.place(), chance)
    }

    /// The facts of alerts by their ids, in the order given, without those that are gone.
    pub fn alerts(&self, ids: &[i64]) -> Result<Vec<(i64, Facts)>, StateError> {
        let attempt = || StateError::database("read alerts", self.place());
        // One statement: outside of a transaction each would take and drop the locks of the database.
        let mut statement = self
            .connection()
            .prepare(
                "SELECT alert.id, alert.body FROM json_each(?1) AS wanted \
                 JOIN alert ON alert.id = wanted.value ORDER BY wanted.key",
            )
            .map_err(attempt())?;
        let rows = statement
            .query_map([list(ids)], |row| {
                Ok((row.get(0)?, serde_json::from_str(row.get_ref(1)?.as_str()?)))
            })
            .map_err(attempt())?;
        rows.collect::<rusqlite::Result<_>>().map_err(attempt())
    }
}

impl Transaction<'_> {
    /// Alerts that are to be sent, in the order of their ids. Within a transaction, so that what is claimed after it is
    /// what was looked at.
    pub fn open_alerts(&self, now: Time) -> Result<Vec<OpenAlert>, StateError> {
        open_alerts(&self.inner, self.place, now)
    }

    /// Marks deliveries of a channel as this process's.
    pub fn claim(
        &mut self,
        channel: &str,
        alerts: &[i64],
        claim: Claim<'_>,
    ) -> Result<(), StateError> {
        let row = params![
            list(alerts),
            channel,
            claim.claimant.token(),
            claim.until.millis()
        ];
        self.inner
            .execute(
                "UPDATE delivery SET claim = ?3, claimed_until = ?4 \
                 WHERE alert IN (SELECT value FROM json_each(?1)) AND channel = ?2 AND state = 'pending'",
                row,
            )
            .map(drop)
            .map_err(StateError::database("claim deliveries", self.place))
    }

    /// Counts an attempt before it is made. Returns the alerts that are still to be sent: somebody may have dropped
    /// some of them meanwhile.
    pub fn start(
        &mut self,
        channel: &str,
        batch: i64,
        alerts: &[i64],
        claim: Claim<'_>,
    ) -> Result<Vec<i64>, StateError> {
        let attempt = StateError::database("start deliveries", self.place);
        let mut statement = self
            .inner
            .prepare(
                "UPDATE delivery SET attempts = attempts + 1, batch = ?3, claimed_until = ?5 \
                 WHERE alert IN (SELECT value FROM json_each(?1)) AND channel = ?2 \
                 AND state = 'pending' AND claim = ?4 RETURNING alert",
            )
            .map_err(&attempt)?;
        let row = params![
            list(alerts),
            channel,
            batch,
            claim.claimant.token(),
            claim.until.millis()
        ];
        let rows = statement
            .query_map(row, |row| row.get(0))
            .map_err(&attempt)?;
        let started: HashSet<i64> = rows.collect::<rusqlite::Result<_>>().map_err(&attempt)?;
        let kept = alerts.iter().filter(|alert| started.contains(alert));
        Ok(kept.copied().collect())
    }

    /// Ends the claim on deliveries of a channel, with what came of them. Returns how many it was.
    pub fn settle(
        &mut self,
        channel: &str,
        alerts: &[i64],
        settlement: &Settlement,
        now: Time,
    ) -> Result<u64, StateError> {
        let attempt = StateError::database("settle deliveries", self.place);
        let (state, at, reason) = match settlement {
            Settlement::Done => ("done", None, None),
            Settlement::Again { at, reason } => ("pending", Some(at.millis()), Some(reason)),
            Settlement::Dead { reason } => ("dead", None, Some(reason)),
            Settlement::Skipped { reason } => ("skipped", None, Some(reason)),
            Settlement::Released => ("pending", None, None),
        };
        let settled = (state != "pending").then_some(now.millis());
        let count = self
            .inner
            .execute(
                "UPDATE delivery SET state = ?3, next_attempt = coalesce(?4, next_attempt), \
                 last_error = CASE WHEN ?3 = 'done' THEN NULL ELSE coalesce(?5, last_error) END, \
                 settled = ?6, claim = NULL, claimed_until = NULL \
                 WHERE alert IN (SELECT value FROM json_each(?1)) AND channel = ?2 AND state = 'pending'",
                params![list(alerts), channel, state, at, reason, settled],
            )
            .map_err(attempt)?;
        // A message that a power failure lets us forget would be sent again.
        self.durable |= settled.is_some() && count > 0;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Adds to the deliveries of a channel that ended so.
    pub fn tally(
        &mut self,
        channel: &str,
        result: &str,
        reason: &str,
        by: u64,
    ) -> Result<(), StateError> {
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        self.inner
            .execute(
                "INSERT INTO tally VALUES(?1, ?2, ?3, ?4) \
                 ON CONFLICT DO UPDATE SET value = value + excluded.value",
                params![channel, result, reason, by],
            )
            .map(drop)
            .map_err(StateError::database("count deliveries", self.place))
    }

    /// How a receiver has been doing.
    pub fn receiver(&self, key: &str) -> Result<ReceiverState, StateError> {
        self.inner
            .query_row(
                "SELECT used, at, failures, paused_until FROM receiver WHERE key = ?1",
                [key],
                |row| {
                    Ok(ReceiverState {
                        used: row.get(0)?,
                        at: Time::from_millis(row.get(1)?),
                        failures: row.get(2)?,
                        paused_until: Time::from_millis(row.get(3)?),
                    })
                },
            )
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(StateError::database("read a receiver", self.place))
    }

    /// Remembers how a receiver is doing.
    pub fn set_receiver(&mut self, key: &str, state: &ReceiverState) -> Result<(), StateError> {
        self.inner
            .execute(
                "INSERT INTO receiver(key, used, at, failures, paused_until) VALUES(?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT DO UPDATE SET used = excluded.used, at = excluded.at, \
                 failures = excluded.failures, paused_until = excluded.paused_until",
                params![
                    key,
                    state.used,
                    state.at.millis(),
                    state.failures,
                    state.paused_until.millis()
                ],
            )
            .map(drop)
            .map_err(StateError::database("write a receiver", self.place))
    }
}

/// Ids as one parameter of a statement: a statement for each would take most of the time.
fn list(alerts: &[i64]) -> String {
    let ids: Vec<String> = alerts.iter().map(ToString::to_string).collect();
    format!("[{}]", ids.join(","))
}

fn open_alerts(
    connection: &Connection,
    place: &Place,
    now: Time,
) -> Result<Vec<OpenAlert>, StateError> {
    let attempt = || StateError::database("read the outbox", place);
    // The columns before the body: its pages are not touched.
    let mut statement = connection
        .prepare(
            "SELECT a.id, a.queued, a.rule, a.node, a.kind, a.severity, a.template, a.dry_run, \
                    EXISTS(SELECT * FROM flapping WHERE alert = a.id), \
                    d.channel, d.attempts, d.next_attempt, d.batch, d.claim, d.claimed_until \
             FROM delivery d JOIN alert a ON a.id = d.alert \
             WHERE d.state = 'pending' AND d.state NOT IN ('done', 'skipped') \
                   AND d.alert <= (SELECT up_to FROM admitted) \
             ORDER BY d.alert LIMIT ?1",
        )
        .map_err(attempt())?;
    let mut rows = statement.query([MOST_DELIVERIES]).map_err(attempt())?;
    let mut alive: HashMap<String, bool> = HashMap::new();
    let mut alerts: Vec<OpenAlert> = Vec::new();
    while let Some(row) = rows.next().map_err(attempt())? {
        let id: i64 = row.get(0).map_err(attempt())?;
        if alerts.last().is_none_or(|last| last.header.id != id) {
            alerts.push(OpenAlert {
                header: read_header(row).map_err(attempt())?,
                deliveries: Vec::new(),
            });
        }
        let mut is_alive = |token: String| {
            *alive
                .entry(token)
                .or_insert_with_key(|token| claimant::is_alive(place, token))
        };
        let delivery = read_open(row, now, &mut is_alive).map_err(attempt())?;
        if let Some(alert) = alerts.last_mut() {
            alert.deliveries.push(delivery);
        }
    }
    Ok(alerts)
}

fn read_header(row: &Row<'_>) -> rusqlite::Result<Header> {
    Ok(Header {
        id: row.get(0)?,
        queued: Time::from_millis(row.get(1)?),
        node: row.get(3)?,
        topic: Topic {
            rule: row.get(2)?,
            kind: read_kind(row.get_ref(4)?.as_str()?),
            severity: Severity::parse(row.get_ref(5)?.as_str()?).unwrap_or(Severity::Warning),
            template: row.get(6)?,
            dry_run: row.get(7)?,
            flapping: row.get(8)?,
        },
    })
}

fn read_open(
    row: &Row<'_>,
    now: Time,
    is_alive: &mut impl FnMut(String) -> bool,
) -> rusqlite::Result<OpenDelivery> {
    let claim: Option<String> = row.get(13)?;
    let until: Option<i64> = row.get(14)?;
    let runs = until.is_some_and(|until| until > now.millis());
    Ok(OpenDelivery {
        channel: row.get(9)?,
        attempts: row.get(10)?,
        next_attempt: Time::from_millis(row.get(11)?),
        batch: row.get(12)?,
        busy: runs && claim.is_some_and(is_alive),
    })
}
