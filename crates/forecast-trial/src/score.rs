//! Walks series as an operator would, every half hour, and counts what two forecasts say about them.

use std::time::Duration;

use ng_engine::time::Time;
use ng_forecast::{Outlook, Point, Question, Scratch, forecast};

use crate::corpus::{DAY, Kind, LENGTH, Series};
use crate::plain::Line;
use crate::view::{Kept, count, time};

/// Minutes between two looks.
const EVERY: usize = 30;
/// Minutes ahead that are asked for.
const HORIZON: usize = DAY;
/// An alarm is false only if the series is not full within the horizon and a quarter of it more.
const GRACE: usize = HORIZON / 4;
/// A series counts as found only if it was alarmed this long before.
const IN_TIME: usize = 2 * 60;
/// Nothing is alarmed below this level, as in the usual alerts for disks.
const LEVEL: f64 = 60.0;
/// What the plain forecast looks at.
const PLAIN_WINDOW: usize = 6 * 60;

/// What a forecast did on one or more series.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Looks in all.
    pub looks: usize,
    /// Looks with an alarm.
    pub alarms: usize,
    /// Looks with an alarm, although the series did not become full in time.
    pub false_alarms: usize,
    /// Runs of alarms.
    pub episodes: usize,
    /// Runs of alarms, none of which was followed by a full series in time.
    pub false_episodes: usize,
    /// Series that become full.
    pub full: usize,
    /// Those of them that were alarmed in time.
    pub found: usize,
    /// Hours from the first right alarm to full, by series.
    pub lead: Vec<f64>,
    /// Relative errors of the expected time, by right alarm.
    pub errors: Vec<f64>,
    /// Right alarms with bounds around the expected time.
    pub bounded: usize,
    /// Those of them whose bounds held.
    pub covered: usize,
}

impl Tally {
    /// Share of the series that become full that were alarmed in time.
    pub fn recall(&self) -> f64 {
        count(self.found) / count(self.full).max(1.0)
    }

    /// Share of the right alarms whose bounds held.
    pub fn coverage(&self) -> f64 {
        count(self.covered) / count(self.bounded).max(1.0)
    }

    /// Median of the relative errors of the expected time.
    pub fn error(&self) -> f64 {
        median(&self.errors)
    }

    /// Median of the hours between the first right alarm and full.
    pub fn hours_ahead(&self) -> f64 {
        median(&self.lead)
    }

    fn add(&mut self, other: &Self) {
        self.looks += other.looks;
        self.alarms += other.alarms;
        self.false_alarms += other.false_alarms;
        self.episodes += other.episodes;
        self.false_episodes += other.false_episodes;
        self.full += other.full;
        self.found += other.found;
        self.lead.extend(&other.lead);
        self.errors.extend(&other.errors);
        self.bounded += other.bounded;
        self.covered += other.covered;
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Both forecasts on the same series.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// The forecast of `ng-forecast`.
    pub ours: Tally,
    /// A line of least squares through six hours.
    pub plain: Tally,
}

/// Walks every series with both forecasts.
pub fn score(corpus: &[Series]) -> Score {
    let mut total = Score::default();
    for series in corpus {
        let one = walk(series);
        total.ours.add(&one.ours);
        total.plain.add(&one.plain);
    }
    total
}

/// The same for the series of each kind.
pub fn by_kind(corpus: &[Series]) -> Vec<(Kind, Score)> {
    let of = |kind| -> Vec<Series> {
        let is = |series: &&Series| series.kind == kind;
        corpus.iter().filter(is).cloned().collect()
    };
    Kind::ALL.map(|kind| (kind, score(&of(kind)))).into()
}

/// An alarm: in how many minutes, and bounds of it.
#[derive(Clone, Copy)]
struct Alarm {
    expected: f64,
    bounds: Option<(f64, f64)>,
}

fn walk(series: &Series) -> Score {
    let kept = Kept::new(series);
    let mut score = Score::default();
    let mut walks = [Walk::new(series), Walk::new(series)];
    let mut points = Vec::new();
    let mut scratch = Scratch::default();
    let end = series.full_at.unwrap_or(LENGTH - HORIZON - GRACE);
    for minute in (DAY..end).step_by(EVERY) {
        let level = level(&series.values, minute);
        let alarms = if level > LEVEL {
            kept.points(minute, &mut points);
            [
                ours(&points, minute, &mut scratch),
                plain(&series.values, minute),
            ]
        } else {
            [None, None]
        };
        for (walk, alarm) in walks.iter_mut().zip(alarms) {
            walk.look(minute, alarm);
        }
    }
    let [ours, plain] = walks.map(Walk::end);
    score.ours = ours;
    score.plain = plain;
    score
}

/// The last sample of five minutes, or nothing.
fn level(values: &[f64], minute: usize) -> f64 {
    let last = values[minute.saturating_sub(4)..=minute].iter().rev();
    last.copied().find(|value| value.is_finite()).unwrap_or(0.0)
}

fn ours(points: &[Point], minute: usize, scratch: &mut Scratch) -> Option<Alarm> {
    let question = question(minute);
    let left = |at: Time| at.since(question.now).as_secs_f64() / 60.0;
    match forecast(points, &question, scratch) {
        Outlook::Full(full) => Some(Alarm {
            expected: left(full.expected),
            bounds: full
                .latest
                .map(|latest| (left(full.earliest), left(latest))),
        }),
        Outlook::None(_) => None,
    }
}

fn plain(values: &[f64], minute: usize) -> Option<Alarm> {
    let window = minute.saturating_sub(PLAIN_WINDOW)..=minute;
    let points = window
        .map(|at| (count(at), values[at]))
        .filter(|(_, value)| value.is_finite());
    let left = Line::through(points, count(minute))?.minutes_left()?;
    (left <= count(HORIZON)).then_some(Alarm {
        expected: left.max(0.0),
        bounds: None,
    })
}

/// One forecast on its way through one series.
struct Walk<'a> {
    series: &'a Series,
    tally: Tally,
    /// Whether the last look had an alarm, and whether one of its run was right.
    episode: Option<bool>,
    first: Option<usize>,
}

impl<'a> Walk<'a> {
    fn new(series: &'a Series) -> Self {
        let mut tally = Tally::default();
        // What is full before or just after the first look cannot be found in time.
        if series.full_at.is_some_and(|full| full > DAY + 2 * IN_TIME) {
            tally.full = 1;
        }
        Self {
            series,
            tally,
            episode: None,
            first: None,
        }
    }

    fn look(&mut self, minute: usize, alarm: Option<Alarm>) {
        self.tally.looks += 1;
        let Some(alarm) = alarm else {
            self.end_episode();
            return;
        };
        self.tally.alarms += 1;
        let left = self.series.full_at.map(|full| full - minute);
        let right = left.is_some_and(|left| left <= HORIZON + GRACE);
        self.episode = Some(self.episode.unwrap_or(false) || right);
        let Some(left) = left.filter(|_| right) else {
            self.tally.false_alarms += 1;
            return;
        };
        self.first = self.first.or(Some(left));
        let left = count(left);
        self.tally.errors.push((alarm.expected - left).abs() / left);
        if let Some((earliest, latest)) = alarm.bounds {
            self.tally.bounded += 1;
            self.tally.covered += usize::from((earliest..=latest).contains(&left));
        }
    }

    fn end_episode(&mut self) {
        if let Some(right) = self.episode.take() {
            self.tally.episodes += 1;
            self.tally.false_episodes += usize::from(!right);
        }
    }

    fn end(mut self) -> Tally {
        self.end_episode();
        if let Some(first) = self.first {
            self.tally.lead.push(count(first) / 60.0);
            self.tally.found = usize::from(first >= IN_TIME).min(self.tally.full);
        }
        self.tally
    }
}

/// What a hook would ask about each series at its last look, to measure what an answer costs.
pub fn questions(corpus: &[Series]) -> Vec<(Vec<Point>, Question)> {
    let ask = |series: &Series| {
        let minute = series.values.len() - 1;
        let mut points = Vec::new();
        Kept::new(series).points(minute, &mut points);
        (points, question(minute))
    };
    corpus.iter().map(ask).collect()
}

fn question(minute: usize) -> Question {
    Question {
        now: time(count(minute)),
        full: 100.0,
        horizon: Duration::from_mins(HORIZON as u64),
    }
}
