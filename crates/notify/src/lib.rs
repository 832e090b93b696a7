//! Alerts into messages, and messages to their channels.
//!
//! ```text
//! alerts of one rule ──compose──▶ Message ──channel──▶ requests, mails, a log line ──▶ Outcome
//! ```
//!
//! - [`message`]: what is told, in words and facts, the same for every channel

pub mod message;
