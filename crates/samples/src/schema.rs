//! The tables.
//!
//! | table | one row | changes |
//! |---|---|---|
//! | `raw` | the values of one metric of a chunk of nodes in one check | a chunk and metric each check |
//! | `five` | what they come to in five minutes | a twelfth of that every five minutes, spread over the checks |
//! | `hour` | what they come to in an hour | likewise |
//! | `level` | from when on a level is kept, and how far it is made from the one below | with upkeep |
//! | `node` | the number of a node, and of one that is gone, as long as there are rows of it | with nodes |
//! | `metric` | the number of a metric | with metrics |
//! | `layout` | the numbers of all nodes of the last check, for the next one with the same nodes | with nodes |
//! | `doubt` | checks that say that the newest time lies in the future; one row or none | with a clock that was wrong |

use ng_state::Format;

/// Nodes in a row.
pub(crate) const CHUNK: usize = 256;

/// The history's file.
pub(crate) const FORMAT: Format = Format {
    name: "history",
    version: 1,
    // Several rows fit in a page, so that little of it stays empty.
    page_size: 8192,
    tables: &[TABLES],
    // There is no earlier version.
    upgrade: |_| Ok(()),
};

const TABLES: &str = "
CREATE TABLE raw(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE five(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE hour(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE level(
    id INTEGER PRIMARY KEY, start INTEGER NOT NULL, next INTEGER NOT NULL, chunk INTEGER NOT NULL
);
INSERT INTO level VALUES(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0);
CREATE TABLE node(
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, uid TEXT NOT NULL, since INTEGER NOT NULL, gone INTEGER
);
CREATE INDEX node_name ON node(name);
CREATE INDEX node_gone ON node(gone) WHERE gone IS NOT NULL;
CREATE TABLE metric(
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, uid TEXT NOT NULL, since INTEGER NOT NULL, gone INTEGER
);
CREATE TABLE layout(kind TEXT PRIMARY KEY, hash INTEGER NOT NULL, numbers BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE doubt(id INTEGER PRIMARY KEY CHECK(id = 1), checks INTEGER NOT NULL, last INTEGER NOT NULL);
";

/// The last second of the year 2200 or so: what is later is no time of a check.
pub(crate) const LAST_SECOND: i64 = 7_289_654_400;

/// The place of a row: rows are in the order of time, then chunk, then metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Seconds since the Unix epoch; of an aggregate, where it begins.
    pub(crate) at: i64,
    pub(crate) chunk: i64,
    pub(crate) metric: i64,
}

impl Key {
    /// Metrics of a chunk and chunks of a time have room for these.
    pub(crate) const LAST_METRIC: i64 = 0xffff;
    const LAST_CHUNK: i64 = 0xff;

    /// Before all rows of a time.
    pub(crate) const fn start(at: i64) -> Self {
        Self {
            at,
            chunk: 0,
            metric: 0,
        }
    }

    /// After all rows of a time.
    pub(crate) const fn end(at: i64) -> Self {
        Self {
            at,
            chunk: Self::LAST_CHUNK,
            metric: Self::LAST_METRIC,
        }
    }

    pub(crate) const fn id(self) -> i64 {
        self.at << 24 | self.chunk << 16 | self.metric
    }

    pub(crate) const fn of(id: i64) -> Self {
        Self {
            at: id >> 24,
            chunk: id >> 16 & Self::LAST_CHUNK,
            metric: id & Self::LAST_METRIC,
        }
    }
}

/// How fine samples are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Raw,
    Five,
    Hour,
}

impl Level {
    pub(crate) const ALL: [Self; 3] = [Self::Raw, Self::Five, Self::Hour];

    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Five => "five",
            Self::Hour => "hour",
        }
    }

    /// Its row in the table `level`.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Five => 1,
            Self::Hour => 2,
        }
    }

    /// Seconds that a row stands for; a sample stands for itself.
    pub(crate) const fn span(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Five => 300,
            Self::Hour => 3600,
        }
    }

    /// Where the stretch begins that a time belongs to.
    pub(crate) const fn floor(self, at: i64) -> i64 {
        match self {
            Self::Raw => at,
            Self::Five | Self::Hour => at - at.rem_euclid(self.span()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_come_back() {
        let keys = [
            Key::start(0),
            Key {
                at: 0,
                chunk: 0xff,
                metric: 0xffff,
            },
            Key::start(1_700_000_000),
            Key {
                at: 1_700_000_000,
                chunk: 0,
                metric: 1,
            },
            Key {
                at: 1_700_000_000,
                chunk: 1,
                metric: 0,
            },
            Key {
                at: LAST_SECOND,
                chunk: 0xff,
                metric: 0xffff,
            },
        ];
        for pair in keys.windows(2) {
            assert!(pair[0].id() < pair[1].id(), "{pair:?}");
        }
        for key in keys {
            assert_eq!(Key::of(key.id()), key);
        }
    }
}
