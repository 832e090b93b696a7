//! Text that must not reach a log, an error or a debug print.

use std::fmt;

/// A token, password or URL with a password; `Debug` hides it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

/// Replaces everything that may be a token, so that the text of a foreign program can be shown.
pub(crate) fn hide_tokens(text: &str) -> String {
    let is_token_char = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run = rest.find(|c| !is_token_char(c)).unwrap_or(rest.len());
        if run == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let word = &rest[..run];
        out.push_str(if may_be_token(word) { "[hidden]" } else { word });
        rest = &rest[run..];
    }
    out
}

/// Long words with a long part: host names, API versions and paths have short ones.
fn may_be_token(word: &str) -> bool {
    const WORD: usize = 20;
    const PART: usize = 16;
    let is_path = word.starts_with('/') || word.starts_with("./") || word.starts_with("../");
    let longest = word.split(['.', '/']).map(str::len).max();
    !is_path && word.len() >= WORD && longest >= Some(PART)
}

/// At most `limit` characters of one line, for the end of an error message.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    let mut short: String = line.chars().take(limit).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_text() {
        assert_eq!(format!("{:?}", Secret::new("s3cr3t")), "Secret(hidden)");
    }

    #[test]
    fn long_words_are_hidden_and_paths_are_not() {
        let table = [
            (
                "token eyJhbGciOiJSUzI1NiIsImtpZCI6 bad",
                "token [hidden] bad",
            ),
            ("AWS_KEY=AKIAABCDEFGHIJKLMNOPQRST", "[hidden]"),
            (
                "open /home/somebody/.aws/credentials: no such file",
                "open /home/somebody/.aws/credentials: no such file",
            ),
            (
                "https://sts.eu-central-1.amazonaws.com refused",
                "https://sts.eu-central-1.amazonaws.com refused",
            ),
            ("join abcdef.0123456789abcdef", "join [hidden]"),
            ("größe 12", "größe 12"),
        ];
        for (text, expected) in table {
            assert_eq!(hide_tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn shortening_keeps_one_line() {
        assert_eq!(shorten("a\nb  c", 10), "a b c");
        assert_eq!(shorten("abcdef", 3), "abc…");
    }
}
