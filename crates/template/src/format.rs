//! Text forms: `printf`, rounding, durations, HTML.

use crate::error::Problem;
use crate::limits;
use crate::value::{Number, Val, View};

/// Widest field and most digits that `printf` accepts; longest format of a time.
const WIDTH: usize = 200;

/// One `%…` of a format.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are the flags of printf"
)]
struct Verb {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

/// Formats as Go's `Sprintf` and Python's `%` do where they agree.
pub(crate) fn printf(format: &str, arguments: &[Val<'_>]) -> Result<String, Problem> {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some(i) = rest.find('%') {
        out.push_str(&rest[..i]);
        if let Some(behind) = rest[i + 1..].strip_prefix('%') {
            out.push('%');
            rest = behind;
            continue;
        }
        let (verb, behind) = verb(&rest[i + 1..]).ok_or_else(|| {
            Problem::Value(format!(
                "bad format {format:?}: expected a verb such as %s, %d or %.1f behind %"
            ))
        })?;
        rest = behind;
        let argument = arguments
            .next()
            .ok_or_else(|| Problem::Value(format!("the format {format:?} needs more values")))?;
        out.push_str(&verb.apply(argument)?);
        if out.len() > limits::OUTPUT_BYTES {
            return Err(Problem::OutputTooLarge);
        }
    }
    out.push_str(rest);
    if arguments.next().is_some() {
        return Err(Problem::Value(format!(
            "the format {format:?} needs fewer values"
        )));
    }
    Ok(out)
}

fn verb(text: &str) -> Option<(Verb, &str)> {
    let mut verb = Verb::default();
    let behind_flags = text.trim_start_matches(|c| match c {
        '-' => {
            verb.left = true;
            true
        }
        '0' => {
            verb.zero = true;
            true
        }
        '+' => {
            verb.plus = true;
            true
        }
        ' ' => {
            verb.blank = true;
            true
        }
        '#' => true,
        _ => false,
    });
    let (width, mut rest) = digits(behind_flags)?;
    verb.width = width.unwrap_or(0);
    if let Some(behind) = rest.strip_prefix('.') {
        let (precision, behind) = digits(behind)?;
        verb.precision = Some(precision.unwrap_or(0));
        rest = behind;
    }
    verb.letter = rest.chars().next()?;
    let known = "svdifFgGqrtxXeEc".contains(verb.letter);
    known.then(|| (verb, &rest[1..]))
}

fn digits(text: &str) -> Option<(Option<usize>, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    if end == 0 {
        return Some((None, text));
    }
    let number = text[..end].parse().ok().filter(|n| *n <= WIDTH)?;
    Some((Some(number), &text[end..]))
}

impl Verb {
    fn apply(&self, value: &Val<'_>) -> Result<String, Problem> {
        if value.is_nothing() {
            return Ok(self.pad(String::new(), false));
        }
        let text = value.print(limits::OUTPUT_BYTES);
        match self.letter {
            's' | 'v' | 't' => Ok(self.pad(self.cut(text), false)),
            'q' | 'r' => Ok(self.pad(format!("{:?}", self.cut(text)), false)),
            'c' => Ok(self.pad(text.chars().take(1).collect(), false)),
            _ => self.number(value),
        }
    }

    fn number(&self, value: &Val<'_>) -> Result<String, Problem> {
        let number = value.number().ok_or_else(|| {
            let (letter, kind) = (self.letter, value.kind());
            Problem::Value(format!("%{letter} needs a number, found {kind}"))
        })?;
        let text = match self.letter {
            'd' | 'i' => number.int().to_string(),
            'x' => sign_and(number.int(), |n| format!("{n:x}")),
            'X' => sign_and(number.int(), |n| format!("{n:X}")),
            'f' | 'F' => format!("{:.*}", self.precision.unwrap_or(6), number.float()),
            'e' | 'E' => format!("{:.*e}", self.precision.unwrap_or(6), number.float()),
            _ => number.to_string(),
        };
        let sign = match (text.starts_with('-'), self.plus, self.blank) {
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        Ok(self.pad(format!("{sign}{text}"), true))
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        }
    }

    fn pad(&self, text: String, number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.left {
            return text + &" ".repeat(missing);
        }
        if self.zero && number {
            let digits = text.trim_start_matches(['-', '+', ' ']);
            let sign = &text[..text.len() - digits.len()];
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}

fn sign_and(number: i128, digits: impl Fn(u128) -> String) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", digits(number.unsigned_abs()))
}

/// Rounds like Python: on the exact binary value, ties to even.
pub(crate) fn round(value: f64, digits: i128, method: &str) -> Option<f64> {
    let digits = i32::try_from(digits.clamp(-30, 30)).unwrap_or(0);
    let scale = 10_f64.powi(digits);
    let scaled = value * scale;
    match method {
        // What is out of range has no fraction to round.
        _ if !scaled.is_finite() => Some(value),
        "common" if digits >= 0 => {
            let digits = usize::try_from(digits).unwrap_or(0);
            format!("{value:.digits$}").parse().ok()
        }
        "common" => Some(scaled.round_ties_even() / scale),
        "floor" => Some(scaled.floor() / scale),
        "ceil" => Some(scaled.ceil() / scale),
        _ => None,
    }
}

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
        .filter(|format| format.len() <= WIDTH)
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

/// Which characters are replaced in HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Html {
    /// Asked for in the template: the five that Go and Jinja replace.
    Asked,
    /// Whole output: also back-quote and `=`, so that a value is safe in an unquoted attribute.
    Automatic,
}

pub(crate) fn escape(text: &str, html: Html) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '`' if html == Html::Automatic => out.push_str("&#96;"),
            '=' if html == Html::Automatic => out.push_str("&#61;"),
            other => out.push(other),
        }
    }
    out
}

/// Upper case at the start of every word; the rest in lower case.
pub(crate) fn title(text: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '\'';
    }
    out
}

/// Upper case at the start, lower case behind it.
pub(crate) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.flat_map(char::to_lowercase)).collect()
}

/// Cuts like Jinja: at a word, with `end` behind, and not for a few characters.
pub(crate) fn truncate(
    text: &str,
    length: usize,
    at_word: bool,
    end: &str,
    leeway: usize,
) -> String {
    if text.chars().count() <= length.saturating_add(leeway) {
        return text.to_owned();
    }
    let kept = length.saturating_sub(end.chars().count());
    let cut: String = text.chars().take(kept).collect();
    let cut = match cut.rsplit_once(' ') {
        Some((words, _)) if at_word => words,
        _ => &cut,
    };
    format!("{cut}{end}")
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Percent encoding for a part of a URL.
pub(crate) fn url_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
        }
    }
    out
}

/// JSON of a value, compact.
pub(crate) fn json(value: &Val<'_>) -> String {
    let mut out = String::new();
    write_json(value, &mut out, 32);
    out
}

fn write_json(value: &Val<'_>, out: &mut String, depth: usize) {
    match value.view() {
        View::List(items) if matches!(value, Val::List(_)) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if out.len() > limits::OUTPUT_BYTES || depth == 0 {
                    return;
                }
                out.push_str(if i > 0 { "," } else { "" });
                write_json(&item, out, depth - 1);
            }
            out.push(']');
        }
        View::Text(text) => out.push_str(&serde_json::Value::from(text).to_string()),
        View::Missing | View::Null => out.push_str("null"),
        _ => match value {
            Val::Data(data) => out.push_str(&data.to_string()),
            other => out.push_str(&other.print(limits::OUTPUT_BYTES)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Number;

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

    #[test]
    fn rounding_is_that_of_python() {
        for (value, digits, method, want) in [
            (2.5, 0, "common", Some(2.0)),
            (2.675, 2, "common", Some(2.67)),
            (1234.0, -2, "common", Some(1200.0)),
            (91.256, 1, "floor", Some(91.2)),
            (91.256, 1, "ceil", Some(91.3)),
            (1e300, 30, "ceil", Some(1e300)),
            (1.0, 0, "up", None),
        ] {
            assert_eq!(
                round(value, digits, method),
                want,
                "{value} {digits} {method}"
            );
        }
    }

    #[test]
    fn formats_follow_go_and_python() {
        let float = |float| Val::Number(Number::Float(float));
        for (format, value, want) in [
            ("%8.2f|", float(1.005), "    1.00|"),
            ("%-8.1f|", float(1.25), "1.2     |"),
            ("%08.1f", float(-1.25), "-00001.2"),
            ("% d", float(7.9), " 7"),
            ("%v", float(12_345_678.0), "12345678"),
            ("%q", Val::text("a\"b"), "\"a\\\"b\""),
            ("%.2s", Val::text("éüx"), "éü"),
            ("%X", float(255.0), "FF"),
            ("[%s]", Val::Missing, "[]"),
            ("%d", Val::text("42"), "42"),
        ] {
            assert_eq!(printf(format, &[value]), Ok(want.to_owned()), "{format}");
        }
        for format in ["%", "%y", "%999d", "%.999f", "%s", "%é"] {
            assert!(printf(format, &[]).is_err(), "{format}");
        }
        assert!(printf("no verb", &[Val::Bool(true)]).is_err());
    }

    #[test]
    fn texts_change_case_and_length() {
        assert_eq!(title("disk FULL, node-1's"), "Disk Full, Node-1's");
        assert_eq!(capitalize("éTÉ"), "Été");
        assert_eq!(truncate("abc def ghi jkl", 9, true, "...", 5), "abc...");
        assert_eq!(truncate("abc def ghi jkl", 9, false, "", 0), "abc def g");
        assert_eq!(truncate("abc", 1, true, "...", 5), "abc");
        assert_eq!(url_encode("a b/é"), "a%20b%2F%C3%A9");
    }
}
