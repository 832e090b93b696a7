//! The document before it is checked: any value of JSON or YAML, borrowed where possible, with every key kept
//! even when it is given twice.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// One value of the document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Map<'a>),
}

/// The entries of an object, in the order of the document.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Map<'a>(pub(crate) Vec<(Cow<'a, str>, Node<'a>)>);

/// Where and why a document cannot be read.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) position: Option<(usize, usize)>,
    pub(crate) reason: String,
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML, of which JSON is nearly a part.
    Yaml,
}

/// What both parsers say of a text that is nested beyond their limit.
pub(crate) const TOO_DEEP: &str = "recursion limit exceeded";

/// Whether a YAML text nests so deeply that its parser, whose time grows with the square of the depth, would be busy
/// for long before it refuses the text. Brackets within texts count, too; they come in pairs or are few.
pub(crate) fn nests_too_deeply(text: &str) -> bool {
    const MAX: usize = 1_000;
    let mut open: usize = 0;
    let in_brackets = text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > MAX
    });
    let marks = |line: &str| {
        let start = line.bytes().take_while(|byte| b"-? ".contains(byte));
        start.filter(|byte| *byte != b' ').count()
    };
    in_brackets || text.lines().any(|line| marks(line) > MAX)
}

impl<'a> Node<'a> {
    pub(crate) fn parse(text: &'a str, format: Format) -> Result<Self, SyntaxError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match format {
            Format::Json => serde_json::from_str(text).map_err(|error| SyntaxError {
                position: (error.line() > 0).then(|| (error.line(), error.column())),
                reason: without_position(&error.to_string()),
            }),
            Format::Yaml if nests_too_deeply(text) => Err(SyntaxError {
                position: None,
                reason: TOO_DEEP.to_owned(),
            }),
            Format::Yaml => serde_yaml::from_str(text).map_err(|error| SyntaxError {
                position: error.location().map(|at| (at.line(), at.column())),
                reason: without_position(&error.to_string()),
            }),
        }
    }

    /// The value in words, short enough for a message.
    pub(crate) fn describe(&self) -> String {
        match self {
            Node::Null => "null".to_owned(),
            Node::Bool(value) => value.to_string(),
            Node::Number(value) => value.to_string(),
            Node::Text(value) => describe_text(value),
            Node::List(_) => "a list".to_owned(),
            Node::Map(_) => "an object".to_owned(),
        }
    }

    /// What kind of value it is, where the value itself must not be shown.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "a boolean",
            Node::Number(_) => "a number",
            Node::Text(_) => "a text",
            Node::List(_) => "a list",
            Node::Map(_) => "an object",
        }
    }

    /// The same value without a loan of the text.
    pub(crate) fn to_owned_node(&self) -> Node<'static> {
        match self {
            Node::Null => Node::Null,
            Node::Bool(value) => Node::Bool(*value),
            Node::Number(value) => Node::Number(value.clone()),
            Node::Text(value) => Node::Text(Cow::Owned(value.to_string())),
            Node::List(items) => Node::List(items.iter().map(Node::to_owned_node).collect()),
            Node::Map(Map(entries)) => Node::Map(Map(entries
                .iter()
                .map(|(key, value)| (Cow::Owned(key.to_string()), value.to_owned_node()))
                .collect())),
        }
    }

    /// The same value as JSON; of a key given twice the last counts.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Node::Null => serde_json::Value::Null,
            Node::Bool(value) => (*value).into(),
            Node::Number(value) => value.clone().into(),
            Node::Text(value) => value.as_ref().into(),
            Node::List(items) => items.iter().map(Node::to_json).collect(),
            Node::Map(Map(entries)) => entries
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_json()))
                .collect(),
        }
    }
}

/// A text in quotes, cut where it gets long, without a login it may hold.
pub(crate) fn describe_text(text: &str) -> String {
    const SHOWN: usize = 60;
    let text = crate::url::without_login(text);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Both parsers append the position to the reason; we put it in front.
pub(crate) fn without_position(message: &str) -> String {
    message
        .rfind(" at line ")
        .map_or(message, |end| &message[..end])
        .to_owned()
}

impl<'a> Map<'a> {
    /// The value of a key; of a key given twice the last counts.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// Keys given more than once, each named once.
    pub(crate) fn duplicates(&self) -> Vec<&str> {
        let mut sorted: Vec<&str> = self.keys().collect();
        sorted.sort_unstable();
        let mut twice: Vec<&str> = sorted
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .collect();
        twice.dedup();
        twice
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a number, a text, a list or an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Null)
    }

    /// YAML without any content.
    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        // YAML has `.nan` and `.inf`, JSON has not; as text they are no number for any setting.
        Ok(Number::from_f64(value)
            .map_or_else(|| Node::Text(value.to_string().into()), Node::Number))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Vec::new();
        while let Some(KeyText(key)) = entries.next_key()? {
            map.push((key, entries.next_value()?));
        }
        Ok(Node::Map(Map(map)))
    }
}

/// A key, borrowed where the parser can lend it.
struct KeyText<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for KeyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor).map(KeyText)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}
