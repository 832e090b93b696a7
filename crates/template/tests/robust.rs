//! No template, however odd, panics, overflows the stack or runs for long.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use ng_template::{Dialect, Escape, Template};
use proptest::prelude::*;
use serde_json::Value;

const DIALECTS: [Option<Dialect>; 4] = [
    None,
    Some(Dialect::Handlebars),
    Some(Dialect::Go),
    Some(Dialect::Jinja),
];

fn file() -> Value {
    serde_json::from_str(include_str!("data/vectors.json")).unwrap()
}

/// Parses and renders in every dialect; only a panic is a failure.
fn try_all(text: &str, data: &Value) {
    for dialect in DIALECTS {
        match Template::parse(text, dialect) {
            Ok(template) => {
                let _names = template.names();
                if let Ok(rendered) = template.render_escaped(data, Escape::Html) {
                    assert!(rendered.text.len() <= 256 * 1024);
                }
            }
            Err(error) => assert!(error.line() > 0 && !error.to_string().is_empty()),
        }
    }
}

/// What templates are made of.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "{{", "}}", "{{#", "{{/", "{{{", "}}}", "{{~", "~}}", "{{- ", " -}}", "{%", "%}", "{%-",
    "-%}", "{#", "#}", "{{!", "{{!--", "--}}", "{{/*", "*/}}", "\\", "\\{{", "\"", "'", "`", "(",
    ")", "[", "]", "{", "}", "|", ".", "..", "../", "./", "$", ":=", "=", "==", "!=", "<", ">",
    "+", "-", "*", "/", "//", "%", "~", ",", ":", "@", "@root", "@index", "this", "if", "each",
    "with", "unless", "range", "end", "else", "elif", "endif", "for", "endfor", "in", "is", "not",
    "and", "or", "set", "raw", "endraw", "loop", "a", "nodeName", "actions", "metrics", "0",
    "1.5", "99999999999999999999", "upper", "printf", "round", "len", "default", "join", " ", " ",
    "\n", "\r\n", "é", "\u{1F600}", "%s", "%5.2f", "as |x i|", "=true", "null", "true",
];

/// Pieces that templates are made of, in any order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(PIECES.to_vec());
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

/// A vector with some characters removed, doubled or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let texts: Vec<String> = file()["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vector| vector[1].as_str().unwrap().to_owned())
        .collect();
    let edits = prop::collection::vec(
        (
            any::<prop::sample::Index>(),
            0..4u8,
            any::<prop::sample::Index>(),
        ),
        1..6,
    );
    (prop::sample::select(texts), edits).prop_map(|(text, edits)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (place, kind, other) in edits {
            if chars.is_empty() {
                break;
            }
            let (i, j) = (place.index(chars.len()), other.index(chars.len()));
            match kind {
                0 => drop(chars.remove(i)),
                1 => chars.insert(i, chars[j]),
                2 => chars[i] = chars[j],
                _ => chars.truncate(i.max(1)),
            }
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_safe(text in "(?s).{0,120}") {
        try_all(&text, &file()["data"]);
    }

    #[test]
    fn any_soup_of_tags_is_safe(text in soup()) {
        try_all(&text, &file()["data"]);
    }

    #[test]
    fn any_damaged_template_is_safe(text in mutated()) {
        try_all(&text, &file()["data"]);
    }

    #[test]
    fn text_without_tags_is_itself(text in "[^{]{0,80}") {
        let template = Template::parse(&text, None).unwrap();
        prop_assert_eq!(template.render(&Value::Null).unwrap().text, text);
    }
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("{}x{}", open.repeat(depth), close.repeat(depth))
}

fn tag(open: &str, inside: &str, count: usize, close: &str) -> String {
    format!("{open}{}{close}", inside.repeat(count))
}

/// Templates that would take a deep stack.
fn deep() -> Vec<String> {
    vec![
        nested("{{#if a}}", "{{/if}}", 3000),
        nested("{{#if a}}", "{{/if}}", 17),
        nested(&tag("{{#if a}}", "{{else if b}}", 32, ""), "{{/if}}", 16),
        nested(
            &tag("{% if a %}", "{% elif b %}", 55, ""),
            "{% endif %}",
            16,
        ),
        nested("{{ if .a }}", "{{ end }}", 3000),
        nested("{% if a %}", "{% endif %}", 3000),
        tag("{{#if a}}", "{{else if b}}", 4000, "{{/if}}"),
        tag("{{ if .a }}", "{{ else if .b }}", 3000, "{{ end }}"),
        tag("{{ x", "|upper", 9000, " }}"),
        tag("{{ .x", " | upper", 7000, " }}"),
        tag("{{ ", "(", 60_000, "1 }}"),
        tag("{{ ", "not ", 15_000, "1 }}"),
        tag("{{ ", "-", 60_000, "1 }}"),
        tag("{{ x == ", "[", 30_000, "1 }}"),
        tag("{{ .a | ", "(", 30_000, "1 }}"),
        tag("{{upper ", "(upper ", 9000, "a}}"),
        tag("{{upper ", "[", 30_000, "}}"),
        tag("{{upper ", "{\"a\":", 10_000, "}}"),
        tag("{{ ", "a ~ ", 15_000, "a }}"),
        tag(
            "{% set x = [s] %}",
            "{% set x = [x, x] %}",
            900,
            "{{ x }}{{ x|tojson }}",
        ),
        tag(
            "{% set x = [s] %}",
            "{% set x = [x, x] %}",
            40,
            "{{ x == x }}",
        ),
    ]
}

/// Templates that would take long or grow.
fn long() -> Vec<String> {
    let triple = |open: &str, close: &str| open.repeat(3) + &close.repeat(3);
    vec![
        "x".repeat(65 * 1024),
        "{{a}}".repeat(13_000),
        "{{{a}}} {{!x}}".repeat(4600),
        "{{#if a}}{{/if}}".repeat(199),
        "{{a b.c.d.e.f (upper g)}}".repeat(999),
        "{{[".repeat(20_000),
        "{{!".repeat(20_000),
        "{#".repeat(30_000),
        "{% raw %}".repeat(7000),
        "\\{{".repeat(20_000),
        "{{\"".repeat(20_000),
        triple("{{#each @root.xs}}", "{{/each}}"),
        triple("{{range $.xs}}", "{{end}}"),
        triple("{% for a in xs %}", "{% endfor %}"),
        "{{range .xs}}{{range $.xs}}{{$.s}}{{end}}{{end}}".to_owned(),
        tag("{% set x = s %}", "{% set x = x ~ x %}", 40, "{{ x }}"),
        tag(
            "{% set x = s %}",
            "{% set x = x|replace('x', x) %}",
            8,
            "{{ x }}",
        ),
        "{{ '%999999999d' % 1 }}{{ '%.999999999f' % 1 }}".to_owned(),
    ]
}

#[test]
fn hostile_templates_are_stopped() {
    let data = serde_json::json!({"xs": (0..200).collect::<Vec<_>>(), "s": "x".repeat(1000)});
    for text in deep().into_iter().chain(long()) {
        let start = std::time::Instant::now();
        try_all(&text, &data);
        let took = start.elapsed();
        let head: String = text.chars().take(60).collect();
        // Unoptimised, on a busy machine, four times: what is unbounded takes minutes.
        assert!(took.as_secs() < 30, "{head} took {took:?}");
        if took.as_millis() > 500 {
            println!("{took:?} {head}");
        }
    }
}
