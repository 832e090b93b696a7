//! Which line through the past is believed, if any, and what follows from it.

use std::time::Duration;

use ng_engine::time::Time;

use crate::history::{self, Sample};
use crate::outlook::{Full, Outlook, Point, Question, Reason, Scratch};
use crate::swing::{Swings, most_risen, swings};
use crate::window::{Line, Window};

/// The windows that lines are laid through, in hours.
const HOURS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 24.0, 72.0, 168.0];
/// A line must rise by so many percent from end to end.
const LEAST_RISE: f64 = 1.0;
/// A line must rise by so many deviations of what it leaves unexplained.
const RISE_OVER_SPREAD: f64 = 3.0;
/// A line that rises by so many times the deepest fall is no part of a saw-tooth.
const RISE_OVER_FALL: f64 = 1.5;
/// What of a rise may come within a quarter of the time; an even one has a quarter there.
const BURST: f64 = 0.6;
/// By how much of the rise the last spans may leave the line.
const ASTRAY: f64 = 0.1;
/// The same with any noise.
const ASTRAY_AT_MOST: f64 = 0.25;
/// The lower bound of a rate must be this share of it.
const SURE: f64 = 0.4;
/// A shorter window contradicts a longer one if it grows by less than this share of its rate.
const CONTRADICTED: f64 = 0.6;
/// The longer windows that a shorter one can contradict are so many times its length.
const CONTRADICTS: f64 = 4.0;
/// A growth is drawn out to so many times its length.
const DRAWN_OUT: f64 = 4.0;
/// A rise by so many times the most that the history rose in the same time before is something new.
const FASTER: f64 = 2.0;
/// A rate that keeps more than this share of itself from one half of a window to the other does not slow down.
const SLOWER: f64 = 0.9;
/// After a single fall, a rise of this share of it is no longer taken for the way to the next.
const REGROWN: f64 = 0.75;
/// What falls are worth as a deviation, when windows are compared.
const FALL_AS_SPREAD: f64 = 0.3;

/// Tells when a history becomes full, or why that cannot be told. Any input has an answer.
pub fn forecast(points: &[Point], question: &Question, scratch: &mut Scratch) -> Outlook {
    match told(points, question, scratch) {
        Ok(full) => Outlook::Full(full),
        Err(reason) => Outlook::None(reason),
    }
}

fn told(points: &[Point], question: &Question, scratch: &mut Scratch) -> Result<Full, Reason> {
    history::usable(points, question, &mut scratch.samples)?;
    let swings = swings(&scratch.samples, &mut scratch.numbers);
    if swings.level >= question.full {
        return Err(Reason::AlreadyFull);
    }
    let judge = Judge {
        swings,
        full: question.full,
    };
    let verdict = judge.judge(&scratch.samples, &mut scratch.numbers)?;
    verdict.full(question)
}

struct Judge {
    swings: Swings,
    full: f64,
}

/// A window with what is around it.
struct Past<'a> {
    samples: &'a [Sample],
    window: &'a Window,
    contradicted: bool,
}

/// A line that is believed.
struct Believed {
    line: Line,
    /// Percent an hour in the long run.
    rate: f64,
    /// Percent from the line's upper edge now to full.
    room: f64,
}

impl Believed {
    /// Until it is full.
    fn hours(&self) -> f64 {
        self.room / self.rate
    }
}

/// The line that is told.
struct Verdict {
    believed: Believed,
    /// The share of windows that could speak and agree.
    agreement: f64,
}

impl Judge {
    fn judge(&self, samples: &[Sample], numbers: &mut Vec<f64>) -> Result<Verdict, Reason> {
        let mut best: Option<(f64, Believed)> = None;
        let mut nearest = None;
        let mut shorter: [Option<(f64, Line)>; HOURS.len()] = [None; HOURS.len()];
        let (mut asked, mut agreed) = (0.0, 0.0);
        for (at, hours) in HOURS.into_iter().enumerate() {
            let Some(window) = Window::of(samples, hours) else {
                continue;
            };
            let line = window.line(numbers);
            asked += 1.0;
            let contradicted = shorter.iter().flatten().any(|(of, short)| {
                of * CONTRADICTS >= hours && self.contradicts(*of, short, &line)
            });
            shorter[at] = Some((hours, line));
            let past = Past { samples, window: &window, contradicted };
            match self.believe(&past, &line, numbers) {
                Err(reason) => nearest = nearest.max(Some(reason)),
                Ok(believed) => {
                    agreed += 1.0;
                    let weight = self.weight(&line);
                    if best.as_ref().is_none_or(|(most, _)| weight > *most) {
                        best = Some((weight, believed));
                    }
                }
            }
        }
        let (_, believed) = best.ok_or(nearest.unwrap_or(Reason::TooShort))?;
        Ok(Verdict {
            believed,
            agreement: agreed / f64::max(asked, 1.0),
        })
    }

    fn room(&self, line: &Line) -> f64 {
        (self.full - line.now - line.tops.max(0.0)).max(0.0)
    }

    /// How clear a line is against what moves beside it.
    fn weight(&self, line: &Line) -> f64 {
        let moves = line
            .spread
            .max(FALL_AS_SPREAD * self.swings.deepest)
            .max(0.05);
        line.rise() / moves
    }

    fn contradicts(&self, hours: f64, short: &Line, long: &Line) -> bool {
        short.slope.high + self.swings.quantum / hours < CONTRADICTED * long.slope.middle
    }

    fn believe(&self, past: &Past, line: &Line, numbers: &mut Vec<f64>) -> Result<Believed, Reason> {
        let (swings, rise) = (&self.swings, line.rise());
        let spread = line.spread.max(swings.quantum / 3.0);
        let least = LEAST_RISE.max(3.0 * swings.quantum).max(RISE_OVER_SPREAD * spread);
        if line.slope.low <= 0.0 || rise < least {
            return Err(Reason::NotGrowing);
        }
        let astray = (2.0 * spread).clamp(ASTRAY * rise, ASTRAY_AT_MOST * rise);
        if line.slope.low < SURE * line.slope.middle {
            return Err(Reason::Erratic);
        }
        if past.window.burst() > BURST * rise || line.ahead.abs() > astray || past.contradicted {
            return Err(Reason::Erratic);
        }
        let rate = self.rate(past.samples, line).ok_or(Reason::Recurring)?;
        if self.slows(past.window, line, numbers) {
            return Err(Reason::Slowing);
        }
        let believed = Believed {
            line: *line,
            rate,
            room: self.room(line),
        };
        if believed.room > DRAWN_OUT * line.rise() {
            return Err(Reason::TooYoung);
        }
        Ok(believed)
    }

    /// The rate that can be drawn out: that of the line, if it is no part of what comes and goes.
    fn rate(&self, samples: &[Sample], line: &Line) -> Option<f64> {
        let swings = &self.swings;
        let Some(highest) = swings.highest else {
            return Some(line.slope.middle);
        };
        let again = swings.falls > 1;
        let regrown = swings.level - swings.lowest;
        let is_large = line.rise() >= RISE_OVER_FALL * swings.deepest
            || (!again && regrown >= REGROWN * swings.deepest)
            || line.rise() >= FASTER * most_risen(samples, line.length);
        if is_large {
            return Some(line.slope.middle);
        }
        let margin = (0.15 * swings.deepest).max(3.0 * swings.noise).clamp(0.5, 2.0);
        if swings.level < highest.value + margin {
            return None;
        }
        let rate = line.slope.middle;
        if !again {
            return Some(rate);
        }
        // What comes and goes may also have begun to grow: then its upper edge tells the rate, until it is so far above
        // the edge that it must be something else.
        let edge = (swings.level - swings.last.value) / -swings.last.at;
        let beyond = ((swings.level - highest.value) / swings.deepest).min(1.0);
        Some(rate.min(edge + beyond * (rate - edge)))
    }

    /// Whether the rate goes down, and so fast that the growth ends below full.
    fn slows(&self, window: &Window, line: &Line, numbers: &mut Vec<f64>) -> bool {
        let (older, newer, between) = window.halves(numbers);
        if newer.middle <= 0.0 {
            return true;
        }
        let is_clear = newer.high < older.middle && newer.middle < older.low;
        let keeps = newer.middle / older.middle;
        if !is_clear || keeps > SLOWER {
            return false;
        }
        let slowness = between / -keeps.ln();
        let to_come = newer.middle * keeps.sqrt() * slowness;
        self.room(line) > to_come
    }
}

impl Verdict {
    fn full(&self, question: &Question) -> Result<Full, Reason> {
        let Believed { line, rate, room } = &self.believed;
        let hours = self.believed.hours();
        let expected = after(question.now, hours);
        if expected > question.now.plus(question.horizon) {
            return Err(Reason::BeyondHorizon);
        }
        let slack = 2.0 * line.spread;
        let high = line.slope.high * 1.1;
        let low = line.slope.low.min(*rate) * 0.9;
        let earliest = after(question.now, ((room - slack) / high).max(0.0));
        let latest = after(question.now, (room + slack + line.tops.max(0.0)) / low);
        Ok(Full {
            expected,
            earliest: earliest.min(expected),
            latest: Some(latest.max(expected)),
            confidence: self.confidence(hours),
            per_hour: *rate,
        })
    }

    fn confidence(&self, hours: f64) -> f64 {
        let line = &self.believed.line;
        let certain = line.slope.low / line.slope.middle;
        let near = (2.0 * line.length / hours.max(0.1)).min(1.0);
        let parts = certain * near * line.filled * (0.5 + self.agreement / 2.0);
        parts.clamp(0.0, 1.0).sqrt()
    }
}

/// `hours` after a time, to the millisecond; saturates.
fn after(now: Time, hours: f64) -> Time {
    let seconds = (hours * 3600.0).min(1e9);
    now.plus(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
