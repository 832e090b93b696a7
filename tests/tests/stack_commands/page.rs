//! The commands of a page, in the order in which a reader copies them.

use anyhow::{Context as _, Result, ensure};
use ng_tests::manifests::checkout;

/// The languages of blocks in the pages. Commands are in `sh` and in no other.
const LANGUAGES: [&str; 5] = ["sh", "yaml", "json", "promql", "text"];

/// A fenced block: its language and its lines, without the indentation of the list that it may stand in.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
}

impl Block {
    /// The text as it stands there.
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// Its commands. One can go over several lines: as a text for stdin, as a loop, by a backslash, or because the next
    /// line ends what this one leaves running.
    pub(crate) fn commands(&self) -> Result<Vec<String>> {
        let mut commands: Vec<String> = Vec::new();
        let mut end: Option<&str> = None;
        let mut goes_on = false;
        for line in &self.lines {
            let is_inside = end.is_some();
            if let (true, Some(begun)) = (is_inside || goes_on, commands.last_mut()) {
                if begun.ends_with('\\') && !is_inside {
                    begun.pop();
                    begun.push_str(line.trim_start());
                } else {
                    begun.push('\n');
                    begun.push_str(line);
                }
            } else if line.trim().is_empty() {
                continue;
            } else {
                commands.push(without_comment(line).to_owned());
            }
            if end == Some(line.trim()) {
                end = None;
            } else if line.ends_with("<<'EOF'") {
                end = Some("EOF");
            } else if line.starts_with("for ") {
                end = Some("done");
            }
            goes_on = line.ends_with('\\') || line.contains(" & ");
        }
        ensure!(end.is_none() && !goes_on, "no end of {:?}", commands.last());
        Ok(commands)
    }
}

fn without_comment(line: &str) -> &str {
    line.split(" # ").next().unwrap_or_default().trim_end()
}

/// Every page in English, the one for newcomers first.
pub(crate) fn pages() -> Result<Vec<String>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(checkout("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".md")
            && !stem.ends_with(".zh-CN")
        {
            pages.push(format!("docs/{name}"));
        }
    }
    ensure!(!pages.is_empty(), "no page");
    pages.sort();
    pages.insert(0, "README.md".to_owned());
    pages.push("CONTRIBUTING.md".to_owned());
    Ok(pages)
}

/// The blocks of a page.
pub(crate) fn blocks(page: &str) -> Result<Vec<Block>> {
    let text = std::fs::read_to_string(checkout(page)).with_context(|| page.to_owned())?;
    let mut blocks = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (open.take(), fence) {
            (Some((block, _)), Some("")) => blocks.push(block),
            (Some((mut block, indentation)), _) => {
                block
                    .lines
                    .push(line.get(indentation..).unwrap_or_default().to_owned());
                open = Some((block, indentation));
            }
            (None, Some(language)) => {
                ensure!(
                    LANGUAGES.contains(&language),
                    "{page}: a block in {language:?}, expected one of {LANGUAGES:?}"
                );
                let block = Block {
                    language: language.to_owned(),
                    lines: Vec::new(),
                };
                open = Some((block, line.len() - line.trim_start().len()));
            }
            (None, None) => {}
        }
    }
    ensure!(open.is_none(), "{page}: a block without an end");
    Ok(blocks)
}
