//! When no pass is made, who is asked first, and how a job ends.

use std::cell::{Cell, RefCell};

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

/// The pods of one node; the budget of those named `guarded` allows nothing.
struct Pods {
    live: Option<LiveNode>,
    there: RefCell<Vec<Pod>>,
    asked: RefCell<Vec<String>>,
}

impl Pods {
    /// Pods by name, and whether a controller brings each back.
    fn new(live: Option<LiveNode>, pods: &[(&str, bool)]) -> Self {
        let pod = |&(name, managed): &(&str, bool)| {
            let owner = json!([{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs-1", "controller": true,
            }]);
            let metadata = json!({
                "namespace": "shop", "name": name, "uid": format!("uid-{name}"),
                "ownerReferences": if managed { owner } else { json!([]) },
            });
            let pod = json!({"metadata": metadata, "spec": {"nodeName": "n-1", "containers": []}});
            serde_json::from_value(pod).unwrap()
        };
        Self {
            live,
            there: RefCell::new(pods.iter().map(pod).collect()),
            asked: RefCell::default(),
        }
    }
}

impl Cluster for Pods {
    fn is_configured(&self) -> bool {
        true
    }

    fn node(&self, _: &str, _: Instant) -> Result<Option<LiveNode>, String> {
        Ok(self.live.clone())
    }

    fn nodes(&self, _: Instant) -> Result<Vec<Node>, String> {
        Ok(Vec::new())
    }

    fn rule_exists(&self, _: &str, _: &str, _: Instant) -> Result<bool, String> {
        Ok(true)
    }

    fn pods_on(&self, _: &str, _: Instant) -> Result<Vec<Pod>, String> {
        Ok(self.there.borrow().clone())
    }

    fn evict(&self, pod: &PodRef, _: Option<i64>, _: Instant) -> EvictionOutcome {
        self.asked.borrow_mut().push(pod.name.clone());
        if pod.name.starts_with("guarded") {
            return EvictionOutcome::BlockedByBudget {
                message: "its budget allows nothing".to_owned(),
                retry_after: None,
            };
        }
        let mut pods = self.there.borrow_mut();
        pods.retain(|known| known.metadata.name.as_deref() != Some(&pod.name));
        EvictionOutcome::Accepted
    }

    fn get(&self, _: &str, _: Instant) -> Result<Vec<u8>, String> {
        Err("nobody answers".to_owned())
    }
}

/// Makes a pass for each of these seconds; returns who was asked in each, and how the job ended.
fn passes(history: &History, cluster: &Pods, seconds: &[u64]) -> (Vec<Vec<String>>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let begin = Time::from_millis(1_700_000_000_000);
    let mut store = Store::open(directory.path(), begin).unwrap().store;
    let mut transaction = store.begin().unwrap();
    transaction.load(&[]).unwrap();
    transaction.save(history).unwrap();
    transaction.commit().unwrap();
    let config = Config::default();
    let (log, _lines) = Logger::in_memory(jiff::Timestamp::UNIX_EPOCH);
    let source = Counting::default();
    let (mut asked, mut ends) = (Vec::new(), Vec::new());
    for second in seconds {
        let desk = Desk {
            config: &config,
            log: &log,
            now: begin.plus(Duration::from_secs(*second)),
            deadline: Instant::now() + Duration::from_mins(1),
            state_dir: directory.path(),
            scope: Scope::Everything,
            cluster,
            source: &source,
        };
        let history = store.begin().unwrap().load(&[]).unwrap();
        let passes = run(&mut store, &history, &desk).unwrap();
        asked.push(cluster.asked.take());
        ends.extend(passes.notes.into_iter().map(|note| note.message));
    }
    (asked, ends)
}

#[test]
fn a_node_that_the_api_server_does_not_know_loses_its_pods_and_another_of_its_name_keeps_them() {
    let history = draining(Time::from_millis(1_700_000_000_000));
    let node = |uid: &str| LiveNode {
        uid: uid.to_owned(),
        unschedulable: true,
        ..LiveNode::default()
    };
    for (live, expected, end) in [
        (None, &["web"][..], "drain: nothing is left to evict"),
        (
            Some(node("uid-1")),
            &["web"],
            "drain: nothing is left to evict",
        ),
        (Some(node("")), &["web"], "drain: nothing is left to evict"),
        (Some(node("uid-2")), &[], "drain: the node is gone"),
    ] {
        let case = format!("{live:?}");
        let cluster = Pods::new(live, &[("web", true)]);
        let (asked, ends) = passes(&history, &cluster, &[0, 5]);
        assert_eq!(asked.concat(), expected, "{case}");
        assert_eq!(ends, [end], "{case}");
    }
}

#[test]
fn who_was_refused_is_asked_again_after_all_others() {
    let history = draining(Time::from_millis(1_700_000_000_000));
    let cluster = Pods::new(None, &[("guarded-1", true)]);
    let names = |asked: &[Vec<String>]| asked.iter().map(|pass| pass.join(" ")).collect::<Vec<_>>();
    let (asked, ends) = passes(&history, &cluster, &[0, 1, 6]);
    assert_eq!(names(&asked), ["guarded-1", "", "guarded-1"]);
    assert!(ends.is_empty());
    let waiting = PodAttempt {
        namespace: "shop".to_owned(),
        name: "guarded-1".to_owned(),
        uid: "uid-guarded-1".to_owned(),
        result: PodResult::Waiting {
            until: Time::from_millis(0),
            reason: String::new(),
            refusals: 1,
        },
    };
    let mut history = history;
    let rule = history.rules.get_mut("empty").unwrap();
    rule.records.get_mut("n-1").unwrap().jobs[0].pods = vec![waiting];
    let cluster = Pods::new(
        None,
        &[("guarded-1", true), ("web-1", true), ("web-2", true)],
    );
    let (asked, _) = passes(&history, &cluster, &[0]);
    assert_eq!(names(&asked), ["web-1 web-2 guarded-1"]);
}

#[test]
fn a_drain_that_must_leave_pods_says_which() {
    let mut history = draining(Time::from_millis(1_700_000_000_000));
    let rule = history.rules.get_mut("empty").unwrap();
    let job = &mut rule.records.get_mut("n-1").unwrap().jobs[0];
    if let Task::Drain(drain) = &mut job.task {
        drain.force = false;
    }
    let cluster = Pods::new(None, &[("bare", false), ("web", true)]);
    let (asked, ends) = passes(&history, &cluster, &[0, 5]);
    assert_eq!(asked.concat(), ["web"]);
    assert_eq!(
        ends,
        [
            "drain: 1 pods were left on the node, first shop/bare: no controller brings it back (force)"
        ]
    );
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
