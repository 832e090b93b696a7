//! Evictions and drains: which pods go, which stay, and what a budget holds.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ng_tests::{Budget, Load, Owner, Pod, wait_until};
use serde_json::{Value, json};

use crate::rig::{LIMIT, Rig, load_rule};

/// A refused pod is asked for again after some seconds, later each time.
const RETRY_LIMIT: Duration = Duration::from_mins(1);

/// Enough nodes for two of them to be out of service at once.
const NODES: [&str; 8] = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"];

fn rule_for(node: &str, name: &str, action: &Value, recovery_actions: &Value) -> Value {
    let mut rule = load_rule(name, &json!([action]), recovery_actions);
    rule["spec"]["nodeSelector"] = json!({"nodeNames": [node]});
    rule
}

/// Pods that a node keeps whatever happens, and names of them.
fn add_keepers(rig: &Rig, node: &str) -> Result<Vec<String>> {
    let names = ["agent", "static", "dns"].map(|app| format!("{app}-{node}"));
    let pods = [
        Pod::new("shop", &names[0], node).owner(Owner::DaemonSet),
        Pod::new("kube-system", &names[1], node).owner(Owner::Mirror),
        Pod::new("kube-system", &names[2], node),
    ];
    pods.iter().try_for_each(|pod| pod.create(&rig.api))?;
    Ok(names.to_vec())
}

/// Names of the pods of a node, but those that are ending.
fn pods_on(rig: &Rig, node: &str) -> Result<Vec<String>> {
    let path = format!("/api/v1/pods?fieldSelector=spec.nodeName={node}");
    let pods = rig.api.list(&path)?;
    let name = |pod: &Value| {
        pod["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let mut names: Vec<_> = pods.iter().map(name).collect();
    names.sort();
    Ok(names)
}

fn wait_pods(rig: &Rig, node: &str, mut wanted: Vec<String>, limit: Duration) -> Result<()> {
    wanted.sort();
    wait_until(limit, &format!("these pods on {node}: {wanted:?}"), || {
        let names = pods_on(rig, node)?;
        ensure!(names == wanted, "{names:?}");
        Ok(())
    })
}

fn with(names: &[String], more: &[&str]) -> Vec<String> {
    names
        .iter()
        .cloned()
        .chain(more.iter().map(|name| (*name).to_owned()))
        .collect()
}

fn answers(rig: &Rig, pod: &str) -> Result<Vec<u16>> {
    let evictions = rig.evictions()?;
    Ok(evictions
        .into_iter()
        .filter(|(name, _)| name == pod)
        .map(|(_, code)| code)
        .collect())
}

#[test]
fn evictions_take_what_may_go_and_no_more() -> Result<()> {
    let Some(mut rig) = Rig::start(&[])? else {
        return Ok(());
    };
    prepare(&mut rig)?;
    let keepers = add_keepers(&rig, "n1")?;
    // The first in the order is held by its budget; it must hold up none of the others.
    Pod::new("shop", "web-1", "n1")
        .priority_class("low")
        .create(&rig.api)?;
    for name in ["api-1", "api-2", "api-3"] {
        Pod::new("shop", name, "n1").create(&rig.api)?;
    }
    Budget::create(&rig.api, "shop", "web", 0)?;
    let action = json!({"type": "evict", "evict": {"maxPods": 2}});
    rig.apply_rule(&rule_for("n1", "relief", &action, &json!([])))?;
    rig.stack.operator().start()?;
    wait_until(LIMIT, "two evictions", || {
        let left = pods_on(&rig, "n1")?;
        ensure!(left.len() == keepers.len() + 2, "{left:?}");
        Ok(())
    })?;
    // Three more runs: nothing else goes, though the rule stays triggered.
    rig.wait_runs(3)?;
    let left = pods_on(&rig, "n1")?;
    ensure!(left.len() == keepers.len() + 2, "{left:?}");
    ensure!(keepers.iter().all(|name| left.contains(name)), "{left:?}");
    ensure!(left.iter().any(|name| name == "web-1"), "{left:?}");
    let evictions = rig.evictions()?;
    let codes = |wanted: u16| evictions.iter().filter(|(_, code)| *code == wanted).count();
    ensure!(codes(201) == 2, "{evictions:?}");
    ensure!(
        evictions.first() == Some(&("web-1".to_owned(), 429)),
        "{evictions:?}"
    );
    let unschedulable = rig.node("n1")?["spec"]["unschedulable"].take();
    ensure!(unschedulable.is_null(), "an eviction has cordoned the node");
    rig.close()
}

#[test]
fn a_drain_cordons_and_ends_when_the_last_pod_is_gone() -> Result<()> {
    let Some(mut rig) = Rig::start(&[])? else {
        return Ok(());
    };
    prepare(&mut rig)?;
    let keepers = add_keepers(&rig, "n1")?;
    for name in ["web-1", "api-1", "api-2"] {
        Pod::new("shop", name, "n1").create(&rig.api)?;
    }
    Pod::new("shop", "api-3", "n2").create(&rig.api)?;
    let budget = Budget::create(&rig.api, "shop", "web", 0)?;
    let action = json!({"type": "drain", "drain": {"gracePeriod": 5, "timeout": "5m"}});
    let uncordon = json!([{"type": "uncordon"}]);
    rig.apply_rule(&rule_for("n1", "drained", &action, &uncordon))?;
    rig.stack.operator().start()?;
    wait_pods(&rig, "n1", with(&keepers, &["web-1"]), LIMIT)?;
    ensure!(
        rig.node("n1")?["spec"]["unschedulable"] == true,
        "not cordoned"
    );
    wait_until(LIMIT, "refusal by the budget", || {
        let codes = answers(&rig, "web-1")?;
        ensure!(codes.first() == Some(&429), "{codes:?}");
        Ok(())
    })?;
    ensure!(
        !job_ended(&mut rig)?,
        "the drain has ended with a pod to go"
    );

    let start = Instant::now();
    budget.allow(&rig.api, 1)?;
    wait_pods(&rig, "n1", keepers.clone(), RETRY_LIMIT)?;
    eprintln!(
        "the held pod left {:?} after its budget allowed it",
        start.elapsed()
    );
    wait_until(LIMIT, "end of the drain", || {
        ensure!(job_ended(&mut rig)?, "no line in the log");
        Ok(())
    })?;
    ensure!(answers(&rig, "web-1")?.last() == Some(&201));
    ensure!(
        pods_on(&rig, "n2")? == ["api-3"],
        "the other node lost its pod"
    );

    rig.stack.exporter().set("n1", Load::default());
    wait_until(LIMIT, "end of the cordon", || {
        let spec = rig.node("n1")?["spec"].take();
        ensure!(spec["unschedulable"].is_null(), "{spec}");
        Ok(())
    })?;
    rig.close()
}

/// Nodes, of which the first is under load, a namespace, and a kubelet that ends pods.
fn prepare(rig: &mut Rig) -> Result<()> {
    rig.add_nodes(&NODES)?;
    rig.heat("n1")?;
    for namespace in ["shop", "kube-system"] {
        rig.stack.cluster().ensure_namespace(namespace)?;
    }
    rig.api.apply_object(&json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "low"}, "value": -10,
    }))?;
    rig.stack.start_kubelet(Duration::ZERO);
    Ok(())
}

fn job_ended(rig: &mut Rig) -> Result<bool> {
    let log = rig.stack.operator().log()?;
    Ok(log.iter().any(|line| line.message() == "job ended"))
}
