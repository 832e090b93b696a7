//! Durations as people write them: Go's form (`1m30s`) and days (`7d`).
//!
//! The grammar and its rounding are Go's `time.ParseDuration`, so that a value means here what it means in
//! every other tool of a cluster. Added: days. Left out: what can only be a mistake, negative and endless times.

use std::fmt::Write as _;
use std::time::Duration;

/// The longest duration accepted, ten years: what is longer is a typing mistake.
pub const MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// The grammar as a regular expression, for the schema.
pub(crate) const PATTERN: &str =
    "^[-+]?0$|^\\+?(([0-9]+\\.?[0-9]*|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d))+$";

const NANOS_PER_SEC: u64 = 1_000_000_000;
const SECS_PER_DAY: u64 = 24 * 60 * 60;

/// Units in nanoseconds. Both code points for micro are in use, as in Go.
const UNITS: [(&str, u64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SEC),
    ("m", 60 * NANOS_PER_SEC),
    ("h", 60 * 60 * NANOS_PER_SEC),
    ("d", SECS_PER_DAY * NANOS_PER_SEC),
];

/// Why a text is not a duration. The text itself is not repeated: the caller names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// There is nothing to read.
    #[error("it is empty")]
    Empty,
    /// Less than nothing.
    #[error("it is negative")]
    Negative,
    /// A unit, or something else, stands where a number should.
    #[error("a number is missing before \"{rest}\"")]
    MissingNumber {
        /// What was found instead of the number.
        rest: String,
    },
    /// A number other than zero without a unit.
    #[error("{number} needs a unit: ns, us, ms, s, m, h or d")]
    MissingUnit {
        /// The bare number.
        number: String,
    },
    /// A unit that is none of ours.
    #[error("unknown unit \"{unit}\", use ns, us, ms, s, m, h or d")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
    },
    /// More than [`MAX`].
    #[error("it is more than 10 years")]
    TooLong,
}

/// Reads `500ms`, `30s`, `1m30s`, `1.5h`, `7d`, `0`.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    if unsigned.is_empty() {
        return Err(if text.is_empty() {
            DurationError::Empty
        } else {
            missing_number(text)
        });
    }
    let nanos = parse_terms(unsigned)?;
    if text.starts_with('-') && nanos > 0 {
        return Err(DurationError::Negative);
    }
    Ok(Duration::from_nanos(nanos))
}

/// Adds up `1h`, `30m`, … in nanoseconds.
fn parse_terms(text: &str) -> Result<u64, DurationError> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = Number::parse(rest)?;
        let unit_end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let nanos = unit_nanos(unit, &rest[..rest.len() - after.len()])?;
        total = number
            .times(nanos)
            .and_then(|term| total.checked_add(term))
            .filter(|nanos| Duration::from_nanos(*nanos) <= MAX)
            .ok_or(DurationError::TooLong)?;
        rest = next;
    }
    Ok(total)
}

fn unit_nanos(unit: &str, number: &str) -> Result<u64, DurationError> {
    if unit.is_empty() {
        return Err(DurationError::MissingUnit {
            number: excerpt(number),
        });
    }
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, nanos)| *nanos)
        .ok_or_else(|| DurationError::UnknownUnit {
            unit: excerpt(unit),
        })
}

fn missing_number(rest: &str) -> DurationError {
    DurationError::MissingNumber {
        rest: excerpt(rest),
    }
}

/// Keeps a message short and on one line, whatever was typed.
fn excerpt(text: &str) -> String {
    text.chars().take(20).flat_map(char::escape_debug).collect()
}

/// A decimal number: its whole part, and its fraction as `fraction / scale`.
struct Number {
    /// `None` when it does not fit, which is too long in any unit.
    whole: Option<u64>,
    fraction: u64,
    scale: f64,
}

impl Number {
    /// Reads a number at the start of a text; returns it with what follows.
    fn parse(text: &str) -> Result<(Number, &str), DurationError> {
        let (whole, rest) = split_digits(text);
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(missing_number(text));
        }
        let number = Number {
            whole: if whole.is_empty() {
                Some(0)
            } else {
                whole.parse().ok()
            },
            fraction: 0,
            scale: 1.0,
        };
        Ok((number.with_fraction(fraction), rest))
    }

    /// Takes in as many decimals as fit; those after them are too small to matter.
    fn with_fraction(mut self, digits: &str) -> Self {
        for digit in digits.bytes() {
            let next = self
                .fraction
                .checked_mul(10)
                .and_then(|f| f.checked_add(u64::from(digit - b'0')));
            let Some(next) = next.filter(|f| i64::try_from(*f).is_ok()) else {
                break;
            };
            self.fraction = next;
            self.scale *= 10.0;
        }
        self
    }

    fn times(&self, unit: u64) -> Option<u64> {
        let whole = self.whole?.checked_mul(unit)?;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "Go computes fractions in floating point, and a value must not differ from Go's by a nanosecond"
        )]
        let fraction = (self.fraction as f64 * (unit as f64 / self.scale)) as u64;
        whole.checked_add(fraction)
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Writes a duration in the shortest form that [`parse`] reads back to the same value (up to [`MAX`]).
///
/// Whole days are written as days; otherwise hours are the largest unit, as in Go.
pub fn format(duration: Duration) -> String {
    let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if secs == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => decimal(0, nanos, 1_000, "us"),
            _ => decimal(0, nanos, 1_000_000, "ms"),
        };
    }
    if nanos == 0 && secs.is_multiple_of(SECS_PER_DAY) {
        return format!("{}d", secs / SECS_PER_DAY);
    }
    let mut text = String::new();
    for (amount, unit) in [(secs / 3600, 'h'), (secs / 60 % 60, 'm')] {
        if amount > 0 {
            let _ = write!(text, "{amount}{unit}");
        }
    }
    if secs % 60 > 0 || nanos > 0 {
        text.push_str(&decimal(secs % 60, nanos, 1_000_000_000, "s"));
    }
    text
}

/// `whole + nanos / unit` without trailing zeros.
fn decimal(whole: u64, nanos: u32, unit: u32, name: &str) -> String {
    let whole = whole + u64::from(nanos / unit);
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", nanos % unit);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{name}"),
        fraction => format!("{whole}.{fraction}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u64 = 3600 * NANOS_PER_SEC;
    const MINUTE: u64 = 60 * NANOS_PER_SEC;
    const SECOND: u64 = NANOS_PER_SEC;

    #[test]
    fn reads_what_go_reads() {
        let table: &[(&str, u64)] = &[
            ("0", 0),
            ("5s", 5 * SECOND),
            ("30s", 30 * SECOND),
            ("1478s", 1478 * SECOND),
            ("+5s", 5 * SECOND),
            ("-0", 0),
            ("+0", 0),
            ("-0s", 0),
            ("0s", 0),
            ("5.0s", 5 * SECOND),
            ("5.6s", 5_600_000_000),
            ("5.s", 5 * SECOND),
            (".5s", 500_000_000),
            ("1.0s", SECOND),
            ("1.00s", SECOND),
            ("1.004s", 1_004_000_000),
            ("1.0040s", 1_004_000_000),
            ("100.00100s", 100_001_000_000),
            ("10ns", 10),
            ("11us", 11_000),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("13ms", 13_000_000),
            ("14s", 14 * SECOND),
            ("15m", 15 * MINUTE),
            ("16h", 16 * HOUR),
            ("3h30m", 3 * HOUR + 30 * MINUTE),
            ("10.5s4m", 4 * MINUTE + 10_500_000_000),
            (
                "1h2m3s4ms5us6ns",
                HOUR + 2 * MINUTE + 3 * SECOND + 4_005_006,
            ),
            ("39h9m14.425s", 39 * HOUR + 9 * MINUTE + 14_425_000_000),
            ("52763797000ns", 52_763_797_000),
            ("0.3333333333333333333h", 20 * MINUTE),
            ("9007199254740993ns", 9_007_199_254_740_993),
            ("0.100000000000000000000h", 6 * MINUTE),
            (
                "0.830103483285477580700h",
                49 * MINUTE + 48 * SECOND + 372_539_827,
            ),
            ("1.5h", 90 * MINUTE),
            ("500ms", SECOND / 2),
            ("7d", 7 * 24 * HOUR),
            ("1d12h", 36 * HOUR),
            ("3650d", 3650 * 24 * HOUR),
        ];
        for (text, nanos) in table {
            assert_eq!(parse(text), Ok(Duration::from_nanos(*nanos)), "{text}");
        }
    }

    #[test]
    fn names_every_mistake() {
        use DurationError::{Empty, Negative, TooLong};
        let number = |rest: &str| DurationError::MissingNumber {
            rest: rest.to_owned(),
        };
        let unit = |number: &str| DurationError::MissingUnit {
            number: number.to_owned(),
        };
        let unknown = |unit: &str| DurationError::UnknownUnit {
            unit: unit.to_owned(),
        };
        let table = [
            ("", Empty),
            ("3", unit("3")),
            ("30", unit("30")),
            ("00", unit("00")),
            ("1.5", unit("1.5")),
            ("1h30", unit("30")),
            ("-", number("-")),
            ("+", number("+")),
            ("s", number("s")),
            (".", number(".")),
            ("-.", number(".")),
            (".s", number(".s")),
            ("+.s", number(".s")),
            (" ", number(" ")),
            ("--5s", number("-5s")),
            ("abc", number("abc")),
            ("-5s", Negative),
            ("-1.5h", Negative),
            ("1 s", unknown(" s")),
            ("1s ", unknown("s ")),
            ("1x", unknown("x")),
            ("1w", unknown("w")),
            ("5S", unknown("S")),
            ("1\u{85}\u{85}", unknown("\\u{85}\\u{85}")),
            ("3650d1ns", TooLong),
            ("3000000h", TooLong),
            ("9223372036854775810ns", TooLong),
            ("99999999999999999999999s", TooLong),
            ("18446744073709551615d", TooLong),
        ];
        for (text, error) in table {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn writes_the_shortest_form() {
        let table: &[(u64, &str)] = &[
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1us"),
            (2_200_000, "2.2ms"),
            (500_000_000, "500ms"),
            (SECOND, "1s"),
            (3_300_000_000, "3.3s"),
            (90 * SECOND, "1m30s"),
            (5 * MINUTE, "5m"),
            (HOUR + SECOND, "1h1s"),
            (5 * MINUTE + 5_001_000_000, "5m5.001s"),
            (36 * HOUR, "36h"),
            (7 * 24 * HOUR, "7d"),
            (SECOND + 1, "1.000000001s"),
        ];
        for (nanos, text) in table {
            assert_eq!(format(Duration::from_nanos(*nanos)), *text);
        }
        assert!(!format(Duration::MAX).is_empty());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0..=315_360_000_000_000_000u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn short_ones_read_back_too(nanos in 0..2_000_000_000u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", near in "[-+]?([0-9]{0,22}\\.?[0-9]{0,22}(ns|us|µs|ms|s|m|h|d|x)?){0,4}") {
            let _ = parse(&text);
            if let Ok(duration) = parse(&near) {
                prop_assert!(duration <= MAX);
            }
        }
    }
}
