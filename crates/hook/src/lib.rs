//! The shell-operator side of a hook: bindings, contexts, patches, metrics, logs, exit status.
//!
//! A hook program is [`run()`] with a [`Hook`]: what it binds to and what it does with a [`Run`].
//! This crate knows shell-operator's files and variables; it knows nothing of rules or nodes and
//! never talks to a network.
//!
//! - [`mod@run`]: arguments, one run, its outputs and its exit status.
//! - [`mod@env`]: the environment, read once. [`log`]: one JSON line per record.
//! - [`context`]: the binding contexts, streamed with [`json`].
//! - [`config`]: the answer to `--config`.
//! - [`patch`], [`metrics`]: what shell-operator applies after a clean exit.

pub mod config;
pub mod context;
pub mod env;
pub mod json;
pub mod log;
pub mod metrics;
pub mod patch;
mod report;
pub mod run;

pub use config::{HookConfig, Kubernetes, ObjectEvent, Schedule};
pub use env::Env;
pub use log::Logger;
pub use metrics::MetricGroup;
pub use patch::{PatchOperation, Target};
pub use report::{Failure, Report, Retry};
pub use run::{Hook, Run, run, run_with_commands};
