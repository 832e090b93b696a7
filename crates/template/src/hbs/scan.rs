//! Looks over a Handlebars template before the `handlebars` crate parses it.
//!
//! The crate recurses without a limit and knows constructs that are refused here, so only what is
//! bounded and allowed may reach it.

use super::syntax;
use crate::detect::outside_quotes;
use crate::error::{Fault, Problem};
use crate::limits;

/// Most `(`, `[` and `{` inside one tag, wherever they stand.
const BRACKETS: usize = 64;
/// Most block tags in one template, nested or not; the crate's parser overflows a 2 MiB stack at
/// about 300 nested ones.
const BLOCKS: usize = 200;
/// Most `else if` of one block.
const BRANCHES: usize = 32;

/// An open block.
struct Block<'t> {
    name: &'t str,
    at: usize,
    branches: usize,
}

struct Scan<'t> {
    text: &'t str,
    open: Vec<Block<'t>>,
    /// Where tags begin that print or open a block or a further branch of it.
    offsets: Vec<usize>,
    tags: usize,
}

/// Checks limits and refused constructs; gives the offsets of the tags that become nodes.
pub(super) fn check(text: &str) -> Result<Vec<usize>, Fault> {
    let blocks = text.matches('#').count() + text.matches("{{^").count();
    if blocks > BLOCKS && block_tags(text) > BLOCKS {
        return Err(too_complex(0, "blocks", BLOCKS));
    }
    let mut scan = Scan {
        text,
        open: Vec::new(),
        offsets: Vec::new(),
        tags: 0,
    };
    let mut at = 0;
    while let Some(i) = text[at..].find("{{") {
        let open = at + i;
        let before = &text[at..open];
        if before.ends_with('\\') && !before.ends_with("\\\\") {
            at = open + 2;
            continue;
        }
        at = scan.tag(open)?;
    }
    if let Some(block) = scan.open.last() {
        let message = format!("`#{0}` is not closed, expected {{{{/{0}}}}}", block.name);
        return Err(syntax(block.at, message));
    }
    Ok(scan.offsets)
}

/// Tags that might open a block, also where they are only part of a text.
fn block_tags(text: &str) -> usize {
    let opens = |(i, _): (usize, &str)| {
        text[i + 2..]
            .trim_start_matches([' ', '\t', '\r', '\n', '~', '{'])
            .starts_with('#')
    };
    text.match_indices("{{").filter(|tag| opens(*tag)).count()
}

fn too_complex(at: usize, what: &'static str, limit: usize) -> Fault {
    Fault::new(at, Problem::TooComplex { what, limit })
}

impl<'t> Scan<'t> {
    /// Checks one tag and gives the offset behind it.
    fn tag(&mut self, open: usize) -> Result<usize, Fault> {
        self.tags += 1;
        if self.tags > limits::TAGS {
            return Err(Fault::new(open, Problem::TooManyTags));
        }
        let inside = &self.text[open + 2..];
        if inside.starts_with("{{") {
            return Err(Fault::forbidden(open, "a raw block `{{{{`"));
        }
        if let Some(length) = comment(inside) {
            return Ok(open + 2 + length);
        }
        let triple =
            inside.starts_with('{') || inside.trim_start_matches(['~', ' ']).starts_with('{');
        let unclosed = || syntax(open, "the tag is not closed, expected `}}`");
        let length = outside_quotes(inside, "}}").ok_or_else(unclosed)?;
        let inner = &inside[..length];
        let brackets = inner.bytes().filter(|b| b"([{".contains(b)).count();
        if brackets > BRACKETS {
            return Err(too_complex(open, "brackets in one tag", BRACKETS));
        }
        let content = inner.trim_matches(|c: char| c.is_whitespace() || c == '~');
        self.classify(open, content)?;
        let third = usize::from(triple && inside[length + 2..].starts_with('}'));
        Ok(open + 2 + length + 2 + third)
    }

    fn classify(&mut self, at: usize, content: &'t str) -> Result<(), Fault> {
        let compact = content.get(1..).map_or("", str::trim_start);
        match content.chars().next() {
            Some('>') => Err(Fault::forbidden(at, "a partial `{{>`")),
            Some('*') => Err(Fault::forbidden(at, "a decorator `{{*`")),
            Some('#') if compact.starts_with('>') => {
                Err(Fault::forbidden(at, "a partial block `{{#>`"))
            }
            Some('#') if compact.starts_with('*') => {
                Err(Fault::forbidden(at, "an inline partial `{{#*`"))
            }
            Some('#') => self.opens(at, first_word(compact)),
            Some('/') => self.closes(at, first_word(compact)),
            Some('^') => self.branches(at, compact),
            _ => match content.strip_prefix("else") {
                Some(rest) if rest.is_empty() || rest.starts_with(char::is_whitespace) => {
                    self.branches(at, rest.trim_start())
                }
                _ => {
                    self.offsets.push(at);
                    Ok(())
                }
            },
        }
    }

    fn opens(&mut self, at: usize, name: &'t str) -> Result<(), Fault> {
        self.offsets.push(at);
        self.open.push(Block {
            name,
            at,
            branches: 0,
        });
        if self.open.len() > limits::BLOCK_DEPTH {
            return Err(too_complex(at, "levels of blocks", limits::BLOCK_DEPTH));
        }
        Ok(())
    }

    fn closes(&mut self, at: usize, name: &str) -> Result<(), Fault> {
        match self.open.pop() {
            Some(block) if block.name == name => Ok(()),
            Some(block) => {
                let message = format!("expected {{{{/{}}}}}, found {{{{/{name}}}}}", block.name);
                Err(syntax(at, message))
            }
            None => Err(syntax(at, format!("{{{{/{name}}}}} closes no open block"))),
        }
    }

    fn branches(&mut self, at: usize, condition: &str) -> Result<(), Fault> {
        let Some(block) = self.open.last_mut() else {
            return Err(syntax(at, "`else` belongs to no open block"));
        };
        if condition.is_empty() {
            return Ok(());
        }
        block.branches += 1;
        if block.branches > BRANCHES {
            return Err(too_complex(at, "branches of one block", BRANCHES));
        }
        self.offsets.push(at);
        Ok(())
    }
}

fn first_word(text: &str) -> &str {
    let ends = |c: char| c.is_whitespace() || matches!(c, '(' | '|' | '"' | '\'' | '~');
    text.split(ends).next().unwrap_or("")
}

/// Length of a comment behind `{{`, with its closing mark.
fn comment(inside: &str) -> Option<usize> {
    if !inside.starts_with('!') {
        return None;
    }
    let long = inside
        .starts_with("!--")
        .then(|| inside.find("--}}"))
        .flatten();
    long.map(|i| i + 4)
        .or_else(|| inside.find("}}").map(|i| i + 2))
}
