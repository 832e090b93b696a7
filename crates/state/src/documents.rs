//! Brings tables of JSON documents to what memory holds, touching only rows that differ.
//!
//! Stored and wanted rows come in the same order, so they are compared in one pass: as values with what the same
//! transaction has loaded, else as text with the rows themselves, as JSON is written the same way every time.

use std::cmp::Ordering;

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use crate::error::StateError;
use crate::place::Place;

/// A table whose rows have one or two keys; the first is empty where there is only one.
pub(crate) struct Documents {
    pub(crate) name: &'static str,
    /// Both keys and the body, in the order of the keys.
    pub(crate) scan: &'static str,
    /// Takes both keys and the body.
    pub(crate) put: &'static str,
    /// Takes both keys.
    pub(crate) remove: &'static str,
}

pub(crate) const RECORDS: Documents = Documents {
    name: "record",
    scan: "SELECT rule, node, body FROM record ORDER BY rule, node",
    put: "INSERT INTO record(rule, node, body) VALUES(?1, ?2, ?3) \
          ON CONFLICT DO UPDATE SET body = excluded.body",
    remove: "DELETE FROM record WHERE rule = ?1 AND node = ?2",
};

pub(crate) const LEDGERS: Documents = Documents {
    name: "ledger",
    scan: "SELECT '', node, body FROM ledger ORDER BY node",
    put: "INSERT INTO ledger(node, body) VALUES(?2, ?3) ON CONFLICT DO UPDATE SET body = excluded.body",
    remove: "DELETE FROM ledger WHERE node = ?2",
};

pub(crate) type Key<'a> = (&'a str, &'a str);

#[derive(Default)]
struct Changes<'h> {
    put: Vec<(Key<'h>, String)>,
    remove: Vec<(String, String)>,
}

impl Documents {
    /// Makes the table hold exactly `wanted`. `before` is what it holds, where the transaction has loaded that; both
    /// must be in the order of the keys. Returns how many rows were written or removed.
    pub(crate) fn settle<'h, T: Serialize + PartialEq>(
        &self,
        connection: &Connection,
        place: &Place,
        wanted: impl Iterator<Item = (Key<'h>, T)>,
        before: Option<impl Iterator<Item = (Key<'h>, T)>>,
    ) -> Result<usize, StateError> {
        let changes = match before {
            Some(before) => self.compare_values(before, wanted)?,
            None => self.compare(connection, place, wanted)?,
        };
        self.apply(connection, &changes)
            .map_err(StateError::database("save the history", place))?;
        Ok(changes.put.len() + changes.remove.len())
    }

    fn compare_values<'h, T: Serialize + PartialEq>(
        &self,
        before: impl Iterator<Item = (Key<'h>, T)>,
        wanted: impl Iterator<Item = (Key<'h>, T)>,
    ) -> Result<Changes<'h>, StateError> {
        let mut changes = Changes::default();
        let mut wanted = wanted.peekable();
        for (key, stored) in before {
            while let Some((new, document)) = wanted.next_if(|(wanted, _)| *wanted < key) {
                changes.put.push((new, self.json(new, &document)?));
            }
            match wanted.next_if(|(wanted, _)| *wanted == key) {
                None => changes.remove.push((key.0.to_owned(), key.1.to_owned())),
                Some((same, document)) if document != stored => {
                    changes.put.push((same, self.json(same, &document)?));
                }
                Some(_) => {}
            }
        }
        for (new, document) in wanted {
            changes.put.push((new, self.json(new, &document)?));
        }
        Ok(changes)
    }

    fn compare<'h, T: Serialize>(
        &self,
        connection: &Connection,
        place: &Place,
        wanted: impl Iterator<Item = (Key<'h>, T)>,
    ) -> Result<Changes<'h>, StateError> {
        let attempt = || StateError::database("compare the history", place);
        let mut changes = Changes::default();
        let mut wanted = wanted.peekable();
        let mut statement = connection.prepare(self.scan).map_err(attempt())?;
        let mut rows = statement.query([]).map_err(attempt())?;
        while let Some(row) = rows.next().map_err(attempt())? {
            let (key, body) = read(row).map_err(attempt())?;
            while let Some((new, document)) = wanted.next_if(|(wanted, _)| *wanted < key) {
                changes.put.push((new, self.json(new, &document)?));
            }
            match wanted.next_if(|(wanted, _)| wanted.cmp(&key) == Ordering::Equal) {
                None => changes.remove.push((key.0.to_owned(), key.1.to_owned())),
                Some((same, document)) => {
                    let json = self.json(same, &document)?;
                    if json != body {
                        changes.put.push((same, json));
                    }
                }
            }
        }
        for (new, document) in wanted {
            changes.put.push((new, self.json(new, &document)?));
        }
        Ok(changes)
    }

    fn apply(&self, connection: &Connection, changes: &Changes<'_>) -> rusqlite::Result<()> {
        if !changes.remove.is_empty() {
            let mut statement = connection.prepare(self.remove)?;
            for (first, second) in &changes.remove {
                statement.execute(params![first, second])?;
            }
        }
        if !changes.put.is_empty() {
            let mut statement = connection.prepare(self.put)?;
            for ((first, second), body) in &changes.put {
                statement.execute(params![first, second, body])?;
            }
        }
        Ok(())
    }

    /// Words for a row in errors.
    pub(crate) fn row(&self, key: Key<'_>) -> String {
        match key {
            ("", second) => format!("{} {second}", self.name),
            (first, second) => format!("{} {first}/{second}", self.name),
        }
    }

    fn json(&self, key: Key<'_>, document: &impl Serialize) -> Result<String, StateError> {
        serde_json::to_string(document).map_err(StateError::encode(self.row(key)))
    }
}

/// Keys and body of a row, without copies.
pub(crate) fn read<'r>(row: &'r Row<'_>) -> rusqlite::Result<(Key<'r>, &'r str)> {
    let text = |column| -> rusqlite::Result<&'r str> { Ok(row.get_ref(column)?.as_str()?) };
    Ok(((text(0)?, text(1)?), text(2)?))
}
