//! What the engine decides, step by step, in a small cluster in memory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod decide_support;

#[path = "decide_cases/codecs.rs"]
mod codecs;
#[path = "decide_cases/conditions.rs"]
mod conditions;
#[path = "decide_cases/cooldowns.rs"]
mod cooldowns;
#[path = "decide_cases/edits.rs"]
mod edits;
#[path = "decide_cases/guards.rs"]
mod guards;
#[path = "decide_cases/marks.rs"]
mod marks;
#[path = "decide_cases/mutes.rs"]
mod mutes;
#[path = "decide_cases/nodes.rs"]
mod nodes;
#[path = "decide_cases/properties.rs"]
mod properties;
#[path = "decide_cases/queues.rs"]
mod queues;
#[path = "decide_cases/selectors.rs"]
mod selectors;
#[path = "decide_cases/statuses.rs"]
mod statuses;
