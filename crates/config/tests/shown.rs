//! What is shown of a setting: the spelling that somebody chose, and that of the shipped file for the others.

use std::collections::BTreeMap;

use ng_config::{File, Format, Inputs, Resolution, resolve};
use serde_json::{Value, json};

fn resolved(text: &str, variables: &[(&str, &str)]) -> Resolution {
    let pairs = variables.iter();
    let env: BTreeMap<String, String> = pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let file = File {
        name: "config.json",
        text,
        format: Format::Json,
    };
    resolve(&Inputs {
        file: Some(file),
        env: &env,
        ..Inputs::default()
    })
}

/// The shown value of a setting.
fn shown(resolution: &Resolution, path: &str) -> Value {
    let entry = resolution.entries.iter().find(|entry| entry.path == path);
    entry.map_or(Value::Null, |entry| entry.value.clone())
}

#[test]
fn a_value_is_shown_as_it_was_written() {
    for (path, written) in [
        ("alert.retryDelay", r#""90s""#),
        ("alert.retryDelay", "0"),
        ("alert.batchTimeout", r#""1500ms""#),
        ("alert.deadLetterAge", r#""168h""#),
        ("alert.flapHalfLife", r#""+1.50h""#),
        ("prometheus.queryTimeout", r#""60s""#),
        ("prometheus.url", r#""HTTP://prom:9090/""#),
        ("prometheus.url", r#""""#),
        ("prometheus.maxSamples", "5000"),
        (
            "monitoring.metricsServerUrl",
            r#""https://kubernetes.default.svc:443/apis/metrics.k8s.io/v1beta1/""#,
        ),
        ("log.level", r#""debug""#),
        ("log.level", r#""warning""#),
        ("log.maxSize", r#""64 mb""#),
        ("log.maxSize", r#""1000KB""#),
        ("log.maxSize", "512"),
        ("log.maxAge", r#""24h""#),
        ("log.output", r#""/var//log/ng.log""#),
        ("safety.maxNodes", "3"),
        ("safety.maxNodes", r#""3""#),
        ("safety.maxNodes", r#""030%""#),
        ("telegram.chatId", "-1001234567890"),
        ("telegram.chatId", r#""-1001234567890""#),
        ("email.to", r#"["Ops <ops@example.com>"]"#),
        ("email.useTLS", "false"),
        ("nodeMonitor.checkInterval", "90"),
        ("nodeMonitor.checkInterval", r#""90""#),
        ("nodeMonitor.checkInterval", r#""90s""#),
        ("nodeMonitor.predictHours", "1.5"),
        ("nodeMonitor.predictHours", "0"),
        ("nodeMonitor.history.fiveMinutes", r#""1d24h""#),
        ("nodeMonitor.logLevel", r#""info""#),
        ("nodeMonitor.thresholds.cpuWarning", "70.5"),
    ] {
        let keys = path.rsplit('.');
        let text = keys.fold(written.to_owned(), |inner, key| {
            format!("{{\"{key}\": {inner}}}")
        });
        let resolution = resolved(&text, &[]);
        assert_eq!(resolution.errors, [], "{text}");
        assert_eq!(shown(&resolution, path).to_string(), written, "{text}");
    }
}

#[test]
fn a_variable_is_shown_as_it_was_written_but_with_its_type() {
    let resolution = resolved(
        "{}",
        &[
            ("LOG_LEVEL", "debug"),
            ("METRICS_SERVER_URL", "https://ops:hunter2@metrics/"),
            ("ALERT_EMAIL_SMTP", "mail:0025"),
            ("ALERT_EMAIL_TO", "a@example.com, b@example.com"),
        ],
    );
    assert_eq!(resolution.errors, []);
    for (path, expected) in [
        ("log.level", json!("debug")),
        ("monitoring.metricsServerUrl", json!("https://***@metrics/")),
        ("email.smtpPort", json!(25)),
        ("email.to", json!(["a@example.com", "b@example.com"])),
    ] {
        assert_eq!(shown(&resolution, path), expected, "{path}");
    }
}

#[test]
fn a_large_whole_number_has_no_exponent() {
    let text = r#"{"prometheus": {"maxSamples": 1e6}, "log": {"maxSize": 1e8}}"#;
    let resolution = resolved(text, &[]);
    assert_eq!(shown(&resolution, "prometheus.maxSamples"), 1_000_000);
    assert_eq!(shown(&resolution, "log.maxSize"), 100_000_000);
}

#[test]
fn a_default_is_spelled_as_it_is_shipped() {
    let resolution = resolved("{}", &[]);
    for (path, expected) in [
        ("nodeMonitor.checkInterval", "60s"),
        ("nodeMonitor.predictHours", "24h"),
        ("nodeMonitor.history.fiveMinutes", "48h"),
        ("alert.deadLetterAge", "7d"),
    ] {
        assert_eq!(shown(&resolution, path), expected, "{path}");
    }
    let text = r#"{"monitoring": {"healthCheckInterval": "90s"}}"#;
    let taken_over = resolved(text, &[]);
    assert_eq!(shown(&taken_over, "nodeMonitor.checkInterval"), "90s");
}
