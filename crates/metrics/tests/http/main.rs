//! Whole fetches against servers on loopback: what is sent, and what becomes of good, bad and no answers.

mod fallback;
mod range;
mod server;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ng_engine::node::{Interest, Nodes, Resources};
use ng_engine::reading::{Origin, Reading, Unknown};
use ng_engine::rule::MetricsSource;
use ng_engine::time::Time;
use ng_metrics::{ApiServer, Fetched, MetricsServer, Settings, Trouble, Wanted, When, fetch};
use server::{Request, Server, html, json, reply, vector};

/// 2026-01-01T00:05:00Z
const NOW_SECONDS: i64 = 1_767_225_900;
const CPU: &str = "cpuUtilizationPercent";
const MEMORY: &str = "memoryUtilizationPercent";
const LOAD: &str = "cpuLoadRatio";

fn nodes() -> Nodes {
    let mut nodes = Nodes::new(&Interest::default());
    for (name, address) in [("node-1", "10.0.0.1"), ("node-2", "10.0.0.2")] {
        let mut node = nodes.start(name);
        node.address(address);
        node.capacity(Resources {
            cpu: Some(4.0),
            memory: Some(8e9),
            pods: Some(110.0),
        });
    }
    nodes
}

fn wanted(metric: &str) -> Wanted {
    Wanted {
        metric: metric.to_owned(),
        source: MetricsSource::default(),
    }
}

fn preferring(metric: &str) -> Wanted {
    let mut wanted = wanted(metric);
    wanted.source.prefer_metrics_server = true;
    wanted
}

fn settings(prometheus: &str) -> Settings {
    Settings {
        prometheus_url: Some(prometheus.to_owned()),
        timeout: Duration::from_secs(5),
        ..Settings::default()
    }
}

struct Api(Result<&'static str, &'static str>);

impl ApiServer for Api {
    fn get(&self, path: &str, _deadline: Instant) -> Result<Vec<u8>, String> {
        assert_eq!(path, "/apis/metrics.k8s.io/v1beta1/nodes");
        self.0
            .map(|body| body.as_bytes().to_vec())
            .map_err(ToOwned::to_owned)
    }
}

const USAGE: Api = Api(Ok(r#"{"kind":"NodeMetricsList","items":[
    {"metadata":{"name":"node-1"},"timestamp":"2026-01-01T00:04:30Z","window":"20s","usage":{"cpu":"1","memory":"2G"}},
    {"metadata":{"name":"node-2"},"timestamp":"2026-01-01T00:04:30Z","window":"20s","usage":{"cpu":"2","memory":"4G"}}]}"#));

fn run(wanted: &[Wanted], settings: &Settings, api: Option<&dyn ApiServer>) -> Fetched {
    let when = When {
        now: Time::from_millis(NOW_SECONDS * 1000),
        deadline: Instant::now() + Duration::from_secs(10),
    };
    fetch(wanted, &nodes(), settings, api, when)
}

/// The first wanted column as texts, such as `25 prometheus` and `NoSample`.
fn shown(fetched: &Fetched, column: usize) -> [String; 2] {
    [0, 1].map(|node| match fetched.columns[column].get(node) {
        Reading::Value { value, origin, .. } => format!("{value} {}", origin.word()),
        Reading::Unknown(reason) => reason.to_string(),
    })
}

fn troubles(fetched: &Fetched) -> Vec<Trouble> {
    fetched
        .problems
        .iter()
        .map(|problem| problem.trouble)
        .collect()
}

#[test]
fn one_post_a_metric_answers_for_all_nodes() {
    let server = Server::start(|request: &Request| {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/p/api/v1/query")
        );
        json(&vector(
            NOW_SECONDS,
            &[("node-1", "25"), ("10.0.0.2:9100", "50")],
        ))
    });
    let all = [wanted(CPU), wanted(LOAD), preferring(LOAD), wanted("own")];
    let mut settings = settings(&server.url("u:secret@", "/p/"));
    settings.custom = BTreeMap::from([("own".to_owned(), "up + 1".to_owned())]);
    let fetched = run(&all, &settings, None);
    for column in 0..all.len() {
        assert_eq!(shown(&fetched, column), ["25 prometheus", "50 prometheus"]);
    }
    assert_eq!((fetched.requests, fetched.problems.len()), (3, 0));
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert_eq!(request.header("authorization"), Some("Basic dTpzZWNyZXQ="));
        assert!(request.body.contains("&timeout=5s"), "{}", request.body);
    }
    assert!(
        requests
            .iter()
            .any(|request| request.body.starts_with("query=up%20%2B%201&"))
    );
}

#[test]
fn connections_are_kept() {
    let server = Server::start(|_| json(&vector(NOW_SECONDS, &[("node-1", "1")])));
    let mut settings = settings(&server.url("", ""));
    settings.max_concurrent = 1;
    let fetched = run(
        &[wanted(CPU), wanted(MEMORY), wanted(LOAD)],
        &settings,
        None,
    );
    assert_eq!((fetched.requests, server.connections()), (3, 1));
}

#[test]
fn a_rule_asks_its_own_prometheus_without_the_token() {
    let configured = Server::start(|_| json(&vector(NOW_SECONDS, &[("node-1", "1")])));
    let own = Server::start(|_| json(&vector(NOW_SECONDS, &[("node-1", "2")])));
    let mut settings = settings(&configured.url("", ""));
    settings.bearer_token = Some("secret".to_owned());
    let mut by_rule = wanted(CPU);
    by_rule.source.prometheus_url = Some(own.url("", ""));
    let mut same = wanted(CPU);
    same.source.prometheus_url = Some(configured.url("", ""));
    let fetched = run(&[wanted(CPU), by_rule, same], &settings, None);
    let first = |column: usize| shown(&fetched, column)[0].clone();
    assert_eq!(
        [first(0), first(1), first(2)],
        ["1 prometheus", "2 prometheus", "1 prometheus"]
    );
    assert_eq!(fetched.requests, 2);
    assert_eq!(
        configured.requests()[0].header("authorization"),
        Some("Bearer secret")
    );
    assert_eq!(own.requests()[0].header("authorization"), None);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one flat table")]
fn bad_answers_are_unknown_and_named() {
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#;
    let refused = r#"{"status":"error","errorType":"execution","error":"many-to-many matching"}"#;
    let bad = (Unknown::BadAnswer, Trouble::BadAnswer);
    let down = (Unknown::Unreachable, Trouble::Unreachable);
    let table = [
        ("html", html(200), bad, 1, "expected JSON"),
        ("scalar", json(scalar), bad, 1, "scalar"),
        (
            "truncated",
            json(r#"{"status":"success","data":{"res"#),
            bad,
            1,
            "EOF",
        ),
        ("error", json(refused), bad, 1, "many-to-many"),
        (
            "422",
            reply(422, "application/json", refused),
            bad,
            1,
            "HTTP 422, execution: many-to-many",
        ),
        (
            "404",
            reply(404, "text/plain", "404 page not found"),
            bad,
            1,
            "HTTP 404: 404 page",
        ),
        (
            "401",
            reply(401, "text/plain", "Unauthorized"),
            bad,
            1,
            "HTTP 401",
        ),
        (
            "500",
            reply(500, "application/json", refused),
            bad,
            2,
            "HTTP 500",
        ),
        ("502", html(502), down, 2, "HTTP 502"),
        (
            "good body, bad status",
            reply(504, "", &vector(NOW_SECONDS, &[("node-1", "1")])),
            down,
            2,
            "HTTP 504",
        ),
        (
            "short",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".into(),
            down,
            2,
            "",
        ),
        ("no http", "SSH-2.0-OpenSSH\r\n\r\n".into(), down, 2, ""),
    ];
    for (name, answer, (reason, trouble), requests, text) in table {
        let closes = !answer.contains("Content-Type");
        let server = Server::start_with(closes, move |_| answer.clone());
        let mut settings = settings(&server.url("u:secret@", ""));
        settings.retries = 1;
        let fetched = run(&[wanted(LOAD)], &settings, None);
        assert_eq!(shown(&fetched, 0), [reason.word(), reason.word()], "{name}");
        assert_eq!(
            (fetched.requests, troubles(&fetched)),
            (requests, vec![trouble]),
            "{name}"
        );
        let problem = fetched.problems[0].to_string();
        assert!(
            problem.contains(text) && problem.contains(LOAD),
            "{name}: {problem}"
        );
        assert!(
            problem.contains(&server.url("", "")) && !problem.contains("secret"),
            "{name}: {problem}"
        );
    }
}

#[test]
fn a_passing_failure_is_repeated() {
    let server = Server::start_counting(|_, number| {
        if number == 0 {
            html(503)
        } else {
            json(&vector(NOW_SECONDS, &[("node-1", "1")]))
        }
    });
    let fetched = run(&[wanted(LOAD)], &settings(&server.url("", "")), None);
    assert_eq!(shown(&fetched, 0), ["1 prometheus", "NoSample"]);
    assert_eq!((fetched.requests, fetched.problems.len()), (2, 0));
}

#[test]
fn warnings_and_strangers_are_reported_beside_the_readings() {
    let server = Server::start(|_| {
        let body = vector(
            NOW_SECONDS,
            &[("node-1", "NaN"), ("node-2", "+Inf"), ("gone", "1")],
        );
        json(&body.replace(
            r#""status":"success","#,
            r#""status":"success","warnings":["partial response"],"#,
        ))
    });
    let fetched = run(&[wanted(LOAD)], &settings(&server.url("", "")), None);
    assert_eq!(shown(&fetched, 0), ["NotFinite", "NotFinite"]);
    assert_eq!(troubles(&fetched), [Trouble::Unresolved, Trouble::Warning]);
    assert!(
        fetched.problems[0].text.contains("gone"),
        "{}",
        fetched.problems[0]
    );
}

#[test]
fn an_old_answer_is_stale_by_both_clocks() {
    let old = vector(NOW_SECONDS - 3600, &[("node-1", "1")]);
    let dated = |date: &str| json(&old).replacen("\r\n", &format!("\r\nDate: {date}\r\n"), 1);
    let table = [
        (json(&old), "Stale"),
        (dated("Thu, 01 Jan 2026 00:05:00 GMT"), "Stale"),
        (dated("Wed, 31 Dec 2025 23:05:00 GMT"), "1 prometheus"),
    ];
    for (answer, expected) in table {
        let server = Server::start(move |_| answer.clone());
        let fetched = run(&[wanted(LOAD)], &settings(&server.url("", "")), None);
        assert_eq!(shown(&fetched, 0)[0], expected);
    }
}

#[test]
fn a_hanging_server_costs_no_more_than_the_deadline() {
    let silent = Server::silent();
    let trickling = Server::trickling();
    for server in [silent, trickling] {
        let start = Instant::now();
        let when = When {
            now: Time::from_millis(NOW_SECONDS * 1000),
            deadline: start + Duration::from_millis(600),
        };
        let fetched = fetch(
            &[wanted(CPU), wanted(LOAD)],
            &nodes(),
            &settings(&server.url("", "")),
            Some(&USAGE),
            when,
        );
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_millis(1500), "{elapsed:?}");
        assert_eq!(
            shown(&fetched, 0),
            ["25 metrics-server", "50 metrics-server"]
        );
        assert_eq!(shown(&fetched, 1), ["Unreachable", "Unreachable"]);
        assert_eq!(
            fetched.requests, 3,
            "a query that was too slow is not repeated"
        );
    }
}

#[test]
fn a_passed_deadline_sends_nothing() {
    let server = Server::start(|_| json(&vector(NOW_SECONDS, &[("node-1", "1")])));
    let when = When {
        now: Time::from_millis(0),
        deadline: Instant::now(),
    };
    let fetched = fetch(
        &[wanted(LOAD)],
        &nodes(),
        &settings(&server.url("", "")),
        None,
        when,
    );
    assert_eq!(shown(&fetched, 0), ["Unreachable", "Unreachable"]);
    assert_eq!((fetched.requests, server.connections()), (0, 0));
}

#[test]
fn a_huge_answer_is_refused_while_it_is_read() {
    for tells_length in [true, false] {
        let server = Server::huge(200 << 20, tells_length);
        let fetched = run(&[wanted(LOAD)], &settings(&server.url("", "")), None);
        assert_eq!(shown(&fetched, 0), ["BadAnswer", "BadAnswer"]);
        assert!(
            fetched.problems[0].text.contains("64 MiB"),
            "{}",
            fetched.problems[0]
        );
        assert_eq!(fetched.requests, 1);
    }
}

#[test]
fn nothing_listens() {
    // A port that no server of another test is handed meanwhile.
    let mut settings = settings("http://127.0.0.1:1");
    settings.retries = 1;
    settings.max_concurrent = 1;
    let fetched = run(
        &[wanted(LOAD), wanted("diskUtilizationPercent")],
        &settings,
        None,
    );
    assert_eq!(shown(&fetched, 0), ["Unreachable", "Unreachable"]);
    assert_eq!(shown(&fetched, 1), ["Unreachable", "Unreachable"]);
    assert_eq!(
        fetched.requests, 2,
        "what was learnt for one metric spares the next"
    );
}

#[test]
fn a_proxy_without_post_is_asked_by_get() {
    let server = Server::start(|request| {
        if request.method == "POST" {
            return reply(405, "text/plain", "Method Not Allowed");
        }
        let query = request.path.strip_prefix("/api/v1/query?query=").unwrap();
        assert!(!query.contains(['+', ' ', '"']), "{query}");
        json(&vector(NOW_SECONDS, &[("node-1", "1")]))
    });
    let mut settings = settings(&server.url("", ""));
    settings.max_concurrent = 1;
    let fetched = run(&[wanted(CPU), wanted(LOAD)], &settings, None);
    assert_eq!(shown(&fetched, 1), ["1 prometheus", "NoSample"]);
    assert_eq!(fetched.requests, 3, "the second metric goes by GET at once");
}

#[test]
fn a_redirect_keeps_the_query_and_loops_end() {
    let server = Server::start(|request| match request.path.as_str() {
        "/api/v1/query" => redirect("/prefix/api/v1/query"),
        "/loop/api/v1/query" => redirect("/loop/api/v1/query"),
        _ => {
            assert!(request.method == "POST" && request.body.starts_with("query="));
            json(&vector(NOW_SECONDS, &[("node-1", "1")]))
        }
    });
    let fetched = run(&[wanted(LOAD)], &settings(&server.url("", "")), None);
    assert_eq!(shown(&fetched, 0)[0], "1 prometheus");
    let fetched = run(&[wanted(LOAD)], &settings(&server.url("", "/loop")), None);
    assert_eq!(shown(&fetched, 0)[0], "BadAnswer");
    assert!(
        fetched.problems[0].text.contains("redirected"),
        "{}",
        fetched.problems[0]
    );
}

fn redirect(location: &str) -> String {
    reply(302, "text/html", "").replacen("\r\n", &format!("\r\nLocation: {location}\r\n"), 1)
}

#[test]
fn https_needs_a_readable_authority() {
    let server = Server::silent();
    let mut settings = settings(&server.url("", "").replace("http:", "https:"));
    settings.ca_file = Some("does/not/exist.pem".into());
    let fetched = run(&[wanted(LOAD)], &settings, None);
    assert_eq!(shown(&fetched, 0), ["Unreachable", "Unreachable"]);
    assert!(
        fetched.problems[0].text.contains("does/not/exist.pem"),
        "{}",
        fetched.problems[0]
    );
}
