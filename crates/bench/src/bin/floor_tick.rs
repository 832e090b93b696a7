//! The floor of an evaluation: maps the snapshot, reads from it the fields that rules need, and reads the answers of
//! Prometheus, with nothing but serde's derived types. It decides nothing and writes nothing.

use std::borrow::Cow;
use std::fs::File;

use serde::Deserialize;

#[derive(Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    snapshots: Snapshots<'a>,
}

#[derive(Deserialize)]
struct Snapshots<'a> {
    #[serde(borrow)]
    nodes: Vec<Item<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    filter_result: Node<'a>,
}

#[derive(Deserialize)]
struct Node<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    labels: Pairs<'a>,
    #[serde(borrow)]
    taints: Option<Vec<Taint<'a>>>,
    unschedulable: Option<bool>,
    #[serde(borrow)]
    conditions: Vec<Condition<'a>>,
    #[serde(borrow)]
    addresses: Vec<Address<'a>>,
}

/// Labels as a list of pairs: cheaper than a map, and all that a selector needs.
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pairs<'de>;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("labels")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Text(key), Text(value))) = map.next_entry()? {
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A string that is borrowed unless it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Taint<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    effect: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Condition<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Address<'a> {
    #[serde(borrow)]
    address: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    result: Vec<Series<'a>>,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    metric: Labels<'a>,
    #[serde(borrow)]
    value: (f64, Cow<'a, str>),
}

#[derive(Deserialize)]
struct Labels<'a> {
    #[serde(borrow)]
    instance: Cow<'a, str>,
}

#[expect(
    clippy::print_stdout,
    reason = "the sum keeps the work from being left out by the compiler"
)]
fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let snapshot = File::open(arguments.next().unwrap_or_default())?;
    #[expect(
        unsafe_code,
        reason = "the file was written before this program started and is not changed by anyone"
    )]
    let bytes = unsafe { memmap2::Mmap::map(&snapshot)? };
    let contexts: Vec<Context<'_>> = serde_json::from_slice(&bytes)?;
    let mut sum = 0_usize;
    for node in contexts
        .iter()
        .flat_map(|context| &context.snapshots.nodes)
        .map(|item| &item.filter_result)
    {
        sum += node.name.len() + node.uid.len() + node.labels.0.len();
        sum += node
            .labels
            .0
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
        sum += node
            .taints
            .iter()
            .flatten()
            .map(|taint| taint.key.len() + taint.effect.len())
            .sum::<usize>();
        sum += node
            .conditions
            .iter()
            .map(|condition| condition.kind.len() + condition.status.len())
            .sum::<usize>();
        sum += node
            .addresses
            .iter()
            .map(|address| address.address.len())
            .sum::<usize>();
        sum += usize::from(node.unschedulable.unwrap_or(false));
    }
    for path in arguments {
        let text = std::fs::read(path)?;
        let answer: Answer<'_> = serde_json::from_slice(&text)?;
        for series in &answer.data.result {
            sum += series.metric.instance.len();
            sum += usize::from(series.value.1.parse::<f64>()? > series.value.0);
        }
    }
    println!("{sum}");
    Ok(())
}
