//! Prints what happened.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::scenario::{Scenario, offset};
use crate::simulate::{Played, Verdict};
use crate::timeline::{Entry, Kind};

/// Whether the output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Colours,
}

/// Colours by what they say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Good,
    Bad,
    Notable,
    Quiet,
}

impl Paint {
    /// Text in a colour, if there are colours.
    pub(crate) fn text(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Notable => 33,
            Tone::Quiet => 2,
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// What of a played scenario is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    /// Only what failed.
    pub(crate) quiet: bool,
    /// Only this node, but all of it.
    pub(crate) explain: Option<&'a str>,
    pub(crate) paint: Paint,
}

/// Timeline and verdicts.
pub(crate) fn played(
    out: &mut impl Write,
    scenario: &Scenario,
    played: &Played,
    shown: &Shown<'_>,
) -> io::Result<()> {
    if !shown.quiet {
        writeln!(out, "{}", scenario.name)?;
        for line in scenario.description.lines() {
            writeln!(out, "  {line}")?;
        }
        writeln!(out)?;
        timeline(out, &played.timeline, shown)?;
        if !played.verdicts.is_empty() {
            writeln!(out)?;
        }
    }
    for verdict in &played.verdicts {
        if !shown.quiet || !verdict.passed {
            let name = if shown.quiet { &scenario.name } else { "" };
            self::verdict(out, name, verdict, shown.paint)?;
        }
    }
    if !shown.quiet {
        writeln!(out)?;
    }
    Ok(())
}

fn timeline(out: &mut impl Write, entries: &[Entry], shown: &Shown<'_>) -> io::Result<()> {
    let entries: Vec<&Entry> = entries
        .iter()
        .filter(|entry| concerns(entry, shown.explain))
        .collect();
    let width = |text: fn(&Entry) -> &str| {
        let widths = entries.iter().map(|entry| text(entry).chars().count());
        widths.max().unwrap_or_default()
    };
    let (nodes, rules) = (width(|entry| &entry.node), width(|entry| &entry.rule));
    let indent = " ".repeat(8 + 2 + nodes + 2 + rules + 2 + 2);
    for entry in entries {
        let line = format!(
            "{:>8}  {:nodes$}  {:rules$}  {}",
            offset(entry.at),
            entry.node,
            entry.rule,
            entry.what
        );
        let line = line.trim_end();
        match tone(entry) {
            Some(tone) => writeln!(out, "{}", shown.paint.text(tone, line))?,
            None => writeln!(out, "{line}")?,
        }
        let inputs_in_full = shown.explain.is_some() && !entry.details.is_empty();
        let reasons = if inputs_in_full {
            &entry.details
        } else {
            &entry.why
        };
        for why in reasons {
            writeln!(
                out,
                "{}",
                shown.paint.text(Tone::Quiet, &format!("{indent}{why}"))
            )?;
        }
    }
    Ok(())
}

fn concerns(entry: &Entry, explain: Option<&str>) -> bool {
    explain.is_none_or(|node| entry.node == node || entry.node.is_empty())
}

fn tone(entry: &Entry) -> Option<Tone> {
    match (entry.kind, entry.what.as_str()) {
        (Kind::Decision, "triggered") | (Kind::Warning, _) => Some(Tone::Bad),
        (Kind::Decision, "recovered" | "released") => Some(Tone::Good),
        (Kind::Decision, "held back" | "triggered, but held back") => Some(Tone::Notable),
        (Kind::Event | Kind::Pending, _) => Some(Tone::Quiet),
        (Kind::Decision | Kind::Change | Kind::Alert | Kind::Eviction, _) => None,
    }
}

fn verdict(out: &mut impl Write, name: &str, verdict: &Verdict, paint: Paint) -> io::Result<()> {
    let Verdict {
        passed,
        path,
        at,
        subject,
        expected,
        found,
    } = verdict;
    let word = match passed {
        true => paint.text(Tone::Good, "PASS"),
        false => paint.text(Tone::Bad, "FAIL"),
    };
    let name = if name.is_empty() {
        String::new()
    } else {
        format!("{name}: ")
    };
    let subject = if subject.is_empty() {
        String::new()
    } else {
        format!(" {subject}:")
    };
    writeln!(out, "{word}  {name}{at}{subject} {expected}")?;
    if !passed {
        writeln!(out, "      {path}")?;
        writeln!(out, "      - expected: {expected}")?;
        writeln!(out, "      + found:    {found}")?;
    }
    Ok(())
}

/// A played scenario for machines.
pub(crate) fn json(
    file: &str,
    scenario: &Scenario,
    played: &Played,
    explain: Option<&str>,
) -> Value {
    let timeline: Vec<&Entry> = played
        .timeline
        .iter()
        .filter(|entry| concerns(entry, explain))
        .collect();
    json!({
        "file": file,
        "name": scenario.name,
        "start": scenario.start.to_string(),
        "passed": played.passed(),
        "timeline": timeline,
        "expectations": played.verdicts,
    })
}
