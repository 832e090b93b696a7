//! The headers a user may add to the requests of the webhook.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::names::NameError;
use crate::secret::{MASK, Secret};
use crate::setting::{Setting, Wrong, wrong_node};
use crate::tree::Node;

/// The name of an HTTP header that users may set. Names are compared without regard to case.
#[derive(Debug, Clone)]
pub struct HeaderName(String);

/// Headers that belong to the connection, to proxies or to browsers: set by hand they break the request or lie
/// about where it comes from. `proxy-*` is reserved as a whole.
const RESERVED: [&str; 22] = [
    "accept-charset",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-real-ip",
];

/// A token of HTTP that is none of the reserved names.
const NAME_EXPECTED: &str = "the name of a header such as \"X-Team\"";
const NAME_PATTERN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$";
const OWN_EXPECTED: &str = "a header that is not set by the connection, a proxy or a browser";
const ONCE_EXPECTED: &str = "a header that is given once";
const VALUE_EXPECTED: &str = "printable ASCII without spaces at the ends";
const VALUE_PATTERN: &str = "^([!-~]([\\t -~]*[!-~])?)?$";

impl HeaderName {
    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_token = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        let lower = text.to_ascii_lowercase();
        match () {
            () if !is_token => Err(NameError {
                expected: NAME_EXPECTED,
            }),
            () if lower.starts_with("proxy-") || RESERVED.contains(&lower.as_str()) => {
                Err(NameError {
                    expected: OWN_EXPECTED,
                })
            }
            () => Ok(HeaderName(text.to_owned())),
        }
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HeaderName {}

impl PartialOrd for HeaderName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HeaderName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let lower = |name: &Self| name.0.to_ascii_lowercase();
        lower(self).cmp(&lower(other))
    }
}

fn is_value(text: &str) -> bool {
    text.trim() == text
        && text
            .bytes()
            .all(|b| b == b'\t' || (b' '..=b'~').contains(&b))
}

/// Headers by name: an object in the file, lines `Name: value` in a Secret file.
impl Setting for BTreeMap<HeaderName, Secret> {
    const SECRET: bool = true;

    fn from_node(node: &Node<'_>) -> Result<Self, Vec<Wrong>> {
        const EXPECTED: &str = "an object of texts by header name";
        let Node::Map(map) = node else {
            return Err(wrong_node(EXPECTED, node, None));
        };
        let (mut headers, mut wrongs) = (BTreeMap::new(), Vec::new());
        for (name, value) in &map.0 {
            let text = match value {
                Node::Text(text) => Ok(text.as_ref()),
                // The same as leaving the header out, but the name is checked.
                Node::Null => {
                    let wrong = name.parse::<HeaderName>().err();
                    wrongs.extend(wrong.map(|error| misnamed(name, error.expected)));
                    continue;
                }
                other => Err(other.kind()),
            };
            add(&mut headers, &mut wrongs, name, text);
        }
        if wrongs.is_empty() {
            Ok(headers)
        } else {
            Err(wrongs)
        }
    }

    fn from_text(text: &str) -> Result<Self, Vec<Wrong>> {
        let (mut headers, mut wrongs) = (BTreeMap::new(), Vec::new());
        let lines = text.lines().enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            match line.split_once(':') {
                Some((name, value)) => {
                    add(&mut headers, &mut wrongs, name.trim(), Ok(value.trim()));
                }
                None => wrongs.push(Wrong {
                    at: format!(" line {}", index + 1),
                    expected: "a line \"Name: value\"",
                    found: "none".to_owned(),
                    kind: "a text",
                    why: None,
                    found_is_safe: false,
                }),
            }
        }
        if wrongs.is_empty() {
            Ok(headers)
        } else {
            Err(wrongs)
        }
    }

    fn show(&self) -> Value {
        let shown = |name: &HeaderName| (name.as_str().to_owned(), Value::from(MASK));
        Value::Object(self.keys().map(shown).collect())
    }

    fn schema() -> Value {
        let reserved = RESERVED.map(any_case).join("|");
        json!({
            "type": "object",
            "writeOnly": true,
            "propertyNames": {
                "pattern": NAME_PATTERN,
                "not": {"pattern": format!("^({reserved}|{}.*)$", any_case("proxy-"))},
            },
            "additionalProperties": {"type": "string", "pattern": VALUE_PATTERN},
        })
    }
}

/// Notes one header, or what is wrong with it. A value is never shown, a name always: it is no secret.
fn add(
    headers: &mut BTreeMap<HeaderName, Secret>,
    wrongs: &mut Vec<Wrong>,
    name: &str,
    value: Result<&str, &'static str>,
) {
    let mut wrong =
        |expected, found: &str, kind| wrongs.push(wrong_at(name, expected, found, kind));
    let value = match value {
        Ok(text) if is_value(text) => Some(text),
        Ok(_) => {
            wrong(VALUE_EXPECTED, "", "a text");
            None
        }
        Err(kind) => {
            wrong("a text", kind, kind);
            None
        }
    };
    match name.parse::<HeaderName>() {
        Err(error) => wrongs.push(misnamed(name, error.expected)),
        Ok(name) if headers.contains_key(&name) => wrong(ONCE_EXPECTED, "it again", "a name"),
        Ok(name) => {
            headers.insert(name, Secret::new(value.unwrap_or_default()));
        }
    }
}

fn wrong_at(name: &str, expected: &'static str, found: &str, kind: &'static str) -> Wrong {
    Wrong {
        at: place(name),
        expected,
        found: found.to_owned(),
        kind,
        why: None,
        found_is_safe: kind != "a text",
    }
}

fn misnamed(name: &str, expected: &'static str) -> Wrong {
    let found = crate::tree::describe_text(name);
    wrong_at(name, expected, &found, "a name")
}

/// Where a header stands: `.X-Team`, or `["X Team"]` where the name is none.
fn place(name: &str) -> String {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain && name.len() <= 128 {
        format!(".{name}")
    } else {
        format!("[{}]", crate::tree::describe_text(name))
    }
}

/// A regular expression for a word in any case; JSON Schema has no flag for it.
fn any_case(word: &str) -> String {
    word.chars()
        .map(|c| {
            if c.is_ascii_alphabetic() {
                format!("[{}{c}]", c.to_ascii_uppercase())
            } else {
                c.to_string()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_and_not_reserved() {
        for name in [
            "X-Team",
            "Authorization",
            "User-Agent",
            "x_a.b~c",
            "Content-Type",
        ] {
            assert!(name.parse::<HeaderName>().is_ok(), "{name}");
        }
        let long = "x".repeat(129);
        for name in ["", "X Team", "X-Team:", "X\r\nY", "Ünicode", &long] {
            assert_eq!(
                name.parse::<HeaderName>().unwrap_err().expected,
                NAME_EXPECTED
            );
        }
        for name in [
            "Host",
            "hOST",
            "Content-Length",
            "Proxy-Authorization",
            "Cookie",
            "X-Real-IP",
            "TE",
        ] {
            assert_eq!(
                name.parse::<HeaderName>().unwrap_err().expected,
                OWN_EXPECTED
            );
        }
        assert_eq!("x-team".parse::<HeaderName>(), "X-Team".parse());
    }

    fn said(result: Result<BTreeMap<HeaderName, Secret>, Vec<Wrong>>) -> Vec<String> {
        let wrong = |wrong: &Wrong| format!("{}: {}", wrong.at, wrong.describe(true));
        let header = |(name, value): (&HeaderName, &Secret)| format!("{name}={}", value.expose());
        match result {
            Ok(headers) => headers.iter().map(header).collect(),
            Err(wrongs) => wrongs.iter().map(wrong).collect(),
        }
    }

    #[test]
    fn headers_are_an_object_or_lines() {
        let object = |text| {
            said(Setting::from_node(
                &Node::parse(text, crate::Format::Json).unwrap(),
            ))
        };
        assert_eq!(
            object(r#"{"X-B": "b c", "Authorization": "Bearer hunter2", "X-Empty": ""}"#),
            ["Authorization=Bearer hunter2", "X-B=b c", "X-Empty="]
        );
        assert_eq!(
            said(Setting::from_text("X-B: b:c\n\nAuthorization:Bearer x\n")),
            ["Authorization=Bearer x", "X-B=b:c"]
        );
        assert_eq!(
            object(
                r#"{"Host": "hunter2", "a b": "x", "X-A": 3, "X-C": "hunter2\nX: y", "X-D": "1", "x-d": "2"}"#
            ),
            [
                ".Host: expected a header that is not set by the connection, a proxy or a browser, found \"Host\"",
                "[\"a b\"]: expected the name of a header such as \"X-Team\", found \"a b\"",
                ".X-A: expected a text, found a number",
                ".X-C: expected printable ASCII without spaces at the ends, found a text (not shown: it may be a secret)",
                ".x-d: expected a header that is given once, found it again",
            ]
        );
        assert_eq!(
            object("[]"),
            [
                ": expected an object of texts by header name, found a list (not shown: it may be a secret)"
            ]
        );
        assert_eq!(
            said(Setting::from_text("X-A: a\nhunter2")),
            [
                " line 2: expected a line \"Name: value\", found a text (not shown: it may be a secret)"
            ]
        );
    }
}
