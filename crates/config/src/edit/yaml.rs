//! Changes one value in the text of a YAML document, as far as lines alone tell where it stands: block mappings,
//! with a value or a list of values on the key's line, or a list with an item on each line below.
//!
//! The caller parses the result and compares it with what it should be, so a text that is laid out in another way
//! is not harmed; it is then printed anew.

use super::path::Step;
use crate::tree::{Format, Node};

/// A line that begins a value.
#[derive(Clone, Copy)]
struct Line {
    /// Its number.
    number: usize,
    indent: usize,
    /// The byte, within the line, after `key:` or `-`.
    value: usize,
}

/// The text with the value at the path, or `None` if its layout is not understood.
pub(super) fn set(text: &str, steps: &[Step], value: &Node<'_>) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut region = 0..lines.len();
    let mut found: Option<Line> = None;
    for (position, step) in steps.iter().enumerate() {
        let inside = children(&lines, region.clone(), found);
        let next = match step {
            Step::Key(key) => inside
                .iter()
                .copied()
                .find_map(|line| at_key(&lines, line, key)),
            Step::Index(index) => inside.get(*index).and_then(|line| at_item(&lines, *line)),
        };
        match next {
            Some(line) => {
                region = line.number + 1..block_end(&lines, line, region.end);
                found = Some(line);
            }
            None => return insert(&lines, &inside, found, (&steps[position..], value)),
        }
    }
    let line = found?;
    // A block below the key would be left behind.
    if !children(&lines, region, found).is_empty() {
        return None;
    }
    let (content, ending) = split_ending(lines[line.number]);
    let (head, old) = content.split_at(line.value);
    let comment = old.len() - comment_of(old).len();
    let mut new = lines.clone();
    let changed = format!("{head} {}{}{ending}", scalar(value)?, &old[comment..]);
    new[line.number] = &changed;
    Some(new.concat())
}

/// The numbers of the lines one level below `parent`, or at the top.
fn children(lines: &[&str], region: std::ops::Range<usize>, parent: Option<Line>) -> Vec<usize> {
    let content: Vec<usize> = region
        .filter(|number| has_content(lines[*number]))
        .collect();
    let Some(indent) = content.first().map(|number| indent_of(lines[*number])) else {
        return Vec::new();
    };
    // Items may stand at the indent of their key.
    let floor = parent.map_or(0, |parent| parent.indent);
    content
        .into_iter()
        .filter(|number| indent >= floor && indent_of(lines[*number]) == indent)
        .collect()
}

/// The line after the last one that belongs to the value of `line`.
fn block_end(lines: &[&str], line: Line, end: usize) -> usize {
    let beyond = |number: &usize| {
        let text = lines[*number];
        let is_item = text.trim_start().starts_with("- ")
            && !lines[line.number].trim_start().starts_with("- ");
        has_content(text)
            && (indent_of(text) < line.indent || (indent_of(text) == line.indent && !is_item))
    };
    (line.number + 1..end).find(beyond).unwrap_or(end)
}

fn has_content(line: &str) -> bool {
    let text = line.trim();
    !text.is_empty() && !text.starts_with('#') && !text.starts_with("---")
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn at_key(lines: &[&str], number: usize, key: &str) -> Option<Line> {
    let indent = indent_of(lines[number]);
    let rest = &lines[number][indent..];
    let forms = [key.to_owned(), format!("\"{key}\""), format!("'{key}'")];
    let length = forms.iter().find_map(|form| {
        let after = rest.strip_prefix(form.as_str())?.strip_prefix(':')?;
        after
            .starts_with([' ', '\n', '\r'])
            .then_some(form.len() + 1)
    })?;
    Some(Line {
        number,
        indent,
        value: indent + length,
    })
}

fn at_item(lines: &[&str], number: usize) -> Option<Line> {
    let indent = indent_of(lines[number]);
    lines[number][indent..].strip_prefix("- ")?;
    Some(Line {
        number,
        indent,
        value: indent + 1,
    })
}

/// Adds a key to a mapping, or an item to a list, that the document has, or a section at the end.
fn insert(
    lines: &[&str],
    siblings: &[usize],
    parent: Option<Line>,
    (steps, value): (&[Step], &Node<'_>),
) -> Option<String> {
    let newline = if lines.iter().any(|line| line.ends_with("\r\n")) {
        "\r\n"
    } else {
        "\n"
    };
    let indent = match (siblings.first(), parent) {
        (Some(first), _) => indent_of(lines[*first]),
        (None, None) => 0,
        (None, Some(parent)) => parent.indent + 2,
    };
    let pad = |depth: usize| " ".repeat(indent + 2 * depth);
    let value = scalar(value)?;
    let added = match steps {
        [Step::Key(key)] => format!("{}{key}: {value}", pad(0)),
        [Step::Key(section), Step::Key(key)] => {
            format!("{}{section}:{newline}{}{key}: {value}", pad(0), pad(1))
        }
        [Step::Index(_)] => format!("{}- {value}", pad(0)),
        _ => return None,
    };
    let after = match (siblings.last(), parent) {
        (Some(last), _) => {
            let last = Line {
                number: *last,
                indent,
                value: 0,
            };
            let end = block_end(lines, last, lines.len());
            // Blank lines and comments before the next key stay with it.
            (last.number..end)
                .rev()
                .find(|number| has_content(lines[*number]))?
                + 1
        }
        (None, Some(parent)) => parent.number + 1,
        (None, None) => lines.len(),
    };
    let before = lines[..after].concat();
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        newline
    };
    Some(format!(
        "{before}{gap}{added}{newline}{}",
        lines[after..].concat()
    ))
}

fn split_ending(line: &str) -> (&str, &str) {
    let content = line.trim_end_matches(['\n', '\r']);
    line.split_at(content.len())
}

/// The comment behind a value, with the spaces before it.
fn comment_of(value: &str) -> &str {
    let quote = value
        .trim_start()
        .chars()
        .next()
        .filter(|c| "\"'".contains(*c));
    let from = quote.map_or(0, |quote| value.rfind(quote).unwrap_or(0));
    match value[from..].find(" #") {
        Some(at) => {
            let end = value[..from + at].trim_end().len();
            &value[end..]
        }
        None => "",
    }
}

/// A value on one line: plain where that means the same, else as JSON, which YAML reads, too.
fn scalar(value: &Node<'_>) -> Option<String> {
    match value {
        Node::Text(text) => {
            let plain = !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_./%+-@".contains(&b));
            // Older readers of YAML take these words for booleans.
            let is_word =
                ["y", "n", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
            let same = plain
                && !is_word
                && Node::parse(text, Format::Yaml).is_ok_and(|read| read == *value);
            Some(if same {
                text.to_string()
            } else {
                value.to_json().to_string()
            })
        }
        Node::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Node::Map(_) | Node::Null | Node::Bool(_) | Node::Number(_) => {
            Some(value.to_json().to_string())
        }
    }
}
