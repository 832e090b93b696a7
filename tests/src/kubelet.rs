//! The one thing a kubelet does that evictions depend on: ending the pods that are to end.

use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::api::Api;

/// A pod with this annotation, whatever its value, never ends.
pub const STUCK: &str = "ng-tests/stuck";

const RETRY: Duration = Duration::from_millis(200);

/// A thread that deletes terminating pods for good, for every node, until it is dropped.
///
/// It goes on after the API server was away.
#[derive(Debug)]
pub struct Kubelet {
    stop: Arc<AtomicBool>,
}

impl Kubelet {
    /// Starts it; a terminating pod goes `delay` after it was seen, one after another.
    pub fn start(api: &Api, delay: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (api, stopped) = (api.clone(), Arc::clone(&stop));
        // Not joined: it may be waiting for a line, and ends with it.
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                end_pods(&api, delay, &stopped);
                std::thread::sleep(RETRY);
            }
        });
        Self { stop }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Follows one watch until it breaks; a new watch tells about all pods again.
fn end_pods(api: &Api, delay: Duration, stop: &AtomicBool) {
    let Ok(lines) = api.watch("/api/v1/pods?watch=1&timeoutSeconds=60") else {
        return;
    };
    for line in lines.lines() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(event) = line.map(|line| serde_json::from_str::<Value>(&line).unwrap_or_default())
        else {
            return;
        };
        let Some(path) = to_end(&event) else { continue };
        std::thread::sleep(delay);
        // A pod that is gone already is what was wanted.
        if api
            .delete_now(&path)
            .is_err_and(|error| error.code() != Some(404))
        {
            return;
        }
    }
}

/// The path of the event's pod, if it is terminating and not stuck.
fn to_end(event: &Value) -> Option<String> {
    let metadata = &event["object"]["metadata"];
    let ends = event["type"] != "DELETED"
        && metadata["deletionTimestamp"].is_string()
        && metadata["annotations"][STUCK].is_null();
    let (namespace, name) = (metadata["namespace"].as_str()?, metadata["name"].as_str()?);
    ends.then(|| format!("/api/v1/namespaces/{namespace}/pods/{name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_terminating_pods_end() {
        let event =
            |kind: &str, metadata: Value| json!({"type": kind, "object": {"metadata": metadata}});
        let time = "2026-01-01T00:00:00Z";
        let running = json!({"namespace": "n", "name": "p"});
        let ending = json!({"namespace": "n", "name": "p", "deletionTimestamp": time});
        let mut stuck = ending.clone();
        stuck["annotations"] = json!({STUCK: ""});
        let path = Some("/api/v1/namespaces/n/pods/p".to_owned());
        assert_eq!(to_end(&event("MODIFIED", running)), None);
        assert_eq!(to_end(&event("MODIFIED", ending.clone())), path);
        assert_eq!(to_end(&event("ADDED", ending.clone())), path);
        assert_eq!(to_end(&event("DELETED", ending)), None);
        assert_eq!(to_end(&event("MODIFIED", stuck)), None);
    }
}
