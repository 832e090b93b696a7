//! Everything together, started in the right order and dropped in the reverse one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use crate::api::Api;
use crate::audit::Request;
use crate::cluster::Cluster;
use crate::exporter::Exporter;
use crate::kubelet::Kubelet;
use crate::manifests::Step;
use crate::operator::{Hook, Operator};
use crate::prometheus::Prometheus;
use crate::tools::Tools;
use crate::wait::wait_until;

const ESTABLISHED_LIMIT: Duration = Duration::from_secs(20);

/// What a stack is to consist of.
#[derive(Debug, Clone)]
pub struct StackBuilder {
    tools: Tools,
    manifests: Vec<PathBuf>,
    rights: Vec<PathBuf>,
    namespace: String,
    account: String,
    hooks: Vec<Hook>,
    env: BTreeMap<String, String>,
}

impl StackBuilder {
    /// Applies a manifest before the hooks start; CRDs are waited for.
    #[must_use]
    pub fn manifest(mut self, path: impl Into<PathBuf>) -> Self {
        self.manifests.push(path.into());
        self
    }

    /// Applies every `*.yaml` file of a folder, in the order of their names.
    pub fn manifests_in(mut self, dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                paths.push(path);
            }
        }
        paths.sort();
        self.manifests.extend(paths);
        Ok(self)
    }

    /// Takes the service account's rights from a manifest, besides those given before. Without one it may do
    /// everything.
    #[must_use]
    pub fn rights(mut self, path: impl Into<PathBuf>) -> Self {
        self.rights.push(path.into());
        self
    }

    /// Takes the service account's rights from the shipped manifests for these steps.
    #[must_use]
    pub fn shipped_rights(self, steps: &[Step]) -> Self {
        steps
            .iter()
            .fold(self, |builder, step| builder.rights(step.rights()))
    }

    /// The service account that the hooks run as; `nodeguardian-system`/`nodeguardian` if not set.
    #[must_use]
    pub fn service_account(mut self, namespace: &str, name: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        name.clone_into(&mut self.account);
        self
    }

    /// Adds a hook.
    #[must_use]
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Sets a variable for shell-operator and its hooks.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Starts all but shell-operator, so that a test can first write the world the hooks will find.
    ///
    /// `PROMETHEUS_URL`, `NODEGUARDIAN_NAMESPACE` and the folders for configuration, secrets and
    /// state are set for the hooks, unless the test set them.
    pub fn start(self) -> Result<Stack> {
        // The name must not begin with a dot: shell-operator takes such folders for hidden.
        let dir = tempfile::Builder::new().prefix("ng-stack-").tempdir()?;
        let exporter = Exporter::start()?;
        let (tools, root, target) = (&self.tools, dir.path(), exporter.address());
        // The API server is the slowest to start: Prometheus does so meanwhile.
        let (cluster, prometheus) = std::thread::scope(|scope| {
            let prometheus = scope.spawn(|| Prometheus::start(tools, root, &target));
            (Cluster::start(tools, root), prometheus.join())
        });
        let cluster = cluster?;
        let Ok(prometheus) = prometheus else {
            bail!("the thread that starts Prometheus has panicked");
        };
        let prometheus = prometheus?;
        let operator = Operator::install(
            &tools.shell_operator,
            root,
            &self.hooks,
            &self.hook_environment(root, &prometheus)?,
        )?;
        self.prepare(&cluster, &operator)?;
        Ok(Stack {
            user: format!("system:serviceaccount:{}:{}", self.namespace, self.account),
            operator,
            kubelet: None,
            prometheus,
            exporter,
            cluster,
            dir,
        })
    }

    /// The same, and shell-operator with the hooks.
    pub fn start_with_operator(self) -> Result<Stack> {
        let mut stack = self.start()?;
        stack.operator.start()?;
        Ok(stack)
    }

    fn hook_environment(
        &self,
        root: &Path,
        prometheus: &Prometheus,
    ) -> Result<BTreeMap<String, String>> {
        let mut env = BTreeMap::from([
            ("PROMETHEUS_URL".to_owned(), prometheus.url()),
            ("NODEGUARDIAN_NAMESPACE".to_owned(), self.namespace.clone()),
        ]);
        for (name, folder) in [
            ("NODEGUARDIAN_CONFIG_DIR", "config"),
            ("NODEGUARDIAN_SECRETS_DIR", "secrets"),
            ("NODEGUARDIAN_STATE_DIR", "state"),
        ] {
            let path = root.join(folder);
            std::fs::create_dir_all(&path)?;
            env.insert(name.to_owned(), path.display().to_string());
        }
        env.extend(self.env.clone());
        Ok(env)
    }

    fn prepare(&self, cluster: &Cluster, operator: &Operator) -> Result<()> {
        cluster.ensure_namespace("default")?;
        cluster.ensure_service_account(&self.namespace, &self.account)?;
        if self.rights.is_empty() {
            cluster.admin().apply_object(&self.every_right())?;
        }
        for path in &self.rights {
            apply_file(cluster.admin(), path)?;
        }
        for path in &self.manifests {
            apply_file(cluster.admin(), path)?;
        }
        cluster.write_kubeconfig(&operator.kubeconfig(), &self.namespace, &self.account)
    }

    fn every_right(&self) -> serde_json::Value {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "stack-test-every-right"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{
                "kind": "ServiceAccount", "namespace": self.namespace, "name": self.account,
            }],
        })
    }
}

/// A running stack; dropping it ends every process and removes its folder.
#[derive(Debug)]
pub struct Stack {
    // Fields are dropped in this order: hooks first, the folder last.
    operator: Operator,
    kubelet: Option<Kubelet>,
    prometheus: Prometheus,
    exporter: Exporter,
    cluster: Cluster,
    user: String,
    dir: TempDir,
}

impl Stack {
    /// A stack to be described, without hooks and manifests so far.
    pub fn builder(tools: Tools) -> StackBuilder {
        StackBuilder {
            tools,
            manifests: Vec::new(),
            rights: Vec::new(),
            namespace: "nodeguardian-system".to_owned(),
            account: "nodeguardian".to_owned(),
            hooks: Vec::new(),
            env: BTreeMap::new(),
        }
    }

    /// The API with every right.
    pub fn api(&self) -> &Api {
        self.cluster.admin()
    }

    /// The cluster, to stop and start its API server or to act as another account.
    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// shell-operator.
    pub fn operator(&mut self) -> &mut Operator {
        &mut self.operator
    }

    /// Prometheus.
    pub fn prometheus(&mut self) -> &mut Prometheus {
        &mut self.prometheus
    }

    /// The exporter for nodes that do not exist.
    pub fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    /// Ends terminating pods from now on, each after `delay`.
    pub fn start_kubelet(&mut self, delay: Duration) {
        self.kubelet = Some(Kubelet::start(self.cluster.admin(), delay));
    }

    /// Leaves terminating pods alone from now on.
    pub fn stop_kubelet(&mut self) {
        self.kubelet = None;
    }

    /// A folder of the test's own.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `NODEGUARDIAN_CONFIG_DIR` of the hooks, unless the test set it.
    pub fn config_dir(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// `NODEGUARDIAN_SECRETS_DIR` of the hooks, unless the test set it.
    pub fn secrets_dir(&self) -> PathBuf {
        self.dir.path().join("secrets")
    }

    /// `NODEGUARDIAN_STATE_DIR` of the hooks, unless the test set it.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The user name of the hooks' service account.
    pub fn hook_user(&self) -> &str {
        &self.user
    }

    /// Every request of a user so far that asked for a change, refused ones included.
    pub fn writes_by(&self, user: &str) -> Result<Vec<Request>> {
        let mut requests = self.cluster.requests()?;
        requests.retain(|request| request.user == user && request.is_write());
        Ok(requests)
    }

    /// Resident memory of all servers in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        Ok(self.cluster.resident_bytes()?
            + self.prometheus.resident_bytes()?
            + self.operator.resident_bytes()?)
    }
}

/// Applies a manifest's objects and waits until its CRDs are served.
fn apply_file(api: &Api, path: &Path) -> Result<()> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    api.apply(&text).with_context(name)?;
    wait_until(ESTABLISHED_LIMIT, "established CRDs", || {
        for crd in api.list("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")? {
            let conditions = crd["status"]["conditions"].as_array();
            let established = conditions.into_iter().flatten().any(|condition| {
                condition["type"] == "Established" && condition["status"] == "True"
            });
            if !established {
                bail!(
                    "{}: {}",
                    crd["metadata"]["name"],
                    crd["status"]["conditions"]
                );
            }
        }
        Ok(())
    })
}
