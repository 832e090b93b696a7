//! The bill of materials: every package of `Cargo.lock` with its checksum and licence, as `CycloneDX`.
//!
//! Made from the lock file and from what cargo knows of the packages, so that it is the same wherever it is made. What
//! executables get from elsewhere, the C library and Rust's own, depends on who builds them and is not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// The packages whose executables are released.
pub const RELEASED: [&str; 6] = [
    "ng-alert-manager",
    "ng-config-loader",
    "ng-controller",
    "ng-node-monitor",
    "ng-recovery-manager",
    "ng-replay",
];
/// What executables are released for.
pub const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// A package of the lock file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locked {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// SHA-256 of the package's file; `None` for packages of this project.
    pub checksum: Option<String>,
}

/// Every package of a lock file, in its order.
pub fn locked(lock: &str) -> Vec<Locked> {
    let field = |block: &str, key: &str| {
        let start = format!("{key} = \"");
        let line = block.lines().find_map(|line| line.strip_prefix(&start))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let blocks = lock.split("[[package]]\n").skip(1);
    blocks
        .filter_map(|block| {
            Some(Locked {
                name: field(block, "name")?,
                version: field(block, "version")?,
                checksum: field(block, "checksum"),
            })
        })
        .collect()
}

/// The bill of materials of the checkout at `root`, as it is kept in `sbom.cdx.json`.
pub fn make(root: &Path) -> Result<String> {
    let lock =
        std::fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let everything = metadata(root, &[])?;
    let mut packages = BTreeMap::new();
    for package in list(&everything["packages"]) {
        packages.insert(
            reference(text(&package["name"]), text(&package["version"])),
            package,
        );
    }
    let released = released(root)?;
    let mut components = Vec::new();
    for locked in locked(&lock) {
        let reference = reference(&locked.name, &locked.version);
        let package = packages
            .get(&reference)
            .with_context(|| format!("cargo does not know {reference} of Cargo.lock"))?;
        components.push(component(&locked, package, released.contains(&reference))?);
    }
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": "nodeguardian", "name": "nodeguardian",
            "version": version(&everything)?, "licenses": [{"license": {"id": "Apache-2.0"}}],
        }},
        "components": components,
        "dependencies": dependencies(&everything),
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// What names a component in the document.
pub fn reference(name: &str, version: &str) -> String {
    format!("{name}@{version}")
}

/// The package URL; a plus sign of the version is encoded.
pub fn package_url(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// A licence expression in today's spelling; `/` was one of `OR`.
pub fn expression(licence: &str) -> String {
    licence.replace(" / ", " OR ").replace('/', " OR ")
}

fn component(locked: &Locked, package: &Value, released: bool) -> Result<Value> {
    let licence = text(&package["license"]);
    ensure!(!licence.is_empty(), "{} names no licence", locked.name);
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(&locked.name, &locked.version),
        "name": locked.name,
        "version": locked.version,
        // What tests, builds for other systems and unused features would need is in no executable.
        "scope": if released { "required" } else { "excluded" },
        "licenses": [{"expression": expression(licence)}],
    });
    if let Some(checksum) = &locked.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
        component["purl"] = package_url(&locked.name, &locked.version).into();
    }
    if locked.name == "libsqlite3-sys" {
        component["components"] = json!([sqlite(package)?]);
    }
    Ok(component)
}

/// The C library that comes inside a crate.
fn sqlite(package: &Value) -> Result<Value> {
    let manifest = Path::new(text(&package["manifest_path"]));
    let header = manifest.with_file_name("sqlite3").join("sqlite3.h");
    let content = std::fs::read_to_string(&header).with_context(|| header.display().to_string())?;
    let line = content
        .lines()
        .find_map(|line| line.strip_prefix("#define SQLITE_VERSION "));
    let version = line
        .context("sqlite3.h names no version")?
        .trim()
        .trim_matches('"');
    Ok(json!({
        "type": "library", "bom-ref": reference("sqlite", version), "name": "sqlite", "version": version,
        "scope": "required", "licenses": [{"license": {"id": "blessing"}}],
        "purl": format!("pkg:generic/sqlite@{version}"),
    }))
}

/// The version of everything here.
fn version(metadata: &Value) -> Result<String> {
    let package = list(&metadata["packages"]).find(|package| package["name"] == "ng-controller");
    Ok(text(&package.context("no package ng-controller")?["version"]).to_owned())
}

/// What each package uses, for whatever reason.
fn dependencies(metadata: &Value) -> Vec<Value> {
    let names = names(metadata);
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let top = RELEASED.iter().filter_map(|released| {
        let start = format!("{released}@");
        names
            .values()
            .find(|name| name.starts_with(&start))
            .cloned()
    });
    all.insert("nodeguardian".to_owned(), top.collect());
    for node in list(&metadata["resolve"]["nodes"]) {
        let used = list(&node["dependencies"]).filter_map(|id| names.get(text(id)).cloned());
        if let Some(name) = names.get(text(&node["id"])) {
            all.insert(name.clone(), used.collect());
        }
    }
    all.into_iter()
        .map(|(name, used)| json!({"ref": name, "dependsOn": used}))
        .collect()
}

/// References by cargo's identifiers.
fn names(metadata: &Value) -> BTreeMap<&str, String> {
    let name = |package: &Value| reference(text(&package["name"]), text(&package["version"]));
    list(&metadata["packages"])
        .map(|package| (text(&package["id"]), name(package)))
        .collect()
}

/// What is linked into the executables, and what builds them, on any target.
fn released(root: &Path) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for target in TARGETS {
        let metadata = metadata(root, &["--filter-platform", target])?;
        let names = names(&metadata);
        let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"]["nodes"])
            .map(|node| (text(&node["id"]), node))
            .collect();
        let is_released =
            |name: &str| RELEASED.contains(&name.split('@').next().unwrap_or_default());
        let mut open: Vec<&str> = names
            .iter()
            .filter(|(_, name)| is_released(name))
            .map(|(id, _)| *id)
            .collect();
        let mut seen: BTreeSet<&str> = open.iter().copied().collect();
        while let Some(id) = open.pop() {
            let uses = nodes
                .get(id)
                .into_iter()
                .flat_map(|node| list(&node["deps"]));
            for used in uses.filter(|used| is_for_release(used)) {
                let package = text(&used["pkg"]);
                if seen.insert(package) {
                    open.push(package);
                }
            }
        }
        all.extend(seen.iter().filter_map(|id| names.get(id).cloned()));
    }
    Ok(all)
}

/// Whether a dependency is for more than tests.
fn is_for_release(used: &Value) -> bool {
    list(&used["dep_kinds"]).any(|kind| kind["kind"] != "dev")
}

/// May fetch packages that only other systems need: their licences are in them.
fn metadata(root: &Path, arguments: &[&str]) -> Result<Value> {
    let cargo = crate::tools::variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(root)
        .output()
        .context("cannot run cargo")?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata: {problem}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_is_read_package_by_package() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\n\
                    source = \"registry+x\"\nchecksum = \"00ff\"\ndependencies = [\n \"b\",\n]\n\n\
                    [[package]]\nname = \"b\"\nversion = \"0.1.0\"\n";
        let package = |name: &str, version: &str, checksum: Option<&str>| Locked {
            name: name.to_owned(),
            version: version.to_owned(),
            checksum: checksum.map(str::to_owned),
        };
        let expected = [
            package("a", "1.0.0+x", Some("00ff")),
            package("b", "0.1.0", None),
        ];
        assert_eq!(locked(lock), expected);
    }

    #[test]
    fn names_are_written_as_their_standards_want_them() {
        assert_eq!(package_url("a", "1.0.0+x"), "pkg:cargo/a@1.0.0%2Bx");
        assert_eq!(expression("MIT/Apache-2.0"), "MIT OR Apache-2.0");
        assert_eq!(expression("MIT / ISC"), "MIT OR ISC");
    }
}
