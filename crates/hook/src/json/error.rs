//! Where a document is wrong: byte offset, path and what was expected there.

use std::borrow::Cow;
use std::fmt;

/// A document that cannot be read, with the byte offset and the path of the fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Fault>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    offset: usize,
    message: Cow<'static, str>,
    path: String,
}

impl Error {
    /// An error at a byte offset; the message says what was expected and found.
    pub fn new(offset: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Fault {
            offset,
            message: message.into(),
            path: String::new(),
        }))
    }

    /// The same error `base` bytes further on.
    pub(super) fn shifted(&self, base: usize) -> Self {
        let mut shifted = self.clone();
        shifted.0.offset += base;
        shifted
    }

    /// The byte offset in the whole document.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The path of the value, such as `[0].snapshots.nodes[17]`; empty if nobody gave one.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The same error, seen from the object whose field `key` holds the value.
    #[must_use]
    pub fn in_key(mut self, key: &str) -> Self {
        let path = &mut self.0.path;
        if !path.is_empty() && !path.starts_with('[') {
            path.insert(0, '.');
        }
        path.insert_str(0, key);
        self
    }

    /// The same error, seen from the list whose item `index` holds the value.
    #[must_use]
    pub fn in_index(mut self, index: usize) -> Self {
        let path = &mut self.0.path;
        if !path.is_empty() && !path.starts_with('[') {
            path.insert(0, '.');
        }
        path.insert_str(0, &format!("[{index}]"));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = &*self.0;
        if !fault.path.is_empty() {
            write!(f, "{}: ", fault.path)?;
        }
        write!(f, "{} at byte {}", fault.message, fault.offset)
    }
}

impl std::error::Error for Error {}
