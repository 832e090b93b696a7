//! Escaping for each service, and shortening to what it takes.
//!
//! A text is shortened at the end of a line. Only where that would leave too little it is cut within a line, at a
//! blank if there is one near, and never inside what a reader sees as one character. A mark says how many nodes are
//! not in what is left.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::message::Message;

/// How a text is written for a service, and how much of it the service takes.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// The most of what `measure` counts.
    pub(crate) limit: usize,
    /// Counts an escaped text; every character counts at least one.
    pub(crate) measure: fn(&str) -> usize,
    /// Escapes a text of whole lines.
    pub(crate) escape: fn(&str) -> Cow<'_, str>,
}

impl Form {
    fn cost(&self, text: &str) -> usize {
        (self.measure)(&(self.escape)(text))
    }

    /// The form with another limit.
    pub(crate) fn within(self, limit: usize) -> Self {
        Self { limit, ..self }
    }
}

/// What a mark of a cut may need.
const MARK: &str = "\n… and 1,000,000,000 more nodes";

/// The body of a message, escaped, and shortened where it is too long.
pub(crate) fn body(message: &Message, form: Form) -> String {
    let text = clean(&message.body);
    // Services refuse an empty text.
    let text = match text.trim_end() {
        "" => &one_line(&message.summary),
        text => text,
    };
    let budget = form.limit.saturating_sub(form.cost(MARK));
    // What is longer in bytes than any limit counts is not escaped only to be thrown away.
    if text.len() <= form.limit.saturating_mul(4) {
        let whole = (form.escape)(text);
        if (form.measure)(&whole) <= form.limit {
            return whole.into_owned();
        }
    }
    let kept = beginning(text, form.within(budget));
    let mark = (form.escape)(&mark(message, kept)).into_owned();
    let kept = (form.escape)(kept).into_owned();
    if (form.measure)(&kept) + (form.measure)(&mark) <= form.limit {
        kept + &mark
    } else {
        kept
    }
}

/// One line, escaped, with `…` where it was cut.
pub(crate) fn line(text: &str, form: Form) -> String {
    let text = one_line(text);
    if text.len() <= form.limit.saturating_mul(4) {
        let whole = (form.escape)(&text);
        if (form.measure)(&whole) <= form.limit {
            return whole.into_owned();
        }
    }
    let budget = form.limit.saturating_sub(form.cost("…"));
    let kept = start_of_line(&text, form.within(budget)).trim_end();
    (form.escape)(&format!("{kept}…")).into_owned()
}

/// The longest beginning of whole lines that fits, or more where whole lines are too little.
fn beginning(text: &str, form: Form) -> &str {
    let mut end = 0;
    let mut used = 0;
    for line in text.split_inclusive('\n') {
        // Longer than the limit in bytes by its largest factor: not worth measuring.
        let cost = if line.len() > form.limit.saturating_mul(4) {
            usize::MAX
        } else {
            form.cost(line)
        };
        if used + cost.min(form.limit + 1) > form.limit {
            if used < form.limit / 2 {
                end += start_of_line(line, form.within(form.limit - used)).len();
            }
            break;
        }
        used += cost;
        end += line.len();
    }
    text[..end].trim_end()
}

/// The longest beginning of a line that fits.
fn start_of_line(line: &str, form: Form) -> &str {
    // No more characters than the limit can fit, since each counts at least one.
    let starts = line.char_indices().map(|(index, _)| index);
    let ends: Vec<usize> = starts.chain([line.len()]).take(form.limit + 1).collect();
    let fitting = ends.partition_point(|end| form.cost(&line[..*end]) <= form.limit);
    let end = ends[fitting.saturating_sub(1)];
    if end == line.len() {
        return line;
    }
    let end = whole_character(line, end);
    // A cut within a word may be a cut within an address or a tag.
    match line[..end].rfind(char::is_whitespace) {
        Some(blank) if blank >= end / 2 => &line[..blank],
        _ => &line[..end],
    }
}

/// The last place at or before `end` that is not inside of what is drawn as one character.
fn whole_character(text: &str, end: usize) -> usize {
    let mut end = end;
    while let Some(next) = text[end..].chars().next() {
        let Some(previous) = text[..end].chars().next_back() else {
            break;
        };
        let inside = joins(next)
            || previous == ZERO_WIDTH_JOINER
            || (is_flag(previous)
                && is_flag(next)
                && text[..end]
                    .chars()
                    .rev()
                    .take_while(|c| is_flag(*c))
                    .count()
                    % 2
                    == 1);
        if !inside {
            break;
        }
        end -= previous.len_utf8();
    }
    end
}

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Whether the character belongs to the one before it: accents, variants, skin tones, joiners.
fn joins(c: char) -> bool {
    matches!(c, ZERO_WIDTH_JOINER | '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}')
}

/// Half of a flag.
fn is_flag(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

/// Says that something is missing, and of how many nodes.
fn mark(message: &Message, kept: &str) -> String {
    let words: HashSet<&str> = kept
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'))
        .map(|word| word.trim_end_matches('.'))
        .collect();
    let shown = message
        .nodes
        .iter()
        .filter(|node| words.contains(node.name()))
        .count();
    let start = if kept.is_empty() { "" } else { "\n" };
    match message.total.saturating_sub(shown) {
        0 => format!("{start}…"),
        1 => format!("{start}… and 1 more node"),
        more => format!("{start}… and {} more nodes", grouped(more)),
    }
}

/// A number with a comma every three digits.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Names in a row, no more than `most` of them, and how many more there are.
pub(crate) fn names<'a>(names: impl Iterator<Item = &'a str>, most: usize, total: usize) -> String {
    let shown: Vec<&str> = names.take(most).collect();
    let mut text = shown.join(", ");
    if total > shown.len() {
        let more = grouped(total - shown.len());
        text += if shown.is_empty() { "" } else { ", … and " };
        text += &more;
        text += if shown.is_empty() { " nodes" } else { " more" };
    }
    text
}

/// The text without control characters, lines ending in `\n`.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    Cow::Owned(
        text.chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect(),
    )
}

/// The text in one line: control characters and line ends become blanks.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.contains(breaks) {
        Cow::Owned(text.replace(breaks, " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// As it is.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// `&`, `<` and `>` as Slack wants them, and enough for text in HTML.
pub(crate) fn angle(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('&', "&amp;");
    Cow::Owned(escaped.replace('<', "&lt;").replace('>', "&gt;"))
}

/// Markdown as it is, with tags and mentions taken apart: a zero-width space after `<` where either could begin.
///
/// These services do not say how `<` is escaped, and an alert may well say `cpuLoadRatio < 0.5`.
pub(crate) fn untagged(text: &str) -> Cow<'_, str> {
    let opens = |rest: &str| {
        rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '@' | '/' | '!'))
    };
    if !text
        .match_indices('<')
        .any(|(at, _)| opens(&text[at + 1..]))
    {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for (index, part) in text.split('<').enumerate() {
        if index > 0 {
            escaped.push('<');
            if opens(part) {
                escaped.push('\u{200b}');
            }
        }
        escaped.push_str(part);
    }
    Cow::Owned(escaped)
}

/// [`untagged`], each line a paragraph: single line ends are folded.
pub(crate) fn untagged_paragraphs(text: &str) -> Cow<'_, str> {
    let text = untagged(text);
    if text.contains('\n') {
        Cow::Owned(text.replace('\n', "\n\n"))
    } else {
        text
    }
}

/// Bytes.
pub(crate) fn bytes(text: &str) -> usize {
    text.len()
}

/// Characters.
pub(crate) fn characters(text: &str) -> usize {
    text.chars().count()
}

/// Code units of UTF-16.
pub(crate) fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Bytes inside a JSON text.
pub(crate) fn json_bytes(text: &str) -> usize {
    let cost = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(cost).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{message, node};

    const PLAIN: Form = Form {
        limit: 100,
        measure: bytes,
        escape: plain,
    };

    fn about(nodes: usize, text: &str) -> Message {
        let mut message = message();
        message.nodes = (0..nodes).map(|i| node(&format!("node-{i:04}"))).collect();
        message.total = nodes;
        message.body = text.to_owned();
        message
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(body(&about(1, "a\r\nb\u{7}\n"), PLAIN), "a\nb");
        assert_eq!(line("a\r\nb", PLAIN), "a  b");
    }

    #[test]
    fn a_long_body_ends_with_a_whole_line_and_the_number_of_nodes_left_out() {
        let lines: Vec<_> = (0..5000).map(|i| format!("- node-{i:04}: 91%\n")).collect();
        let lines = lines.concat();
        let text = body(&about(5000, &lines), PLAIN);
        assert_eq!(
            text,
            "- node-0000: 91%\n- node-0001: 91%\n- node-0002: 91%\n… and 4,997 more nodes"
        );
        assert!(text.len() <= 100);
        let text = body(&about(4, &lines[..100].repeat(2)), PLAIN);
        assert!(text.ends_with("\n… and 1 more node"), "{text}");
        let text = body(
            &about(1, &("about node-0000\n".to_owned() + &"x".repeat(200))),
            PLAIN,
        );
        assert!(text.ends_with("x\n…"), "{text}");
    }

    #[test]
    fn every_form_keeps_its_limit_and_cuts_no_character() {
        let family = "👨\u{200d}👩\u{200d}👧";
        let texts = [
            "节点负载过高".repeat(2000),
            family.repeat(500),
            "🇨🇳".repeat(900),
            "e\u{301}".repeat(3000),
            "👍🏽".repeat(900),
            "<@all> & <!channel> ".repeat(500),
            "\"\\\n".repeat(5000),
            "x".repeat(1 << 17),
            "short\n".to_owned() + &"y".repeat(1 << 17),
        ];
        let measures: [fn(&str) -> usize; 4] = [bytes, characters, utf16, json_bytes];
        let escapes: [fn(&str) -> Cow<'_, str>; 4] = [plain, angle, untagged, untagged_paragraphs];
        for text in &texts {
            let message = about(3, text);
            for (measure, escape) in measures.into_iter().flat_map(|m| escapes.map(|e| (m, e))) {
                for limit in [0, 40, 97, 1000, 4096] {
                    let form = Form {
                        limit,
                        measure,
                        escape,
                    };
                    check(&message, form);
                }
            }
        }
    }

    /// Holds the limit, and ends with a whole character.
    fn check(message: &Message, form: Form) {
        let cut = body(message, form);
        assert!((form.measure)(&cut) <= form.limit, "{}: {cut}", form.limit);
        for partial in ["&am…", "&l…", "\u{200d}\n…", "e\n…"] {
            assert!(!cut.contains(partial), "{partial} in {cut}");
        }
        let flags = cut.chars().filter(|c| is_flag(*c)).count();
        assert_eq!(flags % 2, 0, "half a flag");
        let one = line(&message.body, form);
        assert!((form.measure)(&one) <= form.limit.max(3), "{one}");
    }

    #[test]
    fn a_cut_prefers_a_blank_to_the_middle_of_an_address() {
        let text = "see https://runbooks.example.com/".to_owned() + &"a".repeat(100);
        let form = PLAIN.within(40);
        assert_eq!(line(&text, form), "see https://runbooks.example.com/aaaa…");
        let text = "all of the nodes are at https://runbooks.example.com/".to_owned();
        assert_eq!(line(&text, form), "all of the nodes are at…");
    }

    #[test]
    fn escapes_take_mentions_apart_and_leave_comparisons() {
        for (text, angled, apart) in [
            ("a < b", "a &lt; b", "a < b"),
            (
                "<!channel> & <@U1>",
                "&lt;!channel&gt; &amp; &lt;@U1&gt;",
                "<\u{200b}!channel> & <\u{200b}@U1>",
            ),
            (
                "<at id=all></at>",
                "&lt;at id=all&gt;&lt;/at&gt;",
                "<\u{200b}at id=all><\u{200b}/at>",
            ),
            ("<<b", "&lt;&lt;b", "<<\u{200b}b"),
            ("plain", "plain", "plain"),
        ] {
            assert_eq!(angle(text), angled);
            assert_eq!(untagged(text), apart);
        }
        assert_eq!(untagged_paragraphs("a\n<b"), "a\n\n<\u{200b}b");
    }

    #[test]
    fn lists_say_how_many_are_not_in_them() {
        let all = ["a", "b", "c"];
        assert_eq!(names(all.into_iter(), 5, 3), "a, b, c");
        assert_eq!(names(all.into_iter(), 2, 1003), "a, b, … and 1,001 more");
        assert_eq!(names(all.into_iter(), 0, 3), "3 nodes");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn json_bytes_are_what_serde_writes() {
        for text in ["", "a\"b\\c\n\t\r", "\u{1}\u{8}\u{c}é节👍", "/<>&"] {
            assert_eq!(
                json_bytes(text),
                serde_json::to_string(text).unwrap().len() - 2,
                "{text:?}"
            );
        }
    }
}
