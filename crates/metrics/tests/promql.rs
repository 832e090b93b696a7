//! The built-in expressions, evaluated by Prometheus itself over the series of the usual installations, and one fetch
//! from a server that runs.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use ng_engine::node::{Interest, Nodes};
use ng_engine::reading::{Reading, Unknown};
use ng_engine::rule::MetricsSource;
use ng_engine::time::Time;
use ng_metrics::{Builtin, Settings, Wanted, When, fetch, inodes_promql, promql};
use serde_json::{Value, json};

/// Series and their samples, one a minute.
const SERIES: &[(&str, &str)] = &[
    // Two jobs scrape one exporter: 12 s of each minute idle, 6 s waiting, on both CPUs.
    (
        r#"node_cpu_seconds_total{job="a",instance="node-1",cpu="0",mode="idle"}"#,
        "0+12x20",
    ),
    (
        r#"node_cpu_seconds_total{job="a",instance="node-1",cpu="1",mode="idle"}"#,
        "0+12x20",
    ),
    (
        r#"node_cpu_seconds_total{job="a",instance="node-1",cpu="0",mode="iowait"}"#,
        "0+6x20",
    ),
    (
        r#"node_cpu_seconds_total{job="a",instance="node-1",cpu="1",mode="iowait"}"#,
        "0+6x20",
    ),
    (
        r#"node_cpu_seconds_total{job="a",instance="node-1",cpu="0",mode="user"}"#,
        "0+42x20",
    ),
    (
        r#"node_cpu_seconds_total{job="b",instance="node-1",cpu="0",mode="idle"}"#,
        "0+12x20",
    ),
    (
        r#"node_cpu_seconds_total{job="b",instance="node-1",cpu="1",mode="idle"}"#,
        "0+12x20",
    ),
    (
        r#"node_cpu_seconds_total{job="b",instance="node-1",cpu="0",mode="iowait"}"#,
        "0+6x20",
    ),
    (
        r#"node_cpu_seconds_total{job="b",instance="node-1",cpu="1",mode="iowait"}"#,
        "0+6x20",
    ),
    (
        r#"node_cpu_seconds_total{instance="10.0.0.2:9100",node="node-2",cpu="0",mode="idle"}"#,
        "0+60x20",
    ),
    (
        r#"node_cpu_seconds_total{job="a",instance="node-1",cpu="1",mode="user"}"#,
        "0+42x20",
    ),
    (
        r#"node_cpu_seconds_total{job="b",instance="node-1",cpu="0",mode="user"}"#,
        "0+42x20",
    ),
    (
        r#"node_cpu_seconds_total{job="b",instance="node-1",cpu="1",mode="user"}"#,
        "0+42x20",
    ),
    // A node that has just booted: three scrapes, a tenth of the time at work.
    (
        r#"node_cpu_seconds_total{instance="node-4",cpu="0",mode="idle"}"#,
        "_x13 500+54x5",
    ),
    (
        r#"node_cpu_seconds_total{instance="node-4",cpu="0",mode="user"}"#,
        "_x13 500+6x5",
    ),
    // Two file systems, one fuller by inodes; one that does not count them, and an image.
    (
        r#"node_filesystem_files_free{instance="node-1",mountpoint="/",fstype="ext4",device="/dev/vda"}"#,
        "30x20",
    ),
    (
        r#"node_filesystem_files{instance="node-1",mountpoint="/",fstype="ext4",device="/dev/vda"}"#,
        "100x20",
    ),
    (
        r#"node_filesystem_files_free{instance="node-1",mountpoint="/data",fstype="ext4",device="/dev/vdb"}"#,
        "90x20",
    ),
    (
        r#"node_filesystem_files{instance="node-1",mountpoint="/data",fstype="ext4",device="/dev/vdb"}"#,
        "100x20",
    ),
    (
        r#"node_filesystem_files_free{instance="node-1",mountpoint="/b",fstype="btrfs",device="/dev/vdc"}"#,
        "0x20",
    ),
    (
        r#"node_filesystem_files{instance="node-1",mountpoint="/b",fstype="btrfs",device="/dev/vdc"}"#,
        "0x20",
    ),
    (
        r#"node_filesystem_files_free{instance="node-3",mountpoint="/",fstype="ext4",device="/dev/dm-0"}"#,
        "0x20",
    ),
    (
        r#"node_filesystem_files{instance="node-3",mountpoint="/",fstype="ext4",device="/dev/dm-0"}"#,
        "100x20",
    ),
    (r#"node_load1{job="a",instance="node-1"}"#, "3x20"),
    (r#"node_load1{job="b",instance="node-1"}"#, "3x20"),
    (
        r#"node_load1{instance="10.0.0.2:9100",node="node-2"}"#,
        "0.5x20",
    ),
    (
        r#"node_memory_MemAvailable_bytes{job="a",instance="node-1"}"#,
        "25x20",
    ),
    (
        r#"node_memory_MemTotal_bytes{job="a",instance="node-1"}"#,
        "100x20",
    ),
    (
        r#"node_memory_MemAvailable_bytes{job="b",instance="node-1"}"#,
        "25x20",
    ),
    (
        r#"node_memory_MemTotal_bytes{job="b",instance="node-1"}"#,
        "100x20",
    ),
    // The root twice, a fuller volume that is not the root, and an image that is always full.
    (
        r#"node_filesystem_avail_bytes{instance="node-1",mountpoint="/",fstype="ext4",device="/dev/vda"}"#,
        "40x20",
    ),
    (
        r#"node_filesystem_size_bytes{instance="node-1",mountpoint="/",fstype="ext4",device="/dev/vda"}"#,
        "100x20",
    ),
    (
        r#"node_filesystem_readonly{instance="node-1",mountpoint="/",fstype="ext4",device="/dev/vda"}"#,
        "0x20",
    ),
    (
        r#"node_filesystem_avail_bytes{instance="node-1",mountpoint="/",fstype="rootfs",device="rootfs"}"#,
        "1x20",
    ),
    (
        r#"node_filesystem_size_bytes{instance="node-1",mountpoint="/",fstype="rootfs",device="rootfs"}"#,
        "100x20",
    ),
    (
        r#"node_filesystem_avail_bytes{instance="node-1",mountpoint="/data",fstype="ext4",device="/dev/vdb"}"#,
        "5x20",
    ),
    (
        r#"node_filesystem_size_bytes{instance="node-1",mountpoint="/data",fstype="ext4",device="/dev/vdb"}"#,
        "100x20",
    ),
    (
        r#"node_filesystem_avail_bytes{instance="node-3",mountpoint="/",fstype="ext4",device="/dev/dm-0"}"#,
        "0x20",
    ),
    (
        r#"node_filesystem_size_bytes{instance="node-3",mountpoint="/",fstype="ext4",device="/dev/dm-0"}"#,
        "100x20",
    ),
    (
        r#"node_filesystem_readonly{instance="node-3",mountpoint="/",fstype="ext4",device="/dev/dm-0"}"#,
        "1x20",
    ),
    // Two kube-state-metrics tell of the same pods; one pod has finished.
    (
        r#"kube_pod_info{instance="ksm-0",namespace="x",pod="p",node="node-1"}"#,
        "1x20",
    ),
    (
        r#"kube_pod_info{instance="ksm-1",namespace="x",pod="p",node="node-1"}"#,
        "1x20",
    ),
    (
        r#"kube_pod_info{instance="ksm-0",namespace="x",pod="q",node="node-1"}"#,
        "1x20",
    ),
    (
        r#"kube_pod_info{instance="ksm-0",namespace="x",pod="done",node="node-1"}"#,
        "1x20",
    ),
    (
        r#"kube_pod_status_phase{instance="ksm-0",namespace="x",pod="done",phase="Succeeded"}"#,
        "1x20",
    ),
    (
        r#"kube_pod_status_phase{instance="ksm-0",namespace="x",pod="q",phase="Succeeded"}"#,
        "0x20",
    ),
    (
        r#"kube_pod_info{instance="ksm-0",namespace="x",pod="unscheduled",node=""}"#,
        "1x20",
    ),
    (
        r#"kube_node_status_allocatable{instance="ksm-0",node="node-1",resource="pods"}"#,
        "10x20",
    ),
    (
        r#"kube_node_status_allocatable{instance="ksm-1",node="node-1",resource="pods"}"#,
        "10x20",
    ),
    (
        r#"kube_node_status_allocatable{instance="ksm-0",node="node-1",resource="cpu"}"#,
        "4x20",
    ),
    // Labels that were not honoured: those of the target stand over those of the pods.
    (
        r#"kube_pod_info{namespace="m",pod="ksm",node="node-9",exported_namespace="x",exported_pod="r",exported_node="node-2"}"#,
        "1x20",
    ),
    (
        r#"kube_pod_info{namespace="m",pod="ksm",node="node-9",exported_namespace="x",exported_pod="s",exported_node="node-2"}"#,
        "1x20",
    ),
    (
        r#"kube_node_status_allocatable{namespace="m",pod="ksm",node="node-9",exported_node="node-2",resource="pods"}"#,
        "4x20",
    ),
];

fn expected(metric: Builtin) -> Vec<(&'static str, f64)> {
    match metric {
        Builtin::Cpu => vec![
            (r#"{instance="node-1"}"#, 70.0),
            (r#"{instance="10.0.0.2:9100",node="node-2"}"#, 0.0),
            (r#"{instance="node-4"}"#, 10.0),
        ],
        Builtin::Memory => vec![(r#"{instance="node-1"}"#, 75.0)],
        Builtin::Disk => vec![(r#"{instance="node-1"}"#, 60.0)],
        Builtin::Load => vec![
            (r#"{instance="node-1"}"#, 1.5),
            (r#"{instance="10.0.0.2:9100",node="node-2"}"#, 0.5),
        ],
        Builtin::Pods => vec![
            (r#"{node="node-1"}"#, 20.0),
            (r#"{node="node-9",exported_node="node-2"}"#, 50.0),
        ],
    }
}

fn case(expression: &str, expected: Vec<(&str, f64)>) -> Value {
    let samples: Vec<Value> = expected
        .into_iter()
        .map(|(labels, value)| json!({"labels": labels, "value": value}))
        .collect();
    // Rounded as a reading is.
    let expression = format!("round({expression}, 0.000001)");
    json!({"expr": expression, "eval_time": "15m", "exp_samples": samples})
}

#[test]
#[ignore = "needs promtool on the path"]
fn expressions_mean_what_they_say() {
    let series: Vec<Value> = SERIES
        .iter()
        .map(|(series, values)| json!({"series": series, "values": values}))
        .collect();
    let mut cases: Vec<Value> = Builtin::ALL
        .into_iter()
        .map(|metric| case(&promql(metric), expected(metric)))
        .collect();
    cases.push(case(
        &inodes_promql(),
        vec![(r#"{instance="node-1"}"#, 70.0)],
    ));
    let test = json!({"input_series": series, "interval": "1m", "promql_expr_test": cases});
    // JSON is YAML, which promtool reads.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.yaml");
    let document = json!({"rule_files": [], "evaluation_interval": "1m", "tests": [test]});
    serde_json::to_writer(File::create(&path).unwrap(), &document).unwrap();
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(&path)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
}

/// A node whose value is a number, one that is missing, and a query that Prometheus refuses.
#[test]
#[ignore = "needs prometheus on the path"]
fn a_real_server_answers() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yaml");
    File::create(&config).unwrap();
    let log = folder.path().join("log");
    let mut server = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().display()))
        .arg("--web.listen-address=127.0.0.1:0")
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let give_up = Instant::now() + Duration::from_secs(20);
    let address = loop {
        // The last line may not be whole.
        let text = std::fs::read_to_string(&log).unwrap();
        let said = text
            .split_once("\"Listening on\" address=")
            .and_then(|(_, rest)| rest.split_once('\n'));
        if let Some((address, _)) = said {
            break address.trim().to_owned();
        }
        assert!(
            Instant::now() < give_up,
            "Prometheus does not listen: {text}"
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    let columns = loop {
        let columns = ask(&address);
        let is_starting = columns[0] == Reading::Unknown(Unknown::Unreachable);
        if !is_starting || Instant::now() > give_up {
            break columns;
        }
    };
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(
        matches!(columns[0], Reading::Value { value, at, .. } if value.to_bits() == 42.5_f64.to_bits() && at.millis() > 0),
        "{columns:?}"
    );
    assert_eq!(columns[1], Reading::Unknown(Unknown::NoSample));
    assert_eq!(columns[2], Reading::Unknown(Unknown::BadAnswer));
}

/// The readings of one node under three own metrics. Retries with their pauses wait for a server that starts.
fn ask(address: &str) -> Vec<Reading> {
    let mut nodes = Nodes::new(&Interest::default());
    nodes.start("node-1");
    let own = [
        (
            "good",
            r#"label_replace(vector(42.5), "node", "node-1", "", "")"#,
        ),
        ("missing", "up"),
        ("refused", "up +"),
    ];
    let wanted = own.map(|(metric, _)| Wanted {
        metric: metric.to_owned(),
        source: MetricsSource::default(),
    });
    let settings = Settings {
        prometheus_url: Some(format!("http://{address}")),
        custom: own
            .map(|(metric, query)| (metric.to_owned(), query.to_owned()))
            .into(),
        ..Settings::default()
    };
    // A simulated time far from the server's: its own clock says that the answer is fresh.
    let when = When {
        now: Time::from_millis(0).plus(Duration::from_hours(1_000_000)),
        deadline: Instant::now() + Duration::from_secs(10),
    };
    let fetched = fetch(&wanted, &nodes, &settings, None, when);
    fetched.columns.iter().map(|column| column.get(0)).collect()
}
