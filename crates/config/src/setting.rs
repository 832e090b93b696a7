//! How each type is read from a document or a text, shown again, and described by the schema.

use std::num::NonZeroU32;

use serde_json::{Number, Value, json};

use crate::names::Port;
use crate::tree::{Node, describe_text};

/// A value that is not what the setting takes.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// Where inside the setting: `[1]` for the second item of a list.
    pub(crate) at: String,
    pub(crate) expected: &'static str,
    pub(crate) found: String,
    /// What kind of value was found, for settings whose values are not shown.
    pub(crate) kind: &'static str,
    pub(crate) why: Option<String>,
    /// Whether `found` says nothing of the value, and so may be shown also where values may not.
    pub(crate) found_is_safe: bool,
}

impl Wrong {
    /// What is wrong in words; without the value where it must not be shown.
    pub(crate) fn describe(&self, hidden: bool) -> String {
        let Wrong {
            at: _,
            expected,
            found,
            kind,
            why,
            found_is_safe,
        } = self;
        match why {
            _ if hidden && !found_is_safe => {
                format!("expected {expected}, found {kind} (not shown: it may be a secret)")
            }
            Some(why) => format!("expected {expected}, found {found} ({why})"),
            None => format!("expected {expected}, found {found}"),
        }
    }
}

/// A type that a setting can have.
pub(crate) trait Setting: Sized {
    /// Whether the value must not be shown.
    const SECRET: bool = false;
    /// Whether an empty text in the file means that the file does not set it.
    const BLANK_IS_UNSET: bool = false;

    /// Reads the value in the file.
    fn from_node(node: &Node<'_>) -> Result<Self, Vec<Wrong>>;
    /// Reads the value of a variable or Secret file, where all is text.
    fn from_text(text: &str) -> Result<Self, Vec<Wrong>>;
    /// The value in the form of the file, secrets masked.
    fn show(&self) -> Value;
    /// The same as it was written, for types that have several spellings of one value; a text for a variable.
    fn show_as(&self, _written: &Node<'_>) -> Value {
        self.show()
    }
    fn schema() -> Value;
}

pub(crate) fn wrong_node(expected: &'static str, node: &Node<'_>, why: Option<&str>) -> Vec<Wrong> {
    let (found, kind) = (node.describe(), node.kind());
    vec![Wrong {
        at: String::new(),
        expected,
        found,
        kind,
        why: why.map(str::to_owned),
        found_is_safe: false,
    }]
}

pub(crate) fn wrong_text(expected: &'static str, text: &str, why: Option<String>) -> Vec<Wrong> {
    vec![Wrong {
        at: String::new(),
        expected,
        found: describe_text(text),
        kind: "a text",
        why,
        found_is_safe: false,
    }]
}

impl Setting for bool {
    fn from_node(node: &Node<'_>) -> Result<Self, Vec<Wrong>> {
        match node {
            Node::Bool(value) => Ok(*value),
            other => Err(wrong_node("true or false", other, None)),
        }
    }

    fn from_text(text: &str) -> Result<Self, Vec<Wrong>> {
        text.parse()
            .map_err(|_| wrong_text("true or false", text, None))
    }

    fn show(&self) -> Value {
        (*self).into()
    }

    fn schema() -> Value {
        json!({"type": "boolean"})
    }
}

/// The whole number, also when it is written `1e6` or `3.0` as chart tools do with large ones.
pub(crate) fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let value = number.as_f64().filter(|value| value.fract() == 0.0)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range is checked"
        )]
        (0.0..=9_007_199_254_740_992.0)
            .contains(&value)
            .then_some(value as u64)
    })
}

/// The number without the exponent or fraction that a whole one may be written with: the document does not keep which
/// of them it was.
pub(crate) fn in_digits(number: &Number) -> Value {
    whole(number).map_or_else(|| number.clone().into(), Value::from)
}

/// A setting that is a whole number within limits.
macro_rules! whole_number {
    ($type:ty, $expected:expr, $from:expr, $number:expr, $min:expr, $max:expr) => {
        impl Setting for $type {
            fn from_node(node: &Node<'_>) -> Result<Self, Vec<Wrong>> {
                let from: fn(u64) -> Option<$type> = $from;
                let value = match node {
                    Node::Number(number) => whole(number).and_then(from),
                    _ => None,
                };
                value.ok_or_else(|| wrong_node($expected, node, None))
            }

            fn from_text(text: &str) -> Result<Self, Vec<Wrong>> {
                let from: fn(u64) -> Option<$type> = $from;
                let value = text.parse().ok().and_then(from);
                value.ok_or_else(|| wrong_text($expected, text, None))
            }

            fn show(&self) -> Value {
                let number: fn($type) -> u32 = $number;
                number(*self).into()
            }

            fn schema() -> Value {
                json!({"type": "integer", "minimum": $min, "maximum": $max})
            }
        }
    };
}

whole_number!(
    u32,
    "a whole number",
    |n| n.try_into().ok(),
    |n| n,
    0,
    u32::MAX
);
whole_number!(
    NonZeroU32,
    "a whole number from 1",
    |n| u32::try_from(n).ok().and_then(NonZeroU32::new),
    NonZeroU32::get,
    1,
    u32::MAX
);
whole_number!(
    Port,
    Port::EXPECTED,
    |n| u16::try_from(n).ok().and_then(Port::new),
    |port| port.number().into(),
    1,
    u16::MAX
);

/// A setting that is written as a text with some grammar.
pub(crate) trait Text: Sized {
    const EXPECTED: &str;
    const SECRET: bool = false;
    const BLANK_IS_UNSET: bool = false;

    /// What to say of a number, where one is a likely slip.
    const NOT_A_NUMBER: Option<&str> = None;

    /// Reads the text; the error says more than [`Self::EXPECTED`], or nothing.
    fn parse(text: &str) -> Result<Self, Option<String>>;
    fn show(&self) -> String;

    /// The value as it was written. A type that hides a part of it hides that here, too.
    fn show_as(&self, written: &str) -> String {
        written.to_owned()
    }

    /// The few types that may also stand as a number in the file.
    fn from_number(_: &Number) -> Option<Self> {
        None
    }

    fn schema() -> Value {
        json!({"type": "string"})
    }
}

impl<T: Text> Setting for T {
    const SECRET: bool = <T as Text>::SECRET;
    const BLANK_IS_UNSET: bool = <T as Text>::BLANK_IS_UNSET;

    fn from_node(node: &Node<'_>) -> Result<Self, Vec<Wrong>> {
        match node {
            Node::Text(text) => Self::from_text(text),
            Node::Number(number) => {
                T::from_number(number).ok_or_else(|| wrong_node(T::EXPECTED, node, T::NOT_A_NUMBER))
            }
            other => Err(wrong_node(T::EXPECTED, other, None)),
        }
    }

    fn from_text(text: &str) -> Result<Self, Vec<Wrong>> {
        T::parse(text).map_err(|why| wrong_text(T::EXPECTED, text, why))
    }

    fn show(&self) -> Value {
        Text::show(self).into()
    }

    fn show_as(&self, written: &Node<'_>) -> Value {
        match written {
            _ if <T as Text>::SECRET => Setting::show(self),
            Node::Text(text) => Text::show_as(self, text).into(),
            Node::Number(number) => in_digits(number),
            Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => Setting::show(self),
        }
    }

    fn schema() -> Value {
        <T as Text>::schema()
    }
}

/// A setting that may be absent; in the file an empty text says the same.
impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;
    const BLANK_IS_UNSET: bool = true;

    fn from_node(node: &Node<'_>) -> Result<Self, Vec<Wrong>> {
        match node {
            Node::Text(text) if text.is_empty() => Ok(None),
            node => T::from_node(node).map(Some),
        }
    }

    fn from_text(text: &str) -> Result<Self, Vec<Wrong>> {
        T::from_text(text).map(Some)
    }

    fn show(&self) -> Value {
        self.as_ref().map_or_else(|| "".into(), T::show)
    }

    fn show_as(&self, written: &Node<'_>) -> Value {
        let value = self.as_ref();
        value.map_or_else(|| self.show(), |value| value.show_as(written))
    }

    fn schema() -> Value {
        let mut schema = T::schema();
        if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            words.push("".into());
        }
        schema
    }
}

/// Items in the file; in a variable or Secret file, items between commas.
impl<T: Setting> Setting for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn from_node(node: &Node<'_>) -> Result<Self, Vec<Wrong>> {
        match node {
            Node::List(items) => collect(items.iter().map(T::from_node)),
            other => Err(wrong_node("a list", other, None)),
        }
    }

    fn from_text(text: &str) -> Result<Self, Vec<Wrong>> {
        collect(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(T::from_text),
        )
    }

    fn show(&self) -> Value {
        self.iter().map(T::show).collect()
    }

    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }
}

/// All items, or what is wrong with every one that is.
fn collect<T>(results: impl Iterator<Item = Result<T, Vec<Wrong>>>) -> Result<Vec<T>, Vec<Wrong>> {
    let (mut items, mut all) = (Vec::new(), Vec::new());
    for (index, result) in results.enumerate() {
        match result {
            Ok(item) => items.push(item),
            Err(wrongs) => {
                all.extend(wrongs.into_iter().map(|wrong| Wrong {
                    at: format!("[{index}]{}", wrong.at),
                    ..wrong
                }));
            }
        }
    }
    if all.is_empty() { Ok(items) } else { Err(all) }
}
