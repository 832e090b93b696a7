//! Runs a scenario in virtual time: the hook's own code, tick by tick, against a simulated cluster.

mod apply;
mod events;
mod holds;
mod judge;
mod phases;
mod snapshot;
mod source;
#[cfg(test)]
mod together;
mod world;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ng_config::Config;
use ng_engine::plan::{Alert, AlertKind, Decision, Happening, Plan};
use ng_engine::time::Time;
use ng_hook::Logger;
use ng_hook::context::ContextFile;
use ng_round::{Desk, Outcome, Scope, tick};
use serde_json::Value;

use crate::scenario::{Change, Scenario, checked_config, offset};
use crate::timeline::{Entry, Kind};
use apply::{Arrival, Written};
use holds::Holds;
pub(crate) use judge::Verdict;
use phases::Phases;
use source::SimSource;
use world::{Asked, SimCluster, World};

/// What came of a scenario.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) timeline: Vec<Entry>,
    pub(crate) verdicts: Vec<Verdict>,
}

impl Played {
    /// Whether everything was as expected.
    pub(crate) fn passed(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.passed)
    }
}

/// Plays a scenario to its end.
pub(crate) fn play(scenario: &Scenario) -> anyhow::Result<Played> {
    let state = tempfile::tempdir().context("cannot make a state directory")?;
    let mut play = Play::new(scenario, state.path())?;
    for at in stops(scenario) {
        play.stop(at)?;
    }
    Ok(Played {
        timeline: play.timeline,
        verdicts: play.verdicts,
    })
}

/// Every time at which something happens or is looked at.
fn stops(scenario: &Scenario) -> BTreeSet<Duration> {
    let mut stops: BTreeSet<Duration> = scenario.events.iter().map(|event| event.at).collect();
    stops.extend(scenario.expects.iter().map(|expect| expect.at));
    let mut at = Duration::ZERO;
    while at <= scenario.duration {
        stops.insert(at);
        at += scenario.interval;
    }
    if scenario.recovery_manager {
        at = RECOVERY_OFFSET;
        while at <= scenario.duration {
            stops.insert(at);
            at += RECOVERY_INTERVAL;
        }
    }
    stops
}

/// When the recovery-manager runs: between the controller's ticks, as it is shipped.
const RECOVERY_OFFSET: Duration = Duration::from_secs(3);
const RECOVERY_INTERVAL: Duration = Duration::from_secs(10);

fn is_recovery_check(at: Duration) -> bool {
    let since = at.checked_sub(RECOVERY_OFFSET);
    since.is_some_and(|since| {
        since
            .as_millis()
            .is_multiple_of(RECOVERY_INTERVAL.as_millis())
    })
}

/// What is counted over time.
#[derive(Default)]
struct Tally {
    patches: Vec<(Duration, Written)>,
    alerts: Vec<(Duration, Alert)>,
    evictions: Vec<(Duration, Asked)>,
    /// How many nodes carry a disruptive mark of ours.
    held: Vec<(Duration, usize)>,
}

struct Play<'s> {
    scenario: &'s Scenario,
    state: &'s std::path::Path,
    world: RefCell<World>,
    config: Config,
    config_text: Value,
    snapshots: VecDeque<(Vec<String>, Vec<u8>)>,
    /// How many snapshots were taken, and which of them the hook got last.
    taken: usize,
    seen: usize,
    /// How many ticks old the snapshots are that the hook gets.
    delay: usize,
    arrival: Arrival,
    prometheus: bool,
    controller: bool,
    at: Duration,
    holds: Holds,
    phases: Phases,
    warned: BTreeSet<String>,
    tally: Tally,
    timeline: Vec<Entry>,
    verdicts: Vec<Verdict>,
}

impl<'s> Play<'s> {
    fn new(scenario: &'s Scenario, state: &'s std::path::Path) -> anyhow::Result<Self> {
        let mut world = World::default();
        world.advance(scenario.start);
        scenario.nodes.iter().for_each(|node| world.add_node(node));
        scenario.pods.iter().for_each(|pod| world.add_pod(pod));
        scenario.rules.iter().for_each(|rule| world.add_rule(rule));
        world.budgets.clone_from(&scenario.budgets);
        Ok(Self {
            scenario,
            state,
            world: RefCell::new(world),
            config: configuration(&scenario.config)?,
            config_text: scenario.config.clone(),
            snapshots: VecDeque::new(),
            taken: 0,
            seen: 0,
            delay: 0,
            arrival: Arrival::Applied,
            prometheus: true,
            controller: true,
            at: Duration::ZERO,
            holds: Holds::default(),
            phases: Phases::default(),
            warned: BTreeSet::new(),
            tally: Tally::default(),
            timeline: Vec::new(),
            verdicts: Vec::new(),
        })
    }

    fn now(&self) -> Time {
        self.scenario.start.plus(self.at)
    }

    fn stop(&mut self, at: Duration) -> anyhow::Result<()> {
        self.at = at;
        let now = self.now();
        self.world.get_mut().advance(now);
        let mut woken = false;
        let scenario = self.scenario;
        for event in scenario.events.iter().filter(|event| event.at == at) {
            woken |= self.event(event)?;
        }
        let is_tick = at.as_millis().is_multiple_of(scenario.interval.as_millis());
        if self.controller && (is_tick || woken) {
            self.tick(Scope::Everything)?;
        }
        if scenario.recovery_manager && is_recovery_check(at) {
            self.tick(Scope::Held)?;
        }
        let held = self.holds.count(self.world.get_mut());
        self.tally.held.push((at, held));
        for expect in scenario.expects.iter().filter(|expect| expect.at == at) {
            let seen = judge::Seen {
                world: &self.world.borrow(),
                phases: &self.phases,
                tally: &self.tally,
            };
            self.verdicts
                .extend(judge::verdicts(expect, scenario, &seen));
        }
        Ok(())
    }

    fn tick(&mut self, scope: Scope) -> anyhow::Result<()> {
        let contexts = self.contexts();
        let timestamp = jiff::Timestamp::from_millisecond(self.now().millis())?;
        let (log, lines) = Logger::in_memory(timestamp);
        let outcome = tick(
            &ContextFile::from_bytes("scenario", contexts),
            &Desk {
                config: &self.config,
                log: &log,
                now: self.now(),
                deadline: Instant::now() + Duration::from_hours(1),
                state_dir: self.state,
                scope,
                cluster: &SimCluster(&self.world),
                source: &SimSource {
                    series: &self.scenario.series,
                    start: self.scenario.start,
                    answers: self.prometheus,
                },
            },
        );
        match outcome {
            Ok(outcome) => self.take(&outcome)?,
            Err(error) => self.warn("the run failed", &format!("{error:#}")),
        }
        let logged = lines.lock().map(|lines| lines.clone()).unwrap_or_default();
        self.warnings(&String::from_utf8_lossy(&logged));
        Ok(())
    }

    /// The contexts that the hook gets: the present ones, or older ones.
    fn contexts(&mut self) -> Vec<u8> {
        let world = self.world.get_mut();
        let bytes = snapshot::contexts(world);
        let names = world.nodes.keys().cloned().collect();
        self.snapshots.push_back((names, bytes));
        let most = 1 + self.longest_delay();
        while self.snapshots.len() > most {
            self.snapshots.pop_front();
        }
        // A cache that falls behind does not go back: nothing newer is seen until it has caught up.
        self.taken += 1;
        let oldest = self.taken - self.snapshots.len();
        let present = self.taken.saturating_sub(1 + self.delay);
        self.seen = self.seen.max(present).max(oldest);
        let (names, bytes) = &self.snapshots[self.seen - oldest];
        self.phases.nodes.clone_from(names);
        bytes.clone()
    }

    fn longest_delay(&self) -> usize {
        let changes = self.scenario.events.iter().flat_map(|event| &event.changes);
        let delays = changes.filter_map(|change| match change {
            Change::DelaySnapshots(ticks) => Some(*ticks),
            _ => None,
        });
        delays.max().unwrap_or_default()
    }

    /// Applies and notes what a run decided.
    fn take(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        let plan = &outcome.plan;
        if !plan.evaluated.is_empty() || !plan.decisions.is_empty() {
            self.phases
                .load(self.state, self.now(), &self.world.borrow())?;
            self.pending();
        }
        self.decisions(plan);
        self.evictions();
        // Of a run that fails shell-operator applies nothing, and runs it again.
        let fails = outcome.report.retries().next().is_some();
        let arrival = if fails { Arrival::Lost } else { self.arrival };
        for operation in &outcome.report.patches {
            let world = self.world.get_mut();
            let written = apply::operation(world, operation, &plan.changes, arrival)?;
            self.written(written, plan);
        }
        for alert in &plan.alerts {
            self.alert(alert);
        }
        Ok(())
    }

    /// A node that triggers and is held back at once is one thing, not two.
    fn decisions(&mut self, plan: &Plan) {
        let triggers = |held: &Decision| {
            let other = |other: &&Decision| {
                other.event == Happening::Triggered
                    && (&other.rule, &other.node) == (&held.rule, &held.node)
            };
            held.event == Happening::Held && plan.decisions.iter().any(|decision| other(&decision))
        };
        for decision in plan.decisions.iter().filter(|decision| !triggers(decision)) {
            self.timeline.push(Entry::of(self.at, decision));
        }
    }

    fn written(&mut self, written: Written, plan: &Plan) {
        if written.kind == "Node" {
            self.holds.note(&written.name, &written.effects);
            let rules: BTreeSet<&str> = plan
                .decisions
                .iter()
                .filter(|decision| decision.node == written.name)
                .map(|decision| decision.rule.as_str())
                .collect();
            let rule = rules.into_iter().collect::<Vec<_>>().join(", ");
            let what = match (self.arrival, written.effects.is_empty()) {
                (Arrival::Lost, _) => "a change gets lost".to_owned(),
                (Arrival::Applied, true) => "a change comes too late and does nothing".to_owned(),
                (Arrival::Applied, false) => written.effects.join(", "),
            };
            let entry = Entry::new(self.at, Kind::Change, what);
            self.timeline.push(entry.on(&written.name, &rule));
        }
        self.tally.patches.push((self.at, written));
    }

    fn alert(&mut self, alert: &Alert) {
        let kind = match alert.kind {
            AlertKind::Trigger => "trigger",
            AlertKind::Repeat => "repeat",
            AlertKind::Recovery => "recovery",
        };
        let channels = alert.channels.join(", ");
        let pretends = if alert.dry_run { " (dry run)" } else { "" };
        let what = format!("alert: {kind}{pretends} to {channels}");
        let entry = Entry::new(self.at, Kind::Alert, what);
        self.timeline.push(entry.on(&alert.node, &alert.rule));
        self.tally.alerts.push((self.at, alert.clone()));
    }

    fn evictions(&mut self) {
        let asked = std::mem::take(&mut self.world.get_mut().asked);
        for asked in asked {
            let mut entry = Entry::new(
                self.at,
                Kind::Eviction,
                format!("pod {} is evicted", asked.pod),
            );
            if let Some(refused) = &asked.refused {
                entry.what = format!("pod {} stays for now", asked.pod);
                entry.why.push(refused.clone());
            }
            self.timeline.push(entry.on(&asked.node, ""));
            self.tally.evictions.push((self.at, asked));
        }
    }

    /// Notes which nodes have begun or ceased to wait for a duration.
    fn pending(&mut self) {
        let (come, gone) = self.phases.turned();
        for (rule, node) in come {
            let mut entry = Entry::new(
                self.at,
                Kind::Pending,
                "conditions are true, waiting for their duration",
            );
            for (test, since) in self.phases.since(&rule, &node) {
                let since = offset(since.since(self.scenario.start));
                entry.why.push(format!("{test} since {since}"));
            }
            self.timeline.push(entry.on(&node, &rule));
        }
        for (rule, node) in gone {
            let entry = Entry::new(self.at, Kind::Pending, "conditions are no longer true");
            self.timeline.push(entry.on(&node, &rule));
        }
    }

    /// Warnings of the log, each once while it lasts. Decisions are told elsewhere.
    fn warnings(&mut self, log: &str) {
        const TOLD: [&str; 2] = ["rule triggered", "action held back"];
        let mut present = BTreeSet::new();
        for line in log.lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let text = |key: &str| line[key].as_str().unwrap_or_default();
            if !["warn", "warning", "error"].contains(&text("level")) || TOLD.contains(&text("msg"))
            {
                continue;
            }
            let fields = ["rule", "problem", "result"].map(text);
            let fields: Vec<&str> = fields.into_iter().filter(|text| !text.is_empty()).collect();
            let shown = format!("{}: {}", text("msg"), fields.join(": "));
            if !self.warned.contains(&shown) && !present.contains(&shown) {
                self.timeline
                    .push(Entry::new(self.at, Kind::Warning, &shown));
            }
            present.insert(shown);
        }
        // A run with nothing to do says nothing: that ends no problem.
        if !log.is_empty() {
            self.warned = present;
        }
    }

    fn warn(&mut self, what: &str, why: &str) {
        let mut entry = Entry::new(self.at, Kind::Warning, what);
        entry.why.push(why.to_owned());
        self.timeline.push(entry);
    }
}

fn configuration(text: &Value) -> anyhow::Result<Config> {
    checked_config(text).map_err(|lines| anyhow::anyhow!(lines.join("; ")))
}
