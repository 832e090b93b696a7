//! Each check with objects that it speaks of and objects that it must not speak of.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a helper that fails fails its test, and tables are long"
)]

mod conditions;
mod marks;
mod objects;
mod support;
