//! What people call by hand: the old direct call, `preview` and `test`.
//!
//! Each is a function from an environment and arguments to an exit status; results go to stdout, the log to stderr.
//!
//! - [`direct`]: `alert-manager TEMPLATE RULE_JSON NODES_JSON CHANNELS_JSON`
//! - [`preview`]: what would go out, from files
//! - [`trial`]: `alert-manager test`, a marked message to one channel

pub mod direct;
pub mod preview;
pub mod trial;

/// A channel failed.
pub const FAILED: u8 = 1;
/// Wrong arguments.
pub const USAGE: u8 = 2;
