//! Alerts that differ in nothing but their nodes and numbers: what they share stands once.
//!
//! A rule that triggers on a thousand nodes makes a thousand alerts that say nearly the same. As one parcel they are
//! kept, read and sent for little more than one alone.

pub mod names;
mod numbers;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::plan::{Alert, Input, Seen};
use crate::time::Time;

pub use numbers::Numbers;

/// The most alerts in one parcel: so much is read at a time.
pub const MOST: usize = 1000;
/// How many of the newest parcels an alert is held against, so that alerts that are all different stay cheap.
const MOST_OPEN: usize = 8;

/// Alerts of different nodes that differ in nothing else but `since`, `repeats` and the numbers that were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    /// One of the alerts; its own numbers stand with those of the others. Shared like the rest, so that whoever tells
    /// of the nodes can have the parcel for itself: there may be a thousand of them.
    head: Arc<Alert>,
    /// Names of the nodes, one a line.
    nodes: Arc<String>,
    /// What differs, one row a node.
    numbers: Arc<Numbers>,
    len: usize,
}

/// A parcel that is being filled.
struct Open {
    head: Alert,
    nodes: String,
    /// Rows, one after another.
    numbers: Vec<u64>,
    len: usize,
}

/// Alerts in parcels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packed {
    /// The parcels. Of two alerts of one node, the later one is in a later parcel.
    pub parcels: Vec<Parcel>,
    /// For each alert, in the order given, its parcel and its place in it.
    pub places: Vec<(usize, usize)>,
}

/// One of the alerts in a parcel.
#[derive(Clone, Copy, Debug)]
pub struct Member<'p> {
    /// Name of the node.
    pub node: &'p str,
    /// When the episode began.
    pub since: Time,
    /// How often the actions ran again.
    pub repeats: u32,
    parcel: &'p Parcel,
    place: usize,
}

impl Packed {
    /// Puts alerts into parcels, in each in the order of the nodes' names.
    pub fn of(alerts: &[Alert]) -> Self {
        let mut parcels = Vec::new();
        let mut places = Vec::with_capacity(alerts.len());
        // An alert never gets into a parcel before one in which an earlier alert of its node is.
        let mut first_free: HashMap<&str, usize, rustc_hash::FxBuildHasher> = HashMap::default();
        for alert in alerts {
            let free = first_free.entry(&alert.node).or_default();
            let place = put(&mut parcels, alert, *free);
            *free = place.0 + 1;
            places.push(place);
        }
        sort(&mut parcels, &mut places);
        Self {
            parcels: parcels.into_iter().map(Open::close).collect(),
            places,
        }
    }
}

/// What reads parcels looks for nodes by their names, and need not sort them each time.
fn sort(parcels: &mut [Open], places: &mut [(usize, usize)]) {
    let moved: Vec<Vec<usize>> = parcels.iter_mut().map(Open::sort).collect();
    for (parcel, place) in places {
        if let Some(to) = moved[*parcel].get(*place) {
            *place = *to;
        }
    }
}

/// Puts an alert into the first parcel that takes it, from the one with this number on. Returns the parcel and the
/// place in it.
fn put(parcels: &mut Vec<Open>, alert: &Alert, free: usize) -> (usize, usize) {
    let count = parcels.len();
    let mut places = free.max(count.saturating_sub(MOST_OPEN))..count;
    let found = places.find(|place| parcels[*place].takes(alert));
    let place = found.unwrap_or_else(|| {
        parcels.push(Open::new(alert.clone()));
        count
    });
    let parcel = &mut parcels[place];
    parcel.add(&alert.node, &row(alert));
    (place, parcel.len - 1)
}

impl Parcel {
    /// A parcel of one.
    pub fn single(alert: Alert) -> Self {
        let mut parcel = Open::new(alert);
        let (node, row) = (parcel.head.node.clone(), row(&parcel.head));
        parcel.add(&node, &row);
        parcel.close()
    }

    /// The parcel that [`Parcel::head`], [`Parcel::nodes`] and the encoded [`Parcel::numbers`] are of. Without it is a
    /// parcel of one; `None` if they do not belong together.
    pub fn from_parts(head: Alert, nodes: &Arc<String>, numbers: &[u8]) -> Option<Self> {
        let len = 1 + memchr::memchr_iter(b'\n', nodes.as_bytes()).count();
        if numbers.is_empty() {
            return (len == 1).then(|| Self::single(head));
        }
        let numbers = Numbers::decode(numbers, width(&head), len)?;
        Some(Self {
            head: head.into(),
            nodes: Arc::clone(nodes),
            numbers: numbers.into(),
            len,
        })
    }

    /// What the alerts have in common; the rest of it is one of them's.
    pub fn head(&self) -> &Alert {
        &self.head
    }

    /// Names of the nodes, one a line.
    pub fn nodes(&self) -> &Arc<String> {
        &self.nodes
    }

    /// What differs, one row a node.
    pub fn numbers(&self) -> &Arc<Numbers> {
        &self.numbers
    }

    /// How many alerts there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The alerts, in order.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        let nodes = names(&self.nodes).enumerate();
        nodes.map(|(place, node)| Member {
            node,
            since: self.since(place),
            repeats: self.repeats(place),
            parcel: self,
            place,
        })
    }

    /// When the episode of the alert at this place began.
    fn since(&self, place: usize) -> Time {
        Time::from_millis(self.number(SINCE, place).cast_signed())
    }

    /// How often the actions of the alert at this place ran again.
    fn repeats(&self, place: usize) -> u32 {
        u32::try_from(self.number(REPEATS, place)).unwrap_or(u32::MAX)
    }

    /// The number in this column of the alert at this place: the bits of a value, or milliseconds.
    pub fn number(&self, column: usize, place: usize) -> u64 {
        self.numbers.get(column, place)
    }

    /// The number in this column if all alerts have the same.
    pub fn same(&self, column: usize) -> Option<u64> {
        self.numbers.same(column)
    }

    /// The columns with values of the metrics, in the order in which the head has them.
    pub fn columns_of_metrics(&self) -> Range<usize> {
        METRICS..METRICS + self.head.metrics.len()
    }

    /// The columns of each condition of the head.
    pub fn columns_of_conditions(&self) -> impl Iterator<Item = Columns> {
        let mut columns = METRICS + self.head.metrics.len()..;
        self.head.conditions.iter().map(move |input| {
            let has_value = matches!(input.seen, Seen::Value { .. });
            let mut next = |is_there: bool| is_there.then(|| columns.next()).flatten();
            Columns {
                value: next(has_value),
                age: next(has_value),
                true_for: next(input.true_for.is_some()),
            }
        })
    }

    /// Values of the metrics of the alert at this place, in the order in which the head has them.
    pub fn readings(&self, place: usize) -> impl Iterator<Item = f64> {
        let columns = self.columns_of_metrics();
        columns.map(move |column| f64::from_bits(self.number(column, place)))
    }

    /// What was read for each condition of the head, for the alert at this place.
    pub fn readings_of_conditions(&self, place: usize) -> impl Iterator<Item = Reading> {
        let number = move |column: Option<usize>| column.map(|column| self.number(column, place));
        self.columns_of_conditions().map(move |columns| Reading {
            value: number(columns.value).map_or(0.0, f64::from_bits),
            age: number(columns.age).map_or(0, u64::cast_signed),
            true_for: number(columns.true_for).map_or(0, u64::cast_signed),
        })
    }

    /// The parcel without the alerts whose places are not wanted; `None` if none is.
    pub fn only(&self, mut wanted: impl FnMut(usize) -> bool) -> Option<Self> {
        let mut parcel = Open::new(Alert::clone(&self.head));
        let columns = width(&self.head);
        for (place, node) in names(&self.nodes).enumerate() {
            if wanted(place) {
                let row = (0..columns).map(|column| self.numbers.get(column, place));
                parcel.add(node, &row.collect::<Vec<u64>>());
            }
        }
        (parcel.len > 0).then(|| parcel.close())
    }
}

impl Open {
    fn new(head: Alert) -> Self {
        Self {
            head,
            nodes: String::new(),
            numbers: Vec::new(),
            len: 0,
        }
    }

    fn close(self) -> Parcel {
        Parcel {
            numbers: Numbers::of(&self.numbers, width(&self.head)).into(),
            head: self.head.into(),
            nodes: self.nodes.into(),
            len: self.len,
        }
    }

    /// Sorts the alerts by their nodes. Returns for each place the new one; nothing if all are the same.
    fn sort(&mut self) -> Vec<usize> {
        let mut order: Vec<(&str, usize)> = names(&self.nodes).zip(0..).collect();
        if order.is_sorted() {
            return Vec::new();
        }
        order.sort_unstable();
        let width = width(&self.head);
        let mut sorted = Self::new(self.head.clone());
        let mut moved = vec![0; order.len()];
        for (to, (node, from)) in order.into_iter().enumerate() {
            sorted.add(node, &self.numbers[from * width..][..width]);
            moved[from] = to;
        }
        *self = sorted;
        moved
    }

    fn takes(&self, alert: &Alert) -> bool {
        let head = &self.head;
        self.len < MOST
            && head.at == alert.at
            && head.kind == alert.kind
            && head.severity == alert.severity
            && head.dry_run == alert.dry_run
            && head.muted == alert.muted
            // Words that came with an alert are about its node.
            && head.notice.is_none()
            && alert.notice.is_none()
            && head.guard == alert.guard
            && head.rule == alert.rule
            && head.rule_description == alert.rule_description
            && head.template == alert.template
            && head.channels == alert.channels
            && head.actions == alert.actions
            && head.metrics.keys().eq(alert.metrics.keys())
            && head.conditions.len() == alert.conditions.len()
            && head.conditions.iter().zip(&alert.conditions).all(alike)
    }

    fn add(&mut self, node: &str, row: &[u64]) {
        if self.len > 0 {
            self.nodes.push('\n');
        }
        // No API server takes a name with a line break.
        let mut parts = node.split('\n');
        self.nodes.push_str(parts.next().unwrap_or_default());
        for part in parts {
            self.nodes.push(' ');
            self.nodes.push_str(part);
        }
        self.numbers.extend_from_slice(row);
        self.len += 1;
    }
}

/// Names that stand one a line; of an empty text, one that is empty.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = memchr::memchr(b'\n', text.as_bytes()) else {
            return rest.take();
        };
        rest = Some(&text[end + 1..]);
        Some(&text[..end])
    })
}

/// Whether two conditions differ in numbers only.
fn alike((one, other): (&Input, &Input)) -> bool {
    let seen = match (&one.seen, &other.seen) {
        (Seen::Value { origin, .. }, Seen::Value { origin: other, .. }) => origin == other,
        (one, other) => one == other,
    };
    seen && one.test == other.test
        && one.description == other.description
        && one.needed == other.needed
        && one.verdict == other.verdict
        && one.true_for.is_some() == other.true_for.is_some()
}

/// What differs; of alerts that share a parcel, all are of one length.
fn row(alert: &Alert) -> Vec<u64> {
    let mut row = Vec::with_capacity(width(alert));
    row.extend([
        alert.since.millis().cast_unsigned(),
        u64::from(alert.repeats),
    ]);
    row.extend(alert.metrics.values().map(|value| value.to_bits()));
    for input in &alert.conditions {
        if let Seen::Value { value, age, .. } = &input.seen {
            row.extend([value.to_bits(), age.cast_unsigned()]);
        }
        row.extend(input.true_for.map(i64::cast_unsigned));
    }
    row
}

/// How many numbers there are of each alert.
fn width(head: &Alert) -> usize {
    let inputs = head.conditions.iter();
    let of_inputs = inputs.map(|input| match input.seen {
        Seen::Value { .. } => 2 + usize::from(input.true_for.is_some()),
        Seen::Status(_) | Seen::Unknown(_) => usize::from(input.true_for.is_some()),
    });
    METRICS + head.metrics.len() + of_inputs.sum::<usize>()
}

/// The first columns of a row.
const SINCE: usize = 0;
const REPEATS: usize = 1;
const METRICS: usize = 2;

impl Member<'_> {
    /// Known metrics by name.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let names = self.parcel.head.metrics.keys().cloned();
        names.zip(self.parcel.readings(self.place)).collect()
    }

    /// The conditions as they were seen.
    pub fn conditions(&self) -> Vec<Input> {
        let readings = self.parcel.readings_of_conditions(self.place);
        let inputs = self.parcel.head.conditions.iter().zip(readings);
        inputs
            .map(|(input, reading)| reading.put_into(input))
            .collect()
    }

    /// The alert by itself.
    pub fn alert(&self) -> Alert {
        Alert {
            node: self.node.to_owned(),
            since: self.since,
            repeats: self.repeats,
            metrics: self.metrics(),
            conditions: self.conditions(),
            ..Alert::clone(&self.parcel.head)
        }
    }
}

/// Where the numbers of a condition stand: those of a [`Reading`], as far as its kind has them.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// That of the value.
    pub value: Option<usize>,
    /// That of its age.
    pub age: Option<usize>,
    /// That of how long the test has been true.
    pub true_for: Option<usize>,
}

/// The numbers of a condition; those that its kind does not have are zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The value.
    pub value: f64,
    /// Milliseconds since it was sampled.
    pub age: i64,
    /// Milliseconds for which the test has been true.
    pub true_for: i64,
}

impl Reading {
    /// The condition with these numbers in the place of its own.
    pub fn put_into(self, input: &Input) -> Input {
        let seen = match &input.seen {
            Seen::Value { origin, .. } => Seen::Value {
                value: self.value,
                age: self.age,
                origin: origin.clone(),
            },
            other => other.clone(),
        };
        Input {
            test: input.test.clone(),
            description: input.description.clone(),
            seen,
            true_for: input.true_for.map(|_| self.true_for),
            needed: input.needed,
            verdict: input.verdict,
        }
    }
}

#[cfg(test)]
mod tests;
