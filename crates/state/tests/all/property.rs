//! Whatever the history, what is loaded is what was saved.

use std::collections::BTreeMap;

use ng_engine::history::{Guard, Ledger, NodeRecord, Phase};
use ng_engine::history::{
    History, Job, JobEnd, PodAttempt, PodResult, RuleHistory, RuleSummary, Task,
};
use ng_engine::roster::Roster;
use ng_engine::rule::{EvictAction, Severity};
use ng_engine::time::Time;
use ng_engine::timers::{Entry, TestTimers, Timers};
use ng_state::Store;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{NOW, ledger, names, record};

/// Few keys, so that histories share some; odd ones, so that quoting and order matter.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]",
        Just(String::new()),
        Just("a\0b".to_owned()),
        Just("ü'\"\u{10ffff}".to_owned()),
        "\\PC{0,3}",
    ]
}

fn time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(Time::from_millis)
}

fn summary() -> impl Strategy<Value = RuleSummary> {
    let times = (option::of(time()), option::of(time()), option::of(time()));
    let counts = (0usize..9, 0usize..9, any::<i64>());
    (
        key(),
        any::<u64>(),
        times,
        counts,
        option::of((any::<u64>(), time())),
    )
        .prop_map(|(text, hash, times, counts, status_written)| RuleSummary {
            uid: text.clone(),
            spec_hash: hash,
            spec: text,
            last_evaluated: times.0,
            last_triggered: times.1,
            last_recovery: times.2,
            unknown: counts.0,
            pending: counts.1,
            check_interval: counts.2,
            severity: (counts.0 > 4).then_some(Severity::Critical),
            status_written,
            ..RuleSummary::default()
        })
}

fn timers() -> impl Strategy<Value = Timers> {
    let entry = (any::<u32>(), time(), option::of(0i64..9)).prop_map(|(node, since, seen)| Entry {
        node,
        since,
        seen: seen.map(Time::from_millis),
    });
    let test = (key(), vec(entry, 0..4)).prop_map(|(test, entries)| TestTimers { test, entries });
    vec(test, 0..3).prop_map(|tests| Timers { tests })
}

fn node_record() -> impl Strategy<Value = NodeRecord> {
    let guard = option::of((any::<usize>(), any::<usize>()));
    (key(), any::<u32>(), time(), guard, vec(key(), 0..3)).prop_map(
        |(uid, repeats, at, guard, pods)| {
            let pods = pods.into_iter().map(|name| PodAttempt {
                namespace: "default".to_owned(),
                uid: name.clone(),
                result: PodResult::Waiting {
                    until: at,
                    reason: name.clone(),
                    refusals: repeats,
                },
                name,
            });
            NodeRecord {
                phase: Phase::Recovering,
                repeats,
                recovered_at: Some(at),
                guard: guard.map(|(limit, counted)| Guard::MaxNodes { limit, counted }),
                jobs: vec![Job {
                    task: Task::Evict(EvictAction {
                        max_pods: repeats,
                        exclude_namespaces: Vec::new(),
                    }),
                    started: at,
                    pods: pods.collect(),
                    end: Some(JobEnd::TimedOut),
                }],
                ..record(&uid)
            }
        },
    )
}

fn ledgers() -> impl Strategy<Value = BTreeMap<String, Ledger>> {
    btree_map(key(), key().prop_map(|uid| ledger(&uid)), 0..6)
}

/// In the form of `Roster::encode`.
fn roster() -> impl Strategy<Value = Roster> {
    (any::<u32>(), vec((any::<u32>(), key(), key()), 0..4)).prop_map(|(next, entries)| {
        let mut bytes = next.to_le_bytes().to_vec();
        for (number, name, uid) in entries {
            bytes.extend(number.to_le_bytes());
            for text in [name, uid] {
                bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
        Roster::decode(&bytes).unwrap()
    })
}

fn history() -> impl Strategy<Value = History> {
    let rule = (summary(), timers(), btree_map(key(), node_record(), 0..4));
    let rule = rule.prop_map(|(summary, timers, records)| RuleHistory {
        summary,
        timers,
        records,
    });
    (btree_map(key(), rule, 0..5), ledgers(), roster()).prop_map(|(rules, ledgers, roster)| {
        History {
            rules,
            ledgers,
            roster,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_saved_is_loaded(histories in vec(history(), 1..4)) {
        let directory = TempDir::new().unwrap();
        let mut before = History::default();
        for history in histories {
            let mut store = Store::open(directory.path(), NOW).unwrap().store;
            let mut all = names(&before);
            all.extend(names(&history));
            let mut transaction = store.begin().unwrap();
            prop_assert_eq!(&transaction.load(&all).unwrap(), &before);
            transaction.save(&history).unwrap();
            prop_assert_eq!(&transaction.load(&all).unwrap(), &history);
            transaction.commit().unwrap();
            before = history;
        }
    }
}
