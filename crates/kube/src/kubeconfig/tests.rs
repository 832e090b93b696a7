//! Kubeconfigs as written by people and tools, read from real files.

use std::fs::File as Writer;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

/// A folder with the files, of which the first is named `config`.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        Writer::create(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }
    folder
}

fn load(text: &str) -> Result<Credentials, CredentialsError> {
    let folder = folder(&[("config", text)]);
    load_file(&folder.path().join("config"))
}

/// A whole kubeconfig from the inside of its cluster and user.
fn config(cluster: &str, user: &str) -> String {
    format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u, namespace: shop}}}}]\nclusters: [{{name: k, cluster: {cluster}}}]\nusers: [{{name: u, user: {user}}}]\n"
    )
}

fn problems(text: &str) -> Vec<String> {
    match load(text) {
        Err(CredentialsError::Invalid { problems, .. }) => problems,
        other => panic!("expected problems, found {other:?}"),
    }
}

const SERVER: &str = "{server: 'https://api.example:6443/prefix/'}";

#[test]
fn server_and_namespace_are_read() {
    let found = load(&config(SERVER, "{token: t}")).unwrap();
    assert_eq!(found.server(), "https://api.example:6443/prefix");
    assert_eq!(found.namespace(), Some("shop"));
    assert!(found.origin().ends_with(r#"config, context "c""#));
    assert!(matches!(found.trust, Trust::System));
}

#[test]
fn json_and_nulls_are_kubeconfigs_too() {
    let text = r#"{"apiVersion":"v1","kind":"Config","preferences":{},"current-context":"c","clusters":[{"name":"k","cluster":{"server":"http://127.0.0.1:8080","extensions":null}}],
        "contexts":[{"name":"c","context":{"cluster":"k","user":null,"extensions":[]}}],"users":null}"#;
    let found = load(text).unwrap();
    assert_eq!(found.server(), "http://127.0.0.1:8080");
    assert!(matches!(found.auth, Auth::None));
}

#[test]
fn relative_paths_are_relative_to_their_file() {
    let cluster = "{server: 'https://h', certificate-authority: pki/ca.crt}";
    let user = "{client-certificate: ../c.pem, client-key: /abs/k.pem, tokenFile: token}";
    let folder = folder(&[("deep/config", &config(cluster, user))]);
    let base = folder.path().join("deep");
    let found = load_file(&base.join("config")).unwrap();
    let identity = found.identity.unwrap();
    let table = [
        (pem_of(&found.trust), base.join("pki/ca.crt")),
        (path_of(&identity.certificate), base.join("../c.pem")),
        (path_of(&identity.key), PathBuf::from("/abs/k.pem")),
    ];
    for (found, expected) in table {
        assert_eq!(found, expected);
    }
    assert!(matches!(found.auth, Auth::TokenFile { path, .. } if path == base.join("token")));
}

fn pem_of(trust: &Trust) -> PathBuf {
    match trust {
        Trust::Only(source) => path_of(source),
        other => panic!("expected an authority, found {other:?}"),
    }
}

fn path_of(source: &PemSource) -> PathBuf {
    match source {
        PemSource::File(path) => path.clone(),
        PemSource::Inline { .. } => panic!("expected a file, found {source:?}"),
    }
}

#[test]
fn data_win_over_files() {
    let cluster =
        "{server: 'https://h', certificate-authority: ca.crt, certificate-authority-data: Q0E=}";
    let user = "{client-certificate: c, client-certificate-data: Q0VSVA==, client-key: k, client-key-data: S0VZ}";
    let found = load(&config(cluster, user)).unwrap();
    let identity = found.identity.clone().unwrap();
    let Trust::Only(authority) = &found.trust else {
        panic!("expected an authority, found {:?}", found.trust)
    };
    assert_eq!(authority.read().unwrap(), b"CA");
    assert_eq!(identity.certificate.read().unwrap(), b"CERT");
    assert_eq!(identity.key.read().unwrap(), b"KEY");
    assert!(!format!("{found:?}").contains("75, 69, 89"), "{found:?}");
}

#[test]
fn token_comes_before_plugin_and_file_before_token() {
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: plugin, interactiveMode: Never}";
    let found = load(&config(SERVER, &format!("{{token: t, {exec}}}"))).unwrap();
    assert!(matches!(found.auth, Auth::Token(_)));
    let found = load(&config(SERVER, "{token: t, tokenFile: /f}")).unwrap();
    assert!(
        matches!(found.auth, Auth::TokenFile { fallback: Some(token), .. } if token.expose() == "t")
    );
    let found = load(&config(SERVER, "{username: u, password: p}")).unwrap();
    assert!(matches!(found.auth, Auth::Basic { .. }));
    let found = load(&config(SERVER, &format!("{{{exec}}}"))).unwrap();
    assert!(matches!(found.auth, Auth::Exec(plugin) if plugin.command == "plugin"));
}

#[test]
fn plugin_with_a_path_is_relative_to_its_file() {
    let exec = "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: bin/plugin, args: [-v], env: [{name: A, value: b}], provideClusterInfo: true}}";
    let cluster = "{server: 'https://h', tls-server-name: n, extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: x}}]}";
    let folder = folder(&[("config", &config(cluster, exec))]);
    let found = load_file(&folder.path().join("config")).unwrap();
    let Auth::Exec(plugin) = found.auth else {
        panic!("expected a plugin, found {:?}", found.auth)
    };
    assert_eq!(Path::new(&plugin.command), folder.path().join("bin/plugin"));
    let info = plugin.cluster.unwrap();
    assert_eq!(info.tls_server_name.as_deref(), Some("n"));
    assert_eq!(info.config.unwrap()["audience"], "x");
}

#[test]
fn impersonation_becomes_headers() {
    let user = "{token: t, as: jane, as-uid: u1, as-groups: [dev, ops]}";
    let found = load(&config(SERVER, user)).unwrap();
    let expected = [
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "u1"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
    ];
    let expected = expected.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(found.impersonation, expected);
}

#[test]
fn first_definition_wins_over_several_files() {
    let first = "clusters: [{name: k, cluster: {server: 'https://first'}}]\n";
    let second = "current-context: c\nclusters: [{name: k, cluster: {server: 'https://second'}}]\nusers: [{name: u, user: {tokenFile: t}}]\n";
    let third = "current-context: other\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n";
    let folder = folder(&[("a/1", first), ("b/2", second), ("3", third), ("empty", "")]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let list = [
        path("a/1"),
        path("missing"),
        path("empty"),
        path("b/2"),
        path("3"),
    ]
    .join(":");
    let found = load_list(&list).unwrap();
    assert_eq!(found.server(), "https://first");
    assert!(
        matches!(found.auth, Auth::TokenFile { path, .. } if path == folder.path().join("b/t"))
    );
}

#[test]
fn all_problems_come_at_once() {
    let cluster = "{server: 'api:6443', certificate-authority-data: '%%', insecure-skip-tls-verify: true, certificate-authority: x, proxy-url: 'ftp://u:pw@h'}";
    let user = "{client-certificate: c, token: t, username: n, as-groups: [g]}";
    let found = problems(&config(cluster, user));
    let expected = [
        r#"cluster "k": server: expected a URL such as https://host:6443, found "api:6443""#,
        r#"cluster "k": certificate-authority-data: not base64"#,
        r#"user "u": as-uid and as-groups need as"#,
        r#"user "u": client-certificate without client-key"#,
        r#"user "u": either a token or a username, not both"#,
        r#"cluster "k": proxy-url: expected an http, https or socks5 URL"#,
    ];
    assert_eq!(found, expected);
}

#[test]
fn single_problems_name_their_field() {
    let insecure =
        "{server: 'https://h', insecure-skip-tls-verify: true, certificate-authority: x}";
    let exec = |inside: &str| config(SERVER, &format!("{{exec: {{{inside}}}}}"));
    let v1 = "apiVersion: client.authentication.k8s.io/v1, command: p";
    let table = [
        ("clusters: []".to_owned(), "current-context is not set"),
        (
            "current-context: x\ncontexts: [{name: c}]".to_owned(),
            r#"no such context; there are "c""#,
        ),
        (
            "current-context: c\ncontexts: [{name: c}]".to_owned(),
            r#"no cluster named """#,
        ),
        (
            config(insecure, "{}"),
            "insecure-skip-tls-verify cannot be set together",
        ),
        (config("{}", "{}"), "server: expected a URL"),
        (
            config("{server: 'https://u:secret@h'}", "{}"),
            r#"found "h""#,
        ),
        (
            config(SERVER, "{auth-provider: {name: gcp}}"),
            r#"auth-provider "gcp" is not supported"#,
        ),
        (
            exec("apiVersion: client.authentication.k8s.io/v1alpha1, command: p"),
            "found \"client.authentication.k8s.io/v1alpha1\"",
        ),
        (
            exec("apiVersion: client.authentication.k8s.io/v1"),
            "exec.command is not set",
        ),
        (
            exec(&format!("{v1}, interactiveMode: Always")),
            "there is no terminal here",
        ),
        (
            exec(&format!("{v1}, interactiveMode: Never2")),
            "found \"Never2\"",
        ),
    ];
    for (text, expected) in table {
        let found = problems(&text).join("|");
        assert!(found.contains(expected), "{expected} in {found}");
        assert!(!found.contains("secret"), "{found}");
    }
}

#[test]
fn parse_errors_do_not_show_values() {
    let table = [
        (
            config("{insecure-skip-tls-verify: hunter2}", "{}"),
            "found string, expected a boolean",
        ),
        (
            config(SERVER, "{password: {a: hunter2}}"),
            "found map, expected a string",
        ),
        (
            config(SERVER, "{token: [hunter2]}"),
            "found sequence, expected a string",
        ),
        (
            config(SERVER, "hunter2"),
            "found string, expected struct User",
        ),
        ("a: [".to_owned(), "line"),
    ];
    for (text, expected) in table {
        let error = load(&text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected} in {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

type Variables<'a> = &'a [(&'a str, &'a str)];

#[test]
fn discovery_prefers_kubeconfig_then_the_pod_then_home() {
    let text = |server: &str| config(&format!("{{server: '{server}'}}"), "{}");
    let folder = folder(&[
        ("env", &text("https://env")),
        ("home/.kube/config", &text("https://home")),
        ("account/token", "t\n"),
        ("account/namespace", "guard\n"),
    ]);
    let base = folder.path();
    let (env_file, home) = (base.join("env"), base.join("home"));
    let missing = base.join("missing");
    let kubeconfig = ("KUBECONFIG", env_file.to_str().unwrap());
    let no_kubeconfig = ("KUBECONFIG", "");
    let host = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let host_v6 = ("KUBERNETES_SERVICE_HOST", "fd00::1");
    let port = ("KUBERNETES_SERVICE_PORT", "443");
    let home = ("HOME", home.to_str().unwrap());
    let account = base.join("account");
    let table: &[(Variables<'_>, &Path, Option<&str>)] = &[
        (
            &[kubeconfig, host, port, home],
            &account,
            Some("https://env"),
        ),
        (
            &[no_kubeconfig, host, port, home],
            &account,
            Some("https://10.0.0.1:443"),
        ),
        (&[host_v6, port], &account, Some("https://[fd00::1]:443")),
        (&[host, port, home], &missing, Some("https://home")),
        (&[host, home], &account, Some("https://home")),
        (&[host, port], &missing, None),
        (&[("HOME", "/nowhere")], &account, None),
        (&[], &account, None),
    ];
    for (env, account, expected) in table {
        let get = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = Credentials::discover(&get, account).unwrap();
        assert_eq!(
            found.as_ref().map(Credentials::server),
            *expected,
            "{env:?}"
        );
        let in_cluster = expected.is_some_and(|server| server.contains(":443"));
        if in_cluster {
            assert_eq!(found.unwrap().namespace(), Some("guard"));
        }
    }
}

#[test]
fn kubeconfig_that_does_not_exist_is_an_error() {
    let get = |name: &str| (name == "KUBECONFIG").then(|| "/nowhere/a:/nowhere/b".to_owned());
    let error = Credentials::discover(&get, Path::new("/nowhere")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "KUBECONFIG: none of these files exists: /nowhere/a:/nowhere/b"
    );
}
