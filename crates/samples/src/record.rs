//! Adding a check: one transaction, with a little upkeep in it.

use ng_engine::node::Nodes;
use ng_engine::time::Time;
use ng_state::{Database, StateError};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::clock::{self, Doubt, Ignored, Verdict};
use crate::fault::Fault;
use crate::history::{self, History};
use crate::numbers::{self, Kind};
use crate::pack::{self, UNKNOWN};
use crate::retention::Retention;
use crate::schema::{CHUNK, Key, Level};
#[cfg(test)]
use crate::segments;
use crate::summary;
use crate::table::Insert;
use crate::upkeep::{self, Load};

/// The first process that opens the history reads the whole log, which at this size is half a millisecond; shorter,
/// and pages that change in every check would be copied more often.
const LONGEST_LOG: u64 = 1 << 20;

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is kept.
    Stored(Stored),
    /// It is not, for this reason.
    Ignored(Ignored),
}

/// What was kept of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Nodes that are not kept, because there are too many or two of a name.
    pub nodes_left_out: usize,
    /// Metrics that are not kept, because there are too many or two of a name.
    pub metrics_left_out: usize,
    /// The newest check so far, if it was dropped because it lay in the future.
    pub dropped: Option<Time>,
}

impl History {
    /// Keeps what a check found: for each metric the values of all nodes, in their order. Not a number: not known; so
    /// is what is missing at the end of a column. Values are kept with two decimals.
    ///
    /// On an error nothing of the check is kept, and the history is as it was.
    pub fn record(
        &mut self,
        at: Time,
        nodes: &Nodes,
        columns: &[(&str, &[f64])],
        retention: &Retention,
    ) -> Result<Recorded, StateError> {
        let check = Check {
            at: clock::seconds(at),
            nodes,
            columns,
        };
        self.write("record a check", |database, connection| {
            check.record((database, connection), retention)
        })
    }

    /// Writes in one transaction: all of it, or nothing.
    pub(crate) fn write<T>(
        &mut self,
        attempt: &'static str,
        write: impl FnOnce(&Database, &Connection) -> Result<T, Fault>,
    ) -> Result<T, StateError> {
        self.database.prepare_to_write()?;
        let begin = || {
            Transaction::new_unchecked(self.database.connection(), TransactionBehavior::Immediate)
        };
        let written = begin()
            .map_err(Fault::from)
            .and_then(|transaction| {
                let written = write(&self.database, &transaction)?;
                transaction.commit()?;
                Ok(written)
            })
            .map_err(Fault::of(attempt, &self.database))?;
        self.database.empty_log(LONGEST_LOG);
        Ok(written)
    }
}

struct Check<'a> {
    at: i64,
    nodes: &'a Nodes,
    columns: &'a [(&'a str, &'a [f64])],
}

impl Check<'_> {
    fn record(
        &self,
        (database, connection): (&Database, &Connection),
        retention: &Retention,
    ) -> Result<Recorded, Fault> {
        let newest = history::newest(connection)?;
        let doubt = doubt(connection)?;
        let mut dropped = None;
        match clock::judge(self.at, newest, doubt) {
            Verdict::Append => {}
            Verdict::Supersede => {
                upkeep::rewind(connection, self.at)?;
                dropped = newest.map(clock::time);
            }
            Verdict::Ignore(ignored) => return Ok(Recorded::Ignored(ignored)),
            Verdict::Doubt(doubt, ignored) => {
                connection.execute(
                    "INSERT OR REPLACE INTO doubt VALUES(1, ?1, ?2)",
                    params![doubt.checks, doubt.last],
                )?;
                return Ok(Recorded::Ignored(ignored));
            }
        }
        if doubt.is_some() {
            connection.execute("DELETE FROM doubt", [])?;
        }
        if newest.is_none() {
            database.end_notice().map_err(Fault::State)?;
        }
        let (stored, rows) = self.append(connection)?;
        let load = Load {
            at: self.at,
            before: newest.filter(|newest| *newest < self.at),
            chunks: rows.chunks,
            metrics: rows.metrics,
        };
        upkeep::keep_up(connection, &load, retention)?;
        Ok(Recorded::Stored(Stored { dropped, ..stored }))
    }

    fn append(&self, connection: &Connection) -> Result<(Stored, Rows), Fault> {
        let items = (0..self.nodes.len()).map(|node| (self.nodes.name(node), self.nodes.uid(node)));
        let nodes = numbers::assign(connection, Kind::Node, items, self.at)?;
        let items = self.columns.iter().map(|(metric, _)| (*metric, ""));
        let metrics = numbers::assign(connection, Kind::Metric, items, self.at)?;
        let stored = Stored {
            nodes_left_out: nodes.iter().filter(|number| number.is_none()).count(),
            metrics_left_out: metrics.iter().filter(|number| number.is_none()).count(),
            dropped: None,
        };
        let mut columns: Vec<(u16, Vec<i64>)> = metrics
            .iter()
            .zip(self.columns)
            .filter_map(|(metric, (_, values))| {
                metric.map(|metric| (metric, scatter(values, &nodes)))
            })
            .collect();
        columns.sort_unstable_by_key(|(metric, _)| *metric);
        let rows = write(connection, self.at, &columns)?;
        Ok((stored, rows))
    }
}

/// How many rows a check has: one for each chunk and metric.
struct Rows {
    chunks: usize,
    metrics: usize,
}

/// In the order of their keys, so that each row goes to the end of the table.
fn write(connection: &Connection, at: i64, columns: &[(u16, Vec<i64>)]) -> Result<Rows, Fault> {
    let mut insert = Insert::new(connection, Level::Raw)?;
    let length = columns.first().map_or(0, |(_, values)| values.len());
    let mut body = Vec::new();
    for (chunk, first) in (0..length).step_by(CHUNK).enumerate() {
        for (metric, values) in columns {
            body.clear();
            summary::write_sample(&values[first..length.min(first + CHUNK)], &mut body);
            let key = Key {
                at,
                chunk: i64::try_from(chunk).unwrap_or(i64::MAX),
                metric: i64::from(*metric),
            };
            insert.put(key, &body)?;
        }
    }
    Ok(Rows {
        chunks: length.div_ceil(CHUNK),
        metrics: columns.len(),
    })
}

/// Values in the order of the nodes' numbers; there is always one, so that also a check without nodes is kept.
fn scatter(values: &[f64], numbers: &[Option<u16>]) -> Vec<i64> {
    let most = numbers.iter().flatten().max().copied().unwrap_or(0);
    let mut column = vec![UNKNOWN; usize::from(most) + 1];
    for (value, number) in values.iter().zip(numbers) {
        if let Some(number) = number {
            column[usize::from(*number)] = pack::hundredths(*value);
        }
    }
    column
}

fn doubt(connection: &Connection) -> Result<Option<Doubt>, Fault> {
    Ok(connection
        .query_row("SELECT checks, last FROM doubt", [], |row| {
            Ok(Doubt {
                checks: row.get(0)?,
                last: row.get(1)?,
            })
        })
        .optional()?)
}

#[cfg(test)]
mod tests;
