//! etcd and kube-apiserver: RBAC on, service accounts, an audit log, no controllers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::api::Api;
use crate::audit::{self, Request};
use crate::server::{Launch, Server, Signal, free_port, write_file};
use crate::tools::Tools;
use crate::wait::wait_until;

const READY_LIMIT: Duration = Duration::from_mins(1);
const ADMIN_TOKEN: &str = "stack-test-administrator";
const ISSUER: &str = "https://kubernetes.default.svc";

/// A running API server with its store.
#[derive(Debug)]
pub struct Cluster {
    dir: PathBuf,
    kube_apiserver: PathBuf,
    etcd_port: u16,
    port: u16,
    admin: Api,
    ca_pem: String,
    apiserver: Option<Server>,
    // Dropped last: an API server without its store is slow to go.
    etcd: Server,
}

impl Cluster {
    /// Starts both below `dir` and waits until requests are served.
    pub fn start(tools: &Tools, dir: &Path) -> Result<Self> {
        let dir = dir.join("cluster");
        std::fs::create_dir_all(dir.join("certs"))
            .context("cannot create the certificates' folder")?;
        write_file(&dir.join("audit-policy.yaml"), audit::POLICY)?;
        write_file(
            &dir.join("tokens.csv"),
            format!("{ADMIN_TOKEN},admin,admin,system:masters\n"),
        )?;
        let (etcd_port, port) = (free_port()?, free_port()?);
        let etcd = start_etcd(&tools.etcd, &dir, etcd_port)?;
        let mut apiserver = start_apiserver(&tools.kube_apiserver, &dir, etcd_port, port)?;
        let ca_pem = wait_until(READY_LIMIT, "certificate of the API server", || {
            apiserver.check_running()?;
            authority(&dir.join("certs/apiserver.crt"))
        })?;
        let base = format!("https://127.0.0.1:{port}");
        let admin = Api::new(&base, ca_pem.as_bytes(), ADMIN_TOKEN)?;
        let mut cluster = Self {
            dir,
            kube_apiserver: tools.kube_apiserver.clone(),
            etcd_port,
            port,
            admin,
            ca_pem,
            apiserver: Some(apiserver),
            etcd,
        };
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// A client that may do everything.
    pub fn admin(&self) -> &Api {
        &self.admin
    }

    /// The API server's address.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The certificate that the API server's is signed by.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Creates a service account, with its namespace, unless it exists.
    pub fn ensure_service_account(&self, namespace: &str, name: &str) -> Result<()> {
        self.ensure_namespace(namespace)?;
        self.admin.apply_object(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"namespace": namespace, "name": name},
        }))?;
        Ok(())
    }

    /// Creates a namespace with the service account that its pods run as, unless it exists.
    pub fn ensure_namespace(&self, namespace: &str) -> Result<()> {
        if self
            .admin
            .get(&format!(
                "/api/v1/namespaces/{namespace}/serviceaccounts/default"
            ))
            .is_ok()
        {
            return Ok(());
        }
        self.admin.apply_object(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
        }))?;
        self.admin.apply_object(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"namespace": namespace, "name": "default"},
        }))?;
        Ok(())
    }

    /// A token of a service account, valid for a day.
    pub fn token(&self, namespace: &str, name: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": 86_400},
        });
        let answer = self.admin.create(&path, &request)?;
        let token = answer["status"]["token"].as_str();
        Ok(token.context("a TokenRequest without a token")?.to_owned())
    }

    /// A client with the rights of a service account.
    pub fn as_service_account(&self, namespace: &str, name: &str) -> Result<Api> {
        Ok(self.admin.with_token(&self.token(namespace, name)?))
    }

    /// Writes a kubeconfig file for a service account.
    pub fn write_kubeconfig(&self, path: &Path, namespace: &str, name: &str) -> Result<()> {
        let ca = self.dir.join("ca.crt");
        write_file(&ca, &self.ca_pem)?;
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "stack",
            "clusters": [{"name": "stack", "cluster": {
                "server": self.url(), "certificate-authority": ca,
            }}],
            "users": [{"name": "stack", "user": {"token": self.token(namespace, name)?}}],
            "contexts": [{"name": "stack", "context": {
                "cluster": "stack", "user": "stack", "namespace": namespace,
            }}],
        });
        write_file(path, serde_json::to_string_pretty(&config)?)
    }

    /// Every finished request so far, oldest first.
    pub fn requests(&self) -> Result<Vec<Request>> {
        audit::read(&self.dir.join("audit.log"))
    }

    /// Kills the API server; the store keeps running.
    pub fn stop(&mut self) {
        self.apiserver = None;
    }

    /// Starts the API server again on its port, and waits until it serves.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        self.apiserver = Some(start_apiserver(
            &self.kube_apiserver,
            &self.dir,
            self.etcd_port,
            self.port,
        )?);
        self.wait_ready()
    }

    /// Lets the API server stand still or go on.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.apiserver
            .as_mut()
            .context("the API server is stopped")?
            .signal(signal)
    }

    /// Resident memory of etcd and the API server in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let apiserver = self
            .apiserver
            .as_ref()
            .map_or(Ok(0), Server::resident_bytes)?;
        Ok(apiserver + self.etcd.resident_bytes()?)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let (admin, etcd) = (&self.admin, &mut self.etcd);
        let apiserver = self
            .apiserver
            .as_mut()
            .context("the API server is stopped")?;
        let waited = wait_until(READY_LIMIT, "readiness of the API server", || {
            etcd.check_running()?;
            apiserver.check_running()?;
            admin.text("/readyz")?;
            // Pods cannot be created before the built-in priority classes are there.
            admin.get("/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical")?;
            admin.get("/api/v1/namespaces/default")?;
            Ok(())
        });
        waited.with_context(|| apiserver.last_output())
    }
}

fn start_etcd(program: &Path, dir: &Path, port: u16) -> Result<Server> {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", free_port()?);
    Launch::new(program, dir.join("etcd.log"))
        .arg(format!("--data-dir={}", dir.join("etcd").display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=default={peer}"))
        .arg("--unsafe-no-fsync")
        .arg("--log-level=warn")
        .start()
}

fn start_apiserver(program: &Path, dir: &Path, etcd_port: u16, port: u16) -> Result<Server> {
    let file = |name: &str| dir.join(name).display().to_string();
    // The generated serving key also signs service account tokens: one key less to make.
    let key = file("certs/apiserver.key");
    Launch::new(program, dir.join("kube-apiserver.log"))
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
        .arg("--bind-address=127.0.0.1")
        .arg("--advertise-address=127.0.0.1")
        .arg(format!("--secure-port={port}"))
        .arg(format!("--cert-dir={}", file("certs")))
        .arg("--service-cluster-ip-range=10.0.0.0/24")
        .arg(format!("--service-account-issuer={ISSUER}"))
        .arg(format!("--service-account-key-file={key}"))
        .arg(format!("--service-account-signing-key-file={key}"))
        .arg("--authorization-mode=RBAC")
        .arg(format!("--token-auth-file={}", file("tokens.csv")))
        .arg(format!("--audit-policy-file={}", file("audit-policy.yaml")))
        .arg(format!("--audit-log-path={}", file("audit.log")))
        // It taints new nodes until a controller, which does not run here, clears them.
        .arg("--disable-admission-plugins=TaintNodesByCondition")
        .arg("--endpoint-reconciler-type=none")
        .start()
}

/// The last certificate of the served chain, which signed the others.
fn authority(chain: &Path) -> Result<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let text = std::fs::read_to_string(chain)?;
    match text.rfind(BEGIN) {
        Some(start) if text.ends_with("-----END CERTIFICATE-----\n") => {
            Ok(text[start..].to_owned())
        }
        _ => bail!("an unfinished certificate"),
    }
}
