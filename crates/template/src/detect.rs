//! Tells the dialect of a template from its tags.

use crate::error::{Fault, Problem, line_and_column};
use crate::functions::GO_FUNCTIONS;
use crate::{Dialect, limits};

/// What one tag says about the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hint {
    Decides(Dialect),
    /// Counts only if no tag decides.
    Suggests(Dialect),
    Neutral,
}

/// The dialect of `text`: that of the first tag that belongs to one dialect only, or Handlebars.
pub(crate) fn dialect(text: &str) -> Result<Dialect, Fault> {
    let mut first: Option<(Dialect, usize)> = None;
    let mut suggested = None;
    let mut raw = false;
    let tags = Tags {
        text,
        at: 0,
        unclosed: Vec::new(),
    };
    // A template with more tags is refused later.
    for (at, inside, kind) in tags.take(limits::TAGS) {
        let word = inside.trim_matches(|c: char| c == '-' || c.is_whitespace());
        if kind == b'%' && matches!(word, "raw" | "endraw") {
            raw = word == "raw";
        } else if raw {
            continue;
        }
        let hint = if kind == b'{' {
            hint(inside)
        } else {
            Hint::Decides(Dialect::Jinja)
        };
        match (hint, first) {
            (Hint::Decides(found), None) => first = Some((found, at)),
            (Hint::Decides(second), Some((first, place))) if first != second => {
                let (first_line, first_column) = line_and_column(text, place);
                let problem = Problem::MixedDialects {
                    first,
                    second,
                    first_line,
                    first_column,
                };
                return Err(Fault::new(at, problem));
            }
            (Hint::Suggests(found), _) if suggested.is_none() => suggested = Some(found),
            _ => {}
        }
    }
    let decided = first.map(|(dialect, _)| dialect);
    Ok(decided.or(suggested).unwrap_or(Dialect::Handlebars))
}

/// The tags of a text: offset, inside, and the second character of the opening mark.
struct Tags<'t> {
    text: &'t str,
    at: usize,
    /// Kinds of tags that nothing closes from here on: looking again would take quadratic time.
    unclosed: Vec<u8>,
}

impl<'t> Iterator for Tags<'t> {
    type Item = (usize, &'t str, u8);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = &self.text[self.at..];
            let opens = |pair: &[u8]| matches!(pair, b"{{" | b"{%" | b"{#");
            let open = self.at + rest.as_bytes().windows(2).position(opens)?;
            let kind = self.text.as_bytes()[open + 1];
            let inside = &self.text[open + 2..];
            let escaped = kind == b'{' && is_escaped(self.text, open);
            self.at = open + 2;
            if escaped || self.unclosed.contains(&kind) {
                continue;
            }
            if let Some((length, close)) = extent(inside, kind) {
                self.at = open + 2 + length + close;
                return Some((open, &inside[..length], kind));
            }
            self.unclosed.push(kind);
        }
    }
}

/// In Handlebars exactly one backslash makes a tag plain text. The other dialects know no such
/// thing, but then the tags elsewhere decide.
fn is_escaped(text: &str, open: usize) -> bool {
    let before = &text[..open];
    let inside = &text[open..];
    let plain = !inside.starts_with("{{.") && !inside.starts_with("{{ .");
    plain && before.ends_with('\\') && !before.ends_with("\\\\")
}

/// Length of the inside and of the closing mark.
fn extent(inside: &str, kind: u8) -> Option<(usize, usize)> {
    let mark = match kind {
        b'%' => "%}",
        b'#' => "#}",
        _ => "}}",
    };
    let lead = inside.trim_start_matches(['-', '~', ' ', '\t', '\r', '\n']);
    let skipped = inside.len() - lead.len();
    let long = [("!--", "--}}"), ("/*", "*/")]
        .into_iter()
        .find(|(open, _)| lead.starts_with(open));
    if let Some((_, close)) = long
        && let Some(i) = lead.find(close)
    {
        let from = skipped + i + if close == "*/" { 2 } else { 0 };
        let length = from + inside[from..].find(mark)?;
        return Some((length, mark.len()));
    }
    if kind == b'#' || lead.starts_with('!') {
        return inside.find(mark).map(|i| (i, mark.len()));
    }
    let end = outside_quotes(inside, mark).or_else(|| inside.find(mark))?;
    Some((end, mark.len()))
}

/// Where `mark` first stands outside quotes.
pub(crate) fn outside_quotes(text: &str, mark: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        if let Some(open) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' && open != '`' {
                escaped = true;
            } else if c == open {
                quote = None;
            }
        } else if text[i..].starts_with(mark) {
            return Some(i);
        } else if matches!(c, '"' | '\'' | '`') {
            quote = Some(c);
        }
    }
    None
}

fn hint(inside: &str) -> Hint {
    use Dialect::{Go, Handlebars, Jinja};
    if inside.starts_with('~') {
        return Hint::Decides(Handlebars);
    }
    let dashed = inside.starts_with('-');
    let body = inside[usize::from(dashed)..].trim();
    let body = body.strip_suffix('-').unwrap_or(body).trim_end();
    if body.starts_with("../") || body.starts_with("./") {
        return Hint::Decides(Handlebars);
    }
    if body.starts_with(['.', '$', '`']) || body.starts_with("/*") {
        return Hint::Decides(Go);
    }
    if body.starts_with(['#', '/', '^', '>', '&', '!', '{', '@', '*']) {
        return Hint::Decides(Handlebars);
    }
    let words = words(body);
    let first = words.first().copied().unwrap_or("");
    match first {
        "range" | "with" | "end" | "define" | "template" | "block" | "break" | "continue"
        | "if" => {
            return Hint::Decides(Go);
        }
        _ if first == "this" || first.starts_with("this.") => return Hint::Decides(Handlebars),
        _ => {}
    }
    if words
        .iter()
        .any(|word| word.starts_with('$') || is_go_field(word))
    {
        return Hint::Decides(Go);
    }
    if let Some(pipe) = words.iter().position(|word| *word == "|") {
        let behind = words.get(pipe + 1).copied().unwrap_or("");
        let argument = words
            .get(pipe + 2)
            .is_some_and(|word| *word != "(" && *word != "|");
        let go = argument && GO_FUNCTIONS.find(behind).is_some() || behind == "printf";
        return Hint::Decides(if go { Go } else { Jinja });
    }
    let literals = words.len() > 1 && words[1..].iter().all(|word| word.starts_with(['"', '`']));
    if literals
        && GO_FUNCTIONS
            .find(first)
            .is_some_and(crate::functions::Function::built_into_go)
    {
        return Hint::Decides(Go);
    }
    if is_jinja(&words, body) {
        return Hint::Decides(Jinja);
    }
    let suggests = dashed || inside.ends_with('-') || first.starts_with(['"', '\'']);
    if suggests {
        Hint::Suggests(Jinja)
    } else {
        Hint::Neutral
    }
}

/// A dot at the start of a word: `.name`, not `..` and not `.5`.
fn is_go_field(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next() == Some('.') && chars.next().is_none_or(|c| c.is_alphabetic() || c == '_')
}

/// Infix operators, subscripts and calls, which only Jinja has.
fn is_jinja(words: &[&str], body: &str) -> bool {
    let infix = words.iter().skip(1).any(|word| {
        matches!(
            *word,
            ">" | "<" | ">=" | "<=" | "==" | "!=" | "+" | "-" | "*" | "/" | "//" | "%" | "~"
        )
    });
    let word_operator = words.len() > 2
        && words[1..words.len() - 1]
            .iter()
            .any(|word| matches!(*word, "and" | "or" | "in" | "is" | "if"))
        && !matches!(words[0], "else" | "(");
    // `name[` and `name(`: Handlebars writes `.[` and puts a space before a parenthesis.
    let unquoted = without_quotes(body);
    let attached = unquoted.as_bytes().windows(2).any(|pair| {
        let name = pair[0].is_ascii_alphanumeric() || matches!(pair[0], b'_' | b')' | b']');
        name && matches!(pair[1], b'[' | b'(')
    });
    infix && !body.ends_with('~') || word_operator || attached
}

fn without_quotes(body: &str) -> String {
    let mut quote = None;
    let mut out = String::new();
    for c in body.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None => out.push(c),
        }
    }
    out
}

/// Cuts at white space and around parentheses and pipes; quoted text is one word.
fn words(body: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    for (i, c) in body.char_indices() {
        if let Some(open) = quote {
            if c == open {
                quote = None;
            }
            continue;
        }
        let single = matches!(c, '(' | ')' | '|');
        if (c.is_whitespace() || single)
            && let Some(from) = start.take()
        {
            words.push(&body[from..i]);
        }
        if single {
            words.push(&body[i..=i]);
        } else if !c.is_whitespace() {
            start.get_or_insert(i);
            if matches!(c, '"' | '\'' | '`') {
                quote = Some(c);
            }
        }
    }
    words.extend(start.map(|from| &body[from..]));
    words
}
