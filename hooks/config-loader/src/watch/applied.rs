//! The `ConfigMap` in the binding contexts.

use std::collections::BTreeMap;

use ng_hook::Run;
use ng_hook::context::{Context, Flow, Kind, Sink, WatchEvent};
use ng_hook::json::{Error, Raw, Reader};
use serde::Deserialize;

/// A `ConfigMap`, as far as it concerns us.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ConfigMap {
    pub(super) namespace: String,
    pub(super) data: BTreeMap<String, String>,
}

/// What a filter or a full object says.
#[derive(Deserialize)]
struct Told {
    namespace: Option<String>,
    metadata: Option<Metadata>,
    data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: Option<String>,
}

impl From<Told> for ConfigMap {
    fn from(told: Told) -> Self {
        let by_object = told.metadata.and_then(|metadata| metadata.namespace);
        ConfigMap {
            namespace: told.namespace.or(by_object).unwrap_or_default(),
            data: told.data.unwrap_or_default(),
        }
    }
}

/// Every `ConfigMap` of our name there is now: of the snapshot, else of the contexts one after the other.
pub(super) fn read(run: &Run) -> anyhow::Result<Vec<ConfigMap>> {
    let mut gathered = Gathered::default();
    run.read_contexts(&mut gathered)?;
    Ok(match gathered.snapshot {
        Some(maps) => maps,
        None => gathered.seen.into_values().collect(),
    })
}

/// The one of our namespace; without a namespace the only one. An error lists the namespaces to choose from.
pub(super) fn choose(
    maps: Vec<ConfigMap>,
    namespace: Option<&str>,
) -> Result<Option<ConfigMap>, String> {
    let Some(namespace) = namespace else {
        if maps.len() < 2 {
            return Ok(maps.into_iter().next());
        }
        let namespaces: Vec<String> = maps.into_iter().map(|map| map.namespace).collect();
        return Err(namespaces.join(", "));
    };
    Ok(maps.into_iter().find(|map| map.namespace == namespace))
}

#[derive(Default)]
struct Gathered {
    snapshot: Option<Vec<ConfigMap>>,
    /// By namespace, for contexts without a snapshot.
    seen: BTreeMap<String, ConfigMap>,
}

impl Gathered {
    fn see(&mut self, map: ConfigMap) {
        self.seen.insert(map.namespace.clone(), map);
    }
}

impl<'a> Sink<'a> for Gathered {
    fn wants(&mut self, snapshot: &str) -> bool {
        snapshot == super::CONFIG && self.snapshot.is_none()
    }

    fn snapshot(&mut self, _: &str, list: &mut Reader<'a>) -> Result<Flow, Error> {
        self.snapshot = Some(items(list)?);
        Ok(Flow::Continue)
    }

    fn context(&mut self, context: &Context<'a>) -> Result<Flow, Error> {
        if context.head.binding != super::CONFIG {
            return Ok(Flow::Continue);
        }
        if let Some(objects) = &context.objects {
            for map in items(&mut objects.reader())? {
                self.see(map);
            }
        }
        if let Some(map) = either(context.filter_result.as_ref(), context.object.as_ref())? {
            let deleted = Kind::Event {
                watch_event: WatchEvent::Deleted,
            };
            if context.head.kind == deleted {
                self.seen.remove(&map.namespace);
            } else {
                self.see(map);
            }
        }
        Ok(Flow::Continue)
    }
}

/// A list of `{filterResult, object}`.
fn items(list: &mut Reader<'_>) -> Result<Vec<ConfigMap>, Error> {
    let mut maps = Vec::new();
    list.items(|reader, _| {
        let (mut filtered, mut object) = (None, None);
        reader.fields(|reader, key| {
            match key.as_ref() {
                "filterResult" => filtered = Some(reader.raw()?),
                "object" => object = Some(reader.raw()?),
                _ => {}
            }
            Ok(())
        })?;
        maps.extend(either(filtered.as_ref(), object.as_ref())?);
        Ok(())
    })?;
    Ok(maps)
}

/// What the filter gave, or else what the object says.
fn either(
    filtered: Option<&Raw<'_>>,
    object: Option<&Raw<'_>>,
) -> Result<Option<ConfigMap>, Error> {
    for raw in [filtered, object].into_iter().flatten() {
        if let Some(told) = raw.decode::<Option<Told>>()? {
            return Ok(Some(told.into()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_of_our_namespace_is_chosen() {
        let map = |namespace: &str| ConfigMap {
            namespace: namespace.to_owned(),
            ..ConfigMap::default()
        };
        let chosen = |maps: &[&str], namespace| {
            choose(maps.iter().map(|name| map(name)).collect(), namespace)
                .map(|map| map.map(|map| map.namespace))
        };
        let some = |name: &str| Ok(Some(name.to_owned()));
        assert_eq!(chosen(&["a", "b"], Some("b")), some("b"));
        assert_eq!(chosen(&["a"], Some("b")), Ok(None));
        assert_eq!(chosen(&["a"], None), some("a"));
        assert_eq!(chosen(&[], None), Ok(None));
        assert_eq!(chosen(&["a", "b"], None), Err("a, b".to_owned()));
    }
}
