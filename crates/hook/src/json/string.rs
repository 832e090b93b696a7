//! The text of strings: checked to be UTF-8, and decoded where it holds escapes.

use super::{Error, scan};

/// A stretch of the document that is known to be UTF-8. To check a stretch takes little more than
/// to check one of the many short strings in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Window<'a> {
    text: &'a str,
    start: usize,
}

/// How much is checked at once; small, since what follows may be skipped.
const WINDOW: usize = 1024;

impl<'a> Window<'a> {
    /// The window from `start` on, up to the first fault or split character.
    pub(super) fn at(bytes: &'a [u8], start: usize, end: usize) -> Self {
        let limit = end.max(start + WINDOW).min(bytes.len());
        let bytes = &bytes[start..limit];
        let text = std::str::from_utf8(bytes).unwrap_or_else(|error| {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        });
        Self { text, start }
    }

    /// The text between two indexes of the document, if the window holds it.
    #[inline]
    pub(super) fn text(&self, start: usize, end: usize) -> Option<&'a str> {
        let from = start.checked_sub(self.start)?;
        self.text.get(from..from + (end - start))
    }
}

/// Decodes the string whose text starts at `start`, after its opening quote.
/// Returns the text and the index after the closing quote.
pub(super) fn decode(bytes: &[u8], start: usize) -> Result<(String, usize), Error> {
    let mut text = String::new();
    let mut at = start;
    loop {
        let stop = scan::string_stop(bytes, at);
        text.push_str(utf8(bytes, at, stop)?);
        match bytes.get(stop) {
            Some(b'"') => return Ok((text, stop + 1)),
            Some(b'\\') => {
                let (character, next) = escape(bytes, stop)?;
                text.push(character);
                at = next;
            }
            Some(_) => return Err(Error::new(stop, "unescaped control character in a string")),
            None => return Err(Error::new(bytes.len(), "the document ends inside a string")),
        }
    }
}

/// The text between two indexes, if it is UTF-8.
pub(super) fn utf8(bytes: &[u8], start: usize, end: usize) -> Result<&str, Error> {
    std::str::from_utf8(&bytes[start..end])
        .map_err(|error| Error::new(start + error.valid_up_to(), "a string is not valid UTF-8"))
}

/// Decodes the escape whose backslash is at `at`; returns the index after it.
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), Error> {
    let character = match bytes.get(at + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(bytes, at),
        Some(_) => return Err(Error::new(at, "unknown escape in a string")),
        None => return Err(Error::new(bytes.len(), "the document ends inside a string")),
    };
    Ok((character, at + 2))
}

fn unicode_escape(bytes: &[u8], at: usize) -> Result<(char, usize), Error> {
    let first = hex4(bytes, at + 2)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, at + 6));
    }
    let lone = || Error::new(at, "lone surrogate in an escape of a string");
    if first >= 0xDC00 || bytes.get(at + 6..at + 8) != Some(b"\\u") {
        return Err(lone());
    }
    let second = hex4(bytes, at + 8)?;
    if !(0xDC00..0xE000).contains(&second) {
        return Err(lone());
    }
    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    char::from_u32(code)
        .map(|character| (character, at + 12))
        .ok_or_else(lone)
}

fn hex4(bytes: &[u8], at: usize) -> Result<u32, Error> {
    let digits = bytes
        .get(at..at + 4)
        .ok_or_else(|| Error::new(bytes.len(), "the document ends inside a string"))?;
    digits.iter().try_fold(0, |code, &byte| {
        char::from(byte)
            .to_digit(16)
            .map(|digit| code * 16 + digit)
            .ok_or_else(|| Error::new(at, "expected four hexadecimal digits after \\u"))
    })
}
