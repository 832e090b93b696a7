//! Points into samples that can be counted with: finite, in order, none of the future, in hours before now.

use ng_engine::time::Time;

use crate::outlook::{Point, Question, Reason};

/// What is further from zero is no percentage, and its square no number to count with.
const LARGEST: f64 = 1e6;
/// Older points are passed over, in hours: the longest window.
const OLDEST: f64 = 168.0;
/// Fewer cannot show a line and its noise.
pub(crate) const LEAST_POINTS: usize = 8;
/// What a history must at least reach back, in hours.
const LEAST_SPAN: f64 = 0.6;
/// A last point that is older than this is stale, in hours, unless points are usually further apart.
const STALE: f64 = 0.5;
/// So many usual distances without a point are no accident.
const MISSED: f64 = 3.0;
/// From how many of the last points the usual distance is taken.
const USUAL: usize = 6;

/// A reading, in hours relative to now: never above zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at: f64,
    pub(crate) value: f64,
}

impl Sample {
    /// Below every other.
    pub(crate) const NONE: Self = Self {
        at: 0.0,
        value: f64::NEG_INFINITY,
    };
}

/// Fills `samples` with what can be used, oldest first, or says why it is not enough.
pub(crate) fn usable(
    points: &[Point],
    question: &Question,
    samples: &mut Vec<Sample>,
) -> Result<(), Reason> {
    samples.clear();
    if !is_percentage(question.full) {
        return Err(Reason::NoLimit);
    }
    let mut last = None;
    for point in points {
        // A clock that was set back gives points that are older than those before them.
        let is_later = point.at <= question.now && last.is_none_or(|last| point.at > last);
        if !is_later || !is_percentage(point.value) {
            continue;
        }
        last = Some(point.at);
        let age = hours(point.at, question.now);
        if age <= OLDEST {
            samples.push(Sample {
                at: -age,
                value: point.value,
            });
        }
    }
    enough(samples)
}

/// NaN is none.
fn is_percentage(value: f64) -> bool {
    value.abs() <= LARGEST
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a week of milliseconds is exact, and more is passed over"
)]
fn hours(from: Time, to: Time) -> f64 {
    to.millis().saturating_sub(from.millis()) as f64 / 3_600_000.0
}

fn enough(samples: &[Sample]) -> Result<(), Reason> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return Err(Reason::TooFewPoints);
    };
    if samples.len() < LEAST_POINTS {
        return Err(Reason::TooFewPoints);
    }
    if last.at - first.at < LEAST_SPAN {
        return Err(Reason::TooShort);
    }
    let distance = |pair: &[Sample]| pair[1].at - pair[0].at;
    let latest = &samples[samples.len() - USUAL..];
    // The smallest but one: a gap or two do not make gaps usual.
    let mut usual: [f64; USUAL - 1] = std::array::from_fn(|at| distance(&latest[at..at + 2]));
    usual.sort_unstable_by(f64::total_cmp);
    if -last.at > STALE.max(MISSED * usual[1]) {
        return Err(Reason::Stale);
    }
    Ok(())
}
