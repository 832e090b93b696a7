//! Numbers, times and forecasts in words.

use std::time::Duration;

use ng_engine::time::Time;

use crate::model::{Arrival, Language, Measure, NoForecast, Outlook};
use crate::words::Word;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// From here on a value is told by its power of ten; no real one gets there.
const HUGE: f64 = 1e4;

/// A value in the unit of its measure.
pub(crate) fn value(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Load => decimal(value),
        Measure::Cpu | Measure::Memory | Measure::Disk | Measure::Inodes | Measure::Pods => {
            percent(value)
        }
    }
}

/// Rounded, but 100 only when nothing is left.
fn percent(value: f64) -> String {
    if value.abs() >= HUGE {
        format!("{value:.0e}%")
    } else if (99.0..100.0).contains(&value) {
        "99%".to_owned()
    } else {
        format!("{:.0}%", value.round() + 0.0)
    }
}

/// Two figures that count.
fn decimal(value: f64) -> String {
    if value.abs() >= HUGE {
        format!("{value:.0e}")
    } else if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}

/// A number with its thousands apart.
pub(crate) fn number(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many nodes.
pub(crate) fn nodes(count: usize, language: Language) -> String {
    match count {
        1 => Word::OneNode.say(language).to_owned(),
        many => Word::Nodes.with(language, &[&number(many)]),
    }
}

/// How words for units are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Units {
    /// `6 h`
    Spaced,
    /// `6h`
    Tight,
}

/// A span in one unit, rounded.
pub(crate) fn about(span: Duration, units: Units, language: Language) -> String {
    let seconds = span.as_secs();
    let rounded = |unit: u64| (seconds + unit / 2) / unit;
    let (spaced, tight, count) = if seconds < 90 {
        (Word::Seconds, Word::SecondsShort, seconds)
    } else if rounded(MINUTE) < 90 {
        (Word::Minutes, Word::MinutesShort, rounded(MINUTE))
    } else if rounded(HOUR) < 48 {
        (Word::Hours, Word::HoursShort, rounded(HOUR))
    } else {
        (Word::Days, Word::DaysShort, rounded(DAY))
    };
    let word = match units {
        Units::Spaced => spaced,
        Units::Tight => tight,
    };
    word.with(language, &[&count.to_string()])
}

/// A span in up to two units, rounded down.
pub(crate) fn exactly(span: Duration, language: Language) -> String {
    let seconds = span.as_secs();
    let (whole, of, part, per) = if seconds < HOUR {
        return about(span, Units::Spaced, language);
    } else if seconds < DAY {
        (HOUR, Word::Hours, Word::Minutes, MINUTE)
    } else {
        (DAY, Word::Days, Word::Hours, HOUR)
    };
    let first = of.with(language, &[&(seconds / whole).to_string()]);
    match seconds % whole / per {
        0 => first,
        rest => format!("{first} {}", part.with(language, &[&rest.to_string()])),
    }
}

/// `2026-01-02 03:04`, UTC.
pub(crate) fn minute(time: Time) -> String {
    let text = time.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(clock)) => format!("{date} {clock}"),
        _ => text,
    }
}

/// The time as short as it can be told at `now`: the clock, with the date if that is another.
pub(crate) fn near(time: Time, now: Time) -> String {
    let (text, today) = (minute(time), minute(now));
    match (text.get(..11), text.get(5..), text.get(11..)) {
        (Some(date), _, Some(clock)) if today.starts_with(date) => clock.to_owned(),
        (_, Some(rest), _) => rest.to_owned(),
        _ => text,
    }
}

/// The outlook as a sentence without full stop: "full in 6 h (4 h to 11 h), confidence 0.8", or why there is none.
pub(crate) fn outlook(outlook: Outlook, measure: Measure, at: (Time, Language)) -> String {
    match outlook {
        Outlook::Reaches(arrival) => forecast(&arrival, measure, at),
        Outlook::None(reason) => no_forecast(reason, at.1),
    }
}

/// "full in 6 h (4 h to 11 h), confidence 0.8".
pub(crate) fn forecast(
    arrival: &Arrival,
    measure: Measure,
    (now, language): (Time, Language),
) -> String {
    let after = |time: Time| about(time.since(now), Units::Spaced, language);
    let limit = value(measure, arrival.limit);
    let full = measure != Measure::Load && arrival.limit >= 100.0;
    if arrival.at <= now {
        return if full {
            Word::FullNow.say(language).to_owned()
        } else {
            Word::ReachedNow.with(language, &[&limit])
        };
    }
    let likely = after(arrival.at);
    let point = if full {
        Word::FullIn.with(language, &[&likely])
    } else {
        Word::ReachesIn.with(language, &[&limit, &likely])
    };
    let earliest = after(arrival.earliest);
    let range = match arrival.latest {
        Some(latest) => Word::Range.with(language, &[&earliest, &after(latest)]),
        None => Word::OpenRange.with(language, &[&earliest]),
    };
    let both = Word::InBrackets.with(language, &[&point, &range]);
    let confidence = Some(arrival.confidence).filter(|confidence| !confidence.is_nan());
    let confidence = confidence.map_or(0.0, |confidence| confidence.clamp(0.0, 1.0));
    Word::Confidence.with(language, &[&both, &format!("{confidence:.1}")])
}

fn no_forecast(reason: NoForecast, language: Language) -> String {
    let why = match reason {
        NoForecast::Beyond(span) => {
            Word::Beyond.with(language, &[&about(span, Units::Spaced, language)])
        }
        other => Word::from(other).say(language).to_owned(),
    };
    Word::NoForecast.with(language, &[&why])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_767_323_045_678);

    fn after(hours: u64) -> Time {
        NOW.plus(Duration::from_hours(hours))
    }

    #[test]
    fn a_forecast_says_when_how_sure_and_how_wide() {
        let mut arrival = Arrival {
            limit: 100.0,
            at: after(6),
            earliest: after(4),
            latest: Some(after(11)),
            confidence: 0.81,
        };
        let say = |arrival: &Arrival, language| forecast(arrival, Measure::Disk, (NOW, language));
        assert_eq!(
            say(&arrival, Language::English),
            "full in 6 h (4 h to 11 h), confidence 0.8"
        );
        assert_eq!(
            say(&arrival, Language::Chinese),
            "6 小时后用满（4 小时到 11 小时），置信度 0.8"
        );
        arrival.latest = None;
        arrival.limit = 90.0;
        assert_eq!(
            say(&arrival, Language::English),
            "at 90% in 6 h (4 h or later, perhaps never), confidence 0.8"
        );
        arrival.at = NOW;
        assert_eq!(say(&arrival, Language::English), "at 90% now");
    }

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        let cases = [
            (0, "0 s", "0 s"),
            (89, "89 s", "89 s"),
            (90, "2 min", "2 min"),
            (3_599, "60 min", "60 min"),
            (7_800, "2 h", "2 h 10 min"),
            (86_400, "24 h", "1 d"),
            (183_600, "2 d", "2 d 3 h"),
        ];
        for (seconds, rough, exact) in cases {
            let span = Duration::from_secs(seconds);
            assert_eq!(about(span, Units::Spaced, Language::English), rough);
            assert_eq!(exactly(span, Language::English), exact);
        }
    }

    #[test]
    fn numbers_are_rounded_but_never_to_full() {
        assert_eq!(value(Measure::Disk, 99.7), "99%");
        assert_eq!(value(Measure::Disk, 100.0), "100%");
        assert_eq!(value(Measure::Disk, -0.2), "0%");
        assert_eq!(value(Measure::Load, 1.256), "1.26");
        assert_eq!(number(1_234_567), "1,234,567");
    }

    #[test]
    fn the_date_is_told_only_when_it_is_another() {
        assert_eq!(minute(NOW), "2026-01-02 03:04");
        assert_eq!(near(NOW.minus(Duration::from_hours(2)), NOW), "01:04");
        assert_eq!(near(NOW.minus(Duration::from_hours(4)), NOW), "01-01 23:04");
    }
}
