//! Names with a grammar: hosts, ports, mail addresses, Kubernetes names.

use std::fmt;
use std::net::Ipv6Addr;
use std::num::NonZeroU16;
use std::str::FromStr;

/// The text is not what the type holds. It is not repeated: the caller names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct NameError {
    /// What would have been right.
    pub expected: &'static str,
}

/// A TCP port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(NonZeroU16);

impl Port {
    /// The port for mail submission.
    pub const SUBMISSION: Port = Port(NonZeroU16::MIN.saturating_add(586));
    pub(crate) const EXPECTED: &str = "a port number";

    /// A port from its number; zero is none.
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Port)
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0.get()
    }
}

impl FromStr for Port {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.and_then(Port::new).ok_or(NameError {
            expected: Self::EXPECTED,
        })
    }
}

/// Makes a text type whose only door is its check.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            pub(crate) const EXPECTED: &str = $expected;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok($name(text.to_owned())) } else { Err(NameError { expected: $expected }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// A host name or IP address, without scheme and port.
    Host, "a host name or address without a port", is_host
);
checked_text!(
    /// A mail address, bare (`ops@example.com`) or with a name (`Ops <ops@example.com>`).
    EmailAddress, "an email address", is_email
);
checked_text!(
    /// A key of a taint, label or annotation: `name` or `domain/name`.
    QualifiedName, "a Kubernetes key such as \"nodeguardian.io/status\"", is_qualified_name
);
checked_text!(
    /// What our label keys begin with; with a name appended it is a [`QualifiedName`].
    LabelPrefix, "the beginning of a Kubernetes key, such as \"nodeguardian.io/\"",
    |text| is_qualified_name(&format!("{text}x"))
);
checked_text!(
    /// The name of a namespace.
    NamespaceName, "the name of a namespace", is_dns_label
);
checked_text!(
    /// The name of a metric of one's own.
    MetricName, "a name of letters, digits, `_` and `-`, beginning with a letter",
    |text| text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
);
checked_text!(
    /// A Telegram chat: its number, or `@name` of a public channel.
    ChatId, "a chat number or \"@channel\"",
    |text| text.parse::<i64>().is_ok() || (text.len() > 1 && text.starts_with('@') && is_one_word(text))
);

impl MetricName {
    /// The same grammar as a regular expression, for the schema.
    pub(crate) const PATTERN: &str = "^[A-Za-z][A-Za-z0-9_-]{0,62}$";
}

fn is_one_word(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_host(text: &str) -> bool {
    let name = !text.is_empty()
        && text.len() <= 253
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    name || text.parse::<Ipv6Addr>().is_ok()
}

/// Not the whole grammar of mail: what tells a slip from an address, and keeps line ends out of headers.
fn is_email(text: &str) -> bool {
    let address = match text.split_once('<') {
        None => text,
        Some((name, rest)) if !name.chars().any(char::is_control) => {
            rest.strip_suffix('>').unwrap_or("")
        }
        Some(_) => "",
    };
    let parts = address.rsplit_once('@');
    is_one_word(address)
        && !address.contains(['<', '>', ','])
        && parts.is_some_and(|(user, domain)| {
            !user.is_empty() && (is_host(domain) || is_literal(domain))
        })
}

/// `[10.0.0.1]`, the form of a mail domain that is an address.
fn is_literal(domain: &str) -> bool {
    domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(is_one_word)
}

fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_qualified_name(text: &str) -> bool {
    let (domain, name) = match text.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, text),
    };
    let edge = |c: char| c.is_ascii_alphanumeric();
    domain.is_none_or(|domain| domain.len() <= 253 && domain.split('.').all(is_dns_label))
        && (1..=63).contains(&name.len())
        && name.starts_with(edge)
        && name.ends_with(edge)
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

impl Host {
    /// The same grammar as a regular expression, for the schema.
    pub(crate) const PATTERN: &str =
        "^([A-Za-z0-9_][A-Za-z0-9._-]{0,252}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$";
}

impl EmailAddress {
    /// The same grammar as a regular expression, for the schema.
    pub(crate) const PATTERN: &str =
        "^([^<>\\x00-\\x1f]*<[^<>,\\s]+@[^<>,\\s@:]+>|[^<>,\\s]+@[^<>,\\s@:]+)$";
}

impl QualifiedName {
    /// The same grammar as a regular expression, for the schema.
    pub(crate) const PATTERN: &str = "^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$";
}

impl LabelPrefix {
    /// The same grammar as a regular expression, for the schema.
    pub(crate) const PATTERN: &str = "^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?([A-Za-z0-9][A-Za-z0-9._-]{0,61})?$";
}

impl NamespaceName {
    /// The same grammar as a regular expression, for the schema.
    pub(crate) const PATTERN: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "{text:?} is good");
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "{text:?} is bad");
        }
    }

    #[test]
    fn each_grammar_tells_good_from_bad() {
        check::<Port>(
            &["1", "587", "65535"],
            &["", "0", "65536", "-1", "+1", "abc", "5 "],
        );
        check::<Host>(
            &["smtp.gmail.com", "10.0.0.1", "::1", "my_host"],
            &[
                "",
                "host:25",
                "http://host",
                "a b",
                "-host",
                "[::1]",
                "host\n",
            ],
        );
        check::<EmailAddress>(
            &[
                "a@b.c",
                "Ops <ops@example.com>",
                "ops+x@localhost",
                "root@[10.0.0.1]",
            ],
            &[
                "",
                "a",
                "@b",
                "a@",
                "a@b\nBcc: x@y",
                "A\n <a@b>",
                "Ops <ops>",
                "a@b, c@d",
                "a b@c",
                "<a@b",
                "a@b>",
            ],
        );
        check::<QualifiedName>(
            &["nodeguardian.io/status", "status", "a.b/c_d.e"],
            &[
                "",
                "/status",
                "a/",
                "a/b/c",
                "-a",
                "Domain.io/x",
                "a/-b",
                "x y",
            ],
        );
        check::<LabelPrefix>(&["nodeguardian.io/", "ng-"], &["a b/", "/", "a/b/"]);
        check::<NamespaceName>(&["kube-system", "a"], &["", "Kube", "-a", "a-", "a.b", "*"]);
        check::<MetricName>(&["gpuTemperature", "a_b-1"], &["", "1a", "a.b", "a b", "{"]);
        check::<ChatId>(
            &["-1001234567890", "42", "@channel"],
            &["", "@", "channel", "@a b"],
        );
    }
}
