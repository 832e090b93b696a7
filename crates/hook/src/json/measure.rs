//! How fast documents are read and skipped, beside `serde_json`; run it by hand in release.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::*;

const NODES: usize = 5_000;

#[derive(Default)]
struct Node<'a> {
    name: Cow<'a, str>,
    labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    taints: Vec<[Cow<'a, str>; 3]>,
    conditions: Vec<[Cow<'a, str>; 3]>,
}

/// A list of filtered nodes, as Go writes them.
fn snapshot() -> String {
    let nodes: Vec<String> = (0..NODES).map(node).collect();
    format!("[{}]\n", nodes.join(","))
}

fn node(index: usize) -> String {
    let labels: Vec<String> = (0..20)
        .map(|label| format!(r#""topology.example.io/label-{label}":"value-{index}-{label}""#))
        .collect();
    let annotations: Vec<String> = (0..6)
        .map(|key| {
            let part = r#"{\"id\":\"\u003cvalue\u003e\"} \u0026 some plain text between; "#;
            format!(r#""annotation.example.io/key-{key}":"{}""#, part.repeat(2))
        })
        .collect();
    let conditions: Vec<String> = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]
        .iter()
        .map(|kind| {
            format!(
                r#"{{"lastTransitionTime":"2026-01-02T03:04:05Z","reason":"KubeletHasNo{kind}","status":"False","type":"{kind}"}}"#
            )
        })
        .collect();
    let capacity = r#"{"cpu":"64","ephemeral-storage":"1843196560Ki","hugepages-1Gi":"0","memory":"263756772Ki","pods":"110"}"#;
    format!(
        r#"{{"filterResult":{{"addresses":[{{"address":"10.0.0.1","type":"InternalIP"}}],"allocatable":{capacity},"annotations":{{{}}},"capacity":{capacity},"conditions":[{}],"labels":{{{}}},"name":"node-{index}","taints":[{{"effect":"NoSchedule","key":"dedicated","value":"gpu"}}],"uid":"7f0c3f0e-1111-2222-3333-{index:012}","unschedulable":false}}}}"#,
        annotations.join(","),
        conditions.join(","),
        labels.join(","),
    )
}

fn by_hand(bytes: &[u8]) -> Vec<Node<'_>> {
    let mut nodes = Vec::with_capacity(NODES);
    let mut reader = Reader::new(bytes);
    reader
        .items(|reader, _| {
            let mut node = Node::default();
            reader.fields(|reader, key| match &**key {
                "filterResult" => reader.fields(|reader, key| node.field(reader, key)),
                _ => reader.skip(),
            })?;
            nodes.push(node);
            Ok(())
        })
        .unwrap();
    reader.finish().unwrap();
    nodes
}

impl<'a> Node<'a> {
    fn field(&mut self, reader: &mut Reader<'a>, key: &str) -> Result<(), Error> {
        match key {
            "name" => self.name = reader.string()?,
            "labels" => {
                self.labels.reserve(20);
                reader.begin_object()?;
                while let Some(key) = reader.next_key()? {
                    self.labels.push((key, reader.string()?));
                }
            }
            "taints" => reader
                .items(|reader, _| triple(reader, &mut self.taints, ["key", "value", "effect"]))?,
            "conditions" => reader.items(|reader, _| {
                triple(
                    reader,
                    &mut self.conditions,
                    ["type", "status", "lastTransitionTime"],
                )
            })?,
            _ => reader.skip()?,
        }
        Ok(())
    }
}

fn triple<'a>(
    reader: &mut Reader<'a>,
    list: &mut Vec<[Cow<'a, str>; 3]>,
    names: [&str; 3],
) -> Result<(), Error> {
    let mut values: [Cow<'a, str>; 3] = Default::default();
    reader.fields(|reader, key| {
        match names.iter().position(|name| name == key) {
            Some(place) => values[place] = reader.string()?,
            None => reader.skip()?,
        }
        Ok(())
    })?;
    list.push(values);
    Ok(())
}

mod with_serde {
    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Item<'a> {
        #[serde(borrow)]
        pub(super) filter_result: Node<'a>,
    }

    #[derive(Deserialize)]
    pub(super) struct Node<'a> {
        pub(super) name: &'a str,
        pub(super) labels: Labels<'a>,
        pub(super) taints: Vec<Taint<'a>>,
        pub(super) conditions: Vec<Condition<'a>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Taint<'a> {
        pub(super) key: &'a str,
        pub(super) value: &'a str,
        pub(super) effect: &'a str,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Condition<'a> {
        pub(super) r#type: &'a str,
        pub(super) status: &'a str,
        pub(super) last_transition_time: &'a str,
    }

    #[derive(Deserialize)]
    pub(super) struct Labels<'a>(
        #[serde(borrow, deserialize_with = "pairs")] pub(super) Vec<(&'a str, &'a str)>,
    );

    fn pairs<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(&'de str, &'de str)>, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(&'de str, &'de str)>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("labels")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::with_capacity(20);
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// The best of several runs, as other work on the machine only adds time.
fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..15 {
        let started = Instant::now();
        black_box(work());
        best = best.min(started.elapsed());
    }
    best
}

fn show(what: &str, time: Duration, bytes: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = bytes as f64 / time.as_secs_f64() / 1e9;
    println!("{what:32} {time:>10.2?} {rate:6.2} GB/s");
}

#[test]
#[ignore = "measurement"]
fn speed() {
    let text = snapshot();
    let bytes = text.as_bytes();
    println!("{} MB, {NODES} nodes", bytes.len() / 1_000_000);
    let skip = best(|| skipped(bytes));
    show("skipped", skip, bytes.len());
    let hand = best(|| by_hand(bytes));
    show("read by hand", hand, bytes.len());
    let parsed = || serde_json::from_slice::<Vec<with_serde::Item<'_>>>(bytes).unwrap();
    let serde = best(parsed);
    show("read by serde_json", serde, bytes.len());
    show(
        "tree of serde_json",
        best(|| serde_json::from_slice::<serde_json::Value>(bytes)),
        bytes.len(),
    );
    show(
        "searched for one byte",
        best(|| memchr::memchr(0, bytes)),
        bytes.len(),
    );
    same(&by_hand(bytes), &parsed());
    assert!(hand < serde && skip < hand);
}

fn skipped(bytes: &[u8]) -> Raw<'_> {
    Reader::new(bytes).raw().unwrap()
}

fn same(nodes: &[Node<'_>], items: &[with_serde::Item<'_>]) {
    assert_eq!(nodes.len(), items.len());
    for (node, item) in nodes.iter().zip(items) {
        let other = &item.filter_result;
        assert_eq!(node.name, other.name);
        assert!(
            node.labels
                .iter()
                .map(|(k, v)| (&**k, &**v))
                .eq(other.labels.0.iter().copied())
        );
        let taints = other
            .taints
            .iter()
            .map(|taint| [taint.key, taint.value, taint.effect]);
        assert!(
            node.taints
                .iter()
                .map(|[a, b, c]| [&**a, &**b, &**c])
                .eq(taints)
        );
        let conditions = other.conditions.iter().map(|condition| {
            [
                condition.r#type,
                condition.status,
                condition.last_transition_time,
            ]
        });
        assert!(
            node.conditions
                .iter()
                .map(|[a, b, c]| [&**a, &**b, &**c])
                .eq(conditions)
        );
    }
}
