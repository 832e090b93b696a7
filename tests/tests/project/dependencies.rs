//! Holds the dependency tree against the lists in `deny.toml`: licences, sources, duplicates.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkout::{items, metadata, text, word};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The packages that a build for this machine uses.
fn packages() -> Result<Vec<Value>> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut metadata = metadata(&["--filter-platform", &platform])?;
    let used: BTreeSet<String> = items(&metadata["resolve"]["nodes"])
        .map(|node| word(&node["id"]).to_owned())
        .collect();
    let Value::Array(mut packages) = metadata["packages"].take() else {
        return Ok(Vec::new());
    };
    packages.retain(|package| used.contains(word(&package["id"])));
    ensure!(packages.len() > 20, "{} packages only", packages.len());
    Ok(packages)
}

/// The quoted texts of a list in `deny.toml`, comments left out: the one thing that has to be read of it.
fn list(deny: &str, key: &str) -> Result<Vec<String>> {
    let start = format!("\n{key} = [");
    let (_, rest) = deny
        .split_once(&start)
        .with_context(|| format!("deny.toml: no {key}"))?;
    let mut texts = Vec::new();
    for line in rest.lines() {
        let line = line.split(" #").next().unwrap_or_default();
        texts.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
        if line.trim_end().ends_with(']') {
            break;
        }
    }
    Ok(texts)
}

/// Whether a licence expression can be met with these licences. `/` is an older spelling of `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    met && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let met = any(words, at, allowed);
        *at += 1;
        return met;
    }
    let mut licence = (*word).to_owned();
    if let (Some(&"WITH"), Some(exception)) = (words.get(*at), words.get(*at + 1)) {
        licence = format!("{licence} WITH {exception}");
        *at += 2;
    }
    allowed.contains(&licence)
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    let cases = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND ISC", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("Apache-2.0", false),
        ("", false),
        ("MIT ISC", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}

#[test]
fn every_licence_is_on_the_list() -> Result<()> {
    let allowed = list(&text("deny.toml")?, "allow")?;
    let mut problems = Vec::new();
    for package in packages()? {
        let licence = word(&package["license"]);
        if !is_allowed(licence, &allowed) {
            problems.push(format!("{}: {licence:?}", word(&package["name"])));
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn every_crate_comes_from_crates_io_or_from_here() -> Result<()> {
    let registries = list(&text("deny.toml")?, "allow-registry")?;
    let allowed: Vec<String> = registries
        .iter()
        .map(|url| format!("registry+{url}"))
        .collect();
    for package in packages()? {
        let source = &package["source"];
        ensure!(
            source.is_null() || allowed.iter().any(|allowed| allowed == word(source)),
            "{}: {source}",
            word(&package["name"])
        );
    }
    Ok(())
}

#[test]
fn no_crate_is_there_twice_without_a_reason() -> Result<()> {
    let deny = text("deny.toml")?;
    let skipped: Vec<String> = list(&deny, "skip")?
        .into_iter()
        .filter(|text| text.contains('@'))
        .collect();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages()? {
        let name = word(&package["name"]).to_owned();
        versions
            .entry(name)
            .or_default()
            .insert(word(&package["version"]).to_owned());
    }
    let mut problems = Vec::new();
    let mut needed: BTreeSet<&String> = BTreeSet::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let excuse = |version: &String| {
            let found = format!("{name}@{version}.");
            skipped
                .iter()
                .find(|skip| found.starts_with(&format!("{skip}.")))
        };
        let excuses: Vec<&String> = versions.iter().filter_map(excuse).collect();
        needed.extend(&excuses);
        if excuses.len() + 1 < versions.len() {
            problems.push(format!("{name}: {versions:?}"));
        }
    }
    let stale = skipped.iter().filter(|skip| !needed.contains(skip));
    problems.extend(stale.map(|skip| format!("{skip}: no longer there twice")));
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn banned_crates_are_not_there() -> Result<()> {
    let banned = list(&text("deny.toml")?, "deny")?;
    for package in packages()? {
        let name = word(&package["name"]);
        ensure!(!banned.iter().any(|banned| banned == name), "{name}");
    }
    Ok(())
}
