//! A young history and a Prometheus that knows more: what is asked for, once, and what is foretold from it.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answering, Desk, Outcome, alerts_in, keys, node, ready, tick};

/// Half an hour past the hour, so that nothing begins or ends with it.
const FIRST: &str = "2026-05-01T10:30:00Z";

/// Two nodes with a disk of which one fills by two percent an hour; at the time of the first check it is at 80.
fn filling() -> Desk {
    let desk = Desk::new();
    desk.put_context(&tick(&[node("a", &ready()), node("b", &ready())]));
    desk.prometheus.set("disk", &[("a", "80"), ("b", "30")]);
    desk.prometheus.set("cpu", &[("a", "10"), ("b", "10")]);
    desk.prometheus
        .set_past("disk", &["a", "b", "stranger"], |node, passed| match node {
            "a" => Some(68.0 + passed / 1800.0),
            // An hour is missing.
            _ => (!(3600.0..7200.0).contains(&passed)).then_some(30.0),
        });
    desk
}

fn foretold(desk: &Desk) -> Vec<Value> {
    let mut alerts = desk.alerts();
    alerts.retain(|alert| alert["rule"] == "node-monitor/disk_full_soon");
    alerts
}

fn logged<'a>(run: &'a Outcome, message: &str) -> Vec<&'a str> {
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    run.stdout
        .lines()
        .filter(|line| line.contains(message))
        .collect()
}

const FILLED: &str = "the history was filled from Prometheus";
const NOT_FILLED: &str = "the history cannot be filled";

#[test]
fn a_filling_disk_is_foretold_at_the_second_check_of_a_new_installation() {
    let desk = filling();
    let first = desk.run(FIRST);
    let lines = logged(&first, FILLED);
    assert_eq!(lines.len(), 1, "{}", first.stdout);
    assert!(
        lines[0].contains("diskUtilizationPercent: 72 stretches of 2 nodes"),
        "{}",
        lines[0]
    );
    // One request for all nodes, and none for what cannot be full or is not known.
    let asked = [("disk".to_owned(), 72)];
    assert_eq!(desk.prometheus.questions_about_the_past(), asked);
    assert_eq!(foretold(&desk), Vec::<Value>::new());

    desk.run("2026-05-01T10:31:00Z");
    let alerts = foretold(&desk);
    assert_eq!(alerts.len(), 1, "{:?}", desk.alerts());
    assert_eq!(alerts[0]["notice"]["key"], "node_a_disk_full_soon");
    assert_eq!(alerts[0]["severity"], "warning");
    // Twenty percent at two an hour.
    let text = alerts[0]["notice"].to_string();
    assert!(text.contains("2026-05-01T20:"), "{text}");
    // It is done, and stays done.
    for (minute, disk) in [
        ("10:32", "80.1"),
        ("10:40", "80.3"),
        ("11:20", "81.7"),
        ("12:45", "84.5"),
    ] {
        desk.prometheus.set("disk", &[("a", disk), ("b", "30")]);
        desk.run(&format!("2026-05-01T{minute}:00Z"));
    }
    assert_eq!(desk.prometheus.questions_about_the_past(), asked);
    assert_eq!(foretold(&desk).len(), 1);
}

#[test]
fn without_it_nothing_is_foretold_in_the_first_half_hour() {
    let desk = filling();
    desk.put_config(&json!({"nodeMonitor": {"backfill": false}}));
    for minute in 30..60 {
        desk.run(&format!("2026-05-01T10:{minute}:00Z"));
    }
    assert_eq!(desk.prometheus.questions_about_the_past(), []);
    assert_eq!(foretold(&desk), Vec::<Value>::new());
}

#[test]
fn what_foretells_nothing_asks_for_no_past() {
    let desk = filling();
    desk.put_config(&json!({"nodeMonitor": {"predictHours": 0}}));
    desk.run(FIRST);
    assert_eq!(desk.prometheus.questions_about_the_past(), []);
}

#[test]
fn the_past_is_shown_as_what_it_is() {
    let desk = filling();
    desk.run(FIRST);
    let shown = desk.call(
        &[
            "history", "--node", "b", "--metric", "disk", "--since", "6h", "-o", "json",
        ],
        "2026-05-01T10:30:30Z",
    );
    assert_eq!(shown.status, Some(0), "{}", shown.stderr);
    let rows: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap();
    let times: Vec<&str> = rows
        .iter()
        .map(|row| row["time"].as_str().unwrap())
        .collect();
    assert_eq!(rows.len(), 73);
    assert_eq!(times[0], "2026-05-01T04:30:00Z");
    assert_eq!(times[72], "2026-05-01T10:30:00Z");
    // The hour that is missing is missing.
    let known: Vec<i64> = rows
        .iter()
        .map(|row| row["known"].as_i64().unwrap())
        .collect();
    let gap = known.iter().zip(&times).filter(|(known, _)| **known == 0);
    let gap: Vec<&str> = gap.map(|(_, time)| *time).collect();
    assert_eq!((gap.len(), gap[0]), (12, "2026-05-01T05:30:00Z"));
    assert_eq!(rows[71]["seconds"], 300);
    assert_eq!(rows[72]["seconds"], 0);
}

/// A Prometheus behind a gate that lets only the present through: the check goes on, the log says so once, and the
/// attempts become rare.
#[test]
fn a_failure_is_told_once_and_tried_again_less_and_less_often() {
    let desk = filling();
    desk.prometheus.answer_the_past(Answering::Html);
    let first = desk.run(FIRST);
    let lines = logged(&first, NOT_FILLED);
    assert_eq!(lines.len(), 1, "{}", first.stdout);
    assert!(
        lines[0].contains("expected JSON") && lines[0].contains("\"warn\""),
        "{}",
        lines[0]
    );
    assert!(!first.metrics.is_empty());
    let mut told = 0;
    for minute in 31..50 {
        let grown = 80.0 + f64::from(minute - 30) / 30.0;
        desk.prometheus
            .set("disk", &[("a", &grown.to_string()), ("b", "30")]);
        let run = desk.run(&format!("2026-05-01T10:{minute}:00Z"));
        told += logged(&run, NOT_FILLED).len();
    }
    assert_eq!(told, 0);
    assert_eq!(desk.prometheus.questions_about_the_past().len(), 3);
    assert_eq!(foretold(&desk), Vec::<Value>::new());
    // At the next attempt it is there: what was kept meanwhile stays as it was measured.
    desk.prometheus.answer_the_past(Answering::Well);
    let run = desk.run("2026-05-01T11:05:00Z");
    assert_eq!(logged(&run, FILLED).len(), 1, "{}", run.stdout);
    assert_eq!(
        desk.prometheus.questions_about_the_past().last().unwrap().1,
        65
    );
    desk.run("2026-05-01T11:06:00Z");
    assert_eq!(foretold(&desk).len(), 1);
}

/// A Prometheus that is as new as the node-monitor has no past to give.
#[test]
fn an_empty_answer_is_no_past_and_is_not_kept() {
    let desk = filling();
    desk.prometheus.set_past("disk", &["a"], |_, _| None);
    let first = desk.run(FIRST);
    assert_eq!(logged(&first, NOT_FILLED).len(), 1, "{}", first.stdout);
    assert!(first.stdout.contains("there is no past of it"));
    desk.run("2026-05-01T10:36:00Z");
    assert_eq!(desk.prometheus.questions_about_the_past().len(), 2);
    // An old history needs none, and another one begins anew.
    desk.run("2026-05-01T13:36:00Z");
    assert_eq!(desk.prometheus.questions_about_the_past().len(), 2);
    for name in ["history.db", "history.db-wal", "history.db-shm"] {
        let _ = std::fs::remove_file(desk.path("state").join(name));
    }
    desk.prometheus
        .set_past("disk", &["a"], |_, passed| Some(68.0 + passed / 1800.0));
    let anew = desk.run("2026-05-01T13:37:00Z");
    assert_eq!(logged(&anew, FILLED).len(), 1, "{}", anew.stdout);
}

#[test]
fn values_that_cannot_be_are_gaps() {
    let desk = filling();
    desk.prometheus
        .set_past("disk", &["a", "b"], |node, passed| match node {
            "a" => Some(if passed < 18_000.0 { -5.0 } else { f64::NAN }),
            _ => Some(1e9),
        });
    let first = desk.run(FIRST);
    assert!(
        first.stdout.contains("there is no past of it"),
        "{}",
        first.stdout
    );
}

#[test]
fn a_source_that_does_not_tell_the_present_is_not_asked_about_the_past() {
    let desk = filling();
    desk.prometheus.answer_html();
    desk.run(FIRST);
    assert_eq!(desk.prometheus.requests(), 6);
}

/// When the past is asked for, the alerts of the check are in the outbox already.
#[test]
fn nothing_of_a_check_waits_for_the_past() {
    let desk = filling();
    desk.prometheus.set("cpu", &[("a", "99"), ("b", "10")]);
    let (state, queued) = (desk.path("state"), Arc::<Mutex<Vec<usize>>>::default());
    let seen = Arc::clone(&queued);
    desk.prometheus.set_past("disk", &["a"], move |_, passed| {
        if passed == 0.0 {
            seen.lock().unwrap().push(alerts_in(&state).len());
        }
        Some(80.0)
    });
    desk.run(FIRST);
    assert_eq!(*queued.lock().unwrap(), [1]);
}

#[test]
fn a_past_that_does_not_come_ends_with_its_time() {
    let desk = filling();
    desk.prometheus.set("memory", &[("a", "40"), ("b", "10")]);
    desk.prometheus.set("cpu", &[("a", "99"), ("b", "10")]);
    desk.prometheus.answer_the_past(Answering::Hang);
    let started = Instant::now();
    let run = desk.run(FIRST);
    // Two seconds for each of two metrics, as configured.
    assert!(started.elapsed() < Duration::from_secs(12));
    let lines = logged(&run, NOT_FILLED);
    assert_eq!(lines.len(), 1, "{}", run.stdout);
    assert!(lines[0].contains("no answer within 2.0 s"), "{}", lines[0]);
    assert_eq!(keys(&desk), ["trigger node_a_cpu_high"]);
    assert!(!run.metrics.is_empty());
}

/// The past of one metric of 5,000 nodes has twelve megabytes; four of them follow one another.
#[test]
fn the_past_of_5000_nodes_takes_little_memory() {
    let desk = Desk::new();
    let names: Vec<String> = (0..5_000)
        .map(|number| format!("node-{number:04}"))
        .collect();
    let cluster: Vec<Value> = names.iter().map(|name| node(name, &ready())).collect();
    desk.put_context(&tick(&cluster));
    let samples: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "55.123456789012345"))
        .collect();
    for metric in ["memory", "disk", "pods", "inodes"] {
        desk.prometheus.set(metric, &samples);
    }
    // 04:32:30, the middle of the first stretch.
    let mut points = String::new();
    for step in 0..72 {
        let comma = if step == 0 { "" } else { "," };
        write!(
            points,
            r#"{comma}[{},"55.{:015}"]"#,
            1_777_609_950 + 300 * step,
            step * 12_345_678_901_u64
        )
        .unwrap();
    }
    let mut body = r#"{"status":"success","data":{"resultType":"matrix","result":["#.to_owned();
    for (number, name) in names.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        write!(
            body,
            r#"{comma}{{"metric":{{"node":"{name}"}},"values":[{points}]}}"#
        )
        .unwrap();
    }
    body.push_str("]}}");
    assert!(body.len() > 12_000_000, "{}", body.len());
    desk.prometheus.answer_the_past(Answering::Body(body));
    let (run, peak) = desk.run_and_weigh(FIRST);
    let lines = logged(&run, FILLED);
    assert_eq!(
        lines[0].matches("72 stretches of 5000 nodes").count(),
        4,
        "{}",
        run.stdout
    );
    assert!((20_000..64 << 10).contains(&peak), "{peak} KiB");
}
