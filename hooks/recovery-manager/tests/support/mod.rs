//! A folder with everything the hooks read and write, a controller that runs in this process, and the built
//! recovery-manager beside it.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ng_engine::history::History;
use ng_engine::node::Nodes;
use ng_engine::plan::{Alert, AlertKind};
use ng_engine::reading::{Column, Origin, Reading, Unknown};
use ng_engine::time::Time;
use ng_hook::Logger;
use ng_hook::context::ContextFile;
use ng_metrics::{Fetched, Settings, Wanted};
use ng_round::ports::{ApiCluster, Source, Times};
use ng_round::{Desk, Scope, tick};
use ng_state::{OutboxFilter, Store};
use serde_json::{Value, json};

/// On a whole minute, as everything else counts from it.
pub(crate) const START: &str = "2026-01-02T00:00:00Z";

/// Folder, cluster and load.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    prometheus: String,
    load: Arc<AtomicU64>,
    /// Seconds since the start.
    pub(crate) at: Cell<u64>,
    pub(crate) rules: Vec<Value>,
    pub(crate) nodes: Vec<Value>,
}

/// What a run of the recovery-manager left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) patches: Vec<Value>,
}

impl Outcome {
    /// The filter that changes a node.
    pub(crate) fn node_filter(&self, name: &str) -> Option<&str> {
        let written = |patch: &&Value| patch["kind"] == "Node" && patch["name"] == name;
        self.patches.iter().find(written)?["jqFilter"].as_str()
    }

    /// The reasons of the Events created.
    pub(crate) fn events(&self) -> Vec<&str> {
        let objects = self.patches.iter().map(|patch| &patch["object"]);
        objects
            .filter(|object| object["kind"] == "Event")
            .filter_map(|object| object["reason"].as_str())
            .collect()
    }
}

impl Bench {
    /// Two nodes under one rule, both over its threshold.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config", "secrets", "state"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let load = Arc::new(AtomicU64::new(95));
        let bench = Self {
            prometheus: prometheus(load.clone()),
            folder,
            load,
            at: Cell::new(0),
            rules: vec![rule("hot")],
            nodes: vec![node("node-1"), node("node-2")],
        };
        bench.configure(&json!({"safety": {"maxNodes": "100%"}}));
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "input of a test, not state")]
    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The configuration with the test's Prometheus added.
    pub(crate) fn configure(&self, config: &Value) {
        let mut config = config.clone();
        config["prometheus"] =
            json!({"url": self.prometheus, "timeout": "2s", "queryTimeout": "2s", "retries": 0});
        self.put("config/config.json", &config.to_string());
    }

    /// The load of every node from now on.
    pub(crate) fn load(&self, percent: u64) -> &Self {
        self.load.store(percent, Ordering::SeqCst);
        self
    }

    pub(crate) fn wait(&self, seconds: u64) -> &Self {
        self.at.set(self.at.get() + seconds);
        self
    }

    fn now(&self) -> Time {
        let start: Time = START.parse().unwrap();
        start.plus(Duration::from_secs(self.at.get()))
    }

    /// A round of the controller at this time; its patches of nodes land in the snapshots, and so do statuses.
    pub(crate) fn controller(&mut self) {
        let text = std::fs::read_to_string(self.path("config/config.json")).unwrap();
        let resolution = ng_config::resolve(&ng_config::Inputs {
            file: Some(ng_config::File {
                name: "config.json",
                text: &text,
                format: ng_config::Format::Json,
            }),
            ..ng_config::Inputs::default()
        });
        let timestamp = jiff::Timestamp::from_millisecond(self.now().millis()).unwrap();
        let (log, _) = Logger::in_memory(timestamp);
        let context = self.context("rule-evaluation");
        let outcome = tick(
            &ContextFile::from_bytes("context", context.to_string().into_bytes()),
            &Desk {
                config: &resolution.config,
                log: &log,
                now: self.now(),
                deadline: Instant::now() + Duration::from_mins(1),
                state_dir: &self.path("state"),
                scope: Scope::Everything,
                cluster: &ApiCluster::new(&ng_hook::Env::default()),
                source: &Constant(self.load.load(Ordering::SeqCst)),
            },
        )
        .unwrap();
        for change in &outcome.plan.changes {
            let nodes = self.nodes.iter_mut();
            for node in nodes.filter(|node| node["name"] == *change.node) {
                apply(node, change);
            }
        }
        for operation in &outcome.report.patches {
            let document: Value = serde_json::from_str(&operation.to_json_line().unwrap()).unwrap();
            let rules = self.rules.iter_mut();
            for rule in rules.filter(|rule| {
                document["subresource"] == "status" && rule["metadata"]["name"] == document["name"]
            }) {
                rule["status"] = document["mergePatch"]["status"].clone();
            }
        }
    }

    fn context(&self, binding: &str) -> Value {
        let rules = self.rules.iter();
        let rules: Vec<Value> = rules
            .map(|rule| json!({"object": rule, "filterResult": null}))
            .collect();
        let nodes = self.nodes.iter();
        let nodes: Vec<Value> = nodes.map(|node| json!({"filterResult": node})).collect();
        json!([{
            "binding": binding,
            "groupName": "recovery",
            "snapshots": {"monitor-nodeguardian-rules": rules, "nodes": nodes},
            "type": "Group",
        }])
    }

    /// A run of the recovery-manager at this time. Nothing of what it writes lands.
    pub(crate) fn recovery(&self) -> Outcome {
        self.put("context.json", &self.context("recovery-check").to_string());
        self.run(&[])
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.put("patches", "");
        let text = |name: &str| self.path(name).display().to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_recovery-manager"))
            .args(arguments)
            .env_clear()
            .envs([
                ("BINDING_CONTEXT_PATH", text("context.json")),
                ("KUBERNETES_PATCH_PATH", text("patches")),
                ("NODEGUARDIAN_CONFIG_DIR", text("config")),
                ("NODEGUARDIAN_SECRETS_DIR", text("secrets")),
                ("NODEGUARDIAN_STATE_DIR", text("state")),
                ("NODEGUARDIAN_NOW", self.now().to_string()),
            ])
            .output()
            .unwrap();
        let patches = std::fs::read_to_string(self.path("patches")).unwrap();
        Outcome {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            patches: patches
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        }
    }

    fn store(&self) -> Store {
        Store::open(&self.path("state"), self.now()).unwrap().store
    }

    pub(crate) fn history(&self) -> History {
        self.store().begin().unwrap().load(&[]).unwrap()
    }

    /// The alerts of a kind in the outbox.
    pub(crate) fn alerts(&self, kind: AlertKind) -> Vec<Alert> {
        let queued = self.store().outbox(OutboxFilter::default()).unwrap();
        let alerts = queued.into_iter().filter_map(|queued| queued.alert.ok());
        alerts.filter(|alert| alert.kind == kind).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "input of a test, not state")]
    pub(crate) fn damage_state(&self) {
        let text = "this is not a database, and longer than a header of one would have to be";
        std::fs::write(self.path("state/state.db"), text).unwrap();
    }

    pub(crate) fn lose_state(&self) {
        std::fs::remove_dir_all(self.path("state")).unwrap();
    }
}

/// The effect of a planned change; all values are ours here.
fn apply(node: &mut Value, change: &ng_engine::plan::NodeChange) {
    use ng_engine::history::MarkKey;
    let mut put = |key: &MarkKey, value: Option<&str>| match key {
        MarkKey::Taint { key, effect } => {
            let mut taints = node["taints"].as_array().cloned().unwrap_or_default();
            taints.retain(|taint| taint["key"] != **key || taint["effect"] != effect.word());
            taints.extend(
                value.map(|value| json!({"key": key, "value": value, "effect": effect.word()})),
            );
            node["taints"] = taints.into();
        }
        MarkKey::Label { key } => node["labels"][key] = value.into(),
        MarkKey::Annotation { key } => node["annotations"] = json!({ key: value }),
        MarkKey::Cordon => node["unschedulable"] = value.map(|_| true).into(),
    };
    for owned in &change.unset {
        put(&owned.mark.key, owned.previous.as_deref());
    }
    for mark in &change.set {
        put(&mark.key, Some(&mark.value));
    }
}

/// The same load everywhere, for the rounds of the controller.
struct Constant(u64);

impl Source for Constant {
    fn fetch(&self, wanted: &[Wanted], nodes: &Nodes, _: &Settings, times: &Times<'_>) -> Fetched {
        let column = || {
            let mut column = Column::unknown(nodes.len(), Unknown::NoSample);
            for node in 0..nodes.len() {
                column.set(
                    node,
                    Reading::Value {
                        value: f64::from(u32::try_from(self.0).unwrap_or(u32::MAX)),
                        at: times.now,
                        origin: Origin::Prometheus,
                    },
                );
            }
            column
        };
        Fetched {
            columns: wanted.iter().map(|_| column()).collect(),
            problems: Vec::new(),
            requests: 1,
        }
    }
}

/// A Prometheus on loopback that answers every query with the load of both nodes; its threads end with the test.
fn prometheus(load: Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let load = load.clone();
            std::thread::spawn(move || answer(stream, load.load(Ordering::SeqCst)));
        }
    });
    url
}

fn answer(mut stream: TcpStream, load: u64) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    // Old by the clock of the run, and fresh by the server's own: that one counts.
    let series = |node: &str| json!({"metric": {"node": node}, "value": [1.0, load.to_string()]});
    let result = [series("node-1"), series("node-2")];
    let body = json!({"status": "success", "data": {"resultType": "vector", "result": result}})
        .to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Date: Thu, 01 Jan 1970 00:00:01 GMT\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A rule that triggers at once and recovers after 10 s.
pub(crate) fn rule(name: &str) -> Value {
    json!({
        "apiVersion": "nodeguardian.k8s.io/v1",
        "kind": "NodeGuardianRule",
        "metadata": {"name": name, "uid": format!("uid-{name}"), "generation": 1},
        "spec": {
            "conditions": [{"metric": "memoryUtilizationPercent", "operator": ">", "value": 90, "duration": "0s"}],
            "actions": [
                {"type": "taint", "taint": {"key": "hot", "value": name, "effect": "NoSchedule"}},
                {"type": "label", "label": {"labels": {"state": "hot"}}},
                {"type": "annotation", "annotation": {"annotations": {"why": "load"}}},
                {"type": "cordon"},
                {"type": "alert", "alert": {"channels": ["log"]}},
            ],
            "recoveryConditions": [{"metric": "memoryUtilizationPercent", "operator": "<", "value": 50, "duration": "10s"}],
            "recoveryActions": [
                {"type": "removeTaint", "taint": {"key": "hot"}},
                {"type": "removeLabel", "label": {"keys": ["state"]}},
                {"type": "removeAnnotation", "annotation": {"keys": ["why"]}},
                {"type": "uncordon"},
                {"type": "alert", "alert": {"channels": ["log"]}},
            ],
            "monitoring": {"checkInterval": "10s", "cooldownPeriod": "1m", "recoveryCooldownPeriod": "0s"},
        },
    })
}

/// A ready node.
pub(crate) fn node(name: &str) -> Value {
    json!({
        "name": name,
        "uid": format!("uid-{name}"),
        "labels": {"kubernetes.io/hostname": name},
        "annotations": null,
        "taints": [{"key": "other", "value": "theirs", "effect": "NoSchedule"}],
        "unschedulable": null,
        "capacity": {"cpu": "4", "memory": "16Gi", "pods": "110"},
        "allocatable": {"cpu": "4", "memory": "15Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
    })
}
