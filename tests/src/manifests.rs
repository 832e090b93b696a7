//! The shipped manifests and the chart as they are applied, and the files that are made from others.
//!
//! `cargo run -p ng-tests --bin deploy-files` writes what [`copies`] returns; a test compares.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize as _;
use serde_json::Value;

/// The chart, from the top of the checkout.
pub const CHART: &str = "deploy/helm/nodeguardian";
/// The rules of Prometheus as an object of its operator.
const PROMETHEUS_RULE: &str = "deploy/components/prometheus-rule/rule.yaml";
const PROMETHEUS_RULE_HEAD: &str = "\
# Made from deploy/prometheus/rules.yaml; do not edit. To make it again: cargo run -p ng-tests --bin deploy-files
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: nodeguardian
  namespace: nodeguardian-system
  labels:
    app.kubernetes.io/name: nodeguardian
spec:
";
/// How the line of the values' schema begins that holds the schema of the configuration.
const CONFIG_LINE: &str = "    \"config\": ";

/// A part of the rights, which is given as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Looks, and shows what it sees.
    Detect,
    /// Tells people.
    Alert,
    /// Marks nodes.
    Cordon,
    /// Moves pods away.
    Evict,
}

impl Step {
    /// All of them, the least one first.
    pub const ALL: [Self; 4] = [Self::Detect, Self::Alert, Self::Cordon, Self::Evict];

    /// The name of its folder and of its role.
    pub fn word(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Alert => "alert",
            Self::Cordon => "cordon",
            Self::Evict => "evict",
        }
    }

    /// The manifest with its roles and bindings.
    pub fn rights(self) -> PathBuf {
        checkout(&format!("deploy/rbac/{}/rights.yaml", self.word()))
    }
}

/// How much an installation may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Changes no node, tells nobody.
    Detect,
    /// Changes no node.
    Alert,
    /// Moves no pod.
    Cordon,
    /// Everything.
    Full,
}

impl Profile {
    /// All of them, the least one first.
    pub const ALL: [Self; 4] = [Self::Detect, Self::Alert, Self::Cordon, Self::Full];

    /// `profile` among the chart's values.
    pub fn value(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Alert => "alert",
            Self::Cordon => "cordon",
            Self::Full => "full",
        }
    }

    /// The overlay, from the top of the checkout.
    pub fn overlay(self) -> &'static str {
        match self {
            Self::Detect => "deploy/overlays/detect-only",
            Self::Alert => "deploy/overlays/alert-only",
            Self::Cordon => "deploy/overlays/cordon-only",
            Self::Full => "deploy/overlays/full",
        }
    }

    /// The steps of rights that it takes.
    pub fn steps(self) -> &'static [Step] {
        match self {
            Self::Detect => &Step::ALL[..1],
            Self::Alert => &Step::ALL[..2],
            Self::Cordon => &Step::ALL[..3],
            Self::Full => &Step::ALL,
        }
    }

    /// Whether nodes are changed.
    pub fn acts(self) -> bool {
        self.steps().contains(&Step::Cordon)
    }
}

/// A file of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).join(path)
}

fn text(path: &str) -> Result<String> {
    std::fs::read_to_string(checkout(path)).with_context(|| path.to_owned())
}

/// The objects of a manifest.
pub fn objects(manifest: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(manifest) {
        let object = Value::deserialize(document).context("the manifest is not YAML")?;
        if !object.is_null() {
            objects.push(object);
        }
    }
    Ok(objects)
}

/// What `kubectl apply -k` would apply.
pub fn kustomize(kubectl: &Path, dir: &Path) -> Result<Vec<Value>> {
    let output = Command::new(kubectl).arg("kustomize").arg(dir).output();
    objects(&told(output.context("cannot run kubectl")?)?)
}

/// What `helm install nodeguardian` in `nodeguardian-system` would apply, with these further arguments.
pub fn template(helm: &Path, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = Command::new(helm)
        .args(["template", "nodeguardian"])
        .arg(checkout(CHART))
        .args(["--namespace", "nodeguardian-system"])
        .args(arguments)
        .output();
    objects(&told(output.context("cannot run helm")?)?)
}

/// What a program printed; its complaint, if it failed.
pub fn told(output: Output) -> Result<String> {
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A file that is made from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where it is, from the top of the checkout.
    pub path: String,
    /// What it has to hold.
    pub text: String,
}

/// Every file below `deploy` that is made from another one: Helm takes only what is in the chart, and Kustomize cannot
/// put a file into an object of its own kind.
pub fn copies() -> Result<Vec<Copy>> {
    let mut sources = vec![
        ("config/config.json".to_owned(), "config.json".to_owned()),
        (
            "deploy/prometheus/rules.yaml".to_owned(),
            "rules.yaml".to_owned(),
        ),
    ];
    sources.extend(step_files());
    sources.extend(files_in("config/crd", "crds", "yaml")?);
    sources.extend(files_in("deploy/grafana", "dashboards", "json")?);
    let mut copies = Vec::new();
    for (from, to) in sources {
        copies.push(Copy {
            path: format!("{CHART}/files/{to}"),
            text: text(&from)?,
        });
    }
    copies.push(prometheus_rule()?);
    copies.push(values_schema()?);
    Ok(copies)
}

fn step_files() -> impl Iterator<Item = (String, String)> {
    Step::ALL.into_iter().map(|step| {
        let word = step.word();
        (
            format!("deploy/rbac/{word}/rights.yaml"),
            format!("rights/{word}.yaml"),
        )
    })
}

/// Files of a folder with this ending, and where they go.
fn files_in(dir: &str, to: &str, end: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(checkout(dir)).with_context(|| dir.to_owned())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_wanted = Path::new(&name).extension().is_some_and(|is| is == end);
        if is_wanted && name != "kustomization.yaml" {
            found.push((format!("{dir}/{name}"), format!("{to}/{name}")));
        }
    }
    ensure!(!found.is_empty(), "{dir}: no file");
    found.sort();
    Ok(found)
}

/// The rules, two columns further right. What is said to readers of the plain file is left out.
fn prometheus_rule() -> Result<Copy> {
    let mut rule = PROMETHEUS_RULE_HEAD.to_owned();
    let rules = text("deploy/prometheus/rules.yaml")?;
    for line in rules.lines().filter(|line| !line.starts_with('#')) {
        if !line.is_empty() {
            rule.push_str("  ");
            rule.push_str(line);
        }
        rule.push('\n');
    }
    Ok(Copy {
        path: PROMETHEUS_RULE.to_owned(),
        text: rule,
    })
}

/// The schema of the values as it is, with the schema of the configuration in it.
fn values_schema() -> Result<Copy> {
    let path = format!("{CHART}/values.schema.json");
    let mut schema = String::new();
    let mut found = 0;
    for line in text(&path)?.lines() {
        if line.starts_with(CONFIG_LINE) {
            found += 1;
            schema.push_str(CONFIG_LINE);
            schema.push_str(&config_schema().to_string());
            schema.push(',');
        } else {
            schema.push_str(line);
        }
        schema.push('\n');
    }
    ensure!(
        found == 1,
        "{path}: {found} lines that begin with {CONFIG_LINE:?}"
    );
    Ok(Copy { path, text: schema })
}

fn config_schema() -> Value {
    let mut schema = ng_config::schema();
    if let Some(fields) = schema.as_object_mut() {
        // The file has one already.
        fields.remove("$schema");
    }
    schema
}
