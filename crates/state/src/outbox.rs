//! The alert outbox: facts to be told, and how far each channel has got with them.
//!
//! Alerts that were queued together and differ in nodes and numbers only are one row, a parcel; each has an id of its
//! own all the same, and the ids of a parcel are neighbours. A delivery is a range of them on its way to one channel,
//! for as long as they share its fate: where one is dropped, held or told alone, the range is parted. So a thousand
//! alerts of one rule cost what one does.
//!
//! A channel that has succeeded is `done` whatever the others do. A delivery is `pending` until `next_attempt`, `held`
//! while its node is flapping, `skipped` when it is settled without being sent, and `dead` when it is given up.
//!
//! - `parcels`: alerts as they stand in the database; `labels`: what decides about them; `ranges`: their ids
//! - `memories`: what is remembered of nodes; `admission`: what becomes of a new alert
//! - `open`: what there is to send; `sending`: who sends what; `changes`: of deliveries, which part where fates do
//! - `upkeep`: what is kept, by hand and by age

mod admission;
mod changes;
mod labels;
mod memories;
mod open;
mod parcels;
mod ranges;
mod sending;
mod upkeep;

use std::sync::Arc;

use ng_engine::parcel::Parcel;
use ng_engine::plan::Alert;
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use ranges::Range;

use crate::error::StateError;
use crate::place::Place;

pub use admission::FreshAlerts;
pub(crate) use labels::Labels;
pub use open::{OpenDelivery, OpenParcel};
pub use parcels::Loaded;
pub(crate) use parcels::queue;
pub use sending::{Agenda, Claim, Settlement};
pub use upkeep::{Keep, Tally};

/// How far a channel is with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// To be sent, now or later.
    Pending,
    /// Kept back while the node is flapping.
    Held,
    /// Sent.
    Done,
    /// Settled without being sent; the reason stands in [`Delivery::last_error`].
    Skipped,
    /// Given up: a dead letter.
    Dead,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Held,
        Self::Done,
        Self::Skipped,
        Self::Dead,
    ];

    /// The word in the table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Dead => "dead",
        }
    }

    /// The state that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// An alert on its way to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Name of the channel.
    pub channel: String,
    /// How far it is.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// Not to be tried before.
    pub next_attempt: Time,
    /// What the last attempt failed with, or why it is not sent.
    pub last_error: Option<String>,
    /// The message it was tried in: the id of that message's first alert.
    pub batch: Option<i64>,
    /// When it was done, skipped or given up.
    pub settled: Option<Time>,
}

/// The facts of an alert, or why they cannot be read.
pub type Facts = Result<Alert, String>;

/// An alert in the outbox.
#[derive(Debug)]
pub struct QueuedAlert {
    /// Given once, in the order of queueing; never used for another alert.
    pub id: i64,
    /// When it was queued.
    pub queued: Time,
    /// Name of the rule.
    pub rule: String,
    /// Name of the node.
    pub node: String,
    /// The facts, or why they cannot be read: such an alert must not hold up the others.
    pub alert: Facts,
    /// By channel.
    pub deliveries: Vec<Delivery>,
}

/// Which alerts are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxFilter {
    /// Only alerts with a delivery in this state, and only these deliveries.
    pub state: Option<DeliveryState>,
    /// Only alerts with an id above this one; for reading page by page.
    pub after: i64,
    /// The most alerts.
    pub limit: u32,
}

impl Default for OutboxFilter {
    fn default() -> Self {
        Self {
            state: None,
            after: 0,
            limit: 1000,
        }
    }
}

/// How many deliveries are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// To be sent.
    pub pending: u64,
    /// Kept back while their nodes are flapping.
    pub held: u64,
    /// Given up.
    pub dead: u64,
    /// When the oldest alert that is to be sent was queued.
    pub oldest_pending: Option<Time>,
}

pub(crate) fn counts(connection: &Connection, place: &Place) -> Result<OutboxCounts, StateError> {
    count(connection).map_err(StateError::database("count the outbox", place))
}

fn count(connection: &Connection) -> rusqlite::Result<OutboxCounts> {
    // Added up here: parsing a statement that does it takes longer than a run with nothing to do.
    let mut statement = connection.prepare(
        "SELECT state, first, last FROM delivery WHERE state NOT IN ('done', 'skipped')",
    )?;
    let mut rows = statement.query([])?;
    let mut counts = OutboxCounts::default();
    let mut oldest: Option<i64> = None;
    while let Some(row) = rows.next()? {
        let range = Range {
            first: row.get(1)?,
            last: row.get(2)?,
        };
        match DeliveryState::from_word(row.get_ref(0)?.as_str()?) {
            Some(DeliveryState::Pending) => {
                counts.pending += range.len();
                oldest = Some(oldest.map_or(range.first, |oldest| oldest.min(range.first)));
            }
            Some(DeliveryState::Held) => counts.held += range.len(),
            Some(DeliveryState::Dead) => counts.dead += range.len(),
            Some(DeliveryState::Done | DeliveryState::Skipped) | None => {}
        }
    }
    if let Some(oldest) = oldest {
        counts.oldest_pending = queued(connection, oldest)?;
    }
    Ok(counts)
}

/// When an alert was queued.
fn queued(connection: &Connection, alert: i64) -> rusqlite::Result<Option<Time>> {
    connection
        .query_row(
            "SELECT queued FROM parcel WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
            [alert],
            |row| row.get(0).map(Time::from_millis),
        )
        .optional()
}

/// Alerts in the order of their ids.
pub(crate) fn list(
    connection: &Connection,
    place: &Place,
    filter: OutboxFilter,
) -> Result<Vec<QueuedAlert>, StateError> {
    let attempt = || StateError::database("read the outbox", place);
    let mut statement = connection
        .prepare(
            "SELECT first, last, queued, rule, nodes, body, numbers FROM parcel \
             WHERE last > ?1 ORDER BY first",
        )
        .map_err(attempt())?;
    let mut deliveries = connection
        .prepare(
            "SELECT first, last, channel, state, attempts, next_attempt, last_error, batch, settled FROM delivery \
             WHERE first BETWEEN ?1 AND ?2 AND last > ?3 AND (?4 IS NULL OR state = ?4) ORDER BY channel",
        )
        .map_err(attempt())?;
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let state = filter.state.map(DeliveryState::word);
    let mut alerts = Vec::new();
    let mut rows = statement.query([filter.after]).map_err(attempt())?;
    while alerts.len() < limit
        && let Some(row) = rows.next().map_err(attempt())?
    {
        let range = read_range(row).map_err(attempt())?;
        let wanted = params![range.first, range.last, filter.after, state];
        let found = deliveries
            .query_map(wanted, read_delivery)
            .and_then(Iterator::collect)
            .map_err(attempt())?;
        if state.is_none() || !Vec::is_empty(&found) {
            let parcel = Listed::read(row, range, found).map_err(attempt())?;
            let of_parcel = parcel.alerts(filter);
            alerts.extend(of_parcel.take(limit - alerts.len()));
        }
    }
    Ok(alerts)
}

/// A parcel with its deliveries.
struct Listed {
    range: Range,
    queued: Time,
    rule: String,
    nodes: Arc<String>,
    parcel: Result<Parcel, serde_json::Error>,
    deliveries: Vec<(Range, Delivery)>,
}

impl Listed {
    fn read(
        row: &Row<'_>,
        range: Range,
        deliveries: Vec<(Range, Delivery)>,
    ) -> rusqlite::Result<Self> {
        let nodes = ng_engine::parcel::names::unpacked(row.get_ref(4)?.as_str()?).into();
        Ok(Self {
            range,
            queued: Time::from_millis(row.get(2)?),
            rule: row.get(3)?,
            parcel: parcels::read(row, 5, &nodes),
            nodes,
            deliveries,
        })
    }

    /// One by one, as people see them.
    fn alerts(&self, filter: OutboxFilter) -> impl Iterator<Item = QueuedAlert> {
        let unknown = std::iter::repeat("");
        let mut members = self.parcel.as_ref().ok().map(Parcel::members);
        let nodes = self.nodes.split('\n').chain(unknown);
        self.range.ids().zip(nodes).filter_map(move |(id, node)| {
            let member = members.as_mut().and_then(Iterator::next);
            let of_alert = self.deliveries.iter();
            let of_alert = of_alert.filter(|(range, _)| range.ids().contains(&id));
            let deliveries: Vec<Delivery> = of_alert.map(|(_, found)| found.clone()).collect();
            let is_wanted = id > filter.after && (filter.state.is_none() || !deliveries.is_empty());
            is_wanted.then(|| QueuedAlert {
                id,
                queued: self.queued,
                rule: self.rule.clone(),
                node: node.to_owned(),
                alert: match (&self.parcel, member) {
                    (Err(error), _) => Err(error.to_string()),
                    (Ok(_), Some(member)) => Ok(member.alert()),
                    (Ok(_), None) => Err("it is missing from its parcel".to_owned()),
                },
                deliveries,
            })
        })
    }
}

/// From the first two columns.
fn read_range(row: &Row<'_>) -> rusqlite::Result<Range> {
    Ok(Range {
        first: row.get(0)?,
        last: row.get(1)?,
    })
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<(Range, Delivery)> {
    let delivery = Delivery {
        channel: row.get(2)?,
        // An unknown word is of a later release; its delivery is not ours to send.
        state: DeliveryState::from_word(row.get_ref(3)?.as_str()?).unwrap_or(DeliveryState::Dead),
        attempts: row.get(4)?,
        next_attempt: Time::from_millis(row.get(5)?),
        last_error: row.get(6)?,
        batch: row.get(7)?,
        settled: row.get::<_, Option<i64>>(8)?.map(Time::from_millis),
    };
    Ok((read_range(row)?, delivery))
}
