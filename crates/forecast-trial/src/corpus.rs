//! Series with a known end: shapes of disks, memory and pods as they are seen on nodes, a sample a minute.

use crate::random::Random;
use crate::shape;

/// Samples of a day.
pub(crate) const DAY: usize = 24 * 60;
/// Samples of a series that does not become full.
pub(crate) const LENGTH: usize = 7 * DAY;
const EACH: usize = 14;

/// What a series looks like, and whether it becomes full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows evenly until it is full.
    Linear,
    /// Grows so slowly that it does not become full in time.
    Slow,
    /// Images are collected: between two bounds for ever.
    ImageCollection,
    /// Logs are rotated: a saw-tooth between constant bounds.
    Rotation,
    /// A saw-tooth on a floor that grows until the teeth reach the top.
    GrowingFloor,
    /// Images are pulled: steps, flat between them.
    Pulls,
    /// A day's work, every day alike.
    Season,
    /// Jobs of a builder: space is taken and given back by day, cleaned at night.
    Builder,
    /// Noise around a constant level.
    Noisy,
    /// Nothing happens.
    Flat,
    /// Flat for days, then a leak until it is full.
    Onset,
    /// A leak below the noise of a page cache.
    NoisyLeak,
    /// Flat, then growth that ends below the top.
    Stops,
    /// Growth that slows down towards a level below the top.
    Saturates,
    /// A day's work on a level that grows until it is full.
    GrowingSeason,
    /// Grows, is cleaned by a person, and grows again until it is full.
    Cleaned,
    /// Collection of images that at last finds nothing to collect.
    CollectionFails,
    /// Data arrive in batches until it is full.
    Batches,
    /// A leaking daemon that is restarted before memory is full.
    Restarts,
    /// Pods come and go, in steps of one pod.
    Pods,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::Linear,
        Self::Slow,
        Self::ImageCollection,
        Self::Rotation,
        Self::GrowingFloor,
        Self::Pulls,
        Self::Season,
        Self::Builder,
        Self::Noisy,
        Self::Flat,
        Self::Onset,
        Self::NoisyLeak,
        Self::Stops,
        Self::Saturates,
        Self::GrowingSeason,
        Self::Cleaned,
        Self::CollectionFails,
        Self::Batches,
        Self::Restarts,
        Self::Pods,
    ];
}

/// One history with its truth.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its shape.
    pub kind: Kind,
    /// A sample a minute, NaN where none was taken.
    pub values: Vec<f64>,
    /// The minute at which it is full; its values end there.
    pub full_at: Option<usize>,
}

/// From which ranges the numbers of a corpus are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranges {
    pub(crate) seed: u64,
    /// Percent at the start.
    pub(crate) start: (f64, f64),
    /// Percent an hour of growth that takes days.
    pub(crate) growth: (f64, f64),
    /// Percent an hour of a leak.
    pub(crate) leak: (f64, f64),
    /// Height of a saw-tooth or step.
    pub(crate) tooth: (f64, f64),
    /// Hours of a saw-tooth.
    pub(crate) period: (f64, f64),
    /// Deviation of noise.
    pub(crate) noise: (f64, f64),
    /// What a day's work takes.
    pub(crate) season: (f64, f64),
    /// Upper bound of collection; the lower one is five below, as in the kubelet.
    pub(crate) bound: (f64, f64),
}

/// The corpus at which the constants of the forecast were chosen.
const CHOSEN: Ranges = Ranges {
    seed: 1_665,
    start: (35.0, 60.0),
    growth: (0.4, 1.0),
    leak: (1.0, 7.0),
    tooth: (3.0, 10.0),
    period: (2.0, 16.0),
    noise: (0.05, 0.6),
    season: (8.0, 25.0),
    bound: (85.0, 85.0),
};

/// A corpus that nothing was chosen by.
const HELD_OUT: Ranges = Ranges {
    seed: 2_026_011_000,
    start: (25.0, 68.0),
    growth: (0.3, 1.4),
    leak: (0.7, 9.0),
    tooth: (2.0, 14.0),
    period: (1.0, 26.0),
    noise: (0.0, 1.0),
    season: (5.0, 32.0),
    bound: (78.0, 90.0),
};

/// The series that were looked at when the constants of the forecast were chosen.
pub fn chosen() -> Vec<Series> {
    corpus(&CHOSEN)
}

/// Series with other seeds and from wider ranges, which nothing was chosen by.
pub fn held_out() -> Vec<Series> {
    corpus(&HELD_OUT)
}

fn corpus(ranges: &Ranges) -> Vec<Series> {
    let mut random = Random::new(ranges.seed);
    let mut series = Vec::new();
    for kind in Kind::ALL {
        for number in 0..EACH {
            let ideal = shape::shape(kind, ranges, &mut random);
            series.push(sampled(kind, ideal, number, &mut random));
        }
    }
    series
}

/// Cuts a shape where it is full, and spoils it as measuring does: steps of the scale, and gaps.
fn sampled(kind: Kind, mut values: Vec<f64>, number: usize, random: &mut Random) -> Series {
    let full_at = values.iter().position(|value| *value >= 100.0);
    if let Some(full_at) = full_at {
        values.truncate(full_at + 1);
    }
    let quantum = match (kind, number % 3) {
        (Kind::Pods, _) => 100.0 / 110.0,
        (_, 0) => 0.0,
        (_, 1) => 0.01,
        _ => 1.0,
    };
    for value in &mut values {
        *value = value.clamp(0.0, 100.0);
        if quantum > 0.0 {
            *value = (*value / quantum).floor() * quantum;
        }
    }
    if number % 4 == 3 {
        gaps(&mut values, random);
    }
    Series {
        kind,
        values,
        full_at,
    }
}

/// Takes away stretches of a quarter of an hour to four hours, and single samples.
fn gaps(values: &mut [f64], random: &mut Random) {
    let mut left = 0.0;
    for value in values {
        if left > 0.0 {
            left -= 1.0;
            *value = f64::NAN;
        } else if random.once_in(1_000.0) {
            left = random.within((15.0, 240.0));
        } else if random.once_in(30.0) {
            *value = f64::NAN;
        }
    }
}
