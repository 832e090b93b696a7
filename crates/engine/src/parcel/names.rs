//! Names of nodes as they stand in a column: what all end with first, then, a line each, what is left of them.
//!
//! In a cluster most names end alike, with the name of a domain, and those that are neighbours begin alike, too: of each,
//! the column says how much of the name before it is the same, as one sign, and goes on from there. What is written is
//! what a run waits for.

use super::names as lines;

/// Begins a column. One that begins otherwise says nothing of names before: the lines are the names without their end.
const MARK: char = '\u{1}';
/// The sign for nothing in common; the ones that follow stand for a byte more each.
const NONE: u8 = b' ';
/// The most bytes of the name before, up to the last sign that can be seen.
const MOST: usize = (b'~' - NONE) as usize;

/// The column of names, which are one a line.
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

/// The names of a column, one a line.
pub fn unpacked(column: &str) -> String {
    let (end, rest) = column.split_once('\n').unwrap_or_default();
    let mut names = String::with_capacity(rest.len() + end.len() * (1 + rest.len() / 8));
    let Some(end) = end.strip_prefix(MARK) else {
        unpack(&mut names, end, lines(rest).map(|line| (0, line)));
        return names;
    };
    let signed = lines(rest).map(|line| match line.split_at_checked(1) {
        Some((sign, rest)) => (usize::from(sign.as_bytes()[0].saturating_sub(NONE)), rest),
        None => (0, line),
    });
    unpack(&mut names, end, signed);
    names
}

fn unpack<'c>(names: &mut String, end: &str, rests: impl Iterator<Item = (usize, &'c str)>) {
    let mut before = 0;
    for (place, (same, rest)) in rests.enumerate() {
        if place > 0 {
            names.push('\n');
        }
        let start = names.len();
        // A damaged column may have any sign: no more than the name before, which a line break follows.
        let same = before..(before + same).min(start.saturating_sub(1));
        if names.is_char_boundary(same.end) {
            names.extend_from_within(same);
        }
        names.push_str(rest);
        names.push_str(end);
        before = start;
    }
}

/// How many names there are, one a line, if they ascend and none is there twice.
pub fn ascending(names: &str) -> Option<usize> {
    let mut names = lines(names);
    let (mut last, mut count) = (names.next()?, 1);
    for name in names {
        if name <= last {
            return None;
        }
        (last, count) = (name, count + 1);
    }
    Some(count)
}

/// The column of these names in columns of at most so many, each after the first of its names.
pub fn parts<'n>(
    column: &str,
    names: &'n str,
    most: usize,
) -> impl Iterator<Item = (&'n str, String)> {
    // One of the first kind is made anew.
    let column = match column.strip_prefix(MARK) {
        Some(_) => column.to_owned(),
        None => packed(names),
    };
    let end = column.split('\n').next().unwrap_or_default().len();
    let mut from = end + '\n'.len_utf8();
    lines(names).step_by(most).map(move |first| {
        let rest = column.get(from..).unwrap_or_default();
        let some = lines(rest).take(most);
        let len: usize = some.map(|line| line.len() + '\n'.len_utf8()).sum();
        let others = rest.find('\n').filter(|cut| *cut < len - '\n'.len_utf8());
        let mut part = column[..end].to_owned();
        let ending = &part[MARK.len_utf8()..];
        let whole = first.strip_suffix(ending).unwrap_or(first).to_owned();
        // The first one of a column has none before it.
        push(&mut part, 0, &whole);
        if let Some(cut) = others {
            part.push_str(&rest[cut..len - '\n'.len_utf8()]);
        }
        from += len;
        (first, part)
    })
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
    fn names_that_ascend_are_counted() {
        let cases = [
            ("", Some(1)),
            ("a", Some(1)),
            ("a\nab\nb", Some(3)),
            ("a\na", None),
            ("a-1.x\na.x\nb.x", Some(3)),
            ("a.x\na-1.x", None),
        ];
        for (names, count) in cases {
            assert_eq!(ascending(names), count, "{names:?}");
        }
    }

    #[test]
    fn the_parts_of_a_column_have_all_its_names() {
        let names = "node-a.b\nnode-c.b\nnode-d.b\nnode-d2.b\nnot.b";
        for column in [
            packed(names),
            ".b\nnode-a\nnode-c\nnode-d\nnode-d2\nnot".to_owned(),
        ] {
            for most in 1..7 {
                let parts: Vec<(&str, String)> = parts(&column, names, most).collect();
                assert_eq!(parts.len(), 5_usize.div_ceil(most));
                let mut found = Vec::new();
                for (first, part) in parts {
                    let part = unpacked(&part);
                    assert_eq!(lines(&part).next(), Some(first));
                    assert!(lines(&part).count() <= most);
                    found.push(part);
                }
                assert_eq!(found.join("\n"), names);
            }
        }
    }
}
