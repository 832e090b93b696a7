//! Which pods of a node may be evicted, and in which order.

use crate::objects::Pod;

use serde::Deserialize;

use crate::request::PodRef;

/// Priorities from here on belong to the cluster itself: `system-cluster-critical` and above.
pub const CRITICAL_PRIORITY: i32 = 2_000_000_000;

const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// Only where a pod runs, for counting the pods of a whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Placement {
    #[serde(default)]
    spec: PlacementSpec,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PlacementSpec {
    node_name: Option<String>,
}

impl Placement {
    /// The node's name; `None` while the pod waits for one.
    pub fn into_node(self) -> Option<String> {
        self.spec.node_name.filter(|name| !name.is_empty())
    }
}

/// What the action and its options allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainRules {
    /// The node that is to be relieved; pods elsewhere are left alone.
    pub node: String,
    /// Namespaces whose pods stay.
    pub excluded_namespaces: Vec<String>,
    /// Which action asks.
    pub mode: DrainMode,
}

/// The two actions differ in what they may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainMode {
    /// `evict` relieves a node of as many pods as it is told to take, whoever brings them back.
    Evict,
    /// `drain` empties a node, under kubectl's two safety catches.
    Drain {
        /// Take pods whose `emptyDir` data are lost by it.
        delete_empty_dir_data: bool,
        /// Take pods that nothing brings back.
        force: bool,
    },
}

/// A pod that may be evicted; made by [`evictable`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvictablePod {
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`: the eviction holds for this pod, not for its successor.
    pub uid: String,
    /// `spec.priority`, 0 when absent.
    pub priority: i32,
    /// The quality of service the server has assigned.
    pub qos: QosClass,
    /// Kind and name of the controller, as in `ReplicaSet/web-5d9c`.
    pub controller: Option<String>,
}

impl EvictablePod {
    /// What [`crate::request::evict`] needs.
    pub fn reference(&self) -> PodRef {
        PodRef {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
        }
    }
}

/// Quality of service, in the order of eviction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QosClass {
    /// No requests and no limits.
    BestEffort,
    /// Something in between; also what an unknown class counts as.
    Burstable,
    /// Limits equal requests everywhere.
    Guaranteed,
}

/// Why a pod stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipReason {
    /// It runs on another node.
    OtherNode,
    /// It has no namespace, name or UID: not an object of a server.
    Unidentified,
    /// It is on its way out already.
    Terminating,
    /// It has finished and uses nothing.
    Finished,
    /// It mirrors a file on the node; the kubelet would not stop it.
    Mirror,
    /// Its `DaemonSet` would bring it back to the same node.
    DaemonSet,
    /// Its namespace is excluded.
    ExcludedNamespace,
    /// The cluster needs it.
    CriticalPriority,
    /// Nothing would bring it back.
    Unmanaged,
    /// Its `emptyDir` data would be lost.
    EmptyDir,
}

impl SkipReason {
    /// One name for logs, status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherNode => "OtherNode",
            Self::Unidentified => "Unidentified",
            Self::Terminating => "Terminating",
            Self::Finished => "Finished",
            Self::Mirror => "Mirror",
            Self::DaemonSet => "DaemonSet",
            Self::ExcludedNamespace => "ExcludedNamespace",
            Self::CriticalPriority => "CriticalPriority",
            Self::Unmanaged => "Unmanaged",
            Self::EmptyDir => "EmptyDir",
        }
    }
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Decides whether the pod may go, or says the first reason why not.
pub fn evictable(pod: &Pod, rules: &DrainRules) -> Result<EvictablePod, SkipReason> {
    let candidate = identify(pod).ok_or(SkipReason::Unidentified)?;
    if node_of(pod) != Some(rules.node.as_str()) {
        return Err(SkipReason::OtherNode);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Err(SkipReason::Terminating);
    }
    if matches!(phase_of(pod), Some("Succeeded" | "Failed")) {
        return Err(SkipReason::Finished);
    }
    if is_mirror(pod) {
        return Err(SkipReason::Mirror);
    }
    if is_of_a_daemon_set(pod) {
        return Err(SkipReason::DaemonSet);
    }
    if rules.excluded_namespaces.contains(&candidate.namespace) {
        return Err(SkipReason::ExcludedNamespace);
    }
    if candidate.priority >= CRITICAL_PRIORITY {
        return Err(SkipReason::CriticalPriority);
    }
    let (allows_unmanaged, allows_empty_dir) = match rules.mode {
        DrainMode::Evict => (true, true),
        DrainMode::Drain {
            delete_empty_dir_data,
            force,
        } => (force, delete_empty_dir_data),
    };
    if candidate.controller.is_none() && !allows_unmanaged {
        return Err(SkipReason::Unmanaged);
    }
    if has_empty_dir(pod) && !allows_empty_dir {
        return Err(SkipReason::EmptyDir);
    }
    Ok(candidate)
}

/// Puts what is missed least first: low priority, then weak quality of service, then by name.
pub fn order(pods: &mut [EvictablePod]) {
    pods.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
}

fn sort_key(pod: &EvictablePod) -> (i32, QosClass, &str, &str) {
    (pod.priority, pod.qos, &pod.name, &pod.namespace)
}

fn identify(pod: &Pod) -> Option<EvictablePod> {
    let metadata = &pod.metadata;
    let qos = pod.status.as_ref().and_then(|s| s.qos_class.as_deref());
    Some(EvictablePod {
        namespace: metadata.namespace.clone()?,
        name: metadata.name.clone()?,
        uid: metadata.uid.clone()?,
        priority: pod.spec.as_ref().and_then(|s| s.priority).unwrap_or(0),
        qos: match qos {
            Some("BestEffort") => QosClass::BestEffort,
            Some("Guaranteed") => QosClass::Guaranteed,
            _ => QosClass::Burstable,
        },
        controller: controller(pod).map(|owner| format!("{}/{}", owner.kind, owner.name)),
    })
}

type Owner = k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

fn controller(pod: &Pod) -> Option<&Owner> {
    let owners = pod.metadata.owner_references.as_deref()?;
    owners.iter().find(|owner| owner.controller == Some(true))
}

/// Where no owner says that it is the controller, one of this kind is taken for it: the pod would only come back.
fn is_of_a_daemon_set(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    match controller(pod) {
        Some(owner) => owner.kind == "DaemonSet",
        None => owners.iter().any(|owner| owner.kind == "DaemonSet"),
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn phase_of(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

fn is_mirror(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.is_some_and(|all| all.contains_key(MIRROR_ANNOTATION))
}

fn has_empty_dir(pod: &Pod) -> bool {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref());
    volumes.is_some_and(|all| all.iter().any(|volume| volume.empty_dir.is_some()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const EVICT: DrainMode = DrainMode::Evict;
    const DRAIN: DrainMode = DrainMode::Drain {
        delete_empty_dir_data: false,
        force: false,
    };
    const DRAIN_ALL: DrainMode = DrainMode::Drain {
        delete_empty_dir_data: true,
        force: true,
    };

    /// A plain managed pod with the changes merged in.
    fn pod(changes: &Value) -> Pod {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "shop", "name": "web-1", "uid": "u-1",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "uid": "r", "controller": true}]},
            "spec": {"nodeName": "worker-1", "containers": []},
            "status": {"phase": "Running", "qosClass": "Burstable"},
        });
        merge(&mut pod, changes);
        serde_json::from_value(pod).unwrap()
    }

    fn merge(target: &mut Value, changes: &Value) {
        match (target, changes) {
            (Value::Object(target), Value::Object(changes)) => {
                for (key, value) in changes {
                    merge(target.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
            (target, value) => *target = value.clone(),
        }
    }

    fn verdict(changes: &Value, mode: DrainMode) -> Option<SkipReason> {
        let rules = DrainRules {
            node: "worker-1".into(),
            excluded_namespaces: vec!["kube-system".into()],
            mode,
        };
        evictable(&pod(changes), &rules).err()
    }

    #[test]
    fn reasons_that_hold_for_every_action() {
        let owner = |kind: &str, controller: bool| json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": kind, "name": "x", "uid": "o", "controller": controller}]}});
        let table = [
            (json!({}), None),
            (
                json!({"spec": {"nodeName": "worker-2"}}),
                Some(SkipReason::OtherNode),
            ),
            (
                json!({"spec": {"nodeName": null}}),
                Some(SkipReason::OtherNode),
            ),
            (
                json!({"metadata": {"uid": null}}),
                Some(SkipReason::Unidentified),
            ),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
                Some(SkipReason::Terminating),
            ),
            (
                json!({"status": {"phase": "Succeeded"}}),
                Some(SkipReason::Finished),
            ),
            (
                json!({"status": {"phase": "Failed"}}),
                Some(SkipReason::Finished),
            ),
            (json!({"status": {"phase": "Pending"}}), None),
            (
                json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "h"}}}),
                Some(SkipReason::Mirror),
            ),
            (owner("DaemonSet", true), Some(SkipReason::DaemonSet)),
            (
                json!({"metadata": {"namespace": "kube-system"}}),
                Some(SkipReason::ExcludedNamespace),
            ),
            (
                json!({"spec": {"priority": 2_000_000_000}}),
                Some(SkipReason::CriticalPriority),
            ),
            (
                json!({"spec": {"priority": 2_000_001_000}}),
                Some(SkipReason::CriticalPriority),
            ),
            (json!({"spec": {"priority": 1_999_999_999}}), None),
            (owner("StatefulSet", true), None),
        ];
        for (changes, expected) in &table {
            for mode in [EVICT, DRAIN, DRAIN_ALL] {
                assert_eq!(verdict(changes, mode), *expected, "{changes} {mode:?}");
            }
        }
    }

    #[test]
    fn reasons_that_depend_on_the_action() {
        let unmanaged = json!({"metadata": {"ownerReferences": null}});
        let only_owned = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "x", "uid": "o"}]}});
        let empty_dir = json!({"spec": {"volumes": [{"name": "tmp", "emptyDir": {}}]}});
        let daemon = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "DaemonSet", "name": "x", "uid": "o"}]}});
        let table = [
            (&unmanaged, EVICT, None),
            (&unmanaged, DRAIN, Some(SkipReason::Unmanaged)),
            (&unmanaged, DRAIN_ALL, None),
            (&only_owned, EVICT, None),
            (&only_owned, DRAIN, Some(SkipReason::Unmanaged)),
            (&daemon, EVICT, Some(SkipReason::DaemonSet)),
            (&daemon, DRAIN_ALL, Some(SkipReason::DaemonSet)),
            (&empty_dir, EVICT, None),
            (&empty_dir, DRAIN, Some(SkipReason::EmptyDir)),
            (&empty_dir, DRAIN_ALL, None),
        ];
        for (changes, mode, expected) in table {
            assert_eq!(verdict(changes, mode), expected, "{changes} {mode:?}");
        }
    }

    #[test]
    fn placement_reads_the_node_alone() {
        let table = [
            (
                json!({"metadata": {}, "spec": {"nodeName": "worker-1", "containers": []}}),
                Some("worker-1"),
            ),
            (json!({"spec": {"nodeName": ""}}), None),
            (json!({"spec": {}}), None),
            (json!({}), None),
        ];
        for (pod, expected) in table {
            let placement: Placement = serde_json::from_value(pod).unwrap();
            assert_eq!(placement.into_node().as_deref(), expected);
        }
    }

    #[test]
    fn order_is_priority_then_quality_then_name() {
        let made = |name: &str, priority: i32, qos: QosClass| EvictablePod {
            namespace: "shop".into(),
            name: name.into(),
            uid: String::new(),
            priority,
            qos,
            controller: None,
        };
        let mut pods = vec![
            made("f", 10, QosClass::BestEffort),
            made("e", 0, QosClass::Guaranteed),
            made("d", 0, QosClass::Burstable),
            made("c", 0, QosClass::BestEffort),
            made("b", 0, QosClass::BestEffort),
            made("a", -5, QosClass::Guaranteed),
        ];
        order(&mut pods);
        let names: String = pods.iter().map(|pod| pod.name.as_str()).collect();
        assert_eq!(names, "abcdef");
    }

    #[test]
    fn evictable_pod_carries_what_the_eviction_needs() {
        let rules = DrainRules {
            node: "worker-1".into(),
            excluded_namespaces: Vec::new(),
            mode: EVICT,
        };
        let found = evictable(
            &pod(&json!({"spec": {"priority": 7}, "status": {"qosClass": "Guaranteed"}})),
            &rules,
        )
        .unwrap();
        let expected = EvictablePod {
            namespace: "shop".into(),
            name: "web-1".into(),
            uid: "u-1".into(),
            priority: 7,
            qos: QosClass::Guaranteed,
            controller: Some("ReplicaSet/web-5d".into()),
        };
        assert_eq!(found, expected);
        assert_eq!(found.reference().uid, "u-1");
    }
}
