//! JSON written field by field: of what stands a thousand times in one document, what repeats is put into form once.

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

    /// The place for the value of a field.
    pub(crate) fn field(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.push(self.before);
        self.before = b',';
        text(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// A field with a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        text(self.field(name), value);
    }

    /// A field with any value.
    pub(crate) fn value(&mut self, name: &str, value: &impl Serialize) {
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
    let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    if value.as_bytes().iter().all(is_plain) {
        plain(out, value);
    } else {
        put(out, value);
    }
}

/// A value as serde has it.
pub(crate) fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("texts, numbers and lists are JSON");
}

/// A text without anything to escape.
fn plain(out: &mut Vec<u8>, value: &str) {
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
        for value in texts {
            let mut out = Vec::new();
            text(&mut out, value);
            assert_eq!(out, serde_json::to_vec(value).unwrap(), "{value:?}");
        }
    }
}
