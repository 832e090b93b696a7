//! Which top-level fields of the data a template reads.

use std::collections::BTreeSet;

use crate::ast::{Base, Body, Expr, Kind, Node};
use crate::data::snake_case;

/// The top-level names a template may read: never too few, perhaps too many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    found: BTreeSet<String>,
    everything: bool,
}

impl Names {
    /// Whether the template may read the field `name`, under this name or in snake case.
    pub fn contains(&self, name: &str) -> bool {
        self.everything || self.found.contains(name) || self.found.contains(&snake_case(name))
    }

    /// The template uses the data as a whole, so it may read every field.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// The names as written, sorted. Names of loop variables and of fields inside loops are among
    /// them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.found.iter().map(String::as_str)
    }

    pub(crate) fn of(body: &[Node]) -> Self {
        let mut names = Self::default();
        names.body(body, true);
        names
    }

    /// `top`: the context is the data itself.
    fn body(&mut self, body: &[Node], top: bool) {
        for node in body {
            match &node.kind {
                Kind::Text(_) => {}
                Kind::Print(expr) => self.expr(expr, top),
                Kind::Set(assignment) => self.expr(&assignment.value, top),
                Kind::If {
                    branches,
                    otherwise,
                } => {
                    for (condition, body) in branches {
                        self.expr(condition, top);
                        self.body(body, top);
                    }
                    self.body(otherwise, top);
                }
                Kind::Each(each) => {
                    self.expr(&each.source, top);
                    each.condition.iter().for_each(|expr| self.expr(expr, top));
                    self.inner(&each.body, &each.otherwise, top);
                }
                Kind::With(with) => {
                    self.expr(&with.value, top);
                    self.inner(&with.body, &with.otherwise, top);
                }
            }
        }
    }

    fn inner(&mut self, body: &Body, otherwise: &Body, top: bool) {
        self.body(body, false);
        self.body(otherwise, top);
    }

    fn expr(&mut self, expr: &Expr, top: bool) {
        match expr {
            Expr::Literal(_) => {}
            Expr::Get(of, key) => {
                self.expr(of, top);
                self.expr(key, top);
            }
            Expr::List(parts) | Expr::Call(_, parts) => {
                for part in parts {
                    self.expr(part, top);
                }
            }
            Expr::Path(path) => match (&path.base, path.segments.first()) {
                (Base::Name(name), _) | (Base::Root | Base::Context(_), Some(name)) => {
                    self.add(name);
                }
                (Base::Context(0), None) => self.everything |= top,
                (Base::Root | Base::Context(_), None) => self.everything = true,
                (Base::Variable(_) | Base::Local(..), _) => {}
            },
        }
    }

    fn add(&mut self, name: &str) {
        self.found.insert(name.to_owned());
    }
}
