//! Watches every node by built-in thresholds, without a rule: what is known of the nodes and what is remembered come
//! in, alerts and a new memory go out. No I/O, no clock, no randomness.
//!
//! ```text
//! nodes, readings, leases, forecasts ──check──┐                       ┌─▶ alerts
//!                                             ├─▶ episodes ─▶ groups ─┼─▶ changes, notes: log, history of incidents
//! node events ─────────────────────── see ────┘                       └─▶ memory
//! ```
//!
//! What is wrong with a node in one respect is an *episode*; its key, such as `node_worker-1_cpu_high`, is the same
//! from the first alert to the last. What is unknown neither begins nor ends one.
//!
//! - [`check`](fn@check): the nodes as they are; [`see`]: one change of a node
//! - [`Kind`]: what can be wrong; `words`: how it is said
//! - `episode`: when something is told, and when again; `groups`: one alert for a common cause
//! - [`Lack`]: what a young history is given of the time before it
//! - [`Memory`]: what is remembered from one run to the next

mod backfill;
mod check;
mod draft;
mod episode;
mod events;
mod groups;
mod kind;
mod memory;
mod plan;
mod settings;
mod watch;
mod words;

pub use backfill::{Attempts, BACKFILL_STEP, Lack};
pub use check::{Facts, Foretold, PRESSURES, ZONE_LABEL, check, missing};
pub use episode::Episode;
pub use events::{NodeEvent, Occurrence, see};
pub use kind::{Kind, Level, Metric, RULE_PREFIX, Subject};
pub use memory::{Memory, Row, SourceSeen};
pub use plan::{Change, Changed, Note, Plan};
pub use settings::Settings;
pub use words::{duration, heading, kind_name};
