//! Rules: a narrow row each with what changes often or tells whether the rule is due, and the rest as JSON.

use std::collections::BTreeMap;

use ng_engine::history::{History, RuleSummary};
use ng_engine::time::Time;
use rusqlite::{Connection, Row, params};

use crate::documents::{DETAILS, Key};
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

    fn fill(self, summary: &mut RuleSummary) {
        summary.last_evaluated = self.glance.last_evaluated;
        summary.spec_hash = self.glance.spec_hash;
        summary.check_interval = self.glance.check_interval;
        summary.jobs = self.glance.jobs;
        summary.held = self.glance.held;
        summary.rebuilt = self.glance.rebuilt;
        summary.unknown = self.unknown;
        summary.pending = self.pending;
    }
}

/// A summary without what stands in columns.
fn detail(summary: &RuleSummary) -> RuleSummary {
    RuleSummary {
        last_evaluated: None,
        spec_hash: 0,
        check_interval: 0,
        jobs: 0,
        held: 0,
        rebuilt: None,
        unknown: 0,
        pending: 0,
        ..summary.clone()
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
    place: &Place,
) -> Result<BTreeMap<String, RuleSummary>, StateError> {
    let attempt = || StateError::database("read the rules", place);
    let mut statement = connection
        .prepare(&format!(
            "SELECT {COLUMNS}, body FROM rule JOIN detail ON detail.rule = rule.name"
        ))
        .map_err(attempt())?;
    let mut rows = statement.query([]).map_err(attempt())?;
    let mut summaries = BTreeMap::new();
    while let Some(row) = rows.next().map_err(attempt())? {
        let name: String = row.get(0).map_err(attempt())?;
        let body = row
            .get_ref(9)
            .and_then(|body| Ok(body.as_str()?))
            .map_err(attempt())?;
        let mut summary: RuleSummary = serde_json::from_str(body)
            .map_err(StateError::damaged(DETAILS.row(("", &name)), place))?;
        Line::read(row).map_err(attempt())?.fill(&mut summary);
        summaries.insert(name, summary);
    }
    Ok(summaries)
}

/// Writes the rules that differ from `before`, or where that is not given from what is stored.
pub(crate) fn save(
    connection: &Connection,
    place: &Place,
    history: &History,
    before: Option<&History>,
) -> Result<(), StateError> {
    DETAILS.settle(connection, place, details(history), before.map(details))?;
    save_lines(connection, history).map_err(StateError::database("save the rules", place))
}

fn details(history: &History) -> impl Iterator<Item = (Key<'_>, RuleSummary)> {
    let rules = history.rules.iter();
    rules.map(|(rule, history)| (("", rule.as_str()), detail(&history.summary)))
}

fn save_lines(connection: &Connection, history: &History) -> rusqlite::Result<()> {
    let mut stored: BTreeMap<String, Line> = connection
        .prepare(&format!("SELECT {COLUMNS} FROM rule"))?
        .query_map([], |row| Ok((row.get(0)?, Line::read(row)?)))?
        .collect::<Result<_, _>>()?;
    let mut put = connection.prepare(&format!(
        "INSERT OR REPLACE INTO rule({COLUMNS}) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    ))?;
    let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
    for (rule, history) in &history.rules {
        let line = Line::of(&history.summary);
        if stored.remove(rule) != Some(line) {
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
            ])?;
        }
    }
    for rule in stored.keys() {
        connection.execute("DELETE FROM rule WHERE name = ?1", [rule])?;
    }
    Ok(())
}
