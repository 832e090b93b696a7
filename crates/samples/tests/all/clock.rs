//! Clocks that jump.

use std::time::Duration;

use ng_engine::time::Time;
use ng_samples::{History, Ignored, Point, Recorded};
use tempfile::TempDir;

use crate::support::{MINUTE, SHORT, START, keep, minute, nodes, open};

const YEAR: Duration = Duration::from_hours(365 * 24);

fn put(history: &mut History, at: Time, value: f64) -> Recorded {
    let node = nodes(&[("a", "1")]);
    history
        .record(at, &node, &[("cpu", &[value])], &SHORT)
        .unwrap()
}

fn points(history: &History) -> Vec<Point> {
    let far = START.plus(YEAR).plus(YEAR);
    history.range("a", "cpu", START.minus(YEAR), far).unwrap()
}

#[test]
fn a_check_at_a_time_that_is_known_or_before_it_is_ignored() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    put(&mut history, minute(5), 1.0);
    let before = points(&history);
    let again = minute(5).plus(Duration::from_millis(900));
    assert_eq!(
        put(&mut history, again, 2.0),
        Recorded::Ignored(Ignored::Known)
    );
    let behind = Ignored::Behind { newest: minute(5) };
    assert_eq!(put(&mut history, minute(4), 2.0), Recorded::Ignored(behind));
    assert_eq!(put(&mut history, minute(0), 2.0), Recorded::Ignored(behind));
    let negative = Time::from_millis(-5_000);
    assert_eq!(
        put(&mut history, negative, 2.0),
        Recorded::Ignored(Ignored::Impossible)
    );
    assert_eq!(points(&history), before);
}

/// One run with a time of last year must not take anything away.
#[test]
fn one_run_in_the_past_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    for at in 0..100 {
        put(&mut history, minute(at), 1.0);
    }
    let before = points(&history);
    for round in 0..5 {
        let past = START.minus(YEAR).plus(MINUTE * round);
        let doubted = Ignored::Doubted {
            newest: minute(99 + round),
            checks: 1,
        };
        assert_eq!(put(&mut history, past, 9.0), Recorded::Ignored(doubted));
        // A check of the right clock says that the others were wrong.
        put(&mut history, minute(100 + round), 1.0);
    }
    let after = points(&history);
    assert_eq!(after.first(), before.first());
    assert_eq!(after.iter().map(|point| point.checks).sum::<u32>(), 105);
}

/// The clock was a day ahead for an hour: what was kept of that day ends, and what was before stays.
#[test]
fn a_future_that_was_none_is_dropped_after_three_checks() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    for at in 0..103 {
        put(&mut history, minute(at), 1.0);
    }
    let ahead = Duration::from_hours(2);
    for at in 103..150 {
        put(&mut history, minute(at).plus(ahead), 9.0);
    }
    let newest = minute(149).plus(ahead);
    for (checks, at) in [(1, 150), (2, 151)] {
        let doubted = Ignored::Doubted { newest, checks };
        assert_eq!(
            put(&mut history, minute(at), 1.0),
            Recorded::Ignored(doubted)
        );
    }
    let Recorded::Stored(stored) = put(&mut history, minute(152), 1.0) else {
        panic!("still in doubt");
    };
    assert_eq!(stored.dropped, Some(newest));
    for at in 153..260 {
        put(&mut history, minute(at), 1.0);
    }
    let found = points(&history);
    assert!(
        found
            .iter()
            .all(|point| point.spread.is_some_and(|spread| spread.max < 2.0)),
        "{found:?}"
    );
    // All minutes but those of the wrong clock, and those in doubt.
    assert_eq!(
        found.iter().map(|point| point.checks).sum::<u32>(),
        103 + 108
    );
    assert_eq!(history.newest().unwrap(), Some(minute(259)));
}

#[test]
fn a_jump_ahead_that_is_taken_back_ends_nothing() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    for at in 0..100 {
        put(&mut history, minute(at), 1.0);
    }
    let before = points(&history);
    for ahead in 0..2 {
        put(&mut history, minute(100 + ahead).plus(YEAR), 9.0);
    }
    for at in 100..103 {
        put(&mut history, minute(at), 1.0);
    }
    let after = points(&history);
    assert_eq!(after.first(), before.first());
    assert_eq!(after.iter().map(|point| point.checks).sum::<u32>(), 101);
    assert_eq!(history.newest().unwrap(), Some(minute(102)));
}

/// After a long pause everything is too old, and goes little by little; nothing stops.
#[test]
fn a_pause_of_a_year_is_survived() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    for at in 0..100 {
        put(&mut history, minute(at), 1.0);
    }
    let node = nodes(&[("a", "1")]);
    for at in 0..100 {
        let at = minute(at).plus(YEAR);
        keep(&mut history, at, &node, &[("cpu", &[2.0])], &SHORT);
    }
    let found = points(&history);
    assert_eq!(found.iter().map(|point| point.checks).sum::<u32>(), 100);
    assert!(found.iter().all(|point| point.at >= START.plus(YEAR)));
}
