//! The executable as it is used: processes, contexts and a Prometheus on loopback.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "../../../alert-manager/tests/commands/api.rs"]
mod api;
mod backfill;
mod commands;
mod hook;
mod metrics_server;
mod real_prometheus;
mod support;
