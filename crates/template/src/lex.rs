//! Cuts the inside of a Go or Jinja tag into tokens.

use crate::{Dialect, error::Fault};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Name(String),
    Number(String),
    Text(String),
    Operator(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(text) | Self::Number(text) => write!(f, "`{text}`"),
            Self::Text(text) => write!(f, "the text {text:?}"),
            Self::Operator(operator) => write!(f, "`{operator}`"),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) at: usize,
    /// White space stands before it.
    pub(crate) spaced: bool,
}

/// The tokens of one tag, and what follows it.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) lexemes: Vec<Lexeme>,
    /// Offset behind the closing mark.
    pub(crate) end: usize,
    /// The closing mark asks to trim the text behind it.
    pub(crate) trims: bool,
}

const OPERATORS: [&str; 31] = [
    "==", "!=", "<=", ">=", ":=", "//", "**", ".", ",", "(", ")", "[", "]", "|", "+", "-", "*",
    "/", "%", "~", "<", ">", "=", ":", "$", "{", "}", "!", "&", "?", "@",
];

/// Reads tokens from `start` up to the mark `close`.
pub(crate) fn tag(text: &str, start: usize, close: &str, dialect: Dialect) -> Result<Tag, Fault> {
    let mut lexemes: Vec<Lexeme> = Vec::new();
    let mut at = start;
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        let spaced = trimmed.len() < rest.len();
        at += rest.len() - trimmed.len();
        if let Some((length, trims)) = closing(trimmed, close, dialect, spaced) {
            let end = at + length;
            return Ok(Tag {
                lexemes,
                end,
                trims,
            });
        }
        let after_dot = matches!(
            lexemes.last(),
            Some(Lexeme {
                token: Token::Operator("."),
                ..
            })
        );
        let Some(first) = trimmed.chars().next() else {
            let message = format!("the tag is not closed, expected `{close}`");
            return Err(Fault::syntax(start, dialect, message));
        };
        let (token, length) = match first {
            '"' | '\'' | '`' => quoted(trimmed, first)
                .ok_or_else(|| Fault::syntax(at, dialect, format!("expected a closing {first}")))?,
            c if c.is_ascii_digit() => number(trimmed, after_dot),
            c if c.is_alphabetic() || c == '_' => name(trimmed),
            c => operator(trimmed)
                .ok_or_else(|| Fault::syntax(at, dialect, format!("unexpected character {c:?}")))?,
        };
        lexemes.push(Lexeme { token, at, spaced });
        at += length;
    }
}

fn closing(rest: &str, close: &str, dialect: Dialect, spaced: bool) -> Option<(usize, bool)> {
    if rest.starts_with(close) {
        return Some((close.len(), false));
    }
    let behind = rest.strip_prefix('-')?;
    // In Go only ` -}}` trims: `{{.x-}}` is a mistake there.
    let allowed = spaced || dialect != Dialect::Go;
    (allowed && behind.starts_with(close)).then_some((close.len() + 1, true))
}

fn name(rest: &str) -> (Token, usize) {
    let length = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    (Token::Name(rest[..length].to_owned()), length)
}

fn number(rest: &str, whole: bool) -> (Token, usize) {
    let digits = |from: usize| {
        rest[from..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest.len(), |length| from + length)
    };
    let mut length = digits(0);
    let fraction = rest[length..].starts_with('.')
        && rest[length + 1..].starts_with(|c: char| c.is_ascii_digit());
    if fraction && !whole {
        length = digits(length + 1);
    }
    (Token::Number(rest[..length].to_owned()), length)
}

fn operator(rest: &str) -> Option<(Token, usize)> {
    let found = OPERATORS.iter().find(|o| rest.starts_with(**o))?;
    Some((Token::Operator(found), found.len()))
}

/// Reads a quoted text; `None` if it has no end or a bad escape.
fn quoted(rest: &str, quote: char) -> Option<(Token, usize)> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        if c == quote {
            return Some((Token::Text(out), i + 1));
        }
        if c != '\\' || quote == '`' {
            out.push(c);
            continue;
        }
        let (_, escaped) = chars.next()?;
        match escaped {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            '\\' | '"' | '\'' | '/' => out.push(escaped),
            'x' | 'u' => {
                let digits = if escaped == 'x' { 2 } else { 4 };
                let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                out.push(char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?);
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    None
}

/// A cursor over the tokens of one tag, with the limits of an expression.
#[derive(Debug)]
pub(crate) struct Cursor<'t> {
    lexemes: &'t [Lexeme],
    next: usize,
    end: usize,
    parts: usize,
    depth: usize,
    dialect: Dialect,
}

impl<'t> Cursor<'t> {
    pub(crate) fn new(lexemes: &'t [Lexeme], end: usize, dialect: Dialect) -> Self {
        Self {
            lexemes,
            next: 0,
            end,
            parts: 0,
            depth: 0,
            dialect,
        }
    }

    pub(crate) fn peek(&self) -> Option<&'t Lexeme> {
        self.lexemes.get(self.next)
    }

    pub(crate) fn peek_at(&self, ahead: usize) -> Option<&'t Lexeme> {
        self.lexemes.get(self.next + ahead)
    }

    pub(crate) fn bump(&mut self) -> Option<&'t Lexeme> {
        let lexeme = self.lexemes.get(self.next)?;
        self.next += 1;
        Some(lexeme)
    }

    pub(crate) fn at(&self) -> usize {
        self.peek().map_or(self.end, |lexeme| lexeme.at)
    }

    pub(crate) fn is(&self, operator: &str) -> bool {
        matches!(self.peek(), Some(Lexeme { token: Token::Operator(o), .. }) if *o == operator)
    }

    pub(crate) fn eat(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        self.next += usize::from(found);
        found
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Lexeme { token: Token::Name(name), .. }) if name == word)
    }

    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, operator: &str) -> Result<(), Fault> {
        if self.eat(operator) {
            return Ok(());
        }
        Err(self.expected(&format!("`{operator}`")))
    }

    pub(crate) fn name(&mut self, what: &str) -> Result<&'t str, Fault> {
        match self.peek() {
            Some(Lexeme {
                token: Token::Name(name),
                ..
            }) => {
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(crate) fn finish(&self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the tag")),
        }
    }

    pub(crate) fn expected(&self, what: &str) -> Fault {
        let message = match self.peek() {
            Some(lexeme) => format!("expected {what}, found {}", lexeme.token),
            None => format!("expected {what}, found the end of the tag"),
        };
        Fault::syntax(self.at(), self.dialect, message)
    }

    /// Counts one more part of the expression.
    pub(crate) fn part(&mut self) -> Result<(), Fault> {
        self.parts += 1;
        self.check(
            self.parts,
            crate::limits::EXPRESSION_PARTS,
            "parts in one tag",
        )
    }

    /// Enters one more level; every `Ok` is paired with [`Cursor::leave`].
    pub(crate) fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        self.check(
            self.depth,
            crate::limits::EXPRESSION_DEPTH,
            "levels in one tag",
        )
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    fn check(&self, found: usize, limit: usize, what: &'static str) -> Result<(), Fault> {
        if found > limit {
            let problem = crate::Problem::TooComplex { what, limit };
            return Err(Fault::new(self.at(), problem));
        }
        Ok(())
    }
}
