//! The harness itself: every server comes up, answers, and can be taken away and brought back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ng_tests::server::Signal;
use ng_tests::{Budget, Hook, Load, Node, Pod, Stack, Tools, wait_until};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

/// Copies its input once a second, and reports one metric.
const WATCHER: &str = r#"#!/bin/sh
if [ "$1" = --config ]; then
cat <<'END'
{"configVersion":"v1",
 "kubernetes":[{"name":"nodes","apiVersion":"v1","kind":"Node","queue":"watch",
   "executeHookOnEvent":[],"executeHookOnSynchronization":false,
   "keepFullObjectsInMemory":false,"jqFilter":"{name: .metadata.name}"}],
 "schedule":[{"name":"tick","crontab":"* * * * * *","queue":"watch","includeSnapshotsFrom":["nodes"]}]}
END
exit 0
fi
cp "$BINDING_CONTEXT_PATH" "$NODEGUARDIAN_STATE_DIR/context.new"
mv "$NODEGUARDIAN_STATE_DIR/context.new" "$NODEGUARDIAN_STATE_DIR/context.json"
echo '{"name":"smoke_runs","set":7,"labels":{"rule":"a"}}' >"$METRICS_PATH"
echo '{"operation":"MergePatch","apiVersion":"v1","kind":"Node","name":"n1","mergePatch":{"metadata":{"labels":{"seen":"yes"}}}}' >"$KUBERNETES_PATCH_PATH"
echo '{"level":"info","msg":"looked","nodes":2}'
"#;

fn snapshot_names(stack: &Stack) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(stack.state_dir().join("context.json"))?;
    let contexts: serde_json::Value = serde_json::from_str(&text)?;
    let nodes = contexts[0]["snapshots"]["nodes"].as_array();
    let nodes = nodes.with_context(|| contexts.to_string())?;
    Ok(nodes
        .iter()
        .filter_map(|node| node["filterResult"]["name"].as_str().map(str::to_owned))
        .collect())
}

/// A stack with two nodes whose hook has seen both.
fn watched_stack(tools: Tools) -> Result<Stack> {
    let mut stack = Stack::builder(tools)
        .hook(Hook::script("001-watcher", WATCHER))
        .start()?;
    for name in ["n1", "n2"] {
        Node::new(name)
            .label("role", "worker")
            .create(stack.api())?;
    }
    stack.operator().start()?;
    wait_until(LIMIT, "snapshot with both nodes", || {
        let names = snapshot_names(&stack)?;
        ensure!(names == ["n1", "n2"], "{names:?}");
        Ok(())
    })?;
    Ok(stack)
}

#[test]
fn what_a_hook_does_shows_in_the_cluster_the_audit_the_metrics_and_the_log() -> Result<()> {
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let start = Instant::now();
    let mut stack = watched_stack(tools)?;
    eprintln!("a hook saw the nodes after {:?}", start.elapsed());
    let node = wait_until(LIMIT, "label set by the hook", || {
        let node = stack.api().get("/api/v1/nodes/n1")?;
        ensure!(
            node["metadata"]["labels"]["seen"] == "yes",
            "{}",
            node["metadata"]
        );
        Ok(node)
    })?;
    ensure!(
        node["spec"]["taints"].is_null(),
        "a new node has taints: {}",
        node["spec"]
    );
    // A request is in the audit log when it has been answered, a moment after what it changed can be seen.
    let writes = wait_until(LIMIT, "write in the audit log", || {
        let writes = stack.writes_by(stack.hook_user())?;
        ensure!(!writes.is_empty(), "none");
        Ok(writes)
    })?;
    ensure!(
        writes
            .iter()
            .all(|write| write.verb == "patch" && write.resource == "nodes"),
        "{writes:?}"
    );
    wait_until(LIMIT, "metric of the hook", || {
        let value = stack
            .operator()
            .hook_metric("smoke_runs", &["rule=\"a\""])?;
        ensure!(value == Some(7.0), "{value:?}");
        Ok(())
    })?;
    let log = stack.operator().log()?;
    let own = log
        .iter()
        .find(|line| line.message() == "looked")
        .context("no line of the hook")?;
    ensure!(
        own.hook() == "001-watcher" && own.fields()["hook_nodes"] == 2,
        "{own:?}"
    );
    eprintln!("resident: {} MiB", stack.resident_bytes()? >> 20);
    Ok(())
}

#[test]
fn the_api_server_and_shell_operator_come_back_where_they_were() -> Result<()> {
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let mut stack = watched_stack(tools)?;
    stack.cluster().stop();
    ensure!(
        stack.api().get("/api/v1/nodes").is_err(),
        "a stopped API server answers"
    );
    stack.cluster().restart()?;
    Node::new("n3").create(stack.api())?;
    wait_until(
        Duration::from_mins(1),
        "the node made after the restart",
        || {
            let names = snapshot_names(&stack)?;
            ensure!(names.len() == 3, "{names:?}");
            Ok(())
        },
    )?;
    let status = stack.operator().terminate(LIMIT)?;
    ensure!(status == 0, "shell-operator ended with {status}");
    ensure!(!stack.operator().is_running(), "shell-operator still runs");
    stack.operator().start()?;
    stack.operator().kill();
    ensure!(
        !stack.operator().is_running(),
        "a killed shell-operator runs"
    );
    Ok(())
}

#[test]
fn an_eviction_is_refused_by_its_budget_and_a_kubelet_ends_the_pod() -> Result<()> {
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let mut stack = Stack::builder(tools).start()?;
    let api = stack.api().clone();
    Node::new("n1").create(&api)?;
    stack.cluster().ensure_namespace("shop")?;
    Pod::new("shop", "web-1", "n1").create(&api)?;
    let budget = Budget::create(&api, "shop", "web", 0)?;
    let refused = api
        .evict("shop", "web-1")
        .err()
        .context("evicted against the budget")?;
    ensure!(refused.code() == Some(429), "{refused}");

    budget.allow(&api, 1)?;
    api.evict("shop", "web-1")?;
    ensure!(budget.allowed(&api)? == 0, "the eviction was not counted");
    let pod = api.get("/api/v1/namespaces/shop/pods/web-1")?;
    ensure!(
        pod["metadata"]["deletionTimestamp"].is_string(),
        "not terminating: {pod}"
    );
    stack.start_kubelet(Duration::ZERO);
    wait_until(LIMIT, "end of the pod", || {
        match api.get("/api/v1/namespaces/shop/pods/web-1") {
            Err(error) if error.code() == Some(404) => Ok(()),
            Err(error) => bail!(error),
            Ok(pod) => bail!("{}", pod["metadata"]),
        }
    })?;

    let reader = stack.cluster().as_service_account("shop", "default")?;
    let forbidden = reader.get("/api/v1/nodes").err().context("no RBAC")?;
    ensure!(forbidden.code() == Some(403), "{forbidden}");
    let evictions = stack.writes_by("admin")?;
    let codes: Vec<_> = evictions
        .iter()
        .filter(|write| write.resource == "pods/eviction")
        .map(|write| write.code)
        .collect();
    ensure!(codes == [429, 201], "{codes:?}");
    Ok(())
}

#[test]
fn a_manifest_is_applied_with_its_crd_and_its_rights() -> Result<()> {
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let mut stack = Stack::builder(tools)
        .manifest(format!("{data}/crd.yaml"))
        .rights(format!("{data}/rights.yaml"))
        .service_account("smoke", "hooks")
        .start()?;
    let widget = json!({
        "apiVersion": "ng-tests.example/v1", "kind": "Widget",
        "metadata": {"name": "w"}, "spec": {"size": 1},
    });
    stack.api().apply_object(&widget)?;
    let hooks = stack.cluster().as_service_account("smoke", "hooks")?;
    ensure!(hooks.list("/apis/ng-tests.example/v1/widgets")?.len() == 1);
    let forbidden = hooks.delete("/apis/ng-tests.example/v1/widgets/w").err();
    ensure!(forbidden.and_then(|error| error.code()) == Some(403));
    Ok(())
}

#[test]
fn prometheus_has_made_up_and_real_nodes_and_comes_back() -> Result<()> {
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let mut stack = Stack::builder(tools).start()?;
    let load = Load {
        cpu_load_ratio: 2.5,
        cpu_percent: 80.0,
        ..Load::default()
    };
    stack.exporter().set("node-007", load);
    let ratio = "node_load5{node=\"node-007\"} / on (node) group_left \
                 count by (node) (node_cpu_seconds_total{mode=\"idle\"})";
    wait_until(LIMIT, "load of the made-up node", || {
        let value = stack.prometheus().value(ratio)?;
        ensure!((value - 2.5).abs() < 1e-9, "{value}");
        Ok(())
    })?;
    wait_until(LIMIT, "rate of its processors", || {
        let busy = "100 * (1 - avg by (node) (rate(node_cpu_seconds_total{mode=\"idle\",node=\"node-007\"}[10s])))";
        let value = stack.prometheus().value(busy)?;
        ensure!((value - 80.0).abs() < 5.0, "{value}");
        Ok(())
    })?;
    wait_until(LIMIT, "load of this machine", || {
        stack
            .prometheus()
            .value("node_load1{job=\"real-node-exporter\"}")
    })?;
    stack.exporter().remove("node-007");
    wait_until(LIMIT, "end of the removed series", || {
        let series = stack.prometheus().query("node_load5{node=\"node-007\"}")?;
        ensure!(series.is_empty(), "{series:?}");
        Ok(())
    })?;
    stack.prometheus().stop();
    ensure!(
        stack.prometheus().query("up").is_err(),
        "a stopped Prometheus answers"
    );
    stack.prometheus().restart()?;
    wait_until(LIMIT, "scrapes after the restart", || {
        stack.prometheus().value("sum(up)")
    })?;
    stack.prometheus().signal(Signal::Stop)?;
    stack.prometheus().signal(Signal::Continue)?;
    Ok(())
}
