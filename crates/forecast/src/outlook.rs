//! What is asked, and what is answered.

use std::fmt;
use std::time::Duration;

use ng_engine::time::Time;

use crate::history::Sample;
use crate::rank::Ranked;

/// A reading of the past. An average belongs to the middle of its span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When it was taken.
    pub at: Time,
    /// In percent; what is not finite is passed over.
    pub value: f64,
}

/// What is asked of a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question {
    /// The time of the question; later points are passed over.
    pub now: Time,
    /// What counts as full, in percent.
    pub full: f64,
    /// How far ahead is asked for; nothing is told beyond.
    pub horizon: Duration,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outlook {
    /// It becomes full within the horizon.
    Full(Full),
    /// Nothing can be told, or there is nothing to tell.
    None(Reason),
}

/// When it becomes full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Full {
    /// When, most likely.
    pub expected: Time,
    /// Hardly before; never after `expected`.
    pub earliest: Time,
    /// Hardly after; None where the growth may as well end.
    pub latest: Option<Time>,
    /// From 0 to 1: how much of the evidence that could be there is there.
    pub confidence: f64,
    /// Percent an hour, in the long run: falls are counted in.
    pub per_hour: f64,
}

/// Why there is no forecast. The order is that of how near one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// What counts as full is no finite number.
    NoLimit,
    /// Fewer than eight usable points.
    TooFewPoints,
    /// The points lie within less than 36 minutes, or too unevenly for any span of the past.
    TooShort,
    /// The last point is old: nobody knows how it went on.
    Stale,
    /// It is full.
    AlreadyFull,
    /// It falls, stays, or rises by less than its noise.
    NotGrowing,
    /// It rises, but not along a line: in a step or two, with much noise, or no longer at the rate it had.
    Erratic,
    /// It rises to where it has come down from before, as collected images, rotated logs and working days do.
    Recurring,
    /// The growth slows down and ends below full if it goes on to.
    Slowing,
    /// The growth is too young to be drawn out that far.
    TooYoung,
    /// It grows, and is not full within the horizon.
    BeyondHorizon,
}

impl Reason {
    /// The reason in one word, for labels and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoLimit => "no-limit",
            Self::TooFewPoints => "too-few-points",
            Self::TooShort => "too-short",
            Self::Stale => "stale",
            Self::AlreadyFull => "already-full",
            Self::NotGrowing => "not-growing",
            Self::Erratic => "erratic",
            Self::Recurring => "recurring",
            Self::Slowing => "slowing",
            Self::TooYoung => "too-young",
            Self::BeyondHorizon => "beyond-horizon",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// Room that is used again from forecast to forecast, so that they allocate nothing.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(crate) samples: Vec<Sample>,
    pub(crate) lows: Vec<Sample>,
    pub(crate) numbers: Vec<Ranked>,
}
