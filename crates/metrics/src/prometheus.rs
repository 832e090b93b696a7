//! The answer of Prometheus to an instant query, parsed where it lies.
//!
//! Series are resolved to nodes while they are read, so that a large answer costs its own bytes and one column.

use std::fmt;

use ng_engine::node::Nodes;
use ng_engine::reading::{Column, Origin, Reading, Unknown};
use ng_engine::time::Time;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, Visitor};

use crate::answer::{self, Refusal, Results};
use crate::mapping::{Index, Labels, Owner};
use crate::problem::shorten;

/// When an answer was made, and from when on it is too old.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness {
    /// The time of this run, which may be a simulated one.
    pub(crate) now: Time,
    /// The server's own clock, from its `Date` header.
    pub(crate) server: Option<Time>,
    /// Evaluations older than this are stale.
    pub(crate) oldest_ms: i64,
}

impl Freshness {
    /// Prometheus dates a sample with the time of the evaluation; a sample that is itself too old is left out by the
    /// server. What remains are old answers out of a cache on the way. They are old by the server's clock *and* by
    /// ours: one alone may be simulated or wrong.
    fn is_stale(self, at: Time) -> bool {
        let is_old = |clock: Time| clock.millis().saturating_sub(at.millis()) > self.oldest_ms;
        is_old(self.now) && self.server.is_none_or(is_old)
    }
}

/// A number of series, the first of them by name.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) count: usize,
    first: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, name: &str) {
        const SHOWN: usize = 3;
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(shorten(name));
        }
    }
}

/// `node-7, node-8, node-9 and 12 more`.
impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.first.join(", "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(out, " and {more} more"),
        }
    }
}

/// What a well-formed answer held.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) column: Column,
    /// Series of no known node.
    pub(crate) unresolved: Tally,
    /// Series that fit several nodes.
    pub(crate) ambiguous: Tally,
    /// Nodes whose only readings are too old.
    pub(crate) stale: usize,
    /// What the server warned of.
    pub(crate) warnings: Vec<String>,
}

/// What answers are read against.
pub(crate) struct Reader<'fetch, 'nodes> {
    pub(crate) index: &'fetch Index<'nodes>,
    pub(crate) nodes: &'nodes Nodes,
    /// Zero: no limit.
    pub(crate) max_samples: usize,
    pub(crate) freshness: Freshness,
}

/// The readings in the body of an answer.
pub(crate) fn parse(body: &[u8], reader: &Reader<'_, '_>) -> Result<Answer, Refusal> {
    let mut sink = Sink::new(reader);
    let warnings = answer::read(body, &mut sink)?;
    sink.column_of_ambiguous();
    Ok(Answer {
        column: sink.column,
        unresolved: sink.unresolved,
        ambiguous: sink.ambiguous,
        stale: sink.stale,
        warnings,
    })
}

/// Collects one column.
struct Sink<'reader, 'fetch, 'nodes> {
    reader: &'reader Reader<'fetch, 'nodes>,
    column: Column,
    series: usize,
    unresolved: Tally,
    ambiguous: Tally,
    claimed: Vec<usize>,
    stale: usize,
}

impl<'reader, 'fetch, 'nodes> Sink<'reader, 'fetch, 'nodes> {
    fn new(reader: &'reader Reader<'fetch, 'nodes>) -> Self {
        Self {
            reader,
            column: Column::unknown(reader.nodes.len(), Unknown::NoSample),
            series: 0,
            unresolved: Tally::default(),
            ambiguous: Tally::default(),
            claimed: Vec::new(),
            stale: 0,
        }
    }

    fn push(&mut self, series: &Series<'_>) -> Result<(), String> {
        self.series += 1;
        answer::check_count(self.series, self.reader.max_samples)?;
        let Some(value) = &series.value else {
            return match series.histogram {
                Some(_) => Ok(()),
                None => Err("a series has neither a value nor a histogram".to_owned()),
            };
        };
        match self.reader.index.owner(&series.metric) {
            Owner::Node(node) => self.put(node, value),
            Owner::Ambiguous(nodes) => {
                self.ambiguous.add(series.metric.shown());
                self.claimed.extend_from_slice(nodes);
            }
            Owner::Nobody => self.unresolved.add(series.metric.shown()),
        }
        Ok(())
    }

    /// Of several series for one node the largest counts; a number wins over none.
    fn put(&mut self, node: usize, point: &Point) {
        let at = Time::from_millis(point.0);
        let reading = if self.reader.freshness.is_stale(at) {
            Reading::Unknown(Unknown::Stale)
        } else {
            Reading::Value {
                value: point.1.0,
                at,
                origin: Origin::Prometheus,
            }
        };
        match (self.column.get(node), reading) {
            (Reading::Value { .. }, Reading::Unknown(_)) => {}
            // Not greater, or not a number.
            (Reading::Value { value: old, .. }, Reading::Value { value, .. })
                if value <= old || !value.is_finite() => {}
            (old, new) => {
                if new == Reading::Unknown(Unknown::Stale) && old != new {
                    self.stale += 1;
                }
                self.column.set(node, new);
            }
        }
    }

    /// Nodes that only ambiguous series claim are unknown for that reason.
    fn column_of_ambiguous(&mut self) {
        for node in std::mem::take(&mut self.claimed) {
            if self.column.get(node) == Reading::Unknown(Unknown::NoSample) {
                self.column.set(node, Reading::Unknown(Unknown::Ambiguous));
            }
        }
    }
}

impl<'de> Results<'de> for Sink<'_, '_, '_> {
    const TYPE: &'static str = "vector";
    type Series = Series<'de>;

    fn take(&mut self, series: Series<'de>) -> Result<(), String> {
        self.push(&series)
    }
}

/// One element of a vector.
#[derive(Deserialize)]
pub(crate) struct Series<'answer> {
    #[serde(borrow, default)]
    metric: Labels<'answer>,
    /// Missing where the series is a histogram, of which no one number can be taken.
    #[serde(default)]
    value: Option<Point>,
    #[serde(default)]
    histogram: Option<IgnoredAny>,
}

/// `[1700000000.123, "91.25"]`, the time in milliseconds.
pub(crate) struct Point(pub(crate) i64, pub(crate) Sample);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (seconds, sample) = <(f64, Sample)>::deserialize(deserializer)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a time out of range saturates, and is stale or in the future"
        )]
        let millis = (seconds * 1000.0).round() as i64;
        Ok(Self(millis, sample))
    }
}

/// A sample value, which is a string in JSON, so that it can be `NaN`, `+Inf` and `-Inf`.
pub(crate) struct Sample(pub(crate) f64);

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Sample;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number in a string, such as \"91.25\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Sample, E> {
                text.parse()
                    .map(Sample)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests;
