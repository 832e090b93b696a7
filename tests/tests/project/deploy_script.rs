//! `deploy/deploy.sh` without a cluster: what it says, what it would do, and what it misses.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};

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
