//! The rows of a level: the statements over them, each prepared once for a whole walk.

use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use crate::fault::Fault;
use crate::schema::{Key, Level};
use crate::segments::Segment;

pub(crate) struct Table<'c> {
    level: Level,
    first: Statement<'c>,
    last: Statement<'c>,
    rows: Statement<'c>,
}

impl<'c> Table<'c> {
    pub(crate) fn new(connection: &'c Connection, level: Level) -> Result<Self, Fault> {
        let table = level.table();
        let prepare = |condition| {
            connection.prepare(&format!("SELECT id, body FROM {table} WHERE {condition}"))
        };
        Ok(Self {
            level,
            first: prepare("id >= ?1 ORDER BY id LIMIT 1")?,
            last: prepare("id < ?1 ORDER BY id DESC LIMIT 1")?,
            rows: prepare("id BETWEEN ?1 AND ?2 ORDER BY id")?,
        })
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// The first time, from this one on, at which there are rows.
    pub(crate) fn first_from(&mut self, at: i64) -> Result<Option<i64>, Fault> {
        let key = key(&mut self.first, Key::start(at).id())?;
        Ok(key.map(|key| key.at))
    }

    /// The last row before an id.
    pub(crate) fn last_before(&mut self, id: i64) -> Result<Option<Key>, Fault> {
        key(&mut self.last, id)
    }

    /// The times of a segment at which there are rows.
    pub(crate) fn times(&mut self, segment: Segment) -> Result<Vec<i64>, Fault> {
        let mut times = Vec::new();
        let mut from = segment.from;
        while let Some(at) = self.first_from(from)?.filter(|at| *at < segment.to) {
            times.push(at);
            from = at + 1;
        }
        Ok(times)
    }

    /// The rows from one key to another, both included.
    pub(crate) fn each_row(
        &mut self,
        from: Key,
        to: Key,
        mut take: impl FnMut(Key, &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut rows = self.rows.query([from.id(), to.id()])?;
        while let Some(row) = rows.next()? {
            let key = Key::of(row.get(0)?);
            let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            take(key, body)?;
        }
        Ok(())
    }
}

fn key(statement: &mut Statement<'_>, id: i64) -> Result<Option<Key>, Fault> {
    let id = statement.query_row([id], |row| row.get(0)).optional()?;
    Ok(id.map(Key::of))
}

/// Adds rows to a level.
pub(crate) struct Insert<'c> {
    statement: Statement<'c>,
}

impl<'c> Insert<'c> {
    pub(crate) fn new(connection: &'c Connection, level: Level) -> Result<Self, Fault> {
        let table = level.table();
        let statement =
            connection.prepare(&format!("INSERT OR REPLACE INTO {table} VALUES(?1, ?2)"))?;
        Ok(Self { statement })
    }

    pub(crate) fn put(&mut self, key: Key, body: &[u8]) -> Result<(), Fault> {
        self.statement.execute(params![key.id(), body])?;
        Ok(())
    }
}
