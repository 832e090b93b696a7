//! What runs pass through, and in which order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::section::Map;
use crate::run::Program;

/// A pattern may bring so many bytes along for each one that runs pass through. One that brings more comes after all
/// others, so that these stay together.
const MOST_FOR_ONE: u64 = 3;

/// The most bytes that such a one may bring along: small functions have the same name by the hundred, large ones do not
/// pay.
const MOST_AT_ALL: u64 = 64 << 10;

/// The executables with what runs have passed through.
#[derive(Debug, Default)]
pub(super) struct Trace {
    executables: BTreeMap<String, Followed>,
    /// In the order in which they were first met.
    patterns: Vec<String>,
    known: HashSet<String>,
}

#[derive(Debug)]
struct Followed {
    map: Map,
    passed: BTreeSet<usize>,
}

impl Trace {
    pub(super) fn add(&mut self, name: &str, map: Map) {
        let followed = Followed {
            map,
            passed: BTreeSet::new(),
        };
        self.executables.insert(name.to_owned(), followed);
    }

    /// Runs a program once, and notes each section when it is first entered.
    pub(super) fn follow(&mut self, program: &Program) -> anyhow::Result<()> {
        let name = program.path.file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let mut child = Command::new("valgrind")
            .args(["--tool=lackey", "--trace-mem=yes"])
            .arg(&program.path)
            .args(&program.arguments)
            .env_clear()
            .envs(
                program
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start valgrind")?;
        let output = child.stderr.take().context("valgrind has no output")?;
        let mut last = None;
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("cannot read what valgrind writes")?;
            let index = instruction(&line).and_then(|address| self.find(&name, address));
            // Most instructions are where the one before was.
            if let Some(index) = index
                && last.replace(index) != Some(index)
            {
                self.enter(&name, index);
            }
        }
        let status = child.wait().context("cannot wait for valgrind")?;
        ensure!(status.success(), "{} failed", program.path.display());
        Ok(())
    }

    fn find(&self, name: &str, address: u64) -> Option<usize> {
        self.executables.get(name)?.map.find(address)
    }

    fn enter(&mut self, name: &str, index: usize) {
        let Some(followed) = self.executables.get_mut(name) else {
            return;
        };
        if !followed.passed.insert(index) {
            return;
        }
        let section = followed.map.sections().get(index);
        if let Some(pattern) = section.and_then(|section| section.pattern.clone())
            && self.known.insert(pattern.clone())
        {
            self.patterns.push(pattern);
        }
    }

    /// The patterns of what was passed through: first those that name little else, then those that name much, but for
    /// those that name too much.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &str> {
        let mut used: BTreeMap<&str, u64> = BTreeMap::new();
        let mut others: BTreeMap<&str, u64> = BTreeMap::new();
        for followed in self.executables.values() {
            let passed = followed.sizes(|index| followed.passed.contains(&index));
            let not_passed = followed.sizes(|index| !followed.passed.contains(&index));
            for (pattern, size) in passed {
                *used.entry(pattern).or_default() += size;
                // An executable that never comes there loses nothing.
                let along = not_passed.get(pattern).copied().unwrap_or_default();
                *others.entry(pattern).or_default() += along;
            }
        }
        let size = |sizes: &BTreeMap<&str, u64>, pattern: &str| sizes.get(pattern).copied();
        let patterns = self.patterns.iter().map(String::as_str);
        let (narrow, broad): (Vec<_>, Vec<_>) = patterns.partition(|pattern| {
            let most = size(&used, pattern).unwrap_or(0) * MOST_FOR_ONE;
            size(&others, pattern).unwrap_or(0) <= most
        });
        let is_small = move |pattern: &&str| size(&others, pattern).unwrap_or(0) <= MOST_AT_ALL;
        narrow.into_iter().chain(broad.into_iter().filter(is_small))
    }
}

impl Followed {
    /// Bytes of these sections, by pattern.
    fn sizes(&self, is_meant: impl Fn(usize) -> bool) -> BTreeMap<&str, u64> {
        let mut sizes = BTreeMap::new();
        for (index, section) in self.map.sections().iter().enumerate() {
            if let Some(pattern) = section.pattern.as_deref().filter(|_| is_meant(index)) {
                *sizes.entry(pattern).or_default() += section.size;
            }
        }
        sizes
    }
}

/// Where an instruction is; a line of one is `I  <address in base 16>,<bytes>`.
fn instruction(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line.strip_prefix(b"I")?).ok()?;
    let (address, _) = line.trim_start().split_once(',')?;
    u64::from_str_radix(address, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_instructions_have_an_address() {
        let cases: [(&str, Option<u64>); 5] = [
            ("I  0023db2f,3", Some(0x23_db2f)),
            ("I  401000,10", Some(0x40_1000)),
            (" L 1ffefffe7e,8", None),
            ("==12== I refs: 3,4", None),
            ("I am no address, am I", None),
        ];
        for (line, expected) in cases {
            assert_eq!(instruction(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn a_pattern_that_names_much_else_comes_last_or_is_left_out() {
        let line = |start: u64, size: u64, name: &str| {
            format!("{start:x} {start:x} {size:x} 16 /a.o:(.text.{name})\n")
        };
        let function = |name: &str, digit: &str| format!("{name}17h{}E", digit.repeat(16));
        let map = |lines: &[String]| Map::of(&lines.concat());
        let mut trace = Trace::default();
        trace.add(
            "a",
            map(&[
                line(0x1000, 0x10, &function("_ZN1b", "0")),
                line(0x2000, 0x31, &function("_ZN1b", "1")),
                line(0x3000, 0x10, &function("_ZN1n", "0")),
                line(0x4000, 0x30, &function("_ZN1n", "1")),
                line(0x5000, 0x10, &function("_ZN1t", "0")),
                line(0x6000, 0x10_001, &function("_ZN1t", "1")),
                line(0x20_000, 0x10, "never"),
            ]),
        );
        // Where nothing of a name is used, nothing is lost by it.
        trace.add("b", map(&[line(0x1000, 0x1000, &function("_ZN1n", "2"))]));
        for section in [4, 0, 2, 0] {
            trace.enter("a", section);
        }
        let kept: Vec<&str> = trace.patterns().collect();
        assert_eq!(kept, ["*(.text._ZN1n17h*E)", "*(.text._ZN1b17h*E)"]);
    }
}
