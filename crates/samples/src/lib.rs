//! The history of node metrics: one `SQLite` file, `history.db`, beside the state.
//!
//! Each check adds the values of all nodes at one time, in one transaction; later they become aggregates of five
//! minutes and of an hour, and end. A value that is not known is a value of its own, and never zero. Nothing here
//! decides anything about nodes, and nothing here reads the clock.
//!
//! ```text
//! History::open ──record──▶ clock: is the time believed?   numbers: nodes and metrics as small numbers
//!                        └─▶ upkeep: aggregates, retention; a little in each check
//!                ──fill────▶ what was before the first check, from elsewhere; once
//! History::read ──range, scan, latest──▶ segments: which level holds which stretch of time
//!
//! schema: tables and keys     summary, pack: rows as bytes
//! ```
//!
//! A row holds one metric of 256 nodes at one time, so that a check of 5,000 nodes writes a hundred rows, and what is
//! read of few nodes is little. Rows are only added at one end of a table and taken away at the other: what ends makes
//! room for what comes. Only what is filled in comes before what is there.

mod clock;
mod fault;
mod fill;
mod history;
mod latest;
mod numbers;
mod pack;
mod range;
mod record;
mod retention;
mod scan;
mod schema;
mod segments;
mod summary;
mod table;
mod upkeep;

pub use clock::Ignored;
pub use fill::{Earlier, Filled};
pub use history::{History, KnownNode, Opened};
pub use latest::Latest;
pub use ng_state::{Notice, StateError};
pub use range::{Point, Spread};
pub use record::{Recorded, Stored};
pub use retention::Retention;
pub use scan::{Row, Slice};
pub use segments::Grain;
