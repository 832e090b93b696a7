//! Which level holds which stretch of time.

use rusqlite::Connection;

use crate::fault::Fault;
use crate::schema::Level;

/// How fine a query wants its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// As fine as they are kept: samples, before them five minutes, before them hours.
    Finest,
    /// Five minutes where they are made already: samples at the end, hours at the beginning.
    FiveMinutes,
    /// Hours where they are made already; then five minutes, and samples at the end.
    Hours,
}

/// A row of the table `level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// From here on the level is kept; earlier rows are on their way out.
    pub(crate) start: i64,
    /// Up to here it is made of the level below.
    pub(crate) next: i64,
    /// In the stretch that begins at `next`, chunks before this one are made.
    pub(crate) chunk: i64,
}

pub(crate) fn progress(connection: &Connection, level: Level) -> Result<Progress, Fault> {
    Ok(connection.query_row(
        "SELECT start, next, chunk FROM level WHERE id = ?1",
        [level.number()],
        |row| {
            Ok(Progress {
                start: row.get(0)?,
                next: row.get(1)?,
                chunk: row.get(2)?,
            })
        },
    )?)
}

/// A stretch of time and the level to read it from. The end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) level: Level,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Ascending, without overlap; rows that reach into the time from `since` to `until`, both included.
pub(crate) fn segments(
    connection: &Connection,
    grain: Grain,
    since: i64,
    until: i64,
) -> Result<Vec<Segment>, Fault> {
    let [raw, five, hour] = Level::ALL.map(|level| progress(connection, level));
    Ok(cut([raw?, five?, hour?], grain, since, until))
}

fn cut(levels: [Progress; 3], grain: Grain, since: i64, until: i64) -> Vec<Segment> {
    let [raw, five, hour] = levels;
    let (to_five, to_raw) = match grain {
        Grain::Finest => (five.start, raw.start),
        Grain::FiveMinutes => (five.start, five.next),
        Grain::Hours => (hour.next, five.next),
    };
    let end = until.saturating_add(1);
    let segment = |level: Level, from: i64, to: i64| Segment {
        level,
        from: from.max(level.floor(since)),
        to: to.min(end),
    };
    [
        segment(Level::Hour, hour.start, to_five.min(to_raw)),
        segment(Level::Five, to_five, to_raw),
        segment(Level::Raw, to_raw, end),
    ]
    .into_iter()
    .filter(|segment| since <= until && segment.from < segment.to)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> [Progress; 3] {
        let progress = |start, next| Progress {
            start,
            next,
            chunk: 0,
        };
        [
            progress(36_000, 0),
            progress(18_000, 57_000),
            progress(3_600, 54_000),
        ]
    }

    #[test]
    fn each_stretch_is_read_once_and_from_the_level_asked_for() {
        let all = |grain| {
            cut(levels(), grain, 0, 99_999)
                .into_iter()
                .map(|segment| (segment.level.number(), segment.from, segment.to))
                .collect::<Vec<_>>()
        };
        let [raw, five, hour] = Level::ALL.map(Level::number);
        let cases = [
            (Grain::Finest, [3_600, 18_000, 36_000]),
            (Grain::FiveMinutes, [3_600, 18_000, 57_000]),
            (Grain::Hours, [3_600, 54_000, 57_000]),
        ];
        for (grain, [a, b, c]) in cases {
            assert_eq!(
                all(grain),
                [(hour, a, b), (five, b, c), (raw, c, 100_000)],
                "{grain:?}"
            );
        }
    }

    #[test]
    fn a_row_that_reaches_into_the_time_is_part_of_it() {
        let found = cut(levels(), Grain::Finest, 18_299, 18_299);
        let expected = Segment {
            level: Level::Five,
            from: 18_000,
            to: 18_300,
        };
        assert_eq!(found, [expected]);
        assert_eq!(cut(levels(), Grain::Finest, 5_000, 6_000)[0].from, 3_600);
        assert_eq!(cut(levels(), Grain::Finest, 6_000, 5_000), []);
    }
}
