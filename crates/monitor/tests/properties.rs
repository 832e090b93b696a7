//! What holds for any readings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ng_config::{ChannelKind, Config};
use ng_engine::node::{Interest, Nodes};
use ng_engine::plan::AlertKind;
use ng_engine::reading::{Column, Origin, Reading, Unknown};
use ng_engine::time::Time;
use ng_monitor::{Facts, Memory, Metric, Plan, Settings, check};
use proptest::prelude::*;

const START: Time = Time::from_millis(1_780_000_000_000);

fn settings() -> Settings {
    let mut config = Config::default();
    config.alert.default_channels = vec![ChannelKind::Log];
    Settings::of(&config)
}

fn run(
    readings: &[Option<f64>],
    minute: u32,
    memory: Memory,
    settings: &Settings,
) -> (Plan, Memory) {
    let mut nodes = Nodes::new(&Interest::default());
    for node in 0..readings.len() {
        nodes
            .start(&format!("n{node}"))
            .condition("Ready", "True", None);
    }
    let now = START.plus(Duration::from_mins(1) * minute);
    let mut column = Column::unknown(readings.len(), Unknown::NoSample);
    for (node, value) in readings.iter().enumerate() {
        if let Some(value) = *value {
            let origin = Origin::Prometheus;
            column.set(
                node,
                Reading::Value {
                    value,
                    at: now,
                    origin,
                },
            );
        }
    }
    let facts = Facts {
        now,
        nodes: &nodes,
        columns: &[(Metric::Cpu, &column)],
        leases: None,
        outlooks: &[],
        gone: &BTreeSet::new(),
        ledgers: &BTreeMap::new(),
    };
    check(&facts, memory, settings)
}

fn reading() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        1 => Just(None),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-5.0), Just(1e300)].prop_map(Some),
        6 => (0.0..130.0).prop_map(Some),
    ]
}

proptest! {
    /// Of one key: a recovery only after a trigger, never two ends, and in any cooldown at most one alert that is
    /// neither a rise nor an end.
    #[test]
    fn alerts_of_a_key_are_a_sensible_story(
        rounds in prop::collection::vec(prop::collection::vec(reading(), 3), 1..80),
    ) {
        let settings = settings();
        let mut memory = Memory::default();
        let mut open: BTreeMap<String, AlertKind> = BTreeMap::new();
        let mut last: BTreeMap<String, (Time, ng_engine::rule::Severity)> = BTreeMap::new();
        for (minute, readings) in rounds.iter().enumerate() {
            let (plan, after) = run(readings, u32::try_from(minute).unwrap(), memory, &settings);
            memory = after;
            for alert in plan.alerts {
                let key = alert.notice.clone().unwrap().key;
                if alert.kind == AlertKind::Recovery {
                    prop_assert!(open.remove(&key).is_some(), "{key} ended twice");
                    continue;
                }
                if alert.kind == AlertKind::Repeat {
                    prop_assert!(open.contains_key(&key));
                }
                if let Some((at, severity)) = last.get(&key) {
                    let soon = alert.at.since(*at) < settings.cooldown;
                    prop_assert!(!soon || alert.severity > *severity, "{key} too soon");
                }
                last.insert(key.clone(), (alert.at, alert.severity));
                open.insert(key, alert.kind);
            }
        }
    }

    /// What is unknown begins and ends nothing.
    #[test]
    fn without_readings_nothing_happens(readings in prop::collection::vec(reading(), 2)) {
        let settings = settings();
        let (_, memory) = run(&readings, 0, Memory::default(), &settings);
        let (plan, after) = run(&[None, None], 1, memory.clone(), &settings);
        prop_assert_eq!(plan.alerts, Vec::new());
        prop_assert_eq!(plan.changes, Vec::new());
        prop_assert_eq!(after.episodes, memory.episodes);
    }

    /// Any text as a row is read or named as lost, never a panic.
    #[test]
    fn any_row_can_be_read(key in "(node/a|zone/b|cluster|roster|sources|x)", body in ".{0,60}") {
        let (_, lost) = Memory::of_rows([(key.as_str(), body.as_str())]);
        prop_assert!(lost.len() <= 1);
    }
}
