//! What metrics were before: one question a metric for all nodes.

use std::time::{Duration, Instant};

use ng_engine::node::Nodes;
use ng_engine::rule::MetricsSource;
use ng_engine::time::{Time, millis};

use crate::answer::Refusal;
use crate::client::{Client, Question};
use crate::fetch::{Wanted, outcome};
use crate::mapping::Index;
use crate::matrix::{self, Reader};
use crate::plan::Plan;
use crate::problem::{Problem, Trouble};
use crate::settings::Settings;

/// The longest answer without its points.
const LEAST_BYTES: u64 = 1 << 20;
/// A point takes some 35 bytes, with its share of the labels 40; there is room for half of the nodes to come twice.
const BYTES_A_POINT: u64 = 64;

/// Steps of equal length, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where the first step begins.
    pub since: Time,
    /// How long each step is.
    pub step: Duration,
    /// How many steps there are.
    pub steps: usize,
}

impl Stretch {
    /// The first and the last time that is asked for, and the distance: what is read in the middle of a step is nearest
    /// to its mean.
    fn times(&self) -> [String; 3] {
        let first = self.since.plus(self.step / 2);
        let further = u32::try_from(self.steps.saturating_sub(1)).unwrap_or(u32::MAX);
        let last = first.plus(self.step.saturating_mul(further));
        [first.millis(), last.millis(), millis(self.step)].map(seconds)
    }

    fn most_bytes(&self, nodes: usize) -> u64 {
        let points = u64::try_from(nodes.saturating_mul(self.steps)).unwrap_or(u64::MAX);
        LEAST_BYTES.saturating_add(points.saturating_mul(BYTES_A_POINT))
    }
}

/// One metric of all nodes, step by step.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    nodes: usize,
    values: Vec<f64>,
}

impl Grid {
    pub(crate) fn unknown(nodes: usize, steps: usize) -> Self {
        Self {
            nodes,
            values: vec![f64::NAN; nodes * steps],
        }
    }

    pub(crate) fn cell(&mut self, step: usize, node: usize) -> &mut f64 {
        &mut self.values[step * self.nodes + node]
    }

    /// For each step in turn the values of all nodes, in their order; not a number: not known.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }
}

/// Milliseconds as seconds.
fn seconds(millis: i64) -> String {
    match (millis.div_euclid(1000), millis.rem_euclid(1000)) {
        (seconds, 0) => seconds.to_string(),
        (seconds, rest) => format!("{seconds}.{rest:03}"),
    }
}

/// The configured Prometheus, asked about the past of some metrics of some nodes.
pub struct Archive<'a> {
    plan: Plan,
    nodes: &'a Nodes,
    settings: &'a Settings,
    index: Index<'a>,
    client: Client,
}

impl<'a> Archive<'a> {
    /// Asks nothing yet.
    pub fn new(metrics: &[&str], nodes: &'a Nodes, settings: &'a Settings) -> Self {
        let wanted: Vec<Wanted> = metrics
            .iter()
            .map(|metric| Wanted {
                metric: (*metric).to_owned(),
                source: MetricsSource::default(),
            })
            .collect();
        Self {
            // What is wrong with the configuration is told by whoever asks for the present.
            plan: Plan::new(&wanted, settings, &mut Vec::new()),
            nodes,
            settings,
            index: Index::new(nodes),
            client: Client::new(settings),
        }
    }

    /// A metric, by its position in those given, over a stretch of time. Nothing lasts longer than `deadline`.
    pub fn ask(&self, metric: usize, stretch: Stretch, deadline: Instant) -> Result<Grid, Problem> {
        let query = self.plan.wants.get(metric).and_then(|want| want.query);
        let Some(query) = query.map(|query| &self.plan.queries[query]) else {
            let text = "no Prometheus is configured that knows it";
            return Err(self.problem(metric, "", (Trouble::NoSource, text.to_owned())));
        };
        let server = &self.plan.servers[query.server];
        let times = stretch.times();
        let most = stretch.most_bytes(self.nodes.len());
        let question = Question::range(&query.expression, &times, most);
        let mut body = Vec::new();
        self.client
            .ask(server, &question, &mut body, deadline)
            .map_err(|failure| (failure.trouble, failure.text))
            .and_then(|reply| outcome(&reply, &body, self.parse(&body, stretch)))
            .map_err(|trouble| self.problem(metric, server.endpoint.base(), trouble))
    }

    fn parse(&self, body: &[u8], stretch: Stretch) -> Result<Grid, Refusal> {
        let reader = Reader {
            index: &self.index,
            nodes: self.nodes.len(),
            max_samples: self.settings.max_samples,
            stretch,
        };
        matrix::parse(body, &reader)
    }

    fn problem(&self, metric: usize, source: &str, (trouble, text): (Trouble, String)) -> Problem {
        let want = self.plan.wants.get(metric);
        Problem {
            trouble,
            metric: want.map(|want| want.metric.clone()).unwrap_or_default(),
            source: source.to_owned(),
            text,
        }
    }
}
