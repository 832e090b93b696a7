//! Who sends what: deliveries are claimed, started, and settled, each step committed before the next one begins.

use std::collections::HashMap;
use std::sync::Arc;

use ng_delivery::{ReceiverState, Stretch, Topic};
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};

use super::labels::Label;
use super::ranges::{self, Range, Scissors};
use super::read_range;
use super::upkeep::{CLEARED, read_cleared};
use crate::claimant::{self, Claimant};
use crate::error::StateError;
use crate::lazy::Lazy;
use crate::place::Place;
use crate::store::Store;
use crate::transaction::Transaction;

/// The most deliveries that are looked at in one run, oldest first: this bounds its memory.
const MOST_DELIVERIES: u64 = 100_000;

/// The note of channels that cannot be used.
const WARNED: &str = "alert-manager/unusable-channels";

/// Alerts with deliveries that are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenParcel {
    /// Some of its alerts, as they are on their way to a channel.
    pub deliveries: Vec<OpenDelivery>,
    range: Range,
    queued: Time,
    topic: Topic,
    /// Of those alerts that say that their nodes are flapping.
    flapping_topic: Topic,
    flapping: Vec<i64>,
    /// Names, one a line.
    nodes: Arc<str>,
}

/// Alerts on their way to a channel which share their fate so far.
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
    range: Range,
}

impl OpenParcel {
    /// The alerts of one of its deliveries. Each of those that say that a node is flapping is a stretch of its own.
    pub fn stretches<'a>(
        &'a self,
        delivery: &'a OpenDelivery,
    ) -> impl Iterator<Item = Stretch<'a>> {
        let (mut named, mut nodes) = (self.range.first, &*self.nodes);
        let mut left = Range {
            last: delivery.range.last.min(self.range.last),
            ..delivery.range
        };
        std::iter::from_fn(move || {
            let (topic, range) = self.first_topic(left)?;
            left.first = range.last + 1;
            nodes = without_first(nodes, range.first - named);
            named = range.first;
            Some(Stretch {
                first: range.first,
                len: usize::try_from(range.len()).unwrap_or(usize::MAX),
                queued: self.queued,
                topic,
                nodes,
                attempts: delivery.attempts,
                next_attempt: delivery.next_attempt,
                batch: delivery.batch,
                busy: delivery.busy,
            })
        })
    }

    /// The topic of the first of these alerts, and those after it that have the same; `None` if there are none.
    fn first_topic(&self, alerts: Range) -> Option<(&Topic, Range)> {
        let Range { first, last } = alerts;
        let found = match self.flapping.binary_search(&first) {
            Ok(_) => (&self.flapping_topic, Range::one(first)),
            Err(place) => {
                let flapping = self.flapping.get(place);
                let last = flapping.map_or(last, |flapping| last.min(flapping - 1));
                (&self.topic, Range { first, last })
            }
        };
        (first <= last).then_some(found)
    }
}

/// Names, one a line, without so many of the first.
fn without_first(mut names: &str, count: i64) -> &str {
    for _ in 0..count {
        names = names.split_once('\n').map_or("", |(_, rest)| rest);
    }
    names
}

/// What there is to do for a run, and what the last ones have noted for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agenda {
    /// There are alerts of which nothing is decided yet.
    pub fresh: bool,
    /// There are nodes that have calmed down.
    pub calm: bool,
    /// There are alerts to be sent.
    pub due: bool,
    /// When the outbox was last cleared up.
    pub cleared: Option<Time>,
    /// What [`Transaction::set_warned`] noted.
    pub warned: Option<String>,
}

impl Agenda {
    /// Whether there is anything to decide or to send.
    pub const fn has_work(&self) -> bool {
        self.fresh || self.calm || self.due
    }
}

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

/// A change of deliveries, in SQL.
struct Change<'a> {
    /// What is set.
    set: &'a str,
    /// Which of them are changed.
    which: &'a str,
    /// Of the parameters from the fourth on; the first three are both ends of a range and the channel.
    values: &'a [&'a dyn ToSql],
}

impl<'a> Change<'a> {
    /// Changes the delivery that is all of the range.
    fn of_one<'c>(&self, connection: &'c Connection) -> Lazy<'c> {
        let Self { set, which, .. } = self;
        let text = format!(
            "UPDATE delivery SET {set} WHERE first = ?1 AND channel = ?3 AND last = ?2 AND {which}"
        );
        Lazy::new(connection, text)
    }

    /// Changes all deliveries that lie within the range, and returns their ranges.
    fn of_all<'c>(&self, connection: &'c Connection) -> Lazy<'c> {
        let Self { set, which, .. } = self;
        let text = format!(
            "UPDATE delivery SET {set} WHERE first BETWEEN ?1 AND ?2 AND last <= ?2 AND channel = ?3 AND {which} \
             RETURNING first, last"
        );
        Lazy::new(connection, text)
    }

    fn values<'v>(&self, range: &'v Range, channel: &'v &'v str) -> Vec<&'v dyn ToSql>
    where
        'a: 'v,
    {
        let mut values: Vec<&dyn ToSql> = vec![&range.first, &range.last, channel];
        values.extend(self.values);
        values
    }
}

impl Store {
    /// What there is to decide or to send now. Cheap: it reads no alert.
    pub fn agenda(&self, now: Time) -> Result<Agenda, StateError> {
        self.connection()
            .query_row(
                "SELECT given > up_to, \
                 EXISTS(SELECT * FROM memory WHERE calm_at <= ?1 AND calm_at IS NOT NULL), \
                 EXISTS(SELECT * FROM delivery WHERE state = 'pending' AND next_attempt <= ?1 \
                        AND state NOT IN ('done', 'skipped')), \
                 (SELECT text FROM note WHERE key = ?2), (SELECT text FROM note WHERE key = ?3) FROM admitted",
                params![now.millis(), CLEARED, WARNED],
                |row| {
                    let cleared = row.get_ref(3)?.as_str_or_null()?;
                    Ok(Agenda {
                        fresh: row.get(0)?,
                        calm: row.get(1)?,
                        due: row.get(2)?,
                        cleared: cleared.and_then(read_cleared),
                        warned: row.get(4)?,
                    })
                },
            )
            .map_err(StateError::database("look at the outbox", self.place()))
    }

    /// This process as one that delivers; `chance` is a random number.
    pub fn claimant(&self, chance: u64) -> Result<Claimant, StateError> {
        Claimant::new(self.place(), chance)
    }
}

impl Transaction<'_> {
    /// Alerts that are to be sent, in the order of their ids. Within a transaction, so that what is claimed after it is
    /// what was looked at.
    pub fn open_alerts(&self, now: Time) -> Result<Vec<OpenParcel>, StateError> {
        self.open_parcels(now)
            .map_err(StateError::database("read the outbox", self.place))
    }

    fn open_parcels(&self, now: Time) -> rusqlite::Result<Vec<OpenParcel>> {
        let admitted = self.admitted()?;
        let mut parcels: Vec<OpenParcel> = Vec::new();
        for delivery in open_deliveries(&self.inner, self.place, now)? {
            let first = delivery.range.first;
            if first > admitted {
                break;
            }
            if parcels.last().is_none_or(|last| last.range.last < first) {
                let Some(label) = self.labels.of(&self.inner, first)? else {
                    continue;
                };
                parcels.push(OpenParcel::of(&label));
            }
            if let Some(parcel) = parcels.last_mut() {
                parcel.deliveries.push(delivery);
            }
        }
        mark_flapping(&self.inner, &mut parcels)?;
        Ok(parcels)
    }

    /// Up to which id something is decided about alerts.
    pub(super) fn admitted(&self) -> rusqlite::Result<i64> {
        self.inner
            .query_row("SELECT up_to FROM admitted", [], |row| row.get(0))
    }

    /// Marks deliveries of a channel as this process's.
    pub fn claim(
        &mut self,
        channel: &str,
        alerts: &[i64],
        claim: Claim<'_>,
    ) -> Result<(), StateError> {
        let (token, until) = (claim.claimant.token(), claim.until.millis());
        let change = Change {
            set: "claim = ?4, claimed_until = ?5",
            which: "state = 'pending'",
            values: &[&token, &until],
        };
        self.change((channel, alerts), &change)
            .map(drop)
            .map_err(StateError::database("claim deliveries", self.place))
    }

    /// Counts an attempt at a message, whose alerts this process has claimed, before it is made. Returns the alerts that
    /// are still to be sent: somebody may have dropped some of them meanwhile.
    pub fn start(
        &mut self,
        channel: &str,
        batch: i64,
        alerts: &[i64],
        claim: Claim<'_>,
    ) -> Result<Vec<i64>, StateError> {
        self.start_those(
            "claim = ?4 AND state = 'pending'",
            (channel, batch, alerts),
            claim,
        )
    }

    /// Claims and counts an attempt at once, where this transaction has seen that nobody else is at it.
    pub fn claim_and_start(
        &mut self,
        channel: &str,
        batch: i64,
        alerts: &[i64],
        claim: Claim<'_>,
    ) -> Result<Vec<i64>, StateError> {
        self.start_those("state = 'pending'", (channel, batch, alerts), claim)
    }

    fn start_those(
        &self,
        which: &str,
        (channel, batch, alerts): (&str, i64, &[i64]),
        claim: Claim<'_>,
    ) -> Result<Vec<i64>, StateError> {
        let (token, until) = (claim.claimant.token(), claim.until.millis());
        let change = Change {
            set: "attempts = attempts + 1, batch = ?5, claim = ?4, claimed_until = ?6",
            which,
            values: &[&token, &batch, &until],
        };
        let started = self
            .change((channel, alerts), &change)
            .map_err(StateError::database("start deliveries", self.place))?;
        let mut ids: Vec<i64> = started.into_iter().flat_map(Range::ids).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Notes of which channels somebody was warned, in the words of who does so; `None`: of none.
    pub fn set_warned(&mut self, text: Option<&str>) -> Result<(), StateError> {
        self.set_note(WARNED, text)
    }

    /// Ends the claim on deliveries of a channel, with what came of them. Returns how many it was.
    pub fn settle(
        &mut self,
        channel: &str,
        alerts: &[i64],
        settlement: &Settlement,
        now: Time,
    ) -> Result<u64, StateError> {
        let (state, at, reason) = match settlement {
            Settlement::Done => ("done", None, None),
            Settlement::Again { at, reason } => ("pending", Some(at.millis()), Some(reason)),
            Settlement::Dead { reason } => ("dead", None, Some(reason)),
            Settlement::Skipped { reason } => ("skipped", None, Some(reason)),
            Settlement::Released => ("pending", None, None),
        };
        let settled = (state != "pending").then_some(now.millis());
        let change = Change {
            set: "state = ?4, next_attempt = coalesce(?5, next_attempt), \
                  last_error = CASE WHEN ?4 = 'done' THEN NULL ELSE coalesce(?6, last_error) END, \
                  settled = ?7, claim = NULL, claimed_until = NULL",
            which: "state = 'pending'",
            values: &[&state, &at, &reason, &settled],
        };
        let changed = self
            .change((channel, alerts), &change)
            .map_err(StateError::database("settle deliveries", self.place))?;
        let count = changed.into_iter().map(Range::len).sum();
        // A message that a power failure lets us forget would be sent again.
        self.durable |= settled.is_some() && count > 0;
        Ok(count)
    }

    /// Changes the deliveries of alerts on a channel, and returns their ranges.
    fn change(
        &self,
        (channel, alerts): (&str, &[i64]),
        change: &Change<'_>,
    ) -> rusqlite::Result<Vec<Range>> {
        let (mut whole, mut within) = (change.of_one(&self.inner), change.of_all(&self.inner));
        let mut changed = Vec::new();
        for range in ranges::of(alerts.iter().copied()) {
            let values = change.values(&range, &channel);
            // Most often a range is one delivery.
            if whole.statement()?.execute(&values[..])? > 0 {
                changed.push(range);
                continue;
            }
            let before = changed.len();
            let mut change = |range: Range, changed: &mut Vec<Range>| -> rusqlite::Result<()> {
                let values = change.values(&range, &channel);
                for row in within.statement()?.query_map(&values[..], read_range)? {
                    changed.push(row?);
                }
                Ok(())
            };
            change(range, &mut changed)?;
            let left = range.without(&changed[before..]);
            if left.is_empty() {
                continue;
            }
            // Some share their deliveries with others, or are not to be changed any more.
            let mut scissors = Scissors::new(&self.inner)?;
            for range in left {
                scissors.cut(range, Some(channel))?;
                change(range, &mut changed)?;
            }
        }
        Ok(changed)
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

/// Deliveries that nothing keeps back, oldest first, each with who is at it.
fn open_deliveries(
    connection: &Connection,
    place: &Place,
    now: Time,
) -> rusqlite::Result<Vec<OpenDelivery>> {
    let mut statement = connection.prepare(
        "SELECT first, last, channel, attempts, next_attempt, batch, claim, claimed_until FROM delivery \
         WHERE state = 'pending' AND state NOT IN ('done', 'skipped') ORDER BY first",
    )?;
    let mut alive: HashMap<String, bool> = HashMap::new();
    let mut is_alive = |token: String| {
        *alive
            .entry(token)
            .or_insert_with_key(|token| claimant::is_alive(place, token))
    };
    let mut rows = statement.query([])?;
    let mut left = MOST_DELIVERIES;
    let mut found = Vec::new();
    while left > 0
        && let Some(row) = rows.next()?
    {
        let delivery = read_open(row, now, &mut is_alive)?;
        left = left.saturating_sub(delivery.range.len());
        found.push(delivery);
    }
    Ok(found)
}

/// Tells the parcels which of their alerts say that a node is flapping.
fn mark_flapping(connection: &Connection, parcels: &mut [OpenParcel]) -> rusqlite::Result<()> {
    let Some(first) = parcels.first().map(|parcel| parcel.range.first) else {
        return Ok(());
    };
    let mut statement =
        connection.prepare("SELECT alert FROM flapping WHERE alert >= ?1 ORDER BY alert")?;
    let mut rows = statement.query([first])?;
    while let Some(row) = rows.next()? {
        let alert: i64 = row.get(0)?;
        let place = parcels.partition_point(|parcel| parcel.range.last < alert);
        if let Some(parcel) = parcels.get_mut(place)
            && parcel.range.ids().contains(&alert)
        {
            parcel.flapping.push(alert);
        }
    }
    Ok(())
}

impl OpenParcel {
    fn of(label: &Label) -> Self {
        let topic = |flapping| Topic {
            rule: label.rule.clone(),
            kind: label.kind,
            severity: label.severity,
            template: label.template.clone(),
            dry_run: label.dry_run,
            flapping,
        };
        Self {
            deliveries: Vec::new(),
            range: label.range,
            queued: label.queued,
            topic: topic(false),
            flapping_topic: topic(true),
            flapping: Vec::new(),
            nodes: Arc::clone(&label.nodes),
        }
    }
}

fn read_open(
    row: &Row<'_>,
    now: Time,
    is_alive: &mut impl FnMut(String) -> bool,
) -> rusqlite::Result<OpenDelivery> {
    let claim: Option<String> = row.get(6)?;
    let until: Option<i64> = row.get(7)?;
    let runs = until.is_some_and(|until| until > now.millis());
    Ok(OpenDelivery {
        range: read_range(row)?,
        channel: row.get(2)?,
        attempts: row.get(3)?,
        next_attempt: Time::from_millis(row.get(4)?),
        batch: row.get(5)?,
        busy: runs && claim.is_some_and(is_alive),
    })
}
