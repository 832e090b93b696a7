//! Conditions: a metric against a threshold, or a condition in the node's status.

use crate::rule::{Comparison, Condition, Conditions, Logic, NodeStatus, Test, Threshold};
use crate::spec::{ConditionSpec, Scalar};

use super::nearest::nearest;
use super::problem::{Problems, quote};
use super::{BUILT_IN_METRICS, Defaults, MAX_CONDITIONS};

/// Checks lists of conditions.
pub(super) struct Checker<'a> {
    pub(super) defaults: &'a Defaults,
    pub(super) problems: &'a mut Problems,
}

impl Checker<'_> {
    /// The conditions of the trigger; there must be some.
    pub(super) fn trigger(&mut self, specs: &[ConditionSpec], logic: &str) -> Conditions {
        if specs.is_empty() {
            self.problems.add(
                "spec.conditions",
                "expected at least one condition, found none".to_owned(),
            );
        }
        Conditions {
            logic: self.logic("spec.conditionLogic", logic),
            all: self.all("spec.conditions", specs),
        }
    }

    /// The conditions of the recovery, if there are any.
    pub(super) fn recovery(&mut self, specs: &[ConditionSpec], logic: &str) -> Option<Conditions> {
        let logic = self.logic("spec.recoveryConditionLogic", logic);
        let all = self.all("spec.recoveryConditions", specs);
        (!specs.is_empty()).then_some(Conditions { logic, all })
    }

    fn logic(&mut self, path: &str, text: &str) -> Logic {
        match text {
            "" | "AND" => Logic::And,
            "OR" => Logic::Or,
            _ => {
                self.problems.not_one_of(path, text, &["AND", "OR"]);
                Logic::And
            }
        }
    }

    fn all(&mut self, path: &str, specs: &[ConditionSpec]) -> Vec<Condition> {
        if !self.problems.fits(path, specs, MAX_CONDITIONS) {
            return Vec::new();
        }
        specs
            .iter()
            .enumerate()
            .filter_map(|(index, spec)| self.one(&format!("{path}[{index}]"), spec))
            .collect()
    }

    /// A condition; `None` if a problem was added.
    fn one(&mut self, path: &str, spec: &ConditionSpec) -> Option<Condition> {
        let test = match (spec.metric.is_empty(), spec.node_condition.is_empty()) {
            (false, true) => self.metric(path, spec),
            (true, false) => self.node(path, spec),
            (true, true) => {
                self.problems.add(
                    path,
                    "expected a metric or a nodeCondition, found neither".to_owned(),
                );
                None
            }
            (false, false) => {
                let found = format!(
                    "expected a metric or a nodeCondition, found both: {} and {}",
                    quote(&spec.metric),
                    quote(&spec.node_condition)
                );
                self.problems.add(path, found);
                None
            }
        };
        let duration = self.problems.duration(
            format_args!("{path}.duration"),
            &spec.duration,
            self.defaults.condition_duration,
        );
        test.map(|test| Condition {
            test,
            duration,
            description: spec.description.clone(),
        })
    }

    fn metric(&mut self, path: &str, spec: &ConditionSpec) -> Option<Test> {
        let is_known = self.known_metric(path, &spec.metric);
        let comparison = self.comparison(path, &spec.operator);
        let threshold = self.threshold(path, spec.value.as_ref());
        if !spec.status.is_empty() {
            self.problems.add(
                format_args!("{path}.status"),
                "expected none: a status belongs to a nodeCondition".to_owned(),
            );
            return None;
        }
        is_known.then_some(Test::Metric {
            metric: spec.metric.clone(),
            comparison: comparison?,
            threshold: threshold?,
        })
    }

    fn known_metric(&mut self, path: &str, metric: &str) -> bool {
        let own = &self.defaults.known_metrics;
        let is_known = BUILT_IN_METRICS.contains(&metric) || own.contains(metric);
        if !is_known {
            let known = BUILT_IN_METRICS
                .into_iter()
                .chain(own.iter().map(String::as_str));
            let meant = nearest(metric, known)
                .map(|word| format!("; did you mean {word:?}?"))
                .unwrap_or_default();
            let message = format!(
                "expected one of {} or a name from metrics in the configuration, found {}{meant}",
                BUILT_IN_METRICS.join(", "),
                quote(metric)
            );
            self.problems.add(format_args!("{path}.metric"), message);
        }
        is_known
    }

    fn comparison(&mut self, path: &str, text: &str) -> Option<Comparison> {
        let comparison = Comparison::parse(text);
        if comparison.is_none() {
            let words = Comparison::ALL.map(Comparison::word);
            let signs = Comparison::ALL.map(Comparison::sign);
            // `=` and `=>` are nearer to a sign than to any word.
            let known: Vec<&str> = words.into_iter().chain(signs).collect();
            self.problems
                .not_one_of(format_args!("{path}.operator"), text, &known);
        }
        comparison
    }

    fn threshold(&mut self, path: &str, value: Option<&Scalar>) -> Option<Threshold> {
        let message = match value {
            Some(Scalar::Number(number)) => match Threshold::new(*number) {
                Some(threshold) => return Some(threshold),
                None => "expected a finite number".to_owned(),
            },
            Some(Scalar::Text(text)) if text.trim().parse::<f64>().is_ok_and(f64::is_finite) => {
                format!(
                    "expected a number, found the text {}; write it without quotes",
                    quote(text)
                )
            }
            Some(Scalar::Text(text)) => format!("expected a number, found {}", quote(text)),
            Some(Scalar::Other(what)) => format!("expected a number, found {what}"),
            None => "expected a number, found none".to_owned(),
        };
        self.problems.add(format_args!("{path}.value"), message);
        None
    }

    fn node(&mut self, path: &str, spec: &ConditionSpec) -> Option<Test> {
        self.problems.require(
            format_args!("{path}.nodeCondition"),
            &spec.node_condition,
            super::names::is_key,
            "expected the type of a node condition such as \"Ready\"",
        );
        if !spec.operator.is_empty() || spec.value.is_some() {
            self.problems.add(
                path,
                "expected neither operator nor value: a nodeCondition is compared with status"
                    .to_owned(),
            );
        }
        let statuses = self.statuses(path, &spec.status);
        (!statuses.is_empty()).then(|| Test::Node {
            condition: spec.node_condition.clone(),
            statuses,
        })
    }

    fn statuses(&mut self, path: &str, texts: &[String]) -> Vec<NodeStatus> {
        const WORDS: [&str; 3] = ["True", "False", "Unknown"];
        if texts.is_empty() {
            self.problems.add(
                format_args!("{path}.status"),
                "expected at least one of True, False, Unknown, found none".to_owned(),
            );
        }
        let mut statuses = Vec::new();
        for (index, text) in texts.iter().enumerate().take(MAX_CONDITIONS) {
            match NodeStatus::parse(text) {
                Some(status) if statuses.contains(&status) => {}
                Some(status) => statuses.push(status),
                None => {
                    self.problems
                        .not_one_of(format_args!("{path}.status[{index}]"), text, &WORDS);
                }
            }
        }
        statuses
    }
}
