//! Rules: a narrow row each with what changes often or tells whether the rule is due, and the rest
//! in a wide one, which is written seldom.

use std::collections::BTreeMap;

use ng_engine::history::{History, RuleSummary};
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use rusqlite::{Connection, Row, Statement, params};

use crate::error::StateError;
use crate::place::Place;

/// What tells whether a rule is due and concerns a run, at a tenth of the cost of its whole summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// When the rule was evaluated last.
    pub last_evaluated: Option<Time>,
    /// Hash of the spec and of the defaults it was checked with.
    pub spec_hash: u64,
    /// Milliseconds between evaluations.
    pub check_interval: i64,
    /// Nodes with an eviction or drain under way.
    pub jobs: usize,
    /// Nodes that are triggered or recovering.
    pub held: usize,
    /// When the history was rebuilt, after the one before was lost.
    pub rebuilt: Option<Time>,
}

/// The narrow row.
#[derive(Clone, Copy, PartialEq)]
struct Line {
    glance: Glance,
    unknown: usize,
    pending: usize,
}

/// The columns that [`Line::read`] takes after the name.
const COLUMNS: &str =
    "name, last_evaluated, spec_hash, check_interval, jobs, held, unknown, pending, rebuilt";

impl Line {
    fn of(summary: &RuleSummary) -> Self {
        Self {
            glance: Glance {
                last_evaluated: summary.last_evaluated,
                spec_hash: summary.spec_hash,
                check_interval: summary.check_interval,
                jobs: summary.jobs,
                held: summary.held,
                rebuilt: summary.rebuilt,
            },
            unknown: summary.unknown,
            pending: summary.pending,
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let count = |column| -> rusqlite::Result<usize> {
            Ok(usize::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
        };
        let time = |column| -> rusqlite::Result<Option<Time>> {
            Ok(row.get::<_, Option<i64>>(column)?.map(Time::from_millis))
        };
        Ok(Self {
            glance: Glance {
                last_evaluated: time(1)?,
                spec_hash: row.get::<_, i64>(2)?.cast_unsigned(),
                check_interval: row.get(3)?,
                jobs: count(4)?,
                held: count(5)?,
                rebuilt: time(8)?,
            },
            unknown: count(6)?,
            pending: count(7)?,
        })
    }
}

/// The rest of a summary.
#[derive(Clone, PartialEq)]
struct Detail {
    uid: String,
    spec: String,
    priority: i64,
    severity: Option<Severity>,
    last_triggered: Option<Time>,
    last_recovery: Option<Time>,
    status_written: Option<(u64, Time)>,
}

/// The columns that [`Detail::read`] takes, from `first` on.
const DETAIL_COLUMNS: &str =
    "uid, spec, priority, severity, last_triggered, last_recovery, status_hash, status_written";

impl Detail {
    fn of(summary: &RuleSummary) -> Self {
        Self {
            uid: summary.uid.clone(),
            spec: summary.spec.clone(),
            priority: summary.priority,
            severity: summary.severity,
            last_triggered: summary.last_triggered,
            last_recovery: summary.last_recovery,
            status_written: summary.status_written,
        }
    }

    fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let time = |column| -> rusqlite::Result<Option<Time>> {
            Ok(row
                .get::<_, Option<i64>>(first + column)?
                .map(Time::from_millis))
        };
        let hash: Option<i64> = row.get(first + 6)?;
        // A word of a later release is no severity that this one could show.
        let severity = row
            .get_ref(first + 3)?
            .as_str_or_null()?
            .and_then(Severity::parse);
        Ok(Self {
            uid: row.get(first)?,
            spec: row.get(first + 1)?,
            priority: row.get(first + 2)?,
            severity,
            last_triggered: time(4)?,
            last_recovery: time(5)?,
            status_written: hash.map(i64::cast_unsigned).zip(time(7)?),
        })
    }
}

fn summary(line: Line, detail: Detail) -> RuleSummary {
    let Line {
        glance,
        unknown,
        pending,
    } = line;
    RuleSummary {
        uid: detail.uid,
        spec_hash: glance.spec_hash,
        spec: detail.spec,
        last_evaluated: glance.last_evaluated,
        check_interval: glance.check_interval,
        priority: detail.priority,
        severity: detail.severity,
        unknown,
        pending,
        jobs: glance.jobs,
        held: glance.held,
        last_triggered: detail.last_triggered,
        last_recovery: detail.last_recovery,
        status_written: detail.status_written,
        rebuilt: glance.rebuilt,
    }
}

pub(crate) fn glances(
    connection: &Connection,
    place: &Place,
) -> Result<BTreeMap<String, Glance>, StateError> {
    let query = || -> rusqlite::Result<_> {
        connection
            .prepare(&format!("SELECT {COLUMNS} FROM rule"))?
            .query_map([], |row| Ok((row.get(0)?, Line::read(row)?.glance)))?
            .collect()
    };
    query().map_err(StateError::database("read the rules", place))
}

pub(crate) fn summaries(
    connection: &Connection,
) -> rusqlite::Result<BTreeMap<String, RuleSummary>> {
    connection
        .prepare(&format!(
            "SELECT {COLUMNS}, {DETAIL_COLUMNS} FROM rule JOIN detail ON detail.rule = rule.name"
        ))?
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                summary(Line::read(row)?, Detail::read(row, 9)?),
            ))
        })?
        .collect()
}

/// Writes the rules that differ from those before.
pub(crate) fn save(
    connection: &Connection,
    history: &History,
    before: &BTreeMap<&str, &RuleSummary>,
) -> rusqlite::Result<()> {
    let mut put_line = connection.prepare(&format!(
        "INSERT OR REPLACE INTO rule({COLUMNS}) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    ))?;
    let mut put_detail = connection.prepare(&format!(
        "INSERT OR REPLACE INTO detail(rule, {DETAIL_COLUMNS}) \
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    ))?;
    for (rule, history) in &history.rules {
        let stored = before.get(rule.as_str()).copied();
        let (line, detail) = (Line::of(&history.summary), Detail::of(&history.summary));
        if stored.map(Line::of) != Some(line) {
            write_line(&mut put_line, rule, line)?;
        }
        if stored.map(Detail::of).as_ref() != Some(&detail) {
            write_detail(&mut put_detail, rule, &detail)?;
        }
    }
    for rule in before
        .keys()
        .filter(|rule| !history.rules.contains_key(**rule))
    {
        connection.execute("DELETE FROM rule WHERE name = ?1", [rule])?;
        connection.execute("DELETE FROM detail WHERE rule = ?1", [rule])?;
    }
    Ok(())
}

fn write_line(put: &mut Statement<'_>, rule: &str, line: Line) -> rusqlite::Result<usize> {
    let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
    let glance = line.glance;
    put.execute(params![
        rule,
        glance.last_evaluated.map(Time::millis),
        glance.spec_hash.cast_signed(),
        glance.check_interval,
        count(glance.jobs),
        count(glance.held),
        count(line.unknown),
        count(line.pending),
        glance.rebuilt.map(Time::millis),
    ])
}

fn write_detail(put: &mut Statement<'_>, rule: &str, detail: &Detail) -> rusqlite::Result<usize> {
    put.execute(params![
        rule,
        detail.uid,
        detail.spec,
        detail.priority,
        detail.severity.map(Severity::word),
        detail.last_triggered.map(Time::millis),
        detail.last_recovery.map(Time::millis),
        detail.status_written.map(|(hash, _)| hash.cast_signed()),
        detail.status_written.map(|(_, at)| at.millis()),
    ])
}
