//! The tables.
//!
//! | table | one row | changes |
//! |---|---|---|
//! | `rule` | what changes with most evaluations of a rule, and what tells whether it is due | often, narrow |
//! | `detail` | the rest of a rule's summary | seldom |
//! | `timers` | timers of a rule | with the readings |
//! | `record` | a node under a rule, JSON | with transitions and jobs |
//! | `ledger` | what was set on a node, JSON | with transitions |
//! | `roster` | the numbers of all nodes; one row | with nodes |
//! | `parcel` | alerts with neighbouring ids that differ in nodes and numbers only: the first as JSON, the names of the nodes and the numbers, both packed (`ng_engine::parcel`), and what decides about their delivery | never |
//! | `admitted` | up to which id alerts are admitted, and the last that was given, for none is used twice; one row | with alerts |
//! | `delivery` | alerts of one parcel on their way to one channel, from one id to another, and who is at it | with each attempt |
//! | `memory` | how noisy neighbouring nodes are under a rule, their names packed, and what people know of them | with alerts |
//! | `receiver` | pause and rate limit of a receiver | with each attempt |
//! | `tally` | deliveries since the state was made, by channel and result | with each attempt |
//! | `template` | an `AlertTemplate` as it was last seen, JSON | with the templates |
//! | `counter` | a count since the state was made, labels as a JSON object | |
//! | `note` | a small text by key | |
//!
//! JSON is read back leniently, so a field may be added with a default; everything else is a new version.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::database::Format;

/// The state's file, and what is in it; the notes are in every database.
pub(crate) const FORMAT: Format = Format {
    name: "state",
    version: VERSION,
    page_size: 4096,
    tables: &[TABLES, OUTBOX],
    upgrade,
};

const VERSION: i64 = 3;

const TABLES: &str = "
CREATE TABLE rule(
    name TEXT PRIMARY KEY, last_evaluated INTEGER, unknown INTEGER NOT NULL, pending INTEGER NOT NULL,
    spec_hash INTEGER NOT NULL, check_interval INTEGER NOT NULL, jobs INTEGER NOT NULL, held INTEGER NOT NULL, rebuilt INTEGER
) WITHOUT ROWID;
CREATE TABLE detail(
    rule TEXT PRIMARY KEY, uid TEXT NOT NULL, spec TEXT NOT NULL, priority INTEGER NOT NULL, severity TEXT,
    last_triggered INTEGER, last_recovery INTEGER, status_hash INTEGER, status_written INTEGER
);
CREATE TABLE timers(rule TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE record(rule TEXT, node TEXT, body TEXT NOT NULL, PRIMARY KEY(rule, node)) WITHOUT ROWID;
CREATE TABLE ledger(node TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE roster(id INTEGER PRIMARY KEY CHECK(id = 1), body BLOB NOT NULL);
CREATE TABLE flapping(alert INTEGER PRIMARY KEY);
CREATE TABLE receiver(
    key TEXT PRIMARY KEY, used REAL NOT NULL, at INTEGER NOT NULL, failures INTEGER NOT NULL,
    paused_until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE tally(
    channel TEXT, result TEXT, reason TEXT, value INTEGER NOT NULL, PRIMARY KEY(channel, result, reason)
) WITHOUT ROWID;
CREATE TABLE template(name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counter(
    name TEXT, labels TEXT, value INTEGER NOT NULL, PRIMARY KEY(name, labels)
) WITHOUT ROWID;
";

/// Those that version 1 had in another form.
const OUTBOX: &str = "
CREATE TABLE parcel(
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, queued INTEGER NOT NULL, rule TEXT NOT NULL, kind TEXT NOT NULL,
    severity TEXT NOT NULL, template TEXT NOT NULL, dry_run INTEGER NOT NULL, muted TEXT, nodes TEXT NOT NULL,
    body TEXT NOT NULL, numbers BLOB NOT NULL
);
CREATE TABLE admitted(id INTEGER PRIMARY KEY CHECK(id = 1), up_to INTEGER NOT NULL, given INTEGER NOT NULL);
INSERT INTO admitted VALUES(1, 0, 0);
CREATE TABLE delivery(
    first INTEGER NOT NULL, channel TEXT NOT NULL, last INTEGER NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_attempt INTEGER NOT NULL, last_error TEXT, batch INTEGER, claim TEXT,
    claimed_until INTEGER, settled INTEGER, PRIMARY KEY(first, channel)
) WITHOUT ROWID;
CREATE INDEX delivery_open ON delivery(state, next_attempt) WHERE state NOT IN ('done', 'skipped');
CREATE TABLE memory(
    rule TEXT, node TEXT, nodes TEXT NOT NULL, score REAL NOT NULL, at INTEGER NOT NULL, calm_at INTEGER,
    held INTEGER NOT NULL, held_alert INTEGER, told TEXT, PRIMARY KEY(rule, node)
) WITHOUT ROWID;
CREATE INDEX memory_calm ON memory(calm_at) WHERE calm_at IS NOT NULL;
";

/// Every alert of version 1 becomes a parcel of its own.
const FROM_1: [&str; 2] = [
    "
DROP INDEX delivery_open;
DROP INDEX memory_calm;
ALTER TABLE delivery RENAME TO delivery_1;
ALTER TABLE memory RENAME TO memory_1;
ALTER TABLE admitted RENAME TO admitted_1;
",
    "
INSERT INTO parcel
    SELECT id, id, queued, rule, kind, severity, template, dry_run, muted, char(10) || replace(node, char(10), ' '), body,
        x''
    FROM alert;
UPDATE admitted SET up_to = (SELECT up_to FROM admitted_1),
    given = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'alert'), 0);
INSERT INTO delivery
    SELECT alert, channel, alert, state, attempts, next_attempt, last_error, batch, claim, claimed_until, settled
    FROM delivery_1;
INSERT OR IGNORE INTO memory
    SELECT rule, replace(node, char(10), ' '), char(10) || replace(node, char(10), ' '), score, at, calm_at, held,
        held_alert, told
    FROM memory_1;
DROP TABLE alert;
DROP TABLE admitted_1;
DROP TABLE delivery_1;
DROP TABLE memory_1;
",
];

/// Brings the tables of an earlier version up to date: wholly or, if the process ends before, not at all.
fn upgrade(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // Another process may have been faster.
    if version == 1 {
        let [before, after] = FROM_1;
        transaction.execute_batch(before)?;
        transaction.execute_batch(OUTBOX)?;
        transaction.execute_batch(after)?;
    }
    if version < VERSION {
        // Names and numbers of version 2 are read as they are; the release of that version could not read these.
        transaction.execute_batch(&format!("PRAGMA user_version = {VERSION}"))?;
    }
    transaction.commit()
}
