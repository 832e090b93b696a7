//! What must survive between two runs of the hooks, and the alert outbox: one `SQLite` file in the state directory.
//!
//! Any number of hook processes may use it at a time, and any of them may be killed at any instruction: what a
//! transaction wrote is there in full or not at all. Nothing here decides, and nothing here reads the clock.
//!
//! ```text
//! open ──▶ Store ──glances, peek──▶ (network, elsewhere) ──begin──▶ Transaction: load, save, queue, count, commit
//!   └─ database: any database of the directory; place, aside: its files, lock, setting a damaged one aside
//! stamp: whether anything was written, told without opening
//! schema: tables and their version     documents: writes only the rows that differ
//!
//! queue ──▶ outbox: admission ──▶ sending (claim, start, settle) ──▶ upkeep      claimant: who is still alive
//! ```
//!
//! The parts of a history lie where their rate of change puts them: what changes in every run is in narrow rows of
//! its own, so that an idle run writes nothing and a busy one little.

mod aside;
mod claimant;
mod counter;
mod database;
mod documents;
mod error;
mod lazy;
mod log;
mod monitor;
mod outbox;
mod place;
mod rules;
mod schema;
mod stamp;
mod store;
mod templates;
mod transaction;

pub use claimant::Claimant;
pub use counter::Counter;
pub use database::{Database, Format, Notice, SetAside};
pub use error::StateError;
pub use monitor::{Incident, Rows};
pub use outbox::{
    Agenda, Claim, Delivery, DeliveryState, Facts, FreshAlerts, Keep, Loaded, OpenDelivery,
    OpenParcel, OutboxCounts, OutboxFilter, QueuedAlert, Settlement, Tally,
};
pub use rules::{Glance, Glances};
pub use stamp::Stamp;
pub use store::{Opened, Store};
pub use transaction::{Peeked, Transaction};
