//! The newest check.

use std::collections::BTreeMap;

use ng_engine::time::Time;
use ng_state::StateError;
use rusqlite::Connection;

use crate::clock;
use crate::fault::Fault;
use crate::history::{self, History};
use crate::numbers::{self, Entry, Kind};
use crate::pack;
use crate::range::place;
use crate::schema::{CHUNK, Key, Level};
use crate::summary;
use crate::table::Table;

/// What the newest check found.
#[derive(Clone, Debug)]
pub struct Latest {
    /// When it was.
    pub at: Time,
    /// Its nodes, by name.
    pub nodes: Vec<String>,
    /// Its metrics, by name.
    pub metrics: Vec<String>,
    /// For each metric the values of the nodes.
    values: Vec<Vec<f64>>,
}

impl Latest {
    /// The value of a metric of a node, by their positions; `None` if it was not known.
    pub fn value(&self, metric: usize, node: usize) -> Option<f64> {
        let value = self.values.get(metric)?.get(node)?;
        value.is_finite().then_some(*value)
    }
}

impl History {
    /// What the newest check found; `None` if there was none.
    pub fn latest(&self) -> Result<Option<Latest>, StateError> {
        self.look("read the newest check", |connection| {
            history::newest(connection)?
                .map(|at| read(connection, at))
                .transpose()
        })
    }
}

fn read(connection: &Connection, at: i64) -> Result<Latest, Fault> {
    let nodes = present(connection, Kind::Node)?;
    let metrics = present(connection, Kind::Metric)?;
    let mut chunks: BTreeMap<i64, Vec<(usize, usize)>> = BTreeMap::new();
    for (node, entry) in nodes.iter().enumerate() {
        let (chunk, position) = place(entry.number);
        chunks.entry(chunk).or_default().push((node, position));
    }
    let by_number: BTreeMap<i64, usize> = metrics
        .iter()
        .enumerate()
        .map(|(metric, entry)| (i64::from(entry.number), metric))
        .collect();
    let mut values = vec![vec![f64::NAN; nodes.len()]; metrics.len()];
    let mut room = [0; CHUNK];
    let level = Level::Raw;
    let mut table = Table::new(connection, level)?;
    table.each_row(Key::start(at), Key::end(at), |key, body| {
        let (Some(chunk), Some(metric)) = (chunks.get(&key.chunk), by_number.get(&key.metric))
        else {
            return Ok(());
        };
        let found = summary::read_sample(body, &mut room).map_err(Fault::row(level, key.id()))?;
        for (node, position) in chunk {
            values[*metric][*node] = found
                .get(*position)
                .map_or(f64::NAN, |value| pack::reading(*value));
        }
        Ok(())
    })?;
    let names = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.name).collect();
    Ok(Latest {
        at: clock::time(at),
        nodes: names(nodes),
        metrics: names(metrics),
        values,
    })
}

/// What the newest check had, by name.
fn present(connection: &Connection, kind: Kind) -> Result<Vec<Entry>, Fault> {
    let mut entries = numbers::entries(connection, kind)?;
    entries.retain(|entry| entry.gone.is_none());
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}
