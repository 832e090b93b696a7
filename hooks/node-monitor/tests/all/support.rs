//! A folder with everything the hook reads and writes, and a Prometheus that answers what the test sets.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ng_engine::time::Time;
use ng_state::{OutboxFilter, Store};
use serde_json::{Value, json};

/// What a metric's query is known by.
const QUERIES: [(&str, &str); 6] = [
    ("inodes", "node_filesystem_files"),
    ("disk", "node_filesystem_avail_bytes"),
    ("memory", "node_memory_MemAvailable_bytes"),
    ("pods", "kube_pod_info"),
    ("load", "node_load1"),
    ("cpu", "node_cpu_seconds_total"),
];

/// What a metric was, by node: so many seconds after the first time asked for it was so much.
type Past = Box<dyn Fn(&str, f64) -> Option<f64> + Send>;

/// How questions about the past are answered.
#[derive(Clone, Debug, Default)]
pub(crate) enum Answering {
    /// By what was set.
    #[default]
    Well,
    /// With a page.
    Html,
    /// Not at all, with the connection open.
    Hang,
    /// With this, whatever is asked.
    Body(String),
}

#[derive(Default)]
struct Answers {
    series: BTreeMap<String, Vec<(String, String)>>,
    past: BTreeMap<String, (Vec<String>, Past)>,
    html: bool,
    of_the_past: Answering,
    requests: Vec<String>,
}

/// A Prometheus on loopback; its threads end with the test.
pub(crate) struct Prometheus {
    url: String,
    answers: Arc<Mutex<Answers>>,
}

impl Prometheus {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::<Mutex<Answers>>::default();
        let shared = Arc::clone(&answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &answers));
            }
        });
        Self { url, answers }
    }

    /// The samples of a metric by node.
    pub(crate) fn set(&self, metric: &str, samples: &[(&str, &str)]) {
        let samples = samples
            .iter()
            .map(|(node, value)| ((*node).to_owned(), (*value).to_owned()));
        let mut answers = self.answers.lock().unwrap();
        answers.series.insert(metric.to_owned(), samples.collect());
    }

    /// What a metric was of some nodes, by the seconds since the first time asked for.
    pub(crate) fn set_past(
        &self,
        metric: &str,
        nodes: &[&str],
        past: impl Fn(&str, f64) -> Option<f64> + Send + 'static,
    ) {
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        let mut answers = self.answers.lock().unwrap();
        answers
            .past
            .insert(metric.to_owned(), (nodes, Box::new(past)));
    }

    /// A page instead of JSON from now on.
    pub(crate) fn answer_html(&self) {
        self.answers.lock().unwrap().html = true;
    }

    /// What becomes of questions about the past from now on.
    pub(crate) fn answer_the_past(&self, answering: Answering) {
        self.answers.lock().unwrap().of_the_past = answering;
    }

    pub(crate) fn requests(&self) -> usize {
        self.answers.lock().unwrap().requests.len()
    }

    /// Questions about the past: the metric and the number of times of each.
    pub(crate) fn questions_about_the_past(&self) -> Vec<(String, usize)> {
        let answers = self.answers.lock().unwrap();
        let questions = answers.requests.iter().filter_map(|form| {
            let times = Times::of(form)?;
            Some((metric(form).unwrap_or_default().to_owned(), times.count()))
        });
        questions.collect()
    }
}

/// The metric that a question is about.
fn metric(form: &str) -> Option<&'static str> {
    let (metric, _) = QUERIES.iter().find(|(_, part)| form.contains(part))?;
    Some(metric)
}

/// The times that a question about the past is about, in seconds.
struct Times {
    start: f64,
    end: f64,
    step: f64,
}

impl Times {
    fn of(form: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut fields = form.split('&').filter_map(|field| field.split_once('='));
            fields.find(|(key, _)| *key == name)?.1.parse().ok()
        };
        Some(Self {
            start: field("start")?,
            end: field("end")?,
            step: field("step")?,
        })
    }

    fn count(&self) -> usize {
        self.passed().count()
    }

    /// Seconds since the first time.
    fn passed(&self) -> impl Iterator<Item = f64> + use<> {
        let (length, step) = (self.end - self.start, self.step);
        (0..20_000_u32)
            .map(move |number| f64::from(number) * step)
            .take_while(move |passed| *passed <= length)
    }
}

impl Answers {
    fn present(&self, metric: &str) -> Value {
        let samples = self.series.get(metric).into_iter().flatten();
        let result: Vec<Value> = samples
            .map(|(node, value)| json!({"metric": {"node": node}, "value": [1.0, value]}))
            .collect();
        json!({"status": "success", "data": {"resultType": "vector", "result": result}})
    }

    fn past(&self, metric: &str, times: &Times) -> Value {
        let Some((nodes, past)) = self.past.get(metric) else {
            return json!({"status": "success", "data": {"resultType": "matrix", "result": []}});
        };
        let series = nodes.iter().map(|node| {
            let point = |passed| {
                let value = past(node, passed)?;
                Some(json!([times.start + passed, value.to_string()]))
            };
            let values: Vec<Value> = times.passed().filter_map(point).collect();
            json!({"metric": {"node": node}, "values": values})
        });
        let result: Vec<Value> = series.collect();
        json!({"status": "success", "data": {"resultType": "matrix", "result": result}})
    }

    /// `None`: nothing is answered.
    fn body(&self, form: &str) -> Option<String> {
        let metric = metric(form).unwrap_or_default();
        let page = || "<html>Sign in</html>".to_owned();
        if self.html {
            return Some(page());
        }
        let Some(times) = Times::of(form) else {
            return Some(self.present(metric).to_string());
        };
        match &self.of_the_past {
            Answering::Well => Some(self.past(metric, &times).to_string()),
            Answering::Html => Some(page()),
            Answering::Hang => None,
            Answering::Body(body) => Some(body.clone()),
        }
    }
}

/// One exchange.
fn serve(stream: &TcpStream, answers: &Mutex<Answers>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut request = vec![0; length];
    reader.read_exact(&mut request).ok()?;
    let request = String::from_utf8_lossy(&request).into_owned();
    let mut answers = answers.lock().unwrap();
    let body = answers.body(&request);
    answers.requests.push(request);
    drop(answers);
    let Some(body) = body else {
        // Until the other side gives up.
        return reader.read(&mut [0]).ok().map(|_| ());
    };
    // The age of samples is measured by the server's own clock.
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nDate: Thu, 01 Jan 1970 00:00:01 GMT\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all((head + &body).as_bytes()).ok()
}

/// The folder.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    pub(crate) prometheus: Prometheus,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) patches: String,
    pub(crate) metrics: Vec<Value>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config", "secrets", "state"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let desk = Self {
            folder,
            prometheus: Prometheus::start(),
        };
        desk.put_config(&json!({}));
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "input of a test, not state")]
    pub(crate) fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The configuration with the test's Prometheus, and the log as the only channel.
    pub(crate) fn put_config(&self, config: &Value) {
        self.put_config_for(&self.prometheus.url, config);
    }

    /// The same with another Prometheus.
    pub(crate) fn put_config_for(&self, url: &str, config: &Value) {
        let mut config = config.clone();
        config["prometheus"] =
            json!({"url": url, "timeout": "2s", "queryTimeout": "2s", "retries": 0});
        config["alert"]["defaultChannels"] = json!(["log"]);
        self.put("config/config.json", &config.to_string());
    }

    pub(crate) fn put_context(&self, context: &Value) {
        self.put("context.json", &context.to_string());
    }

    /// A run at a time.
    pub(crate) fn run(&self, now: &str) -> Outcome {
        self.call(&[], now)
    }

    /// A run at a time, and the most memory that it took, in KiB.
    pub(crate) fn run_and_weigh(&self, now: &str) -> (Outcome, u64) {
        let mut child = self.start(&[], now);
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        // The most so far is told while the process is there: after its peak it still has work to do.
        while child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            peak = peak.max(kib.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(2));
        }
        (self.outcome(child), peak)
    }

    /// A call with arguments at a time.
    pub(crate) fn call(&self, arguments: &[&str], now: &str) -> Outcome {
        self.outcome(self.start(arguments, now))
    }

    fn start(&self, arguments: &[&str], now: &str) -> Child {
        for name in ["patches", "metrics"] {
            self.put(name, "");
        }
        let text = |name: &str| self.path(name).display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_node-monitor"));
        command.args(arguments).env_clear();
        if self.path("kubeconfig").exists() {
            command.env("KUBECONFIG", self.path("kubeconfig"));
        }
        command
            .envs([
                ("BINDING_CONTEXT_PATH", text("context.json")),
                ("KUBERNETES_PATCH_PATH", text("patches")),
                ("METRICS_PATH", text("metrics")),
                ("NODEGUARDIAN_CONFIG_DIR", text("config")),
                ("NODEGUARDIAN_SECRETS_DIR", text("secrets")),
                ("NODEGUARDIAN_STATE_DIR", text("state")),
                ("NODE_MONITOR_CONFIG", text("none.yaml")),
                ("NODEGUARDIAN_NOW", now.to_owned()),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn outcome(&self, child: Child) -> Outcome {
        let output = child.wait_with_output().unwrap();
        let read = |name: &str| std::fs::read_to_string(self.path(name)).unwrap();
        Outcome {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            patches: read("patches"),
            metrics: read("metrics")
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        }
    }

    /// The alerts in the outbox, in order.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        alerts_in(&self.path("state"))
    }
}

/// The alerts in the outbox of a state directory, in order.
pub(crate) fn alerts_in(state: &Path) -> Vec<Value> {
    let store = Store::open(state, Time::from_millis(0)).unwrap().store;
    let queued = store.outbox(OutboxFilter::default()).unwrap();
    queued
        .into_iter()
        .map(|queued| serde_json::to_value(queued.alert.unwrap()).unwrap())
        .collect()
}

/// The keys of the alerts in the outbox, each behind its type.
pub(crate) fn keys(desk: &Desk) -> Vec<String> {
    desk.alerts()
        .iter()
        .map(|alert| {
            let kind = alert["type"].as_str().unwrap();
            format!("{kind} {}", alert["notice"]["key"].as_str().unwrap())
        })
        .collect()
}

/// The condition of a node that is ready.
pub(crate) fn ready() -> Value {
    json!({"type": "Ready", "status": "True", "reason": "KubeletReady"})
}

/// A node as the binding's filter shows it.
pub(crate) fn node(name: &str, condition: &Value) -> Value {
    json!({
        "name": name, "uid": format!("uid-{name}"), "labels": {"kubernetes.io/hostname": name}, "annotations": null,
        "taints": null, "unschedulable": null, "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "conditions": [condition], "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
    })
}

/// A tick of the schedule with a snapshot of these nodes.
pub(crate) fn tick(nodes: &[Value]) -> Value {
    let snapshot: Vec<Value> = nodes
        .iter()
        .map(|node| json!({"filterResult": node}))
        .collect();
    json!([{"binding": "node-check", "type": "Schedule", "snapshots": {"nodes": snapshot}}])
}

/// A change of a node.
pub(crate) fn event(change: &str, node: &Value) -> Value {
    json!({"binding": "node-events", "type": "Event", "watchEvent": change, "filterResult": node})
}
