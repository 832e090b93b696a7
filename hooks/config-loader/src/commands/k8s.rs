//! `k8s`: the configuration as manifests.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use ng_config::edit::split_secrets;
use ng_config::{Format, Inputs, Secret, documents, read_secrets, resolve, secret_file};
use ng_hook::env::NAMESPACE;
use ng_hook::log::Value as Field;
use serde_json::Value;

use super::files::{self, ConfigFile, is_dash};
use super::output::{Failure, Printed};
use super::{Desk, K8sArgs};

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
        Some(path) => given_secrets(path)?,
        None => BTreeMap::new(),
    };
    let contents = contents(&file, secrets, desk)?;
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
    given: BTreeMap<String, Secret>,
    desk: &Desk,
) -> anyhow::Result<Contents> {
    // What is applied must be valid by itself: the variables here are not those of the cluster.
    let resolution = resolve(&Inputs {
        file: Some(file.as_input()),
        secrets: &given,
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
    let (text, mut secrets) = split_secrets(&file.as_input())?;
    for key in secrets.keys() {
        let message = "a secret was moved from the configuration to the Secret";
        desk.log.warn(message, &[("key", Field::Text(key))]);
    }
    // A given one wins here as a Secret file wins over the configuration.
    secrets.extend(given);
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

/// The secrets of a folder or file.
fn given_secrets(path: &Path) -> anyhow::Result<BTreeMap<String, Secret>> {
    if path.is_dir() {
        let (secrets, unreadable) = read_secrets(path);
        if !unreadable.is_empty() {
            let errors: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
            bail!("{}: {}", path.display(), errors.join("; "));
        }
        return Ok(secrets);
    }
    let file = ConfigFile::read(path)?;
    let expected = || {
        format!(
            "{}: expected one object of secrets, such as {{\"email-password\": \"...\"}}",
            file.name
        )
    };
    // What is wrong is not shown: it may be a secret.
    let mut documents = documents(&file.text, file.format)
        .map_err(|_| anyhow!("{}, found something else", expected()))?;
    let Some(Value::Object(entries)) = documents.pop().map(|document| document.value) else {
        bail!("{}", expected());
    };
    let mut secrets = BTreeMap::new();
    for (name, value) in &entries {
        match value {
            Value::Object(keys) => {
                for (key, value) in keys {
                    let text = secret_text(value)
                        .with_context(|| format!("{}: {name}.{key}: expected a text", file.name))?;
                    secrets.insert(secret_file(name, key), Secret::new(text));
                }
            }
            value => {
                let text = secret_text(value)
                    .with_context(|| format!("{}: {name}: expected a text", file.name))?;
                secrets.insert(name.clone(), Secret::new(text));
            }
        }
    }
    Ok(secrets)
}

/// A text, or a number or list that a Secret file would hold as one; of an object, a line for each entry.
fn secret_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            items.map(|items| items.join(","))
        }
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| Some(format!("{name}: {}\n", value.as_str()?)))
            .collect(),
        Value::Null => None,
    }
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
    let line =
        |(key, secret): (&String, &Secret)| format!("  {key}: {}\n", Value::from(secret.expose()));
    let lines: String = contents.secrets.iter().map(line).collect();
    let secret = head("Secret", SECRET_NAME);
    format!("{map}---\n{secret}type: Opaque\nstringData:\n{lines}")
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
