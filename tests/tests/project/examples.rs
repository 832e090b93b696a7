//! The shipped examples: their openings, scenarios, page and metrics, as people and Prometheus read them.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ng_config::ReadyMetric;
use ng_tests::Tools;
use ng_tests::programs::program;
use serde_json::{Value, json};

use crate::checkout::{files, items, root, text, word};

const PAGE: &str = "docs/examples.md";
/// What the comment at the head of each rule answers.
const QUESTIONS: [&str; 3] = [
    "# What it does: ",
    "# When to use it: ",
    "# What it needs: ",
];

/// The names of the rules, which are those of their files.
fn rules() -> Result<Vec<String>> {
    let name = |file: &String| {
        let name = file
            .strip_prefix("config/examples/")?
            .strip_suffix(".yaml")?;
        (name != "alert-templates").then(|| name.to_owned())
    };
    let rules: Vec<String> = files()?.iter().filter_map(name).collect();
    ensure!(rules.len() >= 10, "{rules:?}");
    Ok(rules)
}

#[test]
fn every_rule_says_what_it_is_good_for() -> Result<()> {
    for rule in rules()? {
        let text = text(&format!("config/examples/{rule}.yaml"))?;
        let opening = text.split("apiVersion:").next().unwrap_or_default();
        for question in QUESTIONS {
            ensure!(opening.contains(question), "{rule}: no {question:?}");
        }
        let told = opening.lines().all(|line| line.starts_with('#'));
        ensure!(told, "{rule}: does not open with its comment");
    }
    Ok(())
}

/// What a scenario has to expect, and how that shows in a line of it.
const KINDS: [(&str, &str); 4] = [
    ("nothing before the duration", "phase: Pending"),
    ("a trigger", "phase: Triggered"),
    ("a node that must not trigger", "alerts: 0"),
    ("a recovery", "phase: Healthy"),
];

/// A node that falls out at once has no time in which it is pending.
const AT_ONCE: [&str; 2] = ["flapping-node", "spot-node-leaving"];

#[test]
fn every_rule_has_a_scenario_with_every_kind_of_expectation() -> Result<()> {
    for rule in rules()? {
        let path = format!("config/scenarios/{rule}.yaml");
        let scenario = text(&path)?;
        ensure!(
            scenario.contains(&format!("../examples/{rule}.yaml")),
            "{path}: another rule"
        );
        for (what, sign) in KINDS {
            let is_asked = sign != "phase: Pending" || !AT_ONCE.contains(&rule.as_str());
            ensure!(!is_asked || scenario.contains(sign), "{path}: no {what}");
        }
    }
    Ok(())
}

#[test]
fn the_page_tells_of_every_rule_and_of_nothing_else() -> Result<()> {
    let page = text(PAGE)?;
    let told: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| [`"))
        .filter_map(|line| line.split('`').next())
        .map(str::to_owned)
        .collect();
    let there: BTreeSet<String> = rules()?.into_iter().collect();
    ensure!(told == there, "{told:?} instead of {there:?}");
    for ready in ReadyMetric::ALL {
        let row = format!("| `{}` | {} |", ready.name, ready.doc);
        ensure!(page.contains(&row), "{PAGE}: no row {row}");
    }
    Ok(())
}

#[test]
fn the_metric_of_ones_own_is_a_valid_setting() -> Result<()> {
    let page = text(PAGE)?;
    let block = page.split("```json\n").nth(1);
    let block = block.and_then(|rest| rest.split("```").next());
    let resolution = ng_config::resolve(&ng_config::Inputs {
        file: Some(ng_config::File {
            name: "config.json",
            text: block.context("no block of JSON")?,
            format: ng_config::Format::Json,
        }),
        ..ng_config::Inputs::default()
    });
    ensure!(resolution.errors.is_empty(), "{:?}", resolution.errors);
    ensure!(resolution.warnings.is_empty(), "{:?}", resolution.warnings);
    let own = resolution.config.metrics.len();
    ensure!(own == ReadyMetric::ALL.len() + 1, "{own} metrics");
    Ok(())
}

#[test]
fn the_linter_finds_nothing() -> Result<()> {
    let config_loader = program("ng-config-loader", "config-loader")?;
    // One language at a time: both have templates of the same names, and the Chinese ones replace those of the examples.
    for more in [&[][..], &["config/templates/en.yaml"]] {
        let output = Command::new(&config_loader)
            .args(["lint", "--strict", "-o", "json", "--nodes", "50"])
            .args(["--config", "config/config.json", "config/examples"])
            .args(more)
            .current_dir(root())
            .output()?;
        let told: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        ensure!(
            output.status.success() && items(&told["findings"]).count() == 0,
            "{told:#}"
        );
        ensure!(told["objects"].as_u64() >= Some(20), "{told:#}");
    }
    Ok(())
}

#[test]
fn the_chinese_templates_have_every_name_of_the_examples() -> Result<()> {
    let names = |path: &str| -> Result<BTreeSet<String>> {
        let text = text(path)?;
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("  name: "));
        Ok(names.map(str::to_owned).collect())
    };
    let (english, chinese) = (
        names("config/examples/alert-templates.yaml")?,
        names("config/templates/zh.yaml")?,
    );
    let missing: Vec<_> = english.difference(&chinese).collect();
    ensure!(!english.is_empty() && missing.is_empty(), "{missing:?}");
    Ok(())
}

/// A metric, the series that Prometheus has, and the samples that the metric makes of them at half an hour.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, f64)],
);

const READINGS: [Case; 6] = [
    (
        "inodeUtilizationPercent",
        &[
            (
                r#"node_filesystem_files{instance="n-1",mountpoint="/",fstype="ext4"}"#,
                "1000x60",
            ),
            (
                r#"node_filesystem_files_free{instance="n-1",mountpoint="/",fstype="ext4"}"#,
                "250x60",
            ),
            (
                r#"node_filesystem_readonly{instance="n-1",mountpoint="/",fstype="ext4"}"#,
                "0x60",
            ),
            // It counts no inodes, and says nothing.
            (
                r#"node_filesystem_files{instance="n-1",mountpoint="/b",fstype="btrfs"}"#,
                "0x60",
            ),
            (
                r#"node_filesystem_files_free{instance="n-1",mountpoint="/b",fstype="btrfs"}"#,
                "0x60",
            ),
        ],
        &[(r#"{instance="n-1"}"#, 75.0)],
    ),
    // Two jobs that scrape one exporter count once.
    (
        "cpuPressurePercent",
        &[
            (
                r#"node_pressure_cpu_waiting_seconds_total{instance="n-1",job="a"}"#,
                "0+15x60",
            ),
            (
                r#"node_pressure_cpu_waiting_seconds_total{instance="n-1",job="b"}"#,
                "0+15x60",
            ),
        ],
        &[(r#"{instance="n-1"}"#, 25.0)],
    ),
    (
        "memoryPressurePercent",
        &[(
            r#"node_pressure_memory_waiting_seconds_total{node="n-1"}"#,
            "0+30x60",
        )],
        &[(r#"{node="n-1"}"#, 50.0)],
    ),
    (
        "ioPressurePercent",
        &[(
            r#"node_pressure_io_waiting_seconds_total{node="n-1"}"#,
            "0+60x60",
        )],
        &[(r#"{node="n-1"}"#, 100.0)],
    ),
    (
        "readyChanges",
        &[
            (
                r#"kube_node_status_condition{node="n-1",condition="Ready",status="true"}"#,
                "1x5 0 1x5 0x2 1x60",
            ),
            (
                r#"kube_node_status_condition{node="n-1",condition="DiskPressure",status="true"}"#,
                "0 1 0 1 0x60",
            ),
            (
                r#"kube_node_status_condition{node="n-2",condition="Ready",status="true"}"#,
                "1x60",
            ),
        ],
        &[(r#"{node="n-1"}"#, 4.0), (r#"{node="n-2"}"#, 0.0)],
    ),
    // The node that is not ready gets the share as well.
    (
        "notReadyPercent",
        &[
            (
                r#"kube_node_status_condition{node="n-1",condition="Ready",status="true"}"#,
                "0x60",
            ),
            (
                r#"kube_node_status_condition{node="n-1",condition="Ready",status="unknown"}"#,
                "1x60",
            ),
            (
                r#"kube_node_status_condition{node="n-2",condition="Ready",status="true"}"#,
                "1x60",
            ),
            (
                r#"kube_node_status_condition{node="n-3",condition="Ready",status="true"}"#,
                "1x60",
            ),
            (
                r#"kube_node_status_condition{node="n-4",condition="Ready",status="true"}"#,
                "1x60",
            ),
        ],
        &[
            (r#"{node="n-1"}"#, 25.0),
            (r#"{node="n-2"}"#, 25.0),
            (r#"{node="n-3"}"#, 25.0),
            (r#"{node="n-4"}"#, 25.0),
        ],
    ),
];

#[test]
fn prometheus_makes_of_the_ready_metrics_what_they_say() -> Result<()> {
    let Some(promtool) = Tools::promtool_for_test()? else {
        return Ok(());
    };
    let mut tests = Vec::new();
    for (name, series, expected) in READINGS {
        let ready = ReadyMetric::ALL
            .into_iter()
            .find(|ready| ready.name == name);
        let series: Vec<Value> = series
            .iter()
            .map(|(series, values)| json!({"series": series, "values": values}))
            .collect();
        let samples: Vec<Value> = expected
            .iter()
            .map(|(labels, value)| json!({"labels": labels, "value": value}))
            .collect();
        let query = ready.with_context(|| format!("no {name}"))?.query();
        tests.push(json!({
            "interval": "1m", "input_series": series,
            "promql_expr_test": [{"expr": query, "eval_time": "30m", "exp_samples": samples}],
        }));
    }
    ensure!(
        tests.len() == ReadyMetric::ALL.len(),
        "a metric without readings"
    );
    let dir = tempfile::tempdir()?;
    let file = std::fs::File::create(dir.path().join("test.yaml"))?;
    serde_json::to_writer(file, &json!({"evaluation_interval": "1m", "tests": tests}))?;
    let output = Command::new(promtool)
        .args(["test", "rules", "test.yaml"])
        .current_dir(dir.path())
        .output()
        .context("cannot run promtool")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{told}{problem}");
    ensure!(word(&json!(told)).contains("SUCCESS"), "{told}{problem}");
    Ok(())
}
