//! A made-up alert, to try templates and channels with.

use std::collections::BTreeMap;

use ng_engine::plan::{ActionNote, Alert, AlertKind, Input, Seen, Verdict};
use ng_engine::rule::Severity;
use ng_engine::time::Time;

use crate::message::TopPod;

/// The name of the cluster.
pub const CLUSTER: &str = "example";

/// 2026-01-02T03:04:05Z: a time that is easy to recognise.
const AT: Time = Time::from_millis(1_767_323_045_000);

/// A node under high load that has just triggered. Fields are free to be changed.
pub fn alert() -> Alert {
    let metrics = [
        ("cpuUtilizationPercent", 88.4),
        ("memoryUtilizationPercent", 93.25),
        ("diskUtilizationPercent", 71.0),
        ("cpuLoadRatio", 1.82),
        ("podUtilizationPercent", 54.5),
    ];
    Alert {
        kind: AlertKind::Trigger,
        at: AT,
        rule: "high-load".to_owned(),
        rule_description: "Workers under high load".to_owned(),
        severity: Severity::Warning,
        node: "worker-1".to_owned(),
        template: String::new(),
        channels: Vec::new(),
        since: AT,
        repeats: 0,
        guard: None,
        dry_run: false,
        metrics: metrics
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        conditions: vec![
            input("cpuLoadRatio > 1.5", 1.82),
            input("memoryUtilizationPercent > 90", 93.25),
        ],
        actions: vec![
            action("taint", "taint nodeguardian.io/high-load=true:NoSchedule"),
            action("alert", "alert by log, email"),
        ],
        muted: None,
        notice: None,
    }
}

/// The same alert for so many nodes, `worker-1` and on.
pub fn alerts(count: usize) -> Vec<Alert> {
    (1..=count)
        .map(|number| Alert {
            node: format!("worker-{number}"),
            ..alert()
        })
        .collect()
}

/// Pods for every node of these alerts.
pub fn top_pods(alerts: &[Alert]) -> BTreeMap<String, Vec<TopPod>> {
    let pods = || {
        vec![
            pod("search-0", 1.25, 3_221_225_472.0),
            pod("cache-7f9c5", 0.25, 805_306_368.0),
        ]
    };
    alerts
        .iter()
        .map(|alert| (alert.node.clone(), pods()))
        .collect()
}

fn pod(name: &str, cpu: f64, memory: f64) -> TopPod {
    TopPod {
        name: name.to_owned(),
        namespace: "shop".to_owned(),
        cpu,
        memory,
    }
}

fn input(test: &str, value: f64) -> Input {
    Input {
        test: test.to_owned(),
        description: None,
        seen: Seen::Value {
            value,
            age: 12_000,
            origin: "prometheus".to_owned(),
        },
        true_for: Some(180_000),
        needed: 120_000,
        verdict: Verdict::Holds,
    }
}

fn action(kind: &str, description: &str) -> ActionNote {
    ActionNote {
        kind: kind.to_owned(),
        description: description.to_owned(),
    }
}
