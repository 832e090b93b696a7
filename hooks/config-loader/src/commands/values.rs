//! `validate`, `get` and `show`: commands that only look.

use std::fmt::Write as _;

use anyhow::{anyhow, bail};
use ng_config::{
    Config, Entry, IGNORED, Inputs, Issue, State, Used, inspect, read_secrets, resolve,
};
use ng_hook::log::Value as Field;
use serde_json::{Value, json};

use super::change::path;
use super::files::{self, ConfigFile};
use super::output::{Failure, Printed};
use super::{ConfigArgs, Desk, Form, GetArgs, Place, ShowArgs, ValidateArgs};

/// A configuration as a command sees it.
pub(super) struct Seen {
    pub(super) config: Config,
    entries: Vec<Entry>,
    errors: Vec<Issue>,
    warnings: Vec<Issue>,
    /// What stands in for the mounted configuration.
    used: Option<Used>,
}

pub(super) fn look(args: &ConfigArgs, desk: &Desk) -> anyhow::Result<Seen> {
    let Some(path) = &args.config else {
        let loaded = inspect(&files::sources(&desk.env));
        let (errors, used) = match loaded.state {
            State::Valid => (Vec::new(), None),
            State::Fallback { errors, used } => (errors, Some(used)),
        };
        return Ok(Seen {
            entries: loaded.entries,
            config: loaded.config,
            errors,
            warnings: loaded.warnings,
            used,
        });
    };
    let file = ConfigFile::read(path)?;
    let (secrets, unreadable) = read_secrets(desk.env.secrets_dir());
    let env = desk.env.variables();
    let mut found = resolve(&Inputs {
        file: Some(file.as_input()),
        secrets: &secrets,
        env: &env,
        ..Inputs::default()
    });
    found.errors.splice(0..0, unreadable);
    Ok(Seen {
        entries: found.entries,
        config: found.config,
        errors: found.errors,
        warnings: found.warnings,
        used: None,
    })
}

pub(super) fn validate(args: &ValidateArgs, desk: &Desk) -> Result<Printed, Failure> {
    let seen = match look(&args.file, desk) {
        Err(error) if args.output == Form::Json => return unreadable(&args.file, &error),
        looked => looked?,
    };
    let failed = !seen.errors.is_empty();
    if args.output == Form::Json {
        let result = json!({
            "valid": !failed,
            "errors": seen.errors.iter().map(issue_json).collect::<Vec<_>>(),
            "warnings": seen.warnings.iter().map(issue_json).collect::<Vec<_>>(),
        });
        return Ok(Printed::json(&result)?.failed_if(failed));
    }
    let mut text = String::new();
    for (level, issues) in [("error", &seen.errors), ("warning", &seen.warnings)] {
        for issue in issues {
            let _infallible = writeln!(text, "{level}: {issue}");
        }
    }
    let verdict = if failed { "invalid" } else { "valid" };
    let (errors, warnings) = (
        counted(seen.errors.len(), "error"),
        counted(seen.warnings.len(), "warning"),
    );
    let _infallible = writeln!(text, "{verdict}: {errors}, {warnings}");
    Ok(Printed::done(text).failed_if(failed))
}

/// The verdict on a file that nothing else can be said of, in the form machines expect.
fn unreadable(args: &ConfigArgs, error: &anyhow::Error) -> Result<Printed, Failure> {
    let place = args.config.as_deref().map(files::name_of);
    let message = format!("cannot be read: {}", error.root_cause());
    let result = json!({
        "valid": false,
        "errors": [{"place": place, "path": "", "message": message}],
        "warnings": [],
    });
    Ok(Printed::json(&result)?.failed_if(true))
}

/// `1 error`, `2 errors`.
pub(super) fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn issue_json(issue: &Issue) -> Value {
    json!({"place": issue.place(), "path": issue.path(), "message": issue.detail()})
}

pub(super) fn get(args: &GetArgs, desk: &Desk) -> Result<Printed, Failure> {
    let seen = look(&args.file, desk)?;
    refuse_invalid(&seen, desk)?;
    let document = document(&seen);
    let Place { section, key } = &args.place;
    if section.is_none() && key.is_none() {
        return Printed::json(&document);
    }
    let path = path(&args.place)?;
    match path.find(&document) {
        Some(Value::String(text)) => Ok(Printed::done(format!("{text}\n"))),
        Some(value @ (Value::Array(_) | Value::Object(_))) => Printed::json(value),
        Some(value) => Ok(Printed::done(format!("{value}\n"))),
        // It has no defaults, but it is a section that exists.
        None if path.to_string() == IGNORED => Printed::json(&json!({})),
        None => Err(Failure::Usage(anyhow!("{path}: there is no such setting"))),
    }
}

/// A given file with errors has no effective values; for the mounted one there is always a stand-in.
pub(super) fn refuse_invalid(seen: &Seen, desk: &Desk) -> anyhow::Result<()> {
    if let Some(used) = seen.used {
        for error in &seen.errors {
            let used = format!("{used:?}");
            let fields = [
                ("problem", Field::Shown(error)),
                ("used", Field::Text(&used)),
            ];
            desk.log.warn("invalid configuration", &fields);
        }
    } else if !seen.errors.is_empty() {
        let errors: Vec<String> = seen.errors.iter().map(ToString::to_string).collect();
        bail!("{}", errors.join("\n"));
    }
    for warning in &seen.warnings {
        desk.log
            .warn("configuration", &[("problem", Field::Shown(warning))]);
    }
    Ok(())
}

/// The effective settings in the form of the file, and the section that is ignored as the file has it.
fn document(seen: &Seen) -> Value {
    let mut root = json!({});
    for entry in seen
        .entries
        .iter()
        .filter(|entry| entry.path != "namespace")
    {
        let keys = entry.path.split('.');
        // Every part but the last one is a section: indexing makes those that are not there yet.
        let place = keys.fold(&mut root, |place, key| &mut place[key]);
        *place = entry.value.clone();
    }
    root
}

pub(super) fn show(args: &ShowArgs, desk: &Desk) -> Result<Printed, Failure> {
    let seen = look(&args.file, desk)?;
    refuse_invalid(&seen, desk)?;
    // What is ignored has no effect.
    let effective = || seen.entries.iter().filter(|entry| entry.path != IGNORED);
    if args.output == Form::Json {
        let settings: Vec<Value> = effective()
            .map(|entry| {
                json!({
                    "path": entry.path, "value": entry.value,
                    "origin": entry.origin.to_string(), "description": entry.doc,
                })
            })
            .collect();
        return Printed::json(&settings);
    }
    let value = |entry: &Entry| match &entry.value {
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let rows: Vec<[String; 3]> = std::iter::once(["SETTING", "VALUE", "FROM"].map(str::to_owned))
        .chain(
            effective().map(|entry| [entry.path.clone(), value(entry), entry.origin.to_string()]),
        )
        .collect();
    Ok(Printed::done(table(&rows)))
}

/// Columns as wide as their widest cell, up to a limit.
fn table(rows: &[[String; 3]]) -> String {
    const WIDEST: usize = 60;
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).min(WIDEST)
    };
    let (first, second) = (width(0), width(1));
    let mut text = String::new();
    for [path, value, origin] in rows {
        let value = value.replace(char::is_control, " ");
        let _infallible = writeln!(text, "{path:first$}  {value:second$}  {origin}");
    }
    text
}
