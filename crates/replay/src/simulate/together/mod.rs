//! Controller, recovery-manager and delivery at the same time: on one state directory and one simulated API, with
//! snapshots of different ages and writes that get lost or come late. What comes of it is compared with the
//! controller alone.
//!
//! Time is virtual. Once the hooks are threads that run free within a round; and many times they run in an order that
//! a seed says, so that what fails can be played again: `NODEGUARDIAN_SEED=n` plays one seed, and a failing one is
//! printed with what happened on its node. A few hundred rounds each, thousands with `NODEGUARDIAN_LONG`.

mod api;
mod casts;
mod load;
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use ng_engine::plan::Happening;
use ng_round::Scope;

use api::Api;
use load::scenario;

/// Virtual seconds between two rounds of the controller.
const ROUND: u64 = 5;
/// Rounds in which load stays as it is: every rule is looked at often enough in them.
const PHASE: usize = 10;
/// Rounds of calm at the end, and those of them in which nothing is written any more.
const CALM: usize = 40;
const STILL: usize = 12;
const NODES: usize = 6;
const LIMIT: usize = 2;

/// A hook that evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hook {
    Controller,
    RecoveryManager,
}

impl Hook {
    fn scope(self) -> Scope {
        match self {
            Self::Controller => Scope::Everything,
            Self::RecoveryManager => Scope::Held,
        }
    }
}

/// The kinds of transitions of each node under each rule, in order.
fn transitions(api: &Api) -> BTreeMap<(String, String), Vec<Happening>> {
    let mut transitions = api.transitions.clone();
    transitions
        .iter_mut()
        .map(|(key, all)| {
            all.sort_by_key(|(at, _)| *at);
            (key.clone(), all.iter().map(|(_, event)| *event).collect())
        })
        .collect()
}

/// Every transition is told once.
fn check_alerts(api: &Api, sent: &[i64]) {
    let mut expected: BTreeMap<(String, String, &str), usize> = BTreeMap::new();
    for ((rule, node), all) in &api.transitions {
        for (_, event) in all {
            let kind = if *event == Happening::Triggered {
                "trigger"
            } else {
                "recovery"
            };
            *expected
                .entry((rule.clone(), node.clone(), kind))
                .or_default() += 1;
        }
    }
    assert_eq!(api.told, expected);
    let distinct: BTreeSet<i64> = sent.iter().copied().collect();
    assert_eq!(distinct.len(), sent.len(), "an alert is sent twice");
    assert_eq!(
        sent.len(),
        expected.values().sum::<usize>(),
        "an alert is lost"
    );
}

fn check_end(api: &Api) {
    for (name, kept) in &api.world.nodes {
        assert_eq!(
            crate::node_object::marks(&kept.object),
            ["taint other=theirs:NoSchedule", "label l=theirs"],
            "{name}, after\n{}",
            api.told_of(name)
        );
    }
    assert_eq!(api.late_writes, 0, "something is written for ever");
    assert!(
        (1..=LIMIT).contains(&api.most_held),
        "{} nodes were held, after\n{}",
        api.most_held,
        api.told_of("n-")
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own settings, which no code under test reads"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn check_both(rounds: usize, together: &(Api, Vec<i64>), alone: &(Api, Vec<i64>)) {
    let (together, sent) = together;
    check_end(together);
    assert_eq!(transitions(together), transitions(&alone.0));
    check_alerts(together, sent);
    let transitions: usize = together.transitions.values().map(Vec::len).sum();
    assert!(
        transitions > rounds / 10,
        "{transitions} transitions say little"
    );
    assert!(
        together.runs.values().all(|decided| *decided > 0),
        "{:?}",
        together.runs
    );
    assert_eq!(together.runs.len(), 2);
}

#[test]
fn hooks_at_the_same_time_come_to_what_the_controller_comes_to_alone() {
    let rounds = if setting("NODEGUARDIAN_LONG").is_some() {
        4_000
    } else {
        300
    };
    let scenario = scenario(7, rounds);
    let alone = casts::alone(&scenario, rounds);
    check_end(&alone.0);
    check_alerts(&alone.0, &alone.1);
    let together = casts::threads(&scenario, rounds);
    check_both(rounds, &together, &alone);
}

/// The seeds to play: the one that was asked for, or so many.
fn seeds(usual: u64, long: u64) -> std::ops::Range<u64> {
    match setting("NODEGUARDIAN_SEED") {
        Some(seed) => seed..seed + 1,
        None if setting("NODEGUARDIAN_LONG").is_some() => 0..long,
        None => 0..usual,
    }
}

#[test]
fn in_any_order_hooks_come_to_what_the_controller_comes_to_alone() {
    const ROUNDS: usize = 100;
    for seed in seeds(10, 300) {
        eprintln!("seed {seed}");
        let scenario = scenario(seed, ROUNDS);
        let alone = casts::alone(&scenario, ROUNDS);
        let together = casts::scheduled(&scenario, ROUNDS, seed, 3);
        check_both(ROUNDS, &together, &alone);
    }
}

#[test]
fn a_controller_that_is_always_overtaken_comes_through() {
    const ROUNDS: usize = 100;
    for seed in seeds(5, 50) {
        eprintln!("seed {seed}");
        let scenario = scenario(seed, ROUNDS);
        let alone = casts::alone(&scenario, ROUNDS);
        let together = casts::overtaken(&scenario, ROUNDS);
        check_both(ROUNDS, &together, &alone);
    }
}

#[test]
fn writes_that_are_held_up_for_long_leave_nothing_behind() {
    const ROUNDS: usize = 100;
    for seed in seeds(10, 300) {
        eprintln!("seed {seed}");
        let scenario = scenario(seed, ROUNDS);
        let (together, sent) = casts::scheduled(&scenario, ROUNDS, seed, 10);
        check_end(&together);
        check_alerts(&together, &sent);
    }
}
