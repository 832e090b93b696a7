//! Decides what happens to nodes: rules, nodes, readings and history in, a plan out.
//!
//! No file, no network, no clock, no randomness: the same inputs give the same plan.
//!
//! ```text
//! spec ──validate──▶ rule ─┐
//! node, reading ───────────┼──▶ decide ──▶ plan ──▶ (apply, elsewhere) ──▶ history
//! history ─────────────────┘
//! ```

pub mod bits;
pub mod decide;
pub mod history;
pub mod node;
pub mod parcel;
pub mod plan;
pub mod reading;
pub mod roster;
pub mod rule;
pub mod spec;
pub mod status;
mod texts;
pub mod time;
pub mod timers;
pub mod validate;
