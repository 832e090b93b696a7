//! The outbox as those who deliver see it.

use std::collections::BTreeMap;
use std::time::Duration;

use ng_delivery::{Admission, Memory, ReceiverState, Told};
use ng_engine::plan::{Alert, AlertKind};
use ng_engine::time::Time;
use ng_state::{
    Claim, DeliveryState, FreshAlerts, Keep, OpenParcel, OutboxFilter, Settlement, Store,
    Transaction,
};
use tempfile::TempDir;

use crate::support::{NOW, alert, open};

pub(crate) fn write<T>(store: &mut Store, change: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
    let mut transaction = store.begin().unwrap();
    let outcome = change(&mut transaction);
    transaction.commit().unwrap();
    outcome
}

pub(crate) fn queue(store: &mut Store, alerts: &[Alert]) -> Vec<i64> {
    write(store, |transaction| transaction.queue(alerts, NOW).unwrap())
}

fn admit(store: &mut Store, admission: Admission) -> usize {
    write(store, |transaction| {
        transaction.admit(NOW, |_, _| admission).unwrap()
    })
}

/// The states of an alert's deliveries, by channel.
pub(crate) fn states(store: &Store, id: i64) -> Vec<(String, DeliveryState)> {
    let all = store.outbox(OutboxFilter::default()).unwrap();
    let alert = all.into_iter().find(|alert| alert.id == id).unwrap();
    let deliveries = alert.deliveries.into_iter();
    deliveries
        .map(|delivery| (delivery.channel, delivery.state))
        .collect()
}

/// Nodes of the alerts that are to be sent, channel by channel.
fn waiting(open: &[OpenParcel]) -> Vec<&str> {
    let deliveries = |parcel: &'_ OpenParcel| parcel.deliveries.len();
    assert!(open.iter().all(|parcel| deliveries(parcel) > 0));
    let of_parcel = open.iter().flat_map(|parcel| {
        let deliveries = parcel.deliveries.iter();
        deliveries.flat_map(|delivery| parcel.stretches(delivery))
    });
    of_parcel.flat_map(|stretch| stretch.names()).collect()
}

pub(crate) fn later(seconds: u64) -> Time {
    NOW.plus(Duration::from_secs(seconds))
}

#[test]
fn new_alerts_are_admitted_once_and_in_order() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    assert!(!store.agenda(NOW).unwrap().has_work());
    queue(&mut store, &[alert("a", &["log"]), alert("b", &["log"])]);
    assert!(store.agenda(NOW).unwrap().has_work());
    let mut seen = Vec::new();
    write(&mut store, |transaction| {
        assert!(
            transaction.open_alerts(NOW).unwrap().is_empty(),
            "nothing is sent that was not admitted"
        );
        let admitted = transaction.admit(NOW, |alerts, memory| {
            seen.push((alerts.nodes.to_owned(), *memory));
            memory.told = Some(Told::Triggered);
            Admission::Send
        });
        assert_eq!(admitted.unwrap(), 2);
        assert_eq!(waiting(&transaction.open_alerts(NOW).unwrap()), ["a", "b"]);
    });
    let unknown = Memory::default();
    assert_eq!(seen, [("a".to_owned(), unknown), ("b".to_owned(), unknown)]);
    assert_eq!(admit(&mut store, Admission::Send), 0);
    queue(&mut store, &[alert("a", &["log"])]);
    write(&mut store, |transaction| {
        let admitted = transaction.admit(NOW, |_, memory| {
            assert_eq!(memory.told, Some(Told::Triggered), "it is remembered");
            Admission::Send
        });
        assert_eq!(admitted.unwrap(), 1);
    });
}

#[test]
fn what_is_not_sent_is_settled_and_counted() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let ids = queue(&mut store, &[alert("a", &["log", "email"])]);
    admit(&mut store, Admission::Mute);
    let skipped = |channel: &str| (channel.to_owned(), DeliveryState::Skipped);
    assert_eq!(states(&store, ids[0]), [skipped("email"), skipped("log")]);
    let tallies = store.tallies().unwrap();
    let shown: Vec<_> = tallies
        .iter()
        .map(|tally| (tally.channel.as_str(), tally.result.as_str(), tally.value))
        .collect();
    assert_eq!(shown, [("email", "muted", 1), ("log", "muted", 1)]);
    assert!(!store.agenda(NOW).unwrap().has_work());
}

#[test]
fn only_the_newest_alert_of_a_node_is_held() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let calm_at = later(60);
    let ids = queue(&mut store, &[alert("a", &["log"]), alert("a", &["log"])]);
    write(&mut store, |transaction| {
        let hold = |_: &FreshAlerts<'_>, memory: &mut Memory| {
            memory.calm_at = Some(calm_at);
            Admission::Hold
        };
        transaction.admit(NOW, hold).unwrap();
    });
    assert_eq!(states(&store, ids[0])[0].1, DeliveryState::Skipped);
    assert_eq!(states(&store, ids[1])[0].1, DeliveryState::Held);
    assert!(
        !store.agenda(later(59)).unwrap().has_work() && store.agenda(calm_at).unwrap().has_work()
    );
    for (now, tell, calm) in [(later(59), true, 0), (calm_at, true, 1), (calm_at, true, 0)] {
        let found = write(&mut store, |transaction| {
            let decide = |memory: &mut Memory, newest: Option<AlertKind>| {
                assert_eq!(newest, Some(AlertKind::Trigger));
                memory.calm_at = None;
                tell
            };
            transaction.calm_down(now, decide).unwrap()
        });
        assert_eq!(found, calm);
    }
    assert_eq!(states(&store, ids[1])[0].1, DeliveryState::Pending);
}

/// What is decided about many nodes at once is decided about each of them.
#[test]
fn many_nodes_of_whom_nothing_is_known_are_decided_about_together() {
    for admission in [
        Admission::Send,
        Admission::SendFlapping,
        Admission::Hold,
        Admission::Mute,
    ] {
        let directory = TempDir::new().unwrap();
        let mut store = open(directory.path());
        let names: Vec<String> = (0..300).map(|place| format!("node-{place:03}")).collect();
        let alerts: Vec<Alert> = names.iter().map(|node| alert(node, &["log"])).collect();
        let ids = queue(&mut store, &alerts);
        let decide = |alerts: &FreshAlerts<'_>, memory: &mut Memory| {
            assert_eq!(alerts.len, if memory.calm_at.is_none() { 300 } else { 1 });
            if admission != Admission::Mute {
                memory.score += 1.0;
            }
            (memory.calm_at, memory.told) = (Some(NOW), Some(Told::Triggered));
            admission
        };
        write(&mut store, |transaction| {
            assert_eq!(transaction.admit(NOW, decide).unwrap(), 300);
        });
        let state = match admission {
            Admission::Send | Admission::SendFlapping => DeliveryState::Pending,
            Admission::Hold => DeliveryState::Held,
            Admission::Mute => DeliveryState::Skipped,
        };
        assert!(
            ids.iter().all(|id| states(&store, *id)[0].1 == state),
            "{admission:?}"
        );
        queue(&mut store, &alerts);
        let mut seen = Vec::new();
        let again = |alerts: &FreshAlerts<'_>, memory: &mut Memory| {
            seen.extend(alerts.nodes.split('\n').map(str::to_owned));
            assert_eq!(memory.told, Some(Told::Triggered), "it is remembered");
            Admission::Send
        };
        write(&mut store, |transaction| {
            transaction.admit(NOW, again).unwrap()
        });
        assert_eq!(seen, names, "{admission:?}");
        // What was held of each is no news any more.
        let outdated = match admission {
            Admission::Hold => DeliveryState::Skipped,
            _ => state,
        };
        assert!(
            ids.iter().all(|id| states(&store, *id)[0].1 == outdated),
            "{admission:?}"
        );
    }
}

/// Alerts that are held together are let go one by one.
#[test]
fn each_of_several_that_are_held_is_let_go() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let nodes = ["a", "b", "c"].map(|node| alert(node, &["log"]));
    let ids = queue(&mut store, &nodes);
    write(&mut store, |transaction| {
        let hold = |_: &FreshAlerts<'_>, memory: &mut Memory| {
            memory.calm_at = Some(NOW);
            Admission::Hold
        };
        transaction.admit(NOW, hold).unwrap();
        // One is given up meanwhile: nothing is left of it to tell.
        transaction.drop_alert(ids[1], NOW).unwrap();
        let mut kinds = Vec::new();
        let decide = |memory: &mut Memory, newest: Option<AlertKind>| {
            memory.calm_at = None;
            kinds.push(newest);
            true
        };
        assert_eq!(transaction.calm_down(NOW, decide).unwrap(), 3);
        let told = Some(AlertKind::Trigger);
        kinds.sort_by_key(Option::is_none);
        assert_eq!(kinds, [told, told, None]);
    });
    let expected = [
        DeliveryState::Pending,
        DeliveryState::Skipped,
        DeliveryState::Pending,
    ];
    assert_eq!(
        [0, 1, 2].map(|place| states(&store, ids[place])[0].1),
        expected
    );
}

#[test]
fn what_a_living_process_is_at_is_busy_and_a_dead_ones_is_free() {
    let directory = TempDir::new().unwrap();
    let (mut store, mut other) = (open(directory.path()), open(directory.path()));
    let ids = queue(&mut store, &[alert("a", &["log"])]);
    admit(&mut store, Admission::Send);
    let claimant = store.claimant(1).unwrap();
    let claim = Claim {
        claimant: &claimant,
        until: later(60),
    };
    write(&mut store, |transaction| {
        transaction.claim("log", &ids, claim).unwrap();
    });
    let mut is_busy = |now| {
        write(&mut other, |transaction| {
            transaction.open_alerts(now).unwrap()
        })[0]
            .deliveries[0]
            .busy
    };
    assert!(is_busy(NOW) && is_busy(later(59)));
    assert!(
        !is_busy(later(60)),
        "a claim ends even if the process hangs"
    );
    write(&mut store, |transaction| {
        assert_eq!(transaction.start("log", ids[0], &ids, claim).unwrap(), ids);
        assert!(
            transaction
                .start("email", ids[0], &ids, claim)
                .unwrap()
                .is_empty()
        );
    });
    drop(claimant);
    assert!(!is_busy(NOW));
    let open = write(&mut other, |transaction| {
        transaction.open_alerts(NOW).unwrap()
    });
    let delivery = &open[0].deliveries[0];
    assert_eq!((delivery.attempts, delivery.batch), (1, Some(ids[0])));
}

#[test]
fn attempts_end_in_every_way() {
    let reason = || "no answer".to_owned();
    let cases = [
        (Settlement::Done, DeliveryState::Done, None),
        (
            Settlement::Again {
                at: later(5),
                reason: reason(),
            },
            DeliveryState::Pending,
            Some("no answer"),
        ),
        (
            Settlement::Dead { reason: reason() },
            DeliveryState::Dead,
            Some("no answer"),
        ),
        (
            Settlement::Skipped { reason: reason() },
            DeliveryState::Skipped,
            Some("no answer"),
        ),
        (Settlement::Released, DeliveryState::Pending, None),
    ];
    for (settlement, state, error) in cases {
        let directory = TempDir::new().unwrap();
        let mut store = open(directory.path());
        let ids = queue(&mut store, &[alert("a", &["log", "email"])]);
        admit(&mut store, Admission::Send);
        let settle = |transaction: &mut Transaction<'_>| {
            transaction
                .settle("log", &ids, &settlement, later(1))
                .unwrap()
        };
        assert_eq!(write(&mut store, settle), 1);
        let found = store.outbox(OutboxFilter::default()).unwrap().remove(0);
        let (email, log) = (&found.deliveries[0], &found.deliveries[1]);
        assert_eq!(email.state, DeliveryState::Pending, "{settlement:?}");
        assert_eq!(log.state, state, "{settlement:?}");
        assert_eq!(log.last_error.as_deref(), error, "{settlement:?}");
        let is_settled = state != DeliveryState::Pending;
        assert_eq!(
            log.settled,
            is_settled.then_some(later(1)),
            "{settlement:?}"
        );
        // What is settled is not settled again.
        assert_eq!(write(&mut store, settle), u64::from(!is_settled));
    }
}

#[test]
fn alerts_are_retried_and_dropped_by_hand() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let ids = queue(&mut store, &[alert("a", &["log", "email"])]);
    admit(&mut store, Admission::Send);
    let reason = "no answer".to_owned();
    let paused = ReceiverState {
        paused_until: later(600),
        ..ReceiverState::default()
    };
    write(&mut store, |transaction| {
        let dead = Settlement::Dead { reason };
        transaction.settle("log", &ids, &dead, NOW).unwrap();
        transaction
            .settle("email", &ids, &Settlement::Done, NOW)
            .unwrap();
        transaction.set_receiver("log", &paused).unwrap();
        assert_eq!(transaction.receiver("log").unwrap(), paused);
        assert_eq!(
            transaction.retry(ids[0], NOW).unwrap(),
            1,
            "not what is done"
        );
        assert!(!transaction.receiver("log").unwrap().is_paused(NOW));
    });
    assert_eq!(states(&store, ids[0])[1].1, DeliveryState::Pending);
    write(&mut store, |transaction| {
        assert_eq!(transaction.drop_alert(ids[0], NOW).unwrap(), 1);
        assert_eq!(transaction.drop_alert(ids[0], NOW).unwrap(), 0);
        assert_eq!(transaction.retry(ids[0], NOW).unwrap(), 0);
        assert_eq!(transaction.retry(99, NOW).unwrap(), 0);
    });
    assert_eq!(states(&store, ids[0])[1].1, DeliveryState::Skipped);
}

const KEEP: Keep = Keep {
    dead: Duration::from_secs(100),
    settled: Duration::from_secs(50),
    most_settled: 4,
    receivers: Duration::from_secs(50),
};

/// Nodes of the alerts that are there.
fn left(store: &Store) -> Vec<String> {
    let all = store.outbox(OutboxFilter::default()).unwrap();
    all.into_iter().map(|alert| alert.node).collect()
}

#[test]
fn what_is_settled_is_kept_for_a_while_and_what_is_open_for_ever() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let names = ["done", "dead", "pending", "new"];
    let ids: Vec<i64> = names[..3]
        .iter()
        .flat_map(|name| queue(&mut store, &[alert(name, &["log"])]))
        .collect();
    write(&mut store, |transaction| {
        let stale = |_: &FreshAlerts<'_>, memory: &mut Memory| {
            memory.score = 1.0;
            Admission::Send
        };
        transaction.admit(NOW, stale).unwrap();
        transaction
            .settle("log", &ids[..1], &Settlement::Done, NOW)
            .unwrap();
        let dead = Settlement::Dead {
            reason: String::new(),
        };
        transaction.settle("log", &ids[1..2], &dead, NOW).unwrap();
    });
    queue(&mut store, &[alert(names[3], &["log"])]);
    let cases = [
        (40, &names[..]),
        (51, &names[1..]),
        (99, &names[1..]),
        (101, &names[2..]),
        (9999, &names[2..]),
    ];
    for (seconds, expected) in cases {
        write(&mut store, |transaction| {
            transaction.prune(&KEEP, later(seconds), |_| false).unwrap();
        });
        assert_eq!(left(&store), expected, "after {seconds} s");
    }
    let expired = store.tallies().unwrap();
    assert_eq!(
        (expired[0].result.as_str(), expired[0].value),
        ("expired", 1)
    );
}

#[test]
fn only_some_of_what_is_settled_is_kept_whatever_its_age() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let more: Vec<Alert> = (0..10)
        .map(|node| alert(&node.to_string(), &["log"]))
        .collect();
    // What was queued together stays together: two here, one alone, three, two, one alone, and one.
    let mut ids = Vec::new();
    for some in [
        &more[..2],
        &more[2..3],
        &more[3..6],
        &more[6..8],
        &more[8..9],
        &more[9..],
    ] {
        ids.extend(queue(&mut store, some));
    }
    admit(&mut store, Admission::Send);
    write(&mut store, |transaction| {
        transaction
            .settle("log", &ids, &Settlement::Done, NOW)
            .unwrap();
        transaction.prune(&KEEP, NOW, |_| true).unwrap();
    });
    assert_eq!(left(&store), ["6", "7", "8", "9"]);
    let more = Keep {
        most_settled: 3,
        ..KEEP
    };
    write(&mut store, |transaction| {
        transaction.prune(&more, NOW, |_| true).unwrap();
    });
    assert_eq!(left(&store), ["6", "7", "8", "9"], "all of them or none");
}

#[test]
fn templates_are_remembered_as_they_were_last_seen() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let own = |(name, body): &(&str, &str)| ((*name).to_owned(), (*body).to_owned());
        pairs.iter().map(own).collect()
    };
    let cases = [
        (of(&[("a", "1"), ("b", "2")]), true),
        (of(&[("a", "1"), ("b", "2")]), false),
        (of(&[("a", "3")]), true),
        (of(&[]), true),
    ];
    for (templates, changed) in cases {
        let found = write(&mut store, |transaction| {
            transaction.set_templates(&templates).unwrap()
        });
        assert_eq!(found, changed, "{templates:?}");
        assert_eq!(store.templates().unwrap(), templates);
    }
}

#[test]
fn the_oldest_alert_that_waits_is_known() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    assert_eq!(store.outbox_counts().unwrap().oldest_pending, None);
    let ids = queue(&mut store, &[alert("a", &["log"])]);
    write(&mut store, |transaction| {
        transaction
            .queue(&[alert("b", &["log"])], later(7))
            .unwrap();
    });
    assert_eq!(store.outbox_counts().unwrap().oldest_pending, Some(NOW));
    write(&mut store, |transaction| {
        transaction
            .settle("log", &ids, &Settlement::Done, NOW)
            .unwrap();
    });
    assert_eq!(
        store.outbox_counts().unwrap().oldest_pending,
        Some(later(7))
    );
}

/// What cannot be read is told as such, and what lies beside it is read.
#[test]
fn a_parcel_that_cannot_be_read_holds_up_no_other() {
    let damages = [
        "UPDATE parcel SET body = '{}' WHERE first = 1",
        "UPDATE parcel SET numbers = x'00' WHERE first = 1",
        "UPDATE parcel SET nodes = 'a' WHERE first = 1",
        "UPDATE parcel SET body = x'ff' WHERE first = 1",
        "UPDATE parcel SET last = 1 WHERE first = 1",
    ];
    for damage in damages {
        let directory = TempDir::new().unwrap();
        let mut store = open(directory.path());
        let mut ids = queue(&mut store, &[alert("a", &["log"]), alert("b", &["log"])]);
        ids.extend(queue(&mut store, &[alert("c", &["log"])]));
        admit(&mut store, Admission::Send);
        let connection = rusqlite::Connection::open(directory.path().join("state.db")).unwrap();
        connection.execute_batch(damage).unwrap();
        let found = write(&mut store, |transaction| transaction.alerts(&ids).unwrap());
        let read: Vec<bool> = found.iter().map(|loaded| loaded.parcel.is_ok()).collect();
        assert_eq!(read, [false, true], "{damage}");
        let listed = store.outbox(OutboxFilter::default()).unwrap();
        assert_eq!(listed.last().unwrap().node, "c", "{damage}");
        assert!(listed.last().unwrap().alert.is_ok(), "{damage}");
        let open = write(&mut store, |transaction| {
            transaction.open_alerts(NOW).unwrap()
        });
        assert!(waiting(&open).contains(&"c"), "{damage}");
    }
}

#[test]
fn alerts_are_read_by_their_ids() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let all: Vec<Alert> = (0..6)
        .map(|node| alert(&format!("n{node}"), &["log"]))
        .collect();
    for some in [&all[..4], &all[4..]] {
        queue(&mut store, some);
    }
    let cases: [(&[i64], &[&[&str]]); 5] = [
        (&[], &[]),
        (
            &[1, 2, 3, 4, 5, 6],
            &[&["n0", "n1", "n2", "n3"], &["n4", "n5"]],
        ),
        (&[2, 4, 6], &[&["n1", "n3"], &["n5"]]),
        (&[5], &[&["n4"]]),
        (&[0, 3, 7, 99], &[&["n2"]]),
    ];
    for (ids, expected) in cases {
        let loaded = write(&mut store, |transaction| transaction.alerts(ids).unwrap());
        let found: Vec<Vec<&str>> = loaded
            .iter()
            .map(|loaded| {
                let members = loaded.parcel.as_ref().unwrap().members();
                members.map(|member| member.node).collect()
            })
            .collect();
        assert_eq!(found, expected, "{ids:?}");
        let known: Vec<i64> = loaded.into_iter().flat_map(|loaded| loaded.ids).collect();
        let there = ids.iter().copied().filter(|id| (1..=6).contains(id));
        assert_eq!(known, there.collect::<Vec<_>>());
    }
}
