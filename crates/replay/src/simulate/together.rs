//! Controller, recovery-manager and delivery at the same time: threads on one state directory and one simulated API,
//! with snapshots of different ages and writes that get lost. What comes of it is compared with the controller alone.
//!
//! Time is virtual; within a round the threads run free, but what they write arrives in the order in which the runs
//! began: a write that comes after a later one of the same key passes for someone else's. A few hundred rounds, thousands with `NODEGUARDIAN_LONG`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Barrier, Condvar, Mutex};
use std::time::{Duration, Instant};

use ng_config::Config;
use ng_engine::plan::{AlertKind, Happening};
use ng_engine::time::Time;
use ng_hook::Logger;
use ng_hook::context::ContextFile;
use ng_kube::PodRef;
use ng_kube::eviction::EvictionOutcome;
use ng_kube::objects::{Node as ApiNode, Pod as ApiPod};
use ng_round::ports::{Cluster, LiveNode};
use ng_round::{Desk, Outcome, Scope, tick};
use ng_state::{DeliveryState, OutboxFilter, Settlement, Store};

use super::apply::{self, Arrival};
use super::holds::Holds;
use super::snapshot;
use super::source::SimSource;
use super::world::World;
use crate::scenario::{Scenario, checked_config, parse};

/// Virtual seconds between two rounds of the controller.
const ROUND: u64 = 5;
/// Rounds in which load stays as it is: every rule is looked at often enough in them.
const PHASE: usize = 10;
/// Rounds of calm at the end, and those of them in which nothing is written any more.
const CALM: usize = 40;
const STILL: usize = 12;
const NODES: usize = 6;
const LIMIT: usize = 2;

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % limit
    }
}

/// Load that changes every [`PHASE`] rounds, under rules that share marks and nodes.
fn scenario(seed: u64, rounds: usize) -> Scenario {
    use std::fmt::Write as _;
    let mut dice = Dice(seed * 2 + 1);
    let step = ROUND * PHASE as u64;
    let mut text = format!(
        "duration: {}s
config: {{safety: {{maxNodes: {LIMIT}}}}}
rules:
  - name: hot
    spec:
      conditions: [{{metric: cpuUtilizationPercent, operator: '>', value: 80, duration: 0s}}]
      actions: [{{type: taint, taint: {{key: k, value: hot, effect: NoSchedule}}}}, {{type: label, label: {{labels: {{l: hot}}}}}}, \
{{type: alert, alert: {{channels: [log]}}}}]
      recoveryActions: [{{type: removeTaint, taint: {{key: k}}}}, {{type: removeLabel, label: {{keys: [l]}}}}, \
{{type: alert, alert: {{channels: [log]}}}}]
      monitoring: {{checkInterval: 5s, cooldownPeriod: 0s, recoveryCooldownPeriod: 0s}}
  - name: full
    spec:
      conditions: [{{metric: memoryUtilizationPercent, operator: '>', value: 80, duration: 5s}}]
      actions: [{{type: cordon}}, {{type: taint, taint: {{key: k, value: full, effect: NoSchedule}}}}, \
{{type: alert, alert: {{channels: [log]}}}}]
      recoveryConditions: [{{metric: memoryUtilizationPercent, operator: '<', value: 50, duration: 5s}}]
      recoveryActions: [{{type: untaint, untaint: {{key: k}}}}, {{type: uncordon}}, {{type: alert, alert: {{channels: [log]}}}}]
      monitoring: {{checkInterval: 10s, cooldownPeriod: 0s, recoveryCooldownPeriod: 0s}}
      metadata: {{priority: 10}}
nodes: [{{name: 'n-{{i}}', count: {NODES}, labels: {{l: theirs}}, taints: ['other=theirs:NoSchedule']}}]
series:
  step: {step}s
  metrics:
",
        (rounds + CALM) as u64 * ROUND
    );
    for metric in ["cpuUtilizationPercent", "memoryUtilizationPercent"] {
        let _ = writeln!(text, "    {metric}:");
        for node in 1..=NODES {
            let _ = write!(text, "      n-{node}: \"");
            for _ in 0..rounds.div_ceil(PHASE) {
                text.push_str(if dice.below(3) == 0 { "95 " } else { "10 " });
            }
            text.push_str("10\"\n");
        }
    }
    text.push_str("expect: []\n");
    parse("together", &text, &|_| Err(String::new())).unwrap_or_else(|lines| panic!("{lines:#?}"))
}

/// The API server, and everything that is counted.
struct Api {
    world: World,
    /// When the next run begins: each takes a millisecond.
    clock: Time,
    /// Runs whose writes have not arrived, by when they began.
    under_way: BTreeSet<Time>,
    snapshots: VecDeque<Vec<u8>>,
    /// Snapshots that are no longer kept.
    dropped: usize,
    dice: Dice,
    troubled: bool,
    holds: Holds,
    most_held: usize,
    late_writes: usize,
    transitions: BTreeMap<(String, String), Vec<(Time, Happening)>>,
    told: BTreeMap<(String, String, &'static str), usize>,
    runs: BTreeMap<&'static str, usize>,
}

impl Api {
    fn new(scenario: &Scenario) -> Self {
        let mut world = World::default();
        world.advance(scenario.start);
        scenario.nodes.iter().for_each(|node| world.add_node(node));
        scenario.rules.iter().for_each(|rule| world.add_rule(rule));
        Self {
            world,
            clock: scenario.start,
            under_way: BTreeSet::new(),
            snapshots: VecDeque::new(),
            dropped: 0,
            dice: Dice(77),
            troubled: false,
            holds: Holds::default(),
            most_held: 0,
            late_writes: 0,
            transitions: BTreeMap::new(),
            told: BTreeMap::new(),
            runs: BTreeMap::new(),
        }
    }

    /// A snapshot for a hook, which may be old but never older than the last one it got, and the time.
    fn snapshot(&mut self, last: &mut usize) -> (Vec<u8>, Time) {
        const KEPT: usize = 8;
        self.clock = self.clock.plus(Duration::from_millis(1));
        self.under_way.insert(self.clock);
        self.snapshots
            .push_back(snapshot::contexts(&mut self.world));
        if self.snapshots.len() > KEPT {
            self.snapshots.pop_front();
            self.dropped += 1;
        }
        let newest = self.dropped + self.snapshots.len() - 1;
        let age = if self.troubled {
            usize::try_from(self.dice.below(4)).unwrap()
        } else {
            0
        };
        *last = newest.saturating_sub(age).max(*last).max(self.dropped);
        (self.snapshots[*last - self.dropped].clone(), self.clock)
    }

    fn take(&mut self, hook: &'static str, outcome: &Outcome, is_still: Stillness) {
        for decision in &outcome.plan.decisions {
            if matches!(
                decision.event,
                Happening::Triggered | Happening::Recovered | Happening::Released
            ) {
                let key = (decision.rule.clone(), decision.node.clone());
                let transitions = self.transitions.entry(key).or_default();
                transitions.push((decision.at, decision.event));
            }
        }
        for alert in &outcome.plan.alerts {
            let key = (alert.rule.clone(), alert.node.clone(), word(alert.kind));
            *self.told.entry(key).or_default() += 1;
        }
        *self.runs.entry(hook).or_default() += usize::from(!outcome.plan.decisions.is_empty());
        for operation in &outcome.report.patches {
            let lost = self.troubled && self.dice.below(8) == 0;
            let arrival = if lost {
                Arrival::Lost
            } else {
                Arrival::Applied
            };
            let written =
                apply::operation(&mut self.world, operation, &outcome.plan.changes, arrival)
                    .unwrap();
            if written.kind == "Node" {
                self.holds.note(&written.name, &written.effects);
            }
            self.late_writes +=
                usize::from(is_still == Stillness::Expected && written.kind != "Event");
            self.most_held = self.most_held.max(self.holds.count(&self.world));
        }
    }
}

/// Whether nothing may be written any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stillness {
    Expected,
    NotYet,
}

fn word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Trigger => "trigger",
        AlertKind::Repeat => "repeat",
        AlertKind::Recovery => "recovery",
    }
}

/// No pods, and no question but one.
struct Shared<'a>(&'a Mutex<Api>);

impl Cluster for Shared<'_> {
    fn is_configured(&self) -> bool {
        true
    }
    fn node(&self, _: &str, _: Instant) -> Result<Option<LiveNode>, String> {
        Err("nothing is evicted here".to_owned())
    }
    fn nodes(&self, _: Instant) -> Result<Vec<ApiNode>, String> {
        Err("every context has a snapshot".to_owned())
    }
    fn rule_exists(&self, name: &str, _: &str, _: Instant) -> Result<bool, String> {
        Ok(self.0.lock().unwrap().world.rules.contains_key(name))
    }
    fn pods_on(&self, _: &str, _: Instant) -> Result<Vec<ApiPod>, String> {
        Ok(Vec::new())
    }
    fn evict(&self, _: &PodRef, _: Option<i64>, _: Instant) -> EvictionOutcome {
        EvictionOutcome::Gone
    }
    fn get(&self, _: &str, _: Instant) -> Result<Vec<u8>, String> {
        Err("there is no metrics.k8s.io".to_owned())
    }
}

/// What all threads share.
struct Stage<'a> {
    scenario: &'a Scenario,
    config: Config,
    state: &'a Path,
    api: Mutex<Api>,
    arrived: Condvar,
    rounds: usize,
    /// Why a run failed: then all threads end with their round, or the others would wait for ever.
    failure: Mutex<Option<String>>,
}

impl Stage<'_> {
    /// One run of a hook.
    fn run(&self, hook: &'static str, scope: Scope, round: usize, last: &mut usize) {
        let (contexts, now) = self.api.lock().unwrap().snapshot(last);
        let timestamp = jiff::Timestamp::from_millisecond(now.millis()).unwrap();
        let (log, _) = Logger::in_memory(timestamp);
        let outcome = match tick(
            &ContextFile::from_bytes("together", contexts),
            &Desk {
                config: &self.config,
                log: &log,
                now,
                deadline: Instant::now() + Duration::from_hours(1),
                state_dir: self.state,
                scope,
                cluster: &Shared(&self.api),
                source: &SimSource {
                    series: &self.scenario.series,
                    start: self.scenario.start,
                    answers: true,
                },
            },
        ) {
            Ok(outcome) => outcome,
            Err(error) => {
                *self.failure.lock().unwrap() = Some(format!("{hook}: {error:#}"));
                self.api.lock().unwrap().under_way.remove(&now);
                self.arrived.notify_all();
                return;
            }
        };
        let still = if round + STILL >= self.rounds + CALM {
            Stillness::Expected
        } else {
            Stillness::NotYet
        };
        let api = self.api.lock().unwrap();
        let is_early = |api: &mut Api| api.under_way.first() != Some(&now);
        let mut api = self.arrived.wait_while(api, is_early).unwrap();
        api.take(hook, &outcome, still);
        api.under_way.remove(&now);
        self.arrived.notify_all();
    }

    /// Sends what is in the outbox; gives the alerts that are out.
    fn deliver(&self) -> Vec<i64> {
        let now = self.api.lock().unwrap().clock;
        let mut store = Store::open(self.state, now).unwrap().store;
        let pending = OutboxFilter {
            state: Some(DeliveryState::Pending),
            ..OutboxFilter::default()
        };
        let alerts: Vec<i64> = store
            .outbox(pending)
            .unwrap()
            .iter()
            .map(|queued| queued.id)
            .collect();
        if !alerts.is_empty() {
            let mut transaction = store.begin().unwrap();
            let settled = transaction
                .settle("log", &alerts, &Settlement::Done, now)
                .unwrap();
            assert_eq!(settled, alerts.len() as u64);
            transaction.commit().unwrap();
        }
        alerts
    }

    fn has_failed(&self) -> bool {
        self.failure.lock().unwrap().is_some()
    }

    /// Moves the clock, and begins and ends the trouble.
    fn advance(&self, round: usize, troubled: bool) {
        let mut api = self.api.lock().unwrap();
        let base = self
            .scenario
            .start
            .plus(Duration::from_secs(round as u64 * ROUND));
        api.clock = base;
        api.troubled = troubled && round < self.rounds;
        api.world.advance(base);
    }
}

/// Who runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cast {
    Alone,
    Together,
}

/// Plays to the end; gives everything that was counted and the alerts that were sent, each as often as it was.
fn play(scenario: &Scenario, rounds: usize, cast: Cast) -> (Api, Vec<i64>) {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage {
        scenario,
        config: checked_config(&scenario.config).unwrap(),
        state: folder.path(),
        api: Mutex::new(Api::new(scenario)),
        arrived: Condvar::new(),
        rounds,
        failure: Mutex::new(None),
    };
    let mut sent = Vec::new();
    if cast == Cast::Alone {
        let mut last = 0;
        for round in 0..rounds + CALM {
            stage.advance(round, false);
            stage.run("controller", Scope::Everything, round, &mut last);
        }
        sent.extend(stage.deliver());
    } else {
        let (begin, end) = (Barrier::new(4), Barrier::new(4));
        let hook = |name: &'static str, scope: Scope| {
            let mut last = 0;
            for round in 0..rounds + CALM {
                begin.wait();
                stage.run(name, scope, round, &mut last);
                end.wait();
                if stage.has_failed() {
                    break;
                }
            }
        };
        std::thread::scope(|threads| {
            threads.spawn(|| hook("controller", Scope::Everything));
            threads.spawn(|| hook("recovery-manager", Scope::Held));
            let delivery = threads.spawn(|| {
                let mut sent = Vec::new();
                for _ in 0..rounds + CALM {
                    begin.wait();
                    sent.extend(stage.deliver());
                    end.wait();
                    if stage.has_failed() {
                        break;
                    }
                }
                sent
            });
            for round in 0..rounds + CALM {
                stage.advance(round, true);
                begin.wait();
                end.wait();
                if stage.has_failed() {
                    break;
                }
            }
            sent.extend(delivery.join().unwrap());
        });
    }
    assert_eq!(stage.failure.into_inner().unwrap(), None);
    (stage.api.into_inner().unwrap(), sent)
}

/// The kinds of transitions of each node under each rule, in order.
fn transitions(api: &Api) -> BTreeMap<(String, String), Vec<Happening>> {
    let mut transitions = api.transitions.clone();
    transitions
        .iter_mut()
        .map(|(key, all)| {
            all.sort_by_key(|(at, _)| *at);
            (key.clone(), all.iter().map(|(_, event)| *event).collect())
        })
        .collect()
}

/// Every transition is told once.
fn check_alerts(api: &Api, sent: &[i64]) {
    let mut expected: BTreeMap<(String, String, &str), usize> = BTreeMap::new();
    for ((rule, node), all) in &api.transitions {
        for (_, event) in all {
            let kind = if *event == Happening::Triggered {
                "trigger"
            } else {
                "recovery"
            };
            *expected
                .entry((rule.clone(), node.clone(), kind))
                .or_default() += 1;
        }
    }
    assert_eq!(api.told, expected);
    let distinct: BTreeSet<i64> = sent.iter().copied().collect();
    assert_eq!(distinct.len(), sent.len(), "an alert is sent twice");
    assert_eq!(
        sent.len(),
        expected.values().sum::<usize>(),
        "an alert is lost"
    );
}

fn check_end(api: &Api) {
    for (name, kept) in &api.world.nodes {
        let marks = apply::marks(&kept.object);
        assert_eq!(
            marks,
            ["taint other=theirs:NoSchedule", "label l=theirs"],
            "{name}"
        );
    }
    assert_eq!(api.late_writes, 0, "something is written for ever");
    assert!(
        (1..=LIMIT).contains(&api.most_held),
        "{} nodes were held",
        api.most_held
    );
}

#[test]
#[ignore = "an open defect: about one run in ten leaves a mark of ours on a node, as the two hooks see snapshots of \
            different ages"]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own setting, which no code under test reads"
)]
fn hooks_at_the_same_time_come_to_what_the_controller_comes_to_alone() {
    let rounds = if std::env::var_os("NODEGUARDIAN_LONG").is_some() {
        4_000
    } else {
        300
    };
    let scenario = scenario(7, rounds);
    let (alone, sent) = play(&scenario, rounds, Cast::Alone);
    check_end(&alone);
    check_alerts(&alone, &sent);
    let (together, sent) = play(&scenario, rounds, Cast::Together);
    check_end(&together);
    assert_eq!(transitions(&together), transitions(&alone));
    check_alerts(&together, &sent);
    let transitions: usize = together.transitions.values().map(Vec::len).sum();
    assert!(
        transitions > rounds / 10,
        "{transitions} transitions say little"
    );
    assert!(
        together.runs.values().all(|decided| *decided > 0),
        "{:?}",
        together.runs
    );
    assert_eq!(together.runs.len(), 2);
}
