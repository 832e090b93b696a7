//! Nodes that were there, and cordons and taints that came while they were watched.

use std::collections::BTreeSet;

use ng_engine::node::Taint;
use ng_engine::rule::TaintEffect;
use ng_engine::time::Time;
use serde::{Deserialize, Serialize};

/// Taints that Kubernetes itself sets: they follow from conditions or a cordon, which are watched.
const OF_KUBERNETES: [&str; 3] = [
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "node-role.kubernetes.io/",
];

/// A node of the last check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) uid: String,
    /// Empty: none.
    pub(crate) zone: String,
    /// Taints that were there when the node was first seen: it is meant to have them.
    pub(crate) taints: BTreeSet<String>,
}

impl Known {
    /// One line for the state; names, UIDs, zones and taints have no blanks.
    pub(crate) fn line((name, known): (&String, &Self)) -> String {
        let taints: Vec<&str> = known.taints.iter().map(String::as_str).collect();
        format!("{name} {} {} {}", known.uid, known.zone, taints.join(","))
    }

    /// The node of a line.
    pub(crate) fn of_line(line: &str) -> Option<(String, Self)> {
        let mut parts = line.split(' ');
        let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
        let mut part = || parts.next().unwrap_or_default();
        let known = Self {
            uid: part().to_owned(),
            zone: part().to_owned(),
            taints: part()
                .split(',')
                .filter(|taint| !taint.is_empty())
                .map(str::to_owned)
                .collect(),
        };
        Some((name, known))
    }
}

/// Since when a node is cordoned, and since when it has which new taints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watch {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cordoned: Option<Time>,
    /// `key:Effect` and since when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) taints: Vec<(String, Time)>,
}

impl Watch {
    pub(crate) fn is_empty(&self) -> bool {
        self.cordoned.is_none() && self.taints.is_empty()
    }
}

/// The taints that keep pods away and are not set by Kubernetes itself, as `key:Effect`.
pub(crate) fn away(taints: &[Taint]) -> BTreeSet<String> {
    taints
        .iter()
        .filter_map(|taint| match taint.effect {
            Some(effect @ (TaintEffect::NoSchedule | TaintEffect::NoExecute)) => {
                let key = &*taint.key;
                let foreign = !OF_KUBERNETES.iter().any(|start| key.starts_with(start));
                foreign.then(|| format!("{key}:{}", effect.word()))
            }
            Some(TaintEffect::PreferNoSchedule) | None => None,
        })
        .collect()
}
