//! For how long samples are kept, and how fine.

use std::time::Duration;

/// For how long, counted back from the newest sample, each level is kept. What is too old is taken away in whole
/// hours, and not before the next coarser level is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Every sample.
    pub raw: Duration,
    /// Aggregates of five minutes.
    pub five_minutes: Duration,
    /// Aggregates of an hour.
    pub hours: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            raw: Duration::from_hours(6),
            five_minutes: Duration::from_hours(48),
            hours: Duration::from_hours(7 * 24),
        }
    }
}

/// Whole seconds; saturates.
pub(crate) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
