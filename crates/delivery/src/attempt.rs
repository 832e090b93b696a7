//! What follows from an attempt for the delivery: done, again later, or given up.

use std::time::Duration;

use ng_engine::time::Time;

/// The longest wait between two attempts that we choose ourselves.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// The longest wait that a receiver may ask for: beyond this, one mistaken header would silence it for days.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The receiver has it.
    Delivered,
    /// Trying again can help, after the receiver's own wait if it named one.
    Retry {
        /// What the receiver asks for.
        after: Option<Duration>,
    },
    /// Trying again cannot help.
    Permanent,
}

/// How failed deliveries are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retrying {
    /// How often one is repeated before it is given up.
    pub attempts: u32,
    /// The wait before the first repetition; it doubles from one to the next.
    pub delay: Duration,
}

/// What follows for the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is told.
    Done,
    /// It is tried again, not before this time.
    Again(Time),
    /// It is given up.
    Dead,
}

/// What follows from the `attempts`th attempt. `chance` is a random number from 0 to 1.
pub fn next(ended: Ended, attempts: u32, retrying: &Retrying, now: Time, chance: f64) -> Next {
    match ended {
        Ended::Delivered => Next::Done,
        Ended::Permanent => Next::Dead,
        Ended::Retry { .. } if attempts > retrying.attempts => Next::Dead,
        Ended::Retry { after } => {
            Next::Again(now.plus(wait(attempts, retrying.delay, after, chance)))
        }
    }
}

/// The wait after the `failures`th failure in a row: doubled each time, up to a quarter longer by chance so that what
/// failed together does not come back together, and never shorter than the receiver asks for.
pub(crate) fn wait(
    failures: u32,
    delay: Duration,
    asked: Option<Duration>,
    chance: f64,
) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let own = delay
        .saturating_mul(1 << doublings)
        .min(LONGEST_WAIT.max(delay));
    let own = stretched(own, 1.0 + 0.25 * chance.clamp(0.0, 1.0));
    own.max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

/// The duration times a factor, or itself where that cannot be told as a duration.
pub(crate) fn stretched(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_700_000_000_000);
    const RETRYING: Retrying = Retrying {
        attempts: 3,
        delay: Duration::from_secs(5),
    };

    #[test]
    fn what_follows_depends_on_the_end_and_the_attempts() {
        let again = |seconds| Next::Again(NOW.plus(Duration::from_secs(seconds)));
        let retry = |seconds| Ended::Retry {
            after: Some(Duration::from_secs(seconds)),
        };
        let failed = Ended::Retry { after: None };
        let cases = [
            (Ended::Delivered, 1, Next::Done),
            (Ended::Delivered, 9, Next::Done),
            (Ended::Permanent, 1, Next::Dead),
            (failed, 1, again(5)),
            (failed, 2, again(10)),
            (failed, 3, again(20)),
            (failed, 4, Next::Dead),
            (retry(2), 1, again(5)),
            (retry(60), 1, again(60)),
            (retry(60), 3, again(60)),
            (retry(60), 4, Next::Dead),
            (retry(u64::MAX), 1, again(3600)),
        ];
        for (ended, attempts, expected) in cases {
            let found = next(ended, attempts, &RETRYING, NOW, 0.0);
            assert_eq!(found, expected, "{ended:?} after {attempts}");
        }
    }

    #[test]
    fn waits_grow_to_a_limit_and_differ_by_chance() {
        let delay = Duration::from_secs(8);
        let cases = [
            (1, 0.0, 8.0),
            (1, 1.0, 10.0),
            (2, 0.5, 18.0),
            (5, 0.0, 128.0),
            (30, 0.0, 600.0),
            (u32::MAX, 1.0, 750.0),
        ];
        for (failures, chance, seconds) in cases {
            let found = wait(failures, delay, None, chance).as_secs_f64();
            assert!((found - seconds).abs() < 1e-6, "{failures}: {found}");
        }
        let long = Duration::from_hours(2);
        assert_eq!(wait(3, long, None, 0.0), long, "the user's own wait stands");
    }
}
