//! metrics.k8s.io as the source, through an API server on loopback: alone, in the place of a Prometheus that fails, and
//! missing.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::api::Api;
use crate::support::{Desk, keys, node, ready, tick};

const NODES: &str = "/apis/metrics.k8s.io/v1beta1/nodes";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/// A node's usage as the metrics server tells it: nanocores and kibibytes of the time before.
fn usage(name: &str, at: &str, cpu: &str, memory: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "creationTimestamp": at,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "node.kubernetes.io/instance-type": "m5.xlarge"},
        },
        "timestamp": at, "window": "20.077s", "usage": {"cpu": cpu, "memory": memory},
    })
}

/// An API server with these readings, of which the test may set others; without, the API is not there.
struct Cluster {
    api: Api,
    items: Arc<Mutex<Option<Vec<Value>>>>,
}

impl Cluster {
    fn start() -> Self {
        let items = Arc::<Mutex<Option<Vec<Value>>>>::default();
        let shared = Arc::clone(&items);
        let api = Api::start(move |target| {
            if target.starts_with(LEASES) {
                return Some(
                    json!({"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "metadata": {}, "items": []}),
                );
            }
            let items = shared.lock().unwrap().clone().filter(|_| target == NODES)?;
            Some(
                json!({"kind": "NodeMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}),
            )
        });
        Self { api, items }
    }

    fn set(&self, items: &[Value]) {
        *self.items.lock().unwrap() = Some(items.to_vec());
    }
}

/// Two ready nodes of four CPUs and 8 GiB.
fn desk(cluster: &Cluster) -> Desk {
    let desk = Desk::new();
    desk.put("kubeconfig", &cluster.api.kubeconfig());
    desk.put_context(&tick(&[node("a", &ready()), node("b", &ready())]));
    desk
}

fn quiet(at: &str) -> [Value; 2] {
    [
        usage("a", at, "400000000n", "1048576Ki"),
        usage("b", at, "245833301n", "1834776Ki"),
    ]
}

#[test]
fn alone_it_gives_cpu_and_memory_and_invents_nothing_else() {
    let cluster = Cluster::start();
    let desk = desk(&cluster);
    desk.put_config_for("", &json!({}));
    let [_, b] = quiet("2026-05-01T09:59:40Z");
    cluster.set(&[
        usage("a", "2026-05-01T09:59:40Z", "3800000000n", "6291456Ki"),
        b,
    ]);
    let run = desk.run("2026-05-01T10:00:00Z");
    assert_eq!(
        (run.status, run.stderr.as_str()),
        (Some(0), ""),
        "{}",
        run.stdout
    );
    assert_eq!(
        keys(&desk),
        ["trigger node_a_cpu_high", "trigger node_a_memory_high"]
    );
    let alerts = desk.alerts();
    assert_eq!(alerts[0]["metrics"]["cpuUtilizationPercent"], 95.0);
    assert_eq!(alerts[0]["severity"], "critical");
    assert_eq!(alerts[1]["metrics"]["memoryUtilizationPercent"], 75.0);
    assert_eq!(alerts[1]["severity"], "warning");
    for (metric, state, count) in [
        ("cpuUtilizationPercent", "known", 2.0),
        ("memoryUtilizationPercent", "known", 2.0),
        ("diskUtilizationPercent", "unknown", 2.0),
        ("podUtilizationPercent", "unknown", 2.0),
    ] {
        let found = run.metrics.iter().find(|line| {
            line["name"] == "nodeguardian_monitor_readings"
                && line["labels"] == json!({"metric": metric, "state": state})
        });
        assert_eq!(found.unwrap()["value"], count, "{metric}");
    }
    // One question for all nodes.
    let targets = cluster.api.targets();
    assert_eq!(targets.iter().filter(|target| *target == NODES).count(), 1);
    // A past it does not have is not asked for.
    assert!(!run.stdout.contains("filled"), "{}", run.stdout);

    // What is too old is not known: nothing ends. Then it is known again.
    desk.run("2026-05-01T10:10:00Z");
    assert_eq!(keys(&desk).len(), 2);
    cluster.set(&quiet("2026-05-01T10:10:40Z"));
    desk.run("2026-05-01T10:11:00Z");
    assert_eq!(
        keys(&desk)[2..],
        ["recovery node_a_cpu_high", "recovery node_a_memory_high"]
    );
}

#[test]
fn it_stands_in_for_a_prometheus_that_fails() {
    let cluster = Cluster::start();
    let desk = desk(&cluster);
    let at = "2026-05-01T09:59:40Z";
    let [_, b] = quiet(at);
    cluster.set(&[usage("a", at, "3900m", "1Gi"), b]);
    desk.prometheus.answer_html();
    let run = desk.run("2026-05-01T10:00:00Z");
    assert_eq!(keys(&desk), ["trigger node_a_cpu_high"]);
    assert!(
        run.stdout.contains("\"msg\":\"readings\""),
        "{}",
        run.stdout
    );
    // With Prometheus there, it is not asked at all.
    let other = self::desk(&cluster);
    other.prometheus.set("cpu", &[("a", "10"), ("b", "10")]);
    other.prometheus.set("memory", &[("a", "10"), ("b", "10")]);
    let asked = |cluster: &Cluster| {
        let targets = cluster.api.targets();
        targets.iter().filter(|target| *target == NODES).count()
    };
    let before = asked(&cluster);
    other.run("2026-05-01T10:00:00Z");
    assert_eq!(keys(&other), Vec::<String>::new());
    assert_eq!(asked(&cluster), before);
}

#[test]
fn where_it_is_missing_the_log_says_so_and_the_rest_goes_on() {
    let cluster = Cluster::start();
    let desk = desk(&cluster);
    desk.put_config_for("", &json!({}));
    let away = json!({"type": "Ready", "status": "False", "reason": "KubeletNotReady"});
    desk.put_context(&tick(&[node("a", &away), node("b", &ready())]));
    let run = desk.run("2026-05-01T10:00:00Z");
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let said: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.contains("metrics.k8s.io"))
        .collect();
    assert!(
        said.iter().any(|line| line.contains("404")),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("secret-token"));
    assert_eq!(keys(&desk), ["trigger node_a_not_ready"]);
}
