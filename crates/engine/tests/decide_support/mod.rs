//! A small cluster in memory with a clock of its own: the engine decides, the cluster changes, time goes on.
//!
//! Between two evaluations the whole memory goes through its stored forms, so that anything that is lost there
//! shows as a wrong decision.

pub(crate) mod cluster;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ng_engine::decide::{Due, Facts, Inputs, Place, Render, Retired, Safety, decide, interest};
use ng_engine::history::{History, NodeRecord, Phase, Queue};
use ng_engine::plan::{AlertKind, Happening, Plan};
use ng_engine::reading::{Column, Origin, Reading, Unknown};
use ng_engine::roster::Roster;
use ng_engine::rule::{MaxNodes, Rule, Test};
use ng_engine::spec::{RuleObject, RuleStatus};
use ng_engine::status::{self, Standing};
use ng_engine::time::Time;
use ng_engine::timers::Timers;
use ng_engine::validate::{Defaults, Problem, validate};

use cluster::{Cluster, Node};

/// When every story begins; on a whole second.
pub(crate) const START: Time = Time::from_millis(1_767_225_600_000);

/// A rule as its author wrote it, and as it was checked.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) rule: Rule,
    spec: String,
    hash: u64,
}

impl Written {
    pub(crate) fn new(name: &str, yaml: &str) -> Self {
        let spec: serde_json::Value = serde_yaml::from_str(yaml).unwrap();
        let spec = spec.to_string();
        let rule = check(name, &spec);
        let hash = spec.bytes().fold(7_u64, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u64::from(byte))
        }) | 1;
        Self { rule, spec, hash }
    }
}

/// The checked form of a spec, as the controller gets it from a remembered text.
fn check(name: &str, spec: &str) -> Rule {
    let object = format!(
        r#"{{"apiVersion": "nodeguardian.k8s.io/v1", "kind": "NodeGuardianRule",
            "metadata": {{"name": "{name}", "uid": "rule-{name}", "generation": 1}}, "spec": {spec}}}"#
    );
    let object = RuleObject::from_json(&object).unwrap();
    validate(&object, &Defaults::default()).unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
        panic!("{spec}\n{problems:#?}")
    })
}

/// `{{now}}` becomes the time and `{{node}}` the node; everything else stays as it is.
struct Values(Cell<usize>);

impl Render for Values {
    fn value(&self, template: &str, facts: &Facts<'_>, _: Place) -> String {
        self.0.set(self.0.get() + 1);
        template
            .replace("{{now}}", &facts.now.millis().to_string())
            .replace("{{node}}", facts.node)
    }
}

/// The engine, its memory and a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) now: Time,
    /// The queue that evaluates.
    pub(crate) queue: Queue,
    pub(crate) history: History,
    pub(crate) cluster: Cluster,
    pub(crate) rules: BTreeMap<String, Written>,
    pub(crate) safety: Safety,
    /// Known readings by metric and node; what is not here is unknown.
    pub(crate) readings: BTreeMap<(String, String), f64>,
    /// How many evaluations old the snapshot is.
    pub(crate) lag: usize,
    /// Whether what is planned gets lost on its way.
    pub(crate) lose: bool,
    /// Whether nodes and rules come in the opposite order.
    pub(crate) reversed: bool,
    /// A rule whose interval is not over yet; every other one is evaluated each time.
    pub(crate) resting: Option<&'static str>,
    /// Every plan so far.
    pub(crate) plans: Vec<Plan>,
    snapshots: VecDeque<Cluster>,
}

impl Story {
    pub(crate) fn new<const N: usize>(nodes: [&str; N]) -> Self {
        let mut cluster = Cluster::default();
        for name in nodes {
            cluster.nodes.insert(name.to_owned(), Node::new(name));
        }
        Self {
            now: START,
            queue: Queue::Evaluation,
            history: History::default(),
            cluster,
            rules: BTreeMap::new(),
            safety: Safety {
                max_nodes: MaxNodes::Percent(100),
                paused: false,
                dry_run: false,
            },
            readings: BTreeMap::new(),
            lag: 0,
            lose: false,
            reversed: false,
            resting: None,
            plans: Vec::new(),
            snapshots: VecDeque::new(),
        }
    }

    /// Adds or replaces a rule.
    pub(crate) fn rule(mut self, name: &str, yaml: &str) -> Self {
        self.edit(name, yaml);
        self
    }

    pub(crate) fn edit(&mut self, name: &str, yaml: &str) {
        self.rules.insert(name.to_owned(), Written::new(name, yaml));
    }

    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        self.cluster.nodes.get_mut(name).unwrap()
    }

    /// Sets `cpuLoadRatio` of one node.
    pub(crate) fn load(&mut self, node: &str, value: f64) {
        self.metric("cpuLoadRatio", node, value);
    }

    pub(crate) fn metric(&mut self, metric: &str, node: &str, value: f64) {
        self.readings
            .insert((metric.to_owned(), node.to_owned()), value);
    }

    /// Loses the readings of one node.
    pub(crate) fn silence(&mut self, node: &str) {
        self.readings.retain(|(_, named), _| named != node);
    }

    /// Lets time pass and evaluates every rule.
    pub(crate) fn after(&mut self, seconds: u64) -> Plan {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.evaluate()
    }

    /// As many evaluations, so many seconds apart; gives the last plan.
    pub(crate) fn repeat(&mut self, times: usize, seconds: u64) -> Plan {
        (0..times).map(|_| self.after(seconds)).last().unwrap()
    }

    /// Evaluates every rule and carries out what is planned.
    pub(crate) fn evaluate(&mut self) -> Plan {
        for node in self.cluster.nodes.values_mut() {
            node.just_lifted = false;
        }
        self.snapshots.push_back(self.cluster.clone());
        while self.snapshots.len() > self.lag + 1 {
            self.snapshots.pop_front();
        }
        let snapshot = self.snapshots.front().unwrap().clone();
        let plan = self.plan(&snapshot);
        if !self.lose {
            for change in &plan.changes {
                self.cluster.apply(change);
            }
        }
        self.plans.push(plan.clone());
        plan
    }

    /// What the engine decides over this snapshot.
    pub(crate) fn plan(&mut self, snapshot: &Cluster) -> Plan {
        let mut history = stored(&self.history);
        let rules = self.rules.values().map(|written| &written.rule);
        let mut names: Vec<&String> = snapshot.nodes.keys().collect();
        if self.reversed {
            names.reverse();
        }
        let nodes = snapshot.read(&interest(rules, &history), names);
        let columns = self.columns(&nodes);
        let metrics: Vec<(String, &Column)> = columns
            .iter()
            .map(|(name, column)| (name.clone(), column))
            .collect();
        let mut due: Vec<Due<'_>> = self
            .rules
            .values()
            .filter(|written| written.rule.enabled)
            .filter(|written| self.resting != Some(written.rule.name.as_str()))
            .map(|written| self::due(written, &columns, &metrics))
            .collect();
        if self.reversed {
            due.reverse();
        }
        let gone: Vec<(String, Option<Rule>)> = history
            .rules
            .iter()
            .filter(|(name, _)| !self.rules.contains_key(*name))
            .map(|(name, rule)| {
                let spec = &rule.summary.spec;
                let rule = (!spec.is_empty()).then(|| check(name, spec));
                (name.clone(), rule)
            })
            .collect();
        let deleted = gone.iter().map(|(name, rule)| Retired {
            name,
            rule: rule.as_ref(),
            exists: false,
        });
        let disabled = self.rules.iter().filter(|(_, it)| !it.rule.enabled);
        let disabled = disabled.map(|(name, written)| Retired {
            name,
            rule: Some(&written.rule),
            exists: true,
        });
        let retired: Vec<Retired<'_>> = deleted.chain(disabled).collect();
        let plan = decide(
            &mut history,
            &Inputs {
                now: self.now,
                queue: self.queue,
                nodes: &nodes,
                due: &due,
                retired: &retired,
                safety: self.safety,
                render: &Values(Cell::new(0)),
            },
        );
        self.history = history;
        plan
    }

    fn columns(&self, nodes: &ng_engine::node::Nodes) -> BTreeMap<String, Column> {
        let positions = nodes.positions();
        let mut columns: BTreeMap<String, Column> = BTreeMap::new();
        for ((metric, node), value) in &self.readings {
            let column = columns
                .entry(metric.clone())
                .or_insert_with(|| Column::unknown(nodes.len(), Unknown::NoSample));
            if let Some(position) = positions.get(node.as_str()) {
                column.set(
                    *position,
                    Reading::Value {
                        value: *value,
                        at: self.now,
                        origin: Origin::Prometheus,
                    },
                );
            }
        }
        columns
    }

    /// The status of a rule, as it would be published now.
    pub(crate) fn status(&self, name: &str, published: Option<&RuleStatus>) -> RuleStatus {
        let evaluated = self
            .plans
            .last()
            .and_then(|plan| plan.evaluated.iter().find(|it| it.rule == name).cloned())
            .unwrap_or_default();
        let standing = if self.rules[name].rule.enabled {
            Standing::Evaluated(&evaluated)
        } else {
            Standing::Disabled {
                waiting: self.safety.paused,
            }
        };
        let times = (published, self.now);
        let status = status::of(name, 1, &standing, &self.history, times);
        // As the API server gives it back.
        serde_json::from_str(&serde_json::to_string(&status).unwrap()).unwrap()
    }

    /// Loses the memory and rebuilds it from the statuses, as after the loss of the state directory.
    pub(crate) fn rebuild(&mut self) {
        let statuses: Vec<(String, RuleStatus)> = self
            .rules
            .keys()
            .map(|name| (name.clone(), self.status(name, None)))
            .collect();
        self.history = History::default();
        for (name, published) in statuses {
            let uid = format!("rule-{name}");
            status::restore(&mut self.history, &name, &uid, &published);
        }
    }

    pub(crate) fn record(&self, rule: &str, node: &str) -> Option<&NodeRecord> {
        self.history.rules.get(rule)?.records.get(node)
    }

    /// Whether the node is triggered or recovering under the rule.
    pub(crate) fn is_triggered(&self, rule: &str, node: &str) -> bool {
        self.record(rule, node).is_some_and(NodeRecord::is_active)
    }

    /// One letter a node: `T`riggered, `R`ecovering, `-` neither.
    pub(crate) fn phase(&self, rule: &str, node: &str) -> char {
        match self.record(rule, node).map(|record| record.phase) {
            Some(Phase::Triggered) => 'T',
            Some(Phase::Recovering) => 'R',
            Some(Phase::Idle) | None => '-',
        }
    }

    /// Everything the nodes carry, one line a node that carries anything.
    pub(crate) fn marks(&self) -> Vec<String> {
        self.cluster.marks()
    }

    /// The name of the guard that holds the node back, if one does.
    pub(crate) fn guard(&self, rule: &str, node: &str) -> &'static str {
        let guard = self.record(rule, node).and_then(|it| it.guard.as_ref());
        guard.map_or("", |guard| guard.word())
    }

    /// Open evictions and drains of the node.
    pub(crate) fn jobs(&self, rule: &str, node: &str) -> usize {
        self.record(rule, node).map_or(0, |record| {
            record.jobs.iter().filter(|job| job.end.is_none()).count()
        })
    }
}

fn due<'a>(
    written: &'a Written,
    columns: &'a BTreeMap<String, Column>,
    metrics: &'a [(String, &'a Column)],
) -> Due<'a> {
    let column = |test: &Test| match test {
        Test::Metric { metric, .. } => columns.get(metric),
        Test::Node { .. } => None,
    };
    let of = |conditions: &ng_engine::rule::Conditions| {
        let all = conditions.all.iter();
        all.map(|condition| column(&condition.test)).collect()
    };
    Due {
        rule: &written.rule,
        spec: &written.spec,
        spec_hash: written.hash,
        trigger: of(&written.rule.trigger),
        recovery: written.rule.recovery.as_ref().map(of).unwrap_or_default(),
        metrics,
    }
}

/// The memory after it was written and read.
pub(crate) fn stored(history: &History) -> History {
    fn json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }
    let mut copy = History {
        roster: Roster::decode(&history.roster.encode()).unwrap(),
        ledgers: json(&history.ledgers),
        rules: BTreeMap::new(),
    };
    for (name, rule) in &history.rules {
        copy.rules.insert(
            name.clone(),
            ng_engine::history::RuleHistory {
                summary: json(&rule.summary),
                timers: Timers::decode(&rule.timers.encode()).unwrap(),
                records: json(&rule.records),
            },
        );
    }
    assert_eq!(&copy, history, "a stored form loses something");
    copy
}

/// The happenings of a plan in short, `rule/node: event`.
pub(crate) fn events(plan: &Plan) -> Vec<String> {
    let mut events: Vec<String> = plan
        .decisions
        .iter()
        .map(|decision| format!("{}/{}: {:?}", decision.rule, decision.node, decision.event))
        .collect();
    events.sort();
    events
}

/// Whether something of this kind happened to a node.
pub(crate) fn happened(plan: &Plan, node: &str, event: Happening) -> bool {
    let mut decisions = plan.decisions.iter();
    decisions.any(|decision| decision.node == node && decision.event == event)
}

/// The alerts of a plan in short, `rule/node: kind`.
pub(crate) fn alerts(plan: &Plan) -> Vec<String> {
    let mut alerts: Vec<String> = plan
        .alerts
        .iter()
        .map(|alert| {
            let kind = match alert.kind {
                AlertKind::Trigger => "trigger",
                AlertKind::Repeat => "repeat",
                AlertKind::Recovery => "recovery",
            };
            format!("{}/{}: {kind}", alert.rule, alert.node)
        })
        .collect();
    alerts.sort();
    alerts
}
