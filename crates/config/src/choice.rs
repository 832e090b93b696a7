//! Settings that take one of a few words, and the enums that several settings fold into.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::names::NameError;

/// Makes an enum that is written as one of a few words.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $expected:literal, { $($(#[$variant_doc:meta])* $variant:ident = $word:literal $(| $alias:literal)*),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &[$name] = &[$($name::$variant),+];
            pub(crate) const EXPECTED: &str = $expected;
            /// Every word that is accepted.
            pub(crate) const WORDS: &[&str] = &[$($word $(, $alias)*),+];

            /// The word as it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word),+
                }
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                match text {
                    $($word $(| $alias)* => Ok($name::$variant),)+
                    _ => Err(NameError { expected: $expected }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choice!(
    /// The least important message that is logged. Lower case is accepted, and so are the names other tools use.
    LogLevel, "a log level (DEBUG, INFO, WARN or ERROR)", {
    /// Everything.
    Debug = "DEBUG" | "debug" | "Debug" | "TRACE" | "trace",
    /// What was done.
    Info = "INFO" | "info" | "Info",
    /// What may need a look.
    Warn = "WARN" | "warn" | "Warn" | "WARNING" | "warning" | "Warning",
    /// What failed.
    Error = "ERROR" | "error" | "Error" | "FATAL" | "fatal" | "CRITICAL" | "critical",
});
choice!(
    /// How a log line is written.
    LogFormat, "\"json\" or \"text\"", {
    /// One JSON object a line.
    Json = "json",
    /// For people.
    Text = "text",
});
choice!(
    /// What a taint does to pods that do not tolerate it.
    TaintEffect, "a taint effect (NoSchedule, PreferNoSchedule or NoExecute)", {
    /// New pods stay away.
    NoSchedule = "NoSchedule",
    /// New pods go elsewhere if they can.
    PreferNoSchedule = "PreferNoSchedule",
    /// Running pods leave, too.
    NoExecute = "NoExecute",
});
choice!(
    /// A way to deliver an alert.
    ChannelKind, "a channel (log, email, webhook, slack, dingtalk, wecom, feishu, teams, telegram, pagerduty or alertmanager)", {
    /// The log.
    Log = "log",
    /// Mail.
    Email = "email",
    /// A JSON document to any HTTP service.
    Webhook = "webhook",
    /// A Slack channel.
    Slack = "slack",
    /// A `DingTalk` group.
    Dingtalk = "dingtalk",
    /// A `WeCom` group.
    Wecom = "wecom",
    /// A Feishu or Lark group.
    Feishu = "feishu",
    /// A Microsoft Teams channel.
    Teams = "teams",
    /// A Telegram chat.
    Telegram = "telegram",
    /// `PagerDuty` events.
    Pagerduty = "pagerduty",
    /// An Alertmanager of Prometheus.
    Alertmanager = "alertmanager",
});
choice!(
    /// The language of the built-in texts.
    Language, "a language (en or zh)", {
    /// English.
    English = "en",
    /// Chinese.
    Chinese = "zh",
});

/// How a mail connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// Not at all.
    None,
    /// Begins in the clear and must switch to TLS (`useTLS`).
    StartTls,
    /// TLS from the first byte (`useSSL`, which wins over `useTLS`).
    Implicit,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, by its absolute path.
    File(std::path::PathBuf),
}

impl LogOutput {
    pub(crate) const PATTERN: &str = "^(stdout|stderr|/.*[^/])$";
    pub(crate) const EXPECTED: &str = "\"stdout\", \"stderr\" or the absolute path of a file";
}

impl FromStr for LogOutput {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "stdout" => Ok(LogOutput::Stdout),
            "stderr" => Ok(LogOutput::Stderr),
            path if path.starts_with('/') && !path.ends_with('/') => {
                Ok(LogOutput::File(path.into()))
            }
            _ => Err(NameError {
                expected: Self::EXPECTED,
            }),
        }
    }
}

impl fmt::Display for LogOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogOutput::Stdout => f.write_str("stdout"),
            LogOutput::Stderr => f.write_str("stderr"),
            LogOutput::File(path) => path.display().fmt(f),
        }
    }
}

/// How many nodes may be disrupted at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxNodes {
    /// So many.
    Count(NonZeroU32),
    /// So many of a hundred, 1 to 100.
    Percent(Percent),
}

/// A whole percentage from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(u8);

impl Percent {
    /// A percentage; none outside 1 to 100.
    pub const fn new(value: u8) -> Option<Self> {
        if value >= 1 && value <= 100 {
            Some(Percent(value))
        } else {
            None
        }
    }

    /// The number, 1 to 100.
    pub fn value(self) -> u8 {
        self.0
    }
}

impl MaxNodes {
    pub(crate) const EXPECTED: &str = "a number of nodes from 1, or a percentage such as \"30%\"";
    pub(crate) const DEFAULT: MaxNodes = MaxNodes::Percent(Percent(30));

    /// The number of nodes this allows in a cluster of `total`: rounded down, but never less than one.
    pub fn of(self, total: usize) -> usize {
        match self {
            MaxNodes::Count(count) => usize::try_from(count.get()).unwrap_or(usize::MAX),
            MaxNodes::Percent(Percent(percent)) => {
                (total.saturating_mul(percent.into()) / 100).max(1)
            }
        }
    }
}

impl FromStr for MaxNodes {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (digits, percent) = match text.strip_suffix('%') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let error = NameError {
            expected: Self::EXPECTED,
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error);
        }
        if percent {
            return digits
                .parse()
                .ok()
                .and_then(Percent::new)
                .map(MaxNodes::Percent)
                .ok_or(error);
        }
        digits.parse().map(MaxNodes::Count).map_err(|_| error)
    }
}

impl fmt::Display for MaxNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxNodes::Count(count) => count.fmt(f),
            MaxNodes::Percent(Percent(percent)) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for channel in ChannelKind::ALL {
            assert_eq!(channel.as_str().parse(), Ok(*channel));
        }
        for level in LogLevel::ALL {
            assert_eq!(level.as_str().to_lowercase().parse(), Ok(*level));
        }
        assert!("noschedule".parse::<TaintEffect>().is_err());
        assert!("".parse::<LogFormat>().is_err());
    }

    #[test]
    fn a_limit_is_at_least_one_node() {
        let table = [
            ("30%", 0, Some(1)),
            ("30%", 3, Some(1)),
            ("30%", 10, Some(3)),
            ("30%", 19, Some(5)),
            ("100%", 7, Some(7)),
            ("2", 1, Some(2)),
            ("0", 1, None),
            ("0%", 1, None),
            ("101%", 1, None),
            ("300%", 1, None),
            ("1.5%", 1, None),
            ("-1", 1, None),
            ("+1", 1, None),
            ("%", 1, None),
            ("", 1, None),
        ];
        for (text, total, expected) in table {
            assert_eq!(
                text.parse::<MaxNodes>().ok().map(|limit| limit.of(total)),
                expected,
                "{text}"
            );
        }
    }
}
