//! No template, however odd, panics, overflows the stack or runs for long.

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

/// Pieces that templates are made of, in any order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{{",
        "}}",
        "{{#",
        "{{/",
        "{{{",
        "}}}",
        "{{~",
        "~}}",
        "{{- ",
        " -}}",
        "{%",
        "%}",
        "{%-",
        "-%}",
        "{#",
        "#}",
        "{{!",
        "{{!--",
        "--}}",
        "{{/*",
        "*/}}",
        "\\",
        "\\{{",
        "\"",
        "'",
        "`",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        ".",
        "..",
        "../",
        "./",
        "$",
        ":=",
        "=",
        "==",
        "!=",
        "<",
        ">",
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "~",
        ",",
        ":",
        "@",
        "@root",
        "@index",
        "this",
        "if",
        "each",
        "with",
        "unless",
        "range",
        "end",
        "else",
        "elif",
        "endif",
        "for",
        "endfor",
        "in",
        "is",
        "not",
        "and",
        "or",
        "set",
        "raw",
        "endraw",
        "loop",
        "a",
        "nodeName",
        "actions",
        "metrics",
        "0",
        "1.5",
        "99999999999999999999",
        "upper",
        "printf",
        "round",
        "len",
        "default",
        "join",
        " ",
        " ",
        "\n",
        "\r\n",
        "é",
        "\u{1F600}",
        "%s",
        "%5.2f",
        "as |x i|",
        "=true",
        "null",
        "true",
    ]);
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

/// Templates built to hurt: deep, long, slow, or growing.
#[test]
fn hostile_templates_are_stopped() {
    let data = serde_json::json!({"xs": (0..200).collect::<Vec<_>>(), "s": "x".repeat(1000)});
    let deep = |open: &str, middle: &str, close: &str, n: usize| {
        format!("{}{middle}{}", open.repeat(n), close.repeat(n))
    };
    let mut texts = vec![
        "x".repeat(65 * 1024),
        deep("{{#if a}}", "x", "{{/if}}", 3000),
        deep("{{#if a}}", "x", "{{/if}}", 17),
        deep("{{ if .a }}", "x", "{{ end }}", 3000),
        deep("{% if a %}", "x", "{% endif %}", 3000),
        format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(4000)),
        format!(
            "{{{{ if .a }}}}{}{{{{ end }}}}",
            "{{ else if .b }}".repeat(3000)
        ),
        format!("{{{{ x{} }}}}", "|upper".repeat(9000)),
        format!("{{{{ .x{} }}}}", " | upper".repeat(7000)),
        format!("{{{{ {}1{} }}}}", "(".repeat(30000), ")".repeat(30000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(15000)),
        format!("{{{{ {}1 }}}}", "-".repeat(60000)),
        format!("{{{{ x == {}1 }}}}", "[".repeat(30000)),
        format!("{{{{ .a | {}1 }}}}", "(".repeat(30000)),
        format!(
            "{{{{upper {}a{}}}}}",
            "(upper ".repeat(9000),
            ")".repeat(9000)
        ),
        format!("{{{{upper {}}}}}", "[".repeat(30000)),
        format!("{{{{upper {}}}}}", "{\"a\":".repeat(10000)),
        "{{a}}".repeat(13000),
        "{{[".repeat(20000),
        "{{!".repeat(20000),
        "{#".repeat(30000),
        "{% raw %}".repeat(7000),
        "\\{{".repeat(20000),
        "{{\"".repeat(20000),
        deep("{{#each xs}}", "", "{{/each}}", 1).replace(
            "}}{{/",
            "}}{{#each ../xs}}{{#each ../xs}}{{#each ../xs}}{{/each}}{{/each}}{{/each}}{{/",
        ),
        "{{range .xs}}{{range $.xs}}{{range $.xs}}{{end}}{{end}}{{end}}".to_owned(),
        "{% for a in xs %}{% for b in xs %}{% for c in xs %}{% endfor %}{% endfor %}{% endfor %}"
            .to_owned(),
        format!(
            "{{% set x = s %}}{}{{{{ x }}}}",
            "{% set x = x ~ x %}".repeat(40)
        ),
        format!(
            "{{% set x = s %}}{}{{{{ x }}}}",
            "{% set x = x|replace('x', x) %}".repeat(8)
        ),
        format!(
            "{{% set x = [s] %}}{}{{{{ x }}}}",
            "{% set x = [x, x] %}".repeat(900)
        ),
        format!(
            "{{% set x = [s] %}}{}{{% if x == x %}}{{% endif %}}",
            "{% set x = [x, x] %}".repeat(40)
        ),
        format!(
            "{{% set x = [s] %}}{}{{{{ x|tojson }}}}",
            "{% set x = [x, x] %}".repeat(40)
        ),
        "{{ '%999999999d' % 1 }}{{ '%.999999999f' % 1 }}".to_owned(),
        "{{range .xs}}{{range $.xs}}{{$.s}}{{end}}{{end}}".to_owned(),
    ];
    texts.push(format!("{{{{ {} }}}}", "a ~ ".repeat(15000)));
    for text in texts {
        let start = std::time::Instant::now();
        try_all(&text, &data);
        let took = start.elapsed();
        let head: String = text.chars().take(60).collect();
        assert!(took.as_secs() < 20, "{head} took {took:?}");
        if took.as_millis() > 500 {
            println!("{took:?} {head}");
        }
    }
}
