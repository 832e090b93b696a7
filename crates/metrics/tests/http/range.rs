//! Questions about the past: what is sent, and that no answer is trusted with time or memory.

use std::time::{Duration, Instant};

use ng_engine::time::Time;
use ng_metrics::{Archive, Grid, INODE_METRIC, Problem, Settings, Stretch, Trouble};

use crate::server::{Request, Server, html, json, reply};
use crate::{nodes, settings};

const DISK: &str = "diskUtilizationPercent";

/// Six hours before 2026-01-01T00:05:00Z.
const STRETCH: Stretch = Stretch {
    since: Time::from_millis((super::NOW_SECONDS - 6 * 3600) * 1000),
    step: Duration::from_mins(5),
    steps: 72,
};

fn ask(settings: &Settings, metric: &str, limit: Duration) -> Result<Grid, Problem> {
    let nodes = nodes();
    let archive = Archive::new(&["podUtilizationPercent", metric], &nodes, settings);
    archive.ask(1, STRETCH, Instant::now() + limit)
}

#[expect(
    clippy::unwrap_used,
    reason = "an answer where none can be fails the test"
)]
fn trouble(outcome: Result<Grid, Problem>) -> (Trouble, String) {
    let problem = outcome.unwrap_err();
    (problem.trouble, problem.to_string())
}

const LONG: Duration = Duration::from_secs(10);

#[test]
fn one_post_asks_for_the_middle_of_every_step_of_all_nodes() {
    let server = Server::start(|request: &Request| {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/p/api/v1/query_range")
        );
        json(
            r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"instance":"node-1"},"values":[[1767204450,"50"],[1767225750,"80"]]},
            {"metric":{"instance":"10.0.0.2:9100"},"values":[[1767204450,"NaN"]]}]}}"#,
        )
    });
    let grid = ask(&settings(&server.url("u:secret@", "/p/")), DISK, LONG).unwrap();
    let known: Vec<(usize, f64)> = grid
        .values()
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, value)| value.is_finite())
        .collect();
    assert_eq!(grid.values().len(), 2 * 72);
    assert_eq!(known, [(0, 50.0), (71 * 2, 80.0)]);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].header("authorization"),
        Some("Basic dTpzZWNyZXQ=")
    );
    let body = &requests[0].body;
    assert!(body.starts_with("query=100%20%2A%20max%20by"), "{body}");
    assert!(
        body.ends_with("&start=1767204450&end=1767225750&step=300&timeout=5s"),
        "{body}"
    );
}

#[test]
fn a_query_of_ones_own_is_asked_for_by_its_name() {
    let server = Server::start(|request: &Request| {
        assert!(
            request.body.starts_with("query=own_inodes&"),
            "{}",
            request.body
        );
        json(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#)
    });
    let mut settings = settings(&server.url("", ""));
    let own = settings
        .custom
        .insert(INODE_METRIC.to_owned(), "own_inodes".to_owned());
    assert_eq!(own, None);
    let grid = ask(&settings, INODE_METRIC, LONG).unwrap();
    assert!(grid.values().iter().all(|value| value.is_nan()));
}

#[test]
fn a_proxy_that_wants_get_gets_it() {
    let server = Server::start(|request: &Request| match request.method.as_str() {
        "POST" => reply(405, "text/plain", "no"),
        _ => json(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#),
    });
    ask(&settings(&server.url("", "")), DISK, LONG).unwrap();
    let paths: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.path.split('?').next().unwrap_or("").to_owned())
        .collect();
    assert_eq!(paths, ["/api/v1/query_range"; 2]);
}

#[test]
fn what_is_no_answer_says_why() {
    let page = Server::start(|_| html(200));
    let refuses = Server::start(|_| {
        reply(
            422,
            "application/json",
            r#"{"status":"error","errorType":"execution","error":"too many samples"}"#,
        )
    });
    let table = [
        (&page, Trouble::BadAnswer, "found \"<html><head>"),
        (
            &refuses,
            Trouble::BadAnswer,
            "HTTP 422, execution: too many samples",
        ),
    ];
    for (server, expected, text) in table {
        let (trouble, told) = trouble(ask(&settings(&server.url("u:secret@", "")), DISK, LONG));
        assert_eq!(trouble, expected, "{told}");
        assert!(told.contains(text) && told.starts_with(DISK), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
    let (trouble, _) = trouble(ask(&Settings::default(), DISK, LONG));
    assert_eq!(trouble, Trouble::NoSource);
}

#[test]
fn a_server_that_does_not_end_ends_with_the_deadline() {
    for server in [Server::silent(), Server::trickling()] {
        let started = Instant::now();
        let outcome = ask(
            &settings(&server.url("", "")),
            DISK,
            Duration::from_millis(300),
        );
        assert_eq!(trouble(outcome).0, Trouble::Unreachable);
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}

/// Two nodes and 72 steps are some ten thousand bytes: no megabytes are read for them.
#[test]
fn an_answer_that_is_larger_than_the_nodes_can_need_is_refused() {
    for tells_length in [false, true] {
        let server = Server::huge(4 << 20, tells_length);
        let (trouble, told) = trouble(ask(&settings(&server.url("", "")), DISK, LONG));
        assert_eq!(trouble, Trouble::BadAnswer);
        assert!(told.contains("larger than 1 MiB"), "{told}");
    }
}
