//! A pull parser for large documents: the caller asks for what it expects, value by value.
//!
//! Nothing is built that the caller does not build. What is read is checked in full; what is
//! skipped is only searched for its end: quotes and brackets must match, no more. No input makes
//! the reader panic.

mod error;
#[cfg(test)]
mod measure;
mod scan;
mod string;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use error::Error;
use serde::Deserialize;

use crate::context::Flow;

/// How deep values may be nested.
pub const MAX_DEPTH: usize = 128;

/// What kind of value comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// `1.5e3`
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// A position in a document, from which values are taken in order.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` starts in the whole document: errors name offsets there.
    base: usize,
    depth: usize,
    /// A container has just been opened, so no comma comes before the next item.
    fresh: bool,
    window: string::Window<'a>,
}

/// The text of one value, not yet read.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Raw<'a> {
    /// The text of the value as it stands in the document.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A reader on the value; its errors name offsets of the whole document.
    pub fn reader(&self) -> Reader<'a> {
        Reader {
            base: self.offset,
            ..Reader::new(self.bytes)
        }
    }

    /// The value as a type; for small values, as serde is slower than reading by hand.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.bytes)
            .map_err(|error| Error::new(self.offset, format!("{error}, in the value")))
    }
}

impl<'a> Reader<'a> {
    /// A reader at the start of a document.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            base: 0,
            depth: 0,
            fresh: false,
            window: string::Window::default(),
        }
    }

    /// The byte offset in the whole document.
    pub fn position(&self) -> usize {
        self.base + self.at
    }

    /// How many objects and lists are open here.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// An error at this position: for values that are JSON but not what they should be.
    pub fn error(&self, message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(self.position(), message)
    }

    /// The kind of the next value.
    pub fn peek(&mut self) -> Result<Kind, Error> {
        match self.next_byte() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.expected("a value")),
        }
    }

    /// Enters an object; its fields come from [`next_key`](Self::next_key).
    pub fn begin_object(&mut self) -> Result<(), Error> {
        self.begin(b'{', "an object")
    }

    /// The next key of the object, its value comes next; `None` leaves the object.
    #[inline]
    pub fn next_key(&mut self) -> Result<Option<Cow<'a, str>>, Error> {
        if !self.next_member(b'}', "`,` or `}`")? {
            return Ok(None);
        }
        if self.next_byte() != Some(b'"') {
            return Err(self.expected("a key"));
        }
        let key = self.string()?;
        if self.next_byte() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Enters a list; its items come after [`next_item`](Self::next_item).
    pub fn begin_array(&mut self) -> Result<(), Error> {
        self.begin(b'[', "a list")
    }

    /// Whether another item comes next; `false` leaves the list.
    #[inline]
    pub fn next_item(&mut self) -> Result<bool, Error> {
        self.next_member(b']', "`,` or `]`")
    }

    /// Reads an object: `field` gets each key and may leave its value, which is then skipped.
    /// Errors carry the key.
    pub fn fields(
        &mut self,
        mut field: impl FnMut(&mut Self, &Cow<'a, str>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.begin_object()?;
        while let Some(key) = self.next_key()? {
            self.visit(|reader| field(reader, &key))
                .map_err(|error| error.in_key(&key))?;
        }
        Ok(())
    }

    /// Reads an object as [`fields`](Self::fields) does, and returns its text, too: one pass instead of a skip and a read.
    pub fn fields_of(
        &mut self,
        field: impl FnMut(&mut Self, &Cow<'a, str>) -> Result<(), Error>,
    ) -> Result<Raw<'a>, Error> {
        self.next_byte();
        let start = self.at;
        self.fields(field)?;
        Ok(self.since(start))
    }

    /// Reads a list: `item` gets each index and may leave the value, which is then skipped.
    /// Errors carry the index.
    pub fn items(
        &mut self,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.begin_array()?;
        let mut index = 0;
        while self.next_item()? {
            self.visit(|reader| item(reader, index))
                .map_err(|error| error.in_index(index))?;
            index += 1;
        }
        Ok(())
    }

    /// Lets `read` take the next value, or skips it if it was left untouched.
    #[inline]
    fn visit(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.next_byte();
        let (start, depth) = (self.at, self.depth);
        read(self)?;
        self.settle(start, depth)
    }

    /// As [`visit`](Self::visit), but a sink that stops may leave the value half read.
    pub(crate) fn visit_until(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Flow, Error>,
    ) -> Result<Flow, Error> {
        self.next_byte();
        let (start, depth) = (self.at, self.depth);
        let flow = read(self)?;
        if flow == Flow::Continue {
            self.settle(start, depth)?;
        }
        Ok(flow)
    }

    /// Skips a value that was left untouched, and refuses one that was left half read.
    #[inline]
    fn settle(&mut self, start: usize, depth: usize) -> Result<(), Error> {
        if self.at == start {
            self.skip()?;
        }
        if self.depth == depth {
            return Ok(());
        }
        Err(self.error("a value was left half read"))
    }

    /// Reads a string, borrowed unless it holds escapes.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        if self.next_byte() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        let start = self.at + 1;
        let stop = scan::string_stop(self.bytes, start);
        if self.bytes.get(stop) == Some(&b'"') {
            let text = match self.window.text(start, stop) {
                Some(text) => text,
                None => self.moved_window(start, stop)?,
            };
            self.at = stop + 1;
            return Ok(Cow::Borrowed(text));
        }
        self.escaped_string(start)
    }

    /// Checks the text around a string that is the first of its surroundings.
    #[inline(never)]
    fn moved_window(&mut self, start: usize, stop: usize) -> Result<&'a str, Error> {
        self.window = string::Window::at(self.bytes, start, stop);
        let checked = self
            .window
            .text(start, stop)
            .map_or_else(|| string::utf8(self.bytes, start, stop), Ok);
        checked.map_err(|error| self.based(&error))
    }

    #[cold]
    fn escaped_string(&mut self, start: usize) -> Result<Cow<'a, str>, Error> {
        let (text, end) = string::decode(self.bytes, start).map_err(|error| self.based(&error))?;
        self.at = end;
        Ok(Cow::Owned(text))
    }

    /// Reads a number as it is written.
    pub fn number_text(&mut self) -> Result<&'a str, Error> {
        self.next_byte();
        let start = self.at;
        let end = number_end(self.bytes, start).map_err(|at| {
            self.at = at;
            self.expected("a number")
        })?;
        self.at = end;
        string::utf8(self.bytes, start, end)
    }

    /// Reads a number; one beyond the range of `f64` is an error.
    pub fn number(&mut self) -> Result<f64, Error> {
        self.parsed_number("a number in the range of f64", |text| {
            text.parse().ok().filter(|number: &f64| number.is_finite())
        })
    }

    /// Reads a whole number.
    pub fn integer(&mut self) -> Result<i64, Error> {
        self.parsed_number("a whole number", |text| text.parse().ok())
    }

    fn parsed_number<T>(
        &mut self,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let text = self.number_text()?;
        parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            let offset = self.position() - text.len();
            Error::new(offset, format!("expected {expected}, found {shown}"))
        })
    }

    /// Reads `true` or `false`.
    pub fn bool(&mut self) -> Result<bool, Error> {
        match self.next_byte() {
            Some(b't') if self.literal(b"true") => Ok(true),
            Some(b'f') if self.literal(b"false") => Ok(false),
            _ => Err(self.expected("true or false")),
        }
    }

    /// Reads `null`.
    pub fn null(&mut self) -> Result<(), Error> {
        if self.take_null() {
            return Ok(());
        }
        Err(self.expected("null"))
    }

    /// Takes a `null` if one comes next, and says so.
    #[inline]
    pub fn take_null(&mut self) -> bool {
        self.next_byte() == Some(b'n') && self.literal(b"null")
    }

    /// Skips the next value, whatever it is.
    pub fn skip(&mut self) -> Result<(), Error> {
        match self.peek()? {
            Kind::Object | Kind::Array => {
                self.at = scan::container_end(self.bytes, self.at, self.depth)
                    .map_err(|error| self.based(&error))?;
            }
            Kind::String => {
                self.at = scan::string_end(self.bytes, self.at + 1)
                    .map_err(|error| self.based(&error))?;
            }
            Kind::Number => {
                self.number_text()?;
            }
            Kind::Bool => {
                self.bool()?;
            }
            Kind::Null => self.null()?,
        }
        Ok(())
    }

    /// Skips the next value and returns its text.
    pub fn raw(&mut self) -> Result<Raw<'a>, Error> {
        self.next_byte();
        let start = self.at;
        self.skip()?;
        Ok(self.since(start))
    }

    fn since(&self, start: usize) -> Raw<'a> {
        Raw {
            bytes: &self.bytes[start..self.at],
            offset: self.base + start,
        }
    }

    /// Checks that nothing follows the document's value.
    pub fn finish(mut self) -> Result<(), Error> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the document")),
        }
    }

    fn begin(&mut self, bracket: u8, expected: &'static str) -> Result<(), Error> {
        if self.next_byte() != Some(bracket) {
            return Err(self.expected(expected));
        }
        if self.depth >= MAX_DEPTH {
            return Err(scan::too_deep(self.position()));
        }
        self.at += 1;
        self.depth += 1;
        self.fresh = true;
        Ok(())
    }

    #[inline]
    fn next_member(&mut self, close: u8, expected: &'static str) -> Result<bool, Error> {
        let fresh = std::mem::take(&mut self.fresh);
        match self.next_byte() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                Ok(false)
            }
            Some(b',') if !fresh => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if fresh => Ok(true),
            _ => Err(self.expected(expected)),
        }
    }

    /// Passes white space; the byte there is not taken.
    #[inline]
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn literal(&mut self, word: &[u8]) -> bool {
        let found = self.bytes[self.at..].starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// An error of a function that knows only `bytes`, as an offset of the whole document.
    fn based(&self, error: &Error) -> Error {
        error.shifted(self.base)
    }

    #[cold]
    fn expected(&self, what: &str) -> Error {
        let found = match self.bytes.get(self.at) {
            None => "the end of the document".to_owned(),
            Some(b'{') => "an object".to_owned(),
            Some(b'[') => "a list".to_owned(),
            Some(b'"') => "a string".to_owned(),
            Some(byte) => format!("`{}`", byte.escape_ascii()),
        };
        self.error(format!("expected {what}, found {found}"))
    }
}

/// The index after the number at `start`, or the index of the byte that is wrong.
fn number_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let digits = |from: usize| -> Result<usize, usize> {
        let count = bytes[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count == 0 {
            Err(from)
        } else {
            Ok(from + count)
        }
    };
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    at = if bytes.get(at) == Some(&b'0') {
        at + 1
    } else {
        digits(at)?
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits(at)?;
    }
    Ok(at)
}
