//! When no pass is made at all.

use std::cell::Cell;

use ng_config::Config;
use ng_engine::node::Nodes;
use ng_engine::rule::DrainAction;
use ng_hook::Logger;
use ng_kube::PodRef;
use ng_kube::objects::Node;
use ng_metrics::{Fetched, Settings, Wanted};
use serde_json::json;

use super::*;
use crate::due::Scope;
use crate::ports::{Cluster, Source, Times};

/// Counts what it is asked, and knows nothing.
#[derive(Default)]
struct Counting(Cell<usize>);

impl Counting {
    fn asked<T>(&self) -> Result<T, String> {
        self.0.set(self.0.get() + 1);
        Err("nobody answers".to_owned())
    }
}

impl Cluster for Counting {
    fn is_configured(&self) -> bool {
        true
    }

    fn node(&self, _: &str, _: Instant) -> Result<Option<LiveNode>, String> {
        self.asked()
    }

    fn nodes(&self, _: Instant) -> Result<Vec<Node>, String> {
        self.asked()
    }

    fn rule_exists(&self, _: &str, _: &str, _: Instant) -> Result<bool, String> {
        self.asked()
    }

    fn pods_on(&self, _: &str, _: Instant) -> Result<Vec<Pod>, String> {
        self.asked()
    }

    fn evict(&self, _: &PodRef, _: Option<i64>, _: Instant) -> EvictionOutcome {
        self.0.set(self.0.get() + 1);
        EvictionOutcome::Gone
    }

    fn get(&self, _: &str, _: Instant) -> Result<Vec<u8>, String> {
        self.asked()
    }
}

impl Source for Counting {
    fn fetch(&self, _: &[Wanted], _: &Nodes, _: &Settings, _: &Times<'_>) -> Fetched {
        Fetched {
            columns: Vec::new(),
            problems: Vec::new(),
            requests: 0,
        }
    }
}

/// A rule that holds a node with a drain under way.
fn draining(now: Time) -> History {
    let record = json!({
        "uid": "uid-1", "phase": "Triggered", "triggeredAt": now, "actedAt": now, "admitted": true,
        "marks": [{"key": {"kind": "cordon"}, "value": ""}],
    });
    let mut record: NodeRecord = serde_json::from_value(record).unwrap();
    let drain = DrainAction {
        grace_period: None,
        timeout: Duration::from_mins(10),
        delete_empty_dir_data: true,
        force: true,
        exclude_namespaces: Vec::new(),
    };
    record.jobs.push(Job {
        task: Task::Drain(drain),
        started: now,
        pods: Vec::new(),
        end: None,
    });
    let mut history = History::default();
    let rule = history.rules.entry("empty".to_owned()).or_default();
    rule.records.insert("n-1".to_owned(), record);
    rule.count();
    history
}

#[test]
fn nothing_is_asked_for_under_the_emergency_stop_or_where_all_rules_are_dry() {
    let directory = tempfile::tempdir().unwrap();
    let now = Time::from_millis(1_700_000_000_000);
    let mut store = Store::open(directory.path(), now).unwrap().store;
    let history = draining(now);
    let (log, _lines) = Logger::in_memory(jiff::Timestamp::UNIX_EPOCH);
    for (paused, dry_run, expected) in [
        (false, false, 1),
        (true, false, 0),
        (false, true, 0),
        (true, true, 0),
    ] {
        let mut config = Config::default();
        (config.safety.paused, config.safety.dry_run) = (paused, dry_run);
        let outside = Counting::default();
        let desk = Desk {
            config: &config,
            log: &log,
            now,
            deadline: Instant::now() + Duration::from_mins(1),
            state_dir: directory.path(),
            scope: Scope::Everything,
            cluster: &outside,
            source: &outside,
        };
        let passes = run(&mut store, &history, &desk).unwrap();
        let case = (paused, dry_run);
        assert_eq!(outside.0.get(), expected, "{case:?}");
        assert!(
            passes.results.is_empty() && passes.notes.is_empty(),
            "{case:?}"
        );
    }
}
