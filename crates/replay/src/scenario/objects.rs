//! The objects of a scenario: rules, templates, nodes, pods and budgets.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ng_engine::spec::{API_VERSION, RULE_KIND, TEMPLATE_KIND};
use serde_json::{Value, json};

use super::ReadFile;
use super::doc::{Doc, Fields};
use super::events::{Change, Event, NodePatch};

/// A taint as kubectl writes it: `key=value:Effect` or `key:Effect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaintText {
    pub(crate) key: String,
    /// `None`: any value.
    pub(crate) value: Option<String>,
    /// `None`: any effect.
    pub(crate) effect: Option<String>,
}

impl TaintText {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (left, effect) = match text.rsplit_once(':') {
            Some((left, effect)) => (left, Some(effect)),
            None => (text, None),
        };
        let (key, value) = match left.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (left, None),
        };
        let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if key.is_empty() || effect.is_some_and(|effect| !known.contains(&effect)) {
            return None;
        }
        Some(Self {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            effect: effect.map(str::to_owned),
        })
    }

    /// Whether a taint of a node is meant.
    pub(crate) fn fits(&self, taint: &Value) -> bool {
        let text = |key: &str| taint[key].as_str().unwrap_or_default();
        text("key") == self.key
            && self
                .value
                .as_deref()
                .is_none_or(|value| text("value") == value)
            && self
                .effect
                .as_deref()
                .is_none_or(|effect| text("effect") == effect)
    }

    /// The taint as it stands in a node.
    pub(crate) fn to_json(&self) -> Value {
        let effect = self.effect.as_deref().unwrap_or("NoSchedule");
        json!({"key": self.key, "value": self.value.as_deref().unwrap_or_default(), "effect": effect})
    }
}

impl fmt::Display for TaintText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.key)?;
        if let Some(value) = self.value.as_deref().filter(|value| !value.is_empty()) {
            write!(out, "={value}")?;
        }
        match &self.effect {
            Some(effect) => write!(out, ":{effect}"),
            None => Ok(()),
        }
    }
}

/// Taints in kubectl's form.
pub(super) fn taints(doc: &Doc<'_>) -> Vec<TaintText> {
    let mut taints = Vec::new();
    for text in doc.texts() {
        match TaintText::parse(&text) {
            Some(taint) => taints.push(taint),
            None => doc.problem(&format!(
                "expected a taint such as \"dedicated=batch:NoSchedule\", found {text:?}"
            )),
        }
    }
    taints
}

/// Keys and values; a value of `null` is `None`.
pub(super) fn pairs(doc: Option<Doc<'_>>) -> BTreeMap<String, Option<String>> {
    let entries = doc.map_or_else(Vec::new, |doc| doc.entries());
    let pair = |(key, doc): (&str, Doc<'_>)| {
        let value = if doc.value().is_null() {
            None
        } else {
            doc.text()
        };
        (key.to_owned(), value)
    };
    entries.into_iter().map(pair).collect()
}

fn texts(doc: Option<Doc<'_>>) -> BTreeMap<String, String> {
    pairs(doc)
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

/// A node at the start, or when it is added.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) taints: Vec<TaintText>,
    pub(crate) unschedulable: bool,
    pub(crate) conditions: BTreeMap<String, String>,
}

pub(super) const NODE_KEYS: &[&str] = &[
    "name",
    "count",
    "labels",
    "annotations",
    "taints",
    "unschedulable",
    "conditions",
];

/// The nodes, and the events that later statuses of their conditions amount to.
pub(super) fn nodes(doc: Option<Doc<'_>>) -> (Vec<Node>, Vec<Event>) {
    let mut nodes = Vec::new();
    let mut events = Vec::new();
    for fields in doc.map_or_else(Vec::new, |doc| listed(&doc, NODE_KEYS)) {
        let (conditions, later) = conditions(fields.get("conditions"));
        for name in names(&fields) {
            for (at, condition, status) in &later {
                let patch = NodePatch {
                    conditions: [(condition.clone(), status.clone())].into(),
                    ..NodePatch::default()
                };
                events.push(Event {
                    at: *at,
                    path: "nodes".to_owned(),
                    note: format!("{condition} becomes {status}"),
                    changes: vec![Change::PatchNode(name.clone(), patch)],
                });
            }
            let flag = fields.get("unschedulable").and_then(|doc| doc.flag());
            nodes.push(Node {
                name,
                labels: texts(fields.get("labels")),
                annotations: texts(fields.get("annotations")),
                taints: fields
                    .get("taints")
                    .map_or_else(Vec::new, |doc| taints(&doc)),
                unschedulable: flag.unwrap_or_default(),
                conditions: conditions.clone(),
            });
        }
    }
    (nodes, events)
}

type Later = Vec<(Duration, String, String)>;

/// `Ready: "True"`, or `Ready: {0s: "True", 5m: Unknown}`.
fn conditions(doc: Option<Doc<'_>>) -> (BTreeMap<String, String>, Later) {
    let mut first = BTreeMap::from([("Ready".to_owned(), "True".to_owned())]);
    let mut later = Vec::new();
    for (condition, doc) in doc.map_or_else(Vec::new, |doc| doc.entries()) {
        if !doc.value().is_object() {
            if let Some(status) = status(&doc) {
                first.insert(condition.to_owned(), status);
            }
            continue;
        }
        for (at, doc) in doc.entries() {
            match (super::doc::duration(at), status(&doc)) {
                (Some(at), Some(status)) if at.is_zero() => {
                    first.insert(condition.to_owned(), status);
                }
                (Some(at), Some(status)) => later.push((at, condition.to_owned(), status)),
                (None, _) => doc.problem("expected a duration such as 5m as the key"),
                (_, None) => {}
            }
        }
    }
    (first, later)
}

/// The status of a condition.
pub(super) fn status(doc: &Doc<'_>) -> Option<String> {
    let text = match doc.value() {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        _ => doc.text()?,
    };
    if ["True", "False", "Unknown"].contains(&text.as_str()) {
        return Some(text);
    }
    doc.expected("\"True\", \"False\" or \"Unknown\"");
    None
}

/// The items of a list as mappings; a single mapping is a list of one.
pub(super) fn listed<'a>(doc: &Doc<'a>, keys: &'static [&'static str]) -> Vec<Fields<'a>> {
    let items = if doc.value().is_object() {
        vec![doc.clone()]
    } else {
        doc.items()
    };
    items.iter().filter_map(|item| item.fields(keys)).collect()
}

/// The names that `name` and `count` make; `{i}` is the number, `{i:03}` with leading zeros.
fn names(fields: &Fields<'_>) -> Vec<String> {
    const MOST: usize = 20_000;
    let Some(name) = fields.need("name") else {
        return Vec::new();
    };
    let Some(text) = name.text() else {
        return Vec::new();
    };
    let Some(doc) = fields.get("count") else {
        if text.contains('{') {
            name.problem(&format!(
                "{text:?} has a number, but the key \"count\" is missing"
            ));
        }
        return vec![text];
    };
    let Some(count) = doc.count() else {
        return Vec::new();
    };
    if count > MOST {
        doc.expected(&format!("at most {MOST}"));
        return Vec::new();
    }
    let Some((before, width, after)) = numbered(&text) else {
        name.expected("a name with the number's place, such as \"node-{i:03}\"");
        return Vec::new();
    };
    (1..=count)
        .map(|number| format!("{before}{number:0width$}{after}"))
        .collect()
}

fn numbered(text: &str) -> Option<(&str, usize, &str)> {
    let (before, rest) = text.split_once("{i")?;
    let (form, after) = rest.split_once('}')?;
    let width = match form.strip_prefix(":0") {
        Some(width) => width.parse().ok().filter(|width| *width <= 9)?,
        None if form.is_empty() => 0,
        None => return None,
    };
    Some((before, width, after))
}

/// A pod at the start.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) node: String,
    /// `None`: nothing would bring it back.
    pub(crate) owner: Option<String>,
    pub(crate) priority: i64,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) phase: String,
    pub(crate) mirror: bool,
    pub(crate) empty_dir: bool,
    pub(crate) grace: Duration,
}

pub(super) const POD_KEYS: &[&str] = &[
    "namespace",
    "name",
    "count",
    "node",
    "owner",
    "priority",
    "labels",
    "phase",
    "mirror",
    "emptyDir",
    "grace",
];

pub(super) fn pods(doc: Option<Doc<'_>>) -> Vec<Pod> {
    const GRACE: Duration = Duration::from_secs(30);
    let mut pods = Vec::new();
    for fields in doc.map_or_else(Vec::new, |doc| listed(&doc, POD_KEYS)) {
        let text = |key: &str| fields.get(key).and_then(|doc| doc.text());
        let flag = |key: &str| fields.get(key).and_then(|doc| doc.flag());
        let owner = text("owner").unwrap_or_else(|| "ReplicaSet".to_owned());
        let node = fields.need("node").and_then(|doc| doc.text());
        for name in names(&fields) {
            pods.push(Pod {
                namespace: text("namespace").unwrap_or_else(|| "default".to_owned()),
                name,
                node: node.clone().unwrap_or_default(),
                owner: (owner != "none").then(|| owner.clone()),
                priority: fields
                    .get("priority")
                    .and_then(|doc| doc.integer())
                    .unwrap_or_default(),
                labels: texts(fields.get("labels")),
                phase: text("phase").unwrap_or_else(|| "Running".to_owned()),
                mirror: flag("mirror").unwrap_or_default(),
                empty_dir: flag("emptyDir").unwrap_or_default(),
                grace: fields
                    .get("grace")
                    .and_then(|doc| doc.duration())
                    .unwrap_or(GRACE),
            });
        }
    }
    pods
}

/// A disruption budget.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    pub(crate) name: String,
    pub(crate) namespace: String,
    /// Labels that the pods must have.
    pub(crate) selector: BTreeMap<String, String>,
    /// Patterns of pod names; empty: the selector decides.
    pub(crate) pods: Vec<String>,
    /// How many pods may be on their way out at a time.
    pub(crate) allowed: usize,
}

pub(super) fn budgets(doc: Option<Doc<'_>>) -> Vec<Budget> {
    const KEYS: &[&str] = &["name", "namespace", "selector", "pods", "allowed"];
    let mut budgets = Vec::new();
    for fields in doc.map_or_else(Vec::new, |doc| listed(&doc, KEYS)) {
        let selector = texts(fields.get("selector"));
        let pods = fields.get("pods").map_or_else(Vec::new, |doc| doc.texts());
        if selector.is_empty() && pods.is_empty() {
            fields
                .doc()
                .problem("one of the keys \"selector\" and \"pods\" is missing");
        }
        let namespace = fields.get("namespace").and_then(|doc| doc.text());
        budgets.push(Budget {
            name: fields
                .need("name")
                .and_then(|doc| doc.text())
                .unwrap_or_default(),
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            selector,
            pods,
            allowed: fields
                .need("allowed")
                .and_then(|doc| doc.count())
                .unwrap_or_default(),
        });
    }
    budgets
}

/// Rules: whole objects, `{name, spec}`, or `file: rules.yaml` with one or more documents.
pub(super) fn rules(doc: Option<Doc<'_>>, read: ReadFile<'_>) -> Vec<Value> {
    let Some(doc) = doc else { return Vec::new() };
    let mut rules = Vec::new();
    for item in one_or_more(&doc) {
        if item.value().get("file").is_some() {
            rules.extend(documents(&item, read, RULE_KIND));
        } else {
            rules.extend(rule(&item));
        }
    }
    rules
}

/// Templates take no part in decisions: they are only checked for being readable.
pub(super) fn templates(doc: Option<Doc<'_>>, read: ReadFile<'_>) {
    let Some(doc) = doc else { return };
    for item in one_or_more(&doc) {
        if item.value().get("file").is_some() {
            documents(&item, read, TEMPLATE_KIND);
        } else if item.value()["kind"] != TEMPLATE_KIND {
            item.expected(&format!("an object of kind {TEMPLATE_KIND}, or \"file\""));
        }
    }
}

fn one_or_more<'a>(doc: &Doc<'a>) -> Vec<Doc<'a>> {
    if doc.value().is_object() {
        vec![doc.clone()]
    } else {
        doc.items()
    }
}

fn rule(item: &Doc<'_>) -> Option<Value> {
    const KEYS: &[&str] = &["apiVersion", "kind", "metadata", "name", "spec", "file"];
    let fields = item.fields(KEYS)?;
    let spec = fields.need("spec")?;
    let name = match item.value()["metadata"]["name"].as_str() {
        Some(name) => name.to_owned(),
        None => fields.need("name")?.text()?,
    };
    for (key, expected) in [("apiVersion", API_VERSION), ("kind", RULE_KIND)] {
        if let Some(doc) = fields.get(key).filter(|doc| doc.value() != expected) {
            doc.expected(&format!("{expected:?}"));
        }
    }
    Some(object(&name, spec.value()))
}

fn object(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": RULE_KIND, "metadata": {"name": name}, "spec": spec})
}

/// The objects of a kind in a file; those of the other kind of ours are passed over.
fn documents(item: &Doc<'_>, read: ReadFile<'_>, kind: &str) -> Vec<Value> {
    let Some(doc) = item
        .fields(&["file"])
        .and_then(|fields| fields.need("file"))
    else {
        return Vec::new();
    };
    let Some(path) = doc.text() else {
        return Vec::new();
    };
    let text = match read(&path) {
        Ok(text) => text,
        Err(error) => {
            doc.problem(&format!("{path}: {error}"));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (number, part) in serde_yaml::Deserializer::from_str(&text).enumerate() {
        use serde::Deserialize as _;
        let value = match Value::deserialize(part) {
            Ok(Value::Null) => continue,
            Ok(value) => value,
            Err(error) => {
                doc.problem(&format!("{path}: {error}"));
                return found;
            }
        };
        let written = value["kind"].as_str().unwrap_or_default();
        if written == kind && kind == RULE_KIND {
            let name = value["metadata"]["name"].as_str().unwrap_or_default();
            found.push(object(name, &value["spec"]));
        } else if ![RULE_KIND, TEMPLATE_KIND].contains(&written) {
            doc.problem(&format!(
                "{path}: document {}: expected kind {RULE_KIND} or {TEMPLATE_KIND}, found {written:?}",
                number + 1
            ));
        }
    }
    found
}
