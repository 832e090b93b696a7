//! Small real objects for the tests of the store.

use std::path::Path;

use ng_engine::history::{History, Ledger, NodeRecord};
use ng_engine::plan::Alert;
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use ng_engine::timers::{Entry, TestTimers, Timers};
use ng_state::Store;
use serde_json::json;

pub(crate) const NOW: Time = Time::from_millis(1_700_000_000_000);

pub(crate) fn open(directory: &Path) -> Store {
    Store::open(directory, NOW).unwrap().store
}

/// Read from JSON, so that fields with defaults need not be named here.
pub(crate) fn record(uid: &str) -> NodeRecord {
    let at = NOW.millis();
    from(json!({
        "uid": uid, "phase": "Triggered", "triggeredAt": at, "actedAt": at, "admitted": true,
        "marks": [{"key": {"kind": "cordon"}}], "specHash": u64::MAX,
    }))
}

pub(crate) fn ledger(uid: &str) -> Ledger {
    from(json!({"uid": uid, "marks": [{"mark": {"key": {"kind": "cordon"}}}]}))
}

fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// `rules` rules with timers for `nodes` nodes, and a record and a ledger each for `records` nodes.
pub(crate) fn history(rules: usize, nodes: u32, records: usize) -> History {
    let mut history = History::default();
    for rule in 0..rules {
        let found = history.rules.entry(format!("rule-{rule:03}")).or_default();
        found.summary.uid = format!("rule-uid-{rule}");
        found.summary.spec_hash = u64::MAX - rule as u64;
        found.summary.last_evaluated = Some(NOW);
        found.summary.check_interval = 60_000;
        found.summary.severity = Some(Severity::Warning);
        found.summary.status_written = Some((7, NOW));
        if nodes > 0 {
            found.timers = timers(nodes);
        }
    }
    for node in 0..records {
        let name = format!("node-{node:05}");
        let rule = format!("rule-{:03}", node % rules);
        let found = history.rules.get_mut(&rule).unwrap();
        found.records.insert(name.clone(), record(&name));
        let ledger = ledger(&name);
        history.ledgers.insert(name, ledger);
    }
    history
}

pub(crate) fn timers(nodes: u32) -> Timers {
    let entry = |node| Entry {
        node,
        since: NOW,
        seen: None,
    };
    Timers {
        tests: vec![TestTimers {
            test: "cpuLoadRatio > 1.5".to_owned(),
            entries: (0..nodes).map(entry).collect(),
        }],
    }
}

pub(crate) fn alert(node: &str, channels: &[&str]) -> Alert {
    from(json!({
        "type": "trigger", "at": NOW.millis(), "rule": "load", "ruleDescription": "High load",
        "severity": "critical", "node": node, "template": "", "channels": channels, "since": NOW.millis(),
        "repeats": 0, "dryRun": false, "metrics": {"cpuLoadRatio": 2.5}, "conditions": [], "actions": [],
    }))
}

pub(crate) fn save(store: &mut Store, history: &History) {
    let mut transaction = store.begin().unwrap();
    transaction.save(history).unwrap();
    transaction.commit().unwrap();
}

pub(crate) fn load(store: &mut Store, rules: &[&str]) -> History {
    store.begin().unwrap().load(rules).unwrap()
}

pub(crate) fn names(history: &History) -> Vec<&str> {
    history.rules.keys().map(String::as_str).collect()
}
