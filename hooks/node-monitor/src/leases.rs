//! When the kubelets last renewed their leases.

use std::time::Instant;

use ng_engine::node::Nodes;
use ng_engine::time::Time;
use ng_hook::json::{Error, Kind, Reader};
use ng_kube::request::{self, Page};
use ng_round::ports::Cluster;

/// The most pages that are read: more nodes than Kubernetes supports.
const MOST_PAGES: usize = 40;

/// One time a node, in the order of the nodes; an error is a sentence for the log.
pub(crate) fn fetch(
    cluster: &dyn Cluster,
    nodes: &Nodes,
    deadline: Instant,
) -> Result<Vec<Option<Time>>, String> {
    let positions = nodes.positions();
    let mut renewed = vec![None; nodes.len()];
    let mut next = String::new();
    for _ in 0..MOST_PAGES {
        let request = request::list_leases(Page {
            continue_token: (!next.is_empty()).then_some(next.as_str()),
            ..Page::FIRST
        });
        let body = cluster.get(&request.target, deadline)?;
        let mut put = |name: &str, time: Time| {
            if let Some(node) = positions.get(name) {
                renewed[*node] = Some(time);
            }
        };
        next = page(&body, &mut put).map_err(|error| format!("cannot read the leases: {error}"))?;
        if next.is_empty() {
            break;
        }
    }
    Ok(renewed)
}

/// Reads one page, and gives back what names the next one; empty: there is none.
fn page(body: &[u8], put: &mut dyn FnMut(&str, Time)) -> Result<String, Error> {
    let mut next = String::new();
    Reader::new(body).fields(|reader, key| {
        match key.as_ref() {
            "metadata" => text_of(reader, "continue", &mut |text| text.clone_into(&mut next))?,
            "items" if reader.peek()? == Kind::Array => {
                reader.items(|reader, _| lease(reader, put))?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(next)
}

fn lease(reader: &mut Reader<'_>, put: &mut dyn FnMut(&str, Time)) -> Result<(), Error> {
    let (mut name, mut renewed) = (String::new(), None);
    reader.fields(|reader, key| match key.as_ref() {
        "metadata" => text_of(reader, "name", &mut |text| text.clone_into(&mut name)),
        "spec" => text_of(reader, "renewTime", &mut |text| {
            renewed = text.parse::<Time>().ok();
        }),
        _ => Ok(()),
    })?;
    if let Some(time) = renewed {
        put(&name, time);
    }
    Ok(())
}

/// The text at a key of an object.
fn text_of(reader: &mut Reader<'_>, wanted: &str, take: &mut dyn FnMut(&str)) -> Result<(), Error> {
    reader.fields(|reader, key| {
        if key == wanted && reader.peek()? == Kind::String {
            take(&reader.string()?);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_are_read_and_the_next_page_is_named() {
        let body = br#"{"kind":"LeaseList","metadata":{"resourceVersion":"7","continue":"abc"},"items":[
            {"metadata":{"name":"a","namespace":"kube-node-lease"},"spec":{"holderIdentity":"a","renewTime":"2026-01-01T00:00:05.000000Z"}},
            {"metadata":{"name":"b"},"spec":{}},
            {"metadata":{"name":"c"}},
            {"metadata":{"name":"d"},"spec":{"renewTime":"soon"}}]}"#;
        let mut seen = Vec::new();
        let next = page(body, &mut |name, time| {
            seen.push((name.to_owned(), time.to_string()));
        });
        assert_eq!(next.unwrap(), "abc");
        assert_eq!(seen, [("a".to_owned(), "2026-01-01T00:00:05Z".to_owned())]);
        assert!(page(b"<html>", &mut |_, _| {}).is_err());
        assert_eq!(page(br#"{"items":null}"#, &mut |_, _| {}).unwrap(), "");
    }
}
