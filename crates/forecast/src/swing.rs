//! How a history moves apart from any trend: how far it has fallen and from where, its noise, and the steps of its
//! scale.

use crate::history::Sample;
use crate::rank::{Ranked, median, middle};

/// A fall of less is none, in percent. Scales of whole percents go up and down by one for nothing.
const LEAST_FALL: f64 = 1.5;
/// A fall of less than so many deviations of the noise is none.
const FALL_OVER_NOISE: f64 = 5.0;
/// What the distance of a sample from the middle of its neighbours has to be divided by: its variance is 1.5 times
/// that of the noise, and the median of its size two thirds of its deviation.
const TO_DEVIATION: f64 = 1.4826 / 1.224_744_871_391_589;

/// What is known of a history without a trend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swings {
    /// Deviation of the noise from sample to sample.
    pub(crate) noise: f64,
    /// The smallest difference between neighbours.
    pub(crate) quantum: f64,
    /// The deepest fall.
    pub(crate) deepest: f64,
    /// How many falls were at least half as deep.
    pub(crate) falls: usize,
    /// Where it was highest before it fell; None if it never fell.
    pub(crate) highest: Option<Sample>,
    /// Where the last fall of at least half that depth began.
    pub(crate) last: Sample,
    /// The lowest level after the last fall.
    pub(crate) lowest: f64,
    /// The level now: the median of the last samples.
    pub(crate) level: f64,
}

pub(crate) fn swings(samples: &[Sample], numbers: &mut Vec<Ranked>) -> Swings {
    let mut found = Swings {
        noise: noise(samples, numbers),
        quantum: quantum(samples),
        level: level(samples),
        deepest: 0.0,
        falls: 0,
        highest: None,
        last: Sample::NONE,
        lowest: 0.0,
    };
    falls(samples, &mut found);
    found
}

fn noise(samples: &[Sample], numbers: &mut Vec<Ranked>) -> f64 {
    numbers.clear();
    for three in samples.windows(3) {
        let share = (three[1].at - three[0].at) / (three[2].at - three[0].at);
        let middle = three[0].value + share * (three[2].value - three[0].value);
        numbers.push(Ranked::of((three[1].value - middle).abs()));
    }
    median(numbers) * TO_DEVIATION
}

/// A scale has steps if many neighbours are equal; then the smallest other distance is one.
fn quantum(samples: &[Sample]) -> f64 {
    let (mut smallest, mut equal) = (f64::INFINITY, 0);
    for two in samples.windows(2) {
        let step = (two[1].value - two[0].value).abs();
        // What is smaller is rounding.
        if step < 1e-6 {
            equal += 1;
        } else {
            smallest = smallest.min(step);
        }
    }
    if equal * 4 > samples.len() && smallest.is_finite() {
        smallest.min(2.0)
    } else {
        0.0
    }
}

fn level(samples: &[Sample]) -> f64 {
    let mut last = [0.0; 3];
    for (into, sample) in last.iter_mut().zip(samples.iter().rev()) {
        *into = sample.value;
    }
    middle(last)
}

/// Falls that are remembered by their depth; of more than these the oldest are forgotten.
const REMEMBERED: usize = 16;

/// Follows the history up and down; single samples that stand out are smoothed away.
fn falls(samples: &[Sample], found: &mut Swings) {
    let least = LEAST_FALL.max(FALL_OVER_NOISE * found.noise);
    let (mut high, mut low) = (Sample::NONE, f64::INFINITY);
    let mut is_falling = false;
    let (mut depths, mut count) = ([(0.0, Sample::NONE); REMEMBERED], 0);
    for three in samples.windows(3) {
        let value = middle([three[0].value, three[1].value, three[2].value]);
        let at = three[1].at;
        if is_falling {
            low = low.min(value);
            depths[count % REMEMBERED] = (high.value - low, high);
            if value - low >= least {
                is_falling = false;
                count += 1;
                high = Sample { at, value };
            }
            found.lowest = low;
        } else {
            if value >= high.value {
                high = Sample { at, value };
            }
            is_falling = high.value - value >= least;
            low = value;
        }
        if is_falling
            && found
                .highest
                .is_none_or(|highest| high.value >= highest.value)
        {
            found.highest = Some(high);
        }
    }
    found.deepest = depths.iter().map(|fall| fall.0).fold(0.0, f64::max);
    for (depth, from) in depths {
        if depth > 0.0 && depth >= found.deepest / 2.0 {
            found.falls += 1;
            if found.falls == 1 || from.at > found.last.at {
                found.last = from;
            }
        }
    }
}

/// The most that a history rose within `hours` before the last `hours` of it.
pub(crate) fn most_risen(samples: &[Sample], hours: f64, lows: &mut Vec<Sample>) -> f64 {
    let before = samples.partition_point(|sample| sample.at < -hours);
    // The lows of the time that moves along: each is higher than the one before it, as only later ones can follow it.
    lows.clear();
    let (mut first, mut most) = (0, 0.0_f64);
    for sample in &samples[..before] {
        while lows.len() > first && lows.last().is_some_and(|low| low.value >= sample.value) {
            lows.pop();
        }
        lows.push(*sample);
        while sample.at - lows[first].at > hours {
            first += 1;
        }
        most = most.max(sample.value - lows[first].value);
    }
    most
}
