//! The history of many nodes at once, in one pass over time: for forecasts, which need no more memory than their sums.

use std::collections::BTreeMap;
use std::time::Duration;

use ng_engine::time::Time;
use ng_state::StateError;
use rusqlite::Connection;

use crate::clock;
use crate::fault::Fault;
use crate::history::History;
use crate::numbers::{Entry, Kind, Names};
use crate::pack;
use crate::range::{is_there, place};
use crate::schema::{CHUNK, Key, Level};
use crate::segments::{self, Grain, Segment};
use crate::summary;
use crate::table::Table;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    /// Names of nodes. Of a name that was used again, the last node is meant.
    pub nodes: &'a [&'a str],
    /// Metrics.
    pub metrics: &'a [&'a str],
    /// From when on.
    pub since: Time,
    /// Until when, included.
    pub until: Time,
    /// How fine.
    pub grain: Grain,
}

/// One metric of the nodes asked for, at one time.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Where the stretch begins.
    pub at: Time,
    /// How long it is; nothing for a sample.
    pub span: Duration,
    /// Position of the metric in what was asked for.
    pub metric: usize,
    /// For each node asked for its sample or its mean; not a number: not known.
    pub values: &'a [f64],
}

impl History {
    /// Gives the rows of a slice, ascending in time; a metric that no check has asked for has none.
    pub fn scan(
        &self,
        slice: &Slice<'_>,
        mut each: impl FnMut(&Row<'_>),
    ) -> Result<(), StateError> {
        self.look("read the history of nodes", |connection| {
            let mut pass = Pass::new(connection, slice)?;
            let (since, until) = (clock::seconds(slice.since), clock::seconds(slice.until));
            for segment in segments::segments(connection, slice.grain, since, until)? {
                pass.run(segment, &mut each)?;
            }
            Ok(())
        })
    }
}

/// A node that is asked for.
struct Asked {
    /// In the slice.
    node: usize,
    /// In its chunk.
    position: usize,
    entry: Entry,
}

struct Pass<'c> {
    connection: &'c Connection,
    chunks: BTreeMap<i64, Vec<Asked>>,
    /// Where metrics stand in the slice, by number.
    metrics: BTreeMap<i64, usize>,
    /// For each metric of the slice, whether there was a row, and the values of the nodes.
    rows: Vec<(bool, Vec<f64>)>,
}

impl<'c> Pass<'c> {
    fn new(connection: &'c Connection, slice: &Slice<'_>) -> Result<Self, Fault> {
        let mut chunks: BTreeMap<i64, Vec<Asked>> = BTreeMap::new();
        let mut names = Names::new(connection, Kind::Node)?;
        for (node, name) in slice.nodes.iter().enumerate() {
            if let Some(entry) = names.find(name)?.pop() {
                let (chunk, position) = place(entry.number);
                chunks.entry(chunk).or_default().push(Asked {
                    node,
                    position,
                    entry,
                });
            }
        }
        let mut metrics = BTreeMap::new();
        let mut names = Names::new(connection, Kind::Metric)?;
        for (metric, name) in slice.metrics.iter().enumerate() {
            if let Some(entry) = names.find(name)?.pop() {
                metrics.insert(i64::from(entry.number), metric);
            }
        }
        Ok(Self {
            connection,
            chunks,
            metrics,
            rows: vec![(false, vec![f64::NAN; slice.nodes.len()]); slice.metrics.len()],
        })
    }

    fn run(&mut self, segment: Segment, each: &mut impl FnMut(&Row<'_>)) -> Result<(), Fault> {
        let runs = self.runs();
        let mut table = Table::new(self.connection, segment.level)?;
        for at in table.times(segment)? {
            for run in &runs {
                self.read(&mut table, at, *run)?;
            }
            for (metric, (found, values)) in self.rows.iter_mut().enumerate() {
                if std::mem::take(found) {
                    each(&Row {
                        at: clock::time(at),
                        span: Duration::from_secs(segment.level.span().unsigned_abs()),
                        metric,
                        values,
                    });
                    values.fill(f64::NAN);
                }
            }
        }
        Ok(())
    }

    /// Chunks that stand side by side are read in one go.
    fn runs(&self) -> Vec<(i64, i64)> {
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for chunk in self.chunks.keys() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == *chunk => *last = *chunk,
                _ => runs.push((*chunk, *chunk)),
            }
        }
        runs
    }

    fn read(
        &mut self,
        table: &mut Table<'_>,
        at: i64,
        (first, last): (i64, i64),
    ) -> Result<(), Fault> {
        let level = table.level();
        let key = |chunk, metric| Key { at, chunk, metric };
        let range = (key(first, 0), key(last, Key::LAST_METRIC));
        let mut room = [0; CHUNK];
        let Self {
            chunks,
            metrics,
            rows,
            ..
        } = self;
        table.each_row(range.0, range.1, |key, body| {
            let (Some(asked), Some(metric)) = (chunks.get(&key.chunk), metrics.get(&key.metric))
            else {
                return Ok(());
            };
            let values = match level {
                Level::Raw => summary::read_sample(body, &mut room),
                Level::Five | Level::Hour => summary::read_means(body, &mut room),
            }
            .map_err(Fault::row(level, key.id()))?;
            let (found, row) = &mut rows[*metric];
            *found = true;
            for asked in asked {
                if let Some(value) = values.get(asked.position)
                    && is_there(&asked.entry, level, at)
                {
                    row[asked.node] = pack::reading(*value);
                }
            }
            Ok(())
        })
    }
}
