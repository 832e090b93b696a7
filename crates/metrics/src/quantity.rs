//! Kubernetes quantities as numbers; enough precision for ratios.

/// The number that `text` stands for: `250m`, `3885656Ki`, `12e6`. Forms without digits, which the API accepts as zero,
/// are zero here, too.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let end = text
        .char_indices()
        .find(|(index, letter)| {
            !(letter.is_ascii_digit()
                || *letter == '.'
                || (*index == 0 && matches!(letter, '+' | '-')))
        })
        .map_or(text.len(), |(index, _)| index);
    let (number, suffix) = text.split_at(end);
    if text.is_empty() || number.matches('.').count() > 1 {
        return None;
    }
    let scale = scale(suffix)?;
    let digits = number.trim_start_matches(['+', '-']);
    if digits.is_empty() || digits == "." {
        return (digits.len() == number.len()).then_some(0.0);
    }
    let value = number.parse::<f64>().ok()? * scale;
    value.is_finite().then_some(value)
}

fn scale(suffix: &str) -> Option<f64> {
    let scale = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => f64::from(1 << 10),
        "Mi" => f64::from(1 << 20),
        "Gi" => f64::from(1 << 30),
        "Ti" => f64::from(1 << 10) * f64::from(1 << 30),
        "Pi" => f64::from(1 << 20) * f64::from(1 << 30),
        "Ei" => f64::from(1 << 30) * f64::from(1 << 30),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            10_f64.powi(exponent.parse().ok()?)
        }
    };
    Some(scale)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_are_read_as_the_api_server_reads_them() {
        let table = [
            ("0", 0.0),
            ("100m", 0.1),
            ("1.5", 1.5),
            ("250000000n", 0.25),
            ("123456789n", 0.123_456_789),
            ("87654u", 0.087_654),
            ("12e6", 12e6),
            ("1E", 1e18),
            ("1E3", 1000.0),
            ("1E+2", 100.0),
            ("1e-3", 0.001),
            ("1k", 1000.0),
            ("0.5Ki", 512.0),
            ("1.5Gi", 1_610_612_736.0),
            ("123Mi", 128_974_848.0),
            ("3885656Ki", 3_978_911_744.0),
            ("-1.5Gi", -1_610_612_736.0),
            ("+5", 5.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("5.m", 0.005),
            ("001", 1.0),
            (".", 0.0),
            ("m", 0.0),
            ("Ki", 0.0),
        ];
        for (text, expected) in table {
            let found = parse(text).unwrap_or_else(|| panic!("{text} was refused"));
            let error = (found - expected).abs();
            assert!(error <= expected.abs() * 1e-12, "{text}: {found}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "", " 1", "1 ", "1 Gi", "1K", "1ki", "1MB", "1B", "1e", "1e+", "1e1.5", "1.2.3", "1,5",
            "0x10", "NaN", "1_000", "--1", "+-1", "1Em", "1i", "1mm", "3Gi3", "1µ", "1e999", "+",
            "inf",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
