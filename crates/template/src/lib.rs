//! Renders the templates that users write, in three dialects: Handlebars, a subset of Go's
//! `text/template` and a subset of Jinja.
//!
//! Templates are untrusted. All dialects are parsed into one small tree (`ast`) that one
//! interpreter (`eval`) walks within fixed limits (`limits`) of size, depth, steps and output.
//! There are no partials, includes or macros, and nothing reaches outside the data given.
//!
//! Where the original engines differ, house rules hold in every dialect: what is missing or null
//! prints nothing and gives a warning, numbers print without exponent or `.0` and compare by
//! value, and a list prints joined with `, `.
//!
//! - `detect`: which dialect; `go`, `jinja` (with `pieces` and `lex`), `hbs`: the parsers
//! - `functions`: what can be called; `calls`, `format`, `units`: what it does; `value`: values
//! - `data`, [`label`]: prepare data for templates, and use rendered text as a label value

mod ast;
mod calls;
mod data;
mod detect;
mod error;
mod eval;
mod format;
mod functions;
mod go;
mod hbs;
mod jinja;
pub mod label;
mod lex;
mod limits;
mod names;
mod pieces;
mod units;
mod value;

pub use data::{number, with_snake_case};
pub use error::{Problem, TemplateError};
pub use names::Names;

use error::Fault;

/// The language a template is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Handlebars, the native one.
    Handlebars,
    /// Go's `text/template`.
    Go,
    /// Jinja.
    Jinja,
}

impl Dialect {
    /// The dialect a setting names: `handlebars`, `go` or `jinja`, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "handlebars" | "hbs" => Some(Self::Handlebars),
            "go" | "gotemplate" | "go-template" => Some(Self::Go),
            "jinja" | "jinja2" => Some(Self::Jinja),
            _ => None,
        }
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Handlebars => "Handlebars",
            Self::Go => "Go template",
            Self::Jinja => "Jinja",
        })
    }
}

/// What happens to the special characters of values; the template's own text is never touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escape {
    /// Values are written as they are.
    #[default]
    None,
    /// Values are escaped for HTML, also where the template asks for the opposite.
    Html,
}

/// A rendered template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// What had no value, one message for each path.
    pub warnings: Vec<String>,
}

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    parsed: Parsed,
}

#[derive(Debug, Clone)]
enum Parsed {
    /// No tags: `text` is the output.
    Literal,
    Tree(Dialect, ast::Body),
}

impl Template {
    /// Parses `text`, in the dialect given or in the one its tags tell.
    ///
    /// Tags of two dialects are an error unless the dialect is given. To find misspelt names as
    /// well, render with sample data and look at the warnings. Text without tags is
    /// Handlebars and needs no parsing.
    pub fn parse(text: &str, dialect: Option<Dialect>) -> Result<Self, TemplateError> {
        Self::parse_in(text, dialect).map_err(|fault| fault.in_text(text))
    }

    /// Parses a template that cannot be sent back to its author any more: with tags of two
    /// dialects, the first one decides.
    pub fn parse_stored(text: &str, dialect: Option<Dialect>) -> Result<Self, TemplateError> {
        Self::parse(text, dialect).or_else(|error| match error.problem() {
            Problem::MixedDialects { first, .. } => Self::parse(text, Some(*first)),
            _ => Err(error),
        })
    }

    fn parse_in(text: &str, dialect: Option<Dialect>) -> Result<Self, Fault> {
        let found = text.len();
        if found > limits::TEMPLATE_BYTES {
            return Err(Fault::new(0, Problem::TooLarge { found }));
        }
        if !has_tags(text) {
            // Jinja drops one line break at the very end.
            let kept = match dialect {
                Some(Dialect::Jinja) => text.strip_suffix('\n').unwrap_or(text),
                _ => text,
            };
            let (text, parsed) = (kept.to_owned(), Parsed::Literal);
            return Ok(Self { text, parsed });
        }
        let dialect = dialect.map_or_else(|| detect::dialect(text), Ok)?;
        let body = match dialect {
            Dialect::Handlebars => hbs::parse(text)?,
            Dialect::Go => go::parse(text)?,
            Dialect::Jinja => jinja::parse(text)?,
        };
        let (text, parsed) = (text.to_owned(), Parsed::Tree(dialect, body));
        Ok(Self { text, parsed })
    }

    /// The dialect; Handlebars for text without tags.
    pub fn dialect(&self) -> Dialect {
        match &self.parsed {
            Parsed::Literal => Dialect::Handlebars,
            Parsed::Tree(dialect, _) => *dialect,
        }
    }

    /// The top-level fields of the data that the template may read.
    pub fn names(&self) -> Names {
        match &self.parsed {
            Parsed::Literal => Names::default(),
            Parsed::Tree(_, body) => Names::of(body),
        }
    }

    /// Renders with `data`, without escaping.
    pub fn render(&self, data: &serde_json::Value) -> Result<Rendered, TemplateError> {
        self.render_escaped(data, Escape::None)
    }

    /// Renders with `data`, escaping values as asked.
    pub fn render_escaped(
        &self,
        data: &serde_json::Value,
        escape: Escape,
    ) -> Result<Rendered, TemplateError> {
        match &self.parsed {
            Parsed::Literal => {
                let (text, warnings) = (self.text.clone(), Vec::new());
                Ok(Rendered { text, warnings })
            }
            Parsed::Tree(dialect, body) => eval::render(body, data, *dialect, escape)
                .map(|(text, warnings)| Rendered { text, warnings })
                .map_err(|fault| fault.in_text(&self.text)),
        }
    }
}

fn has_tags(text: &str) -> bool {
    let opens = |pair: &[u8]| matches!(pair, b"{{" | b"{%" | b"{#");
    text.as_bytes().windows(2).any(opens)
}
