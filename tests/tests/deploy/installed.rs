//! shell-operator with every hook, installed from the rendered chart: its rights, configuration and variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ng_tests::manifests::{Step, checkout, template};
use ng_tests::objects::create_nodes;
use ng_tests::server::write_file;
use ng_tests::{Clients, Load, Node, Stack, Tools};
use serde_json::{Value, json};

use crate::objects::{Objects, by_name, configuration_text, items, pod, word};
use crate::rig::{Receiver, Rig, rule, taint};

/// Everything about rights of a release, as a manifest.
fn rights(objects: &Objects, dir: &Path) -> Result<PathBuf> {
    let mut manifest = String::new();
    for object in objects.values() {
        let group = word(&object["apiVersion"]);
        if object["kind"] == "ServiceAccount" || group.starts_with("rbac.authorization.k8s.io/") {
            manifest.push_str("---\n");
            manifest.push_str(&serde_yaml::to_string(object)?);
        }
    }
    let path = dir.join("rights.yaml");
    write_file(&path, manifest)?;
    Ok(path)
}

/// The variables of the container. Its folders are folders of the test's.
fn variables(objects: &Objects, dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    let container = &pod(objects)?["containers"][0];
    for variable in items(&container["env"]) {
        let name = word(&variable["name"]).to_owned();
        let value = if variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace" {
            "nodeguardian-system".to_owned()
        } else {
            word(&variable["value"]).to_owned()
        };
        let mounted = items(&container["volumeMounts"]).find_map(|mount| {
            let rest = value.strip_prefix(word(&mount["mountPath"]))?;
            Some((word(&mount["name"]), rest.trim_start_matches('/')))
        });
        let value = match mounted {
            Some((volume, rest)) => {
                let folder = dir.join(volume);
                std::fs::create_dir_all(&folder)?;
                folder.join(rest).display().to_string()
            }
            None => value,
        };
        variables.insert(name, value);
    }
    Ok(variables)
}

#[test]
fn a_release_of_the_chart_heals_a_node() -> Result<()> {
    let (Some(tools), Some(clients)) = (Tools::for_test()?, Clients::for_test()?) else {
        return Ok(());
    };
    let receiver = Receiver::start()?;
    let webhook = format!("config.alert.webhookUrl={}", receiver.url);
    let arguments = ["--set", &webhook, "--set", "config.alert.batchTimeout=1s"];
    let release = by_name(template(&clients.helm, &arguments)?)?;
    let dir = tempfile::Builder::new().prefix("ng-release-").tempdir()?;
    let mut builder = Stack::builder(tools).rights(rights(&release, dir.path())?);
    let variables = variables(&release, dir.path())?;
    for name in [
        "OBJECT_PATCHER_KUBE_CLIENT_QPS",
        "SHELL_OPERATOR_TMP_DIR",
        "DEBUG_UNIX_SOCKET",
    ] {
        ensure!(variables.contains_key(name), "no {name}: {variables:?}");
    }
    for (name, value) in &variables {
        builder = builder.env(name, value);
    }
    let mut rig = Rig::start(builder)?;
    let config: Value = serde_json::from_str(configuration_text(&release)?)?;
    rig.configure(config)?;
    let map = release
        .get("ConfigMap nodeguardian-system/nodeguardian-config")
        .context("no configuration")?;
    rig.api.apply_object(map)?;
    let alert = json!({"type": "alert", "alert": {"channels": ["webhook"]}});
    rig.api
        .apply_object(&rule("hot", &json!([taint(), alert])))?;
    rig.heat()?;
    rig.stack.operator().start()?;
    rig.wait_taint(true)?;
    rig.wait_held("hot", true)?;
    receiver.wait("hot")?;
    rig.load(Load::default(), false)?;
    rig.wait_taint(false)?;
    rig.wait_held("hot", false)?;
    close(&mut rig)
}

/// Nothing was refused for want of rights, and no run has failed.
fn close(rig: &mut Rig) -> Result<()> {
    rig.stack.operator().kill();
    let user = rig.stack.hook_user().to_owned();
    for request in rig.stack.cluster().requests()? {
        // There is no metrics server here, and who may not ask for what does not exist is told nothing else.
        ensure!(
            request.user != user || request.code != 403,
            "refused: {request:?}"
        );
    }
    for line in rig.stack.operator().log()? {
        ensure!(!line.message().contains("Hook failed"), "{}", line.fields());
    }
    Ok(())
}

/// What the hooks may take beside shell-operator, in MiB: a check of the node-monitor and a delivery at one time.
const HOOKS: u64 = 128;

/// Run by hand for the requests and limits of the Deployment:
/// `cargo test -p ng-tests --test deploy -- --ignored --nocapture memory`.
#[test]
#[ignore = "a measurement of minutes"]
fn the_memory_for_5000_nodes_leaves_room_for_the_hooks() -> Result<()> {
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let manifest = std::fs::read_to_string(checkout("deploy/base/deployment.yaml"))?;
    let deployment: Value = serde_yaml::from_str(&manifest)?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let limit = word(&container["resources"]["limits"]["memory"]);
    let limit: u64 = limit.trim_end_matches("Mi").parse()?;
    let soft = items(&container["env"]).find(|variable| variable["name"] == "GOMEMLIMIT");
    let soft = soft.context("no GOMEMLIMIT")?;
    let builder = Stack::builder(tools)
        .shipped_rights(&Step::ALL)
        .env("GOMEMLIMIT", word(&soft["value"]));
    let mut rig = Rig::start(builder)?;
    rig.configure(json!({}))?;
    for number in 0..100 {
        let rule = rule(&format!("rule-{number:02}"), &json!([taint()]));
        rig.api.apply_object(&rule)?;
    }
    let mut there = 0;
    for size in [100_u32, 1_000, 5_000] {
        let nodes: Vec<Node> = (there..size)
            .map(|number| Node::new(&format!("node-{number:04}")))
            .collect();
        create_nodes(&rig.api, &nodes)?;
        there = size;
        let most = peak(&mut rig, f64::from(size))?;
        eprintln!("shell-operator with {size} nodes and 100 rules: {most} MiB at most");
        ensure!(most + HOOKS <= limit, "{most} MiB of {limit} MiB");
    }
    Ok(())
}

/// The most resident memory of shell-operator in MiB, in the half minute after it has seen all nodes.
fn peak(rig: &mut Rig, nodes: f64) -> Result<u64> {
    rig.stack.operator().start()?;
    rig.wait_monitored(nodes)?;
    let mut most = 0;
    for _ in 0..30 {
        most = most.max(rig.stack.operator().resident_bytes()? >> 20);
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(most)
}
