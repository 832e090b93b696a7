//! From the labels of a series to a node.
//!
//! In this order, and the first that decides wins:
//! 1. a label that holds the name of a node by its meaning: `exported_node` (what the exporter said, where the scrape
//!    put its own `node` over it), then `node`. If it names no node of the cluster, the series is about another one, and
//!    `instance` must not be asked: for kube-state-metrics that is the exporter, on whatever node it runs;
//! 2. `nodename`, which is the kernel's name and need not be the node's, so that a strange one decides nothing;
//!    `kubernetes_node` and `kubernetes_node_name`, which decide as `node` does;
//! 3. `instance`, equal to a node's name;
//! 4. its host, equal to a node's name or to one of its addresses;
//! 5. its host, if that and a node's name differ only by a domain, and only one node has that first label.
//!
//! Names and addresses are compared whole, so `node-1` is never `node-10`.

use std::borrow::Cow;
use std::net::IpAddr;

use ng_engine::node::Nodes;
use rustc_hash::FxHashMap;
use serde::Deserialize;

/// The labels of a series that may tell its node; empty means absent, as in Prometheus.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Labels<'answer> {
    #[serde(borrow, default)]
    exported_node: Cow<'answer, str>,
    #[serde(borrow, default)]
    node: Cow<'answer, str>,
    #[serde(borrow, default)]
    nodename: Cow<'answer, str>,
    #[serde(borrow, default)]
    kubernetes_node: Cow<'answer, str>,
    #[serde(borrow, default)]
    kubernetes_node_name: Cow<'answer, str>,
    #[serde(borrow, default)]
    instance: Cow<'answer, str>,
}

impl Labels<'_> {
    /// The label by which people find the series.
    pub(crate) fn shown(&self) -> &str {
        [
            &self.exported_node,
            &self.node,
            &self.nodename,
            &self.kubernetes_node,
            &self.kubernetes_node_name,
            &self.instance,
        ]
        .into_iter()
        .find(|label| !label.is_empty())
        .map_or("(no node label)", |label| label.as_ref())
    }
}

/// Which node a series belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner<'index> {
    /// This one.
    Node(usize),
    /// It could be any of these.
    Ambiguous(&'index [usize]),
    /// No node of the cluster.
    Nobody,
}

/// One node, or all that share a key.
#[derive(Debug)]
enum Claim {
    One(usize),
    Many(Vec<usize>),
}

impl Claim {
    fn add(&mut self, node: usize) {
        match self {
            Self::One(first) if *first == node => {}
            Self::One(first) => *self = Self::Many(vec![*first, node]),
            Self::Many(nodes) if nodes.last() == Some(&node) => {}
            Self::Many(nodes) => nodes.push(node),
        }
    }

    fn owner(&self) -> Owner<'_> {
        match self {
            Self::One(node) => Owner::Node(*node),
            Self::Many(nodes) => Owner::Ambiguous(nodes),
        }
    }
}

/// Names and addresses of all nodes; built once, asked once a series.
pub(crate) struct Index<'nodes> {
    nodes: &'nodes Nodes,
    names: FxHashMap<&'nodes str, usize>,
    hosts: FxHashMap<&'nodes str, Claim>,
    ips: FxHashMap<IpAddr, Claim>,
    first_labels: FxHashMap<&'nodes str, Claim>,
}

impl<'nodes> Index<'nodes> {
    pub(crate) fn new(nodes: &'nodes Nodes) -> Self {
        let mut index = Self {
            nodes,
            names: nodes.positions(),
            hosts: FxHashMap::default(),
            // Most nodes have one address that is an IP.
            ips: with_room(nodes.len()),
            first_labels: with_room(nodes.len()),
        };
        for (node, name) in nodes.names().enumerate() {
            add(&mut index.first_labels, first_label(name), node);
            for address in nodes.addresses(node) {
                match address.parse::<IpAddr>() {
                    Ok(ip) => add(&mut index.ips, ip.to_canonical(), node),
                    Err(_) => add(&mut index.hosts, address, node),
                }
            }
        }
        index
    }

    /// The node by its own name.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// The node that a series with these labels belongs to.
    pub(crate) fn owner(&self, labels: &Labels<'_>) -> Owner<'_> {
        for label in [&labels.exported_node, &labels.node] {
            if !label.is_empty() {
                return self.called(label);
            }
        }
        if !labels.nodename.is_empty() {
            let owner = self.called(&labels.nodename);
            if owner != Owner::Nobody {
                return owner;
            }
        }
        for label in [&labels.kubernetes_node, &labels.kubernetes_node_name] {
            if !label.is_empty() {
                return self.called(label);
            }
        }
        self.at(&labels.instance)
    }

    /// The node with this name or, failing that, this address.
    fn called(&self, text: &str) -> Owner<'_> {
        if let Some(node) = self.named(text) {
            return Owner::Node(node);
        }
        let claim = match text.parse::<IpAddr>() {
            Ok(ip) => self.ips.get(&ip.to_canonical()),
            Err(_) => self.hosts.get(text),
        };
        claim.map_or(Owner::Nobody, Claim::owner)
    }

    /// The node at `instance`, a name or an address with or without a port.
    fn at(&self, instance: &str) -> Owner<'_> {
        if instance.is_empty() {
            return Owner::Nobody;
        }
        // The host is the whole where there is no port, so that a plain name is asked for here, too.
        let host = host(instance);
        match self.called(host) {
            Owner::Nobody => self.by_domain(host),
            owner => owner,
        }
    }

    /// The node whose name is `host` without its domain, or the other way round.
    fn by_domain(&self, host: &str) -> Owner<'_> {
        let label = first_label(host);
        // Parts of an address are no names: 10.0.0.1 is not the node called 10.
        if label.is_empty() || label.bytes().all(|byte| byte.is_ascii_digit()) {
            return Owner::Nobody;
        }
        let Some(claim) = self.first_labels.get(label) else {
            return Owner::Nobody;
        };
        match claim.owner() {
            Owner::Node(node) if !same_but_domain(host, self.nodes.name(node)) => Owner::Nobody,
            owner => owner,
        }
    }
}

fn with_room<K>(count: usize) -> FxHashMap<K, Claim> {
    FxHashMap::with_capacity_and_hasher(count, rustc_hash::FxBuildHasher)
}

fn add<K: std::hash::Hash + Eq>(map: &mut FxHashMap<K, Claim>, key: K, node: usize) {
    map.entry(key)
        .and_modify(|claim| claim.add(node))
        .or_insert(Claim::One(node));
}

fn first_label(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// Whether one is the other followed by a dot and a domain.
fn same_but_domain(left: &str, right: &str) -> bool {
    let (short, long) = if left.len() < right.len() {
        (left, right)
    } else {
        (right, left)
    };
    long.strip_prefix(short)
        .is_some_and(|domain| domain.starts_with('.'))
}

/// `instance` without port and brackets.
fn host(instance: &str) -> &str {
    if let Some(rest) = instance.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    match instance.split_once(':') {
        // More than one colon: an IPv6 address without a port.
        Some((host, port)) if !port.contains(':') => host,
        _ => instance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ng_engine::node::Interest;
    use proptest::prelude::*;

    fn nodes(table: &[(&str, &[&str])]) -> Nodes {
        let mut nodes = Nodes::new(&Interest::default());
        for (name, addresses) in table {
            let mut node = nodes.start(name);
            for address in *addresses {
                node.address(address);
            }
        }
        nodes
    }

    fn cluster() -> Nodes {
        nodes(&[
            ("node-1", &["10.0.0.1", "node-1"]),
            ("node-10", &["10.0.0.10", "fd00:0::10", "node-10"]),
            ("worker.a.example", &["10.0.0.3", "203.0.113.9"]),
            ("worker.b.example", &["10.0.0.4", "203.0.113.9"]),
            ("db.example", &["10.0.0.5", "ip-10-0-0-5.internal"]),
            ("10", &[]),
        ])
    }

    /// Labels from JSON, as they come.
    fn owner_of(index: &Index<'_>, json: &str) -> String {
        match index.owner(&serde_json::from_str(json).unwrap()) {
            Owner::Node(node) => index.nodes.name(node).to_owned(),
            Owner::Ambiguous(nodes) => format!("{} of them", nodes.len()),
            Owner::Nobody => "nobody".to_owned(),
        }
    }

    #[test]
    fn every_installation_finds_its_node() {
        let table = [
            // kube-prometheus
            (
                r#"{"instance":"node-1","namespace":"monitoring","pod":"node-exporter-x"}"#,
                "node-1",
            ),
            (r#"{"instance":"node-10"}"#, "node-10"),
            // kube-prometheus-stack
            (
                r#"{"instance":"10.0.0.1:9100","job":"node-exporter"}"#,
                "node-1",
            ),
            (r#"{"instance":"10.0.0.10:9100"}"#, "node-10"),
            (
                r#"{"instance":"10.0.0.1:9100","nodename":"node-10"}"#,
                "node-10",
            ),
            (
                r#"{"instance":"10.0.0.1:9100","nodename":"some-kernel-name"}"#,
                "node-1",
            ),
            (r#"{"instance":"[fd00::10]:9100"}"#, "node-10"),
            (r#"{"instance":"fd00::10"}"#, "node-10"),
            (r#"{"instance":"[fd00:0:0:0::10]"}"#, "node-10"),
            // prometheus-community/prometheus
            (r#"{"instance":"10.0.0.10:9100","node":"node-1"}"#, "node-1"),
            // older guides
            (
                r#"{"instance":"10.9.9.9:9100","kubernetes_node":"node-1"}"#,
                "node-1",
            ),
            (
                r#"{"instance":"10.9.9.9:9100","kubernetes_node_name":"node-10"}"#,
                "node-10",
            ),
            // static targets
            (r#"{"instance":"node-1:9100"}"#, "node-1"),
            (r#"{"instance":"node-1.example.org:9100"}"#, "node-1"),
            (r#"{"instance":"db:9100"}"#, "db.example"),
            (r#"{"instance":"ip-10-0-0-5.internal:9100"}"#, "db.example"),
            (
                r#"{"instance":"worker.b.example:9100"}"#,
                "worker.b.example",
            ),
            // kube-state-metrics without honoured labels, scraped on another node
            (
                r#"{"exported_node":"node-1","node":"node-10","instance":"10.0.0.10:8080"}"#,
                "node-1",
            ),
        ];
        let nodes = cluster();
        let index = Index::new(&nodes);
        for (labels, expected) in table {
            assert_eq!(owner_of(&index, labels), expected, "{labels}");
        }
    }

    #[test]
    fn what_is_not_certain_is_not_guessed() {
        let table = [
            (r"{}", "nobody"),
            (r#"{"instance":""}"#, "nobody"),
            (r#"{"instance":"node-100"}"#, "nobody"),
            (r#"{"instance":"node-"}"#, "nobody"),
            (r#"{"instance":"10.0.0.100:9100"}"#, "nobody"),
            (r#"{"instance":"10.0.0"}"#, "nobody"),
            (r#"{"instance":"10.9.9.9:9100"}"#, "nobody"),
            // Another domain than the node's own.
            (r#"{"instance":"db.other:9100"}"#, "nobody"),
            // Both would do.
            (r#"{"instance":"worker:9100"}"#, "2 of them"),
            (r#"{"instance":"203.0.113.9:9100"}"#, "2 of them"),
            // A deleted node, told by an exporter on a living one.
            (r#"{"node":"gone","instance":"10.0.0.1:8080"}"#, "nobody"),
            (
                r#"{"kubernetes_node":"gone","instance":"10.0.0.1:8080"}"#,
                "nobody",
            ),
            (r#"{"instance":":9100"}"#, "nobody"),
            (r#"{"instance":"[fd00::10"}"#, "node-10"),
            (r#"{"instance":"]["}"#, "nobody"),
        ];
        let nodes = cluster();
        let index = Index::new(&nodes);
        for (labels, expected) in table {
            assert_eq!(owner_of(&index, labels), expected, "{labels}");
        }
    }

    /// Whether `instance` honestly names the node: its name or address, or its name with or without a domain.
    fn names_it(nodes: &Nodes, node: usize, instance: &str) -> bool {
        let name = nodes.name(node);
        let host = host(instance);
        instance == name
            || host == name
            || host.starts_with(&format!("{name}."))
            || name.starts_with(&format!("{host}."))
            || nodes.addresses(node).any(|address| {
                address == host
                    || matches!((address.parse::<IpAddr>(), host.parse::<IpAddr>()), (Ok(a), Ok(b)) if a == b.to_canonical())
            })
    }

    proptest! {
        #[test]
        fn no_label_maps_to_a_wrong_node(
            node in prop_oneof![Just(String::new()), Just("node-1".to_owned()), ".{0,12}"],
            instance in prop_oneof![
                ".{0,24}",
                "(node-1|node-10|10\\.0\\.0\\.1|worker|db|10|\\[fd00::10\\])[0-9.:a-z]{0,8}",
            ],
        ) {
            let nodes = cluster();
            let index = Index::new(&nodes);
            let labels = Labels {
                node: node.as_str().into(),
                instance: instance.as_str().into(),
                ..Labels::default()
            };
            if let Owner::Node(found) = index.owner(&labels) {
                let text = if node.is_empty() { &instance } else { &node };
                prop_assert!(names_it(&nodes, found, text), "{text:?} -> {}", nodes.name(found));
            }
        }
    }
}
