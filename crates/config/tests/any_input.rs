//! Whatever stands in a file, a Secret or the environment, nothing panics.

use std::collections::BTreeMap;

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
        resolve(&Inputs { file: None, secrets: &secrets, env: &env });
    }
}
