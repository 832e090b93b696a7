//! Points in time as whole milliseconds: compact in state, cheap to compare.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(i64);

impl Time {
    /// The point `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// How long before `self` the point `earlier` was; zero if it was not before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The whole second that `self` lies in, as Kubernetes gives times back.
    #[must_use]
    pub const fn whole_second(self) -> Self {
        Self(self.0.div_euclid(1000).saturating_mul(1000))
    }

    /// `self` moved into the future; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// `self` moved into the past; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

/// A duration in whole milliseconds; saturates at `i64::MAX`.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl From<jiff::Timestamp> for Time {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp.as_millisecond())
    }
}

/// RFC 3339 in UTC with whole seconds, as Kubernetes' `metav1.Time`.
impl fmt::Display for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.div_euclid(1000)) {
            Ok(timestamp) => write!(out, "{timestamp}"),
            Err(_) => write!(out, "{}ms", self.0),
        }
    }
}

/// Any RFC 3339 time.
impl std::str::FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        match whole_second_in_utc(text.as_bytes()) {
            Some(time) => Ok(time),
            None => text.parse::<jiff::Timestamp>().map(Self::from),
        }
    }
}

/// The time in the form that Kubernetes writes, `2026-01-05T08:15:30Z`, of which thousands of nodes have one each.
/// `None` for every other form, every day after the 28th, and whatever is no time: those are left to the library.
fn whole_second_in_utc(text: &[u8]) -> Option<Time> {
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b'Z',
    ] = text
    else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let two = |high, low| Some(digit(high)? * 10 + digit(low)?);
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    if !(1970..=2200).contains(&year) || !(1..=12).contains(&month) || !(1..=28).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years begin in March, so that the day of a leap year comes last: every 5 months have 153 days.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days - DAYS_TO_THE_EPOCH;
    Some(Time(
        ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000,
    ))
}

/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_THE_EPOCH: i64 = 719_468;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_the_library(text: &str) -> Option<Time> {
        text.parse::<jiff::Timestamp>().map(Time::from).ok()
    }

    proptest! {
        #[test]
        fn the_short_way_tells_the_time_that_the_library_tells(
            second in 0_i64..=7_289_654_399,
            wrong in prop::option::of((0..20_usize, prop::char::range(' ', '~'))),
        ) {
            let mut text = Time::from_millis(second * 1_000).to_string();
            if let Some((at, other)) = wrong {
                text.replace_range(at..=at, &other.to_string());
            }
            let short = whole_second_in_utc(text.as_bytes());
            if short.is_some() {
                prop_assert_eq!(short, by_the_library(&text), "{}", text);
            }
            prop_assert_eq!(text.parse().ok(), by_the_library(&text), "{}", text);
        }
    }

    #[test]
    fn kubernetes_own_form_goes_the_short_way() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-28T23:59:59Z",
            "2026-01-05T08:15:30Z",
            "2100-03-01T00:00:00Z",
            "2200-12-28T12:00:00Z",
        ] {
            let short = whole_second_in_utc(text.as_bytes());
            assert!(short.is_some(), "{text}");
            assert_eq!(short, by_the_library(text), "{text}");
        }
    }
}
