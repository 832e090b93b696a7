//! Reads that need no transaction, and the small transactions of evictions.

use std::path::{Path, PathBuf};

use ng_engine::history::NodeRecord;
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _};

use crate::counter::{self, Counter};
use crate::database::{Database, Notice, Past, SetAside};
use crate::documents::RECORDS;
use crate::error::StateError;
use crate::outbox::{self, OutboxCounts, OutboxFilter, QueuedAlert};
use crate::place::Place;
use crate::rules::{self, Glances, Whose};
use crate::schema::FORMAT;
use crate::transaction::{self, Peeked, Transaction};

/// The state of one state directory, open in this process.
#[derive(Debug)]
pub struct Store {
    pub(crate) database: Database,
    past: Past,
}

/// The state, and what became of the one before.
#[derive(Debug)]
pub struct Opened {
    /// The state.
    pub store: Store,
    /// Says that there is no history yet; given on every opening until one is saved.
    pub notice: Option<Notice>,
}

impl Store {
    /// Opens the state in a directory; makes the directory (mode 0700) and the file where they are missing, and sets
    /// a damaged file aside as `state.db.corrupt-<n>`. `now` only goes into the notice.
    pub fn open(directory: &Path, now: Time) -> Result<Opened, StateError> {
        let (database, notice) = Database::open(directory, &FORMAT, now)?;
        Ok(Opened {
            store: Self {
                database,
                past: Past::of(notice.as_ref()),
            },
            notice,
        })
    }

    /// Opens the state to look at it, also where nothing may be written. `None`: there is none yet. Never waits for a
    /// transaction; a damaged file is an error here, and set aside by the next [`Store::open`].
    pub fn read(directory: &Path) -> Result<Option<Self>, StateError> {
        let database = Database::read(directory, &FORMAT)?;
        Ok(database.map(|database| Self {
            database,
            past: Past::Saved,
        }))
    }

    /// Leaves closing to the end of the process, which is near: all that closing does is to give back what ends with it
    /// anyway.
    pub fn leave(self) {
        std::mem::forget(self);
    }

    /// Gives back the memory of pages that were read, for what comes before the next transaction. Only what they say is
    /// lost by it, and read again.
    pub fn give_back_memory(&self) {
        // There is nothing to be done if it fails, and nothing is lost.
        drop(self.connection().execute_batch("PRAGMA shrink_memory"));
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.database.connection()
    }

    pub(crate) fn place(&self) -> &Place {
        self.database.place()
    }

    /// What was set aside by this opening, which nobody else says: with it went alerts that were not sent.
    pub fn set_aside(&self) -> Option<&SetAside> {
        self.database.set_aside()
    }

    /// The database file.
    pub fn path(&self) -> PathBuf {
        self.database.path()
    }

    /// What tells which rules are due.
    pub fn glances(&self) -> Result<Glances, StateError> {
        // The version comes first: rules that are newer than their version are read once more, older ones would not be.
        let version = transaction::data_version(self.connection(), self.place())?;
        let rules = rules::glances(self.connection(), self.place())?;
        Ok(Glances { rules, version })
    }

    /// What is remembered of these rules and of all that have records, for a look at it before a transaction; of every
    /// rule, if another process has written since the glances.
    pub fn peek(&self, glances: &Glances, rules: &[&str]) -> Result<Peeked, StateError> {
        Peeked::read(
            self.connection(),
            self.place(),
            glances.version,
            Whose::Of(rules),
        )
    }

    /// All counters, by name and labels.
    pub fn counters(&self) -> Result<Vec<Counter>, StateError> {
        counter::list(self.connection(), self.place())
    }

    /// A small text that was noted under a key.
    pub fn note(&self, key: &str) -> Result<Option<String>, StateError> {
        transaction::note(self.connection(), self.place(), key)
    }

    /// Alerts in the outbox, oldest first.
    pub fn outbox(&self, filter: OutboxFilter) -> Result<Vec<QueuedAlert>, StateError> {
        outbox::list(self.connection(), self.place(), filter)
    }

    /// How many deliveries are open.
    pub fn outbox_counts(&self) -> Result<OutboxCounts, StateError> {
        outbox::counts(self.connection(), self.place())
    }

    /// Begins a transaction; no other process can begin one until it ends. Dropped without
    /// [`Transaction::commit`], it leaves no trace.
    pub fn begin(&mut self) -> Result<Transaction<'_>, StateError> {
        self.database.prepare_to_write()?;
        Transaction::begin(self.connection(), self.place(), self.past)
    }

    /// Changes the record of one node under one rule, in a transaction of its own that is on disk on return.
    /// `None` if there is no such record (any more): then `change` is not called.
    pub fn update_jobs<T>(
        &mut self,
        rule: &str,
        node: &str,
        change: impl FnOnce(&mut NodeRecord) -> T,
    ) -> Result<Option<T>, StateError> {
        let mut transaction = self.begin()?;
        let Some(mut record) = transaction.record(rule, node)? else {
            return Ok(None);
        };
        let outcome = change(&mut record);
        transaction.put_record(rule, node, &record)?;
        transaction.commit()?;
        Ok(Some(outcome))
    }
}

impl Transaction<'_> {
    fn record(&self, rule: &str, node: &str) -> Result<Option<NodeRecord>, StateError> {
        let body: Option<String> = self
            .inner
            .query_row(
                "SELECT body FROM record WHERE rule = ?1 AND node = ?2",
                [rule, node],
                |row| row.get(0),
            )
            .optional()
            .map_err(StateError::database("read a record", self.place))?;
        body.map(|body| serde_json::from_str(&body))
            .transpose()
            .map_err(StateError::damaged(RECORDS.row((rule, node)), self.place))
    }

    fn put_record(
        &mut self,
        rule: &str,
        node: &str,
        record: &NodeRecord,
    ) -> Result<(), StateError> {
        let body =
            serde_json::to_string(record).map_err(StateError::encode(RECORDS.row((rule, node))))?;
        let changed = self
            .inner
            .execute(
                "UPDATE record SET body = ?3 WHERE rule = ?1 AND node = ?2 AND body <> ?3",
                [rule, node, &body],
            )
            .map_err(StateError::database("write a record", self.place))?;
        self.durable |= changed > 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ng_engine::history::History;
    use ng_engine::time::Time;
    use tempfile::TempDir;

    use super::*;

    const NOW: Time = Time::from_millis(1_700_000_000_000);

    #[test]
    fn a_full_disk_leaves_nothing_half_applied() {
        let directory = TempDir::new().unwrap();
        let mut store = Store::open(directory.path(), NOW).unwrap().store;
        store
            .connection()
            .query_row("PRAGMA max_page_count = 30", [], |_| Ok(()))
            .unwrap();
        let mut small = History::default();
        small.rules.entry("small".to_owned()).or_default();
        let mut transaction = store.begin().unwrap();
        transaction.save(&small).unwrap();
        transaction.commit().unwrap();

        let mut large = History::default();
        large
            .rules
            .entry("large".to_owned())
            .or_default()
            .summary
            .spec = "x".repeat(500_000);
        let mut transaction = store.begin().unwrap();
        transaction.set_note("round", Some("two")).unwrap();
        let error = transaction.save(&large).unwrap_err();
        assert!(error.is_full() && !error.is_damaged(), "{error:?}");
        assert!(
            error.story().contains("state.db: no storage space"),
            "{}",
            error.story()
        );
        drop(transaction);

        assert_eq!(store.note("round").unwrap(), None);
        assert_eq!(store.begin().unwrap().load(&[]).unwrap(), small);
        drop(store);
        assert_eq!(Store::open(directory.path(), NOW).unwrap().notice, None);
    }
}
