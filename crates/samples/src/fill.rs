//! Filling in what was before the first check, out of another memory of the same nodes.
//!
//! What was filled in looks like aggregates of one check each. It only ever stands before our own samples of its
//! metric, so that nothing measured here is changed; hours are made of it, and it ends, as of all others.

use ng_engine::node::Nodes;
use ng_engine::time::Time;
use ng_state::StateError;
use rusqlite::{Connection, params};
use rustc_hash::FxHashMap;

use crate::clock;
use crate::fault::Fault;
use crate::history::History;
use crate::numbers::{self, Entry, Kind, Names};
use crate::pack::{self, UNKNOWN};
use crate::schema::{CHUNK, Key, Level};
use crate::segments;
use crate::summary::{Column, Summary};
use crate::table::{Insert, Table};

/// One metric of nodes in stretches of five minutes, from before the first check with it.
#[derive(Clone, Copy, Debug)]
pub struct Earlier<'a> {
    /// The metric; a check must have asked for it.
    pub metric: &'a str,
    /// The nodes; those that no check has found are left out.
    pub nodes: &'a Nodes,
    /// Where the first stretch begins, rounded down to five minutes.
    pub since: Time,
    /// For each stretch in turn the values of all nodes; not a number: not known.
    pub values: &'a [f64],
}

/// What was kept of an [`Earlier`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Stretches with values.
    pub stretches: usize,
    /// Nodes with values.
    pub nodes: usize,
}

impl History {
    /// When the first check was that asked for a metric; once something was filled in, where that was asked from.
    /// `None`: no check has asked for it.
    pub fn since(&self, metric: &str) -> Result<Option<Time>, StateError> {
        self.look("read since when a metric is kept", |connection| {
            let entry = present(connection, metric)?;
            Ok(entry.map(|entry| clock::time(entry.since)))
        })
    }

    /// Keeps what was before the first check with a metric. What does not lie before it is left out, and so is what the
    /// levels no longer keep. If any value is left, the metric counts as kept from `since` on.
    ///
    /// On an error nothing of it is kept, and the history is as it was.
    pub fn fill(&mut self, earlier: &Earlier<'_>) -> Result<Filled, StateError> {
        self.write("fill in earlier values", |_, connection| {
            fill(connection, earlier)
        })
    }
}

fn fill(connection: &Connection, earlier: &Earlier<'_>) -> Result<Filled, Fault> {
    let Some(metric) = present(connection, earlier.metric)? else {
        return Ok(Filled::default());
    };
    let from = Level::Five.floor(clock::seconds(earlier.since).max(0));
    let start = segments::progress(connection, Level::Five)?.start;
    let end = Level::Five.floor(metric.since);
    let mut places = places(connection, earlier.nodes)?;
    let most = places.iter().map(|place| place.number).max().unwrap_or(0);
    let mut column = vec![UNKNOWN; usize::from(most) + 1];
    let mut insert = Insert::new(connection, Level::Five)?;
    let (mut first, mut stretches) = (None, 0);
    let times = (from..end).step_by(300);
    let rows = earlier.values.chunks_exact(earlier.nodes.len().max(1));
    for (at, values) in times.zip(rows).filter(|(at, _)| *at >= start) {
        if scatter(&mut places, (at, values), &mut column) {
            put(&mut insert, (at, metric.number), &column)?;
            first.get_or_insert(at);
            stretches += 1;
        }
    }
    if let Some(first) = first {
        begin_earlier(connection, &metric, from, &places)?;
        open_levels(connection, first)?;
    }
    let nodes = places.iter().filter(|place| place.first.is_some()).count();
    Ok(Filled { stretches, nodes })
}

/// The metric, if the last check asked for it.
fn present(connection: &Connection, metric: &str) -> Result<Option<Entry>, Fault> {
    let entries = Names::new(connection, Kind::Metric)?.find(metric)?;
    Ok(entries.into_iter().find(|entry| entry.gone.is_none()))
}

/// Where the values of a node go.
struct Place {
    /// Position in what is filled in.
    node: usize,
    number: u16,
    /// What is before this is another node's that had the name.
    bound: i64,
    /// The first stretch with a value.
    first: Option<i64>,
}

fn places(connection: &Connection, nodes: &Nodes) -> Result<Vec<Place>, Fault> {
    let entries = numbers::entries(connection, Kind::Node)?;
    let mut by_name: FxHashMap<&str, (usize, Option<&Entry>)> = FxHashMap::default();
    for entry in &entries {
        let (count, last) = by_name.entry(&entry.name).or_default();
        *count += 1;
        if entry.gone.is_none() {
            *last = Some(entry);
        }
    }
    let place = |(node, name)| {
        let (count, entry) = by_name.get(name)?;
        let entry = (*entry)?;
        Some(Place {
            node,
            number: entry.number,
            bound: if *count > 1 { entry.since } else { 0 },
            first: None,
        })
    };
    Ok(nodes.names().enumerate().filter_map(place).collect())
}

/// Values in the order of the nodes' numbers; tells whether any is known.
fn scatter(places: &mut [Place], (at, values): (i64, &[f64]), column: &mut [i64]) -> bool {
    column.fill(UNKNOWN);
    let mut is_known = false;
    for place in places {
        let value = pack::hundredths(values[place.node]);
        if value != UNKNOWN && at >= place.bound {
            column[usize::from(place.number)] = value;
            place.first.get_or_insert(at);
            is_known = true;
        }
    }
    is_known
}

/// Writes a stretch, but for chunks of which nothing is known.
fn put(insert: &mut Insert<'_>, (at, metric): (i64, u16), column: &[i64]) -> Result<(), Fault> {
    let mut body = Vec::new();
    for (chunk, values) in column.chunks(CHUNK).enumerate() {
        if values.iter().all(|value| *value == UNKNOWN) {
            continue;
        }
        let nodes = values.iter().map(|value| Summary::of(*value)).collect();
        body.clear();
        Column { checks: 1, nodes }.write(&mut body);
        let key = Key {
            at,
            chunk: i64::try_from(chunk).unwrap_or(i64::MAX),
            metric: i64::from(metric),
        };
        insert.put(key, &body)?;
    }
    Ok(())
}

/// The metric and its nodes were there before they were first seen here.
fn begin_earlier(
    connection: &Connection,
    metric: &Entry,
    from: i64,
    places: &[Place],
) -> Result<(), Fault> {
    let begin = |kind: Kind| {
        connection.prepare(&format!(
            "UPDATE {} SET since = ?2 WHERE number = ?1 AND since > ?2",
            kind.table()
        ))
    };
    begin(Kind::Metric)?.execute(params![metric.number, from])?;
    let mut node = begin(Kind::Node)?;
    for place in places {
        if let Some(first) = place.first {
            node.execute(params![place.number, first])?;
        }
    }
    Ok(())
}

/// Lets queries find what was filled in where there are no samples, and hours be made of it.
fn open_levels(connection: &Connection, first: i64) -> Result<(), Fault> {
    if let Some(sample) = Table::new(connection, Level::Raw)?.first_from(0)? {
        connection.execute(
            "UPDATE level SET start = max(start, ?2) WHERE id = ?1",
            params![Level::Raw.number(), Level::Five.floor(sample)],
        )?;
    }
    // Hours that are made already are made again. All of what they were made of is there: five minutes end in whole
    // hours, and what is filled in is not older than they are.
    connection.execute(
        "UPDATE level SET next = ?2, chunk = 0 WHERE id = ?1 AND next >= ?2",
        params![Level::Hour.number(), Level::Hour.floor(first)],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
