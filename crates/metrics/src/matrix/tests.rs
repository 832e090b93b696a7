use std::time::Duration;

use ng_engine::node::{Interest, Nodes};
use ng_engine::time::Time;
use proptest::prelude::*;

use super::*;

/// 2026-05-01T09:00:00Z, as in the recorded answer.
const SINCE: Time = Time::from_millis(1_777_626_000_000);

/// What Prometheus 2.42 says of the disks of four exporters in an hour. One was down for a quarter of it, one at first
/// had a size of nothing, and one is of no node of the cluster.
const RECORDED: &str = include_str!("../../tests/data/range.json");

fn cluster() -> Nodes {
    let mut nodes = Nodes::new(&Interest::default());
    nodes.start("node-1").address("10.0.0.1");
    nodes.start("node-2");
    nodes.start("node-3");
    nodes
}

fn read_with(steps: usize, max_samples: usize, body: &str) -> Result<Vec<f64>, Refusal> {
    let nodes = cluster();
    let reader = Reader {
        index: &Index::new(&nodes),
        nodes: nodes.len(),
        max_samples,
        stretch: Stretch {
            since: SINCE,
            step: Duration::from_mins(5),
            steps,
        },
    };
    parse(body.as_bytes(), &reader).map(|grid| grid.values().to_vec())
}

fn matrix(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
}

fn series(instance: &str, points: &[(i64, &str)]) -> String {
    let points: Vec<String> = points
        .iter()
        .map(|(second, value)| format!(r#"[{}.5,"{value}"]"#, SINCE.millis() / 1000 + second))
        .collect();
    let points = points.join(",");
    format!(r#"{{"metric":{{"instance":"{instance}"}},"values":[{points}]}}"#)
}

/// The column of a node, a gap as a dash.
fn column(values: &[f64], node: usize) -> String {
    let values = values.chunks(3).map(|step| step[node]);
    let texts: Vec<String> = values
        .map(|value| match value {
            value if value.is_nan() => "-".to_owned(),
            value => format!("{value:.1}"),
        })
        .collect();
    texts.join(" ")
}

#[test]
fn a_recorded_answer_finds_its_nodes_and_keeps_its_gaps() {
    let values = read_with(12, 0, RECORDED).unwrap();
    assert_eq!(
        column(&values, 0),
        "50.4 51.5 52.5 53.5 54.6 55.6 56.7 57.7 58.7 59.8 60.8 61.9"
    );
    assert_eq!(
        column(&values, 1),
        "75.0 75.0 75.0 75.0 75.0 - - 75.0 75.0 75.0 75.0 75.0"
    );
    assert_eq!(
        column(&values, 2),
        "- - - 60.0 60.0 60.0 60.0 60.0 60.0 60.0 60.0 60.0"
    );
}

#[test]
fn a_point_belongs_to_the_step_it_lies_in() {
    let points = [
        (-1, "1"),
        (0, "2"),
        (299, "3"),
        (300, "4"),
        (899, "5"),
        (900, "6"),
        (9_000_000_000_000, "7"),
    ];
    let values = read_with(3, 0, &matrix(&series("node-1", &points))).unwrap();
    assert_eq!(column(&values, 0), "3.0 4.0 5.0");
}

#[test]
fn the_largest_of_several_series_counts_and_no_number_is_a_gap() {
    let table = [
        (["1", "3", "2"], "3.0"),
        (["NaN", "-2", "+Inf"], "-2.0"),
        (["NaN", "-Inf", "+Inf"], "-"),
    ];
    for (values, expected) in table {
        let all = values.map(|value| series("node-2:9100", &[(10, value)]));
        let read = read_with(1, 0, &matrix(&all.join(","))).unwrap();
        assert_eq!(column(&read, 1), expected, "{values:?}");
    }
}

#[test]
fn series_that_could_be_of_several_nodes_are_left_out() {
    let mut nodes = Nodes::new(&Interest::default());
    for name in ["a.x", "a.y"] {
        nodes.start(name);
    }
    let reader = Reader {
        index: &Index::new(&nodes),
        nodes: 2,
        max_samples: 0,
        stretch: Stretch {
            since: SINCE,
            step: Duration::from_mins(5),
            steps: 1,
        },
    };
    let body = matrix(&[series("a", &[(1, "9")]), series("a.y", &[(1, "4")])].join(","));
    let grid = parse(body.as_bytes(), &reader).unwrap();
    assert!(grid.values()[0].is_nan());
    assert_eq!(grid.values()[1].to_bits(), 4.0_f64.to_bits());
}

#[test]
fn keys_may_come_in_any_order() {
    let body = r#"{"data":{"result":[{"values":[[1777626000,"5"]],"x":[{}],"metric":{"node":"node-3"}}],
        "resultType":"matrix"},"status":"success","warnings":["partial"]}"#;
    assert_eq!(column(&read_with(1, 0, body).unwrap(), 2), "5.0");
}

#[test]
fn what_is_no_matrix_is_refused_with_the_words_of_the_server() {
    let many = vec![(1, "1"); MOST_POINTS + 1];
    let table = [
        ("<html>".to_owned(), "expected JSON"),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.to_owned(),
            "found a vector",
        ),
        (r#"{"status":"success"}"#.to_owned(), "no matrix"),
        (
            matrix(r#"{"metric":{},"value":[1,"1"]}"#),
            "missing field `values`",
        ),
        (
            matrix(r#"{"metric":{},"values":[[1,2]]}"#),
            "a number in a string",
        ),
        (matrix(&series("node-1", &many)), "points in one series"),
        (
            matrix(&[series("node-1", &[]), series("node-2", &[])].join(",")),
            "more than 1 series, the configured maxSamples",
        ),
    ];
    for (body, expected) in table {
        let Err(Refusal::Malformed(text)) = read_with(1, 1, &body) else {
            panic!("taken: {expected}");
        };
        assert!(text.contains(expected), "{text}");
    }
    let refused =
        r#"{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution"}"#;
    let expected = Refusal::Server {
        kind: "bad_data".to_owned(),
        text: "exceeded maximum resolution".to_owned(),
    };
    assert_eq!(read_with(1, 0, refused), Err(expected));
}

proptest! {
    #[test]
    fn no_text_is_a_panic(cut in 0..RECORDED.len(), put in any::<u8>()) {
        let mut bytes = RECORDED.as_bytes().to_vec();
        bytes[cut] = put;
        let text = String::from_utf8_lossy(&bytes);
        let _ = read_with(12, 0, &text);
        let _ = read_with(12, 0, RECORDED.get(..cut).unwrap_or(""));
    }
}
