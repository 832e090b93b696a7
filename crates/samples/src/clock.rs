//! Whether a check's time is believed. Clocks jump; a history must survive that, and not only be consistent.
//!
//! Time goes forward: a check at or before the newest one is ignored. If the newest one lies far ahead, either clock
//! may be wrong: a run with a time of last year must not wipe out what was kept, and one with a time of next year must
//! not stop the history until then. So three checks in a row have to agree that the newest time lies in the future;
//! then what was said of the future is dropped. Likewise retention looks at the third newest check, so that a jump
//! ahead that is taken back at once costs nothing.

use std::fmt;

use ng_engine::time::Time;

use crate::schema::LAST_SECOND;

/// Clocks of two machines differ by less; a check that is this much behind only has to wait.
const TOLERANCE: i64 = 300;

/// As many checks in a row have to agree before a clock is believed.
pub(crate) const AGREEING: u32 = 3;

/// Why a check was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// There is a check of the same second.
    Known,
    /// The newest check is later, by no more than clocks may differ.
    Behind {
        /// The newest check.
        newest: Time,
    },
    /// The newest check is far ahead. Once three checks in a row have said so, what is ahead is dropped.
    Doubted {
        /// The newest check.
        newest: Time,
        /// How many have said so.
        checks: u32,
    },
    /// No check was ever made at such a time.
    Impossible,
}

impl fmt::Display for Ignored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known => out.write_str("there is a check of the same second"),
            Self::Behind { newest } => write!(out, "the newest check, of {newest}, is later"),
            Self::Doubted { newest, checks } => write!(
                out,
                "the newest check, of {newest}, lies far ahead; it is dropped once {AGREEING} checks in a row say so, \
                 and {checks} {}",
                if *checks == 1 { "has" } else { "have" }
            ),
            Self::Impossible => out.write_str("no check was ever made at such a time"),
        }
    }
}

/// Checks in a row that say that the newest time lies in the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) checks: u32,
    /// When the last of them was.
    pub(crate) last: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// Drop everything after the check, then append.
    Supersede,
    Ignore(Ignored),
    /// Ignore the check, but remember what it said.
    Doubt(Doubt, Ignored),
}

pub(crate) fn judge(at: i64, newest: Option<i64>, doubt: Option<Doubt>) -> Verdict {
    if !(0..=LAST_SECOND).contains(&at) {
        return Verdict::Ignore(Ignored::Impossible);
    }
    let Some(newest) = newest.filter(|newest| at <= *newest) else {
        return Verdict::Append;
    };
    let time = time(newest);
    if at == newest {
        return Verdict::Ignore(Ignored::Known);
    }
    if newest - at <= TOLERANCE {
        return Verdict::Ignore(Ignored::Behind { newest: time });
    }
    let checks = match doubt {
        // Said again at the same second, it is not said twice.
        Some(doubt) if doubt.last == at => doubt.checks,
        Some(doubt) if doubt.last < at => doubt.checks.saturating_add(1),
        Some(_) | None => 1,
    };
    if checks >= AGREEING {
        return Verdict::Supersede;
    }
    let ignored = Ignored::Doubted {
        newest: time,
        checks,
    };
    Verdict::Doubt(Doubt { checks, last: at }, ignored)
}

/// A second as a time.
pub(crate) fn time(seconds: i64) -> Time {
    Time::from_millis(seconds.saturating_mul(1000))
}

/// The second a time lies in.
pub(crate) fn seconds(time: Time) -> i64 {
    time.millis().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn time_goes_forward() {
        let behind = |seconds| {
            Verdict::Ignore(Ignored::Behind {
                newest: time(seconds),
            })
        };
        let cases = [
            (NOW, None, Verdict::Append),
            (NOW, Some(NOW - 1), Verdict::Append),
            (NOW, Some(0), Verdict::Append),
            (NOW, Some(NOW), Verdict::Ignore(Ignored::Known)),
            (NOW, Some(NOW + 1), behind(NOW + 1)),
            (NOW, Some(NOW + 300), behind(NOW + 300)),
            (-1, None, Verdict::Ignore(Ignored::Impossible)),
            (LAST_SECOND + 1, None, Verdict::Ignore(Ignored::Impossible)),
        ];
        for (at, newest, expected) in cases {
            assert_eq!(judge(at, newest, None), expected, "{at} after {newest:?}");
        }
    }

    #[test]
    fn what_is_ignored_is_said_in_words() {
        let newest = time(NOW);
        let cases = [
            (Ignored::Known, "there is a check of the same second"),
            (
                Ignored::Behind { newest },
                "the newest check, of 2023-11-14T22:13:20Z, is later",
            ),
            (
                Ignored::Doubted { newest, checks: 1 },
                "the newest check, of 2023-11-14T22:13:20Z, lies far ahead; it is dropped once 3 checks in a row say so, \
                 and 1 has",
            ),
            (Ignored::Impossible, "no check was ever made at such a time"),
        ];
        for (ignored, words) in cases {
            assert_eq!(ignored.to_string(), words);
        }
    }

    #[test]
    fn three_checks_in_a_row_overrule_the_future() {
        let newest = Some(NOW + 86_400);
        let mut doubt = None;
        // The last but one comes from before the others: it begins anew.
        let times = [0, 0, 60, 30, 90, 150];
        let said: Vec<u32> = times
            .iter()
            .map(|time| match judge(NOW + time, newest, doubt) {
                Verdict::Doubt(now, Ignored::Doubted { checks, .. }) => {
                    assert_eq!(now.checks, checks);
                    doubt = Some(now);
                    checks
                }
                Verdict::Supersede => 100,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(said, [1, 1, 2, 1, 2, 100]);
    }
}
