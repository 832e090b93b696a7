//! A made-up cluster: nodes as shell-operator hands them out, rules, and the answers of Prometheus.

use serde_json::{Value, json};

/// Metrics the rules ask about, with the text that tells their query from the others.
pub(crate) const METRICS: [(&str, &str); 3] = [
    ("cpuLoadRatio", "node_load1"),
    ("memoryUtilizationPercent", "node_memory_MemAvailable_bytes"),
    ("diskUtilizationPercent", "node_filesystem_avail_bytes"),
];

/// What the node-monitor asks about besides. The query of the load names the CPUs, too, and has been found before.
pub(crate) const MORE_METRICS: [(&str, &str); 3] = [
    ("podUtilizationPercent", "kube_pod_info"),
    ("inodeUtilizationPercent", "node_filesystem_files"),
    ("cpuUtilizationPercent", "node_cpu_seconds_total"),
];

/// A whole number that looks random and is the same in every run.
fn scatter(seed: usize) -> usize {
    let mut x = (seed as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((x ^ (x >> 31)) >> 33).unwrap_or(0)
}

/// One node of about 2.8 kB: twenty labels, six annotations, two of them with escapes, as real nodes have.
pub(crate) fn node(index: usize) -> Value {
    let name = format!(
        "ip-10-{}-{}-{}.eu-central-1.compute.internal",
        index / 62_500,
        index / 250 % 250,
        index % 250
    );
    let labels = labels(index, &name);
    let annotations = json!({
        "csi.volume.kubernetes.io/nodeid": format!("{{\"ebs.csi.aws.com\":\"i-{:016x}\",\"efs\":\"<{index}&>\"}}", scatter(index)),
        "flannel.alpha.coreos.com/backend-data": format!("{{\"VNI\":1,\"VtepMAC\":\"{:012x}\"}}", scatter(index + 1)),
        "flannel.alpha.coreos.com/kube-subnet-manager": "true",
        "kubeadm.alpha.kubernetes.io/cri-socket": "unix:///run/containerd/containerd.sock",
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    });
    let condition = |kind: &str, status: &str, reason: &str| json!({"lastTransitionTime": "2026-01-05T08:15:30Z", "reason": reason, "status": status, "type": kind});
    json!({"filterResult": {
        "addresses": [
            {"address": address(index), "type": "InternalIP"},
            {"address": name, "type": "InternalDNS"},
            {"address": name, "type": "Hostname"},
        ],
        "allocatable": {"cpu": "15890m", "ephemeral-storage": "95551679124", "hugepages-1Gi": "0", "memory": "63214040Ki", "pods": "234"},
        "annotations": annotations,
        "capacity": {"cpu": "16", "ephemeral-storage": "104845292Ki", "hugepages-1Gi": "0", "memory": "64230872Ki", "pods": "234"},
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID"),
            condition("Ready", "True", "KubeletReady"),
        ],
        "labels": labels,
        "name": name,
        "taints": null,
        "uid": format!("{:08x}-0000-4000-8000-{:012x}", scatter(index + 3), index),
        "unschedulable": null,
    }})
}

/// The labels that a cloud and its installer give, one of a pool, and eight features.
fn labels(index: usize, name: &str) -> Value {
    let mut labels = serde_json::Map::new();
    for (key, value) in [
        ("beta.kubernetes.io/arch", "amd64"),
        ("beta.kubernetes.io/instance-type", "m6i.4xlarge"),
        ("beta.kubernetes.io/os", "linux"),
        ("failure-domain.beta.kubernetes.io/region", "eu-central-1"),
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/os", "linux"),
        ("node-role.kubernetes.io/worker", "true"),
        ("node.kubernetes.io/instance-type", "m6i.4xlarge"),
        ("topology.kubernetes.io/region", "eu-central-1"),
    ] {
        labels.insert(key.to_owned(), value.into());
    }
    labels.insert("kubernetes.io/hostname".to_owned(), name.into());
    labels.insert(
        "topology.kubernetes.io/zone".to_owned(),
        format!("eu-central-1{}", ["a", "b", "c"][index % 3]).into(),
    );
    labels.insert(
        "example.com/pool".to_owned(),
        format!("pool-{}", index % 10).into(),
    );
    for extra in 0..8 {
        let key = format!("node.example.com/feature-{extra}.enabled");
        labels.insert(
            key,
            format!("value-{}", scatter(index + extra * 7) % 50).into(),
        );
    }
    Value::Object(labels)
}

fn address(index: usize) -> String {
    format!(
        "10.{}.{}.{}",
        index / 62_500,
        index / 250 % 250,
        index % 250
    )
}

/// One rule with two conditions, a selector, a taint, two labels and full recovery.
pub(crate) fn rule(index: usize) -> Value {
    let (first, second) = (METRICS[index % 3].0, METRICS[(index + 1) % 3].0);
    let threshold = |metric: &str| {
        if metric == "cpuLoadRatio" {
            1.9
        } else {
            95.0 + f64::from(u8::try_from(index % 5).unwrap_or(0)) / 2.0
        }
    };
    json!({"object": {
        "apiVersion": "nodeguardian.k8s.io/v1",
        "kind": "NodeGuardianRule",
        "metadata": {"name": format!("rule-{index:04}"), "uid": format!("rule-uid-{index}"), "generation": 1},
        "spec": {
            "conditions": [
                {"metric": first, "operator": "GreaterThan", "value": threshold(first), "duration": "3m", "description": "first"},
                {"metric": second, "operator": "GreaterThan", "value": threshold(second), "duration": "2m", "description": "second"},
            ],
            "conditionLogic": "AND",
            "nodeSelector": {"matchLabels": {"example.com/pool": format!("pool-{}", index % 10)}},
            "actions": [
                {"type": "taint", "taint": {"key": format!("example.com/hot-{index}"), "value": "true", "effect": "NoSchedule"}},
                {"type": "label", "label": {"labels": {"example.com/status": "hot", "example.com/at": "{{ .timestamp }}"}}},
                {"type": "alert", "alert": {"template": "hot", "channels": ["log"]}},
            ],
            "recoveryConditions": [{"metric": first, "operator": "LessThan", "value": threshold(first) / 2.0, "duration": "2m"}],
            "recoveryActions": [
                {"type": "removeTaint", "taint": {"key": format!("example.com/hot-{index}")}},
                {"type": "removeLabel", "label": {"keys": ["example.com/status", "example.com/at"]}},
            ],
            "monitoring": {"checkInterval": "30s", "cooldownPeriod": "10m"},
            "metadata": {"priority": 100 + index, "severity": "warning"},
        },
    }, "filterResult": null})
}

/// A rule that is true at once on every node with these labels, and only alerts.
pub(crate) fn alert_rule(name: &str, labels: &Value) -> Value {
    json!({"object": {
        "apiVersion": "nodeguardian.k8s.io/v1",
        "kind": "NodeGuardianRule",
        "metadata": {"name": name, "uid": format!("rule-uid-{name}"), "generation": 1},
        "spec": {
            "conditions": [
                {"metric": METRICS[0].0, "operator": ">=", "value": 0, "duration": "0s"},
            ],
            "nodeSelector": {"matchLabels": labels},
            "actions": [{"type": "alert", "alert": {"channels": ["webhook"]}}],
            "monitoring": {"checkInterval": "30s", "cooldownPeriod": "10m"},
        },
    }, "filterResult": null})
}

/// A context file as shell-operator writes it.
pub(crate) fn context(nodes: usize, rules: usize) -> Vec<u8> {
    context_of(nodes, &(0..rules).map(rule).collect::<Vec<_>>())
}

/// As [`context`], after somebody has changed a rule.
pub(crate) fn changed_context(nodes: usize, rules: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(&context(nodes, rules)).into_owned();
    text.replacen("\"duration\":\"3m\"", "\"duration\":\"4m\"", 1)
        .into_bytes()
}

/// As [`context`], with rules of one's own.
pub(crate) fn context_of(nodes: usize, rules: &[Value]) -> Vec<u8> {
    let nodes: Vec<Value> = (0..nodes).map(node).collect();
    let text = json!([{
        "binding": "rule-evaluation",
        "groupName": "evaluation",
        "snapshots": {"monitor-nodeguardian-rules": rules, "nodes": nodes},
        "type": "Group",
    }])
    .to_string();
    escaped(&text)
}

/// As Go's encoder does.
fn escaped(text: &str) -> Vec<u8> {
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .into_bytes()
}

/// How many nodes are hot.
#[derive(Clone, Copy)]
pub(crate) enum Heat {
    /// One of a thousand.
    Usual,
    /// One of a hundred: a bad day.
    High,
}

impl Heat {
    /// Of how many nodes one is hot.
    const fn one_of(self) -> usize {
        match self {
            Self::Usual => 1_000,
            Self::High => 100,
        }
    }
}

/// Prometheus' answer for one metric of all nodes.
pub(crate) fn answer(metric: usize, nodes: usize, heat: Heat) -> Vec<u8> {
    scaled(metric, nodes, heat, 1.0)
}

/// The same with the readings of nodes that are not hot multiplied.
fn scaled(metric: usize, nodes: usize, heat: Heat, scale: f64) -> Vec<u8> {
    let result: Vec<Value> = (0..nodes)
        .map(|index| {
            let hot = index % heat.one_of() == 7;
            let share = f64::from(u16::try_from(scatter(index * 3 + metric) % 9_000).unwrap_or(0)) / 100.0 * scale;
            let value = match (METRICS[metric].0, hot) {
                ("cpuLoadRatio", true) => 2.5,
                ("cpuLoadRatio", false) => share / 60.0,
                (_, true) => 99.0,
                (_, false) => share,
            };
            json!({
                "metric": {"instance": format!("{}:9100", address(index)), "job": "node-exporter", "namespace": "monitoring", "pod": format!("node-exporter-{index:05}")},
                "value": [1_768_003_200.123, format!("{value}")],
            })
        })
        .collect();
    json!({"status": "success", "data": {"resultType": "vector", "result": result}})
        .to_string()
        .into_bytes()
}

/// Readings of the node-monitor go up to six tenths: few nodes of a cluster are above a threshold.
const TYPICAL: f64 = 2.0 / 3.0;

/// The answers to the queries of the node-monitor, in the order of [`METRICS`] and [`MORE_METRICS`].
pub(crate) fn monitor_answers(nodes: usize) -> Vec<Vec<u8>> {
    // A percentage is a percentage.
    let same_as = [0, 1, 2, 2, 1, 1];
    same_as
        .iter()
        .map(|metric| scaled(*metric, nodes, Heat::Usual, TYPICAL))
        .collect()
}

/// A tick of the node-monitor as shell-operator writes it.
pub(crate) fn monitor_context(nodes: usize) -> Vec<u8> {
    let nodes: Vec<Value> = (0..nodes).map(node).collect();
    let text = json!([{
        "binding": "node-check",
        "snapshots": {"nodes": nodes},
        "type": "Schedule",
    }])
    .to_string();
    escaped(&text)
}
