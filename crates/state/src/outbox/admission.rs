//! What becomes of alerts that have just come in, and of those that were held.

use ng_delivery::{Admission, Fresh, Memory, Told};
use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params};

use super::read_kind;
use crate::error::StateError;
use crate::place::Place;
use crate::transaction::Transaction;

/// An alert nothing has been decided about yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshAlert {
    /// Its id.
    pub id: i64,
    /// Name of the rule.
    pub rule: String,
    /// Name of the node.
    pub node: String,
    /// What decides about it.
    pub fresh: Fresh,
    /// Why its producer muted it.
    pub muted: Option<String>,
}

/// Counts every delivery of an alert.
const COUNT: &str = "INSERT INTO tally SELECT channel, ?2, ?3, 1 FROM delivery WHERE alert = ?1 \
     ON CONFLICT DO UPDATE SET value = value + 1";
const SKIP: &str = "UPDATE delivery SET state = 'skipped', last_error = ?2, settled = ?3, claim = NULL \
     WHERE alert = ?1 AND state IN ('pending', 'held')";
/// Why deliveries are held, and skipped when a newer one is.
const FLAPPING: &str = "flapping";

/// The statements of the loop over all new alerts.
struct Desk<'c> {
    memory: Statement<'c>,
    remember: Statement<'c>,
    flaps: Statement<'c>,
    hold: Statement<'c>,
    skip: Statement<'c>,
    count: Statement<'c>,
}

impl Transaction<'_> {
    /// Decides about every new alert, oldest first; `decide` gets what is remembered of the alert's node under its
    /// rule, and may change it. Returns how many there were.
    pub fn admit(
        &mut self,
        now: Time,
        mut decide: impl FnMut(&FreshAlert, &mut Memory) -> Admission,
    ) -> Result<usize, StateError> {
        let fresh = fresh_alerts(&self.inner, self.place)?;
        let Some(newest) = fresh.last() else {
            return Ok(0);
        };
        let attempt = StateError::database("admit alerts", self.place);
        self.inner
            .execute("UPDATE admitted SET up_to = ?1", [newest.id])
            .map_err(&attempt)?;
        let mut desk = Desk::new(&self.inner).map_err(&attempt)?;
        for alert in &fresh {
            let (mut memory, held) = desk.memory(&alert.rule, &alert.node).map_err(&attempt)?;
            let before = memory;
            let admission = decide(alert, &mut memory);
            let held_now = desk.apply(alert, admission, held, now).map_err(&attempt)?;
            if memory != before || held_now != held {
                desk.remember((&alert.rule, &alert.node), &memory, held_now)
                    .map_err(&attempt)?;
            }
        }
        self.durable = true;
        Ok(fresh.len())
    }

    /// Lets go of the nodes that have calmed down: `decide` gets what is remembered and the kind of the newest alert
    /// that was held, and says whether that one is to be told. Returns how many nodes there were.
    pub fn calm_down(
        &mut self,
        now: Time,
        mut decide: impl FnMut(&mut Memory, Option<AlertKind>) -> bool,
    ) -> Result<usize, StateError> {
        let attempt = StateError::database("let go of held alerts", self.place);
        let calm = calm(&self.inner, now).map_err(&attempt)?;
        if calm.is_empty() {
            return Ok(0);
        }
        let mut desk = Desk::new(&self.inner).map_err(&attempt)?;
        for (rule, node) in &calm {
            let (mut memory, held) = desk.memory(rule, node).map_err(&attempt)?;
            let kind = match held {
                Some(alert) => self.kind_of_held(alert).map_err(&attempt)?,
                None => None,
            };
            let tell = decide(&mut memory, kind);
            if let Some(alert) = held {
                if tell {
                    self.inner
                        .execute(
                            "UPDATE delivery SET state = 'pending', next_attempt = ?2, last_error = NULL \
                             WHERE alert = ?1 AND state = 'held'",
                            params![alert, now.millis()],
                        )
                        .map_err(&attempt)?;
                } else {
                    desk.skip
                        .execute(params![alert, FLAPPING, now.millis()])
                        .map_err(&attempt)?;
                }
            }
            desk.remember((rule, node), &memory, None)
                .map_err(&attempt)?;
        }
        self.durable = true;
        Ok(calm.len())
    }

    /// `None` if nothing of it is held any more: somebody dropped it.
    fn kind_of_held(&self, alert: i64) -> rusqlite::Result<Option<AlertKind>> {
        self.inner
            .query_row(
                "SELECT kind FROM alert WHERE id = ?1 \
                 AND EXISTS(SELECT * FROM delivery WHERE alert = ?1 AND state = 'held')",
                [alert],
                |row| Ok(read_kind(row.get_ref(0)?.as_str()?)),
            )
            .optional()
    }
}

impl<'c> Desk<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            memory: connection.prepare(
                "SELECT score, at, calm_at, held, told, held_alert FROM memory WHERE rule = ?1 AND node = ?2",
            )?,
            remember: connection.prepare(
                "INSERT INTO memory(rule, node, score, at, calm_at, held, told, held_alert) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                 ON CONFLICT DO UPDATE SET score = excluded.score, at = excluded.at, calm_at = excluded.calm_at, \
                 held = excluded.held, told = excluded.told, held_alert = excluded.held_alert",
            )?,
            flaps: connection.prepare("INSERT INTO flapping VALUES(?1)")?,
            hold: connection.prepare(
                "UPDATE delivery SET state = 'held', last_error = ?2 WHERE alert = ?1 AND state = 'pending'",
            )?,
            skip: connection.prepare(SKIP)?,
            count: connection.prepare(COUNT)?,
        })
    }

    /// What is remembered, and the alert that is held.
    fn memory(&mut self, rule: &str, node: &str) -> rusqlite::Result<(Memory, Option<i64>)> {
        let found = self
            .memory
            .query_row([rule, node], |row| Ok((read_memory(row)?, row.get(5)?)))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Returns the alert that is held now.
    fn apply(
        &mut self,
        alert: &FreshAlert,
        admission: Admission,
        held: Option<i64>,
        now: Time,
    ) -> rusqlite::Result<Option<i64>> {
        let now = now.millis();
        if admission == Admission::SendFlapping {
            self.flaps.execute([alert.id])?;
        }
        match admission {
            Admission::Mute => {
                let reason = alert.muted.as_deref().unwrap_or_default();
                self.skip.execute(params![alert.id, reason, now])?;
                self.count.execute(params![alert.id, "muted", reason])?;
                Ok(held)
            }
            // What is told now is newer than what was held.
            Admission::Send | Admission::SendFlapping => {
                if let Some(older) = held {
                    self.skip.execute(params![older, FLAPPING, now])?;
                }
                Ok(None)
            }
            Admission::Hold => {
                if let Some(older) = held {
                    self.skip.execute(params![older, FLAPPING, now])?;
                }
                self.hold.execute(params![alert.id, FLAPPING])?;
                self.count.execute(params![alert.id, "held", FLAPPING])?;
                Ok(Some(alert.id))
            }
        }
    }

    fn remember(
        &mut self,
        (rule, node): (&str, &str),
        memory: &Memory,
        held: Option<i64>,
    ) -> rusqlite::Result<usize> {
        self.remember.execute(params![
            rule,
            node,
            memory.score,
            memory.at.millis(),
            memory.calm_at.map(Time::millis),
            memory.held,
            memory.told.map(told_word),
            held,
        ])
    }
}

fn fresh_alerts(connection: &Connection, place: &Place) -> Result<Vec<FreshAlert>, StateError> {
    let attempt = || StateError::database("read new alerts", place);
    let mut statement = connection
        .prepare(
            "SELECT id, rule, node, kind, severity, queued, muted FROM alert \
             WHERE id > (SELECT up_to FROM admitted) ORDER BY id",
        )
        .map_err(attempt())?;
    let rows = statement.query_map([], read_fresh).map_err(attempt())?;
    rows.collect::<rusqlite::Result<_>>().map_err(attempt())
}

fn read_fresh(row: &Row<'_>) -> rusqlite::Result<FreshAlert> {
    let muted: Option<String> = row.get(6)?;
    Ok(FreshAlert {
        id: row.get(0)?,
        rule: row.get(1)?,
        node: row.get(2)?,
        fresh: Fresh {
            kind: read_kind(row.get_ref(3)?.as_str()?),
            severity: Severity::parse(row.get_ref(4)?.as_str()?).unwrap_or(Severity::Warning),
            queued: Time::from_millis(row.get(5)?),
            muted: muted.is_some(),
        },
        muted,
    })
}

/// Nodes that have calmed down, as rule and node.
fn calm(connection: &Connection, now: Time) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection
        .prepare("SELECT rule, node FROM memory WHERE calm_at <= ?1 AND calm_at IS NOT NULL")?;
    let rows = statement.query_map([now.millis()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

const fn told_word(told: Told) -> &'static str {
    match told {
        Told::Triggered => "triggered",
        Told::Recovered => "recovered",
    }
}

/// From the first five columns.
pub(super) fn read_memory(row: &Row<'_>) -> rusqlite::Result<Memory> {
    let told: Option<String> = row.get(4)?;
    Ok(Memory {
        score: row.get(0)?,
        at: Time::from_millis(row.get(1)?),
        calm_at: row.get::<_, Option<i64>>(2)?.map(Time::from_millis),
        held: row.get(3)?,
        told: told.as_deref().and_then(|word| {
            [Told::Triggered, Told::Recovered]
                .into_iter()
                .find(|told| told_word(*told) == word)
        }),
    })
}
