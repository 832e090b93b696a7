//! The shipped dashboards and alert rules as others load them, and what they ask Prometheus.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Words of `PromQL` that stand where a metric could.
const WORDS: [&str; 7] = ["and", "bool", "inf", "nan", "offset", "or", "unless"];
/// Words before a list of labels.
const BEFORE_LABELS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
/// What Grafana puts in place of its own variables in a dashboard that shows a few minutes.
const BUILT_IN: [(&str, &str); 2] = [("$__rate_interval", "1m"), ("$__range", "5m")];

/// One dashboard.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// The name of its file.
    pub file: String,
    /// All of it.
    pub document: Value,
}

/// One question to Prometheus.
#[derive(Debug, Clone)]
pub struct Query {
    /// File and panel, or file and variable.
    pub place: String,
    /// `PromQL` that can be asked: variables are replaced.
    pub promql: String,
}

impl Dashboard {
    /// Every dashboard of the project, in the order of the files' names.
    pub fn shipped() -> Result<Vec<Self>> {
        let dir = deploy("grafana");
        let mut dashboards = Vec::new();
        let entries = std::fs::read_dir(&dir).with_context(|| dir.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            let text =
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let document =
                serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            let file = path.file_name().unwrap_or_default();
            dashboards.push(Self {
                file: file.to_string_lossy().into_owned(),
                document,
            });
        }
        ensure!(!dashboards.is_empty(), "{}: no dashboard", dir.display());
        dashboards.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(dashboards)
    }

    /// Its panels with the headings between them.
    pub fn panels(&self) -> impl Iterator<Item = &Value> {
        list(&self.document["panels"])
    }

    /// Its variables.
    pub fn variables(&self) -> impl Iterator<Item = &Value> {
        list(&self.document["templating"]["list"])
    }

    /// Everything that its panels and its variables ask, with every value of the variables chosen.
    pub fn queries(&self) -> Result<Vec<Query>> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            for target in list(&panel["targets"]) {
                let place = format!("{}: {}", self.file, text(&panel["title"]));
                let promql = self.replace_variables(text(&target["expr"]));
                ensure!(
                    !promql.contains('$'),
                    "{place}: an unknown variable in {promql}"
                );
                queries.push(Query { place, promql });
            }
        }
        for variable in self.variables().filter(|one| one["type"] == "query") {
            let place = format!("{}: variable {}", self.file, text(&variable["name"]));
            let definition = text(&variable["query"]["query"]);
            let inner = definition
                .strip_prefix("label_values(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|rest| rest.split_once(", "));
            let (metric, label) =
                inner.with_context(|| format!("{place}: no label_values(METRIC, LABEL)"))?;
            let promql = format!("count by ({label}) ({metric}{{{label}!=\"\"}})");
            queries.push(Query { place, promql });
        }
        Ok(queries)
    }

    fn replace_variables(&self, promql: &str) -> String {
        let mut promql = promql.to_owned();
        for (name, value) in BUILT_IN {
            promql = promql.replace(name, value);
        }
        for variable in self.variables() {
            let name = format!("${}", text(&variable["name"]));
            promql = promql.replace(&name, text(&variable["allValue"]));
        }
        promql
    }
}

/// A file or folder below `deploy`.
pub fn deploy(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.join("../deploy").join(path)
}

/// The alert rules of the shipped rule file.
pub fn alert_rules() -> Result<Vec<Value>> {
    let path = deploy("prometheus/rules.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let file: Value = serde_yaml::from_str(&text).with_context(|| path.display().to_string())?;
    let rules = list(&file["groups"]).flat_map(|group| list(&group["rules"]));
    Ok(rules.cloned().collect())
}

/// Names of the metrics in `PromQL`: what is no function, no keyword, and neither in quotes nor among labels.
pub fn metrics_of(promql: &str) -> BTreeSet<String> {
    let mut metrics = BTreeSet::new();
    let mut rest = promql;
    while let Some(sign) = rest.chars().next() {
        if let Some(end) = closing(sign) {
            // Labels and ranges hold no metric; a bracket in a label's value would be in quotes.
            rest = after(&rest[1..], end);
        } else if sign.is_ascii_alphabetic() || sign == '_' {
            let length = rest.find(|sign: char| !is_name(sign));
            let (word, tail) = rest.split_at(length.unwrap_or(rest.len()));
            let next = tail.trim_start();
            // `max by (a) (b)`: an aggregation's labels may stand before what it aggregates.
            let is_called = ["(", "by ", "without "]
                .iter()
                .any(|start| next.starts_with(start));
            rest = tail;
            if BEFORE_LABELS.contains(&word) {
                rest = next
                    .strip_prefix('(')
                    .map_or(next, |labels| after(labels, ')'));
            } else if !is_called && !WORDS.contains(&word) {
                metrics.insert(word.to_owned());
            }
        } else {
            // A number takes its unit along: the `h` of `6h` is no metric.
            let length = rest.find(|sign: char| !is_name(sign)).unwrap_or(rest.len());
            rest = &rest[length.max(sign.len_utf8())..];
        }
    }
    metrics
}

/// What ends the part that this begins and that holds no metric.
fn closing(sign: char) -> Option<char> {
    match sign {
        '{' => Some('}'),
        '[' => Some(']'),
        '"' | '\'' => Some(sign),
        _ => None,
    }
}

fn is_name(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "_:".contains(sign)
}

/// What is behind the next `end`; ends in quotes do not count.
fn after(text: &str, end: char) -> &str {
    let mut quote = None;
    for (at, sign) in text.char_indices() {
        if sign == end && quote.is_none() {
            return &text[at + sign.len_utf8()..];
        }
        if quote == Some(sign) {
            quote = None;
        } else if quote.is_none() && sign == '"' {
            quote = Some(sign);
        }
    }
    ""
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_told_from_functions_labels_and_words() {
        let cases: [(&str, &[&str]); 6] = [
            ("max(a) / max by (b, c) (d)", &["a", "d"]),
            (
                r#"sum(increase(a_total{b=~"c|}d", e="f"}[15m])) > 3"#,
                &["a_total"],
            ),
            ("time() - max(a) < 6 * 3600", &["a"]),
            ("absent(a) unless on () absent(b)", &["a", "b"]),
            ("a * on (b) group_left max(c)", &["a", "c"]),
            (
                "(a or b offset 6h) and on (metric) (max without (c) (max_over_time(d[1d])) > 1e3)",
                &["a", "b", "d"],
            ),
        ];
        for (promql, expected) in cases {
            let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(metrics_of(promql), expected, "{promql}");
        }
    }
}
