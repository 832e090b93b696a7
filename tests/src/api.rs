//! Requests to the API server, with JSON in and out.
//!
//! Paths are written out by the caller (`/api/v1/nodes/n1`), as in an audit log; only
//! [`Api::apply`] finds them itself, from the kinds in a manifest.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize as _;
use serde_json::{Value, json};
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::wait::wait_until;

const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";
/// A list of thousands of nodes is tens of megabytes.
const LARGEST_ANSWER: u64 = 1 << 30;
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// A new CRD is served a moment after it was created.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(20);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API server answered with an error.
    #[error("{method} {path}: {code} {message}")]
    Status {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// The HTTP status.
        code: u16,
        /// The `message` of the answer, or the answer itself.
        message: String,
    },
    /// There was no answer, or not one that could be read.
    #[error("{method} {path}")]
    Transport {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// What went wrong.
        source: ureq::Error,
    },
    /// The answer is not JSON.
    #[error("{path}: unreadable answer")]
    Answer {
        /// The request's path.
        path: String,
        /// What went wrong.
        source: serde_json::Error,
    },
}

impl ApiError {
    /// The HTTP status, if there was an answer.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            Self::Transport { .. } | Self::Answer { .. } => None,
        }
    }
}

/// A client of the API server for one user.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: String,
    ca: Certificate<'static>,
    agent: Agent,
}

impl Api {
    /// A client of `base` (`https://127.0.0.1:6443`), trusting only `ca_pem`.
    pub fn new(base: &str, ca_pem: &[u8], token: &str) -> Result<Self> {
        let ca = Certificate::from_pem(ca_pem).context("the API server's CA")?;
        Ok(Self {
            base: base.to_owned(),
            token: token.to_owned(),
            agent: agent(&ca, Some(REQUEST_LIMIT)),
            ca,
        })
    }

    /// The same server as another user.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Reads one object, or a list as it is.
    pub fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.json(&Method::GET, path, None)
    }

    /// The items of a list.
    pub fn list(&self, path: &str) -> Result<Vec<Value>, ApiError> {
        let mut list = self.get(path)?;
        Ok(match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        })
    }

    /// POSTs an object to a collection or subresource.
    pub fn create(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.json(&Method::POST, path, Some((JSON, object)))
    }

    /// PUTs an object.
    pub fn replace(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.json(&Method::PUT, path, Some((JSON, object)))
    }

    /// Applies a JSON merge patch.
    pub fn patch(&self, path: &str, change: &Value) -> Result<Value, ApiError> {
        self.json(&Method::PATCH, path, Some((MERGE_PATCH, change)))
    }

    /// Applies a JSON patch (RFC 6902).
    pub fn json_patch(&self, path: &str, change: &Value) -> Result<Value, ApiError> {
        self.json(&Method::PATCH, path, Some((JSON_PATCH, change)))
    }

    /// Deletes an object in the usual way: pods keep their grace period.
    pub fn delete(&self, path: &str) -> Result<Value, ApiError> {
        self.json(&Method::DELETE, path, None)
    }

    /// Deletes an object at once, as a kubelet ends a pod.
    pub fn delete_now(&self, path: &str) -> Result<Value, ApiError> {
        self.delete(&format!("{path}?gracePeriodSeconds=0"))
    }

    /// Asks for a pod's eviction.
    pub fn evict(&self, namespace: &str, pod: &str) -> Result<Value, ApiError> {
        self.create(
            &format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction"),
            &json!({
                "apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": pod, "namespace": namespace},
            }),
        )
    }

    /// Reads an answer that is not JSON, such as `/readyz` or `/metrics`.
    pub fn text(&self, path: &str) -> Result<String, ApiError> {
        let response = self.send(&self.agent, &Method::GET, path, None)?;
        read_body(response, &Method::GET, path)
    }

    /// Opens a watch: one JSON document a line, for as long as the server keeps it open.
    pub fn watch(&self, path: &str) -> Result<impl BufRead + use<>, ApiError> {
        let agent = agent(&self.ca, None);
        let response = self.send(&agent, &Method::GET, path, None)?;
        let reader = response
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader();
        Ok(BufReader::new(reader))
    }

    /// Creates or updates every object of a manifest, in its order.
    pub fn apply(&self, manifest: &str) -> Result<()> {
        for document in serde_yaml::Deserializer::from_str(manifest) {
            let object = Value::deserialize(document).context("the manifest is not YAML")?;
            if !object.is_null() {
                self.apply_object(&object)?;
            }
        }
        Ok(())
    }

    /// Creates or updates one object; its namespace is `default` if it names none.
    pub fn apply_object(&self, object: &Value) -> Result<Value> {
        let path = wait_until(DISCOVERY_LIMIT, "path for the object's kind", || {
            self.path_of(object)
        })?;
        let path = format!("{path}?fieldManager=ng-tests&force=true");
        Ok(self.json(&Method::PATCH, &path, Some((APPLY_PATCH, object)))?)
    }

    /// What the server would make of an object: everything is checked and nothing is kept. Unknown fields are errors.
    pub fn dry_run(&self, object: &Value) -> Result<Value> {
        let path = self.path_of(object)?;
        let query = "fieldManager=ng-tests&force=true&dryRun=All&fieldValidation=Strict";
        let path = format!("{path}?{query}");
        Ok(self.json(&Method::PATCH, &path, Some((APPLY_PATCH, object)))?)
    }

    /// The path of an object, by asking the server about its kind.
    pub fn path_of(&self, object: &Value) -> Result<String> {
        let version = text_at(object, "/apiVersion")?;
        let kind = text_at(object, "/kind")?;
        let name = text_at(object, "/metadata/name")?;
        let root = if version.contains('/') {
            format!("/apis/{version}")
        } else {
            format!("/api/{version}")
        };
        let resources = self.get(&root)?;
        let resource = resources["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|resource| {
                resource["kind"] == kind
                    && resource["name"]
                        .as_str()
                        .is_some_and(|name| !name.contains('/'))
            })
            .with_context(|| format!("{root} has no {kind}"))?;
        let plural = text_at(resource, "/name")?;
        if resource["namespaced"] == false {
            return Ok(format!("{root}/{plural}/{name}"));
        }
        let namespace = text_at(object, "/metadata/namespace").unwrap_or("default");
        Ok(format!("{root}/namespaces/{namespace}/{plural}/{name}"))
    }

    fn json(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, ApiError> {
        let response = self.send(&self.agent, method, path, body)?;
        let text = read_body(response, method, path)?;
        serde_json::from_str(&text).map_err(|source| ApiError::Answer {
            path: path.to_owned(),
            source,
        })
    }

    fn send(
        &self,
        agent: &Agent,
        method: &Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Response<Body>, ApiError> {
        let transport = |source: ureq::Error| ApiError::Transport {
            method: method.clone(),
            path: path.to_owned(),
            source,
        };
        let request = Request::builder()
            .method(method.clone())
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token));
        let sent = match body {
            Some((content_type, value)) => request
                .header("content-type", content_type)
                .body(value.to_string())
                .map_err(|error| transport(error.into()))
                .and_then(|request| agent.run(request).map_err(transport)),
            None => request
                .body(())
                .map_err(|error| transport(error.into()))
                .and_then(|request| agent.run(request).map_err(transport)),
        };
        let response = sent?;
        let code = response.status().as_u16();
        if code < 400 {
            return Ok(response);
        }
        let text = read_body(response, method, path)?;
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        let message = status["message"].as_str().unwrap_or(&text).to_owned();
        Err(ApiError::Status {
            method: method.clone(),
            path: path.to_owned(),
            code,
            message,
        })
    }
}

fn agent(ca: &Certificate<'static>, limit: Option<Duration>) -> Agent {
    let roots = RootCerts::from([ca.clone()]);
    Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(limit)
        .build()
        .into()
}

fn read_body(
    mut response: Response<Body>,
    method: &Method,
    path: &str,
) -> Result<String, ApiError> {
    response
        .body_mut()
        .with_config()
        .limit(LARGEST_ANSWER)
        .read_to_string()
        .map_err(|source| ApiError::Transport {
            method: method.clone(),
            path: path.to_owned(),
            source,
        })
}

fn text_at<'a>(object: &'a Value, pointer: &str) -> Result<&'a str> {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("no text at {pointer}"))
}
