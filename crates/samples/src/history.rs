//! The history of one state directory: opening it, and what it knows of names.

use std::path::{Path, PathBuf};

use ng_engine::time::Time;
use ng_state::{Database, Notice, StateError};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::clock;
use crate::fault::Fault;
use crate::numbers::{self, Kind};
use crate::schema::{FORMAT, Level};
use crate::table::Table;

/// The history of node metrics, open in this process.
#[derive(Debug)]
pub struct History {
    pub(crate) database: Database,
}

/// The history, and what became of the one before.
#[derive(Debug)]
pub struct Opened {
    /// The history.
    pub history: History,
    /// Says that nothing is kept yet, and why; given on every opening until a check is recorded.
    pub notice: Option<Notice>,
}

/// A node of which there are samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownNode {
    /// Its name.
    pub name: String,
    /// Its UID; empty if it was not told.
    pub uid: String,
    /// The first check with it.
    pub since: Time,
    /// The first check without it; `None` while it is there.
    pub gone: Option<Time>,
}

impl History {
    /// Opens the history in a directory, to record; makes directory and file where they are missing, and sets a
    /// damaged file aside as `history.db.corrupt-<n>`. `now` only goes into the notice.
    pub fn open(directory: &Path, now: Time) -> Result<Opened, StateError> {
        let (database, notice) = Database::open(directory, &FORMAT, now)?;
        Ok(Opened {
            history: Self { database },
            notice,
        })
    }

    /// Opens the history to read it, also where nothing may be written. `None`: there is none yet. Never waits for a
    /// check that is being recorded. A damaged file is an error here, and set aside by the next [`History::open`].
    pub fn read(directory: &Path) -> Result<Option<Self>, StateError> {
        let database = Database::read(directory, &FORMAT)?;
        Ok(database.map(|database| Self { database }))
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.database.path()
    }

    /// When the newest check was that is kept.
    pub fn newest(&self) -> Result<Option<Time>, StateError> {
        self.look("read the newest check", newest)
            .map(|newest| newest.map(clock::time))
    }

    /// Nodes of which there are samples, by name and then by age; of a name that was used again, all that had it.
    pub fn nodes(&self) -> Result<Vec<KnownNode>, StateError> {
        let mut entries = self.look("read the nodes", |connection| {
            numbers::entries(connection, Kind::Node)
        })?;
        entries.sort_by(|one, other| (&one.name, one.since).cmp(&(&other.name, other.since)));
        let node = |entry: numbers::Entry| KnownNode {
            name: entry.name,
            uid: entry.uid,
            since: clock::time(entry.since),
            gone: entry.gone.map(clock::time),
        };
        Ok(entries.into_iter().map(node).collect())
    }

    /// Metrics of which there are samples, by name.
    pub fn metrics(&self) -> Result<Vec<String>, StateError> {
        let entries = self.look("read the metrics", |connection| {
            numbers::entries(connection, Kind::Metric)
        })?;
        let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
        names.sort();
        Ok(names)
    }

    /// Reads in one transaction: everything is of the same moment, whoever writes meanwhile.
    pub(crate) fn look<T>(
        &self,
        attempt: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StateError> {
        let begin = || {
            Transaction::new_unchecked(self.database.connection(), TransactionBehavior::Deferred)
        };
        begin()
            .map_err(Fault::from)
            .and_then(|transaction| read(&transaction))
            .map_err(Fault::of(attempt, &self.database))
    }
}

/// The second of the newest check.
pub(crate) fn newest(connection: &Connection) -> Result<Option<i64>, Fault> {
    let newest = Table::new(connection, Level::Raw)?.last_before(i64::MAX)?;
    Ok(newest.map(|key| key.at))
}
