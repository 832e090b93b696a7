//! Compares what came of a scenario with what was expected.

use std::collections::BTreeSet;
use std::time::Duration;

use ng_engine::plan::AlertKind;
use serde::Serialize;
use serde_json::Value;

use super::Tally;
use super::phases::Phases;
use super::world::World;
use crate::node_object::{taint_text, taints};
use crate::scenario::series::matches;
use crate::scenario::{Check, Count, Expect, Scenario, TaintText, offset};

/// The verdict on one expectation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    pub(crate) passed: bool,
    /// Where the expectation stands in the file.
    pub(crate) path: String,
    /// When it was looked at, or the span.
    pub(crate) at: String,
    /// Rule and node.
    pub(crate) subject: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// Expected, found, and whether they agree.
type Told = (String, String, bool);

const NO_NODE: &str = "no such node";

/// What is compared.
pub(super) struct Seen<'a> {
    pub(super) world: &'a World,
    pub(super) phases: &'a Phases,
    pub(super) tally: &'a Tally,
}

/// One verdict for each check, and for each node where the checks concern nodes.
pub(super) fn verdicts(expect: &Expect, scenario: &Scenario, seen: &Seen<'_>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let scene = Scene {
        expect,
        seen,
        rule: expect
            .rule
            .as_deref()
            .or(scenario.only_rule())
            .unwrap_or_default(),
    };
    for check in &expect.checks {
        let (node_names, counts) = scene.nodes(check);
        if counts {
            verdicts.push(scene.verdict(check, ""));
        }
        for node in node_names {
            verdicts.push(scene.verdict(check, &node));
        }
    }
    verdicts
}

struct Scene<'a> {
    expect: &'a Expect,
    seen: &'a Seen<'a>,
    rule: &'a str,
}

impl Scene<'_> {
    /// The nodes that a check looks at one by one, or whether it looks at everything at once.
    fn nodes(&self, check: &Check) -> (Vec<String>, bool) {
        let single = matches!(
            check,
            Check::Phase(_)
                | Check::Guard(_)
                | Check::Taint(..)
                | Check::Label(..)
                | Check::Annotation(..)
                | Check::Unschedulable(_)
        );
        if !single {
            return (Vec::new(), true);
        }
        let pattern = self.expect.node.as_deref().unwrap_or("*");
        let names: Vec<String> = self
            .seen
            .world
            .nodes
            .keys()
            .filter(|name| matches(pattern, name))
            .cloned()
            .collect();
        if names.is_empty() {
            return (vec![pattern.to_owned()], false);
        }
        (names, false)
    }

    fn verdict(&self, check: &Check, node: &str) -> Verdict {
        let (expected, found, passed) = match self.node(check, node) {
            Some(told) => told,
            None => self.counted(check),
        };
        let mut subject: Vec<&str> = Vec::new();
        if !self.rule.is_empty() && (self.expect.needs_rule() || self.expect.rule.is_some()) {
            subject.push(self.rule);
        }
        let node = if node.is_empty() {
            self.expect.node.as_deref().unwrap_or_default()
        } else {
            node
        };
        if !node.is_empty() {
            subject.push(node);
        }
        let at = if self.expect.from.is_zero() {
            offset(self.expect.at)
        } else {
            format!("{}..{}", offset(self.expect.from), offset(self.expect.at))
        };
        Verdict {
            passed,
            path: self.expect.path.clone(),
            at,
            subject: subject.join(" on "),
            expected,
            found,
        }
    }

    /// Expected, found, and whether they agree, for checks of one node.
    fn node(&self, check: &Check, node: &str) -> Option<Told> {
        let object = self.seen.world.nodes.get(node).map(|kept| &kept.object);
        Some(match check {
            Check::Phase(phase) => {
                let found = self.seen.phases.phase(self.rule, node);
                let (wanted, found_word) = (phase.word(), found.word());
                (wanted.to_owned(), found_word.to_owned(), found == *phase)
            }
            Check::Guard(guard) => {
                let found = self.seen.phases.guard(self.rule, node);
                let told = |guard: Option<&str>| format!("guard {}", guard.unwrap_or("none"));
                let wanted = guard.as_deref();
                (told(wanted), told(found), found == wanted)
            }
            Check::Taint(taint, wanted) => tainted(object, taint, *wanted),
            Check::Label(key, value) => paired(object, ("label", key), value.as_deref()),
            Check::Annotation(key, value) => paired(object, ("annotation", key), value.as_deref()),
            Check::Unschedulable(wanted) => {
                let word = |flag: bool| if flag { "cordoned" } else { "not cordoned" };
                let found = object.map(|object| object["spec"]["unschedulable"] == true);
                let told = found.map_or(NO_NODE, word).to_owned();
                (word(*wanted).to_owned(), told, found == Some(*wanted))
            }
            Check::Evicted(_)
            | Check::EvictedCount(_)
            | Check::Alerts(..)
            | Check::Held(_)
            | Check::Patches(..)
            | Check::Status(..)
            | Check::StatusCondition(..) => return None,
        })
    }

    /// The same for checks that count, and for those of a rule's status.
    fn counted(&self, check: &Check) -> Told {
        match check {
            Check::Evicted(wanted) => {
                let found = self.evicted();
                let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
                let told = |pods: &BTreeSet<&str>| {
                    let pods: Vec<&str> = pods.iter().copied().collect();
                    format!("evicted [{}]", pods.join(", "))
                };
                (told(&wanted), told(&found), found == wanted)
            }
            Check::EvictedCount(count) => compare("evicted pods", *count, self.evicted().len()),
            Check::Alerts(kind, count) => {
                let found = self.alerts(kind.as_deref());
                let what = kind
                    .as_ref()
                    .map_or_else(|| "alerts".to_owned(), |kind| format!("{kind} alerts"));
                compare(&what, *count, found)
            }
            Check::Held(count) => compare("nodes held at once", *count, self.held()),
            Check::Patches(kind, count) => {
                let found = self.patches(kind.as_deref());
                let what = kind
                    .as_ref()
                    .map_or_else(|| "patches".to_owned(), |kind| format!("patches of {kind}"));
                compare(&what, *count, found)
            }
            Check::Status(field, wanted) => {
                let found = &self.status()[field];
                let told = |value: &Value| format!("status.{field}: {value}");
                let absent =
                    |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
                let passed = found == wanted || (absent(found) && absent(wanted));
                (told(wanted), told(found), passed)
            }
            Check::StatusCondition(kind, wanted) => self.condition(kind, wanted),
            Check::Phase(_)
            | Check::Guard(_)
            | Check::Taint(..)
            | Check::Label(..)
            | Check::Annotation(..)
            | Check::Unschedulable(_) => (String::new(), String::new(), false),
        }
    }

    fn condition(&self, kind: &str, wanted: &str) -> Told {
        let status = self.status();
        let conditions = status["conditions"].as_array();
        let condition = conditions.and_then(|all| all.iter().find(|one| one["type"] == *kind));
        let found = condition.map_or(&Value::Null, |condition| &condition["status"]);
        let why = condition.map_or("", |condition| {
            condition["reason"].as_str().unwrap_or_default()
        });
        (
            format!("condition {kind}: {wanted:?}"),
            format!("condition {kind}: {found} ({why})"),
            *found == *wanted,
        )
    }

    /// The most nodes that were held at once.
    fn held(&self) -> usize {
        let held = self.seen.tally.held.iter();
        held.filter(|(at, _)| self.is_counted(*at))
            .map(|(_, held)| *held)
            .max()
            .unwrap_or_default()
    }

    fn status(&self) -> Value {
        let rule = self.seen.world.rules.get(self.rule);
        rule.and_then(|rule| rule.get("status"))
            .cloned()
            .unwrap_or_default()
    }

    fn is_counted(&self, at: Duration) -> bool {
        (self.expect.from..=self.expect.at).contains(&at)
    }

    fn is_node(&self, node: &str) -> bool {
        self.expect
            .node
            .as_deref()
            .is_none_or(|pattern| matches(pattern, node))
    }

    fn evicted(&self) -> BTreeSet<&str> {
        let accepted = self.seen.tally.evictions.iter().filter(|(at, asked)| {
            self.is_counted(*at) && asked.refused.is_none() && self.is_node(&asked.node)
        });
        accepted.map(|(_, asked)| asked.pod.as_str()).collect()
    }

    fn alerts(&self, kind: Option<&str>) -> usize {
        let word = |kind: AlertKind| match kind {
            AlertKind::Trigger => "trigger",
            AlertKind::Repeat => "repeat",
            AlertKind::Recovery => "recovery",
        };
        self.seen
            .tally
            .alerts
            .iter()
            .filter(|(at, alert)| {
                self.is_counted(*at)
                    && kind.is_none_or(|kind| word(alert.kind) == kind)
                    && self
                        .expect
                        .rule
                        .as_deref()
                        .is_none_or(|rule| alert.rule == rule)
                    && self.is_node(&alert.node)
            })
            .count()
    }

    fn patches(&self, kind: Option<&str>) -> usize {
        self.seen
            .tally
            .patches
            .iter()
            .filter(|(at, written)| {
                self.is_counted(*at)
                    && kind.is_none_or(|kind| written.kind == kind)
                    && (self.expect.node.is_none()
                        || (written.kind == "Node" && self.is_node(&written.name)))
            })
            .count()
    }
}

fn tainted(object: Option<&Value>, taint: &TaintText, wanted: bool) -> Told {
    let standing = object.map(taints);
    let word = if wanted { "taint" } else { "no taint" };
    let expected = format!("{word} {taint}");
    let Some(standing) = standing else {
        return (expected, NO_NODE.to_owned(), false);
    };
    let is_there = standing.iter().any(|standing| taint.fits(standing));
    let shown: Vec<String> = standing.iter().map(taint_text).collect();
    let found = format!("taints [{}]", shown.join(", "));
    (expected, found, is_there == wanted)
}

/// A label or an annotation.
fn paired(object: Option<&Value>, (word, key): (&str, &str), wanted: Option<&str>) -> Told {
    let told = |value: Option<&str>| match value {
        Some(value) => format!("{word} {key}={value}"),
        None => format!("no {word} {key}"),
    };
    let Some(object) = object else {
        return (told(wanted), NO_NODE.to_owned(), false);
    };
    let found = object["metadata"][format!("{word}s")][key].as_str();
    (told(wanted), told(found), found == wanted)
}

fn compare(what: &str, count: Count, found: usize) -> Told {
    (
        format!("{count} {what}"),
        format!("{found} {what}"),
        count.accepts(found),
    )
}
