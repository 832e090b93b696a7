//! Keeps the code map: which crate may use which, where heavy crates may be, and what the checkout looks like.

use std::collections::BTreeSet;

use crate::checkout::{files, items, metadata, root, sources, text, word};
use anyhow::{Result, ensure};
use serde_json::Value;

/// Packages of ours below `crates/`, and those of ours that each may use. A new one needs a line here.
const MAY_USE: [(&str, &[&str]); 18] = [
    ("ng-engine", &[]),
    ("ng-hook", &[]),
    ("ng-kube", &[]),
    ("ng-config", &[]),
    ("ng-template", &[]),
    ("ng-delivery", &["ng-engine"]),
    ("ng-forecast", &["ng-engine"]),
    ("ng-forecast-trial", &["ng-engine", "ng-forecast"]),
    ("ng-picture", &["ng-engine"]),
    ("ng-state", &["ng-delivery", "ng-engine"]),
    // The file beside the state's is opened, and set aside when it is damaged, as the state's is.
    ("ng-samples", &["ng-engine", "ng-state"]),
    ("ng-metrics", &["ng-engine", "ng-kube"]),
    ("ng-nodes", &["ng-engine", "ng-hook", "ng-kube"]),
    ("ng-monitor", &["ng-config", "ng-engine"]),
    ("ng-notify", &["ng-config", "ng-engine", "ng-template"]),
    (
        "ng-lint",
        &["ng-config", "ng-engine", "ng-notify", "ng-template"],
    ),
    (
        "ng-round",
        &[
            "ng-config",
            "ng-engine",
            "ng-hook",
            "ng-kube",
            "ng-metrics",
            "ng-nodes",
            "ng-state",
            "ng-template",
        ],
    ),
    // Measures executables from outside, and so knows none of their crates; a forecast is measured from inside.
    ("ng-bench", &["ng-forecast", "ng-forecast-trial"]),
];

/// Packages that measure: no hook and no other part may use them, so that no release has them.
const MEASURES: [&str; 2] = ["ng-bench", "ng-forecast-trial"];

/// Crates that only these packages may link, so that a heavy dependency stays where it is seen. `hooks/*` stands for
/// every hook.
const HEAVY: [(&str, &[&str]); 9] = [
    (
        "anyhow",
        &[
            "ng-hook",
            "ng-round",
            "hooks/*",
            "ng-replay",
            "ng-tests",
            "ng-bench",
        ],
    ),
    ("clap", &["hooks/*", "ng-replay"]),
    ("handlebars", &["ng-template"]),
    ("k8s-openapi", &["ng-kube"]),
    ("lettre", &["ng-notify"]),
    ("rusqlite", &["ng-state", "ng-samples"]),
    ("rustls", &["ng-kube"]),
    (
        "serde_yaml",
        &["ng-config", "ng-kube", "ng-replay", "ng-tests"],
    ),
    ("ureq", &["ng-kube", "ng-metrics", "ng-notify", "ng-tests"]),
];

const TOP_LEVEL: [&str; 22] = [
    ".cargo",
    ".ci",
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "README.zh-CN.md",
    "clippy.toml",
    "config",
    "crates",
    "deny.toml",
    "deploy",
    "docs",
    "hooks",
    "rust-toolchain.toml",
    "sbom.cdx.json",
    "tests",
];

/// Traces of one machine. Put together here, so that this file holds none.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/tmp/", "target"),
    concat!("/ro", "ot/"),
];

/// A package of the workspace.
struct Package {
    name: String,
    /// `crates/engine`, `hooks/controller`, `tests`.
    folder: String,
    /// Names, and whether each is only for tests.
    uses: Vec<(String, bool)>,
}

impl Package {
    fn is_hook(&self) -> bool {
        self.folder.starts_with("hooks/")
    }

    /// Whether it may use the package `other` of ours.
    fn may_use(&self, other: &Package, for_tests: bool) -> bool {
        let is_part = MAY_USE.iter().any(|(name, _)| *name == other.name)
            && !MEASURES.contains(&other.name.as_str());
        match self.name.as_str() {
            "ng-tests" => is_part,
            "ng-replay" => is_part || other.is_hook() || (for_tests && other.name == "ng-tests"),
            _ if self.is_hook() => is_part || (for_tests && other.name == "ng-tests"),
            name => MAY_USE
                .iter()
                .any(|(user, used)| *user == name && used.contains(&other.name.as_str())),
        }
    }
}

fn packages() -> Result<Vec<Package>> {
    let metadata = metadata(&["--no-deps"])?;
    let base = root().to_string_lossy().into_owned() + "/";
    let package = |package: &Value| Package {
        name: word(&package["name"]).to_owned(),
        folder: word(&package["manifest_path"])
            .trim_start_matches(&base)
            .trim_end_matches("/Cargo.toml")
            .to_owned(),
        uses: items(&package["dependencies"])
            .map(|used| (word(&used["name"]).to_owned(), used["kind"] == "dev"))
            .collect(),
    };
    Ok(items(&metadata["packages"]).map(package).collect())
}

/// Fails with every problem at once.
fn none(problems: &[String]) -> Result<()> {
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn arrows_point_down_only() -> Result<()> {
    let packages = packages()?;
    let mut problems = Vec::new();
    for package in &packages {
        let listed = MAY_USE.iter().any(|(name, _)| *name == package.name);
        let special = ["ng-replay", "ng-tests"].contains(&package.name.as_str());
        if !listed && !special && !package.is_hook() {
            problems.push(format!("{} has no line in the code map", package.name));
        }
        for (used, for_tests) in &package.uses {
            if let Some(other) = packages.iter().find(|other| other.name == *used)
                && !package.may_use(other, *for_tests)
            {
                problems.push(format!("{} must not use {used}", package.name));
            }
        }
    }
    none(&problems)
}

#[test]
fn heavy_crates_stay_with_their_owners() -> Result<()> {
    let mut problems = Vec::new();
    for package in packages()? {
        for (used, for_tests) in &package.uses {
            let Some((_, owners)) = HEAVY.iter().find(|(name, _)| name == used) else {
                continue;
            };
            let owner = owners.contains(&package.name.as_str())
                || (package.is_hook() && owners.contains(&"hooks/*"));
            if !owner && !for_tests {
                problems.push(format!("{} must not link {used}", package.name));
            }
        }
    }
    none(&problems)
}

#[test]
fn names_follow_the_folders() -> Result<()> {
    let mut problems = Vec::new();
    for package in packages()? {
        let folder = package.folder.rsplit('/').next().unwrap_or_default();
        if package.name != format!("ng-{folder}") {
            problems.push(format!("{} is in {}", package.name, package.folder));
        }
    }
    none(&problems)
}

#[test]
fn every_crate_takes_lints_and_versions_from_the_workspace() -> Result<()> {
    let mut problems = Vec::new();
    for package in packages()? {
        let manifest = text(&format!("{}/Cargo.toml", package.folder))?;
        if !manifest.contains("[lints]\nworkspace = true\n") {
            problems.push(format!("{}: no [lints] workspace = true", package.folder));
        }
        let mut section = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            } else if section.ends_with("dependencies]")
                && line.contains('=')
                && !line.starts_with('#')
                && !line.contains("workspace = true")
            {
                problems.push(format!(
                    "{}: {line}: not from the workspace",
                    package.folder
                ));
            }
        }
    }
    none(&problems)
}

#[test]
fn every_source_file_says_what_it_is_for() -> Result<()> {
    let mut problems = Vec::new();
    // A module's tests are explained by the module.
    let sources = sources()?;
    for file in sources.iter().filter(|file| !file.ends_with("/tests.rs")) {
        if !text(file)?.starts_with("//!") {
            problems.push(format!("{file}: does not open with //!"));
        }
    }
    none(&problems)
}

#[test]
fn the_top_level_is_what_it_was() -> Result<()> {
    let found: BTreeSet<String> = files()?
        .iter()
        .filter_map(|file| file.split('/').next().map(str::to_owned))
        .collect();
    let expected: BTreeSet<String> = TOP_LEVEL.map(str::to_owned).into();
    ensure!(found == expected, "{found:#?} instead of {expected:#?}");
    Ok(())
}

#[test]
fn no_file_knows_one_machine() -> Result<()> {
    let mut problems = Vec::new();
    for file in files()? {
        // Test data may be anything but text.
        let content = String::from_utf8_lossy(&std::fs::read(root().join(&file))?).into_owned();
        for (number, line) in content.lines().enumerate() {
            if MACHINE_PATHS.iter().any(|path| line.contains(path)) {
                problems.push(format!("{file}:{}: {line}", number + 1));
            }
        }
    }
    none(&problems)
}
