//! How an attempt ends, and what becomes of the alerts.

use ng_delivery::Next;
use ng_notify::message::Outcome;
use ng_state::Settlement;

use crate::courier::Ended;

/// What becomes of alerts that the receiver does not have, and how they are counted.
pub(super) fn fate(follows: Next, reason: &str) -> (&'static str, Settlement) {
    let reason = reason.to_owned();
    match follows {
        Next::Done => ("delivered", Settlement::Done),
        Next::Again(at) => ("failed", Settlement::Again { at, reason }),
        Next::Dead => ("dead", Settlement::Dead { reason }),
    }
}

pub(super) fn end(outcome: Outcome) -> (ng_delivery::Ended, String) {
    match outcome {
        Outcome::Delivered => (ng_delivery::Ended::Delivered, String::new()),
        Outcome::Retry { reason, after } => (ng_delivery::Ended::Retry { after }, reason),
        Outcome::Permanent { reason } => (ng_delivery::Ended::Permanent, reason),
    }
}

pub(super) fn overdue(lane: usize) -> Ended {
    Ended {
        lane,
        outcome: Outcome::Retry {
            reason: "no answer in the time of a run".to_owned(),
            after: None,
        },
        told: Vec::new(),
        notes: Vec::new(),
        problems: Vec::new(),
    }
}
