//! `deploy/deploy.sh` without a cluster: what it says, what it would do, and what it misses.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use ng_tests::server::write_file;

use crate::checkout::root;

/// Runs the script with these folders as its PATH.
fn script(path: &str, arguments: &[&str]) -> Result<Output> {
    Command::new("/bin/bash")
        .arg(root().join("deploy/deploy.sh"))
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .output()
        .context("cannot run bash")
}

const SYSTEM: &str = "/usr/bin:/bin";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn without_a_step_it_only_says_how_it_is_used() -> Result<()> {
    let help = script(SYSTEM, &["--help"])?;
    ensure!(help.status.code() == Some(0), "{help:?}");
    let nothing = script(SYSTEM, &[])?;
    ensure!(nothing.status.code() == Some(2), "{nothing:?}");
    ensure!(
        nothing.stdout.is_empty() && nothing.stderr == help.stdout,
        "{nothing:?}"
    );
    for word in [
        "--build",
        "--deploy",
        "--examples",
        "--verify",
        "--full",
        "--cleanup",
        "--dry-run",
        "--namespace NAME",
        "--image IMAGE",
        "--context NAME",
    ] {
        ensure!(
            text(&help.stdout).contains(&format!("\n  {word} ")),
            "{word} in {help:?}"
        );
    }
    Ok(())
}

#[test]
fn wrong_arguments_are_named_and_nothing_is_done() -> Result<()> {
    let cases: [(&[&str], &str); 6] = [
        (&["--deploi"], "unknown argument --deploi"),
        (&["--deploy", "--namespace"], "--namespace needs a value"),
        (
            &["--deploy", "--namespace", "A_b"],
            "no name of a namespace: A_b",
        ),
        (&["--deploy", "--image", "a b"], "no name of an image: a b"),
        (
            &["--verify", "--timeout", "soon"],
            "no number of seconds: soon",
        ),
        (
            &["--cleanup", "--deploy"],
            "--cleanup goes with no other step",
        ),
    ];
    for (arguments, expected) in cases {
        let output = script(SYSTEM, arguments)?;
        ensure!(output.status.code() == Some(2), "{arguments:?}: {output:?}");
        ensure!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        ensure!(
            text(&output.stderr).contains(expected),
            "{arguments:?}: {output:?}"
        );
    }
    Ok(())
}

/// The lines that a dry run prints for commands, without the folder of this checkout and temporary ones.
fn commands(arguments: &[&str]) -> Result<Vec<String>> {
    let output = script(SYSTEM, arguments)?;
    ensure!(output.status.code() == Some(0), "{arguments:?}: {output:?}");
    let root = root().canonicalize()?;
    let root = root.to_str().context("a path that is no text")?;
    let lines = text(&output.stdout);
    let commands = lines.lines().filter_map(|line| line.strip_prefix("+ "));
    Ok(commands.map(|line| line.replace(root, ".")).collect())
}

#[test]
fn a_dry_run_prints_every_command_in_order_and_needs_no_cluster() -> Result<()> {
    let full = commands(&[
        "--full",
        "--dry-run",
        "--image",
        "r.example.com/nodeguardian:1",
        "--context",
        "c",
    ])?;
    let expected = [
        "docker build --tag r.example.com/nodeguardian:1 .",
        "kubectl kustomize ./deploy | sed ",
        "kubectl --context c apply -f ./config/crd",
        "kubectl --context c wait --for=condition=Established ",
        "kubectl --context c apply -f ",
        "kubectl --context c apply -f ./config/examples",
    ];
    ensure!(full.len() == expected.len(), "{full:#?}");
    for (command, expected) in full.iter().zip(expected) {
        ensure!(
            command.starts_with(expected),
            "{command:?} instead of {expected:?}"
        );
    }
    let cleanup = commands(&["--cleanup", "--dry-run", "--namespace", "guard"])?;
    let undone = cleanup
        .iter()
        .position(|command| command.contains(" cleanup"));
    let stopped = cleanup
        .iter()
        .position(|command| command.contains("--replicas=0"));
    let removed = cleanup
        .iter()
        .position(|command| command.contains(" delete "));
    ensure!(
        stopped.is_some() && stopped < undone && undone < removed,
        "{cleanup:#?}"
    );
    ensure!(
        cleanup
            .iter()
            .any(|command| command.contains("-n guard scale")),
        "{cleanup:#?}"
    );
    Ok(())
}

/// A folder with the small programs that the script uses, and no other.
fn bare_tools(dir: &Path) -> Result<String> {
    for name in ["dirname", "head", "mktemp", "rm", "sed"] {
        let found = SYSTEM
            .split(':')
            .map(|folder| PathBuf::from(folder).join(name));
        let path = found.clone().find(|path| path.exists()).context(name)?;
        std::os::unix::fs::symlink(path, dir.join(name))?;
    }
    Ok(dir.display().to_string())
}

#[test]
fn a_missing_tool_is_named_with_what_needs_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = bare_tools(dir.path())?;
    let cases = [
        (
            "--deploy",
            "deploy.sh: kubectl is missing, which --deploy needs: https://kubernetes.io/",
        ),
        (
            "--cleanup",
            "deploy.sh: kubectl is missing, which --cleanup needs: https://kubernetes.io/",
        ),
        (
            "--build",
            "deploy.sh: docker is missing, which --build needs: ",
        ),
    ];
    for (step, expected) in cases {
        let output = script(&path, &[step])?;
        ensure!(output.status.code() == Some(1), "{step}: {output:?}");
        ensure!(
            text(&output.stderr).starts_with(expected),
            "{step}: {output:?}"
        );
    }
    Ok(())
}

/// Answers as a cluster that has the Deployment but not the kinds any more, and notes what is asked of it. A pod cannot
/// be asked in a cluster that runs none.
const KUBECTL: &str = r#"#!/bin/bash
printf '%s\n' "$*" >>"$0.log"
case "$*" in
    'get namespace'*) printf 'nodeguardian-system is of nodeguardian' ;;
    *'get deployment/nodeguardian'*jsonpath*) printf 'r.example.com/nodeguardian:1' ;;
    *'get deployment/nodeguardian'*) printf 'deployment.apps/nodeguardian\n' ;;
    *' held') [ ! -e "$0.held" ] || cat "$0.held"; [ -e "$0.held" ] ;;
    *' run nodeguardian-cleanup '*) cat >"$0.stdin" ;;
esac
"#;

/// Runs `--cleanup` of a checkout where nothing was built, after the kinds were removed. Returns the output, and what
/// the pod that undoes things got, if there was one.
fn cleanup_without_kinds(held: Option<&str>) -> Result<(Output, Option<String>)> {
    let dir = tempfile::tempdir()?;
    let deploy = dir.path().join("deploy");
    std::fs::create_dir(&deploy)?;
    let script = deploy.join("deploy.sh");
    std::fs::copy(root().join("deploy/deploy.sh"), &script)?;
    let kubectl = dir.path().join("kubectl");
    write_file(&kubectl, KUBECTL)?;
    std::fs::set_permissions(
        &kubectl,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    if let Some(held) = held {
        write_file(&dir.path().join("kubectl.held"), held)?;
    }
    let output = Command::new("/bin/bash")
        .arg(script)
        .arg("--cleanup")
        .env_clear()
        .env("PATH", format!("{}:{SYSTEM}", dir.path().display()))
        .output()?;
    let asked = std::fs::read_to_string(dir.path().join("kubectl.log"))?;
    ensure!(asked.contains("get crd") || held.is_some(), "{asked}");
    ensure!(asked.contains("delete "), "{asked}\n{output:?}");
    let stdin = std::fs::read_to_string(dir.path().join("kubectl.stdin")).ok();
    Ok((output, stdin))
}

#[test]
fn what_the_state_knows_is_undone_although_the_rules_are_gone() -> Result<()> {
    let held = r#"{"version": 1, "nodes": {"n-1": {"uid": "u-1", "marks": []}}}"#;
    let (output, stdin) = cleanup_without_kinds(Some(held))?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    ensure!(stdin.as_deref() == Some(held), "{stdin:?} {output:?}");
    ensure!(
        text(&output.stdout).contains(" cleanup --held -"),
        "{output:?}"
    );

    let (output, stdin) = cleanup_without_kinds(None)?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    ensure!(stdin.is_none(), "{stdin:?} {output:?}");
    ensure!(
        text(&output.stdout).contains("there are no rules, so nothing is held"),
        "{output:?}"
    );
    Ok(())
}
