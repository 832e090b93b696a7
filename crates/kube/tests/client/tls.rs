//! Whom the client believes, and how it proves itself.

use ng_kube::{KubeError, Options, request};

use crate::support::{Authority, Folder, Pair, Reply, Server, chain, soon};

const NAME: &str = "kubernetes.test";

fn authority_file(folder: &Folder, authority: &Authority) -> &'static str {
    folder.write("ca.crt", &authority.pem());
    "certificate-authority: ca.crt"
}

fn cluster(server: &Server, rest: &str) -> String {
    format!("server: 'https://{}', {rest}", server.address)
}

#[test]
fn given_authority_is_trusted_and_connections_are_reused() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let server = Server::tls(authority.server("127.0.0.1"), |_, _| Reply::ok("{}"));
    let ca = authority_file(&folder, &authority);
    let client = folder.client(&cluster(&server, ca), "token: s3cr3t");
    for _ in 0..3 {
        let response = client.send(&request::get_node("worker-1"), soon()).unwrap();
        assert_eq!((response.code, response.body.as_slice()), (200, &b"{}"[..]));
    }
    let received = server.received();
    assert_eq!(received.len(), 3);
    for request in &received {
        assert_eq!(request.line, "GET /api/v1/nodes/worker-1 HTTP/1.1");
        assert_eq!(request.header("authorization"), Some("Bearer s3cr3t"));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert!(
            request
                .header("user-agent")
                .unwrap()
                .starts_with("nodeguardian/")
        );
        assert_eq!(
            request.header("host"),
            Some(server.address.to_string().as_str())
        );
        assert_eq!(request.connection, 0);
    }
}

#[test]
fn other_authority_is_refused_at_once() {
    let (authority, other, folder) = (Authority::new(), Authority::new(), Folder::new());
    let server = Server::tls(authority.server("127.0.0.1"), |_, _| Reply::ok("{}"));
    let ca = authority_file(&folder, &other);
    let client = folder.client(&cluster(&server, ca), "token: s3cr3t");
    let error = client.send(&request::get_node("n"), soon()).unwrap_err();
    assert!(matches!(error, KubeError::Unreachable { .. }), "{error:?}");
    let text = chain(&error);
    assert!(
        text.starts_with("GET /api/v1/nodes/n: cannot talk to the API server"),
        "{text}"
    );
    assert!(text.contains("certificate"), "{text}");
    assert!(!format!("{text} {error:?}").contains("s3cr3t"));
    assert!(server.received().is_empty());
}

#[test]
fn server_name_is_asked_for_and_verified() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let server = Server::tls(authority.server(NAME), |_, _| Reply::ok("{}"));
    let ca = authority_file(&folder, &authority);
    let wrong = folder.client(&cluster(&server, ca), "");
    assert!(wrong.send(&request::get_node("n"), soon()).is_err());

    let named = format!("{ca}, tls-server-name: {NAME}");
    let right = folder.client(&cluster(&server, &named), "");
    right.send(&request::get_node("n"), soon()).unwrap();
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].sni.as_deref(), Some(NAME));
    assert_eq!(
        received[0].header("host"),
        Some(server.address.to_string().as_str())
    );
}

#[test]
fn insecure_means_any_certificate() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let server = Server::tls(authority.server(NAME), |_, _| Reply::ok("{}"));
    let client = folder.client(&cluster(&server, "insecure-skip-tls-verify: true"), "");
    client.send(&request::get_node("n"), soon()).unwrap();
}

#[test]
fn client_certificates_of_every_key_form_are_shown() {
    let authority = Authority::new();
    let pair = authority.pair("controller");
    for key in [pair.key.clone(), pair.sec1_key()] {
        let folder = Folder::new();
        let server = Server::tls(authority.strict_server("127.0.0.1"), |_, _| Reply::ok("{}"));
        let ca = authority_file(&folder, &authority);
        folder.write("client.crt", &pair.certificate);
        folder.write("client.key", &key);
        let user = "client-certificate: client.crt, client-key: client.key";
        let client = folder.client(&cluster(&server, ca), user);
        client.send(&request::get_node("n"), soon()).unwrap();
        assert!(server.received()[0].has_certificate);
    }
}

#[test]
fn no_client_certificate_is_refused_by_a_strict_server() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let server = Server::tls(authority.strict_server("127.0.0.1"), |_, _| Reply::ok("{}"));
    let ca = authority_file(&folder, &authority);
    let options = Options {
        retries: 0,
        ..Options::default()
    };
    let client = folder
        .try_client(&cluster(&server, ca), "", options)
        .unwrap();
    let error = client.send(&request::get_node("n"), soon()).unwrap_err();
    assert!(matches!(error, KubeError::Unreachable { .. }), "{error:?}");
    assert!(server.received().is_empty());
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let (one, two) = (authority.pair("one"), authority.pair("two"));
    let mixed = Pair {
        certificate: one.certificate,
        key: two.key,
    };
    let folder = Folder::new();
    folder.write("ca.crt", &authority.pem());
    folder.write("empty", "nothing here");
    folder.write("client.crt", &mixed.certificate);
    folder.write("client.key", &mixed.key);
    let good = "certificate-authority: ca.crt";
    let table = [
        (
            "certificate-authority: gone.crt",
            "",
            "cannot read ",
            "gone.crt",
        ),
        (
            "certificate-authority: empty",
            "",
            "no PEM certificates",
            "empty",
        ),
        (
            good,
            "client-certificate: client.crt, client-key: empty",
            "no PEM private key",
            "empty",
        ),
        (
            good,
            "client-certificate: empty, client-key: client.key",
            "no PEM certificates",
            "empty",
        ),
        (
            good,
            "client-certificate: client.crt, client-key: client.key",
            "do not fit together",
            "client.key",
        ),
    ];
    for (authority, user, problem, file) in table {
        let cluster = format!("server: 'https://127.0.0.1:1', {authority}");
        let error = folder
            .try_client(&cluster, user, Options::default())
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(problem) && text.contains(file), "{text}");
        assert!(!text.contains("PRIVATE KEY-----"), "{text}");
    }
}
