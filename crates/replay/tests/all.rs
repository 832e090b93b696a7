//! The program from outside: scenarios, the demo, broken scenarios, contexts.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the program in the folder of these tests, so that paths in messages are the same everywhere.
fn replay(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_replay"))
        .args(arguments)
        .current_dir(folder())
        .output()
        .unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The YAML files of a folder, by paths from the folder of these tests.
fn files(name: &str) -> Vec<String> {
    let mut files: Vec<String> = fs::read_dir(folder().join(name))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| {
            Path::new(file)
                .extension()
                .is_some_and(|ending| ending == "yaml")
        })
        .map(|file| format!("{name}/{file}"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_of_the_library_holds() {
    let mut files = files("scenarios");
    assert!(files.len() >= 20, "{files:?}");
    // Those that are shipped: one for each example rule.
    files.extend(self::files("../../../config/scenarios"));
    let mut arguments = vec!["run", "--quiet"];
    arguments.extend(files.iter().map(String::as_str));
    let output = replay(&arguments);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", text(&output.stderr));
    let summary = format!("{} scenarios, ", files.len());
    assert!(stdout.starts_with(&summary), "{stdout}");
    assert!(stdout.ends_with(" passed, 0 failed\n"), "{stdout}");
}

/// Written anew with `replay demo > tests/data/demo.txt`.
#[test]
fn demo_prints_its_timeline() {
    let output = replay(&["demo"]);
    let expected = fs::read_to_string(folder().join("data/demo.txt")).unwrap();
    assert_eq!(text(&output.stdout), expected);
    assert!(output.status.success());
}

#[test]
fn broken_scenarios_name_every_mistake_at_once() {
    for file in files("broken") {
        let output = replay(&["run", &file]);
        let expected = fs::read_to_string(folder().join(format!("{file}.txt"))).unwrap();
        assert_eq!(text(&output.stderr), expected, "{file}");
        assert_eq!(text(&output.stdout), "", "{file}");
        assert_eq!(output.status.code(), Some(2), "{file}");
    }
}

#[test]
fn wrong_usage_exits_2_and_help_0() {
    for arguments in [
        &["run"][..],
        &["play"],
        &["demo", "--output", "xml"],
        &["run", "scenarios/none.yaml"],
        &["run", "scenarios/duration.yaml", "--explain", "n-9"],
        &["context", "none.json"],
    ] {
        let output = replay(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let output = replay(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

fn scenario(folder: &Path, expect: &str) -> String {
    let path = folder.join("scenario.yaml");
    let text = format!(
        "duration: 1m
rules:
  - name: busy
    spec:
      conditions: [{{metric: cpuUtilizationPercent, operator: '>', value: 80, duration: 0s}}]
      actions: [{{type: cordon}}]
nodes: [{{name: n-1}}]
series: {{metrics: {{cpuUtilizationPercent: {{n-1: 90}}}}}}
expect:
  - {expect}
"
    );
    fs::File::create(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn expectations_can_fail() {
    let folder = tempfile::tempdir().unwrap();
    for (expect, expected, found) in [
        (
            "{at: 1m, node: n-1, phase: Healthy}",
            "Healthy",
            "Triggered",
        ),
        (
            "{at: 1m, node: n-1, guard: paused}",
            "guard paused",
            "guard none",
        ),
        (
            "{at: 1m, node: n-1, unschedulable: false}",
            "not cordoned",
            "cordoned",
        ),
        (
            "{at: 1m, node: n-1, taints: ['a:NoExecute']}",
            "taint a:NoExecute",
            "taints []",
        ),
        (
            "{at: 1m, node: n-1, labels: {a: b}}",
            "label a=b",
            "no label a",
        ),
        (
            "{at: 1m, node: n-1, annotations: {a: b}}",
            "annotation a=b",
            "no annotation a",
        ),
        (
            "{at: 1m, patches: {kind: Node, count: 0}}",
            "0 patches of Node",
            "1 patches of Node",
        ),
        ("{at: 1m, alerts: '>=1'}", "at least 1 alerts", "0 alerts"),
        ("{at: 1m, evicted: 1}", "1 evicted pods", "0 evicted pods"),
        ("{at: 1m, evicted: [a/b]}", "evicted [a/b]", "evicted []"),
        (
            "{at: 1m, status: {phase: Error}}",
            "status.phase: \"Error\"",
            "status.phase: \"Active\"",
        ),
        (
            "{at: 1m, status: {conditions: {Valid: 'False'}}}",
            "condition Valid: \"False\"",
            "condition Valid: \"True\" (Accepted)",
        ),
    ] {
        let output = replay(&["run", &scenario(folder.path(), expect)]);
        let stdout = text(&output.stdout);
        let diff = format!("      - expected: {expected}\n      + found:    {found}\n");
        assert!(stdout.contains(&diff), "{expect}\n{stdout}");
        assert_eq!(output.status.code(), Some(1), "{expect}");
    }
}

#[test]
fn json_tells_the_same() {
    let output = replay(&["run", "-o", "json", "scenarios/duration.yaml"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&document["passed"], &document["failed"]),
        (&1.into(), &0.into())
    );
    let scenario = &document["scenarios"][0];
    assert_eq!(scenario["file"], "scenarios/duration.yaml");
    let triggered: Vec<&Value> = scenario["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["what"] == "triggered")
        .collect();
    let [triggered] = triggered.as_slice() else {
        panic!("{triggered:?}");
    };
    assert_eq!(
        (&triggered["at"], &triggered["node"]),
        (&"4m".into(), &"n-1".into())
    );
}

#[test]
fn explain_shows_one_node_with_ages_and_thresholds() {
    let output = replay(&["run", "scenarios/duration.yaml", "--explain", "n-1"]);
    let stdout = text(&output.stdout);
    let detail =
        "cpuUtilizationPercent > 80: 95 from prometheus, 0s old; true for 2m of 2m needed; Holds";
    assert!(stdout.contains(detail), "{stdout}");
    let timeline = stdout.split("PASS").next().unwrap();
    assert!(!timeline.contains("n-2"), "{stdout}");
}
