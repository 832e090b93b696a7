//! Names of nodes as they stand in a column: what all end with first, then, a line each, what differs.
//!
//! In a cluster most names end alike, with the name of a domain, and what is written is what a run waits for.

use super::names as lines;

/// The column of names, which are one a line.
pub fn packed(names: &str) -> String {
    let end = common_end(names);
    let mut column = String::with_capacity(names.len() + 1);
    column.push_str(end);
    for name in lines(names) {
        column.push('\n');
        column.push_str(name.strip_suffix(end).unwrap_or(name));
    }
    column
}

/// The names of a column, one a line.
pub fn unpacked(column: &str) -> String {
    let (end, rest) = column.split_once('\n').unwrap_or_default();
    // Names are about as long as the first of them.
    let first = lines(rest).next().map_or(0, str::len);
    let count = rest.len() / (first + 1) + 1;
    let mut names = String::with_capacity(rest.len() + end.len() * count);
    for (place, name) in lines(rest).enumerate() {
        if place > 0 {
            names.push('\n');
        }
        names.push_str(name);
        names.push_str(end);
    }
    names
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

/// The column in columns of at most so many names, each after the first of its names.
pub fn parts(column: &str, most: usize) -> impl Iterator<Item = (String, String)> {
    let (end, rest) = column.split_once('\n').unwrap_or_default();
    let mut rest = Some(rest);
    std::iter::from_fn(move || {
        let text = rest?;
        let names = lines(text).take(most);
        let len: usize = names.map(|name| name.len() + '\n'.len_utf8()).sum();
        let (part, others) = match text.get(len..) {
            Some(others) => (&text[..len - '\n'.len_utf8()], Some(others)),
            None => (text, None),
        };
        rest = others;
        let first = lines(part).next().unwrap_or_default();
        Some((format!("{first}{end}"), format!("{end}\n{part}")))
    })
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
        let cases = [
            ("", "\n"),
            ("a", "\na"),
            ("a.b\nc.b\nd.b", ".b\na\nc\nd"),
            ("a.b\nc", "\na.b\nc"),
            ("b\nab\nb", "b\n\na\n"),
            ("\n\n", "\n\n\n"),
            // The last bytes of these letters are the same.
            ("\u{e1}\n\u{121}", "\n\u{e1}\n\u{121}"),
        ];
        for (names, column) in cases {
            assert_eq!(packed(names), column, "{names:?}");
            assert_eq!(unpacked(column), names, "{names:?}");
        }
        assert_eq!(unpacked("damaged"), "");
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
        let names = "a.b\nc.b\nd.b\ne.b\nf.b";
        for most in 1..7 {
            let parts: Vec<(String, String)> = parts(&packed(names), most).collect();
            assert_eq!(parts.len(), 5_usize.div_ceil(most));
            let mut found = Vec::new();
            for (first, part) in parts {
                let part = unpacked(&part);
                assert_eq!(lines(&part).next(), Some(first.as_str()));
                assert!(lines(&part).count() <= most);
                found.push(part);
            }
            assert_eq!(found.join("\n"), names);
        }
    }
}
