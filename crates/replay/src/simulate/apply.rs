//! Applies what the controller writes the way shell-operator would.
//!
//! Merge patches are applied as they are. A jq filter of a node is not interpreted: the effect is taken from the
//! plan's change of that node, under the conditions that the filter itself checks (the node's UID, and for
//! disruptive changes that nobody asked for the node to be left alone).

use ng_engine::node::IGNORE_ANNOTATION;
use ng_engine::plan::NodeChange;
use ng_hook::PatchOperation;
use serde_json::{Value, json};

use super::world::{World, merge};
use crate::node_object::{differences, set, unset};

/// One operation, read back from what shell-operator would get.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) kind: String,
    pub(crate) name: String,
    /// What it changed in the object, in words; empty: nothing.
    pub(crate) effects: Vec<String>,
}

/// Applies one operation; `applies`: whether it arrives at all.
pub(super) fn operation(
    world: &mut World,
    operation: &PatchOperation,
    changes: &[NodeChange],
    applies: Arrival,
) -> anyhow::Result<Written> {
    let document: Value = serde_json::from_str(&operation.to_json_line()?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &document["object"];
    let (kind, name) = if object.is_object() {
        (text(&object["kind"]), text(&object["metadata"]["name"]))
    } else {
        (text(&document["kind"]), text(&document["name"]))
    };
    let mut written = Written {
        kind,
        name,
        effects: Vec::new(),
    };
    if applies == Arrival::Applied {
        match written.kind.as_str() {
            "Node" => written.effects = node(world, &written.name, &document, changes),
            "NodeGuardianRule" => rule(world, &written.name, &document),
            _ => {}
        }
    }
    Ok(written)
}

/// Whether what was written arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Applied,
    Lost,
}

/// Only the status: what a write of that subresource says of other fields is dropped.
fn rule(world: &mut World, name: &str, document: &Value) {
    if let Some(rule) = world.rules.get_mut(name)
        && document["subresource"] == "status"
        && let Some(status) = document["mergePatch"].get("status")
    {
        let mut fresh = rule.get("status").cloned().unwrap_or_else(|| json!({}));
        merge(&mut fresh, status);
        rule["status"] = fresh;
    }
}

fn node(world: &mut World, name: &str, document: &Value, changes: &[NodeChange]) -> Vec<String> {
    let Some(kept) = world.nodes.get_mut(name) else {
        return Vec::new();
    };
    let before = kept.object.clone();
    if document["operation"] == "MergePatch" {
        merge(&mut kept.object, &document["mergePatch"]);
    } else if let Some(change) = changes.iter().find(|change| change.node == name)
        && is_meant(change, &kept.object)
    {
        for owned in &change.unset {
            unset(&mut kept.object, owned);
        }
        for mark in &change.set {
            set(&mut kept.object, mark);
        }
    }
    kept.snapshot = None;
    differences(&before, &kept.object)
}

/// What the filter looks at once more before it changes anything.
fn is_meant(change: &NodeChange, object: &Value) -> bool {
    let metadata = &object["metadata"];
    let is_same = change.uid.is_empty() || metadata["uid"] == *change.uid;
    is_same && !(change.is_disruptive() && metadata["annotations"][IGNORE_ANNOTATION] == "true")
}
