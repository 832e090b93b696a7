//! Reads nodes into columns: from a snapshot, byte by byte and only what is of interest, or from the API.

use std::collections::BTreeMap;

use ng_engine::node::{NodeEntry, Nodes, Resources};
use ng_engine::time::Time;
use ng_hook::json::{Error, Kind, Reader};
use ng_kube::k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use ng_kube::objects::Node;
use ng_kube::quantity::Quantity;

/// Reads a snapshot's list of `{filterResult: {name, uid, labels, …}}`. Items without a name are passed over.
pub fn read_snapshot(list: &mut Reader<'_>, nodes: &mut Nodes) -> Result<(), Error> {
    list.items(|reader, _| {
        if reader.peek()? != Kind::Object {
            return Ok(());
        }
        reader.fields(|reader, key| match key.as_ref() {
            "filterResult" if reader.peek()? == Kind::Object => read_node(reader, nodes),
            _ => Ok(()),
        })
    })
}

/// Reads one node in the form of a snapshot's `filterResult`, as an event has it; nothing if it is no object or names
/// no node.
pub fn read_filtered(reader: &mut Reader<'_>, nodes: &mut Nodes) -> Result<(), Error> {
    if reader.peek()? != Kind::Object {
        return Ok(());
    }
    read_node(reader, nodes)
}

/// One node. The name comes after other fields, as keys are sorted.
fn read_node(reader: &mut Reader<'_>, nodes: &mut Nodes) -> Result<(), Error> {
    let mut named = false;
    let mut entry = nodes.start("");
    reader.fields(|reader, key| {
        if reader.take_null() {
            return Ok(());
        }
        match key.as_ref() {
            "name" => {
                let name = reader.string()?;
                named = !name.is_empty();
                entry.name(&name);
            }
            "uid" => entry.uid(&reader.string()?),
            "labels" => pairs(reader, |key, value| entry.label(key, value))?,
            "annotations" => pairs(reader, |key, value| entry.annotation(key, value))?,
            "taints" => taints(reader, &mut entry)?,
            "unschedulable" => entry.unschedulable(reader.bool()?),
            "capacity" => entry.capacity(resources(reader)?),
            "conditions" => conditions(reader, &mut entry)?,
            "addresses" => addresses(reader, &mut entry)?,
            _ => {}
        }
        Ok(())
    })?;
    if !named {
        nodes.drop_last();
    }
    Ok(())
}

fn pairs(reader: &mut Reader<'_>, mut put: impl FnMut(&str, &str)) -> Result<(), Error> {
    reader.fields(|reader, key| {
        if reader.peek()? == Kind::String {
            put(key, &reader.string()?);
        }
        Ok(())
    })
}

fn taints(reader: &mut Reader<'_>, entry: &mut NodeEntry<'_>) -> Result<(), Error> {
    reader.items(|reader, _| {
        let [mut key, mut value, mut effect] = [const { String::new() }; 3];
        pairs(reader, |name, text| match name {
            "key" => text.clone_into(&mut key),
            "value" => text.clone_into(&mut value),
            "effect" => text.clone_into(&mut effect),
            _ => {}
        })?;
        entry.taint(&key, &value, &effect);
        Ok(())
    })
}

/// A list of `{type, status, lastTransitionTime}`; keys come sorted, so `type` is last and the others wait for it.
fn conditions(reader: &mut Reader<'_>, entry: &mut NodeEntry<'_>) -> Result<(), Error> {
    reader.items(|reader, _| {
        let [mut kind, mut status, mut since, mut reason] =
            [const { std::borrow::Cow::Borrowed("") }; 4];
        reader.fields(|reader, key| {
            if reader.peek()? != Kind::String {
                return Ok(());
            }
            match key.as_ref() {
                "type" => kind = reader.string()?,
                "status" => status = reader.string()?,
                "lastTransitionTime" => since = reader.string()?,
                "reason" if entry.wants_reasons() => reason = reader.string()?,
                _ => {}
            }
            Ok(())
        })?;
        if entry.wants_condition(&kind) {
            entry.condition(&kind, &status, since.parse::<Time>().ok());
            entry.reason(&kind, &status, &reason);
        }
        Ok(())
    })
}

fn addresses(reader: &mut Reader<'_>, entry: &mut NodeEntry<'_>) -> Result<(), Error> {
    reader.items(|reader, _| {
        pairs(reader, |name, text| {
            if name == "address" {
                entry.address(text);
            }
        })
    })
}

fn resources(reader: &mut Reader<'_>) -> Result<Resources, Error> {
    let mut resources = Resources::default();
    reader.fields(|reader, key| {
        let slot = match key.as_ref() {
            "cpu" => &mut resources.cpu,
            "memory" => &mut resources.memory,
            "pods" => &mut resources.pods,
            _ => return Ok(()),
        };
        *slot = match reader.peek()? {
            Kind::String => quantity(&reader.string()?),
            Kind::Number => Some(reader.number()?),
            Kind::Object | Kind::Array | Kind::Bool | Kind::Null => None,
        };
        Ok(())
    })?;
    Ok(resources)
}

fn quantity(text: &str) -> Option<f64> {
    whole_amount(text).or_else(|| Quantity::from_api(text).ok().map(Quantity::as_f64))
}

/// What most quantities of a node are: a whole number, alone or in KiB. `None` for every other.
fn whole_amount(text: &str) -> Option<f64> {
    let (digits, unit) = match text.strip_suffix("Ki") {
        Some(digits) => (digits, 1024),
        None => (text, 1),
    };
    // Nine digits stay whole as `f64`, whatever the unit.
    if !(1..=9).contains(&digits.len()) {
        return None;
    }
    let whole = digits.bytes().try_fold(0_u32, |whole, digit| {
        digit
            .is_ascii_digit()
            .then(|| whole * 10 + u32::from(digit - b'0'))
    })?;
    Some(f64::from(whole) * f64::from(unit))
}

/// Reads nodes as the API lists them.
pub fn read_objects(objects: &[Node], nodes: &mut Nodes) {
    for object in objects {
        let Some(name) = object.metadata.name.as_deref() else {
            continue;
        };
        let mut entry = nodes.start(name);
        entry.uid(object.metadata.uid.as_deref().unwrap_or_default());
        for (key, value) in object.metadata.labels.iter().flatten() {
            entry.label(key, value);
        }
        for (key, value) in object.metadata.annotations.iter().flatten() {
            entry.annotation(key, value);
        }
        if let Some(spec) = &object.spec {
            entry.unschedulable(spec.unschedulable.unwrap_or(false));
            for taint in spec.taints.iter().flatten() {
                entry.taint(
                    &taint.key,
                    taint.value.as_deref().unwrap_or_default(),
                    &taint.effect,
                );
            }
        }
        if let Some(status) = &object.status {
            for condition in status.conditions.iter().flatten() {
                let since = condition
                    .last_transition_time
                    .as_ref()
                    .map(|time| Time::from(time.0));
                entry.condition(&condition.type_, &condition.status, since);
                let reason = condition.reason.as_deref().unwrap_or_default();
                entry.reason(&condition.type_, &condition.status, reason);
            }
            for address in status.addresses.iter().flatten() {
                entry.address(&address.address);
            }
            entry.capacity(api_resources(status.capacity.as_ref()));
        }
    }
}

fn api_resources(amounts: Option<&BTreeMap<String, ApiQuantity>>) -> Resources {
    let amount = |name: &str| {
        amounts
            .and_then(|all| all.get(name))
            .and_then(|amount| quantity(&amount.0))
    };
    Resources {
        cpu: amount("cpu"),
        memory: amount("memory"),
        pods: amount("pods"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_amounts_are_what_the_parser_of_quantities_says() {
        for text in [
            "0",
            "16",
            "007",
            "999999999",
            "1000000000",
            "64230872Ki",
            "999999999Ki",
            "9999999999Ki",
            "Ki",
            "",
            "-1",
            "+1",
            "1.5",
            "15890m",
            "1k",
            "1 Ki",
            "1Mi",
            "12a",
            "a12",
            "1e3",
            "\u{0661}",
        ] {
            let exact = Quantity::from_api(text).ok().map(Quantity::as_f64);
            assert_eq!(quantity(text), exact, "{text}");
            if let Some(fast) = whole_amount(text) {
                assert_eq!(Some(fast), exact, "{text}");
            }
        }
        assert_eq!(whole_amount("64230872Ki"), Some(65_772_412_928.0));
    }
}
