//! The document as written: fields optional, relative paths made absolute, several files merged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};

use crate::credentials::read;
use crate::error::CredentialsError;
use crate::secret::Secret;

/// Entries by name, so that the first definition of a name wins.
#[derive(Default)]
pub(super) struct File {
    pub(super) current_context: Option<String>,
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) users: BTreeMap<String, User>,
    pub(super) contexts: BTreeMap<String, Context>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Document {
    current_context: Option<String>,
    #[serde(deserialize_with = "null_is_default")]
    clusters: Vec<NamedCluster>,
    #[serde(deserialize_with = "null_is_default")]
    users: Vec<NamedUser>,
    #[serde(deserialize_with = "null_is_default")]
    contexts: Vec<NamedContext>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    cluster: Cluster,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    user: User,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    context: Context,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) server: Option<String>,
    #[serde(rename = "certificate-authority", deserialize_with = "path")]
    pub(super) authority: Option<PathBuf>,
    #[serde(rename = "certificate-authority-data", deserialize_with = "secret")]
    pub(super) authority_data: Option<Secret>,
    pub(super) insecure_skip_tls_verify: Option<bool>,
    pub(super) tls_server_name: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(super) proxy_url: Option<Secret>,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) extensions: Vec<Extension>,
}

#[derive(Deserialize)]
pub(super) struct Extension {
    pub(super) name: String,
    #[serde(default)]
    pub(super) extension: serde_json::Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct User {
    #[serde(rename = "client-certificate", deserialize_with = "path")]
    pub(super) certificate: Option<PathBuf>,
    #[serde(rename = "client-certificate-data", deserialize_with = "secret")]
    pub(super) certificate_data: Option<Secret>,
    #[serde(rename = "client-key", deserialize_with = "path")]
    pub(super) key: Option<PathBuf>,
    #[serde(rename = "client-key-data", deserialize_with = "secret")]
    pub(super) key_data: Option<Secret>,
    #[serde(deserialize_with = "secret")]
    pub(super) token: Option<Secret>,
    #[serde(rename = "tokenFile", deserialize_with = "path")]
    pub(super) token_file: Option<PathBuf>,
    pub(super) username: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(super) password: Option<Secret>,
    #[serde(rename = "as")]
    pub(super) impersonate: Option<String>,
    #[serde(rename = "as-uid")]
    pub(super) impersonate_uid: Option<String>,
    #[serde(rename = "as-groups", deserialize_with = "null_is_default")]
    pub(super) impersonate_groups: Vec<String>,
    #[serde(rename = "as-user-extra", deserialize_with = "null_is_default")]
    pub(super) impersonate_user_extra: BTreeMap<String, Vec<String>>,
    pub(super) exec: Option<Exec>,
    pub(super) auth_provider: Option<AuthProvider>,
}

#[derive(Deserialize)]
pub(super) struct AuthProvider {
    pub(super) name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Exec {
    pub(super) api_version: Option<String>,
    pub(super) command: Option<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) args: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) env: Vec<EnvVariable>,
    pub(super) install_hint: Option<String>,
    pub(super) interactive_mode: Option<String>,
    pub(super) provide_cluster_info: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct EnvVariable {
    pub(super) name: String,
    #[serde(deserialize_with = "required_secret")]
    pub(super) value: Secret,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Context {
    #[serde(deserialize_with = "null_is_default")]
    pub(super) cluster: String,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) user: String,
    pub(super) namespace: Option<String>,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, CredentialsError> {
        let text = read(path)?;
        let problem = |error: &serde_yaml::Error| CredentialsError::Parse {
            path: path.to_owned(),
            problem: describe(error),
        };
        // Empty files are usual beside full ones in a list.
        let document = serde_yaml::from_slice::<Option<Document>>(&text)
            .map_err(|error| problem(&error))?
            .unwrap_or_default();
        let mut file = Self::by_name(document);
        // A link or a relative name still means the folder the file was found in.
        file.resolve_paths(path.parent().unwrap_or_else(|| Path::new("")));
        Ok(file)
    }

    /// Keeps what is here and adds what is not.
    pub(super) fn merge(&mut self, other: Self) {
        let set = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
        if !set(&self.current_context) {
            self.current_context = other.current_context;
        }
        add_missing(&mut self.clusters, other.clusters);
        add_missing(&mut self.users, other.users);
        add_missing(&mut self.contexts, other.contexts);
    }

    pub(super) fn context_names(&self) -> String {
        let names: Vec<_> = self
            .contexts
            .keys()
            .map(|name| format!("{name:?}"))
            .collect();
        if names.is_empty() {
            return "none".to_owned();
        }
        names.join(", ")
    }

    fn by_name(document: Document) -> Self {
        let mut file = Self {
            current_context: document.current_context,
            ..Self::default()
        };
        let clusters = document.clusters.into_iter().map(|c| (c.name, c.cluster));
        add_missing(&mut file.clusters, clusters);
        let users = document.users.into_iter().map(|u| (u.name, u.user));
        add_missing(&mut file.users, users);
        let contexts = document.contexts.into_iter().map(|c| (c.name, c.context));
        add_missing(&mut file.contexts, contexts);
        file
    }

    fn resolve_paths(&mut self, directory: &Path) {
        let clusters = self.clusters.values_mut().map(|c| &mut c.authority);
        let users = self
            .users
            .values_mut()
            .flat_map(|u| [&mut u.certificate, &mut u.key, &mut u.token_file]);
        for path in clusters.chain(users).flatten() {
            *path = directory.join(&*path);
        }
        for exec in self
            .users
            .values_mut()
            .filter_map(|user| user.exec.as_mut())
        {
            // A bare name is looked up in PATH instead.
            if let Some(command) = exec
                .command
                .as_mut()
                .filter(|command| command.contains('/'))
            {
                *command = directory.join(&*command).to_string_lossy().into_owned();
            }
        }
    }
}

fn add_missing<T>(
    target: &mut BTreeMap<String, T>,
    entries: impl IntoIterator<Item = (String, T)>,
) {
    for (name, entry) in entries {
        target.entry(name).or_insert(entry);
    }
}

/// Where and what, without the values: the wrong field may well be a password.
fn describe(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    let Some(start) = text
        .find("invalid type: ")
        .or_else(|| text.find("invalid value: "))
    else {
        return text;
    };
    let expected = text.rfind(", expected ").unwrap_or(text.len());
    let head = start + "invalid type: ".len();
    let kind = text[head.min(expected)..expected]
        .split_whitespace()
        .next()
        .unwrap_or_default();
    format!("{}found {kind}{}", &text[..start], &text[expected..])
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

fn required_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// An empty path is no path, in every writer of kubeconfigs.
fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(PathBuf::from))
}
