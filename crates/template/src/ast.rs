//! The tree that all three dialects are parsed into.

use serde_json::Value;

use crate::functions::Function;

pub(crate) type Body = Vec<Node>;

/// One piece of a template and its byte offset in the text.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Text(String),
    Print(Expr),
    If {
        branches: Vec<(Expr, Body)>,
        otherwise: Body,
    },
    Each(Box<Each>),
    With(Box<With>),
    Set(Assignment),
}

#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) value: Expr,
    /// Go's `=`: changes the variable declared before, also in an outer block.
    pub(crate) existing: bool,
}

/// A loop over a list or a map.
#[derive(Debug, Clone)]
pub(crate) struct Each {
    pub(crate) source: Expr,
    /// First loop variable in the sense of Go: index or key.
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    /// Jinja's `for x in xs if condition`.
    pub(crate) condition: Option<Expr>,
    pub(crate) style: LoopStyle,
    pub(crate) body: Body,
    pub(crate) otherwise: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoopStyle {
    /// The element becomes the context; a map gives keys and values.
    Enter,
    /// Like `Enter`, but what cannot be looped over takes the `else` branch.
    EnterLeniently,
    /// The context stays; two variables take a pair apart; a map gives its keys.
    Stay,
}

#[derive(Debug, Clone)]
pub(crate) struct With {
    pub(crate) value: Expr,
    pub(crate) name: Option<String>,
    pub(crate) body: Body,
    pub(crate) otherwise: Body,
}

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Literal(Value),
    Path(Path),
    /// A part of a value that is itself computed.
    Get(Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Call(Function, Vec<Expr>),
}

impl Expr {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Literal(Value::String(text.into()))
    }

    /// The first path inside, which names the expression in warnings.
    pub(crate) fn first_path(&self) -> Option<&Path> {
        match self {
            Self::Literal(_) => None,
            Self::Path(path) => Some(path),
            Self::Get(of, key) => of.first_path().or_else(|| key.first_path()),
            Self::List(parts) | Self::Call(_, parts) => parts.iter().find_map(Self::first_path),
        }
    }
}

/// A variable or field and the way down from it.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) base: Base,
    pub(crate) segments: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Base {
    /// The whole data: `$`, `@root`.
    Root,
    /// The current context, or an outer one: `.`, `this`, `../`.
    Context(usize),
    /// A declared variable: `$x`.
    Variable(String),
    /// A variable if there is one of that name, else a field of the context.
    Name(String),
    /// `@index`, `@key`, `@first`, `@last`, of an outer loop with a number above 0.
    Local(usize, String),
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.base {
            Base::Root => f.write_str("$")?,
            Base::Context(0) => f.write_str(if self.segments.is_empty() { "." } else { "" })?,
            Base::Context(up) => f.write_str(&"../".repeat(*up))?,
            Base::Variable(name) => write!(f, "${name}")?,
            Base::Name(name) => f.write_str(name)?,
            Base::Local(up, name) => write!(f, "@{}{name}", "../".repeat(*up))?,
        }
        let bare = matches!(self.base, Base::Context(up) if up > 0);
        for (i, segment) in self.segments.iter().enumerate() {
            f.write_str(if bare && i == 0 { "" } else { "." })?;
            f.write_str(segment)?;
        }
        Ok(())
    }
}
