//! The edges of the controller: the Kubernetes API and the sources of readings.

use std::cell::OnceCell;
use std::path::Path;
use std::time::Instant;

use ng_engine::history::{Mark, MarkKey};
use ng_engine::node::{IGNORE_ANNOTATION, Nodes};
use ng_engine::time::Time;
use ng_hook::Env;
use ng_kube::eviction::EvictionOutcome;
use ng_kube::k8s_openapi::api::core::v1::Taint;
use ng_kube::objects::{Node, Pod};
use ng_kube::{
    Client, Credentials, CredentialsError, Options, PodRef, SERVICE_ACCOUNT_DIR, request,
};
use serde_json::{Value, json};

use ng_metrics::{ApiServer, Fetched, Settings, Wanted, When};

/// The Kubernetes API, as far as the controller talks to it itself. Errors are sentences for logs and Events.
pub trait Cluster {
    /// Whether there are credentials at all.
    fn is_configured(&self) -> bool;
    /// The node as it is at this moment; `None`: it is gone.
    fn node(&self, name: &str, deadline: Instant) -> Result<Option<LiveNode>, String>;
    /// Every node.
    fn nodes(&self, deadline: Instant) -> Result<Vec<Node>, String>;
    /// Whether the rule still exists with this UID; an empty UID matches any.
    fn rule_exists(&self, name: &str, uid: &str, deadline: Instant) -> Result<bool, String>;
    /// Puts marks on the node before pods are evicted from it, so that they do not come back to it. Refused if the
    /// node has changed since it was looked at. A cluster where the plan's own patch is there at once needs no more.
    fn mark(
        &self,
        node: &str,
        live: &LiveNode,
        marks: &[Mark],
        deadline: Instant,
    ) -> Result<(), String> {
        let _ = (node, live, marks, deadline);
        Ok(())
    }
    /// The pods that are bound to a node.
    fn pods_on(&self, node: &str, deadline: Instant) -> Result<Vec<Pod>, String>;
    /// Asks for an eviction.
    fn evict(&self, pod: &PodRef, grace_period: Option<i64>, deadline: Instant) -> EvictionOutcome;
    /// The body of an answer to a GET, for metrics.k8s.io.
    fn get(&self, path: &str, deadline: Instant) -> Result<Vec<u8>, String>;
}

/// What is looked at once more before pods are evicted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveNode {
    /// UID.
    pub uid: String,
    /// Whether someone asked for the node to be left alone.
    pub ignored: bool,
    /// Whether the node is cordoned.
    pub unschedulable: bool,
    /// The version that was looked at.
    pub resource_version: String,
    /// `spec.taints` as they stand.
    pub taints: Vec<Taint>,
}

impl LiveNode {
    /// Whether the mark stands on the node. Of labels and annotations nothing is known here.
    pub fn has(&self, mark: &Mark) -> bool {
        match &mark.key {
            MarkKey::Taint { key, effect } => self
                .taints
                .iter()
                .any(|taint| taint.key == *key && taint.effect == effect.word()),
            MarkKey::Cordon => self.unschedulable,
            MarkKey::Label { .. } | MarkKey::Annotation { .. } => true,
        }
    }
}

/// Where readings come from.
pub trait Source {
    /// One column for each wanted metric.
    fn fetch(
        &self,
        wanted: &[Wanted],
        nodes: &Nodes,
        settings: &Settings,
        times: &Times<'_>,
    ) -> Fetched;
}

/// When readings are fetched, until when that may take, and through which API server.
pub struct Times<'a> {
    /// The time of the evaluation.
    pub now: Time,
    /// When the answers have to be there.
    pub deadline: Instant,
    /// For metrics.k8s.io.
    pub cluster: &'a dyn Cluster,
}

/// Prometheus and metrics.k8s.io over the network.
pub struct Sources;

impl Source for Sources {
    fn fetch(
        &self,
        wanted: &[Wanted],
        nodes: &Nodes,
        settings: &Settings,
        times: &Times<'_>,
    ) -> Fetched {
        let through = Through(times.cluster);
        let api = times
            .cluster
            .is_configured()
            .then_some(&through as &dyn ApiServer);
        let when = When {
            now: times.now,
            deadline: times.deadline,
        };
        ng_metrics::fetch(wanted, nodes, settings, api, when)
    }
}

struct Through<'a>(&'a dyn Cluster);

impl ApiServer for Through<'_> {
    fn get(&self, path: &str, deadline: Instant) -> Result<Vec<u8>, String> {
        self.0.get(path, deadline)
    }
}

/// The API server that the environment names; connected to when it is first needed.
pub struct ApiCluster<'a> {
    env: &'a Env,
    client: OnceCell<Result<Client, Unconnected>>,
}

/// Why there is no client.
struct Unconnected {
    /// Whether there are credentials, which cannot be used.
    configured: bool,
    reason: String,
}

impl<'a> ApiCluster<'a> {
    /// Reads nothing yet.
    pub fn new(env: &'a Env) -> Self {
        Self {
            env,
            client: OnceCell::new(),
        }
    }

    fn connect(&self) -> Result<Client, Unconnected> {
        let variable = |name: &str| self.env.get(name).map(str::to_owned);
        let unusable = |reason| Unconnected {
            configured: true,
            reason,
        };
        match Credentials::discover(&variable, Path::new(SERVICE_ACCOUNT_DIR)) {
            Ok(Some(found)) => Client::connect(&found, Options::default())
                .map_err(|error| unusable(chain(error))),
            Ok(None) => Err(Unconnected {
                configured: false,
                reason: "no Kubernetes credentials: set KUBECONFIG or run in a pod with a service account"
                    .to_owned(),
            }),
            Err(error) => Err(Unconnected {
                // None of the files that the environment names is there: kubectl takes that for no configuration, too.
                configured: !matches!(error, CredentialsError::NoKubeconfig(_)),
                reason: chain(error),
            }),
        }
    }

    fn client(&self) -> Result<&Client, String> {
        let client = self.client.get_or_init(|| self.connect());
        client.as_ref().map_err(|none| none.reason.clone())
    }
}

/// An error with its causes in one line.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

impl Cluster for ApiCluster<'_> {
    fn is_configured(&self) -> bool {
        match self.client.get_or_init(|| self.connect()) {
            Ok(_) => true,
            Err(none) => none.configured,
        }
    }

    fn node(&self, name: &str, deadline: Instant) -> Result<Option<LiveNode>, String> {
        match self
            .client()?
            .send_json::<Node>(&request::get_node(name), deadline)
        {
            Ok(node) => Ok(Some(live(&node))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(chain(error)),
        }
    }

    fn nodes(&self, deadline: Instant) -> Result<Vec<Node>, String> {
        self.client()?
            .list(request::list_nodes, deadline, Some)
            .map_err(chain)
    }

    fn rule_exists(&self, name: &str, uid: &str, deadline: Instant) -> Result<bool, String> {
        match self
            .client()?
            .send_json::<ng_engine::spec::RuleObject>(&request::get_rule(name), deadline)
        {
            Ok(rule) => Ok((uid.is_empty() || rule.metadata.uid == uid)
                && rule.metadata.deletion_timestamp.is_none()),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(chain(error)),
        }
    }

    fn mark(
        &self,
        node: &str,
        live: &LiveNode,
        marks: &[Mark],
        deadline: Instant,
    ) -> Result<(), String> {
        let patch = mark_patch(live, marks);
        match self
            .client()?
            .send(&request::patch_node(node, &patch), deadline)
        {
            Ok(_) => Ok(()),
            // Where nodes cannot be changed this way, the patch that the run writes has to do.
            Err(error)
                if error
                    .status()
                    .is_some_and(|status| [404, 405].contains(&status.code)) =>
            {
                Ok(())
            }
            Err(error) => Err(chain(error)),
        }
    }

    fn pods_on(&self, node: &str, deadline: Instant) -> Result<Vec<Pod>, String> {
        self.client()?
            .list(
                |page| request::list_pods_on_node(node, page),
                deadline,
                Some,
            )
            .map_err(chain)
    }

    fn evict(&self, pod: &PodRef, grace_period: Option<i64>, deadline: Instant) -> EvictionOutcome {
        match self.client() {
            Ok(client) => {
                EvictionOutcome::of(&client.send(&request::evict(pod, grace_period), deadline))
            }
            Err(reason) => EvictionOutcome::Retry {
                reason,
                retry_after: None,
            },
        }
    }

    fn get(&self, path: &str, deadline: Instant) -> Result<Vec<u8>, String> {
        let answer = self
            .client()?
            .send(&request::raw_get(path), deadline)
            .map_err(chain)?;
        Ok(answer.body)
    }
}

/// The taints as they stand with ours added, and the cordon, bound to the version that was looked at.
fn mark_patch(live: &LiveNode, marks: &[Mark]) -> Value {
    let mut spec = serde_json::Map::new();
    let mut taints: Vec<Value> = live.taints.iter().map(|taint| json!(taint)).collect();
    let before = taints.len();
    for mark in marks.iter().filter(|mark| !live.has(mark)) {
        match &mark.key {
            MarkKey::Taint { key, effect } => {
                taints.push(json!({"key": key, "value": mark.value, "effect": effect.word()}));
            }
            MarkKey::Cordon => {
                spec.insert("unschedulable".to_owned(), Value::Bool(true));
            }
            MarkKey::Label { .. } | MarkKey::Annotation { .. } => {}
        }
    }
    if taints.len() > before {
        spec.insert("taints".to_owned(), Value::Array(taints));
    }
    json!({"metadata": {"resourceVersion": live.resource_version}, "spec": spec})
}

/// What of a node is looked at once more.
pub fn live(node: &Node) -> LiveNode {
    let annotations = node.metadata.annotations.as_ref();
    LiveNode {
        uid: node.metadata.uid.clone().unwrap_or_default(),
        ignored: annotations
            .and_then(|all| all.get(IGNORE_ANNOTATION))
            .is_some_and(|value| value == "true"),
        unschedulable: node
            .spec
            .as_ref()
            .and_then(|spec| spec.unschedulable)
            .unwrap_or(false),
        resource_version: node.metadata.resource_version.clone().unwrap_or_default(),
        taints: node
            .spec
            .as_ref()
            .and_then(|spec| spec.taints.clone())
            .unwrap_or_default(),
    }
}
