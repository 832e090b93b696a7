//! Readings over time in the notation of promtool's rule tests.
//!
//! `40` is one sample; `40+5x12` is 40, 45 and eleven more; `95x3` is 95 and three more; `_` and `_x3` are missing
//! samples; `stale` is one that is too old; `NaN` and `Inf` are what they say. The last item lasts until the end.

use std::time::Duration;

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sample {
    Value(f64),
    Missing,
    Stale,
}

/// Readings in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    samples: Vec<Sample>,
}

/// More samples than a scenario can need.
const MOST_SAMPLES: usize = 1_000_000;

const FORMS: &str = "40, 40+5x12, 40-5x12, 95x3, _, _x3, stale, NaN or Inf";

impl Series {
    /// Reads items separated by spaces; the error names the item.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut samples = Vec::new();
        for word in text.split_whitespace() {
            item(word, &mut samples)
                .ok_or_else(|| format!("expected items such as {FORMS}, found {word:?}"))?;
            if samples.len() > MOST_SAMPLES {
                return Err(format!(
                    "expected at most {MOST_SAMPLES} samples, {word:?} makes more"
                ));
            }
        }
        if samples.is_empty() {
            return Err(format!("expected items such as {FORMS}, found none"));
        }
        Ok(Self { samples })
    }

    /// The sample at a position; the last one lasts.
    pub(crate) fn at(&self, position: usize) -> Sample {
        self.samples
            .get(position)
            .or(self.samples.last())
            .copied()
            .unwrap_or(Sample::Missing)
    }
}

fn item(word: &str, samples: &mut Vec<Sample>) -> Option<()> {
    let (what, more) = match word.rsplit_once('x') {
        Some((what, more)) => (what, more.parse::<usize>().ok()?),
        None => (word, 0),
    };
    if more > MOST_SAMPLES {
        samples.resize(MOST_SAMPLES + 1, Sample::Missing);
        return Some(());
    }
    match what {
        // As in promtool, `_x3` is three missing samples, whereas `1x3` is one and three more.
        "_" => samples.resize(samples.len() + more.max(1), Sample::Missing),
        "stale" => samples.resize(samples.len() + more + 1, Sample::Stale),
        _ => {
            let (start, step) = start_and_step(what)?;
            if step.is_some() && !word.contains('x') {
                return None;
            }
            let mut value = start;
            for _ in 0..=more {
                samples.push(Sample::Value(value));
                value += step.unwrap_or_default();
            }
        }
    }
    Some(())
}

/// `40+5` is 40 and 5; the sign of an exponent is no step.
fn start_and_step(text: &str) -> Option<(f64, Option<f64>)> {
    let bytes = text.as_bytes();
    let sign = (1..bytes.len())
        .find(|at| matches!(bytes[*at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E'));
    match sign {
        Some(at) => Some((text[..at].parse().ok()?, Some(text[at..].parse().ok()?))),
        None => Some((text.parse().ok()?, None)),
    }
}

/// The readings of all nodes.
#[derive(Clone, Debug)]
pub(crate) struct AllSeries {
    /// The time between two samples.
    pub(crate) step: Duration,
    /// By metric: node patterns and their readings.
    pub(crate) metrics: Vec<(String, Vec<(String, Series)>)>,
}

impl Default for AllSeries {
    fn default() -> Self {
        Self {
            step: Duration::from_secs(30),
            metrics: Vec::new(),
        }
    }
}

impl AllSeries {
    /// The readings of a node: a name wins over a pattern, and a longer pattern over a shorter one.
    pub(crate) fn of(&self, metric: &str, node: &str) -> Option<&Series> {
        let (_, patterns) = self.metrics.iter().find(|(name, _)| name == metric)?;
        patterns
            .iter()
            .filter(|(pattern, _)| matches(pattern, node))
            .max_by_key(|(pattern, _)| (pattern == node, pattern.len()))
            .map(|(_, series)| series)
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_is_promtools() {
        use Sample::{Missing, Stale, Value};
        let table: [(&str, &[Sample]); 9] = [
            ("40", &[Value(40.0)]),
            ("40+5x2", &[Value(40.0), Value(45.0), Value(50.0)]),
            ("40-5x1", &[Value(40.0), Value(35.0)]),
            ("-2+1x1", &[Value(-2.0), Value(-1.0)]),
            ("95x2", &[Value(95.0), Value(95.0), Value(95.0)]),
            ("_ _x2 1", &[Missing, Missing, Missing, Value(1.0)]),
            ("stale 1e-2", &[Stale, Value(0.01)]),
            ("Inf", &[Value(f64::INFINITY)]),
            ("1+1e1x1", &[Value(1.0), Value(11.0)]),
        ];
        for (text, expected) in table {
            assert_eq!(Series::parse(text).unwrap().samples, expected, "{text}");
        }
        assert!(matches!(Series::parse("NaN").unwrap().at(7), Value(value) if value.is_nan()));
        assert_eq!(Series::parse("1 2").unwrap().at(9), Value(2.0));
    }

    #[test]
    fn broken_items_are_named() {
        for word in ["4o", "40+5", "x3", "40x", "40xx3", "1+x2", "--1", "40x-1"] {
            let error = Series::parse(&format!("1 {word} 2")).unwrap_err();
            assert!(error.contains(&format!("found {word:?}")), "{error}");
        }
        assert!(Series::parse("  ").is_err());
        assert!(Series::parse("1x99999999999").is_err());
    }

    #[test]
    fn patterns_match_whole_names() {
        let table = [
            ("*", "node-1", true),
            ("node-*", "node-1", true),
            ("node-*", "nod", false),
            ("*-1", "node-1", true),
            ("n*e*1", "node-1", true),
            ("n*e*2", "node-1", false),
            ("node-1", "node-12", false),
            ("a*a", "a", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn names_win_over_patterns() {
        let series = |text| Series::parse(text).unwrap();
        let all = AllSeries {
            metrics: vec![(
                "cpu".into(),
                vec![
                    ("n-1".into(), series("3")),
                    ("*".into(), series("1")),
                    ("n-*".into(), series("2")),
                ],
            )],
            ..AllSeries::default()
        };
        for (node, expected) in [("n-1", 3.0), ("n-2", 2.0), ("m", 1.0)] {
            assert_eq!(all.of("cpu", node).unwrap().at(0), Sample::Value(expected));
        }
        assert!(all.of("memory", "m").is_none());
    }
}
