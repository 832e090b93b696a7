//! The page under construction. Only markup of the program itself goes in as it is; every other text is escaped.

use crate::model::{Language, Level};
use crate::say;
use crate::text::escape_into;
use crate::words::Word;

/// A page, and the language of its words.
pub(super) struct Page {
    html: String,
    language: Language,
}

impl Page {
    /// An empty page.
    pub(super) fn new(language: Language) -> Self {
        Self {
            html: String::with_capacity(64 * 1024),
            language,
        }
    }

    /// The language of the words.
    pub(super) fn language(&self) -> Language {
        self.language
    }

    /// Markup. Text of others cannot get in: it is not `'static`.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.html.push_str(markup);
        self
    }

    /// Any text, as content or as the value of a quoted attribute.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        escape_into(&mut self.html, text);
        self
    }

    /// A word.
    pub(super) fn word(&mut self, word: impl Into<Word>) -> &mut Self {
        let text = word.into().say(self.language);
        self.text(text)
    }

    /// A word with values in its places.
    pub(super) fn with(&mut self, word: Word, values: &[&str]) -> &mut Self {
        let text = word.with(self.language, values);
        self.text(&text)
    }

    /// A coordinate or a length, to a tenth.
    pub(super) fn length(&mut self, value: f64) -> &mut Self {
        let text = format!("{value:.1}");
        self.html.push_str(text.strip_suffix(".0").unwrap_or(&text));
        self
    }

    /// The words "and N more", if there are more.
    pub(super) fn more(&mut self, word: Word, all: usize, shown: usize) -> &mut Self {
        match all.saturating_sub(shown) {
            0 => self,
            more => {
                self.raw("<p class=\"more\">");
                self.with(word, &[&say::number(more)]).raw("</p>\n")
            }
        }
    }

    /// The sign of a level, for eyes; its word has to stand beside it.
    pub(super) fn sign(&mut self, level: Level) -> &mut Self {
        self.raw(match level {
            Level::Critical => {
                "<svg class=\"g cr\" viewBox=\"0 0 12 12\" aria-hidden=\"true\"><path d=\"M3.5 0h5L12 3.5v5L8.5 12h-5L0 8.5v-5z\"/><path class=\"n\" d=\"M5 2.5h2v4.5H5zM5 8h2v2H5z\"/></svg>"
            }
            Level::Warning => {
                "<svg class=\"g wa\" viewBox=\"0 0 12 12\" aria-hidden=\"true\"><path d=\"M6 0.5l6 11H0z\"/><path class=\"n\" d=\"M5.2 4h1.6v4H5.2zM5.2 8.8h1.6v1.6H5.2z\"/></svg>"
            }
            Level::Unknown => {
                "<svg class=\"g un\" viewBox=\"0 0 12 12\" aria-hidden=\"true\"><circle cx=\"6\" cy=\"6\" r=\"4.8\"/></svg>"
            }
            Level::Ok => {
                "<svg class=\"g ok\" viewBox=\"0 0 12 12\" aria-hidden=\"true\"><circle cx=\"6\" cy=\"6\" r=\"4\"/></svg>"
            }
        })
    }

    /// The page as text.
    pub(super) fn finish(self) -> String {
        self.html
    }
}

/// The class of a level in the style sheet.
pub(super) fn class(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Unknown => "un",
        Level::Warning => "wa",
        Level::Critical => "cr",
    }
}
