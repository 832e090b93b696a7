//! Bodies that are written in HTML, as the older scripts allowed: which ones are, and their text for other channels.

/// Tags that make a text HTML: those of a document and of its blocks. One that only dresses up a word, such as `<b>`,
/// does not: in HTML the text around it would lose its line breaks. Others, such as `<none>`, are words in brackets.
const TAGS: [&str; 29] = [
    "blockquote",
    "body",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "html",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];

/// Tags behind which a line ends.
const LINES: [&str; 20] = [
    "blockquote",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "p",
    "pre",
    "section",
    "table",
    "tr",
];

/// Tags whose content is no text.
const HIDDEN: [&str; 3] = ["head", "script", "style"];

/// Whether the text holds at least one tag that makes it HTML.
pub(super) fn is_html(text: &str) -> bool {
    tags(text).any(|tag| TAGS.contains(&tag.name.as_str()))
}

/// One `<…>`.
struct Tag {
    /// In lower case, without the slash.
    name: String,
    closes: bool,
    start: usize,
    end: usize,
}

/// The tags of a text, from left to right.
fn tags(text: &str) -> impl Iterator<Item = Tag> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + text.get(from..)?.find('<')?;
            from = start + 1;
            let inside = &text[from..];
            let closes = inside.starts_with('/');
            let named = inside.strip_prefix('/').unwrap_or(inside);
            let length = named
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(named.len());
            let behind = &named[length..];
            let is_tag = length > 0 && behind.starts_with(['>', '/', ' ', '\n', '\t', '\r']);
            if !is_tag {
                continue;
            }
            // Without an end here there is none for any later tag: looking again and again would take for ever.
            let close = behind.find('>')?;
            let end = from + usize::from(closes) + length + close + 1;
            from = end;
            let name = named[..length].to_ascii_lowercase();
            return Some(Tag {
                name,
                closes,
                start,
                end,
            });
        }
    })
}

/// The text of rendered HTML: without tags, one line for each block, references to characters replaced.
pub(super) fn to_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut from = 0;
    let mut hidden: Option<String> = None;
    for tag in tags(html) {
        if hidden.is_none() {
            add(&mut text, &html[from..tag.start]);
        }
        from = tag.end;
        match &hidden {
            Some(name) if tag.closes && *name == tag.name => hidden = None,
            Some(_) => {}
            None if !tag.closes && HIDDEN.contains(&tag.name.as_str()) => hidden = Some(tag.name),
            None => mark(&mut text, &tag),
        }
    }
    if hidden.is_none() {
        add(&mut text, &html[from..]);
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut out = String::with_capacity(text.len());
    for line in lines {
        // One empty line says as much as five.
        if !line.is_empty() || !(out.is_empty() || out.ends_with("\n\n")) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// What stands for a tag in a text.
fn mark(text: &mut String, tag: &Tag) {
    let name = tag.name.as_str();
    if name == "li" && !tag.closes {
        end_line(text);
        text.push_str("- ");
    } else if matches!(name, "td" | "th") && tag.closes {
        text.push(' ');
    } else if matches!(name, "br" | "hr") || (tag.closes && LINES.contains(&name)) {
        text.push('\n');
    } else if LINES.contains(&name) {
        end_line(text);
    }
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

/// Adds a text between tags. Line breaks are spaces, and several spaces are one, as in HTML.
fn add(text: &mut String, part: &str) {
    let mut rest = part;
    while let Some(next) = rest.chars().next() {
        if let Some((character, length)) = reference(rest) {
            text.push(character);
            rest = &rest[length..];
            continue;
        }
        if !next.is_ascii_whitespace() {
            text.push(next);
        } else if !text.ends_with([' ', '\n']) {
            text.push(' ');
        }
        rest = &rest[next.len_utf8()..];
    }
}

/// The character that a reference such as `&lt;` or `&#39;` at the start of the text means, and its length.
fn reference(text: &str) -> Option<(char, usize)> {
    if !text.starts_with('&') {
        return None;
    }
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let digits = name.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(number)?
        }
    };
    Some((character, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_told_by_its_tags() {
        for (text, want) in [
            ("load < 5 and > 3", false),
            ("<none> <b", false),
            ("Node is <b>hot</b>\nline 2, a < b", false),
            (
                "see <a href=\"https://x\">this</a> <code>df</code> <img src=\"x\">",
                false,
            ),
            ("<b>hot</b><hr>", true),
            ("<tr><td>a</td></tr>", true),
            ("</ol>", true),
            ("<h5>a</h5>", true),
            ("pods: <unknown>", false),
            ("a<br>b", true),
            ("a<br/>b", true),
            ("<P class=\"x\">a</P>", true),
            ("{{#each xs}}<li>{{this}}</li>{{/each}}", true),
            ("<", false),
            ("", false),
        ] {
            assert_eq!(is_html(text), want, "{text}");
        }
    }

    #[test]
    fn text_of_html() {
        for (html, want) in [
            ("<p>a &lt;b&gt; &amp;amp; c</p><p>d</p>", "a <b> &amp; c\nd"),
            ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
            (
                "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>",
                "a b\nc",
            ),
            ("<style>p {color: red}</style><h1>x</h1>\ny", "x\ny"),
            (
                "a&#39;b&#x4e2d;&nope;&#99999999;&",
                "a'b中&nope;&#99999999;&",
            ),
            (
                "<ul>\n  <li>a</li>\n  <li>b  c</li>\n</ul>\n\n<p>d</p>",
                "- a\n- b c\nd",
            ),
            ("a<br><br><br><br>b", "a\n\nb"),
            ("<h6>a</h6>b <b>c</b>", "a\nb c"),
            ("<script>alert(1)", ""),
            ("a <b <i <p", "a <b <i <p"),
        ] {
            assert_eq!(to_text(html), want, "{html}");
        }
    }

    #[test]
    fn tags_without_an_end_take_no_time() {
        let start = std::time::Instant::now();
        let text = "<b ".repeat(100_000);
        assert!(!is_html(&text));
        assert_eq!(to_text(&text).len(), text.trim_end().len());
        let took = start.elapsed();
        assert!(took.as_secs() < 10, "{took:?}");
    }
}
