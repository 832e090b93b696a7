//! The nodes as the state and the history know them, in the form that is drawn.

use std::collections::BTreeMap;

use ng_config::{Levels, Thresholds};
use ng_engine::time::Time;
use ng_monitor::{Episode, Kind, Memory, Metric, Subject};
use ng_picture::{
    Arrival, Language, Level, Limit, Limits, Measure, Next, Node, Readiness, Readings, Silence,
    Source,
};
use ng_samples::Latest;
use ng_state::Store;

use super::Desk;

/// What is drawn, and what it was drawn from.
pub(crate) struct Scene {
    pub(crate) at: Time,
    pub(crate) language: Language,
    pub(crate) cluster: String,
    pub(crate) source: Source,
    pub(crate) limits: Limits,
    pub(crate) nodes: Vec<Node>,
}

impl Scene {
    /// Reads the newest check and what is wrong.
    pub(crate) fn read(desk: &Desk) -> anyhow::Result<Self> {
        let latest = desk.history()?.latest()?;
        let memory = memory(desk)?;
        let monitor = &desk.config.node_monitor;
        let limits = limits(&monitor.thresholds);
        let nodes = latest
            .as_ref()
            .map(|latest| nodes(latest, &memory, &limits, desk.now));
        Ok(Self {
            at: desk.now,
            language: match monitor.language.unwrap_or(desk.config.alert.language) {
                ng_config::Language::English => Language::English,
                ng_config::Language::Chinese => Language::Chinese,
            },
            cluster: desk.config.cluster_name.clone().unwrap_or_default(),
            source: source(&memory),
            limits,
            nodes: nodes.unwrap_or_default(),
        })
    }
}

/// What the monitor remembers. There may be a history without it.
pub(crate) fn memory(desk: &Desk) -> anyhow::Result<Memory> {
    let Some(store) = Store::read(desk.env.state_dir())? else {
        return Ok(Memory::default());
    };
    let rows = store.monitor_rows()?;
    let rows = rows.iter().map(|(key, body)| (key.as_str(), body.as_str()));
    Ok(Memory::of_rows(rows).0)
}

/// Silent is the source when nothing that was known is known any more.
fn source(memory: &Memory) -> Source {
    let all = memory.sources.values().all(|seen| seen.silent.is_some());
    match memory.open(&Subject::Cluster, Kind::MetricsSilent) {
        Some(episode) if all => Source::Silent {
            since: episode.since,
        },
        Some(_) | None => Source::Answering,
    }
}

/// A reading counts from just above a threshold on; what is drawn counts from the threshold on.
fn limits(thresholds: &Thresholds) -> Limits {
    let limit = |levels: Levels| Limit {
        warning: Some(levels.warning),
        critical: Some(levels.critical),
    };
    Limits {
        cpu: limit(thresholds.cpu),
        memory: limit(thresholds.memory),
        disk: limit(thresholds.disk),
        inodes: limit(thresholds.inodes),
        pods: limit(thresholds.pods),
        load: limit(thresholds.load),
    }
}

/// The measure that is drawn for a metric.
pub(crate) const fn measure(metric: Metric) -> Measure {
    match metric {
        Metric::Cpu => Measure::Cpu,
        Metric::Memory => Measure::Memory,
        Metric::Disk => Measure::Disk,
        Metric::Pods => Measure::Pods,
        Metric::Inodes => Measure::Inodes,
        Metric::Load => Measure::Load,
    }
}

fn nodes(latest: &Latest, memory: &Memory, limits: &Limits, now: Time) -> Vec<Node> {
    let zones: BTreeMap<&str, &str> = memory.nodes().collect();
    let names = latest.nodes.iter().enumerate();
    names
        .map(|(position, name)| {
            let subject = Subject::Node(name.clone());
            let readings = readings(latest, position);
            let unread = Measure::ALL
                .iter()
                .all(|measure| readings.get(*measure).is_none());
            let open: Vec<(Kind, &Episode)> = memory.open_episodes(&subject).collect();
            let is_open = |kind: Kind| open.iter().any(|(found, _)| *found == kind);
            let zone = zones.get(name.as_str()).copied().unwrap_or_default();
            Node {
                name: name.clone(),
                zone: zone.to_owned(),
                level: level(&open, &readings, limits),
                since: open.iter().map(|(_, episode)| episode.since).min(),
                readiness: if is_open(Kind::NotReady) {
                    Readiness::NotReady
                } else {
                    Readiness::Ready
                },
                cordoned: memory.is_cordoned(name),
                readings,
                read_at: (!unread).then_some(latest.at),
                silence: unread.then_some(Silence::NoSample),
                next: next(&open, now),
            }
        })
        .collect()
}

fn readings(latest: &Latest, node: usize) -> Readings {
    let value = |metric: Metric| {
        let position = latest.metrics.iter().position(|name| name == metric.name());
        position.and_then(|metric| latest.value(metric, node))
    };
    Readings {
        cpu: value(Metric::Cpu),
        memory: value(Metric::Memory),
        disk: value(Metric::Disk),
        inodes: value(Metric::Inodes),
        pods: value(Metric::Pods),
        load: value(Metric::Load),
    }
}

/// What the monitor says, or where it has nothing to say (it may have lost its memory) the readings.
fn level(open: &[(Kind, &Episode)], readings: &Readings, limits: &Limits) -> Level {
    match open.iter().map(|(_, episode)| episode.level).max() {
        Some(ng_monitor::Level::Critical) => return Level::Critical,
        Some(ng_monitor::Level::Warning) => return Level::Warning,
        None => {}
    }
    let levels = Measure::ALL.iter().filter_map(|measure| {
        let value = readings.get(*measure)?;
        Some(limits.get(*measure).level(value))
    });
    levels.max().unwrap_or(Level::Unknown)
}

/// What was foretold first; only what is still to come.
fn next(open: &[(Kind, &Episode)], now: Time) -> Option<Next> {
    let coming = open.iter().filter_map(|(kind, episode)| {
        let metric = kind.metric()?;
        let expected = episode.expected.filter(|expected| *expected > now)?;
        Some((expected, metric))
    });
    let (expected, metric) = coming.min_by_key(|(expected, _)| *expected)?;
    Some(Next {
        measure: measure(metric),
        arrival: Arrival {
            limit: 100.0,
            at: expected,
            earliest: expected,
            latest: Some(expected),
            confidence: 1.0,
        },
    })
}
