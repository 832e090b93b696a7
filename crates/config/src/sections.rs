//! Every setting: its key, what it is for, where else it may come from, and its default.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde_json::json;

use crate::choice::{
    ChannelKind, Language, LogFormat, LogLevel, LogOutput, MaxNodes, SmtpTls, TaintEffect,
};
use crate::duration;
use crate::header::HeaderName;
use crate::issue::{Entry, Origin};
use crate::key::{Key, Part, key};
use crate::model::{
    Alert, Channels, Config, Email, Log, Metric, MetricsServer, Monitoring, Node, Pagerduty,
    Prometheus, Safety, SignedWebhook, Telegram,
};
use crate::monitor;
use crate::names::{MetricName, Port};
use crate::reader::{Reader, Section};
use crate::ready::ReadyMetric;
use crate::secret::{Secret, SecretUrl};
use crate::setting::Setting;
use crate::size::ByteSize;
use crate::text::Positive;
use crate::tree;
use crate::url::HttpUrl;

/// The section that is accepted and ignored.
pub const IGNORED: &str = "python";

pub(crate) fn read(reader: &mut Reader<'_>) -> Config {
    ignored(reader);
    let cluster_name = reader.top(|top| {
        let key = key("clusterName", "The name of the cluster in alerts");
        top.read(key, None)
    });
    let namespace = reader.env_only(|env| {
        let key = key("namespace", "The namespace NodeGuardian runs in");
        env.read(key.env("NODEGUARDIAN_NAMESPACE", Part::Whole), None)
    });
    let email = reader.section("email", email);
    let prometheus = reader.section("prometheus", prometheus);
    let alert = reader.section("alert", alert);
    let monitoring = reader.section("monitoring", monitoring);
    Config {
        cluster_name,
        namespace,
        email,
        prometheus,
        alert,
        log: reader.section("log", log),
        node: reader.section("node", node),
        channels: channels(reader),
        metrics: metrics(reader),
        safety: reader.section("safety", safety),
        node_monitor: monitor::read(reader, &monitoring),
        monitoring,
    }
}

/// The former settings of the Python version, accepted and ignored; whoever asks is told what the file says.
fn ignored(reader: &mut Reader<'_>) {
    let section = reader.raw(IGNORED);
    if let (Some(section), true) = (section, reader.wants_entries()) {
        reader.record(Entry {
            path: IGNORED.to_owned(),
            value: section.to_json(),
            origin: reader.file_origin(),
            doc: "Accepted and ignored",
            secret_file: None,
            schema: || json!({}),
        });
    }
}

/// A built-in value, which its type takes.
fn built_in<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("built-in values are valid")
}

fn count(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN)
}

fn positive(section: &mut Section<'_, '_>, key: Key, default: &str) -> Duration {
    let value = Positive(built_in_duration(default));
    section.read_spelled(key, value, default).0
}

fn duration(section: &mut Section<'_, '_>, key: Key, default: &str) -> Duration {
    section.read_spelled(key, built_in_duration(default), default)
}

pub(crate) fn built_in_duration(text: &str) -> Duration {
    duration::parse(text).expect("built-in values are valid")
}

fn email(s: &mut Section<'_, '_>) -> Email {
    let server = key("smtpServer", "The mail server");
    let port = key("smtpPort", "The port of the mail server");
    // The port of the variable belongs to the variable's server, not to another one.
    let port_too = if s.is_set(server) {
        port
    } else {
        port.env("ALERT_EMAIL_SMTP", Part::Port)
    };
    let start_tls = s.read(
        key("useTLS", "Switch to TLS after connecting (STARTTLS)"),
        true,
    );
    let implicit = s.read(
        key("useSSL", "Use TLS from the first byte; wins over useTLS"),
        false,
    );
    Email {
        server: s.read(
            server.env("ALERT_EMAIL_SMTP", Part::Host),
            built_in(Email::DEFAULT_SERVER),
        ),
        port: s.read(port_too, Port::SUBMISSION),
        tls: match (implicit, start_tls) {
            (true, _) => SmtpTls::Implicit,
            (false, true) => SmtpTls::StartTls,
            (false, false) => SmtpTls::None,
        },
        username: s.read(
            key("username", "The login").env("ALERT_EMAIL_USERNAME", Part::Whole),
            None,
        ),
        password: s.read(
            key("password", "The password").env("ALERT_EMAIL_PASSWORD", Part::Whole),
            None,
        ),
        from: s.read(
            key("from", "The sender").env("ALERT_EMAIL_FROM", Part::Whole),
            built_in("nodeguardian@example.com"),
        ),
        to: s.read(
            key("to", "The recipients").env("ALERT_EMAIL_TO", Part::Whole),
            vec![built_in("admin@example.com")],
        ),
        ca_file: s.read(
            key("caFile", "PEM file of further certificates to trust"),
            None,
        ),
    }
}

fn prometheus(s: &mut Section<'_, '_>) -> Prometheus {
    let url = key("url", "The address of Prometheus; empty: there is none");
    Prometheus {
        url: s.read(
            url.env("PROMETHEUS_URL", Part::Whole).blank_is_value(),
            Some(built_in("http://prometheus-k8s.monitoring.svc:9090")),
        ),
        timeout: positive(s, key("timeout", "Time limit of a connection"), "30s"),
        retries: s.read(key("retries", "How often a failed request is repeated"), 3),
        query_timeout: positive(s, key("queryTimeout", "Time limit of a query"), "60s"),
        max_samples: s.read(
            key("maxSamples", "The most samples a query may return"),
            count(10_000),
        ),
    }
}

fn alert(s: &mut Section<'_, '_>) -> Alert {
    let (webhook_url, webhook_headers, webhook_secret) = webhook(s);
    let (flap_threshold, flap_half_life) = flapping(s);
    Alert {
        webhook_url,
        webhook_headers,
        webhook_secret,
        default_channels: s.read(
            key(
                "defaultChannels",
                "The channels of an alert that names none",
            ),
            vec![ChannelKind::Log, ChannelKind::Email],
        ),
        retry_attempts: s.read(
            key("retryAttempts", "How often a failed delivery is repeated"),
            3,
        ),
        retry_delay: duration(
            s,
            key("retryDelay", "The wait before the first repetition"),
            "5s",
        ),
        batch_size: s.read(key("batchSize", "The most nodes in one message"), count(10)),
        batch_timeout: duration(
            s,
            key("batchTimeout", "The longest wait for a message to fill"),
            "30s",
        ),
        flap_threshold,
        flap_half_life,
        dead_letter_age: positive(
            s,
            key(
                "deadLetterAge",
                "How long what could not be delivered is kept",
            ),
            "7d",
        ),
        language: s.read(
            key("language", "The language of the built-in texts"),
            Language::English,
        ),
        ca_file: s.read(
            key("caFile", "PEM file of further certificates to trust"),
            None,
        ),
    }
}

/// The address of the webhook, its further headers and its key.
fn webhook(
    s: &mut Section<'_, '_>,
) -> (
    Option<SecretUrl>,
    BTreeMap<HeaderName, Secret>,
    Option<Secret>,
) {
    let url = key("webhookUrl", "Where the webhook channel posts to");
    let headers = key(
        "webhookHeaders",
        "Further headers of the webhook's requests",
    );
    let secret = key("webhookSecret", "The key that signs the webhook's requests");
    (
        s.read(
            url.env("ALERT_WEBHOOK_URL", Part::Whole)
                .secret_file("webhook-url"),
            None,
        ),
        s.read(headers.secret_file("webhook-headers"), BTreeMap::new()),
        s.read(secret.secret_file("webhook-secret"), None),
    )
}

/// When a node is a flapping one, and how fast that is forgotten.
fn flapping(s: &mut Section<'_, '_>) -> (u32, Duration) {
    let threshold = key(
        "flapThreshold",
        "How many recent triggers make a node a flapping one; 0: none do",
    );
    let half_life = key(
        "flapHalfLife",
        "The time after which a past trigger counts half",
    );
    (s.read(threshold, 5), positive(s, half_life, "15m"))
}

fn monitoring(s: &mut Section<'_, '_>) -> Monitoring {
    let metrics = key(
        "metricsServerUrl",
        "The metrics API; the default means through the API server in use",
    );
    Monitoring {
        default_check_interval: positive(
            s,
            key("defaultCheckInterval", "How often a rule is evaluated"),
            "30s",
        ),
        default_cooldown_period: duration(
            s,
            key(
                "defaultCooldownPeriod",
                "The least time between two triggers",
            ),
            "10m",
        ),
        metrics_server: s.read(
            metrics.env("METRICS_SERVER_URL", Part::Whole),
            MetricsServer::ApiServer,
        ),
        max_concurrent_checks: s.read(
            key("maxConcurrentChecks", "How many checks run at a time"),
            count(10),
        ),
        health_check_interval: positive(
            s,
            key(
                "healthCheckInterval",
                "How often nodes are checked without a rule",
            ),
            "60s",
        ),
    }
}

fn log(s: &mut Section<'_, '_>) -> Log {
    let level = key("level", "The least important message logged").env("LOG_LEVEL", Part::Whole);
    Log {
        level: s.read(level, LogLevel::Info),
        format: s.read(key("format", "How a line is written"), LogFormat::Json),
        output: s.read(key("output", "Where lines go"), LogOutput::Stdout),
        max_size: s.read(
            key("maxSize", "The size at which a log file is rotated"),
            built_in::<ByteSize>("100MB"),
        ),
        max_backups: s.read(key("maxBackups", "How many rotated files are kept"), 3),
        max_age: duration(s, key("maxAge", "How long rotated files are kept"), "7d"),
    }
}

fn node(s: &mut Section<'_, '_>) -> Node {
    let namespaces = ["kube-system", "kube-public", "monitoring"];
    Node {
        default_taint_key: s.read(
            key("defaultTaintKey", "The key of a taint that names none"),
            built_in("nodeguardian.io/status"),
        ),
        default_taint_effect: s.read(
            key(
                "defaultTaintEffect",
                "The effect of a taint that names none",
            ),
            TaintEffect::NoSchedule,
        ),
        default_label_prefix: s.read(
            key("defaultLabelPrefix", "What our own label keys begin with"),
            built_in("nodeguardian.io/"),
        ),
        exclude_namespaces: s.read(
            key(
                "excludeNamespaces",
                "Namespaces whose pods are never evicted",
            ),
            namespaces.map(built_in).to_vec(),
        ),
        max_eviction_pods: s.read(
            key(
                "maxEvictionPods",
                "The most pods one eviction takes from a node",
            ),
            10,
        ),
    }
}

fn channels(reader: &mut Reader<'_>) -> Channels {
    const WEBHOOK: &str = "The address of the webhook";
    let webhook =
        |s: &mut Section<'_, '_>| -> Option<SecretUrl> { s.read(key("webhookUrl", WEBHOOK), None) };
    let signed = |s: &mut Section<'_, '_>| SignedWebhook {
        webhook: s.read(key("webhookUrl", WEBHOOK), None),
        secret: s.read(key("secret", "The key that signs requests"), None),
    };
    Channels {
        slack_webhook: reader.section("slack", |s| {
            s.read(
                key("webhookUrl", WEBHOOK).env("ALERT_SLACK_WEBHOOK", Part::Whole),
                None,
            )
        }),
        dingtalk: reader.section("dingtalk", signed),
        wecom_webhook: reader.section("wecom", webhook),
        feishu: reader.section("feishu", signed),
        teams_webhook: reader.section("teams", webhook),
        telegram: reader.section("telegram", telegram),
        pagerduty: reader.section("pagerduty", pagerduty),
        alertmanager_url: reader.section("alertmanager", alertmanager),
    }
}

pub(crate) fn telegram(s: &mut Section<'_, '_>) -> Telegram {
    Telegram {
        api_url: s.read(
            key("apiUrl", "The service, or a relay"),
            built_in("https://api.telegram.org"),
        ),
        bot_token: s.read(key("botToken", "The token of the bot"), None),
        chat_id: s.read(key("chatId", "The chat: its number or @channel"), None),
    }
}

pub(crate) fn pagerduty(s: &mut Section<'_, '_>) -> Pagerduty {
    Pagerduty {
        url: s.read(
            key("url", "Where events are sent"),
            built_in("https://events.pagerduty.com/v2/enqueue"),
        ),
        routing_key: s.read(key("routingKey", "The key of the integration"), None),
    }
}

pub(crate) fn alertmanager(s: &mut Section<'_, '_>) -> Option<HttpUrl> {
    s.read(key("url", "The address of the Alertmanager"), None)
}

fn safety(s: &mut Section<'_, '_>) -> Safety {
    Safety {
        max_nodes: s.read(
            key("maxNodes", "The most nodes disrupted at a time"),
            MaxNodes::DEFAULT,
        ),
        paused: s.read(
            key(
                "paused",
                "The emergency stop: nothing in the cluster is changed",
            ),
            false,
        ),
        dry_run: s.read(
            key("dryRun", "Whether every rule is one with metadata.dryRun"),
            false,
        ),
    }
}

/// `metrics`: `{name: {query}}`, the names being the user's; those that are there without it may be replaced.
fn metrics(reader: &mut Reader<'_>) -> BTreeMap<MetricName, Metric> {
    let mut metrics = BTreeMap::new();
    let map = reader.object("metrics");
    for ready in ReadyMetric::ALL {
        let replaced = map.and_then(|map| map.get(ready.name));
        let is_replaced = replaced.is_some_and(|node| *node != tree::Node::Null);
        if let (false, Ok(name)) = (is_replaced, ready.name.parse::<MetricName>()) {
            let metric = Metric {
                query: ready.query(),
            };
            let path = format!("metrics.{name}.query");
            record_query(reader, path, &metric, (ready.doc, Origin::Default));
            metrics.insert(name, metric);
        }
    }
    for (name, node) in map.into_iter().flat_map(|map| &map.0) {
        let path = format!("metrics.{name}");
        let parsed = name.parse::<MetricName>();
        if parsed.is_err() {
            reader.error(
                &path,
                format!("expected {}, found {name:?}", MetricName::EXPECTED),
            );
        }
        if *node == tree::Node::Null {
            continue;
        }
        if let (Some(metric), Ok(name)) = (metric(reader, &path, node), parsed) {
            metrics.insert(name, metric);
        }
    }
    metrics
}

/// What is known of a query: its path, what it says, and where it came from.
fn record_query(
    reader: &mut Reader<'_>,
    path: String,
    metric: &Metric,
    (doc, origin): (&'static str, Origin),
) {
    if reader.wants_entries() {
        reader.record(Entry {
            path,
            value: json!(metric.query),
            origin,
            doc,
            secret_file: None,
            schema: <String as Setting>::schema,
        });
    }
}

fn metric(reader: &mut Reader<'_>, path: &str, node: &tree::Node<'_>) -> Option<Metric> {
    const EXPECTED: &str = "a PromQL query such as \"avg by (instance) (up)\"";
    let tree::Node::Map(map) = node else {
        reader.error(
            path,
            format!(
                "expected an object with \"query\", found {}",
                node.describe()
            ),
        );
        return None;
    };
    reader.expect_keys(path, map, &["query"]);
    let path = format!("{path}.query");
    match map.get("query") {
        Some(tree::Node::Text(query)) if !query.trim().is_empty() => {
            let metric = Metric {
                query: query.clone().into_owned(),
            };
            let doc = "PromQL that gives one sample a node";
            let origin = reader.file_origin();
            record_query(reader, path, &metric, (doc, origin));
            Some(metric)
        }
        other => {
            let found = other.map_or_else(|| "nothing".to_owned(), tree::Node::describe);
            reader.error(path, format!("expected {EXPECTED}, found {found}"));
            None
        }
    }
}
