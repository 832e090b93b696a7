//! Finding the end of strings and containers without looking at what they say.

use super::{Error, MAX_DEPTH};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The index of the first quote, backslash or control character at or after `at`,
/// or the length of the document.
#[inline]
pub(super) fn string_stop(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(block) = bytes
        .get(at..at + 8)
        .and_then(|block| block.try_into().ok())
    {
        let found = string_marks(u64::from_le_bytes(block));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            break;
        }
        at += 1;
    }
    at
}

/// Marks the bytes that end a plain stretch of string. A borrow can set wrong marks, but only
/// above a right one, so the lowest mark is always right.
#[inline]
fn string_marks(word: u64) -> u64 {
    let quote = word ^ (ONES * u64::from(b'"'));
    let backslash = word ^ (ONES * u64::from(b'\\'));
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    (below(quote, 1) | below(backslash, 1) | below(word, 0x20)) & HIGHS
}

/// The index after the closing quote of the string whose text starts at `start`.
pub(super) fn string_end(bytes: &[u8], start: usize) -> Result<usize, Error> {
    let mut at = start;
    loop {
        let stop = string_stop(bytes, at);
        match bytes.get(stop) {
            Some(b'"') => return Ok(stop + 1),
            Some(b'\\') => at = stop + 2,
            Some(_) => at = stop + 1,
            None => return Err(Error::new(bytes.len(), "the document ends inside a string")),
        }
    }
}

/// The index after the object or list that opens at `at`, itself `depth` levels deep.
/// Quotes and brackets must match; what stands between them is not looked at.
pub(super) fn container_end(bytes: &[u8], at: usize, depth: usize) -> Result<usize, Error> {
    let mut open = Brackets::new(depth);
    let mut at = at;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at + 1)?;
                continue;
            }
            b'{' | b'[' => open.push(byte, at)?,
            b'}' | b']' if open.pop(byte, at)? => return Ok(at + 1),
            _ => {}
        }
        at += 1;
    }
    Err(Error::new(bytes.len(), "the document ends inside a value"))
}

/// The open brackets of a value that is skipped: one bit each, set for an object.
struct Brackets {
    objects: u128,
    open: usize,
    limit: usize,
}

impl Brackets {
    fn new(depth: usize) -> Self {
        Self {
            objects: 0,
            open: 0,
            limit: MAX_DEPTH.saturating_sub(depth),
        }
    }

    fn push(&mut self, byte: u8, at: usize) -> Result<(), Error> {
        if self.open >= self.limit {
            return Err(too_deep(at));
        }
        self.objects = self.objects << 1 | u128::from(byte == b'{');
        self.open += 1;
        Ok(())
    }

    /// Closes the innermost bracket; true when it was the outermost, too.
    fn pop(&mut self, byte: u8, at: usize) -> Result<bool, Error> {
        if (self.objects & 1 == 1) != (byte == b'}') {
            return Err(Error::new(at, "a bracket closes one of the other kind"));
        }
        self.objects >>= 1;
        self.open -= 1;
        Ok(self.open == 0)
    }
}

pub(super) fn too_deep(at: usize) -> Error {
    Error::new(at, format!("more than {MAX_DEPTH} levels of nesting"))
}
