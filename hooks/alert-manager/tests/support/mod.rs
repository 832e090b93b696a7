//! A folder with everything the alert-manager reads and writes, and receivers that do as they are told.

#![expect(dead_code, reason = "each test program uses what it needs of this")]

pub(crate) mod receiver;

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use ng_engine::plan::Alert;
use ng_engine::time::Time;
use ng_state::{DeliveryState, OutboxFilter, QueuedAlert, Store};
use serde_json::{Value, json};

/// When tests happen, unless they say otherwise.
pub(crate) const NOW: &str = "2026-01-02T03:04:00Z";

/// `NOW` and some seconds.
pub(crate) fn after(seconds: i64) -> String {
    let now: jiff::Timestamp = NOW.parse().expect("a time");
    (now + jiff::SignedDuration::from_secs(seconds)).to_string()
}

pub(crate) fn time(text: &str) -> Time {
    Time::from(text.parse::<jiff::Timestamp>().expect("a time"))
}

/// The folder.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) patches: Vec<Value>,
    pub(crate) metrics: Vec<Value>,
}

impl Outcome {
    /// The sum of the gauges of this name with these labels among theirs.
    pub(crate) fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |line: &&Value| {
            line["name"] == name
                && labels
                    .iter()
                    .all(|(label, value)| line["labels"][label] == *value)
        };
        let lines = self.metrics.iter().filter(has);
        lines.filter_map(|line| line["value"].as_f64()).sum()
    }

    /// Lines of the log with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        self.stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["msg"] == message)
            .collect()
    }
}

impl Desk {
    /// With a webhook at this address; settings that make tests short.
    pub(crate) fn new(webhook: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["config", "secrets", "state"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let desk = Self { folder };
        desk.configure(webhook, &json!({}));
        desk.put("tick.json", &tick(&[]).to_string());
        desk
    }

    /// A configuration with these sections over the usual ones.
    pub(crate) fn configure(&self, webhook: &str, sections: &Value) {
        let mut config = json!({"alert": {
            "webhookUrl": webhook, "retryAttempts": 3, "retryDelay": "5s", "batchTimeout": "0s",
        }});
        for (section, keys) in sections.as_object().into_iter().flatten() {
            for (key, value) in keys.as_object().into_iter().flatten() {
                config[section][key] = value.clone();
            }
        }
        self.put("config/config.json", &config.to_string());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "input of a test, not state")]
    pub(crate) fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the folder can be written");
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.path("state"), time(NOW))
            .expect("the state opens")
            .store
    }

    /// Puts alerts into the outbox.
    pub(crate) fn queue(&self, alerts: &[Alert], at: &str) -> Vec<i64> {
        let mut store = self.store();
        let mut transaction = store.begin().expect("a transaction");
        let ids = transaction.queue(alerts, time(at)).expect("alerts queue");
        transaction.commit().expect("the commit");
        ids
    }

    /// Everything in the outbox.
    pub(crate) fn outbox(&self) -> Vec<QueuedAlert> {
        let filter = OutboxFilter {
            limit: u32::MAX,
            ..OutboxFilter::default()
        };
        self.store().outbox(filter).expect("the outbox")
    }

    /// How many deliveries are in a state.
    pub(crate) fn count(&self, state: DeliveryState) -> usize {
        let all = self.outbox();
        let deliveries = all.iter().flat_map(|alert| &alert.deliveries);
        deliveries
            .filter(|delivery| delivery.state == state)
            .count()
    }

    /// A tick at a time.
    pub(crate) fn tick(&self, now: &str) -> Outcome {
        self.run(&tick(&[]), now)
    }

    /// A run on these contexts.
    pub(crate) fn run(&self, contexts: &Value, now: &str) -> Outcome {
        for name in ["patches", "metrics"] {
            self.put(name, "");
        }
        self.put("context.json", &contexts.to_string());
        let output = self
            .command(&[])
            .env("NODEGUARDIAN_NOW", now)
            .output()
            .expect("the alert-manager starts");
        self.outcome(&output)
    }

    /// A run by the clock that goes on while the test does something else.
    pub(crate) fn start(&self) -> Child {
        self.command(&[])
            .env("BINDING_CONTEXT_PATH", self.path("tick.json"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the alert-manager starts")
    }

    /// A command that people call.
    pub(crate) fn call(&self, arguments: &[&str], now: &str) -> Outcome {
        for name in ["patches", "metrics"] {
            self.put(name, "");
        }
        let output = self
            .command(arguments)
            .env("NODEGUARDIAN_NOW", now)
            .output()
            .expect("the alert-manager starts");
        self.outcome(&output)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let text = |name: &str| self.path(name).display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_alert-manager"));
        command.args(arguments).env_clear().envs([
            ("BINDING_CONTEXT_PATH", text("context.json")),
            ("KUBERNETES_PATCH_PATH", text("patches")),
            ("METRICS_PATH", text("metrics")),
            ("NODEGUARDIAN_CONFIG_DIR", text("config")),
            ("NODEGUARDIAN_SECRETS_DIR", text("secrets")),
            ("NODEGUARDIAN_STATE_DIR", text("state")),
        ]);
        command
    }

    fn outcome(&self, output: &Output) -> Outcome {
        Outcome {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            patches: self.lines("patches"),
            metrics: self.lines("metrics"),
        }
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).expect("the file is there");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON lines"))
            .collect()
    }
}

/// The contexts of a tick, with templates in the snapshot.
pub(crate) fn tick(templates: &[Value]) -> Value {
    json!([{
        "binding": "alert-delivery",
        "snapshots": {"monitor-alert-templates": snapshot(templates)},
        "type": "Schedule",
    }])
}

/// Objects as in a snapshot.
pub(crate) fn snapshot(objects: &[Value]) -> Value {
    let items = objects
        .iter()
        .map(|object| json!({"filterResult": {"spec": object["spec"]}, "object": object}));
    items.collect()
}

/// A template as the API server has it.
pub(crate) fn template(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "nodeguardian.k8s.io/v1", "kind": "AlertTemplate",
        "metadata": {"name": name, "uid": format!("uid-{name}"), "generation": 3},
        "spec": spec,
    })
}

/// A trigger of the rule `load`.
pub(crate) fn alert(node: &str, channels: &[&str]) -> Alert {
    with(node, channels, &json!({}))
}

/// The same with other fields.
pub(crate) fn with(node: &str, channels: &[&str], fields: &Value) -> Alert {
    let at = time(NOW).millis();
    let mut alert = json!({
        "type": "trigger", "at": at, "rule": "load", "ruleDescription": "High load",
        "severity": "warning", "node": node, "template": "", "channels": channels, "since": at,
        "repeats": 0, "dryRun": false, "metrics": {"cpuLoadRatio": 2.5},
        "conditions": [{
            "test": "cpuLoadRatio > 1.5", "seen": {"value": {"value": 2.5, "age": 1000, "origin": "prometheus"}},
            "trueFor": 180_000, "needed": 180_000, "verdict": "Holds",
        }],
        "actions": [{"type": "taint", "description": "taint example.com/load=true:NoSchedule"}],
    });
    for (key, value) in fields.as_object().into_iter().flatten() {
        alert[key] = value.clone();
    }
    serde_json::from_value(alert).expect("an alert")
}
