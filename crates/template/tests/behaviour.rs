//! What users meet: detection, mistakes with their place, warnings, helpers, HTML.

#![expect(clippy::panic, reason = "helpers of tests may fail the test")]

use ng_template::{Dialect, Escape, Template};
use serde_json::{Value, json};

fn data() -> Value {
    json!({
        "nodeName": "node-1", "severity": "warning", "empty": "", "nil": null, "seconds": 3723, "big": 1_234_567.25, "at": "2026-01-02T03:04:05Z",
        "ratio": 0.12345, "html": "<b>&\"'`=", "list": ["a", "b"], "map": {"k": "v"},
        "actions": [{"type": "taint"}, {"type": "alert"}]
    })
}

fn print(text: &str) -> String {
    let template = Template::parse(text, None).unwrap_or_else(|e| panic!("{text}: {e}"));
    template
        .render(&data())
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .text
}

#[test]
fn dialects_are_told_from_tags() {
    use Dialect::{Go, Handlebars, Jinja};
    for (text, want) in [
        ("plain", Handlebars),
        ("{{ nodeName }}", Handlebars),
        ("{{#if a}}x{{/if}}", Handlebars),
        ("{{ ../a }}{{ ./b }}", Handlebars),
        ("{{ this.a }}", Handlebars),
        ("{{ lookup a \"b\" }}", Handlebars),
        ("{{ upper a }}", Handlebars),
        ("{{~a~}}", Handlebars),
        ("body {#main{color: red} {{a}}", Handlebars),
        ("{{ .a }}", Go),
        ("{{- .a -}}", Go),
        ("{{ $.a }}", Go),
        ("{{ printf \"x\" }}", Go),
        ("{{ len .x }}", Go),
        ("{{ if eq .a \"b\" }}x{{ end }}", Go),
        ("{{/* c */}}x", Go),
        ("{{ \"x\" | printf \"%s\" }}", Go),
        ("{% if a %}{% endif %}", Jinja),
        ("{{ a|upper }}", Jinja),
        ("{{ a | round(1) }}", Jinja),
        ("{{ a[0] }}", Jinja),
        ("{{ a > 1 }}", Jinja),
        ("{{ a if b else c }}", Jinja),
        ("{{ map.items() }}", Jinja),
        ("{# c #}x", Jinja),
        ("{{- nodeName -}}", Jinja),
        ("{% raw %}{{ .x }}{% endraw %}", Jinja),
    ] {
        let got = Template::parse(text, None).map(|template| template.dialect());
        assert_eq!(got, Ok(want), "{text}");
    }
}

/// Templates and a part of what is said about them.
const MISTAKES: &[(&str, &str)] = &[
    (
        "x\n  {{ .a }} {% if b %}",
        "line 2, column 12: this tag is Jinja, but line 2, column 3 is Go template",
    ),
    (
        "{{#if a}}\n{{ else }}",
        "line 1, column 1: Handlebars syntax: `#if` is not closed, expected {{/if}}",
    ),
    (
        "a\n{{#if a}}x{{/each}}",
        "line 2, column 11: Handlebars syntax: expected {{/if}}, found {{/each}}",
    ),
    (
        "é {{ margin: 0 }}",
        "line 1, column 3: unknown helper `margin:`",
    ),
    (
        "{{> p}}",
        "line 1, column 1: a partial `{{>` is not allowed",
    ),
    (
        "{{#*inline \"p\"}}{{/inline}}",
        "an inline partial `{{#*` is not allowed",
    ),
    ("{{* d}}", "a decorator `{{*` is not allowed"),
    ("{{log \"x\"}}", "`log` is not allowed"),
    (
        "{{#foo}}x{{/foo}}",
        "unknown block `foo`, known are: if, unless",
    ),
    (
        "{{ .a }",
        "line 1, column 1: Handlebars syntax: the tag is not closed",
    ),
    (
        "{{ .a }}{{ range .b }}",
        "line 1, column 9: Go template syntax: `range` is not closed",
    ),
    (
        "{{ .a }}{{ .b c }}",
        "line 1, column 15: Go template syntax: expected `|`",
    ),
    (
        "{{ .a | nosuch }}",
        "line 1, column 9: unknown function `nosuch`",
    ),
    ("{{ $x }}", "the variable `$x` is not declared"),
    ("{{ .a }}{{ template \"x\" }}", "`template` is not allowed"),
    ("{% include 'x' %}", "`include` is not allowed"),
    (
        "{% for a b %}",
        "line 1, column 10: Jinja syntax: expected `in`, found `b`",
    ),
    (
        "{{ x|nosuch }}",
        "line 1, column 5: unknown filter `nosuch`",
    ),
    ("{{ x.__class__|e }}", "the name `__class__` is not allowed"),
    ("{{ x['_y'] }}", "the name `_y` is not allowed"),
    ("{% if a %}x{% endfor %}", "expected {% endif %}"),
    (
        "{{ x|round(a=1) }}",
        "unknown argument `a`, known are: precision, method",
    ),
    ("{{ 1 < x < 3 }}", "chained comparisons"),
];

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, want) in MISTAKES.iter().copied() {
        let error = Template::parse(text, None)
            .map(|t| t.dialect())
            .expect_err(text)
            .to_string();
        let text_of_error = error.contains(want);
        assert!(text_of_error, "{text}\n  want {want}\n  got  {error}");
    }
}

#[test]
fn mistakes_in_values_are_told_when_rendering() {
    for (text, want) in [
        (
            "\n{{ .nodeName.x }}",
            "line 2, column 1: a text has no field `x`",
        ),
        (
            "{{ printf \"%d\" .nodeName }}",
            "%d needs a number, found a text",
        ),
        ("{{ printf \"%d %d\" .seconds }}", "needs more values"),
        (
            "{% for x in nodeName %}{% endfor %}",
            "cannot loop over a text",
        ),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ list > 1 }}", "cannot compare a list with a number"),
    ] {
        let error = Template::parse(text, None).unwrap().render(&data());
        let error = error.expect_err(text).to_string();
        assert!(
            error.contains(want),
            "{text}\n  want {want}\n  got  {error}"
        );
    }
}

#[test]
fn what_has_no_value_is_warned_of() {
    for (text, want) in [
        (
            "{{ missing.x }}{{ nil }}{{ empty }}",
            vec!["`missing.x` has no value", "`nil` has no value"],
        ),
        ("{{#if missing}}x{{/if}}{{default missing 1}}", vec![]),
        ("{{ a|upper }}{{ a|upper }}", vec!["`a` has no value"]),
        ("{{ '%s' % nil }}", vec!["`nil` has no value"]),
        (
            "{{ range .actions }}{{ .nodeName }}{{ end }}",
            vec!["`.nodeName` has no value inside this block, `$.nodeName` is probably meant"],
        ),
    ] {
        let rendered = Template::parse(text, None)
            .unwrap()
            .render(&data())
            .unwrap();
        assert_eq!(rendered.warnings, want, "{text}");
    }
}

/// Go, Jinja, Handlebars, and what all three print.
const HELPERS: &[(&str, &str, &str, &str)] = &[
    (
        "{{ number .big }} {{ number .big 1 }} {{ .seconds | number }}",
        "{{ big|number }} {{ big|number(1) }} {{ seconds|number }}",
        "{{number big}} {{number big 1}} {{number seconds}}",
        "1,234,567.25 1,234,567.2 3,723",
    ),
    (
        "{{ bytes .big }}",
        "{{ big|bytes }}",
        "{{bytes big}}",
        "1.2 MiB",
    ),
    (
        "{{ time .at }} {{ time .at \"+08:00\" \"%H:%M\" }}",
        "{{ at|time }} {{ at|time('+08:00', format='%H:%M') }}",
        "{{time at}} {{time at \"+08:00\" \"%H:%M\"}}",
        "2026-01-02 03:04:05 11:04",
    ),
    (
        "{{ .ratio | round 2 }}",
        "{{ ratio|round(2) }}",
        "{{round ratio 2}}",
        "0.12",
    ),
    (
        "{{ duration .seconds }}",
        "{{ seconds|duration }}",
        "{{duration seconds}}",
        "1h2m3s",
    ),
    (
        "{{ upper .nodeName }}",
        "{{ nodeName|upper }}",
        "{{upper nodeName}}",
        "NODE-1",
    ),
    (
        "{{ .severity | title }}",
        "{{ severity|title }}",
        "{{title severity}}",
        "Warning",
    ),
    (
        "{{ default \"d\" .empty }}",
        "{{ empty|default('d', true) }}",
        "{{default empty \"d\"}}",
        "d",
    ),
    (
        "{{ .nil | default \"d\" }}",
        "{{ x|default('d') }}",
        "{{default x \"d\"}}",
        "d",
    ),
    (
        "{{ join \"+\" .list }}",
        "{{ list|join('+') }}",
        "{{join list \"+\"}}",
        "a+b",
    ),
    ("{{ len .list }}", "{{ list|length }}", "{{len list}}", "2"),
    (
        "{{ printf \"%.2f\" .ratio }}",
        "{{ '%.2f'|format(ratio) }}",
        "{{printf \"%.2f\" ratio}}",
        "0.12",
    ),
    (
        "{{ printf \"%05.1f|%+d|%x\" .ratio 3 255 }}",
        "{{ '%05.1f|%+d|%x' % (ratio, 3, 255) }}",
        "{{format \"%05.1f|%+d|%x\" ratio 3 255}}",
        "000.1|+3|ff",
    ),
    (
        "{{ .nodeName | replace \"-\" \"_\" }}",
        "{{ nodeName|replace('-', '_') }}",
        "{{replace nodeName \"-\" \"_\"}}",
        "node_1",
    ),
    (
        "{{ .map | toJson }}",
        "{{ map|tojson }}",
        "{{toJson map}}",
        "{\"k\":\"v\"}",
    ),
];

#[test]
fn helpers_work_in_every_dialect() {
    for (go, jinja, handlebars, want) in HELPERS.iter().copied() {
        for text in [go, jinja, handlebars] {
            assert_eq!(print(text), want, "{text}");
        }
    }
}

#[test]
fn html_output_escapes_every_value_once() {
    for (text, want) in [
        (
            "<i>{{html}}</i>",
            "<i>&lt;b&gt;&amp;&#34;&#39;&#96;&#61;</i>",
        ),
        ("{{{html}}}", "&lt;b&gt;&amp;&#34;&#39;&#96;&#61;"),
        ("{{ html|safe }}", "&lt;b&gt;&amp;&#34;&#39;&#96;&#61;"),
        ("{{ html|e }}", "&lt;b&gt;&amp;&#34;&#39;`="),
        ("{{ \"<b>\" }}{{ .nodeName }}", "&lt;b&gt;node-1"),
    ] {
        let template = Template::parse(text, None).unwrap();
        let rendered = template.render_escaped(&data(), Escape::Html).unwrap();
        assert_eq!(rendered.text, want, "{text}");
    }
}

#[test]
fn jinja_details() {
    for (text, want) in [
        (
            "{% for x in list if x != 'a' %}{{ loop.first }}{{ x }}{% endfor %}",
            "trueb",
        ),
        ("{% if list %}{% set x = 1 %}{% endif %}{{ x }}", "1"),
        ("{% for k in map %}{{ k }}{% endfor %}", "k"),
        (
            "{{ list[1:]|first }}{{ list[-1] }}{{ nodeName[-2:] }}",
            "bb-1",
        ),
        (
            "{{ 7 // 2 }} {{ -7 % 3 }} {{ 5 / 2 }} {{ 2 * 3 + 1 }} {{ not 1 == 2 }}",
            "3 2 2.5 7 true",
        ),
        (
            "{{ 1 is number and nodeName is string and nil is none }}",
            "true",
        ),
        (
            "{{ nodeName.upper().split('-')[0] }}{{ nodeName.startswith('n') }}",
            "NODEtrue",
        ),
        ("{{ 'a' ~ 1 * 2 }}", "a2"),
        ("a{# x -#}\n b{%- raw -%} {{ {%- endraw %} c", "ab{{ c"),
    ] {
        let template = Template::parse(text, Some(Dialect::Jinja)).unwrap();
        assert_eq!(template.render(&data()).unwrap().text, want, "{text}");
    }
}

#[test]
fn names_are_those_a_template_may_read() {
    let uses = |text: &str, name: &str| Template::parse(text, None).unwrap().names().contains(name);
    for (text, name, want) in [
        ("{{ nodeName }}", "topPods", false),
        ("{{#each topPods}}{{name}}{{/each}}", "topPods", true),
        (
            "{% for p in top_pods %}{{ p.name }}{% endfor %}",
            "topPods",
            true,
        ),
        ("{{ range .topPods }}{{ . }}{{ end }}", "severity", false),
        ("{{ range .a }}{{ $.topPods }}{{ end }}", "topPods", true),
        ("{{ index . \"topPods\" }}", "topPods", true),
        ("{{#with a}}{{../topPods}}{{/with}}", "topPods", true),
        ("{{ . }}", "topPods", true),
        ("plain", "topPods", false),
    ] {
        assert_eq!(uses(text, name), want, "{text} {name}");
    }
}

#[test]
fn a_stored_template_is_read_in_its_first_dialect() {
    let text = "{{ .nodeName }} {% if x %}";
    assert!(Template::parse(text, None).is_err());
    let stored = Template::parse_stored(text, None).unwrap();
    assert_eq!(stored.dialect(), Dialect::Go);
    assert_eq!(stored.render(&data()).unwrap().text, "node-1 {% if x %}");
}

#[test]
fn settings_name_dialects() {
    for (name, want) in [
        ("Handlebars", Some(Dialect::Handlebars)),
        ("go", Some(Dialect::Go)),
        ("jinja2", Some(Dialect::Jinja)),
        ("mustache", None),
    ] {
        assert_eq!(Dialect::from_name(name), want, "{name}");
    }
}
