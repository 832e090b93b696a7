//! The history as its callers see it, against real files and real processes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test, a failure ends the test"
)]

mod clock;
mod damage;
mod fill;
mod nodes;
mod processes;
mod property;
mod size;
mod support;
