//! Alerts into messages, and messages to their channels.
//!
//! ```text
//! alerts of one rule ──compose──▶ Message ──channel──▶ requests, mails, a log line ──▶ Outcome
//! ```
//!
//! - [`compose`]: the message of a group of alerts, in the words of a template
//! - [`message`]: what is told, in words and facts, the same for every channel
//! - [`Receiver`]: where one channel's messages go, from the configuration
//! - [`send`]: the one function that talks; [`preview`]: what it would send

mod body;
mod channel;
pub mod compose;
mod email;
#[cfg(test)]
mod golden;
mod http;
mod json;
pub mod message;
mod preview;
mod receiver;
mod replicas;
mod send;
mod sign;
#[cfg(test)]
mod test_support;
mod text;
mod words;

pub use preview::preview;
pub use receiver::{NotConfigured, Rate, Receiver};
pub use send::{LogLine, LogValue, Sent, When, send};
