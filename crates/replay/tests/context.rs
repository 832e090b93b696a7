//! Recorded contexts through a hook's executable.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn context(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/context.json");
    Command::new(env!("CARGO_BIN_EXE_replay"))
        .arg("context")
        .arg(recorded)
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A hook that tells its environment and writes one patch.
fn script(folder: &Path) -> PathBuf {
    let path = folder.join("hook");
    let text = "#!/bin/sh
echo \"{\\\"level\\\":\\\"info\\\",\\\"msg\\\":\\\"seen\\\",\\\"kubeconfig\\\":\\\"$KUBECONFIG\\\",\\\"service\\\":\\\"$KUBERNETES_SERVICE_HOST\\\",\
\\\"now\\\":\\\"$NODEGUARDIAN_NOW\\\",\\\"kept\\\":\\\"$(cat $NODEGUARDIAN_STATE_DIR/kept 2>/dev/null)\\\",\\\"home\\\":\\\"$HOME\\\"}\"
echo gone > $NODEGUARDIAN_STATE_DIR/kept
echo '{\"operation\":\"MergePatch\",\"kind\":\"Node\",\"name\":\"n-1\",\"mergePatch\":{\"metadata\":{}}}' > $KUBERNETES_PATCH_PATH
echo trouble >&2
exit 3
";
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .unwrap();
    path
}

#[test]
fn hook_runs_apart_from_cluster_and_state() {
    let folder = tempfile::tempdir().unwrap();
    let hook = script(folder.path());
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::File::create(state.join("kept"))
        .and_then(|mut file| file.write_all(b"old"))
        .unwrap();
    let (hook, state_dir) = (hook.to_str().unwrap(), state.to_str().unwrap());
    let variables = [
        ("KUBECONFIG", "/some/kubeconfig"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("HOME", "/home/someone"),
    ];
    let now = "2026-01-02T03:04:05Z";
    let arguments = [
        "--hook",
        hook,
        "--now",
        now,
        "--state-dir",
        state_dir,
        "-o",
        "json",
    ];
    let output = context(&arguments, &variables);
    let told = document(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(told["exitCode"], 3);
    assert_eq!(told["error"], "trouble");
    assert_eq!(told["patches"][0]["name"], "n-1");
    let seen = &told["log"][0];
    assert_eq!(
        (&seen["kubeconfig"], &seen["service"]),
        (&"".into(), &"".into())
    );
    assert_eq!((&seen["now"], &seen["kept"]), (&now.into(), &"old".into()));
    assert_ne!(seen["home"], "/home/someone");
    // The state that was named is as it was: the hook had a copy.
    assert_eq!(fs::read_to_string(state.join("kept")).unwrap(), "old");

    let mut arguments = arguments.to_vec();
    arguments.push("--with-api");
    let seen = document(&context(&arguments, &variables))["log"][0].clone();
    assert_eq!(seen["kubeconfig"], "/some/kubeconfig");
    assert_eq!(seen["home"], "/home/someone");
}

#[test]
fn controller_decides_on_a_recorded_context() {
    let controller = Path::new(env!("CARGO_BIN_EXE_replay")).with_file_name("controller");
    if !controller.is_file() {
        println!("skipped: {} is not built", controller.display());
        return;
    }
    let hook = controller.to_str().unwrap();
    let arguments = ["--hook", hook, "--now", "2026-01-02T03:04:05Z"];
    let output = context(&arguments, &[]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    for part in [
        "rule triggered",
        "node=n-2",
        "JQPatch Node n-2",
        "MergePatch NodeGuardianRule not-ready (status)",
        "RuleTriggered: rule not-ready: triggered",
        "exit status 0",
    ] {
        assert!(stdout.contains(part), "{part} is missing in\n{stdout}");
    }
    assert!(!stdout.contains("Node n-1"), "{stdout}");
}
