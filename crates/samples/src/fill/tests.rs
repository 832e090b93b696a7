use std::time::Duration;

use ng_engine::node::Interest;
use tempfile::TempDir;

use super::*;
use crate::retention::Retention;

const START: Time = Time::from_millis(1_700_002_800_000);

/// A transaction that fails in its middle leaves the metric to be filled again, and the levels as they were.
#[test]
fn a_full_disk_leaves_nothing_half_filled() {
    let directory = TempDir::new().unwrap();
    let mut history = History::open(directory.path(), START).unwrap().history;
    let mut nodes = Nodes::new(&Interest::default());
    for node in 0..2_000 {
        nodes.start(&format!("node-{node}"));
    }
    let column: Vec<f64> = (0_u32..2_000).map(|node| f64::from(node % 97)).collect();
    history
        .record(START, &nodes, &[("disk", &column)], &Retention::default())
        .unwrap();
    let pages = |history: &History, most: u32| {
        let pragma = format!("PRAGMA max_page_count = {most}");
        let connection = history.database.connection();
        connection.query_row(&pragma, [], |_| Ok(())).unwrap();
    };
    let state = |history: &History| {
        let connection = history.database.connection();
        let levels = Level::ALL.map(|level| segments::progress(connection, level).unwrap());
        let first = Table::new(connection, Level::Five).unwrap().first_from(0);
        (levels, first.unwrap(), history.since("disk").unwrap())
    };
    let before = state(&history);
    let values: Vec<f64> = (0..72).flat_map(|_| column.iter().copied()).collect();
    let earlier = Earlier {
        metric: "disk",
        nodes: &nodes,
        since: START.minus(Duration::from_hours(6)),
        values: &values,
    };
    pages(&history, 40);
    let error = history.fill(&earlier).unwrap_err();
    assert!(error.is_full() && !error.is_damaged(), "{error:?}");
    assert!(error.to_string().contains("history.db"), "{error}");
    assert_eq!(state(&history), before);
    // With room again it is filled as if nothing had been.
    pages(&history, 100_000);
    let filled = history.fill(&earlier).unwrap();
    assert_eq!(
        filled,
        Filled {
            stretches: 72,
            nodes: 2_000
        }
    );
    assert_eq!(state(&history).2, Some(earlier.since));
}
