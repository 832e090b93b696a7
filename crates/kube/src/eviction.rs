//! What the answer to an eviction means for the pod, and what to do next.

use std::time::Duration;

use crate::client::Response;
use crate::error::KubeError;
use crate::status::ApiStatus;

/// The server needs this long before an eviction that timed out inside can go through.
const CONFLICTS_INSIDE: Duration = Duration::from_secs(10);

/// The result of one eviction request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvictionOutcome {
    /// The pod terminates gracefully; it is gone when it answers 404 or has another UID.
    Accepted,
    /// There is no such pod any more.
    Gone,
    /// Another pod carries the name now: the one we meant is gone.
    Replaced,
    /// A `PodDisruptionBudget` forbids it now. Without a delay of the server's, kubectl waits 5 s.
    BlockedByBudget {
        /// The server's text.
        message: String,
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The server protects itself: every call has to slow down.
    Throttled {
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Several budgets select the pod; this will not heal by itself.
    Misconfigured {
        /// The server's text.
        message: String,
    },
    /// We may not evict.
    Forbidden {
        /// The server's text.
        message: String,
    },
    /// The whole namespace is being deleted, and the pod with it.
    NamespaceTerminating,
    /// Nothing is decided; another attempt may be.
    Retry {
        /// What happened.
        reason: String,
        /// When to try again, where known.
        retry_after: Option<Duration>,
    },
    /// The request itself is wrong; another attempt cannot help.
    Rejected {
        /// What happened.
        reason: String,
    },
}

impl EvictionOutcome {
    /// Reads the result of sending [`crate::request::evict`].
    pub fn of(result: &Result<Response, KubeError>) -> Self {
        let Err(error) = result else {
            return Self::Accepted;
        };
        match error {
            KubeError::Api { status, .. } => Self::of_refusal(status),
            KubeError::Timeout { .. }
            | KubeError::Deadline { .. }
            | KubeError::Unreachable { .. }
            | KubeError::TooLarge { .. }
            | KubeError::Credentials { .. } => Self::Retry {
                reason: error.to_string(),
                retry_after: None,
            },
            KubeError::Malformed { .. } | KubeError::Decode { .. } => Self::Rejected {
                reason: error.to_string(),
            },
        }
    }

    /// Whether the pod is on its way out or gone.
    pub fn is_leaving(&self) -> bool {
        matches!(
            self,
            Self::Accepted | Self::Gone | Self::Replaced | Self::NamespaceTerminating
        )
    }

    fn of_refusal(status: &ApiStatus) -> Self {
        let message = status.message.clone();
        let retry_after = status.retry_after;
        match status.code {
            404 if is_about_the_path(status) => Self::Rejected {
                reason: status.to_string(),
            },
            404 => Self::Gone,
            // The precondition names both UIDs; a concurrent update has other words.
            409 if message.contains("UID") => Self::Replaced,
            429 if is_about_a_budget(status) => Self::BlockedByBudget {
                message,
                retry_after,
            },
            429 => Self::Throttled { retry_after },
            500 if message.contains("more than one PodDisruptionBudget") => {
                Self::Misconfigured { message }
            }
            403 if status.has_cause("NamespaceTerminating") => Self::NamespaceTerminating,
            401 | 403 => Self::Forbidden { message },
            504 => Self::Retry {
                reason: status.to_string(),
                retry_after: retry_after.or(Some(CONFLICTS_INSIDE)),
            },
            409 | 500..=599 => Self::Retry {
                reason: status.to_string(),
                retry_after,
            },
            _ => Self::Rejected {
                reason: status.to_string(),
            },
        }
    }
}

/// A server with too much to do says when it wants to be asked again, and names no budget.
fn is_about_a_budget(status: &ApiStatus) -> bool {
    status.has_cause("DisruptionBudget")
        || status.message.contains("disruption budget")
        || status.retry_after.is_none()
}

/// A 404 without a `Status` comes from a wrong address or a proxy, and says nothing about the pod.
fn is_about_the_path(status: &ApiStatus) -> bool {
    status.reason != "NotFound"
        || status.message == "the server could not find the requested resource"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, header: Option<u64>, body: &str) -> Result<Response, KubeError> {
        Err(KubeError::Api {
            request: "POST /eviction".into(),
            status: Box::new(ApiStatus::parse(
                code,
                header.map(Duration::from_secs),
                body.as_bytes(),
            )),
        })
    }

    fn status(code: u16, reason: &str, message: &str, details: &str) -> String {
        format!(
            r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":{message:?},"reason":"{reason}","details":{details},"code":{code}}}"#
        )
    }

    fn check(code: u16, header: Option<u64>, body: &str, expected: &EvictionOutcome) {
        assert_eq!(
            &EvictionOutcome::of(&refused(code, header, body)),
            expected,
            "{body}"
        );
    }

    #[test]
    fn accepted_answers_are_accepted() {
        let response = Response {
            code: 201,
            body: br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}"#.to_vec(),
        };
        assert_eq!(
            EvictionOutcome::of(&Ok(response)),
            EvictionOutcome::Accepted
        );
    }

    #[test]
    fn budget_and_throttling_share_a_code() {
        let text = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = r#"{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web needs 2 healthy pods and has 2 currently"}]}"#;
        let blocked = |message: &str, seconds: Option<u64>| EvictionOutcome::BlockedByBudget {
            message: message.into(),
            retry_after: seconds.map(Duration::from_secs),
        };
        check(
            429,
            None,
            &status(429, "TooManyRequests", text, cause),
            &blocked(text, None),
        );
        let behind = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = r#"{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web is still being processed by the server."}],"retryAfterSeconds":10}"#;
        check(
            429,
            Some(10),
            &status(429, "TooManyRequests", behind, cause),
            &blocked(behind, Some(10)),
        );
        check(
            429,
            Some(1),
            "Too many requests, please try again later.",
            &EvictionOutcome::Throttled {
                retry_after: Some(Duration::from_secs(1)),
            },
        );
        // A proxy may leave the details out; the budget is named all the same.
        check(
            429,
            Some(10),
            &status(429, "TooManyRequests", text, "{}"),
            &blocked(text, Some(10)),
        );
        check(429, None, "", &blocked("", None));
    }

    #[test]
    fn pods_that_leave_anyway_are_leaving() {
        let gone = status(
            404,
            "NotFound",
            r#"pods "web-1" not found"#,
            r#"{"name":"web-1","kind":"pods"}"#,
        );
        check(404, None, &gone, &EvictionOutcome::Gone);
        let replaced = "Operation cannot be fulfilled on Pod \"web-1\": the UID in the precondition (u-1) does not match the UID in record (u-2). The object might have been deleted and then recreated";
        check(
            409,
            None,
            &status(409, "Conflict", replaced, "{}"),
            &EvictionOutcome::Replaced,
        );
        let terminating = status(
            403,
            "Forbidden",
            "unable to create new content in namespace shop because it is being terminated",
            r#"{"causes":[{"reason":"NamespaceTerminating","message":"namespace shop is being terminated","field":"metadata.namespace"}]}"#,
        );
        check(
            403,
            None,
            &terminating,
            &EvictionOutcome::NamespaceTerminating,
        );
        for outcome in [
            EvictionOutcome::Gone,
            EvictionOutcome::Replaced,
            EvictionOutcome::NamespaceTerminating,
        ] {
            assert!(outcome.is_leaving());
        }
    }

    #[test]
    fn what_time_heals_is_tried_again() {
        let retry = |reason: &str, seconds: Option<u64>| EvictionOutcome::Retry {
            reason: reason.into(),
            retry_after: seconds.map(Duration::from_secs),
        };
        let update = "Operation cannot be fulfilled on pods \"web-1\": the object has been modified; please apply your changes to the latest version and try again";
        check(
            409,
            None,
            &status(409, "Conflict", update, "{}"),
            &retry(&format!("409 Conflict: {update}"), None),
        );
        check(
            504,
            None,
            &status(504, "Timeout", "t", "{}"),
            &retry("504 Timeout: t", Some(10)),
        );
        check(
            503,
            Some(2),
            "overloaded",
            &retry("503: overloaded", Some(2)),
        );
        let lost = Err(KubeError::Unreachable {
            request: "POST /eviction".into(),
            source: Box::new(ureq::Error::ConnectionFailed),
        });
        assert_eq!(
            EvictionOutcome::of(&lost),
            retry("POST /eviction: cannot talk to the API server", None)
        );
    }

    #[test]
    fn what_will_not_heal_is_reported() {
        let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        check(
            500,
            None,
            &status(500, "InternalError", message, "{}"),
            &EvictionOutcome::Misconfigured {
                message: message.into(),
            },
        );
        let message =
            r#"pods "web-1" is forbidden: User "x" cannot create resource "pods/eviction""#;
        check(
            403,
            None,
            &status(403, "Forbidden", message, "{}"),
            &EvictionOutcome::Forbidden {
                message: message.into(),
            },
        );
        let rejected = |reason: &str| EvictionOutcome::Rejected {
            reason: reason.into(),
        };
        check(
            400,
            None,
            &status(400, "BadRequest", "name differs", "{}"),
            &rejected("400 BadRequest: name differs"),
        );
        check(
            404,
            None,
            "404 page not found",
            &rejected("404: 404 page not found"),
        );
    }
}
