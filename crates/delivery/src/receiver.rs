//! What is remembered of a receiver from run to run: its pause after failures, and its rate limit.

use std::time::Duration;

use ng_engine::time::Time;

use crate::attempt::{Ended, LONGEST_ASKED, wait};

/// The most messages in a span of time: a bucket of `count` tokens that fills up in `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So many messages
    pub count: u32,
    /// in this time.
    pub per: Duration,
}

/// How a receiver has been doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceiverState {
    /// Messages it has been sent lately and has not got over yet.
    pub used: f64,
    /// When `used` was right.
    pub at: Time,
    /// Failures since the last success.
    pub failures: u32,
    /// Nothing is sent before.
    pub paused_until: Time,
}

impl Default for ReceiverState {
    fn default() -> Self {
        Self {
            used: 0.0,
            at: Time::from_millis(0),
            failures: 0,
            paused_until: Time::from_millis(0),
        }
    }
}

impl ReceiverState {
    /// Whether nothing is to be sent now. A pause longer than any we give comes of a clock that was set back.
    pub fn is_paused(&self, now: Time) -> bool {
        self.paused_until > now && self.paused_until.since(now) <= LONGEST_ASKED * 2
    }

    /// Counts on from now if the clock was set back, or the bucket would stay empty until the old time is reached.
    /// Returns whether that changes anything.
    pub fn rebase(&mut self, now: Time) -> bool {
        let ahead = self.at > now;
        self.at = self.at.min(now);
        ahead
    }

    /// How many messages it may be sent now.
    pub fn tokens(&self, allowance: Option<Allowance>, now: Time) -> u32 {
        let Some(allowance) = allowance else {
            return u32::MAX;
        };
        let free = f64::from(allowance.count) - self.used_at(allowance, now);
        (1..=allowance.count)
            .rev()
            .find(|count| f64::from(*count) <= free)
            .unwrap_or(0)
    }

    /// A message is about to be sent.
    pub fn take(&mut self, allowance: Option<Allowance>, now: Time) {
        if let Some(allowance) = allowance {
            self.used = self.used_at(allowance, now) + 1.0;
            self.at = now;
        }
    }

    /// An attempt has ended. `delay` is the wait after a first failure, `chance` a random number from 0 to 1. A message
    /// that the receiver refuses for good says nothing about the next one.
    pub fn ended(&mut self, ended: Ended, delay: Duration, now: Time, chance: f64) {
        match ended {
            Ended::Delivered => {
                self.failures = 0;
                self.paused_until = Time::from_millis(0);
            }
            Ended::Permanent => {}
            Ended::Retry { after } => {
                self.failures = self.failures.saturating_add(1);
                self.paused_until = now.plus(wait(self.failures, delay, after, chance));
            }
        }
    }

    fn used_at(&self, allowance: Allowance, now: Time) -> f64 {
        let refilled = now.since(self.at).as_secs_f64() * f64::from(allowance.count)
            / allowance.per.as_secs_f64().max(0.001);
        (self.used - refilled).clamp(0.0, f64::from(allowance.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_700_000_000_000);
    const ROBOT: Option<Allowance> = Some(Allowance {
        count: 20,
        per: Duration::from_mins(1),
    });

    fn after(seconds: u64) -> Time {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_clock_that_was_set_back_refills_nothing_and_holds_nothing_up_for_long() {
        let mut state = ReceiverState::default();
        for _ in 0..20 {
            state.take(ROBOT, after(3_600));
        }
        assert!(state.rebase(NOW));
        assert_eq!(state.tokens(ROBOT, NOW), 0);
        assert_eq!(state.tokens(ROBOT, after(30)), 10);
        assert!(!state.rebase(after(30)));
    }

    #[test]
    fn a_bucket_empties_and_fills_up() {
        let mut state = ReceiverState::default();
        assert_eq!(state.tokens(ROBOT, NOW), 20);
        for left in (0..20).rev() {
            state.take(ROBOT, NOW);
            assert_eq!(state.tokens(ROBOT, NOW), left);
        }
        for (seconds, tokens) in [(1, 0), (3, 1), (10, 3), (30, 10), (60, 20), (3600, 20)] {
            assert_eq!(
                state.tokens(ROBOT, after(seconds)),
                tokens,
                "after {seconds} s"
            );
        }
        assert_eq!(state.tokens(None, NOW), u32::MAX);
        assert_eq!(
            state.tokens(ROBOT, NOW.minus(Duration::from_hours(5))),
            0,
            "a clock that was set back refills nothing"
        );
    }

    #[test]
    fn failures_pause_the_receiver_and_a_success_ends_it() {
        let delay = Duration::from_secs(5);
        let mut state = ReceiverState::default();
        let failed = Ended::Retry { after: None };
        for seconds in [5, 10, 20] {
            state.ended(failed, delay, NOW, 0.0);
            assert!(state.is_paused(after(seconds - 1)), "{seconds}");
            assert!(!state.is_paused(after(seconds)), "{seconds}");
        }
        state.ended(Ended::Permanent, delay, NOW, 0.0);
        assert!(state.is_paused(after(19)));
        let asked = Ended::Retry {
            after: Some(Duration::from_mins(5)),
        };
        state.ended(asked, delay, NOW, 0.0);
        assert!(state.is_paused(after(299)) && !state.is_paused(after(300)));
        assert!(!state.is_paused(NOW.minus(Duration::from_hours(24))));
        state.ended(Ended::Delivered, delay, NOW, 0.0);
        assert_eq!((state.is_paused(NOW), state.failures), (false, 0));
    }
}
