//! The simulated cluster: objects as the API server would keep them.
//!
//! What it leaves out: nothing schedules or replaces pods, `NoExecute` taints move none, and there is no
//! metrics.k8s.io.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ng_engine::time::Time;
use ng_kube::PodRef;
use ng_kube::eviction::EvictionOutcome;
use ng_kube::objects::{Node as ApiNode, Pod as ApiPod};
use ng_round::ports::{Cluster, LiveNode, live};
use serde_json::{Map, Value, json};

use crate::node_object::{remove, set_taints};
use crate::scenario::series::matches;
use crate::scenario::{Budget, Node, NodePatch, Pod, TaintText};

/// Everything in the cluster.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) now: Option<Time>,
    pub(crate) nodes: BTreeMap<String, Kept>,
    pub(crate) rules: BTreeMap<String, Value>,
    /// Whether snapshots lack the rules although they exist.
    pub(crate) hides_rules: bool,
    pub(crate) budgets: Vec<Budget>,
    /// Evictions that were asked for since this was last taken.
    pub(crate) asked: Vec<Asked>,
    pods: Vec<SimPod>,
    numbers: u64,
}

/// An object, and what a snapshot says of it until it changes.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) object: Value,
    pub(crate) snapshot: Option<String>,
}

#[derive(Debug)]
struct SimPod {
    object: Value,
    grace: Duration,
    gone_at: Option<Time>,
}

/// An eviction that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) node: String,
    /// `namespace/name`.
    pub(crate) pod: String,
    /// `None`: it was accepted.
    pub(crate) refused: Option<String>,
}

impl World {
    fn uid(&mut self, of: &str) -> String {
        self.numbers += 1;
        format!("{of}-{}", self.numbers)
    }

    fn time(&self) -> Time {
        self.now.unwrap_or(Time::from_millis(0))
    }

    pub(crate) fn add_node(&mut self, node: &Node) {
        let uid = self.uid("node");
        let since = self.time().to_string();
        let conditions: Vec<Value> = node
            .conditions
            .iter()
            .map(|(kind, status)| condition(kind, status, &since))
            .collect();
        let mut spec = Map::new();
        if !node.taints.is_empty() {
            let taints = node.taints.iter().map(TaintText::to_json);
            spec.insert("taints".to_owned(), taints.collect());
        }
        if node.unschedulable {
            spec.insert("unschedulable".to_owned(), true.into());
        }
        let resources = json!({"cpu": "4", "memory": "16Gi", "pods": "110"});
        let object = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": node.name,
                "uid": uid,
                "labels": node.labels,
                "annotations": node.annotations,
            },
            "spec": spec,
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": conditions,
                "addresses": [{"type": "Hostname", "address": node.name}],
            },
        });
        let kept = Kept {
            object,
            snapshot: None,
        };
        self.nodes.insert(node.name.clone(), kept);
    }

    /// Takes a node away, with its pods.
    pub(crate) fn remove_node(&mut self, name: &str) {
        self.nodes.remove(name);
        self.pods
            .retain(|pod| pod.object["spec"]["nodeName"] != name);
    }

    /// Someone else changes nodes.
    pub(crate) fn patch_nodes(&mut self, pattern: &str, patch: &NodePatch) {
        let since = self.time().to_string();
        for (name, kept) in &mut self.nodes {
            if matches(pattern, name) {
                kept.snapshot = None;
                patch_node(&mut kept.object, patch, &since);
            }
        }
    }

    pub(crate) fn add_pod(&mut self, pod: &Pod) {
        let uid = self.uid("pod");
        let mut metadata = json!({
            "namespace": pod.namespace, "name": pod.name, "uid": uid, "labels": pod.labels,
        });
        if let Some(owner) = &pod.owner {
            metadata["ownerReferences"] = json!([{
                "apiVersion": "apps/v1", "kind": owner, "name": "owner", "uid": "owner", "controller": true,
            }]);
        }
        if pod.mirror {
            metadata["annotations"] = json!({"kubernetes.io/config.mirror": "mirror"});
        }
        let mut spec = json!({"nodeName": pod.node, "priority": pod.priority, "containers": []});
        if pod.empty_dir {
            spec["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
        }
        self.pods.push(SimPod {
            object: json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec,
                "status": {"phase": pod.phase},
            }),
            grace: pod.grace,
            gone_at: None,
        });
    }

    /// Adds a rule, or replaces one of the same name.
    pub(crate) fn add_rule(&mut self, rule: &Value) {
        let mut rule = rule.clone();
        let name = rule["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        rule["metadata"]["uid"] = self.uid("rule").into();
        rule["metadata"]["generation"] = 1.into();
        self.rules.insert(name, rule);
    }

    /// A merge patch of a rule's spec.
    pub(crate) fn edit_rule(&mut self, name: &str, spec: &Value) {
        if let Some(rule) = self.rules.get_mut(name) {
            merge(&mut rule["spec"], spec);
            let generation = rule["metadata"]["generation"].as_i64().unwrap_or_default();
            rule["metadata"]["generation"] = (generation + 1).into();
        }
    }

    /// Moves the clock; pods whose time is over go.
    pub(crate) fn advance(&mut self, now: Time) {
        self.now = Some(now);
        self.pods
            .retain(|pod| pod.gone_at.is_none_or(|at| at > now));
    }

    fn evict(&mut self, pod: &PodRef, grace: Option<i64>) -> EvictionOutcome {
        let now = self.time();
        let is_it = |sim: &SimPod| {
            sim.object["metadata"]["name"] == *pod.name
                && sim.object["metadata"]["namespace"] == *pod.namespace
        };
        let Some(position) = self.pods.iter().position(is_it) else {
            return EvictionOutcome::Gone;
        };
        if self.pods[position].object["metadata"]["uid"] != *pod.uid {
            return EvictionOutcome::Replaced;
        }
        if self.pods[position].gone_at.is_some() {
            return EvictionOutcome::Accepted;
        }
        if let Some(refusal) = self.budgets_refuse(position) {
            return refusal;
        }
        let sim = &mut self.pods[position];
        let grace = grace
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(sim.grace, Duration::from_secs);
        sim.gone_at = Some(now.plus(grace));
        sim.object["metadata"]["deletionTimestamp"] = now.plus(grace).to_string().into();
        EvictionOutcome::Accepted
    }

    /// A place under a budget is taken until the pod is gone; by then another one is taken to have replaced it.
    fn budgets_refuse(&self, position: usize) -> Option<EvictionOutcome> {
        let pod = &self.pods[position];
        let budgets: Vec<&Budget> = self
            .budgets
            .iter()
            .filter(|budget| covers(budget, pod))
            .collect();
        match budgets.as_slice() {
            [] => None,
            [budget] => {
                let leaving = self.pods.iter().filter(|pod| pod.gone_at.is_some() && covers(budget, pod));
                let message = "Cannot evict pod as it would violate the pod's disruption budget.";
                (leaving.count() >= budget.allowed).then(|| EvictionOutcome::BlockedByBudget {
                    message: format!("{message} ({})", budget.name),
                    retry_after: None,
                })
            }
            _ => Some(EvictionOutcome::Misconfigured {
                message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not \
                          support."
                    .to_owned(),
            }),
        }
    }
}

fn covers(budget: &Budget, pod: &SimPod) -> bool {
    let metadata = &pod.object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    metadata["namespace"] == *budget.namespace
        && (budget.pods.is_empty() || budget.pods.iter().any(|pattern| matches(pattern, name)))
        && budget
            .selector
            .iter()
            .all(|(key, value)| metadata["labels"][key] == **value)
}

fn condition(kind: &str, status: &str, since: &str) -> Value {
    json!({"type": kind, "status": status, "reason": "Scenario", "lastTransitionTime": since})
}

fn patch_node(object: &mut Value, patch: &NodePatch, since: &str) {
    let pairs = json!({"metadata": {"labels": patch.labels, "annotations": patch.annotations}});
    merge(object, &pairs);
    let mut taints = object["spec"]["taints"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    taints.retain(|taint| !patch.remove_taints.iter().any(|text| text.fits(taint)));
    taints.extend(patch.add_taints.iter().map(TaintText::to_json));
    set_taints(object, taints);
    match patch.unschedulable {
        Some(true) => object["spec"]["unschedulable"] = true.into(),
        Some(false) => remove(&mut object["spec"], "unschedulable"),
        None => {}
    }
    for (kind, status) in &patch.conditions {
        let fresh = condition(kind, status, since);
        if let Some(list) = object["status"]["conditions"].as_array_mut() {
            match list.iter_mut().find(|known| known["type"] == **kind) {
                Some(known) if known["status"] == **status => {}
                Some(known) => *known = fresh,
                None => list.push(fresh),
            }
        }
    }
}

/// A JSON merge patch (RFC 7386).
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The cluster as the controller asks it.
pub(crate) struct SimCluster<'a>(pub(crate) &'a RefCell<World>);

impl Cluster for SimCluster<'_> {
    fn is_configured(&self) -> bool {
        true
    }

    fn node(&self, name: &str, _: Instant) -> Result<Option<LiveNode>, String> {
        let world = self.0.borrow();
        let Some(kept) = world.nodes.get(name) else {
            return Ok(None);
        };
        let node: ApiNode = decode(&kept.object)?;
        Ok(Some(live(&node)))
    }

    fn nodes(&self, _: Instant) -> Result<Vec<ApiNode>, String> {
        let world = self.0.borrow();
        world
            .nodes
            .values()
            .map(|kept| decode(&kept.object))
            .collect()
    }

    fn rule_exists(&self, name: &str, uid: &str, _: Instant) -> Result<bool, String> {
        let world = self.0.borrow();
        let rule = world.rules.get(name);
        Ok(rule.is_some_and(|rule| uid.is_empty() || rule["metadata"]["uid"] == uid))
    }

    fn pods_on(&self, node: &str, _: Instant) -> Result<Vec<ApiPod>, String> {
        let world = self.0.borrow();
        let pods = world
            .pods
            .iter()
            .filter(|pod| pod.object["spec"]["nodeName"] == node);
        pods.map(|pod| decode(&pod.object)).collect()
    }

    fn evict(&self, pod: &PodRef, grace_period: Option<i64>, _: Instant) -> EvictionOutcome {
        let mut world = self.0.borrow_mut();
        let on = world
            .pods
            .iter()
            .find(|sim| sim.object["metadata"]["uid"] == *pod.uid);
        let node = on.and_then(|sim| sim.object["spec"]["nodeName"].as_str());
        let node = node.unwrap_or_default().to_owned();
        let outcome = world.evict(pod, grace_period);
        let refused = match &outcome {
            EvictionOutcome::BlockedByBudget { message, .. }
            | EvictionOutcome::Misconfigured { message } => Some(message.clone()),
            _ => None,
        };
        world.asked.push(Asked {
            node,
            pod: format!("{}/{}", pod.namespace, pod.name),
            refused,
        });
        outcome
    }

    fn get(&self, _: &str, _: Instant) -> Result<Vec<u8>, String> {
        Err("the simulated cluster has no metrics.k8s.io".to_owned())
    }
}

fn decode<T: serde::de::DeserializeOwned>(object: &Value) -> Result<T, String> {
    serde_json::from_value(object.clone()).map_err(|error| error.to_string())
}
