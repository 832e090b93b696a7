//! Whatever can be read can be checked: validation never panics, and says where every problem is.

mod crd_support;

use crd_support::{full_rule, full_template};
use ng_engine::spec::{RuleObject, TemplateObject};
use ng_engine::validate::{Defaults, duration, validate};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A leaf for any place in a rule: near misses, extremes and noise.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<bool>().prop_map(|flag| json!(flag)),
        "\\PC{0,80}".prop_map(|text| json!(text)),
        "[-+]?[0-9.]{0,25}(ns|us|ms|s|m|h|d|%|)".prop_map(|text| json!(text)),
        prop::sample::select(vec![
            "",
            "/",
            "a/b",
            "{{",
            "http://",
            "http://@:",
            "In",
            "Gt",
            "untaint",
            "drain",
            "evict",
            "annotation",
            "label",
            "cordon",
            "removeLabel",
            "Ready",
            "\u{0}",
            "µs",
            "99999999999999999999999h",
        ])
        .prop_map(|text| json!(text)),
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
    ]
}

/// Every leaf of a document, in order.
fn leaves<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::Object(entries) => entries.values_mut().for_each(|value| leaves(value, found)),
        Value::Array(items) => items.iter_mut().for_each(|value| leaves(value, found)),
        _ => found.push(value),
    }
}

/// Puts a new leaf in the place of some old ones.
fn change(value: &mut Value, changes: Vec<(prop::sample::Index, Value)>) {
    for (index, new) in changes {
        let mut found = Vec::new();
        leaves(value, &mut found);
        let position = index.index(found.len());
        *found[position] = new;
    }
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Value)>> {
    prop::collection::vec((any::<prop::sample::Index>(), leaf()), 1..12)
}

proptest! {
    #[test]
    fn validation_never_panics(changes in changes()) {
        let mut value = serde_json::to_value(full_rule()).unwrap();
        change(&mut value, changes);
        if let Ok(object) = RuleObject::from_json(&value.to_string())
            && let Err(problems) = validate(&object, &Defaults::default())
        {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.path.starts_with("spec."), "{problem}");
                prop_assert!(!problem.message.is_empty());
            }
        }
    }

    #[test]
    fn a_template_that_can_be_read_is_written_as_it_was(changes in changes()) {
        let mut value = serde_json::to_value(full_template()).unwrap();
        change(&mut value, changes);
        if let Ok(mut object) = TemplateObject::from_json(&value.to_string()) {
            // Their numbers are free, and reading rounds the last digit of some.
            object.spec.variables.clear();
            let written = serde_json::to_string(&object).unwrap();
            prop_assert_eq!(TemplateObject::from_json(&written).unwrap(), object);
        }
    }

    #[test]
    fn durations_never_panic_and_stay_in_bounds(text in "\\PC{0,40}|[-+]?([0-9]{0,30}[.]?[0-9]{0,30}(ns|us|µs|ms|s|m|h|d)){0,3}") {
        if let Ok(duration) = duration::parse(&text) {
            prop_assert!(duration <= duration::LONGEST);
        }
    }

    #[test]
    fn a_sum_of_units_is_their_sum(hours in 0_u64..1000, minutes in 0_u64..10_000, seconds in 0_u64..100_000) {
        let duration = duration::parse(&format!("{hours}h{minutes}m{seconds}s")).unwrap();
        prop_assert_eq!(duration.as_secs(), hours * 3600 + minutes * 60 + seconds);
    }
}
