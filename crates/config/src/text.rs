//! How each type that is written as a text is read and shown.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Number, Value, json};

use crate::choice::{ChannelKind, Language, LogFormat, LogLevel, LogOutput, MaxNodes, TaintEffect};
use crate::duration;
use crate::model::MetricsServer;
use crate::names::{self, ChatId, EmailAddress, Host, LabelPrefix, NamespaceName, QualifiedName};
use crate::secret::{MASK, Secret, SecretUrl};
use crate::setting::{Text, whole};
use crate::size::ByteSize;
use crate::url::{HttpUrl, without_login};

/// The schema of texts of one form.
fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

/// At least one digit that is not zero.
const NOT_ZERO: &str = "[1-9]";

/// The same where an empty text says that the file does not set the value.
fn pattern_or_blank(form: &str) -> Value {
    pattern(&format!("^$|{form}"))
}

/// Text settings whose type says all there is to say about a wrong value.
macro_rules! text_setting {
    ($($type:ty),+) => {
        $(impl Text for $type {
            const EXPECTED: &str = <$type>::EXPECTED;

            fn parse(text: &str) -> Result<Self, Option<String>> {
                text.parse().map_err(|_: names::NameError| None)
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn schema() -> Value {
                pattern(<$type>::PATTERN)
            }
        })+
    };
}

text_setting!(LogOutput, NamespaceName);

/// The same for names whose absence in the file may be spelled as an empty text.
macro_rules! name_setting {
    ($($type:ty),+) => {
        $(impl Text for $type {
            const EXPECTED: &str = <$type>::EXPECTED;
            const BLANK_IS_UNSET: bool = true;

            fn parse(text: &str) -> Result<Self, Option<String>> {
                text.parse().map_err(|_: names::NameError| None)
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn schema() -> Value {
                pattern_or_blank(<$type>::PATTERN)
            }
        })+
    };
}

name_setting!(Host, EmailAddress, QualifiedName, LabelPrefix);

/// Settings that take one of a few words.
macro_rules! choice_setting {
    ($($type:ty),+) => {
        $(impl Text for $type {
            const EXPECTED: &str = <$type>::EXPECTED;

            fn parse(text: &str) -> Result<Self, Option<String>> {
                let nearest = || crate::suggest::nearest(text, <$type>::ALL.iter().map(|choice| choice.as_str()));
                text.parse().map_err(|_: names::NameError| nearest().map(|word| format!("did you mean \"{word}\"?")))
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn schema() -> Value {
                json!({"type": "string", "enum": <$type>::WORDS})
            }
        })+
    };
}

choice_setting!(Language, LogLevel, LogFormat, TaintEffect, ChannelKind);

impl Text for String {
    const EXPECTED: &str = "a text";
    const BLANK_IS_UNSET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Text for Secret {
    fn schema() -> Value {
        json!({"type": "string", "writeOnly": true})
    }

    const EXPECTED: &str = "a text";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        Ok(Secret::new(text))
    }

    fn show(&self) -> String {
        MASK.to_owned()
    }
}

const URL_EXPECTED: &str = "an http or https URL";

impl Text for SecretUrl {
    fn schema() -> Value {
        let mut schema = pattern_or_blank(HttpUrl::PATTERN);
        schema["writeOnly"] = true.into();
        schema
    }

    const EXPECTED: &str = URL_EXPECTED;
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        text.parse()
            .map_err(|error: crate::url::UrlError| Some(error.to_string()))
    }

    fn show(&self) -> String {
        MASK.to_owned()
    }
}

impl Text for HttpUrl {
    const EXPECTED: &str = URL_EXPECTED;
    const BLANK_IS_UNSET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        text.parse()
            .map_err(|error: crate::url::UrlError| Some(error.to_string()))
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn show_as(&self, _written: &str) -> String {
        Text::show(self)
    }

    fn schema() -> Value {
        pattern_or_blank(HttpUrl::PATTERN)
    }
}

impl Text for PathBuf {
    const EXPECTED: &str = "the absolute path of a file";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        if text.starts_with('/') {
            Ok(text.into())
        } else {
            Err(None)
        }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }

    fn schema() -> Value {
        pattern_or_blank("^/")
    }
}

impl Text for ChatId {
    const EXPECTED: &str = ChatId::EXPECTED;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        text.parse().map_err(|_| None)
    }

    fn from_number(number: &Number) -> Option<Self> {
        number.to_string().parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn schema() -> Value {
        json!({"type": ["string", "integer"], "pattern": "^$|^[-+]?[0-9]+$|^@[^\\s\\x00-\\x1f]+$"})
    }
}

impl Text for MaxNodes {
    const EXPECTED: &str = MaxNodes::EXPECTED;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        text.parse().map_err(|_| None)
    }

    fn from_number(number: &Number) -> Option<Self> {
        let count = u32::try_from(whole(number)?).ok()?;
        NonZeroU32::new(count).map(MaxNodes::Count)
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn schema() -> Value {
        json!({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^([1-9][0-9]?|100)%$|^[1-9][0-9]*$"}]})
    }
}

impl Text for ByteSize {
    const EXPECTED: &str = "a size such as \"100MB\"";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        text.parse()
            .map_err(|error: crate::size::SizeError| Some(error.to_string()))
    }

    fn from_number(number: &Number) -> Option<Self> {
        whole(number).and_then(|bytes| ByteSize::new(bytes).ok())
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn schema() -> Value {
        json!({"type": ["string", "integer"], "minimum": 1, "pattern": ByteSize::PATTERN, "allOf": [{"pattern": NOT_ZERO}], "examples": ["100MB", "64MiB"]})
    }
}

const NEEDS_UNIT: &str = "a number needs a unit";

impl Text for Duration {
    const EXPECTED: &str = "a duration such as \"30s\"";
    const NOT_A_NUMBER: Option<&str> = Some(NEEDS_UNIT);

    fn parse(text: &str) -> Result<Self, Option<String>> {
        duration::parse(text).map_err(|error| Some(error.to_string()))
    }

    /// Zero needs no unit; any other bare number is a guess.
    fn from_number(number: &Number) -> Option<Self> {
        (number.as_u64() == Some(0)).then_some(Duration::ZERO)
    }

    fn show(&self) -> String {
        duration::format(*self)
    }

    fn schema() -> Value {
        json!({
            "type": ["string", "integer"],
            "minimum": 0,
            "maximum": 0,
            "pattern": duration::PATTERN,
            "examples": ["500ms", "30s", "1m30s", "2h", "7d"],
        })
    }
}

/// A duration that is an interval or a limit, where zero would mean "always" or "never".
pub(crate) struct Positive(pub(crate) Duration);

impl Text for Positive {
    const EXPECTED: &str = "a duration above zero such as \"30s\"";
    const NOT_A_NUMBER: Option<&str> = Some(NEEDS_UNIT);

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let duration = <Duration as Text>::parse(text)?;
        if duration.is_zero() {
            Err(None)
        } else {
            Ok(Positive(duration))
        }
    }

    fn show(&self) -> String {
        Text::show(&self.0)
    }

    fn schema() -> Value {
        let mut schema = <Duration as Text>::schema();
        schema["type"] = "string".into();
        schema["allOf"] = json!([{"pattern": NOT_ZERO}]);
        schema
    }
}

/// The metrics API by its service name. It stands for "through the API server in use", which is what it names.
const METRICS_API: &str = "https://kubernetes.default.svc:443/apis/metrics.k8s.io/v1beta1";

impl Text for MetricsServer {
    const EXPECTED: &str = URL_EXPECTED;
    const BLANK_IS_UNSET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        if text.trim_end_matches('/') == METRICS_API {
            return Ok(MetricsServer::ApiServer);
        }
        <HttpUrl as Text>::parse(text).map(MetricsServer::Url)
    }

    fn show(&self) -> String {
        match self {
            MetricsServer::ApiServer => METRICS_API.to_owned(),
            MetricsServer::Url(url) => url.to_string(),
        }
    }

    fn show_as(&self, written: &str) -> String {
        without_login(written)
    }

    fn schema() -> Value {
        pattern_or_blank(HttpUrl::PATTERN)
    }
}
