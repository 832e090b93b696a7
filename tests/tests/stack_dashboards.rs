//! Every question of the dashboards, and every metric of the alert rules, in a real Prometheus that scrapes a real
//! shell-operator with all hooks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ng_engine::time::Time;
use ng_state::Store;
use ng_tests::dashboards::{Dashboard, Query, alert_rules, metrics_of};
use ng_tests::manifests::Step;
use ng_tests::server::write_file;
use ng_tests::{Hook, Load, Node, Stack, Tools, program, wait_until};
use serde_json::json;

/// Long enough for two checks of the node monitor, and for a rate over them, on a busy machine.
const LIMIT: Duration = Duration::from_mins(3);

const HOOKS: [(&str, &str, &str); 5] = [
    ("000-config-loader", "ng-config-loader", "config-loader"),
    ("001-nodeguardian-controller", "ng-controller", "controller"),
    ("002-alert-manager", "ng-alert-manager", "alert-manager"),
    (
        "003-recovery-manager",
        "ng-recovery-manager",
        "recovery-manager",
    ),
    ("004-node-monitor", "ng-node-monitor", "node-monitor"),
];
const HOT: &str = "hot";
/// A node that Prometheus knows nothing of.
const SILENT: &str = "silent";
const NODES: [&str; 3] = ["idle", HOT, SILENT];

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn every_panel_and_every_rule_finds_its_series() -> Result<()> {
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let mut stack = all_hooks(tools)?;
    configure(&stack)?;
    foretell(&stack)?;
    populate(&stack)?;
    let target = stack.operator().address();
    let prometheus = stack.prometheus();
    prometheus.scrape("hooks", &target, "/metrics/hooks")?;
    prometheus.scrape("shell-operator", &target, "/metrics")?;
    stack.operator().start()?;

    let mut open = Vec::new();
    for dashboard in Dashboard::shipped()? {
        open.extend(dashboard.queries()?);
    }
    open.extend(metrics_of_rules()?);
    ensure!(open.len() > 60, "only {} questions", open.len());
    // What a short run shows only for a moment counts, too: an answer that has come need not come again.
    wait_until(LIMIT, "series for every question", || {
        let mut silent = Vec::new();
        for query in open.drain(..) {
            if !has_answer(&mut stack, &query)? {
                silent.push(query);
            }
        }
        open = silent;
        ensure!(open.is_empty(), "{open:#?}");
        Ok(())
    })?;
    let log = stack.operator().log()?;
    let failed = log
        .iter()
        .find(|line| line.message().contains("Hook failed"));
    ensure!(failed.is_none(), "a run failed: {failed:?}");
    Ok(())
}

fn all_hooks(tools: Tools) -> Result<Stack> {
    let mut builder = Stack::builder(tools)
        .manifests_in(project("config/crd"))?
        .shipped_rights(&Step::ALL);
    for (name, package, binary) in HOOKS {
        builder = builder.hook(Hook::program(name, program(package, binary)?));
    }
    builder.start()
}

/// The same configuration in the pod's folder and in the cluster, where the config-loader looks.
fn configure(stack: &Stack) -> Result<()> {
    let config = json!({
        "alert": {"defaultChannels": ["log"], "batchTimeout": "1s"},
        "nodeMonitor": {"checkInterval": "10s", "perNodeMetrics": true},
    })
    .to_string();
    write_file(&stack.config_dir().join("config.json"), &config)?;
    stack.api().create(
        "/api/v1/namespaces/nodeguardian-system/configmaps",
        &json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "nodeguardian-config", "namespace": "nodeguardian-system"},
            "data": {"config.json": config},
        }),
    )?;
    Ok(())
}

/// A forecast as an earlier check left it: one takes more readings than a test has time for. It is of the node without
/// readings, which says nothing to the contrary.
fn foretell(stack: &Stack) -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the hooks compare with the clock of the machine"
    )]
    let now = Time::from(jiff::Timestamp::now());
    let expected = now.plus(Duration::from_hours(20));
    let row = json!({"episodes": {"disk_full_soon": {
        "since": now.millis(), "level": "warning", "expected": expected.millis(),
    }}})
    .to_string();
    let mut store = Store::open(&stack.state_dir(), now)?.store;
    let mut transaction = store.begin()?;
    let key = format!("node/{SILENT}");
    transaction.set_monitor_rows([(key.as_str(), Some(row.as_str()))])?;
    transaction.commit()?;
    Ok(())
}

/// Nodes of which one is overloaded and one unknown, and a rule that tells of the first.
fn populate(stack: &Stack) -> Result<()> {
    for node in NODES {
        Node::new(node).create(stack.api())?;
    }
    let hot = Load {
        cpu_load_ratio: 3.0,
        memory_percent: 96.0,
        ..Load::default()
    };
    for (node, load) in [("idle", Load::default()), (HOT, hot)] {
        stack.exporter().set(node, load);
        stack.exporter().also_serve(&of_other_exporters(node));
    }
    stack.api().apply_object(&json!({
        "apiVersion": "nodeguardian.k8s.io/v1", "kind": "NodeGuardianRule",
        "metadata": {"name": "busy"},
        "spec": {
            "conditions": [{"metric": "cpuLoadRatio", "operator": ">", "value": 1.5, "duration": "0s"}],
            "actions": [
                {"type": "taint", "taint": {"key": "example.com/busy", "effect": "NoSchedule"}},
                {"type": "alert"},
            ],
            "monitoring": {"checkInterval": "5s", "cooldownPeriod": "30m"},
        },
    }))?;
    Ok(())
}

/// Inodes of a file system, and what kube-state-metrics says of a pod and its node.
fn of_other_exporters(node: &str) -> String {
    format!(
        "node_filesystem_files{{node=\"{node}\",mountpoint=\"/\",fstype=\"ext4\"}} 1000\n\
         node_filesystem_files_free{{node=\"{node}\",mountpoint=\"/\",fstype=\"ext4\"}} 900\n\
         kube_pod_info{{node=\"{node}\",namespace=\"default\",pod=\"on-{node}\"}} 1\n\
         kube_node_status_allocatable{{node=\"{node}\",resource=\"pods\"}} 110\n"
    )
}

/// For each metric of the alert rules whether there is any: none of them should fire here.
fn metrics_of_rules() -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for rule in alert_rules()? {
        let alert = rule["alert"].as_str().context("a rule without a name")?;
        let promql = rule["expr"].as_str().context("a rule without PromQL")?;
        let metrics = metrics_of(promql).into_iter();
        queries.extend(metrics.map(|metric| Query {
            place: alert.to_owned(),
            promql: format!("count({metric})"),
        }));
    }
    Ok(queries)
}

/// Whether there is an answer that is a number.
fn has_answer(stack: &mut Stack, query: &Query) -> Result<bool> {
    let series = stack.prometheus().query(&query.promql);
    let series = series.with_context(|| query.place.clone())?;
    Ok(series.iter().any(|series| series["value"][1] != "NaN"))
}
