//! Walks the tree and writes the output, within the limits.

use std::rc::Rc;

use serde_json::Value;

use crate::ast::{Assignment, Base, Each, Expr, Kind, LoopStyle, Node, Path, With};
use crate::error::{Fault, Problem};
use crate::format::{self, Html};
use crate::limits::{self, Budget};
use crate::value::{Items, Val, View};
use crate::{Dialect, Escape};

/// Renders `body` with `data`; gives the text and the warnings.
pub(crate) fn render(
    body: &[Node],
    data: &Value,
    dialect: Dialect,
    escape: Escape,
) -> Result<(String, Vec<String>), Fault> {
    let root = Frame {
        context: Val::Data(data),
        place: None,
    };
    let mut interpreter = Interpreter {
        dialect,
        escape,
        frames: vec![root],
        variables: Vec::new(),
        budget: Budget::default(),
        out: String::new(),
        warnings: Vec::new(),
        at: 0,
    };
    match interpreter.body(body) {
        Ok(()) => Ok((interpreter.out, interpreter.warnings)),
        Err(problem) => Err(Fault::new(interpreter.at, problem)),
    }
}

/// A context, and where it stands in the loop that entered it.
struct Frame<'a> {
    context: Val<'a>,
    place: Option<Place<'a>>,
}

#[derive(Clone)]
struct Place<'a> {
    index: usize,
    length: usize,
    key: Option<&'a str>,
}

/// Most warnings of one rendering.
const WARNINGS: usize = 50;

pub(crate) struct Interpreter<'a> {
    pub(crate) dialect: Dialect,
    escape: Escape,
    frames: Vec<Frame<'a>>,
    variables: Vec<(&'a str, Val<'a>)>,
    pub(crate) budget: Budget,
    out: String,
    warnings: Vec<String>,
    at: usize,
}

type Outcome<T = ()> = Result<T, Problem>;

impl<'a> Interpreter<'a> {
    fn body(&mut self, body: &'a [Node]) -> Outcome {
        for node in body {
            self.at = node.at;
            self.budget.spend(1)?;
            match &node.kind {
                Kind::Text(text) => self.write(text)?,
                Kind::Print(expr) => self.print(expr)?,
                Kind::If {
                    branches,
                    otherwise,
                } => self.choose(branches, otherwise)?,
                Kind::Each(each) => self.each(each)?,
                Kind::With(with) => self.with(with)?,
                Kind::Set(assignment) => self.set(assignment)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Outcome {
        if self.out.len() + text.len() > limits::OUTPUT_BYTES {
            return Err(Problem::OutputTooLarge);
        }
        self.budget.spend_bytes(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    fn print(&mut self, expr: &'a Expr) -> Outcome {
        let value = self.eval(expr)?;
        if value.is_nothing() {
            self.warn(expr);
            return Ok(());
        }
        let text = self.text_of(&value)?;
        let escaped = self.escape == Escape::None || matches!(value, Val::Escaped(_));
        if escaped {
            return self.write(&text);
        }
        let text = format::escape(&text, Html::Automatic);
        self.write(&text)
    }

    /// What printing the value gives, paid for.
    pub(crate) fn text_of(&mut self, value: &Val<'a>) -> Outcome<String> {
        let text = value.print(limits::OUTPUT_BYTES);
        self.budget.build(text.len())?;
        Ok(text)
    }

    /// Notes that the path in `expr` has no value.
    pub(crate) fn warn(&mut self, expr: &Expr) {
        let Some(path) = expr.first_path() else {
            return;
        };
        let mut warning = format!("`{path}` has no value");
        if self.dialect == Dialect::Go && self.meant_outer(path) {
            warning = format!("{warning} inside this block, `${path}` is probably meant");
        }
        if self.warnings.len() < WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// A field that only the outermost context has.
    fn meant_outer(&self, path: &Path) -> bool {
        let root = self.frames.first().map(|frame| frame.context.view());
        match (&path.base, path.segments.first(), root) {
            (Base::Context(0), Some(name), Some(View::Map(root))) => {
                self.frames.len() > 1 && root.contains_key(name)
            }
            _ => false,
        }
    }

    fn choose(&mut self, branches: &'a [(Expr, Vec<Node>)], otherwise: &'a [Node]) -> Outcome {
        let outer = self.variables.len();
        let mut chosen = otherwise;
        for (condition, body) in branches {
            if self.eval(condition)?.is_true() {
                chosen = body;
                break;
            }
        }
        self.body(chosen)?;
        // In Jinja a `set` inside `if` stays.
        if self.dialect != Dialect::Jinja {
            self.variables.truncate(outer);
        }
        Ok(())
    }

    fn with(&mut self, with: &'a With) -> Outcome {
        let value = self.eval(&with.value)?;
        let outer = self.variables.len();
        if value.is_true() {
            if let Some(name) = &with.name {
                self.variables.push((name, value.clone()));
            }
            let place = self.frames.last().and_then(|frame| frame.place.clone());
            self.frames.push(Frame {
                context: value,
                place,
            });
            self.body(&with.body)?;
            self.frames.pop();
        } else {
            self.body(&with.otherwise)?;
        }
        self.variables.truncate(outer);
        Ok(())
    }

    fn set(&mut self, assignment: &'a Assignment) -> Outcome {
        let value = self.eval(&assignment.value)?;
        let name = assignment.name.as_str();
        let known = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name);
        match known {
            Some((_, slot)) if assignment.existing => *slot = value,
            _ => self.variables.push((name, value)),
        }
        Ok(())
    }

    fn each(&mut self, each: &'a Each) -> Outcome {
        let source = self.eval(&each.source)?;
        let rounds = self.rounds(each, &source)?;
        if rounds.is_empty() {
            return self.body(&each.otherwise);
        }
        let outer = self.variables.len();
        let length = rounds.len();
        for (index, (key, value)) in rounds.into_iter().enumerate() {
            self.budget.spend(1)?;
            let place = Place { index, length, key };
            self.declare(each, &place, &value)?;
            let enters = each.style != LoopStyle::Stay;
            let context = if enters { value } else { self.context(0) };
            self.frames.push(Frame {
                context,
                place: Some(place),
            });
            self.body(&each.body)?;
            self.frames.pop();
            self.variables.truncate(outer);
        }
        Ok(())
    }

    /// Key and value of every round of a loop.
    fn rounds(
        &mut self,
        each: &'a Each,
        source: &Val<'a>,
    ) -> Outcome<Vec<(Option<&'a str>, Val<'a>)>> {
        self.budget.spend(source.weight() / 8)?;
        let mut rounds: Vec<_> = match source.view() {
            View::List(items) => items.iter().map(|value| (None, value)).collect(),
            View::Map(map) => {
                let keys_only = each.style == LoopStyle::Stay;
                let value = |key: &'a str, value: &'a Value| {
                    if keys_only {
                        Val::text(key)
                    } else {
                        Val::Data(value)
                    }
                };
                let mut rounds: Vec<_> = map
                    .iter()
                    .map(|(k, v)| (Some(k.as_str()), value(k, v)))
                    .collect();
                rounds.sort_by_key(|(key, _)| *key);
                rounds
            }
            View::Missing | View::Null => Vec::new(),
            _ if each.style == LoopStyle::EnterLeniently => Vec::new(),
            _ => {
                let message = format!("cannot loop over {}", source.kind());
                return Err(Problem::Value(message));
            }
        };
        let Some(condition) = &each.condition else {
            return Ok(rounds);
        };
        let outer = self.variables.len();
        let mut kept = Vec::new();
        for (index, (key, value)) in rounds.drain(..).enumerate() {
            self.budget.spend(1)?;
            let place = Place {
                index,
                length: 0,
                key,
            };
            self.declare(each, &place, &value)?;
            if self.eval(condition)?.is_true() {
                kept.push((key, value));
            }
            self.variables.truncate(outer);
        }
        Ok(kept)
    }

    fn declare(&mut self, each: &'a Each, place: &Place<'a>, value: &Val<'a>) -> Outcome {
        let mut value = value.clone();
        if let Some(name) = &each.key {
            let mut key = place.key.map_or(Val::int(place.index), Val::text);
            if each.style == LoopStyle::Stay {
                (key, value) = pair(&value)?;
            }
            self.variables.push((name, key));
        }
        if let Some(name) = &each.value {
            self.variables.push((name, value));
        }
        Ok(())
    }

    /// The context `up` levels out; above the outermost there is only itself.
    fn context(&self, up: usize) -> Val<'a> {
        let index = self.frames.len().saturating_sub(up.saturating_add(1));
        let frame = self.frames.get(index);
        frame.map_or(Val::Missing, |frame| frame.context.clone())
    }

    pub(crate) fn eval(&mut self, expr: &'a Expr) -> Outcome<Val<'a>> {
        self.budget.spend(1)?;
        match expr {
            Expr::Literal(value) => Ok(Val::Data(value)),
            Expr::Path(path) => self.path(path),
            Expr::Get(of, key) => {
                let of = self.eval(of)?;
                let key = self.eval(key)?;
                if let View::Text(text) = of.view() {
                    self.budget.spend_bytes(text.len())?;
                }
                self.get(&of, &key)
            }
            Expr::List(parts) => {
                let parts: Outcome<Vec<_>> = parts.iter().map(|part| self.eval(part)).collect();
                Ok(Val::List(Rc::new(parts?)))
            }
            Expr::Call(function, arguments) => self.call(*function, arguments),
        }
    }

    fn path(&mut self, path: &'a Path) -> Outcome<Val<'a>> {
        let mut segments = path.segments.as_slice();
        let mut value = match &path.base {
            Base::Root => self
                .frames
                .first()
                .map_or(Val::Missing, |f| f.context.clone()),
            Base::Context(up) => self.context(*up),
            Base::Variable(name) => self.variable(name).unwrap_or(Val::Missing),
            Base::Local(up, name) => self.local(*up, name),
            Base::Name(name) if name == "loop" && self.place(0).is_some() && self.jinja() => {
                let (first, rest) = segments
                    .split_first()
                    .map_or(("", segments), |(f, r)| (f.as_str(), r));
                segments = rest;
                self.local(0, first)
            }
            Base::Name(name) => match self.variable(name) {
                Some(value) => value,
                None => self.field(&self.context(0), name)?,
            },
        };
        self.budget.spend(segments.len())?;
        for segment in segments {
            value = self.field(&value, segment)?;
        }
        Ok(value)
    }

    fn jinja(&self) -> bool {
        self.dialect == Dialect::Jinja
    }

    fn variable(&self, name: &str) -> Option<Val<'a>> {
        let found = self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    }

    fn place(&self, up: usize) -> Option<&Place<'a>> {
        let index = self.frames.len().checked_sub(up + 1)?;
        self.frames.get(index)?.place.as_ref()
    }

    /// `@index` and the like, `loop.index` and the like.
    fn local(&self, up: usize, name: &str) -> Val<'a> {
        let Some(place) = self.place(up) else {
            return Val::Missing;
        };
        let jinja = self.jinja();
        match name {
            "index" if jinja => Val::int(place.index + 1),
            "index" | "index0" => Val::int(place.index),
            "revindex" => Val::int(place.length - place.index),
            "revindex0" => Val::int(place.length - place.index - 1),
            "length" => Val::int(place.length),
            "first" => Val::Bool(place.index == 0),
            "last" => Val::Bool(place.index + 1 == place.length),
            "key" => place.key.map_or(Val::Missing, Val::text),
            _ => Val::Missing,
        }
    }

    /// A field by name; also an index into a list, as in `xs.0`.
    fn field(&self, of: &Val<'a>, name: &str) -> Outcome<Val<'a>> {
        match of.view() {
            View::Map(map) => Ok(map.get(name).map_or(Val::Missing, Val::Data)),
            View::List(items) => Ok(item(items, name.parse().unwrap_or(i128::MIN))),
            View::Missing | View::Null => Ok(Val::Missing),
            _ if self.dialect == Dialect::Go => {
                let message = format!("{} has no field `{name}`", of.kind());
                Err(Problem::Value(message))
            }
            _ => Ok(Val::Missing),
        }
    }

    /// `of[key]`.
    pub(crate) fn get(&self, of: &Val<'a>, key: &Val<'a>) -> Outcome<Val<'a>> {
        match (of.view(), key.view()) {
            (View::List(items), View::Number(index)) => Ok(item(items, index.int())),
            (View::Text(text), View::Number(index)) => {
                let place = position(index.int(), text.chars().count());
                let found = place.and_then(|i| text.chars().nth(i));
                Ok(found.map_or(Val::Missing, |c| Val::text(c.to_string())))
            }
            (_, View::Text(name)) => self.field(of, name),
            (View::Map(_), _) => self.field(of, &key.print(limits::OUTPUT_BYTES)),
            _ => Ok(Val::Missing),
        }
    }
}

fn item<'a>(items: Items<'_, 'a>, index: i128) -> Val<'a> {
    let found = position(index, items.len()).and_then(|i| items.get(i));
    found.unwrap_or(Val::Missing)
}

/// An index from the start, or from the end if negative.
fn position(index: i128, length: usize) -> Option<usize> {
    let length = i128::try_from(length).ok()?;
    let index = if index < 0 {
        index.checked_add(length)?
    } else {
        index
    };
    usize::try_from(index).ok()
}

/// Takes a list of two apart.
fn pair<'a>(value: &Val<'a>) -> Outcome<(Val<'a>, Val<'a>)> {
    if let View::List(items) = value.view()
        && let (Some(first), Some(second), 2) = (items.get(0), items.get(1), items.len())
    {
        return Ok((first, second));
    }
    let message = format!(
        "two loop variables need pairs, found {}; `.items()` gives pairs",
        value.kind()
    );
    Err(Problem::Value(message))
}
