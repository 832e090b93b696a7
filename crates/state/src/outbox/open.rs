//! What there is to send, as it is looked at before anything is claimed.

use std::collections::HashMap;
use std::sync::Arc;

use ng_delivery::{Stretch, Topic};
use ng_engine::time::Time;
use rusqlite::{Connection, Row};

use super::labels::Label;
use super::ranges::Range;
use super::read_range;
use crate::claimant;
use crate::error::StateError;
use crate::place::Place;
use crate::transaction::Transaction;

/// The most deliveries that are looked at in one run, oldest first: this bounds its memory.
const MOST_DELIVERIES: u64 = 100_000;

/// Alerts with deliveries that are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenParcel {
    /// Some of its alerts, as they are on their way to a channel.
    pub deliveries: Vec<OpenDelivery>,
    range: Range,
    queued: Time,
    topic: Topic,
    /// Of those alerts that say that their nodes are flapping.
    flapping_topic: Topic,
    flapping: Vec<i64>,
    /// Names, one a line.
    nodes: Arc<String>,
}

/// Alerts on their way to a channel which share their fate so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDelivery {
    /// Name of the channel.
    pub channel: String,
    /// Attempts so far.
    pub attempts: u32,
    /// Not to be tried before.
    pub next_attempt: Time,
    /// The message it was tried in.
    pub batch: Option<i64>,
    /// Whether another process that is alive is at it.
    pub busy: bool,
    range: Range,
}

impl OpenParcel {
    /// The alerts of one of its deliveries. Each of those that say that a node is flapping is a stretch of its own.
    pub fn stretches<'a>(
        &'a self,
        delivery: &'a OpenDelivery,
    ) -> impl Iterator<Item = Stretch<'a>> {
        let (mut named, mut nodes) = (self.range.first, self.nodes.as_str());
        let mut left = Range {
            last: delivery.range.last.min(self.range.last),
            ..delivery.range
        };
        std::iter::from_fn(move || {
            let (topic, range) = self.first_topic(left)?;
            left.first = range.last + 1;
            nodes = without_first(nodes, range.first - named);
            named = range.first;
            Some(Stretch {
                first: range.first,
                len: usize::try_from(range.len()).unwrap_or(usize::MAX),
                queued: self.queued,
                topic,
                nodes,
                attempts: delivery.attempts,
                next_attempt: delivery.next_attempt,
                batch: delivery.batch,
                busy: delivery.busy,
            })
        })
    }

    /// The topic of the first of these alerts, and those after it that have the same; `None` if there are none.
    fn first_topic(&self, alerts: Range) -> Option<(&Topic, Range)> {
        let Range { first, last } = alerts;
        let found = match self.flapping.binary_search(&first) {
            Ok(_) => (&self.flapping_topic, Range::one(first)),
            Err(place) => {
                let flapping = self.flapping.get(place);
                let last = flapping.map_or(last, |flapping| last.min(flapping - 1));
                (&self.topic, Range { first, last })
            }
        };
        (first <= last).then_some(found)
    }
}

/// Names, one a line, without so many of the first.
fn without_first(mut names: &str, count: i64) -> &str {
    for _ in 0..count {
        names = names.split_once('\n').map_or("", |(_, rest)| rest);
    }
    names
}

impl Transaction<'_> {
    /// Alerts that are to be sent, in the order of their ids. Within a transaction, so that what is claimed after it is
    /// what was looked at.
    pub fn open_alerts(&self, now: Time) -> Result<Vec<OpenParcel>, StateError> {
        self.open_parcels(now)
            .map_err(StateError::database("read the outbox", self.place))
    }

    fn open_parcels(&self, now: Time) -> rusqlite::Result<Vec<OpenParcel>> {
        let admitted = self.admitted()?;
        let mut parcels: Vec<OpenParcel> = Vec::new();
        for delivery in open_deliveries(&self.inner, self.place, now)? {
            let first = delivery.range.first;
            if first > admitted {
                break;
            }
            if parcels.last().is_none_or(|last| last.range.last < first) {
                let Some(label) = self.labels.of(&self.inner, first)? else {
                    continue;
                };
                parcels.push(OpenParcel::of(&label));
            }
            if let Some(parcel) = parcels.last_mut() {
                parcel.deliveries.push(delivery);
            }
        }
        self.mark_flapping(&mut parcels)?;
        Ok(parcels)
    }

    /// Tells the parcels which of their alerts say that a node is flapping.
    fn mark_flapping(&self, parcels: &mut [OpenParcel]) -> rusqlite::Result<()> {
        let Some(first) = parcels.first().map(|parcel| parcel.range.first) else {
            return Ok(());
        };
        // What was just admitted need not be asked for.
        if self.steady_after.get().is_some_and(|id| id < first) {
            return Ok(());
        }
        let mut statement = self
            .inner
            .prepare("SELECT alert FROM flapping WHERE alert >= ?1 ORDER BY alert")?;
        let mut rows = statement.query([first])?;
        while let Some(row) = rows.next()? {
            let alert: i64 = row.get(0)?;
            let place = parcels.partition_point(|parcel| parcel.range.last < alert);
            if let Some(parcel) = parcels.get_mut(place)
                && parcel.range.ids().contains(&alert)
            {
                parcel.flapping.push(alert);
            }
        }
        Ok(())
    }

    /// Up to which id something is decided about alerts.
    pub(super) fn admitted(&self) -> rusqlite::Result<i64> {
        if let Some(admitted) = self.admitted.get() {
            return Ok(admitted);
        }
        let found = self
            .inner
            .query_row("SELECT up_to FROM admitted", [], |row| row.get(0))?;
        self.admitted.set(Some(found));
        Ok(found)
    }
}

/// Deliveries that nothing keeps back, oldest first, each with who is at it.
fn open_deliveries(
    connection: &Connection,
    place: &Place,
    now: Time,
) -> rusqlite::Result<Vec<OpenDelivery>> {
    let mut found = read_deliveries(connection, place, now, "")?;
    let count: u64 = found.iter().map(|delivery| delivery.range.len()).sum();
    if count >= MOST_DELIVERIES {
        // They are not all there, so that they have to come in order.
        return read_deliveries(connection, place, now, "ORDER BY first");
    }
    found.sort_by_key(|delivery| delivery.range.first);
    Ok(found)
}

/// As many as are looked at in one run.
fn read_deliveries(
    connection: &Connection,
    place: &Place,
    now: Time,
    order: &str,
) -> rusqlite::Result<Vec<OpenDelivery>> {
    let mut statement = connection.prepare(&format!(
        "SELECT first, last, channel, attempts, next_attempt, batch, claim, claimed_until FROM delivery \
         WHERE state = 'pending' AND state NOT IN ('done', 'skipped') {order}",
    ))?;
    let mut alive: HashMap<String, bool> = HashMap::new();
    let mut is_alive = |token: String| {
        *alive
            .entry(token)
            .or_insert_with_key(|token| claimant::is_alive(place, token))
    };
    let mut rows = statement.query([])?;
    let mut left = MOST_DELIVERIES;
    let mut found = Vec::new();
    while left > 0
        && let Some(row) = rows.next()?
    {
        let delivery = read_open(row, now, &mut is_alive)?;
        left = left.saturating_sub(delivery.range.len());
        found.push(delivery);
    }
    Ok(found)
}

impl OpenParcel {
    fn of(label: &Label) -> Self {
        let topic = |flapping| Topic {
            rule: label.rule.clone(),
            kind: label.kind,
            severity: label.severity,
            template: label.template.clone(),
            dry_run: label.dry_run,
            flapping,
        };
        Self {
            deliveries: Vec::new(),
            range: label.range,
            queued: label.queued,
            topic: topic(false),
            flapping_topic: topic(true),
            flapping: Vec::new(),
            nodes: Arc::clone(&label.nodes),
        }
    }
}

fn read_open(
    row: &Row<'_>,
    now: Time,
    is_alive: &mut impl FnMut(String) -> bool,
) -> rusqlite::Result<OpenDelivery> {
    let claim: Option<String> = row.get(6)?;
    let until: Option<i64> = row.get(7)?;
    let runs = until.is_some_and(|until| until > now.millis());
    Ok(OpenDelivery {
        range: read_range(row)?,
        channel: row.get(2)?,
        attempts: row.get(3)?,
        next_attempt: Time::from_millis(row.get(4)?),
        batch: row.get(5)?,
        busy: runs && claim.is_some_and(is_alive),
    })
}
