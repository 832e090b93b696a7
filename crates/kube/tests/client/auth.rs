//! Tokens that change, plugins that print them, proxies in between.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use ng_kube::{KubeError, Options, request};

use crate::support::{Authority, Folder, Received, Reply, Server, chain, soon};

/// Accepts one token.
fn wants(token: &'static str) -> impl Fn(usize, &Received) -> Reply + Send + Sync {
    move |_, request| {
        let expected = format!("Bearer {token}");
        if request.header("authorization") == Some(expected.as_str()) {
            Reply::ok("{}")
        } else {
            Reply::code(401)
        }
    }
}

fn cluster(server: &Server) -> String {
    format!("server: 'http://{}'", server.address)
}

fn tokens(server: &Server) -> Vec<String> {
    let received = server.received();
    let values = received
        .iter()
        .map(|r| r.header("authorization").unwrap_or("none"));
    values.map(str::to_owned).collect()
}

/// The user part for a plugin that is a shell script. The script is an argument, not a file: a file just written by
/// one thread cannot always be run while another thread forks.
fn plugin(script: &str, rest: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: /bin/sh, args: [-c, {script}], interactiveMode: Never{rest}}}"
    )
}

fn credential(status: &str) -> String {
    format!(
        r#"{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{{{status}}}}}"#
    )
}

fn lines_of(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap().lines().count()
}

#[test]
fn token_file_is_read_again_after_a_refusal() {
    let folder = Folder::new();
    let file = folder.write("token", "old\n");
    let server = Server::plain(move |number, request| {
        if number == 0 {
            // The token is replaced while the first request is under way.
            let mut file = std::fs::File::create(&file).unwrap();
            file.write_all(b"new\n").unwrap();
        }
        wants("new")(number, request)
    });
    let client = folder.client(&cluster(&server), "tokenFile: token");
    client.send(&request::get_node("n"), soon()).unwrap();
    client.send(&request::get_node("n"), soon()).unwrap();
    assert_eq!(tokens(&server), ["Bearer old", "Bearer new", "Bearer new"]);
}

#[test]
fn refusal_that_stays_ends_after_one_renewal() {
    let table = [
        ("tokenFile: token", 2),
        ("token: fixed", 1),
        ("username: u, password: p", 1),
        ("", 1),
    ];
    for (user, requests) in table {
        let folder = Folder::new();
        folder.write("token", "t");
        let server = Server::plain(wants("another"));
        let client = folder.client(&cluster(&server), user);
        let error = client.send(&request::get_node("n"), soon()).unwrap_err();
        assert!(error.is_unauthorized());
        assert_eq!(server.lines().len(), requests, "{user}");
    }
}

#[test]
fn unreadable_token_file_falls_back_or_is_named() {
    let folder = Folder::new();
    let server = Server::plain(wants("t"));
    let client = folder.client(&cluster(&server), "tokenFile: gone, token: t");
    client.send(&request::get_node("n"), soon()).unwrap();
    folder.write("empty", "\n");
    let client = folder.client(&cluster(&server), "tokenFile: empty");
    let error = client.send(&request::get_node("n"), soon()).unwrap_err();
    let text = chain(&error);
    assert!(
        text.ends_with("empty: expected a token, found nothing"),
        "{text}"
    );
    let client = folder.client(&cluster(&server), "tokenFile: gone");
    let error = client.send(&request::get_node("n"), soon()).unwrap_err();
    assert!(matches!(error, KubeError::Credentials { .. }));
    assert!(chain(&error).contains("gone"), "{}", chain(&error));
}

#[test]
fn passwords_and_impersonation_are_headers() {
    let folder = Folder::new();
    let server = Server::plain(|_, _| Reply::ok("{}"));
    let user = "username: jane, password: 'p:w', as: robot, as-uid: u1, as-groups: [dev, ops]";
    let client = folder.client(&cluster(&server), user);
    client.send(&request::get_node("n"), soon()).unwrap();
    let received = server.received().remove(0);
    assert_eq!(received.header("authorization"), Some("Basic amFuZTpwOnc="));
    let impersonation: Vec<_> = received
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("impersonate"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("impersonate-user", "robot"),
        ("impersonate-uid", "u1"),
        ("impersonate-group", "dev"),
        ("impersonate-group", "ops"),
    ];
    assert_eq!(impersonation, expected);
    assert!(
        !format!(
            "{client:?} {:?}",
            folder.credentials(&cluster(&server), user)
        )
        .contains("p:w")
    );
}

#[test]
fn plugin_runs_once_until_expiry_or_refusal() {
    let table = [
        (r#""token":"t""#, 1),
        (
            r#""token":"t","expirationTimestamp":"2999-01-01T00:00:00Z""#,
            1,
        ),
        (
            r#""token":"t","expirationTimestamp":"2001-01-01T00:00:00Z""#,
            3,
        ),
    ];
    for (status, runs) in table {
        let folder = Folder::new();
        let log = folder.path("runs");
        let script = format!(
            "echo run >> {}; echo '{}'",
            log.display(),
            credential(status)
        );
        let server = Server::plain(wants("t"));
        let client = folder.client(&cluster(&server), &plugin(&script, ""));
        for _ in 0..3 {
            client.send(&request::get_node("n"), soon()).unwrap();
        }
        assert_eq!(lines_of(&log), runs, "{status}");
    }
}

#[test]
fn plugin_runs_again_after_a_refusal() {
    let folder = Folder::new();
    let log = folder.path("runs");
    let token = credential(r#""token":"t'$(wc -l < RUNS | tr -d ' ')'""#);
    let script =
        format!("echo run >> RUNS; echo '{token}'").replace("RUNS", &log.display().to_string());
    let server = Server::plain(wants("t2"));
    let client = folder.client(&cluster(&server), &plugin(&script, ""));
    client.send(&request::get_node("n"), soon()).unwrap();
    assert_eq!(tokens(&server), ["Bearer t1", "Bearer t2"]);
}

#[test]
fn threads_refused_together_renew_once() {
    const THREADS: usize = 4;
    let folder = Folder::new();
    let log = folder.path("runs");
    let token = credential(r#""token":"t'$(wc -l < RUNS | tr -d ' ')'""#);
    let script =
        format!("echo run >> RUNS; echo '{token}'").replace("RUNS", &log.display().to_string());
    // Nobody is refused before everybody has come with the first token.
    let all = Barrier::new(THREADS);
    let server = Server::plain(move |number, request| {
        if number < THREADS {
            all.wait();
        }
        wants("t2")(number, request)
    });
    let client = folder.client(&cluster(&server), &plugin(&script, ""));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| client.send(&request::get_node("n"), soon()).unwrap());
        }
    });
    assert_eq!(lines_of(&log), 2);
    assert_eq!(server.lines().len(), 2 * THREADS);
}

#[test]
fn plugin_learns_of_the_cluster_and_gets_its_variables() {
    let folder = Folder::new();
    let seen = folder.path("seen");
    let script = format!(
        r#"printf '%s' "$KUBERNETES_EXEC_INFO" > {}; printf '%s' '{}' | sed s/TOKEN/$TOKEN/"#,
        seen.display(),
        credential(r#""token":"TOKEN""#)
    );
    let server = Server::plain(wants("from-env"));
    let cluster = format!("{}, certificate-authority: ca.crt", cluster(&server));
    folder.write("ca.crt", "PEM");
    let rest = ", provideClusterInfo: true, env: [{name: TOKEN, value: from-env}]";
    folder
        .client(&cluster, &plugin(&script, rest))
        .send(&request::get_node("n"), soon())
        .unwrap();
    let info: serde_json::Value = serde_json::from_slice(&std::fs::read(seen).unwrap()).unwrap();
    let expected = serde_json::json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "spec": {"interactive": false, "cluster": {
            "server": format!("http://{}", server.address), "certificate-authority-data": "UEVN"}},
    });
    assert_eq!(info, expected);
}

#[test]
fn plugin_may_give_a_certificate() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let pair = authority.pair("controller");
    let status =
        serde_json::json!({"clientCertificateData": pair.certificate, "clientKeyData": pair.key});
    let status = status.to_string();
    folder.write("credential", &credential(status.trim_matches(['{', '}'])));
    folder.write("ca.crt", &authority.pem());
    let script = format!("cat {}", folder.path("credential").display());
    let server = Server::tls(authority.strict_server("127.0.0.1"), |_, _| Reply::ok("{}"));
    let cluster = format!(
        "server: 'https://{}', certificate-authority: ca.crt",
        server.address
    );
    let client = folder.client(&cluster, &plugin(&script, ""));
    for _ in 0..2 {
        client.send(&request::get_node("n"), soon()).unwrap();
    }
    let received = server.received();
    assert!(
        received
            .iter()
            .all(|r| r.has_certificate && r.connection == 0),
        "{received:?}"
    );
}

#[test]
fn plugin_errors_say_what_happened_without_tokens() {
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ";
    let two = r#""token":"t","clientKeyData":"k""#;
    let wrong_version = credential(r#""token":"hunter2""#).replace("/v1\"", "/v1beta1\"");
    let table = [
        (
            format!("echo 'no session for {TOKEN}' >&2; exit 3"),
            "exit status: 3: no session for [hidden]",
        ),
        (
            format!("echo {TOKEN}"),
            "its output is no ExecCredential (line 1, column",
        ),
        (
            format!("echo '{}'", credential("")),
            "neither a token nor a certificate",
        ),
        (
            format!("echo '{}'", credential(two)),
            "clientCertificateData and clientKeyData come together",
        ),
        (
            format!("echo '{wrong_version}'"),
            "found ExecCredential of client.authentication.k8s.io/v1beta1",
        ),
        ("exec sleep 600".to_owned(), "did not finish within 300ms"),
    ];
    for (script, expected) in table {
        let server = Server::plain(|_, _| Reply::ok("{}"));
        let options = Options {
            plugin_timeout: Duration::from_millis(if script.contains("sleep") {
                300
            } else {
                20_000
            }),
            ..Options::default()
        };
        let client = Folder::new()
            .try_client(&cluster(&server), &plugin(&script, ""), options)
            .unwrap();
        let error = client.send(&request::get_node("n"), soon()).unwrap_err();
        let text = chain(&error);
        assert!(
            text.contains("credential plugin /bin/sh: ") && text.contains(expected),
            "{expected} in {text}"
        );
        assert!(!text.contains(TOKEN) && !text.contains("hunter2"), "{text}");
        assert!(server.received().is_empty());
    }
}

#[test]
fn missing_plugin_gives_its_hint() {
    let server = Server::plain(|_, _| Reply::ok("{}"));
    let user = "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin-here, installHint: 'see the manual'}";
    let error = Folder::new()
        .client(&cluster(&server), user)
        .send(&request::get_node("n"), soon())
        .unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains("no-such-plugin-here: cannot be started") && text.ends_with("see the manual"),
        "{text}"
    );
}

/// An HTTP proxy for one connection after another, which keeps the heads it was sent.
fn connect_proxy() -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap();
            let server = TcpStream::connect(target).unwrap();
            kept.lock().unwrap().push(head);
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (client_in, server_in) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass(client_in, server));
            thread::spawn(move || pass(server_in, client));
        }
    });
    (address, heads)
}

/// A SOCKS proxy for one connection, which gives the address it was asked for.
fn socks_proxy() -> (std::net::SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting).unwrap();
        client.read_exact(&mut vec![0; greeting[1].into()]).unwrap();
        client.write_all(&[5, 0]).unwrap();
        // Version, connect, reserved, IPv4, address, port.
        let mut wanted = [0; 10];
        client.read_exact(&mut wanted).unwrap();
        sender.send(wanted.to_vec()).unwrap();
        let ip = std::net::Ipv4Addr::from_octets(wanted[4..8].try_into().unwrap());
        let server = TcpStream::connect((ip, u16::from_be_bytes([wanted[8], wanted[9]]))).unwrap();
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        let (client_in, server_in) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || pass(client_in, server));
        pass(server_in, client);
    });
    (address, receiver)
}

#[test]
fn socks_proxy_is_used_too() {
    let server = Server::plain(wants("t"));
    let (proxy, wanted) = socks_proxy();
    let cluster = format!("{}, proxy-url: 'socks5://{proxy}'", cluster(&server));
    let client = Folder::new().client(&cluster, "token: t");
    client.send(&request::get_node("n"), soon()).unwrap();
    assert_eq!(wanted.recv().unwrap()[..8], [5, 1, 0, 1, 127, 0, 0, 1]);
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // Ends with either side; both are fine here.
    let _ = std::io::copy(&mut from, &mut to);
}

#[test]
fn proxy_of_the_kubeconfig_is_used_below_tls() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let server = Server::tls(authority.server("127.0.0.1"), |_, _| Reply::ok("{}"));
    let (proxy, heads) = connect_proxy();
    folder.write("ca.crt", &authority.pem());
    let cluster = format!(
        "server: 'https://{}', certificate-authority: ca.crt, proxy-url: 'http://u:pw@{proxy}'",
        server.address
    );
    let client = folder.client(&cluster, "token: t");
    client.send(&request::get_node("n"), soon()).unwrap();
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 1);
    assert!(
        heads[0].starts_with(&format!("CONNECT {} HTTP/1.1", server.address)),
        "{heads:?}"
    );
    assert!(heads[0].contains("Basic dTpwdw=="), "{heads:?}");
    assert!(!heads[0].contains("Bearer"));
    assert!(!format!("{:?}", folder.credentials(&cluster, "")).contains("pw@"));
}
