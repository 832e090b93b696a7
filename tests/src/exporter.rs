//! A node exporter for any number of nodes that do not exist, with loads that tests set.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

const MEMORY_BYTES: f64 = 16.0 * 1024.0 * 1024.0 * 1024.0;
const DISK_BYTES: f64 = 100e9;
const READ_LIMIT: Duration = Duration::from_secs(5);

/// How busy a node is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Number of processors.
    pub cpus: u16,
    /// Busy share of the processors; it moves a rate only as time passes.
    pub cpu_percent: f64,
    /// Load average divided by the processors, the same over 1, 5 and 15 minutes.
    pub cpu_load_ratio: f64,
    /// Used share of the memory.
    pub memory_percent: f64,
    /// Used share of the root filesystem.
    pub disk_percent: f64,
}

impl Default for Load {
    /// A node with little to do.
    fn default() -> Self {
        Self {
            cpus: 4,
            cpu_percent: 10.0,
            cpu_load_ratio: 0.1,
            memory_percent: 30.0,
            disk_percent: 40.0,
        }
    }
}

/// The exporter: one target whose series carry the labels `instance` and `node`.
#[derive(Debug)]
pub struct Exporter {
    nodes: Arc<Mutex<Nodes>>,
    stop: Arc<AtomicBool>,
    port: u16,
}

impl Exporter {
    /// Starts serving on a free port of loopback, without nodes.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let nodes = Arc::new(Mutex::new(Nodes::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (served, stopped) = (Arc::clone(&nodes), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A scrape that was given up shows in Prometheus as a target that is down.
                let _ = stream.and_then(|stream| answer(stream, &served));
            }
        });
        Ok(Self { nodes, stop, port })
    }

    /// `127.0.0.1:PORT`, the scrape target.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Adds a node or changes its load, from the next scrape on.
    pub fn set(&self, node: &str, load: Load) {
        lock(&self.nodes).set(node, load, Instant::now());
    }

    /// Serves further lines as they are, beside the nodes' own, from the next scrape on.
    pub fn also_serve(&self, lines: &str) {
        lock(&self.nodes).further.push_str(lines);
    }

    /// Removes a node's series from the next scrape on.
    pub fn remove(&self, node: &str) {
        lock(&self.nodes).series.remove(node);
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn lock(nodes: &Mutex<Nodes>) -> MutexGuard<'_, Nodes> {
    nodes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(mut stream: TcpStream, nodes: &Mutex<Nodes>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(READ_LIMIT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && !line.trim_end().is_empty() {
        line.clear();
    }
    let body = lock(nodes).render(Instant::now());
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[derive(Debug, Default)]
struct Nodes {
    series: BTreeMap<String, NodeSeries>,
    /// Lines of a test's own.
    further: String,
}

#[derive(Debug)]
struct NodeSeries {
    load: Load,
    at: Instant,
    /// Per processor, as the real counters are.
    idle_seconds: f64,
    user_seconds: f64,
}

impl NodeSeries {
    /// Counts the time since the last call as spent under the present load.
    fn advance(&mut self, now: Instant) {
        let passed = now.duration_since(self.at).as_secs_f64();
        self.user_seconds += passed * self.load.cpu_percent / 100.0;
        self.idle_seconds += passed * (1.0 - self.load.cpu_percent / 100.0);
        self.at = now;
    }
}

impl Nodes {
    fn set(&mut self, node: &str, load: Load, now: Instant) {
        let series = self.series.entry(node.to_owned()).or_insert(NodeSeries {
            load,
            at: now,
            idle_seconds: 1000.0,
            user_seconds: 1000.0,
        });
        series.advance(now);
        series.load = load;
    }

    fn render(&mut self, now: Instant) -> String {
        let mut text = String::with_capacity(self.series.len() * 1600);
        self.series
            .values_mut()
            .for_each(|series| series.advance(now));
        text.push_str("# TYPE node_cpu_seconds_total counter\n");
        for (node, series) in &self.series {
            for cpu in 0..series.load.cpus {
                for (mode, seconds) in
                    [("idle", series.idle_seconds), ("user", series.user_seconds)]
                {
                    line(
                        &mut text,
                        "node_cpu_seconds_total",
                        &format!(
                            "node=\"{node}\",instance=\"{node}:9100\",cpu=\"{cpu}\",mode=\"{mode}\""
                        ),
                        seconds,
                    );
                }
            }
        }
        for (name, extra, value) in GAUGES {
            let _ = writeln!(text, "# TYPE {name} gauge");
            for (node, series) in &self.series {
                let labels = format!("node=\"{node}\",instance=\"{node}:9100\"{extra}");
                line(&mut text, name, &labels, value(&series.load));
            }
        }
        text.push_str(&self.further);
        text
    }
}

const ROOT: &str = ",mountpoint=\"/\",fstype=\"ext4\",device=\"/dev/sda1\"";

type Gauge = (&'static str, &'static str, fn(&Load) -> f64);

/// Name, further labels and value of each gauge.
const GAUGES: [Gauge; 8] = [
    ("node_load1", "", load_average),
    ("node_load5", "", load_average),
    ("node_load15", "", load_average),
    ("node_memory_MemTotal_bytes", "", |_| MEMORY_BYTES),
    ("node_memory_MemAvailable_bytes", "", |load| {
        MEMORY_BYTES * (1.0 - load.memory_percent / 100.0)
    }),
    ("node_filesystem_size_bytes", ROOT, |_| DISK_BYTES),
    ("node_filesystem_avail_bytes", ROOT, |load| {
        DISK_BYTES * (1.0 - load.disk_percent / 100.0)
    }),
    ("node_filesystem_readonly", ROOT, |_| 0.0),
];

fn load_average(load: &Load) -> f64 {
    load.cpu_load_ratio * f64::from(load.cpus)
}

fn line(text: &mut String, name: &str, labels: &str, value: f64) {
    let _ = writeln!(text, "{name}{{{labels}}} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, series: &str) -> f64 {
        let line = text
            .lines()
            .find(|line| line.starts_with(series))
            .expect(series);
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    #[test]
    fn counters_follow_the_load_and_gauges_change_at_once() {
        let start = Instant::now();
        let mut nodes = Nodes::default();
        let busy = Load {
            cpu_percent: 75.0,
            cpu_load_ratio: 2.0,
            memory_percent: 50.0,
            ..Load::default()
        };
        nodes.set("n1", busy, start);
        let text = nodes.render(start + Duration::from_secs(100));
        let idle =
            "node_cpu_seconds_total{node=\"n1\",instance=\"n1:9100\",cpu=\"3\",mode=\"idle\"}";
        assert!((value(&text, idle) - 1025.0).abs() < 1e-6);
        assert!((value(&text, "node_load5{") - 8.0).abs() < 1e-9);
        assert!(
            (value(&text, "node_memory_MemAvailable_bytes{") / MEMORY_BYTES - 0.5).abs() < 1e-9
        );
        nodes.set("n1", Load::default(), start + Duration::from_secs(100));
        let text = nodes.render(start + Duration::from_secs(200));
        assert!(
            (value(&text, idle) - 1115.0).abs() < 1e-6,
            "counters never go back"
        );
        assert!((value(&text, "node_load5{") - 0.4).abs() < 1e-9);
    }
}
