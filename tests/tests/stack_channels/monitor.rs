//! The node-monitor's alerts at the services that people carry with them: both executables, from the reading and the
//! event of a node to what `PagerDuty`, Telegram and a mail server accept, and back when the node is well again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
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

fn exchange(stream: &TcpStream, heard: &Mutex<Heard>) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, answer) = answer(&head, &body, &mut heard);
    let answer = answer.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )?;
    Ok(())
}

fn answer(head: &str, body: &[u8], heard: &mut Heard) -> (u16, Value) {
    let mut words = head.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if target.starts_with("/api/v1/query") {
        return (200, prometheus(target, body, heard.memory));
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
            heard.taken.push((service, message));
            (status, answer)
        }
        Err(reason) => {
            heard.refused.push(format!("{reason}: {message}"));
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

/// What each service was told by a run: the events, and the texts of the chat and of the mails.
struct Told {
    events: Vec<Value>,
    chats: Vec<String>,
    mails: Vec<Value>,
}

impl Told {
    fn of(services: &Services, mail: &MailServer, mails_before: usize) -> Result<Self> {
        let chats = services.take("telegram")?;
        let mut mails = mail.taken()?;
        Ok(Self {
            events: services.take("pagerduty")?,
            chats: chats.iter().map(|chat| chat["text"].to_string()).collect(),
            mails: mails.split_off(mails_before.min(mails.len())),
        })
    }

    /// One message each, and all of them say this; the event and the mail.
    fn one(&self, said: &[&str]) -> Result<(&Value, &Value)> {
        let ([event], [chat], [mail]) = (&*self.events, &*self.chats, &*self.mails) else {
            anyhow::bail!("{:?}\n{:?}\n{:?}", self.events, self.chats, self.mails);
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
        Ok((event, mail))
    }
}

#[test]
fn what_a_node_does_reaches_pager_chat_and_mail_and_is_resolved_there() -> Result<()> {
    let Some(mail) = MailServer::start()? else {
        return Ok(());
    };
    let services = Services::start()?;
    let desk = Desk::new(&config(&services, &mail))?;
    let ready = node("True", "KubeletReady");

    services.set_memory(95.0);
    desk.tell(&check(&ready), 0)?;
    let told = Told::of(&services, &mail, 0)?;
    let (event, first) = told.one(&["node_a_memory_high", "95"])?;
    ensure!(event["event_action"] == "trigger", "{event}");
    ensure!(
        event["payload"]["severity"] == "critical" && event["payload"]["source"] == "a",
        "{event}"
    );
    ensure!(
        event["payload"]["class"] == "node-monitor/memory_high",
        "{event}"
    );
    let (opened, thread) = (
        event["dedup_key"].clone(),
        first["headers"]["references"].clone(),
    );
    ensure!(
        told.chats[0].contains("prod &lt;eu&gt;"),
        "{}",
        told.chats[0]
    );

    // An event of the node, told at once, with a key of its own.
    desk.tell(&change(&node("Unknown", "NodeStatusUnknown")), 20)?;
    let told = Told::of(&services, &mail, 1)?;
    let (event, _) = told.one(&["node_a_not_ready", "NodeStatusUnknown"])?;
    ensure!(
        event["event_action"] == "trigger" && event["dedup_key"] != opened,
        "{event}"
    );
    let away = event["dedup_key"].clone();
    desk.tell(&change(&ready), 40)?;
    let told = Told::of(&services, &mail, 2)?;
    let (event, _) = told.one(&["node_a_not_ready"])?;
    ensure!(
        event["event_action"] == "resolve" && event["dedup_key"] == away,
        "{event}"
    );

    // It ends what it opened, in the same thread.
    services.set_memory(40.0);
    desk.tell(&check(&ready), 60)?;
    let told = Told::of(&services, &mail, 3)?;
    let (event, last) = told.one(&["node_a_memory_high"])?;
    ensure!(
        event["event_action"] == "resolve" && event["dedup_key"] == opened,
        "{event}"
    );
    ensure!(
        last["headers"]["references"] == thread && thread.is_string(),
        "{last} and {thread}"
    );
    ensure!(
        last["headers"]["subject"] != first_subject(&mail)?,
        "{last}"
    );

    // Nothing is told twice.
    desk.tell(&check(&ready), 120)?;
    let told = Told::of(&services, &mail, 4)?;
    ensure!(
        told.events.is_empty() && told.chats.is_empty() && told.mails.is_empty(),
        "told again"
    );
    Ok(())
}

fn first_subject(mail: &MailServer) -> Result<Value> {
    let mails = mail.taken()?;
    Ok(mails.first().context("no mail")?["headers"]["subject"].clone())
}
