//! Making aggregates and taking away what is too old, a little in each check, so that none is slow.
//!
//! Work is done in units: one chunk of nodes, all metrics, one stretch of a level. In as much time as a stretch is
//! long, as many units come up as there are chunks; each check does its share of them, and a quarter more.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::clock::AGREEING;
use crate::fault::Fault;
use crate::numbers;
use crate::retention::{Retention, seconds};
use crate::schema::{Key, Level};
use crate::segments::{self, Progress, Segment};
use crate::summary::Column;
use crate::table::{Insert, Table};

/// Rows that a check may take away in any case; many at once is what a cluster that has become small leaves.
const LEAST_REMOVED: usize = 200;

/// How much a check has added.
pub(crate) struct Load {
    pub(crate) at: i64,
    /// The check before it.
    pub(crate) before: Option<i64>,
    pub(crate) chunks: usize,
    pub(crate) metrics: usize,
}

impl Load {
    /// How many units of a level come up between two checks, and a quarter more.
    fn units(&self, level: Level) -> usize {
        let span = level.span().max(1);
        let passed = self
            .before
            .map_or(span, |before| self.at.saturating_sub(before))
            .clamp(0, span);
        let share = |part: i64, whole: i64| {
            let part = usize::try_from(part).unwrap_or(0);
            let whole = usize::try_from(whole).unwrap_or(1);
            (self.chunks * part * 5).div_ceil(whole * 4)
        };
        1 + share(passed, span)
    }

    /// How many rows of a level may be removed: twice as many as are added.
    fn removed(&self, level: Level) -> usize {
        (2 * self.units(level) * self.metrics).max(LEAST_REMOVED)
    }
}

pub(crate) fn keep_up(
    connection: &Connection,
    load: &Load,
    retention: &Retention,
) -> Result<(), Fault> {
    let five = aggregate(connection, Level::Five, load.at, load.units(Level::Five))?;
    let hour = aggregate(connection, Level::Hour, five, load.units(Level::Hour))?;
    // A clock that has jumped ahead ends nothing before as many checks agree.
    let Some(now) = believed(connection)? else {
        return Ok(());
    };
    let kept = |duration| Level::Hour.floor(now.saturating_sub(seconds(duration)).max(0));
    let ends = [
        (
            Level::Raw,
            Level::Five
                .floor(now.saturating_sub(seconds(retention.raw)).max(0))
                .min(five),
        ),
        (Level::Five, kept(retention.five_minutes).min(hour)),
        (Level::Hour, kept(retention.hours)),
    ];
    for (level, end) in ends {
        remove(connection, level, end, load.removed(level))?;
    }
    let oldest = segments::progress(connection, Level::Hour)?.start;
    numbers::forget(connection, oldest.min(ends[0].1).min(ends[1].1))
}

/// Makes the next units of a level. What is before `closed` does not change any more. Returns up to where the level is
/// made.
fn aggregate(
    connection: &Connection,
    level: Level,
    closed: i64,
    units: usize,
) -> Result<i64, Fault> {
    let source = match level {
        Level::Raw => return Ok(closed),
        Level::Five => Level::Raw,
        Level::Hour => Level::Five,
    };
    let mut source = Table::new(connection, source)?;
    let found = segments::progress(connection, level)?;
    let mut progress = found;
    let mut left = units;
    while left > 0 {
        let Some(first) = source.first_from(progress.next)? else {
            break;
        };
        let from = level.floor(first);
        if from != progress.next {
            progress = Progress {
                next: from,
                chunk: 0,
                ..progress
            };
        }
        let segment = Segment {
            level: source.level(),
            from,
            to: from + level.span(),
        };
        if segment.to > closed {
            break;
        }
        let stretch = Stretch::of(&mut source, segment)?;
        while left > 0 && progress.chunk <= stretch.last_chunk {
            let columns = stretch.aggregate(&mut source, progress.chunk)?;
            write(connection, level, (from, progress.chunk), &columns)?;
            progress.chunk += 1;
            left -= 1;
        }
        if progress.chunk > stretch.last_chunk {
            progress.next = segment.to;
            progress.chunk = 0;
        }
    }
    if progress != found {
        connection.execute(
            "UPDATE level SET next = ?2, chunk = ?3 WHERE id = ?1",
            params![level.number(), progress.next, progress.chunk],
        )?;
    }
    Ok(progress.next)
}

/// A stretch of time, to be aggregated.
struct Stretch {
    times: Vec<i64>,
    last_chunk: i64,
}

impl Stretch {
    fn of(source: &mut Table<'_>, segment: Segment) -> Result<Self, Fault> {
        let times = source.times(segment)?;
        let mut last_chunk = 0;
        for at in &times {
            if let Some(last) = source.last_before(Key::start(at + 1).id())? {
                last_chunk = last_chunk.max(last.chunk);
            }
        }
        Ok(Self { times, last_chunk })
    }

    /// What a chunk comes to, by metric.
    fn aggregate(
        &self,
        source: &mut Table<'_>,
        chunk: i64,
    ) -> Result<BTreeMap<i64, Column>, Fault> {
        let level = source.level();
        let mut columns: BTreeMap<i64, Column> = BTreeMap::new();
        for at in self.times.iter().copied() {
            let key = |metric| Key { at, chunk, metric };
            source.each_row(key(0), key(Key::LAST_METRIC), |key, body| {
                let column = columns.entry(key.metric).or_insert(Column::new());
                let added = match level {
                    Level::Raw => column.add_sample(body),
                    Level::Five | Level::Hour => column.add_summary(body),
                };
                added.map_err(Fault::row(level, key.id()))
            })?;
        }
        Ok(columns)
    }
}

/// Writes the rows of a chunk.
fn write(
    connection: &Connection,
    level: Level,
    (at, chunk): (i64, i64),
    columns: &BTreeMap<i64, Column>,
) -> Result<(), Fault> {
    let mut insert = Insert::new(connection, level)?;
    let mut body = Vec::new();
    for (metric, column) in columns {
        body.clear();
        column.write(&mut body);
        let key = Key {
            at,
            chunk,
            metric: *metric,
        };
        insert.put(key, &body)?;
    }
    Ok(())
}

/// The time of the check that as many later ones agree with as are needed to believe a clock.
fn believed(connection: &Connection) -> Result<Option<i64>, Fault> {
    let mut raw = Table::new(connection, Level::Raw)?;
    let mut id = i64::MAX;
    for _ in 1..AGREEING {
        let Some(key) = raw.last_before(id)? else {
            return Ok(None);
        };
        id = Key::start(key.at).id();
    }
    Ok(raw.last_before(id)?.map(|key| key.at))
}

/// Ends what is before `end`, and takes away some of the rows that have ended.
fn remove(connection: &Connection, level: Level, end: i64, rows: usize) -> Result<(), Fault> {
    let mut start = segments::progress(connection, level)?.start;
    if end > start {
        start = end;
        connection.execute(
            "UPDATE level SET start = ?2 WHERE id = ?1",
            [level.number(), start],
        )?;
    }
    let first = Table::new(connection, level)?.first_from(0)?;
    if first.is_none_or(|first| first >= start) {
        return Ok(());
    }
    let table = level.table();
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    connection.execute(
        &format!(
            "DELETE FROM {table} WHERE id < \
             min(?1, coalesce((SELECT id FROM {table} ORDER BY id LIMIT 1 OFFSET ?2), ?1))"
        ),
        [Key::start(start).id(), rows],
    )?;
    Ok(())
}

/// Drops everything after `at`, at once: seldom enough that it may take its time.
pub(crate) fn rewind(connection: &Connection, at: i64) -> Result<(), Fault> {
    connection.execute("DELETE FROM raw WHERE id >= ?1", [Key::start(at).id()])?;
    for level in Level::ALL {
        let from = level.floor(at);
        if level != Level::Raw {
            connection.execute(
                &format!("DELETE FROM {} WHERE id >= ?1", level.table()),
                [Key::start(from).id()],
            )?;
        }
        // Stretches that had begun are made again from what is left below.
        connection.execute(
            "UPDATE level SET chunk = 0, next = ?2 WHERE id = ?1 AND next >= ?2",
            [level.number(), from],
        )?;
        let start = match level {
            Level::Raw => Level::Five.floor(at),
            Level::Five | Level::Hour => Level::Hour.floor(at),
        };
        connection.execute(
            "UPDATE level SET start = min(start, ?2) WHERE id = ?1",
            [level.number(), start],
        )?;
    }
    numbers::rewind(connection, at)
}
