//! Filling a young history from Prometheus, after the check and once: without it nothing is foretold in the first hour.
//!
//! Metric by metric, so that no more than one of them is in memory. What fails is tried again at growing distances,
//! until the history is old enough without it.

use std::path::Path;
use std::time::Instant;

use ng_engine::node::Nodes;
use ng_engine::reading::{Column, Origin, Reading};
use ng_engine::time::Time;
use ng_hook::Logger;
use ng_hook::log::Value as Field;
use ng_metrics::{Archive, Problem, Settings, Stretch};
use ng_monitor::{Attempts, BACKFILL_STEP, Lack, Metric};
use ng_samples::{Earlier, Filled, History, StateError};

use crate::past::{self, Check};

/// What a history lacks.
#[derive(Debug, Default)]
pub(crate) struct Lacks {
    /// Whether any metric lacks its past.
    any: bool,
    /// Metrics whose past Prometheus may have: it has just told their present.
    askable: Vec<(Metric, Lack)>,
}

impl Lacks {
    /// What a history lacks for forecasts of everything that can be full.
    pub(crate) fn of(history: &History, check: &Check<'_>) -> Result<Self, StateError> {
        let mut lacks = Self::default();
        for (metric, column) in check.columns {
            if !metric.can_be_full() {
                continue;
            }
            let first = history.since(metric.name())?;
            if let Some(lack) = first.and_then(|first| Lack::of(first, check.now)) {
                lacks.any = true;
                if is_told_by_prometheus(column) {
                    lacks.askable.push((*metric, lack));
                }
            }
        }
        Ok(lacks)
    }
}

fn is_told_by_prometheus(column: &Column) -> bool {
    (0..column.len()).any(|node| {
        let reading = column.get(node);
        matches!(
            reading,
            Reading::Value {
                origin: Origin::Prometheus,
                ..
            }
        )
    })
}

/// What follows from what is lacking and from what was noted of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Not now.
    Wait,
    /// Nothing is lacking any more: the note goes.
    Forget,
    /// This attempt is noted, and then made.
    Try(Attempts),
}

impl Step {
    pub(crate) fn of(lacks: &Lacks, note: Option<&str>, now: Time) -> Self {
        if !lacks.any {
            return note.map_or(Self::Wait, |_| Self::Forget);
        }
        if lacks.askable.is_empty() {
            return Self::Wait;
        }
        Attempts::next(note.and_then(Attempts::of_note), now).map_or(Self::Wait, Self::Try)
    }
}

/// Where values come from and go to.
pub(crate) struct Backfill<'a> {
    pub(crate) nodes: &'a Nodes,
    pub(crate) sources: &'a Settings,
    pub(crate) state: &'a Path,
    pub(crate) now: Time,
    pub(crate) deadline: Instant,
    pub(crate) log: &'a Logger,
}

impl Backfill<'_> {
    /// Makes an attempt. Trouble is told at the first one; the check is over, and nothing depends on it.
    pub(crate) fn run(&self, lacks: &Lacks, attempt: Attempts) {
        let Some(mut history) = past::open(self.state, self.now, self.log) else {
            return;
        };
        let metrics: Vec<&str> = lacks
            .askable
            .iter()
            .map(|(metric, _)| metric.name())
            .collect();
        let archive = Archive::new(&metrics, self.nodes, self.sources);
        let (mut told, mut trouble) = (Vec::new(), Vec::new());
        for (number, (metric, lack)) in lacks.askable.iter().enumerate() {
            match self.fill(&mut history, (&archive, number), (*metric, *lack)) {
                Ok(filled) if filled.stretches > 0 => told.push(format!(
                    "{}: {} stretches of {} nodes",
                    metric.name(),
                    filled.stretches,
                    filled.nodes
                )),
                Ok(_) => trouble.push(format!("{}: there is no past of it", metric.name())),
                Err(problem) => trouble.push(problem),
            }
        }
        self.tell(&told.join("; "), &trouble.join("; "), attempt);
    }

    fn fill(
        &self,
        history: &mut History,
        (archive, number): (&Archive<'_>, usize),
        (metric, lack): (Metric, Lack),
    ) -> Result<Filled, String> {
        let stretch = Stretch {
            since: lack.since,
            step: BACKFILL_STEP,
            steps: lack.steps,
        };
        let mut grid = archive
            .ask(number, stretch, self.deadline)
            .map_err(|problem: Problem| problem.to_string())?;
        for value in grid.values_mut() {
            if !past::is_possible(metric, *value) {
                *value = f64::NAN;
            }
        }
        let earlier = Earlier {
            metric: metric.name(),
            nodes: self.nodes,
            since: lack.since,
            values: grid.values(),
        };
        history
            .fill(&earlier)
            .map_err(|error| format!("{}: {error}", metric.name()))
    }

    fn tell(&self, told: &str, trouble: &str, attempt: Attempts) {
        if !told.is_empty() {
            let fields = [("filled", Field::Text(told))];
            self.log
                .info("the history was filled from Prometheus", &fields);
        }
        if trouble.is_empty() {
            return;
        }
        let message = "the history cannot be filled from Prometheus, which is tried again until it is an hour old";
        let fields = [("problem", Field::Text(trouble))];
        if attempt.made == 1 {
            self.log.warn(message, &fields);
        } else {
            self.log.debug(message, &fields);
        }
    }
}
