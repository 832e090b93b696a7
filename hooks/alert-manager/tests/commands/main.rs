//! The commands of the built executable: direct call, `test` and `preview`.

mod api;
mod direct;
mod lookup;
mod preview;
#[path = "../support/mod.rs"]
mod support;

use std::process::Command;

use support::{Desk, NOW};

/// What a command did.
#[derive(Debug)]
struct Done {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Done {
    /// Messages of the log's warnings and errors.
    fn complaints(&self) -> usize {
        self.stderr
            .lines()
            .filter(|line| {
                line.contains("\"level\":\"warn\"") || line.contains("\"level\":\"error\"")
            })
            .count()
    }
}

/// Calls the alert-manager with an environment of the desk's folders and these variables.
fn call(desk: &Desk, arguments: &[&str], variables: &[(&str, &str)]) -> Done {
    let folder = |name: &str| desk.path(name).display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_alert-manager"))
        .args(arguments)
        .env_clear()
        .envs([
            ("NODEGUARDIAN_CONFIG_DIR", folder("config")),
            ("NODEGUARDIAN_SECRETS_DIR", folder("secrets")),
            ("NODEGUARDIAN_STATE_DIR", folder("state")),
            ("NODEGUARDIAN_NOW", NOW.to_owned()),
        ])
        .envs(variables.iter().copied())
        .output()
        .expect("the alert-manager starts");
    Done {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A rule as the API server has it.
const RULE: &str = r#"{"metadata": {"name": "hot"}, "spec": {"metadata": {"description": "Hot nodes", "severity": "critical"},
    "conditions": [{"metric": "cpuLoadRatio", "operator": "GreaterThan", "value": 1.5, "duration": "3m"}],
    "actions": [{"type": "taint", "taint": {"key": "example.com/hot", "effect": "NoSchedule"}}]}}"#;
