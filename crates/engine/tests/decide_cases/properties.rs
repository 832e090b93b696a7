//! What is true of every story: random rules, loads, edits, other writers, lost writes and old snapshots.
//!
//! Seeds are fixed, so that a run tells the same everywhere. Each property takes a quarter of `PROPTEST_CASES` (256
//! by default) stories; a long run is `PROPTEST_CASES=40000 cargo test -p ng-engine --test decide_world properties`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use ng_engine::history::{FORGET_AFTER, MarkKey};
use ng_engine::plan::{AlertKind, Happening, Plan};
use ng_engine::rule::{MaxNodes, TaintEffect};
use ng_engine::time::Time;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

use crate::decide_support::Story;
use crate::decide_support::cluster::Node;

const NODES: [&str; 5] = ["n0", "n1", "n2", "n3", "n4"];
const RULES: [&str; 3] = ["a", "b", "c"];
const METRICS: [&str; 2] = ["cpuLoadRatio", "memoryUtilizationPercent"];
/// More than any duration and cooldown in these rules, in steps of 30 s.
const LONG: usize = 16;

/// Runs a property with a fixed seed.
pub(crate) fn check<S: Strategy<Value: Debug>>(
    strategy: S,
    test: impl Fn(S::Value) -> TestCaseResult,
) {
    let config = Config {
        cases: Config::default().cases / 4,
        failure_persistence: None,
        ..Config::default()
    };
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    if let Err(error) = TestRunner::new_with_rng(config, seed).run(&strategy, test) {
        panic!("{error}");
    }
}

/// One thing that happens between two evaluations.
#[derive(Clone, Debug)]
enum Event {
    Load(usize, usize, Option<f64>),
    Ready(usize, bool),
    Ignore(usize, bool),
    Foreign(usize, MarkKey, Option<&'static str>),
    Edit(usize, String),
    Delete(usize),
    Vanish(usize),
    Return(usize),
    Replace(usize),
    Pause(bool),
    Lose(bool),
    Lag(usize),
}

/// Which events a property is about.
#[derive(Clone, Copy, PartialEq)]
enum World {
    /// Writes land, snapshots are fresh, and others write, too.
    Fresh,
    /// Writes get lost and snapshots are old; nobody else writes.
    Unreliable,
}

/// Recovery conditions of a rule that has any.
fn recovery_conditions(metric: &str, has_any: bool) -> String {
    if has_any {
        format!(
            "recoveryConditions: [{{metric: {metric}, operator: '<', value: 1, duration: 30s}}]"
        )
    } else {
        String::new()
    }
}

/// A rule that removes everything it sets. Its values begin with `r`.
#[expect(clippy::too_many_lines, reason = "one list of what a rule can be")]
fn rule() -> impl Strategy<Value = String> {
    let conditions = (
        select(METRICS.as_slice()),
        select(vec!["0s", "30s", "60s"]),
        select(vec!["AND", "OR"]),
        any::<bool>(),
    );
    let actions = (
        select(vec!["NoSchedule", "NoExecute", "PreferNoSchedule"]),
        select(vec!["r", "r2", "r{{now}}"]),
        prop::collection::vec(0..6_usize, 0..6),
    );
    let rest = (
        0..3_i64,
        select(vec!["1m", "5m"]),
        select(vec!["0s", "2m"]),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.9),
        any::<bool>(),
    );
    (conditions, actions, rest).prop_map(|(conditions, actions, rest)| {
        let (metric, duration, logic, two) = conditions;
        let (effect, value, chosen) = actions;
        let (priority, cooldown, recovery_cooldown, dry, enabled, recovery) = rest;
        // A value that changes with each run must have been seen before the next one: snapshots are minutes old here.
        let cooldown = if value.contains("now") {
            "5m"
        } else {
            cooldown
        };
        let all = [
            format!("{{type: taint, taint: {{key: hot, value: '{value}', effect: {effect}}}}}"),
            format!("{{type: label, label: {{labels: {{state: '{value}'}}}}}}"),
            "{type: annotation, annotation: {annotations: {why: 'r'}}}".to_owned(),
            "{type: cordon}".to_owned(),
            "{type: evict, evict: {maxPods: 1}}".to_owned(),
            "{type: drain}".to_owned(),
        ];
        let actions: Vec<&str> = chosen.iter().map(|it| all[*it].as_str()).collect();
        let second = if two {
            "\n  - {metric: cpuLoadRatio, operator: '>', value: 2, duration: 30s}"
        } else {
            ""
        };
        let recovery = recovery_conditions(metric, recovery);
        format!(
            "conditions:
  - {{metric: {metric}, operator: '>', value: 1.5, duration: {duration}}}{second}
conditionLogic: {logic}
{recovery}
actions: [{}, {{type: alert, alert: {{channels: [log]}}}}]
recoveryActions:
  - {{type: removeTaint, taint: {{key: hot}}}}
  - {{type: removeLabel, label: {{keys: [state]}}}}
  - {{type: removeAnnotation, annotation: {{keys: [why]}}}}
  - {{type: uncordon}}
  - {{type: alert, alert: {{channels: [log]}}}}
monitoring: {{cooldownPeriod: {cooldown}, recoveryCooldownPeriod: {recovery_cooldown}}}
metadata: {{priority: {priority}, dryRun: {dry}, enabled: {enabled}}}",
            actions.join(", ")
        )
        .replace("[, ", "[")
    })
}

fn key() -> impl Strategy<Value = MarkKey> {
    let text = |text: &str| text.to_owned();
    select(vec![
        MarkKey::Taint {
            key: text("hot"),
            effect: TaintEffect::NoSchedule,
        },
        MarkKey::Label { key: text("state") },
        MarkKey::Annotation { key: text("why") },
        MarkKey::Cordon,
    ])
}

fn event(world: World) -> impl Strategy<Value = Event> {
    let node = 0..NODES.len();
    let common = prop_oneof![
        12 => (node.clone(), 0..2_usize, prop::option::weighted(0.85, select(vec![0.0, 1.2, 1.8, 3.0])))
            .prop_map(|(node, metric, value)| Event::Load(node, metric, value)),
        1 => (0..3_usize, rule()).prop_map(|(name, yaml)| Event::Edit(name, yaml)),
        1 => (0..3_usize).prop_map(Event::Delete),
        1 => any::<bool>().prop_map(Event::Pause),
    ];
    let fresh = prop_oneof![
        2 => (node.clone(), key(), prop::option::of(select(vec!["f1", "f2"])))
            .prop_map(|(node, key, value)| Event::Foreign(node, key, value)),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, on)| Event::Ready(node, on)),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, on)| Event::Ignore(node, on)),
        1 => node.clone().prop_map(Event::Vanish),
        2 => node.clone().prop_map(Event::Return),
        1 => node.prop_map(Event::Replace),
    ];
    let unreliable = prop_oneof![
        any::<bool>().prop_map(Event::Lose),
        (0..3_usize).prop_map(Event::Lag),
    ];
    match world {
        World::Fresh => prop_oneof![2 => common, 1 => fresh].boxed(),
        World::Unreliable => prop_oneof![4 => common, 1 => unreliable].boxed(),
    }
}

/// Rules at the beginning, and for each step what happens before it and how many seconds pass.
#[derive(Clone, Debug)]
struct Script {
    rules: Vec<String>,
    limit: u32,
    steps: Vec<(Vec<Event>, u64)>,
}

fn script(world: World) -> impl Strategy<Value = Script> {
    let step = (
        prop::collection::vec(event(world), 0..4),
        select(vec![10, 30, 30, 60, 95]),
    );
    (
        prop::collection::vec(rule(), 1..4),
        1..4_u32,
        prop::collection::vec(step, 5..30),
    )
        .prop_map(|(rules, limit, steps)| Script {
            rules,
            limit,
            steps,
        })
}

/// Whether a node that vanished is one that snapshots lost: after ten minutes it is taken to be deleted.
fn is_only_missing(now: Time, since: Time) -> bool {
    now.since(since) < FORGET_AFTER.saturating_sub(Duration::from_mins(2))
}

/// A story at its beginning, and the nodes that vanished from it.
struct Stage {
    story: Story,
    hidden: BTreeMap<String, (Time, Node)>,
}

impl Stage {
    fn new(script: &Script) -> Self {
        let mut story = Story::new(NODES);
        story.safety.max_nodes = MaxNodes::Count(script.limit);
        for (name, yaml) in RULES.iter().zip(&script.rules) {
            story.edit(name, yaml);
        }
        Self {
            story,
            hidden: BTreeMap::new(),
        }
    }

    fn happen(&mut self, event: &Event) {
        let story = &mut self.story;
        match event {
            Event::Load(node, metric, Some(value)) => {
                story.metric(METRICS[*metric], NODES[*node], *value);
            }
            Event::Load(node, ..) => story.silence(NODES[*node]),
            Event::Edit(rule, yaml) => story.edit(RULES[*rule], yaml),
            Event::Delete(rule) => {
                story.rules.remove(RULES[*rule]);
            }
            Event::Pause(on) => story.safety.paused = *on,
            Event::Lose(on) => story.lose = *on,
            Event::Lag(steps) => story.lag = *steps,
            Event::Vanish(node) => {
                let gone = story.cluster.nodes.remove_entry(NODES[*node]);
                let now = story.now;
                self.hidden
                    .extend(gone.map(|(name, node)| (name, (now, node))));
            }
            Event::Return(node) => {
                let back = self.hidden.remove_entry(NODES[*node]);
                let back = back.filter(|(_, (since, _))| is_only_missing(story.now, *since));
                story
                    .cluster
                    .nodes
                    .extend(back.map(|(name, (_, node))| (name, node)));
            }
            Event::Ready(node, on) => self.touch(*node, |node| {
                node.condition("Ready", if *on { "True" } else { "Unknown" });
            }),
            Event::Ignore(node, on) => self.touch(*node, |node| {
                node.annotation("nodeguardian.io/ignore", if *on { "true" } else { "f" });
            }),
            Event::Foreign(node, key, value) => self.touch(*node, |node| node.meddle(key, *value)),
            Event::Replace(node) => self.touch(*node, |node| {
                let uid = format!("{}x", node.uid);
                *node = Node::new("");
                node.uid = uid;
            }),
        }
    }

    fn touch(&mut self, node: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.story.cluster.nodes.get_mut(NODES[node]) {
            change(node);
        }
    }

    /// Plays the script; `after` sees the story after every evaluation.
    fn play(
        &mut self,
        script: &Script,
        mut after: impl FnMut(&mut Story, &Plan) -> TestCaseResult,
    ) -> TestCaseResult {
        for (events, seconds) in &script.steps {
            for event in events {
                self.happen(event);
            }
            let plan = self.story.after(*seconds);
            after(&mut self.story, &plan)?;
        }
        Ok(())
    }

    /// All load falls, everything works, and enough time passes.
    fn calm(&mut self) {
        let now = self.story.now;
        let back = std::mem::take(&mut self.hidden).into_iter();
        let back = back.filter(|(_, (since, _))| is_only_missing(now, *since));
        let nodes = &mut self.story.cluster.nodes;
        nodes.extend(back.map(|(name, (_, node))| (name, node)));
        self.story.safety.paused = false;
        self.story.lose = false;
        for node in NODES {
            for metric in METRICS {
                self.story.metric(metric, node, 0.0);
            }
        }
        self.story.repeat(LONG, 30);
    }
}

#[test]
fn the_same_input_gives_the_same_plan_and_pause_changes_nothing() {
    check(script(World::Fresh), |script| {
        let mut stage = Stage::new(&script);
        let mut twin = Stage::new(&script);
        let mut plans = Vec::new();
        stage.play(&script, |story, plan| {
            prop_assert!(!story.safety.paused || plan.changes.is_empty());
            plans.push(plan.clone());
            Ok(())
        })?;
        let mut plans = plans.into_iter();
        twin.play(&script, |_, plan| {
            prop_assert_eq!(Some(plan.clone()), plans.next());
            Ok(())
        })
    });
}

#[test]
fn a_plan_applied_leaves_nothing_to_do() {
    check(script(World::Fresh), |script| {
        Stage::new(&script).play(&script, |story, _| {
            let mut again = story.clone();
            let plan = again.evaluate();
            prop_assert!(plan.alerts.is_empty(), "{plan:#?}");
            // A place that became free is given to the next node once the snapshot shows it.
            for change in &plan.changes {
                let admitted = plan.decisions.iter().any(|decision| {
                    decision.node == change.node && decision.event == Happening::Admitted
                });
                prop_assert!(admitted, "{plan:#?}");
            }
            Ok(())
        })
    });
}

#[test]
fn the_limit_holds_at_every_step() {
    check(script(World::Unreliable), |script| {
        Stage::new(&script).play(&script, |story, _| {
            let nodes = story.cluster.nodes.values();
            let held = nodes.filter(|node| node.is_held()).count();
            prop_assert!(held <= script.limit as usize, "{:#?}", story.marks());
            Ok(())
        })
    });
}

#[test]
fn nothing_of_others_is_taken_away() {
    check(script(World::Fresh), |script| {
        let mut stage = Stage::new(&script);
        stage.play(&script, |story, _| {
            prop_assert!(story.cluster.harm.is_empty(), "{:#?}", story.cluster.harm);
            Ok(())
        })?;
        stage.calm();
        prop_assert!(stage.story.cluster.harm.is_empty());
        Ok(())
    });
}

#[test]
fn when_all_is_calm_nothing_of_ours_is_left_and_nothing_is_written() {
    for world in [World::Fresh, World::Unreliable] {
        check(script(world), |script| {
            let mut stage = Stage::new(&script);
            stage.play(&script, |_, _| Ok(()))?;
            stage.calm();
            let story = &mut stage.story;
            for (name, node) in &story.cluster.nodes {
                let mut values = node.labels.values().chain(node.annotations.values());
                prop_assert!(
                    !values.any(|value| value.starts_with('r')),
                    "{name} {node:?}"
                );
                prop_assert!(!node.taints.values().any(|value| value.starts_with('r')));
                prop_assert!(!node.cordoned || node.foreign_cordon, "{name} {node:?}");
            }
            prop_assert!(
                story.history.ledgers.is_empty(),
                "{:?}",
                story.history.ledgers
            );
            let idle = story.history.clone();
            for _ in 0..3 {
                let plan = story.after(30);
                prop_assert!(plan.changes.is_empty() && plan.alerts.is_empty());
                prop_assert!(plan.decisions.is_empty());
            }
            prop_assert_eq!(&idle.ledgers, &story.history.ledgers);
            Ok(())
        });
    }
}

#[test]
fn without_readings_nothing_changes_its_phase() {
    check(script(World::Unreliable), |script| {
        let mut stage = Stage::new(&script);
        stage.play(&script, |_, _| Ok(()))?;
        let story = &mut stage.story;
        // What an edit or the end of a pause brings has to be over first.
        story.safety.paused = false;
        story.readings.clear();
        story.after(10);
        for (_, seconds) in &script.steps {
            let plan = story.after(*seconds);
            for decision in &plan.decisions {
                prop_assert!(
                    matches!(decision.event, Happening::Held | Happening::Admitted),
                    "{decision:?}"
                );
            }
            prop_assert!(plan.alerts.is_empty());
        }
        Ok(())
    });
}

#[test]
fn every_trigger_is_told_once_and_a_recovery_only_after_it() {
    for world in [World::Fresh, World::Unreliable] {
        check(script(world), |script| {
            let mut open: BTreeMap<(String, String), bool> = BTreeMap::new();
            Stage::new(&script).play(&script, |_, plan| {
                // The end of a node that was replaced is told if its rule is at hand.
                for decision in plan
                    .decisions
                    .iter()
                    .filter(|it| it.event == Happening::Gone)
                {
                    let is_told = plan.alerts.iter().any(|alert| {
                        (alert.kind, &alert.rule, &alert.node)
                            == (AlertKind::Recovery, &decision.rule, &decision.node)
                    });
                    if !is_told {
                        open.remove(&(decision.rule.clone(), decision.node.clone()));
                    }
                }
                for alert in &plan.alerts {
                    let was_open = open
                        .insert(
                            (alert.rule.clone(), alert.node.clone()),
                            alert.kind != AlertKind::Recovery,
                        )
                        .unwrap_or_default();
                    prop_assert_eq!(was_open, alert.kind != AlertKind::Trigger, "{:?}", alert);
                }
                for (event, kind) in [
                    (Happening::Triggered, AlertKind::Trigger),
                    (Happening::Repeated, AlertKind::Repeat),
                ] {
                    let happened = plan.decisions.iter().filter(|it| it.event == event).count();
                    let told = plan.alerts.iter().filter(|it| it.kind == kind).count();
                    prop_assert_eq!(happened, told);
                }
                Ok(())
            })
        });
    }
}

/// A plan without the order of its parts.
fn unordered(plan: &Plan) -> Vec<String> {
    let mut parts: Vec<String> = plan.changes.iter().map(|it| format!("{it:?}")).collect();
    parts.extend(plan.alerts.iter().map(|it| format!("{it:?}")));
    parts.extend(plan.decisions.iter().map(|it| format!("{it:?}")));
    parts.extend(plan.evaluated.iter().map(|it| {
        let (rule, counts) = (&it.rule, (it.selected, it.pending, it.unknown));
        format!("{rule} {counts:?}")
    }));
    parts.push(format!("{:?}", plan.out_of_service));
    parts.sort();
    parts
}

#[test]
fn the_order_of_rules_and_nodes_does_not_matter() {
    check(script(World::Fresh), |script| {
        let mut plans = Vec::new();
        Stage::new(&script).play(&script, |_, plan| {
            plans.push(unordered(plan));
            Ok(())
        })?;
        let mut plans = plans.into_iter();
        let mut stage = Stage::new(&script);
        stage.story.reversed = true;
        stage.play(&script, |_, plan| {
            prop_assert_eq!(Some(unordered(plan)), plans.next());
            Ok(())
        })
    });
}

#[test]
fn a_rebuild_from_the_status_writes_nothing_and_keeps_what_is_held() {
    check(script(World::Fresh), |script| {
        let mut stage = Stage::new(&script);
        stage.play(&script, |_, _| Ok(()))?;
        let story = &mut stage.story;
        story.safety.paused = false;
        // Writes that are still to be made are made first.
        story.readings.clear();
        story.repeat(3, 10);
        let before = story.marks();
        let mut rebuilt = story.clone();
        rebuilt.rebuild();
        let plan = rebuilt.after(10);
        prop_assert!(plan.changes.is_empty(), "{:#?}", plan.changes);
        prop_assert!(plan.alerts.is_empty());
        prop_assert_eq!(before, rebuilt.marks());
        for rule in story.rules.keys() {
            for node in NODES {
                prop_assert_eq!(
                    story.is_triggered(rule, node) && story.cluster.nodes.contains_key(node),
                    rebuilt.is_triggered(rule, node)
                );
                prop_assert_eq!(rebuilt.jobs(rule, node), 0);
            }
        }
        Ok(())
    });
}
