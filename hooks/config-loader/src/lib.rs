//! Validates and publishes the configuration: a hook that watches the `ConfigMap`, and a command.

mod commands;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use ng_hook::Hook;

/// The hook for `main`.
pub const HOOK: Hook = Hook {
    name: NAME,
    about: ABOUT,
    bindings: watch::bindings,
    handle: watch::handle,
};

const NAME: &str = "config-loader";
const ABOUT: &str = "Validates and publishes the configuration";

/// What the program does as a command.
pub fn commands(arguments: Vec<OsString>) -> ExitCode {
    commands::main(arguments)
}
