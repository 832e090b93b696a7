//! What can go wrong, with methods to branch on. Messages never repeat their source.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::status::ApiStatus;

/// A request that did not succeed; every message starts with its method and target.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The server answered, and refused.
    #[error("{request}: the API server answered {status}")]
    Api {
        /// Method and target.
        request: String,
        /// The refusal.
        status: Box<ApiStatus>,
    },
    /// The server did not answer in the time one request may take.
    #[error("{request}: no complete answer within {limit:?}")]
    Timeout {
        /// Method and target.
        request: String,
        /// The limit of a request.
        limit: Duration,
    },
    /// The caller's deadline came first.
    #[error("{request}: given up because the time of this run is used up")]
    Deadline {
        /// Method and target.
        request: String,
    },
    /// The answer is larger than we are willing to hold.
    #[error("{request}: the answer is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Method and target.
        request: String,
        /// The limit.
        limit: u64,
    },
    /// No connection, or one that broke.
    #[error("{request}: cannot talk to the API server")]
    Unreachable {
        /// Method and target.
        request: String,
        /// The reason.
        source: Box<ureq::Error>,
    },
    /// Target or header cannot be sent in HTTP.
    #[error("{request}: not a valid HTTP request")]
    Malformed {
        /// Method and target.
        request: String,
        /// The reason.
        source: ureq::http::Error,
    },
    /// The answer is not what was asked for.
    #[error("{request}: the answer is not the expected JSON")]
    Decode {
        /// Method and target.
        request: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The credentials could not be renewed.
    #[error("{request}: no valid credentials")]
    Credentials {
        /// Method and target.
        request: String,
        /// The reason.
        source: CredentialsError,
    },
}

impl KubeError {
    /// The server's refusal, if that is what happened.
    pub fn status(&self) -> Option<&ApiStatus> {
        match self {
            Self::Api { status, .. } => Some(status),
            Self::Timeout { .. }
            | Self::Deadline { .. }
            | Self::TooLarge { .. }
            | Self::Unreachable { .. }
            | Self::Malformed { .. }
            | Self::Decode { .. }
            | Self::Credentials { .. } => None,
        }
    }

    /// 401: the server does not know us.
    pub fn is_unauthorized(&self) -> bool {
        self.has_code(401)
    }

    /// 403: the server knows us and says no.
    pub fn is_forbidden(&self) -> bool {
        self.has_code(403)
    }

    /// 404: no such object, or no such API.
    pub fn is_not_found(&self) -> bool {
        self.has_code(404)
    }

    /// 409: another writer came first, or a precondition failed.
    pub fn is_conflict(&self) -> bool {
        self.has_code(409)
    }

    /// 410: a list's `continue` token or resource version is too old.
    pub fn is_expired(&self) -> bool {
        self.has_code(410)
    }

    /// 429: too fast, or a disruption budget says not now.
    pub fn is_too_many_requests(&self) -> bool {
        self.has_code(429)
    }

    fn has_code(&self, code: u16) -> bool {
        self.status().is_some_and(|status| status.code == code)
    }
}

/// Credentials that cannot be used; names the file or setting, never its secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// `KUBECONFIG` names no file that exists.
    #[error("KUBECONFIG: none of these files exists: {0}")]
    NoKubeconfig(String),
    /// A kubeconfig is not YAML of the expected form.
    #[error("{}: not a kubeconfig: {problem}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what, without values.
        problem: String,
    },
    /// Settings that do not fit together; all of them.
    #[error("{origin}: {}", problems.join("; "))]
    Invalid {
        /// The file and context, or the service account.
        origin: String,
        /// Each names its field.
        problems: Vec<String>,
    },
    /// The credential plugin failed.
    #[error("credential plugin {command}: {problem}")]
    Exec {
        /// The program.
        command: String,
        /// What happened, with its stderr shortened.
        problem: String,
    },
}
