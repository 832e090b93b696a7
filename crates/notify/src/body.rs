//! The body of a request: what stands in it many times is kept once.
//!
//! A thousand nodes are half a megabyte of JSON, most of which they have in common. Memory that is touched for the
//! first time costs more than all else there is to do about it, so such a body becomes whole only in the buffer it is
//! sent from.

use std::io::{self, Read};
use std::{mem, slice};

/// Bytes, some of which stand for more than one place.
#[derive(Default)]
pub(crate) struct Body {
    /// What stands in one place, in order.
    own: Vec<u8>,
    /// What may stand in many.
    kept: Vec<u8>,
    /// In order.
    places: Vec<Place>,
    /// How many of its own bytes come before the last place.
    before: usize,
    /// How many bytes all texts at their places are.
    placed: u32,
}

/// A text that is kept: where it begins and ends. Small, since there are some for every node.
#[derive(Clone, Copy, Default)]
pub(crate) struct Text {
    start: u32,
    end: u32,
}

/// Where a text stands.
#[derive(Clone, Copy)]
struct Place {
    /// How many bytes of its own the body has since the place before.
    after: u32,
    text: Text,
}

impl Body {
    /// With room for this many bytes, texts and places, so that they need not be moved while it grows.
    pub(crate) fn with_room(own: usize, kept: usize, places: usize) -> Self {
        Self {
            own: Vec::with_capacity(own),
            kept: Vec::with_capacity(kept),
            places: Vec::with_capacity(places),
            ..Self::default()
        }
    }

    /// The place for what comes next and stands nowhere else.
    pub(crate) fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Keeps what `write` puts down, which stands nowhere yet.
    pub(crate) fn keep(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Text {
        Text::within(&mut self.kept, write)
    }

    /// Puts a text that is kept next.
    pub(crate) fn put(&mut self, text: Text) {
        let after = position(&self.own[self.before..]);
        self.before = self.own.len();
        self.placed += text.end - text.start;
        match self.places.last_mut() {
            // What was kept together mostly stands together.
            Some(last) if after == 0 && last.text.end == text.start => last.text.extend(text),
            _ => self.places.push(Place { after, text }),
        }
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.own.len() + size(self.placed)
    }

    /// The parts that make up the body one after another.
    fn parts(&self) -> Parts<'_> {
        Parts {
            own: &self.own,
            kept: &self.kept,
            places: self.places.iter(),
            text: None,
        }
    }

    /// The body in one piece.
    pub(crate) fn whole(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.len());
        self.parts().for_each(|part| whole.extend_from_slice(part));
        whole
    }

    /// Reads it from its beginning.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader {
            part: &[],
            parts: self.parts(),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(own: Vec<u8>) -> Self {
        Self {
            own,
            ..Self::default()
        }
    }
}

impl Text {
    /// What `write` adds to kept texts.
    pub(crate) fn within(kept: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let start = position(kept);
        write(kept);
        let end = position(kept);
        Self { start, end }
    }

    /// Adds the text that was kept right after it.
    pub(crate) fn extend(&mut self, next: Self) {
        self.end = next.end;
    }

    fn of(self, kept: &[u8]) -> &[u8] {
        kept.get(size(self.start)..size(self.end))
            .unwrap_or_default()
    }
}

/// The end of what is written. No body comes near four gigabytes.
fn position(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn size(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// The parts of a body in order.
struct Parts<'b> {
    /// The rest of what stands in one place.
    own: &'b [u8],
    kept: &'b [u8],
    places: slice::Iter<'b, Place>,
    /// What comes next, if it is known.
    text: Option<&'b [u8]>,
}

impl<'b> Iterator for Parts<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        if let Some(text) = self.text.take() {
            return Some(text);
        }
        let Some(place) = self.places.next() else {
            let rest = mem::take(&mut self.own);
            return (!rest.is_empty()).then_some(rest);
        };
        self.text = Some(place.text.of(self.kept));
        self.own.split_off(..size(place.after))
    }
}

/// A body as it is sent.
pub(crate) struct Reader<'b> {
    /// The rest of the part that was begun.
    part: &'b [u8],
    parts: Parts<'b>,
}

impl Read for Reader<'_> {
    /// As much as there is room for, since each call becomes a write.
    fn read(&mut self, mut room: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while !room.is_empty() {
            if self.part.is_empty() {
                match self.parts.next() {
                    Some(part) => self.part = part,
                    None => break,
                }
            }
            let read = self.part.read(room)?;
            room = &mut room[read..];
            count += read;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts before, after and between own bytes, and one right after another.
    fn body() -> Body {
        let mut body = Body::default();
        let text =
            |body: &mut Body, text: &str| body.keep(|out| out.extend_from_slice(text.as_bytes()));
        let [one, two, none] = ["one", "two", ""].map(|word| text(&mut body, word));
        body.put(one);
        body.own().extend_from_slice(b"-");
        for again in [two, one, two, none, one] {
            body.put(again);
        }
        body.own().extend_from_slice(b"+");
        body.own().extend_from_slice(b"+");
        body.put(two);
        body.own().extend_from_slice(b".");
        body
    }

    const WHOLE: &[u8] = b"one-twoonetwoone++two.";

    #[test]
    fn texts_stand_wherever_they_are_put() {
        let body = body();
        assert_eq!(body.whole(), WHOLE);
        assert_eq!(body.len(), WHOLE.len());
        assert_eq!(body.parts().collect::<Vec<_>>().concat(), WHOLE);
        for bytes in [&b"whole"[..], b""] {
            let body = Body::from(bytes.to_vec());
            assert_eq!((body.whole(), body.len()), (bytes.to_vec(), bytes.len()));
        }
    }

    #[test]
    fn what_is_read_fills_the_room_until_the_end() {
        for room in 1..=WHOLE.len() + 1 {
            let body = body();
            let mut reader = body.reader();
            let mut read = Vec::new();
            let mut part = vec![0; room];
            loop {
                let count = reader.read(&mut part).unwrap();
                read.extend_from_slice(&part[..count]);
                if count < room {
                    break;
                }
            }
            assert_eq!(read, WHOLE, "{room}");
            assert_eq!(reader.read(&mut part).unwrap(), 0);
        }
    }
}
