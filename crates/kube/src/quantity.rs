//! Kubernetes quantities as exact numbers.
//!
//! The grammar is that of the API server's own parser: sign, decimal digits, then a decimal suffix, a binary one
//! or an exponent. Finer than a billionth is rounded away from zero; beyond 2^63−1 saturates.

use std::fmt;

const NANOS: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * NANOS;
/// 10^37 still fits 128 bits, with room for the carry of the rounding.
const MAX_DIGITS: usize = 37;
/// Fraction digits of a binary quantity; the next one of `Ei` would be less than a byte.
const MAX_BINARY_FRACTION: usize = 18;

/// An amount in billionths of its unit (cores, bytes, pods).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Quantity {
    nanos: i128,
}

/// Text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a quantity such as 250m, 1.5 or 512Mi, found {text:?}")]
pub struct QuantityError {
    text: String,
}

impl Quantity {
    /// Reads what the API server sent: a number without digits, as in `m`, is 0 there.
    pub fn from_api(text: &str) -> Result<Self, QuantityError> {
        parse(text).ok_or_else(|| QuantityError {
            text: text.to_owned(),
        })
    }

    /// Reads what a person wrote: a number needs a digit.
    pub fn from_user(text: &str) -> Result<Self, QuantityError> {
        let number = text.strip_prefix(['+', '-']).unwrap_or(text);
        let number = number.strip_prefix('.').unwrap_or(number);
        if number.starts_with(|c: char| c.is_ascii_digit()) {
            return Self::from_api(text);
        }
        Err(QuantityError {
            text: text.to_owned(),
        })
    }

    /// Reads a JSON value: text, or a bare number as in `"cpu": 4`.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, QuantityError> {
        value
            .as_str()
            .map_or_else(|| Self::from_api(&value.to_string()), Self::from_api)
    }

    /// The amount in billionths.
    pub fn nanos(self) -> i128 {
        self.nanos
    }

    /// The amount for ratios.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio needs no more than 53 bits"
    )]
    pub fn as_f64(self) -> f64 {
        // Taken apart first: the billionths of a large node's memory alone exceed 53 bits.
        let (whole, rest) = (self.nanos / NANOS, self.nanos % NANOS);
        whole as f64 + rest as f64 / 1e9
    }

    /// The amount in whole units, rounded away from zero.
    pub fn value(self) -> i64 {
        self.rounded_to(NANOS)
    }

    /// The amount in thousandths, rounded away from zero.
    pub fn milli_value(self) -> i64 {
        self.rounded_to(NANOS / 1000)
    }

    fn rounded_to(self, unit: i128) -> i64 {
        let away = (self.nanos % unit).signum();
        let rounded = self.nanos / unit + away;
        i64::try_from(rounded).unwrap_or(if away < 0 || rounded < 0 {
            i64::MIN
        } else {
            i64::MAX
        })
    }
}

impl std::str::FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::from_user(text)
    }
}

impl fmt::Display for Quantity {
    /// Plain decimal, as in `0.25`; itself a quantity.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let nanos = self.nanos.unsigned_abs();
        let unit = NANOS.unsigned_abs();
        let fraction = format!("{:09}", nanos % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(formatter, "{sign}{}{point}{fraction}", nanos / unit)
    }
}

enum Scale {
    PowerOfTen(i64),
    PowerOfTwo(u32),
}

fn parse(text: &str) -> Option<Quantity> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, rest) = split_digits(unsigned);
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), split_digits);
    if unsigned.is_empty() {
        return None;
    }
    let nanos = match scale(suffix)? {
        Scale::PowerOfTen(power) => decimal_nanos(whole, fraction, power),
        Scale::PowerOfTwo(bits) => binary_nanos(whole, fraction, bits),
    };
    let nanos = nanos.filter(|nanos| *nanos <= MAX).unwrap_or(MAX);
    Some(Quantity {
        nanos: if negative { -nanos } else { nanos },
    })
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn scale(suffix: &str) -> Option<Scale> {
    let power = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        "Ki" => return Some(Scale::PowerOfTwo(10)),
        "Mi" => return Some(Scale::PowerOfTwo(20)),
        "Gi" => return Some(Scale::PowerOfTwo(30)),
        "Ti" => return Some(Scale::PowerOfTwo(40)),
        "Pi" => return Some(Scale::PowerOfTwo(50)),
        "Ei" => return Some(Scale::PowerOfTwo(60)),
        _ => exponent(suffix)?,
    };
    Some(Scale::PowerOfTen(power))
}

fn exponent(suffix: &str) -> Option<i64> {
    let number = suffix.strip_prefix(['e', 'E'])?;
    // Rust, like Go, takes one sign here and wants a digit after it.
    number.parse::<i32>().ok().map(i64::from)
}

/// `None` is more than 128 bits hold.
fn decimal_nanos(whole: &str, fraction: &str, power: i64) -> Option<i128> {
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let shift = power + 9 - i64::try_from(fraction.len()).ok()?;
    if shift >= 0 {
        let zeros = usize::try_from(shift).ok()?;
        if digits.len().checked_add(zeros)? > MAX_DIGITS {
            return None;
        }
        return Some(number(digits) * 10_i128.pow(u32::try_from(zeros).ok()?));
    }
    let cut = usize::try_from(-shift).unwrap_or(usize::MAX);
    let kept = &digits[..digits.len().saturating_sub(cut)];
    if kept.len() > MAX_DIGITS {
        return None;
    }
    let dropped = digits[kept.len()..].bytes().any(|digit| digit != b'0');
    Some(number(kept) + i128::from(dropped))
}

/// `None` is more than 128 bits hold.
fn binary_nanos(whole: &str, fraction: &str, bits: u32) -> Option<i128> {
    let whole = whole.trim_start_matches('0');
    if whole.len() > MAX_DIGITS {
        return None;
    }
    let factor = 1_i128 << bits;
    let whole = number(whole).checked_mul(factor)?.checked_mul(NANOS)?;
    let (near, far) = fraction.split_at(fraction.len().min(MAX_BINARY_FRACTION));
    let divisor = 10_i128.pow(u32::try_from(near.len()).ok()?);
    let product = number(near) * factor;
    let rest = product % divisor * NANOS;
    let rounded_up = rest % divisor != 0 || far.bytes().any(|digit| digit != b'0');
    let fraction = product / divisor * NANOS + rest / divisor + i128::from(rounded_up);
    whole.checked_add(fraction)
}

/// At most [`MAX_DIGITS`] digits.
fn number(digits: &str) -> i128 {
    digits
        .bytes()
        .fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_VALUE: i128 = 9_223_372_036_854_775_807;

    #[test]
    fn vectors_of_the_real_parser() {
        let table: &[(&str, i128)] = &[
            ("0", 0),
            ("100m", 100_000_000),
            ("1.5", 1_500_000_000),
            ("250000000n", 250_000_000),
            ("123456789n", 123_456_789),
            ("87654u", 87_654_000),
            ("12e6", 12_000_000 * NANOS),
            ("1E", 1_000_000_000_000_000_000 * NANOS),
            ("1E3", 1000 * NANOS),
            ("1E+2", 100 * NANOS),
            ("1e-3", 1_000_000),
            ("1k", 1000 * NANOS),
            ("0.5Ki", 512 * NANOS),
            ("1.5Gi", 1_610_612_736 * NANOS),
            ("123Mi", 128_974_848 * NANOS),
            ("3885656Ki", 3_978_911_744 * NANOS),
            ("-1.5Gi", -1_610_612_736 * NANOS),
            ("+5", 5 * NANOS),
            (".5", 500_000_000),
            ("5.", 5 * NANOS),
            ("5.m", 5_000_000),
            ("001", NANOS),
            ("0.1n", 1),
            ("1.1n", 2),
            ("-1.1n", -2),
            ("0.1m", 100_000),
            ("1Ei", 1_152_921_504_606_846_976 * NANOS),
            ("8Ei", MAX_VALUE * NANOS),
            ("16Ei", MAX_VALUE * NANOS),
            ("1e30", MAX_VALUE * NANOS),
            ("-1e30", -MAX_VALUE * NANOS),
            ("1e2147483647", MAX_VALUE * NANOS),
            ("1e-2147483648", 1),
            ("0e99", 0),
            (
                "99999999999999999999999999999999999999999999Ki",
                MAX_VALUE * NANOS,
            ),
            ("0.0000000000000000000000001Ei", 1),
        ];
        for (text, nanos) in table {
            assert_eq!(
                Quantity::from_api(text).map(Quantity::nanos),
                Ok(*nanos),
                "{text}"
            );
            assert_eq!(
                Quantity::from_user(text).map(Quantity::nanos),
                Ok(*nanos),
                "{text}"
            );
        }
    }

    #[test]
    fn what_the_real_parser_refuses_is_an_error() {
        for text in [
            "",
            " 1",
            "1 ",
            "1 Gi",
            "1K",
            "1ki",
            "1mi",
            "1MI",
            "1MB",
            "1B",
            "1e",
            "1e+",
            "e",
            "1e1.5",
            "1.2.3",
            "1,5",
            "0x10",
            "NaN",
            "1_000",
            "--1",
            "+-1",
            "1Em",
            "1i",
            "1mm",
            "3Gi3",
            "1µ",
            "1e--1",
            "+",
            "-",
            "½",
            "1e99999999999",
        ] {
            let error = Quantity::from_api(text).map(|_| ()).err();
            assert!(
                error.is_some_and(|error| error.to_string().contains(&format!("{text:?}"))),
                "{text:?}"
            );
            assert!(Quantity::from_user(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_digits_are_zero_from_the_server_and_an_error_from_people() {
        for text in [".", "m", ".m", "Ki", "E", "e3", "-m"] {
            assert_eq!(Quantity::from_api(text), Ok(Quantity::default()), "{text}");
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn conversions_round_away_from_zero() {
        let table = [
            ("1.5", 2, 1500, 1.5, "1.5"),
            ("-1.5", -2, -1500, -1.5, "-1.5"),
            ("123456789n", 1, 124, 0.123_456_789, "0.123456789"),
            (
                "1.5Gi",
                1_610_612_736,
                1_610_612_736_000,
                1_610_612_736.0,
                "1610612736",
            ),
            (
                "8Ei",
                i64::MAX,
                i64::MAX,
                9_223_372_036_854_775_807.0,
                "9223372036854775807",
            ),
            (
                "-8Ei",
                -i64::MAX,
                i64::MIN,
                -9_223_372_036_854_775_807.0,
                "-9223372036854775807",
            ),
        ];
        for (text, value, milli, float, shown) in table {
            let quantity = Quantity::from_api(text).unwrap();
            assert_eq!(quantity.value(), value, "{text}");
            assert_eq!(quantity.milli_value(), milli, "{text}");
            assert!((quantity.as_f64() - float).abs() < f64::EPSILON, "{text}");
            assert_eq!(quantity.to_string(), shown);
            assert_eq!(shown.parse(), Ok(quantity));
        }
    }

    #[test]
    fn json_may_hold_a_bare_number() {
        let table = [
            ("4", 4 * NANOS),
            ("\"250m\"", 250_000_000),
            ("1.5", 1_500_000_000),
        ];
        for (json, nanos) in table {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(Quantity::from_json(&value).unwrap().nanos(), nanos);
        }
        assert!(Quantity::from_json(&serde_json::Value::Null).is_err());
        assert!(Quantity::from_json(&serde_json::json!([1])).is_err());
    }
}
