//! Whatever was recorded, the queries say what a plain list of all samples says.

use std::time::Duration;

use ng_engine::time::Time;
use ng_samples::{Grain, Point, Row, Slice};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{MINUTE, SHORT, START, keep, many, name, open, read};

/// More than a chunk, so that rows of several are read together.
const NODES: usize = 300;
/// The nodes that are looked at.
const LOOKED_AT: [usize; 4] = [0, 255, 256, 299];

/// Hundredths of the looked-at nodes; `None`: unknown.
type Sample = (Time, [Option<i32>; 4]);

/// Steps of a minute, with pauses, of four nodes' values.
fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let value = prop_oneof![8 => (0..10_000_i32).prop_map(Some), 1 => Just(None)];
    let step = prop_oneof![20 => Just(60_u64), 1 => Just(7), 1 => 1..10_000_u64];
    let sample = (step, [value.clone(), value.clone(), value.clone(), value]);
    proptest::collection::vec(sample, 1..160).prop_map(|steps| {
        let mut at = START;
        steps
            .into_iter()
            .map(|(step, values)| {
                at = at.plus(Duration::from_secs(step));
                (at, values)
            })
            .collect()
    })
}

fn column(values: &[Option<i32>; 4]) -> Vec<f64> {
    let mut column = vec![50.0; NODES];
    for (node, value) in LOOKED_AT.into_iter().zip(values) {
        column[node] = value.map_or(f64::NAN, |value| f64::from(value) / 100.0);
    }
    column
}

fn seconds(time: Time) -> i64 {
    time.millis() / 1000
}

/// What the samples of a point's stretch say.
fn check_point(point: &Point, samples: &[Sample], node: usize) {
    let from = seconds(point.at);
    let to = from + i64::try_from(point.span.as_secs()).unwrap().max(1);
    let within: Vec<Option<i32>> = samples
        .iter()
        .filter(|(at, _)| (from..to).contains(&seconds(*at)))
        .map(|(_, values)| values[node])
        .collect();
    assert_eq!(point.checks as usize, within.len(), "{point:?}");
    let known: Vec<i32> = within.iter().copied().flatten().collect();
    assert_eq!(point.known as usize, known.len(), "{point:?}");
    let Some(spread) = point.spread else {
        assert!(known.is_empty(), "{point:?}");
        return;
    };
    let hundredths = |value: f64| (value * 100.0).round();
    let extreme = |value: Option<&i32>| f64::from(*value.unwrap());
    assert!((hundredths(spread.min) - extreme(known.iter().min())).abs() < 0.1);
    assert!((hundredths(spread.max) - extreme(known.iter().max())).abs() < 0.1);
    assert!((hundredths(spread.last) - extreme(known.last())).abs() < 0.1);
    let sum: f64 = known.iter().copied().map(f64::from).sum();
    let mean = sum / f64::from(u32::try_from(known.len()).unwrap());
    // Rounded once for five minutes, and once more for the hour.
    assert!(
        (hundredths(spread.mean) - mean).abs() <= 1.01,
        "{point:?}: {mean}"
    );
}

/// Ascending, without overlap, and no sample that is not too old is missing.
fn check_cover(points: &[Point], samples: &[Sample]) {
    for pair in points.windows(2) {
        let end = pair[0].at.plus(pair[0].span);
        assert!(pair[0].at < pair[1].at && end <= pair[1].at, "{pair:?}");
    }
    let newest = samples.last().unwrap().0;
    let counted: u32 = points.iter().map(|point| point.checks).sum();
    let oldest = points.first().unwrap().at;
    let expected = samples.iter().filter(|(at, _)| *at >= oldest).count();
    assert_eq!(counted as usize, expected);
    let first_kept = samples
        .iter()
        .map(|(at, _)| *at)
        .find(|at| *at >= newest.minus(SHORT.hours));
    let begin = first_kept.unwrap();
    assert!(seconds(oldest) <= seconds(begin), "{oldest} of {begin}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn queries_say_what_the_samples_say(samples in samples()) {
        let directory = TempDir::new().unwrap();
        let nodes = many(NODES);
        let mut history = open(directory.path());
        for (at, values) in &samples {
            let (cpu, idle) = (column(values), vec![f64::NAN; NODES]);
            let columns: [(&str, &[f64]); 2] = [("cpu", &cpu), ("idle", &idle)];
            keep(&mut history, *at, &nodes, &columns, &SHORT);
        }
        let newest = samples.last().unwrap().0;
        let history = read(directory.path());
        let far = newest.plus(MINUTE);
        for (position, node) in LOOKED_AT.into_iter().enumerate() {
            let points = history.range(&name(node), "cpu", START.minus(MINUTE), far).unwrap();
            check_cover(&points, &samples);
            for point in &points {
                check_point(point, &samples, position);
            }
        }
        let idle = history.range(&name(1), "idle", START, far).unwrap();
        prop_assert!(idle.iter().all(|point| point.spread.is_none() && point.known == 0));
        prop_assert!(idle.iter().map(|point| point.checks).sum::<u32>() > 0);

        // A scan says the same as the ranges of its nodes, whatever the grain; here of the finest.
        let names: Vec<String> = LOOKED_AT.map(name).into();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let slice = Slice {
            nodes: &names, metrics: &["none", "cpu"], since: START, until: far, grain: Grain::Finest,
        };
        let mut found: Vec<Vec<(Time, u64)>> = vec![Vec::new(); names.len()];
        history
            .scan(&slice, |row: &Row<'_>| {
                assert_eq!(row.metric, 1);
                for (found, value) in found.iter_mut().zip(row.values) {
                    if value.is_finite() {
                        found.push((row.at, value.to_bits()));
                    }
                }
            })
            .unwrap();
        for (name, found) in names.iter().zip(found) {
            let expected: Vec<(Time, u64)> = history
                .range(name, "cpu", START, far)
                .unwrap()
                .iter()
                .filter_map(|point| point.spread.map(|spread| (point.at, spread.mean.to_bits())))
                .collect();
            prop_assert_eq!(&found, &expected);
        }

        let latest = history.latest().unwrap().unwrap();
        prop_assert_eq!(latest.at.millis(), newest.whole_second().millis());
        prop_assert_eq!(latest.nodes.len(), NODES);
        prop_assert_eq!(&latest.metrics, &["cpu", "idle"]);
        let values = samples.last().unwrap().1;
        for (node, value) in LOOKED_AT.into_iter().zip(values) {
            let found = latest.value(0, node).map(|value| (value * 100.0).round());
            prop_assert_eq!(found, value.map(f64::from));
            prop_assert_eq!(latest.value(1, node), None);
        }
    }
}
