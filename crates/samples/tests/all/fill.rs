//! What is filled in before the first check: where it stands, what it leaves alone, and that it is found again.

use std::time::Duration;

use ng_engine::node::Nodes;
use ng_engine::time::Time;
use ng_samples::{Earlier, Filled, Grain, History, Retention, Slice};
use tempfile::TempDir;

use crate::support::{MINUTE, START, keep, many, minute, nodes, open, read};

const HOUR: Duration = Duration::from_hours(1);
const GAP: f64 = f64::NAN;
const KEPT: Retention = Retention {
    raw: Duration::from_hours(6),
    five_minutes: Duration::from_hours(48),
    hours: Duration::from_hours(168),
};

/// Two nodes, watched since a minute after the hour.
fn young(directory: &TempDir) -> (History, Nodes) {
    let mut history = open(directory.path());
    let nodes = nodes(&[("a", "1"), ("b", "2")]);
    keep(
        &mut history,
        minute(1),
        &nodes,
        &[("disk", &[80.0, 20.0]), ("cpu", &[1.0, 1.0])],
        &KEPT,
    );
    (history, nodes)
}

fn earlier<'a>(nodes: &'a Nodes, since: Time, values: &'a [f64]) -> Earlier<'a> {
    Earlier {
        metric: "disk",
        nodes,
        since,
        values,
    }
}

/// The means of a node's disk by minute from the start, a gap as a dash.
fn shown(history: &History, node: &str, grain: Grain) -> String {
    let mut found = Vec::new();
    let slice = Slice {
        nodes: &[node],
        metrics: &["disk"],
        since: START.minus(HOUR * 48),
        until: START.plus(HOUR * 48),
        grain,
    };
    history
        .scan(&slice, |row| {
            let passed = (row.at.millis() - START.millis()) / 60_000;
            let value = row.values[0];
            found.push(if value.is_nan() {
                format!("{passed}:-")
            } else {
                format!("{passed}:{value}")
            });
        })
        .unwrap();
    found.join(" ")
}

#[test]
fn earlier_values_stand_before_our_own_and_change_none() {
    let directory = TempDir::new().unwrap();
    let (mut history, nodes) = young(&directory);
    // The last two stretches would lie where checks are.
    let values = [
        [77.0, GAP],
        [78.0, GAP],
        [f64::INFINITY, 21.0],
        [79.5, 22.0],
        [99.0, 99.0],
        [99.0, 99.0],
    ];
    let since = START.minus(MINUTE * 20);
    let filled = history
        .fill(&earlier(&nodes, since, values.as_flattened()))
        .unwrap();
    assert_eq!(
        filled,
        Filled {
            stretches: 4,
            nodes: 2
        }
    );
    for history in [&history, &read(directory.path())] {
        for grain in [Grain::FiveMinutes, Grain::Finest] {
            assert_eq!(
                shown(history, "a", grain),
                "-20:77 -15:78 -10:- -5:79.5 1:80",
                "{grain:?}"
            );
            // A node is there from its first value on.
            assert_eq!(
                shown(history, "b", grain),
                "-20:- -15:- -10:21 -5:22 1:20",
                "{grain:?}"
            );
        }
        let points = history
            .range("b", "disk", START.minus(HOUR), minute(9))
            .unwrap();
        let at: Vec<Time> = points.iter().map(|point| point.at).collect();
        assert_eq!(
            at,
            [START.minus(MINUTE * 10), START.minus(MINUTE * 5), minute(1)]
        );
        assert_eq!(history.since("disk").unwrap(), Some(since));
        assert_eq!(history.since("cpu").unwrap(), Some(minute(1)));
        assert_eq!(history.since("pods").unwrap(), None);
    }
    let cpu = history
        .range("a", "cpu", START.minus(HOUR), minute(9))
        .unwrap();
    assert_eq!(cpu.len(), 1);
}

#[test]
fn it_is_filled_once() {
    let directory = TempDir::new().unwrap();
    let (mut history, nodes) = young(&directory);
    let since = START.minus(MINUTE * 10);
    assert_eq!(
        history.fill(&earlier(&nodes, since, &[GAP, GAP])).unwrap(),
        Filled::default()
    );
    // Nothing was known: it may be asked again.
    assert_eq!(history.since("disk").unwrap(), Some(minute(1)));
    let values = [70.0, 10.0, 71.0, 11.0];
    history.fill(&earlier(&nodes, since, &values)).unwrap();
    let before = shown(&history, "a", Grain::FiveMinutes);
    for since in [since, START.minus(MINUTE * 5)] {
        let again = [1.0, 1.0, 2.0, 2.0];
        assert_eq!(
            history.fill(&earlier(&nodes, since, &again)).unwrap(),
            Filled::default()
        );
    }
    assert_eq!(shown(&history, "a", Grain::FiveMinutes), before);
    assert_eq!(before, "-10:70 -5:71 1:80");
}

#[test]
fn what_no_check_asked_for_is_not_filled() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    let known = nodes(&[("a", "1")]);
    let since = START.minus(MINUTE * 5);
    let early = history.fill(&earlier(&known, since, &[50.0])).unwrap();
    assert_eq!(early, Filled::default());
    keep(&mut history, minute(0), &known, &[("disk", &[80.0])], &KEPT);
    // A node that joins later needs none.
    let strangers = nodes(&[("new", "9"), ("a", "1")]);
    let filled = history
        .fill(&earlier(&strangers, since, &[99.0, 50.0]))
        .unwrap();
    assert_eq!(
        filled,
        Filled {
            stretches: 1,
            nodes: 1
        }
    );
    assert_eq!(shown(&history, "a", Grain::FiveMinutes), "-5:50 0:80");
    let names: Vec<String> = history
        .nodes()
        .unwrap()
        .into_iter()
        .map(|node| node.name)
        .collect();
    assert_eq!(names, ["a"]);
}

/// What another memory calls `a` was the node before it.
#[test]
fn a_node_that_was_replaced_is_not_given_the_past_of_the_one_before() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    let old = nodes(&[("a", "1")]);
    keep(
        &mut history,
        START.minus(MINUTE * 8),
        &old,
        &[("cpu", &[1.0])],
        &KEPT,
    );
    let new = nodes(&[("a", "2")]);
    keep(
        &mut history,
        START.minus(MINUTE * 2),
        &new,
        &[("cpu", &[1.0])],
        &KEPT,
    );
    keep(
        &mut history,
        minute(6),
        &new,
        &[("cpu", &[1.0]), ("disk", &[80.0])],
        &KEPT,
    );
    let values = [95.0, 96.0, 97.0, 70.0];
    let filled = history
        .fill(&earlier(&new, START.minus(MINUTE * 15), &values))
        .unwrap();
    assert_eq!(filled.stretches, 1);
    assert_eq!(shown(&history, "a", Grain::FiveMinutes), "0:70 6:80");
}

/// Hours are made of what was filled in and of our own checks alike, and it ends like everything else.
#[test]
fn hours_are_made_of_it_and_it_ends_with_its_age() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    let retention = Retention {
        raw: Duration::from_mins(10),
        five_minutes: HOUR * 5,
        hours: HOUR * 12,
    };
    let nodes = many(600);
    let column = vec![80.0; nodes.len()];
    // Long enough for hours to be made before something is filled in.
    for number in 30..200 {
        keep(
            &mut history,
            minute(number),
            &nodes,
            &[("disk", &column)],
            &retention,
        );
    }
    let values = vec![40.0; 18 * nodes.len()];
    let filled = history
        .fill(&earlier(&nodes, START.minus(HOUR), &values))
        .unwrap();
    assert_eq!(
        filled,
        Filled {
            stretches: 18,
            nodes: 600
        }
    );
    for number in 200..320 {
        keep(
            &mut history,
            minute(number),
            &nodes,
            &[("disk", &column)],
            &retention,
        );
    }
    for node in ["node-0000", "node-0599"] {
        let hours = shown(&history, node, Grain::Hours);
        // The first hour of our own has half an hour of each: six stretches once, and thirty checks.
        assert!(hours.starts_with("-60:40 0:73.33 60:80 120:80 "), "{hours}");
    }
    for number in 320..1000 {
        keep(
            &mut history,
            minute(number),
            &nodes,
            &[("disk", &column)],
            &retention,
        );
    }
    let hours = shown(&history, "node-0000", Grain::Hours);
    assert!(hours.starts_with("240:80 300:80 "), "{hours}");
}

/// Two clocks ahead of the third: what was filled in stays, and may be filled again.
#[test]
fn a_clock_that_was_ahead_does_not_end_it() {
    let directory = TempDir::new().unwrap();
    let (mut history, nodes) = young(&directory);
    history
        .fill(&earlier(&nodes, START.minus(MINUTE * 5), &[70.0, 10.0]))
        .unwrap();
    for day in [30, 0, 0, 0] {
        for number in 2..4 {
            let at = minute(number + day / 10).plus(HOUR * 24 * day);
            history
                .record(at, &nodes, &[("disk", &[81.0, 20.0])], &KEPT)
                .unwrap();
        }
    }
    assert!(shown(&history, "a", Grain::Finest).starts_with("-5:70 1:80"));
}

#[test]
fn the_past_of_5000_nodes_is_bounded() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    let nodes = many(5_000);
    let column: Vec<f64> = (0_u32..5_000).map(|node| f64::from(node % 90)).collect();
    keep(&mut history, minute(0), &nodes, &[("disk", &column)], &KEPT);
    let values: Vec<f64> = (0..72).flat_map(|_| column.iter().copied()).collect();
    let filled = history
        .fill(&earlier(&nodes, START.minus(HOUR * 6), &values))
        .unwrap();
    assert_eq!(
        filled,
        Filled {
            stretches: 72,
            nodes: 5_000
        }
    );
    drop(history);
    let size = std::fs::metadata(directory.path().join("history.db"))
        .unwrap()
        .len();
    let log =
        std::fs::metadata(directory.path().join("history.db-wal")).map_or(0, |file| file.len());
    assert!(size + log < 4 << 20, "{size} and {log}");
}
