//! Nodes and metrics as small numbers: the columns of a row.
//!
//! A node is a name with a UID; a new one under an old name is another node. What is gone keeps its number as long as
//! there are rows of it. If numbers run out, those that have been gone for longest lose theirs, but never within the
//! hour: no aggregate holds values of two nodes under one number.

use std::collections::BTreeSet;
use std::hash::{Hash as _, Hasher as _};

use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::fault::Fault;
use crate::schema::Level;

/// What is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Node,
    /// Metrics have no UID.
    Metric,
}

impl Kind {
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Metric => "metric",
        }
    }

    /// How many numbers there are.
    const fn most(self) -> u16 {
        match self {
            Self::Node => 20_000,
            Self::Metric => 64,
        }
    }
}

/// A node or a metric that has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u16,
    pub(crate) name: String,
    /// Empty if it was not told.
    pub(crate) uid: String,
    /// The first check with it.
    pub(crate) since: i64,
    /// The first check without it.
    pub(crate) gone: Option<i64>,
}

/// The numbers of the items, in their order; an item has none if there are too many, or if its name came before.
pub(crate) fn assign<'a>(
    connection: &Connection,
    kind: Kind,
    items: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    at: i64,
) -> Result<Vec<Option<u16>>, Fault> {
    let hash = hash(items.clone());
    let same: Option<Vec<u8>> = connection
        .query_row(
            "SELECT numbers FROM layout WHERE kind = ?1 AND hash = ?2",
            params![kind.table(), hash],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(bytes) = same {
        return Ok(decode(&bytes));
    }
    let known = entries(connection, kind)?;
    let plan = plan(&known, items, kind.most(), at);
    let mut put = connection.prepare(&format!(
        "INSERT OR REPLACE INTO {} VALUES(?1, ?2, ?3, ?4, ?5)",
        kind.table()
    ))?;
    for entry in &plan.changed {
        put.execute(params![
            entry.number,
            entry.name,
            entry.uid,
            entry.since,
            entry.gone
        ])?;
    }
    connection.execute(
        "INSERT OR REPLACE INTO layout VALUES(?1, ?2, ?3)",
        params![kind.table(), hash, encode(&plan.numbers)],
    )?;
    Ok(plan.numbers)
}

/// Everything that has a number.
pub(crate) fn entries(connection: &Connection, kind: Kind) -> Result<Vec<Entry>, Fault> {
    let mut statement = select(connection, kind, "")?;
    Ok(statement
        .query_map([], entry)?
        .collect::<rusqlite::Result<_>>()?)
}

/// Finds entries by name.
pub(crate) struct Names<'c> {
    statement: Statement<'c>,
}

impl<'c> Names<'c> {
    pub(crate) fn new(connection: &'c Connection, kind: Kind) -> Result<Self, Fault> {
        let condition = "WHERE name = ?1 ORDER BY since, number";
        let statement = select(connection, kind, condition)?;
        Ok(Self { statement })
    }

    /// What has this name, and what had it before; oldest first.
    pub(crate) fn find(&mut self, name: &str) -> Result<Vec<Entry>, Fault> {
        Ok(self
            .statement
            .query_map([name], entry)?
            .collect::<rusqlite::Result<_>>()?)
    }
}

fn select<'c>(
    connection: &'c Connection,
    kind: Kind,
    condition: &str,
) -> Result<Statement<'c>, Fault> {
    let table = kind.table();
    Ok(connection.prepare(&format!(
        "SELECT number, name, uid, since, gone FROM {table} {condition}"
    ))?)
}

fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        number: row.get(0)?,
        name: row.get(1)?,
        uid: row.get(2)?,
        since: row.get(3)?,
        gone: row.get(4)?,
    })
}

/// Takes away what has been gone since before `before`.
pub(crate) fn forget(connection: &Connection, before: i64) -> Result<(), Fault> {
    for table in [Kind::Node, Kind::Metric].map(Kind::table) {
        connection.execute(&format!("DELETE FROM {table} WHERE gone < ?1"), [before])?;
    }
    Ok(())
}

/// Nothing began or ended after `at`: what was said of the time after it is dropped.
pub(crate) fn rewind(connection: &Connection, at: i64) -> Result<(), Fault> {
    for table in [Kind::Node, Kind::Metric].map(Kind::table) {
        connection.execute(
            &format!(
                "UPDATE {table} SET since = min(since, ?1), gone = min(gone, ?1) WHERE since > ?1 OR gone > ?1"
            ),
            [at],
        )?;
    }
    Ok(())
}

struct Plan {
    numbers: Vec<Option<u16>>,
    /// Rows as they have to be.
    changed: Vec<Entry>,
}

fn plan<'a>(
    known: &[Entry],
    items: impl Iterator<Item = (&'a str, &'a str)>,
    most: u16,
    at: i64,
) -> Plan {
    let mut by_name: FxHashMap<&str, Vec<&Entry>> = FxHashMap::default();
    for entry in known {
        by_name.entry(&entry.name).or_default().push(entry);
    }
    let mut seen: FxHashSet<&str> = FxHashSet::default();
    let mut numbers = Vec::new();
    let mut changed = Vec::new();
    let mut new = Vec::new();
    let mut present = BTreeSet::new();
    for (name, uid) in items {
        numbers.push(None);
        if !seen.insert(name) {
            continue;
        }
        let before = by_name.get(name).map_or(&[][..], Vec::as_slice);
        let Some(entry) = same(before, uid) else {
            new.push((numbers.len() - 1, name, uid));
            continue;
        };
        present.insert(entry.number);
        if let Some(number) = numbers.last_mut() {
            *number = Some(entry.number);
        }
        if entry.gone.is_some() || (entry.uid.is_empty() && !uid.is_empty()) {
            changed.push(Entry {
                uid: if uid.is_empty() { &entry.uid } else { uid }.to_owned(),
                gone: None,
                ..(*entry).clone()
            });
        }
    }
    let mut free = Free::new(known, &present, most, at);
    for (position, name, uid) in new {
        numbers[position] = free.next();
        changed.extend(numbers[position].map(|number| Entry {
            number,
            name: name.to_owned(),
            uid: uid.to_owned(),
            since: at,
            gone: None,
        }));
    }
    // Last, but never over the row of a node that took the number: those were gone already.
    let left = known
        .iter()
        .filter(|entry| entry.gone.is_none() && !present.contains(&entry.number));
    changed.extend(left.map(|entry| Entry {
        gone: Some(at),
        ..entry.clone()
    }));
    Plan { numbers, changed }
}

/// The one with this UID, rather one that is there than one that is gone. A UID that was not told may be any.
fn same<'a>(before: &[&'a Entry], uid: &str) -> Option<&'a Entry> {
    before
        .iter()
        .filter(|entry| entry.uid == uid || entry.uid.is_empty() || uid.is_empty())
        .max_by_key(|entry| (entry.gone.is_none(), entry.uid == uid, entry.gone))
        .copied()
}

/// Numbers that can be given: those that nobody has, lowest first; then those of what has been gone for longest.
struct Free {
    unused: std::vec::IntoIter<u16>,
    gone: std::vec::IntoIter<u16>,
}

impl Free {
    fn new(known: &[Entry], present: &BTreeSet<u16>, most: u16, at: i64) -> Self {
        let taken: BTreeSet<u16> = known.iter().map(|entry| entry.number).collect();
        let unused: Vec<u16> = (0..most).filter(|number| !taken.contains(number)).collect();
        let mut gone: Vec<(i64, u16)> = known
            .iter()
            .filter(|entry| !present.contains(&entry.number) && entry.number < most)
            .filter_map(|entry| entry.gone.map(|gone| (gone, entry.number)))
            .filter(|(gone, _)| Level::Hour.floor(*gone) < Level::Hour.floor(at))
            .collect();
        gone.sort_unstable();
        let gone: Vec<u16> = gone.into_iter().map(|(_, number)| number).collect();
        Self {
            unused: unused.into_iter(),
            gone: gone.into_iter(),
        }
    }

    fn next(&mut self) -> Option<u16> {
        self.unused.next().or_else(|| self.gone.next())
    }
}

/// Tells whether the items are those of the check before.
fn hash<'a>(items: impl Iterator<Item = (&'a str, &'a str)>) -> i64 {
    let mut hasher = FxHasher::default();
    for item in items {
        item.hash(&mut hasher);
    }
    hasher.finish().cast_signed()
}

const NO_NUMBER: u16 = u16::MAX;

fn encode(numbers: &[Option<u16>]) -> Vec<u8> {
    let number = |number: &Option<u16>| number.unwrap_or(NO_NUMBER).to_le_bytes();
    numbers.iter().flat_map(number).collect()
}

fn decode(bytes: &[u8]) -> Vec<Option<u16>> {
    let number = |bytes: &[u8; 2]| {
        let number = u16::from_le_bytes(*bytes);
        (number != NO_NUMBER).then_some(number)
    };
    let (pairs, _) = bytes.as_chunks();
    pairs.iter().map(number).collect()
}

#[cfg(test)]
mod tests;
