//! What holds for every history.

use std::time::Duration;

use ng_engine::time::Time;
use ng_forecast::{Full, Outlook, Point, Question, Reason, Scratch, forecast};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const NOW: i64 = 1_768_000_000_000;
const DAY: Duration = Duration::from_hours(24);

fn point(at: i64, value: f64) -> Point {
    Point {
        at: Time::from_millis(at),
        value,
    }
}

fn question(now: i64, full: f64) -> Question {
    Question {
        now: Time::from_millis(now),
        full,
        horizon: DAY,
    }
}

fn ask(points: &[Point]) -> Outlook {
    forecast(points, &question(NOW, 100.0), &mut Scratch::default())
}

/// Points every five minutes up to now, oldest first, by their hours relative to now.
fn every_five_minutes(hours: i32, value: impl Fn(f64) -> f64) -> Vec<Point> {
    let hour = |minutes: i32| f64::from(minutes) / 60.0;
    (0..=hours * 12)
        .map(|step| step * 5 - hours * 60)
        .map(|minutes| point(NOW + i64::from(minutes) * MINUTE, value(hour(minutes))))
        .collect()
}

fn seconds_between(a: Time, b: Time) -> f64 {
    (a.since(b).max(b.since(a))).as_secs_f64()
}

fn hours_left(full: &Full) -> f64 {
    full.expected.since(Time::from_millis(NOW)).as_secs_f64() / 3600.0
}

/// Any number, but often one that a node could have.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![3 => 0.0..100.0, 1 => any::<f64>()]
}

/// Any time, but often one of the last days.
fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![5 => NOW - 10_000 * MINUTE..NOW + 100 * MINUTE, 1 => any::<i64>()]
}

/// A history as a node may have: a walk with a drift, in order.
fn walk() -> impl Strategy<Value = Vec<Point>> {
    let steps = prop::collection::vec((1..20_i64, -1.0..1.0_f64), 0..300);
    (steps, -0.3..0.6_f64, 20.0..80.0_f64).prop_map(|(steps, drift, start)| {
        let (mut at, mut value) = (0, start);
        let mut points: Vec<Point> = Vec::new();
        for (minutes, noise) in steps {
            at += minutes * MINUTE;
            value = (value + drift + noise).clamp(0.0, 100.0);
            points.push(point(at, value));
        }
        for point in &mut points {
            point.at = Time::from_millis(point.at.millis() + NOW - at);
        }
        points
    })
}

/// A history that never rises.
fn never_rising() -> impl Strategy<Value = Vec<Point>> {
    prop::collection::vec((1..30_i64, 0.0..1.0_f64), 10..300).prop_map(|steps| {
        let (mut at, mut value) = (NOW, 10.0);
        let mut points = Vec::new();
        for (minutes, fall) in steps {
            points.push(point(at, value));
            at -= minutes * MINUTE;
            value += (fall - 0.5).max(0.0);
        }
        points.reverse();
        points
    })
}

fn check(outlook: &Outlook, question: &Question) {
    let Outlook::Full(full) = outlook else {
        return;
    };
    assert!(full.earliest <= full.expected, "{full:?}");
    assert!(
        full.latest.is_none_or(|latest| full.expected <= latest),
        "{full:?}"
    );
    assert!(
        full.expected <= question.now.plus(question.horizon),
        "{full:?}"
    );
    assert!(question.now <= full.earliest, "{full:?}");
    assert!((0.0..=1.0).contains(&full.confidence), "{full:?}");
    assert!(full.per_hour > 0.0 && full.per_hour.is_finite(), "{full:?}");
}

proptest! {
    #[test]
    fn any_input_has_an_answer(
        points in prop::collection::vec((any_time(), any_value()), 0..320),
        sorted in any::<bool>(),
        (now, full, millis) in (any_time(), any_value(), any::<u64>()),
    ) {
        let mut points: Vec<Point> = points.into_iter().map(|(at, value)| point(at, value)).collect();
        if sorted {
            points.sort_by_key(|point| point.at);
        }
        let question = Question { horizon: Duration::from_millis(millis), ..question(now, full) };
        check(&forecast(&points, &question, &mut Scratch::default()), &question);
    }

    #[test]
    fn a_walk_has_bounds_around_what_is_expected(points in walk()) {
        check(&ask(&points), &question(NOW, 100.0));
    }

    #[test]
    fn an_answer_does_not_depend_on_the_one_before(first in walk(), second in walk()) {
        let mut scratch = Scratch::default();
        forecast(&first, &question(NOW, 100.0), &mut scratch);
        prop_assert_eq!(forecast(&second, &question(NOW, 100.0), &mut scratch), ask(&second));
    }

    #[test]
    fn a_shift_of_time_shifts_the_answer(points in walk(), shift in -1_000_000_000..1_000_000_000_i64) {
        let shifted: Vec<Point> = points
            .iter()
            .map(|old| point(old.at.millis() + shift, old.value))
            .collect();
        let later = |time: Time| Time::from_millis(time.millis() + shift);
        let expected = match ask(&points) {
            Outlook::Full(full) => Outlook::Full(Full {
                expected: later(full.expected),
                earliest: later(full.earliest),
                latest: full.latest.map(later),
                ..full
            }),
            none @ Outlook::None(_) => none,
        };
        let question = question(NOW + shift, 100.0);
        prop_assert_eq!(forecast(&shifted, &question, &mut Scratch::default()), expected);
    }

    #[test]
    fn points_of_the_future_and_unusable_ones_change_nothing(points in walk(), ahead in 1..9_000_000_i64) {
        let mut more = points.clone();
        more.push(point(NOW + ahead, 99.0));
        more.push(point(NOW - 1, f64::NAN));
        more.insert(0, point(NOW - 1, f64::INFINITY));
        prop_assert_eq!(ask(&more), ask(&points));
    }

    #[test]
    fn a_perfect_line_is_forecast_exactly(hours in 2..100_i32, rate in 0.5..12.0_f64, ahead in 0.2..23.0_f64) {
        let longest = f64::from(hours);
        let ahead = ahead.min(longest * 3.0);
        let points = every_five_minutes(hours, |hour| 100.0 - (ahead - hour) * rate);
        match ask(&points) {
            Outlook::Full(full) => {
                prop_assert!((hours_left(&full) - ahead).abs() < 1.0 / 3600.0, "{full:?} for {ahead}");
                prop_assert!((full.per_hour - rate).abs() < 1e-6, "{full:?} for {rate}");
            }
            none @ Outlook::None(_) => prop_assert!(false, "{none:?}"),
        }
    }

    #[test]
    fn a_gap_in_a_line_changes_nothing(rate in 1.0..6.0_f64, ahead in 1.0..12.0_f64, gap in 10..40_usize, start in 0..60_usize) {
        let mut points = every_five_minutes(12, |hour| 100.0 - (ahead - hour) * rate);
        let whole = ask(&points);
        points.drain(start..start + gap);
        match (whole, ask(&points)) {
            (Outlook::Full(whole), Outlook::Full(part)) => {
                prop_assert!(seconds_between(whole.expected, part.expected) < 1.0);
            }
            (whole, part) => prop_assert!(false, "{whole:?}, {part:?}"),
        }
    }

    #[test]
    fn where_zero_is_changes_nothing(rate in 1.0..6.0_f64, ahead in 1.0..12.0_f64, higher in -500.0..500.0_f64) {
        let points = every_five_minutes(12, |hour| 100.0 - (ahead - hour) * rate);
        let raised: Vec<Point> = points
            .iter()
            .map(|old| Point { value: old.value + higher, ..*old })
            .collect();
        let raised = forecast(&raised, &question(NOW, 100.0 + higher), &mut Scratch::default());
        match (ask(&points), raised) {
            (Outlook::Full(plain), Outlook::Full(raised)) => {
                prop_assert!(seconds_between(plain.expected, raised.expected) < 1.0);
            }
            (plain, raised) => prop_assert!(false, "{plain:?}, {raised:?}"),
        }
    }

    #[test]
    fn what_never_rises_is_never_forecast(points in never_rising()) {
        prop_assert!(matches!(ask(&points), Outlook::None(_)));
    }
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let words = [
        Reason::NoLimit,
        Reason::TooFewPoints,
        Reason::TooShort,
        Reason::Stale,
        Reason::AlreadyFull,
        Reason::NotGrowing,
        Reason::Erratic,
        Reason::Recurring,
        Reason::Slowing,
        Reason::TooYoung,
        Reason::BeyondHorizon,
    ]
    .map(Reason::word);
    for (at, word) in words.iter().enumerate() {
        assert!(!words[..at].contains(word), "{word}");
    }
}
