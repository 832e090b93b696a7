//! What only shows when all parts of a scenario are read: names that nothing has, times after the end.

use std::time::Duration;

use serde_json::Value;

use super::doc::Fields;
use super::series::matches;
use super::{Change, Scenario, offset};

/// As many ticks as two days of the shipped schedule have.
const MOST_TICKS: u128 = 40_000;

/// The nodes that exist at some time.
pub(super) fn node_names(scenario: &Scenario) -> impl Iterator<Item = &str> {
    let added = scenario
        .events
        .iter()
        .flat_map(|event| &event.changes)
        .filter_map(|change| match change {
            Change::AddNode(nodes) => Some(nodes),
            _ => None,
        })
        .flatten();
    scenario
        .nodes
        .iter()
        .chain(added)
        .map(|node| node.name.as_str())
}

/// The names of the rules that exist at some time.
fn rule_names(scenario: &Scenario) -> Vec<&str> {
    let added = scenario.events.iter().flat_map(|event| &event.changes);
    let added = added.filter_map(|change| match change {
        Change::AddRule(rules) => Some(rules),
        _ => None,
    });
    let rules = scenario.rules.iter().chain(added.flatten());
    let mut names: Vec<&str> = rules.filter_map(rule_name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn rule_name(rule: &Value) -> Option<&str> {
    rule["metadata"]["name"].as_str()
}

/// The rule that is meant where none is named.
pub(super) fn only_rule(scenario: &Scenario) -> Option<&str> {
    match rule_names(scenario).as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

/// Checks the parts against each other.
pub(super) fn together(fields: &Fields<'_>, scenario: &Scenario) {
    let parts = Parts {
        fields,
        scenario,
        rules: rule_names(scenario),
    };
    parts.length();
    parts.objects();
    parts.events();
    parts.expects();
}

struct Parts<'a> {
    fields: &'a Fields<'a>,
    scenario: &'a Scenario,
    rules: Vec<&'a str>,
}

impl Parts<'_> {
    fn problem(&self, text: &str) {
        self.fields.doc().problem(text);
    }

    fn length(&self) {
        let Scenario {
            duration, interval, ..
        } = self.scenario;
        let ticks = duration.as_millis() / interval.as_millis().max(1);
        // A duration that could not be read was named already.
        if ticks > MOST_TICKS && *duration != Duration::MAX {
            self.problem(&format!(
                "duration and interval make {ticks} ticks, expected at most {MOST_TICKS}"
            ));
        }
    }

    fn objects(&self) {
        let nodes = self.scenario.nodes.iter().map(|node| node.name.as_str());
        self.once("nodes", nodes.collect());
        let rules = self.scenario.rules.iter().filter_map(rule_name);
        self.once("rules", rules.collect());
        for pod in self.scenario.pods.iter().filter(|pod| !pod.node.is_empty()) {
            if !node_names(self.scenario).any(|name| name == pod.node) {
                self.problem(&format!(
                    "pods: {:?} is on {:?}, which is none of the nodes",
                    pod.name, pod.node
                ));
            }
        }
    }

    fn once(&self, what: &str, mut names: Vec<&str>) {
        names.sort_unstable();
        for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
            self.problem(&format!("{what}: {:?} is there twice", pair[0]));
        }
    }

    fn events(&self) {
        let budgets = self.scenario.budgets.iter();
        let budgets: Vec<&str> = budgets.map(|budget| budget.name.as_str()).collect();
        for event in &self.scenario.events {
            self.in_time(&event.path, event.at);
            for change in &event.changes {
                self.known(&event.path, ("budget", change.budget()), &budgets);
                self.known(&event.path, ("rule", change.rule()), &self.rules);
                self.node(&event.path, change.node());
            }
        }
    }

    fn expects(&self) {
        for expect in &self.scenario.expects {
            let path = &expect.path;
            self.in_time(path, expect.at);
            self.known(path, ("rule", expect.rule.as_deref()), &self.rules);
            if expect.needs_rule() && expect.rule.is_none() && self.rules.len() != 1 {
                let count = self.rules.len();
                self.problem(&format!(
                    "{path}: the key \"rule\" is missing, as there are {count} rules"
                ));
            }
            self.node(path, expect.node.as_deref());
        }
    }

    fn in_time(&self, path: &str, at: Duration) {
        if at > self.scenario.duration {
            let end = offset(self.scenario.duration);
            let at = offset(at);
            self.problem(&format!("{path}: at {at} is after the end at {end}"));
        }
    }

    fn known(&self, path: &str, (what, name): (&str, Option<&str>), known: &[&str]) {
        if let Some(name) = name.filter(|name| !known.contains(name)) {
            let known = known.join(", ");
            self.problem(&format!(
                "{path}: no {what} {name:?}; expected one of {known}"
            ));
        }
    }

    fn node(&self, path: &str, pattern: Option<&str>) {
        if let Some(pattern) = pattern
            && !node_names(self.scenario).any(|name| matches(pattern, name))
        {
            self.problem(&format!("{path}: {pattern:?} fits none of the nodes"));
        }
    }
}
