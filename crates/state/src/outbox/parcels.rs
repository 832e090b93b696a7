//! Alerts as they stand in the database: in parcels, with an id each.

use std::borrow::Cow;
use std::sync::Arc;

use ng_engine::parcel::{Packed, Parcel, names};
use ng_engine::plan::{Alert, AlertKind, Mute, Seen};
use ng_engine::time::Time;
use rusqlite::{Connection, Row, params};

use super::ranges::Range;
use crate::error::StateError;
use crate::place::Place;
use crate::transaction::Transaction;

/// Alerts of one parcel with their ids, or why they cannot be read: they must not hold up the others.
#[derive(Debug)]
pub struct Loaded {
    /// An id for each member.
    pub ids: Vec<i64>,
    /// The alerts.
    pub parcel: Result<Parcel, serde_json::Error>,
}

impl Transaction<'_> {
    /// The alerts with these ids, which ascend, without those that are gone.
    pub fn alerts(&self, ids: &[i64]) -> Result<Vec<Loaded>, StateError> {
        self.load_parcels(ids)
            .map_err(StateError::database("read alerts", self.place))
    }

    fn load_parcels(&self, mut ids: &[i64]) -> rusqlite::Result<Vec<Loaded>> {
        let mut statement = self
            .inner
            .prepare("SELECT body, numbers FROM parcel WHERE first = ?1")?;
        let mut found = Vec::new();
        while let Some(next) = ids.first() {
            let Some(label) = self.labels.of(&self.inner, *next)? else {
                ids = &ids[1..];
                continue;
            };
            let range = label.range;
            let (wanted, rest) = ids.split_at(ids.partition_point(|id| *id <= range.last));
            ids = rest;
            let mut rows = statement.query([range.first])?;
            if let Some(row) = rows.next()? {
                let parcel = read(row, 0, &label.nodes);
                found.push(Loaded {
                    ids: wanted.to_vec(),
                    parcel: parcel.and_then(|parcel| pick(parcel, range, wanted)),
                });
            }
        }
        Ok(found)
    }
}

/// The alerts that are wanted of a parcel.
fn pick(parcel: Parcel, range: Range, wanted: &[i64]) -> Result<Parcel, serde_json::Error> {
    let len = u64::try_from(parcel.len()).unwrap_or(u64::MAX);
    if len != range.len() {
        return Err(mismatch());
    }
    if wanted.len() == parcel.len() {
        return Ok(parcel);
    }
    let mut wanted = wanted.iter().copied().peekable();
    let mut ids = range.ids();
    let picked = parcel.only(|_| {
        let id = ids.next();
        wanted.next_if(|wanted| Some(*wanted) == id).is_some()
    });
    picked.ok_or_else(mismatch)
}

fn mismatch() -> serde_json::Error {
    serde::de::Error::custom("nodes and numbers do not belong together")
}

/// From the columns `body` and `numbers`, and the names of the nodes.
pub(super) fn read(
    row: &Row<'_>,
    column: usize,
    nodes: &Arc<String>,
) -> Result<Parcel, serde_json::Error> {
    let told = |error: rusqlite::types::FromSqlError| serde::de::Error::custom(error);
    let value = |column| row.get_ref(column).map_err(serde::de::Error::custom);
    let head = serde_json::from_str(value(column)?.as_str().map_err(told)?)?;
    let numbers = value(column + 1)?;
    Parcel::from_parts(head, nodes, numbers.as_blob().map_err(told)?).ok_or_else(mismatch)
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
    let packed = Packed::of(&finite(alerts));
    let given: i64 = connection
        .query_row("SELECT given FROM admitted", [], |row| row.get(0))
        .map_err(attempt())?;
    let mut last = given;
    let mut firsts = Vec::with_capacity(packed.parcels.len());
    for parcel in &packed.parcels {
        let first = last + 1;
        last += i64::try_from(parcel.len()).unwrap_or(i64::MAX);
        firsts.push(first);
    }
    insert(connection, place, &packed.parcels, (&firsts, now))?;
    connection
        .execute("UPDATE admitted SET given = ?1", [last])
        .map_err(attempt())?;
    let places = packed.places.iter();
    Ok(places
        .map(|(parcel, place)| firsts[*parcel] + i64::try_from(*place).unwrap_or(0))
        .collect())
}

fn insert(
    connection: &Connection,
    place: &Place,
    parcels: &[Parcel],
    (firsts, now): (&[i64], Time),
) -> Result<(), StateError> {
    let attempt = || StateError::database("queue alerts", place);
    let mut facts = connection
        .prepare(
            "INSERT INTO parcel(first, last, queued, rule, kind, severity, template, dry_run, muted, nodes, body, \
             numbers) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )
        .map_err(attempt())?;
    // A channel that is named twice is told once.
    let mut delivery = connection
        .prepare(
            "INSERT OR IGNORE INTO delivery(first, channel, last, state, attempts, next_attempt) \
             VALUES(?1, ?2, ?3, 'pending', 0, ?4)",
        )
        .map_err(attempt())?;
    for (parcel, first) in parcels.iter().zip(firsts) {
        let head = parcel.head();
        let body = serde_json::to_string(head).map_err(StateError::encode(format!(
            "the alert of {} on {}",
            head.rule, head.node
        )))?;
        let last = first + i64::try_from(parcel.len()).unwrap_or(0) - 1;
        // Of one alert, the body says it all.
        let numbers = if parcel.len() == 1 {
            Vec::new()
        } else {
            parcel.numbers().encode()
        };
        let row = params![
            first,
            last,
            now.millis(),
            head.rule,
            kind(head.kind),
            head.severity.word(),
            head.template,
            head.dry_run,
            head.muted.as_ref().map(Mute::word),
            names::packed(parcel.nodes()),
            body,
            numbers
        ];
        facts.execute(row).map_err(attempt())?;
        for channel in &head.channels {
            delivery
                .execute(params![first, channel, last, now.millis()])
                .map_err(attempt())?;
        }
    }
    Ok(())
}

const fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Trigger => "trigger",
        AlertKind::Repeat => "repeat",
        AlertKind::Recovery => "recovery",
    }
}

/// The kind that [`kind`] wrote.
pub(super) fn read_kind(word: &str) -> AlertKind {
    match word {
        "recovery" => AlertKind::Recovery,
        "repeat" => AlertKind::Repeat,
        _ => AlertKind::Trigger,
    }
}

/// JSON has no infinity: the largest number stands for it, so that the alert can be read again.
fn finite(alerts: &[Alert]) -> Cow<'_, [Alert]> {
    if alerts.iter().all(is_finite) {
        return alerts.into();
    }
    alerts.iter().cloned().map(made_finite).collect()
}

fn is_finite(alert: &Alert) -> bool {
    let seen = |seen: &Seen| match seen {
        Seen::Value { value, .. } => value.is_finite(),
        Seen::Status(_) | Seen::Unknown(_) => true,
    };
    alert.metrics.values().all(|value| value.is_finite())
        && alert
            .conditions
            .iter()
            .all(|condition| seen(&condition.seen))
}

fn made_finite(mut alert: Alert) -> Alert {
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
