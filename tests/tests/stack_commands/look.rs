//! Commands that are not run: they need a container engine, a node, a build of minutes, or another architecture. Each is
//! held against the files and the tools that it names.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};
use ng_tests::manifests::checkout;
use ng_tests::program;

pub(crate) fn text(path: &str) -> Result<String> {
    std::fs::read_to_string(checkout(path)).with_context(|| path.to_owned())
}

pub(crate) fn succeeded(output: &Output) -> Result<()> {
    let told = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}: {told}{problem}",
        output.status
    );
    Ok(())
}

/// What a command is before it does anything: one that the shell can read.
pub(crate) fn syntax(command: &str) -> Result<()> {
    succeeded(&Command::new("bash").args(["-n", "-c", command]).output()?)
}

/// Holds the flags of a call of kubectl against its own help.
pub(crate) fn kubectl_knows(kubectl: &Path, words: &[&str]) -> Result<()> {
    let verb = words.first().context("no word")?;
    let output = Command::new(kubectl).args([verb, "--help"]).output()?;
    succeeded(&output)?;
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let own = words.iter().take_while(|word| !["--", "|"].contains(word));
    for flag in own.filter(|word| word.starts_with('-')) {
        let name = flag.split('=').next().unwrap_or_default();
        let is_known = if name.starts_with("--") {
            help.contains(&format!(" {name}="))
        } else {
            let letters = name.trim_start_matches('-').chars();
            letters
                .into_iter()
                .all(|letter| help.contains(&format!(" -{letter}, --")))
        };
        ensure!(is_known, "kubectl {verb} has no {name}");
    }
    Ok(())
}

/// An image is built from here, and pushed under the name that it was built with.
pub(crate) fn docker(words: &[&str]) -> Result<()> {
    let dockerfile = text("Dockerfile")?;
    let built = text("README.md")? + &text("docs/quick-start.md")?;
    let mut options = match words {
        ["push", name] => {
            ensure!(
                built.contains(&format!("docker build -t {name} .")),
                "{name} is built nowhere"
            );
            return Ok(());
        }
        ["build", options @ .., "."] | ["buildx", "build", options @ .., "--push", "."] => {
            options.iter()
        }
        _ => bail!("the test knows build, buildx build and push only"),
    };
    while let Some(option) = options.next() {
        let value = options
            .next()
            .with_context(|| format!("no value of {option}"))?;
        let is_right = match *option {
            "-t" => value.ends_with(concat!(":", env!("CARGO_PKG_VERSION"))),
            "--target" => dockerfile.contains(&format!(" AS {value}\n")),
            "--platform" => value
                .split(',')
                .all(|platform| ["linux/amd64", "linux/arm64"].contains(&platform)),
            _ => false,
        };
        ensure!(is_right, "{option} {value}");
    }
    Ok(())
}

/// What `.ci/run` is asked for is one of its cases.
pub(crate) fn step(words: &[&str]) -> Result<()> {
    let script = text(".ci/run")?;
    for word in words {
        ensure!(
            script.contains(&format!("    {word})\n")),
            ".ci/run has no {word}"
        );
    }
    Ok(())
}

/// A release is built for an architecture that the script knows.
pub(crate) fn release(words: &[&str]) -> Result<()> {
    let script = text("deploy/release.sh")?;
    match words {
        ["OUT"] => Ok(()),
        ["OUT", architecture] => {
            ensure!(
                script.contains(&format!("    {architecture} |")),
                "{architecture}"
            );
            Ok(())
        }
        _ => bail!("the test knows a folder and an architecture"),
    }
}

/// Packages, programs and tests that cargo is asked for exist, and a program of ours takes its arguments.
pub(crate) fn cargo(words: &[&str]) -> Result<()> {
    let (own, theirs) = match words.iter().position(|word| *word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[][..]),
    };
    match own.first().copied().unwrap_or_default() {
        "run" | "test" | "build" => {}
        "lint" => {
            let aliases = text(".cargo/config.toml")?;
            ensure!(aliases.contains("\nlint = "), "there is no such alias");
        }
        // Of another project: that its settings are here is all that can be said.
        "deny" | "install" => {
            ensure!(
                own.contains(&"cargo-deny") || own == ["deny", "check"],
                "{own:?}"
            );
            text("deny.toml")?;
        }
        other => bail!("the test does not know cargo {other}"),
    }
    packages(own)?;
    if own.contains(&"ng-replay") {
        // With `--help` it reads its arguments and does no more.
        let replay = program("ng-replay", "replay")?;
        succeeded(&Command::new(replay).args(theirs).arg("--help").output()?)?;
    }
    if own.first() == Some(&"test") {
        let flags = own.iter().take_while(|word| **word != ">");
        let named = flags.zip(std::iter::once(&"").chain(own));
        let filter = named
            .filter(|(word, before)| !word.starts_with('-') && !before.starts_with('-'))
            .map(|(word, _)| *word)
            .filter(|word| *word != "test");
        for word in filter.chain(theirs.iter().copied().filter(|word| !word.starts_with('-'))) {
            ensure!(is_in_tests(word)?, "no test is named after {word}");
        }
    }
    Ok(())
}

fn packages(own: &[&str]) -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(checkout(""))
        .output()?;
    succeeded(&output)?;
    let known = String::from_utf8_lossy(&output.stdout).into_owned();
    for pair in own.windows(2) {
        if let ["-p" | "--bin" | "--test", name] = pair {
            ensure!(
                known.contains(&format!("\"name\":\"{name}\"")),
                "there is no {name}"
            );
        }
    }
    Ok(())
}

/// Whether a test, or a file of tests, has the word in its name.
fn is_in_tests(word: &str) -> Result<bool> {
    let output = Command::new("git")
        .args(["ls-files", "*.rs"])
        .current_dir(checkout(""))
        .output()?;
    succeeded(&output)?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    for file in listed.lines().filter(|file| checkout(file).exists()) {
        let code = text(file)?;
        let tests = code.split("#[test]").skip(1);
        let mut names = tests.filter_map(|rest| rest.split_once("fn ")?.1.split('(').next());
        let is_file = file.contains("/tests/") && file.contains(word);
        if is_file || names.any(|name| name.contains(word)) {
            return Ok(true);
        }
    }
    Ok(false)
}
