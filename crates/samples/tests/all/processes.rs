//! Several processes at once, killed at any instruction.
//!
//! A worker is this test executable, started again in the directory of the history. It adds the next minute; what a
//! value has to be follows from its time, so that a check that is not there in full, or twice, shows.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ng_engine::time::Time;
use ng_samples::{History, Recorded, StateError};
use tempfile::TempDir;

use crate::support::{MINUTE, SHORT, START, many, minute, name, open, read};

/// The file that tells a worker from a plain run of all tests.
const WORK: &str = "work";
/// An abandoned worker ends by itself.
const MOST_ROUNDS: u32 = 3000;
const NODES: usize = 280;

#[test]
#[ignore = "the worker of the tests below, which start it themselves"]
fn worker() {
    let directory = Path::new(".");
    if !directory.join(WORK).exists() {
        return;
    }
    for number in 0..MOST_ROUNDS {
        match round(directory) {
            Err(error) if !error.is_busy() => panic!("{error:?}"),
            _ => {}
        }
        if number % 7 == 0
            && let Some(history) = History::read(directory).unwrap()
        {
            check_latest(&history);
        }
    }
}

fn minute_of(at: Time) -> u32 {
    u32::try_from(at.since(START).as_secs() / 60).unwrap()
}

/// What the first node has at a minute; each further node has a hundredth more.
fn value(minute: u32) -> f64 {
    f64::from(minute % 90)
}

fn round(directory: &Path) -> Result<(), StateError> {
    let mut history = History::open(directory, START)?.history;
    let at = history
        .newest()?
        .map_or(START, |newest| newest.plus(MINUTE));
    let base = value(minute_of(at));
    let column: Vec<f64> = (0_u32..)
        .take(NODES)
        .map(|node| base + f64::from(node) / 100.0)
        .collect();
    let columns: [(&str, &[f64]); 2] = [("cpu", &column), ("load", &column)];
    let recorded = history.record(at, &many(NODES), &columns, &SHORT)?;
    // Another worker may have been faster, also by some checks.
    assert!(
        matches!(recorded, Recorded::Stored(_) | Recorded::Ignored(_)),
        "{recorded:?}"
    );
    Ok(())
}

fn check_latest(history: &History) {
    let Some(latest) = history.latest().unwrap() else {
        return;
    };
    let expected = value(minute_of(latest.at));
    assert_eq!((latest.nodes.len(), latest.metrics.len()), (NODES, 2));
    for metric in 0..2 {
        assert_eq!(latest.value(metric, 0), Some(expected));
        assert!((latest.value(metric, NODES - 1).unwrap() - expected - 2.79).abs() < 1e-9);
    }
}

/// Every check is there in full, and once; returns how many there were.
fn check(directory: &Path) -> u32 {
    let history = read(directory);
    check_latest(&history);
    let Some(newest) = history.newest().unwrap() else {
        return 0;
    };
    for (node, metric, more) in [(0, "cpu", 0.0), (NODES - 1, "load", 2.79)] {
        let points = history.range(&name(node), metric, START, newest).unwrap();
        let mut next = points[0].at;
        for point in &points {
            assert_eq!(point.at, next, "a stretch is missing or there twice");
            let expected: Vec<f64> = (0..point.checks)
                .map(|check| value(minute_of(point.at) + check) + more)
                .collect();
            let spread = point.spread.unwrap();
            let smallest = expected.iter().copied().fold(f64::MAX, f64::min);
            assert!((spread.min - smallest).abs() < 1e-9, "{point:?}");
            let newest = expected[expected.len() - 1];
            assert!((spread.last - newest).abs() < 1e-9, "{point:?}");
            next = point.at.plus(MINUTE * point.checks);
        }
        assert_eq!(next, newest.plus(MINUTE));
    }
    drop(history);
    let connection = rusqlite::Connection::open(directory.join("history.db")).unwrap();
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    minute_of(newest) + 1
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "processes::worker", "--nocapture"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(
        status.signal() == Some(9) || status.success(),
        "a worker failed: {status}"
    );
}

/// A small generator, so that a run can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn killed_processes_leave_whole_checks() {
    let directory = TempDir::new().unwrap();
    std::fs::File::create(directory.path().join(WORK)).unwrap();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let mut workers: Vec<Child> = (0..3).map(|_| start(directory.path())).collect();
    for _ in 0..60 {
        std::thread::sleep(Duration::from_micros(chance.below(80_000)));
        let position = usize::try_from(chance.below(3)).unwrap();
        kill(workers.swap_remove(position));
        workers.push(start(directory.path()));
    }
    workers.into_iter().for_each(kill);
    let checks = check(directory.path());
    assert!(checks >= 20, "{checks} checks are too few to tell anything");
    assert_eq!(aside(directory.path()), 0);
    // And on it goes.
    round(directory.path()).unwrap();
    assert_eq!(check(directory.path()), checks + 1);
}

#[test]
fn killed_creation_leaves_a_new_history_or_none() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20 {
        let directory = TempDir::new().unwrap();
        std::fs::File::create(directory.path().join(WORK)).unwrap();
        let workers: Vec<Child> = (0..3).map(|_| start(directory.path())).collect();
        for worker in workers {
            std::thread::sleep(Duration::from_micros(chance.below(12_000)));
            kill(worker);
        }
        round(directory.path()).unwrap();
        assert!(check(directory.path()) >= 1);
        assert_eq!(aside(directory.path()), 0);
    }
}

/// A check is one transaction: a process that dies before the end of it leaves nothing of it. Every prefix of the log,
/// which is all a process writes, is a history with whole checks.
#[test]
fn every_prefix_of_the_log_is_a_whole_history() {
    let directory = TempDir::new().unwrap();
    for _ in 0..40 {
        round(directory.path()).unwrap();
    }
    let log = std::fs::read(directory.path().join("history.db-wal")).unwrap();
    assert!(log.len() > 100_000, "{}", log.len());
    let mut found = std::collections::BTreeSet::new();
    let steps = 150;
    for step in 0..=steps {
        let copy = TempDir::new().unwrap();
        std::fs::copy(
            directory.path().join("history.db"),
            copy.path().join("history.db"),
        )
        .unwrap();
        let wal = std::fs::File::create(copy.path().join("history.db-wal")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&wal, &log[..log.len() * step / steps], 0)
            .unwrap();
        drop(open(copy.path()));
        found.insert(check(copy.path()));
    }
    assert!(found.len() > 5 && found.last() == Some(&40), "{found:?}");
    assert_eq!(read(directory.path()).newest().unwrap(), Some(minute(39)));
}

/// How many files were set aside: a kill is no damage.
fn aside(directory: &Path) -> usize {
    std::fs::read_dir(directory)
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("corrupt")
        })
        .count()
}
