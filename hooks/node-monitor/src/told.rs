//! What a run says in the log and in metrics.

use std::collections::BTreeMap;

use ng_engine::node::Nodes;
use ng_engine::reading::{Column, Reading};
use ng_engine::time::Time;
use ng_hook::log::Value as Field;
use ng_hook::{Logger, MetricGroup, Report};
use ng_monitor::{Change, Changed, Kind, Level, Memory, Metric, Note, Plan, Subject};

/// Rows of the memory that could not be read.
pub(crate) fn lost(log: &Logger, keys: &[String]) {
    for key in keys {
        log.warn(
            "what was remembered cannot be read and begins anew",
            &[("row", Field::Text(key))],
        );
    }
}

/// What changed, and what was noticed.
pub(crate) fn plan(log: &Logger, plan: &Plan) {
    for change in &plan.changes {
        let subject = change.subject.name();
        let mut fields = vec![
            ("node", Field::Text(&subject)),
            ("kind", Field::Text(change.kind.word())),
            ("severity", Field::Text(change.level.word())),
            ("change", Field::Text(change.what.word())),
        ];
        if let Some(value) = change.value {
            fields.push(("value", Field::Number(value)));
        }
        if !change.detail.is_empty() {
            fields.push(("detail", Field::Text(&change.detail)));
        }
        if is_good(change) {
            log.info("node monitor", &fields);
        } else {
            log.warn("node monitor", &fields);
        }
    }
    for noticed in &plan.notes {
        tell(log, noticed);
    }
    if !plan.alerts.is_empty() {
        let count = plan.alerts.len().to_string();
        log.info("alerts queued", &[("alerts", Field::Text(&count))]);
    }
}

fn is_good(change: &Change) -> bool {
    matches!(change.what, Changed::Ended | Changed::Fell)
}

fn tell(log: &Logger, noticed: &Note) {
    match noticed {
        Note::Cordoned(node) => log.info("node cordoned", &[("node", Field::Text(node))]),
        Note::Uncordoned(node) => log.info("node uncordoned", &[("node", Field::Text(node))]),
        Note::TaintAdded(node, taint) => {
            let fields = [("node", Field::Text(node)), ("taint", Field::Text(taint))];
            log.info("taint added", &fields);
        }
        Note::TaintRemoved(node, taint) => {
            let fields = [("node", Field::Text(node)), ("taint", Field::Text(taint))];
            log.info("taint removed", &fields);
        }
        Note::Joined(node) => log.info("node joined", &[("node", Field::Text(node))]),
        Note::Deleted(node) => log.warn("node deleted", &[("node", Field::Text(node))]),
        Note::LeasesDoubtful(count) => {
            let count = count.to_string();
            log.warn(
                "most leases seem silent, so nothing is concluded from them: the clocks differ, or renewals do not \
                 reach the API server",
                &[("nodes", Field::Text(&count))],
            );
        }
    }
}

/// What metrics are made of, besides the memory.
pub(crate) struct Scene<'a> {
    pub(crate) now: Time,
    pub(crate) nodes: &'a Nodes,
    pub(crate) columns: &'a [(Metric, Column)],
    pub(crate) requests: u32,
    /// Whether readings of each node are published.
    pub(crate) per_node: bool,
    pub(crate) seconds: f64,
}

/// The worst that is open of each node.
pub(crate) fn levels(memory: &Memory) -> BTreeMap<&str, Level> {
    let mut levels = BTreeMap::new();
    for (subject, episodes) in &memory.episodes {
        let open = episodes.values().filter(|episode| episode.is_open());
        let worst = open.map(|episode| episode.level).max();
        if let (Some(node), Some(worst)) = (subject.node(), worst) {
            levels.insert(node, worst);
        }
    }
    levels
}

/// The group of all metrics of the hook.
const GROUP: &str = "node-monitor";

/// What a run says that is switched off: the metrics of earlier ones end.
pub(crate) fn nothing() -> Report {
    Report {
        metrics: vec![MetricGroup::expire(GROUP)],
        ..Report::default()
    }
}

/// All metrics of the hook: one group, written whole.
pub(crate) fn gauges(memory: &Memory, scene: &Scene<'_>) -> MetricGroup {
    let mut group = MetricGroup::new(GROUP);
    let levels = levels(memory);
    let present = scene.nodes.names().filter_map(|name| levels.get(name));
    let [mut warning, mut critical] = [0; 2];
    for level in present {
        match level {
            Level::Warning => warning += 1,
            Level::Critical => critical += 1,
        }
    }
    let ok = scene.nodes.len() - warning - critical;
    for (level, count) in [("ok", ok), ("warning", warning), ("critical", critical)] {
        let labels = [("level", level)];
        group.set("nodeguardian_monitored_nodes", &labels, float(count));
    }
    problems(&mut group, memory);
    readings(&mut group, scene);
    if scene.per_node {
        per_node(&mut group, &levels, scene);
    }
    group.set(
        "nodeguardian_monitor_check_duration_seconds",
        &[],
        scene.seconds,
    );
    group.set(
        "nodeguardian_monitor_requests",
        &[],
        f64::from(scene.requests),
    );
    let now = seconds(scene.now);
    group.set(
        "nodeguardian_monitor_last_check_timestamp_seconds",
        &[],
        now,
    );
    group
}

/// Open episodes by kind and level, and what will be full when.
fn problems(group: &mut MetricGroup, memory: &Memory) {
    let mut counts: BTreeMap<(Kind, Level), usize> = BTreeMap::new();
    for (subject, episodes) in &memory.episodes {
        for (kind, episode) in episodes.iter().filter(|(_, episode)| episode.is_open()) {
            *counts.entry((*kind, episode.level)).or_default() += 1;
            forecast(group, subject, *kind, episode.expected);
        }
    }
    for ((kind, level), count) in counts {
        let labels = [("kind", kind.word()), ("level", level.word())];
        group.set("nodeguardian_monitor_problems", &labels, float(count));
    }
}

fn forecast(group: &mut MetricGroup, subject: &Subject, kind: Kind, expected: Option<Time>) {
    if let (Some(node), Some(metric), Some(expected)) = (subject.node(), kind.metric(), expected) {
        let labels = [("metric", metric.name()), ("node", node)];
        let name = "nodeguardian_monitor_forecast_full_timestamp_seconds";
        group.set(name, &labels, seconds(expected));
    }
}

fn readings(group: &mut MetricGroup, scene: &Scene<'_>) {
    for (metric, column) in scene.columns {
        let known = column
            .values()
            .iter()
            .filter(|value| !value.is_nan())
            .count();
        for (state, count) in [("known", known), ("unknown", column.len() - known)] {
            let labels = [("metric", metric.name()), ("state", state)];
            group.set("nodeguardian_monitor_readings", &labels, float(count));
        }
    }
}

fn per_node(group: &mut MetricGroup, levels: &BTreeMap<&str, Level>, scene: &Scene<'_>) {
    for node in 0..scene.nodes.len() {
        let name = scene.nodes.name(node);
        let level = match levels.get(name) {
            None => 0.0,
            Some(Level::Warning) => 1.0,
            Some(Level::Critical) => 2.0,
        };
        group.set("nodeguardian_node_level", &[("node", name)], level);
        for (metric, column) in scene.columns {
            if let Reading::Value { value, .. } = column.get(node) {
                let labels = [("metric", metric.name()), ("node", name)];
                group.set("nodeguardian_node_reading", &labels, value);
            }
        }
    }
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of a century stay far below 2^53"
)]
fn seconds(time: Time) -> f64 {
    time.millis() as f64 / 1000.0
}
