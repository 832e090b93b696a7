//! A stack with the controller as its only hook, and what tests look at.

use std::collections::BTreeSet;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use ng_engine::plan::{Alert, AlertKind};
use ng_state::{OutboxFilter, Store};
use ng_tests::audit::Request;
use ng_tests::manifests::Step;
use ng_tests::{Api, Hook, Load, Node, Stack, Tools, program, wait_until};
use serde_json::{Value, json};

/// Long enough for anything that is to happen at the next tick, on a busy machine, too.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// The name of the controller among the hooks.
pub(crate) const HOOK: &str = "001-nodeguardian-controller";
/// The time between two runs of the controller's schedule.
pub(crate) const TICK: Duration = Duration::from_secs(5);

const RULES: &str = "/apis/nodeguardian.k8s.io/v1/nodeguardianrules";

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A node under so much load that every rule of these tests is true for it.
pub(crate) fn hot() -> Load {
    Load {
        cpu_load_ratio: 2.0,
        memory_percent: 96.0,
        ..Load::default()
    }
}

/// A rule that is true at once for nodes with a load above one and a half, and ends at once below one.
pub(crate) fn load_rule(name: &str, actions: &Value, recovery_actions: &Value) -> Value {
    json!({
        "apiVersion": "nodeguardian.k8s.io/v1", "kind": "NodeGuardianRule",
        "metadata": {"name": name},
        "spec": {
            "conditions": [
                {"metric": "cpuLoadRatio", "operator": ">", "value": 1.5, "duration": "0s"},
            ],
            "actions": actions,
            "recoveryConditions": [
                {"metric": "cpuLoadRatio", "operator": "<", "value": 1, "duration": "0s"},
            ],
            "recoveryActions": recovery_actions,
            "monitoring": {
                "checkInterval": "5s", "cooldownPeriod": "30m", "recoveryCooldownPeriod": "1s",
            },
        },
    })
}

/// A `NoSchedule` taint as an action.
pub(crate) fn taint(key: &str) -> Value {
    json!({"type": "taint", "taint": {"key": key, "effect": "NoSchedule"}})
}

/// The end of that taint as a recovery action.
pub(crate) fn untaint(key: &str) -> Value {
    json!({"type": "removeTaint", "taint": {"key": key}})
}

/// The stack and the API with every right.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) stack: Stack,
    pub(crate) api: Api,
    /// Whether the API server was started again.
    pub(crate) restarted: bool,
}

impl Rig {
    /// Everything but shell-operator runs; `None` where the servers are not installed.
    pub(crate) fn start(env: &[(&str, &str)]) -> Result<Option<Self>> {
        Self::start_with(env, &[])
    }

    /// The same with more hooks beside the controller: names among the hooks, and the executables.
    pub(crate) fn start_with(env: &[(&str, &str)], hooks: &[(&str, &str)]) -> Result<Option<Self>> {
        let Some(tools) = Tools::for_test()? else {
            return Ok(None);
        };
        let mut builder = Stack::builder(tools)
            .manifests_in(project("config/crd"))?
            .shipped_rights(&Step::ALL)
            .hook(Hook::program(HOOK, program("ng-controller", "controller")?));
        for (name, value) in env {
            builder = builder.env(name, *value);
        }
        for (name, executable) in hooks {
            let path = program(&format!("ng-{executable}"), executable)?;
            builder = builder.hook(Hook::program(name, path));
        }
        let stack = builder.start()?;
        let api = stack.api().clone();
        Ok(Some(Self {
            stack,
            api,
            restarted: false,
        }))
    }

    /// Nodes with little to do, known to Prometheus.
    pub(crate) fn add_nodes(&mut self, nodes: &[&str]) -> Result<()> {
        for name in nodes {
            Node::new(name)
                .label("node-role.kubernetes.io/worker", "true")
                .create(&self.api)?;
            self.stack.exporter().set(name, Load::default());
        }
        self.wait_scraped(nodes.len())
    }

    /// Waits until Prometheus has samples of that many nodes.
    pub(crate) fn wait_scraped(&mut self, nodes: usize) -> Result<()> {
        wait_until(LIMIT, "samples of every node", || {
            let series = self.stack.prometheus().query("node_load1{node!=\"\"}")?;
            ensure!(series.len() >= nodes, "{} of {nodes}", series.len());
            Ok(())
        })
    }

    /// Puts a node under load, and waits until Prometheus knows.
    pub(crate) fn heat(&mut self, node: &str) -> Result<()> {
        self.stack.exporter().set(node, hot());
        let query = format!("node_load1{{node=\"{node}\"}}");
        wait_until(LIMIT, "load in Prometheus", || {
            let load = self.stack.prometheus().value(&query)?;
            ensure!(load > 6.0, "{load}");
            Ok(())
        })
    }

    pub(crate) fn apply_rule(&self, rule: &Value) -> Result<()> {
        self.api.apply_object(rule)?;
        Ok(())
    }

    pub(crate) fn patch_rule(&self, name: &str, change: &Value) -> Result<()> {
        self.api.patch(&format!("{RULES}/{name}"), change)?;
        Ok(())
    }

    pub(crate) fn delete_rule(&self, name: &str) -> Result<()> {
        self.api.delete(&format!("{RULES}/{name}"))?;
        Ok(())
    }

    pub(crate) fn status(&self, rule: &str) -> Result<Value> {
        Ok(self.api.get(&format!("{RULES}/{rule}"))?["status"].take())
    }

    pub(crate) fn node(&self, name: &str) -> Result<Value> {
        Ok(self.api.get(&format!("/api/v1/nodes/{name}"))?)
    }

    /// Waits until a node has, or no longer has, a taint with this key.
    pub(crate) fn wait_taint(&self, node: &str, key: &str, wanted: bool) -> Result<()> {
        let what = format!(
            "{} of {key} on {node}",
            if wanted { "set" } else { "removal" }
        );
        wait_until(LIMIT, &what, || {
            let node = self.node(node)?;
            ensure!(has_taint(&node, key) == wanted, "{}", node["spec"]);
            Ok(())
        })
    }

    /// Waits until the rule's condition has this status, and returns the rule's status.
    pub(crate) fn wait_condition(&self, rule: &str, kind: &str, wanted: &str) -> Result<Value> {
        let what = format!("{kind}={wanted} of {rule}");
        wait_until(LIMIT, &what, || {
            let status = self.status(rule)?;
            ensure!(condition(&status, kind)["status"] == wanted, "{status}");
            Ok(status)
        })
    }

    /// Waits until the controller's runs have ended this many more times.
    pub(crate) fn wait_runs(&mut self, more: usize) -> Result<()> {
        let before = self.runs()?;
        let limit = LIMIT + TICK * u32::try_from(more)?;
        wait_until(limit, "runs of the controller", || {
            let runs = self.runs()?;
            ensure!(runs >= before + more, "{} of {more}", runs - before);
            Ok(())
        })
    }

    /// How often the controller has run to its end, over all starts of shell-operator.
    pub(crate) fn runs(&mut self) -> Result<usize> {
        let log = self.stack.operator().log()?;
        let done = |line: &&ng_tests::operator::LogLine| {
            line.hook() == HOOK && line.message() == "Hook executed successfully"
        };
        Ok(log.iter().filter(done).count())
    }

    /// Waits until a metric of the hook has a value in this range.
    pub(crate) fn wait_metric(
        &mut self,
        name: &str,
        labels: &[&str],
        wanted: impl RangeBounds<f64>,
    ) -> Result<()> {
        wait_until(LIMIT, name, || {
            let value = self.stack.operator().hook_metric(name, labels)?;
            let fits = value.is_some_and(|value| wanted.contains(&value));
            ensure!(fits, "{value:?}");
            Ok(())
        })
    }

    /// The alerts that were queued for a rule, oldest first.
    pub(crate) fn alerts(&self, rule: &str, kind: AlertKind) -> Result<Vec<Alert>> {
        let dir = self.stack.state_dir();
        // Opening would make what is missing, which is the controller's to do.
        ensure!(dir.join("state.db").exists(), "no state yet");
        let store = Store::open(&dir, jiff::Timestamp::UNIX_EPOCH.into())?.store;
        let all = store.outbox(OutboxFilter::default())?;
        let mut alerts = Vec::new();
        for queued in all {
            let alert = queued.alert.map_err(anyhow::Error::msg)?;
            if alert.rule == rule && alert.kind == kind {
                alerts.push(alert);
            }
        }
        Ok(alerts)
    }

    /// Reasons and objects of the Events so far: `RuleTriggered Node/n1`.
    pub(crate) fn events(&self) -> Result<Vec<String>> {
        let events = self.api.list("/api/v1/namespaces/default/events")?;
        let text = |event: &Value| {
            let object = &event["involvedObject"];
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!(
                "{} {}/{}",
                word(&event["reason"]),
                word(&object["kind"]),
                word(&object["name"])
            )
        };
        Ok(events.iter().map(text).collect())
    }

    /// Names of the pods whose eviction the hook has asked for, with the answers, in their order.
    pub(crate) fn evictions(&self) -> Result<Vec<(String, u16)>> {
        let writes = self.stack.writes_by(self.stack.hook_user())?;
        Ok(writes
            .into_iter()
            .filter(|write| write.resource == "pods/eviction")
            .map(|write| (write.name, write.code))
            .collect())
    }

    /// Ends the test: the hook has asked for nothing that its role does not allow, and no run has failed.
    pub(crate) fn close(mut self) -> Result<()> {
        self.stack.operator().kill();
        let user = self.stack.hook_user().to_owned();
        let mut requests = self.stack.cluster().requests()?;
        requests.retain(|request| request.user == user);
        let right = |request: &Request| {
            let Request {
                verb,
                resource,
                namespace,
                ..
            } = request;
            format!("{verb} {resource} in {namespace:?}")
        };
        let (refused, allowed): (Vec<_>, Vec<_>) =
            requests.iter().partition(|request| request.code == 403);
        let allowed: BTreeSet<_> = allowed.into_iter().map(right).collect();
        let mut missing: BTreeSet<_> = refused.into_iter().map(right).collect();
        // An API server that has just started refuses everything before it has read its roles, and a watch is only
        // in the audit log when it has ended.
        let is_start = |right: &str| self.restarted && right.starts_with("watch ");
        missing.retain(|right| !allowed.contains(right) && !is_start(right));
        ensure!(missing.is_empty(), "not allowed: {missing:?}");
        let log = self.stack.operator().log()?;
        let failed = log
            .iter()
            .find(|line| line.message().contains("Hook failed"));
        if let Some(line) = failed {
            bail!("a run failed: {}", line.fields());
        }
        Ok(())
    }
}

/// The condition of this type in a status; `null` if there is none.
pub(crate) fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

/// Whether the status shows no node but those that have recovered and are remembered for their cooldown.
pub(crate) fn holds_nothing(status: &Value) -> bool {
    let nodes = status["nodes"].as_array();
    status["triggeredNodes"] == json!([])
        && nodes.is_some_and(|nodes| nodes.iter().all(|node| node["phase"] == "Recovered"))
}

/// Whether the node has a taint with this key.
pub(crate) fn has_taint(node: &Value, key: &str) -> bool {
    let taints = node["spec"]["taints"].as_array();
    taints
        .into_iter()
        .flatten()
        .any(|taint| taint["key"] == key)
}
