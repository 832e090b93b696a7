//! The answer of Prometheus to a range query, parsed where it lies.
//!
//! As with instant queries, series are resolved to nodes while they are read: an answer costs its own bytes, the points
//! of one series, and the grid.

use std::fmt;

use ng_engine::time::millis;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::answer::{self, Refusal, Results};
use crate::mapping::{Index, Labels, Owner};
use crate::prometheus::Point;
use crate::range::{Grid, Stretch};

/// Prometheus itself refuses to answer with more for one series.
const MOST_POINTS: usize = 11_000;

/// What answers are read against.
pub(crate) struct Reader<'ask, 'nodes> {
    pub(crate) index: &'ask Index<'nodes>,
    /// How many nodes there are.
    pub(crate) nodes: usize,
    /// Zero: no limit.
    pub(crate) max_samples: usize,
    pub(crate) stretch: Stretch,
}

/// The values in the body of an answer. Series of no known node, or that fit several, are left out: the instant query
/// of the same metric has told of them.
pub(crate) fn parse(body: &[u8], reader: &Reader<'_, '_>) -> Result<Grid, Refusal> {
    let mut sink = Sink {
        reader,
        grid: Grid::unknown(reader.nodes, reader.stretch.steps),
        series: 0,
    };
    answer::read(body, &mut sink)?;
    Ok(sink.grid)
}

struct Sink<'reader, 'ask, 'nodes> {
    reader: &'reader Reader<'ask, 'nodes>,
    grid: Grid,
    series: usize,
}

impl Sink<'_, '_, '_> {
    /// Of several series for one node the largest counts; what is not finite is a gap.
    fn put(&mut self, node: usize, point: &Point) {
        let value = point.1.0;
        let Some(step) = self.step(point.0).filter(|_| value.is_finite()) else {
            return;
        };
        let cell = self.grid.cell(step, node);
        if cell.is_nan() || *cell < value {
            *cell = value;
        }
    }

    /// The step that a time in milliseconds lies in. What answers in our place may align times with steps of its own.
    fn step(&self, at: i64) -> Option<usize> {
        let stretch = &self.reader.stretch;
        let passed = at.checked_sub(stretch.since.millis())?;
        let step = usize::try_from(passed.checked_div_euclid(millis(stretch.step))?).ok()?;
        (step < stretch.steps).then_some(step)
    }
}

impl<'de> Results<'de> for Sink<'_, '_, '_> {
    const TYPE: &'static str = "matrix";
    type Series = Series<'de>;

    fn take(&mut self, series: Series<'de>) -> Result<(), String> {
        self.series += 1;
        answer::check_count(self.series, self.reader.max_samples)?;
        match self.reader.index.owner(&series.metric) {
            Owner::Node(node) => {
                for point in &series.values.0 {
                    self.put(node, point);
                }
            }
            Owner::Ambiguous(_) | Owner::Nobody => {}
        }
        Ok(())
    }
}

/// One element of a matrix.
#[derive(Deserialize)]
struct Series<'answer> {
    #[serde(borrow, default)]
    metric: Labels<'answer>,
    values: Points,
}

/// The points of a series, of which there are not many.
struct Points(Vec<Point>);

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Points;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of points, such as [1700000000.123, \"91.25\"]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Points, A::Error> {
                let mut points = Vec::new();
                while let Some(point) = seq.next_element()? {
                    if points.len() == MOST_POINTS {
                        let text = format!("more than {MOST_POINTS} points in one series");
                        return Err(A::Error::custom(text));
                    }
                    points.push(point);
                }
                Ok(Points(points))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests;
