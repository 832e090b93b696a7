//! The API server, as far as this talks to it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use ng_hook::{Env, env};
use ng_kube::{Client, Credentials, KubeError, Options, SERVICE_ACCOUNT_DIR, request};
use serde_json::{Value, json};

/// For one list or one write, with what is sent again in it.
const LIMIT: Duration = Duration::from_mins(1);

/// A cluster whose credentials were found.
pub(crate) struct Cluster(Client);

impl Cluster {
    /// The cluster of this kubeconfig; without one, the one that the hooks would find.
    pub(crate) fn connect(kubeconfig: Option<&Path>) -> anyhow::Result<Self> {
        let env = Env::from_process();
        let given = kubeconfig.map(|path| path.display().to_string());
        let variable = |name: &str| match (name, &given) {
            (env::KUBECONFIG, Some(path)) => Some(path.clone()),
            _ => env.get(name).map(str::to_owned),
        };
        let Some(credentials) = Credentials::discover(&variable, Path::new(SERVICE_ACCOUNT_DIR))?
        else {
            bail!("no Kubernetes credentials: give --kubeconfig, or set KUBECONFIG");
        };
        Ok(Self(Client::connect(&credentials, Options::default())?))
    }

    /// Every rule; none where the kind is not there (any more).
    pub(crate) fn rules(&self) -> anyhow::Result<Vec<Value>> {
        match self.0.list(request::list_rules, deadline(), Some) {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            rules => rules.context("cannot list the rules"),
        }
    }

    /// Every node, with the parts that can be ours.
    pub(crate) fn nodes(&self) -> anyhow::Result<Vec<Value>> {
        let keep = |node: Value| Some(relevant(&node));
        self.0
            .list(request::list_nodes, deadline(), keep)
            .context("cannot list the nodes")
    }

    /// One node as it is now; `None`: it is gone.
    pub(crate) fn node(&self, name: &str) -> anyhow::Result<Option<Value>> {
        match self
            .0
            .send_json::<Value>(&request::get_node(name), deadline())
        {
            Ok(node) => Ok(Some(relevant(&node))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes a node.
    pub(crate) fn patch_node(&self, name: &str, patch: &Value) -> Result<(), KubeError> {
        self.0
            .send(&request::patch_node(name, patch), deadline())
            .map(|_| ())
    }

    /// Removes a rule's status.
    pub(crate) fn clear_status(&self, rule: &str) -> Result<(), KubeError> {
        let nothing = json!({"status": null});
        self.0
            .send(&request::patch_rule_status(rule, &nothing), deadline())
            .map(|_| ())
    }
}

fn deadline() -> Instant {
    Instant::now() + LIMIT
}

/// A node has some twenty kilobytes, and thousands of them are in memory at once.
fn relevant(node: &Value) -> Value {
    let part = |whole: &Value, keys: &[&str]| -> Value {
        let fields = keys.iter().filter_map(|key| {
            let value = whole.get(key)?;
            Some(((*key).to_owned(), value.clone()))
        });
        Value::Object(fields.collect())
    };
    let metadata = ["name", "uid", "resourceVersion", "labels", "annotations"];
    json!({
        "metadata": part(&node["metadata"], &metadata),
        "spec": part(&node["spec"], &["taints", "unschedulable"]),
    })
}
