//! Nodes that come, go and are replaced; metrics that come and go.

use ng_samples::{Grain, Point, Slice};
use tempfile::TempDir;

use crate::support::{SHORT, START, keep, many, minute, name, nodes, open, read};

fn means(points: &[Point]) -> Vec<Option<f64>> {
    points
        .iter()
        .map(|point| point.spread.map(|spread| spread.mean))
        .collect()
}

#[test]
fn a_node_is_found_by_name_after_it_is_gone_and_after_it_was_replaced() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    let mut put = |at, names: &[(&str, &str)], values: &[f64]| {
        keep(
            &mut history,
            minute(at),
            &nodes(names),
            &[("cpu", values)],
            &SHORT,
        );
    };
    put(0, &[("a", "1"), ("b", "2")], &[10.0, 20.0]);
    put(1, &[("b", "2")], &[21.0]);
    put(2, &[("a", "3"), ("b", "2")], &[30.0, 22.0]);
    put(3, &[("b", "2")], &[23.0]);
    let history = read(directory.path());
    let range = |name: &str| means(&history.range(name, "cpu", START, minute(9)).unwrap());
    assert_eq!(range("a"), [Some(10.0), Some(30.0)]);
    assert_eq!(range("b"), [Some(20.0), Some(21.0), Some(22.0), Some(23.0)]);
    assert_eq!(range("c"), []);
    assert_eq!(history.range("b", "disk", START, minute(9)).unwrap(), []);
    let known: Vec<(String, String, bool)> = history
        .nodes()
        .unwrap()
        .into_iter()
        .map(|node| (node.name, node.uid, node.gone.is_some()))
        .collect();
    let node = |name: &str, uid: &str, gone| (name.to_owned(), uid.to_owned(), gone);
    assert_eq!(
        known,
        [
            node("a", "1", true),
            node("a", "3", true),
            node("b", "2", false)
        ]
    );
    let latest = history.latest().unwrap().unwrap();
    assert_eq!(
        (latest.nodes, latest.metrics),
        (vec!["b".to_owned()], vec!["cpu".to_owned()])
    );

    // A forecast must not mix a node with the one before it under its name.
    let mut found = Vec::new();
    let slice = Slice {
        nodes: &["a"],
        metrics: &["cpu"],
        since: START,
        until: minute(9),
        grain: Grain::FiveMinutes,
    };
    history
        .scan(&slice, |row| {
            found.extend(row.values.iter().copied().filter(|value| value.is_finite()));
        })
        .unwrap();
    assert_eq!(found, [30.0]);
}

/// The stretch in which a node was replaced has the values of both.
#[test]
fn a_stretch_with_both_nodes_of_a_name_has_all_values() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    for at in 0..40 {
        let uid = if at < 3 { "1" } else { "2" };
        let value = if at < 3 { 10.0 } else { 20.0 };
        keep(
            &mut history,
            minute(at),
            &nodes(&[("a", uid)]),
            &[("cpu", &[value])],
            &SHORT,
        );
    }
    let points = history.range("a", "cpu", START, minute(4)).unwrap();
    let [point] = points[..] else {
        panic!("{points:?}");
    };
    let spread = point.spread.unwrap();
    assert_eq!((point.checks, point.known), (5, 5));
    assert_eq!(
        (spread.min, spread.mean, spread.max, spread.last),
        (10.0, 14.0, 20.0, 20.0)
    );
}

#[test]
fn unknown_is_never_zero() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    let all = nodes(&[("a", "1"), ("b", "2"), ("c", "3")]);
    for at in 0..30 {
        let b = if at % 2 == 0 { 4.0 } else { f64::NAN };
        // The last column is too short: the rest of it is unknown as well.
        let columns: [(&str, &[f64]); 2] =
            [("cpu", &[f64::NAN, b, f64::INFINITY]), ("load", &[1.5])];
        keep(&mut history, minute(at), &all, &columns, &SHORT);
    }
    let range = |node: &str, metric: &str| history.range(node, metric, START, minute(60)).unwrap();
    for (node, metric) in [("a", "cpu"), ("c", "cpu"), ("b", "load"), ("c", "load")] {
        let points = range(node, metric);
        assert!(points.len() > 10, "{node} {metric}: {points:?}");
        assert!(
            points
                .iter()
                .all(|point| point.spread.is_none() && point.known_share() == 0.0)
        );
    }
    let first = range("b", "cpu")[0];
    assert_eq!((first.checks, first.known), (5, 3));
    assert!((first.known_share() - 0.6).abs() < 1e-9);
    let spread = first.spread.unwrap();
    assert_eq!((spread.min, spread.max, spread.mean), (4.0, 4.0, 4.0));
}

/// A number is given to another node only when nothing of the old one is shown any more.
#[test]
fn a_number_that_is_used_again_does_not_show_the_old_node() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    for at in 0..600 {
        let (name, value) = if at < 30 {
            ("old", 90.0)
        } else {
            ("between", 50.0)
        };
        let others = [("steady", "s"), (name, name)];
        keep(
            &mut history,
            minute(at),
            &nodes(&others),
            &[("cpu", &[1.0, value])],
            &SHORT,
        );
    }
    let names = || -> Vec<String> {
        history
            .nodes()
            .unwrap()
            .into_iter()
            .map(|node| node.name)
            .collect()
    };
    assert_eq!(
        names(),
        ["between", "steady"],
        "what is too old is forgotten"
    );
    let mut history = open(directory.path());
    for at in 600..700 {
        let others = [("steady", "s"), ("between", "between"), ("new", "n")];
        keep(
            &mut history,
            minute(at),
            &nodes(&others),
            &[("cpu", &[1.0, 50.0, 7.0])],
            &SHORT,
        );
    }
    let points = history.range("new", "cpu", START, minute(700)).unwrap();
    assert!(points.len() > 15);
    assert!(
        means(&points)
            .iter()
            .flatten()
            .all(|mean| (mean - 7.0).abs() < 1e-9),
        "{points:?}"
    );
}

#[test]
fn more_nodes_and_metrics_than_there_are_numbers_are_left_out_and_counted() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    let all = many(20_003);
    let column = vec![5.0; 20_003];
    let names: Vec<String> = (0..66).map(|metric| format!("metric-{metric}")).collect();
    let mut columns: Vec<(&str, &[f64])> = vec![(&names[0], &column)];
    columns.extend(names[1..].iter().map(|name| (name.as_str(), &column[..1])));
    let stored = keep(&mut history, minute(0), &all, &columns, &SHORT);
    assert_eq!((stored.nodes_left_out, stored.metrics_left_out), (3, 2));
    assert_eq!(history.nodes().unwrap().len(), 20_000);
    assert_eq!(history.metrics().unwrap().len(), 64);
    let points = history
        .range(&name(19_999), "metric-0", START, START)
        .unwrap();
    assert_eq!(means(&points), [Some(5.0)]);
}

#[test]
fn an_empty_cluster_is_a_check_too() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    keep(&mut history, minute(0), &many(0), &[("cpu", &[])], &SHORT);
    let latest = history.latest().unwrap().unwrap();
    assert_eq!(latest.at, minute(0));
    assert!(latest.nodes.is_empty() && latest.metrics == ["cpu"]);
}
