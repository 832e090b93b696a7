//! Nodes, pods and disruption budgets, written as their controllers would have left them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::api::Api;

/// A node that is ready, with four cores and sixteen gigabytes unless said otherwise.
#[derive(Debug, Clone)]
pub struct Node {
    name: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    taints: Vec<Value>,
    capacity: BTreeMap<String, String>,
    addresses: Vec<Value>,
    ready: &'static str,
}

impl Node {
    /// A node with the usual host name label and address.
    pub fn new(name: &str) -> Self {
        let text = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        Self {
            name: name.to_owned(),
            labels: text(&[
                ("kubernetes.io/hostname", name),
                ("kubernetes.io/os", "linux"),
            ]),
            annotations: BTreeMap::new(),
            taints: Vec::new(),
            capacity: text(&[("cpu", "4"), ("memory", "16Gi"), ("pods", "110")]),
            addresses: vec![json!({"type": "Hostname", "address": name})],
            ready: "True",
        }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds a taint.
    #[must_use]
    pub fn taint(mut self, key: &str, value: &str, effect: &str) -> Self {
        self.taints
            .push(json!({"key": key, "value": value, "effect": effect}));
        self
    }

    /// Sets one capacity, which is allocatable as a whole.
    #[must_use]
    pub fn capacity(mut self, resource: &str, quantity: &str) -> Self {
        self.capacity
            .insert(resource.to_owned(), quantity.to_owned());
        self
    }

    /// Adds the internal address.
    #[must_use]
    pub fn internal_ip(mut self, address: &str) -> Self {
        self.addresses
            .push(json!({"type": "InternalIP", "address": address}));
        self
    }

    /// Sets the status of the condition `Ready`: `True`, `False` or `Unknown`.
    #[must_use]
    pub fn ready(mut self, status: &'static str) -> Self {
        self.ready = status;
        self
    }

    /// Creates the node and writes its status.
    pub fn create(&self, api: &Api) -> Result<()> {
        let mut object = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": self.name, "labels": self.labels, "annotations": self.annotations,
            },
            "spec": {"taints": self.taints},
        });
        if self.taints.is_empty() {
            object["spec"] = json!({});
        }
        api.create("/api/v1/nodes", &object)?;
        let status = json!({"status": {
            "capacity": self.capacity, "allocatable": self.capacity,
            "addresses": self.addresses,
            "conditions": [ready_condition(self.ready)],
        }});
        api.patch(&format!("/api/v1/nodes/{}/status", self.name), &status)?;
        Ok(())
    }
}

/// Creates many nodes, several at a time.
pub fn create_nodes(api: &Api, nodes: &[Node]) -> Result<()> {
    const AT_ONCE: usize = 8;
    let share = nodes.len().div_ceil(AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .chunks(share)
            .map(|nodes| scope.spawn(|| nodes.iter().try_for_each(|node| node.create(api))))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(created) => created,
                Err(_) => bail!("a thread that creates nodes has panicked"),
            })
    })
}

/// Changes the status of a node's condition `Ready`: `True`, `False` or `Unknown`.
pub fn set_ready(api: &Api, node: &str, status: &str) -> Result<()> {
    let patch = json!({"status": {"conditions": [ready_condition(status)]}});
    api.patch(&format!("/api/v1/nodes/{node}/status"), &patch)?;
    Ok(())
}

fn ready_condition(status: &str) -> Value {
    let reason = if status == "True" {
        "KubeletReady"
    } else {
        "NodeStatusUnknown"
    };
    // The harness has no clock to agree with; only the status and its changes matter.
    let time = "2026-01-01T00:00:00Z";
    json!({
        "type": "Ready", "status": status, "reason": reason, "message": reason,
        "lastHeartbeatTime": time, "lastTransitionTime": time,
    })
}

/// Who controls a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A replica set: the pod comes back elsewhere.
    ReplicaSet,
    /// A daemon set: the pod belongs to its node.
    DaemonSet,
    /// Nobody: the pod does not come back.
    Nobody,
    /// The node itself, which mirrors a static pod.
    Mirror,
}

/// A running pod on a node, controlled by a replica set unless said otherwise.
#[derive(Debug, Clone)]
pub struct Pod {
    namespace: String,
    name: String,
    node: String,
    owner: Owner,
    phase: &'static str,
    extra: Value,
}

impl Pod {
    /// A pod on `node`; its label `app` is its name without the last `-part`.
    ///
    /// Without a scheduler nothing else decides where it runs.
    pub fn new(namespace: &str, name: &str, node: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            node: node.to_owned(),
            owner: Owner::ReplicaSet,
            phase: "Running",
            extra: json!({}),
        }
    }

    /// Sets the controller.
    #[must_use]
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// Sets the phase, such as `Succeeded`.
    #[must_use]
    pub fn phase(mut self, phase: &'static str) -> Self {
        self.phase = phase;
        self
    }

    /// Merges `patch` over the pod before it is created.
    #[must_use]
    pub fn with(mut self, patch: &Value) -> Self {
        merge(&mut self.extra, patch);
        self
    }

    /// Gives the pod a label.
    #[must_use]
    pub fn label(self, key: &str, value: &str) -> Self {
        self.with(&json!({"metadata": {"labels": {key: value}}}))
    }

    /// Gives the pod a priority class, which has to exist.
    #[must_use]
    pub fn priority_class(self, name: &str) -> Self {
        self.with(&json!({"spec": {"priorityClassName": name}}))
    }

    /// Gives the pod an `emptyDir` volume.
    #[must_use]
    pub fn empty_dir(self) -> Self {
        self.with(&json!({"spec": {"volumes": [{"name": "scratch", "emptyDir": {}}]}}))
    }

    /// Creates the pod and writes its status; its namespace and node have to exist.
    pub fn create(&self, api: &Api) -> Result<()> {
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        api.create(&path, &self.object(api)?)?;
        let ready = if self.phase == "Running" {
            "True"
        } else {
            "False"
        };
        let status = json!({"status": {
            "phase": self.phase, "conditions": [{"type": "Ready", "status": ready}],
        }});
        api.patch(&format!("{path}/{}/status", self.name), &status)?;
        Ok(())
    }

    fn object(&self, api: &Api) -> Result<Value> {
        let app = self
            .name
            .rsplit_once('-')
            .map_or(self.name.as_str(), |(app, _)| app);
        let mut object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": self.name, "namespace": self.namespace, "labels": {"app": app},
            },
            "spec": {
                "nodeName": self.node,
                "automountServiceAccountToken": false,
                "containers": [{"name": "main", "image": "none.invalid/main"}],
            },
        });
        merge(&mut object, &self.owner_fields(app, api)?);
        merge(&mut object, &self.extra);
        Ok(object)
    }

    fn owner_fields(&self, app: &str, api: &Api) -> Result<Value> {
        let (version, kind, name, uid) = match self.owner {
            Owner::Nobody => return Ok(json!({})),
            Owner::ReplicaSet => ("apps/v1", "ReplicaSet", app, owner_uid(app)),
            Owner::DaemonSet => ("apps/v1", "DaemonSet", app, owner_uid(app)),
            // A mirror pod is only accepted with the real node as its owner.
            Owner::Mirror => ("v1", "Node", self.node.as_str(), node_uid(api, &self.node)?),
        };
        let mut metadata = json!({"ownerReferences": [{
            "apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true,
        }]});
        if self.owner == Owner::Mirror {
            metadata["annotations"] = json!({"kubernetes.io/config.mirror": "static"});
        }
        Ok(json!({"metadata": metadata}))
    }
}

/// A disruption budget over the pods with a label `app`.
#[derive(Debug, Clone)]
pub struct Budget {
    namespace: String,
    app: String,
}

impl Budget {
    /// Creates a budget called `app` for the pods with this label, which allows `allowed`
    /// disruptions now.
    pub fn create(api: &Api, namespace: &str, app: &str, allowed: u32) -> Result<Self> {
        let path = format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets");
        let object = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": app, "namespace": namespace},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": app}}},
        });
        api.create(&path, &object)?;
        let budget = Self {
            namespace: namespace.to_owned(),
            app: app.to_owned(),
        };
        budget.allow(api, allowed)?;
        Ok(budget)
    }

    /// Sets how many more disruptions are allowed, which the API server counts down.
    ///
    /// No controller runs that would set it, and without an up-to-date status every eviction is
    /// refused.
    pub fn allow(&self, api: &Api, allowed: u32) -> Result<()> {
        let path = self.path();
        let generation = api.get(&path)?["metadata"]["generation"].clone();
        let status = json!({"status": {
            "observedGeneration": generation, "disruptionsAllowed": allowed,
            "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3, "disruptedPods": null,
        }});
        api.patch(&format!("{path}/status"), &status)?;
        Ok(())
    }

    /// How many more disruptions are allowed now.
    pub fn allowed(&self, api: &Api) -> Result<u64> {
        let budget = api.get(&self.path())?;
        budget["status"]["disruptionsAllowed"]
            .as_u64()
            .context("a budget without a status")
    }

    fn path(&self) -> String {
        let (namespace, app) = (&self.namespace, &self.app);
        format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{app}")
    }
}

/// Merges `patch` into `target` as a JSON merge patch without removals.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, patch) => target.clone_from(patch),
    }
}

/// The same owner name gives the same id; nothing checks that the owner exists.
fn owner_uid(app: &str) -> String {
    let number = app.bytes().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    format!("00000000-0000-4000-8000-{:012x}", number & 0xffff_ffff_ffff)
}

fn node_uid(api: &Api, node: &str) -> Result<String> {
    let object = api.get(&format!("/api/v1/nodes/{node}"))?;
    Ok(object["metadata"]["uid"]
        .as_str()
        .context("a node without uid")?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_keeps_what_the_patch_does_not_name() {
        let mut object = json!({"metadata": {"name": "a", "labels": {"app": "x"}}});
        merge(&mut object, &json!({"metadata": {"labels": {"tier": "1"}}}));
        assert_eq!(
            object,
            json!({"metadata": {"name": "a", "labels": {"app": "x", "tier": "1"}}})
        );
    }

    #[test]
    fn owners_differ_by_name() {
        assert_ne!(owner_uid("web"), owner_uid("db"));
        assert_eq!(owner_uid("web").len(), 36);
    }
}
