//! One write transaction: load, decide elsewhere, save, queue, commit.

use std::collections::{BTreeMap, BTreeSet};

use ng_engine::history::{History, Ledger, NodeRecord, RuleHistory, RuleSummary};
use ng_engine::plan::Alert;
use ng_engine::roster::Roster;
use ng_engine::time::Time;
use ng_engine::timers::Timers;
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use crate::counter;
use crate::documents::{self, DETAILS, LEDGERS, RECORDS};
use crate::error::StateError;
use crate::log;
use crate::open::{self, NOTICE, Notice};
use crate::outbox;
use crate::place::Place;

/// A write transaction.
#[derive(Debug)]
pub struct Transaction<'s> {
    pub(crate) inner: rusqlite::Transaction<'s>,
    connection: &'s Connection,
    pub(crate) place: &'s Place,
    /// Rules whose timers were loaded; those of others stay as they are.
    timed: BTreeSet<String>,
    /// Whether something was written that a power failure must not take: what was done to the cluster, or alerts.
    pub(crate) durable: bool,
    lost: Vec<String>,
}

impl<'s> Transaction<'s> {
    pub(crate) fn begin(connection: &'s Connection, place: &'s Place) -> Result<Self, StateError> {
        // Unchecked, because the connection is needed after the commit; `Store::begin` borrows the store alone.
        let inner =
            rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
                .map_err(StateError::database("begin a transaction", place))?;
        Ok(Self {
            inner,
            connection,
            place,
            timed: BTreeSet::new(),
            durable: false,
            lost: Vec::new(),
        })
    }

    /// Whether the history is still missing, as of this transaction: another process may have saved one since the
    /// store was opened.
    pub fn notice(&self) -> Result<Option<Notice>, StateError> {
        open::notice(&self.inner, self.place)
    }

    /// Summaries, records and ledgers of all, the roster, and the timers of the named rules.
    pub fn load(&mut self, rules_with_timers: &[&str]) -> Result<History, StateError> {
        let mut history = History {
            rules: summaries(&self.inner, self.place)?
                .into_iter()
                .map(|(name, summary)| {
                    let history = RuleHistory {
                        summary,
                        ..RuleHistory::default()
                    };
                    (name, history)
                })
                .collect(),
            ..History::default()
        };
        self.load_records(&mut history)?;
        self.load_ledgers(&mut history)?;
        self.load_roster(&mut history)?;
        self.load_timers(&mut history, rules_with_timers)?;
        Ok(history)
    }

    /// What [`Transaction::load`] could not read and did without, in words: soft parts, which only delay triggers.
    pub fn lost(&self) -> &[String] {
        &self.lost
    }

    /// Makes the stored history the given one: writes what differs and deletes what is absent. Timers of a rule
    /// that were not loaded and are empty stay as they are. The notice of a missing history ends here.
    pub fn save(&mut self, history: &History) -> Result<(), StateError> {
        self.save_summaries(history)?;
        let records = history.rules.iter().flat_map(|(rule, history)| {
            let records = history.records.iter();
            records.map(move |(node, record)| ((rule.as_str(), node.as_str()), record))
        });
        let ledgers = history
            .ledgers
            .iter()
            .map(|(node, ledger)| (("", node.as_str()), ledger));
        let hard = RECORDS.settle(&self.inner, self.place, records)?
            + LEDGERS.settle(&self.inner, self.place, ledgers)?;
        self.durable |= hard > 0;
        self.save_timers(history)?;
        self.save_roster(&history.roster)
            .map_err(StateError::database("save the roster", self.place))?;
        self.set_note(NOTICE, None)
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
    /// on return.
    pub fn commit(self) -> Result<(), StateError> {
        self.inner
            .commit()
            .map_err(StateError::database("commit", self.place))?;
        if self.durable {
            log::sync(self.place)?;
        }
        log::empty(self.connection, self.place);
        Ok(())
    }

    fn load_records(&self, history: &mut History) -> Result<(), StateError> {
        let attempt = || StateError::database("read the records", self.place);
        let mut statement = self.inner.prepare(RECORDS.scan).map_err(attempt())?;
        let mut rows = statement.query([]).map_err(attempt())?;
        while let Some(row) = rows.next().map_err(attempt())? {
            let (key, body) = documents::read(row).map_err(attempt())?;
            let record: NodeRecord = serde_json::from_str(body)
                .map_err(StateError::damaged(RECORDS.row(key), self.place))?;
            // A record without a summary is never written; it would be deleted by the next save.
            if let Some(rule) = history.rules.get_mut(key.0) {
                rule.records.insert(key.1.to_owned(), record);
            }
        }
        Ok(())
    }

    fn load_ledgers(&self, history: &mut History) -> Result<(), StateError> {
        let attempt = || StateError::database("read the ledgers", self.place);
        let mut statement = self.inner.prepare(LEDGERS.scan).map_err(attempt())?;
        let mut rows = statement.query([]).map_err(attempt())?;
        while let Some(row) = rows.next().map_err(attempt())? {
            let (key, body) = documents::read(row).map_err(attempt())?;
            let ledger: Ledger = serde_json::from_str(body)
                .map_err(StateError::damaged(LEDGERS.row(key), self.place))?;
            history.ledgers.insert(key.1.to_owned(), ledger);
        }
        Ok(())
    }

    /// Timers mean nothing without the roster that numbered their nodes, so they go with it.
    fn load_roster(&mut self, history: &mut History) -> Result<(), StateError> {
        let attempt = || StateError::database("read the roster", self.place);
        let roster = self
            .inner
            .query_row("SELECT body FROM roster", [], |row| {
                Ok(Roster::decode(row.get_ref(0)?.as_blob()?))
            })
            .optional()
            .map_err(attempt())?;
        match roster {
            None => {}
            Some(Some(roster)) => history.roster = roster,
            Some(None) => {
                self.inner
                    .execute_batch("DELETE FROM roster; DELETE FROM timers")
                    .map_err(attempt())?;
                self.lost.push("the roster and all timers".to_owned());
            }
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
            self.timed.insert((*rule).to_owned());
            let Some(found) = history.rules.get_mut(*rule) else {
                continue;
            };
            let timers = statement
                .query_row([rule], |row| Ok(Timers::decode(row.get_ref(0)?.as_blob()?)))
                .optional()
                .map_err(attempt())?;
            match timers {
                None => {}
                Some(Some(timers)) => found.timers = timers,
                Some(None) => self.lost.push(format!("the timers of rule {rule}")),
            }
        }
        Ok(())
    }

    fn save_summaries(&self, history: &History) -> Result<(), StateError> {
        let details = history
            .rules
            .iter()
            .map(|(rule, history)| (("", rule.as_str()), detail(&history.summary)));
        DETAILS.settle(&self.inner, self.place, details)?;
        self.save_moments(history)
            .map_err(StateError::database("save the rules", self.place))
    }

    /// The narrow rows that change with most evaluations.
    fn save_moments(&self, history: &History) -> rusqlite::Result<()> {
        let mut stored: BTreeMap<String, Moment> = self
            .inner
            .prepare("SELECT name, last_evaluated, unknown, pending FROM rule")?
            .query_map([], |row| Ok((row.get(0)?, read_moment(row)?)))?
            .collect::<Result<_, _>>()?;
        let mut put = self.inner.prepare(
            "INSERT INTO rule(name, last_evaluated, unknown, pending) VALUES(?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET last_evaluated = excluded.last_evaluated, \
             unknown = excluded.unknown, pending = excluded.pending",
        )?;
        for (rule, history) in &history.rules {
            let moment = moment(&history.summary);
            if stored.remove(rule) != Some(moment) {
                put.execute(params![rule, moment.0, moment.1, moment.2])?;
            }
        }
        for rule in stored.keys() {
            self.inner
                .execute("DELETE FROM rule WHERE name = ?1", [rule])?;
        }
        Ok(())
    }

    fn save_timers(&self, history: &History) -> Result<(), StateError> {
        let attempt = || StateError::database("save timers", self.place);
        let stored: Vec<String> = self
            .inner
            .prepare("SELECT rule FROM timers")
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .map_err(attempt())?;
        for rule in &stored {
            let keep = history
                .rules
                .get(rule)
                .is_some_and(|found| !found.timers.tests.is_empty() || !self.timed.contains(rule));
            if !keep {
                self.inner
                    .execute("DELETE FROM timers WHERE rule = ?1", [rule])
                    .map_err(attempt())?;
            }
        }
        let timed = history
            .rules
            .iter()
            .filter(|(_, history)| !history.timers.tests.is_empty());
        for (rule, history) in timed {
            self.save_blob(TIMERS, rule, &history.timers.encode())
                .map_err(attempt())?;
        }
        Ok(())
    }

    fn save_roster(&self, roster: &Roster) -> rusqlite::Result<()> {
        if *roster == Roster::default() {
            // Without `WHERE`, an empty table would be cleared again, and written.
            self.inner.execute("DELETE FROM roster WHERE id = 1", [])?;
            return Ok(());
        }
        self.save_blob(ROSTER, "1", &roster.encode())
    }

    /// Compared first: an upsert alone would write the pages of a blob that stays the same.
    fn save_blob(
        &self,
        [read, write]: [&'static str; 2],
        key: &str,
        bytes: &[u8],
    ) -> rusqlite::Result<()> {
        let same = self
            .inner
            .query_row(read, [key], |row| Ok(row.get_ref(0)?.as_blob()? == bytes))
            .optional()?;
        if same != Some(true) {
            self.inner.execute(write, params![key, bytes])?;
        }
        Ok(())
    }
}

const TIMERS: [&str; 2] = [
    "SELECT body FROM timers WHERE rule = ?1",
    "INSERT INTO timers(rule, body) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body",
];
const ROSTER: [&str; 2] = [
    "SELECT body FROM roster WHERE id = ?1",
    "INSERT INTO roster(id, body) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body",
];

/// `last_evaluated`, `unknown` and `pending` of a summary, as in their columns.
type Moment = (Option<i64>, i64, i64);

fn moment(summary: &RuleSummary) -> Moment {
    let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
    (
        summary.last_evaluated.map(Time::millis),
        count(summary.unknown),
        count(summary.pending),
    )
}

/// From the columns after the name.
fn read_moment(row: &Row<'_>) -> rusqlite::Result<Moment> {
    Ok((row.get(1)?, row.get(2)?, row.get(3)?))
}

/// A summary without what stands in columns.
fn detail(summary: &RuleSummary) -> RuleSummary {
    RuleSummary {
        last_evaluated: None,
        unknown: 0,
        pending: 0,
        ..summary.clone()
    }
}

pub(crate) fn summaries(
    connection: &Connection,
    place: &Place,
) -> Result<BTreeMap<String, RuleSummary>, StateError> {
    let attempt = || StateError::database("read the rules", place);
    let mut statement = connection
        .prepare(
            "SELECT name, last_evaluated, unknown, pending, body \
             FROM rule JOIN detail ON detail.rule = rule.name",
        )
        .map_err(attempt())?;
    let mut rows = statement.query([]).map_err(attempt())?;
    let mut summaries = BTreeMap::new();
    while let Some(row) = rows.next().map_err(attempt())? {
        let name: String = row.get(0).map_err(attempt())?;
        let (last_evaluated, unknown, pending) = read_moment(row).map_err(attempt())?;
        let body = row
            .get_ref(4)
            .and_then(|body| Ok(body.as_str()?))
            .map_err(attempt())?;
        let mut summary: RuleSummary = serde_json::from_str(body)
            .map_err(StateError::damaged(DETAILS.row(("", &name)), place))?;
        summary.last_evaluated = last_evaluated.map(Time::from_millis);
        summary.unknown = usize::try_from(unknown).unwrap_or(0);
        summary.pending = usize::try_from(pending).unwrap_or(0);
        summaries.insert(name, summary);
    }
    Ok(summaries)
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
