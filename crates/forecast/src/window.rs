//! A robust line through one stretch of the past.
//!
//! The stretch is cut into spans of equal length, so that time counts and not the number of samples; the slope is the
//! median of those between all pairs of spans (Theil and Sen), and its bounds are the slopes whose ranks Kendall's
//! statistic allows.

use crate::history::{LEAST_POINTS, Sample};
use crate::rank::{Ranked, count, halves, median, middle, quantile};

/// Spans of a window.
const SPANS: usize = 24;
/// The share of a window that must be covered from first to last span.
const COVERED: f64 = 0.6;
/// Two-sided 90 %.
const DEVIATIONS: f64 = 1.645;
/// A median of sizes into a deviation, as for normal numbers.
const TO_DEVIATION: f64 = 1.4826;
/// Rounding, in percent: less is no noise.
const ROUNDING: f64 = 1e-6;

/// The average of one span.
#[derive(Clone, Copy, Debug)]
struct Span {
    at: f64,
    value: f64,
    top: Sample,
}

impl Span {
    const EMPTY: Self = Self {
        at: 0.0,
        value: 0.0,
        top: Sample::NONE,
    };

    /// None of nothing.
    fn of(samples: &[Sample]) -> Option<Self> {
        let (mut at, mut value) = (0.0, 0.0);
        let mut top = samples.first()?;
        for sample in samples {
            at += sample.at;
            value += sample.value;
            if sample.value > top.value {
                top = sample;
            }
        }
        let share = 1.0 / count(samples.len());
        Some(Self {
            at: at * share,
            value: value * share,
            top: *top,
        })
    }
}

/// The spans of a window that have samples, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    spans: [Span; SPANS],
    count: usize,
}

/// A slope in percent an hour, with bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slope {
    pub(crate) low: f64,
    pub(crate) middle: f64,
    pub(crate) high: f64,
}

/// A line through a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) slope: Slope,
    /// The line's level now.
    pub(crate) now: f64,
    /// Deviation of the spans from the line.
    pub(crate) spread: f64,
    /// How far the last spans lie above the line.
    pub(crate) ahead: f64,
    /// How far the tops of the spans lie above the line.
    pub(crate) tops: f64,
    /// Hours from the first span to the last.
    pub(crate) length: f64,
    /// The share of spans that have samples.
    pub(crate) filled: f64,
}

impl Line {
    /// What the line rises from the first span to the last.
    pub(crate) fn rise(&self) -> f64 {
        self.slope.middle * self.length
    }
}

impl Window {
    /// The last `hours` of a history; None where too little of it is there.
    pub(crate) fn of(samples: &[Sample], hours: f64) -> Option<Self> {
        let mut window = Self {
            spans: [Span::EMPTY; SPANS],
            count: 0,
        };
        let start = samples.partition_point(|sample| sample.at <= -hours);
        let mut rest = &samples[start..];
        let covered = -rest.first()?.at >= COVERED * hours;
        if !covered || rest.len() < LEAST_POINTS {
            return None;
        }
        for place in 1..=SPANS {
            let end = hours * (count(place) / count(SPANS) - 1.0);
            let within = rest.iter().take_while(|sample| sample.at <= end).count();
            let (inside, later) = rest.split_at(within);
            rest = later;
            if let Some(span) = Span::of(inside) {
                window.spans[window.count] = span;
                window.count += 1;
            }
        }
        let covered = window.length() >= COVERED * hours;
        (window.count >= LEAST_POINTS && covered).then_some(window)
    }

    fn spans(&self) -> &[Span] {
        &self.spans[..self.count]
    }

    fn length(&self) -> f64 {
        match self.spans() {
            [first, .., last] => last.at - first.at,
            _ => 0.0,
        }
    }

    /// The line through all spans.
    pub(crate) fn line(&self, numbers: &mut Vec<Ranked>) -> Line {
        let spans = self.spans();
        let slopes = Slopes::between(spans, numbers);
        let rate = slopes.middle;
        let now = middle_of(spans, |span| span.value - rate * span.at);
        let away = |span: &Span| span.value - rate * span.at - now;
        let mut last = [0.0; 3];
        for (into, span) in last.iter_mut().zip(spans.iter().rev()) {
            *into = away(span);
        }
        Line {
            slope: slopes.bounded(memory(spans, away)),
            now,
            spread: middle_of(spans, |span| away(span).abs()) * TO_DEVIATION,
            ahead: middle(last),
            tops: tops(spans, |top| top.value - rate * top.at - now),
            length: self.length(),
            filled: count(spans.len()) / count(SPANS),
        }
    }

    /// The most that it rises within a quarter of the window.
    pub(crate) fn burst(&self) -> f64 {
        let spans = self.spans();
        let within = self.length() / 4.0 + 1e-9;
        let mut most: f64 = 0.0;
        for (at, from) in spans.iter().enumerate() {
            for to in &spans[at + 1..] {
                if to.at - from.at > within {
                    break;
                }
                most = most.max(to.value - from.value);
            }
        }
        most
    }

    /// The slopes of both halves.
    pub(crate) fn halves(&self, numbers: &mut Vec<Ranked>) -> Halves {
        let (older, newer) = self.spans().split_at(self.count / 2);
        let middle = |spans: &[Span]| match spans {
            [first, .., last] => f64::midpoint(first.at, last.at),
            _ => 0.0,
        };
        Halves {
            older: Slopes::between(older, numbers).bounded(0.0),
            newer: Slopes::between(newer, numbers).bounded(0.0),
            between: middle(newer) - middle(older),
        }
    }
}

/// A window in two.
pub(crate) struct Halves {
    pub(crate) older: Slope,
    pub(crate) newer: Slope,
    /// Hours from the middle of the one to that of the other.
    pub(crate) between: f64,
}

/// The median of what is seen in each span.
fn middle_of(spans: &[Span], see: impl Fn(&Span) -> f64) -> f64 {
    let mut seen = [Ranked::LEAST; SPANS];
    for (into, span) in seen.iter_mut().zip(spans) {
        *into = Ranked::of(see(span));
    }
    median(&mut seen[..spans.len()])
}

/// What four of five tops lie below.
fn tops(spans: &[Span], see: impl Fn(&Sample) -> f64) -> f64 {
    let mut seen = [Ranked::LEAST; SPANS];
    for (into, span) in seen.iter_mut().zip(spans) {
        *into = Ranked::of(see(&span.top));
    }
    quantile(&mut seen[..spans.len()], 0.8)
}

/// The slopes between all pairs of spans, around the middle one.
struct Slopes<'a> {
    below: &'a mut [Ranked],
    middle: f64,
    above: &'a mut [Ranked],
    /// Deviation of Kendall's statistic, without memory.
    deviation: f64,
}

impl<'a> Slopes<'a> {
    fn between(spans: &[Span], numbers: &'a mut Vec<Ranked>) -> Self {
        numbers.clear();
        for (at, from) in spans.iter().enumerate() {
            let slope = |to: &Span| Ranked::of((to.value - from.value) / (to.at - from.at));
            numbers.extend(spans[at + 1..].iter().map(slope));
        }
        let (below, middle, above) = halves(numbers);
        let spans = count(spans.len());
        Self {
            below,
            middle,
            above,
            deviation: (spans * (spans - 1.0) * (2.0 * spans + 5.0) / 18.0).sqrt(),
        }
    }

    /// With bounds for spans whose neighbours are alike by `memory`.
    fn bounded(self, memory: f64) -> Slope {
        let ranks = DEVIATIONS * self.deviation * ((1.0 + memory) / (1.0 - memory)).sqrt() / 2.0;
        // As a share of one half; beyond its end there is no bound.
        let share = ranks / count(self.above.len() + 1);
        let (low, high) = if share <= 1.0 {
            let low = quantile(self.below, 1.0 - share);
            (low, quantile(self.above, share))
        } else {
            (f64::NEG_INFINITY, f64::INFINITY)
        };
        Slope {
            low: low.min(self.middle),
            middle: self.middle,
            high: high.max(self.middle),
        }
    }
}

/// How much of a distance from the line is left in the next: 0 for noise without memory, below 1.
fn memory(spans: &[Span], away: impl Fn(&Span) -> f64) -> f64 {
    let squares: f64 = spans.iter().map(|span| away(span).powi(2)).sum();
    if squares < ROUNDING * ROUNDING * count(spans.len()) {
        return 0.0;
    }
    let product = |two: &[Span]| away(&two[0]) * away(&two[1]);
    let products: f64 = spans.windows(2).map(product).sum();
    (products / squares).clamp(0.0, 0.8)
}
