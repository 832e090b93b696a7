//! Readings from the scenario's series.

use ng_engine::node::Nodes;
use ng_engine::reading::{Column, Origin, Reading, Unknown};
use ng_engine::time::{Time, millis};
use ng_metrics::{Fetched, Problem, Settings, Trouble, Wanted};
use ng_round::ports::{Source, Times};

use crate::scenario::series::{AllSeries, Sample};

/// Stands for Prometheus.
pub(super) struct SimSource<'a> {
    pub(super) series: &'a AllSeries,
    pub(super) start: Time,
    /// Whether it answers.
    pub(super) answers: bool,
}

impl SimSource<'_> {
    fn column(&self, metric: &str, nodes: &Nodes, now: Time) -> Column {
        let mut column = Column::unknown(nodes.len(), Unknown::NoSample);
        let step = millis(self.series.step).max(1);
        let passed = (now.millis() - self.start.millis()).max(0) / step;
        let at = Time::from_millis(self.start.millis() + passed * step);
        for (node, name) in nodes.names().enumerate() {
            let Some(series) = self.series.of(metric, name) else {
                continue;
            };
            let position = usize::try_from(passed).unwrap_or(usize::MAX);
            column.set(
                node,
                match series.at(position) {
                    Sample::Value(value) => Reading::Value {
                        value,
                        at,
                        origin: Origin::Prometheus,
                    },
                    Sample::Missing => Reading::Unknown(Unknown::NoSample),
                    Sample::Stale => Reading::Unknown(Unknown::Stale),
                },
            );
        }
        column
    }
}

impl Source for SimSource<'_> {
    fn fetch(&self, wanted: &[Wanted], nodes: &Nodes, _: &Settings, times: &Times<'_>) -> Fetched {
        if self.answers {
            return Fetched {
                columns: wanted
                    .iter()
                    .map(|wanted| self.column(&wanted.metric, nodes, times.now))
                    .collect(),
                problems: Vec::new(),
                requests: u32::try_from(wanted.len()).unwrap_or(u32::MAX),
            };
        }
        Fetched {
            columns: wanted
                .iter()
                .map(|_| Column::unknown(nodes.len(), Unknown::Unreachable))
                .collect(),
            problems: vec![Problem {
                trouble: Trouble::Unreachable,
                metric: String::new(),
                source: "prometheus".to_owned(),
                text: "down in this scenario".to_owned(),
            }],
            requests: 1,
        }
    }
}
