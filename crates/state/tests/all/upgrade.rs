//! A state that an earlier release left behind.

use std::path::Path;

use ng_delivery::{Admission, Memory, Told};
use ng_engine::plan::{Alert, Input, Seen, Verdict};
use ng_state::{Claim, DeliveryState, FreshAlerts, OutboxFilter, Settlement, Store};
use tempfile::TempDir;

use crate::support::{NOW, alert, load};

/// As the release before this one wrote it.
fn old(directory: &Path) {
    let connection = rusqlite::Connection::open(directory.join("state.db")).unwrap();
    connection
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .unwrap();
    connection
        .execute_batch(include_str!("version_1.sql"))
        .unwrap();
}

fn open_new(directory: &Path) -> Store {
    Store::open(directory, NOW).unwrap().store
}

fn open(directory: &Path) -> Store {
    let opened = Store::open(directory, NOW).unwrap();
    assert_eq!(opened.notice, None, "nothing is set aside");
    opened.store
}

#[test]
fn what_waited_before_an_upgrade_is_sent_after_it() {
    let directory = TempDir::new().unwrap();
    old(directory.path());
    let mut store = open(directory.path());
    assert_eq!(store.outbox_counts().unwrap().pending, 3);
    let claimant = store.claimant(1).unwrap();
    let claim = Claim {
        claimant: &claimant,
        until: NOW,
    };
    let mut transaction = store.begin().unwrap();
    let open = transaction.open_alerts(NOW).unwrap();
    let mut ids = Vec::new();
    for parcel in &open {
        for delivery in &parcel.deliveries {
            assert_eq!(
                (&*delivery.channel, delivery.attempts, delivery.batch),
                ("webhook", 1, Some(1))
            );
            ids.extend(parcel.stretches(delivery).flat_map(|stretch| stretch.ids()));
        }
    }
    assert_eq!(ids, [1, 2, 3]);
    transaction.claim("webhook", &ids, claim).unwrap();
    assert_eq!(transaction.start("webhook", 1, &ids, claim).unwrap(), ids);
    let loaded = transaction.alerts(&ids).unwrap();
    transaction.commit().unwrap();
    let alerts: Vec<_> = loaded
        .iter()
        .flat_map(|loaded| loaded.parcel.as_ref().unwrap().members())
        .map(|member| member.alert())
        .collect();
    assert_eq!(alerts.len(), 3);
    assert_eq!(alerts[2].node, "ip-10-0-0-2.eu-central-1.compute.internal");
    assert_eq!(alerts[2].conditions[0].test, "Ready is True");
    let mut transaction = store.begin().unwrap();
    let settled = transaction.settle("webhook", &ids, &Settlement::Done, NOW);
    assert_eq!(settled.unwrap(), 3);
    transaction.commit().unwrap();
    for queued in store.outbox(OutboxFilter::default()).unwrap() {
        let states: Vec<_> = queued
            .deliveries
            .iter()
            .map(|delivery| (&*delivery.channel, delivery.state))
            .collect();
        assert_eq!(
            states,
            [
                ("log", DeliveryState::Done),
                ("webhook", DeliveryState::Done)
            ]
        );
    }
}

#[test]
fn an_upgrade_keeps_ids_memories_and_history() {
    let directory = TempDir::new().unwrap();
    old(directory.path());
    let mut store = open(directory.path());
    let history = load(&mut store, &["everywhere"]);
    assert_eq!(history.rules["everywhere"].records.len(), 3);
    assert_eq!(store.tallies().unwrap().len(), 3);
    let mut told = alert("ip-10-0-0-1.eu-central-1.compute.internal", &["log"]);
    told.rule = "everywhere".to_owned();
    let mut transaction = store.begin().unwrap();
    assert_eq!(
        transaction.queue(&[told], NOW).unwrap(),
        [4],
        "no id is given twice"
    );
    let admitted = transaction.admit(NOW, |_, memory| {
        assert_eq!(memory.told, Some(Told::Triggered));
        Admission::Send
    });
    assert_eq!(admitted.unwrap(), 1);
}

/// Numbers as version 2 had them: row by row.
fn records(alerts: &[Alert]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for alert in alerts {
        bytes.extend(alert.since.millis().to_le_bytes());
        bytes.extend(alert.repeats.to_le_bytes());
        for value in alert.metrics.values() {
            bytes.extend(value.to_le_bytes());
        }
        for input in &alert.conditions {
            if let Seen::Value { value, age, .. } = &input.seen {
                bytes.extend(value.to_le_bytes());
                bytes.extend(age.to_le_bytes());
            }
            bytes.extend(input.true_for.into_iter().flat_map(i64::to_le_bytes));
        }
    }
    bytes
}

#[test]
fn names_and_numbers_of_version_2_are_still_read() {
    let directory = TempDir::new().unwrap();
    let mut store = open_new(directory.path());
    let alerts: Vec<Alert> = [("a.x", 1.5, 0), ("b.x", f64::MIN, 3), ("c.x", 0.25, 1)]
        .into_iter()
        .map(|(node, value, repeats)| {
            let mut alert = alert(node, &["log"]);
            alert.repeats = repeats;
            alert.metrics = [("cpu".to_owned(), value), ("memory".to_owned(), 7.0)].into();
            alert.conditions = vec![Input {
                test: "cpu > 1".to_owned(),
                description: None,
                seen: Seen::Value {
                    value,
                    age: 1500,
                    origin: "prometheus".to_owned(),
                },
                true_for: Some(60_000 + i64::from(repeats)),
                needed: 60_000,
                verdict: Verdict::Holds,
            }];
            alert
        })
        .collect();
    let mut transaction = store.begin().unwrap();
    let ids = transaction.queue(&alerts, NOW).unwrap();
    let tell = |_: &FreshAlerts<'_>, memory: &mut Memory| {
        memory.told = Some(Told::Triggered);
        Admission::Send
    };
    assert_eq!(transaction.admit(NOW, tell).unwrap(), 3);
    transaction.commit().unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(directory.path().join("state.db")).unwrap();
    let changed = connection.execute(
        "UPDATE parcel SET nodes = ?1, numbers = ?2",
        rusqlite::params![".x\na\nb\nc", records(&alerts)],
    );
    assert_eq!(changed.unwrap(), 1, "they are one parcel");
    // As one row, with the end of the names first.
    connection
        .execute("DELETE FROM memory WHERE node <> 'a.x'", [])
        .unwrap();
    let changed = connection.execute("UPDATE memory SET nodes = ?1", [".x\na\nb\nc"]);
    assert_eq!(changed.unwrap(), 1);
    connection.execute_batch("PRAGMA user_version = 2").unwrap();
    drop(connection);

    let mut store = open_new(directory.path());
    let mut transaction = store.begin().unwrap();
    let loaded = transaction.alerts(&ids).unwrap();
    let parcel = loaded[0].parcel.as_ref().unwrap();
    let found: Vec<Alert> = parcel.members().map(|member| member.alert()).collect();
    assert_eq!(found, alerts);
    transaction.queue(&alerts, NOW).unwrap();
    let mut known = Vec::new();
    let remember = |alerts: &FreshAlerts<'_>, memory: &mut Memory| {
        known.push((alerts.nodes.to_owned(), memory.told));
        Admission::Send
    };
    transaction.admit(NOW, remember).unwrap();
    let told = ["a.x", "b.x", "c.x"].map(|node| (node.to_owned(), Some(Told::Triggered)));
    assert_eq!(known, told);
}

/// Where one process upgrades, another may be about to.
#[test]
fn several_may_upgrade_at_once() {
    let directory = TempDir::new().unwrap();
    old(directory.path());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let place = directory.path().to_owned();
            std::thread::spawn(move || open(&place).outbox_counts().unwrap().pending)
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 3);
    }
}
