//! Counts that go on over runs, because a run is too short to be scraped.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::error::StateError;
use crate::place::Place;

/// A count since the state was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Name, as given to [`crate::Transaction::count`].
    pub name: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The count.
    pub value: u64,
}

pub(crate) fn add(
    connection: &Connection,
    place: &Place,
    name: &str,
    labels: &[(&str, &str)],
    by: u64,
) -> Result<(), StateError> {
    if by == 0 {
        return Ok(());
    }
    let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
    let labels =
        serde_json::to_string(&labels).map_err(StateError::encode(format!("counter {name}")))?;
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    connection
        .execute(
            "INSERT INTO counter(name, labels, value) VALUES(?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET value = min(value, 9223372036854775807 - excluded.value) + excluded.value",
            params![name, labels, by],
        )
        .map_err(StateError::database("count", place))?;
    Ok(())
}

pub(crate) fn list(connection: &Connection, place: &Place) -> Result<Vec<Counter>, StateError> {
    let attempt = || StateError::database("read the counters", place);
    let mut statement = connection
        .prepare("SELECT name, labels, value FROM counter ORDER BY name, labels")
        .map_err(attempt())?;
    let mut rows = statement.query([]).map_err(attempt())?;
    let mut counters = Vec::new();
    while let Some(row) = rows.next().map_err(attempt())? {
        let name: String = row.get(0).map_err(attempt())?;
        let labels: String = row.get(1).map_err(attempt())?;
        let value: i64 = row.get(2).map_err(attempt())?;
        let labels = serde_json::from_str(&labels)
            .map_err(StateError::damaged(format!("counter {name}"), place))?;
        counters.push(Counter {
            name,
            labels,
            value: u64::try_from(value).unwrap_or(0),
        });
    }
    Ok(counters)
}

/// Drops the counters that have a label with this value, such as those of a rule that was deleted.
pub(crate) fn forget(
    connection: &Connection,
    place: &Place,
    label: &str,
    value: &str,
) -> Result<usize, StateError> {
    let gone = |counter: &Counter| {
        counter
            .labels
            .get(label)
            .is_some_and(|found| found == value)
    };
    let mut dropped = 0;
    for counter in list(connection, place)?
        .iter()
        .filter(|counter| gone(counter))
    {
        let labels = serde_json::to_string(&counter.labels)
            .map_err(StateError::encode(format!("counter {}", counter.name)))?;
        dropped += connection
            .execute(
                "DELETE FROM counter WHERE name = ?1 AND labels = ?2",
                [&counter.name, &labels],
            )
            .map_err(StateError::database("drop a counter", place))?;
    }
    Ok(dropped)
}
