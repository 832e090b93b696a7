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
//! | `alert` | an alert, JSON, and what of it decides about its delivery; ids are never used twice | once, when it is admitted |
//! | `delivery` | one alert on its way to one channel, and who is at it | with each attempt |
//! | `memory` | how noisy a node is under a rule, and what people know of it | with alerts |
//! | `receiver` | pause and rate limit of a receiver | with each attempt |
//! | `tally` | deliveries since the state was made, by channel and result | with each attempt |
//! | `template` | an `AlertTemplate` as it was last seen, JSON | with the templates |
//! | `counter` | a count since the state was made, labels as a JSON object | |
//! | `note` | a small text by key | |
//!
//! JSON is read back leniently, so a field may be added with a default; everything else is a new version.

use crate::database::Format;

/// The state's file, and what is in it; the notes are in every database.
pub(crate) const FORMAT: Format = Format {
    name: "state",
    version: 1,
    page_size: 4096,
    tables: TABLES,
};

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
CREATE TABLE alert(
    id INTEGER PRIMARY KEY AUTOINCREMENT, queued INTEGER NOT NULL, rule TEXT NOT NULL, node TEXT NOT NULL,
    kind TEXT NOT NULL, severity TEXT NOT NULL, template TEXT NOT NULL, dry_run INTEGER NOT NULL, muted TEXT,
    body TEXT NOT NULL
);
CREATE TABLE admitted(id INTEGER PRIMARY KEY CHECK(id = 1), up_to INTEGER NOT NULL);
INSERT INTO admitted VALUES(1, 0);
CREATE TABLE flapping(alert INTEGER PRIMARY KEY);
CREATE TABLE delivery(
    alert INTEGER NOT NULL, channel TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL, last_error TEXT, batch INTEGER, claim TEXT, claimed_until INTEGER,
    settled INTEGER, PRIMARY KEY(alert, channel)
) WITHOUT ROWID;
CREATE INDEX delivery_open ON delivery(state, next_attempt) WHERE state NOT IN ('done', 'skipped');
CREATE TABLE memory(
    rule TEXT, node TEXT, score REAL NOT NULL, at INTEGER NOT NULL, calm_at INTEGER, held INTEGER NOT NULL,
    held_alert INTEGER, told TEXT, PRIMARY KEY(rule, node)
) WITHOUT ROWID;
CREATE INDEX memory_calm ON memory(calm_at) WHERE calm_at IS NOT NULL;
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
