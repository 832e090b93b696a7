//! Parts that die and come back: nothing is done twice, and nothing is let go.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ng_tests::{Load, Pod, wait_until};
use serde_json::json;

use crate::rig::{LIMIT, Rig, condition, has_taint, holds_nothing, hot, load_rule, taint, untaint};
use crate::watcher::Watcher;

const RULE: &str = "hold";
const TAINT: &str = "test/hold";
const NODES: [&str; 8] = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"];

/// A stack whose node `n1` is tainted, and has lost one of its four pods.
fn triggered() -> Result<Option<Rig>> {
    let Some(mut rig) = Rig::start(&[])? else {
        return Ok(None);
    };
    rig.add_nodes(&NODES)?;
    rig.stack.cluster().ensure_namespace("shop")?;
    for name in ["web-1", "web-2", "web-3", "web-4"] {
        Pod::new("shop", name, "n1").create(&rig.api)?;
    }
    rig.stack.start_kubelet(Duration::ZERO);
    let evict = json!({"type": "evict", "evict": {"maxPods": 1}});
    let rule = load_rule(
        RULE,
        &json!([taint(TAINT), evict]),
        &json!([untaint(TAINT)]),
    );
    rig.apply_rule(&rule)?;
    rig.heat("n1")?;
    rig.stack.operator().start()?;
    rig.wait_taint("n1", TAINT, true)?;
    wait_until(LIMIT, "eviction", || {
        let evictions = rig.evictions()?;
        ensure!(evictions.len() == 1, "{evictions:?}");
        Ok(())
    })?;
    wait_until(LIMIT, "status with the node", || {
        let status = rig.status(RULE)?;
        ensure!(status["triggeredNodes"] == json!(["n1"]), "{status}");
        Ok(())
    })?;
    Ok(Some(rig))
}

/// What must be true whatever happened: one eviction ever, and the taint was never away.
fn check_held(rig: &Rig, watcher: &Watcher) -> Result<()> {
    let evictions = rig.evictions()?;
    ensure!(evictions.len() == 1, "{evictions:?}");
    let seen = watcher.seen()?;
    ensure!(!seen.lost.contains("n1"), "{seen:?}");
    ensure!(has_taint(&rig.node("n1")?, TAINT), "the taint is gone");
    Ok(())
}

#[test]
fn killed_runs_and_lost_state_repeat_nothing_and_release_nothing() -> Result<()> {
    let Some(mut rig) = triggered()? else {
        return Ok(());
    };
    let watcher = Watcher::start(&rig.api, TAINT)?;
    for _ in 0..2 {
        rig.stack.operator().kill();
        rig.stack.operator().start()?;
        rig.wait_runs(2)?;
        check_held(&rig, &watcher)?;
    }
    rig.stack.operator().kill();
    for entry in std::fs::read_dir(rig.stack.state_dir())? {
        std::fs::remove_file(entry?.path())?;
    }
    rig.stack.operator().start()?;
    rig.wait_runs(3)?;
    check_held(&rig, &watcher)?;
    let log = rig.stack.operator().log()?;
    log.iter()
        .find(|line| line.message().contains("rebuilt from the rules' statuses"))
        .context("the rebuild is not in the log")?;

    // What was rebuilt is ours to remove.
    watcher.stop();
    rig.stack.exporter().set("n1", Load::default());
    rig.wait_taint("n1", TAINT, false)?;
    wait_until(LIMIT, "status without the node", || {
        let status = rig.status(RULE)?;
        ensure!(holds_nothing(&status), "{status}");
        Ok(())
    })?;
    rig.close()
}

#[test]
fn without_prometheus_or_the_api_server_everything_stays_as_it_is() -> Result<()> {
    let Some(mut rig) = triggered()? else {
        return Ok(());
    };
    rig.wait_condition(RULE, "DataAvailable", "True")?;
    let watcher = Watcher::start(&rig.api, TAINT)?;
    rig.stack.prometheus().stop();
    // One node would recover now and another would trigger, if anyone could see it.
    rig.stack.exporter().set("n1", Load::default());
    rig.stack.exporter().set("n2", hot());
    let status = rig.wait_condition(RULE, "DataAvailable", "False")?;
    let message = condition(&status, "DataAvailable")["message"].to_string();
    ensure!(message.contains("8 of 8 nodes"), "{message}");
    ensure!(status["phase"] == "Active", "{status}");
    rig.wait_metric(
        "nodeguardian_unknown_readings",
        &["metric=\"cpuLoadRatio\""],
        8.0..,
    )?;
    rig.wait_metric("nodeguardian_unknown_nodes", &["rule=\"hold\""], 8.0..)?;
    rig.wait_runs(2)?;
    check_held(&rig, &watcher)?;
    ensure!(
        !has_taint(&rig.node("n2")?, TAINT),
        "triggered without a reading"
    );

    rig.stack.exporter().set("n1", hot());
    rig.stack.exporter().set("n2", Load::default());
    rig.stack.prometheus().restart()?;
    rig.wait_condition(RULE, "DataAvailable", "True")?;
    check_held(&rig, &watcher)?;

    rig.stack.cluster().stop();
    rig.wait_runs(2)?;
    rig.stack.cluster().restart()?;
    rig.restarted = true;
    rig.wait_runs(2)?;
    // The watch of the API server that ended is opened anew: a change in between would show.
    check_held(&rig, &watcher)?;
    watcher.stop();
    rig.stack.exporter().set("n1", Load::default());
    rig.wait_taint("n1", TAINT, false)?;
    rig.close()
}
