//! What a young history lacks for forecasts, and when it is asked for.
//!
//! A history that begins now tells nothing of what will be full before it is an hour old. Another memory of the same
//! readings may have the hours before; it is asked after the check, so that nothing waits for it.

use std::time::Duration;

use ng_engine::time::{Time, millis};

/// How finely the past is asked for: as the history keeps what is older than its samples.
pub const BACKFILL_STEP: Duration = Duration::from_mins(5);

/// So far back: what comes before adds little to a forecast, and this is a short answer also of many nodes.
const PAST: Duration = Duration::from_hours(6);

/// The shortest line of a forecast goes through an hour. A history that has it can do without the past.
const OLD_ENOUGH: Duration = Duration::from_hours(1);

/// Pauses between attempts: 5, 10, 20, 40, 60, 60, … minutes. Mostly the history is old enough by the fourth.
const FIRST_PAUSE: Duration = Duration::from_mins(5);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// A stretch of time before the first check with a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Where it begins.
    pub since: Time,
    /// How many steps of [`BACKFILL_STEP`] it has.
    pub steps: usize,
}

impl Lack {
    /// What is lacking of a metric that has been kept since `first`; `None` if it is kept for long enough.
    pub fn of(first: Time, now: Time) -> Option<Self> {
        if now.since(first) >= OLD_ENOUGH {
            return None;
        }
        let since = floor(now.minus(PAST));
        let steps = (floor(first).millis() - since.millis()) / millis(BACKFILL_STEP);
        let most = PAST.as_secs() / BACKFILL_STEP.as_secs();
        // A first check in the future is one by a wrong clock.
        let steps = u64::try_from(steps).ok()?.min(most);
        let steps = usize::try_from(steps).ok().filter(|steps| *steps > 0)?;
        Some(Self { since, steps })
    }
}

fn floor(time: Time) -> Time {
    let step = millis(BACKFILL_STEP);
    Time::from_millis(time.millis().div_euclid(step) * step)
}

/// Attempts that were made so far, as they are noted between two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How many.
    pub made: u32,
    /// When the last of them was.
    pub last: Time,
}

impl Attempts {
    /// Reads a note; one that cannot be read is none.
    pub fn of_note(note: &str) -> Option<Self> {
        let (made, last) = note.split_once(' ')?;
        Some(Self {
            made: made.parse().ok()?,
            last: Time::from_millis(last.parse().ok()?),
        })
    }

    /// The note of it.
    pub fn note(self) -> String {
        format!("{} {}", self.made, self.last.millis())
    }

    /// The next attempt, if it is its time. After a clock was set back it is.
    pub fn next(before: Option<Self>, now: Time) -> Option<Self> {
        let Some(Self { made, last }) = before else {
            return Some(Self { made: 1, last: now });
        };
        let doublings = made.saturating_sub(1).min(10);
        let pause = (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE);
        let is_due = last > now || now.since(last) >= pause;
        is_due.then_some(Self {
            made: made.saturating_add(1),
            last: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-05-01T10:00:00Z
    const NOW: Time = Time::from_millis(1_777_629_600_000);
    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn only_a_young_history_lacks_what_was_before_it() {
        let lack = |first: Time| Lack::of(first, NOW).map(|lack| lack.steps);
        let cases = [
            (NOW, Some(72)),
            (NOW.minus(MINUTE), Some(71)),
            (NOW.minus(MINUTE * 5), Some(71)),
            (NOW.minus(MINUTE * 59), Some(60)),
            (NOW.minus(MINUTE * 60), None),
            (NOW.minus(MINUTE * 100_000), None),
            (NOW.plus(MINUTE * 100_000), Some(72)),
        ];
        for (first, expected) in cases {
            assert_eq!(lack(first), expected, "{first}");
        }
        let lack = Lack::of(NOW.plus(MINUTE), NOW.plus(MINUTE * 2)).unwrap();
        assert_eq!((lack.since, lack.steps), (NOW.minus(PAST), 72));
    }

    #[test]
    fn attempts_come_less_and_less_often() {
        let mut before = None;
        let mut times = Vec::new();
        for minute in 0..240 {
            let now = NOW.plus(MINUTE * minute);
            if let Some(next) = Attempts::next(before, now) {
                assert_eq!(Attempts::of_note(&next.note()), Some(next));
                before = Some(next);
                times.push(minute);
            }
        }
        assert_eq!(times, [0, 5, 15, 35, 75, 135, 195]);
        assert!(Attempts::next(before, NOW.minus(MINUTE)).is_some());
        for note in ["", "1", "x 1", "1 x", "-1 5"] {
            assert_eq!(Attempts::of_note(note), None, "{note}");
        }
    }
}
