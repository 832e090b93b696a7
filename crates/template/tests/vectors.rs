//! The three dialects against what their original engines print.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use ng_template::{Dialect, Template};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("data/vectors.json")).unwrap()
}

fn dialect(name: &str) -> Dialect {
    match name {
        "go" => Dialect::Go,
        "jinja" => Dialect::Jinja,
        "hbs" => Dialect::Handlebars,
        other => panic!("unknown dialect {other}"),
    }
}

fn render(text: &str, dialect: Option<Dialect>, data: &Value) -> Result<String, String> {
    let template = Template::parse(text, dialect).map_err(|e| e.to_string())?;
    template
        .render(data)
        .map(|r| r.text)
        .map_err(|e| e.to_string())
}

#[test]
fn every_vector_prints_what_is_expected() {
    let file = vectors();
    let mut wrong = Vec::new();
    for vector in file["vectors"].as_array().unwrap() {
        let text = vector[1].as_str().unwrap();
        let want = vector.get(3).unwrap_or(&vector[2]).as_str();
        let got = render(
            text,
            Some(dialect(vector[0].as_str().unwrap())),
            &file["data"],
        );
        if got.as_deref().ok() != want {
            wrong.push(format!("{text}\n  want {want:?}\n  got  {got:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Jinja that nothing tells from Handlebars, and that means something else there.
const UNDECIDABLE: [&str; 2] = ["line\n", "C:\\{{ node_name }}"];

/// Vectors without a decisive tag are read as Handlebars, which prints the same.
#[test]
fn every_vector_is_detected() {
    let file = vectors();
    let mut wrong = Vec::new();
    for vector in file["vectors"].as_array().unwrap() {
        let text = vector[1].as_str().unwrap();
        let want = vector.get(3).unwrap_or(&vector[2]).as_str();
        let got = render(text, None, &file["data"]);
        if UNDECIDABLE.contains(&text) {
            continue;
        }
        if got.as_deref().ok() != want {
            wrong.push(format!("{text}\n  want {want:?}\n  got  {got:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
