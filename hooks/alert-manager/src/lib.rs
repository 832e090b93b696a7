//! Delivers the alerts of the outbox.

pub mod commands;
pub mod pods;

use ng_hook::{Hook, HookConfig, Report, Run};

/// The hook for `main`.
pub const HOOK: Hook = Hook {
    name: "alert-manager",
    about: "Delivers the alerts of the outbox",
    bindings,
    handle,
};

fn bindings() -> HookConfig {
    HookConfig::default()
}

fn handle(_run: &Run) -> anyhow::Result<Report> {
    Ok(Report::default())
}
