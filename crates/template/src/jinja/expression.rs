//! Jinja's expressions, by precedence climbing.

use serde_json::Value;

use crate::Dialect;
use crate::ast::{Base, Expr, Path};
use crate::error::Fault;
use crate::functions::{FILTERS, Function, METHODS, TESTS, Table};
use crate::go;
use crate::lex::{Cursor, Token};

/// How tightly operators bind, loosest first.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
const SUM: u8 = 5;
const CONCAT: u8 = 6;
const PRODUCT: u8 = 7;
const UNARY: u8 = 8;

/// An expression that fills the rest of the tag.
pub(super) fn whole(cursor: &mut Cursor<'_>) -> Result<Expr, Fault> {
    let expr = full(cursor)?;
    cursor.finish()?;
    Ok(expr)
}

/// An expression without `if … else`, as behind `for … in`.
pub(super) fn without_condition(cursor: &mut Cursor<'_>) -> Result<Expr, Fault> {
    binary(cursor, OR)
}

/// The name of a variable to declare.
pub(super) fn variable(cursor: &mut Cursor<'_>) -> Result<String, Fault> {
    let at = cursor.at();
    let name = cursor.name("a variable name")?;
    if name == "loop" || is_constant(name) || is_keyword(name) {
        return Err(syntax(at, format!("`{name}` cannot be a variable name")));
    }
    Ok(name.to_owned())
}

fn syntax(at: usize, message: impl Into<String>) -> Fault {
    Fault::syntax(at, Dialect::Jinja, message)
}

fn is_constant(name: &str) -> bool {
    constant(name).is_some()
}

fn is_keyword(name: &str) -> bool {
    matches!(name, "and" | "or" | "not" | "in" | "is" | "if" | "else")
}

fn constant(name: &str) -> Option<Value> {
    match name {
        "true" | "True" => Some(Value::Bool(true)),
        "false" | "False" => Some(Value::Bool(false)),
        "none" | "None" => Some(Value::Null),
        _ => None,
    }
}

/// An expression with everything: `a if b else c`.
fn full(cursor: &mut Cursor<'_>) -> Result<Expr, Fault> {
    cursor.enter()?;
    let mut expr = binary(cursor, OR)?;
    if cursor.eat_word("if") {
        cursor.part()?;
        let condition = binary(cursor, OR)?;
        let otherwise = if cursor.eat_word("else") {
            full(cursor)?
        } else {
            Expr::text("")
        };
        expr = Expr::Call(Function::Choose, vec![condition, expr, otherwise]);
    }
    cursor.leave();
    Ok(expr)
}

fn binary(cursor: &mut Cursor<'_>, least: u8) -> Result<Expr, Fault> {
    cursor.enter()?;
    let mut left = unary(cursor)?;
    let mut compared = false;
    while let Some((function, level, negated, words)) = operator(cursor) {
        if level < least {
            break;
        }
        if level == COMPARE && compared {
            return Err(syntax(
                cursor.at(),
                "chained comparisons are not supported, use `and`",
            ));
        }
        compared = level == COMPARE;
        for _ in 0..words {
            cursor.bump();
        }
        cursor.part()?;
        let right = binary(cursor, level + 1)?;
        left = Expr::Call(function, vec![left, right]);
        if negated {
            left = Expr::Call(Function::Not, vec![left]);
        }
    }
    cursor.leave();
    Ok(left)
}

/// The operator at the cursor: function, level, whether negated, and its length in tokens.
fn operator(cursor: &Cursor<'_>) -> Option<(Function, u8, bool, usize)> {
    use Function as F;
    let plain = |function, level| Some((function, level, false, 1));
    match &cursor.peek()?.token {
        Token::Name(word) => match word.as_str() {
            "or" => plain(F::Or, OR),
            "and" => plain(F::And, AND),
            "in" => plain(F::In, COMPARE),
            "not" => match &cursor.peek_at(1)?.token {
                Token::Name(next) if next == "in" => Some((F::In, COMPARE, true, 2)),
                _ => None,
            },
            _ => None,
        },
        Token::Operator(operator) => match *operator {
            "==" => plain(F::Eq, COMPARE),
            "!=" => plain(F::Ne, COMPARE),
            "<" => plain(F::Lt, COMPARE),
            "<=" => plain(F::Le, COMPARE),
            ">" => plain(F::Gt, COMPARE),
            ">=" => plain(F::Ge, COMPARE),
            "+" => plain(F::Add, SUM),
            "-" => plain(F::Subtract, SUM),
            "~" => plain(F::Concat, CONCAT),
            "*" => plain(F::Multiply, PRODUCT),
            "/" => plain(F::Divide, PRODUCT),
            "//" => plain(F::FloorDivide, PRODUCT),
            "%" => plain(F::Modulo, PRODUCT),
            _ => None,
        },
        _ => None,
    }
}

fn unary(cursor: &mut Cursor<'_>) -> Result<Expr, Fault> {
    cursor.part()?;
    if cursor.eat_word("not") {
        let inner = binary(cursor, NOT)?;
        return Ok(Expr::Call(Function::Not, vec![inner]));
    }
    if cursor.eat("-") {
        let inner = binary(cursor, UNARY)?;
        return Ok(Expr::Call(Function::Negate, vec![inner]));
    }
    if cursor.eat("+") {
        return binary(cursor, UNARY);
    }
    let mut expr = primary(cursor)?;
    loop {
        let at = cursor.at();
        cursor.part()?;
        if cursor.eat(".") {
            expr = attribute(cursor, expr)?;
        } else if cursor.eat("[") {
            expr = subscript(cursor, expr)?;
        } else if cursor.eat("|") {
            let name = cursor.name("the name of a filter")?;
            expr = named_call(cursor, FILTERS, (name, at), expr)?;
        } else if cursor.eat_word("is") {
            expr = test(cursor, expr)?;
        } else if cursor.is("(") {
            return Err(syntax(at, "this value cannot be called"));
        } else {
            return Ok(expr);
        }
    }
}

fn primary(cursor: &mut Cursor<'_>) -> Result<Expr, Fault> {
    let at = cursor.at();
    let Some(lexeme) = cursor.bump() else {
        return Err(cursor.expected("a value"));
    };
    match &lexeme.token {
        Token::Text(text) => Ok(Expr::text(text.clone())),
        Token::Number(digits) => go::number(digits, false, at),
        Token::Operator("(") => group(cursor),
        Token::Operator("[") => Ok(Expr::List(list(cursor, "]")?)),
        Token::Name(name) if cursor.is("(") => {
            let Some(function) = FILTERS.find(name) else {
                return Err(Fault::new(at, FILTERS.unknown(name)));
            };
            cursor.bump();
            let arguments = list(cursor, ")")?;
            checked(function, name, arguments, at)
        }
        Token::Name(name) => match constant(name) {
            Some(value) => Ok(Expr::Literal(value)),
            None if is_keyword(name) => {
                Err(syntax(at, format!("expected a value, found `{name}`")))
            }
            None => name_path(name, at),
        },
        Token::Operator(other) => Err(syntax(at, format!("expected a value, found `{other}`"))),
    }
}

fn name_path(name: &str, at: usize) -> Result<Expr, Fault> {
    visible(name, at)?;
    let (base, segments) = (Base::Name(name.to_owned()), Vec::new());
    Ok(Expr::Path(Path { base, segments }))
}

/// Names with a leading underscore are internals in real Jinja.
fn visible(name: &str, at: usize) -> Result<(), Fault> {
    if name.starts_with('_') {
        return Err(Fault::forbidden(at, format!("the name `{name}`")));
    }
    Ok(())
}

/// A value in parentheses, or a tuple.
fn group(cursor: &mut Cursor<'_>) -> Result<Expr, Fault> {
    if cursor.eat(")") {
        return Ok(Expr::List(Vec::new()));
    }
    let first = full(cursor)?;
    if cursor.eat(")") {
        return Ok(first);
    }
    cursor.expect(",")?;
    let mut parts = vec![first];
    parts.extend(list(cursor, ")")?);
    Ok(Expr::List(parts))
}

/// Values with commas between them, up to `close`.
fn list(cursor: &mut Cursor<'_>, close: &str) -> Result<Vec<Expr>, Fault> {
    let mut parts = Vec::new();
    while !cursor.eat(close) {
        parts.push(full(cursor)?);
        if !cursor.is(close) {
            cursor.expect(",")?;
        }
    }
    Ok(parts)
}

/// Behind a dot: a field, an index, or a method with its arguments.
fn attribute(cursor: &mut Cursor<'_>, of: Expr) -> Result<Expr, Fault> {
    let at = cursor.at();
    let token = cursor.peek().map(|lexeme| &lexeme.token);
    let Some(Token::Name(name) | Token::Number(name)) = token else {
        return Err(cursor.expected("the name of a field"));
    };
    cursor.bump();
    visible(name, at)?;
    if cursor.is("(") {
        return named_call(cursor, METHODS, (name, at), of);
    }
    Ok(field(of, name.clone()))
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

/// Behind `[`: an index, a key or a slice.
fn subscript(cursor: &mut Cursor<'_>, of: Expr) -> Result<Expr, Fault> {
    let at = cursor.at();
    let from = if cursor.is(":") {
        None
    } else {
        Some(full(cursor)?)
    };
    if let Some(key) = from.as_ref()
        && cursor.eat("]")
    {
        if let Expr::Literal(Value::String(name)) = key {
            visible(name, at)?;
            return Ok(field(of, name.clone()));
        }
        return Ok(Expr::Get(Box::new(of), Box::new(key.clone())));
    }
    cursor.expect(":")?;
    let to = if cursor.is("]") {
        None
    } else {
        Some(full(cursor)?)
    };
    cursor.expect("]")?;
    let or_null = |part: Option<Expr>| part.unwrap_or(Expr::Literal(Value::Null));
    Ok(Expr::Call(
        Function::Slice,
        vec![of, or_null(from), or_null(to)],
    ))
}

/// A filter or method by name, with `subject` as first argument.
fn named_call(
    cursor: &mut Cursor<'_>,
    table: Table,
    (name, at): (&str, usize),
    subject: Expr,
) -> Result<Expr, Fault> {
    let function = table
        .find(name)
        .ok_or_else(|| Fault::new(at, table.unknown(name)))?;
    let mut arguments = vec![subject];
    if cursor.eat("(") {
        while !cursor.eat(")") {
            argument(cursor, function, &mut arguments)?;
            if !cursor.is(")") {
                cursor.expect(",")?;
            }
        }
    }
    checked(function, name, arguments, at)
}

/// One argument, by position or by name.
fn argument(
    cursor: &mut Cursor<'_>,
    function: Function,
    arguments: &mut Vec<Expr>,
) -> Result<(), Fault> {
    let named = matches!(cursor.peek_at(1), Some(l) if l.token == Token::Operator("="));
    if !named {
        arguments.push(full(cursor)?);
        return Ok(());
    }
    let at = cursor.at();
    let name = cursor.name("the name of an argument")?;
    cursor.expect("=")?;
    let known = function.parameters();
    let Some(position) = known.iter().position(|parameter| *parameter == name) else {
        let message = format!("unknown argument `{name}`, known are: {}", known.join(", "));
        return Err(syntax(at, message));
    };
    let position = position + 1;
    while arguments.len() <= position {
        arguments.push(Expr::Literal(Value::Null));
    }
    arguments[position] = full(cursor)?;
    Ok(())
}

/// Behind `is`: a test with at most one argument.
fn test(cursor: &mut Cursor<'_>, of: Expr) -> Result<Expr, Fault> {
    let negated = cursor.eat_word("not");
    let at = cursor.at();
    let name = cursor.name("the name of a test")?;
    let expr = if name == "undefined" {
        let defined = Expr::Call(Function::Defined, vec![of]);
        Expr::Call(Function::Not, vec![defined])
    } else {
        named_call(cursor, TESTS, (name, at), of)?
    };
    Ok(if negated {
        Expr::Call(Function::Not, vec![expr])
    } else {
        expr
    })
}

fn checked(function: Function, name: &str, arguments: Vec<Expr>, at: usize) -> Result<Expr, Fault> {
    go::checked_call(function, name, arguments).map_err(|message| syntax(at, message))
}
