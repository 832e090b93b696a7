//! Holds `sbom.cdx.json` against the lock file, and against the rules of its format.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use ng_tests::sbom::{Locked, RELEASED, locked, make, package_url, reference};
use serde_json::Value;

use crate::checkout::{items, root, text, word};

fn document() -> Result<Value> {
    serde_json::from_str(&text("sbom.cdx.json")?).context("sbom.cdx.json")
}

#[test]
fn it_is_as_it_would_be_made_now() -> Result<()> {
    ensure!(
        text("sbom.cdx.json")? == make(&root())?,
        "make it anew: cargo run -p ng-tests --bin sbom > sbom.cdx.json"
    );
    Ok(())
}

/// Read from the document alone, so that a mistake in making it shows.
#[test]
fn every_locked_package_is_in_it_with_its_checksum_and_no_other() -> Result<()> {
    let mut expected = locked(&text("Cargo.lock")?);
    ensure!(expected.len() > 100, "{} packages", expected.len());
    let document = document()?;
    let mut found = Vec::new();
    for component in items(&document["components"]) {
        let hash = &component["hashes"][0];
        let package = Locked {
            name: word(&component["name"]).to_owned(),
            version: word(&component["version"]).to_owned(),
            checksum: hash["content"].as_str().map(str::to_owned),
        };
        if package.checksum.is_some() {
            ensure!(hash["alg"] == "SHA-256", "{component}");
            let url = package_url(&package.name, &package.version);
            ensure!(component["purl"] == url, "{component}");
        } else {
            ensure!(package.name.starts_with("ng-"), "no checksum: {component}");
        }
        found.push(package);
    }
    found.sort();
    expected.sort();
    ensure!(
        found == expected,
        "{} and {} packages",
        found.len(),
        expected.len()
    );
    Ok(())
}

#[test]
fn what_is_released_is_told_from_what_only_tests_need() -> Result<()> {
    let document = document()?;
    let scope = |name: &str| {
        let mut components = items(&document["components"]);
        let found = components.find(|component| component["name"] == name);
        found.map_or("", |component| word(&component["scope"]))
    };
    for name in RELEASED
        .into_iter()
        .chain(["rusqlite", "rustls", "ureq", "cc"])
    {
        ensure!(scope(name) == "required", "{name}: {}", scope(name));
    }
    for name in ["ng-tests", "ng-bench", "proptest", "rcgen"] {
        ensure!(scope(name) == "excluded", "{name}: {}", scope(name));
    }
    let text = document.to_string();
    ensure!(
        text.contains("pkg:generic/sqlite@3."),
        "SQLite is in the executables"
    );
    Ok(())
}

/// The rules of `CycloneDX` 1.6 that concern what is used of it.
#[test]
fn it_keeps_the_rules_of_its_format() -> Result<()> {
    let document = document()?;
    ensure!(document["bomFormat"] == "CycloneDX" && document["specVersion"] == "1.6");
    ensure!(document["version"].as_u64() >= Some(1));
    let mut references = BTreeSet::from(["nodeguardian".to_owned()]);
    let nested =
        items(&document["components"]).flat_map(|component| items(&component["components"]));
    for component in items(&document["components"]).chain(nested) {
        let reference = reference(word(&component["name"]), word(&component["version"]));
        ensure!(component["bom-ref"] == reference, "{component}");
        ensure!(references.insert(reference), "twice: {component}");
        ensure!(component["type"] == "library", "{component}");
        ensure!(
            ["required", "excluded"].contains(&word(&component["scope"])),
            "{component}"
        );
        ensure!(items(&component["licenses"]).count() == 1, "{component}");
        for hash in items(&component["hashes"]) {
            let content = word(&hash["content"]);
            let is_hash =
                content.len() == 64 && content.bytes().all(|byte| byte.is_ascii_hexdigit());
            ensure!(is_hash, "{component}");
        }
    }
    let mut told = BTreeSet::new();
    for dependency in items(&document["dependencies"]) {
        ensure!(
            told.insert(word(&dependency["ref"]).to_owned()),
            "twice: {dependency}"
        );
        let used: Vec<&str> = items(&dependency["dependsOn"]).map(word).collect();
        let distinct: BTreeSet<&str> = used.iter().copied().collect();
        ensure!(distinct.len() == used.len(), "{dependency}");
        for reference in used {
            ensure!(
                references.contains(reference),
                "{dependency} names {reference}"
            );
        }
    }
    ensure!(
        told.is_subset(&references),
        "dependencies of something else"
    );
    Ok(())
}
