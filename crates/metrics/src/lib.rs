//! Answers of Prometheus and metrics.k8s.io into readings of nodes.
//!
//! One request a metric and Prometheus server, and one to metrics.k8s.io, whatever the number of nodes. A reading that
//! could not be had is *unknown* with its reason, never zero; a series whose node is not certain is counted and
//! reported, never guessed. This crate knows nothing of rules and thresholds, and never reads the environment; the
//! point in time and the deadline are arguments.
//!
//! - [`fetch`](fn@fetch): which source is asked for what, and how the answers are put together
//! - `catalogue`: the built-in metrics and their `PromQL`
//! - `plan`: the least number of questions
//! - [`Archive`]: what metrics were before
//! - `mapping`: from the labels of a series to a node
//! - `answer`, `prometheus`, `matrix`, `usage`: the answers, parsed where they lie
//! - `endpoint`, `client`: addresses without their credentials, and the one place that talks

mod answer;
mod catalogue;
mod client;
mod endpoint;
mod fetch;
mod mapping;
mod matrix;
mod plan;
mod problem;
mod prometheus;
mod range;
mod settings;
mod stream;
mod usage;

pub use catalogue::{Builtin, INODE_METRIC, inodes_promql, promql};
pub use fetch::{Fetched, Wanted, When, fetch};
pub use problem::{Problem, Trouble};
pub use range::{Archive, Grid, Stretch};
pub use settings::{ApiServer, MetricsServer, Settings};
