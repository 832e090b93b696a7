//! What the node monitor remembers, and its incidents: rows that only it knows how to read.
//!
//! The tables are made when they are first written to, so that a state of an earlier version needs no change.

use std::collections::BTreeMap;

use ng_engine::time::Time;
use rusqlite::{Connection, params};

use crate::error::StateError;
use crate::place::Place;
use crate::store::Store;
use crate::transaction::Transaction;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS monitor(key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incident(
    subject TEXT, kind TEXT, began INTEGER, level TEXT NOT NULL, ended INTEGER,
    PRIMARY KEY(subject, kind, began)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incident_ended ON incident(ended);
";

/// Something that was wrong for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// With what.
    pub subject: String,
    /// In which respect.
    pub kind: String,
    /// How bad it was at worst.
    pub level: String,
    /// When it began.
    pub began: Time,
    /// When it ended; `None`: it goes on.
    pub ended: Option<Time>,
}

/// Rows by key.
pub type Rows = BTreeMap<String, String>;

fn rows(connection: &Connection, place: &Place) -> Result<Rows, StateError> {
    let attempt = || StateError::database("read what the node monitor remembers", place);
    if !exists(connection).map_err(attempt())? {
        return Ok(Rows::new());
    }
    connection
        .prepare("SELECT key, body FROM monitor")
        .and_then(|mut statement| {
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
        .map_err(attempt())
}

fn exists(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS(SELECT * FROM sqlite_schema WHERE name = 'monitor')",
        [],
        |row| row.get(0),
    )
}

impl Store {
    /// What the node monitor remembers.
    pub fn monitor_rows(&self) -> Result<Rows, StateError> {
        rows(self.connection(), self.place())
    }

    /// Incidents that go on or ended after `since`, in the order in which they began.
    pub fn incidents(&self, since: Time) -> Result<Vec<Incident>, StateError> {
        let attempt = || StateError::database("read the incidents", self.place());
        if !exists(self.connection()).map_err(attempt())? {
            return Ok(Vec::new());
        }
        let incident = |row: &rusqlite::Row<'_>| {
            Ok(Incident {
                subject: row.get(0)?,
                kind: row.get(1)?,
                level: row.get(2)?,
                began: Time::from_millis(row.get(3)?),
                ended: row.get::<_, Option<i64>>(4)?.map(Time::from_millis),
            })
        };
        self.connection()
            .prepare(
                "SELECT subject, kind, level, began, ended FROM incident \
                 WHERE ended IS NULL OR ended >= ?1 ORDER BY began, subject, kind",
            )
            .and_then(|mut statement| {
                let rows = statement.query_map([since.millis()], incident)?;
                rows.collect()
            })
            .map_err(attempt())
    }
}

impl Transaction<'_> {
    /// What the node monitor remembers, as of this transaction.
    pub fn monitor_rows(&self) -> Result<Rows, StateError> {
        rows(&self.inner, self.place)
    }

    /// Writes rows of the node monitor, and removes those without a text.
    pub fn set_monitor_rows<'r>(
        &mut self,
        rows: impl IntoIterator<Item = (&'r str, Option<&'r str>)>,
    ) -> Result<(), StateError> {
        let attempt = || StateError::database("save what the node monitor remembers", self.place);
        let mut ready = false;
        for (key, body) in rows {
            if !ready {
                self.inner.execute_batch(TABLES).map_err(attempt())?;
                ready = true;
            }
            let outcome = match body {
                Some(body) => self.inner.execute(
                    "INSERT INTO monitor VALUES(?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body",
                    [key, body],
                ),
                None => self
                    .inner
                    .execute("DELETE FROM monitor WHERE key = ?1", [key]),
            };
            outcome.map_err(attempt())?;
        }
        Ok(())
    }

    /// Records incidents: what is there already with the same beginning gets the new end, and the level if
    /// it is worse.
    pub fn record_incidents(&mut self, incidents: &[Incident]) -> Result<(), StateError> {
        let attempt = || StateError::database("record incidents", self.place);
        if incidents.is_empty() {
            return Ok(());
        }
        self.inner.execute_batch(TABLES).map_err(attempt())?;
        let mut statement = self
            .inner
            .prepare(
                "INSERT INTO incident VALUES(?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT DO UPDATE SET ended = excluded.ended, \
                 level = CASE level WHEN 'critical' THEN level ELSE excluded.level END",
            )
            .map_err(attempt())?;
        for incident in incidents {
            let ended = incident.ended.map(Time::millis);
            statement
                .execute(params![
                    incident.subject,
                    incident.kind,
                    incident.began.millis(),
                    incident.level,
                    ended
                ])
                .map_err(attempt())?;
        }
        Ok(())
    }

    /// Forgets incidents that ended before; returns how many.
    pub fn forget_incidents(&mut self, before: Time) -> Result<usize, StateError> {
        let attempt = || StateError::database("forget incidents", self.place);
        if !exists(&self.inner).map_err(attempt())? {
            return Ok(0);
        }
        self.inner
            .execute("DELETE FROM incident WHERE ended < ?1", [before.millis()])
            .map_err(attempt())
    }
}
