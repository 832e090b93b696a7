//! Files good and broken, the layers above and below them, and what is said about each.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ng_config::{
    Config, File, Format, Inputs, LogFormat, LogLevel, LogOutput, MaxNodes, MetricsServer, Origin,
    Resolution, Secret, SmtpTls, TaintEffect, resolve,
};

const SHIPPED: &str = include_str!("../../../config/config.json");

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The layers of one case; `file` is JSON.
#[derive(Default)]
struct Layers<'a> {
    secrets: &'a [(&'a str, &'a str)],
    file: &'a str,
    env: &'a [(&'a str, &'a str)],
}

fn layers<'a>(file: &'a str, env: &'a [(&'a str, &'a str)]) -> Layers<'a> {
    Layers {
        secrets: &[],
        file,
        env,
    }
}

impl<'a> Layers<'a> {
    fn secrets(mut self, secrets: &'a [(&'a str, &'a str)]) -> Self {
        self.secrets = secrets;
        self
    }

    fn resolve(&self) -> Resolution {
        let secrets = self
            .secrets
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Secret::new(*text)))
            .collect();
        let file = File {
            name: "config.json",
            text: self.file,
            format: Format::Json,
        };
        let file = (!self.file.is_empty()).then_some(file);
        resolve(&Inputs {
            file,
            monitor: None,
            detail: ng_config::Detail::Entries,
            secrets: &secrets,
            env: &map(self.env),
        })
    }
}

fn read(path: &Path) -> (String, Format) {
    let text = fs::read_to_string(path).unwrap();
    let is_json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    (text, if is_json { Format::Json } else { Format::Yaml })
}

fn resolve_file(path: &Path) -> Resolution {
    let (text, format) = read(path);
    let name = format!(
        "config.{}",
        if format == Format::Json {
            "json"
        } else {
            "yaml"
        }
    );
    resolve(&Inputs {
        file: Some(File {
            name: &name,
            text: &text,
            format,
        }),
        ..Inputs::default()
    })
}

fn data(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension != "txt"));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// What is said about a file, one issue a line.
fn said(resolution: &Resolution) -> String {
    let errors = resolution
        .errors
        .iter()
        .map(|issue| format!("error: {issue}\n"));
    let warnings = resolution
        .warnings
        .iter()
        .map(|issue| format!("warning: {issue}\n"));
    errors.chain(warnings).collect()
}

/// Compares what is said about every file of a folder with the text beside it, and shows all that differ.
fn check_against_texts(folder: &str, check: fn(&Resolution) -> bool) {
    let mut differing = String::new();
    for path in data(folder) {
        let resolution = resolve_file(&path);
        assert!(
            check(&resolution),
            "{}: {}",
            path.display(),
            said(&resolution)
        );
        let text_path = path.with_file_name(format!("{}.txt", path.file_name().unwrap().display()));
        let said = said(&resolution);
        if fs::read_to_string(&text_path).unwrap_or_default() != said {
            writeln!(differing, "== {}\n{said}", text_path.display()).unwrap();
        }
        let all = format!("{said}{:?}{:?}", resolution.config, resolution.entries);
        assert!(
            !all.contains("hunter2"),
            "{} shows a secret: {all}",
            path.display()
        );
    }
    assert!(differing.is_empty(), "these should hold:\n{differing}");
}

#[test]
fn broken_files_name_every_mistake_at_once() {
    check_against_texts("broken", |resolution| !resolution.errors.is_empty());
}

#[test]
fn good_files_have_no_errors() {
    check_against_texts("good", |resolution| resolution.errors.is_empty());
}

#[test]
fn the_shipped_file_is_the_defaults() {
    let resolution = layers(SHIPPED, &[]).resolve();
    assert_eq!(said(&resolution), "");
    assert_eq!(resolution.config, Config::default());
}

/// Keys of the shipped file's sections that the former system did not have.
const LATER_KEYS: [&str; 7] = [
    "caFile",
    "webhookHeaders",
    "webhookSecret",
    "flapThreshold",
    "flapHalfLife",
    "deadLetterAge",
    "language",
];

/// A default that the file does not list, or lists differently, would be a lie to whoever reads it.
#[test]
fn the_shipped_file_lists_every_key_of_its_sections() {
    let shipped: serde_json::Value = serde_json::from_str(SHIPPED).unwrap();
    let defaults = resolve(&Inputs::default());
    let mut listed = 0;
    for entry in &defaults.entries {
        let Some((section, key)) = entry.path.split_once('.') else {
            continue;
        };
        // What came later than the file of the former system is left out, so that the file stays a small one.
        if shipped.get(section).is_none() || LATER_KEYS.contains(&key) {
            continue;
        }
        let file = &shipped[section][key];
        assert_eq!(*file, entry.value, "{}", entry.path);
        listed += 1;
    }
    let in_file = shipped
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "python");
    assert_eq!(
        listed,
        in_file
            .map(|(_, section)| section.as_object().unwrap().len())
            .sum::<usize>()
    );
}

#[test]
fn every_form_of_a_value_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/good/all.yaml");
    let config = resolve_file(&path).config;
    assert_eq!(config.cluster_name.as_deref(), Some("prod-eu"));
    assert_eq!(config.email.port.number(), 465);
    assert_eq!(config.email.tls, SmtpTls::Implicit);
    assert_eq!(
        config.email.password.as_ref().map(Secret::expose),
        Some("hunter2")
    );
    assert!(config.email.is_configured());
    assert_eq!(config.prometheus.url, None);
    assert_eq!(config.prometheus.max_samples.get(), 1_000_000);
    assert_eq!(config.monitoring.default_cooldown_period, Duration::ZERO);
    assert!(
        matches!(&config.monitoring.metrics_server, MetricsServer::Url(url) if url.host() == "metrics.corp.example")
    );
    assert_eq!(
        (config.log.level, config.log.format),
        (LogLevel::Debug, LogFormat::Text)
    );
    assert_eq!(config.log.output, LogOutput::File("/var/log/ng.log".into()));
    assert_eq!(config.log.max_size.bytes(), 64 << 20);
    assert_eq!(config.node.exclude_namespaces, []);
    assert_eq!(config.node.default_taint_effect, TaintEffect::NoExecute);
    assert_eq!(
        config.channels.slack_webhook.unwrap().host(),
        "hooks.corp.example"
    );
    assert_eq!(
        config.channels.telegram.chat_id.unwrap().as_str(),
        "-1001234567890"
    );
    assert_eq!(
        config
            .metrics
            .keys()
            .map(ng_config::MetricName::as_str)
            .filter(|name| !ng_config::ReadyMetric::ALL
                .iter()
                .any(|ready| ready.name == *name))
            .collect::<Vec<_>>(),
        ["gpuTemperature"]
    );
    assert!(matches!(config.safety.max_nodes, MaxNodes::Count(count) if count.get() == 2));
    assert!(config.safety.paused);
    let monitor = config.node_monitor;
    assert_eq!(
        (
            monitor.thresholds.cpu.warning,
            monitor.thresholds.cpu.critical
        ),
        (60.5, 90.0)
    );
    assert_eq!(monitor.check_interval, Duration::from_secs(45));
    assert_eq!((monitor.predict, monitor.backfill), (None, false));
    assert_eq!(monitor.language, None);
}

#[test]
fn the_highest_layer_that_has_a_value_wins() {
    let hook = "http://from-env/";
    let in_file =
        r#"{"alert": {"webhookUrl": "http://from-file/"}, "email": {"to": [], "username": null}}"#;
    let (file, secret) = (
        Origin::File("config.json".to_owned()),
        Origin::Secret("webhook-url".to_owned()),
    );
    let env = [("ALERT_WEBHOOK_URL", hook)];
    let own = [("webhook-url", "http://from-secret/")];
    let empty = [("ALERT_WEBHOOK_URL", "")];
    let from_env = Origin::Env("ALERT_WEBHOOK_URL");
    let table = [
        (layers("", &[]), "", Origin::Default),
        (layers("", &env), "from-env", from_env.clone()),
        (layers("", &empty), "", Origin::Default),
        (layers(SHIPPED, &env), "from-env", from_env),
        (layers(in_file, &env), "from-file", file.clone()),
        (layers(in_file, &env).secrets(&own), "from-secret", secret),
        (
            layers(in_file, &env).secrets(&[("webhook-url", "")]),
            "from-file",
            file,
        ),
    ];
    for (index, (layers, host, origin)) in table.iter().enumerate() {
        let resolution = layers.resolve();
        assert_eq!(said(&resolution), "", "case {index}");
        assert_eq!(
            resolution
                .config
                .alert
                .webhook_url
                .as_ref()
                .map_or("", |url| url.host()),
            *host,
            "case {index}"
        );
        let entry = resolution
            .entries
            .iter()
            .find(|entry| entry.path == "alert.webhookUrl")
            .unwrap();
        assert_eq!(entry.origin, *origin, "case {index}");
    }
}

#[test]
fn every_variable_is_honoured() {
    let resolution = layers(
        "",
        &[
            ("NODEGUARDIAN_NAMESPACE", "guards"),
            ("LOG_LEVEL", "debug"),
            ("PROMETHEUS_URL", "http://prom:9090"),
            ("METRICS_SERVER_URL", "https://metrics"),
            ("ALERT_WEBHOOK_URL", "https://hook/a"),
            ("ALERT_SLACK_WEBHOOK", "https://slack/b"),
            ("ALERT_EMAIL_SMTP", "mail.example.com:2525"),
            ("ALERT_EMAIL_FROM", "ng@example.com"),
            ("ALERT_EMAIL_TO", "a@example.com, b@example.com,"),
            ("ALERT_EMAIL_USERNAME", "ops"),
            ("ALERT_EMAIL_PASSWORD", "hunter2"),
        ],
    )
    .resolve();
    assert_eq!(said(&resolution), "");
    let config = &resolution.config;
    assert_eq!(config.namespace.as_ref().unwrap().as_str(), "guards");
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(
        config.prometheus.url.as_ref().unwrap().expose(),
        "http://prom:9090"
    );
    assert!(
        matches!(&config.monitoring.metrics_server, MetricsServer::Url(url) if url.host() == "metrics")
    );
    assert_eq!(
        config.alert.webhook_url.as_ref().unwrap().expose(),
        "https://hook/a"
    );
    assert_eq!(
        config.channels.slack_webhook.as_ref().unwrap().expose(),
        "https://slack/b"
    );
    assert_eq!(
        (config.email.server.as_str(), config.email.port.number()),
        ("mail.example.com", 2525)
    );
    assert_eq!(config.email.from.as_str(), "ng@example.com");
    assert_eq!(config.email.to.len(), 2);
    assert_eq!(config.email.username.as_ref().unwrap().expose(), "ops");
    assert_eq!(config.email.password.as_ref().unwrap().expose(), "hunter2");
    assert_eq!(
        resolution
            .entries
            .iter()
            .filter(|entry| matches!(entry.origin, Origin::Env(_)))
            .count(),
        12
    );
    assert!(!format!("{resolution:?}").contains("hunter2"));
}

#[test]
fn a_wrong_variable_or_secret_is_named_and_never_shown_where_secret() {
    let table = [
        (
            layers("", &[("LOG_LEVEL", "LOUD")]),
            "error: LOG_LEVEL: log.level: expected a log level (DEBUG, INFO, WARN or ERROR), found \"LOUD\"\n",
        ),
        (
            layers(SHIPPED, &[("LOG_LEVEL", "LOUD")]),
            "warning: LOG_LEVEL: log.level: the variable is wrong, and not used because a higher layer sets the value\n",
        ),
        (
            layers("", &[("ALERT_EMAIL_SMTP", "mail:smtp")]),
            "error: ALERT_EMAIL_SMTP: email.smtpPort: expected a port number, found \"smtp\"\n",
        ),
        (
            layers("", &[("ALERT_EMAIL_TO", "a@b.c,nobody")]),
            "error: ALERT_EMAIL_TO: email.to[1]: expected an email address, found \"nobody\"\n",
        ),
        (
            layers("", &[("ALERT_WEBHOOK_URL", "hunter2")]),
            "error: ALERT_WEBHOOK_URL: alert.webhookUrl: expected an http or https URL, found a text (not shown: it may be a secret)\n",
        ),
        (
            layers("", &[]).secrets(&[("prometheus-url", "hunter2"), ("emial-password", "x")]),
            "error: secret prometheus-url: prometheus.url: expected an http or https URL, found a text (not shown: it may be a secret)\n\
             warning: secret emial-password: unknown file, did you mean \"email-password\"?\n",
        ),
    ];
    for (layers, expected) in table {
        assert_eq!(said(&layers.resolve()), expected);
    }
}

#[test]
fn secret_files_are_found_by_section_and_key() {
    let secrets = [
        ("email-username", "ops"),
        ("email-password", "pa ss"),
        ("alert-webhook-url", "http://hook"),
        ("slack-webhook-url", "http://slack"),
        ("dingtalk-webhook-url", "http://ding"),
        ("dingtalk-secret", "SEC"),
        ("wecom-webhook-url", "http://wecom"),
        ("feishu-webhook-url", "http://feishu"),
        ("feishu-secret", "SEC"),
        ("teams-webhook-url", "http://teams"),
        ("telegram-bot-token", "1:abc"),
        ("telegram-chat-id", "-100"),
        ("pagerduty-routing-key", "R"),
        ("alertmanager-url", "http://ops:pw@am"),
        ("email-smtp-port", "2525"),
    ];
    let resolution = layers("", &[]).secrets(&secrets).resolve();
    assert_eq!(said(&resolution), "");
    let masked = resolution
        .entries
        .iter()
        .filter(|entry| matches!(entry.origin, Origin::Secret(_)));
    assert_eq!(
        masked
            .inspect(|entry| assert_eq!(entry.value, "***"))
            .count(),
        secrets.len()
    );
    assert_eq!(resolution.config.email.password.unwrap().expose(), "pa ss");
    assert_eq!(resolution.config.email.port.number(), 2525);
    assert_eq!(
        resolution
            .config
            .channels
            .telegram
            .chat_id
            .unwrap()
            .as_str(),
        "-100"
    );
}

#[test]
fn empty_texts_do_not_hide_the_environment() {
    let env = [
        ("PROMETHEUS_URL", "http://prom"),
        ("ALERT_EMAIL_SMTP", "mail.example.com:2525"),
        ("ALERT_EMAIL_TO", "ops@example.com"),
        ("ALERT_EMAIL_PASSWORD", "x"),
    ];
    let file =
        r#"{"email": {"smtpServer": "", "to": [], "password": ""}, "prometheus": {"url": ""}}"#;
    let config = layers(file, &env).resolve().config;
    assert_eq!(
        (config.email.server.as_str(), config.email.port.number()),
        ("mail.example.com", 2525)
    );
    assert_eq!(config.email.to[0].as_str(), "ops@example.com");
    assert!(config.email.password.is_some());
    assert_eq!(
        config.prometheus.url, None,
        "left empty in the file it means: none"
    );
    let without = layers(file, &[]).resolve().config;
    assert_eq!(without.email.to, [], "an empty list is a value");
}

#[test]
fn the_port_of_a_variable_stays_with_its_server() {
    let env = [("ALERT_EMAIL_SMTP", "mail.example.com:2525")];
    let server = layers(r#"{"email": {"smtpServer": "other"}}"#, &env).resolve();
    assert_eq!(
        (
            server.config.email.server.as_str(),
            server.config.email.port.number()
        ),
        ("other", 587)
    );
    let port = layers(r#"{"email": {"smtpPort": 465}}"#, &env).resolve();
    assert_eq!(
        (
            port.config.email.server.as_str(),
            port.config.email.port.number()
        ),
        ("mail.example.com", 465)
    );
}

#[test]
fn mail_is_configured_when_it_can_be_sent() {
    for (file, configured) in [
        ("{}", false),
        (SHIPPED, false),
        (r#"{"email": {"username": "ops"}}"#, true),
        (r#"{"email": {"smtpServer": "mail"}}"#, true),
        (r#"{"email": {"smtpServer": "mail", "to": []}}"#, false),
    ] {
        let config = layers(file, &[]).resolve().config;
        assert_eq!(config.email.is_configured(), configured, "{file}");
    }
}

#[test]
fn the_two_mail_flags_make_one_choice() {
    for (flags, tls) in [
        ("{}", SmtpTls::StartTls),
        (r#"{"useTLS": false}"#, SmtpTls::None),
        (r#"{"useSSL": true}"#, SmtpTls::Implicit),
        (r#"{"useTLS": true, "useSSL": true}"#, SmtpTls::Implicit),
        (r#"{"useTLS": false, "useSSL": true}"#, SmtpTls::Implicit),
    ] {
        let file = format!(r#"{{"email": {flags}}}"#);
        assert_eq!(
            layers(&file, &[]).resolve().config.email.tls,
            tls,
            "{flags}"
        );
    }
}

#[test]
fn a_metric_of_the_file_replaces_a_ready_one_and_leaves_the_others() {
    let text = r#"{"metrics": {"readyChanges": {"query": "up"}}}"#;
    let file = File {
        name: "config.json",
        text,
        format: Format::Json,
    };
    let resolution = resolve(&Inputs {
        file: Some(file),
        ..Inputs::default()
    });
    assert_eq!(resolution.errors, []);
    let query = |name: &str| {
        let name: ng_config::MetricName = name.parse().unwrap();
        resolution.config.metrics[&name].query.clone()
    };
    assert_eq!(query("readyChanges"), "up");
    for ready in ng_config::ReadyMetric::ALL {
        let replaced = ready.name == "readyChanges";
        assert_eq!(
            query(ready.name) == ready.query(),
            !replaced,
            "{}",
            ready.name
        );
        let path = format!("metrics.{}.query", ready.name);
        let entry = resolution.entries.iter().find(|entry| entry.path == path);
        let from_file = entry.unwrap().origin == Origin::File("config.json".to_owned());
        assert_eq!(from_file, replaced, "{}", ready.name);
    }
}
