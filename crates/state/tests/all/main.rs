//! The store as its callers see it, against real files and real processes.

#![expect(clippy::unwrap_used, reason = "in a test, a failure ends the test")]

mod damage;
mod fates;
mod lasting;
mod measure;
mod outbox;
mod processes;
mod property;
mod store;
mod stretches;
mod support;
mod upgrade;
