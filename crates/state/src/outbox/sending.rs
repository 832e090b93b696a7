//! Who sends what: deliveries are claimed and started before they are sent, and settled after it.

use ng_delivery::ReceiverState;
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use super::changes::Change;
use super::ranges::Range;
use super::upkeep::{CLEARED, read_cleared};
use crate::claimant::Claimant;
use crate::error::StateError;
use crate::store::Store;
use crate::transaction::Transaction;

/// The note of channels that cannot be used.
const WARNED: &str = "alert-manager/unusable-channels";

/// What there is to do for a run, and what the last ones have noted for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agenda {
    /// There are alerts of which nothing is decided yet.
    pub fresh: bool,
    /// There are nodes that have calmed down.
    pub calm: bool,
    /// There are alerts to be sent, or new ones, which may have to be.
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

impl Store {
    /// What there is to decide or to send now. Cheap: it reads no alert, and asks one simple question after another,
    /// which are parsed in less time than one that asks for all.
    pub fn agenda(&self, now: Time) -> Result<Agenda, StateError> {
        let attempt = || StateError::database("look at the outbox", self.place());
        // One look, so that all is of one moment.
        let look = Transaction::look(self.connection()).map_err(attempt())?;
        let found = look_at(&look, now).map_err(attempt())?;
        look.finish().map_err(attempt())?;
        Ok(found)
    }

    /// This process as one that delivers; `chance` is a random number.
    pub fn claimant(&self, chance: u64) -> Result<Claimant, StateError> {
        Claimant::new(self.place(), chance)
    }
}

fn look_at(connection: &Connection, now: Time) -> rusqlite::Result<Agenda> {
    let is_there = |question: &str| connection.prepare(question)?.exists([now.millis()]);
    let mut notes = connection.prepare("SELECT text FROM note WHERE key = ?1")?;
    let mut note = |key: &str| -> rusqlite::Result<Option<String>> {
        notes.query_row([key], |row| row.get(0)).optional()
    };
    let is_fresh =
        connection.query_row("SELECT given > up_to FROM admitted", [], |row| row.get(0))?;
    Ok(Agenda {
        fresh: is_fresh,
        calm: is_there("SELECT calm_at FROM memory WHERE calm_at <= ?1")?,
        // Not asked where the answer makes no difference.
        due: is_fresh
            || is_there(
                "SELECT next_attempt FROM delivery \
                 WHERE state = 'pending' AND next_attempt <= ?1 AND state NOT IN ('done', 'skipped')",
            )?,
        cleared: note(CLEARED)?.as_deref().and_then(read_cleared),
        warned: note(WARNED)?,
    })
}

impl Transaction<'_> {
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
        // When it is settled, or tried again.
        let at = match settlement {
            Settlement::Again { at, .. } => at.millis(),
            _ => now.millis(),
        };
        let (set, values): (&str, Vec<&dyn ToSql>) = match settlement {
            Settlement::Done => (
                "state = 'done', settled = ?4, last_error = NULL,",
                vec![&at],
            ),
            Settlement::Again { reason, .. } => {
                ("next_attempt = ?4, last_error = ?5,", vec![&at, reason])
            }
            Settlement::Dead { reason } => (
                "state = 'dead', settled = ?4, last_error = ?5,",
                vec![&at, reason],
            ),
            Settlement::Skipped { reason } => (
                "state = 'skipped', settled = ?4, last_error = ?5,",
                vec![&at, reason],
            ),
            Settlement::Released => ("", Vec::new()),
        };
        let change = Change {
            set: &format!("{set} claim = NULL, claimed_until = NULL"),
            which: "state = 'pending'",
            values: &values,
        };
        let changed = self
            .change((channel, alerts), &change)
            .map_err(StateError::database("settle deliveries", self.place))?;
        let count = changed.into_iter().map(Range::len).sum();
        match settlement {
            // Also where somebody has settled it meanwhile: the receiver has it all the same.
            Settlement::Done if !alerts.is_empty() => self.delivered.push(channel.to_owned()),
            Settlement::Dead { .. } | Settlement::Skipped { .. } => self.durable |= count > 0,
            Settlement::Done | Settlement::Again { .. } | Settlement::Released => {}
        }
        Ok(count)
    }

    /// Whether [`Transaction::commit`] puts this on disk, where a power failure does not take it.
    ///
    /// A delivered message that is forgotten is sent again. That may happen to the last one of a channel, as it may when
    /// a process is killed, but to no other: before one more is sent on the channel, this should be on disk. One that is
    /// waiting now may be sent by any run. One that comes later, is held or was given up is brought by a transaction
    /// that is put on disk, and with it all before; where that one's process is killed in between, or is not faster with
    /// it than a whole delivery, the system writes it soon.
    pub fn has_to_last(&self) -> Result<bool, StateError> {
        if self.durable || self.delivered.is_empty() {
            return Ok(self.durable);
        }
        self.is_one_waiting()
            .map_err(StateError::database("look for more to send", self.place))
    }

    /// Whether there is more to send on a channel on which something was delivered.
    fn is_one_waiting(&self) -> rusqlite::Result<bool> {
        let mut statement = self.inner.prepare(
            "SELECT first FROM delivery \
             WHERE state = 'pending' AND state NOT IN ('done', 'skipped') AND channel = ?1",
        )?;
        for channel in &self.delivered {
            if statement.exists([channel])? {
                return Ok(true);
            }
        }
        Ok(false)
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
        let row = params![channel, result, reason, by];
        // But for the first time, this is all.
        let more = "UPDATE tally SET value = value + ?4 WHERE channel = ?1 AND result = ?2 AND reason = ?3";
        let first = "INSERT INTO tally VALUES(?1, ?2, ?3, ?4)";
        self.inner
            .execute(more, row)
            .and_then(|changed| match changed {
                0 => self.inner.execute(first, row),
                changed => Ok(changed),
            })
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
