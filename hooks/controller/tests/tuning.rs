//! Settings that change while the controller is in use: each counts at its next run, and nothing is restarted.

#[expect(
    dead_code,
    reason = "shared with the other tests of this executable, which use all of it"
)]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use ng_engine::time::Time;
use ng_state::{OutboxFilter, Store};
use serde_json::{Value, json};
use support::{Desk, context, node};

/// A rule that leaves everything to the configuration.
fn rule() -> Value {
    json!({
        "apiVersion": "nodeguardian.k8s.io/v1",
        "kind": "NodeGuardianRule",
        "metadata": {"name": "hot", "uid": "uid-hot", "generation": 1},
        "spec": {
            "conditions": [{"metric": "gpuTemperature", "operator": ">", "value": 90, "duration": "0s"}],
            "actions": [{"type": "taint", "taint": {}}, {"type": "alert"}],
            "recoveryActions": [{"type": "removeTaint", "taint": {}}],
        },
    })
}

/// A Prometheus whose value is 95 for queries with `hot` in them, and else 10. Its thread ends with the test.
fn prometheus() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that is gone has what it wanted.
            let _ = answer(&stream);
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
        request += &line;
    }
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut reader, &mut body)?;
    request += &String::from_utf8_lossy(&body);
    let value = if request.contains("hot_gpu") {
        "95"
    } else {
        "10"
    };
    let result = json!([{"metric": {"node": "node-1"}, "value": [1.0, value]}]);
    let body = json!({"status": "success", "data": {"resultType": "vector", "result": result}})
        .to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nDate: Thu, 01 Jan 1970 00:00:01 GMT\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

#[test]
fn a_changed_setting_counts_at_the_next_run() {
    let desk = Desk::new();
    let url = prometheus();
    let configure = |query: &str, interval: &str, key: &str, channel: &str| {
        let configuration = json!({
            "prometheus": {"url": url, "timeout": "2s", "queryTimeout": "2s", "retries": 0},
            "metrics": {"gpuTemperature": {"query": query}},
            "monitoring": {"defaultCheckInterval": interval, "defaultCooldownPeriod": "1s"},
            "node": {"defaultTaintKey": key},
            "alert": {"defaultChannels": [channel]},
        });
        desk.put("config/config.json", &configuration.to_string());
    };
    desk.put(
        "context.json",
        &context(&[rule()], &[node("node-1")]).to_string(),
    );

    configure("cool_gpu", "10m", "a.example.com/hot", "log");
    let first = desk.tick("2026-01-02T00:00:00Z");
    assert_eq!(first.status, Some(0), "{first:?}");
    assert!(first.node_patch("node-1").is_none(), "cool: {first:?}");

    // The query: the same run that reads the configuration asks the new one.
    configure("hot_gpu", "10m", "a.example.com/hot", "log");
    let early = desk.tick("2026-01-02T00:01:00Z");
    assert_eq!(early.status, Some(0), "{early:?}");
    let hot = desk.tick("2026-01-02T00:10:00Z");
    let patched = [&early, &hot]
        .into_iter()
        .find_map(|run| run.node_patch("node-1"));
    assert!(
        patched.is_some_and(|patch| patch.to_string().contains("a.example.com/hot")),
        "{early:?} {hot:?}"
    );

    // The interval, the key of the taint and the channels.
    configure("hot_gpu", "30s", "b.example.com/hot", "email");
    let next = desk.tick("2026-01-02T00:10:35Z");
    let patch = next
        .node_patch("node-1")
        .expect("the new key is set")
        .to_string();
    assert!(patch.contains("b.example.com/hot"), "{patch}");
    let now: Time = "2026-01-02T00:10:35Z"
        .parse::<jiff::Timestamp>()
        .expect("a time")
        .into();
    let store = Store::open(&desk.path("state"), now)
        .expect("the state")
        .store;
    let channels: Vec<String> = store
        .outbox(OutboxFilter::default())
        .expect("the outbox")
        .into_iter()
        .flat_map(|queued| queued.deliveries)
        .map(|delivery| delivery.channel)
        .collect();
    let ends = [channels.first(), channels.last()].map(|channel| channel.map(String::as_str));
    assert_eq!(ends, [Some("log"), Some("email")], "{channels:?}");
}
