//! The controller hook: evaluates every rule when it is added or changed and whenever its interval is over, and
//! carries on evictions and drains.

mod bindings;

use ng_hook::{Hook, Report, Run};
use ng_round::Scope;

/// The hook for `main`.
pub const HOOK: Hook = Hook {
    name: "controller",
    about: "Evaluates NodeGuardianRules and applies their actions",
    bindings: bindings::bindings,
    handle,
};

fn handle(run: &Run) -> anyhow::Result<Report> {
    ng_round::run(run, Scope::Everything)
}
