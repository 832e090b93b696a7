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
        "--held FILE",
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
    let cases: [(&[&str], &str); 8] = [
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
        (
            &["--verify", "--held", "/dev/null"],
            "--held goes with --cleanup only",
        ),
        (
            &["--cleanup", "--held", "/no/such"],
            "--held: no plain file that can be read: /no/such",
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
/// be asked in a cluster that runs none, and the one that undoes things can fail.
const KUBECTL: &str = r#"#!/bin/bash
printf '%s\n' "$*" >>"$0.log"
case "$*" in
    'get namespace'*) printf 'nodeguardian-system is of nodeguardian' ;;
    *'get deployment/nodeguardian'*jsonpath*) printf 'r.example.com/nodeguardian:1' ;;
    *'get deployment/nodeguardian'*) printf 'deployment.apps/nodeguardian\n' ;;
    *' held') [ ! -e "$0.held" ] || cat "$0.held"; [ -e "$0.held" ] ;;
    *' run nodeguardian-cleanup '*) cat >"$0.stdin"; [ ! -e "$0.fails" ] ;;
esac
"#;
const HELD: &str = r#"{"version": 1, "nodes": {"n-1": {"uid": "u-1", "marks": []}}}"#;

/// A checkout where nothing was built, and the cluster of [`KUBECTL`].
struct Bare {
    dir: tempfile::TempDir,
}

impl Bare {
    fn new() -> Result<Self> {
        let bare = Self {
            dir: tempfile::tempdir()?,
        };
        std::fs::create_dir(bare.path("deploy"))?;
        std::fs::create_dir(bare.path("tmp"))?;
        std::fs::copy(
            root().join("deploy/deploy.sh"),
            bare.path("deploy/deploy.sh"),
        )?;
        let kubectl = bare.path("kubectl");
        write_file(&kubectl, KUBECTL)?;
        std::fs::set_permissions(
            &kubectl,
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        Ok(bare)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn cleanup(&self, arguments: &[&str]) -> Result<Output> {
        // What is noted is of this run.
        write_file(&self.path("kubectl.log"), "")?;
        Command::new("/bin/bash")
            .arg(self.path("deploy/deploy.sh"))
            .arg("--cleanup")
            .args(arguments)
            .env_clear()
            .env("PATH", format!("{}:{SYSTEM}", self.dir.path().display()))
            .env("TMPDIR", self.path("tmp"))
            .output()
            .context("cannot run bash")
    }

    /// What the cluster was asked in the last run.
    fn asked(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.path("kubectl.log"))?)
    }

    /// What the pod that undoes things got, if there was one.
    fn stdin(&self) -> Option<String> {
        std::fs::read_to_string(self.path("kubectl.stdin")).ok()
    }

    /// What runs have left of temporary files.
    fn left(&self) -> Result<Vec<PathBuf>> {
        let mut left = Vec::new();
        for entry in std::fs::read_dir(self.path("tmp"))? {
            left.push(entry?.path());
        }
        Ok(left)
    }
}

#[test]
fn what_the_state_knows_is_undone_although_the_rules_are_gone() -> Result<()> {
    let bare = Bare::new()?;
    write_file(&bare.path("kubectl.held"), HELD)?;
    let output = bare.cleanup(&[])?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    ensure!(bare.stdin().as_deref() == Some(HELD), "{output:?}");
    ensure!(
        text(&output.stdout).contains(" cleanup --held - < /"),
        "{output:?}"
    );
    ensure!(
        bare.asked()?.contains("delete --ignore-not-found"),
        "{output:?}"
    );
    ensure!(bare.left()?.is_empty(), "{:?}", bare.left()?);

    let bare = Bare::new()?;
    let output = bare.cleanup(&[])?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    ensure!(bare.stdin().is_none(), "{output:?}");
    ensure!(
        text(&output.stdout).contains("there are no rules, so nothing is held"),
        "{output:?}"
    );
    let asked = bare.asked()?;
    ensure!(
        asked.contains("get crd") && asked.contains("delete --ignore-not-found"),
        "{asked}"
    );
    ensure!(bare.left()?.is_empty(), "{:?}", bare.left()?);
    Ok(())
}

#[test]
fn what_the_state_has_told_outlives_a_cleanup_that_fails() -> Result<()> {
    let bare = Bare::new()?;
    write_file(&bare.path("kubectl.held"), HELD)?;
    write_file(&bare.path("kubectl.fails"), "")?;
    let output = bare.cleanup(&[])?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    ensure!(
        !bare.asked()?.contains("delete --ignore-not-found"),
        "{output:?}"
    );
    let left = bare.left()?;
    let [kept] = &left[..] else {
        anyhow::bail!("{left:?} were left: {output:?}");
    };
    ensure!(std::fs::read_to_string(kept)? == HELD, "{output:?}");
    let kept = kept.to_str().context("a path that is no text")?;
    let told = format!("is kept in {kept}: run this again with --held {kept}\n");
    ensure!(text(&output.stderr).ends_with(&told), "{output:?}");

    // The pod that knew it is gone.
    std::fs::remove_file(bare.path("kubectl.held"))?;
    let output = bare.cleanup(&["--held", kept])?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    ensure!(bare.stdin().as_deref() == Some(HELD), "{output:?}");
    ensure!(bare.left()? == left, "{:?}", bare.left()?);

    std::fs::remove_file(bare.path("kubectl.fails"))?;
    std::fs::remove_file(bare.path("kubectl.stdin"))?;
    let shown = bare.cleanup(&["--held", kept, "--dry-run"])?;
    let command = format!(" cleanup --held - < {kept}\n");
    ensure!(text(&shown.stdout).contains(&command), "{shown:?}");
    ensure!(bare.stdin().is_none(), "{shown:?}");
    let output = bare.cleanup(&["--held", kept])?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    ensure!(bare.stdin().as_deref() == Some(HELD), "{output:?}");
    let asked = bare.asked()?;
    ensure!(
        asked.contains("delete --ignore-not-found") && !asked.contains(" held\n"),
        "{asked}"
    );
    // Whoever names a file decides on it.
    ensure!(bare.left()? == left, "{:?}", bare.left()?);
    Ok(())
}
