//! The node-monitor beside all hooks: what nodes do reaches chat robots that check every signature, and nothing else
//! does.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ng_tests::http::Request;
use ng_tests::objects::set_ready;
use ng_tests::server::write_file;
use ng_tests::{Load, wait_until};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::rig::Rig;

const HOOKS: [(&str, &str); 4] = [
    ("000-config-loader", "config-loader"),
    ("002-alert-manager", "alert-manager"),
    ("003-recovery-manager", "recovery-manager"),
    ("004-node-monitor", "node-monitor"),
];

/// A check comes every fifteen seconds, a delivery every five.
const LIMIT: Duration = Duration::from_mins(1);

const SECRET: &str = "SEC-of-the-robot";

/// What each robot accepted, and why it refused the rest.
type Heard = BTreeMap<&'static str, Vec<Result<String, String>>>;

/// Three chat robots on loopback; they end with the test's process.
struct Robots {
    address: String,
    heard: Arc<Mutex<Heard>>,
}

impl Robots {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let heard = Arc::<Mutex<Heard>>::default();
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A sender that went away has its own message to say.
                let Ok((robot, outcome)) = exchange(&stream) else {
                    continue;
                };
                let mut heard = kept.lock().unwrap_or_else(PoisonError::into_inner);
                heard.entry(robot).or_insert_with(Vec::new).push(outcome);
            }
        });
        Ok(Self { address, heard })
    }

    /// The keys that a robot was told, as `key` or `key resolved`; a refused message is an error.
    fn told(&self, robot: &str) -> Result<Vec<String>> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = Vec::new();
        for outcome in heard.get(robot).into_iter().flatten() {
            match outcome {
                Ok(text) => told.push(key(text)),
                Err(reason) => bail!("{robot} refused a message: {reason}"),
            }
        }
        Ok(told)
    }

    /// Waits until every robot was told these keys, in this order and no others.
    fn wait(&self, expected: &[&str]) -> Result<()> {
        for robot in ["slack", "dingtalk", "wecom"] {
            wait_until(LIMIT, robot, || {
                let told = self.told(robot)?;
                ensure!(told == expected, "{robot} was told {told:?}");
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// The key in a message, and whether it is about its end.
fn key(text: &str) -> String {
    let words = text.split(|sign: char| !(sign.is_ascii_alphanumeric() || "_-".contains(sign)));
    let key = words
        .into_iter()
        .find(|word| word.starts_with("node_"))
        .unwrap_or(text);
    let end = if text.contains("【恢复】") {
        " resolved"
    } else {
        ""
    };
    format!("{key}{end}")
}

type Exchange = (&'static str, Result<String, String>);

fn exchange(stream: &TcpStream) -> Result<Exchange> {
    let request = Request::read(stream)?;
    let (robot, outcome) = judge(request.target(), &request.body)?;
    let answer = match (&outcome, robot) {
        (Ok(_), "slack") => "ok".to_owned(),
        (Ok(_), _) => json!({"errcode": 0, "errmsg": "ok"}).to_string(),
        (Err(reason), _) => json!({"errcode": 310_000, "errmsg": reason}).to_string(),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )?;
    Ok((robot, outcome))
}

/// What each service asks of a message.
fn judge(target: &str, body: &[u8]) -> Result<Exchange> {
    let message: Value = serde_json::from_slice(body)?;
    let text = |place: &Value| place.as_str().map(str::to_owned);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(match path {
        "/services/T000/B000/xyz" => {
            let whole = message["text"].is_string().then(|| message.to_string());
            ("slack", whole.ok_or_else(|| "no_text".to_owned()))
        }
        "/robot/send" => {
            let checked = signed(query).and_then(|()| {
                let fits = message["msgtype"] == "markdown" && body.len() <= 20_000;
                let content = text(&message["markdown"]["text"]).filter(|_| fits);
                content.ok_or_else(|| "no markdown".to_owned())
            });
            ("dingtalk", checked)
        }
        "/cgi-bin/webhook/send" => {
            let content = text(&message["markdown"]["content"]);
            let checked = content
                .filter(|content| query == "key=wecom-key" && content.len() <= 4096)
                .ok_or_else(|| "invalid message".to_owned());
            ("wecom", checked)
        }
        other => bail!("nobody is at {other}"),
    })
}

/// Whether the query carries the signature of its own timestamp.
fn signed(query: &str) -> Result<(), String> {
    let part = |name: &str| {
        let parts = query.split('&').filter_map(|part| part.split_once('='));
        let found = parts.into_iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned())
    };
    let millis = part("timestamp").ok_or("no timestamp")?;
    let sign = part("sign").ok_or("no sign")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).map_err(|_| "no key")?;
    mac.update(format!("{millis}\n{SECRET}").as_bytes());
    let wanted = STANDARD.encode(mac.finalize().into_bytes());
    let given = sign
        .replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=");
    if given == wanted && part("access_token").as_deref() == Some("robot-token") {
        Ok(())
    } else {
        Err(format!("sign not match: {query}"))
    }
}

/// The file of the former monitor, as it was.
fn configure(rig: &Rig, robots: &Robots) -> Result<()> {
    let config = json!({"alert": {"defaultChannels": ["log"], "batchTimeout": "1s"}});
    write_file(
        &rig.stack.config_dir().join("config.json"),
        config.to_string(),
    )?;
    let address = &robots.address;
    let former = format!(
        "checkInterval: 10
logLevel: info
alertCooldown: 15
thresholds: {{cpuWarning: 70, cpuCritical: 90, memoryWarning: 70, memoryCritical: 90}}
slack: {{webhookURL: 'http://{address}/services/T000/B000/xyz'}}
dingtalk: {{webhookURL: 'http://{address}/robot/send?access_token=robot-token', secret: {SECRET}}}
wecom: {{webhookURL: 'http://{address}/cgi-bin/webhook/send?key=wecom-key'}}
"
    );
    write_file(&rig.stack.config_dir().join("node-monitor.yaml"), former)
}

#[test]
fn what_nodes_do_is_told_without_a_rule_and_nothing_else_is() -> Result<()> {
    let Some(mut rig) = Rig::start_with(&[], &HOOKS)? else {
        return Ok(());
    };
    let robots = Robots::start()?;
    configure(&rig, &robots)?;
    rig.add_nodes(&["n1", "n2", "n3", "n4"])?;
    rig.stack.operator().start()?;
    let ok = ["level=\"ok\""];
    rig.wait_metric("nodeguardian_monitored_nodes", &ok, 4.0..=4.0)?;

    let full = Load {
        memory_percent: 95.0,
        ..Load::default()
    };
    rig.stack.exporter().set("n2", full);
    let mut told = vec!["node_n2_memory_high"];
    robots.wait(&told)?;
    rig.stack.exporter().set("n2", Load::default());
    told.push("node_n2_memory_high resolved");
    robots.wait(&told)?;

    set_ready(&rig.api, "n3", "Unknown")?;
    told.push("node_n3_not_ready");
    robots.wait(&told)?;
    rig.api.delete("/api/v1/nodes/n4")?;
    rig.stack.exporter().remove("n4");
    told.push("node_n4_deleted");
    robots.wait(&told)?;
    set_ready(&rig.api, "n3", "True")?;
    told.push("node_n3_not_ready resolved");
    robots.wait(&told)?;

    // Several more checks and deliveries come and go.
    rig.wait_metric("nodeguardian_monitored_nodes", &ok, 3.0..=3.0)?;
    rig.wait_runs(4)?;
    robots.wait(&told)?;
    rig.close()
}
