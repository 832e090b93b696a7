//! One round over the rules: gathers what is, lets the engine decide, applies what it planned.
//!
//! ```text
//! contexts ─▶ gather ─▶ readings ─▶ [ load ─▶ decide ─▶ save + outbox ] ─▶ patches, metrics, log
//!                                        one transaction                 └▶ evictions, pod by pod
//! ```
//!
//! The hooks that evaluate rules are this with different bindings. Everything that talks to the outside comes in
//! through [`ports`]; replaying a scenario puts a simulated cluster there and runs the same code.

mod account;
pub mod bindings;
mod due;
mod evictions;
mod gather;
mod gauges;
mod patches;
pub mod ports;
mod quiet;
mod render;
pub mod report;
mod round;
mod rule_item;
pub mod settings;
mod statuses;
mod tick;
mod told_metrics;
mod turns;

use ng_engine::time::Time;
use ng_hook::{Report, Run};

pub use due::Scope;
pub use tick::{Desk, Outcome, tick};

/// One run of a hook over the rules in `scope`. An error means that nothing was done and that trying again can help.
pub fn run(run: &Run, scope: Scope) -> anyhow::Result<Report> {
    let loaded = settings::load(&run.env);
    report::apply_log_settings(&run.log, &loaded.config.log);
    report::configuration(&run.log, &loaded);
    let cluster = ports::ApiCluster::new(&run.env);
    let now = match run.env.now()? {
        Some(given) => Time::from(given),
        None => bindings::moment(Time::from(run.now)),
    };
    let desk = Desk {
        config: &loaded.config,
        log: &run.log,
        now,
        deadline: run.deadline,
        state_dir: run.env.state_dir(),
        scope,
        cluster: &cluster,
        source: &ports::Sources,
    };
    let mut outcome = tick(run.contexts(), &desk)?;
    if scope == Scope::Everything {
        outcome.report.metrics.push(settings::validity(&loaded));
    }
    outcome
        .report
        .patches
        .extend(report::configuration_event(&loaded, &desk)?);
    Ok(outcome.report)
}
