//! Whatever stands in a file, a Secret or the environment, nothing panics.

use std::collections::BTreeMap;

use ng_config::edit::{Path, set};
use ng_config::{File, Format, Inputs, Secret, resolve};
use proptest::prelude::*;
use serde_json::json;

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        for format in [Format::Json, Format::Yaml] {
            resolve(&Inputs { file: Some(File { name: "config", text: &text, format }), ..Inputs::default() });
        }
    }

    #[test]
    fn no_value_panics_at_any_key(index in 0..200usize, text in "\\PC{0,12}|[-0-9.:a-z%@/]{0,24}", number in any::<f64>()) {
        let settings = resolve(&Inputs::default()).entries;
        let path = &settings[index % settings.len()].path;
        for value in [json!(text), json!(number), json!([text]), json!({&text: 1})] {
            let document = match path.split_once('.') {
                Some((section, key)) => json!({section: {key: value}}),
                None => json!({path: value}),
            };
            let document = document.to_string();
            let file = File { name: "config.json", text: &document, format: Format::Json };
            resolve(&Inputs { file: Some(file), ..Inputs::default() });
        }
    }

    #[test]
    fn no_secret_or_variable_panics(text in "\\PC{0,12}|[-0-9.:a-z%@/,]{0,24}") {
        let files = ["webhook-url", "email-to", "email-smtp-port", "safety-max-nodes", "log-max-size", "log-max-age"];
        let secrets = files.map(|name| (name.to_owned(), Secret::new(&*text))).into();
        let variables = ["ALERT_EMAIL_SMTP", "ALERT_EMAIL_TO", "PROMETHEUS_URL", "LOG_LEVEL"];
        let env: BTreeMap<_, _> = variables.map(|name| (name.to_owned(), text.clone())).into();
        resolve(&Inputs { secrets: &secrets, env: &env, ..Inputs::default() });
    }

    #[test]
    fn no_edit_panics_or_spoils_a_file(
        index in 0..200usize, section in "[\\PC \"#:-]{0,8}", held in "\\PC{0,12}| *[-0-9.:a-z%@/#\"'\\[\\]{},]{0,24} *", text in "\\PC{0,12}|[-0-9.:a-z%@/]{0,24}",
        layout in 0..3usize,
    ) {
        let settings = resolve(&Inputs::default()).entries;
        let path = settings[index % settings.len()].path.clone();
        let (name, key) = path.split_once('.').unwrap_or(("log", "level"));
        let document = json!({"": {"x": held}, &section: held, name: {"": held, "unknown": [held], key: null}});
        let (format, layout) = match layout {
            0 => (Format::Json, document.to_string()),
            1 => (Format::Json, serde_json::to_string_pretty(&document).expect("JSON").replace('\n', "\r\n")),
            _ => (Format::Yaml, serde_yaml::to_string(&document).expect("YAML") + "# end"),
        };
        let file = |text| Inputs { file: Some(File { name: "config", text, format }), ..Inputs::default() };
        let before = resolve(&file(&layout)).errors;
        if let Ok(edited) = set(&file(&layout), &path.parse().expect("a path"), &text) {
            let after = resolve(&file(&edited.text)).errors;
            prop_assert!(after.iter().all(|error| before.contains(error)), "{layout:?} {path} {text:?}: {edited:?}");
        }
    }

    #[test]
    fn no_path_panics(text in "\\PC{0,20}|[a-z.\\[\\]0-9]{0,20}") {
        if let Ok(path) = text.parse::<Path>() {
            prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
        }
    }
}
