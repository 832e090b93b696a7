//! The pages that are made from what is shipped: the fields of both kinds from their definitions, and the settings from
//! the schema that `config-loader schema` prints. The program `reference` writes them, and a test compares.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

use crate::programs::program;

/// The page of the fields of rules and templates.
pub const RULE_PAGE: &str = "docs/rule-reference.md";
/// The page of the settings.
pub const SETTINGS_PAGE: &str = "docs/configuration.md";

const COMMAND: &str = "cargo run -p ng-tests --bin reference";
const CRDS: [&str; 2] = [
    "config/crd/nodeguardianrules.yaml",
    "config/crd/alerttemplates.yaml",
];

/// Every page by its path, made from the files of the checkout `root`.
pub fn pages(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let mut kinds = Vec::new();
    for path in CRDS {
        let text = std::fs::read_to_string(root.join(path)).context(path)?;
        kinds.push(serde_yaml::from_str::<Value>(&text).context(path)?);
    }
    let output = Command::new(program("ng-config-loader", "config-loader")?)
        .arg("schema")
        .output()
        .context("cannot run config-loader")?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "config-loader schema: {problem}");
    let schema = serde_json::from_slice(&output.stdout)?;
    Ok(vec![
        (RULE_PAGE, rule_page(&kinds)),
        (SETTINGS_PAGE, settings_page(&schema)),
    ])
}

/// One field or setting.
#[derive(Debug, Default, PartialEq)]
struct Row {
    path: String,
    kind: String,
    default: String,
    meaning: String,
    /// What the API server says of values that it refuses.
    refusals: Vec<String>,
}

fn rule_page(kinds: &[Value]) -> String {
    let mut page = format!(
        "# Fields of rules and templates\n\n\
         <!-- Made by `{COMMAND}` from config/crd; a test compares. -->\n\n\
         Every field with its type, default and limits, and what the API server answers where a value cannot be. The short\n\
         form with hints is in the [reference](reference.md#fields-of-a-rule). \"Required\" means within the object that the\n\
         field is in.\n"
    );
    for kind in kinds {
        let name = word(&kind["spec"]["names"]["kind"]);
        let plural = word(&kind["spec"]["names"]["plural"]);
        let short = word(&kind["spec"]["names"]["shortNames"][0]);
        let version = &kind["spec"]["versions"][0];
        let schema = &version["schema"]["openAPIV3Schema"];
        let _ = write!(
            page,
            "\n## {name}\n\n{}\n\n`{}/{}`, cluster-scoped, `{plural}`, short `{short}`.\n",
            sentence(&schema["description"]),
            word(&kind["spec"]["group"]),
            word(&version["name"]),
        );
        for part in ["spec", "status"] {
            let mut rows = Vec::new();
            let schema = &schema["properties"][part];
            fields(schema, part, &mut rows);
            let _ = write!(
                page,
                "\n### {part} of {name}\n\n{}\n\n",
                sentence(&schema["description"])
            );
            table("Field", &rows, &mut page);
            refused(&rows, &mut page);
        }
    }
    page
}

fn settings_page(schema: &Value) -> String {
    let mut page = format!(
        "# Settings\n\n\
         <!-- Made by `{COMMAND}` from config-loader schema; a test compares. -->\n\n\
         Every setting of `config.json` or `config.yaml` with its type, default and limits. Where else a setting may come from,\n\
         and which place wins, is in the [reference](reference.md#configuration). A setting marked *secret* belongs into the\n\
         Secret, in a file named after section and key in kebab case. `config-loader schema` prints the same as JSON Schema, for\n\
         editors and CI.\n"
    );
    let sections = schema["properties"].as_object();
    for (name, section) in sections.into_iter().flatten() {
        let mut rows = Vec::new();
        fields(section, name, &mut rows);
        if !section["properties"].is_object() {
            rows = vec![row(section, name, "")];
        }
        let _ = write!(page, "\n## {name}\n\n");
        table("Setting", &rows, &mut page);
        if name == "metrics" {
            page.push_str(
                "\nOne of your own is `metrics.NAME.query`, where the name has letters, digits, `_` and `-`, and begins with\n\
                 a letter. One with a name of the table replaces it. [More about these](examples.md#metrics-that-are-there-without-configuration).\n",
            );
        }
    }
    page
}

/// The rows of everything below a schema.
fn fields(schema: &Value, path: &str, rows: &mut Vec<Row>) {
    if let Some(refusals) = own_refusals(schema) {
        rows.push(Row {
            path: path.to_owned(),
            refusals,
            ..Row::default()
        });
    }
    let required: Vec<&str> = items(&schema["required"]).map(word).collect();
    for (name, field) in object(&schema["properties"]) {
        let path = format!("{path}.{name}");
        let note = if required.contains(&name.as_str()) {
            "Required. "
        } else {
            ""
        };
        rows.push(row(field, &path, note));
        inner(field, &path, rows);
    }
}

/// What is within a field: an object, the objects of a list, or the values of a map.
fn inner(field: &Value, path: &str, rows: &mut Vec<Row>) {
    if field["properties"].is_object() {
        // Its own validations stand in its row.
        let mut without = field.clone();
        without["x-kubernetes-validations"] = Value::Null;
        fields(&without, path, rows);
    } else if field["items"].is_object() {
        let path = format!("{path}[]");
        if field["items"]["properties"].is_object() {
            fields(&field["items"], &path, rows);
        }
    }
}

fn own_refusals(schema: &Value) -> Option<Vec<String>> {
    let messages: Vec<String> = items(&schema["x-kubernetes-validations"])
        .map(|rule| word(&rule["message"]).to_owned())
        .collect();
    (!messages.is_empty()).then_some(messages)
}

fn row(field: &Value, path: &str, note: &str) -> Row {
    let mut meaning = format!("{note}{}", sentence(&field["description"]));
    let limits = limits(field);
    if !limits.is_empty() {
        let _ = write!(meaning, " {limits}.");
    }
    if field["writeOnly"] == true {
        meaning.push_str(" *Secret.*");
    }
    let mut refusals = own_refusals(field).unwrap_or_default();
    for part in ["items", "additionalProperties"] {
        if !field[part]["properties"].is_object() {
            refusals.extend(own_refusals(&field[part]).unwrap_or_default());
        }
    }
    Row {
        path: path.to_owned(),
        kind: kind(field),
        default: match &field["default"] {
            Value::Null => String::new(),
            Value::String(text) if text.is_empty() => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        },
        meaning: meaning.trim().to_owned(),
        refusals,
    }
}

/// A type that every setting may have, and that says as much as its absence: the pages leave it out.
const NULL: &str = "null";

/// What a value is, in words.
fn kind(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    if field["x-kubernetes-preserve-unknown-fields"] == true {
        return "anything".to_owned();
    }
    if let Some(choices) = field["anyOf"].as_array() {
        let kinds = choices.iter().map(kind).filter(|kind| kind != NULL);
        return kinds.collect::<Vec<_>>().join(" or ");
    }
    let pattern = word(&field["pattern"]);
    let named = match &field["type"] {
        Value::Array(types) => {
            let types = types.iter().map(word).filter(|one| *one != NULL);
            types.collect::<Vec<_>>().join(" or ")
        }
        one => word(one).to_owned(),
    };
    match named.as_str() {
        "array" => format!("list of {}", kind(&field["items"])),
        "object"
            if field["additionalProperties"].is_object() && !field["properties"].is_object() =>
        {
            format!("map of {}", kind(&field["additionalProperties"]))
        }
        "string" if word(&field["format"]) == "date-time" => "time".to_owned(),
        _ if pattern.contains("(ns|us|") => named.replace("string", "duration"),
        _ if pattern.starts_with("^$|^[hH][tT][tT][pP]") => "address".to_owned(),
        "" => "anything".to_owned(),
        _ => named,
    }
}

/// The words that bound a value, and what each says.
const BOUNDS: [(&str, &str, &str); 9] = [
    ("minimum", "at least ", ""),
    ("exclusiveMinimum", "more than ", ""),
    ("maximum", "at most ", ""),
    ("minLength", "at least ", " characters"),
    ("maxLength", "at most ", " characters"),
    ("minItems", "at least ", " entries"),
    ("maxItems", "at most ", " entries"),
    ("minProperties", "at least ", " entries"),
    ("maxProperties", "at most ", " entries"),
];

fn limits(field: &Value) -> String {
    let mut limits = Vec::new();
    let values = if field["items"]["enum"].is_array() {
        &field["items"]["enum"]
    } else {
        &field["enum"]
    };
    let values: Vec<String> = items(values)
        .filter(|value| *value != "" && !value.is_null())
        .map(|value| format!("`{}`", word(value)))
        .collect();
    if !values.is_empty() {
        limits.push(format!("One of {}", values.join(", ")));
    }
    let is_duration = word(&field["pattern"]).contains("(ns|us|");
    for (key, before, after) in BOUNDS {
        // A duration may be the number 0; its bounds are those of that number.
        if let (Some(bound), false) = (field[key].as_f64(), is_duration) {
            limits.push(format!("{before}{bound}{after}"));
        }
    }
    let text = limits
        .join(", ")
        .replace(" 1 entries", " 1 entry")
        .replace(" 1 characters", " 1 character");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn table(head: &str, rows: &[Row], page: &mut String) {
    let _ = write!(
        page,
        "| {head} | Type | Default | Meaning |\n|---|---|---|---|\n"
    );
    for row in rows.iter().filter(|row| !row.kind.is_empty()) {
        let cells = [&row.kind, &row.default, &row.meaning].map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(page, "| `{}` | {} |", row.path, cells.join(" | "));
    }
}

fn refused(rows: &[Row], page: &mut String) {
    let told: Vec<String> = rows
        .iter()
        .flat_map(|row| row.refusals.iter().map(move |message| (row, message)))
        .map(|(row, message)| format!("| `{}` | {} |", row.path, message.replace('|', "\\|")))
        .collect();
    if !told.is_empty() {
        let _ = write!(
            page,
            "\nWhat is refused:\n\n| Where | What the API server says |\n|---|---|\n{}\n",
            told.join("\n")
        );
    }
}

fn sentence(text: &Value) -> String {
    let text = word(text).trim();
    let end = if text.is_empty() || text.ends_with('.') {
        ""
    } else {
        "."
    };
    format!("{text}{end}")
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_has_type_default_limits_and_refusals() {
        let schema = json!({"properties": {"to": {
            "type": "array", "maxItems": 3, "description": "Names", "default": ["a|b"],
            "items": {"type": "string", "enum": ["a|b", ""], "x-kubernetes-validations": [{"rule": "x", "message": "no"}]},
        }}, "required": ["to"]});
        let mut rows = Vec::new();
        fields(&schema, "spec", &mut rows);
        let expected = Row {
            path: "spec.to".to_owned(),
            kind: "list of string".to_owned(),
            default: r#"`["a|b"]`"#.to_owned(),
            meaning: "Required. Names. One of `a|b`, at most 3 entries.".to_owned(),
            refusals: vec!["no".to_owned()],
        };
        assert_eq!(rows, [expected]);
        let mut page = String::new();
        table("Field", &rows, &mut page);
        assert!(
            page.contains(r#"| `spec.to` | list of string | `["a\|b"]` |"#),
            "{page}"
        );
    }

    #[test]
    fn types_are_told_in_words() {
        for (schema, expected) in [
            (
                json!({"type": ["string", "integer"], "pattern": "(ns|us|x)", "minimum": 0}),
                "duration or integer",
            ),
            (
                json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}),
                "integer or string",
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                "map of string",
            ),
            (
                json!({"anyOf": [{"type": ["string", "null"]}, {"type": "null"}]}),
                "string",
            ),
            (json!({"deprecated": true}), "anything"),
        ] {
            assert_eq!(kind(&schema), expected);
        }
    }
}
