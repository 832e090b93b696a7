//! Holds the READMEs, the reference and the quick start against the code: settings, rule fields, metrics, Events, guards,
//! keys, paths; and both languages of each against each other.

use std::collections::BTreeSet;
use std::process::Command;

use crate::checkout::{files, items, metadata, root, sources, text, word};
use anyhow::{Context as _, Result, ensure};
use ng_engine::history::Guard;
use ng_engine::reading::Unknown;
use serde_json::Value;

const README: &str = "README.md";
const REFERENCE: &str = "docs/reference.md";
/// Pages in English, and the same in Chinese.
const PAIRS: [[&str; 2]; 3] = [
    [README, "README.zh-CN.md"],
    [REFERENCE, "docs/reference.zh-CN.md"],
    ["docs/quick-start.md", "docs/quick-start.zh-CN.md"],
];

/// What a page is made of.
#[derive(Debug, Default)]
struct Page {
    /// Levels of the headings in order.
    levels: Vec<usize>,
    /// Code blocks with their languages.
    blocks: Vec<(String, String)>,
    tables: Vec<Table>,
}

/// Rows of cells, the heading first.
type Table = Vec<Vec<String>>;

impl Page {
    fn read(path: &str) -> Result<Self> {
        let mut page = Page::default();
        let mut block: Option<(String, String)> = None;
        let mut in_table = false;
        for line in text(path)?.lines() {
            if let Some((language, mut code)) = block.take() {
                if line.trim_start() == "```" {
                    page.blocks.push((language, code));
                } else {
                    code.push_str(line);
                    code.push('\n');
                    block = Some((language, code));
                }
                continue;
            }
            // In a list it is indented.
            if let Some(language) = line.trim_start().strip_prefix("```") {
                block = Some((language.to_owned(), String::new()));
            } else if line.starts_with('#') {
                let level = line.chars().take_while(|sign| *sign == '#').count();
                page.levels.push(level);
            }
            if line.starts_with('|') {
                if !in_table {
                    page.tables.push(Table::new());
                }
                if let Some(table) = page.tables.last_mut() {
                    table.push(cells(line));
                }
            }
            in_table = line.starts_with('|');
        }
        ensure!(block.is_none(), "{path}: a code block without an end");
        Ok(page)
    }

    /// The table with a row that begins with `row`.
    fn table_with(&self, row: &str) -> Result<&Table> {
        self.tables
            .iter()
            .find(|table| table.iter().any(|cells| cells[0] == format!("`{row}`")))
            .with_context(|| format!("no table with `{row}`"))
    }

    /// The first column of that table without its head, as the words in backticks.
    fn column_with(&self, row: &str) -> Result<BTreeSet<String>> {
        let rows = self.table_with(row)?.iter().skip(2);
        Ok(rows
            .map(|cells| cells[0].trim_matches('`').to_owned())
            .collect())
    }
}

/// `\|` is no end of a cell.
fn cells(line: &str) -> Vec<String> {
    let line = line.replace("\\|", "\u{1}");
    let cells = line.trim().trim_matches('|').split('|');
    cells
        .map(|cell| cell.trim().replace('\u{1}', "|"))
        .collect()
}

/// Fails with what is only in one of both.
fn same(what: &str, documented: &BTreeSet<String>, real: &BTreeSet<String>) -> Result<()> {
    let missing: Vec<&String> = real.difference(documented).collect();
    let extra: Vec<&String> = documented.difference(real).collect();
    ensure!(
        missing.is_empty() && extra.is_empty(),
        "{what}: missing in the pages {missing:?}; not in the code {extra:?}"
    );
    Ok(())
}

/// The string literals of what the hooks publish, tests left out.
fn literals() -> Result<BTreeSet<String>> {
    let mut literals = BTreeSet::new();
    for file in sources()? {
        let publishes = ["hooks/", "crates/round/"]
            .iter()
            .any(|folder| file.starts_with(folder));
        if !publishes || !file.contains("/src/") {
            continue;
        }
        let text = text(&file)?;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines() {
            literals.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    Ok(literals)
}

/// Whether a cell is a name alone, which no language changes.
fn is_name(cell: &str) -> bool {
    let inner = cell
        .strip_prefix('`')
        .and_then(|rest| rest.strip_suffix('`'));
    inner.is_some_and(|inner| !inner.contains('`'))
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
}

#[test]
fn both_languages_say_the_same() -> Result<()> {
    let chinese: BTreeSet<String> = files()?
        .into_iter()
        .filter(|file| file.ends_with(".zh-CN.md"))
        .collect();
    let compared = PAIRS.map(|[_, chinese]| chinese.to_owned());
    same("pages in Chinese", &BTreeSet::from(compared), &chinese)?;
    for pair in PAIRS {
        let [english, chinese] = pair;
        same_in_both(&Page::read(english)?, &Page::read(chinese)?)
            .with_context(|| format!("{english} and {chinese}"))?;
    }
    Ok(())
}

fn same_in_both(english: &Page, chinese: &Page) -> Result<()> {
    ensure!(
        english.levels == chinese.levels,
        "headings: {:?} and {:?}",
        english.levels,
        chinese.levels
    );
    ensure!(
        english.blocks.len() == chinese.blocks.len(),
        "numbers of code blocks"
    );
    for (one, other) in english.blocks.iter().zip(&chinese.blocks) {
        ensure!(one == other, "code blocks differ:\n{}\n{}", one.1, other.1);
    }
    ensure!(
        english.tables.len() == chinese.tables.len(),
        "numbers of tables"
    );
    for (one, other) in english.tables.iter().zip(&chinese.tables) {
        let first = one.first().cloned().unwrap_or_default();
        ensure!(one.len() == other.len(), "rows of the table {first:?}");
        for (row, same) in one.iter().zip(other) {
            ensure!(row.len() == same.len(), "cells of {row:?} and {same:?}");
            ensure!(
                !is_name(&row[0]) || row[0] == same[0],
                "{row:?} and {same:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn it_opens_with_two_commands() -> Result<()> {
    let page = Page::read(README)?;
    let (language, code) = page.blocks.first().context("no code block")?;
    let commands: Vec<&str> = code
        .lines()
        .filter_map(|line| line.split(" #").next())
        .map(str::trim)
        .collect();
    ensure!(
        language == "sh" && commands == [".ci/run demo", ".ci/run test"],
        "{commands:?}"
    );
    let script = text(".ci/run")?;
    for word in ["    demo)", "    test)", "cargo test --workspace"] {
        ensure!(script.contains(word), ".ci/run has no {word:?}");
    }
    Ok(())
}

#[test]
fn every_setting_has_a_row_with_its_default() -> Result<()> {
    let defaults = ng_config::resolve(&ng_config::Inputs::default()).entries;
    // Only the environment sets the one; the others have a page of their own.
    let entries: Vec<_> = defaults
        .iter()
        .filter(|entry| entry.path != "namespace" && !entry.path.starts_with("metrics."))
        .collect();
    let mut real: BTreeSet<String> = entries.iter().map(|entry| entry.path.clone()).collect();
    // Names of the user's own, and what is accepted and left alone.
    real.extend(["metrics.NAME.query", "python"].map(str::to_owned));
    for path in PAIRS[1] {
        let page = Page::read(path)?;
        same("settings", &page.column_with("email.smtpPort")?, &real)?;
        let rows = page.table_with("email.smtpPort")?;
        for entry in &entries {
            let default = match &entry.value {
                Value::String(value) if value.is_empty() => String::new(),
                Value::String(value) => format!("`{value}`"),
                value => format!("`{value}`"),
            };
            let row = rows
                .iter()
                .find(|row| row[0] == format!("`{}`", entry.path));
            let found = row.map_or("", |row| row[1].as_str());
            ensure!(
                found == default,
                "{path}: {}: {found} instead of {default}",
                entry.path
            );
        }
    }
    Ok(())
}

#[test]
fn every_variable_has_a_row() -> Result<()> {
    let source = text("crates/hook/src/env.rs")?;
    let constants = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "));
    let real: BTreeSet<String> = constants
        .filter_map(|line| {
            Some(
                line.split_once("= \"")?
                    .1
                    .trim_end_matches("\";")
                    .to_owned(),
            )
        })
        .collect();
    same(
        "variables",
        &Page::read(REFERENCE)?.column_with("KUBERNETES_PATCH_PATH")?,
        &real,
    )
}

#[test]
fn every_field_of_a_rule_has_a_row() -> Result<()> {
    let crd: Value = serde_yaml::from_str(&text("config/crd/nodeguardianrules.yaml")?)?;
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut real = BTreeSet::new();
    leaves(spec, "", &mut real);
    // The same fields again have one row.
    for again in ["recoveryConditions[]", "recoveryActions[].alert"] {
        real.retain(|path| !path.starts_with(&format!("{again}.")));
        real.insert(again.to_owned());
    }
    same(
        "rule fields",
        &Page::read(REFERENCE)?.column_with("conditionLogic")?,
        &real,
    )
}

/// Paths of the fields that hold values: `conditions[].metric`.
fn leaves(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, schema) in properties {
            let dot = if path.is_empty() { "" } else { "." };
            leaves(schema, &format!("{path}{dot}{name}"), found);
        }
    } else if schema["items"]["properties"].is_object() {
        leaves(&schema["items"], &format!("{path}[]"), found);
    } else {
        found.insert(path.to_owned());
    }
}

/// The metrics that the reference lists.
pub(crate) fn table_of_metrics() -> Result<BTreeSet<String>> {
    Page::read(REFERENCE)?.column_with("nodeguardian_triggered_nodes")
}

/// The metrics that the hooks publish.
pub(crate) fn published() -> Result<BTreeSet<String>> {
    let mut real = literals()?;
    real.retain(|text| text.starts_with("nodeguardian_") && is_word(text));
    Ok(real)
}

#[test]
fn every_metric_has_a_row() -> Result<()> {
    same("metrics", &table_of_metrics()?, &published()?)
}

#[test]
fn every_event_has_a_row() -> Result<()> {
    let mut real = literals()?;
    real.remove("ConfigMap");
    real.retain(|text| {
        let known = ["Rule", "Action", "Config"]
            .iter()
            .any(|start| text.starts_with(start));
        known && is_word(text) && text.chars().filter(char::is_ascii_uppercase).count() == 2
    });
    same(
        "Events",
        &Page::read(REFERENCE)?.column_with("RuleTriggered")?,
        &real,
    )
}

#[test]
fn every_guard_and_every_unknown_has_a_row() -> Result<()> {
    let guards = [
        Guard::Paused,
        Guard::DryRun,
        Guard::Ignored,
        Guard::ControlPlane,
        Guard::MaxNodes {
            limit: 1,
            counted: 1,
        },
    ];
    let page = Page::read(REFERENCE)?;
    let guards = guards.iter().map(|guard| guard.word().to_owned()).collect();
    same("guards", &page.column_with("maxNodes")?, &guards)?;
    let reasons = Unknown::ALL
        .iter()
        .map(|reason| reason.word().to_owned())
        .collect();
    same("unknown readings", &page.column_with("NoSample")?, &reasons)
}

#[test]
fn every_executable_and_every_crate_has_a_row() -> Result<()> {
    let metadata = metadata(&["--no-deps"])?;
    let mut programs = BTreeSet::new();
    let mut folders = BTreeSet::from([
        "config".to_owned(),
        "deploy".to_owned(),
        "docs".to_owned(),
        ".ci/run".to_owned(),
    ]);
    let base = root().to_string_lossy().into_owned() + "/";
    for package in items(&metadata["packages"]) {
        let folder = word(&package["manifest_path"]).trim_start_matches(&base);
        let folder = folder.trim_end_matches("/Cargo.toml").to_owned();
        let ships = folder.starts_with("hooks/") || folder == "crates/replay";
        let targets =
            items(&package["targets"]).filter(|target| ships && target["kind"][0] == "bin");
        programs.extend(targets.map(|target| word(&target["name"]).to_owned()));
        folders.insert(folder);
    }
    let page = Page::read(README)?;
    same("executables", &page.column_with("controller")?, &programs)?;
    same("folders", &page.column_with("crates/engine")?, &folders)
}

#[test]
fn every_key_of_a_scenario_is_named() -> Result<()> {
    let reference = text(REFERENCE)?;
    let mut missing = Vec::new();
    for file in files()?
        .iter()
        .filter(|file| file.starts_with("crates/replay/src/scenario/"))
    {
        let source = text(file)?;
        for list in source.split("KEYS: &[&str] = &[").skip(1) {
            let list = list.split(']').next().unwrap_or_default();
            let keys = list.split('"').skip(1).step_by(2);
            missing.extend(
                keys.filter(|key| !reference.contains(&format!("`{key}`")))
                    .map(str::to_owned),
            );
        }
    }
    ensure!(missing.is_empty(), "not named: {missing:?}");
    Ok(())
}

#[test]
fn every_path_exists() -> Result<()> {
    let files = files()?;
    for page in PAIRS.as_flattened() {
        for token in
            text(page)?.split(|sign: char| sign.is_whitespace() || "`()[]|,;\"".contains(sign))
        {
            // The heading of a link is looked at with the links.
            let token = token.split('#').next().unwrap_or_default();
            let token = token.trim_end_matches(['.', ':', '/']);
            let start = token.split('/').next().unwrap_or_default();
            let ours = [
                "config", "crates", "deploy", "docs", "hooks", "tests", ".ci", ".cargo",
            ]
            .contains(&start);
            if !ours || !token.contains('/') || token.contains(['*', '<', '$', '=']) {
                continue;
            }
            let found = files
                .iter()
                .any(|file| file == token || file.starts_with(&format!("{token}/")));
            ensure!(found, "{page}: {token} does not exist");
        }
    }
    Ok(())
}

#[test]
fn every_flag_exists() -> Result<()> {
    let is_command =
        |file: &&String| file.starts_with("hooks/") || file.as_str() == "crates/replay/src/cli.rs";
    let sources = sources()?;
    let texts: Result<Vec<String>> = sources
        .iter()
        .filter(is_command)
        .map(|file| text(file))
        .collect();
    let source = texts?.concat();
    let told = text(README)? + &text(REFERENCE)?;
    for flag in told.split("`--").skip(1) {
        let name: String = flag
            .chars()
            .take_while(|sign| sign.is_ascii_alphanumeric() || *sign == '-')
            .collect();
        let field = format!("    {}:", name.replace('-', "_"));
        let public = format!("    pub {}:", name.replace('-', "_"));
        ensure!(
            source.contains(&field) || source.contains(&public),
            "no command has --{name}"
        );
    }
    Ok(())
}

#[test]
fn the_scenario_plays_as_it_says() -> Result<()> {
    let page = Page::read(REFERENCE)?;
    let is_scenario = |code: &str| code.contains("\nexpect:\n");
    let (_, code) = page
        .blocks
        .iter()
        .find(|(_, code)| is_scenario(code))
        .context("no scenario")?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("scenario.yaml");
    let mut out = std::fs::File::create(&file)?;
    std::io::Write::write_all(&mut out, code.as_bytes())?;
    let replay = ng_tests::programs::program("ng-replay", "replay")?;
    let output = Command::new(replay).arg("run").arg(&file).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{told}{problem}");
    Ok(())
}
