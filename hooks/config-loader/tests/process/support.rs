//! A folder with everything the program reads and writes.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// The folder.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

/// What a call left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["config", "secrets", "state"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "input of a test, not state")]
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("the folder can be written");
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file can be read")
    }

    /// Runs a command with the folder as working directory.
    pub(crate) fn call(&self, arguments: &[&str]) -> Outcome {
        self.call_with(arguments, &[], "")
    }

    /// The same with further variables, and something on stdin.
    pub(crate) fn call_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
        stdin: &str,
    ) -> Outcome {
        let text = |name: &str| self.path(name).display().to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_config-loader"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("NODEGUARDIAN_CONFIG_DIR", text("config"))
            .env("NODEGUARDIAN_SECRETS_DIR", text("secrets"))
            .env("NODEGUARDIAN_STATE_DIR", text("state"))
            .env("NODEGUARDIAN_NOW", "2026-01-02T00:00:00Z")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("a pipe");
        // A program that does not read its input may be gone.
        let _unread = input.write_all(stdin.as_bytes());
        drop(input);
        let output = child.wait_with_output().expect("the program ends");
        Outcome {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// What a run of the hook wrote.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    pub(crate) patches: Vec<Value>,
    pub(crate) metrics: Vec<Value>,
}

impl Desk {
    /// Runs the hook on these contexts.
    pub(crate) fn run(&self, contexts: &Value, now: &str) -> Run {
        self.put("contexts.json", contexts.to_string());
        for name in ["patches", "metrics"] {
            self.put(name, "");
        }
        let text = |name: &str| self.path(name).display().to_string();
        let outcome = self.call_with(
            &[],
            &[
                ("BINDING_CONTEXT_PATH", text("contexts.json").as_str()),
                ("KUBERNETES_PATCH_PATH", text("patches").as_str()),
                ("METRICS_PATH", text("metrics").as_str()),
                ("NODEGUARDIAN_NAMESPACE", "guards"),
                ("NODEGUARDIAN_NOW", now),
            ],
            "",
        );
        let lines = |name: &str| {
            let text = self.text(name);
            text.lines()
                .map(|line| serde_json::from_str(line).expect("JSON"))
                .collect()
        };
        Run {
            outcome,
            patches: lines("patches"),
            metrics: lines("metrics"),
        }
    }
}

impl Run {
    /// Reasons and messages of the Events.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let objects = self.patches.iter().map(|patch| &patch["object"]);
        objects
            .map(|event| (text(&event["reason"]), text(&event["message"])))
            .collect()
    }

    pub(crate) fn gauge(&self, name: &str) -> Option<f64> {
        let mut found = self.metrics.iter().filter(|metric| metric["name"] == name);
        found.next()?["value"].as_f64()
    }
}

/// The contexts of a change, as shell-operator writes them for a group.
pub(crate) fn applied(data: &Value) -> Value {
    json!([{
        "binding": "config", "type": "Group", "groupName": "config",
        "snapshots": {"config": [
            {"filterResult": {"name": "nodeguardian-config", "namespace": "elsewhere", "data": {"config.json": "{"}}},
            {"filterResult": {"name": "nodeguardian-config", "namespace": "guards", "data": data}},
        ]},
    }])
}

/// Exit status, stdout and stderr, to be compared at once.
pub(crate) fn parts(outcome: &Outcome) -> (Option<i32>, &str, &str) {
    (outcome.status, &outcome.stdout, &outcome.stderr)
}
