//! What each value of the chart changes, and which values it refuses.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ng_tests::Clients;
use ng_tests::manifests::{CHART, checkout, template, told};
use ng_tests::server::write_file;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::objects::{
    Objects, by_name, configuration, configuration_text, count, items, one, plain, pod, word,
};

/// A value that changes one field of one object.
#[derive(Debug, Deserialize)]
struct Field {
    /// The argument of `--set`.
    set: String,
    kind: String,
    at: String,
    is: Value,
}

fn chart(clients: &Clients, set: &str) -> Result<Objects> {
    by_name(template(&clients.helm, &["--set", set])?).with_context(|| set.to_owned())
}

#[test]
fn a_value_changes_the_field_that_it_names() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let defaults = by_name(template(&clients.helm, &[])?)?;
    let fields: Vec<Field> = serde_yaml::from_str(include_str!("../data/chart-values.yaml"))?;
    ensure!(!fields.is_empty(), "no fields");
    for Field { set, kind, at, is } in &fields {
        let objects = chart(&clients, set)?;
        let object = one(&objects, kind).with_context(|| set.clone())?;
        let found = object.pointer(at).cloned().unwrap_or_default();
        ensure!(found == *is, "{set}: {kind} {at}: {found}");
        let before = one(&defaults, kind)
            .ok()
            .and_then(|object| object.pointer(at));
        ensure!(before != Some(is), "{set}: that is the default");
    }
    Ok(())
}

#[test]
fn a_digest_wins_over_a_tag() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let digest = format!("sha256:{}", "0f".repeat(32));
    let objects = chart(&clients, &format!("image.tag=v9,image.digest={digest}"))?;
    let image = &pod(&objects)?["containers"][0]["image"];
    ensure!(*image == format!("nodeguardian@{digest}"), "{image}");
    Ok(())
}

#[test]
fn what_is_switched_off_is_not_there() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let defaults = by_name(template(&clients.helm, &[])?)?;
    for (set, kind) in [
        ("crds.install=false", "CustomResourceDefinition"),
        ("rbac.create=false", "ClusterRole"),
        ("rbac.create=false", "RoleBinding"),
        ("serviceAccount.create=false", "ServiceAccount"),
        ("service.enabled=false", "Service"),
        ("networkPolicy.enabled=false", "NetworkPolicy"),
    ] {
        ensure!(count(&defaults, kind) > 0, "{kind} is not there by default");
        ensure!(count(&chart(&clients, set)?, kind) == 0, "{set}: {kind}");
    }
    let existing = "persistence.enabled=true,persistence.existingClaim=mine";
    ensure!(count(&chart(&clients, existing)?, "PersistentVolumeClaim") == 0);
    Ok(())
}

#[test]
fn the_kinds_are_upgraded_and_never_deleted() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    ensure!(
        !checkout(CHART).join("crds").exists(),
        "Helm upgrades nothing in crds/"
    );
    let objects = by_name(template(&clients.helm, &[])?)?;
    let kinds: Vec<&Value> = objects
        .values()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .collect();
    ensure!(kinds.len() == 2);
    for kind in kinds {
        let annotations = &kind["metadata"]["annotations"];
        ensure!(
            annotations["helm.sh/resource-policy"] == "keep",
            "{annotations}"
        );
        ensure!(
            annotations["api-approved.kubernetes.io"].is_string(),
            "{annotations}"
        );
    }
    Ok(())
}

#[test]
fn settings_are_laid_over_the_defaults_and_the_profile_over_the_settings() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let given = "config.prometheus.url=http://p:9090,config.safety.dryRun=false,config.slack.webhookUrl=http://s/x,\
                 config.email.to[0]=a@example.com,config.alert.defaultChannels[0]=slack,\
                 config.nodeMonitor.slack.webhookURL=http://s/y,config.nodeMonitor.predictHours=6h";
    let mut seen = Vec::new();
    for profile in ["full", "cordon", "alert", "detect"] {
        let objects = chart(&clients, &format!("profile={profile},{given}"))?;
        let config: Value = serde_json::from_str(configuration_text(&objects)?)?;
        ensure!(config["prometheus"]["url"] == "http://p:9090", "{config}");
        ensure!(config["prometheus"]["retries"] == 3, "{config}");
        ensure!(config["nodeMonitor"]["predictHours"] == "6h", "{config}");
        configuration(&objects)?;
        seen.push(json!([
            config["safety"]["dryRun"],
            config["slack"]["webhookUrl"],
            config["email"]["to"],
            config["alert"]["defaultChannels"],
            config["nodeMonitor"]["slack"],
        ]));
    }
    let receivers =
        json!(["http://s/x", ["a@example.com"], ["slack"], {"webhookURL": "http://s/y"}]);
    let with = |pretends: bool| {
        let mut all = vec![Value::Bool(pretends)];
        all.extend(items(&receivers).cloned());
        Value::Array(all)
    };
    ensure!(seen[0] == with(false), "full: {}", seen[0]);
    ensure!(seen[1] == with(false), "cordon: {}", seen[1]);
    ensure!(seen[2] == with(true), "alert: {}", seen[2]);
    ensure!(
        seen[3] == json!([true, null, [], ["log"], null]),
        "detect: {}",
        seen[3]
    );
    Ok(())
}

#[test]
fn the_default_values_are_the_built_in_configuration() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let objects = by_name(template(&clients.helm, &[])?)?;
    let built_in = ng_config::resolve(&ng_config::Inputs::default()).config;
    ensure!(configuration(&objects)? == built_in);
    Ok(())
}

#[test]
fn extra_objects_are_maps_or_templates() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    let values = json!({"extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ include \"nodeguardian.fullname\" . }}-b}\n",
    ]});
    let file = dir.path().join("values.yaml");
    write_file(&file, values.to_string())?;
    let objects = by_name(template(
        &clients.helm,
        &["-f", &file.display().to_string()],
    )?)?;
    for name in ["ConfigMap /a", "ConfigMap /nodeguardian-b"] {
        ensure!(objects.contains_key(name), "no {name}");
    }
    Ok(())
}

#[test]
fn a_release_of_another_name_and_namespace_names_everything_after_it() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let output = Command::new(&clients.helm)
        .args(["template", "guard"])
        .arg(checkout(CHART))
        .args(["--namespace", "ops", "--set", "dashboards.enabled=true"])
        .output()?;
    let objects = by_name(ng_tests::manifests::objects(&told(output)?)?)?;
    for object in objects.values().cloned().map(plain) {
        let meta = &object["metadata"];
        let name = word(&meta["name"]);
        // The kinds have names of their own, and the configuration is found by its name.
        let is_fixed =
            object["kind"] == "CustomResourceDefinition" || name == "nodeguardian-config";
        ensure!(is_fixed || name.starts_with("guard-nodeguardian"), "{name}");
        let namespace = word(&meta["namespace"]);
        ensure!(
            ["", "ops", "kube-node-lease"].contains(&namespace),
            "{name} in {namespace}"
        );
        for subject in items(&object["subjects"]) {
            ensure!(
                subject["namespace"] == "ops" && subject["name"] == "guard-nodeguardian",
                "{subject}"
            );
        }
    }
    Ok(())
}

/// `--set`, and words of the refusal.
const REFUSED: [(&str, &[&str]); 17] = [
    (
        "profile=maximal",
        &["/profile", "'detect', 'alert', 'cordon', 'full'"],
    ),
    ("replicaCount=2", &["replicaCount", "not allowed"]),
    ("image.digest=sha1:0f", &["/image/digest", "does not match"]),
    ("image.repository=", &["/image/repository", "minLength"]),
    (
        "image.pullPolicy=Sometimes",
        &["/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"],
    ),
    (
        "terminationGracePeriodSeconds=30",
        &["/terminationGracePeriodSeconds", "want 31"],
    ),
    (
        "persistence.size=big",
        &["/persistence/size", "does not match"],
    ),
    (
        "persistence.accessModes[0]=ReadOnlyMany",
        &["/persistence/accessModes/0"],
    ),
    (
        "priorityClass.value=2000000000",
        &["/priorityClass/value", "maximum"],
    ),
    ("priorityClass.create=true", &["a class of the system"]),
    (
        "podMonitor.enabled=true,serviceMonitor.enabled=true",
        &["take one of them"],
    ),
    (
        "serviceMonitor.enabled=true,service.enabled=false",
        &["which service.enabled leaves out"],
    ),
    ("podMonitor.interval=often", &["/podMonitor/interval"]),
    (
        "secret.data.slack=u",
        &["/secret/data", "'slack' not allowed"],
    ),
    ("extraEnv[0].value=b", &["/extraEnv/0", "name"]),
    ("config.email.smtpPort=abc", &["/config/email/smtpPort"]),
    ("config.alert.language=fr", &["/config/alert/language"]),
];

#[test]
fn a_wrong_value_is_refused_by_name() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    for (set, words) in REFUSED {
        let Err(error) = template(&clients.helm, &["--set", set]) else {
            anyhow::bail!("{set} was taken");
        };
        let text = error.to_string();
        for word in words {
            ensure!(text.contains(word), "{set}: no {word:?} in {text}");
        }
    }
    Ok(())
}

#[test]
fn helm_finds_nothing_to_complain_about() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    for profile in ["full", "cordon", "alert", "detect"] {
        let output = Command::new(&clients.helm)
            .args(["lint", "--strict", "--set", &format!("profile={profile}")])
            .arg(checkout(CHART))
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{said}");
        ensure!(!said.contains("[WARNING]"), "{said}");
    }
    Ok(())
}

#[test]
fn the_packed_chart_holds_what_the_folder_holds() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    let output = Command::new(&clients.helm)
        .arg("package")
        .arg(checkout(CHART))
        .arg("--destination")
        .arg(dir.path())
        .output()?;
    told(output)?;
    let version = env!("CARGO_PKG_VERSION");
    let packed = dir.path().join(format!("nodeguardian-{version}.tgz"));
    let arguments = [
        "--set",
        "dashboards.enabled=true,prometheusRule.enabled=true",
    ];
    let output = Command::new(&clients.helm)
        .args([
            "template",
            "nodeguardian",
            "--namespace",
            "nodeguardian-system",
        ])
        .arg(&packed)
        .args(arguments)
        .output()?;
    let objects = ng_tests::manifests::objects(&told(output)?)?;
    ensure!(objects == template(&clients.helm, &arguments)?);
    Ok(())
}

#[test]
fn the_notes_say_what_the_profile_does() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    for (set, words) in [
        ("profile=full", "acts on nodes as soon as there are rules"),
        (
            "profile=cordon",
            "marks nodes as soon as there are rules, and evicts no pod",
        ),
        ("profile=alert", "tells people. It changes no node"),
        ("profile=detect", "changes no node and tells nobody"),
        (
            "crds.install=false",
            "The two kinds are not part of this release",
        ),
    ] {
        let notes = notes(&clients.helm, set)?;
        ensure!(notes.contains(words), "{set}: {notes}");
        ensure!(notes.contains("deployment/nodeguardian"), "{notes}");
    }
    Ok(())
}

fn notes(helm: &Path, set: &str) -> Result<String> {
    let output = Command::new(helm)
        .args(["install", "nodeguardian"])
        .arg(checkout(CHART))
        .args([
            "--namespace",
            "nodeguardian-system",
            "--dry-run=client",
            "--set",
            set,
        ])
        .output()?;
    let said = told(output)?;
    let (_, notes) = said.split_once("NOTES:").context("no notes")?;
    Ok(notes.to_owned())
}

#[test]
fn chart_and_program_have_one_version() -> Result<()> {
    let chart: Value = serde_yaml::from_str(&std::fs::read_to_string(
        checkout(CHART).join("Chart.yaml"),
    )?)?;
    for key in ["version", "appVersion"] {
        ensure!(
            chart[key] == env!("CARGO_PKG_VERSION"),
            "{key}: {}",
            chart[key]
        );
    }
    Ok(())
}
