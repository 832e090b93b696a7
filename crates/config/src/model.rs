//! The checked configuration.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::choice::{
    ChannelKind, Language, LogFormat, LogLevel, LogOutput, MaxNodes, SmtpTls, TaintEffect,
};
use crate::header::HeaderName;
use crate::monitor::NodeMonitor;
use crate::names::{
    ChatId, EmailAddress, Host, LabelPrefix, MetricName, NamespaceName, Port, QualifiedName,
};
use crate::secret::{Secret, SecretUrl};
use crate::size::ByteSize;
use crate::url::HttpUrl;

/// Everything that can be configured, checked and complete. The default is what is built in.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The name of the cluster in alerts.
    pub cluster_name: Option<String>,
    /// The namespace we run in; only the environment sets it.
    pub namespace: Option<NamespaceName>,
    /// Mail.
    pub email: Email,
    /// Prometheus.
    pub prometheus: Prometheus,
    /// Alerts in general.
    pub alert: Alert,
    /// Defaults of the rules' evaluation.
    pub monitoring: Monitoring,
    /// Our own log.
    pub log: Log,
    /// Defaults of changes to nodes.
    pub node: Node,
    /// Channels besides log, mail and webhook.
    pub channels: Channels,
    /// Metrics of one's own, by name.
    pub metrics: BTreeMap<MetricName, Metric>,
    /// Limits to what is done to the cluster.
    pub safety: Safety,
    /// The node monitor.
    pub node_monitor: NodeMonitor,
}

/// How mail is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Email {
    /// The mail server.
    pub server: Host,
    /// Its port.
    pub port: Port,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// The login, if the server wants one.
    pub username: Option<Secret>,
    /// Its password.
    pub password: Option<Secret>,
    /// The sender.
    pub from: EmailAddress,
    /// The recipients.
    pub to: Vec<EmailAddress>,
    /// A PEM file of certificates to trust for the mail server besides the public ones.
    pub ca_file: Option<PathBuf>,
}

impl Email {
    /// The built-in mail server, which takes no mail without a login.
    pub(crate) const DEFAULT_SERVER: &str = "smtp.gmail.com";

    /// Whether mail can be sent: there is a recipient, and the server is not the built-in one without a login.
    pub fn is_configured(&self) -> bool {
        !self.to.is_empty()
            && (self.username.is_some() || self.server.as_str() != Self::DEFAULT_SERVER)
    }
}

/// Where readings come from first.
#[derive(Debug, Clone, PartialEq)]
pub struct Prometheus {
    /// Its address; `None`, an empty text in the file: there is no Prometheus.
    pub url: Option<HttpUrl>,
    /// The time limit of a connection and a short answer.
    pub timeout: Duration,
    /// How often a failed request is repeated.
    pub retries: u32,
    /// The time limit of a query.
    pub query_timeout: Duration,
    /// The most samples a query may return.
    pub max_samples: NonZeroU32,
}

/// How alerts are delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Where the webhook channel posts to.
    pub webhook_url: Option<SecretUrl>,
    /// Further headers of the webhook's requests; their values may be credentials.
    pub webhook_headers: BTreeMap<HeaderName, Secret>,
    /// The key that signs the webhook's requests, where the receiver asks for one.
    pub webhook_secret: Option<Secret>,
    /// The channels of an alert that names none.
    pub default_channels: Vec<ChannelKind>,
    /// How often a failed delivery is repeated.
    pub retry_attempts: u32,
    /// The wait before the first repetition.
    pub retry_delay: Duration,
    /// The most nodes in one message.
    pub batch_size: NonZeroU32,
    /// The longest wait for a message to fill.
    pub batch_timeout: Duration,
    /// How many recent triggers make a node a flapping one; 0: none do.
    pub flap_threshold: u32,
    /// The time after which a past trigger counts half.
    pub flap_half_life: Duration,
    /// How long what could not be delivered is kept.
    pub dead_letter_age: Duration,
    /// The language of the built-in texts.
    pub language: Language,
    /// A PEM file of certificates to trust for receivers besides the public ones.
    pub ca_file: Option<PathBuf>,
}

/// Where CPU and memory readings come from without Prometheus.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricsServer {
    /// The metrics API, through the API server in use.
    ApiServer,
    /// The metrics API at an address of its own.
    Url(HttpUrl),
}

/// Defaults of the rules' evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitoring {
    /// How often a rule is evaluated.
    pub default_check_interval: Duration,
    /// How long after a trigger the next one may come.
    pub default_cooldown_period: Duration,
    /// The metrics API.
    pub metrics_server: MetricsServer,
    /// How many checks run at a time.
    pub max_concurrent_checks: NonZeroU32,
    /// How often nodes are checked without a rule.
    pub health_check_interval: Duration,
}

/// Our own log.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// The least important message logged.
    pub level: LogLevel,
    /// How a line is written.
    pub format: LogFormat,
    /// Where lines go.
    pub output: LogOutput,
    /// The size at which a log file is rotated.
    pub max_size: ByteSize,
    /// How many rotated files are kept.
    pub max_backups: u32,
    /// How long rotated files are kept.
    pub max_age: Duration,
}

/// Defaults of changes to nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The key of a taint that names none.
    pub default_taint_key: QualifiedName,
    /// The effect of a taint that names none.
    pub default_taint_effect: TaintEffect,
    /// What our own label keys begin with.
    pub default_label_prefix: LabelPrefix,
    /// Namespaces whose pods are never evicted.
    pub exclude_namespaces: Vec<NamespaceName>,
    /// The most pods one eviction action takes from a node.
    pub max_eviction_pods: u32,
}

/// Chat and paging services. A channel without its address or token is not configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Channels {
    /// Slack.
    pub slack_webhook: Option<SecretUrl>,
    /// `DingTalk`.
    pub dingtalk: SignedWebhook,
    /// `WeCom`.
    pub wecom_webhook: Option<SecretUrl>,
    /// Feishu or Lark.
    pub feishu: SignedWebhook,
    /// Microsoft Teams.
    pub teams_webhook: Option<SecretUrl>,
    /// Telegram.
    pub telegram: Telegram,
    /// `PagerDuty`.
    pub pagerduty: Pagerduty,
    /// An Alertmanager.
    pub alertmanager_url: Option<HttpUrl>,
}

/// A webhook whose requests may be signed.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedWebhook {
    /// The address.
    pub webhook: Option<SecretUrl>,
    /// The key of the signature, where the receiver asks for one.
    pub secret: Option<Secret>,
}

/// A Telegram bot and the chat it writes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Telegram {
    /// The service, or a relay of it.
    pub api_url: HttpUrl,
    /// The bot's token.
    pub bot_token: Option<Secret>,
    /// The chat.
    pub chat_id: Option<ChatId>,
}

/// A `PagerDuty` integration.
#[derive(Debug, Clone, PartialEq)]
pub struct Pagerduty {
    /// Where events are sent.
    pub url: HttpUrl,
    /// The key of the integration.
    pub routing_key: Option<Secret>,
}

/// A metric of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// The `PromQL` that gives one sample a node.
    pub query: String,
}

/// Limits to what is done to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Safety {
    /// The most nodes disrupted at a time.
    pub max_nodes: MaxNodes,
    /// The emergency stop: while true nothing in the cluster is changed.
    pub paused: bool,
    /// Whether every rule is one with `metadata.dryRun`.
    pub dry_run: bool,
}

impl Default for Config {
    fn default() -> Self {
        crate::resolve(&crate::Inputs::default()).config
    }
}
