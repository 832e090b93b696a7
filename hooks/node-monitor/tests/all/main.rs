//! The executable as it is used: processes, contexts and a Prometheus on loopback.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod backfill;
mod commands;
mod hook;
mod real_prometheus;
mod support;
