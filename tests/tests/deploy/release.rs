//! A release of the chart on a real API server: installed, upgraded and removed by Helm.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ng_tests::files::copy;
use ng_tests::manifests::{CHART, checkout, told};
use ng_tests::server::write_file;
use ng_tests::{Clients, Stack, Tools, wait_until};
use serde_json::Value;

use crate::objects::items;
use crate::rig::LIMIT;

const NAMESPACE: &str = "nodeguardian-system";
const KIND: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nodeguardianrules.nodeguardian.k8s.io";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/nodeguardian-system/deployments";

/// Helm as somebody who may do everything.
struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    dir: PathBuf,
}

impl Helm {
    fn new(stack: &mut Stack, program: &Path) -> Result<Self> {
        let dir = stack.dir().join("helm");
        std::fs::create_dir_all(&dir)?;
        let kubeconfig = dir.join("kubeconfig");
        let cluster = stack.cluster();
        // Without rights of its own the stack gives this account every right.
        cluster.write_kubeconfig(&kubeconfig, "administration", "administrator")?;
        Ok(Self {
            program: program.to_owned(),
            kubeconfig,
            dir,
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.program)
            .args(arguments)
            .args(["--namespace", NAMESPACE])
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HELM_CACHE_HOME", self.dir.join("cache"))
            .env("HELM_CONFIG_HOME", self.dir.join("config"))
            .env("HELM_DATA_HOME", self.dir.join("data"))
            .output();
        told(output.context("cannot run helm")?).with_context(|| arguments.join(" "))
    }
}

/// The chart as an earlier version could have been: its rules had no columns to print.
fn earlier(dir: &Path) -> Result<PathBuf> {
    let chart = dir.join("earlier");
    copy(&checkout(CHART), &chart)?;
    let path = chart.join("files/crds/nodeguardianrules.yaml");
    let mut kind: Value = serde_yaml::from_str(&std::fs::read_to_string(&path)?)?;
    let version = &mut kind["spec"]["versions"][0];
    ensure!(items(&version["additionalPrinterColumns"]).count() > 0);
    version["additionalPrinterColumns"] = Value::Array(Vec::new());
    write_file(&path, serde_yaml::to_string(&kind)?)?;
    Ok(chart)
}

#[test]
fn a_release_upgrades_its_kinds_and_leaves_them_with_the_rules() -> Result<()> {
    let (Some(tools), Some(clients)) = (Tools::for_test()?, Clients::for_test()?) else {
        return Ok(());
    };
    let mut stack = Stack::builder(tools)
        .service_account("administration", "administrator")
        .start()?;
    let api = stack.api().clone();
    let helm = Helm::new(&mut stack, &clients.helm)?;
    let earlier = earlier(&helm.dir)?.display().to_string();
    let chart = checkout(CHART).display().to_string();
    let columns = || -> Result<usize> {
        let kind = api.get(KIND)?;
        Ok(items(&kind["spec"]["versions"][0]["additionalPrinterColumns"]).count())
    };
    helm.run(&[
        "install",
        "nodeguardian",
        &earlier,
        "--create-namespace",
        "--set",
        "profile=detect",
    ])?;
    ensure!(columns()? == 0, "{} columns", columns()?);
    ensure!(
        api.get(&format!("{ROLES}/nodeguardian-evict")).is_err(),
        "too many rights"
    );
    ensure!(
        api.get(&format!("{DEPLOYMENTS}/nodeguardian")).is_ok(),
        "no Deployment"
    );

    let examples = std::fs::read_to_string(checkout("config/examples/high-load-isolation.yaml"))?;
    api.apply(&examples)?;
    helm.run(&["upgrade", "nodeguardian", &chart, "--set", "profile=full"])?;
    ensure!(columns()? > 0, "the kind was not upgraded");
    api.get(&format!("{ROLES}/nodeguardian-evict"))?;
    helm.run(&["upgrade", "nodeguardian", &chart, "--set", "profile=alert"])?;
    ensure!(
        api.get(&format!("{ROLES}/nodeguardian-cordon")).is_err(),
        "rights stay"
    );

    helm.run(&["uninstall", "nodeguardian"])?;
    ensure!(
        api.get(&format!("{DEPLOYMENTS}/nodeguardian")).is_err(),
        "the Deployment stays"
    );
    ensure!(
        api.get(&format!("{ROLES}/nodeguardian-detect")).is_err(),
        "rights stay"
    );
    ensure!(columns()? > 0, "the kind is gone");
    // For a moment after its kind has changed the server answers nothing.
    wait_until(LIMIT, "the rules", || {
        let rules = api.list("/apis/nodeguardian.k8s.io/v1/nodeguardianrules")?;
        ensure!(rules.len() == 1, "{} rules", rules.len());
        Ok(())
    })?;
    // And a new release takes the kinds over again.
    helm.run(&["install", "nodeguardian", &chart])?;
    Ok(())
}
