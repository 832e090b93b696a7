//! All hooks at once: an episode from load to the end of its alerts, and settings that count without a restart.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use ng_tests::http::Request;
use ng_tests::server::write_file;
use ng_tests::{Load, wait_until};
use serde_json::{Value, json};

use crate::rig::{LIMIT, Rig, load_rule, taint, untaint};

const HOOKS: [(&str, &str); 3] = [
    ("000-config-loader", "config-loader"),
    ("002-alert-manager", "alert-manager"),
    ("003-recovery-manager", "recovery-manager"),
];
const CONFIG_MAPS: &str = "/api/v1/namespaces/nodeguardian-system/configmaps";
const KEY: &str = "example.com/hot";

/// A receiver of webhooks on loopback; it ends with the test's process.
struct Receiver {
    url: String,
    messages: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let messages = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&messages);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A sender that went away has its own message to say.
                if let Ok(message) = receive(stream) {
                    kept.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(message);
                }
            }
        });
        Ok(Self { url, messages })
    }

    /// Messages of this type so far.
    fn of(&self, kind: &str) -> Vec<Value> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = messages.iter().filter(|message| message["type"] == kind);
        kept.cloned().collect()
    }
}

fn receive(mut stream: TcpStream) -> Result<Value> {
    let request = Request::read(&stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
    Ok(serde_json::from_slice(&request.body)?)
}

fn configure(rig: &Rig, receiver: &Receiver, taint_key: &str) -> Result<()> {
    let config = json!({
        "alert": {"webhookUrl": receiver.url, "defaultChannels": ["webhook"], "batchTimeout": "1s"},
        "node": {"defaultTaintKey": taint_key},
    });
    write_file(
        &rig.stack.config_dir().join("config.json"),
        config.to_string(),
    )
}

#[test]
fn an_episode_is_told_from_load_to_recovery_beside_all_hooks() -> Result<()> {
    let Some(mut rig) = Rig::start_with(&[], &HOOKS)? else {
        return Ok(());
    };
    let receiver = Receiver::start()?;
    configure(&rig, &receiver, "example.com/first")?;
    rig.add_nodes(&["n1", "n2", "n3"])?;
    let alert = json!({"type": "alert", "alert": {"enabled": true}});
    rig.apply_rule(&load_rule(
        "hot",
        &json!([taint(KEY), alert]),
        &json!([untaint(KEY), alert]),
    ))?;
    rig.stack.operator().start()?;
    rig.wait_condition("hot", "DataAvailable", "True")?;

    rig.heat("n2")?;
    rig.wait_taint("n2", KEY, true)?;
    let trigger = told(&receiver, "trigger")?;
    ensure!(trigger["triggeredNodes"] == json!(["n2"]), "{trigger}");
    ensure!(trigger["ruleName"] == "hot", "{trigger}");

    rig.stack.exporter().set("n2", Load::default());
    rig.wait_taint("n2", KEY, false)?;
    let recovery = told(&receiver, "recovery")?;
    ensure!(
        recovery["fingerprint"] == trigger["fingerprint"],
        "{recovery}"
    );
    wait_until(LIMIT, "clean status", || {
        let status = rig.status("hot")?;
        ensure!(status["triggeredNodes"] == json!([]), "{status}");
        Ok(())
    })?;

    tune(&mut rig, &receiver)?;
    publish(&mut rig)?;
    // Several more deliveries have come and gone.
    for kind in ["trigger", "recovery"] {
        let messages = receiver.of(kind);
        let of_rule = messages
            .iter()
            .filter(|message| message["ruleName"] == "hot");
        ensure!(
            of_rule.count() == 1,
            "{kind} was told more than once: {messages:?}"
        );
    }
    rig.close()
}

/// The first message of this type.
fn told(receiver: &Receiver, kind: &str) -> Result<Value> {
    wait_until(LIMIT, kind, || {
        let messages = receiver.of(kind);
        ensure!(!messages.is_empty(), "none yet");
        Ok(messages[0].clone())
    })
}

/// A changed default counts at the next run.
fn tune(rig: &mut Rig, receiver: &Receiver) -> Result<()> {
    rig.delete_rule("hot")?;
    configure(rig, receiver, "example.com/second")?;
    let action = json!({"type": "taint", "taint": {"effect": "NoSchedule"}});
    rig.apply_rule(&load_rule(
        "tuned",
        &json!([action]),
        &json!([untaint("example.com/second")]),
    ))?;
    rig.heat("n3")?;
    rig.wait_taint("n3", "example.com/second", true)
}

/// What is applied is judged at once, before any pod has it mounted.
fn publish(rig: &mut Rig) -> Result<()> {
    let config_map = |text: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "nodeguardian-config", "namespace": "nodeguardian-system"},
            "data": {"config.json": text},
        })
    };
    let name = "nodeguardian_config_valid";
    rig.api.create(
        CONFIG_MAPS,
        &config_map(r#"{"email": {"smtpPort": "abc"}}"#),
    )?;
    rig.wait_metric(name, &[], 0.0..=0.0)?;
    wait_until(LIMIT, "Event on the ConfigMap", || {
        let events = rig
            .api
            .list("/api/v1/namespaces/nodeguardian-system/events")?;
        let told = events.iter().any(|event| {
            event["reason"] == "ConfigInvalid"
                && event["message"]
                    .as_str()
                    .is_some_and(|text| text.contains("email.smtpPort"))
        });
        ensure!(told, "{events:?}");
        Ok(())
    })?;
    rig.api.apply_object(&config_map("{}"))?;
    rig.wait_metric(name, &[], 1.0..=1.0)
}
