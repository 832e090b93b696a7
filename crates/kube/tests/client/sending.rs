//! Sending again, giving up, and holding only so much.

use std::time::{Duration, Instant};

use ng_kube::eviction::EvictionOutcome;
use ng_kube::objects::Pod;
use ng_kube::{Client, KubeError, Options, Page, PodRef, Request, request};

use crate::support::{Folder, Received, Reply, Server, chain, soon};

fn client_with(server: &Server, options: Options) -> Client {
    let cluster = format!("server: 'http://{}/prefix'", server.address);
    Folder::new().try_client(&cluster, "", options).unwrap()
}

fn client(server: &Server) -> Client {
    client_with(server, Options::default())
}

fn get() -> Request {
    request::get_node("n")
}

fn evict() -> Request {
    let pod = PodRef {
        namespace: "shop".into(),
        name: "web-1".into(),
        uid: "u".into(),
    };
    request::evict(&pod, None)
}

#[test]
fn path_of_the_server_comes_first_and_bodies_arrive() {
    let server = Server::plain(|_, _| Reply::Answer(201, "", b"{}".to_vec()));
    client(&server).send(&evict(), soon()).unwrap();
    let received = server.received().remove(0);
    assert_eq!(
        received.line,
        "POST /prefix/api/v1/namespaces/shop/pods/web-1/eviction HTTP/1.1"
    );
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.body, evict().body);
}

#[test]
fn reads_are_repeated_after_what_passes() {
    type Script = fn(usize, &Received) -> Reply;
    let scripts: [Script; 3] = [
        |number, _| {
            [Reply::code(503), Reply::code(500), Reply::ok("{}")]
                .into_iter()
                .nth(number)
                .unwrap()
        },
        |number, _| {
            if number == 0 {
                Reply::Close
            } else {
                Reply::ok("{}")
            }
        },
        |number, _| {
            if number < 3 {
                Reply::code(504)
            } else {
                Reply::ok("{}")
            }
        },
    ];
    for (script, expected) in scripts.into_iter().zip([3, 2, 4]) {
        let server = Server::plain(script);
        client(&server).send(&get(), soon()).unwrap();
        assert_eq!(server.lines().len(), expected);
    }
}

#[test]
fn retry_after_is_waited_for() {
    let server = Server::plain(|number, _| match number {
        0 => Reply::Answer(429, "Retry-After: 1\r\n", Vec::new()),
        _ => Reply::ok("{}"),
    });
    let start = Instant::now();
    client(&server).send(&get(), soon()).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn retry_after_beyond_the_deadline_is_not() {
    let server = Server::plain(|_, _| {
        Reply::Answer(429, "Retry-After: 18446744073709551615\r\n", Vec::new())
    });
    let error = client(&server).send(&get(), soon()).unwrap_err();
    assert!(error.is_too_many_requests());
    let expected = Some(Duration::from_secs(u64::MAX));
    assert_eq!(error.status().unwrap().retry_after, expected);
    assert_eq!(server.lines().len(), 1);
}

#[test]
fn writes_and_lasting_refusals_are_sent_once() {
    let table: [(Request, fn() -> Reply); 6] = [
        (evict(), || Reply::code(503)),
        (evict(), || Reply::code(429)),
        (evict(), || Reply::Close),
        (get(), || Reply::code(404)),
        (get(), || Reply::code(403)),
        (get(), || Reply::code(501)),
    ];
    for (request, reply) in table {
        let server = Server::plain(move |_, _| reply());
        client(&server).send(&request, soon()).unwrap_err();
        assert_eq!(server.lines().len(), 1, "{request}");
    }
}

#[test]
fn retries_end() {
    let server = Server::plain(|_, _| Reply::code(500));
    let options = Options {
        retries: 1,
        ..Options::default()
    };
    let error = client_with(&server, options)
        .send(&get(), soon())
        .unwrap_err();
    assert_eq!(error.status().unwrap().code, 500);
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn refused_connection_is_unreachable() {
    // A port that no server of another test is handed meanwhile.
    let error = Folder::new()
        .client("server: 'http://127.0.0.1:1'", "")
        .send(&get(), soon())
        .unwrap_err();
    assert!(matches!(error, KubeError::Unreachable { .. }), "{error:?}");
    assert!(chain(&error).contains("refused"), "{}", chain(&error));
}

#[test]
fn silence_ends_with_the_timeout_or_the_deadline() {
    let server = Server::plain(|_, _| Reply::Hang);
    let short = Duration::from_millis(150);
    let options = Options {
        timeout: short,
        ..Options::default()
    };
    let impatient = client_with(&server, options);
    let error = impatient.send(&get(), soon()).unwrap_err();
    assert!(
        matches!(error, KubeError::Timeout { limit, .. } if limit == short),
        "{error:?}"
    );
    let deadline = Instant::now() + short;
    let error = client(&server).send(&get(), deadline).unwrap_err();
    assert!(matches!(error, KubeError::Deadline { .. }), "{error:?}");
}

#[test]
fn past_deadline_sends_nothing() {
    let server = Server::plain(|_, _| Reply::ok("{}"));
    let deadline = Instant::now();
    let error = client(&server).send(&get(), deadline).unwrap_err();
    assert!(matches!(error, KubeError::Deadline { .. }), "{error:?}");
    assert!(server.lines().is_empty());
}

#[test]
fn answers_are_held_up_to_the_limit() {
    let limit = 5000;
    let options = Options {
        max_response_bytes: limit,
        ..Options::default()
    };
    for chunked in [false, true] {
        for extra in [0, 1] {
            let size = usize::try_from(limit).unwrap() + extra;
            let server = Server::plain(move |_, _| {
                let body = vec![b' '; size];
                if chunked {
                    Reply::Chunked(body)
                } else {
                    Reply::Answer(200, "", body)
                }
            });
            let result = client_with(&server, options.clone()).send(&get(), soon());
            match (extra, result) {
                (0, Ok(response)) => assert_eq!(response.body.len(), size),
                (1, Err(error)) => assert_eq!(
                    error.to_string(),
                    "GET /api/v1/nodes/n: the answer is larger than the limit of 5000 bytes"
                ),
                (_, other) => panic!("{size} bytes, chunked {chunked}: {other:?}"),
            }
        }
    }
}

#[test]
fn redirects_are_refusals() {
    let server = Server::plain(|_, _| Reply::Answer(302, "Location: /elsewhere\r\n", Vec::new()));
    let error = client(&server).send(&get(), soon()).unwrap_err();
    assert_eq!(error.status().unwrap().code, 302);
    assert_eq!(server.lines().len(), 1);
}

#[test]
fn failure_inside_a_created_is_a_failure() {
    let body = br#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"pods \"web-1\" not found","code":404}"#;
    let server = Server::plain(|_, _| Reply::Answer(201, "", body.to_vec()));
    let result = client(&server).send(&evict(), soon());
    assert_eq!(EvictionOutcome::of(&result), EvictionOutcome::Gone);
}

#[test]
fn what_is_no_json_says_where() {
    let server = Server::plain(|_, _| Reply::ok("<html>"));
    let error = client(&server)
        .send_json::<Pod>(&get(), soon())
        .unwrap_err();
    assert!(matches!(error, KubeError::Decode { .. }), "{error:?}");
    assert!(
        chain(&error).contains("line 1 column 1"),
        "{}",
        chain(&error)
    );
}

fn pod_names(server: &Server) -> Result<Vec<String>, KubeError> {
    let request = |page: Page<'_>| request::list_pods_on_node("w", page);
    client(server).list(request, soon(), |pod: Pod| pod.metadata.name)
}

fn page(names: &[&str], continue_token: &str) -> Reply {
    let items: Vec<String> = names
        .iter()
        .map(|name| format!(r#"{{"metadata":{{"name":"{name}"}}}}"#))
        .collect();
    let items = items.join(",");
    Reply::ok(&format!(
        r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"continue":"{continue_token}"}},"items":[{items}]}}"#
    ))
}

#[test]
fn lists_follow_their_pages() {
    let server = Server::plain(|_, request| {
        if request.line.contains("continue=t%2F1") {
            page(&["c"], "")
        } else {
            page(&["a", "b"], "t/1")
        }
    });
    assert_eq!(pod_names(&server).unwrap(), ["a", "b", "c"]);
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn expired_list_starts_again() {
    let server = Server::plain(|number, _| match number {
        0 => page(&["old"], "t"),
        1 => Reply::code(410),
        2 => page(&["a"], "t"),
        _ => page(&["b"], ""),
    });
    assert_eq!(pod_names(&server).unwrap(), ["a", "b"]);
    assert!(!server.lines()[2].contains("continue"));
}

#[test]
fn list_that_always_expires_ends() {
    let server = Server::plain(|_, _| Reply::code(410));
    assert!(pod_names(&server).unwrap_err().is_expired());
    assert_eq!(server.lines().len(), 3);
}

#[test]
fn null_items_are_none() {
    let server = Server::plain(|_, _| Reply::ok(r#"{"metadata":{},"items":null}"#));
    assert!(pod_names(&server).unwrap().is_empty());
}
