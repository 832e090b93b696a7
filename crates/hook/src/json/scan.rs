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
    let mut strings = Strings::default();
    let (blocks, rest) = bytes[at..].as_chunks::<BLOCK>();
    let mut last = [b' '; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let mut start = at;
    for block in blocks.iter().chain(std::iter::once(&last)) {
        let mut brackets = positions(block, is_bracket) & !strings.inside(block);
        while brackets != 0 {
            let place = brackets.trailing_zeros() as usize;
            brackets &= brackets - 1;
            if open.take(block[place], start + place)? {
                return Ok(start + place + 1);
            }
        }
        start += BLOCK;
    }
    Err(strings.unfinished(bytes.len()))
}

/// As many bytes as a word has bits: what is found in a block is a bit each.
const BLOCK: usize = 64;

fn is_bracket(byte: u8) -> bool {
    // One bit tells `[` from `{`, and `]` from `}`.
    matches!(byte | 0x20, b'{' | b'}')
}

/// The places of the bytes that `found` picks, one bit each. Written as two plain loops, since
/// the compiler then compares 16 bytes at a time; most blocks have none of a kind.
#[inline]
fn positions(block: &[u8; BLOCK], found: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0; BLOCK];
    let mut any = 0;
    for (flag, &byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(found(byte));
        any |= *flag;
    }
    if any == 0 {
        return 0;
    }
    let (words, _) = flags.as_chunks::<8>();
    words.iter().rev().fold(0, |bits, word| {
        // Moves the lowest bits of eight bytes into the highest byte.
        let packed = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits << 8 | packed
    })
}

/// Where strings begin and end, carried from block to block.
#[derive(Default)]
struct Strings {
    /// All ones after a block that ends inside a string.
    open: u64,
    /// One if the first byte of the next block is escaped.
    escaped: u64,
}

impl Strings {
    /// The places inside of strings, opening quotes included.
    #[inline]
    fn inside(&mut self, block: &[u8; BLOCK]) -> u64 {
        let backslashes = positions(block, |byte| byte == b'\\');
        let mut quotes = positions(block, |byte| byte == b'"');
        if backslashes | self.escaped != 0 {
            quotes &= !self.escaped_places(backslashes);
        }
        let inside = every_other(quotes) ^ self.open;
        self.open = 0_u64.wrapping_sub(inside >> 63);
        inside
    }

    /// The places that follow a backslash which is not escaped itself.
    ///
    /// In a run of backslashes every other one escapes, counted from its start. The subtraction
    /// borrows along a whole run at once, and leaves different marks at its even and odd places.
    #[inline]
    fn escaped_places(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        let starts = backslashes & !self.escaped;
        let marks = (starts << 1 | ODD).wrapping_sub(starts) ^ ODD;
        let places = marks ^ (backslashes | self.escaped);
        self.escaped = (marks & backslashes) >> 63;
        places
    }

    fn unfinished(&self, length: usize) -> Error {
        let what = if self.open == 0 { "value" } else { "string" };
        Error::new(length, format!("the document ends inside a {what}"))
    }
}

/// All places from each odd set bit up to the next set one.
#[inline]
fn every_other(bits: u64) -> u64 {
    (0..6).fold(bits, |bits, step| bits ^ bits << (1 << step))
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

    /// Takes a bracket; true when it closes the outermost one.
    #[inline]
    fn take(&mut self, byte: u8, at: usize) -> Result<bool, Error> {
        match byte {
            b'{' | b'[' => self.push(byte, at).map(|()| false),
            _ => self.pop(byte, at),
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
