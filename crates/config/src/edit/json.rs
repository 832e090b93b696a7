//! Changes one value in the text of a JSON document, and leaves every other byte as it was.

use std::borrow::Cow;

use super::path::Step;
use crate::tree::{Map, Node};

/// A value and where it stands in the text.
struct Span {
    start: usize,
    end: usize,
    kind: Kind,
}

enum Kind {
    Object(Vec<Member>),
    List(Vec<Span>),
    Scalar,
}

struct Member {
    key: String,
    key_start: usize,
    key_end: usize,
    value: Span,
}

/// The text with the value at the path, or `None` where the text is not what was expected.
pub(super) fn set(text: &str, steps: &[Step], value: &Node<'_>) -> Option<String> {
    let mut scanner = Scanner { text, at: 0 };
    if text.starts_with('\u{feff}') {
        scanner.at = '\u{feff}'.len_utf8();
    }
    let mut span = scanner.value(0)?;
    for (position, step) in steps.iter().enumerate() {
        let rest = &steps[position + 1..];
        span = match (step, span.kind) {
            (Step::Key(key), Kind::Object(members)) => {
                let Some(found) = members.iter().rposition(|member| member.key == *key) else {
                    let (object, value) = ((span.start, span.end), nested(rest, value)?);
                    return Some(add_member(text, object, &members, (key, &value)));
                };
                members.into_iter().nth(found)?.value
            }
            (Step::Index(index), Kind::List(items)) if *index < items.len() => {
                items.into_iter().nth(*index)?
            }
            (Step::Index(index), Kind::List(items)) if *index == items.len() => {
                let (list, value) = ((span.start, span.end), nested(rest, value)?);
                return Some(add_item(text, list, &items, &value));
            }
            (_, Kind::Scalar) => {
                let value = nested(&steps[position..], value)?;
                return Some(replace(text, span.start, span.end, &value));
            }
            (_, Kind::Object(_) | Kind::List(_)) => return None,
        };
    }
    Some(replace(text, span.start, span.end, value))
}

/// A whole document, on lines of its own.
pub(super) fn print(document: &Node<'_>) -> String {
    let style = Style {
        indent: "",
        unit: "  ",
        lines: true,
        newline: "\n",
    };
    render(document, &style) + "\n"
}

/// The value within the objects and lists that lead to it.
fn nested(steps: &[Step], value: &Node<'_>) -> Option<Node<'static>> {
    steps
        .iter()
        .rev()
        .try_fold(value.to_owned_node(), |inner, step| match step {
            Step::Key(key) => Some(Node::Map(Map(vec![(Cow::Owned(key.clone()), inner)]))),
            Step::Index(0) => Some(Node::List(vec![inner])),
            Step::Index(_) => None,
        })
}

fn replace(text: &str, start: usize, end: usize, value: &Node<'_>) -> String {
    let style = Style {
        indent: indent_at(text, start),
        unit: "  ",
        // What stood on several lines, or a document on several lines, stays so.
        lines: text[start..end].contains('\n')
            || (text.contains('\n') && matches!(value, Node::Map(_))),
        newline: newline(text),
    };
    let shown = render(value, &style);
    format!("{}{shown}{}", &text[..start], &text[end..])
}

fn add_member(
    text: &str,
    (start, end): (usize, usize),
    members: &[Member],
    (key, value): (&str, &Node<'_>),
) -> String {
    let Some(last) = members.last() else {
        let object = Node::Map(Map(vec![(Cow::Borrowed(key), value.to_owned_node())]));
        return replace(text, start, end, &object);
    };
    let lead = lead(text, last.key_start);
    let colon = &text[last.key_end..last.value.start];
    let on_lines = lead.contains('\n');
    let gap = if lead.is_empty() && colon.contains(' ') {
        " "
    } else {
        lead
    };
    let indent = indent_at(text, last.key_start);
    let unit = indent
        .strip_prefix(indent_at(text, start))
        .filter(|unit| !unit.is_empty());
    let style = Style {
        indent,
        unit: unit.unwrap_or("  "),
        lines: on_lines && matches!(value, Node::Map(_)),
        newline: newline(text),
    };
    let (key, value) = (quoted(key), render(value, &style));
    let at = last.value.end;
    format!("{},{gap}{key}{colon}{value}{}", &text[..at], &text[at..])
}

fn add_item(text: &str, (start, end): (usize, usize), items: &[Span], value: &Node<'_>) -> String {
    let Some(last) = items.last() else {
        return replace(text, start, end, &Node::List(vec![value.to_owned_node()]));
    };
    let lead = match (lead(text, last.start), items.len()) {
        ("", 1) => " ",
        (lead, _) => lead,
    };
    let style = Style {
        indent: indent_at(text, last.start),
        unit: "  ",
        lines: false,
        newline: newline(text),
    };
    let value = render(value, &style);
    let at = last.end;
    format!("{},{lead}{value}{}", &text[..at], &text[at..])
}

/// The white space before a place.
fn lead(text: &str, at: usize) -> &str {
    let before = text[..at].trim_end_matches([' ', '\t', '\r', '\n']);
    &text[before.len()..at]
}

/// The white space at the beginning of the line that holds a place.
fn indent_at(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = &text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// How a new value is laid out.
struct Style<'a> {
    /// What its own line begins with.
    indent: &'a str,
    /// One step deeper.
    unit: &'a str,
    /// Whether objects and lists take a line for each entry.
    lines: bool,
    newline: &'static str,
}

fn render(value: &Node<'_>, style: &Style<'_>) -> String {
    match value {
        Node::List(items) => {
            let items: Vec<String> = items.iter().map(|item| render_inner(item, style)).collect();
            enclose(("[", "]"), &items, style)
        }
        Node::Map(Map(entries)) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), render_inner(value, style)))
                .collect();
            enclose(("{", "}"), &entries, style)
        }
        scalar => scalar.to_json().to_string(),
    }
}

fn render_inner(value: &Node<'_>, style: &Style<'_>) -> String {
    let indent = format!("{}{}", style.indent, style.unit);
    // Lists stay on one line below an object on several.
    let lines = style.lines && matches!(value, Node::Map(_));
    render(
        value,
        &Style {
            indent: &indent,
            lines,
            ..*style
        },
    )
}

fn enclose((open, close): (&str, &str), parts: &[String], style: &Style<'_>) -> String {
    let Style {
        indent,
        unit,
        lines,
        newline,
    } = *style;
    if !lines || parts.is_empty() {
        return format!("{open}{}{close}", parts.join(", "));
    }
    let body = parts.join(&format!(",{newline}{indent}{unit}"));
    format!("{open}{newline}{indent}{unit}{body}{newline}{indent}{close}")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Finds where values begin and end. The text has been parsed before, so this one need not tell what is wrong.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl Scanner<'_> {
    /// The depth at which the parser has refused the text.
    const MAX_DEPTH: usize = 128;

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.byte().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    /// Passes the byte if it comes next.
    fn take(&mut self, wanted: u8) -> bool {
        self.skip_space();
        let found = self.byte() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Option<Span> {
        self.skip_space();
        let start = self.at;
        let kind = match self.byte()? {
            _ if depth > Self::MAX_DEPTH => return None,
            b'{' => Kind::Object(self.members(depth)?),
            b'[' => Kind::List(self.items(depth)?),
            b'"' => {
                self.string()?;
                Kind::Scalar
            }
            _ => {
                let rest = &self.text[start..];
                self.at += rest
                    .find([' ', '\t', '\r', '\n', ',', ']', '}'])
                    .unwrap_or(rest.len());
                Kind::Scalar
            }
        };
        (self.at > start).then_some(Span {
            start,
            end: self.at,
            kind,
        })
    }

    fn members(&mut self, depth: usize) -> Option<Vec<Member>> {
        let mut members = Vec::new();
        self.at += 1;
        while !self.take(b'}') {
            if !members.is_empty() && !self.take(b',') {
                return None;
            }
            self.skip_space();
            let key_start = self.at;
            let key = serde_json::from_str(self.string()?).ok()?;
            let key_end = self.at;
            if !self.take(b':') {
                return None;
            }
            let value = self.value(depth + 1)?;
            members.push(Member {
                key,
                key_start,
                key_end,
                value,
            });
        }
        Some(members)
    }

    fn items(&mut self, depth: usize) -> Option<Vec<Span>> {
        let mut items = Vec::new();
        self.at += 1;
        while !self.take(b']') {
            if !items.is_empty() && !self.take(b',') {
                return None;
            }
            items.push(self.value(depth + 1)?);
        }
        Some(items)
    }

    /// The text in quotes, quotes included.
    fn string(&mut self) -> Option<&str> {
        let start = self.at;
        if self.byte()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            match self.byte()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(start..self.at)
    }
}
