//! What is expected, and when.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::doc::{Doc, Fields};
use super::objects::{TaintText, pairs, taints};

/// Expectations at one time.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    /// Where it stands in the file.
    pub(crate) path: String,
    /// The start of what is counted.
    pub(crate) from: Duration,
    /// When it is looked at, and the end of what is counted.
    pub(crate) at: Duration,
    pub(crate) rule: Option<String>,
    /// A node, or a pattern of nodes.
    pub(crate) node: Option<String>,
    pub(crate) checks: Vec<Check>,
}

impl Expect {
    /// Whether it only makes sense for one rule.
    pub(crate) fn needs_rule(&self) -> bool {
        let needs =
            |check: &Check| matches!(check, Check::Phase(_) | Check::Guard(_) | Check::Status(..));
        self.checks.iter().any(needs)
    }
}

/// One expectation.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    Phase(Phase),
    /// `None`: nothing is held back.
    Guard(Option<String>),
    Taint(TaintText, bool),
    Label(String, Option<String>),
    Annotation(String, Option<String>),
    Unschedulable(bool),
    /// Pods by `namespace/name`, in any order.
    Evicted(Vec<String>),
    EvictedCount(Count),
    /// Of a type, or of any.
    Alerts(Option<String>, Count),
    /// The most nodes that carried a taint or a cordon of ours at once.
    Held(Count),
    /// Of objects of a kind, or of any.
    Patches(Option<String>, Count),
    /// A field of the rule's status.
    Status(String, Value),
    /// The status of a condition in the rule's status.
    StatusCondition(String, String),
}

/// Where a node stands under a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Healthy,
    Pending,
    Triggered,
    Recovering,
}

impl Phase {
    const ALL: [Self; 4] = [
        Self::Healthy,
        Self::Pending,
        Self::Triggered,
        Self::Recovering,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Pending => "Pending",
            Self::Triggered => "Triggered",
            Self::Recovering => "Recovering",
        }
    }
}

/// A number that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Exactly(usize),
    AtLeast(usize),
    AtMost(usize),
}

impl Count {
    pub(crate) fn accepts(self, found: usize) -> bool {
        match self {
            Self::Exactly(count) => found == count,
            Self::AtLeast(count) => found >= count,
            Self::AtMost(count) => found <= count,
        }
    }

    fn read(doc: &Doc<'_>) -> Option<Self> {
        let text = doc.value().as_str().map(str::trim);
        let number = |text: &str| text.trim().parse().ok();
        let count = match text {
            None => doc
                .value()
                .as_u64()
                .and_then(|count| usize::try_from(count).ok())
                .map(Self::Exactly),
            Some(text) => match (text.strip_prefix(">="), text.strip_prefix("<=")) {
                (Some(text), _) => number(text).map(Self::AtLeast),
                (_, Some(text)) => number(text).map(Self::AtMost),
                (None, None) => number(text).map(Self::Exactly),
            },
        };
        if count.is_none() {
            doc.expected("a number such as 2, \">=2\" or \"<=2\"");
        }
        count
    }
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(out, "{count}"),
            Self::AtLeast(count) => write!(out, "at least {count}"),
            Self::AtMost(count) => write!(out, "at most {count}"),
        }
    }
}

pub(super) const KEYS: &[&str] = &[
    "at",
    "from",
    "rule",
    "node",
    "phase",
    "guard",
    "taints",
    "noTaints",
    "labels",
    "annotations",
    "unschedulable",
    "evicted",
    "alerts",
    "held",
    "patches",
    "status",
];

/// Reads the list of expectations.
pub(crate) fn read(doc: Option<Doc<'_>>) -> Vec<Expect> {
    let mut expects = Vec::new();
    let items = doc.map_or_else(Vec::new, |doc| doc.items());
    for (index, item) in items.iter().enumerate() {
        let Some(fields) = item.fields(KEYS) else {
            continue;
        };
        let text = |key: &str| fields.get(key).and_then(|doc| doc.text());
        let checks = checks(&fields);
        let node = text("node");
        if !KEYS[4..].iter().any(|key| fields.get(key).is_some()) {
            let expected = KEYS[4..].join(", ");
            item.problem(&format!("nothing is expected; expected one of {expected}"));
        }
        if node.is_none() && checks.iter().any(needs_node) {
            item.problem("the key \"node\" is missing");
        }
        let at = fields
            .need("at")
            .and_then(|doc| doc.duration())
            .unwrap_or_default();
        let from = fields
            .get("from")
            .and_then(|doc| doc.duration())
            .unwrap_or_default();
        if from > at {
            item.problem("\"from\" is after \"at\"");
        }
        expects.push(Expect {
            path: format!("expect[{index}]"),
            from,
            at,
            rule: text("rule"),
            node,
            checks,
        });
    }
    expects
}

fn needs_node(check: &Check) -> bool {
    match check {
        Check::Phase(_)
        | Check::Guard(_)
        | Check::Taint(..)
        | Check::Label(..)
        | Check::Annotation(..)
        | Check::Unschedulable(_) => true,
        Check::Evicted(_)
        | Check::EvictedCount(_)
        | Check::Alerts(..)
        | Check::Held(_)
        | Check::Patches(..)
        | Check::Status(..)
        | Check::StatusCondition(..) => false,
    }
}

fn checks(fields: &Fields<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(
        fields
            .get("phase")
            .and_then(|doc| phase(&doc))
            .map(Check::Phase),
    );
    checks.extend(fields.get("guard").and_then(|doc| guard(&doc)));
    for (key, wanted) in [("taints", true), ("noTaints", false)] {
        if let Some(doc) = fields.get(key) {
            checks.extend(
                taints(&doc)
                    .into_iter()
                    .map(|taint| Check::Taint(taint, wanted)),
            );
        }
    }
    let labels = pairs(fields.get("labels")).into_iter();
    checks.extend(labels.map(|(key, value)| Check::Label(key, value)));
    let annotations = pairs(fields.get("annotations")).into_iter();
    checks.extend(annotations.map(|(key, value)| Check::Annotation(key, value)));
    let flag = fields.get("unschedulable").and_then(|doc| doc.flag());
    checks.extend(flag.map(Check::Unschedulable));
    if let Some(doc) = fields.get("evicted") {
        if doc.value().is_array() {
            checks.push(Check::Evicted(doc.texts()));
        } else {
            checks.extend(Count::read(&doc).map(Check::EvictedCount));
        }
    }
    if let Some(doc) = fields.get("alerts") {
        let counted = counted(&doc, &["type", "count"], "type");
        checks.extend(counted.map(|(kind, count)| Check::Alerts(kind, count)));
    }
    let held = fields.get("held").and_then(|doc| Count::read(&doc));
    checks.extend(held.map(Check::Held));
    if let Some(doc) = fields.get("patches") {
        let counted = counted(&doc, &["kind", "count"], "kind");
        checks.extend(counted.map(|(kind, count)| Check::Patches(kind, count)));
    }
    for (key, doc) in fields
        .get("status")
        .map_or_else(Vec::new, |doc| doc.entries())
    {
        if key == "conditions" {
            for (kind, doc) in doc.entries() {
                let status = super::objects::status(&doc);
                checks.extend(status.map(|status| Check::StatusCondition(kind.to_owned(), status)));
            }
        } else {
            checks.push(Check::Status(key.to_owned(), doc.value().clone()));
        }
    }
    checks
}

fn phase(doc: &Doc<'_>) -> Option<Phase> {
    let text = doc.value().as_str().unwrap_or_default();
    let phase = Phase::ALL.into_iter().find(|phase| phase.word() == text);
    if phase.is_none() {
        doc.expected("Healthy, Pending, Triggered or Recovering");
    }
    phase
}

fn guard(doc: &Doc<'_>) -> Option<Check> {
    const GUARDS: [&str; 5] = ["paused", "dryRun", "ignored", "controlPlane", "maxNodes"];
    match doc.value().as_str() {
        Some("none") => Some(Check::Guard(None)),
        Some(word) if GUARDS.contains(&word) => Some(Check::Guard(Some(word.to_owned()))),
        _ => {
            doc.expected(&format!("one of none, {}", GUARDS.join(", ")));
            None
        }
    }
}

/// A count, or a count of one kind.
fn counted(
    doc: &Doc<'_>,
    keys: &'static [&'static str],
    kind: &str,
) -> Option<(Option<String>, Count)> {
    if !doc.value().is_object() {
        return Some((None, Count::read(doc)?));
    }
    let fields = doc.fields(keys)?;
    let count = Count::read(&fields.need("count")?)?;
    let kind = fields.get(kind);
    if let Some(kind) = kind.as_ref().filter(|_| keys[0] == "type")
        && !["trigger", "repeat", "recovery"].contains(&kind.value().as_str().unwrap_or_default())
    {
        kind.expected("trigger, repeat or recovery");
    }
    Some((kind.and_then(|doc| doc.text()), count))
}
