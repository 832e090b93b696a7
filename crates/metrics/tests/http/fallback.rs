//! metrics.k8s.io beside Prometheus, and what happens without either.

use super::*;

#[test]
fn metrics_k8s_io_fills_what_prometheus_lacks() {
    let partial = Server::start(|_| json(&vector(NOW_SECONDS, &[("node-1", "9")])));
    let fetched = run(
        &[wanted(CPU), wanted(MEMORY), wanted(LOAD)],
        &settings(&partial.url("", "")),
        Some(&USAGE),
    );
    assert_eq!(shown(&fetched, 0), ["9 prometheus", "50 metrics-server"]);
    assert_eq!(shown(&fetched, 1), ["9 prometheus", "50 metrics-server"]);
    assert_eq!(shown(&fetched, 2), ["9 prometheus", "NoSample"]);
    assert_eq!(
        fetched.requests, 4,
        "one to metrics.k8s.io for both metrics"
    );
    let Reading::Value { at, origin, .. } = fetched.columns[0].get(1) else {
        panic!("there is a reading");
    };
    assert_eq!(
        (at.to_string().as_str(), origin),
        ("2026-01-01T00:04:30Z", Origin::MetricsServer)
    );
}

#[test]
fn metrics_k8s_io_first_spares_prometheus() {
    let server = Server::start(|_| json(&vector(NOW_SECONDS, &[("node-1", "9"), ("node-2", "9")])));
    let settings = settings(&server.url("", ""));
    let fetched = run(&[preferring(CPU)], &settings, Some(&USAGE));
    assert_eq!(
        shown(&fetched, 0),
        ["25 metrics-server", "50 metrics-server"]
    );
    assert_eq!(fetched.requests, 1);
    let broken = Api(Err("503 Service Unavailable"));
    let fetched = run(&[preferring(CPU)], &settings, Some(&broken));
    assert_eq!(shown(&fetched, 0), ["9 prometheus", "9 prometheus"]);
    assert_eq!(fetched.requests, 2);
    assert!(
        fetched.problems[0]
            .to_string()
            .contains("metrics.k8s.io: 503")
    );
}

#[test]
fn metrics_k8s_io_has_an_address_of_its_own() {
    let Ok(list) = USAGE.0 else { panic!("a list") };
    let server = Server::start(move |request| {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("GET", "/m/nodes")
        );
        json(list)
    });
    let mut settings = settings("");
    settings.metrics_server = MetricsServer::Url(server.url("", "/m"));
    let fetched = run(
        &[wanted(CPU), wanted(LOAD), wanted("typo")],
        &settings,
        None,
    );
    assert_eq!(
        shown(&fetched, 0),
        ["25 metrics-server", "50 metrics-server"]
    );
    assert_eq!(shown(&fetched, 1), ["NoSource", "NoSource"]);
    assert_eq!(shown(&fetched, 2), ["NoSource", "NoSource"]);
    assert_eq!(troubles(&fetched), [Trouble::NoSource, Trouble::NoSource]);
}

#[test]
fn without_sources_or_nodes_nothing_is_asked() {
    let fetched = run(&[wanted(CPU)], &settings(""), None);
    assert_eq!(shown(&fetched, 0), ["NoSource", "NoSource"]);
    assert_eq!(
        (fetched.requests, troubles(&fetched)),
        (0, vec![Trouble::NoSource])
    );
    let bad = run(&[wanted(LOAD)], &settings("u:secret@prometheus"), None);
    assert_eq!(shown(&bad, 0), ["NoSource", "NoSource"]);
    assert!(
        bad.problems
            .iter()
            .all(|problem| !problem.to_string().contains("secret"))
    );
    let none = Nodes::new(&Interest::default());
    let when = When {
        now: Time::from_millis(0),
        deadline: Instant::now(),
    };
    let fetched = fetch(
        &[wanted(CPU)],
        &none,
        &settings("http://127.0.0.1:1"),
        None,
        when,
    );
    assert_eq!(
        (
            fetched.requests,
            fetched.columns.len(),
            fetched.columns[0].len()
        ),
        (0, 1, 0)
    );
}
