//! Decides about alerts on their way out: which are told at all, which go now, in which messages, and what follows
//! from each attempt. No I/O, no clock, no randomness: all of it comes in as arguments.
//!
//! ```text
//! queued ──admit──▶ pending ──plan──▶ Batch ──(sent elsewhere)──▶ Ended ──next──▶ done, again or dead
//!            └─▶ held (flapping) or skipped (muted)                  └─▶ ReceiverState: pause and tokens
//! ```
//!
//! - `admit`: noise: mutes and flapping nodes
//! - `plan`: groups of alerts, their order and their size
//! - `attempt`: backoff of a delivery; `receiver`: pause and rate limit of a receiver

mod admit;
mod attempt;
mod plan;
mod receiver;

pub use admit::{Admission, Flapping, Fresh, Memory, Told};
pub use attempt::{Ended, Next, Retrying, next};
pub use plan::{Batch, Grouping, MOST_IN_ONE, MOST_MESSAGES, Stretch, Topic, plan};
pub use receiver::{Allowance, ReceiverState};
