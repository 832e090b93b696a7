//! Harness for tests that run the hooks against the real servers.
//!
//! A [`Stack`] is etcd, kube-apiserver, Prometheus with two exporters, and shell-operator, all on
//! loopback with free ports and one temporary directory, all gone when it is dropped or when the
//! test process dies. There is no kubelet, scheduler or controller manager: a test writes what
//! they would write, and [`Kubelet`] does the one part that evictions need.
//!
//! - [`tools`]: where the servers' executables come from, and how they are built
//! - [`server`]: one child process that never outlives the test
//! - [`api`], [`cluster`], [`audit`]: the API server, requests to it, and who wrote what
//! - [`objects`], [`kubelet`]: nodes, pods and budgets, and the end of terminating pods
//! - [`programs`]: the project's own executables
//! - [`exporter`], [`prometheus`]: node metrics that tests set, and queries over them
//! - [`http`], [`files`]: requests that a test is sent, and copies of what is shipped
//! - [`mod@reference`]: the pages that are made from what is shipped
//! - [`dashboards`]: the shipped dashboards, and what they ask Prometheus
//! - [`manifests`]: the shipped manifests and the chart as they are applied, and what is made from other files
//! - [`operator`], [`stack`]: shell-operator, and everything together
//!
//! Nothing here knows the rules or the hooks: it starts executables and looks from outside.

pub mod api;
pub mod audit;
pub mod cluster;
pub mod dashboards;
pub mod exporter;
pub mod files;
pub mod http;
pub mod kubelet;
pub mod manifests;
pub mod objects;
pub mod operator;
pub mod programs;
pub mod prometheus;
pub mod reference;
pub mod sbom;
pub mod server;
pub mod stack;
pub mod tools;
pub mod wait;

pub use api::{Api, ApiError};
pub use exporter::{Exporter, Load};
pub use kubelet::Kubelet;
pub use objects::{Budget, Node, Owner, Pod};
pub use operator::Hook;
pub use programs::program;
pub use stack::{Stack, StackBuilder};
pub use tools::{Clients, Tools};
pub use wait::wait_until;
