//! Dashboards and alert rules against the code, the runbooks, each other and Prometheus's own checker.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ng_tests::dashboards::{Dashboard, alert_rules, deploy, metrics_of};
use ng_tests::tools::Tools;
use serde_json::Value;

use crate::checkout::{items, text, word};
use crate::links::anchors;
use crate::readme::{published, table_of_metrics};

const RUNBOOKS: &str = "docs/runbooks.md";
/// What every section of the runbooks answers.
const QUESTIONS: [&str; 4] = ["**Meaning.**", "**Impact.**", "**Look at.**", "**Mend.**"];

/// Fails with every problem at once.
fn none(problems: &[String]) -> Result<()> {
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn dashboards_are_told_apart_by_uid_and_title() -> Result<()> {
    let dashboards = Dashboard::shipped()?;
    for key in ["uid", "title"] {
        let values: BTreeSet<&str> = dashboards
            .iter()
            .map(|dashboard| word(&dashboard.document[key]))
            .collect();
        ensure!(
            values.len() == dashboards.len() && !values.contains(""),
            "{key}: {values:?}"
        );
    }
    for dashboard in &dashboards {
        // A number would be that of one Grafana's database.
        ensure!(dashboard.document["id"].is_null(), "{}", dashboard.file);
        ensure!(
            dashboard.document["schemaVersion"].as_u64() >= Some(38),
            "{}: older than Grafana 10",
            dashboard.file
        );
    }
    Ok(())
}

#[test]
fn dashboards_work_with_any_prometheus() -> Result<()> {
    let mut problems = Vec::new();
    for dashboard in Dashboard::shipped()? {
        let is_chosen = dashboard.variables().any(|variable| {
            variable["name"] == "datasource"
                && variable["type"] == "datasource"
                && variable["query"] == "prometheus"
        });
        ensure!(is_chosen, "{}: no variable datasource", dashboard.file);
        datasources(&dashboard.document, &mut |source| {
            if source["type"] != "prometheus" || source["uid"] != "${datasource}" {
                problems.push(format!("{}: {source}", dashboard.file));
            }
        });
    }
    none(&problems)
}

/// Calls `see` with everything that names a source of data.
fn datasources(value: &Value, see: &mut impl FnMut(&Value)) {
    for (key, value) in value.as_object().into_iter().flatten() {
        if key == "datasource" {
            see(value);
        } else {
            datasources(value, see);
        }
    }
    for item in items(value) {
        datasources(item, see);
    }
}

#[test]
fn every_panel_says_what_it_shows() -> Result<()> {
    let mut problems = Vec::new();
    for dashboard in Dashboard::shipped()? {
        let mut ids = BTreeSet::new();
        for panel in dashboard.panels() {
            let title = word(&panel["title"]);
            let mut wants = |holds: bool, what: &str| {
                if !holds {
                    problems.push(format!("{}: {title}: {what}", dashboard.file));
                }
            };
            wants(!title.is_empty(), "no title");
            wants(ids.insert(panel["id"].as_u64()), "an id that another has");
            if panel["type"] == "row" {
                continue;
            }
            let defaults = &panel["fieldConfig"]["defaults"];
            wants(!word(&panel["description"]).is_empty(), "no description");
            wants(!word(&defaults["unit"]).is_empty(), "no unit");
            wants(items(&panel["targets"]).count() > 0, "asks nothing");
            wants(panel["datasource"].is_object(), "no datasource");
        }
    }
    none(&problems)
}

#[test]
fn panels_do_not_overlap() -> Result<()> {
    for dashboard in Dashboard::shipped()? {
        let mut taken: BTreeMap<(u64, u64), &str> = BTreeMap::new();
        for panel in dashboard.panels() {
            let title = word(&panel["title"]);
            let side = |name: &str| {
                let side = panel["gridPos"][name].as_u64();
                side.with_context(|| format!("{}: {title}: no {name}", dashboard.file))
            };
            let (left, top, width, height) = (side("x")?, side("y")?, side("w")?, side("h")?);
            ensure!(
                left + width <= 24,
                "{}: {title} is too wide",
                dashboard.file
            );
            for cell in (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y)))
            {
                let other = taken.insert(cell, title);
                ensure!(
                    other.is_none(),
                    "{}: {title} over {other:?}",
                    dashboard.file
                );
            }
        }
    }
    Ok(())
}

#[test]
fn every_metric_is_published() -> Result<()> {
    let mut known = table_of_metrics()?;
    known.extend(published()?);
    let mut asked = Vec::new();
    for dashboard in Dashboard::shipped()? {
        for query in dashboard.queries()? {
            asked.push((query.place, query.promql));
        }
    }
    for rule in alert_rules()? {
        asked.push((
            word(&rule["alert"]).to_owned(),
            word(&rule["expr"]).to_owned(),
        ));
    }
    let mut problems = Vec::new();
    for (place, promql) in asked {
        let metrics = metrics_of(&promql);
        ensure!(!metrics.is_empty(), "{place}: no metric in {promql}");
        for metric in metrics {
            if !known.contains(&metric) && !metric.starts_with("shell_operator_") {
                problems.push(format!("{place}: nothing publishes {metric}"));
            }
        }
    }
    none(&problems)
}

#[test]
fn every_alert_leads_to_its_section_of_the_runbooks() -> Result<()> {
    let manifest = text("Cargo.toml")?;
    let repository = manifest
        .lines()
        .find_map(|line| line.strip_prefix("repository = "))
        .context("Cargo.toml: no repository")?;
    let page = format!("{}/blob/main/{RUNBOOKS}", repository.trim_matches('"'));
    let anchors = anchors(RUNBOOKS)?;
    let mut problems = Vec::new();
    for rule in alert_rules()? {
        let alert = word(&rule["alert"]);
        let mut wants = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("{alert}: {what}"));
            }
        };
        let anchor = alert.to_lowercase();
        let annotations = &rule["annotations"];
        let url = format!("{page}#{anchor}");
        wants(annotations["runbook_url"] == url, "another runbook_url");
        wants(anchors.contains(&anchor), "no section");
        for key in ["summary", "description"] {
            wants(!word(&annotations[key]).is_empty(), key);
        }
        let severity = word(&rule["labels"]["severity"]);
        let is_known = ["info", "warning", "critical"].contains(&severity);
        wants(is_known, "no severity");
        wants(!word(&rule["for"]).is_empty(), "no time that it lasts");
    }
    none(&problems)
}

#[test]
fn every_section_of_the_runbooks_is_about_an_alert_and_whole() -> Result<()> {
    let alerts: BTreeSet<String> = alert_rules()?
        .iter()
        .map(|rule| word(&rule["alert"]).to_owned())
        .collect();
    let page = text(RUNBOOKS)?;
    let sections = page.split("\n### ").skip(1);
    let mut told = BTreeSet::new();
    for section in sections {
        let (title, body) = section.split_once('\n').unwrap_or((section, ""));
        for question in QUESTIONS {
            ensure!(body.contains(question), "{title}: no {question}");
        }
        ensure!(body.contains("```sh\n"), "{title}: no command");
        told.insert(title.to_owned());
    }
    ensure!(told == alerts, "{told:#?} instead of {alerts:#?}");
    Ok(())
}

#[test]
fn every_alert_has_a_case_that_fires_and_one_that_does_not() -> Result<()> {
    let file: Value = serde_yaml::from_str(&text("deploy/prometheus/rules_test.yaml")?)?;
    let mut fires = BTreeSet::new();
    let mut rests = BTreeSet::new();
    for case in items(&file["tests"]).flat_map(|test| items(&test["alert_rule_test"])) {
        let cases = if items(&case["exp_alerts"]).count() > 0 {
            &mut fires
        } else {
            &mut rests
        };
        cases.insert(word(&case["alertname"]).to_owned());
    }
    for rule in alert_rules()? {
        let alert = word(&rule["alert"]);
        ensure!(fires.contains(alert), "{alert}: no case that fires");
        ensure!(rests.contains(alert), "{alert}: no case that does not fire");
    }
    Ok(())
}

#[test]
fn the_rules_are_what_prometheus_takes_and_fire_as_they_say() -> Result<()> {
    let Some(promtool) = Tools::promtool_for_test()? else {
        return Ok(());
    };
    for arguments in [
        ["check", "rules", "rules.yaml"],
        ["test", "rules", "rules_test.yaml"],
    ] {
        let output = Command::new(&promtool)
            .args(arguments)
            .current_dir(deploy("prometheus"))
            .output()
            .context("cannot run promtool")?;
        let told = String::from_utf8_lossy(&output.stdout);
        let problem = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "promtool {}: {told}{problem}",
            arguments.join(" ")
        );
    }
    Ok(())
}
