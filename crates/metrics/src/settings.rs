//! Where readings come from, and how long it may take.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How the sources are reached. Has no `Debug`, since addresses and token may be secret.
#[derive(Clone)]
pub struct Settings {
    /// The configured Prometheus; a rule may name its own. May hold `user:password@`.
    pub prometheus_url: Option<String>,
    /// Sent as `Authorization: Bearer` to the configured Prometheus only: a rule's own address must not get it.
    pub bearer_token: Option<String>,
    /// The most time for one request, to the last byte of its answer.
    pub timeout: Duration,
    /// The time after which Prometheus itself gives up a query; never more than the client waits.
    pub query_timeout: Duration,
    /// How often a request is repeated when the answer says that this can help.
    pub retries: u32,
    /// The most series in one answer; a larger one is refused as a whole. Zero: no limit.
    pub max_samples: usize,
    /// How metrics.k8s.io is reached.
    pub metrics_server: MetricsServer,
    /// Own metrics by name, as `PromQL`. They win over built-in ones of the same name.
    pub custom: BTreeMap<String, String>,
    /// The age from which a reading is too old.
    pub stale_after: Duration,
    /// The most requests at a time.
    pub max_concurrent: usize,
    /// PEM file with the only authorities trusted for https. `None`: the public ones, which are built in, so that an
    /// image without certificate files works.
    pub ca_file: Option<PathBuf>,
}

/// The defaults of the existing system; nothing is configured.
impl Default for Settings {
    fn default() -> Self {
        Self {
            prometheus_url: None,
            bearer_token: None,
            timeout: Duration::from_secs(30),
            query_timeout: Duration::from_mins(1),
            retries: 3,
            max_samples: 10_000,
            metrics_server: MetricsServer::ThroughApiServer,
            custom: BTreeMap::new(),
            stale_after: Duration::from_mins(5),
            max_concurrent: 10,
            ca_file: None,
        }
    }
}

/// How metrics.k8s.io is reached.
#[derive(Clone, PartialEq, Eq)]
pub enum MetricsServer {
    /// Through the API server in use, if [`crate::fetch`] is given one.
    ThroughApiServer,
    /// At an address that stands for `/apis/metrics.k8s.io/v1beta1`. It gets the address's own credentials only.
    Url(String),
    /// Not at all.
    None,
}

/// A way to read from the Kubernetes API server in use.
pub trait ApiServer {
    /// The body of a successful answer to `GET path`, or what went wrong, in words without secrets.
    fn get(&self, path: &str, deadline: Instant) -> Result<Vec<u8>, String>;
}
