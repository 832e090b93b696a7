//! Requests as values, and the one place that sends them.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ng_engine::time::Time;
use serde::Serialize;
use ureq::http::header::CONTENT_LENGTH;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, SendBody};

use crate::body::Body;
use crate::json;
use crate::message::Outcome;
use crate::replicas::{self, Names, Only};
use crate::send::When;
use crate::text::one_line;

/// The product and its version, as receivers see them.
pub(crate) const USER_AGENT: &str = concat!("nodeguardian/", env!("CARGO_PKG_VERSION"));
/// Answers are short; what comes after this much is not read.
const ANSWER_LIMIT: u64 = 64 * 1024;
/// No receiver is waited for longer than this, whatever it asks.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// A POST of a JSON document. Not to be shown: addresses, headers and bodies hold credentials.
pub(crate) struct Request {
    /// Without a login.
    pub(crate) url: String,
    /// In the order they were given, `content-type` first.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

impl Request {
    /// A request whose body is serialised here and nowhere else, so that a signature is over the bytes that are sent.
    pub(crate) fn json(url: &str, document: &impl Serialize) -> Self {
        let mut body = Vec::new();
        json::put(&mut body, document);
        Self::of(url, body.into())
    }

    /// The same with a body that was written already.
    pub(crate) fn of(url: &str, body: Body) -> Self {
        let (url, authorization) = without_login(url);
        let content_type = "application/json; charset=utf-8".to_owned();
        let mut headers = vec![("content-type".to_owned(), content_type)];
        headers.extend(authorization.map(|value| ("authorization".to_owned(), value)));
        Self { url, headers, body }
    }

    /// Sets a header; one that is there already is replaced.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How long the receiver asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// As much as was read.
    pub(crate) body: String,
    /// Whether the body ends there.
    pub(crate) whole: bool,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// Status and beginning of the body.
    pub(crate) fn summary(&self) -> String {
        match quote(&self.body) {
            text if text.is_empty() => format!("HTTP {}", self.status),
            text => format!("HTTP {}: {text}", self.status),
        }
    }

    /// What the status alone says.
    pub(crate) fn by_status(&self) -> Outcome {
        match self.status {
            200..=299 => Outcome::Delivered,
            300..=399 => Outcome::Permanent {
                reason: format!(
                    "HTTP {}: the address leads elsewhere; redirects are not followed",
                    self.status
                ),
            },
            408 | 425 | 429 | 500..=599 => Outcome::Retry {
                reason: self.summary(),
                after: self.retry_after,
            },
            _ => Outcome::Permanent {
                reason: self.summary(),
            },
        }
    }
}

/// The beginning of an answer in one line, for a reason.
pub(crate) fn quote(text: &str) -> String {
    const MOST: usize = 200;
    let line = one_line(text.trim());
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into_owned(),
    }
}

/// A wait as a receiver asks for it, within reason.
pub(crate) fn bounded(seconds: f64) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    (!wait.is_zero()).then(|| wait.min(LONGEST_WAIT))
}

/// `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Time) -> Option<Duration> {
    parse_retry_after(headers.get("retry-after")?.to_str().ok()?, now)
}

fn parse_retry_after(text: &str, now: Time) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long wait, too.
        let seconds = text.parse().unwrap_or(u64::MAX);
        let wait = Duration::from_secs(seconds).min(LONGEST_WAIT);
        return (!wait.is_zero()).then_some(wait);
    }
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    let date = Time::from(parser.parse_timestamp(text).ok()?);
    let wait = date.since(now);
    (!wait.is_zero()).then(|| wait.min(LONGEST_WAIT))
}

/// Sends requests, and keeps connections between them; threads may share it.
pub(crate) struct Courier {
    /// By what they trust. The one that has worked is asked first.
    agents: Vec<Agent>,
    first: AtomicUsize,
}

impl Courier {
    /// Trusts the public authorities, and those in `ca_file`.
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        // One agent cannot trust both lists: ureq takes either its own or ours.
        let mut agents = Vec::new();
        if let Some(path) = ca_file {
            agents.push(agent(RootCerts::new_with_certs(&certificates(path)?)));
        }
        agents.push(agent(RootCerts::WebPki));
        let first = AtomicUsize::new(0);
        Ok(Self { agents, first })
    }

    /// The servers behind the name in the request's address, if there are several.
    pub(crate) fn replicas(&self, request: &Request, when: &When) -> Vec<SocketAddr> {
        replicas::of(&request.url, self.agents[0].config(), when)
    }

    /// The same courier for one of several servers behind a name.
    pub(crate) fn to(&self, address: SocketAddr) -> Self {
        let pinned = |agent: &Agent| {
            let config = agent.config().clone();
            Agent::with_parts(config, DefaultConnector::default(), Only(address))
        };
        Self {
            agents: self.agents.iter().map(pinned).collect(),
            first: AtomicUsize::new(0),
        }
    }

    /// Sends once; how a failure before any answer is to be taken is in the error.
    pub(crate) fn post(&self, request: &Request, when: &When) -> Result<Answer, Outcome> {
        let first = self.first.load(Ordering::Relaxed);
        let mut result = self.attempt(first, request, when);
        for next in 1..self.agents.len() {
            // Nothing was sent to a receiver whose certificate was refused.
            if !matches!(&result, Err(error) if is_distrust(error)) {
                break;
            }
            let agent = (first + next) % self.agents.len();
            result = self.attempt(agent, request, when);
            if result.is_ok() {
                self.first.store(agent, Ordering::Relaxed);
            }
        }
        result.map_err(|error| failure(&error))
    }

    fn attempt(&self, agent: usize, request: &Request, when: &When) -> Result<Answer, ureq::Error> {
        let left = when.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ureq::Error::Timeout(ureq::Timeout::Global));
        }
        let mut builder = self.agents[agent]
            .post(&request.url)
            .config()
            .timeout_global(Some(left))
            .build();
        // Without it, ureq would send what it has to read in chunks, which some receivers do not take.
        builder = builder.header(CONTENT_LENGTH, request.body.len());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        builder
            .send(SendBody::from_reader(&mut request.body.reader()))
            .map(|response| read(response, when.now))
    }
}

/// A receiver that breaks off its answer has still answered: what was read decides.
fn read(response: Response<ureq::Body>, now: Time) -> Answer {
    let (parts, body) = response.into_parts();
    let mut bytes = Vec::new();
    let mut reader = body.into_reader().take(ANSWER_LIMIT);
    let whole = reader.read_to_end(&mut bytes).is_ok();
    Answer {
        status: parts.status.as_u16(),
        retry_after: retry_after(&parts.headers, now),
        body: String::from_utf8_lossy(&bytes).into_owned(),
        whole,
    }
}

fn agent(roots: RootCerts) -> Agent {
    let config = Agent::config_builder()
        .user_agent(USER_AGENT)
        // Each is made and cleared for every connection: enough for what receivers answer, and for few writes. Twice
        // the room to write costs more in memory touched first than half as many writes save.
        .input_buffer_size(16 * 1024)
        .output_buffer_size(32 * 1024)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // A proxy in the environment is not for addresses inside the cluster, and not ours to find.
        .proxy(None)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    Agent::with_parts(config, DefaultConnector::default(), Names)
}

/// The certificates of a PEM file.
fn certificates(path: &Path) -> Result<Vec<ureq::tls::Certificate<'static>>, String> {
    let describe = |what: &str| format!("alert.caFile {}: {what}", path.display());
    let pem = std::fs::read(path).map_err(|error| describe(&error.to_string()))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| describe(&error.to_string()))?
        {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(describe("no certificate in it"));
    }
    Ok(found)
}

/// Whether the receiver's certificate was refused.
fn is_distrust(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        ureq::Error::Io(error) => error.to_string().contains("certificate"),
        _ => false,
    }
}

/// What follows from a failure before any answer. Addresses are left out: they may be credentials.
fn failure(error: &ureq::Error) -> Outcome {
    use ureq::Error;
    let (reason, permanent) = match error {
        Error::Timeout(part) => (format!("not answered in time ({part})"), false),
        Error::HostNotFound => ("the host is not known".to_owned(), false),
        Error::BadUri(_) => ("the address cannot be used".to_owned(), true),
        Error::Http(error) => (format!("the request cannot be built: {error}"), true),
        Error::Io(error) => (error.to_string(), false),
        other => (other.to_string(), false),
    };
    if permanent {
        Outcome::Permanent { reason }
    } else {
        Outcome::Retry {
            reason,
            after: None,
        }
    }
}

/// The address without its login, and the login as a header.
fn without_login(url: &str) -> (String, Option<String>) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| start + at);
    let Some(at) = url[start..end].rfind('@').map(|at| start + at) else {
        return (url.to_owned(), None);
    };
    let (user, password) = url[start..at]
        .split_once(':')
        .unwrap_or((&url[start..at], ""));
    let mut login = percent_decoded(user);
    login.push(b':');
    login.extend(percent_decoded(password));
    (
        format!("{}{}", &url[..start], &url[at + 1..]),
        Some(format!("Basic {}", STANDARD.encode(login))),
    )
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let code = text
            .get(index + 1..index + 3)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|_| bytes[index] == b'%');
        decoded.push(code.unwrap_or(bytes[index]));
        index += if code.is_some() { 3 } else { 1 };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_767_323_045_000);

    #[test]
    fn a_wait_is_seconds_or_a_date_and_never_longer_than_an_hour() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (text, expected) in [
            ("30", seconds(30)),
            (" 5 ", seconds(5)),
            ("86400", seconds(3600)),
            ("99999999999999999999999", seconds(3600)),
            ("Fri, 02 Jan 2026 03:04:35 GMT", seconds(30)),
            ("Fri, 02 Jan 2026 23:00:00 GMT", seconds(3600)),
            ("Thu, 01 Jan 2026 00:00:00 GMT", None),
            ("0", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_retry_after(text, NOW), expected, "{text:?}");
        }
        assert_eq!(bounded(1.5), Some(Duration::from_millis(1500)));
        assert_eq!(bounded(1e9), Some(LONGEST_WAIT));
        for bad in [-1.0, 0.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(bounded(bad), None);
        }
    }

    #[test]
    fn a_status_decides_where_nothing_else_does() {
        for (status, expected) in [
            (200, "delivered"),
            (202, "delivered"),
            (204, "delivered"),
            (301, "permanent"),
            (308, "permanent"),
            (400, "permanent"),
            (404, "permanent"),
            (408, "retry"),
            (410, "permanent"),
            (425, "retry"),
            (429, "retry"),
            (500, "retry"),
            (599, "retry"),
            (600, "permanent"),
        ] {
            let answer = Answer {
                status,
                retry_after: Some(Duration::from_secs(7)),
                body: "because\nso".to_owned(),
                whole: true,
            };
            let found = match answer.by_status() {
                Outcome::Delivered => "delivered",
                Outcome::Retry { reason, after } => {
                    assert_eq!(reason, format!("HTTP {status}: because so"));
                    assert_eq!(after, Some(Duration::from_secs(7)));
                    "retry"
                }
                Outcome::Permanent { .. } => "permanent",
            };
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn a_login_in_the_address_becomes_a_header() {
        for (url, bare, login) in [
            ("http://a/b@c", "http://a/b@c", None),
            (
                "http://u:p%40%zz@h:1/x?y",
                "http://h:1/x?y",
                Some("u:p@%zz"),
            ),
            ("https://u@h", "https://h", Some("u:")),
        ] {
            let expected = login.map(|login| format!("Basic {}", STANDARD.encode(login)));
            assert_eq!(without_login(url), (bare.to_owned(), expected));
        }
    }

    #[test]
    fn a_quote_is_one_short_line() {
        assert_eq!(quote(" a\r\nb\u{1b}[0m "), "a  b [0m");
        assert_eq!(quote(&"节".repeat(500)).chars().count(), 201);
    }
}
