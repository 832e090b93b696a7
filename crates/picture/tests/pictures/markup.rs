//! A strict reader of the page's markup: what it accepts, a browser reads without having to guess.

/// What the page is made of; anything else would have come in with somebody's text.
const ELEMENTS: [&str; 37] = [
    "article", "b", "body", "circle", "div", "footer", "h1", "h2", "h3", "head", "header", "html",
    "i", "input", "label", "li", "main", "meta", "output", "p", "path", "script", "section",
    "small", "span", "style", "svg", "table", "tbody", "td", "text", "th", "thead", "time",
    "title", "tr", "ul",
];
const ATTRIBUTES: [&str; 30] = [
    "aria-hidden",
    "aria-label",
    "autocomplete",
    "charset",
    "class",
    "content",
    "cx",
    "cy",
    "d",
    "data-label",
    "data-node",
    "data-value",
    "datetime",
    "height",
    "hidden",
    "http-equiv",
    "id",
    "lang",
    "name",
    "preserveAspectRatio",
    "r",
    "role",
    "scope",
    "spellcheck",
    "title",
    "type",
    "viewBox",
    "width",
    "x",
    "y",
];

/// Panics at the first thing that is not well-formed or not of this page.
pub(crate) fn check(page: &str) {
    read(page);
}

/// The elements in their order.
pub(crate) fn elements(page: &str) -> Vec<String> {
    read(page)
}

fn read(page: &str) -> Vec<String> {
    let mut rest = page
        .strip_prefix("<!DOCTYPE html>")
        .expect("a document type");
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    while let Some(at) = rest.find('<') {
        text(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(end) = rest.strip_prefix('/') {
            let (name, after) = end.split_once('>').expect("the end of an end tag");
            assert_eq!(open.pop().as_deref(), Some(name), "nesting");
            rest = after;
            continue;
        }
        let (name, after, is_closed) = tag(rest);
        found.push(name.to_owned());
        rest = after;
        if is_closed {
            continue;
        }
        if ["script", "style"].contains(&name) {
            let end = format!("</{name}>");
            rest = rest
                .split_once(&end)
                .expect("the end of a script or style")
                .1;
            continue;
        }
        open.push(name.to_owned());
    }
    assert_eq!(rest, "\n", "what follows the document");
    assert!(open.is_empty(), "{open:?} without end");
    found
}

/// A start tag without its `<`: its name, what follows it, and whether it is its own end.
fn tag(text: &str) -> (&str, &str, bool) {
    let end = text.find([' ', '>', '/']).expect("the end of a name");
    let (name, mut rest) = text.split_at(end);
    assert!(ELEMENTS.contains(&name), "<{name}>");
    let mut seen = Vec::new();
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(after) = rest.strip_prefix("/>") {
            return (name, after, true);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (name, after, false);
        }
        let (attribute, after) = rest.split_once("=\"").expect("a quoted attribute");
        assert!(ATTRIBUTES.contains(&attribute), "{attribute} of <{name}>");
        assert!(!seen.contains(&attribute), "{attribute} twice in <{name}>");
        seen.push(attribute);
        let (value, after) = after.split_once('"').expect("the end of a value");
        self::text(value);
        rest = after;
    }
}

/// Text between tags or of an attribute: no markup, and every reference a known one.
fn text(text: &str) {
    assert!(!text.contains(['<', '>']), "{text}");
    for part in text.split('&').skip(1) {
        let (name, _) = part.split_once(';').expect("the end of a reference");
        let is_known = ["amp", "lt", "gt", "quot", "#39", "#47", "#61", "#40"].contains(&name);
        assert!(is_known, "&{name};");
    }
}

#[test]
fn what_is_not_well_formed_is_noticed() {
    let page = |body: &str| format!("<!DOCTYPE html><html>{body}</html>\n");
    read(&page("<p class=\"a\">b &amp; c</p>"));
    for broken in [
        "<p>",
        "</p>",
        "<p><b></p></b>",
        "<p class=a></p>",
        "<p onclick=\"x\"></p>",
        "&nbsp",
        "<blink></blink>",
    ] {
        let result = std::panic::catch_unwind(|| read(&page(broken)));
        assert!(result.is_err(), "{broken}");
    }
}
