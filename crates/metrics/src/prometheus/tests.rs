use super::*;
use ng_engine::node::Interest;
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000_000;

fn cluster(count: usize) -> Nodes {
    let mut nodes = Nodes::new(&Interest::default());
    for number in 0..count {
        let address = format!(
            "10.{}.{}.{}",
            number >> 16,
            (number >> 8) & 255,
            number & 255
        );
        nodes.start(&format!("node-{number}")).address(&address);
    }
    nodes
}

fn read_with(nodes: &Nodes, max_samples: usize, body: &[u8]) -> Result<Answer, Refusal> {
    let reader = Reader {
        index: &Index::new(nodes),
        nodes,
        max_samples,
        freshness: Freshness {
            now: Time::from_millis(NOW),
            server: None,
            oldest_ms: 300_000,
        },
    };
    parse(body, &reader)
}

fn read(body: &str) -> Result<Answer, Refusal> {
    read_with(&cluster(3), 0, body.as_bytes())
}

fn vector(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
}

fn series(instance: &str, value: &str) -> String {
    format!(r#"{{"metric":{{"instance":"{instance}"}},"value":[1700000000.123,"{value}"]}}"#)
}

#[test]
fn a_histogram_is_no_sample_and_hides_no_other() {
    let histogram = r#"{"metric":{"instance":"node-1"},"histogram":[1700000000.123,{"count":"60","sum":"33.7","buckets":[[0,"1","2","4"]]}]}"#;
    let body = vector(&[series("node-0", "91.25"), histogram.to_owned()].join(","));
    let answer = read(&body).unwrap();
    assert!(matches!(answer.column.get(0), Reading::Value { .. }));
    assert_eq!(answer.column.get(1), Reading::Unknown(Unknown::NoSample));
}

#[test]
fn values_find_their_nodes() {
    let body = vector(&[series("node-0", "91.25"), series("10.0.0.1:9100", "1e-7")].join(","));
    let answer = read(&body).unwrap();
    let expected = Reading::Value {
        value: 91.25,
        at: Time::from_millis(NOW + 123),
        origin: Origin::Prometheus,
    };
    assert_eq!(answer.column.get(0), expected);
    assert!(matches!(answer.column.get(1), Reading::Value { .. }));
    assert_eq!(answer.column.get(2), Reading::Unknown(Unknown::NoSample));
    assert_eq!((answer.unresolved.count, answer.ambiguous.count), (0, 0));
}

#[test]
fn the_largest_of_several_counts_in_any_order() {
    let table: [(&[&str], Reading); 6] = [
        (&["1", "3", "2"], value(3.0)),
        (&["NaN", "-2"], value(-2.0)),
        (&["-2", "NaN"], value(-2.0)),
        (&["+Inf", "5"], value(5.0)),
        (&["5", "+Inf"], value(5.0)),
        (
            &["NaN", "-Inf", "+Inf"],
            Reading::Unknown(Unknown::NotFinite),
        ),
    ];
    for (values, expected) in table {
        let all: Vec<String> = values.iter().map(|value| series("node-2", value)).collect();
        assert_eq!(
            read(&vector(&all.join(","))).unwrap().column.get(2),
            expected,
            "{values:?}"
        );
    }
}

fn value(value: f64) -> Reading {
    Reading::Value {
        value,
        at: Time::from_millis(NOW + 123),
        origin: Origin::Prometheus,
    }
}

#[test]
fn strangers_are_counted_and_named() {
    let all: Vec<String> = (5..10)
        .map(|number| series(&format!("gone-{number}"), "1"))
        .collect();
    let answer = read(&vector(&all.join(","))).unwrap();
    assert_eq!(
        answer.unresolved.to_string(),
        "gone-5, gone-6, gone-7 and 2 more"
    );
    assert!(answer.column.values().iter().all(|value| value.is_nan()));
}

#[test]
fn claimed_nodes_are_ambiguous_unless_a_clear_series_says_more() {
    let mut nodes = Nodes::new(&Interest::default());
    for name in ["a.x", "a.y", "b"] {
        nodes.start(name);
    }
    let body = vector(&[series("a", "9"), series("a.y:9100", "4")].join(","));
    let answer = read_with(&nodes, 0, body.as_bytes()).unwrap();
    assert_eq!(answer.column.get(0), Reading::Unknown(Unknown::Ambiguous));
    assert_eq!(answer.column.get(1), value(4.0));
    assert_eq!(answer.column.get(2), Reading::Unknown(Unknown::NoSample));
    assert_eq!(answer.ambiguous.to_string(), "a");
}

#[test]
fn keys_may_come_in_any_order_and_unknown_ones_are_skipped() {
    let body = r#" {"infos":["PromQL info"],"stats":{"a":[1,{"b":null}]},"data":{"result":[
        {"value":[1700000000.123,"7"],"metric":{"zone":"a\"b","instance":"node\u002d0"}}],"resultType":"vector","x":1},
        "warnings":["partial"],"status":"success"} "#;
    let answer = read(body).unwrap();
    assert_eq!(answer.column.get(0), value(7.0));
    assert_eq!(answer.warnings, ["partial"]);
}

#[test]
fn what_is_no_vector_is_refused_with_the_words_of_the_server() {
    let table = [
        ("", "expected JSON, found \"\""),
        (
            "<html><body>\n502 Bad Gateway</body>",
            "expected JSON, found \"<html><body> 502 Bad Gateway</body>\"",
        ),
        ("[]", "expected JSON"),
        ("{}", "expected status \"success\""),
        (r#"{"status":"success"}"#, "no vector"),
        (r#"{"status":"success","data":null}"#, "no vector"),
        (
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"+Inf"]}}"#,
            "found a scalar",
        ),
        (
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            "found a matrix",
        ),
        (
            r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#,
            "found a string",
        ),
        (
            r#"{"status":"success","data":{"result":[1,"a"]}}"#,
            "cannot be read",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}"#,
            "neither a value nor a histogram",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}"#,
            "91.25",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}}"#,
            "cannot be read",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric""#,
            "EOF",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[]}} {"#,
            "trailing",
        ),
    ];
    for (body, expected) in table {
        match read(body) {
            Err(Refusal::Malformed(text)) => assert!(text.contains(expected), "{body}: {text}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    let refused =
        read(r#"{"status":"error","errorType":"execution","error":"many-to-many\nmatching"}"#);
    let expected = Refusal::Server {
        kind: "execution".to_owned(),
        text: "many-to-many matching".to_owned(),
    };
    assert_eq!(refused.unwrap_err(), expected);
}

#[test]
fn invalid_utf8_and_too_many_series_are_refused() {
    let nodes = cluster(3);
    assert!(read_with(&nodes, 0, b"{\"status\":\"\xff\"}").is_err());
    let two = vector(&[series("node-0", "1"), series("node-1", "1")].join(","));
    assert!(read_with(&nodes, 2, two.as_bytes()).is_ok());
    let Err(Refusal::Malformed(text)) = read_with(&nodes, 1, two.as_bytes()) else {
        panic!("two series are more than one");
    };
    assert!(text.contains("more than 1 series"), "{text}");
}

#[test]
fn answers_old_by_both_clocks_are_stale() {
    let at = |millis| Some(Time::from_millis(millis));
    let table = [
        ("a current one", NOW, None, false),
        ("from the future", NOW - 3_600_000, None, false),
        ("just in time", NOW + 300_123, None, false),
        ("old, no date", NOW + 300_124, None, true),
        (
            "old by a simulated clock only",
            NOW + 9_000_000,
            at(NOW),
            false,
        ),
        (
            "old by the server's clock only",
            NOW,
            at(NOW + 9_000_000),
            false,
        ),
        ("old by both", NOW + 9_000_000, at(NOW + 9_000_000), true),
    ];
    let nodes = cluster(1);
    let index = Index::new(&nodes);
    for (name, now, server, expected) in table {
        let reader = Reader {
            index: &index,
            nodes: &nodes,
            max_samples: 0,
            freshness: Freshness {
                now: Time::from_millis(now),
                server,
                oldest_ms: 300_000,
            },
        };
        let answer = parse(vector(&series("node-0", "1")).as_bytes(), &reader).unwrap();
        let is_stale = answer.column.get(0) == Reading::Unknown(Unknown::Stale);
        assert_eq!((is_stale, answer.stale > 0), (expected, expected), "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_a_refusal(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..400,
        flip in 0_usize..400,
    ) {
        let nodes = cluster(3);
        drop(read_with(&nodes, 0, &bytes));
        let mut body = vector(&[series("node-0", "1"), series("node-1", "NaN")].join(",")).into_bytes();
        if let Some(byte) = body.get_mut(flip) {
            *byte ^= 0x15;
        }
        body.truncate(cut);
        drop(read_with(&nodes, 0, &body));
    }
}

/// What kube-prometheus-stack would answer.
fn answer_for(count: usize) -> Vec<u8> {
    let all: Vec<String> = (0..count)
        .map(|number| {
            let instance = format!("10.0.{}.{}:9100", number >> 8, number & 255);
            series(&instance, &format!("{}.{number}", number % 100))
        })
        .collect();
    vector(&all.join(",")).into_bytes()
}

/// The cost of an answer for 5,000 nodes next to a minimal typed parse of the same bytes.
#[test]
#[ignore = "a measurement, for a release build"]
fn cost_of_5000_series() {
    #[derive(Deserialize)]
    struct Plain<'a> {
        #[serde(borrow)]
        data: PlainData<'a>,
    }
    #[derive(Deserialize)]
    struct PlainData<'a> {
        #[serde(borrow)]
        result: Vec<PlainSeries<'a>>,
    }
    #[derive(Deserialize)]
    struct PlainSeries<'a> {
        #[serde(borrow)]
        metric: PlainMetric<'a>,
        #[serde(borrow)]
        value: (f64, &'a str),
    }
    #[derive(Deserialize)]
    struct PlainMetric<'a> {
        instance: &'a str,
    }
    let nodes = cluster(5000);
    let body = answer_for(5000);
    let reader = Reader {
        index: &Index::new(&nodes),
        nodes: &nodes,
        max_samples: 10_000,
        freshness: Freshness {
            now: Time::from_millis(NOW),
            server: None,
            oldest_ms: 300_000,
        },
    };
    let best = |run: &dyn Fn() -> f64| {
        let times = (0..50).map(|_| {
            let start = std::time::Instant::now();
            assert!(run() > 0.0);
            start.elapsed()
        });
        times.min().unwrap()
    };
    let ours = best(&|| parse(&body, &reader).unwrap().column.values().iter().sum());
    let plain = best(&|| {
        let plain: Plain<'_> = serde_json::from_slice(&body).unwrap();
        let value = |series: &PlainSeries<'_>| {
            series.value.1.parse::<f64>().unwrap()
                + series.value.0 * 0.0
                + f64::from(u8::from(series.metric.instance.is_empty()))
        };
        plain.data.result.iter().map(value).sum()
    });
    let index = best(&|| f64::from(u8::from(Index::new(&nodes).named("node-0").is_some())));
    println!(
        "{} bytes: parsed and resolved {ours:?}, plain typed parse {plain:?}, index {index:?}",
        body.len()
    );
}
