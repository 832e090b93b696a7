//! The alert outbox: facts to be told, and how far each channel has got with them.
//!
//! An alert stands once, with one delivery for each of its channels; a channel that has succeeded is `done` whatever
//! the others do. A delivery is `pending` until `next_attempt`, `held` while its node is flapping, `skipped` when it is
//! settled without being sent, and `dead` when it is given up.
//!
//! - `admission`: what becomes of a new alert; `sending`: who sends what; `upkeep`: what is kept, by hand and by age

mod admission;
mod sending;
mod upkeep;

use ng_engine::plan::{Alert, AlertKind, Mute, Seen};
use ng_engine::time::Time;
use rusqlite::{Connection, Row, params};

use crate::error::StateError;
use crate::place::Place;

pub use admission::FreshAlert;
pub use sending::{Claim, Facts, OpenAlert, OpenDelivery, Settlement};
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

/// Puts alerts into the outbox; returns their ids.
pub(crate) fn queue(
    connection: &Connection,
    place: &Place,
    alerts: &[Alert],
    now: Time,
) -> Result<Vec<i64>, StateError> {
    if alerts.is_empty() {
        return Ok(Vec::new());
    }
    let attempt = || StateError::database("queue alerts", place);
    let mut facts = connection
        .prepare(
            "INSERT INTO alert(queued, rule, node, kind, severity, template, dry_run, muted, body) \
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .map_err(attempt())?;
    // A channel that is named twice is told once.
    let mut delivery = connection
        .prepare(
            "INSERT OR IGNORE INTO delivery(alert, channel, state, attempts, next_attempt) \
             VALUES(?1, ?2, 'pending', 0, ?3)",
        )
        .map_err(attempt())?;
    let mut ids = Vec::with_capacity(alerts.len());
    for alert in alerts {
        let body = serde_json::to_string(&finite(alert.clone())).map_err(StateError::encode(
            format!("the alert of {} on {}", alert.rule, alert.node),
        ))?;
        let row = params![
            now.millis(),
            alert.rule,
            alert.node,
            kind(alert.kind),
            alert.severity.word(),
            alert.template,
            alert.dry_run,
            alert.muted.as_ref().map(Mute::word),
            body
        ];
        let id = facts.insert(row).map_err(attempt())?;
        for channel in &alert.channels {
            delivery
                .execute(params![id, channel, now.millis()])
                .map_err(attempt())?;
        }
        ids.push(id);
    }
    Ok(ids)
}

const fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Trigger => "trigger",
        AlertKind::Repeat => "repeat",
        AlertKind::Recovery => "recovery",
    }
}

/// The kind that [`kind`] wrote.
fn read_kind(word: &str) -> AlertKind {
    match word {
        "recovery" => AlertKind::Recovery,
        "repeat" => AlertKind::Repeat,
        _ => AlertKind::Trigger,
    }
}

/// JSON has no infinity: the largest number stands for it, so that the alert can be read again.
fn finite(mut alert: Alert) -> Alert {
    alert.metrics.retain(|_, value| !value.is_nan());
    for value in alert.metrics.values_mut() {
        *value = value.clamp(f64::MIN, f64::MAX);
    }
    for condition in &mut alert.conditions {
        match &mut condition.seen {
            Seen::Value { value, .. } if value.is_nan() => {
                condition.seen = Seen::Unknown("not a number".to_owned());
            }
            Seen::Value { value, .. } => *value = value.clamp(f64::MIN, f64::MAX),
            Seen::Status(_) | Seen::Unknown(_) => {}
        }
    }
    alert
}

pub(crate) fn counts(connection: &Connection, place: &Place) -> Result<OutboxCounts, StateError> {
    connection
        .query_row(
            "SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'held'), \
                    count(*) FILTER (WHERE state = 'dead'), \
                    (SELECT queued FROM alert WHERE id = (SELECT min(alert) FROM delivery \
                     WHERE state = 'pending' AND state NOT IN ('done', 'skipped'))) \
             FROM delivery WHERE state NOT IN ('done', 'skipped')",
            [],
            |row| {
                Ok(OutboxCounts {
                    pending: row.get::<_, i64>(0)?.unsigned_abs(),
                    held: row.get::<_, i64>(1)?.unsigned_abs(),
                    dead: row.get::<_, i64>(2)?.unsigned_abs(),
                    oldest_pending: row.get::<_, Option<i64>>(3)?.map(Time::from_millis),
                })
            },
        )
        .map_err(StateError::database("count the outbox", place))
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
            "SELECT a.id, a.queued, a.rule, a.node, a.body, \
                    d.channel, d.state, d.attempts, d.next_attempt, d.last_error, d.batch, d.settled \
             FROM (SELECT * FROM alert \
                   WHERE id > ?2 AND (?1 IS NULL OR id IN (SELECT alert FROM delivery WHERE state = ?1)) \
                   ORDER BY id LIMIT ?3) a \
             LEFT JOIN delivery d ON d.alert = a.id AND (?1 IS NULL OR d.state = ?1) \
             ORDER BY a.id, d.channel",
        )
        .map_err(attempt())?;
    let state = filter.state.map(DeliveryState::word);
    let mut rows = statement
        .query(params![state, filter.after, filter.limit])
        .map_err(attempt())?;
    let mut alerts: Vec<QueuedAlert> = Vec::new();
    while let Some(row) = rows.next().map_err(attempt())? {
        let id: i64 = row.get(0).map_err(attempt())?;
        if alerts.last().is_none_or(|last| last.id != id) {
            alerts.push(read_alert(row).map_err(attempt())?);
        }
        let delivery = read_delivery(row).map_err(attempt())?;
        if let (Some(alert), Some(delivery)) = (alerts.last_mut(), delivery) {
            alert.deliveries.push(delivery);
        }
    }
    Ok(alerts)
}

fn read_alert(row: &Row<'_>) -> rusqlite::Result<QueuedAlert> {
    Ok(QueuedAlert {
        id: row.get(0)?,
        queued: Time::from_millis(row.get(1)?),
        rule: row.get(2)?,
        node: row.get(3)?,
        alert: serde_json::from_str(row.get_ref(4)?.as_str()?),
        deliveries: Vec::new(),
    })
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<Option<Delivery>> {
    let Some(channel) = row.get(5)? else {
        return Ok(None);
    };
    Ok(Some(Delivery {
        channel,
        // An unknown word is of a later release; its delivery is not ours to send.
        state: DeliveryState::from_word(row.get_ref(6)?.as_str()?).unwrap_or(DeliveryState::Dead),
        attempts: row.get(7)?,
        next_attempt: Time::from_millis(row.get(8)?),
        last_error: row.get(9)?,
        batch: row.get(10)?,
        settled: row.get::<_, Option<i64>>(11)?.map(Time::from_millis),
    }))
}
