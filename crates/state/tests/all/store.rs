//! What a caller of the store relies on, against real files.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::support::{NOW, alert, history, load, names, open, save, timers};
use ng_engine::history::History;
use ng_engine::plan::Seen;
use ng_engine::timers::Timers;
use ng_state::{DeliveryState, Glance, Notice, OutboxFilter, StateError, Store};
use serde_json::json;
use tempfile::TempDir;

/// Length and content of the database and its log.
fn files(directory: &Path) -> [(u64, Vec<u8>); 2] {
    ["state.db", "state.db-wal"].map(|name| {
        let bytes = std::fs::read(directory.join(name)).unwrap();
        (bytes.len() as u64, bytes)
    })
}

#[test]
fn notice_is_given_until_a_history_is_saved() {
    let directory = TempDir::new().unwrap();
    let place = directory.path().join("new/deep");
    for _ in 0..2 {
        let opened = Store::open(&place, NOW).unwrap();
        assert_eq!(opened.notice, Some(Notice::Created { at: NOW }));
    }
    let mut store = open(&place);
    let mut abandoned = store.begin().unwrap();
    abandoned.save(&History::default()).unwrap();
    drop(abandoned);
    assert!(store.begin().unwrap().notice().unwrap().is_some());
    save(&mut store, &History::default());
    assert_eq!(store.begin().unwrap().notice().unwrap(), None);
    drop(store);
    assert_eq!(Store::open(&place, NOW).unwrap().notice, None);
}

#[test]
fn only_the_owner_can_read_the_state() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = TempDir::new().unwrap();
    let place = directory.path().join("state");
    let mut store = open(&place);
    save(&mut store, &history(1, 0, 1));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place), 0o700);
    for entry in std::fs::read_dir(&place).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn saved_history_is_loaded_again() {
    let directory = TempDir::new().unwrap();
    let history = history(5, 30, 17);
    save(&mut open(directory.path()), &history);
    let mut store = open(directory.path());
    assert_eq!(load(&mut store, &names(&history)), history);
    let glances = store.glances().unwrap().rules;
    assert_eq!(glances.len(), 5);
    let summary = &history.rules["rule-003"].summary;
    assert_eq!(glances["rule-003"], Glance::of(summary));
}

#[test]
fn what_was_peeked_counts_unless_another_process_has_written() {
    let directory = TempDir::new().unwrap();
    let first = history(3, 4, 1);
    save(&mut open(directory.path()), &first);
    let mut store = open(directory.path());

    let glances = store.glances().unwrap();
    let peeked = store.peek(&glances, &["rule-001"]).unwrap();
    let mut transaction = store.begin().unwrap();
    let loaded = transaction.load_after(Some(peeked), &["rule-001"]).unwrap();
    assert_eq!(loaded.rules["rule-001"], first.rules["rule-001"]);
    assert_eq!(loaded.roster, first.roster);
    drop(transaction);

    let peeked = store.peek(&glances, &["rule-001"]).unwrap();
    let mut second = load(&mut open(directory.path()), &names(&first));
    second.rules.remove("rule-000");
    save(&mut open(directory.path()), &second);
    let mut transaction = store.begin().unwrap();
    let loaded = transaction
        .load_after(Some(peeked), &["rule-001", "rule-002"])
        .unwrap();
    assert_eq!(loaded, second, "the other process's save is seen");
    drop(transaction);

    let peeked = store.peek(&glances, &["rule-001"]).unwrap();
    let seen: Vec<&String> = peeked.history().rules.keys().collect();
    assert_eq!(seen, ["rule-001", "rule-002"], "as it is since the glances");
}

#[test]
fn rules_that_were_not_peeked_at_stay() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    // Records of rules 0, 1 and 2.
    let saved = history(6, 4, 3);
    save(&mut store, &saved);

    let glances = store.glances().unwrap();
    let peeked = store
        .peek(&glances, &["rule-004", "rule-001", "new"])
        .unwrap();
    let mut transaction = store.begin().unwrap();
    let mut loaded = transaction.load_after(Some(peeked), &["rule-004"]).unwrap();
    let held_or_named = ["rule-000", "rule-001", "rule-002", "rule-004"];
    assert_eq!(names(&loaded), held_or_named);
    loaded.rules.remove("rule-002");
    loaded.rules.remove("rule-004");
    loaded.rules.get_mut("rule-001").unwrap().summary.pending = 7;
    transaction.save(&loaded).unwrap();
    transaction.commit().unwrap();

    let mut wanted = saved.clone();
    wanted.rules.remove("rule-002");
    wanted.rules.remove("rule-004");
    wanted.rules.get_mut("rule-001").unwrap().summary.pending = 7;
    let left = load(&mut store, &names(&saved));
    assert_eq!(left, wanted);
    let mut back = left;
    back.rules.entry("rule-004".to_owned()).or_default();
    save(&mut store, &back);
    let timers = &load(&mut store, &["rule-004"]).rules["rule-004"].timers;
    assert_eq!(*timers, Timers::default(), "they went with their rule");
}

#[test]
fn timers_that_were_not_loaded_stay() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let saved = history(3, 4, 0);
    save(&mut store, &saved);

    let mut transaction = store.begin().unwrap();
    let mut loaded = transaction.load(&["rule-001"]).unwrap();
    assert_eq!(loaded.rules["rule-000"].timers, Timers::default());
    assert_eq!(loaded.rules["rule-001"].timers, timers(4));
    loaded.rules.get_mut("rule-001").unwrap().timers = Timers::default();
    loaded.rules.remove("rule-002");
    transaction.save(&loaded).unwrap();
    transaction.commit().unwrap();

    let loaded = load(&mut store, &names(&saved));
    assert_eq!(loaded.rules["rule-000"].timers, timers(4));
    assert_eq!(loaded.rules["rule-001"].timers, Timers::default());
    assert!(!loaded.rules.contains_key("rule-002"));
    save(&mut store, &saved);
    let again = load(&mut store, &names(&saved));
    assert_eq!(again, saved);
}

#[test]
fn absent_rows_are_deleted() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    save(&mut store, &history(9, 9, 40));
    let smaller = history(4, 0, 7);
    let mut transaction = store.begin().unwrap();
    let all = transaction.load(&names(&history(9, 9, 0))).unwrap();
    assert_eq!(all, history(9, 9, 40));
    transaction.save(&smaller).unwrap();
    transaction.commit().unwrap();
    assert_eq!(load(&mut store, &names(&smaller)), smaller);
}

#[test]
fn idle_rounds_write_nothing() {
    let directory = TempDir::new().unwrap();
    let history = history(20, 50, 100);
    save(&mut open(directory.path()), &history);
    let before = files(directory.path());
    for round in 0..1000 {
        let mut store = open(directory.path());
        store.glances().unwrap();
        let mut transaction = store.begin().unwrap();
        let loaded = transaction.load(&["rule-000", "rule-007"]).unwrap();
        transaction.set_note("config", None).unwrap();
        transaction.save(&loaded).unwrap();
        transaction.commit().unwrap();
        if round % 100 == 0 {
            assert!(before == files(directory.path()), "round {round}");
        }
    }
    assert!(before == files(directory.path()));
}

#[test]
fn busy_rounds_do_not_grow_the_files() {
    let directory = TempDir::new().unwrap();
    let mut history = history(100, 200, 50);
    save(&mut open(directory.path()), &history);
    let full = files(directory.path())[0].0;
    for round in 0..300 {
        for rule in history.rules.values_mut() {
            rule.summary.last_evaluated = Some(NOW.plus(Duration::from_secs(round)));
        }
        save(&mut open(directory.path()), &history);
        let [database, log] = files(directory.path()).map(|(size, _)| size);
        assert!(database <= full, "{database} bytes in round {round}");
        assert!(log <= 300_000, "a log of {log} bytes in round {round}");
    }
}

#[test]
fn evaluation_times_are_cheap_to_save() {
    let directory = TempDir::new().unwrap();
    let mut history = history(100, 5000, 0);
    let mut store = open(directory.path());
    save(&mut store, &history);
    let [_, before] = files(directory.path());
    assert_eq!(before.0, 0, "the large log was emptied");
    for rule in history.rules.values_mut() {
        rule.summary.last_evaluated = Some(NOW.plus(Duration::from_mins(1)));
    }
    save(&mut store, &history);
    let [_, after] = files(directory.path());
    assert!(
        (1..=5 * 4120).contains(&after.0),
        "{} bytes were written",
        after.0
    );
}

#[test]
fn outbox_keeps_one_delivery_a_channel() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let mut transaction = store.begin().unwrap();
    let mut odd = alert("worker-2", &["email", "log", "email"]);
    odd.metrics = BTreeMap::from([
        ("infinite".to_owned(), f64::INFINITY),
        ("none".to_owned(), f64::NAN),
    ]);
    odd.conditions = vec![
        serde_json::from_value(json!({
            "test": "x > 1", "seen": {"value": {"value": 1.0, "age": 0, "origin": "prometheus"}},
            "needed": 0, "verdict": "Holds",
        }))
        .unwrap(),
    ];
    if let Seen::Value { value, .. } = &mut odd.conditions[0].seen {
        *value = f64::NEG_INFINITY;
    }
    let ids = transaction
        .queue(&[alert("worker-1", &["log"]), odd], NOW)
        .unwrap();
    transaction.commit().unwrap();

    let queued = store.outbox(OutboxFilter::default()).unwrap();
    assert_eq!(queued.iter().map(|alert| alert.id).collect::<Vec<_>>(), ids);
    assert_eq!(
        *queued[0].alert.as_ref().unwrap(),
        alert("worker-1", &["log"])
    );
    let odd = queued[1].alert.as_ref().unwrap();
    assert_eq!(
        odd.metrics,
        BTreeMap::from([("infinite".to_owned(), f64::MAX)])
    );
    let channels: Vec<_> = queued[1]
        .deliveries
        .iter()
        .map(|found| found.channel.as_str())
        .collect();
    assert_eq!(channels, ["email", "log"]);
    assert_eq!(store.outbox_counts().unwrap().pending, 3);
    assert_eq!(store.outbox_counts().unwrap().dead, 0);
    let dead = OutboxFilter {
        state: Some(DeliveryState::Dead),
        ..OutboxFilter::default()
    };
    assert!(store.outbox(dead).unwrap().is_empty());
    let second = OutboxFilter {
        state: Some(DeliveryState::Pending),
        after: ids[0],
        limit: 1,
    };
    assert_eq!(store.outbox(second).unwrap()[0].id, ids[1]);
}

#[test]
fn counters_add_up_over_runs() {
    let directory = TempDir::new().unwrap();
    for _ in 0..3 {
        let mut store = open(directory.path());
        let mut transaction = store.begin().unwrap();
        let labels = [("rule", "load"), ("action", "taint")];
        transaction.count("actions", &labels, 2).unwrap();
        transaction
            .count("actions", &[labels[1], labels[0]], u64::MAX / 8)
            .unwrap();
        transaction.count("alerts", &[], 1).unwrap();
        transaction.count("nothing", &[], 0).unwrap();
        transaction.commit().unwrap();
    }
    let mut store = open(directory.path());
    let counters = store.counters().unwrap();
    assert_eq!(counters.len(), 2);
    assert_eq!(counters[0].value, 3 * (u64::MAX / 8 + 2));
    assert_eq!(counters[0].labels["rule"], "load");
    assert_eq!(
        (counters[1].name.as_str(), counters[1].value),
        ("alerts", 3)
    );

    let mut transaction = store.begin().unwrap();
    assert_eq!(transaction.forget_counters("rule", "load").unwrap(), 1);
    transaction.count("alerts", &[], u64::MAX).unwrap();
    transaction.commit().unwrap();
    assert_eq!(store.counters().unwrap()[0].value, u64::MAX / 2);
}

#[test]
fn notes_are_replaced_and_removed() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    for text in [Some("one"), Some("two"), None, None] {
        let mut transaction = store.begin().unwrap();
        transaction.set_note("config.error", text).unwrap();
        assert_eq!(transaction.note("config.error").unwrap().as_deref(), text);
        transaction.commit().unwrap();
        assert_eq!(store.note("config.error").unwrap().as_deref(), text);
    }
}

#[test]
fn jobs_are_updated_in_place() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let mut history = history(1, 3, 2);
    save(&mut store, &history);
    let outcome = store.update_jobs("rule-000", "node-00001", |record| {
        record.repeats += 1;
        record.repeats
    });
    assert_eq!(outcome.unwrap(), Some(1));
    let missing = store.update_jobs("rule-000", "node-00009", |_| ());
    assert_eq!(missing.unwrap(), None);
    let records = &mut history.rules.get_mut("rule-000").unwrap().records;
    records.get_mut("node-00001").unwrap().repeats = 1;
    assert_eq!(load(&mut store, &["rule-000"]), history);
}

#[test]
fn later_schema_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path()));
    let database = directory.path().join("state.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute_batch("PRAGMA user_version = 7").unwrap();
    drop(connection);
    let error = Store::open(directory.path(), NOW).unwrap_err();
    assert!(matches!(
        error,
        StateError::Newer {
            found: 7,
            known: 3,
            ..
        }
    ));
    let text = error.to_string();
    assert!(
        text.contains("version 7") && text.contains("up to 3"),
        "{text}"
    );
    assert!(database.exists());
}
