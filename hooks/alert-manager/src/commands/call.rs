//! The four arguments of a direct call, read: a rule, nodes and channels become alerts.

use std::collections::BTreeMap;

use ng_engine::plan::{ActionNote, Alert, AlertKind, Input, Seen, Verdict};
use ng_engine::rule::{Comparison, Severity};
use ng_engine::spec::{ActionSpec, ChannelSpec, ConditionSpec, RuleSpec};
use ng_engine::time::Time;
use serde_json::{Map, Value};

use super::Scene;
use super::direct::Arguments;

/// The name of a rule that has none, as in the existing scripts.
const NO_NAME: &str = "unknown";

/// A direct call, as far as its arguments say.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    /// Name of the template; may be empty.
    pub(crate) template: String,
    /// One for each node.
    pub(crate) alerts: Vec<Alert>,
    /// May be empty: then the template's or the configured ones.
    pub(crate) channels: Vec<ChannelSpec>,
    /// What of the rule and the nodes cannot be read; the alert goes out without it.
    pub(crate) doubts: Vec<String>,
}

impl Call {
    /// Reads the arguments; or everything that is wrong with them.
    pub(crate) fn read(
        [template, rule, nodes, channels]: &Arguments,
        scene: &Scene,
    ) -> Result<Self, Vec<String>> {
        let (mut mistakes, mut doubts) = (Vec::new(), Vec::new());
        let mut note = |what: &str, mistake: String| mistakes.push(format!("{what}: {mistake}"));
        let rule = RuleFacts::read(rule, &mut doubts).map_err(|mistake| note("RULE_JSON", mistake));
        let nodes = read_nodes(nodes, &mut doubts).map_err(|mistake| note("NODES_JSON", mistake));
        let channels = read_channels(channels).map_err(|mistake| note("CHANNELS_JSON", mistake));
        let (Ok(rule), Ok(nodes), Ok(channels)) = (rule, nodes, channels) else {
            return Err(mistakes);
        };
        // Without nodes the rule alone is told of.
        let nodes = if nodes.is_empty() {
            vec![NodeArgument::default()]
        } else {
            nodes
        };
        let alerts = nodes
            .iter()
            .map(|node| Alert {
                dry_run: rule.spec.metadata.dry_run || scene.config.safety.dry_run,
                ..rule.alert(node, template, scene.now)
            })
            .collect();
        Ok(Self {
            template: template.trim().to_owned(),
            alerts,
            channels,
            doubts,
        })
    }
}

/// What an alert needs of a rule.
struct RuleFacts {
    name: String,
    kind: AlertKind,
    severity: Severity,
    spec: RuleSpec,
}

impl RuleFacts {
    /// A whole object, or its spec alone; what neither of them says may stand beside it in words of its own.
    fn read(json: &str, doubts: &mut Vec<String>) -> Result<Self, String> {
        let value = parse(json)?;
        let Value::Object(object) = &value else {
            return Err(format!(
                "expected a rule or its spec, found {}",
                kind_of(&value)
            ));
        };
        let whole = object.contains_key("spec");
        let spec = if whole { &object["spec"] } else { &value };
        let mut spec: RuleSpec = serde_json::from_value(spec.clone()).unwrap_or_else(|error| {
            doubts.push(format!("RULE_JSON: {error}"));
            outline(spec)
        });
        let mut beside = Beside { object, doubts };
        let name = value["metadata"]["name"].as_str().map(str::to_owned);
        let name = name.or_else(|| beside.text(&["name", "ruleName"]));
        let metadata = &mut spec.metadata;
        for (own, keys) in [
            (&mut metadata.severity, &["severity"][..]),
            // With both, as in the body of a webhook, the description is that of the message.
            (
                &mut metadata.description,
                &["ruleDescription", "description"],
            ),
        ] {
            if own.trim().is_empty() {
                *own = beside.text(keys).unwrap_or_default();
            }
        }
        let severity = severity(&metadata.severity, doubts);
        check_durations(&spec, doubts);
        Ok(Self {
            name: name.unwrap_or_else(|| NO_NAME.to_owned()),
            kind: kind(object.get("type"))?,
            severity,
            spec,
        })
    }

    fn alert(&self, node: &NodeArgument, template: &str, now: Time) -> Alert {
        let conditions = match self.kind {
            AlertKind::Recovery => self.spec.recovery_conditions.iter(),
            AlertKind::Trigger | AlertKind::Repeat => self.spec.conditions.iter(),
        };
        let actions = match self.kind {
            AlertKind::Recovery => Vec::new(),
            AlertKind::Trigger | AlertKind::Repeat => self.spec.actions.iter().map(note).collect(),
        };
        Alert {
            kind: self.kind,
            at: now,
            rule: self.name.clone(),
            rule_description: self.spec.metadata.description.clone(),
            severity: self.severity,
            node: node.name.clone(),
            template: template.to_owned(),
            channels: Vec::new(),
            since: now,
            repeats: 0,
            guard: None,
            dry_run: false,
            metrics: node.metrics.clone(),
            conditions: conditions.map(|condition| input(condition, node)).collect(),
            actions,
            muted: None,
            notice: None,
        }
    }
}

/// What stands in a rule's JSON beside `metadata` and `spec`.
struct Beside<'a> {
    object: &'a Map<String, Value>,
    doubts: &'a mut Vec<String>,
}

impl Beside<'_> {
    /// The text under the first of these keys that has one.
    fn text(&mut self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| match self.object.get(*key)? {
            Value::Null => None,
            Value::String(text) => (!text.trim().is_empty()).then(|| text.trim().to_owned()),
            other => {
                let found = kind_of(other);
                self.doubts
                    .push(format!("RULE_JSON: {key}: expected a text, found {found}"));
                None
            }
        })
    }
}

/// The severity of this name; without one, and for one that is not known, a warning.
fn severity(name: &str, doubts: &mut Vec<String>) -> Severity {
    let name = name.trim();
    let known = Severity::parse(&name.to_lowercase());
    if known.is_none() && !name.is_empty() {
        doubts.push(format!(
            "RULE_JSON: severity: expected info, warning or critical, found {name:?}"
        ));
    }
    known.unwrap_or(Severity::Warning)
}

/// A condition without a duration that can be read is told of as one without any.
fn check_durations(spec: &RuleSpec, doubts: &mut Vec<String>) {
    let all = spec.conditions.iter().chain(&spec.recovery_conditions);
    for duration in all.map(|condition| condition.duration.as_str()) {
        if !duration.is_empty() && ng_config::duration::parse(duration).is_err() {
            doubts.push(format!(
                "RULE_JSON: duration: expected one such as \"5m\", found {duration:?}"
            ));
        }
    }
}

/// What the existing scripts read of a rule, where the rest of it cannot be read.
fn outline(spec: &Value) -> RuleSpec {
    let text = |key: &str| {
        spec["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let mut outline = RuleSpec::default();
    outline.metadata.description = text("description");
    outline.metadata.severity = text("severity");
    outline
}

/// What is told; the existing scripts put it beside the rule's own fields.
fn kind(value: Option<&Value>) -> Result<AlertKind, String> {
    match value {
        None | Some(Value::Null) => Ok(AlertKind::Trigger),
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| format!("type: expected trigger, repeat or recovery, found {value}")),
    }
}

/// A node of the call.
#[derive(Debug, Default, PartialEq)]
struct NodeArgument {
    name: String,
    metrics: BTreeMap<String, f64>,
}

/// Names, or objects with a name and, where they are known, metrics; one alone need not be in a list.
fn read_nodes(json: &str, doubts: &mut Vec<String>) -> Result<Vec<NodeArgument>, String> {
    list(parse(json)?)
        .iter()
        .map(|value| {
            let name = match value {
                Value::String(name) => Some(name.as_str()),
                Value::Object(node) => ["name", "nodeName"]
                    .iter()
                    .find_map(|key| node.get(*key)?.as_str())
                    .or_else(|| node.get("metadata")?["name"].as_str()),
                _ => None,
            };
            let name = name.filter(|name| !name.trim().is_empty()).ok_or_else(|| {
                let found = kind_of(value);
                format!("expected names of nodes, or objects such as {{\"name\": \"node-1\"}}, found {found}")
            })?;
            Ok(NodeArgument {
                name: name.trim().to_owned(),
                metrics: read_metrics(value.get("metrics"), doubts),
            })
        })
        .collect()
}

/// Numbers by name, also such as stand in quotes.
fn read_metrics(value: Option<&Value>, doubts: &mut Vec<String>) -> BTreeMap<String, f64> {
    let metrics = match value {
        None | Some(Value::Null) => return BTreeMap::new(),
        Some(Value::Object(metrics)) => metrics,
        Some(other) => {
            let found = kind_of(other);
            doubts.push(format!(
                "NODES_JSON: metrics: expected an object such as {{\"cpuLoadRatio\": 1.5}}, found {found}"
            ));
            return BTreeMap::new();
        }
    };
    let known = metrics.iter().filter(|(_, value)| !value.is_null());
    let mut read = |(name, value): (&String, &Value)| {
        let number = number(value);
        if number.is_none() {
            doubts.push(format!(
                "NODES_JSON: metrics.{name}: expected a number, found {value}"
            ));
        }
        Some((name.clone(), number?))
    };
    known.filter_map(&mut read).collect()
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

fn read_channels(json: &str) -> Result<Vec<ChannelSpec>, String> {
    list(parse(json)?)
        .into_iter()
        .map(|value| serde_json::from_value(value).map_err(|error| error.to_string()))
        .collect()
}

fn parse(json: &str) -> Result<Value, String> {
    serde_json::from_str(json).map_err(|error| format!("not JSON: {error}"))
}

/// The items of a list; nothing for null; a value alone is a list of one.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        alone => vec![alone],
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(text) if text.trim().is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A condition with what the call knows of it.
fn input(condition: &ConditionSpec, node: &NodeArgument) -> Input {
    let value = match &condition.value {
        Some(ng_engine::spec::Scalar::Text(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let test = if condition.metric.is_empty() {
        format!(
            "{} is {}",
            condition.node_condition,
            condition.status.join(" or ")
        )
    } else {
        let known = Comparison::parse(&condition.operator).map(Comparison::sign);
        let sign = known.unwrap_or(&condition.operator);
        format!("{} {sign} {value}", condition.metric)
    };
    let seen = match node.metrics.get(&condition.metric) {
        Some(value) => Seen::Value {
            value: *value,
            age: 0,
            origin: "call".to_owned(),
        },
        None => Seen::Unknown(String::new()),
    };
    let needed = ng_config::duration::parse(&condition.duration).unwrap_or_default();
    let description = condition.description.trim();
    Input {
        test,
        description: (!description.is_empty()).then(|| description.to_owned()),
        seen,
        true_for: None,
        needed: ng_engine::time::millis(needed),
        verdict: Verdict::Holds,
    }
}

/// An action in words.
fn note(action: &ActionSpec) -> ActionNote {
    let pairs = |all: &BTreeMap<String, String>| {
        let pairs: Vec<String> = all
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.join(", ")
    };
    let what = if let Some(taint) = &action.taint {
        let value = taint
            .value
            .as_deref()
            .map_or(String::new(), |value| format!("={value}"));
        format!("{}{value}:{}", taint.key, taint.effect)
    } else if let Some(label) = &action.label {
        pairs(&label.labels)
    } else if let Some(annotation) = &action.annotation {
        pairs(&annotation.annotations)
    } else if let Some(alert) = &action.alert {
        alert.template.clone()
    } else {
        String::new()
    };
    ActionNote {
        kind: action.kind.clone(),
        description: format!("{} {what}", action.kind).trim().to_owned(),
    }
}
