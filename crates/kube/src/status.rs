//! What the API server says when it refuses: the `Status` object.

use std::fmt;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

use crate::secret::shorten;

/// A larger answer of a proxy is a page for people; its start is enough.
const MESSAGE_LIMIT: usize = 300;

/// A refusal, from a `Status` object or, where a proxy answered, from the bare response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiStatus {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason, as in `NotFound`; empty when the body was no `Status`.
    pub reason: String,
    /// The text for people.
    pub message: String,
    /// Details by cause.
    pub causes: Vec<Cause>,
    /// When to come back, from the `Retry-After` header, else from `details.retryAfterSeconds`.
    pub retry_after: Option<Duration>,
}

/// One entry of `details.causes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// As in `DisruptionBudget`.
    pub reason: String,
    /// The text for people.
    pub message: String,
    /// The field at fault, where one is.
    pub field: String,
}

impl ApiStatus {
    /// Reads the body of a refusal; `retry_after` is the header's value.
    pub fn parse(code: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        serde_json::from_slice::<Status>(body).map_or_else(
            |_| Self::plain(code, retry_after, body),
            |status| Self::from_object(code, retry_after, status),
        )
    }

    /// A refusal inside an answer whose code says success, if it is one.
    pub(crate) fn hidden_failure(code: u16, body: &[u8]) -> Option<Self> {
        let status: Status = serde_json::from_slice(body).ok()?;
        if status.status.as_deref() != Some("Failure") {
            return None;
        }
        let code = status
            .code
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or(code);
        Some(Self::from_object(code, None, status))
    }

    /// Whether some cause has this reason.
    pub fn has_cause(&self, reason: &str) -> bool {
        self.causes.iter().any(|cause| cause.reason == reason)
    }

    fn from_object(code: u16, retry_after: Option<Duration>, status: Status) -> Self {
        let details = status.details.unwrap_or_default();
        let seconds = details
            .retry_after_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0);
        Self {
            code,
            reason: status.reason.unwrap_or_default(),
            message: status.message.unwrap_or_default(),
            causes: details
                .causes
                .unwrap_or_default()
                .into_iter()
                .map(|cause| Cause {
                    reason: cause.reason.unwrap_or_default(),
                    message: cause.message.unwrap_or_default(),
                    field: cause.field.unwrap_or_default(),
                })
                .collect(),
            retry_after: retry_after.or(seconds.map(Duration::from_secs)),
        }
    }

    fn plain(code: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        Self {
            code,
            reason: String::new(),
            message: shorten(&String::from_utf8_lossy(body), MESSAGE_LIMIT),
            causes: Vec::new(),
            retry_after,
        }
    }
}

impl fmt::Display for ApiStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.code)?;
        if !self.reason.is_empty() {
            write!(formatter, " {}", self.reason)?;
        }
        if !self.message.is_empty() {
            write!(formatter, ": {}", self.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_object_is_read_with_causes_and_delay() {
        let body = br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"slow down",
            "reason":"TooManyRequests","details":{"causes":[{"reason":"DisruptionBudget","message":"m"}],"retryAfterSeconds":10},"code":429}"#;
        let status = ApiStatus::parse(429, None, body);
        assert_eq!(status.to_string(), "429 TooManyRequests: slow down");
        assert!(status.has_cause("DisruptionBudget") && !status.has_cause("Other"));
        assert_eq!(status.retry_after, Some(Duration::from_secs(10)));
        let header = Some(Duration::from_secs(3));
        assert_eq!(ApiStatus::parse(429, header, body).retry_after, header);
    }

    #[test]
    fn page_of_a_proxy_is_shortened() {
        let body = format!("<html>\n{}</html>", "x".repeat(5000));
        let status = ApiStatus::parse(502, None, body.as_bytes());
        assert_eq!(status.reason, "");
        assert!(status.message.starts_with("<html> xxx"));
        assert_eq!(status.message.chars().count(), MESSAGE_LIMIT + 1);
    }

    #[test]
    fn failure_inside_a_success_is_found() {
        let failure = br#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","code":409}"#;
        assert_eq!(ApiStatus::hidden_failure(201, failure).unwrap().code, 409);
        for other in [
            &br#"{"kind":"Status","apiVersion":"v1","status":"Success"}"#[..],
            br#"{"kind":"Node","apiVersion":"v1","status":{}}"#,
            b"ok",
        ] {
            assert_eq!(ApiStatus::hidden_failure(200, other), None);
        }
    }
}
