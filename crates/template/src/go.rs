//! Parses the subset of Go's `text/template` that alerts use.

use serde_json::Value;

use crate::ast::{Assignment, Base, Body, Each, Expr, Kind, LoopStyle, Node, Path, With};
use crate::error::{Fault, Problem};
use crate::functions::{Function, GO_FUNCTIONS};
use crate::lex::{Cursor, Token};
use crate::pieces::{self, Piece, Tag};
use crate::{Dialect, limits};

/// Parses a whole template.
pub(crate) fn parse(text: &str) -> Result<Body, Fault> {
    let pieces = pieces::split(text, Dialect::Go)?;
    let mut parser = Parser {
        pieces: pieces.iter(),
        depth: 0,
        variables: Vec::new(),
    };
    let (body, end) = parser.body(None)?;
    match end {
        Stop::Text => Ok(body),
        Stop::Else(at) | Stop::ElseIf(_, at) | Stop::End(at) => {
            Err(syntax(at, "this tag belongs to no open block"))
        }
    }
}

fn syntax(at: usize, message: &str) -> Fault {
    Fault::syntax(at, Dialect::Go, message)
}

/// What ended the body of a block, and where.
enum Stop {
    Text,
    End(usize),
    Else(usize),
    ElseIf(Expr, usize),
}

struct Parser<'p> {
    pieces: std::slice::Iter<'p, (usize, Piece)>,
    depth: usize,
    /// Declared variables; a block drops those declared inside it.
    variables: Vec<String>,
}

impl<'p> Parser<'p> {
    /// Reads up to the tag that ends a body; `opened` is the tag that opened it.
    fn body(&mut self, opened: Option<(&str, usize)>) -> Result<(Body, Stop), Fault> {
        let mut body = Body::new();
        while let Some((at, piece)) = self.pieces.next() {
            let tag = match piece {
                Piece::Text(text) => {
                    body.push(Node {
                        at: *at,
                        kind: Kind::Text(text.clone()),
                    });
                    continue;
                }
                Piece::Tag(tag) => tag,
            };
            if let Some(end) = self.ending(tag)? {
                return Ok((body, end));
            }
            if let Some(kind) = self.tag(tag)? {
                body.push(Node { at: tag.at, kind });
            }
        }
        match opened {
            None => Ok((body, Stop::Text)),
            Some((name, at)) => {
                let message = format!("`{name}` is not closed, expected {{{{ end }}}}");
                Err(syntax(at, &message))
            }
        }
    }

    fn ending(&mut self, tag: &'p Tag) -> Result<Option<Stop>, Fault> {
        let mut cursor = cursor(tag);
        if cursor.eat_word("end") {
            cursor.finish()?;
            return Ok(Some(Stop::End(tag.at)));
        }
        if !cursor.eat_word("else") {
            return Ok(None);
        }
        if cursor.eat_word("if") {
            let condition = self.whole_pipeline(&mut cursor)?;
            return Ok(Some(Stop::ElseIf(condition, tag.at)));
        }
        cursor.finish()?;
        Ok(Some(Stop::Else(tag.at)))
    }

    fn tag(&mut self, tag: &'p Tag) -> Result<Option<Kind>, Fault> {
        let mut cursor = cursor(tag);
        let Some(first) = cursor.peek() else {
            return Err(cursor.expected("a value"));
        };
        if let Token::Name(word) = &first.token {
            let block = matches!(word.as_str(), "if" | "range" | "with");
            if block {
                cursor.bump();
                return self.block(word, tag.at, &mut cursor).map(Some);
            }
            if matches!(
                word.as_str(),
                "define" | "template" | "block" | "break" | "continue"
            ) {
                return Err(Fault::forbidden(first.at, format!("`{word}`")));
            }
        }
        if let Some(assignment) = self.assignment(&mut cursor)? {
            return Ok(Some(Kind::Set(assignment)));
        }
        Ok(Some(Kind::Print(self.whole_pipeline(&mut cursor)?)))
    }

    fn block(&mut self, word: &str, at: usize, cursor: &mut Cursor<'p>) -> Result<Kind, Fault> {
        self.depth += 1;
        if self.depth > limits::BLOCK_DEPTH {
            let (what, limit) = ("levels of blocks", limits::BLOCK_DEPTH);
            return Err(Fault::new(at, Problem::TooComplex { what, limit }));
        }
        let outer = self.variables.len();
        let kind = match word {
            "if" => {
                let condition = self.whole_pipeline(cursor)?;
                self.if_block(condition, at)?
            }
            "with" => {
                let (name, value) = self.declaration(cursor)?;
                self.with_block(name, value, at)?
            }
            _ => self.range(at, cursor)?,
        };
        self.variables.truncate(outer);
        self.depth -= 1;
        Ok(kind)
    }

    fn if_block(&mut self, condition: Expr, at: usize) -> Result<Kind, Fault> {
        let outer = self.variables.len();
        let mut branches = Vec::new();
        let mut next = Some(condition);
        let mut otherwise = Body::new();
        while let Some(condition) = next.take() {
            let (body, end) = self.body(Some(("if", at)))?;
            self.variables.truncate(outer);
            branches.push((condition, body));
            if branches.len() > limits::BRANCHES {
                return Err(too_many_branches(at));
            }
            match end {
                Stop::ElseIf(condition, _) => next = Some(condition),
                Stop::Else(_) => otherwise = self.last_body("if", at)?,
                Stop::End(_) | Stop::Text => {}
            }
        }
        Ok(Kind::If {
            branches,
            otherwise,
        })
    }

    fn with_block(&mut self, name: Option<String>, value: Expr, at: usize) -> Result<Kind, Fault> {
        self.variables.extend(name.clone());
        let (body, end) = self.body(Some(("with", at)))?;
        let otherwise = match end {
            Stop::Else(_) => self.last_body("with", at)?,
            Stop::ElseIf(_, at) => return Err(syntax(at, "expected {{ else }} or {{ end }}")),
            Stop::End(_) | Stop::Text => Body::new(),
        };
        Ok(Kind::With(Box::new(With {
            value,
            name,
            body,
            otherwise,
        })))
    }

    fn range(&mut self, at: usize, cursor: &mut Cursor<'p>) -> Result<Kind, Fault> {
        let (key, value) = Self::range_variables(cursor)?;
        let source = self.whole_pipeline(cursor)?;
        self.variables.extend(key.clone());
        self.variables.extend(value.clone());
        let (body, end) = self.body(Some(("range", at)))?;
        let otherwise = match end {
            Stop::Else(_) => self.last_body("range", at)?,
            Stop::ElseIf(_, at) => return Err(syntax(at, "expected {{ else }} or {{ end }}")),
            Stop::End(_) | Stop::Text => Body::new(),
        };
        let (condition, style) = (None, LoopStyle::Enter);
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

    /// The body behind `else`, which only `end` may close.
    fn last_body(&mut self, word: &str, at: usize) -> Result<Body, Fault> {
        match self.body(Some((word, at)))? {
            (body, Stop::End(_) | Stop::Text) => Ok(body),
            (_, Stop::Else(at) | Stop::ElseIf(_, at)) => Err(syntax(at, "expected {{ end }}")),
        }
    }

    /// `$v :=` or `$k, $v :=` of a `range`.
    fn range_variables(cursor: &mut Cursor<'p>) -> Result<(Option<String>, Option<String>), Fault> {
        if let Some(name) = declared(cursor, 2, ":=") {
            return Ok((None, Some(name)));
        }
        let Some(key) = declared(cursor, 2, ",") else {
            return Ok((None, None));
        };
        cursor.expect("$")?;
        let value = cursor.name("a variable name")?.to_owned();
        cursor.expect(":=")?;
        Ok((Some(key), Some(value)))
    }

    /// The pipeline of a `with`, perhaps with a variable declared for it.
    fn declaration(&mut self, cursor: &mut Cursor<'p>) -> Result<(Option<String>, Expr), Fault> {
        let name = declared(cursor, 2, ":=");
        Ok((name, self.whole_pipeline(cursor)?))
    }

    fn assignment(&mut self, cursor: &mut Cursor<'p>) -> Result<Option<Assignment>, Fault> {
        let at = cursor.at();
        let (name, existing) = if let Some(name) = declared(cursor, 2, ":=") {
            (name, false)
        } else if let Some(name) = declared(cursor, 2, "=") {
            self.known(&name, at)?;
            (name, true)
        } else {
            return Ok(None);
        };
        let value = self.whole_pipeline(cursor)?;
        if !existing {
            self.variables.push(name.clone());
        }
        Ok(Some(Assignment {
            name,
            value,
            existing,
        }))
    }

    fn known(&self, name: &str, at: usize) -> Result<(), Fault> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(syntax(
            at,
            &format!("the variable `${name}` is not declared"),
        ))
    }

    fn whole_pipeline(&self, cursor: &mut Cursor<'p>) -> Result<Expr, Fault> {
        let expr = self.pipeline(cursor)?;
        cursor.finish()?;
        Ok(expr)
    }

    fn pipeline(&self, cursor: &mut Cursor<'p>) -> Result<Expr, Fault> {
        cursor.enter()?;
        let mut value = self.command(cursor, None)?;
        while cursor.eat("|") {
            value = self.command(cursor, Some(value))?;
        }
        cursor.leave();
        Ok(value)
    }

    /// A function with its arguments, or one operand.
    fn command(&self, cursor: &mut Cursor<'p>, piped: Option<Expr>) -> Result<Expr, Fault> {
        let at = cursor.at();
        if let Some(Token::Name(name)) = cursor.peek().map(|lexeme| &lexeme.token)
            && !matches!(name.as_str(), "true" | "false" | "nil")
        {
            cursor.bump();
            let function = GO_FUNCTIONS
                .find(name)
                .ok_or_else(|| Fault::new(at, GO_FUNCTIONS.unknown(name)))?;
            cursor.part()?;
            let mut arguments = Vec::new();
            while !ends_command(cursor) {
                arguments.push(self.operand(cursor)?);
            }
            return call(function, name, arguments, piped).map_err(|message| syntax(at, &message));
        }
        let operand = self.operand(cursor)?;
        if piped.is_some() {
            return Err(syntax(at, "expected a function behind `|`"));
        }
        if !ends_command(cursor) {
            return Err(cursor.expected("`|` or the end of the tag behind a value"));
        }
        Ok(operand)
    }

    fn operand(&self, cursor: &mut Cursor<'p>) -> Result<Expr, Fault> {
        cursor.part()?;
        let at = cursor.at();
        let negative = cursor.is("-")
            && matches!(cursor.peek_at(1), Some(next) if !next.spaced && matches!(next.token, Token::Number(_)));
        if negative {
            cursor.bump();
        }
        let Some(lexeme) = cursor.bump() else {
            return Err(cursor.expected("a value"));
        };
        let mut expr = match &lexeme.token {
            Token::Text(text) => Expr::text(text.clone()),
            Token::Number(digits) => number(digits, negative, at)?,
            Token::Name(name) => match name.as_str() {
                "true" => Expr::Literal(Value::Bool(true)),
                "false" => Expr::Literal(Value::Bool(false)),
                "nil" => Expr::Literal(Value::Null),
                _ => {
                    let function = GO_FUNCTIONS
                        .find(name)
                        .ok_or_else(|| Fault::new(at, GO_FUNCTIONS.unknown(name)))?;
                    return call(function, name, Vec::new(), None)
                        .map_err(|message| syntax(at, &message));
                }
            },
            Token::Operator("(") => {
                let inner = self.pipeline(cursor)?;
                cursor.expect(")")?;
                inner
            }
            Token::Operator("$") => self.variable(cursor, at)?,
            Token::Operator(".") => {
                let segments = touching_name(cursor).into_iter().collect();
                Expr::Path(Path {
                    base: Base::Context(0),
                    segments,
                })
            }
            Token::Operator(other) => {
                return Err(syntax(at, &format!("expected a value, found `{other}`")));
            }
        };
        while let Some(name) = touching_field(cursor) {
            cursor.part()?;
            expr = field(expr, name);
        }
        Ok(expr)
    }

    fn variable(&self, cursor: &mut Cursor<'p>, at: usize) -> Result<Expr, Fault> {
        let base = match touching_name(cursor) {
            None => Base::Root,
            Some(name) => {
                self.known(&name, at)?;
                Base::Variable(name)
            }
        };
        Ok(Expr::Path(Path {
            base,
            segments: Vec::new(),
        }))
    }
}

fn cursor(tag: &Tag) -> Cursor<'_> {
    Cursor::new(&tag.lexemes, tag.end, Dialect::Go)
}

fn too_many_branches(at: usize) -> Fault {
    let (what, limit) = ("branches of one block", limits::BRANCHES);
    Fault::new(at, Problem::TooComplex { what, limit })
}

/// Takes `$name OPERATOR` if it stands here.
fn declared(cursor: &mut Cursor<'_>, ahead: usize, operator: &'static str) -> Option<String> {
    if !cursor.is("$") || cursor.peek_at(ahead)?.token != Token::Operator(operator) {
        return None;
    }
    let Token::Name(name) = &cursor.peek_at(1)?.token else {
        return None;
    };
    for _ in 0..=ahead {
        cursor.bump();
    }
    Some(name.clone())
}

fn ends_command(cursor: &Cursor<'_>) -> bool {
    cursor.peek().is_none() || cursor.is("|") || cursor.is(")")
}

fn touching_name(cursor: &mut Cursor<'_>) -> Option<String> {
    let lexeme = cursor.peek().filter(|lexeme| !lexeme.spaced)?;
    let Token::Name(name) = &lexeme.token else {
        return None;
    };
    cursor.bump();
    Some(name.clone())
}

fn touching_field(cursor: &mut Cursor<'_>) -> Option<String> {
    let dot = cursor.peek().filter(|lexeme| !lexeme.spaced)?;
    let name = cursor.peek_at(1).filter(|lexeme| !lexeme.spaced)?;
    match (&dot.token, &name.token) {
        (Token::Operator("."), Token::Name(name)) => {
            cursor.bump();
            cursor.bump();
            Some(name.clone())
        }
        _ => None,
    }
}

fn field(of: Expr, name: String) -> Expr {
    match of {
        Expr::Path(mut path) => {
            path.segments.push(name);
            Expr::Path(path)
        }
        other => Expr::Get(Box::new(other), Box::new(Expr::text(name))),
    }
}

pub(crate) fn number(digits: &str, negative: bool, at: usize) -> Result<Expr, Fault> {
    let signed = format!("{}{digits}", if negative { "-" } else { "" });
    let value = match signed.parse::<i64>() {
        Ok(integer) => Value::from(integer),
        Err(_) => match signed.parse::<f64>() {
            Ok(float) => crate::data::number(float),
            Err(_) => return Err(syntax(at, &format!("`{signed}` is not a number"))),
        },
    };
    Ok(Expr::Literal(value))
}

/// Puts the arguments into our order, which has the subject first.
fn call(
    function: Function,
    name: &str,
    mut arguments: Vec<Expr>,
    piped: Option<Expr>,
) -> Result<Expr, String> {
    let subject_last =
        !function.built_into_go() && (piped.is_some() || function.subject_last_in_go());
    arguments.extend(piped);
    if subject_last && !arguments.is_empty() {
        arguments.rotate_right(1);
    }
    checked_call(function, name, complete(function, arguments))
}

/// `default` replaces empty values too, as in Sprig; in Jinja that has to be asked for.
pub(crate) fn complete(function: Function, mut arguments: Vec<Expr>) -> Vec<Expr> {
    if function == Function::Default && arguments.len() == 2 {
        arguments.push(Expr::Literal(Value::Bool(true)));
    }
    arguments
}

/// A call with a number of arguments that the function takes.
pub(crate) fn checked_call(
    function: Function,
    name: &str,
    arguments: Vec<Expr>,
) -> Result<Expr, String> {
    let (least, most) = function.arity();
    let found = arguments.len();
    if (least..=most).contains(&found) {
        return Ok(Expr::Call(function, arguments));
    }
    let expected = match most {
        usize::MAX => format!("{least} or more"),
        _ if least == most => least.to_string(),
        _ => format!("{least} to {most}"),
    };
    Err(format!(
        "`{name}` takes {expected} arguments, found {found}"
    ))
}
