//! One write transaction: load, decide elsewhere, save, queue, commit.

use std::cell::Cell;
use std::collections::BTreeMap;

use ng_engine::history::{History, Ledger, NodeRecord, RuleHistory};
use ng_engine::plan::Alert;
use ng_engine::roster::Roster;
use ng_engine::time::Time;
use ng_engine::timers::Timers;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::counter;
use crate::database::{self, Notice, Past};
use crate::documents::{self, Key, LEDGERS, RECORDS};
use crate::error::StateError;
use crate::lazy::Lazy;
use crate::log;
use crate::outbox::{self, Labels};
use crate::place::Place;
use crate::rules::{self, Whose};

/// A write transaction.
#[derive(Debug)]
pub struct Transaction<'s> {
    pub(crate) inner: rusqlite::Transaction<'s>,
    connection: &'s Connection,
    pub(crate) place: &'s Place,
    /// The stored timers of the rules whose timers were loaded; those of others stay as they are.
    timed: BTreeMap<String, Vec<u8>>,
    /// The stored roster, if it was loaded.
    roster: Option<Vec<u8>>,
    past: Past,
    /// What was loaded, to tell what has changed without reading it again.
    loaded: Option<History>,
    pub(crate) labels: Labels,
    /// Up to which id alerts are admitted, once it is known.
    pub(crate) admitted: Cell<Option<i64>>,
    /// No alert with a greater id says that its node is flapping, if that is known.
    pub(crate) steady_after: Cell<Option<i64>>,
    /// Whether something was written that a power failure must not take: what was done to the cluster, or alerts.
    pub(crate) durable: bool,
    /// Channels on which something was delivered.
    pub(crate) delivered: Vec<String>,
    lost: Vec<String>,
}

impl<'s> Transaction<'s> {
    pub(crate) fn begin(
        connection: &'s Connection,
        place: &'s Place,
        past: Past,
    ) -> Result<Self, StateError> {
        // Unchecked, because the connection is needed after the commit; `Store::begin` borrows the store alone.
        let inner =
            rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
                .map_err(StateError::database("begin a transaction", place))?;
        Ok(Self {
            inner,
            connection,
            place,
            timed: BTreeMap::new(),
            roster: None,
            past,
            loaded: None,
            labels: Labels::default(),
            admitted: Cell::new(None),
            steady_after: Cell::new(None),
            durable: false,
            delivered: Vec::new(),
            lost: Vec::new(),
        })
    }

    /// A transaction that only reads: all that it finds is of one moment.
    pub(crate) fn look(connection: &Connection) -> rusqlite::Result<rusqlite::Transaction<'_>> {
        rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Deferred)
    }

    /// Whether the history is still missing, as of this transaction: another process may have saved one since the
    /// store was opened.
    pub fn notice(&self) -> Result<Option<Notice>, StateError> {
        match self.past {
            Past::Saved => Ok(None),
            Past::Missing => database::notice(&self.inner, self.place),
        }
    }

    /// Summaries, records and ledgers of all, the roster, and the timers of the named rules.
    pub fn load(&mut self, rules_with_timers: &[&str]) -> Result<History, StateError> {
        let documents = read_documents(&self.inner, self.place, Whose::Everyone)?;
        self.complete(documents, rules_with_timers)
    }

    /// As [`Transaction::load`], from what was read before the transaction began, unless another process has written
    /// since: of what was peeked at then, which need not be every rule. Rules that were left out stay as they are.
    pub fn load_after(
        &mut self,
        peeked: Option<Peeked>,
        rules_with_timers: &[&str],
    ) -> Result<History, StateError> {
        let version = data_version(&self.inner, self.place)?;
        match peeked {
            Some(peeked) if peeked.version == version => {
                self.complete(peeked.history, rules_with_timers)
            }
            Some(_) | None => self.load(rules_with_timers),
        }
    }

    fn complete(
        &mut self,
        mut history: History,
        rules_with_timers: &[&str],
    ) -> Result<History, StateError> {
        self.loaded = Some(history.clone());
        self.load_roster(&mut history)?;
        self.load_timers(&mut history, rules_with_timers)?;
        Ok(history)
    }

    /// What [`Transaction::load`] could not read and did without, in words: soft parts, which only delay triggers.
    pub fn lost(&self) -> &[String] {
        &self.lost
    }

    /// Makes the stored history the given one: writes what differs and deletes what is absent. Rules that were not
    /// loaded and are absent stay as they are, and so do timers of a rule that were not loaded and are empty. The
    /// notice of a missing history ends here.
    pub fn save(&mut self, history: &History) -> Result<(), StateError> {
        let before = self.loaded.take();
        self.save_rules(history, before.as_ref())
            .map_err(StateError::database("save the rules", self.place))?;
        let hard = RECORDS.settle(
            &self.inner,
            self.place,
            records(history),
            before.as_ref().map(records),
        )? + LEDGERS.settle(
            &self.inner,
            self.place,
            ledgers(history),
            before.as_ref().map(ledgers),
        )?;
        self.durable |= hard > 0;
        self.save_timers(history)
            .map_err(StateError::database("save timers", self.place))?;
        self.save_roster(&history.roster)
            .map_err(StateError::database("save the roster", self.place))?;
        match self.past {
            Past::Saved => Ok(()),
            Past::Missing => database::end_notice(&self.inner, self.place),
        }
    }

    /// Puts alerts into the outbox, one delivery for each of their channels, due at once; returns their ids.
    pub fn queue(&mut self, alerts: &[Alert], now: Time) -> Result<Vec<i64>, StateError> {
        self.durable |= !alerts.is_empty();
        outbox::queue(&self.inner, self.place, alerts, now)
    }

    /// Adds to a counter that goes on over runs.
    pub fn count(
        &mut self,
        counter: &str,
        labels: &[(&str, &str)],
        by: u64,
    ) -> Result<(), StateError> {
        counter::add(&self.inner, self.place, counter, labels, by)
    }

    /// Drops the counters that have a label with this value, such as those of a rule that was deleted.
    pub fn forget_counters(&mut self, label: &str, value: &str) -> Result<usize, StateError> {
        counter::forget(&self.inner, self.place, label, value)
    }

    /// A small text that was noted under a key.
    pub fn note(&self, key: &str) -> Result<Option<String>, StateError> {
        note(&self.inner, self.place, key)
    }

    /// Notes a small text under a key, or removes it.
    pub fn set_note(&mut self, key: &str, text: Option<&str>) -> Result<(), StateError> {
        let outcome = match text {
            Some(text) => self.inner.execute(
                "INSERT INTO note(key, text) VALUES(?1, ?2) \
                 ON CONFLICT DO UPDATE SET text = excluded.text WHERE text <> excluded.text",
                [key, text],
            ),
            None => self.inner.execute("DELETE FROM note WHERE key = ?1", [key]),
        };
        outcome
            .map(|_| ())
            .map_err(StateError::database("write a note", self.place))
    }

    /// Makes everything visible to others at once. Records, ledgers and alerts are also safe from a power failure
    /// on return; what is delivered is where [`Transaction::has_to_last`] says so.
    pub fn commit(self) -> Result<(), StateError> {
        // In doubt it has to: what a receiver has is not taken back for a question.
        let has_to_last = self.has_to_last().unwrap_or(true);
        self.inner
            .commit()
            .map_err(StateError::database("commit", self.place))?;
        if has_to_last {
            log::sync(self.place)?;
        }
        log::empty(self.connection, self.place, log::LONGEST);
        Ok(())
    }

    /// Timers mean nothing without the roster that numbered their nodes, so they go with it.
    fn load_roster(&mut self, history: &mut History) -> Result<(), StateError> {
        let attempt = || StateError::database("read the roster", self.place);
        let stored: Option<Vec<u8>> = self
            .inner
            .query_row("SELECT body FROM roster", [], |row| row.get(0))
            .optional()
            .map_err(attempt())?;
        let Some(stored) = stored else {
            return Ok(());
        };
        if let Some(roster) = Roster::decode(&stored) {
            history.roster = roster;
            self.roster = Some(stored);
        } else {
            self.inner
                .execute_batch("DELETE FROM roster; DELETE FROM timers")
                .map_err(attempt())?;
            self.lost.push("the roster and all timers".to_owned());
        }
        Ok(())
    }

    fn load_timers(&mut self, history: &mut History, rules: &[&str]) -> Result<(), StateError> {
        let attempt = || StateError::database("read timers", self.place);
        let mut statement = self
            .inner
            .prepare("SELECT body FROM timers WHERE rule = ?1")
            .map_err(attempt())?;
        for rule in rules {
            let Some(found) = history.rules.get_mut(*rule) else {
                continue;
            };
            let stored: Option<Vec<u8>> = statement
                .query_row([rule], |row| row.get(0))
                .optional()
                .map_err(attempt())?;
            let Some(stored) = stored else {
                continue;
            };
            match Timers::decode(&stored) {
                Some(timers) => found.timers = timers,
                None => self.lost.push(format!("the timers of rule {rule}")),
            }
            self.timed.insert((*rule).to_owned(), stored);
        }
        Ok(())
    }

    fn save_rules(&self, history: &History, before: Option<&History>) -> rusqlite::Result<()> {
        let stored;
        let before = if let Some(before) = before {
            let rules = before.rules.iter();
            rules
                .map(|(name, rule)| (name.as_str(), &rule.summary))
                .collect()
        } else {
            stored = rules::summaries(&self.inner, Whose::Everyone, &[])?;
            let rules = stored.iter();
            rules
                .map(|(name, summary)| (name.as_str(), summary))
                .collect()
        };
        rules::save(&self.inner, history, &before)
    }

    /// Only what differs is written: an upsert alone would write the pages of a blob that stays the same.
    fn save_timers(&self, history: &History) -> rusqlite::Result<()> {
        let mut put = Lazy::new(
            &self.inner,
            "INSERT INTO timers(rule, body) VALUES(?1, ?2) \
             ON CONFLICT DO UPDATE SET body = excluded.body WHERE body <> excluded.body",
        );
        for (rule, remembered) in &history.rules {
            let stored = self.timed.get(rule);
            if remembered.timers.tests.is_empty() {
                if stored.is_some() {
                    self.inner
                        .execute("DELETE FROM timers WHERE rule = ?1", [rule])?;
                }
                continue;
            }
            let fresh = remembered.timers.encode();
            if stored != Some(&fresh) {
                put.statement()?.execute(params![rule, fresh])?;
            }
        }
        Ok(())
    }

    fn save_roster(&self, roster: &Roster) -> rusqlite::Result<()> {
        if *roster == Roster::default() {
            // Without `WHERE`, an empty table would be cleared again, and written.
            self.inner.execute("DELETE FROM roster WHERE id = 1", [])?;
            return Ok(());
        }
        let fresh = roster.encode();
        if self.roster.as_ref() != Some(&fresh) {
            self.inner.execute(
                "INSERT INTO roster(id, body) VALUES(1, ?1) \
                 ON CONFLICT DO UPDATE SET body = excluded.body WHERE body <> excluded.body",
                params![fresh],
            )?;
        }
        Ok(())
    }
}

/// What was read before a transaction, and when.
#[derive(Debug)]
pub struct Peeked {
    /// Without timers and roster.
    history: History,
    version: i64,
}

impl Peeked {
    /// `since`: the version of the data at which it was chosen whose history is needed.
    pub(crate) fn read(
        connection: &Connection,
        place: &Place,
        since: i64,
        whose: Whose<'_>,
    ) -> Result<Self, StateError> {
        let attempt = || StateError::database("read the state", place);
        // One transaction, so that the version is that of all that is read.
        let inner = Transaction::look(connection).map_err(attempt())?;
        let version = data_version(&inner, place)?;
        let whose = if version == since {
            whose
        } else {
            Whose::Everyone
        };
        let history = read_documents(&inner, place, whose)?;
        inner.finish().map_err(attempt())?;
        Ok(Self { history, version })
    }

    /// Summaries, all records and all ledgers; no timers and no roster.
    pub fn history(&self) -> &History {
        &self.history
    }
}

/// Changes whenever another connection has written.
pub(crate) fn data_version(connection: &Connection, place: &Place) -> Result<i64, StateError> {
    connection
        .query_row("PRAGMA data_version", [], |row| row.get(0))
        .map_err(StateError::database("read the state", place))
}

/// Summaries, and all records and ledgers.
fn read_documents(
    connection: &Connection,
    place: &Place,
    whose: Whose<'_>,
) -> Result<History, StateError> {
    let mut records = read_records(connection, place)?;
    let with_records: Vec<&str> = records.keys().map(String::as_str).collect();
    let summaries = rules::summaries(connection, whose, &with_records)
        .map_err(StateError::database("read the rules", place))?;
    let mut history = History::default();
    for (name, summary) in summaries {
        // A record without a summary is never written; it would be deleted by the next save.
        let records = records.remove(&name).unwrap_or_default();
        let rule = RuleHistory {
            summary,
            records,
            ..RuleHistory::default()
        };
        history.rules.insert(name, rule);
    }
    read_ledgers(connection, place, &mut history)?;
    Ok(history)
}

/// All records, by rule and node.
fn read_records(
    connection: &Connection,
    place: &Place,
) -> Result<BTreeMap<String, BTreeMap<String, NodeRecord>>, StateError> {
    let attempt = || StateError::database("read the records", place);
    let mut records: BTreeMap<String, BTreeMap<String, NodeRecord>> = BTreeMap::new();
    let mut statement = connection.prepare(RECORDS.scan).map_err(attempt())?;
    let mut rows = statement.query([]).map_err(attempt())?;
    while let Some(row) = rows.next().map_err(attempt())? {
        let (key, body) = documents::read(row).map_err(attempt())?;
        let record: NodeRecord =
            serde_json::from_str(body).map_err(StateError::damaged(RECORDS.row(key), place))?;
        if let Some(of_rule) = records.get_mut(key.0) {
            of_rule.insert(key.1.to_owned(), record);
        } else {
            let first = BTreeMap::from([(key.1.to_owned(), record)]);
            records.insert(key.0.to_owned(), first);
        }
    }
    Ok(records)
}

fn read_ledgers(
    connection: &Connection,
    place: &Place,
    history: &mut History,
) -> Result<(), StateError> {
    let attempt = || StateError::database("read the ledgers", place);
    let mut statement = connection.prepare(LEDGERS.scan).map_err(attempt())?;
    let mut rows = statement.query([]).map_err(attempt())?;
    while let Some(row) = rows.next().map_err(attempt())? {
        let (key, body) = documents::read(row).map_err(attempt())?;
        let ledger: Ledger =
            serde_json::from_str(body).map_err(StateError::damaged(LEDGERS.row(key), place))?;
        history.ledgers.insert(key.1.to_owned(), ledger);
    }
    Ok(())
}

/// All records, in the order of their keys.
fn records(history: &History) -> impl Iterator<Item = (Key<'_>, &NodeRecord)> {
    history.rules.iter().flat_map(|(rule, history)| {
        let records = history.records.iter();
        records.map(move |(node, record)| ((rule.as_str(), node.as_str()), record))
    })
}

/// All ledgers, in the order of their keys.
fn ledgers(history: &History) -> impl Iterator<Item = (Key<'_>, &Ledger)> {
    let ledgers = history.ledgers.iter();
    ledgers.map(|(node, ledger)| (("", node.as_str()), ledger))
}

pub(crate) fn note(
    connection: &Connection,
    place: &Place,
    key: &str,
) -> Result<Option<String>, StateError> {
    connection
        .query_row("SELECT text FROM note WHERE key = ?1", [key], |row| {
            row.get(0)
        })
        .optional()
        .map_err(StateError::database("read a note", place))
}
