//! Which nodes a rule looks at, with the rules of Kubernetes for node selectors.

use crate::rule::{LabelOperator, NodeSelector, Requirement};
use crate::spec::{RequirementSpec, SelectorSpec};

use super::names::{is_dns_name, is_key, is_label_value};
use super::problem::Problems;

/// Said of a key that is not a qualified name.
pub(super) const KEY: &str = "expected a key such as \"example.com/name\"";
const VALUE: &str = "expected a label value of at most 63 letters, digits, '-', '_' and '.'";

/// The selector; requirements with problems are left out.
pub(super) fn check(spec: &SelectorSpec, problems: &mut Problems) -> NodeSelector {
    const PATH: &str = "spec.nodeSelector";
    let mut labels = Vec::new();
    for (key, value) in &spec.match_labels {
        let path = format!("{PATH}.matchLabels[{key:?}]");
        problems.require(&path, key, is_key, KEY);
        problems.require(&path, value, is_label_value, VALUE);
        labels.push(Requirement {
            key: key.clone(),
            operator: LabelOperator::In(vec![value.clone()]),
        });
    }
    for (index, spec) in spec.match_expressions.iter().enumerate() {
        let path = format!("{PATH}.matchExpressions[{index}]");
        problems.require(format_args!("{path}.key"), &spec.key, is_key, KEY);
        if let Some(operator) = operator(&path, spec, problems) {
            labels.push(Requirement {
                key: spec.key.clone(),
                operator,
            });
        }
    }
    for (index, name) in spec.node_names.iter().enumerate() {
        problems.require(
            format_args!("{PATH}.nodeNames[{index}]"),
            name,
            is_dns_name,
            "expected the name of a node",
        );
    }
    NodeSelector {
        labels,
        names: spec.node_names.clone(),
    }
}

fn operator(path: &str, spec: &RequirementSpec, problems: &mut Problems) -> Option<LabelOperator> {
    const WORDS: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
    match spec.operator.as_str() {
        "In" => some_values(path, spec, problems).map(LabelOperator::In),
        "NotIn" => some_values(path, spec, problems).map(LabelOperator::NotIn),
        "Exists" => no_values(path, spec, problems).then_some(LabelOperator::Exists),
        "DoesNotExist" => no_values(path, spec, problems).then_some(LabelOperator::DoesNotExist),
        "Gt" => integer(path, spec, problems).map(LabelOperator::Gt),
        "Lt" => integer(path, spec, problems).map(LabelOperator::Lt),
        other => {
            problems.not_one_of(format_args!("{path}.operator"), other, &WORDS);
            None
        }
    }
}

fn some_values(path: &str, spec: &RequirementSpec, problems: &mut Problems) -> Option<Vec<String>> {
    if spec.values.is_empty() {
        let message = format!(
            "expected at least one value for {}, found none",
            spec.operator
        );
        problems.add(format_args!("{path}.values"), message);
        return None;
    }
    for (index, value) in spec.values.iter().enumerate() {
        problems.require(
            format_args!("{path}.values[{index}]"),
            value,
            is_label_value,
            VALUE,
        );
    }
    Some(spec.values.clone())
}

fn no_values(path: &str, spec: &RequirementSpec, problems: &mut Problems) -> bool {
    let count = spec.values.len();
    if count > 0 {
        let message = format!("expected no values for {}, found {count}", spec.operator);
        problems.add(format_args!("{path}.values"), message);
    }
    count == 0
}

fn integer(path: &str, spec: &RequirementSpec, problems: &mut Problems) -> Option<i64> {
    let path = format!("{path}.values");
    let [value] = spec.values.as_slice() else {
        let count = spec.values.len();
        let message = format!(
            "expected exactly one whole number for {}, found {count} values",
            spec.operator
        );
        problems.add(path, message);
        return None;
    };
    let number = value.parse().ok();
    if number.is_none() {
        problems.unexpected(
            path,
            "expected one whole number in quotes such as \"8\"",
            value,
        );
    }
    number
}
