//! Where the API server is and who we are.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::CredentialsError;
use crate::exec::ExecPlugin;
use crate::kubeconfig;
use crate::secret::Secret;

/// Where Kubernetes mounts the service account of a pod.
pub const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Everything needed to reach one API server; `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// File and context, or the service account: what errors name.
    pub(crate) origin: String,
    /// Base URL without a trailing slash; may have a path.
    pub(crate) server: String,
    pub(crate) namespace: Option<String>,
    pub(crate) trust: Trust,
    /// Name to ask for and to verify instead of the server's host.
    pub(crate) tls_server_name: Option<String>,
    pub(crate) identity: Option<Identity>,
    pub(crate) auth: Auth,
    /// Header names and values.
    pub(crate) impersonation: Vec<(&'static str, String)>,
    /// May hold a password.
    pub(crate) proxy: Option<Secret>,
}

/// How the server proves itself.
#[derive(Debug, Clone)]
pub(crate) enum Trust {
    /// The roots of the system.
    System,
    /// These authorities and no others.
    Only(PemSource),
    /// Not at all: `insecure-skip-tls-verify`.
    Anything,
}

/// A client certificate with its key.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: PemSource,
    pub(crate) key: PemSource,
}

/// PEM text, or where to find it.
#[derive(Clone)]
pub(crate) enum PemSource {
    Inline { field: String, pem: Vec<u8> },
    File(PathBuf),
}

impl PemSource {
    pub(crate) fn read(&self) -> Result<Vec<u8>, CredentialsError> {
        match self {
            Self::Inline { pem, .. } => Ok(pem.clone()),
            Self::File(path) => read(path),
        }
    }
}

/// The field or file: what errors name.
impl fmt::Display for PemSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { field, .. } => formatter.write_str(field),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

impl fmt::Debug for PemSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PemSource({self})")
    }
}

/// What goes into the `Authorization` header.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    None,
    Token(Secret),
    /// Read again each minute; the fallback holds while the file cannot be read.
    TokenFile {
        path: PathBuf,
        fallback: Option<Secret>,
    },
    Basic {
        username: String,
        password: Secret,
    },
    Exec(Box<ExecPlugin>),
}

impl Credentials {
    /// Looks for credentials: `KUBECONFIG`, the pod's service account, `~/.kube/config`, in this order.
    ///
    /// `service_account` is [`SERVICE_ACCOUNT_DIR`] outside of tests. `None` means there are none. What was found
    /// but cannot be used is an error: going on to the next place would talk to another cluster.
    pub fn discover(
        env: &dyn Fn(&str) -> Option<String>,
        service_account: &Path,
    ) -> Result<Option<Self>, CredentialsError> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        if let Some(list) = set("KUBECONFIG") {
            return kubeconfig::load_list(&list).map(Some);
        }
        if let (Some(host), Some(port)) = (
            set("KUBERNETES_SERVICE_HOST"),
            set("KUBERNETES_SERVICE_PORT"),
        ) && service_account.join("token").exists()
        {
            return Ok(Some(Self::in_cluster(&host, &port, service_account)));
        }
        let home = set("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
        match home {
            Some(path) if path.exists() => kubeconfig::load_file(&path).map(Some),
            _ => Ok(None),
        }
    }

    /// The server's address: safe to log.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Which file and context, or which service account: safe to log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The namespace of the context or of the pod.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    fn in_cluster(host: &str, port: &str, directory: &Path) -> Self {
        let host = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        // Only a convenience: a pod may well run without it.
        let namespace = std::fs::read_to_string(directory.join("namespace")).ok();
        Self {
            origin: format!("service account in {}", directory.display()),
            server: format!("https://{host}:{port}"),
            namespace: namespace
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty()),
            trust: Trust::Only(PemSource::File(directory.join("ca.crt"))),
            tls_server_name: None,
            identity: None,
            auth: Auth::TokenFile {
                path: directory.join("token"),
                fallback: None,
            },
            impersonation: Vec::new(),
            proxy: None,
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    std::fs::read(path).map_err(|source| CredentialsError::Read {
        path: path.to_owned(),
        source,
    })
}
