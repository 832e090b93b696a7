//! Alertmanager: what fires, is seen there; what recovers, is gone; a silence holds over repeats.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ng_config::{ChannelKind, Config};
use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;
use ng_notify::message::{Message, Outcome};
use ng_tests::server::{Launch, Server, free_port, write_file};
use ng_tests::wait_until;
use serde_json::{Value, json};

use crate::test_support::{message, node};
use crate::{LIMIT, installed, now, tell};

/// A running Alertmanager, and what it notifies of.
struct Alertmanager {
    _server: Server,
    _dir: tempfile::TempDir,
    base: String,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Alertmanager {
    fn start() -> Result<Option<Self>> {
        let names = ["prometheus-alertmanager", "alertmanager"];
        let Some(program) = installed(&names, "prometheus-alertmanager", |_| true)? else {
            return Ok(None);
        };
        let dir = tempfile::tempdir()?;
        let (hook, told) = notified()?;
        let config = json!({
            "route": {"receiver": "test", "group_by": ["alertname", "node"], "group_wait": "100ms",
                      "group_interval": "200ms", "repeat_interval": "1h"},
            "receivers": [{"name": "test", "webhook_configs": [{"url": hook, "send_resolved": true}]}],
        });
        let file = dir.path().join("alertmanager.yml");
        write_file(&file, config.to_string())?;
        let port = free_port()?;
        let server = Launch::new(&program, dir.path().join("log"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", dir.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .start()?;
        let base = format!("http://127.0.0.1:{port}");
        let alertmanager = Self {
            _server: server,
            _dir: dir,
            base,
            told,
        };
        wait_until(LIMIT, "readiness of Alertmanager", || {
            alertmanager.get("/-/ready")
        })?;
        Ok(Some(alertmanager))
    }

    fn get(&self, path: &str) -> Result<String> {
        let request = ureq::get(format!("{}{path}", self.base));
        let mut answer = request.config().proxy(None).build().call()?;
        Ok(answer.body_mut().read_to_string()?)
    }

    /// Node, severity and state of every alert that is there, in order.
    fn alerts(&self) -> Result<Vec<[String; 3]>> {
        let alerts: Vec<Value> = serde_json::from_str(&self.get("/api/v2/alerts")?)?;
        let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let mut alerts: Vec<_> = alerts
            .iter()
            .map(|alert| {
                let labels = &alert["labels"];
                let state = &alert["status"]["state"];
                [
                    word(&labels["node"]),
                    word(&labels["severity"]),
                    word(state),
                ]
            })
            .collect();
        alerts.sort();
        Ok(alerts)
    }

    fn wait_for(&self, what: &str, expected: &[[&str; 3]]) -> Result<()> {
        wait_until(LIMIT, what, || {
            let found = self.alerts()?;
            ensure!(found == expected, "{found:?}");
            Ok(())
        })
    }

    fn silence(&self, label: &str, value: &str) -> Result<()> {
        let end = now().plus(Duration::from_hours(1));
        let silence = json!({
            "matchers": [{"name": label, "value": value, "isRegex": false, "isEqual": true}],
            "startsAt": now().to_string(), "endsAt": end.to_string(),
            "createdBy": "test", "comment": "test",
        });
        ureq::post(format!("{}/api/v2/silences", self.base))
            .config()
            .proxy(None)
            .build()
            .header("content-type", "application/json")
            .send(silence.to_string())?;
        Ok(())
    }

    /// Status, node and severity of every alert in every notification so far.
    fn notifications(&self) -> Vec<String> {
        let told = self
            .told
            .lock()
            .map(|told| told.clone())
            .unwrap_or_default();
        told.iter()
            .flat_map(|group| group["alerts"].as_array().cloned().unwrap_or_default())
            .map(|alert| {
                let labels = &alert["labels"];
                format!(
                    "{} {} {}",
                    alert["status"], labels["node"], labels["severity"]
                )
            })
            .map(|line| line.replace('"', ""))
            .collect()
    }
}

/// Where Alertmanager posts its notifications, and what it has posted.
fn notified() -> Result<(String, Arc<Mutex<Vec<Value>>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    let told = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&told);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let take = || -> Result<()> {
                let mut stream = stream?;
                let mut reader = BufReader::new(&stream);
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line)?;
                    let line = line.trim_end().to_ascii_lowercase();
                    if line.is_empty() {
                        break;
                    }
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.parse()?;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body)?;
                if let Ok(mut told) = shared.lock() {
                    told.push(serde_json::from_slice(&body)?);
                }
                stream.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                )?;
                Ok(())
            };
            // A connection that breaks is made again by the other side.
            let _ = take();
        }
    });
    Ok((url, told))
}

fn about(kind: AlertKind, severity: Severity, nodes: &[&str]) -> Message {
    let mut message = message();
    message.kind = kind;
    (message.severity, message.rule_severity) = (severity, Severity::Warning);
    message.at = now();
    message.since = now().minus(Duration::from_mins(1));
    message.nodes = nodes.iter().map(|name| node(name)).collect();
    for node in &mut message.nodes {
        node.since = message.since;
    }
    message.total = nodes.len();
    message
}

#[test]
fn what_fires_is_seen_and_what_recovers_is_gone() -> Result<()> {
    let Some(alertmanager) = Alertmanager::start()? else {
        return Ok(());
    };
    let mut config = Config::default();
    config.channels.alertmanager_url = alertmanager.base.parse().ok();
    let tell = |message: &Message| -> Result<()> {
        let sent = tell(&config, ChannelKind::Alertmanager, message)?;
        ensure!(sent.outcome == Outcome::Delivered, "{sent:?}");
        Ok(())
    };
    let warning = Severity::Warning;
    tell(&about(
        AlertKind::Trigger,
        warning,
        &["worker-1", "worker-2"],
    ))?;
    let active = |node| [node, "warning", "active"];
    alertmanager.wait_for("both alerts", &[active("worker-1"), active("worker-2")])?;

    alertmanager.silence("node", "worker-1")?;
    let mut repeat = about(AlertKind::Repeat, warning, &["worker-1", "worker-2"]);
    repeat.title = "other words".into();
    repeat.nodes[0].repeats = 7;
    tell(&repeat)?;
    let silenced = ["worker-1", "warning", "suppressed"];
    alertmanager.wait_for("the silence", &[silenced, active("worker-2")])?;

    // A template may give the recovery a severity of its own.
    tell(&about(AlertKind::Recovery, Severity::Info, &["worker-2"]))?;
    alertmanager.wait_for("the end of one alert", &[silenced])?;
    wait_until(LIMIT, "notification of the recovery", || {
        let told = alertmanager.notifications();
        ensure!(
            told.contains(&"resolved worker-2 warning".to_owned()),
            "{told:?}"
        );
        Ok(())
    })?;
    tell(&about(AlertKind::Recovery, warning, &["worker-1"]))?;
    alertmanager.wait_for("the end of both", &[])?;

    tell(&about(AlertKind::Trigger, warning, &["worker-2"]))?;
    alertmanager.wait_for("the next episode", &[active("worker-2")])?;
    let told = alertmanager.notifications();
    let strange = told.iter().find(|line| !line.ends_with(" warning"));
    ensure!(
        strange.is_none(),
        "nobody is told of what never fired: {told:?}"
    );
    Ok(())
}

#[test]
fn hostile_names_are_labels_as_well() -> Result<()> {
    let Some(alertmanager) = Alertmanager::start()? else {
        return Ok(());
    };
    let mut config = Config::default();
    config.channels.alertmanager_url = alertmanager.base.parse().ok();
    let mut hostile = crate::test_support::hostile(500, 100_000);
    hostile.at = now();
    hostile.since = now().minus(Duration::from_mins(1));
    for node in &mut hostile.nodes {
        node.since = hostile.since;
    }
    let sent = tell(&config, ChannelKind::Alertmanager, &hostile)?;
    ensure!(sent.outcome == Outcome::Delivered, "{sent:?}");
    wait_until(LIMIT, "five hundred alerts", || {
        let count = alertmanager.alerts()?.len();
        ensure!(count == 500, "{count}");
        Ok(())
    })?;
    hostile.kind = AlertKind::Recovery;
    hostile.at = now();
    let sent = tell(&config, ChannelKind::Alertmanager, &hostile)?;
    ensure!(sent.outcome == Outcome::Delivered, "{sent:?}");
    alertmanager.wait_for("the end of all", &[])
}

#[test]
fn an_alertmanager_that_is_away_can_come_back() -> Result<()> {
    let mut config = Config::default();
    let url = format!("http://127.0.0.1:{}", free_port()?);
    config.channels.alertmanager_url = url.parse().ok();
    let message = about(AlertKind::Trigger, Severity::Warning, &["worker-1"]);
    let sent = tell(&config, ChannelKind::Alertmanager, &message)?;
    let is_retry = matches!(sent.outcome, Outcome::Retry { .. });
    ensure!(is_retry, "{sent:?}");
    let told = sent.told;
    (told == 0).then_some(()).context("told of nothing")
}
