//! Histories of one shape each, and what is said about them.

#![expect(clippy::panic, reason = "a helper that fails fails its test")]

use std::time::Duration;

use ng_engine::time::Time;
use ng_forecast::{Full, Outlook, Point, Question, Reason, Scratch, forecast};

const NOW: i64 = 1_768_000_000_000;

/// Points every five minutes over `hours`, by their hours relative to now.
fn history(hours: u32, value: impl Fn(f64) -> f64) -> Vec<Point> {
    spaced(hours, 5, value)
}

fn spaced(hours: u32, minutes: usize, value: impl Fn(f64) -> f64) -> Vec<Point> {
    (0..=hours * 60)
        .rev()
        .step_by(minutes)
        .map(|ago| Point {
            at: Time::from_millis(NOW - i64::from(ago) * 60_000),
            value: value(-f64::from(ago) / 60.0),
        })
        .collect()
}

fn ask(points: &[Point]) -> Outlook {
    let question = Question {
        now: Time::from_millis(NOW),
        full: 100.0,
        horizon: Duration::from_hours(24),
    };
    forecast(points, &question, &mut Scratch::default())
}

fn full(points: &[Point]) -> Full {
    match ask(points) {
        Outlook::Full(full) => full,
        Outlook::None(reason) => panic!("no forecast: {reason}"),
    }
}

fn reason(points: &[Point]) -> Reason {
    match ask(points) {
        Outlook::None(reason) => reason,
        Outlook::Full(full) => panic!("{full:?}"),
    }
}

fn hours_left(full: &Full) -> f64 {
    full.expected.since(Time::from_millis(NOW)).as_secs_f64() / 3600.0
}

/// From `low` to `high` once in `period` hours, and back at once; `phase` is where it is now.
fn tooth(hour: f64, period: f64, (low, high): (f64, f64), phase: f64) -> f64 {
    low + (high - low) * (hour / period + phase).rem_euclid(1.0)
}

#[test]
fn too_little_is_known() {
    assert_eq!(reason(&[]), Reason::TooFewPoints);
    assert_eq!(
        reason(&spaced(1, 15, |hour| 80.0 + hour)),
        Reason::TooFewPoints
    );
    let short = &history(2, |hour| 80.0 + hour)[18..];
    assert_eq!(reason(&short[..7]), Reason::TooFewPoints);
    let half_an_hour = &spaced(1, 3, |hour| 80.0 + 9.0 * hour)[10..];
    assert_eq!(reason(half_an_hour), Reason::TooShort);
}

#[test]
fn an_old_history_is_stale_unless_it_is_as_sparse_as_ever() {
    let line = history(12, |hour| 80.0 + hour);
    assert_eq!(reason(&line[..line.len() - 8]), Reason::Stale);
    let hourly = spaced(30, 60, |hour| 90.0 + hour);
    assert!((hours_left(&full(&hourly[..hourly.len() - 1])) - 10.0).abs() < 0.01);
}

#[test]
fn a_limit_must_be_a_percentage() {
    let points = history(12, |hour| 80.0 + hour);
    for full in [f64::NAN, f64::INFINITY, 1e300] {
        let question = Question {
            now: Time::from_millis(NOW),
            full,
            horizon: Duration::from_hours(24),
        };
        let outlook = forecast(&points, &question, &mut Scratch::default());
        assert_eq!(outlook, Outlook::None(Reason::NoLimit));
    }
}

#[test]
fn what_is_full_is_not_forecast() {
    assert_eq!(
        reason(&history(12, |hour| (101.0 + hour).min(100.0))),
        Reason::AlreadyFull
    );
}

#[test]
fn slow_growth_is_beyond_the_horizon() {
    assert_eq!(
        reason(&history(24, |hour| 70.0 + 0.5 * hour)),
        Reason::BeyondHorizon
    );
}

#[test]
fn image_collection_is_never_forecast() {
    for step in 0..20 {
        let phase = f64::from(step) / 20.0;
        let points = history(48, |hour| tooth(hour, 9.0, (80.0, 85.0), phase));
        assert!(
            matches!(ask(&points), Outlook::None(_)),
            "{phase}: {:?}",
            ask(&points)
        );
    }
}

#[test]
fn growth_below_a_saw_tooth_is_found() {
    // The upper edge is ten above the floor and reaches the top in ten hours.
    let points = history(72, |hour| tooth(hour, 4.0, (80.0, 90.0), 0.5) + hour);
    let full = full(&points);
    assert!((hours_left(&full) - 10.0).abs() < 2.5, "{full:?}");
    assert!((full.per_hour - 1.0).abs() < 0.15, "{full:?}");
}

#[test]
fn a_step_is_no_trend() {
    for ago in 1..20 {
        let at = -f64::from(ago) * 0.5;
        let points = history(48, |hour| if hour < at { 70.0 } else { 78.0 });
        assert!(
            matches!(ask(&points), Outlook::None(_)),
            "{at}: {:?}",
            ask(&points)
        );
    }
}

#[test]
fn a_day_is_no_trend() {
    for hour_of_day in 0..24 {
        let shift = f64::from(hour_of_day);
        let day = |hour: f64| (((hour + shift) / 24.0) * std::f64::consts::TAU).sin();
        let points = history(60, |hour| 75.0 + 12.0 * day(hour));
        assert!(
            matches!(ask(&points), Outlook::None(_)),
            "{shift}: {:?}",
            ask(&points)
        );
    }
}

#[test]
fn a_young_leak_is_found_within_two_hours() {
    let points = history(48, |hour| 70.0 + 4.0 * (hour + 2.0).max(0.0));
    let full = full(&points);
    assert!((hours_left(&full) - 5.5).abs() < 0.3, "{full:?}");
}

#[test]
fn growth_that_has_ended_is_no_longer_told() {
    let points = history(48, |hour| 80.0 + 2.0 * (hour + 1.0).clamp(-8.0, 0.0));
    assert!(
        matches!(ask(&points), Outlook::None(_)),
        "{:?}",
        ask(&points)
    );
}

#[test]
fn growth_that_ends_below_full_is_slowing() {
    let points = history(12, |hour| 92.0 - 6.0 * (-(hour + 12.0) / 8.0).exp());
    assert_eq!(reason(&points), Reason::Slowing);
}

#[test]
fn whole_percents_are_enough() {
    let points = history(24, |hour| (90.0 + 0.8 * hour).floor());
    let full = full(&points);
    assert!((hours_left(&full) - 12.5).abs() < 2.0, "{full:?}");
}

#[test]
fn many_points_of_one_hour_do_not_outweigh_the_rest() {
    // An hour of a point a second half, a day of a point an hour: the line is that of the day.
    let bumpy = |hour: f64| {
        80.0 + 1.5 * hour
            + if hour > -1.0 {
                (hour * 40.0).sin() * 0.2
            } else {
                0.0
            }
    };
    let mut points = spaced(48, 60, bumpy);
    points.retain(|point| point.at < Time::from_millis(NOW - 3_600_000));
    points.extend(spaced(1, 1, bumpy));
    let full = full(&points);
    assert!((hours_left(&full) - 13.3).abs() < 1.0, "{full:?}");
}

#[test]
fn after_one_cleaning_growth_is_told_again_when_most_has_grown_back() {
    let cleaned = |hour: f64| {
        if hour < -20.0 {
            90.0 + (hour + 20.0)
        } else {
            50.0 + 1.8 * (hour + 20.0)
        }
    };
    let full = full(&history(44, cleaned));
    assert!((hours_left(&full) - 14.0 / 1.8).abs() < 0.2, "{full:?}");
    assert_eq!(full.latest, None);
}
