//! The shapes themselves: each makes the level of every minute, before it is sampled.

use std::f64::consts::TAU;

use crate::corpus::{DAY, Kind, LENGTH, Ranges};
use crate::random::Random;
use crate::view::count as minutes;

const HOUR: f64 = 60.0;
/// From the onset of a leak to full, in hours. What is faster is found by an alarm on the level itself; that a forecast
/// was alarmed two hours before it would be luck.
const LEAST_HOURS: f64 = 5.0;

pub(crate) fn shape(kind: Kind, ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    match kind {
        Kind::Linear => linear(ranges, random),
        Kind::Slow => slow(ranges, random),
        Kind::ImageCollection => collection(ranges, None, random),
        Kind::CollectionFails => {
            let onset = random.within((2.0, 5.0)) * minutes(DAY);
            collection(ranges, Some(onset), random)
        }
        Kind::Rotation => rotation(ranges, 0.0, random),
        Kind::GrowingFloor => {
            let growth = random.within(ranges.growth);
            rotation(ranges, growth, random)
        }
        Kind::Pulls => pulls(ranges, random),
        Kind::Season => season(ranges, 0.0, random),
        Kind::GrowingSeason => {
            let growth = random.within(ranges.growth) * 0.7;
            season(ranges, growth, random)
        }
        Kind::Builder => builder(ranges, random),
        Kind::Noisy => noisy(random, ranges.noise.1 * 5.0),
        Kind::Flat => noisy(random, 0.0),
        Kind::Onset => onset(ranges, random),
        Kind::NoisyLeak => noisy_leak(ranges, random),
        Kind::Stops => stops(ranges, random),
        Kind::Saturates => saturates(ranges, random),
        Kind::Cleaned => cleaned(ranges, random),
        Kind::Batches => batches(ranges, random),
        Kind::Restarts => restarts(ranges, random),
        Kind::Pods => pods(random),
    }
}

/// A level for each minute.
fn every_minute(level: impl FnMut(f64) -> f64) -> Vec<f64> {
    (0..LENGTH).map(minutes).map(level).collect()
}

/// Noise that forgets itself within `memory` minutes, with a deviation.
struct Noise {
    now: f64,
    keeps: f64,
    push: f64,
}

impl Noise {
    fn new(deviation: f64, memory: f64) -> Self {
        let keeps = (-1.0 / memory).exp();
        Self {
            now: 0.0,
            keeps,
            push: deviation * (1.0 - keeps * keeps).sqrt(),
        }
    }

    fn of(ranges: &Ranges, random: &mut Random) -> Self {
        Self::new(random.within(ranges.noise), random.within((1.0, 20.0)))
    }

    fn next(&mut self, random: &mut Random) -> f64 {
        self.now = self.now * self.keeps + self.push * random.normal();
        self.now
    }
}

fn linear(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let (start, growth) = (random.within(ranges.start), random.within(ranges.growth));
    let mut noise = Noise::of(ranges, random);
    every_minute(|minute| start + growth * minute / HOUR + noise.next(random))
}

fn slow(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let start = random.within((60.0, 75.0));
    let growth = random.within((0.02, 0.1));
    let mut noise = Noise::of(ranges, random);
    every_minute(|minute| start + growth * minute / HOUR + noise.next(random))
}

/// A leak that starts at a level, in percent an hour.
fn leak(level: f64, ranges: &Ranges, random: &mut Random) -> f64 {
    random
        .within(ranges.leak)
        .min((100.0 - level) / LEAST_HOURS)
}

/// Images come in pulls of some minutes and go when the bound is reached. From `fails` on something else grows, which
/// collection cannot give back.
fn collection(ranges: &Ranges, fails: Option<f64>, random: &mut Random) -> Vec<f64> {
    let bound = random.within(ranges.bound);
    let period = random.within(ranges.period);
    let leak = leak(bound, ranges, random);
    // What comes in an hour and when: evenly, or in pulls.
    let growth = 5.0 / period;
    let mut noise = Noise::new(random.within((0.02, 0.15)), 5.0);
    let mut level = random.within((bound - 20.0, bound));
    let pull = random.within((0.2, 2.5));
    let mut pulling = 0.0;
    every_minute(|minute| {
        if random.once_in(HOUR * pull / growth) {
            pulling = pull;
        }
        let step = f64::min(pulling, 0.15);
        pulling -= step;
        level += step;
        let failed = fails.is_some_and(|fails| minute >= fails);
        if failed {
            level += leak / HOUR;
        } else if level >= bound {
            level = bound - 5.0;
        }
        level + noise.next(random)
    })
}

fn rotation(ranges: &Ranges, growth: f64, random: &mut Random) -> Vec<f64> {
    let tooth = random.within(ranges.tooth);
    let period = random.within(ranges.period) * HOUR;
    let base = if growth > 0.0 {
        random.within(ranges.start)
    } else {
        random.within((60.0, 96.0 - tooth))
    };
    let mut noise = Noise::of(ranges, random);
    let (mut phase, mut length) = (random.unit(), period);
    every_minute(|minute| {
        phase += 1.0 / length;
        if phase >= 1.0 {
            phase = 0.0;
            length = period * random.within((0.8, 1.25));
        }
        base + growth * minute / HOUR + tooth * phase + noise.next(random) * 0.5
    })
}

fn pulls(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let mut level = random.within((50.0, 68.0));
    let mut noise = Noise::of(ranges, random);
    let mut left = 0.0;
    let speed = random.within((0.1, 2.0));
    every_minute(|_| {
        if level + left < 84.0 && random.once_in(minutes(DAY)) {
            left += random.within(ranges.tooth);
        }
        let step = f64::min(left, speed);
        left -= step;
        level += step;
        level + noise.next(random) * 0.5
    })
}

/// Busy in the middle of each day, a little more or less than the day before.
fn season(ranges: &Ranges, growth: f64, random: &mut Random) -> Vec<f64> {
    let height = random.within(ranges.season);
    let base = if growth > 0.0 {
        random.within(ranges.start) - height * 0.5
    } else {
        random.within((50.0, 92.0 - height))
    };
    let shift = random.unit();
    let mut noise = Noise::of(ranges, random);
    let mut today = height;
    every_minute(|minute| {
        let day = minute / minutes(DAY) + shift;
        if day.fract() < 0.5 / minutes(DAY) {
            today = height * random.within((0.85, 1.12));
        }
        let busy = (1.0 - (day * TAU).cos()) / 2.0;
        base + growth * minute / HOUR + today * busy.powf(1.5) + noise.next(random)
    })
}

/// Jobs from eight to eighteen, each takes space for some hours; most of the rest is cleaned at night.
fn builder(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let base = random.within((45.0, 65.0));
    let each = random.within((1.0, 4.0));
    let often = random.within((15.0, 60.0));
    let lasts = random.within((60.0, 400.0));
    let shift = random.within((0.0, 24.0));
    let mut noise = Noise::of(ranges, random);
    let mut taken: f64 = 0.0;
    every_minute(|minute| {
        let hour = (minute / HOUR + shift) % 24.0;
        if (8.0..18.0).contains(&hour) && random.once_in(often) && base + taken < 88.0 {
            taken += each * random.within((0.5, 1.5));
        }
        if random.once_in(lasts) {
            taken = (taken - each * random.within((0.5, 3.0))).max(0.0);
        }
        if hour >= 22.0 && random.once_in(30.0) {
            taken *= 0.5;
        }
        base + taken + noise.next(random) * 0.3
    })
}

fn noisy(random: &mut Random, deviation: f64) -> Vec<f64> {
    let level = random.within((62.0, 88.0));
    let mut noise = Noise::new(
        deviation * random.within((0.3, 1.0)),
        random.within((2.0, 90.0)),
    );
    every_minute(|_| (level + noise.next(random)).min(99.0))
}

fn onset(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let level = random.within(ranges.start) + 10.0;
    let since = random.within((1.2, 5.0)) * minutes(DAY);
    let leak = leak(level, ranges, random);
    let mut noise = Noise::of(ranges, random);
    every_minute(|minute| level + leak * (minute - since).max(0.0) / HOUR + noise.next(random))
}

fn noisy_leak(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let level = random.within(ranges.start);
    let since = random.within((0.0, 3.0)) * minutes(DAY);
    let leak = random.within(ranges.growth) * 1.5;
    let mut noise = Noise::new(random.within((1.0, 2.5)), random.within((5.0, 60.0)));
    let mut dropped: f64 = 0.0;
    every_minute(|minute| {
        // Now and then the kernel gives a part of the cache back.
        if random.once_in(500.0) {
            dropped = random.within((1.0, 4.0));
        }
        dropped *= 0.99;
        level + leak * (minute - since).max(0.0) / HOUR + noise.next(random) - dropped
    })
}

fn stops(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let level = random.within((50.0, 65.0));
    let rise = random.within((10.0, 28.0));
    let leak = random.within(ranges.leak);
    let since = random.within((1.2, 4.5)) * minutes(DAY);
    let mut noise = Noise::of(ranges, random);
    every_minute(|minute| {
        let grown = leak * (minute - since).max(0.0) / HOUR;
        level + grown.min(rise) + noise.next(random)
    })
}

fn saturates(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let level = random.within((40.0, 60.0));
    let rise = random.within((70.0, 93.0)) - level;
    let slowness = random.within((4.0, 30.0)) * HOUR;
    let since = random.within((1.1, 3.0)) * minutes(DAY);
    let mut noise = Noise::of(ranges, random);
    every_minute(|minute| {
        let age = (minute - since).max(0.0) / slowness;
        level + rise * (1.0 - (-age).exp()) + noise.next(random) * 0.5
    })
}

fn cleaned(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let growth = random.within(ranges.growth) * 1.5;
    let (high, low) = (random.within((80.0, 95.0)), random.within((40.0, 60.0)));
    let mut level = random.within((55.0, 70.0));
    let mut is_cleaned = false;
    let mut noise = Noise::of(ranges, random);
    every_minute(|_| {
        level += growth / HOUR;
        if level > high && !is_cleaned {
            is_cleaned = true;
            level = low;
        }
        level + noise.next(random)
    })
}

fn batches(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let mut level = random.within(ranges.start);
    let every = random.within((0.5, 4.0)) * HOUR;
    let batch = random.within(ranges.growth) * every / HOUR;
    let (mut next, mut left) = (every, 0.0);
    let mut noise = Noise::of(ranges, random);
    every_minute(|minute| {
        if minute >= next {
            next += every * random.within((0.7, 1.3));
            left += batch * random.within((0.6, 1.4));
        }
        let step = f64::min(left, 0.3);
        left -= step;
        level += step;
        level + noise.next(random) * 0.3
    })
}

fn restarts(ranges: &Ranges, random: &mut Random) -> Vec<f64> {
    let (high, low) = (random.within((85.0, 96.0)), random.within((45.0, 65.0)));
    let period = random.within((12.0, 40.0)) * HOUR;
    let mut level = random.within((low, high));
    let mut noise = Noise::of(ranges, random);
    every_minute(|_| {
        level += (high - low) / period;
        if level > high {
            level = low;
        }
        level + noise.next(random) * 0.5
    })
}

/// Pods are started and ended one by one, around a usual number.
fn pods(random: &mut Random) -> Vec<f64> {
    let usual = random.within((60.0, 90.0));
    let often = random.within((5.0, 60.0));
    let mut level: f64 = usual;
    every_minute(|_| {
        if random.once_in(often) {
            let up = random.unit() < 0.5 + (usual - level) / 40.0;
            level += if up { 1.0 } else { -1.0 };
        }
        level.clamp(0.0, 99.0)
    })
}
