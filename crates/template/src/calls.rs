//! What the functions do.

use crate::ast::Expr;
use crate::error::Problem;
use crate::eval::Interpreter;
use crate::format::{self, Html};
use crate::functions::Function as F;
use crate::limits;
use crate::value::{Number, Val, View};

type Outcome<T> = Result<T, Problem>;

impl<'a> Interpreter<'a> {
    pub(crate) fn call(&mut self, function: F, arguments: &'a [Expr]) -> Outcome<Val<'a>> {
        match (function, arguments) {
            (F::And, _) => return self.first_where(arguments, false),
            (F::Or, _) => return self.first_where(arguments, true),
            (F::Choose, [condition, yes, no]) => {
                let chosen = if self.eval(condition)?.is_true() {
                    yes
                } else {
                    no
                };
                return self.eval(chosen);
            }
            _ => {}
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value = self.eval(argument)?;
            self.budget.spend_bytes(value.weight())?;
            if function.writes_arguments() && value.is_nothing() {
                self.warn(argument);
            }
            values.push(value);
        }
        self.apply(function, &values)
    }

    /// `and` and `or` give the operand that decides.
    fn first_where(&mut self, arguments: &'a [Expr], wanted: bool) -> Outcome<Val<'a>> {
        let mut last = Val::Missing;
        for argument in arguments {
            last = self.eval(argument)?;
            if last.is_true() == wanted {
                break;
            }
        }
        Ok(last)
    }

    fn apply(&mut self, function: F, values: &[Val<'a>]) -> Outcome<Val<'a>> {
        let Some((subject, rest)) = values.split_first() else {
            return Ok(Val::text(""));
        };
        match function {
            F::Not => Ok(Val::Bool(!subject.is_true())),
            F::Eq => Ok(Val::Bool(rest.iter().any(|other| subject.equals(other)))),
            F::Ne => Ok(Val::Bool(!subject.equals(argument(rest, 0)))),
            F::Lt | F::Le | F::Gt | F::Ge => compare(function, subject, argument(rest, 0)),
            F::In => contains(argument(rest, 0), subject).map(Val::Bool),
            F::Defined => Ok(Val::Bool(!matches!(subject, Val::Missing))),
            F::IsNone => Ok(Val::Bool(matches!(subject.view(), View::Null))),
            F::IsNumber => Ok(Val::Bool(matches!(subject.view(), View::Number(_)))),
            F::IsString => Ok(Val::Bool(matches!(subject.view(), View::Text(_)))),
            F::IncludeZero => Ok(Val::Bool(include_zero(subject, argument(rest, 0)))),
            F::Default => Ok(default(subject, rest)),
            F::Len => len(subject),
            F::Index => self.index(subject, rest),
            F::Slice => slice(subject, rest),
            F::First => self.get(subject, &Val::int(0)),
            F::Last => self.get(subject, &Val::Number(Number::Int(-1))),
            F::Items | F::Keys | F::Values => entries(function, subject),
            F::Print | F::Println | F::Concat => self.concat(function, values),
            F::Printf => self.printf(subject, rest),
            F::Modulo if matches!(subject.view(), View::Text(_)) => self.percent(subject, rest),
            F::Add if matches!(subject.view(), View::Text(_)) => self.concat(F::Concat, values),
            F::Add | F::Subtract | F::Multiply | F::Divide | F::FloorDivide | F::Modulo => {
                arithmetic(function, subject, argument(rest, 0))
            }
            F::Join => self.join(subject, rest),
            // Nothing stays nothing, so that printing it warns.
            _ if subject.is_nothing() && !matches!(function, F::Int | F::Float | F::ToJson) => {
                Ok(Val::Missing)
            }
            F::Negate
            | F::Abs
            | F::Round
            | F::RoundPython
            | F::IsEven
            | F::IsOdd
            | F::Duration
            | F::Grouped
            | F::Bytes => numeric(function, subject, rest),
            F::Int | F::Float => Ok(convert(function, subject, rest)),
            _ => self.textual(function, subject, rest),
        }
    }

    /// Functions from text to text.
    fn textual(&mut self, function: F, subject: &Val<'a>, rest: &[Val<'a>]) -> Outcome<Val<'a>> {
        let text = match function {
            F::ToJson => format::json(subject),
            _ => self.text_of(subject)?,
        };
        let made = match function {
            F::Upper => text.to_uppercase(),
            F::Lower => text.to_lowercase(),
            F::Title => format::title(&text),
            F::Capitalize => format::capitalize(&text),
            F::UrlEncode => format::url_encode(&text),
            F::Trim => self.trim(&text, rest)?,
            F::Time => self.time(&text, rest)?,
            F::Replace => self.replace(&text, rest)?,
            F::Truncate => self.truncate(&text, rest)?,
            F::Split => return self.split(&text, rest),
            F::StartsWith | F::EndsWith => {
                let part = self.text_of(argument(rest, 0))?;
                let starts = function == F::StartsWith;
                let found = if starts {
                    text.starts_with(&part)
                } else {
                    text.ends_with(&part)
                };
                return Ok(Val::Bool(found));
            }
            F::Escape if matches!(subject, Val::Escaped(_)) => return Ok(subject.clone()),
            F::Escape => {
                let escaped = format::escape(&text, Html::Asked);
                self.budget.build(escaped.len())?;
                return Ok(Val::Escaped(escaped.into()));
            }
            _ => text,
        };
        self.budget.build(made.len())?;
        Ok(Val::text(made))
    }

    fn index(&mut self, subject: &Val<'a>, keys: &[Val<'a>]) -> Outcome<Val<'a>> {
        let mut value = subject.clone();
        for key in keys {
            value = self.get(&value, key)?;
        }
        Ok(value)
    }

    fn concat(&mut self, function: F, values: &[Val<'a>]) -> Outcome<Val<'a>> {
        let mut out = String::new();
        let is_text = |value: &Val<'_>| matches!(value.view(), View::Text(_));
        for (i, value) in values.iter().enumerate() {
            let before = i.checked_sub(1).and_then(|i| values.get(i));
            // Go's `print` puts a space between two operands that are not texts.
            let gap = before.is_some_and(|before| match function {
                F::Println => true,
                F::Print => !is_text(before) && !is_text(value),
                _ => false,
            });
            if gap {
                out.push(' ');
            }
            out.push_str(&self.text_of(value)?);
            self.budget.build(out.len())?;
        }
        if function == F::Println {
            out.push('\n');
        }
        Ok(Val::text(out))
    }

    fn printf(&mut self, format: &Val<'a>, values: &[Val<'a>]) -> Outcome<Val<'a>> {
        let format = self.text_of(format)?;
        let text = format::printf(&format, values)?;
        self.budget.build(text.len())?;
        Ok(Val::text(text))
    }

    /// Python's `"…" % value` and `"…" % (value, value)`.
    fn percent(&mut self, format: &Val<'a>, rest: &[Val<'a>]) -> Outcome<Val<'a>> {
        match argument(rest, 0) {
            Val::List(values) => self.printf(format, &values.clone()),
            _ => self.printf(format, rest),
        }
    }

    fn join(&mut self, subject: &Val<'a>, rest: &[Val<'a>]) -> Outcome<Val<'a>> {
        // In Python the separator is the subject, in Go it may stand on either side.
        let (list, separator) = match (subject.view(), argument(rest, 0).view()) {
            (View::Text(_), View::List(_)) => (argument(rest, 0), subject),
            _ => (subject, argument(rest, 0)),
        };
        let View::List(items) = list.view() else {
            return Ok(list.clone());
        };
        let separator = self.text_of(separator)?;
        let mut out = String::new();
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push_str(&separator);
            }
            out.push_str(&self.text_of(&item)?);
            self.budget.spend(1)?;
            if out.len() > limits::OUTPUT_BYTES {
                return Err(Problem::OutputTooLarge);
            }
        }
        self.budget.build(out.len())?;
        Ok(Val::text(out))
    }

    fn trim(&mut self, text: &str, rest: &[Val<'a>]) -> Outcome<String> {
        if rest.is_empty() {
            return Ok(text.trim().to_owned());
        }
        let set: Vec<char> = self.text_of(argument(rest, 0))?.chars().take(64).collect();
        Ok(text.trim_matches(|c| set.contains(&c)).to_owned())
    }

    fn time(&mut self, text: &str, rest: &[Val<'a>]) -> Outcome<String> {
        let or = |text: String, otherwise: &str| {
            if text.is_empty() {
                otherwise.to_owned()
            } else {
                text
            }
        };
        let offset = or(self.text_of(argument(rest, 0))?, "+00:00");
        let format = or(self.text_of(argument(rest, 1))?, "%Y-%m-%d %H:%M:%S");
        format::time(text, &offset, &format)
    }

    fn replace(&mut self, text: &str, rest: &[Val<'a>]) -> Outcome<String> {
        let old = self.text_of(argument(rest, 0))?;
        let new = self.text_of(argument(rest, 1))?;
        if old.is_empty() {
            return Ok(text.to_owned());
        }
        let count = text.matches(&old).count();
        self.budget
            .build(text.len() + count.saturating_mul(new.len()))?;
        Ok(text.replace(&old, &new))
    }

    fn truncate(&mut self, text: &str, rest: &[Val<'a>]) -> Outcome<String> {
        let size = |i: usize, otherwise: usize| {
            let number = argument(rest, i).number();
            number.map_or(otherwise, |n| usize::try_from(n.int()).unwrap_or(0))
        };
        let (length, leeway) = (size(0, 255), size(3, 5));
        let at_word = !argument(rest, 1).is_true();
        let end = match argument(rest, 2) {
            end if end.is_nothing() => "...".to_owned(),
            end => self.text_of(end)?,
        };
        Ok(format::truncate(text, length, at_word, &end, leeway))
    }

    fn split(&mut self, text: &str, rest: &[Val<'a>]) -> Outcome<Val<'a>> {
        let separator = self.text_of(argument(rest, 0))?;
        self.budget.spend(text.len())?;
        let parts: Vec<_> = match separator.as_str() {
            "" => text.split_whitespace().map(Val::text).collect(),
            separator => text.split(separator).map(Val::text).collect(),
        };
        Ok(Val::list(parts))
    }
}

fn slice<'a>(subject: &Val<'a>, bounds: &[Val<'a>]) -> Outcome<Val<'a>> {
    let range = |length: usize| {
        let from = bound(argument(bounds, 0), length, 0);
        let to = bound(argument(bounds, 1), length, length);
        from..to.max(from)
    };
    match subject.view() {
        View::List(items) => {
            let range = range(items.len());
            Ok(Val::list(range.filter_map(|i| items.get(i)).collect()))
        }
        View::Text(text) => {
            let range = range(text.chars().count());
            let cut: String = text.chars().skip(range.start).take(range.len()).collect();
            Ok(Val::text(cut))
        }
        View::Missing | View::Null => Ok(Val::Missing),
        _ => Err(wrong("a text or a list to slice", subject)),
    }
}

/// The argument at `index`, or nothing.
fn argument<'v, 'a>(values: &'v [Val<'a>], index: usize) -> &'v Val<'a> {
    values.get(index).unwrap_or(&Val::Missing)
}

fn wrong(expected: &str, found: &Val<'_>) -> Problem {
    Problem::Value(format!("expected {expected}, found {}", found.kind()))
}

fn compare<'a>(function: F, left: &Val<'a>, right: &Val<'a>) -> Outcome<Val<'a>> {
    let order = match (left.view(), right.view()) {
        (View::Missing | View::Null, _) | (_, View::Missing | View::Null) => None,
        (View::Text(left), View::Text(right)) => Some(left.cmp(right)),
        _ => {
            let (Some(a), Some(b)) = (left.number(), right.number()) else {
                let message = format!("cannot compare {} with {}", left.kind(), right.kind());
                return Err(Problem::Value(message));
            };
            a.order(b)
        }
    };
    // Nothing is neither more nor less than anything.
    let Some(order) = order else {
        return Ok(Val::Bool(false));
    };
    Ok(Val::Bool(match function {
        F::Lt => order.is_lt(),
        F::Le => order.is_le(),
        F::Gt => order.is_gt(),
        _ => order.is_ge(),
    }))
}

fn contains(whole: &Val<'_>, part: &Val<'_>) -> Outcome<bool> {
    match (whole.view(), part.view()) {
        (View::List(items), _) => Ok(items.iter().any(|item| item.equals(part))),
        (View::Text(text), View::Text(part)) => Ok(text.contains(part)),
        (View::Map(map), View::Text(key)) => Ok(map.contains_key(key)),
        (View::Missing | View::Null, _) | (_, View::Missing | View::Null) => Ok(false),
        _ => Err(wrong("a list, a map, or a text in a text, for `in`", whole)),
    }
}

fn include_zero(value: &Val<'_>, wanted: &Val<'_>) -> bool {
    value.is_true() || wanted.is_true() && matches!(value.view(), View::Number(_))
}

/// The value, or the one that stands in for it.
fn default<'a>(value: &Val<'a>, rest: &[Val<'a>]) -> Val<'a> {
    let also_false = argument(rest, 1).is_true();
    if value.is_nothing() || also_false && !value.is_true() {
        return rest.first().cloned().unwrap_or_else(|| Val::text(""));
    }
    value.clone()
}

fn len<'a>(value: &Val<'a>) -> Outcome<Val<'a>> {
    match value.view() {
        View::Text(text) => Ok(Val::int(text.chars().count())),
        View::List(items) => Ok(Val::int(items.len())),
        View::Map(map) => Ok(Val::int(map.len())),
        View::Missing | View::Null => Ok(Val::int(0)),
        _ => Err(wrong("a text, a list or a map to measure", value)),
    }
}

/// A bound of a slice: from the end if negative, never outside.
fn bound(value: &Val<'_>, length: usize, otherwise: usize) -> usize {
    let Some(number) = value.number() else {
        return otherwise;
    };
    let size = i128::try_from(length).unwrap_or(i128::MAX);
    let index = number.int();
    let index = if index < 0 {
        index.saturating_add(size)
    } else {
        index
    };
    usize::try_from(index.clamp(0, size)).unwrap_or(otherwise)
}

fn entries<'a>(function: F, subject: &Val<'a>) -> Outcome<Val<'a>> {
    let View::Map(map) = subject.view() else {
        if subject.is_nothing() {
            return Ok(Val::Missing);
        }
        return Err(wrong("a map", subject));
    };
    let entry = |(key, value): (&'a String, &'a serde_json::Value)| match function {
        F::Keys => Val::text(key.as_str()),
        F::Values => Val::Data(value),
        _ => Val::list(vec![Val::text(key.as_str()), Val::Data(value)]),
    };
    Ok(Val::list(map.iter().map(entry).collect()))
}

fn needs_number(value: &Val<'_>) -> Outcome<Number> {
    value.number().ok_or_else(|| wrong("a number", value))
}

fn arithmetic<'a>(function: F, left: &Val<'a>, right: &Val<'a>) -> Outcome<Val<'a>> {
    if left.is_nothing() || right.is_nothing() {
        return Ok(Val::Missing);
    }
    let (left, right) = (needs_number(left)?, needs_number(right)?);
    if !matches!(function, F::Add | F::Subtract | F::Multiply) && right.float() == 0.0 {
        return Err(Problem::Value("division by zero".to_owned()));
    }
    if let (Number::Int(a), Number::Int(b)) = (left, right) {
        let whole = match function {
            F::Add => a.checked_add(b),
            F::Subtract => a.checked_sub(b),
            F::Multiply => a.checked_mul(b),
            F::FloorDivide => floor_divide(a, b),
            F::Modulo => floor_divide(a, b).and_then(|q| a.checked_sub(q.checked_mul(b)?)),
            _ => None,
        };
        if let Some(whole) = whole {
            return Ok(Val::Number(Number::Int(whole)));
        }
    }
    let (a, b) = (left.float(), right.float());
    finite(match function {
        F::Add => a + b,
        F::Subtract => a - b,
        F::Multiply => a * b,
        F::Divide => a / b,
        F::FloorDivide => (a / b).floor(),
        _ => a - b * (a / b).floor(),
    })
}

fn floor_divide(a: i128, b: i128) -> Option<i128> {
    let quotient = a.checked_div(b)?;
    let inexact = a.checked_rem(b)? != 0;
    Some(quotient - i128::from(inexact && (a < 0) != (b < 0)))
}

fn finite<'a>(value: f64) -> Outcome<Val<'a>> {
    if value.is_finite() {
        return Ok(Val::Number(Number::Float(value)));
    }
    Err(Problem::Value(
        "the result is not a finite number".to_owned(),
    ))
}

fn numeric<'a>(function: F, subject: &Val<'a>, rest: &[Val<'a>]) -> Outcome<Val<'a>> {
    let number = needs_number(subject)?;
    match function {
        F::Negate | F::Abs => {
            let negative = number.float() < 0.0;
            Ok(match (number, function == F::Negate || negative) {
                (_, false) => Val::Number(number),
                (Number::Int(int), true) => Val::Number(Number::Int(int.saturating_neg())),
                (Number::Float(float), true) => Val::Number(Number::Float(-float)),
            })
        }
        F::IsEven => Ok(Val::Bool(number.int() % 2 == 0)),
        F::IsOdd => Ok(Val::Bool(number.int() % 2 != 0)),
        F::Duration => Ok(Val::text(format::duration(number.float()))),
        F::Bytes => Ok(Val::text(format::bytes(number.float()))),
        F::Grouped => {
            let digits = argument(rest, 0).number().map(Number::int);
            Ok(Val::text(format::grouped(number, digits)))
        }
        _ => rounded(function, number, rest),
    }
}

fn rounded<'a>(function: F, number: Number, rest: &[Val<'a>]) -> Outcome<Val<'a>> {
    let digits = argument(rest, 0).number().map_or(0, Number::int);
    let method = match argument(rest, 1).view() {
        View::Text(method) => method,
        _ => "common",
    };
    let rounded = format::round(number.float(), digits, method).ok_or_else(|| {
        let message = format!("unknown method {method:?}, expected common, ceil or floor");
        Problem::Value(message)
    })?;
    Ok(match (function, number) {
        (F::RoundPython, _) => Val::Rounded(rounded),
        (_, Number::Int(_)) if digits >= 0 => Val::Number(number),
        _ => Val::Number(Number::Float(rounded)),
    })
}

fn convert<'a>(function: F, subject: &Val<'a>, rest: &[Val<'a>]) -> Val<'a> {
    match subject.number() {
        Some(number) if function == F::Int => Val::Number(Number::Int(number.int())),
        Some(number) => Val::Number(Number::Float(number.float())),
        None => rest.first().cloned().unwrap_or(Val::int(0)),
    }
}
