//! A history that begins now, beside a real Prometheus that has watched a disk fill for hours.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ng_engine::time::Time;
use serde_json::{Value, json};

use crate::support::{Desk, node, ready, tick};

const SIZE: f64 = 1e11;

/// A Prometheus over blocks of samples; it ends with the test.
struct Server {
    process: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(desk: &Desk, samples: &str) -> Self {
        desk.put("samples.txt", samples);
        desk.put("prometheus.yaml", "");
        let data = desk.path("data");
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([&desk.path("samples.txt"), &data])
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let log = desk.path("prometheus.log");
        let argument = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let process = Command::new("prometheus")
            .arg(argument("config.file", &desk.path("prometheus.yaml")))
            .arg(argument("storage.tsdb.path", &data))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self {
            process,
            url: String::new(),
        };
        let give_up = Instant::now() + Duration::from_secs(30);
        let address = loop {
            let text = std::fs::read_to_string(&log).unwrap();
            match listens(&text).filter(|address| is_ready(address)) {
                Some(address) => break address.to_owned(),
                None => assert!(Instant::now() < give_up, "Prometheus is not ready: {text}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        server.url = format!("http://{address}");
        server
    }
}

/// Where the server's log says that it listens; its last line may not be whole.
fn listens(log: &str) -> Option<&str> {
    let (_, rest) = log.split_once("\"Listening on\" address=")?;
    Some(rest.split_once('\n')?.0.trim())
}

fn is_ready(address: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains("200 OK"))
}

/// A sample a minute over seven hours: the disk of `a` fills by two percent an hour up to 80, that of `b` stays at 60,
/// and `c` has been there for an hour only. In the form of `promtool tsdb create-blocks-from openmetrics`.
fn samples(now: Time) -> String {
    let mut text = String::new();
    let mut put = |name: &str, used: &dyn Fn(&str, f64) -> Option<f64>| {
        let _ = writeln!(text, "# TYPE {name} gauge");
        for node in ["a", "b", "c"] {
            for minute in 0..=420 {
                let before = f64::from(420 - minute) / 60.0;
                let at = now
                    .minus(Duration::from_hours(7))
                    .plus(Duration::from_mins(1) * minute);
                if let Some(value) = used(node, before) {
                    let at = at.millis() / 1000;
                    let _ = writeln!(
                        text,
                        "{name}{{instance=\"{node}:9100\",device=\"/dev/vda1\",fstype=\"ext4\",mountpoint=\"/\"}} {value} {at}"
                    );
                }
            }
        }
    };
    let used = |node: &str, before: f64| match node {
        "a" => Some(80.0 - 2.0 * before),
        "b" => Some(60.0),
        _ => (before <= 1.0).then_some(90.0),
    };
    put("node_filesystem_avail_bytes", &|node, before| {
        used(node, before).map(|used| SIZE * (1.0 - used / 100.0))
    });
    put("node_filesystem_size_bytes", &|node, before| {
        used(node, before).map(|_| SIZE)
    });
    text + "# EOF\n"
}

fn forecasts(desk: &Desk) -> Vec<Value> {
    let mut alerts = desk.alerts();
    alerts.retain(|alert| alert["rule"] == "node-monitor/disk_full_soon");
    alerts
}

/// Two checks a minute apart by a Prometheus that has the past, with and without it; then what the history has.
#[test]
#[ignore = "needs prometheus and promtool on the path"]
fn a_filling_disk_is_foretold_from_what_prometheus_remembers() {
    // Prometheus answers by the clock of the machine.
    let now = Time::from(ng_hook::run::wall_clock()).whole_second();
    let shelf = Desk::new();
    let server = Server::start(&shelf, &samples(now));
    let cluster: Vec<Value> = ["a", "b", "c"].map(|name| node(name, &ready())).into();
    for backfill in [true, false] {
        let desk = Desk::new();
        desk.put_config_for(&server.url, &json!({"nodeMonitor": {"backfill": backfill}}));
        desk.put_context(&tick(&cluster));
        for minute in 0..2 {
            let run = desk.run(&now.plus(Duration::from_mins(1) * minute).to_string());
            assert_eq!(
                (run.status, run.stderr.as_str()),
                (Some(0), ""),
                "{}",
                run.stdout
            );
            let filled = "72 stretches of 3 nodes";
            assert_eq!(
                run.stdout.contains(filled),
                backfill && minute == 0,
                "{}",
                run.stdout
            );
        }
        let alerts = forecasts(&desk);
        if !backfill {
            assert_eq!(alerts, Vec::<Value>::new());
            continue;
        }
        assert_eq!(alerts.len(), 1, "{:?}", desk.alerts());
        assert_eq!(alerts[0]["notice"]["key"], "node_a_disk_full_soon");
        let text = alerts[0]["notice"]["text"].as_str().unwrap();
        let expected = text
            .split_once("full at ")
            .unwrap()
            .1
            .split_once(';')
            .unwrap()
            .0;
        let expected: Time = expected.parse().unwrap();
        // Twenty percent at two an hour.
        let hours = expected.since(now).as_secs_f64() / 3600.0;
        assert!((9.0..11.0).contains(&hours), "{text}");
        past_of(&desk, now);
    }
}

/// The stretches of five minutes have what was measured in them, and the node that came late has only its hour.
fn past_of(desk: &Desk, now: Time) {
    let rows = |node: &str| -> Vec<Value> {
        let arguments = [
            "history", "--node", node, "--metric", "disk", "--since", "7h", "-o", "json",
        ];
        let shown = desk.call(&arguments, &now.plus(Duration::from_secs(90)).to_string());
        assert_eq!(shown.status, Some(0), "{}", shown.stderr);
        serde_json::from_str(&shown.stdout).unwrap()
    };
    let of_a = rows("a");
    assert_eq!(of_a.iter().filter(|row| row["seconds"] == 300).count(), 72);
    for row in &of_a {
        let at: Time = row["time"].as_str().unwrap().parse().unwrap();
        let middle = at.plus(Duration::from_secs(row["seconds"].as_u64().unwrap() / 2));
        let before = now.since(middle).as_secs_f64() / 3600.0;
        let value = row["mean"].as_f64().unwrap();
        assert!((value - (80.0 - 2.0 * before)).abs() < 0.2, "{row}");
    }
    let of_c = rows("c");
    assert!((11..=14).contains(&of_c.len()), "{of_c:?}");
    assert!(of_c.iter().all(|row| row["mean"] == 90.0), "{of_c:?}");
}
