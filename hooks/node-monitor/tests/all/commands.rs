//! History, forecasts and the commands that show them, over hours of checks.

use crate::support::{Desk, node, ready, tick};
use serde_json::{Value, json};

const LATER: &str = "2026-05-01T14:00:30Z";

/// Four hours of checks, five minutes apart: the disk of `a` fills up, `b` stays as it is, and of `c` nothing is known.
fn four_hours() -> Desk {
    let desk = Desk::new();
    desk.put_config(&json!({"nodeMonitor": {"checkInterval": "5m"}, "clusterName": "prod <1>"}));
    desk.put_context(&tick(&[
        node("a", &ready()),
        node("b", &ready()),
        node("c", &ready()),
    ]));
    desk.prometheus.set("memory", &[("a", "30"), ("b", "75.5")]);
    for minutes in (0..=240).step_by(5) {
        let used = format!("{}", 55.0 + f64::from(minutes) / 12.0);
        desk.prometheus.set("disk", &[("a", &used), ("b", "55")]);
        let now = format!(
            "2026-05-01T{:02}:{:02}:00Z",
            10 + minutes / 60,
            minutes % 60
        );
        let run = desk.run(&now);
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{now}");
    }
    desk
}

#[test]
fn what_fills_up_is_told_before_it_is_full() {
    let desk = four_hours();
    let alerts = desk.alerts();
    let told: Vec<&Value> = alerts
        .iter()
        .filter(|alert| alert["notice"]["key"] == "node_a_disk_full_soon")
        .collect();
    assert_eq!(told.first().unwrap()["type"], "trigger");
    assert_eq!(told[0]["severity"], "warning");
    let title = told[0]["notice"]["title"].as_str().unwrap();
    assert!(
        title.starts_with("[WARNING] node a: disk full soon: "),
        "{title}"
    );
    assert!(title.contains("% now, full in about "), "{title}");
    // The other disk is as it was: there is nothing to tell.
    assert!(
        !alerts
            .iter()
            .any(|alert| alert["notice"]["key"] == "node_b_disk_full_soon")
    );
    the_rows_are_shown(&desk);
    the_table_is_shown(&desk);
    the_page_is_shown(&desk);
}

fn the_rows_are_shown(desk: &Desk) {
    let rows = desk.call(
        &[
            "history", "--node", "a", "--metric", "disk", "--since", "1h",
        ],
        LATER,
    );
    assert_eq!((rows.status, rows.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = rows.stdout.lines().collect();
    assert!(lines[0].starts_with("TIME "), "{}", lines[0]);
    assert_eq!(lines.len(), 13, "{}", rows.stdout);
    let last: Vec<&str> = lines[12].split_whitespace().collect();
    assert_eq!(last[..3], ["2026-05-01T14:00:00Z", "0", "75.00"]);
    let json = desk.call(&["history", "-n", "c", "-m", "disk", "-o", "json"], LATER);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(
        json.as_array()
            .unwrap()
            .iter()
            .all(|row| row["mean"].is_null() && row["known"] == 0)
    );
    let csv = desk.call(
        &[
            "history",
            "-n",
            "b",
            "-m",
            "memoryUtilizationPercent",
            "-o",
            "csv",
        ],
        LATER,
    );
    assert!(
        csv.stdout
            .starts_with("time,seconds,min,mean,max,last,known,checks\n")
    );
    assert!(
        csv.stdout.ends_with("75.50,75.50,75.50,75.50,1,1\n"),
        "{}",
        csv.stdout
    );
}

fn the_table_is_shown(desk: &Desk) {
    let table = desk.call(&["top"], LATER);
    assert_eq!((table.status, table.stderr.as_str()), (Some(0), ""));
    let order: Vec<usize> = ["a ", "b ", "c "]
        .iter()
        .map(|name| {
            table
                .stdout
                .lines()
                .position(|line| line.trim_start().contains(name))
                .unwrap()
        })
        .collect();
    assert!(!table.stdout.contains('\u{1b}'), "{}", table.stdout);
    assert!(
        order[0] < order[2] && order[1] < order[2],
        "{}",
        table.stdout
    );
}

fn the_page_is_shown(desk: &Desk) {
    let page = desk.path("report.html");
    let report = desk.call(&["report", "-o", page.to_str().unwrap()], LATER);
    assert_eq!((report.status, report.stderr.as_str()), (Some(0), ""));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("prod &lt;1&gt;"));
    assert!(!page.contains("prod <1>"));
    for word in ["disk_full_soon", "memory_high", "disk full soon"] {
        assert!(page.contains(word), "{word}");
    }
    let printed = desk.call(&["report"], LATER).stdout;
    assert!(printed.to_lowercase().starts_with("<!doctype html>"));
}

#[test]
fn wrong_calls_say_what_was_expected() {
    let desk = Desk::new();
    desk.put_config(&json!({"metrics": {"gpuTemperature": {"query": "gpu"}}}));
    let none = desk.call(&["history", "-n", "a", "-m", "cpu"], LATER);
    assert_eq!(none.status, Some(1));
    assert!(
        none.stderr.contains("there is no history in"),
        "{}",
        none.stderr
    );
    let bogus = desk.call(&["history", "-n", "a", "-m", "cpus"], LATER);
    assert_eq!(bogus.status, Some(2), "{bogus:?}");
    desk.put_context(&tick(&[node("a", &ready())]));
    desk.run("2026-05-01T14:00:00Z");
    for (arguments, status, said) in [
        (&["history", "-n", "a"][..], 2, "--metric"),
        (
            &["history", "-n", "a", "-m", "cpu", "--since", "soon"],
            2,
            "'--since <SINCE>': expected a duration such as 6h",
        ),
        (
            &["report", "--since", "soon"],
            2,
            "'--since <SINCE>': expected a duration such as 6h",
        ),
        (
            &["history", "-n", "b", "-m", "cpu"],
            1,
            "there is no reading of a node \"b\"",
        ),
        (
            &["history", "-n", "a", "-m", "cpus"],
            2,
            "--metric: expected one of cpuLoadRatio, ",
        ),
        // It could have readings, and has none.
        (
            &["history", "-n", "a", "-m", "gpuTemperature"],
            1,
            "--metric: there is no reading of \"gpuTemperature\"",
        ),
        (
            &["report", "-o", "/nowhere/at/all.html"],
            1,
            "cannot write /nowhere/at/all.html",
        ),
        (&["top", "--interval", "0"], 2, "--interval"),
        (&["topp"], 2, "topp"),
        (
            &["--config", "top"],
            2,
            "--config takes no further arguments",
        ),
    ] {
        let call = desk.call(arguments, LATER);
        assert_eq!(call.status, Some(status), "{arguments:?}: {call:?}");
        assert!(call.stderr.contains(said), "{arguments:?}: {}", call.stderr);
    }
}

#[test]
fn a_damaged_history_is_set_aside_and_the_check_goes_on() {
    let desk = Desk::new();
    desk.put_context(&tick(&[node("a", &ready())]));
    desk.prometheus.set("cpu", &[("a", "95")]);
    desk.put(
        "state/history.db",
        "this is not a database, and longer than a header of one would have to be",
    );
    let run = desk.run("2026-05-01T14:00:00Z");
    assert_eq!(run.status, Some(0));
    assert!(
        run.stdout.contains("the history was damaged"),
        "{}",
        run.stdout
    );
    assert!(desk.path("state/history.db.corrupt-1").exists());
    assert_eq!(desk.alerts().len(), 1);
    // Where the history cannot be at all, the rest goes on, too.
    for end in ["", "-wal", "-shm"] {
        let _gone = std::fs::remove_file(desk.path(&format!("state/history.db{end}")));
    }
    std::fs::create_dir(desk.path("state/history.db")).unwrap();
    desk.prometheus.set("cpu", &[("a", "10")]);
    let run = desk.run("2026-05-01T14:01:00Z");
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(
        run.stdout.contains("the check goes on without it"),
        "{}",
        run.stdout
    );
    assert_eq!(desk.alerts().len(), 2);
}

#[test]
fn commands_look_and_change_nothing() {
    let desk = Desk::new();
    desk.put_context(&tick(&[node("a", &ready())]));
    desk.prometheus.set("cpu", &[("a", "95")]);
    desk.run("2026-05-01T14:00:00Z");
    let before = files(&desk);
    for command in [
        &["top"][..],
        &["report"],
        &["history", "-n", "a", "-m", "cpu"],
    ] {
        let call = desk.call(command, LATER);
        assert_eq!(
            (call.status, call.stderr.as_str()),
            (Some(0), ""),
            "{command:?}"
        );
    }
    assert_eq!(files(&desk), before);
}

/// The databases as they stand; what is beside them are the means of reading.
fn files(desk: &Desk) -> Vec<Vec<u8>> {
    ["state.db", "state.db-wal", "history.db", "history.db-wal"]
        .iter()
        .map(|name| std::fs::read(desk.path(&format!("state/{name}"))).unwrap_or_default())
        .collect()
}
