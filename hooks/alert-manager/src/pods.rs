//! The largest pods of a few nodes, from the Kubernetes API: which pods a node has, and what metrics.k8s.io says they
//! use.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use ng_kube::objects::Pod;
use ng_kube::quantity::Quantity;
use ng_kube::{Client, request};
use ng_notify::message::TopPod;
use serde::Deserialize;

/// The most nodes that are asked for: a message tells of its first nodes in detail, and each costs a request.
const MOST_NODES: usize = 3;
/// The most pods of a node by each measure.
const MOST_PODS: usize = 5;
/// The usage of every pod. The metrics API selects by labels and namespaces only, and has no pages.
const USAGE: &str = "/apis/metrics.k8s.io/v1beta1/pods";

/// The largest pods by node, and what went wrong on the way; of nodes that failed there are none.
#[derive(Debug, Default, PartialEq)]
pub struct TopPods {
    /// Largest memory first.
    pub by_node: BTreeMap<String, Vec<TopPod>>,
    /// Sentences for the log.
    pub warnings: Vec<String>,
}

/// Namespace and name.
type PodName = (String, String);

/// Asks for the pods of the first few of `nodes`, in the order of their names, no longer than until `deadline`.
pub fn top_pods(nodes: &[&str], client: &Client, deadline: Instant) -> TopPods {
    let mut found = TopPods::default();
    let mut pods: BTreeMap<String, HashSet<PodName>> = BTreeMap::new();
    let mut names = nodes.to_vec();
    names.sort_unstable();
    names.dedup();
    for node in names.into_iter().take(MOST_NODES) {
        match pods_on(node, client, deadline) {
            Ok(names) => drop(pods.insert(node.to_owned(), names)),
            Err(reason) => found.warnings.push(format!(
                "the largest pods of node {node} are left out: {reason}"
            )),
        }
    }
    let wanted: HashSet<&PodName> = pods.values().flatten().collect();
    if wanted.is_empty() {
        return found;
    }
    match usage(&wanted, client, deadline) {
        Ok(usage) => {
            let largest = |names: HashSet<PodName>| {
                let known = names.iter().filter_map(|name| usage.get(name).cloned());
                largest(known.collect())
            };
            found.by_node = pods
                .into_iter()
                .map(|(node, names)| (node, largest(names)))
                .collect();
        }
        Err(reason) => found
            .warnings
            .push(format!("the largest pods are left out: {reason}")),
    }
    found
}

fn pods_on(node: &str, client: &Client, deadline: Instant) -> Result<HashSet<PodName>, String> {
    let name = |pod: Pod| Some((pod.metadata.namespace?, pod.metadata.name?));
    client
        .list(
            |page| request::list_pods_on_node(node, page),
            deadline,
            name,
        )
        .map(|names| names.into_iter().collect())
        .map_err(chain)
}

fn usage(
    wanted: &HashSet<&PodName>,
    client: &Client,
    deadline: Instant,
) -> Result<HashMap<PodName, TopPod>, String> {
    let keep = |pod: PodMetrics| {
        let name = (pod.metadata.namespace?, pod.metadata.name?);
        if !wanted.contains(&name) {
            return None;
        }
        let sum = |amount: fn(&Usage) -> Option<&serde_json::Value>| {
            let amounts = pod.containers.iter().filter_map(|one| amount(&one.usage));
            let read = amounts.filter_map(|amount| Quantity::from_json(amount).ok());
            read.map(Quantity::as_f64).sum::<f64>()
        };
        let top = TopPod {
            name: name.1.clone(),
            namespace: name.0.clone(),
            cpu: sum(|usage| usage.cpu.as_ref()),
            memory: sum(|usage| usage.memory.as_ref()),
        };
        Some((name, top))
    };
    client
        .list(|_| request::raw_get(USAGE), deadline, keep)
        .map(|pods| pods.into_iter().collect())
        .map_err(chain)
}

/// The largest by memory and the largest by CPU, each once, largest memory first.
fn largest(mut pods: Vec<TopPod>) -> Vec<TopPod> {
    let by = |measure: fn(&TopPod) -> f64| {
        move |a: &TopPod, b: &TopPod| {
            let names = || (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name));
            measure(b).total_cmp(&measure(a)).then_with(names)
        }
    };
    pods.sort_by(by(|pod| pod.memory));
    let mut rest = pods.split_off(pods.len().min(MOST_PODS));
    rest.sort_by(by(|pod| pod.cpu));
    let least = pods.iter().map(|pod| pod.cpu).fold(f64::INFINITY, f64::min);
    // A pod that takes less CPU than all of these is large by no measure.
    pods.extend(
        rest.into_iter()
            .take(MOST_PODS)
            .filter(|pod| pod.cpu > least),
    );
    pods.sort_by(by(|pod| pod.memory));
    pods
}

/// An error with its causes in one line.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// What one pod uses, by container.
#[derive(Deserialize)]
struct PodMetrics {
    metadata: ng_kube::objects::ObjectMeta,
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    usage: Usage,
}

/// Quantities: texts, or bare numbers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    cpu: Option<serde_json::Value>,
    memory: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, cpu: f64, memory: f64) -> TopPod {
        TopPod {
            name: name.to_owned(),
            namespace: "n".to_owned(),
            cpu,
            memory,
        }
    }

    #[test]
    fn pods_are_large_by_memory_or_by_cpu() {
        let mut pods: Vec<TopPod> = (0..20)
            .map(|i| pod(&format!("p{i:02}"), 0.1, f64::from(100 - i)))
            .collect();
        pods.push(pod("busy", 3.0, 1.0));
        pods.push(pod("same", 0.1, 100.0));
        pods.reverse();
        let names: Vec<String> = largest(pods).into_iter().map(|pod| pod.name).collect();
        assert_eq!(names, ["p00", "same", "p01", "p02", "p03", "busy"]);
        assert_eq!(largest(Vec::new()), []);
    }
}
