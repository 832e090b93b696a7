//! `deploy/deploy.sh` with kubectl against a real API server: onto the cluster, checked, and away again.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use ng_tests::files;
use ng_tests::server::write_file;
use ng_tests::tools::installed;
use ng_tests::{Node, Stack, Tools, program};
use serde_json::{Value, json};

const NAMESPACE: &str = "nodeguardian-system";
const RULES: &str = "/apis/nodeguardian.k8s.io/v1/nodeguardianrules";
const RIGHTS: &str = "/apis/rbac.authorization.k8s.io/v1";
/// What every object of ours is labelled, as a query has it.
const OURS: &str = "app.kubernetes.io%2Fname%3Dnodeguardian";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A cluster without anything of NodeGuardian, and a folder of programs for the script to find.
struct Rig {
    stack: Stack,
    kubeconfig: PathBuf,
    bin: PathBuf,
    kubectl: PathBuf,
}

impl Rig {
    fn start() -> Result<Option<Self>> {
        let Some(tools) = Tools::for_test()? else {
            return Ok(None);
        };
        let Some(kubectl) = kubectl()? else {
            return Ok(None);
        };
        let mut stack = Stack::builder(tools)
            .service_account("kube-system", "installer")
            .start()?;
        // A namespace of every cluster, in which some of our rights are.
        stack.cluster().ensure_namespace("kube-node-lease")?;
        let kubeconfig = stack.dir().join("kubeconfig");
        stack
            .cluster()
            .write_kubeconfig(&kubeconfig, "kube-system", "installer")?;
        let bin = stack.dir().join("bin");
        std::fs::create_dir(&bin)?;
        Ok(Some(Self {
            stack,
            kubeconfig,
            bin,
            kubectl,
        }))
    }

    /// Runs the script; it finds kubectl, and of ours only what `replay` says.
    fn run(&self, script: &Path, replay: Option<&Path>, arguments: &[&str]) -> Result<Output> {
        let link = self.bin.join("kubectl");
        if !link.exists() {
            std::os::unix::fs::symlink(&self.kubectl, &link)?;
        }
        let mut command = Command::new(script);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.bin.display()))
            .env("HOME", self.stack.dir())
            .env("KUBECONFIG", &self.kubeconfig);
        if let Some(replay) = replay {
            command.env("NODEGUARDIAN_REPLAY", replay);
        }
        command.output().context("cannot run deploy.sh")
    }

    fn deploy_sh(&self, arguments: &[&str]) -> Result<Output> {
        let replay = program("ng-replay", "replay")?;
        self.run(&project("deploy/deploy.sh"), Some(&replay), arguments)
    }

    fn exists(&self, path: &str) -> Result<bool> {
        match self.stack.api().get(path) {
            Ok(object) => Ok(object["metadata"]["deletionTimestamp"].is_null()),
            Err(error) if error.code() == Some(404) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// kubectl as the tests build it, or the one of the machine.
fn kubectl() -> Result<Option<PathBuf>> {
    let built = project("target/stack-tools/kubectl");
    if built.is_file() {
        return Ok(Some(built));
    }
    installed(&["kubectl"], "kubectl", |_| true)
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A node that carries marks of ours and of others, and a rule whose status tells which are ours.
fn hold(rig: &Rig) -> Result<()> {
    let api = rig.stack.api();
    Node::new("n1")
        .label("example.com/team", "blue")
        .label("example.com/hot", "yes")
        .annotation("example.com/why", "load")
        .taint("example.com/dedicated", "db", "NoSchedule")
        .taint("example.com/hot", "yes", "NoSchedule")
        .create(api)?;
    let cordon = json!({"spec": {"unschedulable": true}});
    let node = api.patch("/api/v1/nodes/n1", &cordon)?;
    let rule = json!({
        "apiVersion": "nodeguardian.k8s.io/v1", "kind": "NodeGuardianRule",
        "metadata": {"name": "hot"},
        "spec": {
            "conditions": [{"metric": "cpuLoadRatio", "operator": ">", "value": 1.5}],
            "actions": [{"type": "cordon"}],
        },
    });
    api.apply_object(&rule)?;
    let status = json!({"status": {"phase": "Active", "triggeredNodes": ["n1"], "nodes": [{
        "name": "n1", "uid": node["metadata"]["uid"], "phase": "Triggered",
        "triggeredAt": "2026-01-01T00:00:00Z", "admitted": true,
        "owned": [
            {"kind": "taint", "key": "example.com/hot", "value": "yes", "effect": "NoSchedule"},
            {"kind": "label", "key": "example.com/hot", "value": "yes"},
            {"kind": "annotation", "key": "example.com/why", "value": "load"},
            {"kind": "cordon"},
        ],
    }]}});
    api.patch(&format!("{RULES}/hot/status"), &status)?;
    Ok(())
}

/// What on the node can be ours.
fn marks(rig: &Rig) -> Result<Value> {
    let node = rig.stack.api().get("/api/v1/nodes/n1")?;
    Ok(json!({
        "hot": node["metadata"]["labels"]["example.com/hot"],
        "team": node["metadata"]["labels"]["example.com/team"],
        "why": node["metadata"]["annotations"]["example.com/why"],
        "taints": node["spec"]["taints"].as_array().map(Vec::len),
        "unschedulable": node["spec"]["unschedulable"],
    }))
}

/// Applies everything, and hears what is missing: nothing here runs pods.
fn come(rig: &Rig, deployment: &str) -> Result<()> {
    let output = rig.deploy_sh(&["--verify", "--timeout", "2"])?;
    ensure!(code(&output) == Some(1), "{output:?}");
    for missing in [
        "the definition nodeguardianrules.nodeguardian.k8s.io is not there",
        "there is no Deployment nodeguardian in namespace nodeguardian-system",
        "NodeGuardian does not run: see the 3 messages above",
    ] {
        ensure!(
            err(&output).contains(missing),
            "no {missing:?} in {output:?}"
        );
    }

    // Nothing here runs pods, and the script has to say that it misses them.
    let output = rig.deploy_sh(&["--deploy", "--examples", "--verify", "--timeout", "5"])?;
    ensure!(code(&output) == Some(1), "{output:?}");
    for missing in [
        "the Deployment was not ready within 5 s",
        "no pod was made for it",
        "NodeGuardian does not run: see the 1 messages above",
    ] {
        ensure!(
            err(&output).contains(missing),
            "no {missing:?} in {output:?}"
        );
    }
    ensure!(rig.exists(deployment)?, "{output:?}");
    ensure!(
        !rig.stack.api().list(RULES)?.is_empty(),
        "no example: {output:?}"
    );
    Ok(())
}

#[test]
fn it_comes_is_checked_and_goes_without_a_trace_on_nodes() -> Result<()> {
    let Some(rig) = Rig::start()? else {
        return Ok(());
    };
    let deployment = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/nodeguardian");
    come(&rig, &deployment)?;
    hold(&rig)?;
    let before = marks(&rig)?;
    let output = rig.deploy_sh(&["--cleanup", "--dry-run"])?;
    ensure!(code(&output) == Some(0), "{output:?}");
    ensure!(
        marks(&rig)? == before && rig.exists(&deployment)?,
        "a dry run changes"
    );

    let output = rig.deploy_sh(&["--cleanup", "--timeout", "20"])?;
    ensure!(code(&output) == Some(0), "{output:?}");
    ensure!(
        err(&output).contains("the state cannot be asked"),
        "{output:?}"
    );
    ensure!(
        out(&output).contains("1 node changed, statuses of 1 rule cleared"),
        "{output:?}"
    );
    let expected = json!({
        "hot": null, "team": "blue", "why": null, "taints": 1, "unschedulable": null,
    });
    ensure!(marks(&rig)? == expected, "{}", marks(&rig)?);
    for path in [
        &deployment,
        &format!("/api/v1/namespaces/{NAMESPACE}"),
        &format!("{CRDS}/nodeguardianrules.nodeguardian.k8s.io"),
        &format!("{CRDS}/alerttemplates.nodeguardian.k8s.io"),
        &format!("{RIGHTS}/namespaces/kube-node-lease/roles/nodeguardian-leases"),
    ] {
        ensure!(!rig.exists(path)?, "{path} is still there");
    }
    for kind in ["clusterroles", "clusterrolebindings"] {
        let left = rig
            .stack
            .api()
            .list(&format!("{RIGHTS}/{kind}?labelSelector={OURS}"))?;
        ensure!(left.is_empty(), "{kind} are still there: {left:?}");
    }

    let output = rig.deploy_sh(&["--cleanup"])?;
    ensure!(code(&output) == Some(0), "{output:?}");
    ensure!(out(&output).contains("0 nodes changed"), "{output:?}");
    Ok(())
}

#[test]
fn a_namespace_of_others_is_left_alone() -> Result<()> {
    let Some(rig) = Rig::start()? else {
        return Ok(());
    };
    let path = "/api/v1/namespaces/default";
    let before = rig.stack.api().get(path)?;
    for step in ["--deploy", "--cleanup"] {
        let output = rig.deploy_sh(&[step, "--namespace", "default"])?;
        ensure!(code(&output) == Some(1), "{step}: {output:?}");
        ensure!(
            err(&output).contains("namespace default: expected one of NodeGuardian alone"),
            "{step}: {output:?}"
        );
        ensure!(rig.stack.api().get(path)? == before, "{step} changed it");
    }
    Ok(())
}

#[test]
fn namespace_image_and_context_are_taken() -> Result<()> {
    let Some(rig) = Rig::start()? else {
        return Ok(());
    };
    let image = "registry.example.com/ops/nodeguardian:9.9.9";
    let options = [
        "--namespace",
        "guard",
        "--image",
        image,
        "--context",
        "stack",
    ];
    let output = rig.deploy_sh(&[&["--deploy"][..], &options[..]].concat())?;
    ensure!(code(&output) == Some(0), "{output:?}");
    let api = rig.stack.api();
    let deployment = api.get("/apis/apps/v1/namespaces/guard/deployments/nodeguardian")?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    ensure!(container["image"] == image, "{container}");
    let bindings = api.list("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings")?;
    let mut ours = bindings.iter().filter(|binding| {
        let name = binding["metadata"]["name"].as_str();
        name.is_some_and(|name| name.starts_with("nodeguardian"))
    });
    ensure!(
        ours.clone().count() > 0
            && ours.all(|binding| binding["subjects"][0]["namespace"] == "guard"),
        "{bindings:?}"
    );
    ensure!(
        !rig.exists(&format!("/api/v1/namespaces/{NAMESPACE}"))?,
        "both namespaces"
    );
    // Rights on the kubelets' leases stay where those are.
    let roles = api.list("/apis/rbac.authorization.k8s.io/v1/namespaces/kube-node-lease/roles")?;
    ensure!(!roles.is_empty(), "no role for leases");

    let output = rig.deploy_sh(&["--verify", "--context", "nowhere"])?;
    ensure!(code(&output) == Some(1), "{output:?}");
    ensure!(
        err(&output).contains("the cluster cannot be reached in context nowhere"),
        "{output:?}"
    );
    Ok(())
}

/// Without an executable here, a pod of the cluster does it; none runs in this one, so nothing may be removed.
#[test]
fn nothing_is_removed_before_the_nodes_are_clean() -> Result<()> {
    let Some(rig) = Rig::start()? else {
        return Ok(());
    };
    let copy = rig.stack.dir().join("copy");
    for folder in ["deploy", "config"] {
        files::copy(&project(folder), &copy.join(folder))?;
    }
    std::fs::copy(project("Cargo.toml"), copy.join("Cargo.toml"))?;
    let script = copy.join("deploy/deploy.sh");
    let output = rig.run(&script, None, &["--deploy"])?;
    ensure!(code(&output) == Some(0), "{output:?}");
    hold(&rig)?;
    let before = marks(&rig)?;
    let output = rig.run(&script, None, &["--cleanup", "--timeout", "3"])?;
    ensure!(code(&output) == Some(1), "{output:?}");
    ensure!(
        err(&output).contains("nothing was removed, run this again with --held none"),
        "{output:?}"
    );
    ensure!(marks(&rig)? == before, "{output:?}");
    ensure!(rig.exists(&format!("{RULES}/hot"))?, "{output:?}");
    let requests = rig
        .stack
        .writes_by("system:serviceaccount:kube-system:installer")?;
    let pod = requests.iter().find(|request| {
        request.verb == "create"
            && request.resource == "pods"
            && request.name == "nodeguardian-cleanup"
    });
    ensure!(
        pod.is_some_and(|request| request.code == 201),
        "{pod:?} {output:?}"
    );

    let broken = rig.stack.dir().join("broken");
    executable(&broken, "#!/bin/sh\necho something is left >&2\nexit 1\n")?;
    // Nobody is there to be asked any more, and whoever starts it has to say that this is all right.
    let output = rig.run(&script, Some(&broken), &["--cleanup", "--timeout", "3"])?;
    ensure!(code(&output) == Some(1), "{output:?}");
    ensure!(
        err(&output).contains("is stopped already") && !err(&output).contains("something is left"),
        "{output:?}"
    );
    let again = ["--cleanup", "--held", "none", "--timeout", "3"];
    let output = rig.run(&script, Some(&broken), &again)?;
    ensure!(code(&output) == Some(1), "{output:?}");
    ensure!(err(&output).contains("something is left"), "{output:?}");
    ensure!(rig.exists(&format!("{RULES}/hot"))?, "{output:?}");
    Ok(())
}

/// kubectl of a cluster that runs the pod: it can be asked what it has set, and nothing else is different.
const ANSWERS: &str = r#"#!/bin/bash
case "$*" in
    *' held') cat "$0.held" ;;
    *) exec "$0.real" "$@" ;;
esac
"#;

/// A label that no rule's status tells of, and what the state says of it.
fn forgotten(rig: &Rig) -> Result<String> {
    let node = Node::new("n2").label("example.com/was-hot", "yes");
    node.create(rig.stack.api())?;
    let node = rig.stack.api().get("/api/v1/nodes/n2")?;
    let key = json!({"kind": "label", "key": "example.com/was-hot"});
    let ledger = json!({
        "uid": node["metadata"]["uid"],
        "marks": [{"mark": {"key": key, "value": "yes"}}],
    });
    Ok(json!({"version": 1, "nodes": {"n2": ledger}}).to_string())
}

fn executable(path: &Path, text: &str) -> Result<()> {
    write_file(path, text)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode)?;
    Ok(())
}

#[test]
fn a_second_cleanup_knows_what_the_first_was_told() -> Result<()> {
    let Some(rig) = Rig::start()? else {
        return Ok(());
    };
    let output = rig.deploy_sh(&["--deploy"])?;
    ensure!(code(&output) == Some(0), "{output:?}");
    write_file(&rig.bin.join("kubectl.held"), forgotten(&rig)?)?;
    std::fs::remove_file(rig.bin.join("kubectl"))?;
    std::os::unix::fs::symlink(&rig.kubectl, rig.bin.join("kubectl.real"))?;
    executable(&rig.bin.join("kubectl"), ANSWERS)?;
    let label = |rig: &Rig| -> Result<Value> {
        let node = rig.stack.api().get("/api/v1/nodes/n2")?;
        Ok(node["metadata"]["labels"]["example.com/was-hot"].clone())
    };

    let broken = rig.stack.dir().join("broken");
    executable(&broken, "#!/bin/sh\nexit 1\n")?;
    let script = project("deploy/deploy.sh");
    let output = rig.run(&script, Some(&broken), &["--cleanup", "--timeout", "3"])?;
    ensure!(code(&output) == Some(1), "{output:?}");
    ensure!(label(&rig)? == "yes", "{output:?}");
    let told = err(&output);
    let kept = told
        .trim()
        .rsplit_once("run this again with --held ")
        .context(told.clone())?
        .1;

    std::fs::remove_file(rig.bin.join("kubectl.held"))?;
    let output = rig.deploy_sh(&["--cleanup", "--held", kept, "--timeout", "20"])?;
    std::fs::remove_file(kept)?;
    ensure!(code(&output) == Some(0), "{output:?}");
    ensure!(label(&rig)?.is_null(), "{output:?}");
    ensure!(out(&output).contains("1 node changed"), "{output:?}");
    Ok(())
}
