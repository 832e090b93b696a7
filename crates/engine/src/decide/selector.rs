//! Which nodes a rule looks at.

use rustc_hash::FxHashMap;

use crate::bits::Bits;
use crate::node::{CONTROL_PLANE_LABELS, Nodes};
use crate::rule::{LabelOperator, NodeSelector, Requirement};

/// The nodes that every part of the selector matches; no part matches every node.
pub(super) fn select(
    selector: &NodeSelector,
    nodes: &Nodes,
    positions: &FxHashMap<&str, usize>,
) -> Bits {
    let mut selected = if selector.names.is_empty() {
        Bits::all(nodes.len())
    } else {
        let mut named = Bits::none(nodes.len());
        for position in selector
            .names
            .iter()
            .filter_map(|name| positions.get(name.as_str()))
        {
            named.add(*position);
        }
        named
    };
    for requirement in &selector.labels {
        selected.keep(&nodes.select_label(&requirement.key, |value| meets(requirement, value)));
    }
    selected
}

/// Whether one node is selected if `label` says which labels it has.
pub(super) fn selects<'a>(
    selector: &NodeSelector,
    name: &str,
    label: impl Fn(&str) -> Option<&'a str>,
) -> bool {
    (selector.names.is_empty() || selector.names.iter().any(|wanted| wanted == name))
        && selector
            .labels
            .iter()
            .all(|requirement| meets(requirement, label(&requirement.key)))
}

/// Whether the selector asks for control-plane nodes by their label, or for this node by name.
pub(super) fn asks_for_control_plane(selector: &NodeSelector, name: &str) -> bool {
    selector.names.iter().any(|wanted| wanted == name)
        || selector.labels.iter().any(|requirement| {
            CONTROL_PLANE_LABELS.contains(&requirement.key.as_str())
                && match requirement.operator {
                    LabelOperator::In(_)
                    | LabelOperator::Exists
                    | LabelOperator::Gt(_)
                    | LabelOperator::Lt(_) => true,
                    LabelOperator::NotIn(_) | LabelOperator::DoesNotExist => false,
                }
        })
}

/// Whether a label's value, or its absence, is what is asked for. `NotIn` accepts an absent label, as in Kubernetes.
fn meets(requirement: &Requirement, value: Option<&str>) -> bool {
    match (&requirement.operator, value) {
        (LabelOperator::In(values), Some(value)) => values.iter().any(|wanted| wanted == value),
        (LabelOperator::NotIn(values), Some(value)) => {
            values.iter().all(|unwanted| unwanted != value)
        }
        (LabelOperator::Exists, Some(_))
        | (LabelOperator::NotIn(_) | LabelOperator::DoesNotExist, None) => true,
        (LabelOperator::Gt(bound), Some(value)) => {
            value.parse::<i64>().is_ok_and(|number| number > *bound)
        }
        (LabelOperator::Lt(bound), Some(value)) => {
            value.parse::<i64>().is_ok_and(|number| number < *bound)
        }
        (LabelOperator::DoesNotExist, Some(_))
        | (
            LabelOperator::In(_)
            | LabelOperator::Exists
            | LabelOperator::Gt(_)
            | LabelOperator::Lt(_),
            None,
        ) => false,
    }
}
