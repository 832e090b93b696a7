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
//! - `rank`: medians and other ranks
//! - `judge`: what a line must show before it is believed, and which of several is told
//! - `tell`: times, bounds and confidence from that line

mod history;
mod judge;
mod outlook;
mod rank;
mod swing;
mod tell;
mod window;

pub use outlook::{Full, Outlook, Point, Question, Reason, Scratch};
pub use tell::forecast;
