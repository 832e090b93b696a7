//! A cluster, and the desk of an administrator before it: the programs, files and folders that the pages speak of.
//!
//! `kubectl`, `helm` and the project's executables are the real ones. Nodes run no pods here: what kubectl would ask a
//! kubelet for (`logs`, `exec`, `port-forward`) comes from the shell-operator that runs beside the API server, with the
//! executables at the places that they have in the image.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ng_engine::plan::Alert;
use ng_engine::time::Time;
use ng_state::Store;
use ng_tests::files::copy;
use ng_tests::manifests::checkout;
use ng_tests::server::write_file;
use ng_tests::tools::{installed, variable};
use ng_tests::{Api, Clients, Hook, Load, Node, Stack, Tools, program};
use serde_json::json;

use crate::receivers;

/// The release as the image has it; without it the executables are built as the tests are.
const RELEASE_VARIABLE: &str = "NODEGUARDIAN_RELEASE_DIR";
/// Seconds that one command may take.
const COMMAND_LIMIT: &str = "180";
const NODES: [&str; 3] = ["worker-1", "worker-2", "worker-3"];
const NAMESPACE: &str = "nodeguardian-system";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/nodeguardian-system/deployments/nodeguardian";
/// The highest number of an alert that a page names.
const ALERTS: usize = 17;

/// Where the image has each executable, and its name on the PATH of somebody who has built it.
const PLACES: [(&str, &str); 6] = [
    ("config-loader", "hooks/000-config-loader"),
    ("controller", "hooks/001-nodeguardian-controller"),
    ("alert-manager", "hooks/002-alert-manager"),
    ("recovery-manager", "hooks/003-recovery-manager"),
    ("node-monitor", "hooks/004-node-monitor"),
    ("replay", "usr/local/bin/nodeguardian-replay"),
];

const KUBECTL: &str = r#"#!/bin/bash
set -e
all=("$@")
[ "$1" != -n ] || shift 2
case $1 in
    logs | exec | port-forward) 'KUBECTL' -n nodeguardian-system get "$2" >/dev/null ;;
    *) exec 'KUBECTL' "${all[@]}" ;;
esac
case $1 in
    logs) exec cat 'OPERATOR/shell-operator.log' ;;
    port-forward) exec sleep 60 ;;
esac
socket=$('KUBECTL' -n nodeguardian-system get "$2" -o 'jsonpath={..env[?(@.name=="DEBUG_UNIX_SOCKET")].value}')
while [ "$1" != -- ]; do shift; done
case $2 in
    shell-operator) program='SHELL_OPERATOR' ;;
    *) program='IMAGE'$2 ;;
esac
words=("${@:3}")
export KUBECONFIG='OPERATOR/kubeconfig'
exec "$program" "${words[@]/#$socket/OPERATOR/debug.socket}"
"#;
/// The forwarded port of the pages is that of the shell-operator which runs here.
const CURL: &str = "#!/bin/bash\nexec 'CURL' --noproxy '*' \"${@//127.0.0.1:9115/ADDRESS}\"\n";

/// How NodeGuardian comes onto the cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Manifests,
    Chart,
}

/// The stack and an administrator's kubeconfig, programs and folder.
pub(crate) struct Desk {
    pub(crate) stack: Stack,
    pub(crate) clients: Clients,
    kubeconfig: PathBuf,
    /// The folder of the page.
    folder: PathBuf,
    namespaces: Namespaces,
}

impl Desk {
    /// Nothing if the servers are missing and may be.
    pub(crate) fn start(way: Way) -> Result<Option<Self>> {
        let (Some(tools), Some(clients), Some(curl)) = (
            Tools::for_test()?,
            Clients::for_test()?,
            installed(&["curl"], "curl", |_| true)?,
        ) else {
            return Ok(None);
        };
        let shell_operator = tools.shell_operator.clone();
        let dir = tempfile::tempdir()?;
        let mut stack = match way {
            // The release brings everything but the rights of whoever installs it.
            Way::Chart => Stack::builder(tools).service_account("administration", "administrator"),
            Way::Manifests => builder(tools, dir.path())?,
        }
        .start()?;
        for name in NODES {
            Node::new(name).create(stack.api())?;
            stack.exporter().set(name, Load::default());
        }
        let kubeconfig = administrator(&mut stack)?;
        programs(&mut stack, &clients, &shell_operator, &curl)?;
        configure(&mut stack)?;
        let namespaces = Namespaces::finalize(stack.api().clone());
        let folder = stack.dir().join("page");
        Ok(Some(Self {
            stack,
            clients,
            kubeconfig,
            folder,
            namespaces,
        }))
    }

    /// Lays out the folder that a page begins with: a checkout, and files of the reader's own where the page does not
    /// make them itself.
    pub(crate) fn lay_out(&mut self, commands: &str) -> Result<()> {
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder)?;
        }
        for name in ["config", "deploy"] {
            copy(&checkout(name), &self.folder.join(name))?;
        }
        for (from, to) in [
            ("config/examples", "rules"),
            ("config/examples", "examples"),
            ("config/scenarios", "scenarios"),
        ] {
            copy(&checkout(from), &self.folder.join(to))?;
        }
        for name in ["templates", "state", "tmp"] {
            std::fs::create_dir(self.folder.join(name))?;
        }
        std::fs::rename(
            self.folder.join("rules/alert-templates.yaml"),
            self.folder.join("templates/alert-templates.yaml"),
        )?;
        for (from, to) in [
            ("deploy/secret.example.yaml", "secrets.yaml"),
            (
                "crates/replay/tests/data/context.json",
                "binding-context.json",
            ),
            ("config/config.json", "config.json"),
        ] {
            let is_made = commands.contains(&format!("init --output {to}"));
            if !is_made {
                std::fs::copy(checkout(from), self.folder.join(to))?;
            }
        }
        let controller = self.stack.dir().join("bin/controller");
        symlink(controller, self.folder.join("controller"))?;
        Ok(())
    }

    /// Runs one command as the shell does.
    pub(crate) fn run(&self, command: &str) -> Result<Output> {
        let dir = self.stack.dir();
        let tmp = self.folder.join("tmp");
        // In the pod the executables are at these places.
        let command = if command.starts_with("/hooks/") {
            let image = dir.join("image/hooks/").display().to_string();
            let tmp = format!(" {}/", tmp.display());
            command
                .replacen("/hooks/", &image, 1)
                .replace(" /tmp/", &tmp)
        } else {
            command.to_owned()
        };
        let home = dir.join("home");
        Command::new("timeout")
            .args([
                COMMAND_LIMIT,
                "bash",
                "-e",
                "-o",
                "pipefail",
                "-c",
                &command,
            ])
            .env_clear()
            .env(
                "PATH",
                format!("{}/bin:/usr/local/bin:/usr/bin:/bin", dir.display()),
            )
            .env("HOME", &home)
            .env("TMPDIR", &tmp)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("NODEGUARDIAN_CONFIG_DIR", self.stack.config_dir())
            .env("NODEGUARDIAN_SECRETS_DIR", self.stack.secrets_dir())
            .env("NODEGUARDIAN_STATE_DIR", self.stack.state_dir())
            // What a request has brought, for the page that checks its signature.
            .env("body", "{}")
            .env("secret", "s")
            .current_dir(&self.folder)
            .output()
            .context("cannot run bash")
    }

    /// What the controllers of the cluster do when a Deployment is applied: its pod is ready.
    pub(crate) fn roll_out(&mut self) -> Result<()> {
        if !self.stack.operator().is_running() {
            self.stack.operator().start()?;
        }
        let api = self.stack.api();
        let deployment = api.get(DEPLOYMENT)?;
        let replicas = &deployment["spec"]["replicas"];
        let status = json!({"status": {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas,
            "availableReplicas": replicas,
        }});
        api.patch(&format!("{DEPLOYMENT}/status"), &status)?;
        Ok(())
    }

    /// Fails if namespaces could not be taken away.
    pub(crate) fn close(self) -> Result<()> {
        self.namespaces.end()
    }
}

/// A cluster whose hooks have no right to begin with: the pages give them theirs.
fn builder(tools: Tools, dir: &Path) -> Result<ng_tests::StackBuilder> {
    let nothing = dir.join("nothing.yaml");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    write_file(&nothing, namespace.to_string())?;
    let mut builder = Stack::builder(tools)
        .rights(nothing)
        .manifest(checkout("tests/tests/data/metrics.yaml"));
    for name in ["controller", "node-monitor"] {
        let place = PLACES.iter().find(|(known, _)| *known == name);
        let (_, place) = place.context("an executable without a place")?;
        let hook = place.trim_start_matches("hooks/");
        builder = builder.hook(Hook::program(hook, executable(name)?));
    }
    Ok(builder)
}

/// The executable of the release, or one that is built like the tests.
fn executable(name: &str) -> Result<PathBuf> {
    let Some(release) = variable(RELEASE_VARIABLE) else {
        return program(&format!("ng-{name}"), name);
    };
    let place = PLACES.iter().find(|(known, _)| *known == name);
    let path = Path::new(&release).join(place.context(name.to_owned())?.1);
    ensure!(path.is_file(), "{RELEASE_VARIABLE}: no {}", path.display());
    Ok(std::path::absolute(path)?)
}

fn administrator(stack: &mut Stack) -> Result<PathBuf> {
    stack
        .cluster()
        .ensure_service_account("default", "administrator")?;
    stack.api().apply_object(&json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "administrator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "administrator"}],
    }))?;
    for namespace in ["kube-node-lease", "monitoring"] {
        stack.cluster().ensure_namespace(namespace)?;
    }
    let kubeconfig = stack.dir().join("administrator.kubeconfig");
    stack
        .cluster()
        .write_kubeconfig(&kubeconfig, "default", "administrator")?;
    Ok(kubeconfig)
}

/// The folders of the PATH and of the image.
fn programs(
    stack: &mut Stack,
    clients: &Clients,
    shell_operator: &Path,
    curl: &Path,
) -> Result<()> {
    let dir = stack.dir().to_owned();
    let (bin, image) = (dir.join("bin"), dir.join("image"));
    for folder in [&bin, &image.join("hooks"), &image.join("usr/local/bin")] {
        std::fs::create_dir_all(folder)?;
    }
    for (name, place) in PLACES {
        let executable = executable(name)?;
        symlink(&executable, image.join(place))?;
        symlink(&executable, bin.join(name))?;
    }
    symlink(&clients.helm, bin.join("helm"))?;
    let path =
        |path: &Path| -> Result<String> { Ok(std::path::absolute(path)?.display().to_string()) };
    let operator = dir.join("operator");
    let kubectl = KUBECTL
        .replace("SHELL_OPERATOR", &path(shell_operator)?)
        .replace("OPERATOR", &path(&operator)?)
        .replace("IMAGE", &path(&image)?)
        .replace("KUBECTL", &path(&clients.kubectl)?);
    let address = stack.operator().address();
    let curl = CURL
        .replace("CURL", &path(curl)?)
        .replace("ADDRESS", &address);
    for (name, script) in [("kubectl", kubectl), ("curl", curl)] {
        write_file(&bin.join(name), script)?;
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Mounts a configuration with receivers, and puts as many alerts into the outbox as the pages number.
fn configure(stack: &mut Stack) -> Result<()> {
    let config = json!({
        "prometheus": {"url": stack.prometheus().url()},
        "slack": {"webhookUrl": format!("http://127.0.0.1:{}/hook", receivers::chat()?)},
        "email": {
            "smtpServer": "127.0.0.1", "smtpPort": receivers::mail()?, "useTLS": false,
            "from": "nodeguardian@example.com", "to": ["admin@example.com"],
        },
        "nodeMonitor": {"channels": ["log"]},
    });
    write_file(&stack.config_dir().join("config.json"), config.to_string())?;
    let now = now();
    let alert: Alert = serde_json::from_value(json!({
        "type": "trigger", "at": now.millis(), "since": now.millis(), "rule": "high-load", "ruleDescription": "",
        "severity": "warning", "node": NODES[0], "template": "", "channels": ["slack"], "repeats": 0,
        "dryRun": false, "metrics": {}, "conditions": [], "actions": [],
    }))?;
    let mut store = Store::open(&stack.state_dir(), now)?.store;
    let mut transaction = store.begin()?;
    transaction.queue(&vec![alert; ALERTS], now)?;
    transaction.commit()?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the commands of the pages go by the clock"
)]
fn now() -> Time {
    jiff::Timestamp::now().into()
}

/// Ends deleted namespaces, as the controller of namespaces does once they are empty.
struct Namespaces {
    ended: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Namespaces {
    fn finalize(api: Api) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                for mut namespace in api.list("/api/v1/namespaces")? {
                    if namespace["metadata"]["deletionTimestamp"].is_null() {
                        continue;
                    }
                    let name = namespace["metadata"]["name"].as_str().unwrap_or_default();
                    let path = format!("/api/v1/namespaces/{name}/finalize");
                    namespace["spec"]["finalizers"] = json!([]);
                    match api.replace(&path, &namespace) {
                        Err(error) if error.code() != Some(404) => return Err(error.into()),
                        _ => {}
                    }
                }
            }
            Ok(())
        });
        Self { ended, thread }
    }

    fn end(self) -> Result<()> {
        self.ended.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result.context("namespaces that were deleted"),
            Err(_) => anyhow::bail!("the thread that ends namespaces has panicked"),
        }
    }
}
