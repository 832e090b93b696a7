//! JSON written field by field: of what stands a thousand times in one document, what repeats is put into form once.

use std::ops::Range;

use serde::Serialize;

/// An object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    before: u8,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        Self { out, before: b'{' }
    }

    /// An object whose first fields stand elsewhere.
    pub(crate) fn go_on(out: &'o mut Vec<u8>) -> Self {
        Self { out, before: b',' }
    }

    /// The place for the value of a field; in its name, nothing is to be escaped.
    pub(crate) fn field(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.out.push(self.before);
        self.before = b',';
        plain(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// A field with a text.
    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        text(self.field(name), value);
    }

    /// A field with any value.
    pub(crate) fn value(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) {
        put(self.field(name), value);
    }

    pub(crate) fn end(self) {
        if self.before == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}

/// A list whose items `write` puts down.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// A text.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    if is_plain(value.as_bytes()) {
        plain(out, value);
    } else {
        put(out, value);
    }
}

/// Whether nothing is to be escaped: no control character, quote or backslash. Eight bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EACH << 7;
    // A byte's high bit is set where it is below the limit. The borrow of such a byte may set that of the next one,
    // too, but never without such a byte.
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word & HIGH;
    let has = |word: u64| {
        let (quote, backslash) = (word ^ (EACH * 0x22), word ^ (EACH * 0x5c));
        below(word, 0x20) | below(quote, 1) | below(backslash, 1) != 0
    };
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    !has(u64::from_le_bytes(last)) && !words.iter().any(|word| has(u64::from_le_bytes(*word)))
}

/// A value as serde has it.
pub(crate) fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("texts, numbers and lists are JSON");
}

/// Numbers with their texts: what a condition has seen is most often the value of a metric that was just written, and
/// making the text takes longer than finding it.
#[derive(Default)]
pub(crate) struct Numbers {
    /// The bits of each, and where its text stands.
    written: Vec<(u64, Range<usize>)>,
}

impl Numbers {
    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.written.clear();
    }

    /// A number; where it was written before, its text is still there.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, value: f64) {
        let bits = value.to_bits();
        let known = self.written.iter().find(|(other, _)| *other == bits);
        if let Some((_, text)) = known {
            out.extend_from_within(text.clone());
        } else {
            let from = out.len();
            put(out, &value);
            self.written.push((bits, from..out.len()));
        }
    }
}

/// A text without anything to escape.
pub(crate) fn plain(out: &mut Vec<u8>, value: &str) {
    out.reserve(value.len() + 2);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_what_serde_writes() {
        let texts = [
            "",
            "worker-1",
            "a\"b",
            "a\\b",
            "a\nb\u{1f}\u{7f}",
            "节点 👧",
            "\u{0}",
        ];
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        for (name, value) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().zip(texts) {
            object.text(name, value);
        }
        object.value("number", &1.5);
        object.value("nothing", &f64::NAN);
        list(object.field("list"), texts, text);
        Object::begin(object.field("empty")).end();
        list(object.field("none"), [""; 0], text);
        object.end();
        let expected = json!({
            "a": texts[0], "b": texts[1], "c": texts[2], "d": texts[3], "e": texts[4], "f": texts[5], "g": texts[6],
            "number": 1.5, "nothing": null, "list": texts, "empty": {}, "none": [],
        });
        let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(found, expected);
        // Each byte that matters, at each place.
        let byte = |place: usize, byte: u8| {
            let mut bytes = [b'a'; 19];
            bytes[place] = byte;
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let bytes = (0..19).flat_map(|place| (0..0x80).map(move |value| byte(place, value)));
        let texts = texts.into_iter().map(str::to_owned).chain(bytes);
        for value in texts {
            let mut out = Vec::new();
            text(&mut out, &value);
            assert_eq!(out, serde_json::to_vec(&value).unwrap(), "{value:?}");
        }
    }

    #[test]
    fn a_number_is_written_alike_however_often() {
        let values = [
            0.1,
            -0.0,
            0.0,
            0.1,
            1e300,
            f64::NAN,
            7.0,
            0.1,
            f64::NAN,
            -0.0,
        ];
        let (mut numbers, mut out) = (Numbers::default(), Vec::new());
        for round in 0..2 {
            list(&mut out, values, |out, value| numbers.put(out, value));
            let expected = serde_json::to_vec(&values).unwrap();
            assert_eq!(out, expected, "{round}");
            numbers.clear();
            out.clear();
        }
    }
}
