//! What becomes of alerts that have just come in, and of those that were held.

use ng_delivery::{Admission, Fresh, Memory};
use ng_engine::parcel::names;
use ng_engine::plan::AlertKind;
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::labels::Label;
use super::memories::{self, Memories};
use super::parcels::read_kind;
use super::ranges::{self, Range, Scissors};
use crate::error::StateError;
use crate::lazy::Lazy;
use crate::transaction::Transaction;

/// Alerts nothing has been decided about yet, of nodes of whom the same is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshAlerts<'a> {
    /// Name of the rule.
    pub rule: &'a str,
    /// Names of the nodes, one a line.
    pub nodes: &'a str,
    /// How many there are; at least one.
    pub len: usize,
    /// What decides about them.
    pub fresh: Fresh,
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

/// The statements of the loop over all new alerts.
struct Desk<'c> {
    connection: &'c Connection,
    memories: Memories<'c>,
    has_flapping: bool,
    flaps: Lazy<'c>,
    hold: Lazy<'c>,
    skip: Lazy<'c>,
    tell: Lazy<'c>,
    count: Lazy<'c>,
}

impl Transaction<'_> {
    /// Decides about every new alert, per node oldest first; `decide` gets what is remembered of the nodes of some
    /// alerts under their rule, and may change it. Returns how many alerts there were.
    pub fn admit(
        &mut self,
        now: Time,
        decide: impl FnMut(&FreshAlerts<'_>, &mut Memory) -> Admission,
    ) -> Result<usize, StateError> {
        // A power failure may take it: what was admitted is admitted again, as if this had not been.
        self.admit_parcels(now, decide)
            .map_err(StateError::database("admit alerts", self.place))
    }

    fn admit_parcels(
        &mut self,
        now: Time,
        mut decide: impl FnMut(&FreshAlerts<'_>, &mut Memory) -> Admission,
    ) -> rusqlite::Result<usize> {
        let admitted = self.admitted()?;
        let fresh = self.labels.after(&self.inner, admitted)?;
        let mut desk = Desk::new(&self.inner);
        for parcel in &fresh {
            desk.admit(parcel, now, &mut decide)?;
        }
        self.inner
            .execute("UPDATE admitted SET up_to = given WHERE up_to <> given", [])?;
        if let Some(newest) = fresh.last() {
            self.admitted.set(Some(newest.range.last));
        }
        self.steady_after
            .set((!desk.has_flapping).then_some(admitted));
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
        let mut desk = Desk::new(&self.inner);
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

impl Decided {
    fn add(&mut self, admission: Admission, ids: impl IntoIterator<Item = i64>) {
        match admission {
            Admission::Mute => self.muted.extend(ids),
            Admission::Send => {}
            Admission::SendFlapping => self.flapping.extend(ids),
            Admission::Hold => self.held.extend(ids),
        }
    }
}

impl<'c> Desk<'c> {
    fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            memories: Memories::new(connection),
            has_flapping: false,
            flaps: Lazy::new(connection, FLAPS),
            hold: Lazy::new(connection, HOLD),
            skip: Lazy::new(connection, SKIP),
            tell: Lazy::new(connection, TELL),
            count: Lazy::new(connection, COUNT),
        }
    }

    fn admit(
        &mut self,
        parcel: &Label,
        now: Time,
        decide: &mut impl FnMut(&FreshAlerts<'_>, &mut Memory) -> Admission,
    ) -> rusqlite::Result<()> {
        let nodes = (parcel.nodes.as_str(), parcel.column.as_str());
        let decided = if self.memories.are_strangers(&parcel.rule, nodes)? {
            self.admit_together(parcel, decide)?
        } else {
            self.admit_each(parcel, decide)?
        };
        self.carry_out(decided, parcel.muted.as_deref().unwrap_or_default(), now)
    }

    /// Of nodes of whom nothing is remembered.
    fn admit_together(
        &mut self,
        parcel: &Label,
        decide: &mut impl FnMut(&FreshAlerts<'_>, &mut Memory) -> Admission,
    ) -> rusqlite::Result<Decided> {
        let alerts = FreshAlerts {
            rule: &parcel.rule,
            nodes: &parcel.nodes,
            len: usize::try_from(parcel.range.len()).unwrap_or(usize::MAX),
            fresh: parcel.fresh(),
        };
        let mut memory = Memory::default();
        let admission = decide(&alerts, &mut memory);
        if admission == Admission::Hold {
            // Of each, another alert is held.
            return self.admit_each(parcel, &mut |_, of_node| {
                *of_node = memory;
                admission
            });
        }
        let nodes = (parcel.nodes.as_str(), parcel.column.as_str());
        self.memories.put_all(&parcel.rule, nodes, memory)?;
        let mut decided = Decided::default();
        decided.add(admission, parcel.range.ids());
        Ok(decided)
    }

    fn admit_each(
        &mut self,
        parcel: &Label,
        decide: &mut impl FnMut(&FreshAlerts<'_>, &mut Memory) -> Admission,
    ) -> rusqlite::Result<Decided> {
        let alerts = names(&parcel.nodes).zip(parcel.range.ids());
        let mut alerts: Vec<(&str, i64)> = alerts.collect();
        alerts.sort_unstable();
        let nodes: Vec<&str> = alerts.iter().map(|(node, _)| *node).collect();
        let mut decided = Decided::default();
        self.memories
            .change(&parcel.rule, &nodes, |place, remembered| {
                let (nodes, id) = alerts[place];
                let alert = FreshAlerts {
                    rule: &parcel.rule,
                    nodes,
                    len: 1,
                    fresh: parcel.fresh(),
                };
                let admission = decide(&alert, &mut remembered.memory);
                decided.add(admission, [id]);
                let outdated = match admission {
                    Admission::Mute => None,
                    // What is told now is newer than what was held.
                    Admission::Send | Admission::SendFlapping => remembered.held.take(),
                    Admission::Hold => remembered.held.replace(id),
                };
                decided.outdated.extend(outdated);
            })?;
        Ok(decided)
    }

    fn carry_out(&mut self, decided: Decided, muted: &str, now: Time) -> rusqlite::Result<()> {
        let now = now.millis();
        for id in decided.flapping {
            self.has_flapping = true;
            self.flaps.statement()?.execute([id])?;
        }
        for Range { first, last } in self.parted(decided.outdated)? {
            self.skip
                .statement()?
                .execute(params![first, last, FLAPPING, now])?;
        }
        for Range { first, last } in self.parted(decided.muted)? {
            self.skip
                .statement()?
                .execute(params![first, last, muted, now])?;
            self.count
                .statement()?
                .execute(params![first, last, "muted", muted])?;
        }
        for Range { first, last } in self.parted(decided.held)? {
            self.hold
                .statement()?
                .execute(params![first, last, FLAPPING])?;
            self.count
                .statement()?
                .execute(params![first, last, "held", FLAPPING])?;
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
                self.tell.statement()?.execute(params![first, last, now])?;
            } else {
                self.skip
                    .statement()?
                    .execute(params![first, last, FLAPPING, now])?;
            }
        }
        Ok(())
    }
}
