//! Validates and publishes the configuration.

use ng_hook::{Hook, HookConfig, Report, Run};

/// The hook for `main`.
pub const HOOK: Hook = Hook {
    name: "config-loader",
    about: "Validates and publishes the configuration",
    bindings,
    handle,
};

fn bindings() -> HookConfig {
    HookConfig::default()
}

fn handle(_run: &Run) -> anyhow::Result<Report> {
    Ok(Report::default())
}
