//! A server as a child process that never outlives the test.
//!
//! The server runs under a small shell that leads its process group and reads a pipe whose other
//! end only the test holds. When the test drops it, or dies in whatever way, the pipe closes and
//! the shell kills the group: the server and, under shell-operator, the hooks it is running.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::wait::wait_until;

/// Starts the server with its output in `$1`, prints its pid, obeys signals named on its input.
const GUARD: &str = r#"
log=$1; shift
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
echo "$server"
(
  while read -r signal <&3; do kill -s "$signal" "$server"; done
  kill -s KILL -- "-$$"
) 2>/dev/null &
wait "$server"
echo "$?"
kill -s KILL -- "-$$"
"#;

/// What to run, and where its output goes.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Standard output and error are appended here.
    pub log: PathBuf,
}

impl Launch {
    /// `program` without arguments and environment, logging to `log`.
    pub fn new(program: &Path, log: PathBuf) -> Self {
        Self {
            program: program.to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            log,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets one variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Starts the program; see the module's text for how it ends.
    pub fn start(self) -> Result<Server> {
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard"])
            .arg(&self.log)
            .arg(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let signals = guard.stdin.take();
        let mut answers = BufReader::new(guard.stdout.take().context("the guard has no output")?);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let pid = line
            .trim()
            .parse()
            .with_context(|| format!("no process id for {}", self.program.display()))?;
        Ok(Server {
            log: self.log,
            guard,
            signals,
            answers,
            pid,
        })
    }
}

/// What a server can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Please end.
    Terminate,
    /// Stand still: connections stay open and nothing answers.
    Stop,
    /// Go on after [`Signal::Stop`].
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// A running server; dropping it kills it with all it started.
#[derive(Debug)]
pub struct Server {
    log: PathBuf,
    guard: Child,
    signals: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pid: u32,
}

impl Server {
    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file with its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.guard.try_wait(), Ok(None))
    }

    /// An error with the end of its output if the server has ended.
    pub fn check_running(&mut self) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        bail!("the server has ended: {}", self.last_output())
    }

    /// The last lines of its output.
    pub fn last_output(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// The server's resident memory in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid);
        let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let kib: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .with_context(|| format!("{path}: no VmRSS"))?;
        Ok(kib * 1024)
    }

    /// Sends a signal to the server alone.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        let pipe = self.signals.as_mut().context("the server was killed")?;
        writeln!(pipe, "{}", signal.name())?;
        pipe.flush()?;
        Ok(())
    }

    /// Asks the server to end, waits up to `limit`, and returns its exit status as a shell sees it.
    pub fn terminate(mut self, limit: Duration) -> Result<i32> {
        self.signal(Signal::Terminate)?;
        self.wait_for_exit(limit)
    }

    /// Waits up to `limit` for the server to end by itself.
    pub fn wait_for_exit(&mut self, limit: Duration) -> Result<i32> {
        wait_until(limit, "end of the server", || {
            if self.is_running() {
                bail!("still running")
            }
            Ok(())
        })?;
        let mut status = String::new();
        self.answers.read_to_string(&mut status)?;
        status
            .trim()
            .parse()
            .with_context(|| format!("unreadable exit status {status:?}"))
    }

    /// Kills the server and everything it started, at once.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signals = None;
        if let Err(error) = self.guard.wait() {
            debug_assert!(false, "the guard cannot be waited for: {error}");
        }
    }
}

/// A port on loopback that nothing uses now.
///
/// Taken below the range from which the system picks ports for outgoing connections, so that a
/// server can be stopped and started again on its port.
pub fn free_port() -> Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % u32::from(COUNT / 40))? * 40;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (offset.wrapping_add(step)) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on loopback")
}

/// Writes a file of the test's own directory.
pub fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(content.as_ref()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str, log: PathBuf) -> Server {
        Launch::new(Path::new("/bin/sh"), log)
            .env("PATH", "/usr/bin:/bin")
            .arg("-c")
            .arg(script)
            .start()
            .unwrap()
    }

    fn alive(pid: &str) -> bool {
        // The state stands after the name, which is in parentheses and may hold any character.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| Some(stat.rsplit_once(')')?.1.trim_start().to_owned()))
            .is_some_and(|rest| !rest.starts_with(['Z', 'X']))
    }

    #[test]
    fn a_dropped_server_takes_its_children_along() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let server = shell("sleep 600 & echo child $!; wait", log.clone());
        let child = wait_until(LIMIT, "child's pid", || {
            let text = std::fs::read_to_string(&log)?;
            let pid = text.trim().strip_prefix("child ").map(str::to_owned);
            pid.context(text)
        })
        .unwrap();
        let server_pid = server.pid().to_string();
        assert!(alive(&child) && alive(&server_pid));
        drop(server);
        wait_until(LIMIT, "end of both", || {
            if alive(&child) || alive(&server_pid) {
                bail!("alive")
            }
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn the_exit_status_is_the_servers() {
        let dir = tempfile::tempdir().unwrap();
        let mut ends = shell("exit 3", dir.path().join("a"));
        assert_eq!(ends.wait_for_exit(LIMIT).unwrap(), 3);
        let log = dir.path().join("b");
        let asked = shell(
            "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done",
            log.clone(),
        );
        wait_until(LIMIT, "trap", || {
            let text = std::fs::read_to_string(&log)?;
            if text.is_empty() {
                bail!("nothing")
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(asked.terminate(LIMIT).unwrap(), 7);
    }

    #[test]
    fn ports_differ() {
        assert_ne!(free_port().unwrap(), free_port().unwrap());
    }
}
