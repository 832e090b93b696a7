//! A headless Chromium over the pipe of its developer tools. When the pipe closes, Chromium ends by itself, so that it
//! does not outlive the test, however that ends.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ng_tests::wait_until;
use serde_json::{Value, json};

/// Long enough for a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// Chromium reads requests from descriptor 3 and writes answers to 4.
const PIPES: &str = r#"log=$1; shift; exec "$@" 3<&0 4>&1 </dev/null >"$log" 2>&1"#;

const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
];

/// A running browser with one page.
pub(crate) struct Browser {
    process: Child,
    requests: Option<ChildStdin>,
    answers: Receiver<Value>,
    events: VecDeque<Value>,
    session: Option<String>,
    last: u64,
    log: PathBuf,
    _home: tempfile::TempDir,
}

impl Browser {
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let log = home.path().join("log");
        let mut process = Command::new("/bin/sh")
            .args(["-c", PIPES, "browser"])
            .arg(&log)
            .arg(program)
            .args(FLAGS)
            .arg(format!(
                "--user-data-dir={}",
                home.path().join("profile").display()
            ))
            .arg("about:blank")
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = process.stdout.take().context("the browser has no output")?;
        let (sender, answers) = channel();
        thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else {
                    break;
                };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let requests = process.stdin.take();
        let mut browser = Self {
            process,
            requests,
            answers,
            events: VecDeque::new(),
            session: None,
            last: 0,
            log,
            _home: home,
        };
        browser.attach()?;
        Ok(browser)
    }

    fn attach(&mut self) -> Result<()> {
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}))?;
        let wanted = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", &wanted)?;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        ensure!(self.session.is_some(), "no session: {session}");
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(())
    }

    /// What the browser answers to a request.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.last += 1;
        let mut request = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&request)?;
        bytes.push(0);
        let pipe = self.requests.as_mut().context("the browser has ended")?;
        pipe.write_all(&bytes)
            .with_context(|| format!("cannot ask for {method}"))?;
        let start = Instant::now();
        loop {
            let mut message = self.next(start, method)?;
            if message["id"] != self.last {
                self.events.push_back(message);
            } else if message.get("error").is_some() {
                bail!("{method}: {}", message["error"]);
            } else {
                return Ok(message["result"].take());
            }
        }
    }

    fn next(&self, start: Instant, what: &str) -> Result<Value> {
        let left = LIMIT.saturating_sub(start.elapsed());
        self.answers.recv_timeout(left).with_context(|| {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            format!("no answer to {what} within {LIMIT:?}; the browser said: {log}")
        })
    }

    /// Loads a file; what happened before is forgotten.
    pub(crate) fn load(&mut self, file: &Path) -> Result<()> {
        self.events.clear();
        let answer = self.call(
            "Page.navigate",
            &json!({"url": format!("file://{}", file.display())}),
        )?;
        ensure!(answer.get("errorText").is_none(), "{answer}");
        let start = Instant::now();
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            let event = self.next(start, "the page's end of loading")?;
            self.events.push_back(event);
        }
        Ok(())
    }

    /// What happened since loading of the page began.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Value> {
        self.events.iter()
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Result<Value> {
        let wanted = json!({"expression": expression, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", &wanted)?;
        ensure!(
            answer.get("exceptionDetails").is_none(),
            "{}",
            answer["exceptionDetails"]
        );
        Ok(answer["result"]["value"].take())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.requests = None;
        let ended = wait_until(Duration::from_secs(10), "end of the browser", || {
            self.process.try_wait()?.context("it runs")
        });
        if ended.is_err() {
            let group = format!("-{}", self.process.id());
            let _ = Command::new("/bin/kill")
                .args(["-KILL", "--", &group])
                .status();
            let _ = self.process.wait();
        }
    }
}
