//! A stack with every hook, as the image has them, and a rule that is true for the node under load.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ng_tests::http::Request;
use ng_tests::manifests::checkout;
use ng_tests::server::write_file;
use ng_tests::{Api, Hook, Load, Node, Stack, StackBuilder, program, wait_until};
use serde_json::{Value, json};

/// Long enough for anything that is to happen at the next tick, on a busy machine, too.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
/// The node under load.
pub(crate) const HOT: &str = "n1";
/// The taint that the rule sets on it.
pub(crate) const TAINT: &str = "example.com/hot";

const RULES: &str = "/apis/nodeguardian.k8s.io/v1/nodeguardianrules";
/// Enough nodes for one of them to be out of service.
const NODES: [&str; 5] = [HOT, "n2", "n3", "n4", "n5"];
const HOOKS: [(&str, &str); 5] = [
    ("000-config-loader", "config-loader"),
    ("001-nodeguardian-controller", "controller"),
    ("002-alert-manager", "alert-manager"),
    ("003-recovery-manager", "recovery-manager"),
    ("004-node-monitor", "node-monitor"),
];

/// The stack and the API with every right.
pub(crate) struct Rig {
    pub(crate) stack: Stack,
    pub(crate) api: Api,
}

impl Rig {
    /// Everything but shell-operator runs.
    pub(crate) fn start(builder: StackBuilder) -> Result<Self> {
        let mut builder = builder.manifests_in(checkout("config/crd"))?;
        for (name, executable) in HOOKS {
            let path = program(&format!("ng-{executable}"), executable)?;
            builder = builder.hook(Hook::program(name, path));
        }
        let stack = builder.start()?;
        let api = stack.api().clone();
        for name in NODES {
            Node::new(name).create(&api)?;
            stack.exporter().set(name, Load::default());
        }
        Ok(Self { stack, api })
    }

    /// Mounts a configuration, asking the stack's own Prometheus.
    pub(crate) fn configure(&mut self, mut config: Value) -> Result<()> {
        config["prometheus"]["url"] = self.stack.prometheus().url().into();
        write_file(
            &self.stack.config_dir().join("config.json"),
            config.to_string(),
        )
    }

    /// Sets the load of the node, and waits until Prometheus knows.
    pub(crate) fn load(&mut self, load: Load, is_hot: bool) -> Result<()> {
        self.stack.exporter().set(HOT, load);
        let query = format!("node_load1{{node=\"{HOT}\"}}");
        wait_until(LIMIT, "load in Prometheus", || {
            let load = self.stack.prometheus().value(&query)?;
            ensure!((load > 6.0) == is_hot, "{load}");
            Ok(())
        })
    }

    /// Puts the node under load.
    pub(crate) fn heat(&mut self) -> Result<()> {
        let hot = Load {
            cpu_load_ratio: 2.0,
            memory_percent: 96.0,
            ..Load::default()
        };
        self.load(hot, true)
    }

    pub(crate) fn status(&self, rule: &str) -> Result<Value> {
        Ok(self.api.get(&format!("{RULES}/{rule}"))?["status"].take())
    }

    pub(crate) fn delete_rule(&self, rule: &str) -> Result<()> {
        self.api.delete(&format!("{RULES}/{rule}"))?;
        Ok(())
    }

    /// Waits until the rule holds the node, or no longer does.
    pub(crate) fn wait_held(&self, rule: &str, wanted: bool) -> Result<Value> {
        let nodes = if wanted { json!([HOT]) } else { json!([]) };
        wait_until(LIMIT, &format!("{nodes} held by {rule}"), || {
            let status = self.status(rule)?;
            ensure!(status["triggeredNodes"] == nodes, "{status}");
            Ok(status)
        })
    }

    /// Waits until the node has, or no longer has, the rule's taint.
    pub(crate) fn wait_taint(&self, wanted: bool) -> Result<()> {
        wait_until(LIMIT, &format!("taint: {wanted}"), || {
            let node = self.api.get(&format!("/api/v1/nodes/{HOT}"))?;
            let taints = node["spec"]["taints"].as_array();
            let is_there = taints
                .into_iter()
                .flatten()
                .any(|taint| taint["key"] == TAINT);
            ensure!(is_there == wanted, "{}", node["spec"]);
            Ok(())
        })
    }

    /// Waits until an Event of this reason is there in a namespace.
    pub(crate) fn wait_event(&self, namespace: &str, reason: &str) -> Result<()> {
        wait_until(LIMIT, reason, || {
            let events = self
                .api
                .list(&format!("/api/v1/namespaces/{namespace}/events"))?;
            ensure!(
                events.iter().any(|event| event["reason"] == reason),
                "not there"
            );
            Ok(())
        })
    }

    /// Waits until the node-monitor has looked at as many nodes.
    pub(crate) fn wait_monitored(&mut self, nodes: f64) -> Result<()> {
        let name = "nodeguardian_monitored_nodes";
        wait_until(LIMIT * 2, name, || {
            let seen = self.stack.operator().hook_metric(name, &[])?;
            ensure!(seen.is_some_and(|seen| seen >= nodes), "{seen:?}");
            Ok(())
        })
    }
}

/// A rule that is true at once for the node under load and ends at once without it.
pub(crate) fn rule(name: &str, actions: &Value) -> Value {
    json!({
        "apiVersion": "nodeguardian.k8s.io/v1", "kind": "NodeGuardianRule",
        "metadata": {"name": name},
        "spec": {
            "conditions": [
                {"metric": "cpuLoadRatio", "operator": ">", "value": 1.5, "duration": "0s"},
                {"metric": "memoryUtilizationPercent", "operator": ">", "value": 50, "duration": "0s"},
            ],
            "actions": actions,
            "recoveryConditions": [
                {"metric": "cpuLoadRatio", "operator": "<", "value": 1, "duration": "0s"},
            ],
            "recoveryActions": [{"type": "removeTaint", "taint": {"key": TAINT}}],
            "monitoring": {
                "checkInterval": "5s", "cooldownPeriod": "30m", "recoveryCooldownPeriod": "1s",
                "metricsSource": {"useMetricsServer": true},
            },
        },
    })
}

/// The rule's taint as an action.
pub(crate) fn taint() -> Value {
    json!({"type": "taint", "taint": {"key": TAINT, "effect": "NoSchedule"}})
}

/// A receiver of webhooks on loopback; it ends with the test's process.
pub(crate) struct Receiver {
    pub(crate) url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A sender that went away has its own message to say.
                if let Ok(body) = receive(stream) {
                    kept.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(body);
                }
            }
        });
        Ok(Self { url, bodies })
    }

    /// What was received about a rule so far.
    pub(crate) fn about(&self, rule: &str) -> Vec<Value> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let of_rule = bodies.iter().filter(|body| body["ruleName"] == rule);
        of_rule.cloned().collect()
    }

    /// Waits for the first message about a rule.
    pub(crate) fn wait(&self, rule: &str) -> Result<Value> {
        wait_until(LIMIT, &format!("message about {rule}"), || {
            self.about(rule).into_iter().next().context("none yet")
        })
    }
}

fn receive(mut stream: TcpStream) -> Result<Value> {
    let request = Request::read(&stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
    Ok(serde_json::from_slice(&request.body)?)
}
