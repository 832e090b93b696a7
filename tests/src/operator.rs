//! shell-operator with hooks, under a service account's rights.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::server::{Launch, Server, Signal, free_port, write_file};
use crate::wait::wait_until;

const START_LIMIT: Duration = Duration::from_secs(30);

/// An executable for the hooks' folder.
#[derive(Debug, Clone)]
pub struct Hook {
    name: String,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Program(PathBuf),
    Script(String),
}

impl Hook {
    /// A built executable, installed as `name` (`001-controller`).
    pub fn program(name: &str, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            content: Content::Program(path.into()),
        }
    }

    /// A script with its `#!` line, installed as `name`.
    pub fn script(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            content: Content::Script(text.to_owned()),
        }
    }

    fn install(&self, dir: &Path) -> Result<()> {
        let target = dir.join(&self.name);
        match &self.content {
            Content::Program(path) => {
                std::fs::copy(path, &target)
                    .with_context(|| format!("cannot install {}", path.display()))?;
            }
            Content::Script(text) => write_file(&target, text)?,
        }
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} executable", target.display()))
    }
}

/// One line of shell-operator's log.
#[derive(Debug, Clone)]
pub struct LogLine(Value);

impl LogLine {
    /// `info`, `error`, ...
    pub fn level(&self) -> &str {
        self.text("level")
    }

    /// The message, whether shell-operator's own or a hook's.
    pub fn message(&self) -> &str {
        self.text("msg")
    }

    /// The hook it is about, empty if none.
    pub fn hook(&self) -> &str {
        self.text("hook")
    }

    /// Everything in the line; a hook's own fields begin with `hook_`.
    pub fn fields(&self) -> &Value {
        &self.0
    }

    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }
}

/// A shell-operator that can be started again and again on the same folders.
#[derive(Debug)]
pub struct Operator {
    program: PathBuf,
    dir: PathBuf,
    env: BTreeMap<String, String>,
    port: u16,
    server: Option<Server>,
}

impl Operator {
    /// Installs the hooks below `dir`; [`Operator::start`] starts it. `env` is added to what
    /// shell-operator needs, or replaces it.
    pub(crate) fn install(
        program: &Path,
        dir: &Path,
        hooks: &[Hook],
        env: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let dir = dir.join("operator");
        for folder in ["hooks", "run", "tmp"] {
            std::fs::create_dir_all(dir.join(folder))
                .with_context(|| format!("cannot create {}", dir.join(folder).display()))?;
        }
        hooks
            .iter()
            .try_for_each(|hook| hook.install(&dir.join("hooks")))?;
        let port = free_port()?;
        let path = |name: &str| dir.join(name).display().to_string();
        let mut all: BTreeMap<String, String> = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME", path("tmp")),
            ("TMPDIR", path("tmp")),
            ("KUBECONFIG", path("kubeconfig")),
            ("SHELL_OPERATOR_HOOKS_DIR", path("hooks")),
            ("SHELL_OPERATOR_TMP_DIR", path("run")),
            ("SHELL_OPERATOR_LISTEN_ADDRESS", "127.0.0.1".to_owned()),
            ("SHELL_OPERATOR_LISTEN_PORT", port.to_string()),
            ("DEBUG_UNIX_SOCKET", path("debug.socket")),
            ("LOG_LEVEL", "info".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        all.extend(
            env.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Ok(Self {
            program: program.to_owned(),
            dir,
            env: all,
            port,
            server: None,
        })
    }

    /// Where its kubeconfig file belongs.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// `127.0.0.1:PORT`, where its metrics and those of the hooks are.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The folder with the hooks.
    pub fn hooks_dir(&self) -> PathBuf {
        self.dir.join("hooks")
    }

    /// The folder for the files of hook runs.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// Sets a variable from the next start on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Starts shell-operator and waits until it has read the hooks' configurations.
    ///
    /// An error, with the end of its log, if it ends before that.
    pub fn start(&mut self) -> Result<()> {
        self.kill();
        let mut launch = Launch::new(&self.program, self.log_path()).arg("start");
        launch.env.clone_from(&self.env);
        let server = self.server.insert(launch.start()?);
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let waited = wait_until(START_LIMIT, "shell-operator's port", || {
            server.check_running()?;
            ureq::get(&url).config().proxy(None).build().call()?;
            Ok(())
        });
        waited.with_context(|| server.last_output())
    }

    /// Asks it to end, as a stopping container does, and returns its exit status.
    pub fn terminate(&mut self, limit: Duration) -> Result<i32> {
        let server = self
            .server
            .take()
            .context("shell-operator is not running")?;
        server.terminate(limit)
    }

    /// Kills it and the hooks it runs, as a container that is out of time.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.server.as_mut().is_some_and(Server::is_running)
    }

    /// Lets it stand still or go on; running hooks are not touched.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.server
            .as_mut()
            .context("shell-operator is not running")?
            .signal(signal)
    }

    /// Resident memory in bytes, without the hooks.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.server.as_ref().map_or(Ok(0), Server::resident_bytes)
    }

    /// All it has logged, over all starts. Lines that are not JSON have only a message.
    pub fn log(&self) -> Result<Vec<LogLine>> {
        let text = match std::fs::read_to_string(self.log_path()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.context("cannot read shell-operator's log")?,
        };
        let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        Ok(complete.lines().map(parse_line).collect())
    }

    /// The metrics that hooks have written, as text.
    pub fn hook_metrics(&self) -> Result<String> {
        self.scrape("/metrics/hooks")
    }

    /// shell-operator's own metrics, as text.
    pub fn metrics(&self) -> Result<String> {
        self.scrape("/metrics")
    }

    /// The sum of a hook metric's series whose text contains each of `labels` (`rule="hot"`), or
    /// `None` if there is no such series.
    pub fn hook_metric(&self, name: &str, labels: &[&str]) -> Result<Option<f64>> {
        Ok(sum_series(&self.hook_metrics()?, name, labels))
    }

    fn scrape(&self, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut answer = ureq::get(&url).config().proxy(None).build().call()?;
        Ok(answer.body_mut().read_to_string()?)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("shell-operator.log")
    }
}

fn parse_line(line: &str) -> LogLine {
    let parsed = serde_json::from_str(line).ok().filter(Value::is_object);
    LogLine(parsed.unwrap_or_else(|| serde_json::json!({"msg": line})))
}

fn sum_series(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) || !labels.iter().all(|label| rest.contains(label)) {
            return None;
        }
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    });
    values.reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_whole_name_and_labels() {
        let text =
            "# TYPE a gauge\na{rule=\"x\",hook=\"h\"} 2\na{rule=\"y\"} 3\na_total 9\nb 1e3\n";
        let cases = [
            ("a", &[][..], Some(5.0)),
            ("a", &["rule=\"y\""], Some(3.0)),
            ("a", &["rule=\"z\""], None),
            ("b", &[], Some(1000.0)),
            ("missing", &[], None),
        ];
        for (name, labels, expected) in cases {
            assert_eq!(
                sum_series(text, name, labels),
                expected,
                "{name} {labels:?}"
            );
        }
    }

    #[test]
    fn a_line_that_is_not_json_keeps_its_text() {
        assert_eq!(
            parse_line("shell-operator v1").message(),
            "shell-operator v1"
        );
        assert_eq!(
            parse_line(r#"{"level":"error","msg":"m","hook":"h"}"#).hook(),
            "h"
        );
    }
}
