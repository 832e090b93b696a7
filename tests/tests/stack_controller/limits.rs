//! The safety limit under a load that hits nearly every node at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ng_engine::plan::AlertKind;
use ng_tests::objects::create_nodes;
use ng_tests::{Load, Node, wait_until};
use serde_json::json;

use crate::rig::{LIMIT, Rig, condition, hot, load_rule, taint, untaint};
use crate::watcher::Watcher;

const RULE: &str = "storm";
const TAINT: &str = "test/storm";
const NODES: usize = 300;
/// Nodes that are out of service before anything happens, half of them cordoned.
const OUT: usize = 20;
/// 30 % of all nodes, less those.
const ALLOWED: usize = 70;
const STORM_LIMIT: Duration = Duration::from_mins(1);

fn name(number: usize) -> String {
    format!("node-{number:03}")
}

fn storm() -> Result<Option<Rig>> {
    let env = [
        ("OBJECT_PATCHER_KUBE_CLIENT_QPS", "500"),
        ("OBJECT_PATCHER_KUBE_CLIENT_BURST", "500"),
    ];
    let Some(mut rig) = Rig::start(&env)? else {
        return Ok(None);
    };
    let nodes: Vec<_> = (0..NODES)
        .map(|number| {
            let ready = if number < OUT / 2 { "False" } else { "True" };
            Node::new(&name(number)).ready(ready)
        })
        .collect();
    create_nodes(&rig.api, &nodes)?;
    for number in OUT / 2..OUT {
        let path = format!("/api/v1/nodes/{}", name(number));
        rig.api
            .patch(&path, &json!({"spec": {"unschedulable": true}}))?;
    }
    for number in 0..NODES {
        rig.stack.exporter().set(&name(number), Load::default());
    }
    rig.wait_scraped(NODES)?;
    let actions = json!([taint(TAINT), {"type": "alert", "alert": {"channels": ["log"]}}]);
    let mut rule = load_rule(RULE, &actions, &json!([untaint(TAINT)]));
    rule["spec"]["safety"] = json!({"maxNodes": "30%"});
    rig.apply_rule(&rule)?;
    rig.stack.operator().start()?;
    rig.wait_condition(RULE, "DataAvailable", "True")?;
    Ok(Some(rig))
}

#[test]
fn a_storm_stops_at_the_limit() -> Result<()> {
    let Some(mut rig) = storm()? else {
        return Ok(());
    };
    let watcher = Watcher::start(&rig.api, TAINT)?;
    let start = Instant::now();
    for number in OUT..NODES {
        rig.stack.exporter().set(&name(number), hot());
    }
    wait_until(STORM_LIMIT, "as many taints as are allowed", || {
        let seen = watcher.seen()?;
        ensure!(seen.tainted.len() == ALLOWED, "{}", seen.tainted.len());
        Ok(())
    })?;
    eprintln!(
        "{ALLOWED} of {} nodes tainted after {:?}",
        NODES - OUT,
        start.elapsed()
    );
    let status = rig.wait_condition(RULE, "ActionsAllowed", "False")?;
    let allowed = condition(&status, "ActionsAllowed");
    ensure!(allowed["reason"] == "MaxNodes", "{allowed}");
    ensure!(
        status["triggeredNodes"].as_array().map(Vec::len) == Some(NODES - OUT),
        "{allowed}"
    );
    let alerts = rig.alerts(RULE, AlertKind::Trigger)?;
    let held = alerts.iter().filter(|alert| {
        alert
            .guard
            .as_ref()
            .is_some_and(|guard| guard.word() == "maxNodes")
    });
    let held = held.count();
    ensure!(
        (alerts.len(), held) == (NODES - OUT, NODES - OUT - ALLOWED),
        "{} alerts, {held} held back",
        alerts.len()
    );
    rig.wait_metric("nodeguardian_held_back_nodes", &["rule=\"storm\""], 1.0..)?;
    rig.wait_runs(2)?;
    check_places_move(&rig, &watcher)?;
    let seen = watcher.seen()?;
    eprintln!("at most {} nodes were tainted at one moment", seen.most);
    ensure!(seen.most <= ALLOWED, "{} nodes at one moment", seen.most);
    rig.close()
}

/// Nodes that recover make room for as many others.
fn check_places_move(rig: &Rig, watcher: &Watcher) -> Result<()> {
    let first: Vec<_> = watcher.seen()?.tainted.into_iter().take(10).collect();
    for node in &first {
        rig.stack.exporter().set(node, Load::default());
    }
    wait_until(LIMIT, "other nodes in the places of recovered ones", || {
        let seen = watcher.seen()?;
        let gone = first.iter().all(|node| seen.lost.contains(node));
        ensure!(
            gone && seen.tainted.len() == ALLOWED,
            "{} tainted",
            seen.tainted.len()
        );
        Ok(())
    })
}
