//! What happens besides the hook: people, nodes, outages.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::ReadFile;
use super::doc::{Doc, Fields};
use super::objects::{self, Node, TaintText, pairs, status, taints};

/// Things that happen at one time.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Since the start.
    pub(crate) at: Duration,
    /// Where it stands in the file.
    pub(crate) path: String,
    /// What people would say; empty: the changes speak for themselves.
    pub(crate) note: String,
    pub(crate) changes: Vec<Change>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    PatchNode(String, NodePatch),
    AddNode(Vec<Node>),
    DeleteNode(String),
    /// A new node of the same name, as it was at the start.
    ReplaceNode(String),
    /// A merge patch of a rule's spec.
    EditRule(String, Value),
    AddRule(Vec<Value>),
    DeleteRule(String),
    /// A merge patch of the configuration.
    Configure(Value),
    /// Whether Prometheus answers.
    Prometheus(bool),
    /// Whether the controller runs.
    Controller(bool),
    /// Allowed disruptions of a budget.
    Budget(String, usize),
    /// The state directory is emptied.
    WipeState,
    /// Whether what the hook writes gets lost.
    LosePatches(bool),
    /// How many ticks old snapshots are.
    DelaySnapshots(usize),
    /// Whether snapshots lack the rules, as when shell-operator loses its cache.
    HideRules(bool),
}

impl Change {
    /// The rule that it speaks of.
    pub(crate) fn rule(&self) -> Option<&str> {
        match self {
            Self::EditRule(name, _) | Self::DeleteRule(name) => Some(name),
            _ => None,
        }
    }

    /// The budget that it speaks of.
    pub(crate) fn budget(&self) -> Option<&str> {
        match self {
            Self::Budget(name, _) => Some(name),
            _ => None,
        }
    }

    /// The node, or pattern of nodes, that it speaks of.
    pub(crate) fn node(&self) -> Option<&str> {
        match self {
            Self::PatchNode(name, _) | Self::DeleteNode(name) | Self::ReplaceNode(name) => {
                Some(name)
            }
            _ => None,
        }
    }
}

/// A change of nodes by someone else.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodePatch {
    pub(crate) labels: BTreeMap<String, Option<String>>,
    pub(crate) annotations: BTreeMap<String, Option<String>>,
    pub(crate) add_taints: Vec<TaintText>,
    pub(crate) remove_taints: Vec<TaintText>,
    pub(crate) unschedulable: Option<bool>,
    pub(crate) conditions: BTreeMap<String, String>,
}

pub(super) const KEYS: &[&str] = &[
    "at",
    "note",
    "patchNode",
    "addNode",
    "deleteNode",
    "replaceNode",
    "editRule",
    "addRule",
    "disableRule",
    "enableRule",
    "deleteRule",
    "configure",
    "prometheus",
    "controller",
    "budget",
    "wipeState",
    "losePatches",
    "delaySnapshots",
    "hideRules",
];

pub(super) fn read(doc: Option<Doc<'_>>, read: ReadFile<'_>) -> Vec<Event> {
    let Some(doc) = doc else { return Vec::new() };
    let mut events = Vec::new();
    for (index, item) in doc.items().iter().enumerate() {
        let Some(fields) = item.fields(KEYS) else {
            continue;
        };
        let changes = changes(&fields, read);
        let known = KEYS.len() - 2;
        if changes.is_empty()
            && fields
                .doc()
                .value()
                .as_object()
                .is_some_and(|map| map.len() < 2)
        {
            let expected = KEYS[KEYS.len() - known..].join(", ");
            item.problem(&format!("nothing happens; expected one of {expected}"));
        }
        events.push(Event {
            at: fields
                .need("at")
                .and_then(|doc| doc.duration())
                .unwrap_or_default(),
            path: format!("events[{index}]"),
            note: fields
                .get("note")
                .and_then(|doc| doc.text())
                .unwrap_or_default(),
            changes,
        });
    }
    events
}

fn changes(fields: &Fields<'_>, read: ReadFile<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let text = |key: &str| fields.get(key).and_then(|doc| doc.text());
    let flag = |key: &str| fields.get(key).and_then(|doc| doc.flag());
    changes.extend(fields.get("patchNode").and_then(|doc| patch(&doc)));
    if let Some(doc) = fields.get("addNode") {
        changes.push(Change::AddNode(objects::nodes(Some(doc)).0));
    }
    changes.extend(text("deleteNode").map(Change::DeleteNode));
    changes.extend(text("replaceNode").map(Change::ReplaceNode));
    changes.extend(fields.get("editRule").and_then(|doc| edit(&doc)));
    if let Some(doc) = fields.get("addRule") {
        changes.push(Change::AddRule(objects::rules(Some(doc), read)));
    }
    for (key, enabled) in [("disableRule", false), ("enableRule", true)] {
        let spec = serde_json::json!({"metadata": {"enabled": enabled}});
        changes.extend(text(key).map(|name| Change::EditRule(name, spec)));
    }
    changes.extend(text("deleteRule").map(Change::DeleteRule));
    if let Some(doc) = fields.get("configure") {
        changes.push(Change::Configure(doc.value().clone()));
    }
    for (key, change) in [
        ("prometheus", Change::Prometheus as fn(bool) -> Change),
        ("controller", Change::Controller),
    ] {
        if let Some(doc) = fields.get(key) {
            match doc.value().as_str() {
                Some("up") => changes.push(change(true)),
                Some("down") => changes.push(change(false)),
                _ => doc.expected("\"up\" or \"down\""),
            }
        }
    }
    changes.extend(fields.get("budget").and_then(|doc| budget(&doc)));
    changes.extend(flag("wipeState").map(|_| Change::WipeState));
    changes.extend(flag("losePatches").map(Change::LosePatches));
    let ticks = fields.get("delaySnapshots").and_then(|doc| doc.count());
    changes.extend(ticks.map(Change::DelaySnapshots));
    changes.extend(flag("hideRules").map(Change::HideRules));
    changes
}

fn patch(doc: &Doc<'_>) -> Option<Change> {
    const KEYS: &[&str] = &[
        "name",
        "labels",
        "annotations",
        "addTaints",
        "removeTaints",
        "unschedulable",
        "conditions",
    ];
    let fields = doc.fields(KEYS)?;
    let list = |key: &str| fields.get(key).map_or_else(Vec::new, |doc| taints(&doc));
    let mut conditions = BTreeMap::new();
    for (condition, doc) in fields
        .get("conditions")
        .map_or_else(Vec::new, |doc| doc.entries())
    {
        conditions.extend(status(&doc).map(|status| (condition.to_owned(), status)));
    }
    let patch = NodePatch {
        labels: pairs(fields.get("labels")),
        annotations: pairs(fields.get("annotations")),
        add_taints: list("addTaints"),
        remove_taints: list("removeTaints"),
        unschedulable: fields.get("unschedulable").and_then(|doc| doc.flag()),
        conditions,
    };
    Some(Change::PatchNode(fields.need("name")?.text()?, patch))
}

fn edit(doc: &Doc<'_>) -> Option<Change> {
    let fields = doc.fields(&["name", "spec"])?;
    let spec = fields.need("spec")?.value().clone();
    Some(Change::EditRule(fields.need("name")?.text()?, spec))
}

fn budget(doc: &Doc<'_>) -> Option<Change> {
    let fields = doc.fields(&["name", "allowed"])?;
    let allowed = fields.need("allowed")?.count()?;
    Some(Change::Budget(fields.need("name")?.text()?, allowed))
}
