//! The only part that talks: one function sends, the rest decides whether to send again.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    ConnectProxyConnector, Connector, SocksConnector, TcpConnector,
};

use crate::auth::{Authenticator, Grant};
use crate::credentials::{Credentials, Identity};
use crate::error::{CredentialsError, KubeError};
use crate::request::{Method, Request};
use crate::secret::Secret;
use crate::status::ApiStatus;
use crate::tls::TlsConnector;

const USER_AGENT: &str = concat!("nodeguardian/", env!("CARGO_PKG_VERSION"));
/// A `Status` is small; larger answers are objects and lists.
const STATUS_LIMIT: usize = 16 * 1024;
/// Waits of 0.2 s, 0.4 s and 0.8 s with the default retries, unless the server names its own.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Limits of a client.
#[derive(Debug, Clone)]
pub struct Options {
    /// For one request with its answer; 30 s.
    pub timeout: Duration,
    /// For the connection alone; 10 s.
    pub connect_timeout: Duration,
    /// For one run of a credential plugin; 30 s.
    pub plugin_timeout: Duration,
    /// The largest answer to accept; 256 MiB.
    pub max_response_bytes: u64,
    /// How often a read is sent again; 3.
    pub retries: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            plugin_timeout: Duration::from_secs(30),
            max_response_bytes: 256 << 20,
            retries: 3,
        }
    }
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status code, 2xx.
    pub code: u16,
    /// The body as received.
    pub body: Vec<u8>,
}

/// Talks to one API server; threads may share it.
pub struct Client {
    credentials: Credentials,
    options: Options,
    authenticator: Authenticator,
    session: Mutex<Session>,
}

/// Connections made with one client certificate.
struct Session {
    agent: Agent,
    /// The renewal a plugin's certificate came with.
    generation: Option<u64>,
}

impl Client {
    /// Reads certificates and keys; connections are opened by the first request.
    pub fn connect(credentials: &Credentials, options: Options) -> Result<Self, CredentialsError> {
        let authenticator = Authenticator::new(credentials.auth.clone(), options.plugin_timeout);
        let session = Session {
            agent: agent(credentials, &options, None)?,
            generation: None,
        };
        Ok(Self {
            credentials: credentials.clone(),
            options,
            authenticator,
            session: Mutex::new(session),
        })
    }

    /// Sends the request and waits for the whole answer, no longer than until `deadline`.
    ///
    /// Reads are sent again after a broken connection, 429 and the 5xx that pass, as often as the options say. A 401
    /// renews the credentials once. Everything but a 2xx answer is an error.
    pub fn send(&self, request: &Request, deadline: Instant) -> Result<Response, KubeError> {
        let mut attempt = 0;
        let mut renewed = false;
        loop {
            // Asked first: a credential plugin must not be started for nothing.
            if deadline <= Instant::now() {
                return Err(KubeError::Deadline {
                    request: request.to_string(),
                });
            }
            let grant = self.grant(request, deadline)?;
            let error = match self.exchange(request, &grant, deadline) {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if error.is_unauthorized() && !renewed && self.authenticator.forget(grant.generation) {
                renewed = true;
                continue;
            }
            let wait = retry_wait(request, &error, attempt);
            let wait =
                wait.filter(|wait| attempt < self.options.retries && ends_before(deadline, *wait));
            let Some(wait) = wait else {
                return Err(error);
            };
            thread::sleep(wait);
            attempt += 1;
        }
    }

    /// Sends the request and decodes the answer.
    pub fn send_json<T: DeserializeOwned>(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<T, KubeError> {
        let response = self.send(request, deadline)?;
        serde_json::from_slice(&response.body).map_err(|source| KubeError::Decode {
            request: request.to_string(),
            source,
        })
    }

    fn grant(&self, request: &Request, deadline: Instant) -> Result<Grant, KubeError> {
        self.authenticator
            .grant(deadline)
            .map_err(|source| KubeError::Credentials {
                request: request.to_string(),
                source,
            })
    }

    /// One attempt.
    fn exchange(
        &self,
        request: &Request,
        grant: &Grant,
        deadline: Instant,
    ) -> Result<Response, KubeError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(KubeError::Deadline {
                request: request.to_string(),
            });
        }
        let agent = self.agent(grant).map_err(|source| KubeError::Credentials {
            request: request.to_string(),
            source,
        })?;
        let message = self
            .message(request, grant)
            .map_err(|source| KubeError::Malformed {
                request: request.to_string(),
                source,
            })?;
        let timeout = self.options.timeout.min(left);
        let answer = match request.method {
            Method::Get => run(&agent, message.map(|_| ()), timeout),
            Method::Post | Method::Patch => run(&agent, message, timeout),
        };
        answer
            .and_then(|response| self.read(response))
            .map_err(|error| self.failure(request, error, timeout < self.options.timeout))?
            .into_result(request)
    }

    fn message(
        &self,
        request: &Request,
        grant: &Grant,
    ) -> Result<ureq::http::Request<Vec<u8>>, ureq::http::Error> {
        let uri = format!("{}{}", self.credentials.server, request.target);
        let mut builder = ureq::http::Request::builder()
            .method(request.method.as_str())
            .uri(uri)
            .header(ACCEPT, "application/json");
        if let Some(content_type) = request.content_type {
            builder = builder.header(CONTENT_TYPE, content_type);
        }
        if let Some(authorization) = &grant.authorization {
            let mut value = HeaderValue::from_str(authorization.expose())?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        for (name, value) in &self.credentials.impersonation {
            builder = builder.header(*name, value);
        }
        builder.body(request.body.clone())
    }

    fn read(&self, response: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let code = response.status().as_u16();
        // The reader's limit is exclusive.
        let limit = self.options.max_response_bytes.saturating_add(1);
        let body = response
            .into_body()
            .into_with_config()
            .limit(limit)
            .read_to_vec()?;
        Ok(Answer {
            code,
            retry_after,
            body,
        })
    }

    fn failure(&self, request: &Request, error: ureq::Error, is_last_moment: bool) -> KubeError {
        let request = request.to_string();
        match error {
            ureq::Error::Timeout(_) if is_last_moment => KubeError::Deadline { request },
            ureq::Error::Timeout(_) => KubeError::Timeout {
                request,
                limit: self.options.timeout,
            },
            ureq::Error::BodyExceedsLimit(_) => KubeError::TooLarge {
                request,
                limit: self.options.max_response_bytes,
            },
            other => KubeError::Unreachable {
                request,
                source: Box::new(other),
            },
        }
    }

    /// The connections to use: new ones if a plugin gave a new certificate.
    fn agent(&self, grant: &Grant) -> Result<Agent, CredentialsError> {
        // A panic elsewhere leaves the session whole: it is replaced as one.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if grant.identity.is_some() && session.generation != Some(grant.generation) {
            *session = Session {
                agent: agent(&self.credentials, &self.options, grant.identity.as_ref())?,
                generation: Some(grant.generation),
            };
        }
        Ok(session.agent.clone())
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("server", &self.credentials.server)
            .field("origin", &self.credentials.origin)
            .finish_non_exhaustive()
    }
}

/// Any complete answer.
struct Answer {
    code: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    fn into_result(self, request: &Request) -> Result<Response, KubeError> {
        let Self {
            code,
            retry_after,
            body,
        } = self;
        let refusal = if !(200..300).contains(&code) {
            Some(ApiStatus::parse(code, retry_after, &body))
        } else if body.len() <= STATUS_LIMIT {
            ApiStatus::hidden_failure(code, &body)
        } else {
            None
        };
        match refusal {
            None => Ok(Response { code, body }),
            Some(status) => Err(KubeError::Api {
                request: request.to_string(),
                status: Box::new(status),
            }),
        }
    }
}

fn run(
    agent: &Agent,
    message: ureq::http::Request<impl ureq::AsSendBody>,
    timeout: Duration,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let message = agent
        .configure_request(message)
        .timeout_global(Some(timeout))
        .build();
    agent.run(message)
}

/// Checked, because a server may name any number of seconds.
fn ends_before(deadline: Instant, wait: Duration) -> bool {
    Instant::now()
        .checked_add(wait)
        .is_some_and(|end| end < deadline)
}

/// How long to wait before the same request may help; `None` if it cannot, or must not be repeated.
fn retry_wait(request: &Request, error: &KubeError, attempt: u32) -> Option<Duration> {
    if request.method != Method::Get {
        return None;
    }
    let backoff = FIRST_WAIT.saturating_mul(1 << attempt.min(6));
    match error {
        KubeError::Api { status, .. } => match status.code {
            429 | 500 | 502..=504 => Some(status.retry_after.unwrap_or(backoff)),
            _ => None,
        },
        KubeError::Unreachable { source, .. } => match **source {
            // A certificate that is wrong now is wrong in a second.
            ureq::Error::Io(ref error) if error.kind() == std::io::ErrorKind::InvalidData => None,
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
                Some(backoff)
            }
            _ => None,
        },
        KubeError::Timeout { .. }
        | KubeError::Deadline { .. }
        | KubeError::TooLarge { .. }
        | KubeError::Malformed { .. }
        | KubeError::Decode { .. }
        | KubeError::Credentials { .. } => None,
    }
}

fn agent(
    credentials: &Credentials,
    options: &Options,
    identity: Option<&Identity>,
) -> Result<Agent, CredentialsError> {
    let proxy = credentials
        .proxy
        .as_ref()
        .map(|proxy| ureq::Proxy::new(proxy.expose()))
        .transpose()
        .map_err(|error| CredentialsError::Invalid {
            origin: credentials.origin.clone(),
            problems: vec![format!("proxy-url: {error}")],
        })?;
    let config = Agent::config_builder()
        // The environment's proxies are for others: only the kubeconfig's counts.
        .proxy(proxy)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(options.connect_timeout))
        .user_agent(USER_AGENT)
        .build();
    let connector =
        ().chain(SocksConnector::default())
            .chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default());
    // Without TLS there may be no certificates at all, and that is no mistake.
    let is_https = |url: &str| url.starts_with("https://");
    let proxy_url = credentials.proxy.as_ref().map(Secret::expose);
    if !is_https(&credentials.server) && !proxy_url.is_some_and(is_https) {
        return Ok(Agent::with_parts(
            config,
            connector,
            DefaultResolver::default(),
        ));
    }
    let connector = connector.chain(TlsConnector::new(credentials, identity)?);
    Ok(Agent::with_parts(
        config,
        connector,
        DefaultResolver::default(),
    ))
}
