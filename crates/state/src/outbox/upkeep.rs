//! What is kept of the outbox: by age, and by hand.

use std::time::Duration;

use ng_delivery::Memory;
use ng_engine::time::Time;
use rusqlite::{Connection, params};

use super::ranges::{Range, Scissors};
use super::{memories, read_range};
use crate::error::StateError;
use crate::place::Place;
use crate::store::Store;
use crate::transaction::Transaction;

/// The note of the last time the outbox was cleared up, in milliseconds.
pub(super) const CLEARED: &str = "alert-manager/cleared";

/// What the note says; `None` if that is no time.
pub(super) fn read_cleared(text: &str) -> Option<Time> {
    text.parse().ok().map(Time::from_millis)
}

/// What is kept for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Dead letters, from when they were given up.
    pub dead: Duration,
    /// Alerts that need nothing any more, from when they were queued.
    pub settled: Duration,
    /// The most alerts that need nothing any more; of what was queued together, all or nothing is kept.
    pub most_settled: u32,
    /// Receivers nobody sends to.
    pub receivers: Duration,
}

/// Deliveries of a channel that ended in one way, since the state was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Name of the channel.
    pub channel: String,
    /// How they ended.
    pub result: String,
    /// Why; empty where the result says it all.
    pub reason: String,
    /// How many.
    pub value: u64,
}

impl Store {
    /// Deliveries by channel and result.
    pub fn tallies(&self) -> Result<Vec<Tally>, StateError> {
        tallies(self.connection(), self.place())
    }
}

impl Transaction<'_> {
    /// Tries an alert again at once, on every channel that has not got it and has not refused it by setting. Returns on
    /// how many.
    pub fn retry(&mut self, alert: i64, now: Time) -> Result<usize, StateError> {
        let attempt = StateError::database("retry an alert", self.place);
        self.part(alert).map_err(&attempt)?;
        let count = self
            .inner
            .execute(
                "UPDATE delivery SET state = 'pending', attempts = 0, next_attempt = ?2, batch = NULL, \
                 settled = NULL WHERE first = ?1 AND state IN ('pending', 'held', 'dead')",
                params![alert, now.millis()],
            )
            .map_err(&attempt)?;
        if count > 0 {
            self.inner
                .execute("UPDATE receiver SET paused_until = 0", [])
                .map_err(&attempt)?;
        }
        self.durable |= count > 0;
        Ok(count)
    }

    /// Gives up an alert: what is not sent yet is never sent, and is no dead letter. Returns on how many channels.
    pub fn drop_alert(&mut self, alert: i64, now: Time) -> Result<usize, StateError> {
        let attempt = StateError::database("drop an alert", self.place);
        self.part(alert).map_err(&attempt)?;
        self.inner
            .execute(
                "INSERT INTO tally SELECT channel, 'dropped', '', 1 FROM delivery \
                 WHERE first = ?1 AND state IN ('pending', 'held', 'dead') \
                 ON CONFLICT DO UPDATE SET value = value + 1",
                [alert],
            )
            .map_err(&attempt)?;
        let count = self
            .inner
            .execute(
                "UPDATE delivery SET state = 'skipped', last_error = 'dropped by hand', settled = ?2, \
                 claim = NULL WHERE first = ?1 AND state IN ('pending', 'held', 'dead')",
                params![alert, now.millis()],
            )
            .map_err(&attempt)?;
        self.durable |= count > 0;
        Ok(count)
    }

    /// When the outbox was last cleared up.
    pub fn cleared(&self) -> Result<Option<Time>, StateError> {
        let noted = self.note(CLEARED)?;
        Ok(noted.as_deref().and_then(read_cleared))
    }

    /// Removes what is not kept any longer, and notes when. `is_stale` tells memories that are of no use.
    pub fn prune(
        &mut self,
        keep: &Keep,
        now: Time,
        is_stale: impl Fn(&Memory) -> bool,
    ) -> Result<(), StateError> {
        self.prune_rows(keep, now)
            .and_then(|()| memories::prune(&self.inner, is_stale))
            .map_err(StateError::database("clear up the outbox", self.place))?;
        self.set_note(CLEARED, Some(&now.millis().to_string()))
    }

    /// Parts an alert from those with which it shares its deliveries.
    fn part(&self, alert: i64) -> rusqlite::Result<()> {
        Scissors::new(&self.inner)?.cut(Range::one(alert), None)
    }

    fn prune_rows(&self, keep: &Keep, now: Time) -> rusqlite::Result<()> {
        let before = |age: Duration| now.minus(age).millis();
        let expired = self.inner.execute(
            "INSERT INTO tally SELECT channel, 'expired', '', sum(last - first + 1) FROM delivery \
             WHERE state = 'dead' AND state NOT IN ('done', 'skipped') AND settled < ?1 GROUP BY channel \
             ON CONFLICT DO UPDATE SET value = value + excluded.value",
            [before(keep.dead)],
        )?;
        if expired > 0 {
            self.inner.execute(
                "UPDATE delivery SET state = 'skipped', last_error = 'too old' \
                 WHERE state = 'dead' AND state NOT IN ('done', 'skipped') AND settled < ?1",
                [before(keep.dead)],
            )?;
        }
        self.prune_parcels(before(keep.settled), keep.most_settled)?;
        self.inner.execute(
            "DELETE FROM receiver WHERE at < ?1 AND paused_until < ?1",
            [before(keep.receivers)],
        )?;
        Ok(())
    }

    fn prune_parcels(&self, before: i64, most: u32) -> rusqlite::Result<()> {
        let mut statement = self.inner.prepare(
            "DELETE FROM parcel WHERE last <= (SELECT up_to FROM admitted) \
             AND (queued < ?1 OR last <= (SELECT given FROM admitted) - ?2) \
             AND NOT EXISTS(SELECT * FROM delivery d WHERE d.first BETWEEN parcel.first AND parcel.last \
                            AND d.state IN ('pending', 'held', 'dead')) RETURNING first, last",
        )?;
        let rows = statement.query_map(params![before, most], read_range)?;
        let gone: Vec<Range> = rows.collect::<rusqlite::Result<_>>()?;
        if gone.is_empty() {
            return Ok(());
        }
        let mut deliveries = self
            .inner
            .prepare("DELETE FROM delivery WHERE first BETWEEN ?1 AND ?2")?;
        let mut flapping = self
            .inner
            .prepare("DELETE FROM flapping WHERE alert BETWEEN ?1 AND ?2")?;
        for Range { first, last } in gone {
            deliveries.execute([first, last])?;
            flapping.execute([first, last])?;
        }
        Ok(())
    }
}

fn tallies(connection: &Connection, place: &Place) -> Result<Vec<Tally>, StateError> {
    let attempt = || StateError::database("read the tallies", place);
    let mut statement = connection
        .prepare(
            "SELECT channel, result, reason, value FROM tally ORDER BY channel, result, reason",
        )
        .map_err(attempt())?;
    let rows = statement
        .query_map([], |row| {
            Ok(Tally {
                channel: row.get(0)?,
                result: row.get(1)?,
                reason: row.get(2)?,
                value: row.get::<_, i64>(3)?.unsigned_abs(),
            })
        })
        .map_err(attempt())?;
    rows.collect::<rusqlite::Result<_>>().map_err(attempt())
}
