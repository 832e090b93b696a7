//! The recovery-manager hook: looks at the rules that hold nodes, so that a node comes back also when the controller
//! is busy or not installed.
//!
//! It runs the controller's round over fewer rules: what a rule decides must not depend on who asks. The rounds share
//! one state, in which every decision is a transaction, so whichever comes second finds nothing left to do.

mod bindings;

use ng_hook::{Hook, Report, Run};
use ng_round::Scope;

/// The hook for `main`.
pub const HOOK: Hook = Hook {
    name: "recovery-manager",
    about: "Runs the recovery actions of NodeGuardianRules",
    bindings: bindings::bindings,
    handle,
};

fn handle(run: &Run) -> anyhow::Result<Report> {
    ng_round::run(run, Scope::Held)
}
