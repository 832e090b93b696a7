//! What the caller fills in: plain data, with units.

use std::time::Duration;

use ng_engine::time::Time;

/// The language of the words; names and messages stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese, simplified.
    Chinese,
}

/// How a node is. The order is that of attention: the last is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All that is known is below its limits.
    Ok,
    /// Nothing bad is known, and something that should be is not.
    Unknown,
    /// A warning limit is passed.
    Warning,
    /// A critical limit is passed, or the node is not ready.
    Critical,
}

impl Level {
    /// Every level, the worst first.
    pub const WORST_FIRST: [Self; 4] = [Self::Critical, Self::Warning, Self::Unknown, Self::Ok];
}

/// What is measured of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// CPU in use, percent.
    Cpu,
    /// Memory in use, percent.
    Memory,
    /// Root file system in use, percent.
    Disk,
    /// Inodes of the root file system in use, percent.
    Inodes,
    /// Pods of those the node allows, percent.
    Pods,
    /// Load of one minute for each CPU.
    Load,
}

impl Measure {
    /// Every measure, in the order of columns.
    pub const ALL: [Self; 6] = [
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Inodes,
        Self::Pods,
        Self::Load,
    ];
}

/// The newest readings of a node. `None`, or a number that is not finite: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Readings {
    /// Percent.
    pub cpu: Option<f64>,
    /// Percent.
    pub memory: Option<f64>,
    /// Percent.
    pub disk: Option<f64>,
    /// Percent.
    pub inodes: Option<f64>,
    /// Percent.
    pub pods: Option<f64>,
    /// Load for each CPU.
    pub load: Option<f64>,
}

impl Readings {
    /// The reading of one measure, if it is known.
    pub fn get(&self, measure: Measure) -> Option<f64> {
        let reading = match measure {
            Measure::Cpu => self.cpu,
            Measure::Memory => self.memory,
            Measure::Disk => self.disk,
            Measure::Inodes => self.inodes,
            Measure::Pods => self.pods,
            Measure::Load => self.load,
        };
        reading.filter(|value| value.is_finite())
    }
}

/// From which value on a reading is worth attention, in its own unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limit {
    /// From here on it is a warning.
    pub warning: Option<f64>,
    /// From here on it is critical.
    pub critical: Option<f64>,
}

impl Limit {
    /// The level of a known value.
    pub fn level(&self, value: f64) -> Level {
        let passed = |limit: Option<f64>| limit.is_some_and(|limit| value >= limit);
        if passed(self.critical) {
            Level::Critical
        } else if passed(self.warning) {
            Level::Warning
        } else {
            Level::Ok
        }
    }
}

/// The limits of all measures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Percent.
    pub cpu: Limit,
    /// Percent.
    pub memory: Limit,
    /// Percent.
    pub disk: Limit,
    /// Percent.
    pub inodes: Limit,
    /// Percent.
    pub pods: Limit,
    /// Load for each CPU.
    pub load: Limit,
}

impl Limits {
    /// The limits of one measure.
    pub fn get(&self, measure: Measure) -> Limit {
        match measure {
            Measure::Cpu => self.cpu,
            Measure::Memory => self.memory,
            Measure::Disk => self.disk,
            Measure::Inodes => self.inodes,
            Measure::Pods => self.pods,
            Measure::Load => self.load,
        }
    }
}

/// What the node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The condition `Ready` is true.
    Ready,
    /// It is false.
    NotReady,
    /// It is `Unknown`, or not there: the node is not heard of.
    Unheard,
}

/// Why readings of a node are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The source answered, but not for this node.
    NoSample,
    /// The newest sample is too old to count.
    Stale,
    /// The source did not answer.
    Unreachable,
    /// No source is configured that knows it.
    NoSource,
    /// The source answered something that is no reading.
    BadAnswer,
}

/// One node as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name in the cluster.
    pub name: String,
    /// Zone; empty where the node has none.
    pub zone: String,
    /// The worst of what is known.
    pub level: Level,
    /// Since when the level is what it is, if that is known.
    pub since: Option<Time>,
    /// What the node says of itself.
    pub readiness: Readiness,
    /// Whether it takes no new pods.
    pub cordoned: bool,
    /// The newest readings.
    pub readings: Readings,
    /// When the newest of them was sampled; `None` if there is none.
    pub read_at: Option<Time>,
    /// Why some are missing, if any are.
    pub silence: Option<Silence>,
    /// What reaches its limit first, if a forecast says so.
    pub next: Option<Next>,
}

/// What of a node reaches its limit first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Next {
    /// What it is.
    pub measure: Measure,
    /// When.
    pub arrival: Arrival,
}

/// When a measure reaches a limit, as far as that can be said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// The value that is reached, in the unit of the measure; 100 percent is "full".
    pub limit: f64,
    /// The most likely time.
    pub at: Time,
    /// The early end of its range.
    pub earliest: Time,
    /// The late end; `None`: it may as well not be reached.
    pub latest: Option<Time>,
    /// From 0 to 1.
    pub confidence: f64,
}

/// What can be said of the future of one measure of one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outlook {
    /// It reaches a limit.
    Reaches(Arrival),
    /// There is no such forecast.
    None(NoForecast),
}

/// Why there is no forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoForecast {
    /// There are too few points, or they span too short a time.
    TooShort,
    /// Too much of the time is missing.
    Gaps,
    /// It goes up and down without a direction.
    NoTrend,
    /// It falls.
    Falling,
    /// It rises, but reaches nothing within this time.
    Beyond(Duration),
    /// It has lately jumped or been emptied, so what was before says nothing.
    Changed,
    /// What is there now is not known.
    Unknown,
}

/// One measure of one node over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Name of the node.
    pub node: String,
    /// What is drawn.
    pub measure: Measure,
    /// Oldest first. What is missing between them is a gap.
    pub points: Vec<Point>,
    /// What can be said of the future.
    pub outlook: Outlook,
}

/// What was measured in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Begin of the stretch.
    pub at: Time,
    /// Its length.
    pub lasting: Duration,
    /// Smallest sample in it.
    pub min: f64,
    /// Mean of the samples in it.
    pub mean: f64,
    /// Largest sample in it.
    pub max: f64,
}

/// How bad an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody should look at it by day.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

/// Something that was, or is, wrong with a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Name of the node.
    pub node: String,
    /// What it is about: a metric, a condition, a taint.
    pub key: String,
    /// How bad.
    pub severity: Severity,
    /// For people; may be empty.
    pub message: String,
    /// When it began.
    pub begin: Time,
    /// When it ended; `None`: it has not.
    pub end: Option<Time>,
}

/// Whether metrics can be had at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// They can.
    Answering,
    /// No source of metrics has answered since then.
    Silent {
        /// The last answer, or the first question.
        since: Time,
    },
}

/// Everything the page shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Language of the words.
    pub language: Language,
    /// Name of the cluster; may be empty.
    pub cluster: String,
    /// The time it is about.
    pub at: Time,
    /// Whether metrics can be had.
    pub source: Source,
    /// Limits of all nodes.
    pub limits: Limits,
    /// Every node, in any order.
    pub nodes: Vec<Node>,
    /// What to draw over time, the most important first.
    pub trends: Vec<Trend>,
    /// Where the timeline of incidents begins.
    pub timeline_from: Time,
    /// Incidents in any order; those that ended before the timeline are left out.
    pub incidents: Vec<Incident>,
}

/// Everything the table shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Language of the words.
    pub language: Language,
    /// Name of the cluster; may be empty.
    pub cluster: String,
    /// The time it is about.
    pub at: Time,
    /// Whether metrics can be had.
    pub source: Source,
    /// Limits of all nodes.
    pub limits: Limits,
    /// Every node, in any order.
    pub nodes: Vec<Node>,
}

/// Where the table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Columns; no line is wider, down to 20.
    pub width: usize,
    /// Lines of the whole table; `None`: as many as it takes.
    pub lines: Option<usize>,
    /// What it can show.
    pub paint: Paint,
}

/// What a screen can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Text alone, for files and pipes: no escape codes, bars of ASCII.
    Plain,
    /// A terminal: colours, bars of blocks.
    Terminal,
}
