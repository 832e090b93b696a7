//! A scenario: a small cluster, what happens to it over time, and what is expected to come of it.

mod checks;
pub(crate) mod doc;
mod events;
mod objects;
mod parts;
pub(crate) mod series;

use std::path::Path;
use std::time::Duration;

use ng_config::Config;
use ng_engine::time::Time;
use serde_json::{Map, Value};

pub(crate) use checks::{Check, Count, Expect, Phase};
use doc::{Doc, Fields, Problems};
pub(crate) use events::{Change, Event, NodePatch};
pub(crate) use objects::{Budget, Node, Pod, TaintText};
use parts::{node_names, together};
use series::{AllSeries, Series, matches};

/// When a scenario starts unless it says so: any fixed time does.
const START: &str = "2026-01-01T00:00:00Z";
/// The shipped schedule.
const INTERVAL: Duration = Duration::from_secs(5);
const KEYS: &[&str] = &[
    "name",
    "description",
    "start",
    "interval",
    "duration",
    "config",
    "rules",
    "templates",
    "recoveryManager",
    "nodes",
    "pods",
    "budgets",
    "series",
    "events",
    "expect",
];

/// A scenario, checked.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) start: Time,
    pub(crate) interval: Duration,
    pub(crate) duration: Duration,
    pub(crate) config: Value,
    pub(crate) rules: Vec<Value>,
    /// Whether the recovery-manager runs beside the controller.
    pub(crate) recovery_manager: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) series: AllSeries,
    pub(crate) events: Vec<Event>,
    pub(crate) expects: Vec<Expect>,
}

/// Every key that a scenario may have, to compare with what is written about them.
#[cfg(test)]
pub(crate) fn keys() -> Vec<&'static str> {
    let lists = [
        KEYS,
        objects::NODE_KEYS,
        objects::POD_KEYS,
        events::KEYS,
        checks::KEYS,
    ];
    lists.concat()
}

/// Where the files that a scenario names are found.
pub(crate) type ReadFile<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Reads a scenario file.
pub(crate) fn load(path: &Path) -> Result<Scenario, Vec<String>> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![format!("{shown}: cannot be read: {error}")])?;
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let read = |name: &str| {
        std::fs::read_to_string(folder.join(name))
            .map_err(|error| format!("cannot be read: {error}"))
    };
    parse(&shown, &text, &read)
}

/// Reads a scenario; every mistake at once, each with file and path.
pub(crate) fn parse(file: &str, text: &str, read: ReadFile<'_>) -> Result<Scenario, Vec<String>> {
    let yaml: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|error| vec![format!("{file}: {error}")])?;
    let value = serde_json::to_value(yaml).map_err(|error| vec![format!("{file}: {error}")])?;
    let problems = Problems::new(file);
    let scenario = Doc::root(&value, &problems)
        .fields(KEYS)
        .map(|fields| scenario(file, &fields, read));
    let lines = problems.into_lines();
    match scenario {
        Some(scenario) if lines.is_empty() => Ok(scenario),
        _ => Err(lines),
    }
}

fn scenario(file: &str, fields: &Fields<'_>, read: ReadFile<'_>) -> Scenario {
    let text = |key: &str| fields.get(key).and_then(|doc| doc.text());
    let mut scenario = Scenario {
        name: text("name").unwrap_or_else(|| file_name(file)),
        description: text("description").unwrap_or_default(),
        start: start(fields),
        interval: positive(fields.get("interval")).unwrap_or(INTERVAL),
        duration: positive(fields.need("duration")).unwrap_or(Duration::MAX),
        config: config(fields),
        rules: objects::rules(fields.get("rules"), read),
        recovery_manager: fields
            .get("recoveryManager")
            .and_then(|doc| doc.flag())
            .unwrap_or(false),
        nodes: Vec::new(),
        pods: objects::pods(fields.get("pods")),
        budgets: objects::budgets(fields.get("budgets")),
        series: AllSeries::default(),
        events: events::read(fields.get("events"), read),
        expects: checks::read(fields.get("expect")),
    };
    objects::templates(fields.get("templates"), read);
    let (nodes, later) = objects::nodes(fields.need("nodes"));
    scenario.nodes = nodes;
    scenario.events.extend(later);
    scenario.events.sort_by_key(|event| event.at);
    scenario.expects.sort_by_key(|expect| expect.at);
    scenario.series = all_series(fields.get("series"), &scenario);
    together(fields, &scenario);
    scenario
}

fn file_name(file: &str) -> String {
    let stem = Path::new(file).file_stem();
    stem.map_or_else(
        || file.to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

fn start(fields: &Fields<'_>) -> Time {
    let default = START.parse().unwrap_or(Time::from_millis(0));
    let Some(doc) = fields.get("start") else {
        return default;
    };
    doc.text()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| {
            doc.expected("a time such as \"2026-01-01T00:00:00Z\"");
            default
        })
}

fn positive(doc: Option<Doc<'_>>) -> Option<Duration> {
    let doc = doc?;
    let duration = doc.duration()?;
    if duration < Duration::from_secs(1) {
        doc.expected("a duration of at least 1s");
        return None;
    }
    Some(duration)
}

fn config(fields: &Fields<'_>) -> Value {
    let Some(doc) = fields.get("config") else {
        return Value::Object(Map::new());
    };
    match checked_config(doc.value()) {
        Ok(_) => doc.value().clone(),
        Err(lines) => {
            for line in lines {
                doc.problem(&line);
            }
            Value::Object(Map::new())
        }
    }
}

/// The configuration that hooks would run on with this file.
pub(crate) fn checked_config(value: &Value) -> Result<Config, Vec<String>> {
    let text = value.to_string();
    let file = ng_config::File {
        name: "config.json",
        text: &text,
        format: ng_config::Format::Json,
    };
    let resolution = ng_config::resolve(&ng_config::Inputs {
        file: Some(file),
        ..ng_config::Inputs::default()
    });
    // A key that the hooks only warn of is a mistake here: the scenario would not test what it says.
    let issues = resolution.errors.iter().chain(&resolution.warnings);
    let lines: Vec<String> = issues.map(ToString::to_string).collect();
    if lines.is_empty() {
        Ok(resolution.config)
    } else {
        Err(lines)
    }
}

fn all_series(doc: Option<Doc<'_>>, scenario: &Scenario) -> AllSeries {
    let mut all = AllSeries::default();
    let Some(fields) = doc.and_then(|doc| doc.fields(&["step", "metrics"])) else {
        return all;
    };
    if let Some(step) = positive(fields.get("step")) {
        all.step = step;
    }
    let known = metrics(scenario);
    for (metric, doc) in fields
        .need("metrics")
        .map_or_else(Vec::new, |doc| doc.entries())
    {
        if !known.iter().any(|name| name == metric) {
            let known = known.join(", ");
            doc.problem(&format!(
                "unknown metric {metric:?}; expected one of {known}"
            ));
        }
        let mut patterns = Vec::new();
        for (pattern, doc) in doc.entries() {
            if !node_names(scenario).any(|name| matches(pattern, name)) {
                doc.problem(&format!("{pattern:?} fits none of the nodes"));
            }
            let Some(text) = doc.text() else { continue };
            match Series::parse(&text) {
                Ok(series) => patterns.push((pattern.to_owned(), series)),
                Err(error) => doc.problem(&error),
            }
        }
        all.metrics.push((metric.to_owned(), patterns));
    }
    all
}

impl Scenario {
    /// Whether a node of this name exists at some time.
    pub(crate) fn has_node(&self, name: &str) -> bool {
        node_names(self).any(|known| known == name)
    }

    /// The rule that is meant where none is named: the only one.
    pub(crate) fn only_rule(&self) -> Option<&str> {
        parts::only_rule(self)
    }
}

/// The metrics that rules may name.
fn metrics(scenario: &Scenario) -> Vec<String> {
    let built_in = ng_engine::validate::BUILT_IN_METRICS;
    let mut names: Vec<String> = built_in.iter().map(|name| (*name).to_owned()).collect();
    if let Ok(config) = checked_config(&scenario.config) {
        let more = config.metrics.keys().map(|name| name.as_str().to_owned());
        names.extend(more);
    }
    names
}

/// Time since the start, such as `5m30s`.
pub(crate) fn offset(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let mut text = String::new();
    for (number, unit) in parts {
        if number > 0 {
            text.push_str(&number.to_string());
            text.push_str(unit);
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}
