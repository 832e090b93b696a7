//! Names of nodes as they stand in a column: what all end with first, then, a line each, what is left of them.
//!
//! In a cluster most names end alike, with the name of a domain, and those that are neighbours begin alike, too: of each,
//! the column says how much of the name before it is the same, as one sign, and goes on from there. What is written is
//! what a run waits for.

use std::ops::Range;

use super::names as lines;

/// Begins a column. One that begins otherwise says nothing of names before: the lines are the names without their end.
const MARK: char = '\u{1}';
/// The sign for nothing in common; the ones that follow stand for a byte more each.
const NONE: u8 = b' ';
/// The most bytes of the name before, up to the last sign that can be seen.
const MOST: usize = (b'~' - NONE) as usize;

/// The column of names, which are one a line and ascend.
pub fn packed(names: &str) -> String {
    let end = common_end(names);
    let mut column = String::with_capacity(names.len() + 2);
    column.push(MARK);
    column.push_str(end);
    let mut before = "";
    for name in lines(names) {
        let name = name.strip_suffix(end).unwrap_or(name);
        let same = common_start(before, name);
        push(&mut column, same, &name[same..]);
        before = name;
    }
    column
}

/// Adds a name that has so much in common with the one before it.
fn push(column: &mut String, same: usize, rest: &str) {
    column.push('\n');
    let sign = u8::try_from(same.min(MOST)).map_or(NONE, |same| NONE + same);
    column.push(char::from(sign));
    column.push_str(rest);
}

/// A column, taken apart.
struct Column<'c> {
    end: &'c str,
    /// The lines after the first.
    rest: &'c str,
    is_marked: bool,
}

impl<'c> Column<'c> {
    fn of(column: &'c str) -> Self {
        let (end, rest) = column.split_once('\n').unwrap_or_default();
        match end.strip_prefix(MARK) {
            Some(end) => Self {
                end,
                rest,
                is_marked: true,
            },
            None => Self {
                end,
                rest,
                is_marked: false,
            },
        }
    }

    /// Adds entries to the last part.
    fn copy(&self, entries: Range<usize>, parts: &mut [(&str, String)]) {
        // Each ends with a line break, but for the last one of all.
        let entries = self.rest.get(entries.start..(entries.end.max(1) - 1));
        if let (Some(entries), Some((_, part))) = (entries, parts.last_mut())
            && !entries.is_empty()
        {
            part.push('\n');
            part.push_str(entries);
        }
    }

    fn entries(&self) -> Entries<'c> {
        Entries {
            rest: Some(self.rest.as_bytes()),
            is_marked: self.is_marked,
            before: 0,
        }
    }
}

/// What is said of a name.
struct Entry<'c> {
    /// How many bytes it has in common with the name before.
    same: usize,
    /// What comes then, up to what all end with.
    rest: &'c [u8],
}

struct Entries<'c> {
    rest: Option<&'c [u8]>,
    is_marked: bool,
    /// The length of the name before, without its end.
    before: usize,
}

impl<'c> Iterator for Entries<'c> {
    type Item = Entry<'c>;

    fn next(&mut self) -> Option<Entry<'c>> {
        let text = self.rest?;
        // Most are shorter than it takes to begin a search for the line break that would be faster for others.
        let cut = text.iter().position(|byte| *byte == b'\n');
        let (line, others) = match cut {
            Some(cut) => (&text[..cut], Some(&text[cut + 1..])),
            None => (text, None),
        };
        self.rest = others;
        let (same, rest) = match line.split_first() {
            Some((sign, rest)) if self.is_marked => (usize::from(sign.saturating_sub(NONE)), rest),
            _ => (0, line),
        };
        // A damaged column may have any sign.
        let same = same.min(self.before);
        self.before = same + rest.len();
        Some(Entry { same, rest })
    }
}

/// The names of a column, one a line.
pub fn unpacked(column: &str) -> String {
    let column = Column::of(column);
    let end = column.end.as_bytes();
    let sizes = column.entries().map(|entry| entry.same + entry.rest.len());
    let len: usize = sizes.map(|size| size + end.len() + 1).sum();
    // As long as they are together, and not longer by and by: there may be a thousand.
    let mut names = vec![b'\n'; len.saturating_sub(1)];
    let (mut before, mut at) = (0, 0);
    for Entry { same, rest } in column.entries() {
        names.copy_within(before..before + same, at);
        before = at;
        at += same;
        for part in [rest, end] {
            names[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        at += 1;
    }
    // Of a damaged column, a name may end within a sign.
    String::from_utf8(names)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Whether the names of a column ascend, none of them twice, as far as the column tells: those of a parcel do.
pub fn is_in_order(column: &str) -> bool {
    Column::of(column).is_marked
}

/// The column of these names in columns of at most so many, each after the first of its names. Of a column of the first
/// kind, there are none.
pub fn parts<'n>(column: &str, names: &'n str, most: usize) -> Vec<(&'n str, String)> {
    let column = Column::of(column);
    let mut parts: Vec<(&str, String)> = Vec::new();
    // Where the entry and the name begin, and from where on entries are still to be copied.
    let (mut entry_at, mut name_at, mut copied) = (0, 0, 0);
    let entries = column.entries().filter(|_| column.is_marked);
    for (place, Entry { same, rest }) in entries.enumerate() {
        let next_entry = entry_at + "~".len() + rest.len() + "\n".len();
        let len = same + rest.len();
        if place.is_multiple_of(most) {
            column.copy(copied..entry_at, &mut parts);
            let first = names.get(name_at..name_at + len + column.end.len());
            let first = first.unwrap_or_default();
            let mut part = format!("{MARK}{}", column.end);
            // The first one has none before it.
            push(&mut part, 0, first.get(..len).unwrap_or_default());
            parts.push((first, part));
            copied = next_entry;
        }
        entry_at = next_entry;
        name_at += len + column.end.len() + "\n".len();
    }
    column.copy(copied..entry_at, &mut parts);
    parts
}

/// How many bytes both begin with.
fn common_start(one: &str, other: &str) -> usize {
    let same = one.bytes().zip(other.bytes()).take(MOST);
    let count = same.take_while(|(one, other)| one == other).count();
    let fits = |at: &usize| one.is_char_boundary(*at) && other.is_char_boundary(*at);
    (0..=count).rev().find(fits).unwrap_or(0)
}

/// Nothing, if there is only one name.
fn common_end(names: &str) -> &str {
    let mut names = lines(names);
    let first = names.next().unwrap_or_default();
    let mut common = None;
    for name in names {
        let end = common.unwrap_or(first);
        if common.is_some() && name.ends_with(end) {
            continue;
        }
        let same = end.bytes().rev().zip(name.bytes().rev());
        let count = same.take_while(|(one, other)| one == other).count();
        let from = (end.len() - count..=end.len()).find(|at| end.is_char_boundary(*at));
        common = Some(&end[from.unwrap_or(end.len())..]);
    }
    common.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_as_they_went_in() {
        let long = "x".repeat(200);
        let [one, other] = ["a", "b"].map(|end| format!("{long}{end}"));
        let cases = [
            ("", "\u{1}\n "),
            ("a", "\u{1}\n a"),
            ("a.b\nc.b\nd.b", "\u{1}.b\n a\n c\n d"),
            ("a.b\nc", "\u{1}\n a.b\n c"),
            ("b\nab\nb", "\u{1}b\n \n a\n "),
            ("\n\n", "\u{1}\n \n \n "),
            ("ip-1-12.x\nip-1-13.x\nip-1.x", "\u{1}.x\n ip-1-12\n&3\n$"),
            // The last bytes of these letters are the same, and the first of those.
            ("\u{e1}\n\u{121}", "\u{1}\n \u{e1}\n \u{121}"),
            ("\u{e1}\n\u{e2}", "\u{1}\n \u{e1}\n \u{e2}"),
            (
                &format!("{one}\n{other}"),
                &format!("\u{1}\n {one}\n~{}b", &long[MOST..]),
            ),
        ];
        for (names, column) in cases {
            assert_eq!(packed(names), column, "{names:?}");
            assert_eq!(unpacked(column), names, "{names:?}");
        }
    }

    #[test]
    fn columns_of_the_first_kind_are_read() {
        for (column, names) in [
            ("\n", ""),
            (".b\na\nc\nd", "a.b\nc.b\nd.b"),
            ("b\n\na\n", "b\nab\nb"),
            ("damaged", ""),
        ] {
            assert_eq!(unpacked(column), names, "{column:?}");
        }
    }

    #[test]
    fn a_damaged_column_is_some_names() {
        for column in [
            "\u{1}\n~a\n~b",
            "\u{1}x\n\n\u{e1}b",
            "\u{1}\n \u{e1}\n!",
            "\u{1}",
        ] {
            let count = column.split('\n').count().max(2) - 1;
            assert_eq!(lines(&unpacked(column)).count(), count, "{column:?}");
        }
    }

    #[test]
    fn the_parts_of_a_column_have_all_its_names() {
        let names = "node-a.b\nnode-c.b\nnode-d.b\nnode-d2.b\nnot.b";
        for most in 1..7 {
            let parts = parts(&packed(names), names, most);
            assert_eq!(parts.len(), 5_usize.div_ceil(most));
            let mut found = Vec::new();
            for (first, part) in parts {
                assert!(is_in_order(&part));
                let part = unpacked(&part);
                assert_eq!(lines(&part).next(), Some(first));
                assert!(lines(&part).count() <= most);
                found.push(part);
            }
            assert_eq!(found.join("\n"), names);
        }
        assert!(parts("\na\nb", "a\nb", 1).is_empty() && !is_in_order("\na\nb"));
    }
}
