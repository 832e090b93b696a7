//! The facts as templates see them: names in camel case and snake case, plain numbers.

use ng_config::{Language, duration};
use ng_engine::history::Guard;
use ng_engine::plan::{Input, Seen};
use ng_template::{number, with_snake_case};
use serde_json::{Map, Value, json};

use super::builtin::{cpu_text, guard_text, memory_text, more};
use super::facts::{Facts, word};
use crate::message::{NodeFacts, TopPod};

/// The most nodes that a template sees; the rest is counted. More names than this nobody reads, and a message of all
/// of them is more than a chat takes.
pub(super) const LISTED: usize = 50;

/// Words that templates write behind the name of a variable to say what it is, and mean no value.
const TYPES: [&str; 8] = [
    "string", "object", "array", "number", "integer", "boolean", "list", "map",
];

/// Every name that a template can read, and what it means; each is there in snake case, too.
pub const FIELDS: &[(&str, &str)] = &[
    ("type", "trigger, repeat or recovery"),
    ("ruleName", "name of the rule"),
    ("ruleDescription", "the rule's description"),
    ("severity", "info, warning or critical"),
    ("nodeName", "name of the first node"),
    ("triggeredNodes", "names of the nodes, as a list"),
    (
        "metrics",
        "readings of the first node by metric, such as metrics.cpuLoadRatio",
    ),
    (
        "conditions",
        "a list: description, metric, operator, value, duration, current, trueFor, ageSeconds, unknown",
    ),
    ("actions", "a list: type, description"),
    (
        "topPods",
        "largest pods of the first node, a list: name, namespace, cpu, memory, cpuCores, memoryBytes",
    ),
    (
        "guard",
        "what holds actions on the first node back; empty: nothing",
    ),
    ("guardReason", "the same in words"),
    (
        "nodes",
        "a list: name, metrics, conditions, actions, topPods, since, repeats, guard, guardReason, fingerprint, key",
    ),
    ("total", "how many nodes"),
    ("more", "how many of them are not listed; 0: none"),
    ("timestamp", "when it happened"),
    ("since", "when it began"),
    ("elapsed", "seconds between these two"),
    ("repeats", "how often the actions ran again"),
    ("dryRun", "whether the rule only pretends"),
    ("clusterName", "the configured name of the cluster"),
    (
        "fingerprint",
        "the same from trigger to recovery, letters and digits",
    ),
    (
        "key",
        "of an alert of the node monitor, such as node_worker-1_cpu_high; else empty",
    ),
    ("variables", "the template's own values, by name"),
];

/// The data of one message.
pub(super) fn of(facts: &Facts<'_>, variables: &Map<String, Value>, language: Language) -> Value {
    let listed: Vec<Value> = facts
        .nodes
        .iter()
        .take(LISTED)
        .map(|facts| node(facts, language))
        .collect();
    let total = facts.nodes.len();
    let mut names: Vec<String> = facts
        .nodes
        .iter()
        .take(LISTED)
        .map(|node| node.name().to_owned())
        .collect();
    if total > LISTED {
        names.push(more(total - LISTED, language));
    }
    let elapsed = facts.at.since(facts.since);
    let mut data = json!({
        "type": word(facts.kind),
        "ruleName": facts.rule,
        "ruleDescription": facts.rule_description,
        "severity": facts.severity.word(),
        "triggeredNodes": names,
        "nodes": listed,
        "total": total,
        "more": total.saturating_sub(LISTED),
        "timestamp": facts.at.to_string(),
        "since": facts.since.to_string(),
        "elapsed": elapsed.as_secs(),
        "repeats": facts.repeats,
        "dryRun": facts.dry_run,
        "clusterName": facts.cluster.unwrap_or_default(),
        "fingerprint": facts.fingerprint,
    });
    // What belongs to one node is the first one's.
    let first = data["nodes"][0].clone();
    for (name, of_node) in [
        ("nodeName", "name"),
        ("metrics", "metrics"),
        ("conditions", "conditions"),
        ("actions", "actions"),
        ("topPods", "topPods"),
        ("guard", "guard"),
        ("guardReason", "guardReason"),
        ("key", "key"),
    ] {
        data[name] = first.get(of_node).cloned().unwrap_or_default();
    }
    with_variables(with_snake_case(data), variables)
}

/// Adds the template's own values: all of them below `variables`, and by their names where these are free.
fn with_variables(mut data: Value, variables: &Map<String, Value>) -> Value {
    if let Value::Object(fields) = &mut data {
        for (name, value) in variables {
            let is_type = value.as_str().is_some_and(|text| TYPES.contains(&text));
            if !is_type && !fields.contains_key(name) {
                fields.insert(name.clone(), value.clone());
            }
        }
        let all = Value::Object(variables.clone());
        fields.insert("variables".to_owned(), all);
    }
    data
}

fn node(facts: &NodeFacts, language: Language) -> Value {
    let metrics: Map<String, Value> = facts
        .metrics()
        .map(|(name, value)| (name.to_owned(), number(value)))
        .collect();
    json!({
        "name": facts.name(),
        "metrics": metrics,
        "conditions": facts.inputs().map(|input| condition(&input)).collect::<Vec<_>>(),
        "actions": facts.actions(),
        "topPods": facts.top_pods().iter().map(pod).collect::<Vec<_>>(),
        "since": facts.since.to_string(),
        "repeats": facts.repeats,
        "guard": facts.guard().map_or("", Guard::word),
        "guardReason": facts.guard().map(|guard| guard_text(guard, language)).unwrap_or_default(),
        "fingerprint": facts.fingerprint(),
        "key": facts.notice().map_or("", |notice| &notice.key),
    })
}

/// A condition under the names it has in a rule, and what was seen.
fn condition(input: &Input) -> Value {
    let mut parts = input.test.splitn(3, ' ');
    let (metric, operator, value) = (parts.next(), parts.next(), parts.next());
    let threshold = value.map(|text| text.parse().map_or_else(|_| json!(text), number));
    let (current, age) = match &input.seen {
        Seen::Value { value, age, .. } => (number(*value), json!(age / 1000)),
        Seen::Status(status) => (json!(status), Value::Null),
        Seen::Unknown(_) => (Value::Null, Value::Null),
    };
    let unknown = match &input.seen {
        Seen::Unknown(reason) => reason.as_str(),
        Seen::Value { .. } | Seen::Status(_) => "",
    };
    json!({
        "description": input.words(),
        "metric": metric,
        "operator": operator,
        "value": threshold,
        "duration": millis(input.needed),
        "current": current,
        "ageSeconds": age,
        "trueFor": input.true_for.map(millis),
        "unknown": unknown,
    })
}

fn millis(millis: i64) -> String {
    let millis = u64::try_from(millis).unwrap_or(0);
    duration::format(std::time::Duration::from_millis(millis))
}

/// A pod with its usage as kubectl shows it, and as numbers.
fn pod(pod: &TopPod) -> Value {
    json!({
        "name": pod.name,
        "namespace": pod.namespace,
        "cpu": cpu_text(pod.cpu),
        "memory": memory_text(pod.memory),
        "cpuCores": number(pod.cpu),
        "memoryBytes": number(pod.memory),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ng_engine::parcel::Packed;

    use super::*;
    use crate::compose::sample;

    #[test]
    fn every_field_is_listed() {
        let alerts = [sample::alert()];
        let pods = sample::top_pods(&alerts);
        let parcels = Packed::of(&alerts).parcels;
        let facts = Facts::of(&parcels, None, &pods);
        let data = of(&facts, &Map::new(), Language::English);
        let names = |value: &Value| -> BTreeSet<String> {
            let keys = value.as_object().into_iter().flat_map(Map::keys);
            // Twins in snake case are not listed.
            keys.filter(|key| !key.contains('_')).cloned().collect()
        };
        let listed: BTreeSet<String> = FIELDS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names(&data), listed);
        for list in ["conditions", "actions", "topPods", "nodes"] {
            let meaning = FIELDS.iter().find(|(name, _)| *name == list);
            let meaning = meaning.map_or("", |(_, meaning)| meaning);
            let fields = meaning.rsplit(": ").next().unwrap_or_default();
            let listed: BTreeSet<String> = fields.split(", ").map(str::to_owned).collect();
            assert_eq!(names(&data[list][0]), listed, "{list}");
        }
    }
}
