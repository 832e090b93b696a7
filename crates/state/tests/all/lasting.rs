//! What a power failure may take of the outbox: of a channel, that its last message was delivered.

use ng_delivery::{Admission, Memory};
use ng_state::{DeliveryState, FreshAlerts, Settlement, Store};
use tempfile::TempDir;

use crate::outbox::{later, queue, states, write};
use crate::support::{NOW, alert, open};

#[test]
fn of_a_channel_only_the_last_message_may_be_forgotten_in_a_power_failure() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let ids = queue(
        &mut store,
        &[
            alert("a", &["log", "email"]),
            alert("b", &["log"]),
            alert("c", &["log"]),
        ],
    );
    let settle = |store: &mut Store, (channel, place): (&str, usize), settlement: &Settlement| {
        write(store, |transaction| {
            let count = transaction.settle(channel, &ids[place..=place], settlement, NOW);
            assert_eq!(count.unwrap(), 1);
            transaction.has_to_last().unwrap()
        })
    };
    let again = Settlement::Again {
        at: later(60),
        reason: String::new(),
    };
    let dead = Settlement::Dead {
        reason: String::new(),
    };
    assert!(
        settle(&mut store, ("log", 0), &Settlement::Done),
        "more is waiting"
    );
    assert!(
        !settle(&mut store, ("log", 1), &again),
        "nothing was delivered"
    );
    assert!(
        settle(&mut store, ("log", 2), &Settlement::Done),
        "one waits for another attempt"
    );
    assert!(
        !settle(&mut store, ("log", 1), &Settlement::Done),
        "the last one, whatever waits on other channels"
    );
    assert!(
        settle(&mut store, ("email", 0), &dead),
        "nobody finds it given up twice"
    );
}

#[test]
fn what_may_be_sent_later_comes_with_a_transaction_that_lasts() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let ids = write(&mut store, |transaction| {
        let ids = transaction.queue(&[alert("a", &["log"])], NOW);
        assert!(transaction.has_to_last().unwrap());
        ids.unwrap()
    });
    write(&mut store, |transaction| {
        let hold = |_: &FreshAlerts<'_>, memory: &mut Memory| {
            memory.calm_at = Some(later(60));
            Admission::Hold
        };
        transaction.admit(NOW, hold).unwrap();
    });
    assert_eq!(states(&store, ids[0])[0].1, DeliveryState::Held);
    write(&mut store, |transaction| {
        let calm = transaction.calm_down(later(60), |_, _| true);
        assert!(calm.unwrap() > 0 && transaction.has_to_last().unwrap());
    });
    assert_eq!(states(&store, ids[0])[0].1, DeliveryState::Pending);
}
