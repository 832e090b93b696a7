//! Whole episodes: trigger, what is shown of it, recovery, and what changes of rules do to them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ng_engine::plan::AlertKind;
use ng_tests::{Load, wait_until};
use serde_json::{Value, json};

use crate::rig::{
    LIMIT, Rig, TICK, condition, has_taint, holds_nothing, hot, load_rule, project, taint, untaint,
};

const RULE: &str = "high-load-isolation";
const TAINT: &str = "nodeguardian.io/high-load";
const LOADED: Duration = Duration::from_secs(10);
/// The longest age of a sample.
const SCRAPE: Duration = Duration::from_secs(1);

/// The example as it is shipped, only faster.
fn high_load() -> Result<Value> {
    let text = std::fs::read_to_string(project("config/examples/high-load-isolation.yaml"))?;
    let mut rule: Value = serde_yaml::from_str(&text)?;
    for (pointer, value) in [
        ("/spec/conditions/0/duration", "10s"),
        ("/spec/conditions/1/duration", "5s"),
        ("/spec/recoveryConditions/0/duration", "5s"),
        ("/spec/recoveryConditions/1/duration", "0s"),
        ("/spec/monitoring/checkInterval", "5s"),
        ("/spec/monitoring/cooldownPeriod", "10m"),
    ] {
        let Some(field) = rule.pointer_mut(pointer) else {
            anyhow::bail!("the example has no {pointer}");
        };
        *field = value.into();
    }
    Ok(rule)
}

#[test]
fn the_shipped_high_load_rule_isolates_a_node_and_lets_it_go() -> Result<()> {
    let Some(mut rig) = Rig::start(&[])? else {
        return Ok(());
    };
    rig.add_nodes(&["n1", "n2", "n3", "n4", "n5"])?;
    rig.apply_rule(&high_load()?)?;
    rig.stack.operator().start()?;
    let status = rig.wait_condition(RULE, "DataAvailable", "True")?;
    ensure!(status["phase"] == "Active", "{status}");
    ensure!(status["observedGeneration"] == 1, "{status}");
    ensure!(status["triggeredNodes"] == json!([]), "{status}");

    // The first evaluation comes when the rule does; from then on they keep to the schedule.
    rig.wait_runs(3)?;
    let took = time_to_trigger(&rig)?;
    let why = inputs(&mut rig)?;
    eprintln!("tainted {took:?} after the load rose, with a duration of {LOADED:?}: {why}");
    ensure!(took >= LOADED, "tainted after {took:?}");
    let latest = LOADED + SCRAPE + TICK + Duration::from_secs(2);
    ensure!(took <= latest, "tainted only after {took:?}");
    check_marks(&rig)?;
    check_triggered(&mut rig)?;

    let start = Instant::now();
    rig.stack.exporter().set("n3", Load::default());
    rig.wait_taint("n3", TAINT, false)?;
    eprintln!("recovered {:?} after the load fell", start.elapsed());
    check_recovered(&mut rig)?;
    rig.close()
}

/// Lets the load rise on one node and measures until its taint is there.
fn time_to_trigger(rig: &Rig) -> Result<Duration> {
    let start = Instant::now();
    rig.stack.exporter().set("n3", hot());
    rig.wait_taint("n3", TAINT, true)?;
    Ok(start.elapsed())
}

/// What the log says about why the rule triggered.
fn inputs(rig: &mut Rig) -> Result<String> {
    let log = rig.stack.operator().log()?;
    let line = log.iter().find(|line| line.message() == "rule triggered");
    Ok(line.map_or_else(String::new, |line| line.fields()["hook_inputs"].to_string()))
}

fn check_marks(rig: &Rig) -> Result<()> {
    let node = rig.node("n3")?;
    let labels = &node["metadata"]["labels"];
    ensure!(labels["nodeguardian.io/status"] == "high-load", "{labels}");
    let value = labels["nodeguardian.io/triggered-at"]
        .as_str()
        .unwrap_or_default();
    ensure!(
        value.starts_with("20") && value.len() <= 63,
        "the API server took {value:?}, but it is not the time"
    );
    for other in ["n1", "n2", "n4", "n5"] {
        let node = rig.node(other)?;
        ensure!(!has_taint(&node, TAINT), "{}", node["spec"]);
        ensure!(node["metadata"]["labels"]["nodeguardian.io/status"].is_null());
    }
    Ok(())
}

fn check_triggered(rig: &mut Rig) -> Result<()> {
    let status = wait_until(LIMIT, "triggered node in the status", || {
        let status = rig.status(RULE)?;
        ensure!(status["triggeredNodes"] == json!(["n3"]), "{status}");
        Ok(status)
    })?;
    ensure!(status["lastTriggered"].is_string(), "{status}");
    ensure!(status["nodes"][0]["phase"] == "Triggered", "{status}");
    for kind in ["Ready", "Valid", "ActionsAllowed", "DataAvailable"] {
        ensure!(
            condition(&status, kind)["status"] == "True",
            "{kind}: {status}"
        );
    }
    wait_until(LIMIT, "Events on node and rule", || {
        let events = rig.events()?;
        for wanted in [
            "RuleTriggered Node/n3",
            "RuleTriggered NodeGuardianRule/high-load-isolation",
        ] {
            ensure!(events.iter().any(|event| event == wanted), "{events:?}");
        }
        Ok(())
    })?;
    let rule = format!("rule=\"{RULE}\"");
    rig.wait_metric("nodeguardian_triggered_nodes", &[&rule], 1.0..=1.0)?;
    rig.wait_metric(
        "nodeguardian_transitions_total",
        &[&rule, "event=\"triggered\""],
        1.0..=1.0,
    )?;
    let alerts = rig.alerts(RULE, AlertKind::Trigger)?;
    ensure!(alerts.len() == 1, "{alerts:?}");
    let alert = &alerts[0];
    ensure!(alert.node == "n3" && alert.guard.is_none(), "{alert:?}");
    ensure!(alert.channels == ["log", "webhook", "email"], "{alert:?}");
    ensure!(alert.metrics["cpuLoadRatio"] > 1.5, "{alert:?}");
    Ok(())
}

fn check_recovered(rig: &mut Rig) -> Result<()> {
    let labels = rig.node("n3")?["metadata"]["labels"].take();
    for key in ["nodeguardian.io/status", "nodeguardian.io/triggered-at"] {
        ensure!(labels[key].is_null(), "{labels}");
    }
    wait_until(LIMIT, "clean status", || {
        let status = rig.status(RULE)?;
        ensure!(status["triggeredNodes"] == json!([]), "{status}");
        ensure!(holds_nothing(&status), "{status}");
        ensure!(status["lastRecovery"].is_string(), "{status}");
        Ok(())
    })?;
    wait_until(LIMIT, "Events of the recovery", || {
        let events = rig.events()?;
        ensure!(
            events.iter().any(|event| event == "RuleRecovered Node/n3"),
            "{events:?}"
        );
        Ok(())
    })?;
    let rule = format!("rule=\"{RULE}\"");
    rig.wait_metric("nodeguardian_triggered_nodes", &[&rule], 0.0..=0.0)?;
    let alerts = rig.alerts(RULE, AlertKind::Recovery)?;
    ensure!(
        alerts.len() == 1 && alerts[0].template == "recovery-alert",
        "{alerts:?}"
    );
    ensure!(
        rig.alerts(RULE, AlertKind::Trigger)?.len() == 1,
        "alerted twice"
    );
    Ok(())
}

#[test]
fn rules_act_when_they_come_and_let_go_when_they_leave() -> Result<()> {
    let Some(mut rig) = Rig::start(&[])? else {
        return Ok(());
    };
    rig.add_nodes(&["n1", "n2", "n3", "n4"])?;
    rig.heat("n2")?;
    rig.stack.operator().start()?;
    rig.wait_runs(1)?;
    for name in ["deleted", "disabled"] {
        let key = format!("test/{name}");
        let mut rule = load_rule(name, &json!([taint(&key)]), &json!([untaint(&key)]));
        // Nothing below can be explained by the rule's interval.
        rule["spec"]["monitoring"]["checkInterval"] = "10m".into();
        let start = Instant::now();
        rig.apply_rule(&rule)?;
        rig.wait_taint("n2", &key, true)?;
        eprintln!("tainted {:?} after the rule came", start.elapsed());
    }
    rig.wait_condition("disabled", "Ready", "True")?;

    let start = Instant::now();
    rig.patch_rule(
        "disabled",
        &json!({"spec": {"metadata": {"enabled": false}}}),
    )?;
    rig.wait_taint("n2", "test/disabled", false)?;
    eprintln!("released {:?} after the rule was disabled", start.elapsed());
    let status = rig.wait_condition("disabled", "Ready", "False")?;
    ensure!(
        status["phase"] == "Inactive" && holds_nothing(&status),
        "{status}"
    );
    ensure!(
        has_taint(&rig.node("n2")?, "test/deleted"),
        "the other rule's taint is gone"
    );

    let start = Instant::now();
    rig.delete_rule("deleted")?;
    rig.wait_taint("n2", "test/deleted", false)?;
    eprintln!("released {:?} after the rule was deleted", start.elapsed());
    wait_until(LIMIT, "end of the deleted rule's metrics", || {
        let metrics = rig.stack.operator().hook_metrics()?;
        ensure!(!metrics.contains("rule=\"deleted\""), "{metrics}");
        Ok(())
    })?;
    rig.close()
}
