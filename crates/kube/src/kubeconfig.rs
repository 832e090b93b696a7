//! Kubeconfig files: merged as kubectl merges them, then checked, with every problem reported at once.

mod file;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ureq::http::Uri;

use self::file::{Cluster, Context, Exec, File, User};
use crate::credentials::{Auth, Credentials, Identity, PemSource, Trust};
use crate::error::CredentialsError;
use crate::exec::{ClusterInfo, ExecPlugin};
use crate::secret::Secret;

const LIST_SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };
const EXEC_EXTENSION: &str = "client.authentication.k8s.io/exec";

/// Reads the files `KUBECONFIG` lists; some of them may be missing, but not all.
pub(crate) fn load_list(list: &str) -> Result<Credentials, CredentialsError> {
    let mut merged = File::default();
    let mut found = Vec::new();
    for path in list.split(LIST_SEPARATOR).filter(|path| !path.is_empty()) {
        let path = Path::new(path);
        if path.exists() {
            merged.merge(File::read(path)?);
            found.push(path.display().to_string());
        }
    }
    if found.is_empty() {
        return Err(CredentialsError::NoKubeconfig(list.to_owned()));
    }
    resolve(&found.join(", "), merged)
}

/// Reads one file.
pub(crate) fn load_file(path: &Path) -> Result<Credentials, CredentialsError> {
    resolve(&path.display().to_string(), File::read(path)?)
}

fn resolve(files: &str, mut config: File) -> Result<Credentials, CredentialsError> {
    let invalid = |origin: &str, problems: Vec<String>| CredentialsError::Invalid {
        origin: format!("kubeconfig {origin}"),
        problems,
    };
    let context_name = config.current_context.take().unwrap_or_default();
    if context_name.is_empty() {
        return Err(invalid(files, vec!["current-context is not set".into()]));
    }
    let origin = format!("{files}, context {context_name:?}");
    let Some(context) = config.contexts.remove(&context_name) else {
        let problem = format!("no such context; there are {}", config.context_names());
        return Err(invalid(&origin, vec![problem]));
    };
    let mut check = Check {
        problems: Vec::new(),
    };
    let credentials = check.credentials(&origin, context, &mut config);
    match credentials {
        Some(credentials) if check.problems.is_empty() => Ok(credentials),
        _ => Err(invalid(&origin, check.problems)),
    }
}

/// Collects problems while the parts are put together.
struct Check {
    problems: Vec<String>,
}

impl Check {
    fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    fn credentials(
        &mut self,
        origin: &str,
        context: Context,
        config: &mut File,
    ) -> Option<Credentials> {
        let cluster = config.clusters.remove(&context.cluster);
        if cluster.is_none() {
            self.problem(format!("no cluster named {:?}", context.cluster));
        }
        let user = if context.user.is_empty() {
            Some(User::default())
        } else {
            config.users.remove(&context.user)
        };
        if user.is_none() {
            self.problem(format!("no user named {:?}", context.user));
        }
        let (cluster, mut user) = (cluster?, user?);
        let at_cluster = format!("cluster {:?}", context.cluster);
        let at_user = format!("user {:?}", context.user);
        let server = self.server(&at_cluster, &cluster);
        let trust = self.trust(&at_cluster, &cluster);
        let impersonation = self.impersonation(&at_user, &mut user);
        Some(Credentials {
            origin: format!("kubeconfig {origin}"),
            namespace: context.namespace.filter(|name| !name.is_empty()),
            identity: self.identity(&at_user, &mut user),
            auth: self.auth(&at_user, user, &cluster),
            proxy: self.proxy(&at_cluster, cluster.proxy_url),
            tls_server_name: cluster.tls_server_name.filter(|name| !name.is_empty()),
            server,
            trust,
            impersonation,
        })
    }

    fn server(&mut self, at: &str, cluster: &Cluster) -> String {
        let server = cluster.server.clone().unwrap_or_default();
        let uri: Option<Uri> = server.parse().ok();
        let usable = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
                // Credentials in a URL would end up in logs.
                && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
        });
        if !usable {
            let shown = server.rsplit('@').next().unwrap_or_default();
            self.problem(format!(
                "{at}: server: expected a URL such as https://host:6443, found {shown:?}"
            ));
        }
        server.trim_end_matches('/').to_owned()
    }

    fn trust(&mut self, at: &str, cluster: &Cluster) -> Trust {
        let field = "certificate-authority";
        let authority = self.pem(
            at,
            field,
            cluster.authority_data.clone(),
            cluster.authority.clone(),
        );
        match (cluster.insecure_skip_tls_verify, authority) {
            (Some(true), Some(_)) => {
                self.problem(format!(
                    "{at}: insecure-skip-tls-verify cannot be set together with a {field}"
                ));
                Trust::System
            }
            (Some(true), None) => Trust::Anything,
            (_, Some(source)) => Trust::Only(source),
            (_, None) => Trust::System,
        }
    }

    /// Inline data win over the file.
    fn pem(
        &mut self,
        at: &str,
        field: &str,
        data: Option<Secret>,
        file: Option<PathBuf>,
    ) -> Option<PemSource> {
        let data = data.filter(|data| !data.expose().is_empty());
        let Some(data) = data else {
            return file.map(PemSource::File);
        };
        let compact: String = data.expose().split_whitespace().collect();
        let Ok(pem) = BASE64_STANDARD.decode(compact) else {
            self.problem(format!("{at}: {field}-data: not base64"));
            return None;
        };
        Some(PemSource::Inline {
            field: format!("{at}: {field}-data"),
            pem,
        })
    }

    fn identity(&mut self, at: &str, user: &mut User) -> Option<Identity> {
        let certificate = self.pem(
            at,
            "client-certificate",
            user.certificate_data.take(),
            user.certificate.take(),
        );
        let key = self.pem(at, "client-key", user.key_data.take(), user.key.take());
        match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                self.problem(format!("{at}: client-certificate without client-key"));
                None
            }
            (None, Some(_)) => {
                self.problem(format!("{at}: client-key without client-certificate"));
                None
            }
        }
    }

    /// A token comes before a password, both before a plugin, as in client-go.
    fn auth(&mut self, at: &str, user: User, cluster: &Cluster) -> Auth {
        let not_empty = |secret: &Secret| !secret.expose().is_empty();
        let token = user.token.filter(not_empty);
        let username = user.username.filter(|name| !name.is_empty());
        let password = user.password.filter(not_empty);
        let has_token = token.is_some() || user.token_file.is_some();
        if has_token && (username.is_some() || password.is_some()) {
            self.problem(format!("{at}: either a token or a username, not both"));
        }
        if let Some(path) = user.token_file {
            return Auth::TokenFile {
                path,
                fallback: token,
            };
        }
        if let Some(token) = token {
            return Auth::Token(token);
        }
        if username.is_some() || password.is_some() {
            return Auth::Basic {
                username: username.unwrap_or_default(),
                password: password.unwrap_or_else(|| Secret::new("")),
            };
        }
        if let Some(exec) = user.exec {
            return self
                .exec(at, exec, cluster)
                .map_or(Auth::None, |plugin| Auth::Exec(Box::new(plugin)));
        }
        if let Some(provider) = user.auth_provider {
            self.problem(format!(
                "{at}: auth-provider {:?} is not supported; use an exec plugin",
                provider.name.unwrap_or_default()
            ));
        }
        Auth::None
    }

    fn exec(&mut self, at: &str, exec: Exec, cluster: &Cluster) -> Option<ExecPlugin> {
        let before = self.problems.len();
        let version = exec.api_version.unwrap_or_default();
        if !matches!(
            version.as_str(),
            "client.authentication.k8s.io/v1" | "client.authentication.k8s.io/v1beta1"
        ) {
            self.problem(format!(
                "{at}: exec.apiVersion: expected client.authentication.k8s.io/v1 or v1beta1, found {version:?}"
            ));
        }
        match exec.interactive_mode.as_deref() {
            None | Some("" | "Never" | "IfAvailable") => {}
            Some("Always") => self.problem(format!(
                "{at}: exec.interactiveMode is Always, and there is no terminal here"
            )),
            Some(other) => self.problem(format!(
                "{at}: exec.interactiveMode: expected Never, IfAvailable or Always, found {other:?}"
            )),
        }
        let command = exec.command.unwrap_or_default();
        if command.is_empty() {
            self.problem(format!("{at}: exec.command is not set"));
        }
        (self.problems.len() == before).then(|| ExecPlugin {
            api_version: version,
            command,
            args: exec.args,
            env: exec
                .env
                .into_iter()
                .map(|variable| (variable.name, variable.value))
                .collect(),
            install_hint: exec.install_hint,
            cluster: exec
                .provide_cluster_info
                .unwrap_or(false)
                .then(|| cluster_info(cluster)),
        })
    }

    fn impersonation(&mut self, at: &str, user: &mut User) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        let name = user.impersonate.take().filter(|name| !name.is_empty());
        let has_name = name.is_some();
        headers.extend(name.map(|name| ("Impersonate-User", name)));
        let uid = user.impersonate_uid.take().filter(|uid| !uid.is_empty());
        headers.extend(uid.map(|uid| ("Impersonate-Uid", uid)));
        let groups = std::mem::take(&mut user.impersonate_groups);
        headers.extend(groups.into_iter().map(|group| ("Impersonate-Group", group)));
        if !user.impersonate_user_extra.is_empty() {
            self.problem(format!("{at}: as-user-extra is not supported"));
        }
        if !headers.is_empty() && !has_name {
            self.problem(format!("{at}: as-uid and as-groups need as"));
        }
        headers
    }

    fn proxy(&mut self, at: &str, proxy: Option<Secret>) -> Option<Secret> {
        let proxy = proxy.filter(|proxy| !proxy.expose().is_empty())?;
        let known = ["http://", "https://", "socks5://"];
        let usable = known
            .iter()
            .any(|scheme| proxy.expose().starts_with(scheme))
            && ureq::Proxy::new(proxy.expose()).is_ok();
        if !usable {
            self.problem(format!(
                "{at}: proxy-url: expected an http, https or socks5 URL"
            ));
        }
        Some(proxy)
    }
}

fn cluster_info(cluster: &Cluster) -> ClusterInfo {
    let config = cluster
        .extensions
        .iter()
        .find(|extension| extension.name == EXEC_EXTENSION)
        .map(|extension| extension.extension.clone());
    ClusterInfo {
        server: cluster.server.clone().unwrap_or_default(),
        tls_server_name: cluster.tls_server_name.clone(),
        insecure_skip_tls_verify: cluster.insecure_skip_tls_verify.unwrap_or(false),
        authority_data: cluster.authority_data.clone(),
        authority: cluster.authority.clone(),
        proxy_url: cluster.proxy_url.clone(),
        config,
    }
}

#[cfg(test)]
mod tests;
