//! The node-monitor hook: watches every node by built-in thresholds, without a rule.
//!
//! ```text
//! node events ────────────────────────┐
//! tick, if a check is due ─▶ nodes ─▶ readings, leases ─▶ history ─▶ [ load ▶ see, check ▶ save + outbox ] ─▶ log, metrics
//!                                                                     one transaction                   └─▶ backfill, once
//! ```
//!
//! What is wrong, and what is told, is decided in `ng-monitor`; the alerts go through the outbox to the same channels
//! as those of rules. Nothing here changes the cluster.
//!
//! - `bindings`: what the hook listens to; `gather`: its contexts; `leases`: when kubelets were last heard
//! - `visit`: one run; `past`: the history and forecasts; `backfill`: what was before it; `told`: log and metrics
//! - `cli`, `commands`: the commands for people

mod backfill;
mod bindings;
mod cli;
mod commands;
mod gather;
mod leases;
mod past;
mod told;
mod visit;

use ng_hook::{Hook, Report, Run};

pub use cli::commands as run_command;

/// The hook for `main`.
pub const HOOK: Hook = Hook {
    name: "node-monitor",
    about: "Watches nodes by thresholds, without rules",
    bindings: bindings::bindings,
    handle,
};

fn handle(run: &Run) -> anyhow::Result<Report> {
    visit::visit(run)
}
