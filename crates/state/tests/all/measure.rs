//! What the store costs; run it with `--release --ignored --nocapture measure`.

use std::time::Duration;

use ng_state::Store;
use tempfile::TempDir;

use crate::support::{NOW, alert, history, names, open, save};

/// Nanoseconds of processor time of this thread, whatever else the machine does.
fn spent() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

#[expect(clippy::print_stdout, reason = "the numbers are what this is for")]
fn report(what: &str, times: u64, mut run: impl FnMut(u64)) {
    let (before, clock) = (spent(), std::time::Instant::now());
    (0..times).for_each(&mut run);
    let (cpu, wall) = (
        (spent() - before) / times / 1000,
        clock.elapsed().as_micros() / u128::from(times),
    );
    println!("{what}: {cpu} us of processor time, {wall} us of waiting and work");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat list of things to measure")]
#[ignore = "measures, and tells nothing in a debug build"]
fn measure() {
    let directory = TempDir::new().unwrap();
    let place = directory.path();
    let mut all = history(100, 500, 2000);
    save(&mut open(place), &all);
    report("open", 500, |_| drop(Store::open(place, NOW).unwrap()));
    report("open, glances at 100 rules", 500, |_| {
        assert_eq!(open(place).glances().unwrap().rules.len(), 100);
    });
    let mut store = open(place);
    report("glances at 100 rules", 500, |_| {
        drop(store.glances().unwrap());
    });
    report(
        "load 2,000 records, timers of 10 rules of 500 nodes",
        50,
        |_| {
            drop(store.begin().unwrap().load(&names(&all)[..10]).unwrap());
        },
    );
    report("the same with an idle save", 50, |_| {
        let mut transaction = store.begin().unwrap();
        let history = transaction.load(&names(&all)[..10]).unwrap();
        transaction.save(&history).unwrap();
        transaction.commit().unwrap();
    });
    for (name, rule) in &mut all.rules {
        if name.as_str() >= "rule-010" {
            rule.timers = ng_engine::timers::Timers::default();
        }
    }
    report("save 100 new evaluation times", 200, |round| {
        for rule in all.rules.values_mut() {
            rule.summary.last_evaluated = Some(NOW.plus(Duration::from_secs(round + 1)));
        }
        save(&mut store, &all);
    });
    report("one job of a record, on disk", 200, |_| {
        store
            .update_jobs("rule-000", "node-00000", |record| record.repeats += 1)
            .unwrap();
    });
    let alerts: Vec<_> = (0..100)
        .map(|node| alert(&node.to_string(), &["email", "log"]))
        .collect();
    report("queue 100 alerts, on disk", 50, |_| {
        let mut transaction = store.begin().unwrap();
        transaction.queue(&alerts, NOW).unwrap();
        transaction.commit().unwrap();
    });
    drop(store);
    let few = history(100, 0, 20);
    let other = TempDir::new().unwrap();
    save(&mut open(other.path()), &few);
    report("a whole idle run: open, glances, load, save", 300, |_| {
        let mut store = open(other.path());
        store.glances().unwrap();
        let mut transaction = store.begin().unwrap();
        let history = transaction.load(&names(&few)).unwrap();
        transaction.save(&history).unwrap();
        transaction.commit().unwrap();
    });
}
