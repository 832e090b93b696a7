//! When a percentage of a node will be full, from its history, or why that cannot be told. No I/O and no clock.
//!
//! ```text
//! points ──▶ history ──▶ swings: from where has it come down before, and how far?
//!                  └───▶ window: a robust line through each of 1 h … 7 d ──▶ judge: which line holds, if any
//! ```
//!
//! - `history`: what can be used of the points
//! - `swing`: falls, noise and steps of the scale
//! - `window`: spans of equal length and the median of the slopes between them
//! - `judge`: what a line must show before it is believed, and which of several is told

mod history;
mod judge;
mod outlook;
mod swing;
mod window;

pub use judge::forecast;
pub use outlook::{Full, Outlook, Point, Question, Reason, Scratch};
