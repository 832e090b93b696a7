//! Amounts as people read them: durations, grouped digits, bytes, times of day.

use crate::error::Problem;
use crate::value::Number;

/// The longest format of a time, in bytes.
const LONGEST_FORMAT: usize = 200;

/// Seconds as `1d2h3m4s`; below a second as `0s`.
pub(crate) fn duration(seconds: f64) -> String {
    let sign = if seconds <= -1.0 { "-" } else { "" };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; saturates"
    )]
    let whole = seconds.abs() as u64;
    let parts = [
        (whole / 86_400, 'd'),
        (whole / 3_600 % 24, 'h'),
        (whole / 60 % 60, 'm'),
        (whole % 60, 's'),
    ];
    let text = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .fold(String::new(), |text, (count, unit)| {
            format!("{text}{count}{unit}")
        });
    if text.is_empty() {
        return "0s".to_owned();
    }
    format!("{sign}{text}")
}

/// A number with a comma between thousands, rounded if digits are given.
pub(crate) fn grouped(number: Number, digits: Option<i128>) -> String {
    let text = match digits {
        None => number.to_string(),
        Some(digits) => {
            let digits = usize::try_from(digits.clamp(0, 30)).unwrap_or(0);
            format!("{:.digits$}", number.float())
        }
    };
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text.as_str()),
    };
    let whole = unsigned.find('.').unwrap_or(unsigned.len());
    let mut out = sign.to_owned();
    for (i, digit) in unsigned[..whole].chars().enumerate() {
        if i > 0 && (whole - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + &unsigned[whole..]
}

/// An amount of memory or disk: `512 B`, `1.5 GiB`.
pub(crate) fn bytes(amount: f64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut amount = amount;
    let mut unit = 0;
    // What would be rounded to 1024 of a unit is one of the next.
    while amount.abs() >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let text = format!("{amount:.1}");
    format!(
        "{} {}",
        text.strip_suffix(".0").unwrap_or(&text),
        UNITS[unit]
    )
}

/// A point in time, given in RFC 3339, as clocks at this offset from UTC show it.
pub(crate) fn time(text: &str, offset: &str, format: &str) -> Result<String, Problem> {
    let wrong = |expected: &str, found: &str| {
        let found: String = found.chars().take(60).collect();
        Problem::Value(format!("expected {expected}, found {found:?}"))
    };
    let time: jiff::Timestamp = text
        .trim()
        .parse()
        .map_err(|_| wrong("a time such as 2026-01-02T03:04:05Z", text))?;
    let offset = offset_seconds(offset)
        .and_then(|seconds| jiff::tz::Offset::from_seconds(seconds).ok())
        .ok_or_else(|| wrong("an offset such as +08:00", offset))?;
    // Each conversion may ask for a width, so that a text is much longer than its format.
    Some(format)
        .filter(|format| format.len() <= LONGEST_FORMAT)
        .and_then(|format| jiff::fmt::strtime::format(format, offset.to_datetime(time)).ok())
        .ok_or_else(|| wrong("a short format such as %Y-%m-%d %H:%M:%S", format))
}

/// `+08:00`, `-0330` or `Z` in seconds.
fn offset_seconds(text: &str) -> Option<i32> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_leave_out_what_is_zero() {
        for (seconds, want) in [
            (0.0, "0s"),
            (0.9, "0s"),
            (59.9, "59s"),
            (3723.0, "1h2m3s"),
            (7200.0, "2h"),
            (90_061.0, "1d1h1m1s"),
            (-90.0, "-1m30s"),
        ] {
            assert_eq!(duration(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, digits, want) in [
            (Number::Int(0), None, "0"),
            (Number::Int(999), None, "999"),
            (Number::Int(-1000), None, "-1,000"),
            (Number::Int(1_234_567), Some(2), "1,234,567.00"),
            (Number::Float(1_234_567.891), None, "1,234,567.891"),
            (Number::Float(1_234_567.891), Some(1), "1,234,567.9"),
            (Number::Float(-0.25), Some(1), "-0.2"),
            (Number::Float(1234.5), Some(-5), "1,234"),
        ] {
            assert_eq!(grouped(number, digits), want, "{number}");
        }
    }

    #[test]
    fn amounts_have_units() {
        for (amount, want) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1024.0, "1 KiB"),
            (1_610_612_736.0, "1.5 GiB"),
            (1_048_575.0, "1 MiB"),
            (-2048.0, "-2 KiB"),
            (1e20, "86.7 EiB"),
        ] {
            assert_eq!(bytes(amount), want);
        }
    }

    #[test]
    fn times_are_shown_at_an_offset() {
        let at = "2026-01-02T03:04:05Z";
        for (text, offset, format, want) in [
            (at, "+00:00", "%H:%M", Some("03:04")),
            (
                at,
                "+08:00",
                "%Y-%m-%d %H:%M:%S",
                Some("2026-01-02 11:04:05"),
            ),
            (at, "-0330", "%m/%d %H:%M", Some("01/01 23:34")),
            (at, "z", "%H", Some("03")),
            (at, "+24:00", "%H", None),
            (at, "Beijing", "%H", None),
            (at, "", "%H", None),
            (at, "+00:00", "%", None),
            ("soon", "+00:00", "%H", None),
        ] {
            assert_eq!(
                time(text, offset, format).ok().as_deref(),
                want,
                "{text} {offset} {format}"
            );
        }
    }
}
