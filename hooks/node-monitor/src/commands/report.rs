//! `node-monitor report`: everything on one page.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use ng_engine::time::Time;
use ng_forecast::{Outlook, Point, Question, Reason, Scratch, forecast};
use ng_monitor::{Kind, Metric, kind_name};
use ng_picture::{
    Arrival, Incident, Level, NoForecast, Node, Outlook as Shown, Report, Severity, Trend,
    report as draw,
};
use ng_samples::{History, Point as Kept};
use ng_state::Store;

use super::scene::{Scene, measure};
use super::{Desk, Since, print};

/// Write a page with all nodes, their trends and what was wrong
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// File to write; -: standard output
    #[arg(short, long, default_value = "-")]
    output: PathBuf,
    /// Where trends and the timeline begin: a duration such as 24h, or a time such as 2026-01-02T03:04:05Z
    #[arg(short, long, default_value = "24h")]
    since: Since,
    /// How many nodes are drawn over time, the worst first
    #[arg(short, long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(0..=200))]
    nodes: u16,
}

/// What is foretold on the page, whatever is configured for alerts.
const HORIZON: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// The past that a forecast is made of.
const PAST: std::time::Duration = std::time::Duration::from_hours(7 * 24);

pub(crate) fn report(arguments: &ReportArgs, desk: &Desk) -> anyhow::Result<()> {
    let since = desk.since(arguments.since);
    let mut scene = Scene::read(desk)?;
    let past = Past {
        history: desk.history()?,
        since,
        interval: desk.config.node_monitor.check_interval,
    };
    let trends = trends(&scene, &past, usize::from(arguments.nodes))?;
    refine(&mut scene.nodes, &trends);
    let page = draw(&Report {
        language: scene.language,
        cluster: scene.cluster,
        at: scene.at,
        source: scene.source,
        limits: scene.limits,
        nodes: scene.nodes,
        trends,
        timeline_from: since,
        incidents: incidents(desk, since)?,
    });
    if arguments.output.as_os_str() == "-" {
        return print(page);
    }
    write(&arguments.output, &page)
}

/// In one step: a reader sees the old page or the new one.
fn write(path: &std::path::Path, page: &str) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = std::fs::File::create(&temporary)
        .and_then(|mut file| std::io::Write::write_all(&mut file, page.as_bytes()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        drop(std::fs::remove_file(&temporary));
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// What trends are drawn from.
struct Past {
    history: History,
    since: Time,
    /// A sample stands for the time until the next check.
    interval: std::time::Duration,
}

/// What was told of the future gets the range and the confidence of the forecast as it is now.
fn refine(nodes: &mut [Node], trends: &[Trend]) {
    for node in nodes {
        let Some(next) = &mut node.next else { continue };
        let same = |trend: &&Trend| trend.node == node.name && trend.measure == next.measure;
        if let Some(Shown::Reaches(arrival)) = trends.iter().find(same).map(|trend| trend.outlook) {
            next.arrival = arrival;
        }
    }
}

/// Of the worst nodes what is high or growing, with what can be said of its future.
fn trends(scene: &Scene, past: &Past, most: usize) -> anyhow::Result<Vec<Trend>> {
    let since = past.since;
    let mut nodes: Vec<&Node> = scene.nodes.iter().collect();
    nodes.sort_by(|one, other| {
        let urgency = |node: &Node| (node.next.is_some(), node.level, fullest(node));
        urgency(other)
            .partial_cmp(&urgency(one))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut trends = Vec::new();
    let mut scratch = Scratch::default();
    for node in nodes.into_iter().take(most) {
        for metric in worth_drawing(node, scene) {
            let from = if metric.can_be_full() {
                scene.at.minus(PAST).min(since)
            } else {
                since
            };
            let kept = past
                .history
                .range(&node.name, metric.name(), from, scene.at)?;
            trends.push(Trend {
                node: node.name.clone(),
                measure: measure(metric),
                outlook: outlook(&kept, metric, scene.at, &mut scratch),
                points: kept
                    .iter()
                    .filter(|point| point.at >= since)
                    .filter_map(|point| drawn(point, past.interval))
                    .collect(),
            });
        }
    }
    Ok(trends)
}

fn fullest(node: &Node) -> f64 {
    let readings = [node.readings.memory, node.readings.disk, node.readings.cpu];
    readings.into_iter().flatten().fold(0.0, f64::max)
}

/// What is above its warning or will be full; of a node without either the two that fill up most often.
fn worth_drawing(node: &Node, scene: &Scene) -> Vec<Metric> {
    let high = |metric: &Metric| {
        let reading = node.readings.get(measure(*metric));
        let limit = scene.limits.get(measure(*metric));
        let above = reading.is_some_and(|value| limit.level(value) > Level::Unknown);
        above
            || node
                .next
                .is_some_and(|next| next.measure == measure(*metric))
    };
    let found: Vec<Metric> = Metric::ALL.into_iter().filter(high).collect();
    if found.is_empty() {
        vec![Metric::Memory, Metric::Disk]
    } else {
        found
    }
}

fn drawn(point: &Kept, interval: std::time::Duration) -> Option<ng_picture::Point> {
    let spread = point.spread?;
    Some(ng_picture::Point {
        at: point.at,
        lasting: if point.span.is_zero() {
            interval
        } else {
            point.span
        },
        min: spread.min,
        mean: spread.mean,
        max: spread.max,
    })
}

fn outlook(kept: &[Kept], metric: Metric, now: Time, scratch: &mut Scratch) -> Shown {
    if !metric.can_be_full() {
        return Shown::None(NoForecast::NoTrend);
    }
    let points: Vec<Point> = kept
        .iter()
        .filter_map(|point| {
            Some(Point {
                at: point.at.plus(point.span / 2),
                value: point.spread?.mean,
            })
        })
        .collect();
    let question = Question {
        now,
        full: 100.0,
        horizon: HORIZON,
    };
    match forecast(&points, &question, scratch) {
        Outlook::Full(full) => Shown::Reaches(Arrival {
            limit: 100.0,
            at: full.expected,
            earliest: full.earliest,
            latest: full.latest,
            confidence: full.confidence,
        }),
        Outlook::None(reason) => Shown::None(match reason {
            Reason::NoLimit | Reason::Stale => NoForecast::Unknown,
            Reason::TooFewPoints | Reason::TooShort | Reason::TooYoung => NoForecast::TooShort,
            Reason::AlreadyFull | Reason::NotGrowing | Reason::Slowing => NoForecast::NoTrend,
            Reason::Erratic | Reason::Recurring => NoForecast::Changed,
            Reason::BeyondHorizon => NoForecast::Beyond(HORIZON),
        }),
    }
}

fn incidents(desk: &Desk, since: Time) -> anyhow::Result<Vec<Incident>> {
    let Some(store) = Store::read(desk.env.state_dir())? else {
        return Ok(Vec::new());
    };
    let monitor = &desk.config.node_monitor;
    let language = monitor.language.unwrap_or(desk.config.alert.language);
    let incidents = store.incidents(since)?;
    let drawn = incidents.into_iter().map(|incident| {
        let kind = Kind::ALL.iter().find(|kind| kind.word() == incident.kind);
        Incident {
            node: incident.subject,
            message: kind.map_or_else(String::new, |kind| kind_name(*kind, language).to_owned()),
            key: incident.kind,
            severity: if incident.level == "critical" {
                Severity::Critical
            } else {
                Severity::Warning
            },
            begin: incident.began,
            end: incident.ended,
        }
    });
    Ok(drawn.collect())
}
