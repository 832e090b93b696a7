//! The environment, read once: every variable has its name and meaning here and nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use jiff::Timestamp;

/// shell-operator's input: the path of a list of binding contexts.
pub const BINDING_CONTEXT_PATH: &str = "BINDING_CONTEXT_PATH";
/// Where object patches go; unset: they are printed on stdout.
pub const KUBERNETES_PATCH_PATH: &str = "KUBERNETES_PATCH_PATH";
/// Where metric operations go; unset: nowhere.
pub const METRICS_PATH: &str = "METRICS_PATH";
/// The folder of the mounted `ConfigMap`.
pub const CONFIG_DIR: &str = "NODEGUARDIAN_CONFIG_DIR";
/// The folder of the mounted Secret: one file a key.
pub const SECRETS_DIR: &str = "NODEGUARDIAN_SECRETS_DIR";
/// The folder of durable local state.
pub const STATE_DIR: &str = "NODEGUARDIAN_STATE_DIR";
/// The time to use instead of the clock, RFC 3339.
pub const NOW: &str = "NODEGUARDIAN_NOW";
/// The namespace of this installation.
pub const NAMESPACE: &str = "NODEGUARDIAN_NAMESPACE";
/// How the Kubernetes API is reached outside a cluster.
pub const KUBECONFIG: &str = "KUBECONFIG";
/// The lowest level that is logged.
pub const LOG_LEVEL: &str = "LOG_LEVEL";
/// The Prometheus server.
pub const PROMETHEUS_URL: &str = "PROMETHEUS_URL";
/// The metrics-server.
pub const METRICS_SERVER_URL: &str = "METRICS_SERVER_URL";
/// The webhook that gets alerts.
pub const ALERT_WEBHOOK_URL: &str = "ALERT_WEBHOOK_URL";
/// The Slack webhook that gets alerts.
pub const ALERT_SLACK_WEBHOOK: &str = "ALERT_SLACK_WEBHOOK";
/// The mail server, `host:port`.
pub const ALERT_EMAIL_SMTP: &str = "ALERT_EMAIL_SMTP";
/// The sender of mails.
pub const ALERT_EMAIL_FROM: &str = "ALERT_EMAIL_FROM";
/// The receivers of mails, separated by commas.
pub const ALERT_EMAIL_TO: &str = "ALERT_EMAIL_TO";
/// The user at the mail server.
pub const ALERT_EMAIL_USERNAME: &str = "ALERT_EMAIL_USERNAME";
/// The password at the mail server.
pub const ALERT_EMAIL_PASSWORD: &str = "ALERT_EMAIL_PASSWORD";
/// The file of the former stand-alone node monitor.
pub const NODE_MONITOR_CONFIG: &str = "NODE_MONITOR_CONFIG";
/// `nodeMonitor.slack.webhookURL`.
pub const SLACK_WEBHOOK_URL: &str = "SLACK_WEBHOOK_URL";
/// `nodeMonitor.dingtalk.webhookURL`.
pub const DINGTALK_WEBHOOK_URL: &str = "DINGTALK_WEBHOOK_URL";
/// `nodeMonitor.dingtalk.secret`.
pub const DINGTALK_SECRET: &str = "DINGTALK_SECRET";

const DEFAULT_CONFIG_DIR: &str = "/etc/nodeguardian/config";
const DEFAULT_SECRETS_DIR: &str = "/etc/nodeguardian/secrets";
const DEFAULT_STATE_DIR: &str = "/var/lib/nodeguardian";

/// A variable whose value is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: expected {expected}, found {found:?}")]
pub struct EnvError {
    variable: &'static str,
    expected: &'static str,
    found: String,
}

/// The environment of a run. A variable that is empty counts as unset.
#[derive(Clone, Default)]
pub struct Env {
    variables: BTreeMap<String, String>,
}

impl Env {
    /// The environment of this process; variables that are not UTF-8 are left out.
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable, unless it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// Every variable that is set, for parts that read many of them.
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.variables.clone()
    }

    /// The same environment with one variable more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Where the binding contexts are.
    pub fn context_path(&self) -> Option<&Path> {
        self.get(BINDING_CONTEXT_PATH).map(Path::new)
    }

    /// Where object patches go; `None`: to stdout.
    pub fn patch_path(&self) -> Option<&Path> {
        self.get(KUBERNETES_PATCH_PATH).map(Path::new)
    }

    /// Where metric operations go; `None`: nowhere.
    pub fn metrics_path(&self) -> Option<&Path> {
        self.get(METRICS_PATH).map(Path::new)
    }

    /// The folder of the mounted `ConfigMap`.
    pub fn config_dir(&self) -> &Path {
        Path::new(self.get(CONFIG_DIR).unwrap_or(DEFAULT_CONFIG_DIR))
    }

    /// The folder of the mounted Secret.
    pub fn secrets_dir(&self) -> &Path {
        Path::new(self.get(SECRETS_DIR).unwrap_or(DEFAULT_SECRETS_DIR))
    }

    /// The folder of durable local state.
    pub fn state_dir(&self) -> &Path {
        Path::new(self.get(STATE_DIR).unwrap_or(DEFAULT_STATE_DIR))
    }

    /// The time to use instead of the clock.
    pub fn now(&self) -> Result<Option<Timestamp>, EnvError> {
        let Some(text) = self.get(NOW) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| EnvError {
            variable: NOW,
            expected: "an RFC 3339 time such as 2026-01-02T03:04:05Z",
            found: text.to_owned(),
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self { variables }
    }
}

/// Names only: values can be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_variables_count_as_unset() {
        let env: Env = [
            (KUBERNETES_PATCH_PATH, ""),
            (STATE_DIR, ""),
            (CONFIG_DIR, "/c"),
        ]
        .into_iter()
        .collect();
        assert_eq!(env.patch_path(), None);
        assert_eq!(env.state_dir(), Path::new(DEFAULT_STATE_DIR));
        assert_eq!(env.config_dir(), Path::new("/c"));
    }

    #[test]
    fn now_is_an_rfc_3339_time_or_an_error_that_names_it() {
        let env = Env::default().with(NOW, "2026-01-02T03:04:05.5+01:00");
        let expected = "2026-01-02T02:04:05.5Z".parse().unwrap();
        assert_eq!(env.now().unwrap(), Some(expected));
        assert_eq!(Env::default().now().unwrap(), None);
        for bad in ["yesterday", "2026-01-02", "1767323045"] {
            let error = Env::default().with(NOW, bad).now().unwrap_err().to_string();
            assert!(error.contains(NOW) && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn debug_never_shows_a_value() {
        let env = Env::default().with(ALERT_EMAIL_PASSWORD, "hunter2");
        let shown = format!("{env:?}");
        assert!(shown.contains(ALERT_EMAIL_PASSWORD) && !shown.contains("hunter2"));
    }
}
