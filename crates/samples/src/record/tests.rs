use std::time::Duration;

use ng_engine::node::Interest;
use tempfile::TempDir;

use super::*;

const START: Time = Time::from_millis(1_700_002_800_000);

fn nodes(count: usize) -> Nodes {
    let mut nodes = Nodes::new(&Interest::default());
    for node in 0..count {
        nodes.start(&format!("node-{node}")).uid(&format!("{node}"));
    }
    nodes
}

#[test]
fn a_full_disk_leaves_nothing_half_applied() {
    let directory = TempDir::new().unwrap();
    let mut history = History::open(directory.path(), START).unwrap().history;
    history
        .database
        .connection()
        .query_row("PRAGMA max_page_count = 20", [], |_| Ok(()))
        .unwrap();
    let nodes = nodes(2_000);
    let column: Vec<f64> = (0_u32..2_000).map(f64::from).collect();
    let mut kept = None;
    let error = (0..100)
        .find_map(|minute| {
            let at = START.plus(Duration::from_mins(minute));
            let recorded = history.record(at, &nodes, &[("cpu", &column)], &Retention::default());
            if recorded.is_ok() {
                kept = Some(at);
            }
            recorded.err()
        })
        .unwrap();
    assert!(error.is_full() && !error.is_damaged(), "{error:?}");
    assert!(error.to_string().contains("history.db"), "{error}");
    assert_eq!(history.newest().unwrap(), kept);
    drop(history);
    assert!(History::open(directory.path(), START).is_ok());
}

/// No check writes and removes much more than another: the rows of one check, its share of the aggregates, and a
/// bounded number that ends.
#[test]
fn work_is_spread_over_the_checks() {
    let directory = TempDir::new().unwrap();
    let mut history = History::open(directory.path(), START).unwrap().history;
    let nodes = nodes(3_000);
    let column = vec![5.0; 3_000];
    let retention = Retention {
        raw: Duration::from_mins(10),
        five_minutes: Duration::from_hours(1),
        hours: Duration::from_hours(3),
    };
    let (chunks, metrics) = (12, 2);
    let mut most = 0;
    for minute in 0..400 {
        let before = history.database.connection().total_changes();
        let at = START.plus(Duration::from_mins(minute));
        let columns: [(&str, &[f64]); 2] = [("cpu", &column), ("load", &column)];
        history.record(at, &nodes, &columns, &retention).unwrap();
        if minute > 0 {
            most = most.max(history.database.connection().total_changes() - before);
        }
    }
    let progress = |level| segments::progress(history.database.connection(), level).unwrap();
    // Aggregates keep up: the last full hour but one is made.
    assert!(progress(Level::Hour).next >= clock::seconds(START) + 5 * 3600);
    let share = (1 + 3) * metrics + (1 + 2) * metrics;
    let bound = chunks * metrics + share + 3 * 200 + 10;
    assert!(
        most <= bound,
        "{most} rows changed in one check, and not {bound}"
    );
}
