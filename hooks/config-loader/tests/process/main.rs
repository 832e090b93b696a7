//! The built executable, as a command and as a hook.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a helper that fails fails its test, and tables are long"
)]

mod commands;
mod hook;
mod hostile;
mod publish;
mod support;
