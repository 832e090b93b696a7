//! `lint`: rules and templates in files, for a repository's CI.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ng_config::documents;
use ng_lint::{Finding, Level, Object, Settings};
use ng_round::settings::defaults;
use serde_json::{Value, json};

use super::files::{format_of, is_dash};
use super::output::{Failure, Printed};
use super::values::{counted, look, refuse_invalid};
use super::{Desk, Form, LintArgs};

/// A file that holds ours has this group in it.
const GROUP: &str = "nodeguardian.k8s.io";

/// Folders within folders are read to this depth.
const MAX_DEPTH: usize = 32;

/// What was read of the files.
#[derive(Default)]
struct Texts {
    objects: Vec<Object>,
    unreadable: Vec<Finding>,
}

pub(super) fn run(args: &LintArgs, desk: &Desk) -> Result<Printed, Failure> {
    let seen = look(&args.file, desk)?;
    refuse_invalid(&seen, desk)?;
    let mut texts = Texts::default();
    for path in &args.paths {
        texts.read(path)?;
    }
    let count = ng_lint::count(&texts.objects);
    if count == 0 && texts.unreadable.is_empty() {
        let paths: Vec<String> = args
            .paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let error = anyhow::anyhow!(
            "{}: there is no NodeGuardianRule and no AlertTemplate",
            paths.join(", ")
        );
        return Err(Failure::Failed(error));
    }
    let settings = Settings {
        config: &seen.config,
        defaults: &defaults(&seen.config),
        nodes: args.nodes,
    };
    let mut findings = texts.unreadable;
    findings.extend(ng_lint::lint(&texts.objects, &settings));
    let of = |level: Level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let (errors, warnings) = (of(Level::Error), of(Level::Warning));
    let failed = errors > 0 || (args.strict && warnings > 0);
    if args.output == Form::Json {
        let result = json!({
            "findings": findings.iter().map(finding_json).collect::<Vec<_>>(),
            "objects": count, "errors": errors, "warnings": warnings,
        });
        return Ok(Printed::json(&result)?.failed_if(failed));
    }
    let mut lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.push(format!(
        "{}: {}, {}\n",
        counted(count, "object"),
        counted(errors, "error"),
        counted(warnings, "warning")
    ));
    Ok(Printed::done(lines.join("\n")).failed_if(failed))
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "level": finding.level.word(), "check": finding.check.word(), "source": finding.source, "kind": finding.kind,
        "name": finding.name, "path": finding.path, "found": finding.found, "fix": finding.fix,
    })
}

impl Texts {
    /// Reads what was named: a file whatever it is called, or the YAML and JSON files of a folder.
    fn read(&mut self, path: &Path) -> anyhow::Result<()> {
        if is_dash(path) {
            let text = ng_config::read_text(io::stdin().lock()).context("stdin: cannot be read")?;
            self.add("stdin", path, &text);
        } else if path.is_dir() {
            for file in files(path, 0)? {
                let name = file.display().to_string();
                match ng_config::read_file(&file) {
                    // What cannot be read may be a template of another tool, unless it speaks of ours.
                    Ok(text) if text.contains(GROUP) => self.add(&name, &file, &text),
                    Ok(_) => {}
                    Err(error) => self.unreadable.push(Finding::unreadable(&name, error)),
                }
            }
        } else {
            let name = path.display().to_string();
            let text =
                ng_config::read_file(path).with_context(|| format!("{name}: cannot be read"))?;
            self.add(&name, path, &text);
        }
        Ok(())
    }

    fn add(&mut self, name: &str, path: &Path, text: &str) {
        let read = match documents(text, format_of(path, text)) {
            Ok(read) => read,
            Err((number, reason)) => {
                let reason = format!("document {number}: {reason}");
                self.unreadable.push(Finding::unreadable(name, reason));
                return;
            }
        };
        let several = read.len() > 1;
        for (index, document) in read.into_iter().enumerate() {
            let source = if several {
                format!("{name} (document {})", index + 1)
            } else {
                name.to_owned()
            };
            self.objects.push(Object {
                source,
                value: document.value,
                duplicates: document.duplicates,
            });
        }
    }
}

/// The YAML and JSON files below a folder, in order; what begins with a dot is left out, and links to folders are not
/// followed, as they may lead in circles.
fn files(folder: &Path, depth: usize) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("{}: cannot be listed", folder.display());
    if depth > MAX_DEPTH {
        bail!("{}: folders are nested too deeply", folder.display());
    }
    let mut entries = std::fs::read_dir(folder)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .with_context(context)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.path();
        let is_ours = path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().with_context(context)?.is_dir() {
            found.extend(files(&path, depth + 1)?);
        } else if is_ours && path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}
