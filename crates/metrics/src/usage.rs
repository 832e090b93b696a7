//! The answer of metrics.k8s.io: CPU and memory of every node as shares of its capacity.
//!
//! Capacity and not allocatable: it is what the exporters behind Prometheus and the kubelet's eviction signal divide
//! by, so a reading means about the same whoever answered, and never exceeds 100 % by the reserved part.

use std::borrow::Cow;
use std::fmt;

use ng_engine::node::Nodes;
use ng_engine::reading::{Column, Origin, Reading, Unknown};
use ng_engine::time::Time;
use ng_kube::quantity::Quantity;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::mapping::Index;
use crate::problem::shorten;
use crate::prometheus::Tally;
use crate::stream::Each;

/// CPU and memory of every node, in percent of its capacity.
#[derive(Debug)]
pub(crate) struct Usage {
    pub(crate) cpu: Column,
    pub(crate) memory: Column,
    /// Nodes whose readings are too old, or which state no capacity or an amount that is none.
    pub(crate) unusable: Tally,
}

/// The readings in a `NodeMetricsList`; samples from before `oldest` are stale.
pub(crate) fn parse(
    body: &[u8],
    index: &Index<'_>,
    nodes: &Nodes,
    oldest: Time,
) -> Result<Usage, String> {
    let mut usage = Usage {
        cpu: Column::unknown(nodes.len(), Unknown::NoSample),
        memory: Column::unknown(nodes.len(), Unknown::NoSample),
        unusable: Tally::default(),
    };
    let text =
        std::str::from_utf8(body).map_err(|error| format!("the answer is not JSON: {error}"))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = ListSeed(|item: &Item<'_>| {
        // The list may be ahead of the nodes: one that is not known yet waits for the next run.
        if let Some(node) = index.named(&item.metadata.name) {
            usage.put(node, item, nodes, oldest);
        }
    });
    let has_items = seed
        .deserialize(&mut deserializer)
        .and_then(|has_items| deserializer.end().map(|()| has_items))
        .map_err(|error| shorten(&format!("the answer cannot be read: {error}")))?;
    if has_items {
        Ok(usage)
    } else {
        Err("expected a NodeMetricsList, found no items".to_owned())
    }
}

impl Usage {
    fn put(&mut self, node: usize, item: &Item<'_>, nodes: &Nodes, oldest: Time) {
        let sampled = item.timestamp.parse::<Time>().ok();
        let Some(at) = sampled.filter(|at| *at >= oldest) else {
            self.cpu.set(node, Reading::Unknown(Unknown::Stale));
            self.memory.set(node, Reading::Unknown(Unknown::Stale));
            self.unusable.add(nodes.name(node));
            return;
        };
        let capacity = nodes.capacity(node);
        let cpu = share(item.usage.cpu.0, capacity.cpu);
        let memory = share(item.usage.memory.0, capacity.memory);
        if cpu.is_none() || memory.is_none() {
            self.unusable.add(nodes.name(node));
        }
        for (column, share) in [(&mut self.cpu, cpu), (&mut self.memory, memory)] {
            if let Some(value) = share {
                let origin = Origin::MetricsServer;
                column.set(node, Reading::Value { value, at, origin });
            }
        }
    }
}

fn share(used: Option<f64>, capacity: Option<f64>) -> Option<f64> {
    let capacity = capacity.filter(|capacity| *capacity > 0.0)?;
    Some(100.0 * used? / capacity)
}

#[derive(Deserialize)]
struct Item<'answer> {
    #[serde(borrow)]
    metadata: Metadata<'answer>,
    #[serde(borrow, default)]
    timestamp: Cow<'answer, str>,
    #[serde(default)]
    usage: Amounts,
}

#[derive(Deserialize)]
struct Metadata<'answer> {
    #[serde(borrow)]
    name: Cow<'answer, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Amounts {
    cpu: Amount,
    memory: Amount,
}

/// A quantity, which in JSON is a string or a bare number; `None` for one that cannot be read.
#[derive(Default)]
struct Amount(Option<f64>);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Amount;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a quantity, such as \"250m\"")
            }

            fn visit_str<E>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount(Quantity::from_api(text).ok().map(Quantity::as_f64)))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Amount, E> {
                Ok(Amount(Some(value)))
            }

            #[expect(clippy::cast_precision_loss, reason = "a share needs six digits")]
            fn visit_u64<E>(self, value: u64) -> Result<Amount, E> {
                Ok(Amount(Some(value as f64)))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum ListKey {
    Items,
    #[serde(other)]
    Other,
}

/// Hands each item on; tells whether there was a list at all.
struct ListSeed<F>(F);

impl<'de, F: FnMut(&Item<'_>)> DeserializeSeed<'de> for ListSeed<F> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&Item<'_>)> Visitor<'de> for ListSeed<F> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a NodeMetricsList")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        let mut has_items = false;
        while let Some(key) = map.next_key()? {
            match key {
                ListKey::Items => {
                    has_items = true;
                    map.next_value_seed(Each::new(|item: Item<'de>| {
                        (self.0)(&item);
                        Ok(())
                    }))?;
                }
                ListKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(has_items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ng_engine::node::{Interest, Resources};

    const NOW: &str = "2026-01-01T00:05:00Z";

    fn cluster() -> Nodes {
        let mut nodes = Nodes::new(&Interest::default());
        for (name, cpu, memory) in [
            ("node-1", Some(4.0), Some(8e9)),
            ("node-2", Some(2.0), None),
            ("node-3", Some(2.0), Some(1e9)),
        ] {
            nodes.start(name).capacity(Resources {
                cpu,
                memory,
                pods: None,
            });
        }
        nodes
    }

    fn read(items: &str) -> Result<Usage, String> {
        let nodes = cluster();
        let body = format!(r#"{{"kind":"NodeMetricsList","metadata":{{}},"items":[{items}]}}"#);
        let oldest = NOW
            .parse::<Time>()
            .unwrap()
            .minus(std::time::Duration::from_mins(1));
        parse(body.as_bytes(), &Index::new(&nodes), &nodes, oldest)
    }

    fn item(name: &str, second: u32, cpu: &str, memory: &str) -> String {
        format!(
            r#"{{"metadata":{{"name":"{name}","labels":{{"a":"b"}}}},"timestamp":"2026-01-01T00:04:{second:02}Z","window":"20s","usage":{{"cpu":{cpu},"memory":{memory}}}}}"#
        )
    }

    #[test]
    fn shares_are_of_the_capacity() {
        let table = [
            (r#""1000000000n""#, r#""4G""#, (Some(25.0), Some(50.0))),
            ("1", "8000000000", (Some(25.0), Some(100.0))),
            ("0.5", r#""1.0e9""#, (Some(12.5), Some(12.5))),
            (r#""much""#, r#""0""#, (None, Some(0.0))),
        ];
        for (cpu, memory, expected) in table {
            let usage = read(&item("node-1", 30, cpu, memory)).unwrap();
            let value = |column: &Column| Some(column.values()[0]).filter(|value| !value.is_nan());
            assert_eq!(
                (value(&usage.cpu), value(&usage.memory)),
                expected,
                "{cpu} {memory}"
            );
            assert_eq!(usage.cpu.get(2), Reading::Unknown(Unknown::NoSample));
        }
    }

    #[test]
    fn readings_without_age_or_capacity_are_unknown() {
        let items = [
            item("node-1", 0, "1", "1").replace("00:04:00", "00:03:59"),
            item("node-2", 0, "1", "1"),
            item("node-3", 0, "1", "1").replace("timestamp", "creation"),
            item("node-4", 0, "1", "1"),
        ];
        let usage = read(&items.join(",")).unwrap();
        assert_eq!(usage.cpu.get(0), Reading::Unknown(Unknown::Stale));
        assert_eq!(usage.memory.get(1), Reading::Unknown(Unknown::NoSample));
        assert!(usage.cpu.values()[1] > 0.0);
        assert_eq!(usage.memory.get(2), Reading::Unknown(Unknown::Stale));
        assert_eq!(usage.unusable.to_string(), "node-1, node-2, node-3");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let nodes = cluster();
        for body in [
            r#"{"kind":"Status","status":"Failure"}"#,
            "404 page not found",
            r#"{"items":[{}]}"#,
            r#"{"items":["#,
            r#"{"items":null}"#,
            "",
        ] {
            let found = parse(
                body.as_bytes(),
                &Index::new(&nodes),
                &nodes,
                Time::from_millis(0),
            );
            assert!(found.is_err(), "{body}");
        }
    }
}
