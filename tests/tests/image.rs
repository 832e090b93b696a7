//! The `Dockerfile`, read by the code of `BuildKit`, and what it copies, against the checkout and the built release.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ng_tests::files::copy;
use ng_tests::server::write_file;
use ng_tests::tools::{installed, variable};
use ng_tests::{Stack, Tools};
use serde_json::Value;

/// Folder with what `deploy/release.sh` has laid out.
const RELEASE_VARIABLE: &str = "NODEGUARDIAN_RELEASE_DIR";
/// Folder with the files of the minimal image, as `.ci/image` has made them by the Dockerfile.
const IMAGE_VARIABLE: &str = "NODEGUARDIAN_IMAGE_DIR";
const TARGETS: [&str; 2] = ["minimal", "official"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

/// What `BuildKit` makes of the Dockerfile on both platforms; `None` where Go is not installed and need not be.
fn dockerfile() -> Result<Option<Value>> {
    read(&root().join("Dockerfile"))
}

fn read(file: &Path) -> Result<Option<Value>> {
    let Some(go) = installed(&["go"], "golang-go", |_| true)? else {
        return Ok(None);
    };
    let tool = root().join("target/stack-tools/dockerfile");
    let built = Command::new(go)
        .args(["build", "-mod=readonly", "-trimpath", "-o"])
        .arg(std::path::absolute(&tool)?)
        .arg(".")
        .current_dir(root().join("tests/tools/dockerfile"))
        .env("CGO_ENABLED", "0")
        .output()?;
    ensure!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let output = Command::new(tool)
        .arg("check")
        .arg(file)
        .args(["linux/amd64", "linux/arm64"])
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Some(serde_json::from_slice(&output.stdout)?))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The sources of everything that is copied from the checkout.
fn sources(read: &Value) -> BTreeSet<String> {
    let copies = items(&read["stages"]).flat_map(|stage| items(&stage["copy"]));
    let from_here = copies.filter(|copy| copy["from"] == "");
    from_here
        .flat_map(|copy| items(&copy["sources"]))
        .map(|source| word(source).to_owned())
        .collect()
}

#[test]
fn buildkit_finds_nothing_wrong_and_both_images_are_what_they_should_be() -> Result<()> {
    let Some(read) = dockerfile()? else {
        return Ok(());
    };
    ensure!(
        read["warnings"] == serde_json::json!([]),
        "{}",
        read["warnings"]
    );
    let last = items(&read["stages"])
        .last()
        .map(|stage| word(&stage["name"]));
    ensure!(
        last == Some("official"),
        "{last:?} is built when no target is named"
    );
    for target in TARGETS {
        for platform in ["linux/amd64", "linux/arm64"] {
            let image = items(&read["images"])
                .find(|image| image["target"] == target && image["platform"] == platform)
                .with_context(|| format!("no {target} for {platform}"))?;
            check_image(target, &image["config"])?;
        }
    }
    Ok(())
}

#[test]
fn the_linter_finds_what_is_wrong() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("Dockerfile");
    write_file(
        &file,
        "FROM scratch as one\nMAINTAINER nobody\nENV KEY value\n",
    )?;
    let Some(read) = read(&file)? else {
        return Ok(());
    };
    let found: Vec<&str> = items(&read["warnings"]).map(word).collect();
    for (line, rule) in [
        (1, "FromAsCasing"),
        (2, "MaintainerDeprecated"),
        (3, "LegacyKeyValueFormat"),
    ] {
        let start = format!("line {line}: {rule}: ");
        ensure!(
            found.iter().any(|warning| warning.starts_with(&start)),
            "{found:?}"
        );
    }
    Ok(())
}

fn check_image(target: &str, config: &Value) -> Result<()> {
    ensure!(config["User"] == "65532:65532", "{target}: {config}");
    ensure!(
        config["Volumes"]["/var/lib/nodeguardian"].is_object(),
        "{target}: {config}"
    );
    let env: Vec<&str> = items(&config["Env"]).map(word).collect();
    ensure!(
        env.contains(&"DEBUG_UNIX_SOCKET=/tmp/shell-operator.socket"),
        "{env:?}"
    );
    if target == "minimal" {
        ensure!(env.contains(&"SHELL_OPERATOR_HOOKS_DIR=/hooks"), "{env:?}");
        let entrypoint = serde_json::json!(["/usr/local/bin/shell-operator"]);
        ensure!(config["Entrypoint"] == entrypoint, "{config}");
    }
    for (label, expected) in [
        ("title", "NodeGuardian"),
        ("licenses", "Apache-2.0"),
        ("version", &version()?),
        ("source", &setting("repository")?),
    ] {
        let value = &config["Labels"][format!("org.opencontainers.image.{label}")];
        ensure!(value == expected, "{target}: {label}: {value}");
    }
    for label in ["description", "documentation", "revision", "base.name"] {
        let value = &config["Labels"][format!("org.opencontainers.image.{label}")];
        ensure!(!word(value).is_empty(), "{target}: no label {label}");
    }
    Ok(())
}

/// A text from the workspace's manifest.
fn setting(key: &str) -> Result<String> {
    let manifest = text("Cargo.toml")?;
    let start = format!("{key} = \"");
    let line = manifest.lines().find_map(|line| line.strip_prefix(&start));
    Ok(line
        .with_context(|| key.to_owned())?
        .trim_end_matches('"')
        .to_owned())
}

fn version() -> Result<String> {
    setting("version")
}

/// The build is started in an empty folder with what is copied there, and nothing else of the checkout.
#[test]
fn what_is_copied_is_enough_for_cargo_and_sent_to_the_builder() -> Result<()> {
    let Some(read) = dockerfile()? else {
        return Ok(());
    };
    let sources = sources(&read);
    let ignore = text(".dockerignore")?;
    let sent: Vec<&str> = ignore
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    let dir = tempfile::tempdir()?;
    for source in &sources {
        let is_sent = sent
            .iter()
            .any(|sent| source == sent || source.starts_with(&format!("{sent}/")));
        ensure!(
            is_sent,
            "{source} is not sent to the builder: .dockerignore"
        );
        copy(&root().join(source), &dir.path().join(source)).with_context(|| source.clone())?;
    }
    for sent in sent {
        let is_used = sources
            .iter()
            .any(|source| source == sent || source.starts_with(&format!("{sent}/")));
        ensure!(is_used, "{sent} is sent to the builder for nothing");
    }
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(dir.path())
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let script = dir.path().join("deploy/release.sh");
    let mode = script.metadata()?.permissions().mode();
    ensure!(
        mode & 0o111 == 0o111,
        "deploy/release.sh cannot be run: {mode:o}"
    );
    let runs = items(&read["stages"]).flat_map(|stage| items(&stage["run"]));
    let build = runs.map(word).find(|run| run.contains("release.sh"));
    ensure!(
        build == Some("deploy/release.sh /out \"$TARGETARCH\""),
        "{build:?}"
    );
    Ok(())
}

/// What `deploy/release.sh` has laid out; `None`, with a word, where it was not run.
fn release() -> Option<PathBuf> {
    made(RELEASE_VARIABLE)
}

#[expect(clippy::print_stderr, reason = "a test that is skipped has to say why")]
fn made(named: &str) -> Option<PathBuf> {
    let dir = variable(named).map(PathBuf::from);
    if dir.is_none() {
        eprintln!("skipped: {named} names no folder; .ci/run makes one");
    }
    dir
}

/// Modes and paths of all files below a folder.
fn files(dir: &Path, prefix: &str) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            all.extend(files(&entry.path(), &name)?);
        } else {
            all.insert(format!(
                "{:o} {name}",
                metadata.permissions().mode() & 0o7777
            ));
        }
    }
    Ok(all)
}

#[test]
fn the_release_is_laid_out_as_the_image_has_it() -> Result<()> {
    let Some(release) = release() else {
        return Ok(());
    };
    let expected = BTreeSet::from(
        [
            "555 /hooks/000-config-loader",
            "555 /hooks/001-nodeguardian-controller",
            "555 /hooks/002-alert-manager",
            "555 /hooks/003-recovery-manager",
            "555 /hooks/004-node-monitor",
            "555 /usr/local/bin/nodeguardian-replay",
        ]
        .map(str::to_owned),
    );
    let found = files(&release, "")?;
    ensure!(found == expected, "{found:#?}");
    Ok(())
}

/// As in the minimal image: nothing else is there, no library, no shell, no user database.
#[test]
fn the_release_runs_where_there_is_nothing_else() -> Result<()> {
    let Some(release) = release() else {
        return Ok(());
    };
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let Some(unshare) = installed(&["unshare"], "util-linux", |_| true)? else {
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    copy(&release, dir.path())?;
    let operator = dir.path().join("usr/local/bin/shell-operator");
    std::fs::copy(&tools.shell_operator, &operator)?;
    let inside = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(&unshare)
            .args(["--map-root-user", "--root"])
            .arg(dir.path())
            .args(arguments)
            .env_clear()
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {errors}");
        Ok(String::from_utf8(output.stdout)?)
    };
    for hook in files(&release.join("hooks"), "/hooks")? {
        let path = hook.trim_start_matches("555 ");
        let bindings: Value = serde_json::from_str(&inside(&[path, "--config"])?)?;
        ensure!(bindings["configVersion"] == "v1", "{path}: {bindings}");
    }
    let version = inside(&["/usr/local/bin/nodeguardian-replay", "--version"])?;
    ensure!(
        version == format!("replay {}\n", self::version()?),
        "{version}"
    );
    ensure!(!inside(&["/usr/local/bin/shell-operator", "version"])?.is_empty());
    Ok(())
}

/// Modes, owners and paths of everything below a folder.
fn entries(dir: &Path, prefix: &str) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        let found = entry.metadata()?;
        let (mode, user, group) = (found.mode() & 0o7777, found.uid(), found.gid());
        if found.is_dir() {
            all.extend(entries(&entry.path(), &name)?);
        }
        all.insert(format!("{mode:o} {user}:{group} {name}"));
    }
    Ok(all)
}

#[test]
fn the_minimal_image_has_what_it_needs_and_nothing_else() -> Result<()> {
    let Some(image) = made(IMAGE_VARIABLE) else {
        return Ok(());
    };
    let expected = BTreeSet::from(
        [
            "755 0:0 /hooks",
            "555 0:0 /hooks/000-config-loader",
            "555 0:0 /hooks/001-nodeguardian-controller",
            "555 0:0 /hooks/002-alert-manager",
            "555 0:0 /hooks/003-recovery-manager",
            "555 0:0 /hooks/004-node-monitor",
            "1777 0:0 /tmp",
            "755 0:0 /usr",
            "755 0:0 /usr/local",
            "755 0:0 /usr/local/bin",
            "555 0:0 /usr/local/bin/nodeguardian-replay",
            "555 0:0 /usr/local/bin/shell-operator",
            "755 0:0 /usr/share",
            "755 0:0 /usr/share/doc",
            "755 0:0 /usr/share/doc/nodeguardian",
            "644 0:0 /usr/share/doc/nodeguardian/LICENSE",
            "644 0:0 /usr/share/doc/nodeguardian/sbom.cdx.json",
            "755 0:0 /var",
            "755 0:0 /var/lib",
            "700 65532:65532 /var/lib/nodeguardian",
        ]
        .map(str::to_owned),
    );
    let found = entries(&image, "")?;
    ensure!(found == expected, "{found:#?}");
    Ok(())
}

/// As the image's user, with the image's folder as the root.
#[test]
fn all_executables_of_the_minimal_image_run_in_it() -> Result<()> {
    let Some(image) = made(IMAGE_VARIABLE) else {
        return Ok(());
    };
    let mut commands = vec![
        vec!["/usr/local/bin/nodeguardian-replay", "demo"],
        vec!["/usr/local/bin/shell-operator", "version"],
    ];
    let hooks = files(&image.join("hooks"), "/hooks")?;
    let paths = hooks.iter().map(|hook| hook.trim_start_matches("555 "));
    commands.extend(paths.map(|path| vec![path, "--config"]));
    for command in commands {
        let output = Command::new("chroot")
            .arg("--userspec=65532:65532")
            .arg(&image)
            .args(&command)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .context("cannot run chroot")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?}: {errors}");
        ensure!(!output.stdout.is_empty(), "{command:?} says nothing");
    }
    Ok(())
}

/// shell-operator starts with the folder of hooks as the image has it, and would not with anything else in it.
#[test]
fn shell_operator_takes_the_hooks_as_they_are_laid_out() -> Result<()> {
    let Some(release) = release() else {
        return Ok(());
    };
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let hooks = std::path::absolute(release.join("hooks"))?;
    let mut stack = Stack::builder(tools)
        .manifests_in(root().join("config/crd"))?
        .env("SHELL_OPERATOR_HOOKS_DIR", hooks.display().to_string())
        .start_with_operator()?;
    let log = stack.operator().log()?;
    let text: Vec<&str> = log
        .iter()
        .map(ng_tests::operator::LogLine::message)
        .collect();
    for hook in files(&release.join("hooks"), "")? {
        let name = hook.trim_start_matches("555 /");
        let is_loaded = log
            .iter()
            .any(|line| line.fields().to_string().contains(name));
        ensure!(is_loaded, "{name} is not in {text:#?}");
    }
    Ok(())
}
