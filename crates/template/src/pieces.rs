//! Splits a Go or Jinja template into text and tags, and trims the text where tags ask for it.

use crate::error::{Fault, Problem};
use crate::lex::{self, Lexeme};
use crate::{Dialect, limits};

#[derive(Debug)]
pub(crate) enum Piece {
    Text(String),
    Tag(Tag),
}

/// A tag's tokens, its place in the text, and whether it is a Jinja statement (`{% %}`).
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) at: usize,
    pub(crate) end: usize,
    pub(crate) lexemes: Vec<Lexeme>,
    pub(crate) statement: bool,
}

struct Splitter<'t> {
    text: &'t str,
    dialect: Dialect,
    pieces: Vec<(usize, Piece)>,
    /// Up to where the text is taken.
    at: usize,
    trim_next: bool,
    tags: usize,
}

/// Cuts `text` at its tags.
pub(crate) fn split(text: &str, dialect: Dialect) -> Result<Vec<(usize, Piece)>, Fault> {
    let pieces = Vec::new();
    let mut splitter = Splitter {
        text,
        dialect,
        pieces,
        at: 0,
        trim_next: false,
        tags: 0,
    };
    while let Some(open) = splitter.next_open() {
        splitter.tags += 1;
        if splitter.tags > limits::TAGS {
            return Err(Fault::new(open, Problem::TooManyTags));
        }
        splitter.tag(open)?;
    }
    splitter.text_up_to(text.len(), false);
    Ok(splitter.pieces)
}

impl Splitter<'_> {
    fn next_open(&self) -> Option<usize> {
        let rest = &self.text.as_bytes()[self.at..];
        let opens = |pair: &[u8]| match self.dialect {
            Dialect::Go => pair == b"{{",
            _ => matches!(pair, b"{{" | b"{%" | b"{#"),
        };
        rest.windows(2).position(opens).map(|i| self.at + i)
    }

    fn text_up_to(&mut self, end: usize, trim: bool) {
        let mut text = &self.text[self.at..end];
        if self.trim_next {
            text = text.trim_start();
        }
        if trim {
            text = text.trim_end();
        }
        if !text.is_empty() {
            self.pieces.push((self.at, Piece::Text(text.to_owned())));
        }
        self.at = end;
    }

    fn tag(&mut self, open: usize) -> Result<(), Fault> {
        let inside = &self.text[open + 2..];
        let trim = self.trims_before(inside);
        self.text_up_to(open, trim);
        let mut start = open + 2 + usize::from(trim);
        if self.dialect == Dialect::Jinja && inside.starts_with('+') {
            start += 1;
        }
        let kind = self.text.as_bytes()[open + 1];
        if kind == b'#' {
            return self.comment(start, "#}");
        }
        let blank = self.text[start..].len() - self.text[start..].trim_start().len();
        let comment = self.text[start + blank..].starts_with("/*");
        if self.dialect == Dialect::Go && comment && (trim || blank == 0) {
            return self.comment(start + blank + 2, "*/");
        }
        let statement = kind == b'%';
        let close = if statement { "%}" } else { "}}" };
        let tag = lex::tag(self.text, start, close, self.dialect)?;
        self.at = tag.end;
        self.trim_next = tag.trims;
        if statement && is_word(&tag.lexemes, "raw") {
            return self.raw();
        }
        let (at, end, lexemes) = (open, tag.end, tag.lexemes);
        let tag = Tag {
            at,
            end,
            lexemes,
            statement,
        };
        self.pieces.push((open, Piece::Tag(tag)));
        Ok(())
    }

    fn trims_before(&self, inside: &str) -> bool {
        let Some(behind) = inside.strip_prefix('-') else {
            return false;
        };
        self.dialect != Dialect::Go || behind.starts_with(char::is_whitespace)
    }

    /// Skips a comment up to its end mark and, in Go, the braces behind it.
    fn comment(&mut self, start: usize, mark: &str) -> Result<(), Fault> {
        let unclosed = || {
            let message = format!("the comment is not closed, expected `{mark}`");
            Fault::syntax(start, self.dialect, message)
        };
        let length = self.text[start..].find(mark).ok_or_else(unclosed)?;
        let end = start + length + mark.len();
        if self.dialect != Dialect::Go {
            self.trim_next = self.text[start..start + length].ends_with('-');
            self.at = end;
            return Ok(());
        }
        let close = lex::tag(self.text, end, "}}", self.dialect)?;
        if let Some(lexeme) = close.lexemes.first() {
            let message = "expected nothing behind the comment";
            return Err(Fault::syntax(lexeme.at, self.dialect, message));
        }
        self.trim_next = close.trims;
        self.at = close.end;
        Ok(())
    }

    /// Takes everything up to `{% endraw %}` as text.
    fn raw(&mut self) -> Result<(), Fault> {
        let mut from = self.at;
        while let Some(i) = self.text[from..].find("{%") {
            let open = from + i;
            let inside = &self.text[open + 2..];
            let trim = inside.starts_with('-');
            let word = inside[usize::from(trim)..].trim_start();
            if let Some(behind) = word.strip_prefix("endraw")
                && let Some(close) = behind.find("%}")
                && matches!(behind[..close].trim(), "" | "-")
            {
                self.text_up_to(open, trim);
                self.trim_next = behind[..close].ends_with('-');
                self.at = self.text.len() - behind.len() + close + 2;
                return Ok(());
            }
            from = open + 2;
        }
        let message = "expected `{% endraw %}` before the end of the template";
        Err(Fault::syntax(self.at, self.dialect, message))
    }
}

fn is_word(lexemes: &[Lexeme], word: &str) -> bool {
    matches!(lexemes, [Lexeme { token: lex::Token::Name(name), .. }] if name == word)
}
