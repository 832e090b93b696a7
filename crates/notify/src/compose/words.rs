//! The words of a template: each of its texts rendered with the data, or everything that is wrong with them.

use ng_engine::rule::Severity;
use ng_engine::spec::TemplateSpec;
use ng_template::{Escape, Template};
use serde_json::Value;

use super::html;

/// The longest title, in characters: one line of a mail program or a chat.
const TITLE_CHARS: usize = 200;
/// The longest summary, in characters.
pub(super) const SUMMARY_CHARS: usize = 1000;

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) body: String,
    pub(super) html: Option<String>,
}

/// A rendered template: texts that it does not have are empty.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    pub(super) words: Words,
    /// What has no value, and the like.
    pub(super) doubts: Vec<String>,
}

/// How strictly a template is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Its author is there to correct it: tags of two dialects are a mistake.
    Strict,
    /// An alert waits: the first dialect decides.
    Lenient,
}

/// The texts of a template with the names of their fields: title, summary, body. The newer field wins.
fn texts(spec: &TemplateSpec) -> [(&'static str, &str); 3] {
    let newer = |new: (&'static str, _), old: (&'static str, _)| {
        let (_, text): (_, &str) = new;
        if text.is_empty() { old } else { new }
    };
    [
        newer(("subject", &spec.subject), ("title", &spec.title)),
        ("summary", &spec.summary),
        newer(("body", &spec.body), ("description", &spec.description)),
    ]
}

/// Every text that the template has, parsed; or every mistake, with the field's name.
fn parse(
    spec: &TemplateSpec,
    reading: Reading,
) -> Result<[(&'static str, Template); 3], Vec<String>> {
    let mut mistakes = Vec::new();
    let mut parsed = texts(spec).map(|(field, text)| {
        let template = match reading {
            Reading::Strict => Template::parse(text, None),
            Reading::Lenient => Template::parse_stored(text, None),
        };
        let template = template.map_err(|error| mistakes.push(format!("{field}: {error}")));
        (field, template.ok())
    });
    let mut take = |index: usize| {
        let (field, template) = &mut parsed[index];
        template.take().map(|template| (*field, template))
    };
    match (take(0), take(1), take(2)) {
        (Some(title), Some(summary), Some(body)) => Ok([title, summary, body]),
        _ => Err(mistakes),
    }
}

/// Renders every text. An error is everything that keeps the template from being used.
pub(super) fn render(
    spec: &TemplateSpec,
    data: &Value,
    reading: Reading,
) -> Result<Rendered, Vec<String>> {
    let [title, summary, body] = parse(spec, reading)?;
    let mut mistakes = Vec::new();
    let mut doubts = Vec::new();
    let mut print = |(field, template): &(&'static str, Template), escape| match template
        .render_escaped(data, escape)
    {
        Ok(rendered) => {
            let found = rendered
                .warnings
                .iter()
                .map(|doubt| format!("{field}: {doubt}"));
            for doubt in found {
                if !doubts.contains(&doubt) {
                    doubts.push(doubt);
                }
            }
            rendered.text
        }
        Err(error) => {
            mistakes.push(format!("{field}: {error}"));
            String::new()
        }
    };
    let is_html = html::is_html(texts(spec)[2].1);
    let words = Words {
        title: one_line(&print(&title, Escape::None), TITLE_CHARS),
        summary: cut(&plain(&print(&summary, Escape::None)), SUMMARY_CHARS),
        body: String::new(),
        html: None,
    };
    let body_text = print(&body, if is_html { Escape::Html } else { Escape::None });
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    for (field, text, rendered) in [
        (title.0, texts(spec)[0].1, &words.title),
        (body.0, texts(spec)[2].1, &body_text),
    ] {
        if !text.is_empty() && rendered.trim().is_empty() {
            doubts.push(format!("{field}: prints nothing"));
        }
    }
    let words = if is_html {
        let body = plain(&html::to_text(&body_text));
        let html = (!body.is_empty()).then_some(body_text);
        Words {
            body,
            html,
            ..words
        }
    } else {
        let body = plain(&body_text);
        Words { body, ..words }
    };
    Ok(Rendered { words, doubts })
}

/// Whether any text of the template may read the largest pods; no text that cannot be parsed does.
pub(super) fn reads_top_pods(spec: &TemplateSpec) -> bool {
    texts(spec).iter().any(|(_, text)| {
        // Parsing takes longer than the rest of a message, and few templates show pods.
        ["topPods", "top_pods"]
            .iter()
            .any(|name| text.contains(name))
            && Template::parse_stored(text, None)
                .is_ok_and(|parsed| parsed.names().contains("topPods"))
    })
}

/// The severity that a template asks for instead of the rule's; `Err`: what is wrong with it.
pub(super) fn severity(spec: &TemplateSpec, data: &Value) -> Result<Option<Severity>, String> {
    let instead = "the rule's severity is used";
    let word = Template::parse_stored(&spec.severity, None)
        .and_then(|template| template.render(data))
        .map_err(|error| format!("severity: {error}; {instead}"))?
        .text;
    match word.trim().to_lowercase().as_str() {
        "" => Ok(None),
        "info" | "information" | "informational" | "success" | "ok" => Ok(Some(Severity::Info)),
        "warning" | "warn" => Ok(Some(Severity::Warning)),
        "critical" | "error" | "fatal" | "emergency" => Ok(Some(Severity::Critical)),
        _ => Err(format!(
            "severity: expected info, warning or critical, found {:?}; {instead}",
            cut(&word, 60)
        )),
    }
}

/// One line of at most `most` characters: line breaks and other control characters are spaces, and there are no two
/// spaces in a row.
fn one_line(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most * 4));
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        // What is behind is cut anyway; four bytes are the most of a character.
        if line.len() > most * 4 {
            break;
        }
    }
    cut(&line, most)
}

/// Line breaks are `\n`, other control characters but the tab are gone, and no empty lines at the start and the end.
fn plain(text: &str) -> String {
    let clean: String = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect();
    clean.trim_end().trim_start_matches('\n').to_owned()
}

/// At most `most` characters; the last one says that more was there.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.char_indices().nth(most).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line() {
        for (text, want) in [
            ("a\r\nBcc: x", "a Bcc: x"),
            ("  a \t b\u{0} c ", "a b c"),
            ("", ""),
            ("节点\n告警", "节点 告警"),
        ] {
            assert_eq!(one_line(text, TITLE_CHARS), want, "{text:?}");
        }
        let long = one_line(&"节".repeat(5000), TITLE_CHARS);
        assert_eq!(
            (long.chars().count(), long.ends_with('…')),
            (TITLE_CHARS, true)
        );
    }

    #[test]
    fn severities_are_few_words() {
        let of = |word: &str| {
            let spec = TemplateSpec {
                severity: word.to_owned(),
                ..TemplateSpec::default()
            };
            severity(&spec, &serde_json::json!({"severity": "critical"}))
        };
        for (word, want) in [
            ("", None),
            ("Critical", Some(Severity::Critical)),
            (" warn ", Some(Severity::Warning)),
            ("success", Some(Severity::Info)),
            ("{{ .severity }}", Some(Severity::Critical)),
        ] {
            assert_eq!(of(word), Ok(want), "{word:?}");
        }
        let error = of("loud").unwrap_err();
        assert!(error.contains("\"loud\""), "{error}");
    }
}
