//! The sections of code of an executable, by the linker's map.

use std::path::Path;

use anyhow::{Context, ensure};

/// A section of code where the linker has put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) start: u64,
    pub(super) size: u64,
    /// How a script names it and those that differ in what changes with versions alone; `None`: there is no good name.
    pub(super) pattern: Option<String>,
}

/// The sections of an executable, by address.
#[derive(Debug, Default)]
pub(super) struct Map {
    sections: Vec<Section>,
}

impl Map {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let map = Self::of(&text);
        ensure!(
            !map.sections.is_empty(),
            "{} is no map of the linker that is used here",
            path.display()
        );
        Ok(map)
    }

    pub(super) fn of(text: &str) -> Self {
        let mut sections: Vec<Section> = text.lines().filter_map(Section::of_line).collect();
        sections.sort_by_key(|section| section.start);
        Self { sections }
    }

    pub(super) fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section an address is in, by its index.
    pub(super) fn find(&self, address: u64) -> Option<usize> {
        let after = self
            .sections
            .partition_point(|section| section.start <= address);
        let index = after.checked_sub(1)?;
        let Section { start, size, .. } = self.sections.get(index)?;
        (address - start < *size).then_some(index)
    }
}

impl Section {
    /// A line is address, load address, size, alignment, then `FILE:(SECTION)`; numbers but the alignment are in base 16.
    fn of_line(line: &str) -> Option<Self> {
        let (file, name) = line.trim_end().strip_suffix(')')?.rsplit_once(":(")?;
        if !name.starts_with(".text") {
            return None;
        }
        let mut fields = file.split_whitespace();
        let start = u64::from_str_radix(fields.next()?, 16).ok()?;
        let size = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
        let file = fields.nth(1)?;
        (size > 0).then(|| Self {
            start,
            size,
            pattern: pattern(file, name),
        })
    }
}

/// Sections of the C library have the name of a file, all others that of a function.
fn pattern(file: &str, name: &str) -> Option<String> {
    let variant = name.strip_prefix(".text").unwrap_or(name);
    let is_of_file = variant.is_empty()
        || [".avx", ".evex", ".sse"]
            .iter()
            .any(|set| variant.starts_with(set));
    if is_of_file {
        let (archive, member) = file.strip_suffix(')')?.rsplit_once('(')?;
        let archive = archive.rsplit('/').next()?;
        // The library of mathematics has its version in its name.
        let archive = archive
            .split_once('-')
            .map_or_else(|| archive.to_owned(), |(stem, _)| format!("{stem}-*"));
        return Some(format!("*{archive}:{member}({name})"));
    }
    Some(format!("*({})", masked(name)))
}

/// What stands for a function of the C library where the processor has AVX-512, as servers do and Valgrind does not.
pub(super) fn twins(pattern: &str) -> Vec<String> {
    let of_avx = pattern.strip_suffix(".o(.text.avx)");
    let stem = of_avx.and_then(|member| member.rsplit_once("-avx"));
    let twin = |(stem, _)| ["evex", "avx512"].map(|set| format!("{stem}-{set}*.o(.text.evex*)"));
    stem.map(twin).into_iter().flatten().collect()
}

/// A name without the parts that change with versions: `17h<16 digits>E` at its end, `Cs<letters and digits>_` before a
/// crate, and a number that tells copies apart.
fn masked(name: &str) -> String {
    let (name, copy) = match name.rsplit_once('.') {
        Some((before, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            // gcc numbers what it has made of a function, too, and always alike.
            match before.rsplit_once('.') {
                Some((_, "constprop" | "isra" | "part" | "cold")) => (name, ""),
                _ => (before, ".*"),
            }
        }
        _ => (name, ""),
    };
    let name = match name.len().checked_sub(20).map(|at| name.split_at(at)) {
        Some((before, hash)) if hash.starts_with("17h") && hash.ends_with('E') => {
            format!("{before}17h*E")
        }
        _ => name.to_owned(),
    };
    let mut parts = name.split("Cs");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let hash = part.split_once('_').map(|(hash, _)| hash);
        masked += "Cs";
        match hash {
            Some(hash) if is_disambiguator(hash) && name.contains("_R") => {
                masked.push('*');
                masked += &part[hash.len()..];
            }
            _ => masked += part,
        }
    }
    masked + copy
}

fn is_disambiguator(text: &str) -> bool {
    (8..=13).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "             VMA              LMA     Size Align Out     In      Symbol
          352900           352900   41da20    64 .text
          352900           352900       26    16         /usr/lib/crt1.o:(.text)
          352930           352930       40    16         /t/deps/a.rcgu.o:(.text._ZN3ab1c17h0123456789abcdefE)
          352930           352930       40     1                 ab::c
          352980           352980       10     1         /t/libx.rlib(sqlite3.o):(.text.walTryBeginRead)
          71f490           71f490     5c56    16         /usr/lib/libc.a(malloc.o):(.text)
";

    #[test]
    fn an_address_is_in_the_section_that_covers_it() {
        let map = Map::of(MAP);
        let found = |address| {
            let section = map
                .find(address)
                .and_then(|index| map.sections().get(index));
            section.and_then(|section| section.pattern.as_deref())
        };
        let cases = [
            (0x35_292f, None),
            (0x35_2930, Some("*(.text._ZN3ab1c17h*E)")),
            (0x35_296f, Some("*(.text._ZN3ab1c17h*E)")),
            (0x35_2970, None),
            (0x35_298f, Some("*(.text.walTryBeginRead)")),
            (0x71_f490, Some("*libc.a:malloc.o(.text)")),
            (0x72_50e5, Some("*libc.a:malloc.o(.text)")),
            (0x72_50e6, None),
        ];
        for (address, expected) in cases {
            assert_eq!(found(address), expected, "{address:x}");
        }
    }

    #[test]
    fn only_what_a_processor_chooses_has_twins() {
        let twins_of = |pattern: &str| twins(pattern).join(" ");
        assert_eq!(
            twins_of("*libc.a:memcmp-avx2-movbe.o(.text.avx)"),
            "*libc.a:memcmp-evex*.o(.text.evex*) *libc.a:memcmp-avx512*.o(.text.evex*)"
        );
        for other in ["*libc.a:malloc.o(.text)", "*(.text.walTryBeginRead)"] {
            assert_eq!(twins_of(other), "", "{other}");
        }
    }

    #[test]
    fn a_pattern_leaves_out_what_changes_with_versions() {
        let cases = [
            (".text._ZN2ab17h00112233445566ffE", ".text._ZN2ab17h*E"),
            (
                ".text._RNvMNtCslNYArtu3iFV_5alloc5allocNtB2_6Global18alloc_impl_runtime.1405",
                ".text._RNvMNtCs*_5alloc5allocNtB2_6Global18alloc_impl_runtime.*",
            ),
            (
                ".text.sqlite3Update.constprop.0",
                ".text.sqlite3Update.constprop.0",
            ),
            (
                ".text.wherePathSolver.isra.0",
                ".text.wherePathSolver.isra.0",
            ),
            (".text.sqlite3CsThing_x", ".text.sqlite3CsThing_x"),
        ];
        for (name, expected) in cases {
            assert_eq!(masked(name), expected, "{name}");
        }
    }
}
