//! What becomes of alerts that have just come in, and of those that were held.

use std::cell::OnceCell;

use ng_delivery::{Admission, Fresh, Memory};
use ng_engine::parcel;
use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, Statement, params};

use super::memories::{self, Memories};
use super::names;
use super::parcels::read_kind;
use super::ranges::{self, Range, Scissors};
use crate::error::StateError;
use crate::place::Place;
use crate::transaction::Transaction;

/// An alert nothing has been decided about yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshAlert<'a> {
    /// Its id.
    pub id: i64,
    /// Name of the rule.
    pub rule: &'a str,
    /// Name of the node.
    pub node: &'a str,
    /// What decides about it.
    pub fresh: Fresh,
}

/// A parcel nothing has been decided about yet.
struct FreshParcel {
    range: Range,
    rule: String,
    /// Names, one a line.
    nodes: String,
    fresh: Fresh,
    /// Why its producer muted it.
    muted: Option<String>,
}

/// Counts every delivery of a range.
const COUNT: &str = "INSERT INTO tally SELECT channel, ?3, ?4, sum(last - first + 1) FROM delivery \
     WHERE first BETWEEN ?1 AND ?2 GROUP BY channel ON CONFLICT DO UPDATE SET value = value + excluded.value";
const SKIP: &str = "UPDATE delivery SET state = 'skipped', last_error = ?3, settled = ?4, claim = NULL \
     WHERE first BETWEEN ?1 AND ?2 AND state IN ('pending', 'held')";
const HOLD: &str = "UPDATE delivery SET state = 'held', last_error = ?3 \
     WHERE first BETWEEN ?1 AND ?2 AND state = 'pending'";
const TELL: &str = "UPDATE delivery SET state = 'pending', next_attempt = ?3, last_error = NULL \
     WHERE first BETWEEN ?1 AND ?2 AND state = 'held'";
const FLAPS: &str = "INSERT INTO flapping VALUES(?1)";
/// Why deliveries are held, and skipped when a newer one is.
const FLAPPING: &str = "flapping";

/// A statement that most runs do not need.
struct Lazy<'c> {
    connection: &'c Connection,
    text: &'static str,
    statement: OnceCell<Statement<'c>>,
}

impl<'c> Lazy<'c> {
    const fn new(connection: &'c Connection, text: &'static str) -> Self {
        Self {
            connection,
            text,
            statement: OnceCell::new(),
        }
    }

    fn execute(&mut self, params: impl Params) -> rusqlite::Result<()> {
        if self.statement.get().is_none() {
            let statement = self.connection.prepare(self.text)?;
            drop(self.statement.set(statement));
        }
        match self.statement.get_mut() {
            Some(statement) => statement.execute(params).map(drop),
            None => Ok(()),
        }
    }
}

/// The statements of the loop over all new alerts.
struct Desk<'c> {
    connection: &'c Connection,
    memories: Memories<'c>,
    flaps: Lazy<'c>,
    hold: Lazy<'c>,
    skip: Lazy<'c>,
    tell: Lazy<'c>,
    count: Lazy<'c>,
}

impl Transaction<'_> {
    /// Decides about every new alert, per node oldest first; `decide` gets what is remembered of the alert's node under
    /// its rule, and may change it. Returns how many there were.
    pub fn admit(
        &mut self,
        now: Time,
        mut decide: impl FnMut(&FreshAlert<'_>, &mut Memory) -> Admission,
    ) -> Result<usize, StateError> {
        let fresh = fresh_parcels(&self.inner, self.place)?;
        let Some(newest) = fresh.last() else {
            return Ok(0);
        };
        let attempt = StateError::database("admit alerts", self.place);
        self.inner
            .execute("UPDATE admitted SET up_to = ?1", [newest.range.last])
            .map_err(&attempt)?;
        let mut desk = Desk::new(&self.inner).map_err(&attempt)?;
        for parcel in &fresh {
            desk.admit(parcel, now, &mut decide).map_err(&attempt)?;
        }
        // A power failure may take it: what was admitted is admitted again, as if this had not been.
        let count: u64 = fresh.iter().map(|parcel| parcel.range.len()).sum();
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Lets go of the nodes that have calmed down: `decide` gets what is remembered and the kind of the newest alert
    /// that was held, and says whether that one is to be told. It is called once for nodes of whom the same is
    /// remembered and nothing is held. Returns how many nodes there were.
    pub fn calm_down(
        &mut self,
        now: Time,
        mut decide: impl FnMut(&mut Memory, Option<AlertKind>) -> bool,
    ) -> Result<usize, StateError> {
        let attempt = StateError::database("let go of held alerts", self.place);
        let calm = memories::calm(&self.inner, now).map_err(&attempt)?;
        if calm.is_empty() {
            return Ok(0);
        }
        let mut desk = Desk::new(&self.inner).map_err(&attempt)?;
        let mut count = 0;
        for (mut run, rule) in calm {
            count += run.nodes.split('\n').count();
            let held = run.remembered.held.take();
            let kind = match held {
                Some(alert) => self.kind_of_held(alert).map_err(&attempt)?,
                None => None,
            };
            let tell = decide(&mut run.remembered.memory, kind);
            if let Some(alert) = held {
                desk.let_go(alert, tell, now).map_err(&attempt)?;
            }
            desk.memories.put(&rule, &run).map_err(&attempt)?;
        }
        self.durable = true;
        Ok(count)
    }

    /// `None` if nothing of it is held any more: somebody dropped it.
    fn kind_of_held(&self, alert: i64) -> rusqlite::Result<Option<AlertKind>> {
        self.inner
            .query_row(
                "SELECT kind FROM parcel WHERE first <= ?1 AND last >= ?1 AND EXISTS(SELECT * FROM delivery d \
                 WHERE d.first BETWEEN parcel.first AND ?1 AND d.last >= ?1 AND d.state = 'held') \
                 ORDER BY first DESC LIMIT 1",
                [alert],
                |row| Ok(read_kind(row.get_ref(0)?.as_str()?)),
            )
            .optional()
    }
}

/// What was decided about the alerts of a parcel, by id.
#[derive(Default)]
struct Decided {
    muted: Vec<i64>,
    flapping: Vec<i64>,
    held: Vec<i64>,
    /// Held before, of nodes of which there is news.
    outdated: Vec<i64>,
}

impl<'c> Desk<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            memories: Memories::new(connection)?,
            flaps: Lazy::new(connection, FLAPS),
            hold: Lazy::new(connection, HOLD),
            skip: Lazy::new(connection, SKIP),
            tell: Lazy::new(connection, TELL),
            count: Lazy::new(connection, COUNT),
        })
    }

    fn admit(
        &mut self,
        parcel: &FreshParcel,
        now: Time,
        decide: &mut impl FnMut(&FreshAlert<'_>, &mut Memory) -> Admission,
    ) -> rusqlite::Result<()> {
        let mut alerts: Vec<(&str, i64)> = parcel::names(&parcel.nodes)
            .zip(parcel.range.ids())
            .collect();
        alerts.sort_unstable();
        let nodes: Vec<&str> = alerts.iter().map(|(node, _)| *node).collect();
        let mut decided = Decided::default();
        self.memories
            .change(&parcel.rule, &nodes, |place, remembered| {
                let (node, id) = alerts[place];
                let alert = FreshAlert {
                    id,
                    rule: &parcel.rule,
                    node,
                    fresh: parcel.fresh,
                };
                let admission = decide(&alert, &mut remembered.memory);
                match admission {
                    Admission::Mute => decided.muted.push(id),
                    // What is told now is newer than what was held.
                    Admission::Send => decided.outdated.extend(remembered.held.take()),
                    Admission::SendFlapping => {
                        decided.flapping.push(id);
                        decided.outdated.extend(remembered.held.take());
                    }
                    Admission::Hold => {
                        decided.held.push(id);
                        decided.outdated.extend(remembered.held.replace(id));
                    }
                }
            })?;
        self.carry_out(decided, parcel.muted.as_deref().unwrap_or_default(), now)
    }

    fn carry_out(&mut self, decided: Decided, muted: &str, now: Time) -> rusqlite::Result<()> {
        let now = now.millis();
        for id in decided.flapping {
            self.flaps.execute([id])?;
        }
        for Range { first, last } in self.parted(decided.outdated)? {
            self.skip.execute(params![first, last, FLAPPING, now])?;
        }
        for Range { first, last } in self.parted(decided.muted)? {
            self.skip.execute(params![first, last, muted, now])?;
            self.count.execute(params![first, last, "muted", muted])?;
        }
        for Range { first, last } in self.parted(decided.held)? {
            self.hold.execute(params![first, last, FLAPPING])?;
            self.count.execute(params![first, last, "held", FLAPPING])?;
        }
        Ok(())
    }

    /// The ids in ranges that share no delivery with others.
    fn parted(&self, mut ids: Vec<i64>) -> rusqlite::Result<Vec<Range>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        ids.sort_unstable();
        let ranges = ranges::of(ids);
        let mut scissors = Scissors::new(self.connection)?;
        for range in &ranges {
            scissors.cut(*range, None)?;
        }
        Ok(ranges)
    }

    /// An alert that was held is told after all, or never.
    fn let_go(&mut self, alert: i64, tell: bool, now: Time) -> rusqlite::Result<()> {
        let now = now.millis();
        for Range { first, last } in self.parted(vec![alert])? {
            if tell {
                self.tell.execute(params![first, last, now])?;
            } else {
                self.skip.execute(params![first, last, FLAPPING, now])?;
            }
        }
        Ok(())
    }
}

fn fresh_parcels(connection: &Connection, place: &Place) -> Result<Vec<FreshParcel>, StateError> {
    let attempt = || StateError::database("read new alerts", place);
    let mut statement = connection
        .prepare(
            "SELECT first, last, rule, nodes, kind, severity, queued, muted FROM parcel \
             WHERE first > (SELECT up_to FROM admitted) ORDER BY first",
        )
        .map_err(attempt())?;
    let rows = statement.query_map([], read_fresh).map_err(attempt())?;
    rows.collect::<rusqlite::Result<_>>().map_err(attempt())
}

fn read_fresh(row: &Row<'_>) -> rusqlite::Result<FreshParcel> {
    let muted: Option<String> = row.get(7)?;
    Ok(FreshParcel {
        range: Range {
            first: row.get(0)?,
            last: row.get(1)?,
        },
        rule: row.get(2)?,
        nodes: names::unpacked(row.get_ref(3)?.as_str()?),
        fresh: Fresh {
            kind: read_kind(row.get_ref(4)?.as_str()?),
            severity: Severity::parse(row.get_ref(5)?.as_str()?).unwrap_or(Severity::Warning),
            queued: Time::from_millis(row.get(6)?),
            muted: muted.is_some(),
        },
        muted,
    })
}
