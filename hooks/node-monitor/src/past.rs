//! The history of readings, and what follows from it: what will be full, and when.

use std::time::Duration;

use ng_engine::node::Nodes;
use ng_engine::reading::{Column, Reading};
use ng_engine::time::Time;
use ng_forecast::{Outlook, Point, Question, Scratch, forecast};
use ng_hook::Logger;
use ng_hook::log::Value as Field;
use ng_monitor::{Foretold, Metric};
use ng_samples::{Grain, History, Ignored, Notice, Recorded, Retention, Slice, StateError};

/// What is used less than this is far from full, and its growth mostly that of a new node.
const WORTH_A_FORECAST: f64 = 50.0;

/// A forecast is made anew after about this time: what it is made of changes slowly.
const ROUND: Duration = Duration::from_mins(10);

/// So many nodes are looked at in any case; of more only a part, in turn.
const FEWEST: usize = 100;

/// So far back the past counts in full detail, and so far in hours.
const DETAIL: Duration = Duration::from_hours(24);
const PAST: Duration = Duration::from_hours(7 * 24);

/// What is full.
const FULL: f64 = 100.0;

/// What a check found out, as the history takes it.
pub(crate) struct Check<'a> {
    pub(crate) now: Time,
    pub(crate) interval: Duration,
    pub(crate) nodes: &'a Nodes,
    pub(crate) columns: &'a [(Metric, Column)],
}

/// The settings in the form of the history.
pub(crate) fn retention(settings: &ng_config::Retention) -> Retention {
    Retention {
        raw: settings.raw,
        five_minutes: settings.five_minutes,
        hours: settings.hours,
    }
}

/// Whether a metric can have a value. No reading is below nothing, and no share far above the whole; metrics.k8s.io
/// goes a little above.
pub(crate) fn is_possible(metric: Metric, value: f64) -> bool {
    let most = if metric == Metric::Load {
        f64::MAX
    } else {
        1000.0
    };
    (0.0..=most).contains(&value)
}

/// Opens the history to record; says what is wrong, and that a damaged one was set aside. Without it the check goes on.
pub(crate) fn open(directory: &std::path::Path, now: Time, log: &Logger) -> Option<History> {
    match History::open(directory, now) {
        Ok(opened) => {
            if let Some(Notice::SetAside { path, reason, .. }) = &opened.notice {
                let path = path.display().to_string();
                let fields = [
                    ("set_aside", Field::Text(&path)),
                    ("reason", Field::Text(reason)),
                ];
                log.error("the history was damaged and begins anew", &fields);
            }
            Some(opened.history)
        }
        Err(error) => {
            trouble(log, &error);
            None
        }
    }
}

pub(crate) fn trouble(log: &Logger, error: &StateError) {
    let fields = [("problem", Field::Shown(error))];
    log.warn(
        "the history of nodes cannot be used, and the check goes on without it",
        &fields,
    );
}

/// Keeps the readings.
pub(crate) fn record(
    history: &mut History,
    check: &Check<'_>,
    retention: &Retention,
    log: &Logger,
) {
    let columns: Vec<(&str, &[f64])> = check
        .columns
        .iter()
        .map(|(metric, column)| (metric.name(), column.values()))
        .collect();
    match history.record(check.now, check.nodes, &columns, retention) {
        Ok(Recorded::Stored(stored)) => {
            if stored.nodes_left_out > 0 {
                let count = stored.nodes_left_out.to_string();
                log.warn(
                    "the history has no room for nodes",
                    &[("nodes", Field::Text(&count))],
                );
            }
            if let Some(dropped) = stored.dropped {
                let newest = dropped.to_string();
                let fields = [("newest", Field::Text(&newest))];
                log.warn(
                    "the history had readings of the future, which are dropped",
                    &fields,
                );
            }
        }
        Ok(Recorded::Ignored(Ignored::Known)) => {}
        Ok(Recorded::Ignored(reason)) => {
            let fields = [("reason", Field::Shown(&reason))];
            log.warn("the readings are not kept, because of their time", &fields);
        }
        Err(error) => trouble(log, &error),
    }
}

/// Forecasts of the nodes whose turn it is, of everything that can be full.
pub(crate) fn outlooks(
    history: &History,
    check: &Check<'_>,
    horizon: Duration,
    log: &Logger,
) -> Vec<(usize, Metric, Foretold)> {
    let mut series = Series::of(check);
    if let Err(error) = series.fill(history, check) {
        trouble(log, &error);
        return Vec::new();
    }
    // A little further than is told, so that what was told can stay for a while at the edge.
    let question = Question {
        now: check.now,
        full: FULL,
        horizon: horizon * 3 / 2,
    };
    let mut scratch = Scratch::default();
    let foretold = series.wanted.iter().map(|wanted| {
        let answer = match wanted.points.as_deref() {
            Some(points) => told(forecast(points, &question, &mut scratch)),
            None => Foretold::Nothing,
        };
        (wanted.node, wanted.metric, answer)
    });
    foretold.collect()
}

/// What the monitor makes of an outlook.
pub(crate) fn told(outlook: Outlook) -> Foretold {
    match outlook {
        Outlook::Full(full) => Foretold::Full {
            expected: full.expected,
            earliest: full.earliest,
            latest: full.latest,
            confidence: full.confidence,
        },
        Outlook::None(_) => Foretold::Nothing,
    }
}

/// A metric of a node whose turn it is.
struct Wanted {
    node: usize,
    metric: Metric,
    /// `None`: known to be far from full.
    points: Option<Vec<Point>>,
}

struct Series {
    wanted: Vec<Wanted>,
}

impl Series {
    /// Nodes come in turn, some hundred at a time. What is unknown now has no forecast and keeps the one it had.
    fn of(check: &Check<'_>) -> Self {
        let total = check.nodes.len();
        let rounds =
            usize::try_from(ROUND.as_secs() / check.interval.as_secs().max(1)).unwrap_or(1);
        let parts = rounds.clamp(1, total.div_ceil(FEWEST).max(1));
        let turn = usize::try_from(
            check.now.millis().unsigned_abs() / 1000 / check.interval.as_secs().max(1),
        )
        .unwrap_or(0)
            % parts;
        let size = total.div_ceil(parts);
        let part = (turn * size).min(total)..((turn + 1) * size).min(total);
        let mut wanted = Vec::new();
        for (metric, column) in check.columns {
            if !metric.can_be_full() {
                continue;
            }
            for node in part.clone() {
                if let Reading::Value { value, .. } = column.get(node) {
                    wanted.push(Wanted {
                        node,
                        metric: *metric,
                        points: (value >= WORTH_A_FORECAST).then(Vec::new),
                    });
                }
            }
        }
        Self { wanted }
    }

    /// Hours of the week before, then five minutes of the last day.
    fn fill(&mut self, history: &History, check: &Check<'_>) -> Result<(), StateError> {
        let detail = check.now.minus(DETAIL);
        for metric in Metric::ALL
            .into_iter()
            .filter(|metric| metric.can_be_full())
        {
            let mut places: Vec<usize> = Vec::new();
            let mut names: Vec<&str> = Vec::new();
            for (place, wanted) in self.wanted.iter().enumerate() {
                if wanted.metric == metric && wanted.points.is_some() {
                    places.push(place);
                    names.push(check.nodes.name(wanted.node));
                }
            }
            if names.is_empty() {
                continue;
            }
            let spans = [
                (
                    check.now.minus(PAST),
                    detail.minus(Duration::from_secs(1)),
                    Grain::Hours,
                ),
                (detail, check.now, Grain::FiveMinutes),
            ];
            for (since, until, grain) in spans {
                let slice = Slice {
                    nodes: &names,
                    metrics: &[metric.name()],
                    since,
                    until,
                    grain,
                };
                history.scan(&slice, |row| {
                    // A mean belongs to the middle of its stretch.
                    let at = row.at.plus(row.span / 2);
                    for (place, value) in places.iter().zip(row.values) {
                        if let Some(points) = &mut self.wanted[*place].points {
                            points.push(Point { at, value: *value });
                        }
                    }
                })?;
            }
        }
        Ok(())
    }
}
