//! Which line through the past is believed, if any.

use crate::history::Sample;
use crate::outlook::Reason;
use crate::rank::Ranked;
use crate::swing::{Swings, most_risen};
use crate::window::{Line, Window};

/// The windows that lines are laid through, in hours.
const HOURS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 24.0, 72.0, 168.0];
/// A line must rise by so many percent from end to end.
const LEAST_RISE: f64 = 1.0;
/// Points that are the end of a history.
const LAST: usize = 12;
/// A line must rise by so many steps of the scale: one or two are a step and not a line.
const RISE_OVER_QUANTUM: f64 = 3.0;
/// A line must rise by so many deviations of what it leaves unexplained.
const RISE_OVER_SPREAD: f64 = 3.0;
/// The lower bound of a rate must be this share of it.
const SURE: f64 = 0.4;
/// What of a rise may come within a quarter of the time; an even one has a quarter there.
const BURST: f64 = 0.6;
/// By what share of the rise the last spans may leave the line: noise allows more, but not any.
const ASTRAY: (f64, f64) = (0.1, 0.25);
/// A shorter window contradicts a longer one if it grows by less than this share of its rate.
const CONTRADICTED: f64 = 0.6;
/// The longer windows that a shorter one can contradict are so many times its length. In a longer one still it may be
/// the flat part of a staircase, unless the longer line is too clear for stairs.
const CONTRADICTS: f64 = 4.0;
/// A line that rises by so many times the deepest fall is no part of what comes and goes.
const OUTGROWN: f64 = 1.5;
/// A rise by so many times the most that the history rose in the same time before is something new.
const FASTER: f64 = 2.0;
/// After a single fall, a rise by this share of it is no longer taken for the way to the next.
const REGROWN: f64 = 0.75;
/// How far above its former heights it has to be to have left them: a share of the deepest fall, within bounds in
/// percent. Averages of an hour are lower than the heights themselves.
const ABOVE: f64 = 0.15;
const ABOVE_BOUNDS: (f64, f64) = (0.5, 2.0);
/// A rate that keeps more than this share of itself from one half of a window to the other does not slow down.
const SLOWER: f64 = 0.9;
/// A growth is drawn out to so many times its rise.
const DRAWN_OUT: f64 = 4.0;
/// What falls are worth as a deviation, when windows are compared.
const FALL_AS_SPREAD: f64 = 0.3;
/// Less than this is no deviation when windows are compared, in percent: the longest of clear lines is told.
const LEAST_SPREAD: f64 = 0.05;

/// What a history is judged by.
pub(crate) struct Judge<'a> {
    pub(crate) samples: &'a [Sample],
    pub(crate) swings: Swings,
    /// What counts as full.
    pub(crate) full: f64,
    pub(crate) numbers: &'a mut Vec<Ranked>,
    pub(crate) lows: &'a mut Vec<Sample>,
}

/// A line that is believed.
#[derive(Clone, Copy)]
pub(crate) struct Believed {
    pub(crate) line: Line,
    pub(crate) growth: Growth,
    /// Percent from the line's upper edge now to full.
    pub(crate) room: f64,
    /// The share of the windows that could speak and are believed, too.
    pub(crate) agreement: f64,
}

/// How a growth stands to what came and went before.
#[derive(Clone, Copy)]
pub(crate) enum Growth {
    /// It is larger than all that fell: percent an hour.
    Lasting(f64),
    /// It has left the former heights, or is faster than any before, but may fall as those did: percent an hour.
    Parting(f64),
}

impl Growth {
    pub(crate) fn rate(self) -> f64 {
        match self {
            Self::Lasting(rate) | Self::Parting(rate) => rate,
        }
    }
}

impl Judge<'_> {
    /// The clearest line that is believed; of several doubts that of the line which came nearest.
    pub(crate) fn judge(&mut self) -> Result<Believed, Reason> {
        if !self.has_risen() {
            return Err(Reason::NotGrowing);
        }
        let mut best: Option<Believed> = None;
        let mut nearest = Reason::TooShort;
        let mut lines: [Option<Line>; HOURS.len()] = [None; HOURS.len()];
        let (mut asked, mut agreed) = (0.0, 0.0);
        for (at, hours) in HOURS.into_iter().enumerate() {
            let Some(window) = Window::of(self.samples, hours) else {
                continue;
            };
            let line = window.line(self.numbers);
            let contradicted = self.is_contradicted(&line, hours, &lines);
            lines[at] = Some(line);
            asked += 1.0;
            let believed = if contradicted && line.slope.low > 0.0 {
                Err(Reason::Erratic)
            } else {
                self.believe(&window, line)
            };
            match believed {
                Err(reason) => nearest = nearest.max(reason),
                Ok(believed) => {
                    agreed += 1.0;
                    if best.is_none_or(|best| self.weight(&believed) > self.weight(&best)) {
                        best = Some(believed);
                    }
                }
            }
        }
        let believed = best.ok_or(nearest)?;
        Ok(Believed {
            agreement: agreed / f64::max(asked, 1.0),
            ..believed
        })
    }

    /// Whether the last points are anywhere above the lowest of all. Most histories are flat, and answered by this.
    fn has_risen(&self) -> bool {
        let value = |sample: &Sample| sample.value;
        let last = self.samples.iter().rev().take(LAST).map(value);
        let all = self.samples.iter().map(value);
        last.fold(f64::NEG_INFINITY, f64::max) - all.fold(f64::INFINITY, f64::min) >= LEAST_RISE
    }

    /// How clear a line is against what moves beside it.
    fn weight(&self, believed: &Believed) -> f64 {
        let falls = FALL_AS_SPREAD * self.swings.deepest;
        let moves = believed.line.spread.max(falls).max(LEAST_SPREAD);
        believed.line.rise() / moves
    }

    /// Whether a shorter window says that the growth of this one is over.
    fn is_contradicted(&self, line: &Line, hours: f64, lines: &[Option<Line>]) -> bool {
        let quantum = self.swings.quantum;
        let spread = line.spread.max(quantum / 3.0);
        HOURS.iter().zip(lines).any(|(shorter, other)| {
            let is_telling = shorter * CONTRADICTS >= hours
                || line.slope.middle * shorter >= RISE_OVER_SPREAD * spread;
            let is_slower = |other: &Line| {
                other.slope.high + quantum / shorter < CONTRADICTED * line.slope.middle
            };
            is_telling && other.as_ref().is_some_and(is_slower)
        })
    }

    fn believe(&mut self, window: &Window, line: Line) -> Result<Believed, Reason> {
        let (rise, quantum) = (line.rise(), self.swings.quantum);
        // Even steps leave a third of one on both sides of a line.
        let spread = line.spread.max(quantum / 3.0);
        let least = LEAST_RISE
            .max(RISE_OVER_QUANTUM * quantum)
            .max(RISE_OVER_SPREAD * spread);
        if line.slope.low <= 0.0 || rise < least {
            return Err(Reason::NotGrowing);
        }
        let astray = (2.0 * spread).max(ASTRAY.0 * rise).min(ASTRAY.1 * rise);
        let is_sure = line.slope.low >= SURE * line.slope.middle;
        if !is_sure || line.ahead.abs() > astray || window.burst() > BURST * rise {
            return Err(Reason::Erratic);
        }
        let growth = self.growth(&line).ok_or(Reason::Recurring)?;
        let room = (self.full - line.now - line.tops.max(0.0)).max(0.0);
        if self.slows(window, room) {
            return Err(Reason::Slowing);
        }
        if room > DRAWN_OUT * rise {
            return Err(Reason::TooYoung);
        }
        Ok(Believed {
            line,
            growth,
            room,
            agreement: 0.0,
        })
    }

    /// The growth, unless it may be a part of what comes and goes.
    fn growth(&mut self, line: &Line) -> Option<Growth> {
        let swings = &self.swings;
        let (rate, rise) = (line.slope.middle, line.rise());
        let Some(highest) = swings.highest else {
            return Some(Growth::Lasting(rate));
        };
        if rise >= OUTGROWN * swings.deepest {
            return Some(Growth::Lasting(rate));
        }
        let is_single = swings.falls == 1;
        let regrown = swings.level - swings.lowest;
        if (is_single && regrown >= REGROWN * swings.deepest)
            || rise >= FASTER * most_risen(self.samples, line.length, self.lows)
        {
            return Some(Growth::Parting(rate));
        }
        let least = (ABOVE * swings.deepest)
            .max(3.0 * swings.noise)
            .clamp(ABOVE_BOUNDS.0, ABOVE_BOUNDS.1);
        let above = swings.level - highest.value;
        if above < least {
            return None;
        }
        if is_single {
            return Some(Growth::Parting(rate));
        }
        // What comes and goes may itself have begun to grow. Then its upper edge tells the rate, until the level is so
        // far above that edge that it must be something else.
        let edge = (swings.level - swings.last.value) / -swings.last.at;
        let beyond = (above / swings.deepest).min(1.0);
        Some(Growth::Parting(rate.min(edge + beyond * (rate - edge))))
    }

    /// Whether the rate goes down, and so fast that the growth ends within the room there is: a rate that halves in
    /// equal times has a sum.
    fn slows(&mut self, window: &Window, room: f64) -> bool {
        let halves = window.halves(self.numbers);
        let (older, newer) = (halves.older, halves.newer);
        if newer.middle <= 0.0 {
            return true;
        }
        let is_clear = newer.high < older.middle && newer.middle < older.low;
        let keeps = newer.middle / older.middle;
        if !is_clear || keeps > SLOWER {
            return false;
        }
        let slowness = halves.between / -keeps.ln();
        room > newer.middle * keeps.sqrt() * slowness
    }
}
