//! Durations as Go writes them, `1m30s`, and whole days, `7d`.

use std::time::Duration;

use thiserror::Error;

/// The longest duration a rule can ask for.
pub const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotADuration {
    /// It starts with a minus sign.
    #[error("expected a duration of zero or more")]
    Negative,
    /// It is longer than [`LONGEST`].
    #[error("expected a duration of at most ten years")]
    TooLong,
    /// It starts with a number, but a unit is missing.
    #[error("expected a duration with a unit (ms, s, m, h, d) such as \"5m\" or \"1m30s\"")]
    NoUnit,
    /// Anything else.
    #[error("expected a duration such as \"30s\", \"5m\", \"1m30s\", \"2h\" or \"7d\"")]
    Garbage,
}

/// Reads a duration such as `500ms`, `1.5h`, `1m30s`, `7d` or `0`.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let unsigned = match text.strip_prefix('-') {
        Some(rest) => {
            return Err(match total(rest) {
                Ok(_) | Err(NotADuration::TooLong) => NotADuration::Negative,
                Err(reason) => reason,
            });
        }
        None => text.strip_prefix('+').unwrap_or(text),
    };
    total(unsigned)
}

/// Adds up the parts of a duration without a sign.
fn total(text: &str) -> Result<Duration, NotADuration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(NotADuration::Garbage);
    }
    let mut nanos = 0_u128;
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = part(rest)?;
        nanos = nanos.saturating_add(part);
        rest = after;
    }
    u64::try_from(nanos)
        .ok()
        .map(Duration::from_nanos)
        .filter(|duration| *duration <= LONGEST)
        .ok_or(NotADuration::TooLong)
}

/// The nanoseconds of the first number with its unit, and what follows.
fn part(text: &str) -> Result<(u128, &str), NotADuration> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(NotADuration::Garbage);
    }
    if rest.is_empty() {
        return Err(NotADuration::NoUnit);
    }
    let (unit, rest) = unit(rest).ok_or(NotADuration::Garbage)?;
    // More digits than fit are far beyond ten years.
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u128>().unwrap_or(u128::MAX)
    };
    Ok((
        whole
            .saturating_mul(unit)
            .saturating_add(share(fraction, unit)),
        rest,
    ))
}

/// The leading decimal digits, and what follows.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The nanoseconds in a unit, and what follows it.
fn unit(text: &str) -> Option<(u128, &str)> {
    // Longer names first: `ms` is not a minute.
    const UNITS: [(&str, u128); 9] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    UNITS
        .iter()
        .find_map(|(name, nanos)| text.strip_prefix(name).map(|rest| (*nanos, rest)))
}

/// The part of `unit` that the digits after the point stand for, rounded down.
fn share(fraction: &str, unit: u128) -> u128 {
    // Eighteen digits are finer than any unit, and their product with it fits.
    let (mut digits, mut scale) = (0_u128, 1_u128);
    for digit in fraction.bytes().take(18) {
        digits = digits * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    digits * unit / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("5m", 300_000),
            ("+5m", 300_000),
            ("1m30s", 90_000),
            ("1h15m30.918s", 4_530_918),
            ("500ms", 500),
            (".5s", 500),
            ("1.s", 1_000),
            ("1.5h", 5_400_000),
            ("0.333333333333333333333h", 1_199_999),
            ("2000000us", 2_000),
            ("2000000µs", 2_000),
            ("3000000000ns", 3_000),
            ("7d", 604_800_000),
            ("1d12h", 129_600_000),
            ("3650d", 315_360_000_000),
        ] {
            let duration = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(duration.as_millis(), millis, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_the_reason() {
        use NotADuration::{Garbage, Negative, NoUnit, TooLong};
        for (text, expected) in [
            ("", Garbage),
            ("-", Garbage),
            ("+", Garbage),
            (".", Garbage),
            (".s", Garbage),
            ("s", Garbage),
            ("m5", Garbage),
            ("5 m", Garbage),
            (" 5m", Garbage),
            ("5m ", Garbage),
            ("5w", Garbage),
            ("5M", Garbage),
            ("five", Garbage),
            ("1e3s", Garbage),
            ("--5m", Garbage),
            ("5", NoUnit),
            ("1m30", NoUnit),
            ("-5m", Negative),
            ("-0s", Negative),
            ("3651d", TooLong),
            ("99999999999999999999999999999999999999999999h", TooLong),
            ("-99999999999999999999999999999999999999999999h", Negative),
        ] {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
    }
}
