//! Rules: a narrow row each with what changes often or tells whether the rule is due, and the rest
//! in a wide one, which is written seldom.

use std::collections::{BTreeMap, BTreeSet};

use ng_engine::history::{History, RuleSummary};
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params};

use crate::error::StateError;
use crate::lazy::Lazy;
use crate::place::Place;

/// The narrow rows of all rules as they were at one moment.
#[derive(Debug, Default)]
pub struct Glances {
    /// By name.
    pub rules: BTreeMap<String, Glance>,
    /// The version of the data that they come from.
    pub(crate) version: i64,
}

/// The narrow row of a rule: what tells whether it is due and concerns a run, and what changes with most evaluations,
/// at a tenth of the cost of its whole summary.
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
    /// Nodes of which too little was known at the last evaluation.
    pub unknown: usize,
    /// Nodes on the way to a trigger at the last evaluation.
    pub pending: usize,
    /// When the history was rebuilt, after the one before was lost.
    pub rebuilt: Option<Time>,
}

/// The columns that [`Glance::read`] takes after the name.
const COLUMNS: &str =
    "name, last_evaluated, spec_hash, check_interval, jobs, held, unknown, pending, rebuilt";

impl Glance {
    /// The narrow part of a summary.
    pub fn of(summary: &RuleSummary) -> Self {
        Self {
            last_evaluated: summary.last_evaluated,
            spec_hash: summary.spec_hash,
            check_interval: summary.check_interval,
            jobs: summary.jobs,
            held: summary.held,
            unknown: summary.unknown,
            pending: summary.pending,
            rebuilt: summary.rebuilt,
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
            last_evaluated: time(1)?,
            spec_hash: row.get::<_, i64>(2)?.cast_unsigned(),
            check_interval: row.get(3)?,
            jobs: count(4)?,
            held: count(5)?,
            unknown: count(6)?,
            pending: count(7)?,
            rebuilt: time(8)?,
        })
    }
}

/// The rest of a summary: the wide row.
#[derive(PartialEq)]
struct Detail<'a> {
    uid: &'a str,
    spec: &'a str,
    priority: i64,
    severity: Option<Severity>,
    last_triggered: Option<Time>,
    last_recovery: Option<Time>,
    status_written: Option<(u64, Time)>,
}

/// The columns that [`summary`] takes after those of the narrow row.
const DETAIL_COLUMNS: &str =
    "uid, spec, priority, severity, last_triggered, last_recovery, status_hash, status_written";

impl<'a> Detail<'a> {
    fn of(summary: &'a RuleSummary) -> Self {
        Self {
            uid: &summary.uid,
            spec: &summary.spec,
            priority: summary.priority,
            severity: summary.severity,
            last_triggered: summary.last_triggered,
            last_recovery: summary.last_recovery,
            status_written: summary.status_written,
        }
    }
}

/// Both rows of a rule.
fn summary(row: &Row<'_>) -> rusqlite::Result<RuleSummary> {
    const FIRST: usize = 9;
    let glance = Glance::read(row)?;
    let time = |column| -> rusqlite::Result<Option<Time>> {
        Ok(row
            .get::<_, Option<i64>>(FIRST + column)?
            .map(Time::from_millis))
    };
    let hash: Option<i64> = row.get(FIRST + 6)?;
    // A word of a later release is no severity that this one could show.
    let severity = row
        .get_ref(FIRST + 3)?
        .as_str_or_null()?
        .and_then(Severity::parse);
    Ok(RuleSummary {
        uid: row.get(FIRST)?,
        spec_hash: glance.spec_hash,
        spec: row.get(FIRST + 1)?,
        last_evaluated: glance.last_evaluated,
        check_interval: glance.check_interval,
        priority: row.get(FIRST + 2)?,
        severity,
        unknown: glance.unknown,
        pending: glance.pending,
        jobs: glance.jobs,
        held: glance.held,
        last_triggered: time(4)?,
        last_recovery: time(5)?,
        status_written: hash.map(i64::cast_unsigned).zip(time(7)?),
        rebuilt: glance.rebuilt,
    })
}

pub(crate) fn glances(
    connection: &Connection,
    place: &Place,
) -> Result<BTreeMap<String, Glance>, StateError> {
    let query = || -> rusqlite::Result<_> {
        connection
            .prepare(&format!("SELECT {COLUMNS} FROM rule"))?
            .query_map([], |row| Ok((row.get(0)?, Glance::read(row)?)))?
            .collect()
    };
    query().map_err(StateError::database("read the rules", place))
}

/// Whose summaries are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose<'a> {
    Everyone,
    /// Of these rules, and of all that have records: what such a rule wants on a node counts for every other rule.
    Of(&'a [&'a str]),
}

pub(crate) fn summaries(
    connection: &Connection,
    whose: Whose<'_>,
    with_records: &[&str],
) -> rusqlite::Result<BTreeMap<String, RuleSummary>> {
    let of = |condition: &str| {
        let columns = format!("{COLUMNS}, {DETAIL_COLUMNS}");
        format!("SELECT {columns} FROM rule JOIN detail ON detail.rule = rule.name {condition}")
    };
    let read = |row: &Row<'_>| Ok((row.get(0)?, summary(row)?));
    match whose {
        Whose::Everyone => connection.prepare(&of(""))?.query_map([], read)?.collect(),
        Whose::Of(rules) => {
            let mut query = Lazy::new(connection, of("WHERE name = ?1"));
            let rules: BTreeSet<&str> = rules.iter().chain(with_records).copied().collect();
            let mut found = BTreeMap::new();
            for rule in rules {
                found.extend(query.statement()?.query_row([rule], read).optional()?);
            }
            Ok(found)
        }
    }
}

/// Writes the rules that differ from those before.
pub(crate) fn save(
    connection: &Connection,
    history: &History,
    before: &BTreeMap<&str, &RuleSummary>,
) -> rusqlite::Result<()> {
    let mut put_glance = Lazy::new(
        connection,
        format!(
            "INSERT OR REPLACE INTO rule({COLUMNS}) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        ),
    );
    let mut put_detail = Lazy::new(
        connection,
        format!(
            "INSERT OR REPLACE INTO detail(rule, {DETAIL_COLUMNS}) \
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        ),
    );
    for (rule, history) in &history.rules {
        let stored = before.get(rule.as_str()).copied();
        let (glance, detail) = (Glance::of(&history.summary), Detail::of(&history.summary));
        if stored.map(Glance::of) != Some(glance) {
            write_glance(put_glance.statement()?, rule, glance)?;
        }
        if stored.map(Detail::of).as_ref() != Some(&detail) {
            write_detail(put_detail.statement()?, rule, &detail)?;
        }
    }
    for rule in before
        .keys()
        .filter(|rule| !history.rules.contains_key(**rule))
    {
        connection.execute("DELETE FROM rule WHERE name = ?1", [rule])?;
        connection.execute("DELETE FROM detail WHERE rule = ?1", [rule])?;
        connection.execute("DELETE FROM timers WHERE rule = ?1", [rule])?;
    }
    Ok(())
}

fn write_glance(put: &mut Statement<'_>, rule: &str, glance: Glance) -> rusqlite::Result<usize> {
    let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
    put.execute(params![
        rule,
        glance.last_evaluated.map(Time::millis),
        glance.spec_hash.cast_signed(),
        glance.check_interval,
        count(glance.jobs),
        count(glance.held),
        count(glance.unknown),
        count(glance.pending),
        glance.rebuilt.map(Time::millis),
    ])
}

fn write_detail(
    put: &mut Statement<'_>,
    rule: &str,
    detail: &Detail<'_>,
) -> rusqlite::Result<usize> {
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
