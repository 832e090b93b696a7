//! `k8s`: the configuration as manifests.

use std::collections::BTreeMap;

use anyhow::bail;
use ng_config::edit::split_secrets;
use ng_config::{Format, Inputs, Secret, resolve};
use ng_hook::env::NAMESPACE;
use ng_hook::log::Value as Field;
use serde_json::Value;

use super::files::{self, ConfigFile, is_dash};
use super::output::{Failure, Printed};
use super::{Desk, K8sArgs, secrets};

const DEFAULT_NAMESPACE: &str = "nodeguardian-system";
/// The names that the Deployment mounts.
const CONFIG_NAME: &str = "nodeguardian-config";
const SECRET_NAME: &str = "nodeguardian-secrets";

/// What goes into the two manifests.
struct Contents {
    file_name: &'static str,
    text: String,
    secrets: BTreeMap<String, Secret>,
}

pub(super) fn run(args: &K8sArgs, desk: &Desk) -> Result<Printed, Failure> {
    let namespace = args
        .namespace
        .as_deref()
        .or_else(|| desk.env.get(NAMESPACE));
    let namespace = namespace.unwrap_or(DEFAULT_NAMESPACE);
    namespace
        .parse::<ng_config::NamespaceName>()
        .map_err(|error| {
            Failure::Usage(anyhow::anyhow!("--namespace: {error}, found {namespace:?}"))
        })?;
    let file = ConfigFile::read(&args.config)?;
    let secrets = match &args.secrets {
        Some(path) => secrets::given(path)?,
        None => BTreeMap::new(),
    };
    let contents = contents(&file, &secrets, desk)?;
    let manifests = manifests(&contents, namespace);
    match &args.output {
        Some(path) if !is_dash(path) => {
            files::replace(path, &manifests)?;
            Ok(Printed::done(format!("{}: written\n", path.display())))
        }
        _ => Ok(Printed::done(manifests)),
    }
}

/// The checked file, with the secrets that stand in it moved to the Secret: a `ConfigMap` is no place for them.
fn contents(
    file: &ConfigFile,
    given: &BTreeMap<String, Secret>,
    desk: &Desk,
) -> anyhow::Result<Contents> {
    // What is applied must be valid by itself: the variables here are not those of the cluster.
    let resolution = resolve(&Inputs {
        file: Some(file.as_input()),
        secrets: given,
        ..Inputs::default()
    });
    if !resolution.errors.is_empty() {
        let errors: Vec<String> = resolution.errors.iter().map(ToString::to_string).collect();
        bail!("{}", errors.join("\n"));
    }
    for warning in &resolution.warnings {
        desk.log
            .warn("configuration", &[("problem", Field::Shown(warning))]);
    }
    let (text, secrets) = split_secrets(&file.as_input(), given)?;
    let moved = |(key, secret): &(&String, &Secret)| given.get(*key) != Some(*secret);
    for (key, _) in secrets.iter().filter(moved) {
        let message = "a secret was moved from the configuration to the Secret";
        desk.log.warn(message, &[("key", Field::Text(key))]);
    }
    let file_name = match file.format {
        Format::Json => "config.json",
        Format::Yaml => "config.yaml",
    };
    Ok(Contents {
        file_name,
        text,
        secrets,
    })
}

/// The `ConfigMap`, and the Secret if there is anything for it: an empty one would take away what another has set.
fn manifests(contents: &Contents, namespace: &str) -> String {
    let head = |kind: &str, name: &str| {
        format!(
            "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  labels:\n    \
             app.kubernetes.io/name: nodeguardian\n"
        )
    };
    let (config, name) = (head("ConfigMap", CONFIG_NAME), contents.file_name);
    let map = format!("{config}data:\n  {name}: {}", block(&contents.text));
    if contents.secrets.is_empty() {
        return map;
    }
    let line = |(key, secret): (&String, &Secret)| {
        let text = Value::from(secret.expose());
        format!("  {}: {text}\n", name_of(key))
    };
    let lines: String = contents.secrets.iter().map(line).collect();
    let secret = head("Secret", SECRET_NAME);
    format!("{map}---\n{secret}type: Opaque\nstringData:\n{lines}")
}

/// The name of a secret as a YAML key. `on` and `1e3` are names, too, and would be no texts without quotes.
fn name_of(key: &str) -> String {
    let is_plain = key.contains('-') && key.starts_with(|c: char| c.is_ascii_lowercase());
    if is_plain {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

/// A text as a YAML block, line by line as it is; where a block cannot say it, as a text in quotes.
fn block(text: &str) -> String {
    let plain = |c: char| {
        c == '\n'
            || c == '\t'
            || (!c.is_control() && c != '\u{feff}' && c != '\u{2028}' && c != '\u{2029}')
    };
    let begins = text.starts_with(|c: char| !c.is_whitespace());
    if !begins || !text.chars().all(plain) {
        return format!("{}\n", Value::from(text));
    }
    let body = text.trim_end_matches('\n');
    let mark = match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    };
    let mut out = format!("{mark}\n");
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            out.push_str("    ");
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use ng_config::documents;

    use super::*;

    /// What a reader of the manifest finds under the key.
    fn read_back(text: &str) -> String {
        let contents = Contents {
            file_name: "config.yaml",
            text: text.to_owned(),
            secrets: BTreeMap::from([("k".to_owned(), Secret::new(text))]),
        };
        let read = documents(&manifests(&contents, "ns"), Format::Yaml).unwrap();
        assert_eq!(read.len(), 2, "{text:?}");
        assert_eq!(read[1].value["stringData"]["k"], text);
        read[0].value["data"]["config.yaml"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn every_name_reads_back() {
        for (name, written) in [
            ("email-password", "email-password"),
            ("on", "\"on\""),
            ("1e3", "\"1e3\""),
            ("---", "\"---\""),
        ] {
            assert_eq!(name_of(name), written);
            let read = documents(&format!("{written}: x\n"), Format::Yaml).unwrap();
            assert_eq!(read[0].value[name], "x");
        }
    }

    #[test]
    fn every_text_reads_back() {
        for text in [
            "{}\n",
            "{}",
            "a: 1\n\nb: 2\n\n\n",
            " {\n}\n",
            "\n{}\n",
            "a: \"#\" # c\n",
            "a: 1\r\nb: 2\r\n",
            "\u{feff}{}",
            "a: 1\n  ",
            "\ta",
            "{\n\t\"x\": 1\n}\n",
            "---\na: 1\n",
            "a: '\u{2028}'\n",
            "a: 节点\n",
        ] {
            assert_eq!(read_back(text), text, "{}", block(text));
        }
    }
}
