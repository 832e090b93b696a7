//! Credential plugins: a program that prints an `ExecCredential`.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::credentials::{Identity, PemSource, read};
use crate::error::CredentialsError;
use crate::secret::{Secret, hide_tokens, shorten};

/// A credential is some kilobytes; a plugin that prints without end is broken.
const OUTPUT_LIMIT: u64 = 1 << 20;
const STDERR_SHOWN: usize = 300;
/// Between the end of its output and its exit a plugin has nothing left to do.
const EXIT_POLL: Duration = Duration::from_millis(5);

/// How to run the plugin.
#[derive(Debug, Clone)]
pub(crate) struct ExecPlugin {
    pub(crate) api_version: String,
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, Secret)>,
    pub(crate) install_hint: Option<String>,
    /// Present if the plugin asked for it.
    pub(crate) cluster: Option<ClusterInfo>,
}

/// What a plugin may learn of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterInfo {
    pub(crate) server: String,
    pub(crate) tls_server_name: Option<String>,
    pub(crate) insecure_skip_tls_verify: bool,
    pub(crate) authority_data: Option<Secret>,
    pub(crate) authority: Option<PathBuf>,
    pub(crate) proxy_url: Option<Secret>,
    pub(crate) config: Option<Value>,
}

/// What the plugin gave.
pub(crate) struct ExecCredential {
    pub(crate) token: Option<Secret>,
    pub(crate) identity: Option<Identity>,
    pub(crate) expires: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    api_version: String,
    kind: String,
    status: Option<OutputStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OutputStatus {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

impl ExecPlugin {
    /// Runs the plugin, for at most `timeout`.
    pub(crate) fn run(&self, timeout: Duration) -> Result<ExecCredential, CredentialsError> {
        let info = self.info()?;
        let child = self
            .spawn(&info)
            .map_err(|error| self.start_error(&error))?;
        let output = wait(child, timeout).map_err(|problem| self.error(problem))?;
        if !output.success {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let stderr = shorten(&hide_tokens(&stderr), STDERR_SHOWN);
            return Err(self.error(format!("{}: {stderr}", output.status)));
        }
        self.parse(&output.stdout)
            .map_err(|problem| self.error(problem))
    }

    fn error(&self, problem: impl Into<String>) -> CredentialsError {
        CredentialsError::Exec {
            command: self.command.clone(),
            problem: problem.into(),
        }
    }

    fn start_error(&self, error: &io::Error) -> CredentialsError {
        let hint = self.install_hint.as_deref().unwrap_or_default();
        let problem = format!("cannot be started: {error}");
        if error.kind() == io::ErrorKind::NotFound && !hint.is_empty() {
            return self.error(format!("{problem}; {}", shorten(hint, STDERR_SHOWN)));
        }
        self.error(problem)
    }

    fn spawn(&self, info: &Value) -> io::Result<Child> {
        let env = self.env.iter().map(|(name, value)| (name, value.expose()));
        Command::new(&self.command)
            .args(&self.args)
            .envs(env)
            .env("KUBERNETES_EXEC_INFO", info.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// The content of `KUBERNETES_EXEC_INFO`.
    fn info(&self) -> Result<Value, CredentialsError> {
        let mut spec = json!({"interactive": false});
        if let Some(cluster) = &self.cluster {
            spec["cluster"] = cluster.to_json()?;
        }
        Ok(json!({"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}))
    }

    /// Problems never quote the output: it holds the token.
    fn parse(&self, stdout: &[u8]) -> Result<ExecCredential, String> {
        let output: Output = serde_json::from_slice(stdout).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("its output is no ExecCredential (line {line}, column {column})")
        })?;
        if output.kind != "ExecCredential" || output.api_version != self.api_version {
            return Err(format!(
                "expected an ExecCredential of {}, found {} of {}",
                self.api_version,
                shorten(&hide_tokens(&output.kind), 60),
                shorten(&hide_tokens(&output.api_version), 60)
            ));
        }
        let status = output.status.ok_or("its ExecCredential has no status")?;
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        let token = set(status.token).map(Secret::new);
        let identity = match (
            set(status.client_certificate_data),
            set(status.client_key_data),
        ) {
            (Some(certificate), Some(key)) => Some(Identity {
                certificate: inline("clientCertificateData", certificate),
                key: inline("clientKeyData", key),
            }),
            (None, None) => None,
            _ => return Err("clientCertificateData and clientKeyData come together".into()),
        };
        if token.is_none() && identity.is_none() {
            return Err("its ExecCredential has neither a token nor a certificate".into());
        }
        let expires = set(status.expiration_timestamp)
            .map(|text| text.parse::<Timestamp>())
            .transpose()
            .map_err(|_| "expirationTimestamp: expected an RFC 3339 time")?;
        Ok(ExecCredential {
            token,
            identity,
            expires,
        })
    }
}

fn inline(field: &str, pem: String) -> PemSource {
    PemSource::Inline {
        field: format!("{field} of the credential plugin"),
        pem: pem.into_bytes(),
    }
}

impl ClusterInfo {
    fn to_json(&self) -> Result<Value, CredentialsError> {
        let mut cluster = json!({"server": self.server});
        let mut set = |key: &str, value: Value| cluster[key] = value;
        if let Some(name) = self
            .tls_server_name
            .as_ref()
            .filter(|name| !name.is_empty())
        {
            set("tls-server-name", json!(name));
        }
        if self.insecure_skip_tls_verify {
            set("insecure-skip-tls-verify", json!(true));
        }
        if let Some(data) = &self.authority_data {
            set("certificate-authority-data", json!(data.expose()));
        } else if let Some(path) = &self.authority {
            let data = BASE64_STANDARD.encode(read(path)?);
            set("certificate-authority-data", json!(data));
        }
        if let Some(proxy) = &self.proxy_url {
            set("proxy-url", json!(proxy.expose()));
        }
        if let Some(config) = &self.config {
            set("config", config.clone());
        }
        Ok(cluster)
    }
}

struct Finished {
    success: bool,
    status: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Waits for the output to end and the program to exit, and kills it when the time is up.
fn wait(mut child: Child, timeout: Duration) -> Result<Finished, String> {
    let deadline = Instant::now() + timeout;
    let stdout = child.stdout.take().map(read_in_background);
    let stderr = child.stderr.take().map(read_in_background);
    let finished = finish(&mut child, stdout, stderr, deadline);
    if finished.is_none() {
        // Both fail only if it has exited meanwhile, and the second collects it.
        let _ = child.kill();
        let _ = child.wait();
    }
    finished.unwrap_or_else(|| Err(format!("did not finish within {timeout:?}")))
}

/// `None` is out of time.
fn finish(
    child: &mut Child,
    stdout: Option<mpsc::Receiver<Vec<u8>>>,
    stderr: Option<mpsc::Receiver<Vec<u8>>>,
    deadline: Instant,
) -> Option<Result<Finished, String>> {
    let stdout = receive(stdout, deadline)?;
    let stderr = receive(stderr, deadline)?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                return Some(Ok(Finished {
                    success: status.success(),
                    status: status.to_string(),
                    stdout,
                    stderr,
                }));
            }
            Ok(None) if Instant::now() >= deadline => return None,
            Ok(None) => thread::sleep(EXIT_POLL),
            Err(error) => return Some(Err(format!("cannot wait for it: {error}"))),
        }
    }
}

fn receive(pipe: Option<mpsc::Receiver<Vec<u8>>>, deadline: Instant) -> Option<Vec<u8>> {
    let left = deadline.saturating_duration_since(Instant::now());
    pipe?.recv_timeout(left).ok()
}

/// Its own thread for each pipe: a program that fills one while we read the other would hang.
fn read_in_background(pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before a read error is judged as it is.
        let _ = pipe.take(OUTPUT_LIMIT).read_to_end(&mut bytes);
        // Nobody listens any more once the time is up.
        let _ = sender.send(bytes);
    });
    receiver
}
