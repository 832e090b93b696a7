//! Hostile text made safe: signs that steer terminals or turn the direction of reading are spelled out, markup is
//! escaped, and what is too wide is shortened.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The text with every sign that has no picture of its own spelled out, as `\u{1b}`.
pub(crate) fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        if is_unseen(sign) {
            safe.extend(sign.escape_unicode());
        } else {
            safe.push(sign);
        }
    }
    safe
}

/// Controls, changes of direction, and what has no width but changes its neighbours or hides in them.
fn is_unseen(sign: char) -> bool {
    sign.is_control()
        || matches!(sign,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(sign) & 0xfffe == 0xfffe
}

/// Signs of one text that a page shows; names are shorter, and nobody reads a longer message there.
const MOST_SIGNS: usize = 400;

/// Appends the text to a page, as content or as the value of a quoted attribute.
pub(crate) fn escape_into(page: &mut String, text: &str) {
    let end = text
        .char_indices()
        .nth(MOST_SIGNS)
        .map_or(text.len(), |(end, _)| end);
    let (shown, rest) = text.split_at(end);
    for sign in visible(shown).chars() {
        match sign {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            // An address would look like one that the page itself refers to.
            '/' => page.push_str("&#47;"),
            '=' => page.push_str("&#61;"),
            '(' => page.push_str("&#40;"),
            other => page.push(other),
        }
    }
    if !rest.is_empty() {
        page.push('…');
    }
}

#[cfg(test)]
fn escaped(text: &str) -> String {
    let mut page = String::with_capacity(text.len());
    escape_into(&mut page, text);
    page
}

/// Columns that a text takes on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// The text in at most this many columns, its middle left out: nodes differ in the first or in the last signs.
pub(crate) fn shortened(text: &str, most: usize, mark: char) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(1);
    let tail = taken(text.chars().rev(), room / 2);
    let head = taken(text.chars(), room - columns(&tail));
    let tail: String = tail.chars().rev().collect();
    if most == 0 {
        String::new()
    } else {
        format!("{head}{mark}{tail}")
    }
}

/// The first signs that fit.
fn taken(signs: impl Iterator<Item = char>, most: usize) -> String {
    let mut left = most;
    let mut taken = String::new();
    for sign in signs {
        let width = sign.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        taken.push(sign);
    }
    taken
}

/// The text followed by spaces up to this many columns.
pub(crate) fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The text after spaces, up to this many columns.
pub(crate) fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_addresses_are_escaped() {
        assert_eq!(
            escaped("<script>alert(1)</script>\"'&"),
            "&lt;script&gt;alert&#40;1)&lt;&#47;script&gt;&quot;&#39;&amp;"
        );
    }

    #[test]
    fn a_page_shows_the_begin_of_a_text_without_end() {
        let shown = escaped(&"é".repeat(1_000_000));
        assert_eq!(shown, "é".repeat(MOST_SIGNS) + "…");
        assert_eq!(escaped(&"é".repeat(MOST_SIGNS)), "é".repeat(MOST_SIGNS));
    }

    #[test]
    fn signs_that_cannot_be_seen_are_spelled_out() {
        assert_eq!(
            visible("a\u{1b}[31m\u{202e}b\n\u{9b}"),
            "a\\u{1b}[31m\\u{202e}b\\u{a}\\u{9b}"
        );
        assert_eq!(visible("节点-1 é"), "节点-1 é");
    }

    #[test]
    fn the_middle_is_left_out_and_wide_signs_count_twice() {
        assert_eq!(shortened("gke-pool-1a2b-x7k2", 11, '~'), "gke-p~-x7k2");
        assert_eq!(shortened("worker-1", 8, '~'), "worker-1");
        assert_eq!(shortened("节点一二三四", 7, '~'), "节点~四");
        assert!(columns(&shortened("节点一二三四", 6, '~')) <= 6);
        assert_eq!(left("节点", 6), "节点  ");
        assert_eq!(right("节点", 6), "  节点");
    }
}
