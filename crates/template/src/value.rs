//! Values while a template is rendered: borrowed from the data where possible.

use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::{Map, Value};

/// Deepest list inside lists that is printed or compared.
const DEPTH: usize = 32;

#[derive(Debug, Clone)]
pub(crate) enum Val<'a> {
    /// Nothing is there. Unlike null it counts as undefined.
    Missing,
    Data(&'a Value),
    Bool(bool),
    Number(Number),
    /// A float that keeps its `.0` when printed, as in Python.
    Rounded(f64),
    Text(Rc<str>),
    /// Text that is escaped for HTML already.
    Escaped(Rc<str>),
    List(Rc<Vec<Val<'a>>>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i128),
    Float(f64),
}

/// A value seen by its type.
pub(crate) enum View<'v, 'a> {
    Missing,
    Null,
    Bool(bool),
    Number(Number),
    Text(&'v str),
    List(Items<'v, 'a>),
    Map(&'a Map<String, Value>),
}

/// The elements of a list, from the data or computed.
#[derive(Clone, Copy)]
pub(crate) enum Items<'v, 'a> {
    Data(&'a [Value]),
    Made(&'v [Val<'a>]),
}

impl<'a> Items<'_, 'a> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Data(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(crate) fn get(self, index: usize) -> Option<Val<'a>> {
        match self {
            Self::Data(items) => items.get(index).map(Val::Data),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Val<'a>> {
        (0..self.len()).filter_map(move |i| self.get(i))
    }
}

impl Number {
    fn of(number: &serde_json::Number) -> Self {
        match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Self::Int(int.into()),
            (_, Some(int)) => Self::Int(int.into()),
            _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
    pub(crate) fn float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    /// Cuts the fraction off.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "truncation and saturation are meant"
    )]
    pub(crate) fn int(self) -> i128 {
        match self {
            Self::Int(int) => int,
            Self::Float(float) => float as i128,
        }
    }

    pub(crate) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            _ => self.float().partial_cmp(&other.float()),
        }
    }
}

impl std::fmt::Display for Number {
    /// Without exponent, and without `.0` for an integral value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(int) => write!(f, "{int}"),
            Self::Float(float) if *float == 0.0 => f.write_str("0"),
            Self::Float(float) => write!(f, "{float}"),
        }
    }
}

impl<'a> Val<'a> {
    pub(crate) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn int(int: usize) -> Self {
        Self::Number(Number::Int(i128::try_from(int).unwrap_or(i128::MAX)))
    }

    pub(crate) fn list(items: Vec<Val<'a>>) -> Self {
        Self::List(Rc::new(items))
    }

    pub(crate) fn view(&self) -> View<'_, 'a> {
        match self {
            Self::Missing => View::Missing,
            Self::Bool(flag) => View::Bool(*flag),
            Self::Number(number) => View::Number(*number),
            Self::Rounded(float) => View::Number(Number::Float(*float)),
            Self::Text(text) | Self::Escaped(text) => View::Text(text),
            Self::List(items) => View::List(Items::Made(items)),
            Self::Data(value) => match value {
                Value::Null => View::Null,
                Value::Bool(flag) => View::Bool(*flag),
                Value::Number(number) => View::Number(Number::of(number)),
                Value::String(text) => View::Text(text),
                Value::Array(items) => View::List(Items::Data(items)),
                Value::Object(map) => View::Map(map),
            },
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self.view(), View::Missing | View::Null)
    }

    /// Truth, which is alike in all dialects.
    pub(crate) fn is_true(&self) -> bool {
        match self.view() {
            View::Missing | View::Null => false,
            View::Bool(flag) => flag,
            View::Number(number) => number.float() != 0.0,
            View::Text(text) => !text.is_empty(),
            View::List(items) => items.len() > 0,
            View::Map(map) => !map.is_empty(),
        }
    }

    /// What kind of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.view() {
            View::Missing => "nothing",
            View::Null => "null",
            View::Bool(_) => "a boolean",
            View::Number(_) => "a number",
            View::Text(_) => "a text",
            View::List(_) => "a list",
            View::Map(_) => "a map",
        }
    }

    /// The number this is or, as text, spells.
    pub(crate) fn number(&self) -> Option<Number> {
        match self.view() {
            View::Number(number) => Some(number),
            View::Bool(flag) => Some(Number::Int(flag.into())),
            View::Text(text) => {
                let text = text.trim();
                let int = text.parse().map(Number::Int).ok();
                int.or_else(|| {
                    text.parse()
                        .ok()
                        .filter(|f: &f64| f.is_finite())
                        .map(Number::Float)
                })
            }
            _ => None,
        }
    }

    pub(crate) fn equals(&self, other: &Self) -> bool {
        equal(self, other, DEPTH)
    }

    /// Bytes that handling this value costs, roughly.
    pub(crate) fn weight(&self) -> usize {
        match self.view() {
            View::Text(text) => text.len(),
            View::List(items) => items.len() * 8,
            View::Map(map) => map.len() * 8,
            _ => 0,
        }
    }

    /// The text that printing gives, at most `limit` bytes and a little more.
    pub(crate) fn print(&self, limit: usize) -> String {
        let mut out = String::new();
        write(self, &mut out, limit, DEPTH);
        out
    }
}

fn equal(a: &Val<'_>, b: &Val<'_>, depth: usize) -> bool {
    match (a.view(), b.view()) {
        (View::Missing | View::Null, View::Missing | View::Null) => true,
        (View::Bool(a), View::Bool(b)) => a == b,
        (View::Number(a), View::Number(b)) => a.order(b) == Some(Ordering::Equal),
        (View::Text(a), View::Text(b)) => a == b,
        (View::Map(a), View::Map(b)) => a == b,
        (View::List(a), View::List(b)) => {
            depth > 0
                && a.len() == b.len()
                && a.iter()
                    .zip(b.iter())
                    .all(|(a, b)| equal(&a, &b, depth - 1))
        }
        _ => false,
    }
}

fn write(value: &Val<'_>, out: &mut String, limit: usize, depth: usize) {
    match value.view() {
        View::Missing | View::Null => {}
        View::Bool(flag) => out.push_str(if flag { "true" } else { "false" }),
        View::Number(number) => match value {
            Val::Rounded(float) => out.push_str(&python_float(*float)),
            _ => out.push_str(&number.to_string()),
        },
        View::Text(text) => out.push_str(text),
        View::Map(map) => write_map(map, out, limit, depth),
        View::List(items) => {
            for (i, item) in items.iter().enumerate() {
                if out.len() > limit || depth == 0 {
                    return;
                }
                out.push_str(if i > 0 { ", " } else { "" });
                write(&item, out, limit, depth - 1);
            }
        }
    }
}

/// A float as Python prints it, but never with an exponent.
fn python_float(float: f64) -> String {
    if float.fract() == 0.0 {
        return format!("{float:.1}");
    }
    float.to_string()
}

/// A map prints as `key: value, key: value`.
fn write_map(map: &Map<String, Value>, out: &mut String, limit: usize, depth: usize) {
    for (i, (key, value)) in map.iter().enumerate() {
        if out.len() > limit || depth == 0 {
            return;
        }
        out.push_str(if i > 0 { ", " } else { "" });
        out.push_str(key);
        out.push_str(": ");
        write(&Val::Data(value), out, limit, depth - 1);
    }
}
