//! The history of one node.

use std::time::Duration;

use ng_engine::time::Time;
use ng_state::StateError;

use crate::clock;
use crate::fault::Fault;
use crate::history::History;
use crate::numbers::{Entry, Kind, Names};
use crate::pack::{self, Malformed};
use crate::schema::{CHUNK, Key, Level};
use crate::segments::{self, Grain};
use crate::summary::{self, Column, Summary};
use crate::table::Table;

/// What is kept of a metric of a node at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where the stretch begins.
    pub at: Time,
    /// How long it is; nothing for a sample.
    pub span: Duration,
    /// Checks in the stretch.
    pub checks: u32,
    /// Checks in which the value was known.
    pub known: u32,
    /// The values; `None` if none was known.
    pub spread: Option<Spread>,
}

/// The values of a stretch of time; for a sample all are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The mean of those that were known.
    pub mean: f64,
    /// The largest.
    pub max: f64,
    /// The last that was known.
    pub last: f64,
}

impl Point {
    /// The share of checks in which the value was known, from 0 to 1.
    pub fn known_share(&self) -> f64 {
        f64::from(self.known) / f64::from(self.checks.max(1))
    }
}

impl History {
    /// A metric of a node, ascending in time, each stretch as fine as it is kept; the first one may begin before
    /// `since`. Found by name, also when the node is gone; what had the name before is part of it.
    ///
    /// A stretch without checks has no point, and one without a known value has a point without values.
    pub fn range(
        &self,
        node: &str,
        metric: &str,
        since: Time,
        until: Time,
    ) -> Result<Vec<Point>, StateError> {
        self.look("read the history of a node", |connection| {
            let nodes = Names::new(connection, Kind::Node)?.find(node)?;
            let metrics = Names::new(connection, Kind::Metric)?.find(metric)?;
            let (since, until) = (clock::seconds(since), clock::seconds(until));
            let mut points = Vec::new();
            for metric in metrics.first().iter().filter(|_| !nodes.is_empty()) {
                for segment in segments::segments(connection, Grain::Finest, since, until)? {
                    let mut table = Table::new(connection, segment.level)?;
                    for at in table.times(segment)? {
                        points.extend(read(&mut table, at, &nodes, metric.number)?);
                    }
                }
            }
            Ok(points)
        })
    }
}

/// What is kept at a time of the nodes that had the name then; `None` if no check asked for the metric.
fn read(
    table: &mut Table<'_>,
    at: i64,
    nodes: &[Entry],
    metric: u16,
) -> Result<Option<Point>, Fault> {
    let level = table.level();
    let mut checks = 0;
    let mut summary = Summary::NOTHING;
    for node in nodes.iter().filter(|node| is_there(node, level, at)) {
        let (chunk, position) = place(node.number);
        let key = Key {
            at,
            chunk,
            metric: i64::from(metric),
        };
        table.each_row(key, key, |key, body| {
            let (all, found) = cell(level, position, body).map_err(Fault::row(level, key.id()))?;
            checks = all;
            summary.add(&found);
            Ok(())
        })?;
    }
    Ok((checks > 0).then(|| point(level, at, checks, &summary)))
}

/// Whether a stretch has checks of this node. Its number may have been another's before.
pub(crate) fn is_there(node: &Entry, level: Level, at: i64) -> bool {
    let last = at + (level.span() - 1).max(0);
    node.since <= last && node.gone.is_none_or(|gone| at < gone)
}

/// How many checks a row stands for, and what it has of one node.
fn cell(level: Level, position: usize, body: &[u8]) -> Result<(u32, Summary), Malformed> {
    Ok(match level {
        Level::Raw => (1, Summary::of(summary::read_one_sample(body, position)?)),
        Level::Five | Level::Hour => Column::read_one(body, position)?,
    })
}

/// Chunk and position of a node's number.
pub(crate) fn place(number: u16) -> (i64, usize) {
    let number = usize::from(number);
    let chunk = i64::try_from(number / CHUNK).unwrap_or(i64::MAX);
    (chunk, number % CHUNK)
}

fn point(level: Level, at: i64, checks: u32, summary: &Summary) -> Point {
    Point {
        at: clock::time(at),
        span: Duration::from_secs(level.span().unsigned_abs()),
        checks,
        known: summary.known,
        spread: (summary.known > 0).then(|| Spread {
            min: pack::reading(summary.min),
            mean: pack::reading(summary.mean()),
            max: pack::reading(summary.max),
            last: pack::reading(summary.last),
        }),
    }
}
