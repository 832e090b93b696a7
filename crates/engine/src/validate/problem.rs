//! Mistakes, collected until all are known.

use std::fmt;
use std::time::Duration;

use super::duration;
use super::nearest::nearest;

/// One mistake in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `spec.conditions[2].operator`.
    pub path: String,
    /// What was expected, and what was found.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for Problem {}

/// The mistakes found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// `value`, if there are no mistakes.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self.0)
        }
    }

    /// Adds a mistake.
    pub(super) fn add(&mut self, path: impl fmt::Display, message: String) {
        self.0.push(Problem {
            path: path.to_string(),
            message,
        });
    }

    /// Adds that `found` stands where something else was expected.
    pub(super) fn unexpected(&mut self, path: impl fmt::Display, expected: &str, found: &str) {
        self.add(path, format!("{expected}, found {}", quote(found)));
    }

    /// Adds that `found` is none of `known`, and which of them is nearest.
    pub(super) fn not_one_of(&mut self, path: impl fmt::Display, found: &str, known: &[&str]) {
        let list = known.join(", ");
        let meant = nearest(found, known.iter().copied())
            .map(|word| format!("; did you mean {word:?}?"))
            .unwrap_or_default();
        self.add(
            path,
            format!("expected one of {list}, found {}{meant}", quote(found)),
        );
    }

    /// Adds a mistake unless `text` is legal.
    pub(super) fn require(
        &mut self,
        path: impl fmt::Display,
        text: &str,
        is_legal: fn(&str) -> bool,
        expected: &str,
    ) {
        if !is_legal(text) {
            self.unexpected(path, expected, text);
        }
    }

    /// The duration in `text`; `default` if it is empty or wrong.
    pub(super) fn duration(
        &mut self,
        path: impl fmt::Display,
        text: &str,
        default: Duration,
    ) -> Duration {
        if text.is_empty() {
            return default;
        }
        duration::parse(text).unwrap_or_else(|reason| {
            self.unexpected(path, &reason.to_string(), text);
            default
        })
    }

    /// Whether a list is short enough to be checked item by item; adds one mistake if it is not.
    pub(super) fn fits<T>(&mut self, path: &str, items: &[T], most: usize) -> bool {
        let fits = items.len() <= most;
        if !fits {
            self.add(
                path,
                format!("expected at most {most} items, found {}", items.len()),
            );
        }
        fits
    }
}

/// A text in quotes, cut if it is long.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.chars().nth(LONGEST).is_none() {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start:?} and more")
}
