//! Whether two rules can look at the same node.

use std::collections::BTreeSet;

use ng_engine::rule::{LabelOperator, NodeSelector, Requirement};

/// Whether some node can meet both selectors. Labels are taken to be free of each other.
pub(crate) fn may_overlap(one: &NodeSelector, two: &NodeSelector) -> bool {
    let names = one.names.is_empty()
        || two.names.is_empty()
        || one.names.iter().any(|name| two.names.contains(name));
    let requirements: Vec<&Requirement> = one.labels.iter().chain(&two.labels).collect();
    let keys: BTreeSet<&str> = requirements
        .iter()
        .map(|requirement| requirement.key.as_str())
        .collect();
    names
        && keys.into_iter().all(|key| {
            let of_key: Vec<&LabelOperator> = requirements
                .iter()
                .filter(|requirement| requirement.key == key)
                .map(|requirement| &requirement.operator)
                .collect();
            candidates(&of_key).iter().any(|value| {
                of_key
                    .iter()
                    .all(|operator| meets(operator, value.as_deref()))
            })
        })
}

/// Values of which one meets all operators, if any value does: every value they name, one beside each bound, one that
/// nobody names, and none.
fn candidates(operators: &[&LabelOperator]) -> Vec<Option<String>> {
    let mut values = vec![None, Some("a-value-that-nobody-names".to_owned())];
    for operator in operators {
        match operator {
            LabelOperator::In(named) | LabelOperator::NotIn(named) => {
                values.extend(named.iter().cloned().map(Some));
            }
            LabelOperator::Gt(bound) => {
                values.extend(bound.checked_add(1).map(|next| Some(next.to_string())));
            }
            LabelOperator::Lt(bound) => {
                values.extend(bound.checked_sub(1).map(|next| Some(next.to_string())));
            }
            LabelOperator::Exists | LabelOperator::DoesNotExist => {}
        }
    }
    values
}

/// As Kubernetes reads them: `NotIn` takes an absent label, a bound only a whole number.
fn meets(operator: &LabelOperator, value: Option<&str>) -> bool {
    let number = || value.and_then(|value| value.parse::<i64>().ok());
    match operator {
        LabelOperator::In(values) => {
            value.is_some_and(|value| values.iter().any(|one| one == value))
        }
        LabelOperator::NotIn(values) => {
            value.is_none_or(|value| values.iter().all(|one| one != value))
        }
        LabelOperator::Exists => value.is_some(),
        LabelOperator::DoesNotExist => value.is_none(),
        LabelOperator::Gt(bound) => number().is_some_and(|number| number > *bound),
        LabelOperator::Lt(bound) => number().is_some_and(|number| number < *bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requires(operator: LabelOperator) -> NodeSelector {
        NodeSelector {
            labels: vec![Requirement {
                key: "zone".to_owned(),
                operator,
            }],
            names: Vec::new(),
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn selectors_overlap_unless_they_exclude_each_other() {
        use LabelOperator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
        let table = [
            (In(texts(&["a", "b"])), In(texts(&["b", "c"])), true),
            (In(texts(&["a"])), In(texts(&["b"])), false),
            (In(texts(&["a"])), NotIn(texts(&["a"])), false),
            (In(texts(&["a", "b"])), NotIn(texts(&["a"])), true),
            (NotIn(texts(&["a"])), NotIn(texts(&["b"])), true),
            (Exists, DoesNotExist, false),
            (Exists, NotIn(texts(&["a"])), true),
            (DoesNotExist, NotIn(texts(&["a"])), true),
            (DoesNotExist, In(texts(&["a"])), false),
            (Gt(4), Lt(5), false),
            (Gt(4), Lt(6), true),
            (Gt(4), In(texts(&["3", "5"])), true),
            (Gt(4), In(texts(&["x"])), false),
            (Gt(i64::MAX), Exists, false),
            (Lt(i64::MIN), Exists, false),
        ];
        for (one, two, expected) in table {
            let (one, two) = (requires(one), requires(two));
            assert_eq!(may_overlap(&one, &two), expected, "{one:?} {two:?}");
            assert_eq!(may_overlap(&two, &one), expected, "{two:?} {one:?}");
            assert!(
                may_overlap(&one, &NodeSelector::default())
                    || may_overlap(&two, &NodeSelector::default())
            );
        }
        let named = |names: &[&str]| NodeSelector {
            names: texts(names),
            labels: Vec::new(),
        };
        assert!(!may_overlap(&named(&["n1"]), &named(&["n2"])));
        assert!(may_overlap(&named(&["n1"]), &named(&["n2", "n1"])));
        assert!(may_overlap(&named(&["n1"]), &requires(Exists)));
    }
}
