//! Alerts that were queued together share their deliveries until their fates part; whatever happens to which of them,
//! each has the fate it would have had alone.

use std::collections::BTreeMap;

use ng_delivery::{Admission, Memory};
use ng_engine::plan::Alert;
use ng_engine::time::Time;
use ng_state::{
    Claim, Claimant, DeliveryState, FreshAlerts, OutboxFilter, Settlement, Store, Transaction,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{NOW, alert, open};

const CHANNELS: [&str; 3] = ["email", "log", "webhook"];

/// What happens; alerts are chosen by their remainders.
#[derive(Clone, Debug)]
enum Step {
    Queue {
        count: usize,
        channels: usize,
        admission: Admission,
    },
    Attempt {
        which: Which,
        channel: usize,
    },
    Settle {
        which: Which,
        channel: usize,
        settlement: Settlement,
    },
    Retry(i64),
    Drop(i64),
}

#[derive(Clone, Copy, Debug)]
struct Which {
    from: i64,
    to: i64,
    step: i64,
}

impl Which {
    fn ids(self, newest: i64) -> Vec<i64> {
        let ids = self.from..=self.to.min(newest);
        ids.step_by(usize::try_from(self.step).unwrap()).collect()
    }
}

fn which() -> impl Strategy<Value = Which> {
    (1..30_i64, 0..12_i64, 1..4_i64).prop_map(|(from, more, step)| Which {
        from,
        to: from + more,
        step,
    })
}

fn settlement() -> impl Strategy<Value = Settlement> {
    let reason = || "no answer".to_owned();
    prop_oneof![
        Just(Settlement::Done),
        Just(Settlement::Again {
            at: NOW,
            reason: reason()
        }),
        Just(Settlement::Dead { reason: reason() }),
        Just(Settlement::Skipped { reason: reason() }),
        Just(Settlement::Released),
    ]
}

fn admission() -> impl Strategy<Value = Admission> {
    prop_oneof![
        4 => Just(Admission::Send),
        1 => Just(Admission::SendFlapping),
        1 => Just(Admission::Mute),
        1 => Just(Admission::Hold),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..12_usize, 1..8_usize, admission()).prop_map(|(count, channels, admission)| {
            Step::Queue {
                count,
                channels,
                admission,
            }
        }),
        (which(), 0..3_usize).prop_map(|(which, channel)| Step::Attempt { which, channel }),
        (which(), 0..3_usize, settlement()).prop_map(|(which, channel, settlement)| Step::Settle {
            which,
            channel,
            settlement
        }),
        (1..30_i64).prop_map(Step::Retry),
        (1..30_i64).prop_map(Step::Drop),
    ]
}

/// State and attempts of each alert on each channel.
type Fates = BTreeMap<(i64, String), (DeliveryState, u32)>;

struct World {
    store: Store,
    claimant: Claimant,
    fates: Fates,
    newest: i64,
    /// So that the nodes of all alerts are different.
    nodes: usize,
}

impl World {
    fn write<T>(&mut self, change: impl FnOnce(&mut Transaction<'_>, Claim<'_>) -> T) -> T {
        let claim = Claim {
            claimant: &self.claimant,
            until: Time::from_millis(i64::MAX),
        };
        let mut transaction = self.store.begin().unwrap();
        let outcome = change(&mut transaction, claim);
        transaction.commit().unwrap();
        outcome
    }

    /// Those among the ids that are in one of the states on the channel, changed.
    fn expect(
        &mut self,
        (ids, channel): (&[i64], Option<&str>),
        states: &[DeliveryState],
        change: impl Fn(&mut (DeliveryState, u32)),
    ) -> Vec<i64> {
        let mut changed = Vec::new();
        for ((id, of), fate) in &mut self.fates {
            let is_meant = ids.contains(id) && channel.is_none_or(|channel| channel == of);
            if is_meant && states.contains(&fate.0) {
                change(fate);
                changed.push(*id);
            }
        }
        changed
    }

    fn take(&mut self, step: Step) {
        use DeliveryState::{Dead, Done, Held, Pending, Skipped};
        match step {
            Step::Queue {
                count,
                channels,
                admission,
            } => self.queue(count, channels, admission),
            Step::Attempt { which, channel } => {
                let (ids, channel) = (which.ids(self.newest), CHANNELS[channel]);
                let started = self.write(|transaction, claim| {
                    if ids.len() % 2 == 0 {
                        return transaction
                            .claim_and_start(channel, 1, &ids, claim)
                            .unwrap();
                    }
                    transaction.claim(channel, &ids, claim).unwrap();
                    transaction.start(channel, 1, &ids, claim).unwrap()
                });
                let expected = self.expect((&ids, Some(channel)), &[Pending], |fate| fate.1 += 1);
                assert_eq!(started, expected);
            }
            Step::Settle {
                which,
                channel,
                settlement,
            } => {
                let (ids, channel) = (which.ids(self.newest), CHANNELS[channel]);
                let count = self.write(|transaction, _| {
                    transaction.settle(channel, &ids, &settlement, NOW).unwrap()
                });
                let state = match settlement {
                    Settlement::Done => Done,
                    Settlement::Again { .. } | Settlement::Released => Pending,
                    Settlement::Dead { .. } => Dead,
                    Settlement::Skipped { .. } => Skipped,
                };
                let expected =
                    self.expect((&ids, Some(channel)), &[Pending], |fate| fate.0 = state);
                assert_eq!(count, expected.len() as u64);
            }
            Step::Retry(id) => {
                let count = self.write(|transaction, _| transaction.retry(id, NOW).unwrap());
                let expected = self.expect((&[id], None), &[Pending, Held, Dead], |fate| {
                    *fate = (Pending, 0);
                });
                assert_eq!(count, expected.len());
            }
            Step::Drop(id) => {
                let count = self.write(|transaction, _| transaction.drop_alert(id, NOW).unwrap());
                let expected = self.expect((&[id], None), &[Pending, Held, Dead], |fate| {
                    fate.0 = Skipped;
                });
                assert_eq!(count, expected.len());
            }
        }
    }

    /// Every second alert, of a node that is known already, is admitted in this way; the others are sent.
    fn queue(&mut self, count: usize, channels: usize, admission: Admission) {
        let chosen: Vec<&str> = CHANNELS
            .into_iter()
            .enumerate()
            .filter(|(place, _)| channels >> place & 1 == 1)
            .map(|(_, channel)| channel)
            .collect();
        let alerts: Vec<Alert> = (0..count)
            .map(|number| alert(&format!("node-{}", self.nodes + number), &chosen))
            .collect();
        self.nodes += count;
        let every_second = alerts.iter().step_by(2);
        let known: Vec<Alert> = every_second.map(|known| alert(&known.node, &[])).collect();
        let ids = self.write(|transaction, _| {
            transaction.queue(&known, NOW).unwrap();
            let remember = |_: &FreshAlerts<'_>, memory: &mut Memory| {
                memory.score = 1.0;
                Admission::Mute
            };
            assert_eq!(transaction.admit(NOW, remember).unwrap(), known.len());
            let ids = transaction.queue(&alerts, NOW).unwrap();
            let admitted = transaction.admit(NOW, |_, memory| {
                if memory.score > 0.0 {
                    admission
                } else {
                    Admission::Send
                }
            });
            assert_eq!(admitted.unwrap(), count);
            ids
        });
        for (id, place) in ids.into_iter().zip(0..) {
            let state = match (place % 2, admission) {
                (0, Admission::Mute) => DeliveryState::Skipped,
                (0, Admission::Hold) => DeliveryState::Held,
                _ => DeliveryState::Pending,
            };
            let of_alert = chosen.iter().map(|channel| (id, (*channel).to_owned()));
            self.fates.extend(of_alert.map(|key| (key, (state, 0))));
            self.newest = self.newest.max(id);
        }
    }

    fn found(&self) -> Fates {
        let all = self.store.outbox(OutboxFilter::default()).unwrap();
        let of_alert = all.into_iter().flat_map(|queued| {
            let facts = queued.alert.expect("it can be read");
            assert_eq!(facts.node, queued.node);
            let deliveries = queued.deliveries.into_iter();
            deliveries.map(move |found| ((queued.id, found.channel), (found.state, found.attempts)))
        });
        of_alert.collect()
    }

    fn check(&mut self) {
        assert_eq!(self.found(), self.fates);
        let count = |state| {
            let fates = self.fates.values();
            fates.filter(|fate| fate.0 == state).count() as u64
        };
        let expected = [
            DeliveryState::Pending,
            DeliveryState::Held,
            DeliveryState::Dead,
        ]
        .map(count);
        let counts = self.store.outbox_counts().unwrap();
        assert_eq!([counts.pending, counts.held, counts.dead], expected);
        let open = self.store.begin().unwrap().open_alerts(NOW).unwrap();
        let waiting = open.iter().flat_map(|parcel| {
            let deliveries = parcel.deliveries.iter();
            deliveries.flat_map(|delivery| {
                let ids = parcel.stretches(delivery).flat_map(|stretch| stretch.ids());
                ids.map(|id| (id, delivery.channel.clone()))
            })
        });
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort();
        let pending = self
            .fates
            .iter()
            .filter(|(_, fate)| fate.0 == DeliveryState::Pending);
        let expected: Vec<_> = pending.map(|(key, _)| key.clone()).collect();
        assert_eq!(waiting, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_alert_has_the_fate_it_would_have_alone(steps in vec(step(), 1..25)) {
        let directory = TempDir::new().unwrap();
        let store = open(directory.path());
        let mut world = World {
            claimant: store.claimant(1).unwrap(),
            store,
            fates: Fates::new(),
            newest: 0,
            nodes: 0,
        };
        world.take(Step::Queue { count: 12, channels: 7, admission: Admission::Send });
        for step in steps {
            world.take(step);
            world.check();
        }
    }
}
