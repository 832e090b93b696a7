//! The file stops growing: what ends makes room for what comes. The benchmark does it in full, with 5,000 nodes and
//! every minute of eight days.

use std::path::Path;

use tempfile::TempDir;

use crate::support::{SHORT, keep, many, minute, open};

fn size(directory: &Path, file: &str) -> u64 {
    directory.join(file).metadata().unwrap().len()
}

#[test]
fn once_retention_is_reached_the_file_does_not_grow() {
    let directory = TempDir::new().unwrap();
    let place = directory.path();
    let nodes = many(600);
    let mut seed = 7_u64;
    let (mut before, mut after, mut log) = (0, 0, 0);
    for at in 0..24 * 60 {
        let mut chance = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from(u32::try_from(seed >> 40).unwrap() % 10_000) / 100.0
        };
        let column: Vec<f64> = (0..600).map(|_| chance()).collect();
        let columns: [(&str, &[f64]); 2] = [("cpu", &column), ("load", &column)];
        keep(&mut open(place), minute(at), &nodes, &columns, &SHORT);
        let most = if at < 8 * 60 { &mut before } else { &mut after };
        *most = size(place, "history.db").max(*most);
        log = size(place, "history.db-wal").max(log);
    }
    assert!(
        before > 400_000,
        "{before} bytes are too few to tell anything"
    );
    assert!(
        after <= before + before / 20,
        "{before} bytes have become {after}"
    );
    assert!(log < 2 << 20, "the log has {log} bytes");
}

/// A cluster that has become small leaves room, and not rows for ever.
#[test]
fn what_a_large_cluster_left_is_taken_away() {
    let directory = TempDir::new().unwrap();
    let mut history = open(directory.path());
    for at in 0..8 * 60 {
        let nodes = many(if at < 60 { 2_000 } else { 3 });
        let column = vec![5.0; nodes.len()];
        keep(
            &mut history,
            minute(at),
            &nodes,
            &[("cpu", &column)],
            &SHORT,
        );
    }
    drop(history);
    let connection = rusqlite::Connection::open(directory.path().join("history.db")).unwrap();
    for table in ["raw", "five", "hour"] {
        let wide: i64 = connection
            .query_row(
                &format!("SELECT count(*) FROM {table} WHERE id >> 16 & 255 > 0"),
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(wide, 0, "{table}");
    }
}
