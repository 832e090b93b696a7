//! `node-monitor history`: the readings of a node, as rows.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::bail;
use clap::{Args, ValueEnum};
use ng_config::MetricName;
use ng_monitor::Metric;
use ng_samples::{History, Point};
use serde_json::{Value, json};

use super::{Desk, Since, Usage, print, seconds};

/// Show the readings of a node
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Name of the node
    #[arg(short, long)]
    node: String,
    /// cpu, memory, disk, pods, inodes or load, or the whole name of a metric
    #[arg(short, long)]
    metric: String,
    /// Since when: a duration such as 6h, or a time such as 2026-01-02T03:04:05Z
    #[arg(short, long, default_value = "6h")]
    since: Since,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Columns for people.
    Table,
    /// Comma-separated values.
    Csv,
    /// A JSON array.
    Json,
}

const COLUMNS: [&str; 8] = [
    "time", "seconds", "min", "mean", "max", "last", "known", "checks",
];

pub(crate) fn history(arguments: &HistoryArgs, desk: &Desk) -> anyhow::Result<()> {
    let metric = match Metric::parse(&arguments.metric) {
        Some(metric) => metric.name(),
        None => arguments.metric.as_str(),
    };
    let since = desk.since(arguments.since);
    let history = desk.history();
    let kept = match &history {
        Ok(history) => history.metrics()?,
        Err(_) => Vec::new(),
    };
    could_be(metric, &kept, desk)?;
    let history = history?;
    find(&history, &arguments.node, (metric, &kept))?;
    let points = history.range(&arguments.node, metric, since, desk.now)?;
    print(match arguments.output {
        Form::Table => table(&points),
        Form::Csv => csv(&points),
        Form::Json => format!("{:#}\n", Value::Array(points.iter().map(object).collect())),
    })
}

/// Whether there is a metric of this name: one of every node, one of the configuration's own, or one with samples.
/// Anything else is wrong usage, also before the first check.
fn could_be(metric: &str, kept: &[String], desk: &Desk) -> Result<(), Usage> {
    let always = Metric::ALL.map(Metric::name);
    let own = desk.config.metrics.keys().map(MetricName::as_str);
    let kept = kept.iter().map(String::as_str);
    let known: BTreeSet<&str> = always.into_iter().chain(own).chain(kept).collect();
    if known.contains(metric) {
        return Ok(());
    }
    let known: Vec<&str> = known.into_iter().collect();
    Err(Usage(format!(
        "--metric: expected one of {}, found {metric:?}",
        known.join(", ")
    )))
}

/// What has no samples is no empty answer.
fn find(history: &History, node: &str, (metric, kept): (&str, &[String])) -> anyhow::Result<()> {
    if !kept.iter().any(|known| known == metric) {
        bail!("--metric: there is no reading of {metric:?}");
    }
    if !history.nodes()?.iter().any(|known| known.name == node) {
        bail!("--node: there is no reading of a node {node:?}");
    }
    Ok(())
}

/// The cells of a point; what is not known is empty.
fn cells(point: &Point) -> [String; 8] {
    let value = |pick: fn(&ng_samples::Spread) -> f64| {
        let spread = point.spread.as_ref();
        spread.map_or_else(String::new, |spread| format!("{:.2}", pick(spread)))
    };
    [
        point.at.to_string(),
        seconds(point.span).to_string(),
        value(|spread| spread.min),
        value(|spread| spread.mean),
        value(|spread| spread.max),
        value(|spread| spread.last),
        point.known.to_string(),
        point.checks.to_string(),
    ]
}

fn object(point: &Point) -> Value {
    let value = |pick: fn(&ng_samples::Spread) -> f64| point.spread.as_ref().map(pick);
    json!({
        "time": point.at.to_string(),
        "seconds": seconds(point.span),
        "min": value(|spread| spread.min),
        "mean": value(|spread| spread.mean),
        "max": value(|spread| spread.max),
        "last": value(|spread| spread.last),
        "known": point.known,
        "checks": point.checks,
    })
}

fn csv(points: &[Point]) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for point in points {
        text.push_str(&cells(point).join(","));
        text.push('\n');
    }
    text
}

fn table(points: &[Point]) -> String {
    let mut text = String::new();
    let mut row = |cells: &[String; 8]| {
        let [time, numbers @ ..] = cells;
        let _infallible = write!(text, "{time:<20}");
        for number in numbers {
            let number = if number.is_empty() { "-" } else { number };
            let _infallible = write!(text, "{number:>9}");
        }
        text.push('\n');
    };
    row(&COLUMNS.map(str::to_uppercase));
    for point in points {
        row(&cells(point));
    }
    text
}
