//! One flat JSON object a line, as shell-operator takes records over; or plain text for people.
//!
//! A line is written at once and stays below 10 KiB: shell-operator reads in chunks, and half an
//! object would swallow what follows it.

#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

/// No line is longer than this; the operator cuts at 10,000 characters.
const MAX_LINE: usize = 9_000;
/// No single text in a line is longer than this.
const MAX_TEXT: usize = 4_000;
/// What fits after the last field: the mark of a cut, quotes and brackets.
const RESERVE: usize = 64;

/// How much a record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Every step.
    Trace,
    /// What helps to find a mistake.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What went wrong and was handled.
    Warn,
    /// What went wrong.
    Error,
}

impl Level {
    const ALL: [Self; 5] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A level that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected trace, debug, info, warn or error, found {0:?}")]
pub struct UnknownLevel(String);

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "trace" => Ok(Self::Trace),
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" | "warning" => Ok(Self::Warn),
            "error" | "fatal" | "critical" => Ok(Self::Error),
            _ => Err(UnknownLevel(text.to_owned())),
        }
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One flat JSON object.
    Json,
    /// Time, level, message and `key=value`.
    Text,
}

/// Where lines go.
#[derive(Debug, Clone)]
pub enum Output {
    /// Standard output: a run under shell-operator, which takes stderr for the error text.
    Stdout,
    /// Standard error: when stdout carries a document.
    Stderr,
    /// Memory, to look at in tests.
    Memory(Arc<Mutex<Vec<u8>>>),
}

/// The value of a field.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A text, cut when it is long.
    Text(&'a str),
    /// Anything that can be shown; it is shown only if the line is logged.
    Shown(&'a dyn fmt::Display),
    /// A whole number.
    Integer(i64),
    /// A number; `null` if it is not finite.
    Number(f64),
    /// Yes or no.
    Bool(bool),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A field of a record: its key, in `snake_case`, and its value.
pub type Field<'a> = (&'static str, Value<'a>);

/// Writes records; it is passed around, there is no global one.
#[derive(Debug)]
pub struct Logger {
    level: AtomicU8,
    format: AtomicU8,
    output: Output,
    clock: Clock,
}

/// The time of records: the run's time, which goes on unless it was given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) now: Timestamp,
    /// `None`: the time was given, and stands still.
    pub(crate) started: Option<Instant>,
}

impl Clock {
    fn time(&self) -> Timestamp {
        self.started
            .and_then(|started| self.now.checked_add(started.elapsed()).ok())
            .unwrap_or(self.now)
    }
}

impl Logger {
    /// A logger from `info` on, in JSON, whose records all carry this time.
    pub fn new(output: Output, now: Timestamp) -> Self {
        Self::with_clock(output, Clock { now, started: None })
    }

    pub(crate) fn with_clock(output: Output, clock: Clock) -> Self {
        Self {
            level: AtomicU8::new(Level::Info as u8),
            format: AtomicU8::new(Format::Json as u8),
            output,
            clock,
        }
    }

    /// A logger whose lines can be looked at; for tests.
    pub fn in_memory(now: Timestamp) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let lines = Arc::default();
        (Self::new(Output::Memory(Arc::clone(&lines)), now), lines)
    }

    /// Leaves out records below this level from now on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Writes lines in this form from now on.
    pub fn set_format(&self, format: Format) {
        self.format.store(format as u8, Ordering::Relaxed);
    }

    /// The level below which records are left out.
    pub fn level(&self) -> Level {
        let level = self.level.load(Ordering::Relaxed);
        Level::ALL
            .into_iter()
            .find(|known| *known as u8 == level)
            .unwrap_or(Level::Info)
    }

    /// Whether a record of this level is written.
    pub fn enabled(&self, level: Level) -> bool {
        level as u8 >= self.level.load(Ordering::Relaxed)
    }

    /// Logs a step.
    pub fn trace(&self, message: &str, fields: &[Field<'_>]) {
        self.log(Level::Trace, message, fields);
    }

    /// Logs what helps to find a mistake.
    pub fn debug(&self, message: &str, fields: &[Field<'_>]) {
        self.log(Level::Debug, message, fields);
    }

    /// Logs what an operator wants to know.
    pub fn info(&self, message: &str, fields: &[Field<'_>]) {
        self.log(Level::Info, message, fields);
    }

    /// Logs what went wrong and was handled.
    pub fn warn(&self, message: &str, fields: &[Field<'_>]) {
        self.log(Level::Warn, message, fields);
    }

    /// Logs what went wrong.
    pub fn error(&self, message: &str, fields: &[Field<'_>]) {
        self.log(Level::Error, message, fields);
    }

    /// Logs a record with one write.
    pub fn log(&self, level: Level, message: &str, fields: &[Field<'_>]) {
        if !self.enabled(level) {
            return;
        }
        let record = Record {
            time: self.clock.time(),
            level,
            message,
            fields,
        };
        let line = if self.format.load(Ordering::Relaxed) == Format::Text as u8 {
            record.text()
        } else {
            record.json()
        };
        self.write(line.as_bytes());
    }

    /// A line that cannot be written is lost: there is nowhere left to say so, and a run must not
    /// fail because its reader has gone away.
    fn write(&self, line: &[u8]) {
        let _lost = match &self.output {
            Output::Stdout => io::stdout().lock().write_all(line),
            Output::Stderr => io::stderr().lock().write_all(line),
            Output::Memory(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.write_all(line)
            }
        };
    }
}

struct Record<'a> {
    time: Timestamp,
    level: Level,
    message: &'a str,
    fields: &'a [Field<'a>],
}

impl Record<'_> {
    fn json(&self) -> String {
        let mut line = Line::new();
        let _infallible = write!(
            line.text,
            "{{\"time\":\"{:.3}\",\"level\":\"{}\",\"msg\":",
            self.time,
            self.level.name()
        );
        line.json_text(self.message);
        for (key, value) in self.fields {
            if line.room() < key.len() + RESERVE {
                line.text.push_str(",\"truncated\":true");
                break;
            }
            let _infallible = write!(line.text, ",\"{key}\":");
            line.json_value(value);
        }
        line.text.push_str("}\n");
        line.text
    }

    fn text(&self) -> String {
        let mut line = Line::new();
        let _infallible = write!(line.text, "{:.3} {:5} ", self.time, self.level.name());
        line.plain(self.message);
        for (key, value) in self.fields {
            if line.room() < key.len() + RESERVE {
                line.text.push_str(" …");
                break;
            }
            let _infallible = write!(line.text, " {key}=");
            line.text_value(value);
        }
        line.text.push('\n');
        line.text
    }
}

/// A line in the making, which knows how much more fits.
struct Line {
    text: String,
}

impl Line {
    fn new() -> Self {
        Self {
            text: String::with_capacity(256),
        }
    }

    fn room(&self) -> usize {
        MAX_LINE.saturating_sub(self.text.len())
    }

    /// Where the text that starts here has to end.
    fn limit(&self) -> usize {
        self.text.len() + self.room().saturating_sub(RESERVE).min(MAX_TEXT)
    }

    fn json_value(&mut self, value: &Value<'_>) {
        match value {
            Value::Text(text) => self.json_text(text),
            Value::Shown(shown) => self.json_text(&shown.to_string()),
            Value::Number(number) if !number.is_finite() => self.text.push_str("null"),
            Value::Integer(_) | Value::Number(_) | Value::Bool(_) => self.bare(value),
        }
    }

    fn text_value(&mut self, value: &Value<'_>) {
        let shown = match value {
            Value::Text(text) => *text,
            Value::Shown(shown) => &shown.to_string(),
            Value::Integer(_) | Value::Number(_) | Value::Bool(_) => return self.bare(value),
        };
        if shown.is_empty() || shown.contains([' ', '"', '=', '\n']) {
            self.json_text(shown);
        } else {
            self.plain(shown);
        }
    }

    fn bare(&mut self, value: &Value<'_>) {
        let _infallible = match value {
            Value::Integer(number) => write!(self.text, "{number}"),
            // `{:?}` writes huge and tiny numbers with an exponent, not with 300 digits.
            Value::Number(number) => write!(self.text, "{number:?}"),
            Value::Bool(value) => write!(self.text, "{value}"),
            Value::Text(_) | Value::Shown(_) => Ok(()),
        };
    }

    fn plain(&mut self, text: &str) {
        let limit = self.limit();
        for character in text.chars() {
            if self.text.len() >= limit {
                self.text.push('…');
                break;
            }
            self.text.push(if character.is_control() {
                ' '
            } else {
                character
            });
        }
    }

    fn json_text(&mut self, text: &str) {
        let limit = self.limit();
        self.text.push('"');
        for character in text.chars() {
            if self.text.len() >= limit {
                self.text.push('…');
                break;
            }
            self.json_character(character);
        }
        self.text.push('"');
    }

    fn json_character(&mut self, character: char) {
        match character {
            '"' => self.text.push_str("\\\""),
            '\\' => self.text.push_str("\\\\"),
            '\n' => self.text.push_str("\\n"),
            '\t' => self.text.push_str("\\t"),
            control if control < ' ' => {
                let _infallible = write!(self.text, "\\u{:04x}", u32::from(control));
            }
            other => self.text.push(other),
        }
    }
}
