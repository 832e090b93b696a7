//! A folder with everything the controller reads and writes, and a Prometheus that does as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

/// What the Prometheus of a test does.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// This body.
    Text(String),
    /// A page instead of JSON.
    Html,
    /// Nothing, with the connection open.
    Hang,
    /// More than anyone should read.
    Huge,
    /// Nobody listens.
    Refused,
}

impl Answer {
    /// The same value for `node-1` and `a`, sampled at the time that the server's own clock shows: it
    /// is the age by that clock that counts where the run's time is a made-up one.
    pub(crate) fn all(value: f64) -> Self {
        let series =
            |node: &str| json!({"metric": {"node": node}, "value": [1.0, value.to_string()]});
        let result = [series("node-1"), series("a")];
        Self::Text(
            json!({"status": "success", "data": {"resultType": "vector", "result": result}})
                .to_string(),
        )
    }
}

/// The folder.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    prometheus: String,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) patches: Vec<Value>,
    pub(crate) metrics: Vec<Value>,
}

impl Outcome {
    /// The write of a node's marks.
    pub(crate) fn node_patch(&self, name: &str) -> Option<&Value> {
        self.patches
            .iter()
            .find(|patch| patch["kind"] == "Node" && patch["name"] == name)
    }

    /// The status written for a rule.
    pub(crate) fn rule_status(&self, name: &str) -> Option<&Value> {
        let written = |patch: &&Value| patch["subresource"] == "status" && patch["name"] == name;
        self.patches
            .iter()
            .find(written)
            .map(|patch| &patch["mergePatch"]["status"])
    }

    /// The Events created.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Value> {
        self.patches
            .iter()
            .map(|patch| &patch["object"])
            .filter(|object| object["kind"] == "Event")
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["config", "secrets", "state"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let desk = Self {
            folder,
            prometheus: String::new(),
        };
        desk.put_config(&json!({}));
        desk
    }

    /// Starts a Prometheus on loopback; its threads end with the test.
    pub(crate) fn answering(mut self, answer: Answer) -> Self {
        if matches!(answer, Answer::Refused) {
            "http://127.0.0.1:1".clone_into(&mut self.prometheus);
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            self.prometheus = format!("http://{}", listener.local_addr().expect("an address"));
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let answer = answer.clone();
                    std::thread::spawn(move || serve(stream, &answer));
                }
            });
        }
        self.put_config(&json!({}));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "input of a test, not state")]
    pub(crate) fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the folder can be written");
    }

    /// The configuration with the test's Prometheus added.
    pub(crate) fn put_config(&self, config: &Value) {
        let mut config = config.clone();
        config["prometheus"] =
            json!({"url": self.prometheus, "timeout": "2s", "queryTimeout": "2s", "retries": 0});
        self.put("config/config.json", &config.to_string());
    }

    /// A run at a time.
    pub(crate) fn tick(&self, now: &str) -> Outcome {
        self.run_with(&[], &[("NODEGUARDIAN_NOW", now)])
    }

    /// A run with these arguments and these variables over the usual ones.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        for name in ["patches", "metrics"] {
            self.put(name, "");
        }
        let text = |name: &str| self.path(name).display().to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_controller"))
            .args(arguments)
            .env_clear()
            .envs([
                ("BINDING_CONTEXT_PATH", text("context.json")),
                ("KUBERNETES_PATCH_PATH", text("patches")),
                ("METRICS_PATH", text("metrics")),
                ("NODEGUARDIAN_CONFIG_DIR", text("config")),
                ("NODEGUARDIAN_SECRETS_DIR", text("secrets")),
                ("NODEGUARDIAN_STATE_DIR", text("state")),
            ])
            .envs(variables.iter().copied())
            .output()
            .expect("the controller starts");
        Outcome {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            patches: self.lines("patches"),
            metrics: self.lines("metrics"),
        }
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).expect("the file is there");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON lines"))
            .collect()
    }
}

/// Reads a request to its end: closing a connection with something unread would cut off the answer.
fn read_request(stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])
}

/// One exchange.
fn serve(mut stream: TcpStream, answer: &Answer) {
    if read_request(&stream).is_err() {
        return;
    }
    let send = |stream: &mut TcpStream, kind: &str, body: &[u8], length: usize| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nDate: Thu, 01 Jan 1970 00:00:01 GMT\r\nConnection: close\r\n\r\n"
        );
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body));
    };
    match answer {
        Answer::Text(body) => send(&mut stream, "application/json", body.as_bytes(), body.len()),
        Answer::Html => {
            let body = b"<html><body>Sign in</body></html>";
            send(&mut stream, "text/html", body, body.len());
        }
        // The peer gives up at its own limit; this only must not answer before.
        Answer::Hang => {
            let _ = stream.set_read_timeout(Some(Duration::from_mins(1)));
            let _ = stream.read(&mut [0; 1]);
        }
        Answer::Huge => {
            const PIECE: usize = 1 << 20;
            send(
                &mut stream,
                "application/json",
                b"{\"status\":\"",
                200 * PIECE,
            );
            let piece = vec![b'x'; PIECE];
            for _ in 0..200 {
                if stream.write_all(&piece).is_err() {
                    break;
                }
            }
        }
        Answer::Refused => {}
    }
}

/// A rule that triggers at once.
pub(crate) fn rule(name: &str) -> Value {
    json!({
        "apiVersion": "nodeguardian.k8s.io/v1",
        "kind": "NodeGuardianRule",
        "metadata": {"name": name, "uid": format!("uid-{name}"), "generation": 1},
        "spec": {
            "conditions": [{"metric": "memoryUtilizationPercent", "operator": "GreaterThan", "value": 90, "duration": "0s"}],
            "nodeSelector": {},
            "actions": [
                {"type": "taint", "taint": {"key": format!("example.com/{name}"), "value": "true", "effect": "NoSchedule"}},
                {"type": "alert", "alert": {"channels": ["log"]}},
            ],
            "recoveryActions": [{"type": "removeTaint", "taint": {"key": format!("example.com/{name}")}}],
        },
    })
}

/// A ready node.
pub(crate) fn node(name: &str) -> Value {
    json!({
        "name": name,
        "uid": format!("uid-{name}"),
        "labels": {"kubernetes.io/hostname": name},
        "annotations": null,
        "taints": null,
        "unschedulable": null,
        "capacity": {"cpu": "4", "memory": "16Gi", "pods": "110"},
        "allocatable": {"cpu": "4", "memory": "15Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
    })
}

/// The context that shell-operator makes of them.
pub(crate) fn context(rules: &[Value], nodes: &[Value]) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| json!({"object": rule, "filterResult": null}))
        .collect();
    let nodes: Vec<Value> = nodes
        .iter()
        .map(|node| json!({"filterResult": node}))
        .collect();
    json!([{
        "binding": "rule-evaluation",
        "groupName": "evaluation",
        "snapshots": {"monitor-nodeguardian-rules": rules, "nodes": nodes},
        "type": "Group",
    }])
}
