//! What can be wrong with a template, and where.

use crate::{Dialect, limits};

/// A template that cannot be parsed or rendered, with the place of the mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct TemplateError {
    line: usize,
    column: usize,
    problem: Problem,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text is longer than a template may be.
    #[error(
        "the template has {found} bytes, at most {} are allowed",
        limits::TEMPLATE_BYTES
    )]
    TooLarge {
        /// Bytes in the text.
        found: usize,
    },
    /// The text has more tags than a template may have.
    #[error("more than {} tags", limits::TAGS)]
    TooManyTags,
    /// Blocks or parentheses are nested too deeply, or one tag says too much.
    #[error("{what}: at most {limit} are allowed")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
        /// The largest number allowed.
        limit: usize,
    },
    /// Tags that belong to two dialects.
    #[error(
        "this tag is {second}, but line {first_line}, column {first_column} is {first}: write the whole template in one dialect"
    )]
    MixedDialects {
        /// The dialect of the first decisive tag.
        first: Dialect,
        /// The dialect of the tag in conflict.
        second: Dialect,
        /// Line of the first decisive tag.
        first_line: usize,
        /// Column of the first decisive tag.
        first_column: usize,
    },
    /// The text of a tag does not follow the grammar of its dialect.
    #[error("{dialect} syntax: {message}")]
    Syntax {
        /// The dialect the template was read in.
        dialect: Dialect,
        /// What was expected and what was found.
        message: String,
    },
    /// A function, filter, test, method or block that does not exist.
    #[error("unknown {what} `{name}`, known are: {known}")]
    Unknown {
        /// The kind of thing, for example `filter`.
        what: &'static str,
        /// The name as written.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A construct that is refused for safety.
    #[error("{what} is not allowed in templates")]
    Forbidden {
        /// The construct as written.
        what: String,
    },
    /// A value that an operation cannot work with.
    #[error("{0}")]
    Value(String),
    /// The rendered text grew over its limit.
    #[error("the output is longer than {} bytes", limits::OUTPUT_BYTES)]
    OutputTooLarge,
    /// Rendering took more steps than allowed.
    #[error("rendering takes more than {} steps", limits::STEPS)]
    TooManySteps,
}

impl TemplateError {
    /// Line of the mistake, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column of the mistake in characters, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, without the place.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

/// A problem at a byte offset; becomes a [`TemplateError`] where the text is known.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) problem: Problem,
}

impl Fault {
    pub(crate) fn new(at: usize, problem: Problem) -> Self {
        Self { at, problem }
    }

    pub(crate) fn syntax(at: usize, dialect: Dialect, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(at, Problem::Syntax { dialect, message })
    }

    pub(crate) fn forbidden(at: usize, what: impl Into<String>) -> Self {
        Self::new(at, Problem::Forbidden { what: what.into() })
    }

    pub(crate) fn in_text(self, text: &str) -> TemplateError {
        let (line, column) = line_and_column(text, self.at);
        TemplateError {
            line,
            column,
            problem: self.problem,
        }
    }
}

/// Line and column, both from 1, of a byte offset.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}
