//! The end: after NodeGuardian has stopped, everything that it has set is taken off the nodes, and nothing else.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use ng_tests::server::write_file;
use ng_tests::{Api, Load, Node, program, wait_until};
use serde_json::{Value, json};

use crate::rig::{LIMIT, Rig, has_taint, load_rule};

/// The rule that holds nodes at the end.
const HOLDS: &str = "holds";
/// The rule whose label stays after recovery, as it has no recovery action for it.
const LEAVES: &str = "leaves";
const TAINT: &str = "example.com/hot";
const STAYS: &str = "example.com/was-hot";

/// Sets one mark of each kind, one of them over a value of someone else.
fn holding_rule() -> Value {
    let actions = json!([
        {"type": "taint", "taint": {"key": TAINT, "value": "yes", "effect": "NoSchedule"}},
        {"type": "label", "label": {"labels": {"example.com/hot": "yes", "example.com/tier": "ours"}}},
        {"type": "annotation", "annotation": {"annotations": {"example.com/why": "load"}}},
        {"type": "cordon"},
    ]);
    let mut rule = load_rule(HOLDS, &actions, &json!([{"type": "uncordon"}]));
    rule["spec"]["nodeSelector"] = json!({"nodeNames": ["n1", "n2"]});
    rule
}

fn leaving_rule() -> Value {
    let actions = json!([{"type": "label", "label": {"labels": {STAYS: "true"}}}]);
    let mut rule = load_rule(LEAVES, &actions, &json!([]));
    rule["spec"]["nodeSelector"] = json!({"nodeNames": ["n3"]});
    rule
}

/// Three nodes with marks of others, on which the two rules have done what they do; shell-operator has ended.
fn stopped_rig() -> Result<Option<(Rig, PathBuf)>> {
    let Some(mut rig) = Rig::start(&[])? else {
        return Ok(None);
    };
    let config = json!({"safety": {"maxNodes": "100%"}}).to_string();
    write_file(&rig.stack.config_dir().join("config.json"), config)?;
    for name in ["n1", "n2", "n3"] {
        Node::new(name)
            .label("example.com/tier", "theirs")
            .label("example.com/team", "blue")
            .annotation("example.com/note", "keep")
            .taint("example.com/dedicated", "db", "NoSchedule")
            .create(&rig.api)?;
        rig.stack.exporter().set(name, Load::default());
    }
    rig.wait_scraped(3)?;
    // Someone has cordoned this one: that is not ours to end.
    let cordon = json!({"spec": {"unschedulable": true}});
    rig.api.patch("/api/v1/nodes/n2", &cordon)?;
    for name in ["n1", "n2", "n3"] {
        rig.heat(name)?;
    }
    rig.apply_rule(&holding_rule())?;
    rig.apply_rule(&leaving_rule())?;
    rig.stack.operator().start()?;
    rig.wait_taint("n1", TAINT, true)?;
    rig.wait_taint("n2", TAINT, true)?;
    wait_for_label(&rig, "n3", STAYS)?;
    rig.stack.exporter().set("n3", Load::default());
    wait_until(LIMIT, "recovery of n3", || {
        let status = rig.status(LEAVES)?;
        ensure!(status["triggeredNodes"] == json!([]), "{status}");
        ensure!(status["lastRecovery"].is_string(), "{status}");
        Ok(())
    })?;
    for rule in ["n1", "n2"] {
        wait_until(LIMIT, "status with what is held", || {
            let status = rig.status(HOLDS)?;
            ensure!(
                status.to_string().contains(&format!("\"{rule}\"")),
                "{status}"
            );
            ensure!(status.to_string().contains("\"owned\""), "{status}");
            Ok(())
        })?;
    }
    // While everything runs, as it would be asked in the pod.
    let held = rig.stack.dir().join("held.json");
    let output = replay(&["held", "--state-dir", path(&rig.stack.state_dir())?])?;
    ensure!(output.status.success(), "{output:?}");
    write_file(&held, &output.stdout)?;
    rig.stack.operator().terminate(LIMIT * 2)?;
    Ok(Some((rig, held)))
}

fn wait_for_label(rig: &Rig, node: &str, key: &str) -> Result<()> {
    wait_until(LIMIT, key, || {
        let node = rig.node(node)?;
        ensure!(node["metadata"]["labels"][key].is_string(), "{node}");
        Ok(())
    })
}

fn path(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

fn replay(arguments: &[&str]) -> Result<Output> {
    let output = Command::new(program("ng-replay", "replay")?)
        .args(arguments)
        .output()?;
    Ok(output)
}

/// Runs the command with the rights that are shipped for the pod.
fn cleanup(rig: &mut Rig, arguments: &[&str]) -> Result<Output> {
    let kubeconfig = rig.stack.dir().join("cleanup.kubeconfig");
    rig.stack
        .cluster()
        .write_kubeconfig(&kubeconfig, "nodeguardian-system", "nodeguardian")?;
    let mut all = vec!["cleanup", "--kubeconfig", path(&kubeconfig)?];
    all.extend(arguments);
    replay(&all)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Labels, annotations, taints and cordon of every node.
fn marks(rig: &Rig) -> Result<Value> {
    let mut all = serde_json::Map::new();
    for name in ["n1", "n2", "n3"] {
        let node = rig.node(name)?;
        let marks = json!({
            "labels": node["metadata"]["labels"],
            "annotations": node["metadata"]["annotations"],
            "taints": node["spec"]["taints"],
            "unschedulable": node["spec"]["unschedulable"],
        });
        all.insert(name.to_owned(), marks);
    }
    Ok(Value::Object(all))
}

/// Every node as it was before NodeGuardian came.
fn as_before(with: &Value) -> Value {
    let node = |name: &str, unschedulable: Value| {
        json!({
            "labels": {
                "example.com/team": "blue", "example.com/tier": "theirs",
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
            },
            "annotations": {"example.com/note": "keep"},
            "taints": [{"key": "example.com/dedicated", "value": "db", "effect": "NoSchedule"}],
            "unschedulable": unschedulable,
        })
    };
    let mut all = json!({
        "n1": node("n1", Value::Null), "n2": node("n2", true.into()), "n3": node("n3", Value::Null),
    });
    for (node, labels) in with.as_object().into_iter().flatten() {
        for (key, value) in labels.as_object().into_iter().flatten() {
            all[node]["labels"][key] = value.clone();
        }
    }
    all
}

#[test]
fn everything_of_ours_goes_and_what_is_of_others_stays() -> Result<()> {
    let Some((mut rig, held)) = stopped_rig()? else {
        return Ok(());
    };
    // Someone takes a label of ours over, after the end.
    let theirs = json!({"metadata": {"labels": {"example.com/hot": "theirs"}}});
    rig.api.patch("/api/v1/nodes/n2", &theirs)?;
    let before = marks(&rig)?;
    ensure!(before["n1"]["unschedulable"] == true, "{before}");

    let held = path(&held)?.to_owned();
    let output = cleanup(&mut rig, &["--held", &held, "--dry-run"])?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(
        text(&output).ends_with("3 nodes would be changed; nothing was\n"),
        "{output:?}"
    );
    ensure!(marks(&rig)? == before, "a dry run has changed {before}");

    let output = cleanup(&mut rig, &["--held", &held])?;
    ensure!(output.status.success(), "{output:?}");
    let told = text(&output);
    for line in [
        "node n1\n",
        "  - taint example.com/hot=yes:NoSchedule\n",
        "  - label example.com/hot=yes\n",
        "  + label example.com/tier=theirs\n",
        "  - annotation example.com/why=load\n",
        "  - cordon\n",
        "  - label example.com/was-hot=true\n",
        "3 nodes changed, statuses of 2 rules cleared\n",
    ] {
        ensure!(told.contains(line), "no {line:?} in {told}");
    }
    let expected = as_before(&json!({"n2": {"example.com/hot": "theirs"}}));
    ensure!(marks(&rig)? == expected, "{} but {expected}", marks(&rig)?);
    for rule in [HOLDS, LEAVES] {
        ensure!(rig.status(rule)?.is_null(), "{}", rig.status(rule)?);
    }

    let writes = rig.stack.writes_by(rig.stack.hook_user())?.len();
    let output = cleanup(&mut rig, &["--held", &held])?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(
        text(&output) == "0 nodes changed, statuses of 0 rules cleared\n",
        "{output:?}"
    );
    ensure!(
        rig.stack.writes_by(rig.stack.hook_user())?.len() == writes,
        "it writes again"
    );
    rig.close()
}

#[test]
fn the_statuses_alone_undo_what_rules_hold() -> Result<()> {
    let Some((mut rig, _)) = stopped_rig()? else {
        return Ok(());
    };
    let output = cleanup(&mut rig, &["--output", "json"])?;
    ensure!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(told["problems"] == json!([]), "{told}");
    // Of the label that was left behind on purpose only the state knew.
    let expected = as_before(&json!({"n3": {STAYS: "true"}}));
    ensure!(marks(&rig)? == expected, "{} but {expected}", marks(&rig)?);
    ensure!(
        !has_taint(&rig.node("n2")?, TAINT),
        "the taint is still there"
    );
    rig.close()
}

#[test]
fn without_rights_nothing_is_called_done() -> Result<()> {
    let Some((mut rig, held)) = stopped_rig()? else {
        return Ok(());
    };
    let before = rig.status(HOLDS)?;
    // Reads everything, but changes no node.
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/nodeguardian-cordon";
    let patch =
        json!({"rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}]});
    rig.api.patch(role, &patch)?;
    let held = path(&held)?.to_owned();
    let output = wait_until(LIMIT, "a role without rights", || {
        let output = cleanup(&mut rig, &["--held", &held])?;
        ensure!(!output.status.success(), "{output:?}");
        Ok(output)
    })?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    for node in ["n1", "n2", "n3"] {
        let line = format!("replay: node {node}: PATCH /api/v1/nodes/{node}: ");
        ensure!(errors.contains(&line), "no {line:?} in {errors}");
    }
    ensure!(
        rig.status(HOLDS)? == before,
        "the status was cleared all the same"
    );
    Ok(())
}

/// Nodes that a rule holds, as its status says, without the controller having run.
fn many_held(rig: &Rig) -> Result<Vec<String>> {
    let names: Vec<String> = (0..60).map(|number| format!("n{number:02}")).collect();
    let mut details = Vec::new();
    for name in &names {
        Node::new(name)
            .label("example.com/hot", "yes")
            .taint(TAINT, "yes", "NoSchedule")
            .create(&rig.api)?;
        details.push(json!({
            "name": name, "uid": rig.node(name)?["metadata"]["uid"], "phase": "Triggered",
            "triggeredAt": "2026-01-01T00:00:00Z",
            "owned": [
                {"kind": "label", "key": "example.com/hot", "value": "yes"},
                {"kind": "taint", "key": TAINT, "value": "yes", "effect": "NoSchedule"},
            ],
        }));
    }
    rig.apply_rule(&holding_rule())?;
    let status = json!({"status": {"triggeredNodes": names, "nodes": details}});
    let path = format!("/apis/nodeguardian.k8s.io/v1/nodeguardianrules/{HOLDS}/status");
    rig.api.patch(&path, &status)?;
    Ok(names)
}

/// Adds a taint to each node, and the next one, until it is told to end; says how many each has got. Taints are a list,
/// which a writer that does not look would replace whole.
fn write_without_end(api: &Api, names: &[String], done: &AtomicBool) -> Result<usize> {
    let mut beat = 0;
    while !done.load(Ordering::Relaxed) {
        beat += 1;
        for name in names {
            let path = format!("/api/v1/nodes/{name}");
            let taint =
                json!({"key": format!("example.com/beat-{beat}"), "effect": "PreferNoSchedule"});
            let addition = json!([{"op": "add", "path": "/spec/taints/-", "value": taint}]);
            match api.json_patch(&path, &addition) {
                // Without any taint there is no list to add to.
                Err(error) if error.code() == Some(422) => {
                    api.patch(&path, &json!({"spec": {"taints": [taint]}}))?;
                }
                result => {
                    result?;
                }
            }
        }
    }
    Ok(beat)
}

#[test]
fn writes_of_others_are_not_undone() -> Result<()> {
    let Some(mut rig) = Rig::start(&[])? else {
        return Ok(());
    };
    let names = many_held(&rig)?;
    let api = rig.api.clone();
    let done = AtomicBool::new(false);
    let (output, beats) = std::thread::scope(|scope| {
        let others = scope.spawn(|| write_without_end(&api, &names, &done));
        let output = cleanup(&mut rig, &[]);
        done.store(true, Ordering::Relaxed);
        (output, others.join())
    });
    let output = output?;
    let Ok(beats) = beats else {
        bail!("the thread of the others has panicked");
    };
    let beats = beats?;
    ensure!(output.status.success(), "{output:?}");
    for name in &names {
        let node = rig.node(name)?;
        ensure!(!has_taint(&node, TAINT), "{name}: {}", node["spec"]);
        let label = &node["metadata"]["labels"]["example.com/hot"];
        ensure!(label.is_null(), "{name}: {label}");
        for beat in 1..=beats {
            let key = format!("example.com/beat-{beat}");
            ensure!(
                has_taint(&node, &key),
                "{name} has lost {key}: {}",
                node["spec"]
            );
        }
    }
    let writes = rig.stack.writes_by(rig.stack.hook_user())?;
    ensure!(
        writes.iter().any(|write| write.code == 409),
        "nobody came between"
    );
    Ok(())
}

#[test]
fn a_node_of_which_nobody_says_what_was_set_is_not_called_done() -> Result<()> {
    let Some(mut rig) = Rig::start(&[])? else {
        return Ok(());
    };
    // As in the status of a rule that holds more nodes than it has details for.
    let mut ledgers = serde_json::Map::new();
    for name in ["n1", "n2"] {
        Node::new(name).label(STAYS, "true").create(&rig.api)?;
        let node = rig.node(name)?;
        let mark = json!({"mark": {"key": {"kind": "label", "key": STAYS}, "value": "true"}});
        let ledger = json!({"uid": node["metadata"]["uid"], "marks": [mark]});
        ledgers.insert(name.to_owned(), ledger);
    }
    rig.apply_rule(&leaving_rule())?;
    let detail = json!({
        "name": "n1", "uid": ledgers["n1"]["uid"], "phase": "Triggered",
        "triggeredAt": "2026-01-01T00:00:00Z",
        "owned": [{"kind": "label", "key": STAYS, "value": "true"}],
    });
    let status = json!({"status": {"triggeredNodes": ["n1", "n2"], "nodes": [detail]}});
    let status_path = format!("/apis/nodeguardian.k8s.io/v1/nodeguardianrules/{LEAVES}/status");
    rig.api.patch(&status_path, &status)?;

    let output = cleanup(&mut rig, &[])?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    let problem = "node n2 is held by rule leaves, but its status does not say what was set there: give --held";
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(errors.contains(problem), "{errors}");
    ensure!(
        rig.status(LEAVES)?["triggeredNodes"] == json!(["n1", "n2"]),
        "the status was cleared all the same"
    );
    ensure!(rig.node("n1")?["metadata"]["labels"][STAYS].is_null());

    let held = rig.stack.dir().join("held.json");
    write_file(&held, json!({"version": 1, "nodes": ledgers}).to_string())?;
    let held = path(&held)?.to_owned();
    let output = cleanup(&mut rig, &["--held", &held])?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(rig.node("n2")?["metadata"]["labels"][STAYS].is_null());
    ensure!(rig.status(LEAVES)?.is_null(), "{}", rig.status(LEAVES)?);
    rig.close()
}
