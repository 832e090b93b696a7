//! A robust line through one stretch of the past.
//!
//! The stretch is cut into spans of equal length, so that time counts and not the number of samples; the slope is the
//! median of those between all pairs of spans (Theil and Sen), and its bounds are the slopes whose ranks Kendall's
//! statistic allows.

use crate::history::{LEAST_POINTS, Sample};
use crate::swing::median;

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
    count: f64,
    top: Sample,
}

impl Span {
    const EMPTY: Self = Self {
        at: 0.0,
        value: 0.0,
        count: 0.0,
        top: Sample::NONE,
    };
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
        let spans = number(SPANS);
        for sample in samples.iter().rev() {
            let place = -sample.at / hours * spans;
            if place >= spans {
                break;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from zero to below the number of spans"
            )]
            let span = &mut window.spans[SPANS - 1 - (place as usize).min(SPANS - 1)];
            span.at += sample.at;
            span.value += sample.value;
            span.count += 1.0;
            if sample.value > span.top.value {
                span.top = *sample;
            }
        }
        window.close_up();
        let covered = window.length() >= COVERED * hours;
        (window.count >= LEAST_POINTS && covered).then_some(window)
    }

    /// Sums into averages; empty spans are left out.
    fn close_up(&mut self) {
        for at in 0..SPANS {
            let span = self.spans[at];
            if span.count > 0.0 {
                self.spans[self.count] = Span {
                    at: span.at / span.count,
                    value: span.value / span.count,
                    ..span
                };
                self.count += 1;
            }
        }
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
    pub(crate) fn line(&self, numbers: &mut Vec<f64>) -> Line {
        let spans = self.spans();
        let middle = slope(spans, 0.0, numbers).middle;
        let residuals = |numbers: &mut Vec<f64>, spans: &[Span], from: f64| {
            numbers.clear();
            numbers.extend(spans.iter().map(|span| span.value - middle * span.at - from));
        };
        residuals(numbers, spans, 0.0);
        let now = median(numbers).unwrap_or(0.0);
        residuals(numbers, spans, now);
        let memory = memory(numbers);
        numbers.iter_mut().for_each(|residual| *residual = residual.abs());
        let spread = median(numbers).unwrap_or(0.0) * TO_DEVIATION;
        residuals(numbers, &spans[spans.len() - 3..], now);
        let ahead = median(numbers).unwrap_or(0.0);
        numbers.clear();
        numbers.extend(spans.iter().map(|span| span.top.value - middle * span.top.at - now));
        let tops = quantile(numbers, 0.8);
        Line {
            slope: slope(spans, memory, numbers),
            now,
            spread,
            ahead,
            tops,
            length: self.length(),
            filled: number(spans.len()) / number(SPANS),
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

    /// The slopes of the older and of the newer half, with the hours between their middles.
    pub(crate) fn halves(&self, numbers: &mut Vec<f64>) -> (Slope, Slope, f64) {
        let (older, newer) = self.spans().split_at(self.count / 2);
        let middle = |spans: &[Span]| match spans {
            [first, .., last] => f64::midpoint(first.at, last.at),
            _ => 0.0,
        };
        let between = middle(newer) - middle(older);
        (
            slope(older, 0.0, numbers),
            slope(newer, 0.0, numbers),
            between,
        )
    }
}

/// The median slope, with bounds for spans whose neighbours are alike by `memory`.
fn slope(spans: &[Span], memory: f64, numbers: &mut Vec<f64>) -> Slope {
    numbers.clear();
    for (at, from) in spans.iter().enumerate() {
        let slope = |to: &Span| (to.value - from.value) / (to.at - from.at);
        numbers.extend(spans[at + 1..].iter().map(slope));
    }
    let (count, pairs) = (number(spans.len()), number(numbers.len()));
    let variance = count * (count - 1.0) * (2.0 * count + 5.0) / 18.0;
    let away = DEVIATIONS * (variance * (1.0 + memory) / (1.0 - memory)).sqrt();
    let share = away / pairs / 2.0;
    let bound = |numbers: &mut Vec<f64>, share: f64, none: f64| {
        if (0.0..=1.0).contains(&share) {
            quantile(numbers, share)
        } else {
            none
        }
    };
    Slope {
        low: bound(numbers, 0.5 - share, f64::NEG_INFINITY),
        middle: median(numbers).unwrap_or(0.0),
        high: bound(numbers, 0.5 + share, f64::INFINITY),
    }
}

/// How much of a residual is left in the next: 0 for noise without memory, below 1.
fn memory(residuals: &[f64]) -> f64 {
    let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
    if squares < ROUNDING * ROUNDING * number(residuals.len()) {
        return 0.0;
    }
    let products: f64 = residuals.windows(2).map(|two| two[0] * two[1]).sum();
    (products / squares).clamp(0.0, 0.8)
}

/// The number below which this share lies; `numbers` are put into another order.
fn quantile(numbers: &mut [f64], share: f64) -> f64 {
    if numbers.is_empty() {
        return 0.0;
    }
    let place = (number(numbers.len() - 1) * share).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from zero to below the length"
    )]
    let place = (place as usize).min(numbers.len() - 1);
    *numbers.select_nth_unstable_by(place, f64::total_cmp).1
}

#[expect(clippy::cast_precision_loss, reason = "at most a few hundred")]
fn number(of: usize) -> f64 {
    of as f64
}
