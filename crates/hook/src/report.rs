//! What a run has to say when it is over, and the exit status that follows from it.

use std::process::ExitCode;

use crate::metrics::MetricGroup;
use crate::patch::PatchOperation;

/// Whether running the same contexts again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The whole batch again, on the same contexts: the run fails, its outputs are dropped.
    Helps,
    /// The fault is in one object, or is told elsewhere: the run succeeds.
    Useless,
}

/// Something that went wrong in a run that went on.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, with its causes.
    pub error: anyhow::Error,
    /// Whether running again can help.
    pub retry: Retry,
}

/// The outcome of a run: what is to be applied, and what went wrong.
#[derive(Debug, Default)]
pub struct Report {
    /// Changes of objects, in order.
    pub patches: Vec<PatchOperation>,
    /// Groups of metrics, each complete.
    pub metrics: Vec<MetricGroup>,
    /// What went wrong.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Adds a failure.
    pub fn fail(&mut self, error: impl Into<anyhow::Error>, retry: Retry) {
        self.failures.push(Failure {
            error: error.into(),
            retry,
        });
    }

    /// Success, unless a repetition of the run can help.
    pub fn exit_code(&self) -> ExitCode {
        if self.retries().next().is_some() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    /// The failures that a repetition can help.
    pub fn retries(&self) -> impl Iterator<Item = &Failure> {
        self.failures
            .iter()
            .filter(|failure| failure.retry == Retry::Helps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_fails_only_if_a_repetition_can_help() {
        let cases: [(&[Retry], ExitCode); 4] = [
            (&[], ExitCode::SUCCESS),
            (&[Retry::Useless], ExitCode::SUCCESS),
            (&[Retry::Helps], ExitCode::FAILURE),
            (&[Retry::Useless, Retry::Helps], ExitCode::FAILURE),
        ];
        for (failures, expected) in cases {
            let mut report = Report::default();
            for retry in failures {
                report.fail(anyhow::anyhow!("x"), *retry);
            }
            assert_eq!(report.exit_code(), expected, "{failures:?}");
        }
    }
}
