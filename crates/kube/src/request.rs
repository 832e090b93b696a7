//! Requests as values: no socket here, tests compare method, target and body.

use std::fmt::{self, Write as _};

use k8s_openapi::api::events::v1::Event;
use serde_json::json;

/// How many objects a page of a list holds unless the caller says otherwise; what client-go asks for.
pub const PAGE_LIMIT: u32 = 500;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The HTTP methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads; may be sent again.
    Get,
    /// Creates; is sent once.
    Post,
    /// Changes; is sent once.
    Patch,
}

impl Method {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
        }
    }
}

/// One call of the API, relative to the server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// Path and query, percent-encoded, with a leading slash.
    pub target: String,
    /// Type of the body, where there is one.
    pub content_type: Option<&'static str>,
    /// The body as sent.
    pub body: Vec<u8>,
}

impl Request {
    fn get(target: String) -> Self {
        Self {
            method: Method::Get,
            target,
            content_type: None,
            body: Vec::new(),
        }
    }

    fn post(target: String, body: Vec<u8>) -> Self {
        Self {
            method: Method::Post,
            target,
            content_type: Some(JSON),
            body,
        }
    }
}

/// Method and target: what errors name.
impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method.as_str(), self.target)
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// The most objects to return.
    pub limit: u32,
    /// `metadata.continue` of the page before.
    pub continue_token: Option<&'a str>,
}

impl Page<'_> {
    /// The first page of [`PAGE_LIMIT`] objects.
    pub const FIRST: Page<'static> = Page {
        limit: PAGE_LIMIT,
        continue_token: None,
    };
}

/// Names exactly one pod: another pod of the same name has another UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRef {
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
}

/// Which pods a list holds; the default is every pod of the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PodSelection<'a> {
    /// Only this namespace.
    pub namespace: Option<&'a str>,
    /// `fieldSelector`, as in `status.phase=Running`.
    pub fields: Option<&'a str>,
    /// `labelSelector`, as in `app=web`.
    pub labels: Option<&'a str>,
}

impl PodSelection<'_> {
    /// Pods that have not finished, of the whole cluster.
    pub const UNFINISHED: PodSelection<'static> = PodSelection {
        namespace: None,
        fields: Some("status.phase!=Succeeded,status.phase!=Failed"),
        labels: None,
    };
}

/// One node.
pub fn get_node(name: &str) -> Request {
    Request::get(format!("/api/v1/nodes/{}", encoded(name)))
}

/// A merge patch of a node. With `metadata.resourceVersion` in it the server refuses it (409) if the node has changed
/// since: without that, a patch of `spec.taints` would undo what others wrote, as the list is replaced whole.
pub fn patch_node(name: &str, patch: &serde_json::Value) -> Request {
    Request {
        method: Method::Patch,
        target: format!("/api/v1/nodes/{}", encoded(name)),
        content_type: Some(MERGE_PATCH),
        body: patch.to_string().into_bytes(),
    }
}

/// A page of the nodes.
pub fn list_nodes(page: Page<'_>) -> Request {
    Request::get(with_query("/api/v1/nodes", &[], page))
}

/// A page of the leases that kubelets renew.
pub fn list_leases(page: Page<'_>) -> Request {
    let path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    Request::get(with_query(path, &[], page))
}

/// One pod.
pub fn get_pod(namespace: &str, name: &str) -> Request {
    let (namespace, name) = (encoded(namespace), encoded(name));
    Request::get(format!("/api/v1/namespaces/{namespace}/pods/{name}"))
}

/// A page of the pods bound to one node, finished ones too.
pub fn list_pods_on_node(node: &str, page: Page<'_>) -> Request {
    let fields = format!("spec.nodeName={node}");
    let selection = PodSelection {
        fields: Some(&fields),
        ..PodSelection::default()
    };
    list_pods(selection, page)
}

/// A page of the selected pods.
pub fn list_pods(selection: PodSelection<'_>, page: Page<'_>) -> Request {
    let PodSelection {
        namespace,
        fields,
        labels,
    } = selection;
    let path = namespace.map_or_else(
        || "/api/v1/pods".to_owned(),
        |namespace| format!("/api/v1/namespaces/{}/pods", encoded(namespace)),
    );
    let selectors = [("fieldSelector", fields), ("labelSelector", labels)];
    Request::get(with_query(&path, &selectors, page))
}

/// One rule.
pub fn get_rule(name: &str) -> Request {
    let name = encoded(name);
    Request::get(format!(
        "/apis/nodeguardian.k8s.io/v1/nodeguardianrules/{name}"
    ))
}

/// A merge patch of a rule's status, and of nothing else.
pub fn patch_rule_status(name: &str, patch: &serde_json::Value) -> Request {
    let name = encoded(name);
    Request {
        method: Method::Patch,
        target: format!("/apis/nodeguardian.k8s.io/v1/nodeguardianrules/{name}/status"),
        content_type: Some(MERGE_PATCH),
        body: patch.to_string().into_bytes(),
    }
}

/// A page of the rules.
pub fn list_rules(page: Page<'_>) -> Request {
    let path = "/apis/nodeguardian.k8s.io/v1/nodeguardianrules";
    Request::get(with_query(path, &[], page))
}

/// The usage of every node; the metrics API has no pages.
pub fn node_metrics() -> Request {
    Request::get("/apis/metrics.k8s.io/v1beta1/nodes".to_owned())
}

/// Any other read. The target is taken as it is: path and query, already encoded.
pub fn raw_get(target: &str) -> Request {
    let slash = if target.starts_with('/') { "" } else { "/" };
    Request::get(format!("{slash}{target}"))
}

/// Asks for the eviction of exactly this pod; its own grace period applies when none is given.
pub fn evict(pod: &PodRef, grace_period: Option<i64>) -> Request {
    let mut options = json!({"preconditions": {"uid": pod.uid}});
    if let Some(seconds) = grace_period {
        options["gracePeriodSeconds"] = json!(seconds);
    }
    let body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": options,
    });
    let (namespace, name) = (encoded(&pod.namespace), encoded(&pod.name));
    Request::post(
        format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction"),
        body.to_string().into_bytes(),
    )
}

/// Creates an Event in its own namespace, or in `default`, where Events about nodes must live.
///
/// # Panics
/// Never: an Event holds text and times only, which JSON can carry.
pub fn create_event(event: &Event) -> Request {
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    Request::post(
        format!(
            "/apis/events.k8s.io/v1/namespaces/{}/events",
            encoded(namespace)
        ),
        serde_json::to_vec(event).expect("an Event has text keys only"),
    )
}

fn with_query(path: &str, selectors: &[(&str, Option<&str>)], page: Page<'_>) -> String {
    let mut target = path.to_owned();
    let mut separator = '?';
    let limit = page.limit.to_string();
    let pairs = selectors.iter().copied().chain([
        ("limit", Some(limit.as_str())),
        ("continue", page.continue_token),
    ]);
    for (key, value) in pairs {
        if let Some(value) = value {
            target.push(separator);
            target.push_str(key);
            target.push('=');
            target.push_str(&encoded(value));
            separator = '&';
        }
    }
    target
}

/// Encodes everything but the unreserved characters, so the text stays one segment or one value.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    // `.` and `..` would be taken for path steps.
    if out.bytes().all(|byte| byte == b'.') {
        return out.replace('.', "%2E");
    }
    out
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
    use serde_json::Value;

    use super::*;

    const SECOND: Page<'static> = Page {
        limit: 2,
        continue_token: Some("a/b=="),
    };

    #[test]
    fn reads_are_gets_with_encoded_targets() {
        let selection = PodSelection {
            namespace: Some("shop"),
            fields: None,
            labels: Some("app in (a,b)"),
        };
        let table = [
            (get_node("worker-1"), "/api/v1/nodes/worker-1"),
            (get_node("a/b?c"), "/api/v1/nodes/a%2Fb%3Fc"),
            (get_node(".."), "/api/v1/nodes/%2E%2E"),
            (list_nodes(Page::FIRST), "/api/v1/nodes?limit=500"),
            (
                list_nodes(SECOND),
                "/api/v1/nodes?limit=2&continue=a%2Fb%3D%3D",
            ),
            (
                list_leases(SECOND),
                "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases?limit=2&continue=a%2Fb%3D%3D",
            ),
            (
                get_pod("shop", "web-1"),
                "/api/v1/namespaces/shop/pods/web-1",
            ),
            (
                list_pods_on_node("worker-1", Page::FIRST),
                "/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-1&limit=500",
            ),
            (
                list_pods(selection, Page::FIRST),
                "/api/v1/namespaces/shop/pods?labelSelector=app%20in%20%28a%2Cb%29&limit=500",
            ),
            (
                list_pods(PodSelection::UNFINISHED, Page::FIRST),
                "/api/v1/pods?fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed&limit=500",
            ),
            (
                get_rule("high-disk"),
                "/apis/nodeguardian.k8s.io/v1/nodeguardianrules/high-disk",
            ),
            (
                list_rules(Page::FIRST),
                "/apis/nodeguardian.k8s.io/v1/nodeguardianrules?limit=500",
            ),
            (node_metrics(), "/apis/metrics.k8s.io/v1beta1/nodes"),
            (raw_get("version"), "/version"),
            (raw_get("/readyz?verbose"), "/readyz?verbose"),
        ];
        for (request, target) in table {
            assert_eq!(request, Request::get(target.to_owned()));
        }
    }

    #[test]
    fn a_status_is_patched_below_its_rule() {
        let request = patch_rule_status("high-disk", &json!({"status": null}));
        assert_eq!(
            request.to_string(),
            "PATCH /apis/nodeguardian.k8s.io/v1/nodeguardianrules/high-disk/status"
        );
        assert_eq!(request.content_type, Some("application/merge-patch+json"));
        assert_eq!(request.body, br#"{"status":null}"#);
    }

    #[test]
    fn eviction_pins_the_uid() {
        let pod = PodRef {
            namespace: "shop".into(),
            name: "web-1".into(),
            uid: "u-7".into(),
        };
        let table = [
            (None, json!({"preconditions": {"uid": "u-7"}})),
            (
                Some(30),
                json!({"preconditions": {"uid": "u-7"}, "gracePeriodSeconds": 30}),
            ),
        ];
        for (grace_period, options) in table {
            let request = evict(&pod, grace_period);
            assert_eq!(
                request.to_string(),
                "POST /api/v1/namespaces/shop/pods/web-1/eviction"
            );
            assert_eq!(request.content_type, Some("application/json"));
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let expected = json!({
                "apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": "web-1", "namespace": "shop"},
                "deleteOptions": options,
            });
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn event_goes_to_its_namespace_with_six_decimals() {
        let time: k8s_openapi::jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut event = Event {
            metadata: ObjectMeta {
                generate_name: Some("nodeguardian-".into()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(time)),
            note: Some("disk 91%".into()),
            ..Event::default()
        };
        let request = create_event(&event);
        assert_eq!(
            request.to_string(),
            "POST /apis/events.k8s.io/v1/namespaces/default/events"
        );
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let expected = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"generateName": "nodeguardian-"},
            "eventTime": "2026-01-01T00:00:00.000000Z", "note": "disk 91%",
        });
        assert_eq!(body, expected);

        event.metadata.namespace = Some("kube-system".into());
        assert!(create_event(&event).target.contains("/kube-system/"));
    }
}
