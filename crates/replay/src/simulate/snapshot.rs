//! The file that shell-operator would give to the controller.

use ng_engine::spec::RULE_KIND;
use serde_json::{Value, json};

use super::world::World;

/// One context of the group, with both snapshots, sorted by name. Keys are sorted as Go writes them.
pub(super) fn contexts(world: &mut World) -> Vec<u8> {
    let mut text = String::from(
        "[{\"binding\":\"rule-evaluation\",\"groupName\":\"evaluation\",\
         \"snapshots\":{\"monitor-nodeguardian-rules\":[",
    );
    let rules = world.rules.values().filter(|_| !world.hides_rules);
    for (index, rule) in rules.enumerate() {
        let filtered = json!({
            "spec": rule["spec"],
            "deletionTimestamp": rule["metadata"]["deletionTimestamp"],
        });
        debug_assert_eq!(rule["kind"], RULE_KIND);
        separate(&mut text, index);
        text.push_str(&json!({"filterResult": filtered, "object": rule}).to_string());
    }
    text.push_str("],\"nodes\":[");
    for (index, kept) in world.nodes.values_mut().enumerate() {
        separate(&mut text, index);
        let item = kept
            .snapshot
            .get_or_insert_with(|| json!({"filterResult": filtered(&kept.object)}).to_string());
        text.push_str(item);
    }
    text.push_str("]},\"type\":\"Group\"}]");
    text.into_bytes()
}

fn separate(text: &mut String, index: usize) {
    if index > 0 {
        text.push(',');
    }
}

/// What the binding's filter makes of a node.
fn filtered(node: &Value) -> Value {
    let conditions = node["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let conditions: Vec<Value> = conditions
        .map(|condition| {
            json!({
                "type": condition["type"],
                "status": condition["status"],
                "reason": condition["reason"],
                "lastTransitionTime": condition["lastTransitionTime"],
            })
        })
        .collect();
    json!({
        "name": node["metadata"]["name"],
        "uid": node["metadata"]["uid"],
        "labels": node["metadata"]["labels"],
        "annotations": node["metadata"]["annotations"],
        "taints": node["spec"]["taints"],
        "unschedulable": node["spec"]["unschedulable"],
        "capacity": node["status"]["capacity"],
        "allocatable": node["status"]["allocatable"],
        "conditions": conditions,
        "addresses": node["status"]["addresses"],
    })
}
