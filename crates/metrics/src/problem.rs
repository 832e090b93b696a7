//! What went wrong while readings were fetched, in words for logs and status.

use std::fmt;

use ng_engine::reading::Unknown;

/// The kind of a [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The source did not answer.
    Unreachable,
    /// The source refused the query or answered something else than readings.
    BadAnswer,
    /// No source that knows the metric is configured.
    NoSource,
    /// Series of no known node; they were left out.
    Unresolved,
    /// Series that fit several nodes; they were left out.
    Ambiguous,
    /// Readings that are too old, NaN or infinite, or cannot be compared with a capacity.
    Unusable,
    /// The source answered with a warning; the readings are valid, perhaps not complete.
    Warning,
}

impl Trouble {
    /// The name used in logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::BadAnswer => "BadAnswer",
            Self::NoSource => "NoSource",
            Self::Unresolved => "Unresolved",
            Self::Ambiguous => "Ambiguous",
            Self::Unusable => "Unusable",
            Self::Warning => "Warning",
        }
    }

    /// The reason that every node's reading has for it; `None` if only some or no readings are lost.
    pub const fn reason(self) -> Option<Unknown> {
        match self {
            Self::Unreachable => Some(Unknown::Unreachable),
            Self::BadAnswer => Some(Unknown::BadAnswer),
            Self::NoSource => Some(Unknown::NoSource),
            Self::Unresolved | Self::Ambiguous | Self::Unusable | Self::Warning => None,
        }
    }
}

/// One thing that went wrong, once a metric and source. It holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub trouble: Trouble,
    /// The metric; empty if it concerns all metrics of the source.
    pub metric: String,
    /// The address that was asked, without credentials; empty if none was.
    pub source: String,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.metric.is_empty() {
            write!(out, "{}: ", self.metric)?;
        }
        if !self.source.is_empty() {
            write!(out, "{}: ", self.source)?;
        }
        out.write_str(&self.text)
    }
}

/// `text` in one line of at most 300 characters, so that a page of HTML does not fill a log.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 300;
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(
            word.chars()
                .take(MOST)
                .filter(|letter| !letter.is_control()),
        );
        if let Some((end, _)) = line.char_indices().nth(MOST) {
            line.truncate(end);
            line.push('…');
            return line;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_becomes_one_short_line() {
        assert_eq!(shorten(" a\n\tb  c\u{7} "), "a b c");
        let long = shorten(&"é ".repeat(1000));
        assert_eq!(long.chars().count(), 301, "{long}");
        assert!(long.ends_with('…'));
        assert_eq!(shorten(&"x".repeat(300)), "x".repeat(300));
    }

    #[test]
    fn a_problem_names_metric_and_source() {
        let problem = Problem {
            trouble: Trouble::BadAnswer,
            metric: "cpuLoadRatio".to_owned(),
            source: "http://p:9090".to_owned(),
            text: "HTTP 404".to_owned(),
        };
        assert_eq!(problem.to_string(), "cpuLoadRatio: http://p:9090: HTTP 404");
    }
}
