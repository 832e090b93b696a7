//! Reads Handlebars: the `handlebars` crate parses, its tree is turned into ours.
//!
//! The crate's own renderer is not used: it has no limit on steps, aborts the process on nested
//! partials, and prints numbers and lists differently from the other dialects.

mod scan;

use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path as HbsPath, Template};

use crate::Dialect;
use crate::ast::{Base, Body, Each, Expr, Kind, LoopStyle, Node, Path, With};
use crate::error::{Fault, Problem};
use crate::functions::{Function, HANDLEBARS_HELPERS};
use crate::go;
use crate::limits;

/// Parses a whole template.
pub(crate) fn parse(text: &str) -> Result<Body, Fault> {
    let offsets = scan::check(text)?;
    let template = Template::compile(text).map_err(|error| {
        let at = error
            .pos()
            .map_or(0, |(line, column)| offset(text, line, column));
        syntax(at, error.reason().to_string())
    })?;
    let mut lowering = Lowering {
        offsets: offsets.iter(),
        at: 0,
        parts: 0,
    };
    lowering.template(Some(&template))
}

fn syntax(at: usize, message: impl Into<String>) -> Fault {
    Fault::syntax(at, Dialect::Handlebars, message)
}

/// Byte offset of a line and column, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let rest = &text[before.min(text.len())..];
    let chars = rest.chars().take(column.saturating_sub(1));
    before + chars.map(char::len_utf8).sum::<usize>()
}

/// Turns the crate's tree into ours. Its tags come in the order of the scanned offsets.
struct Lowering<'s> {
    offsets: std::slice::Iter<'s, usize>,
    at: usize,
    parts: usize,
}

impl Lowering<'_> {
    fn template(&mut self, template: Option<&Template>) -> Result<Body, Fault> {
        let mut body = Body::new();
        for element in template.iter().flat_map(|template| &template.elements) {
            body.extend(self.element(element)?);
        }
        Ok(body)
    }

    fn advance(&mut self) -> usize {
        self.at = self.offsets.next().copied().unwrap_or(self.at);
        self.parts = 0;
        self.at
    }

    fn element(&mut self, element: &TemplateElement) -> Result<Option<Node>, Fault> {
        let (at, kind) = match element {
            TemplateElement::RawString(text) => (self.at, Kind::Text(text.clone())),
            // `{{{x}}}` is escaped like `{{x}}`: no value here is trusted HTML.
            TemplateElement::Expression(helper) | TemplateElement::HtmlExpression(helper) => {
                let at = self.advance();
                (at, Kind::Print(self.expression(helper)?))
            }
            TemplateElement::HelperBlock(helper) => {
                let at = self.advance();
                (at, self.block(helper)?)
            }
            TemplateElement::Comment(_) => return Ok(None),
            TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                return Err(Fault::forbidden(self.at, "a decorator"));
            }
            TemplateElement::PartialExpression(_) | TemplateElement::PartialBlock(_) => {
                return Err(Fault::forbidden(self.at, "a partial"));
            }
            _ => return Err(syntax(self.at, "this tag is not supported")),
        };
        Ok(Some(Node { at, kind }))
    }

    fn block(&mut self, helper: &HelperTemplate) -> Result<Kind, Fault> {
        let name = match &helper.name {
            Parameter::Name(name) => name.as_str(),
            _ => "",
        };
        match name {
            "if" => self.if_block(helper),
            "unless" => {
                let condition = Expr::Call(Function::Not, vec![self.condition(helper)?]);
                let body = self.template(helper.template.as_ref())?;
                let otherwise = self.template(helper.inverse.as_ref())?;
                Ok(Kind::If {
                    branches: vec![(condition, body)],
                    otherwise,
                })
            }
            "each" => {
                let source = self.only_parameter(helper)?;
                let (value, key) = block_names(helper);
                let body = self.template(helper.template.as_ref())?;
                let otherwise = self.template(helper.inverse.as_ref())?;
                let (condition, style) = (None, LoopStyle::EnterLeniently);
                let each = Each {
                    source,
                    key,
                    value,
                    condition,
                    style,
                    body,
                    otherwise,
                };
                Ok(Kind::Each(Box::new(each)))
            }
            "with" => {
                let value = self.only_parameter(helper)?;
                let (name, _) = block_names(helper);
                let body = self.template(helper.template.as_ref())?;
                let otherwise = self.template(helper.inverse.as_ref())?;
                Ok(Kind::With(Box::new(With {
                    value,
                    name,
                    body,
                    otherwise,
                })))
            }
            "log" | "raw" => Err(Fault::forbidden(self.at, format!("`{name}`"))),
            _ => Err(self.unknown("block", name, "if, unless, each, with")),
        }
    }

    /// `if` with its `else if` branches, which the crate nests.
    fn if_block(&mut self, head: &HelperTemplate) -> Result<Kind, Fault> {
        let mut branches = Vec::new();
        let mut current = head;
        loop {
            let condition = self.condition(current)?;
            branches.push((condition, self.template(current.template.as_ref())?));
            let Some(next) = current.inverse.as_ref().and_then(chained_if) else {
                let otherwise = self.template(current.inverse.as_ref())?;
                return Ok(Kind::If {
                    branches,
                    otherwise,
                });
            };
            self.advance();
            current = next;
        }
    }

    fn condition(&mut self, helper: &HelperTemplate) -> Result<Expr, Fault> {
        let Some(flag) = helper.hash.get("includeZero") else {
            return self.only_parameter(helper);
        };
        let flag = self.parameter(flag)?;
        let condition = self.first_parameter(helper)?;
        Ok(Expr::Call(Function::IncludeZero, vec![condition, flag]))
    }

    fn only_parameter(&mut self, helper: &HelperTemplate) -> Result<Expr, Fault> {
        if let Some(name) = helper.hash.keys().next() {
            return Err(syntax(self.at, format!("unknown option `{name}=`")));
        }
        self.first_parameter(helper)
    }

    fn first_parameter(&mut self, helper: &HelperTemplate) -> Result<Expr, Fault> {
        match helper.params.as_slice() {
            [parameter] => self.parameter(parameter),
            found => {
                let message = format!(
                    "expected one value behind the block's name, found {}",
                    found.len()
                );
                Err(syntax(self.at, message))
            }
        }
    }

    fn parameter(&mut self, parameter: &Parameter) -> Result<Expr, Fault> {
        self.parts += 1;
        if self.parts > limits::EXPRESSION_PARTS {
            let (what, limit) = ("parts in one tag", limits::EXPRESSION_PARTS);
            return Err(Fault::new(self.at, Problem::TooComplex { what, limit }));
        }
        match parameter {
            Parameter::Name(name) => Ok(Expr::Path(path(name))),
            Parameter::Path(HbsPath::Relative((_, raw)) | HbsPath::Local((_, _, raw))) => {
                Ok(Expr::Path(path(raw)))
            }
            Parameter::Literal(value) => Ok(Expr::Literal(value.clone())),
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(helper) => self.call(helper),
                _ => Err(syntax(self.at, "expected a helper in parentheses")),
            },
            _ => Err(syntax(self.at, "this value is not supported")),
        }
    }

    /// `{{path}}`, `{{helper value …}}` or `{{(helper value …)}}`.
    fn expression(&mut self, helper: &HelperTemplate) -> Result<Expr, Fault> {
        if helper.params.is_empty() && helper.hash.is_empty() {
            return self.parameter(&helper.name);
        }
        self.call(helper)
    }

    fn call(&mut self, helper: &HelperTemplate) -> Result<Expr, Fault> {
        let name = match &helper.name {
            Parameter::Name(name) => name,
            Parameter::Path(HbsPath::Relative((_, raw)) | HbsPath::Local((_, _, raw))) => raw,
            _ => return Err(syntax(self.at, "expected the name of a helper")),
        };
        if name == "log" {
            return Err(Fault::forbidden(self.at, "`log`"));
        }
        let Some(function) = HANDLEBARS_HELPERS.find(name) else {
            return Err(Fault::new(self.at, HANDLEBARS_HELPERS.unknown(name)));
        };
        if let Some(option) = helper.hash.keys().next() {
            return Err(syntax(
                self.at,
                format!("`{name}` has no option `{option}=`"),
            ));
        }
        let arguments: Result<Vec<_>, _> = helper
            .params
            .iter()
            .map(|parameter| self.parameter(parameter))
            .collect();
        go::checked_call(function, name, go::complete(function, arguments?))
            .map_err(|message| syntax(self.at, message))
    }

    fn unknown(&self, what: &'static str, name: &str, known: &str) -> Fault {
        let (name, known) = (name.to_owned(), known.to_owned());
        Fault::new(self.at, Problem::Unknown { what, name, known })
    }
}

/// The `if` that an `else if` became.
fn chained_if(inverse: &Template) -> Option<&HelperTemplate> {
    match inverse.elements.as_slice() {
        [TemplateElement::HelperBlock(next)] if matches!(&next.name, Parameter::Name(name) if name == "if") => {
            Some(next)
        }
        _ => None,
    }
}

/// `as |value key|`.
fn block_names(helper: &HelperTemplate) -> (Option<String>, Option<String>) {
    let name = |parameter: &Parameter| match parameter {
        Parameter::Name(name) => Some(name.clone()),
        _ => None,
    };
    match &helper.block_param {
        Some(BlockParam::Single(value)) => (name(value), None),
        Some(BlockParam::Pair((value, key))) => (name(value), name(key)),
        _ => (None, None),
    }
}

/// Reads a path such as `a.b`, `../a`, `this.[x y]`, `@root.a` or `@../index`.
fn path(raw: &str) -> Path {
    let (own, raw) = strip_any(raw, &["this.", "this/", "./"]);
    let (root, raw) = strip_any(raw, &["@root.", "@root/"]);
    if raw == "@root" {
        return Path {
            base: Base::Root,
            segments: Vec::new(),
        };
    }
    let (local, mut rest) = strip_any(raw, &["@"]);
    let mut up = 0;
    while let Some(inner) = rest.strip_prefix("../") {
        rest = inner;
        up += 1;
    }
    let mut segments = segments(rest).into_iter();
    let base = if root {
        Base::Root
    } else if local {
        Base::Local(up, segments.next().unwrap_or_default())
    } else if own || up > 0 || rest == "this" {
        Base::Context(up)
    } else {
        segments.next().map_or(Base::Context(0), Base::Name)
    };
    Path {
        base,
        segments: segments.collect(),
    }
}

fn strip_any<'r>(raw: &'r str, prefixes: &[&str]) -> (bool, &'r str) {
    let stripped = prefixes.iter().find_map(|prefix| raw.strip_prefix(prefix));
    (stripped.is_some(), stripped.unwrap_or(raw))
}

fn segments(mut rest: &str) -> Vec<String> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (name, behind) = inner.split_once(']').unwrap_or((inner, ""));
            out.push(name.to_owned());
            rest = behind.strip_prefix(['.', '/']).unwrap_or(behind);
            continue;
        }
        let (name, behind) = rest.split_once(['.', '/']).unwrap_or((rest, ""));
        if name != "this" && !name.is_empty() {
            out.push(name.to_owned());
        }
        rest = behind;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_crate_reads_them() {
        let name = |name: &str| Base::Name(name.to_owned());
        for (raw, base, segments) in [
            ("a", name("a"), vec![]),
            ("a.b/c", name("a"), vec!["b", "c"]),
            ("a.[b.c].d", name("a"), vec!["b.c", "d"]),
            ("[x y].0", name("x y"), vec!["0"]),
            ("this", Base::Context(0), vec![]),
            ("this.a", Base::Context(0), vec!["a"]),
            ("./a", Base::Context(0), vec!["a"]),
            ("../../a", Base::Context(2), vec!["a"]),
            ("../this.a", Base::Context(1), vec!["a"]),
            ("@root.a", Base::Root, vec!["a"]),
            ("@root", Base::Root, vec![]),
            ("@index", Base::Local(0, "index".to_owned()), vec![]),
            ("@../key", Base::Local(1, "key".to_owned()), vec![]),
        ] {
            let got = path(raw);
            assert_eq!(
                (got.base, got.segments),
                (base, segments.iter().map(ToString::to_string).collect()),
                "{raw}"
            );
        }
    }

    #[test]
    fn offsets_count_characters() {
        for (line, column, want) in [(1, 1, 0), (1, 3, 3), (2, 1, 4), (9, 9, 5)] {
            assert_eq!(offset("éx\ny", line, column), want, "{line}:{column}");
        }
    }
}
