//! Several processes at once, killed at any instruction.
//!
//! A worker is this test executable, started again in the state directory. Each round raises every part of the state
//! by one, so that a round that is not there in full, or twice, shows.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ng_engine::history::History;
use ng_engine::time::Time;
use ng_state::{OutboxFilter, StateError, Store};
use tempfile::TempDir;

use crate::support::{NOW, alert, history, names, open};

/// The file that tells a worker from a plain run of all tests.
const WORK: &str = "work";
/// An abandoned worker ends by itself.
const MOST_ROUNDS: u32 = 2000;

#[test]
#[ignore = "the worker of the tests below, which start it themselves"]
fn worker() {
    let directory = Path::new(".");
    if !directory.join(WORK).exists() {
        return;
    }
    for _ in 0..MOST_ROUNDS {
        match round(directory) {
            Err(error) if !error.is_busy() => panic!("{error:?}"),
            _ => {}
        }
    }
}

fn round(directory: &Path) -> Result<(), StateError> {
    let mut store = Store::open(directory, NOW)?.store;
    store.glances()?;
    let mut next = history(4, 30, 12);
    let mut transaction = store.begin()?;
    let before = transaction.load(&names(&next))?;
    let number = number(&before);
    let noted = transaction
        .note("round")?
        .map_or(0, |note| note.parse().unwrap());
    assert_eq!(noted, number);
    raise(&mut next, number + 1);
    transaction.save(&next)?;
    let told = alert(&format!("node-{}", number + 1), &["email", "log"]);
    transaction.queue(&[told.clone(), told], NOW)?;
    transaction.count("rounds", &[("of", "all")], 1)?;
    transaction.set_note("round", Some(&(number + 1).to_string()))?;
    transaction.commit()?;
    store.update_jobs("rule-000", "node-00000", |record| record.admitted = false)?;
    Ok(())
}

fn raise(history: &mut History, number: u64) {
    for rule in history.rules.values_mut() {
        rule.summary.spec_hash = number;
        rule.summary.last_evaluated = Some(Time::from_millis(number.cast_signed()));
        rule.timers.tests[0].entries[7].since = Time::from_millis(number.cast_signed());
        for record in rule.records.values_mut() {
            record.spec_hash = number;
        }
    }
    for ledger in history.ledgers.values_mut() {
        ledger.uid = number.to_string();
    }
}

/// The number of the round, which must be the same everywhere.
fn number(found: &History) -> u64 {
    let Some(first) = found.rules.values().next() else {
        assert_eq!(*found, History::default());
        return 0;
    };
    let number = first.summary.spec_hash;
    let mut expected = history(4, 30, 12);
    raise(&mut expected, number);
    let mut found = found.clone();
    // Its own small transaction may or may not have come to pass.
    let records = &mut found.rules.get_mut("rule-000").unwrap().records;
    records.get_mut("node-00000").unwrap().admitted = true;
    assert_eq!(found, expected);
    number
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

/// Everything that a round wrote is there, and as often as there were rounds.
fn check(directory: &Path) -> u64 {
    let mut store = open(directory);
    let all = history(4, 0, 0);
    let number = number(&store.begin().unwrap().load(&names(&all)).unwrap());
    let note = store.note("round").unwrap();
    assert_eq!(note.map_or(0, |note| note.parse().unwrap()), number);
    let counted = store
        .counters()
        .unwrap()
        .first()
        .map_or(0, |counter| counter.value);
    assert_eq!(counted, number);
    assert_eq!(store.outbox_counts().unwrap().pending, number * 4);
    let filter = OutboxFilter {
        limit: u32::MAX,
        ..OutboxFilter::default()
    };
    let queued = store.outbox(filter).unwrap();
    for (position, queued) in queued.iter().enumerate() {
        assert_eq!(queued.node, format!("node-{}", position / 2 + 1));
        assert_eq!(queued.deliveries.len(), 2);
        assert!(queued.alert.is_ok());
    }
    drop(store);
    let connection = rusqlite::Connection::open(directory.join("state.db")).unwrap();
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    number
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
fn killed_processes_leave_whole_rounds() {
    let directory = TempDir::new().unwrap();
    std::fs::File::create(directory.path().join(WORK)).unwrap();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let mut workers: Vec<Child> = (0..4).map(|_| start(directory.path())).collect();
    for _ in 0..60 {
        std::thread::sleep(Duration::from_micros(chance.below(60_000)));
        let position = usize::try_from(chance.below(4)).unwrap();
        kill(workers.swap_remove(position));
        workers.push(start(directory.path()));
    }
    workers.into_iter().for_each(kill);
    let rounds = check(directory.path());
    assert!(rounds >= 5, "{rounds} rounds are too few to tell anything");
    assert_eq!(aside(directory.path()), 0);
}

#[test]
fn killed_creation_leaves_a_new_state_or_none() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..25 {
        let directory = TempDir::new().unwrap();
        std::fs::File::create(directory.path().join(WORK)).unwrap();
        let workers: Vec<Child> = (0..3).map(|_| start(directory.path())).collect();
        for worker in workers {
            std::thread::sleep(Duration::from_micros(chance.below(12_000)));
            kill(worker);
        }
        check(directory.path());
        assert_eq!(aside(directory.path()), 0);
    }
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
