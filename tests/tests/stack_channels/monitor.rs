//! The node-monitor's alerts at the services that people carry with them: both executables, from the reading and the
//! event of a node to what `PagerDuty`, Telegram and a mail server accept, and back when the node is well again.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use ng_tests::http::Request;
use ng_tests::programs::program;
use ng_tests::server::write_file;
use serde_json::{Value, json};

use crate::mail::{MailServer, STARTTLS};

const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
const BOT: &str = "/bot123456:the-token/sendMessage";

/// 2026-05-01T10:00:00Z
const START: i64 = 1_777_629_600;

/// What the services took, and why they refused the rest.
#[derive(Default)]
struct Heard {
    /// Memory of the node `a`, as Prometheus tells it.
    memory: f64,
    taken: Vec<(&'static str, Value)>,
    refused: Vec<String>,
}

/// A Prometheus, `PagerDuty` and Telegram on loopback; they end with the test's process.
struct Services {
    address: String,
    heard: Arc<Mutex<Heard>>,
}

impl Services {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let heard = Arc::<Mutex<Heard>>::default();
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                // A sender that went away has its own message to say.
                std::thread::spawn(move || exchange(&stream, &kept).ok());
            }
        });
        Ok(Self { address, heard })
    }

    fn set_memory(&self, percent: f64) {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .memory = percent;
    }

    /// What a service took since this was asked last; a refused message is an error.
    fn take(&self, service: &str) -> Result<Vec<Value>> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(heard.refused.is_empty(), "refused: {:?}", heard.refused);
        let all = std::mem::take(&mut heard.taken);
        let (found, rest) = all.into_iter().partition(|(name, _)| *name == service);
        heard.taken = rest;
        let found: Vec<(&str, Value)> = found;
        Ok(found.into_iter().map(|(_, message)| message).collect())
    }
}

fn exchange(stream: &TcpStream, services: &Mutex<Heard>) -> Result<()> {
    let Request { head, body } = Request::read(stream)?;
    let mut taken = services.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, answer) = answer(&head, &body, &mut taken);
    let answer = answer.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )?;
    Ok(())
}

fn answer(head: &str, body: &[u8], services: &mut Heard) -> (u16, Value) {
    let mut words = head.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if target.starts_with("/api/v1/query") {
        return (200, prometheus(target, body, services.memory));
    }
    let is_json = head
        .to_ascii_lowercase()
        .contains("content-type: application/json");
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
    let judged = match (method, target) {
        ("POST", "/v2/enqueue") if is_json => {
            event(&message).map(|answer| ("pagerduty", 202, answer))
        }
        ("POST", BOT) if is_json => chat(&message).map(|answer| ("telegram", 200, answer)),
        _ => Err(format!("nobody is at {method} {target}")),
    };
    match judged {
        Ok((service, status, answer)) => {
            services.taken.push((service, message));
            (status, answer)
        }
        Err(reason) => {
            services.refused.push(format!("{reason}: {message}"));
            (
                400,
                json!({"ok": false, "error_code": 400, "description": reason, "status": "invalid event"}),
            )
        }
    }
}

/// The memory of `a` now; nothing else, and nothing before.
fn prometheus(target: &str, body: &[u8], memory: f64) -> Value {
    let asked = String::from_utf8_lossy(body);
    let series = if asked.contains("node_memory_MemAvailable_bytes") && target == "/api/v1/query" {
        json!([{"metric": {"node": "a"}, "value": [START, memory.to_string()]}])
    } else {
        json!([])
    };
    let kind = if target == "/api/v1/query" {
        "vector"
    } else {
        "matrix"
    };
    json!({"status": "success", "data": {"resultType": kind, "result": series}})
}

/// What the Events API asks of an event.
fn event(event: &Value) -> Result<Value, String> {
    let text = |place: &Value| place.as_str().unwrap_or_default().to_owned();
    let key = text(&event["dedup_key"]);
    if event["routing_key"] != ROUTING_KEY || key.is_empty() || key.len() > 255 {
        return Err("routing or dedup key".to_owned());
    }
    let payload = &event["payload"];
    match event["event_action"].as_str() {
        Some("resolve") => {}
        Some("trigger") => {
            let summary = text(&payload["summary"]);
            let severity = text(&payload["severity"]);
            if summary.is_empty() || summary.chars().count() > 1024 {
                return Err("summary".to_owned());
            }
            if text(&payload["source"]).is_empty() {
                return Err("source".to_owned());
            }
            if !["critical", "error", "warning", "info"].contains(&severity.as_str()) {
                return Err("severity".to_owned());
            }
            if text(&payload["timestamp"])
                .parse::<jiff::Timestamp>()
                .is_err()
            {
                return Err("timestamp".to_owned());
            }
        }
        _ => return Err("event_action".to_owned()),
    }
    Ok(json!({"status": "success", "message": "Event processed", "dedup_key": key}))
}

/// What the Bot API asks of a message.
fn chat(message: &Value) -> Result<Value, String> {
    let text = message["text"].as_str().unwrap_or_default();
    if message["chat_id"] != json!(-1_001_234_567_890_i64) {
        return Err("Bad Request: chat not found".to_owned());
    }
    if text.trim().is_empty() || text.encode_utf16().count() > 4096 {
        return Err("Bad Request: message text".to_owned());
    }
    let known = ["<b>", "</b>", "<i>", "</i>"];
    let bare = known
        .iter()
        .fold(text.to_owned(), |text, tag| text.replace(tag, ""));
    let paired = ["b", "i"].iter().all(|tag| {
        text.matches(&format!("<{tag}>")).count() == text.matches(&format!("</{tag}>")).count()
    });
    if message["parse_mode"] != "HTML" || bare.contains(['<', '>']) || !paired {
        return Err("Bad Request: can't parse entities".to_owned());
    }
    Ok(json!({"ok": true, "result": {"message_id": 1, "date": START, "text": text}}))
}

/// The folder of both executables.
struct Desk {
    folder: tempfile::TempDir,
    monitor: PathBuf,
    alerts: PathBuf,
}

impl Desk {
    fn new(config: &Value) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["config", "secrets", "state"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        write_file(
            &folder.path().join("config/config.json"),
            config.to_string(),
        )?;
        Ok(Self {
            monitor: program("ng-node-monitor", "node-monitor")?,
            alerts: program("ng-alert-manager", "alert-manager")?,
            folder,
        })
    }

    /// The node-monitor on these contexts, then a delivery.
    fn tell(&self, contexts: &Value, passed: i64) -> Result<()> {
        self.run(&self.monitor, contexts, passed)?;
        let tick = json!([{"binding": "alert-delivery", "type": "Schedule", "snapshots": {"monitor-alert-templates": []}}]);
        self.run(&self.alerts, &tick, passed + 1)
    }

    fn run(&self, program: &Path, contexts: &Value, passed: i64) -> Result<()> {
        let path = |name: &str| self.folder.path().join(name);
        write_file(&path("context.json"), contexts.to_string())?;
        let now = jiff::Timestamp::from_second(START + passed)?;
        let output = Command::new(program)
            .env_clear()
            .env("BINDING_CONTEXT_PATH", path("context.json"))
            .env("KUBERNETES_PATCH_PATH", path("patches"))
            .env("METRICS_PATH", path("metrics"))
            .env("NODEGUARDIAN_CONFIG_DIR", path("config"))
            .env("NODEGUARDIAN_SECRETS_DIR", path("secrets"))
            .env("NODEGUARDIAN_STATE_DIR", path("state"))
            .env("NODE_MONITOR_CONFIG", path("none.yaml"))
            .env("NODEGUARDIAN_NOW", now.to_string())
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let (said, complaint) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(
            output.status.success() && complaint.is_empty(),
            "{complaint}\n{said}"
        );
        for secret in [ROUTING_KEY, "the-token", "s3cret word"] {
            ensure!(!said.contains(secret), "a secret in the log: {said}");
        }
        Ok(())
    }
}

fn node(status: &str, reason: &str) -> Value {
    json!({
        "name": "a", "uid": "uid-a", "labels": {}, "annotations": null, "taints": null, "unschedulable": null,
        "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": status, "reason": reason}], "addresses": [],
    })
}

fn check(node: &Value) -> Value {
    json!([{"binding": "node-check", "type": "Schedule", "snapshots": {"nodes": [{"filterResult": node}]}}])
}

fn change(node: &Value) -> Value {
    json!([{"binding": "node-events", "type": "Event", "watchEvent": "Modified", "filterResult": node}])
}

fn config(services: &Services, mail: &MailServer) -> Value {
    let address = &services.address;
    json!({
        "prometheus": {"url": format!("http://{address}"), "retries": 0},
        "clusterName": "prod <eu>",
        "email": {
            "smtpServer": "127.0.0.1", "smtpPort": mail.port(STARTTLS), "useTLS": true, "useSSL": false,
            "username": "alerts", "password": "s3cret word", "caFile": mail.authority(),
            "from": "NodeGuardian <alerts@example.com>", "to": ["Ops <ops@example.com>"],
        },
        "alert": {"defaultChannels": ["log"], "batchTimeout": "0s"},
        "nodeMonitor": {
            "channels": ["pagerduty", "telegram", "email"],
            "pagerduty": {"url": format!("http://{address}/v2/enqueue"), "routingKey": ROUTING_KEY},
            "telegram": {"apiUrl": format!("http://{address}"), "botToken": "123456:the-token", "chatId": "-1001234567890"},
        },
    })
}

/// Both executables and the services, and how many mails were looked at.
struct Way {
    desk: Desk,
    services: Services,
    mail: MailServer,
    seen: usize,
}

impl Way {
    fn start() -> Result<Option<Self>> {
        let Some(mail) = MailServer::start()? else {
            return Ok(None);
        };
        let services = Services::start()?;
        let desk = Desk::new(&config(&services, &mail))?;
        Ok(Some(Self {
            desk,
            services,
            mail,
            seen: 0,
        }))
    }

    /// What each service is told after a run on these contexts.
    fn tell(&mut self, contexts: &Value, passed: i64) -> Result<Told> {
        self.desk.tell(contexts, passed)?;
        let chats = self.services.take("telegram")?;
        let mails = self.mail.taken()?.split_off(self.seen);
        self.seen += mails.len();
        Ok(Told {
            events: self.services.take("pagerduty")?,
            chats: chats.iter().map(|chat| chat["text"].to_string()).collect(),
            mails,
        })
    }
}

/// The events, and the texts of the chat and of the mails.
struct Told {
    events: Vec<Value>,
    chats: Vec<String>,
    mails: Vec<Value>,
}

impl Told {
    /// One message each, and all of them say this; the event, the chat and the headers of the mail.
    fn one(&self, said: &[&str]) -> Result<(&Value, &str, &Value)> {
        let ([event], [chat], [mail]) = (&*self.events, &*self.chats, &*self.mails) else {
            bail!("{:?}\n{:?}\n{:?}", self.events, self.chats, self.mails);
        };
        ensure!(
            mail["defects"] == json!([]) && mail["login"] == true,
            "{mail}"
        );
        for part in ["text/plain", "text/html"] {
            let text = mail["parts"][part].as_str().context("no such part")?;
            for words in said {
                ensure!(text.contains(words), "{part} without {words}: {text}");
            }
        }
        for words in said {
            ensure!(chat.contains(words), "no {words} in {chat}");
        }
        Ok((event, chat, &mail["headers"]))
    }

    fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.chats.is_empty() && self.mails.is_empty()
    }
}

#[test]
fn a_high_reading_reaches_pager_chat_and_mail_and_is_resolved_there() -> Result<()> {
    let Some(mut way) = Way::start()? else {
        return Ok(());
    };
    let ready = check(&node("True", "KubeletReady"));
    way.services.set_memory(95.0);
    let opened = way.tell(&ready, 0)?;
    let (event, chat, first) = opened.one(&["node_a_memory_high", "95"])?;
    let payload = &event["payload"];
    ensure!(event["event_action"] == "trigger", "{event}");
    ensure!(
        payload["severity"] == "critical" && payload["source"] == "a",
        "{event}"
    );
    ensure!(payload["class"] == "node-monitor/memory_high", "{event}");
    ensure!(chat.contains("prod &lt;eu&gt;"), "{chat}");

    way.services.set_memory(40.0);
    let closed = way.tell(&ready, 60)?;
    let (end, _, last) = closed.one(&["node_a_memory_high"])?;
    ensure!(end["event_action"] == "resolve", "{end}");
    ensure!(end["dedup_key"] == event["dedup_key"], "{end} and {event}");
    ensure!(
        last["references"] == first["references"] && last["references"].is_string(),
        "{last} and {first}"
    );
    ensure!(last["subject"] != first["subject"], "{last}");
    ensure!(way.tell(&ready, 120)?.is_nothing(), "told again");
    Ok(())
}

#[test]
fn a_change_of_a_node_reaches_pager_chat_and_mail_at_once() -> Result<()> {
    let Some(mut way) = Way::start()? else {
        return Ok(());
    };
    let ready = node("True", "KubeletReady");
    way.services.set_memory(95.0);
    let high = way.tell(&check(&ready), 0)?;
    let (high, ..) = high.one(&["node_a_memory_high"])?;
    let away = way.tell(&change(&node("Unknown", "NodeStatusUnknown")), 20)?;
    let (event, ..) = away.one(&["node_a_not_ready", "NodeStatusUnknown"])?;
    ensure!(event["event_action"] == "trigger", "{event}");
    ensure!(event["payload"]["severity"] == "critical", "{event}");
    // Another matter of the same node is another incident.
    ensure!(event["dedup_key"] != high["dedup_key"], "{event}");
    let back = way.tell(&change(&ready), 40)?;
    let (end, ..) = back.one(&["node_a_not_ready"])?;
    ensure!(end["event_action"] == "resolve", "{end}");
    ensure!(end["dedup_key"] == event["dedup_key"], "{end} and {event}");
    Ok(())
}
