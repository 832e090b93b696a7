//! What became of each node, for people and for machines.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Mode, Undone};

/// What was done, and what could not be.
#[derive(Debug)]
pub(crate) struct Told {
    mode: Mode,
    /// The nodes on which something of ours stood.
    nodes: Vec<Undone>,
    /// Rules whose statuses were cleared.
    pub(super) cleared: Vec<String>,
    /// Sentences; empty: everything of ours is gone.
    pub(crate) problems: Vec<String>,
}

impl Told {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            nodes: Vec::new(),
            cleared: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, undone: Undone) {
        if !undone.changes.is_empty() {
            self.nodes.push(undone);
        }
    }
}

/// For people: each node with what was taken off it (`-`) and given back (`+`).
pub(crate) fn print(out: &mut impl Write, told: &Told) -> io::Result<()> {
    for undone in &told.nodes {
        writeln!(out, "node {}", undone.node)?;
        for change in &undone.changes {
            writeln!(out, "  {change}")?;
        }
    }
    let nodes = counted(told.nodes.len(), "node");
    match told.mode {
        Mode::Pretend => writeln!(out, "{nodes} would be changed; nothing was"),
        Mode::Change => {
            let cleared = counted(told.cleared.len(), "rule");
            writeln!(out, "{nodes} changed, statuses of {cleared} cleared")
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// For machines.
pub(crate) fn json(told: &Told) -> Value {
    let nodes: Vec<Value> = told
        .nodes
        .iter()
        .map(|undone| json!({"name": undone.node, "changes": undone.changes}))
        .collect();
    json!({
        "dryRun": told.mode == Mode::Pretend,
        "nodes": nodes,
        "clearedRules": told.cleared,
        "problems": told.problems,
    })
}
