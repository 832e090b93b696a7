//! Who asked the API server for what, from its audit log.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Every finished request with its user, verb and object, without bodies.
pub(crate) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
";

/// One finished request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asked, such as `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, ...
    pub verb: String,
    /// The API group, empty for the core.
    pub group: String,
    /// `nodes`, or with the subresource `pods/eviction`.
    pub resource: String,
    /// The object's namespace, empty if it has none.
    pub namespace: String,
    /// The object's name, empty where a collection was meant.
    pub name: String,
    /// Path and query as they were asked for.
    pub uri: String,
    /// The HTTP status of the answer.
    pub code: u16,
}

impl Request {
    /// Whether it asked for a change. Reviews of one's own rights and tokens change nothing.
    pub fn is_write(&self) -> bool {
        let reads = ["get", "list", "watch"].contains(&self.verb.as_str());
        let review = [
            "subjectaccessreviews",
            "selfsubjectaccessreviews",
            "tokenreviews",
        ]
        .contains(&self.resource.as_str());
        !reads && !review
    }
}

/// How many requests there were for each verb and resource: `patch nodes` → 3.
pub fn tally(requests: &[Request]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts
            .entry(format!("{} {}", request.verb, request.resource))
            .or_default() += 1;
    }
    counts
}

/// All requests in an audit log, oldest first; a missing log is an empty one.
pub(crate) fn read(log: &Path) -> Result<Vec<Request>> {
    if !log.exists() {
        return Ok(Vec::new());
    }
    let text =
        std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Request>> {
    // What stands after the last line end is still being written.
    let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    complete
        .lines()
        .filter_map(|line| match serde_json::from_str::<Line>(line) {
            Ok(line) => line.request().map(Ok),
            Err(error) => Some(Err(error).context("unreadable line of the audit log")),
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    #[serde(default, rename = "requestURI")]
    uri: String,
    user: User,
    object_ref: Option<ObjectRef>,
    response_status: Option<Status>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl Line {
    /// Nothing for requests without an object, such as discovery and health.
    fn request(self) -> Option<Request> {
        let object = self.object_ref?;
        let mut resource = object.resource;
        if !object.subresource.is_empty() {
            resource = format!("{resource}/{}", object.subresource);
        }
        Some(Request {
            user: self.user.username,
            verb: self.verb,
            group: object.api_group,
            resource,
            namespace: object.namespace,
            name: object.name,
            uri: self.uri,
            code: self.response_status.map_or(0, |status| status.code),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"verb":"create","user":{"username":"a"},"objectRef":{"resource":"pods","namespace":"n","name":"p","subresource":"eviction"},"responseStatus":{"code":429}}
{"verb":"list","user":{"username":"a"},"objectRef":{"resource":"nodes"},"responseStatus":{"code":200}}
{"verb":"get","user":{"username":"a"},"requestURI":"/healthz"}
{"verb":"patch","user":{"username":"a"},"objectRef":{"resource":"no"#;

    #[test]
    fn a_log_that_is_being_written_reads_up_to_its_last_whole_line() {
        let requests = parse(LOG).unwrap();
        let lines: Vec<_> = requests
            .iter()
            .map(|r| (r.verb.as_str(), r.resource.as_str(), r.code, r.is_write()))
            .collect();
        assert_eq!(
            lines,
            [
                ("create", "pods/eviction", 429, true),
                ("list", "nodes", 200, false)
            ]
        );
        assert_eq!(tally(&requests)["create pods/eviction"], 1);
    }

    #[test]
    fn a_broken_line_is_an_error() {
        assert!(parse("{\n").is_err());
    }
}
