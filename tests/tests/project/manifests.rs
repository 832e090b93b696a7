//! The image and the manifests against the code. What a real API server makes of the manifests is in `tests/deploy`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize as _;
use serde_json::Value;

use crate::checkout::{files, items, metadata, root, text, word};

fn documents(path: &str) -> Result<Vec<Value>> {
    let text = text(path)?;
    let documents = serde_yaml::Deserializer::from_str(&text);
    let documents: Result<Vec<Value>, _> = documents.map(Value::deserialize).collect();
    documents.with_context(|| path.to_owned())
}

fn one(path: &str) -> Result<Value> {
    let mut documents = documents(path)?;
    ensure!(
        documents.len() == 1,
        "{path}: {} documents",
        documents.len()
    );
    Ok(documents.remove(0))
}

/// The pod of the Deployment.
fn pod() -> Result<Value> {
    Ok(one("deploy/base/deployment.yaml")?["spec"]["template"]["spec"].take())
}

/// The value of a variable of the container.
fn variable(container: &Value, name: &str) -> String {
    let found = items(&container["env"]).find(|variable| variable["name"] == name);
    found
        .map_or("", |variable| word(&variable["value"]))
        .to_owned()
}

#[test]
fn the_shipped_configuration_is_the_built_in_one() -> Result<()> {
    let text = text("config/config.json")?;
    let file = ng_config::File {
        name: "config.json",
        text: &text,
        format: ng_config::Format::Json,
    };
    let inputs = ng_config::Inputs::default();
    let shipped = ng_config::resolve(&ng_config::Inputs {
        file: Some(file),
        ..inputs
    });
    ensure!(shipped.errors.is_empty(), "{:?}", shipped.errors);
    ensure!(shipped.warnings.is_empty(), "{:?}", shipped.warnings);
    ensure!(shipped.config == ng_config::resolve(&inputs).config);
    Ok(())
}

#[test]
fn every_key_of_the_example_secret_is_a_setting() -> Result<()> {
    let secret = one("deploy/secret.example.yaml")?;
    let data = secret["stringData"].as_object().context("no stringData")?;
    let secrets = data
        .iter()
        .map(|(name, value)| (name.clone(), ng_config::Secret::new(word(value))))
        .collect();
    let resolution = ng_config::resolve(&ng_config::Inputs {
        secrets: &secrets,
        ..ng_config::Inputs::default()
    });
    ensure!(resolution.errors.is_empty(), "{:?}", resolution.errors);
    ensure!(resolution.warnings.is_empty(), "{:?}", resolution.warnings);
    Ok(())
}

#[test]
fn names_in_the_manifests_agree() -> Result<()> {
    let pod = pod()?;
    let account = one("deploy/base/service-account.yaml")?;
    ensure!(pod["serviceAccountName"] == account["metadata"]["name"]);
    let volume = |name: &str| {
        items(&pod["volumes"])
            .find(|volume| volume["name"] == name)
            .cloned()
            .unwrap_or_default()
    };
    let secret = one("deploy/secret.example.yaml")?;
    ensure!(volume("secrets")["secret"]["secretName"] == secret["metadata"]["name"]);
    let generated = &one("config/Kustomization")?["configMapGenerator"][0];
    ensure!(volume("config")["configMap"]["name"] == generated["name"]);
    let kustomization = one("deploy/kustomization.yaml")?;
    for resource in items(&kustomization["resources"]) {
        let folder = root().join("deploy").join(word(resource));
        ensure!(folder.join("kustomization.yaml").is_file(), "{resource}");
    }
    let image = word(&pod["containers"][0]["image"])
        .split(':')
        .next()
        .unwrap_or_default();
    ensure!(
        items(&kustomization["images"]).any(|renamed| renamed["name"] == image),
        "{image}"
    );
    Ok(())
}

#[test]
fn only_one_copy_runs_and_it_has_time_to_end() -> Result<()> {
    let deployment = one("deploy/base/deployment.yaml")?;
    ensure!(deployment["spec"]["replicas"] == 1);
    ensure!(deployment["spec"]["strategy"]["type"] == "Recreate");
    let grace = pod()?["terminationGracePeriodSeconds"].as_u64();
    // shell-operator waits 30 s for hooks.
    ensure!(grace > Some(30), "{grace:?}");
    Ok(())
}

#[test]
fn what_is_written_has_a_volume_while_the_root_is_read_only() -> Result<()> {
    let pod = pod()?;
    let container = &pod["containers"][0];
    ensure!(container["securityContext"]["readOnlyRootFilesystem"] == true);
    let writable: Vec<&str> = items(&container["volumeMounts"])
        .filter(|mount| mount["readOnly"] != true)
        .map(|mount| word(&mount["mountPath"]))
        .collect();
    let state = "/var/lib/nodeguardian".to_owned();
    for path in [
        variable(container, "DEBUG_UNIX_SOCKET"),
        variable(container, "SHELL_OPERATOR_TMP_DIR"),
        variable(container, "TMPDIR"),
        state,
    ] {
        ensure!(
            writable.iter().any(|mount| path.starts_with(mount)),
            "{path:?}"
        );
    }
    for mount in items(&container["volumeMounts"]) {
        let name = &mount["name"];
        ensure!(
            items(&pod["volumes"]).any(|volume| volume["name"] == *name),
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn the_pod_may_run_where_our_own_taints_are() -> Result<()> {
    let mut keys = BTreeSet::from(["nodeguardian.io/status".to_owned()]);
    for file in files()?
        .iter()
        .filter(|file| file.starts_with("config/examples/"))
    {
        for rule in documents(file)? {
            let taints =
                items(&rule["spec"]["actions"]).map(|action| word(&action["taint"]["key"]));
            keys.extend(taints.filter(|key| !key.is_empty()).map(str::to_owned));
        }
    }
    let pod = pod()?;
    for key in keys {
        let tolerated = items(&pod["tolerations"]).any(|toleration| toleration["key"] == *key);
        ensure!(tolerated, "{key} is not tolerated");
    }
    Ok(())
}

#[test]
fn the_image_holds_every_hook_where_shell_operator_looks() -> Result<()> {
    let places = places()?;
    for (name, place) in &places {
        ensure!(
            place.starts_with("/hooks/") != (name == "replay"),
            "{name} is at {place}"
        );
        let row = format!("| `{name}` | `{place}` |");
        ensure!(text("README.md")?.contains(&row), "README.md: no {row}");
    }
    let mut programs = BTreeSet::from(["replay".to_owned()]);
    for package in items(&metadata(&["--no-deps"])?["packages"]) {
        if word(&package["manifest_path"]).contains("/hooks/") {
            programs.insert(word(&package["name"]).trim_start_matches("ng-").to_owned());
        }
    }
    let built: BTreeSet<String> = places.into_keys().collect();
    ensure!(built == programs, "{built:?} instead of {programs:?}");
    let script = text("deploy/release.sh")?;
    let listed = script
        .split_once("\nall=(")
        .and_then(|(_, rest)| rest.split_once(')'))
        .context("release.sh lists no executables")?;
    let listed: BTreeSet<String> = listed.0.split_whitespace().map(str::to_owned).collect();
    ensure!(listed == programs, "{listed:?} instead of {programs:?}");
    Ok(())
}

/// Where `deploy/release.sh` puts each executable.
fn places() -> Result<BTreeMap<String, String>> {
    let script = text("deploy/release.sh")?;
    let lines = script.lines().filter_map(|line| {
        let (name, rest) = line.trim().split_once(") printf '")?;
        let (place, _) = rest.split_once("' ;;")?;
        Some((name.to_owned(), format!("/{place}")))
    });
    Ok(lines.collect())
}

#[test]
fn the_image_is_built_with_the_pinned_toolchain() -> Result<()> {
    let toolchain = text("rust-toolchain.toml")?;
    let channel = toolchain.split('"').nth(1).context("no channel")?;
    let manifest = text("Cargo.toml")?;
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .context("no version")?
        .trim_matches('"');
    let dockerfile = text("Dockerfile")?;
    for line in [
        format!("ARG RUST=docker.io/library/rust:{channel}-bookworm\n"),
        format!("ENV RUSTUP_TOOLCHAIN={channel}\n"),
        format!("ARG VERSION={version}\n"),
    ] {
        ensure!(dockerfile.contains(&line), "the Dockerfile lacks {line}");
    }
    Ok(())
}
