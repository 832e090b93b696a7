//! The one place that talks: a request with its deadline, retries and limits.

use std::io::Read as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::fmt::rfc2822::DateTimeParser;
use ng_engine::time::Time;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Timeout};

use crate::endpoint::{Endpoint, form, redirected};
use crate::problem::{Trouble, shorten};
use crate::settings::Settings;

/// The longest answer that is read; 5,000 series take about one megabyte.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// A server in the same data centre connects in milliseconds. A packet filter, such as the `NetworkPolicy` that
/// kube-prometheus installs, drops silently; the other source then still gets its time.
const CONNECT: Duration = Duration::from_secs(5);
/// Pauses between attempts: 100, 200, 400, 800, 1000, 1000, … ms.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A server behind a path prefix redirects once; more are a loop.
const MOST_REDIRECTS: usize = 3;

/// A server, and what was learnt of it in this run.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    /// A proxy on the way refused POST.
    only_get: AtomicBool,
    /// Why no connection can be made; further requests fail at once.
    down: OnceLock<String>,
}

impl Server {
    pub(crate) const fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            only_get: AtomicBool::new(false),
            down: OnceLock::new(),
        }
    }
}

/// The head of an answer whose body was read.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The server's clock.
    pub(crate) date: Option<Time>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) trouble: Trouble,
    pub(crate) text: String,
    retry: Retry,
}

/// Whether the same request may do better in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Helps,
    Useless,
    /// Nothing listens there, neither for this request nor for others.
    HelpsUnlessDown,
    /// As before, and enough time was spent on finding out.
    Down,
}

impl Failure {
    fn new(trouble: Trouble, retry: Retry, text: impl Into<String>) -> Self {
        Self {
            trouble,
            text: text.into(),
            retry,
        }
    }
}

/// Connections that are kept for the time of one run.
pub(crate) struct Client {
    agent: Agent,
    timeout: Duration,
    query_timeout: Duration,
    retries: u32,
    requests: AtomicU32,
    /// Why https cannot be used.
    no_tls: Option<String>,
}

/// One request, without its body.
struct Call<'query> {
    server: &'query Server,
    url: String,
    /// `None`: a GET.
    form: Option<&'query str>,
    deadline: Instant,
    most_bytes: u64,
}

/// A question to Prometheus.
pub(crate) struct Question<'query> {
    path: &'static str,
    fields: Vec<(&'static str, &'query str)>,
    most_bytes: u64,
}

impl<'query> Question<'query> {
    /// What an expression is at this moment.
    pub(crate) fn instant(expression: &'query str) -> Self {
        Self {
            path: "/api/v1/query",
            fields: vec![("query", expression)],
            most_bytes: MOST_BYTES,
        }
    }

    /// What an expression was at several times: `start`, `end` and `step` in seconds. A longer answer than `most_bytes`
    /// is refused as a whole.
    pub(crate) fn range(
        expression: &'query str,
        [start, end, step]: &'query [String; 3],
        most_bytes: u64,
    ) -> Self {
        Self {
            path: "/api/v1/query_range",
            fields: vec![
                ("query", expression),
                ("start", start),
                ("end", end),
                ("step", step),
            ],
            most_bytes: most_bytes.min(MOST_BYTES),
        }
    }

    fn form(&self, timeout: &str) -> String {
        let mut fields = self.fields.clone();
        fields.push(("timeout", timeout));
        form(&fields)
    }
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (tls, no_tls) = match tls(settings) {
            Ok(tls) => (tls, None),
            Err(text) => (TlsConfig::default(), Some(text)),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirected POST would become a GET without the query; see `follow`.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The environment is no input of this crate.
            .proxy(None)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .max_idle_connections_per_host(settings.max_concurrent.max(1))
            .user_agent(concat!("nodeguardian/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            // Buffers are filled with zeros for every connection: a query is short, an answer is
            // parsed as it comes.
            .output_buffer_size(8 * 1024)
            .input_buffer_size(32 * 1024)
            .tls_config(tls)
            .build();
        Self {
            agent: config.new_agent(),
            timeout: settings.timeout,
            query_timeout: settings.query_timeout,
            retries: settings.retries,
            requests: AtomicU32::new(0),
            no_tls,
        }
    }

    /// Number of requests sent so far, retries included.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Asks a question; the body of the answer is then in `body`.
    pub(crate) fn ask(
        &self,
        server: &Server,
        question: &Question<'_>,
        body: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let seconds = self
            .query_timeout
            .min(self.timeout)
            .min(left)
            .as_secs()
            .max(1);
        let form = question.form(&format!("{seconds}s"));
        let url = format!("{}{}", server.endpoint.base(), question.path);
        if !server.only_get.load(Ordering::Relaxed) {
            let call = Call {
                server,
                url: url.clone(),
                form: Some(&form),
                deadline,
                most_bytes: question.most_bytes,
            };
            let reply = self.repeat(call, body)?;
            if ![403, 405].contains(&reply.status) {
                return Ok(reply);
            }
        }
        let call = Call {
            server,
            url: format!("{url}?{form}"),
            form: None,
            deadline,
            most_bytes: question.most_bytes,
        };
        let reply = self.repeat(call, body)?;
        if reply.status < 400 {
            server.only_get.store(true, Ordering::Relaxed);
        }
        Ok(reply)
    }

    /// Reads `path` below the server's address; the body of the answer is then in `body`.
    pub(crate) fn get(
        &self,
        server: &Server,
        path: &str,
        body: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        let url = format!("{}{path}", server.endpoint.base());
        self.repeat(
            Call {
                server,
                url,
                form: None,
                deadline,
                most_bytes: MOST_BYTES,
            },
            body,
        )
    }

    /// Repeats a request as long as that can help and there is time.
    fn repeat(&self, mut call: Call<'_>, body: &mut Vec<u8>) -> Result<Reply, Failure> {
        let mut pause = FIRST_PAUSE;
        for attempts_left in (0..=self.retries).rev() {
            if let Some(text) = call.server.down.get() {
                return Err(Failure::new(Trouble::Unreachable, Retry::Down, text));
            }
            let outcome = self.follow(&mut call, body);
            let retry = match &outcome {
                Ok(reply) if matches!(reply.status, 499 | 500 | 502 | 503 | 504) => Retry::Helps,
                Ok(_) => Retry::Useless,
                Err(failure) => failure.retry,
            };
            let has_time = Instant::now() + pause < call.deadline;
            let repeats = matches!(retry, Retry::Helps | Retry::HelpsUnlessDown);
            if !repeats || attempts_left == 0 || !has_time {
                if let (Err(failure), Retry::HelpsUnlessDown | Retry::Down) = (&outcome, retry) {
                    // The first reason is as good as any later one.
                    let _ = call.server.down.set(failure.text.clone());
                }
                return outcome;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(out_of_time(Duration::ZERO))
    }

    /// Sends a request again, unchanged, to where redirects lead.
    fn follow(&self, call: &mut Call<'_>, body: &mut Vec<u8>) -> Result<Reply, Failure> {
        for _ in 0..=MOST_REDIRECTS {
            let mut response = self.send(call)?;
            if matches!(response.status().as_u16(), 301 | 302 | 307 | 308) {
                let location = response.headers().get("location");
                let location = location.and_then(|value| value.to_str().ok()).unwrap_or("");
                call.url = redirected(&call.url, location).ok_or_else(|| {
                    let text = format!(
                        "redirected to an unusable address (HTTP {})",
                        response.status().as_u16()
                    );
                    Failure::new(Trouble::BadAnswer, Retry::Useless, text)
                })?;
                continue;
            }
            read(&mut response, body, call.most_bytes)?;
            return Ok(Reply {
                status: response.status().as_u16(),
                date: date(&response),
            });
        }
        let text = format!("redirected more than {MOST_REDIRECTS} times");
        Err(Failure::new(Trouble::BadAnswer, Retry::Useless, text))
    }

    fn send(&self, call: &Call<'_>) -> Result<Response<Body>, Failure> {
        if let Some(text) = self
            .no_tls
            .as_ref()
            .filter(|_| call.url.starts_with("https:"))
        {
            return Err(Failure::new(Trouble::Unreachable, Retry::Down, text));
        }
        let left = call.deadline.saturating_duration_since(Instant::now());
        let budget = self.timeout.min(left);
        if budget.is_zero() {
            return Err(out_of_time(self.timeout));
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let authorization = call.server.endpoint.authorization_for(&call.url);
        let result = if let Some(form) = call.form {
            let mut request = self
                .agent
                .post(&call.url)
                .content_type("application/x-www-form-urlencoded");
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let request = request.config().timeout_global(Some(budget)).build();
            request.send(form)
        } else {
            let mut request = self.agent.get(&call.url);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let request = request.config().timeout_global(Some(budget)).build();
            request.call()
        };
        result.map_err(|error| failure(&error, budget))
    }
}

/// Reads a body of a bounded size into the reused `body`.
fn read(response: &mut Response<Body>, body: &mut Vec<u8>, most: u64) -> Result<(), Failure> {
    body.clear();
    let too_large = || {
        let text = format!("the answer is larger than {} MiB", most >> 20);
        Failure::new(Trouble::BadAnswer, Retry::Useless, text)
    };
    let length = response.body().content_length().unwrap_or(0);
    if length > most {
        return Err(too_large());
    }
    // A length that was told is not trusted with more memory than common answers take.
    body.reserve(usize::try_from(length.min(4 << 20)).unwrap_or(0));
    let mut reader = response.body_mut().as_reader().take(most + 1);
    reader
        .read_to_end(body)
        .map_err(|error| failure(&ureq::Error::from(error), Duration::ZERO))?;
    if body.len() as u64 > most {
        body.clear();
        body.shrink_to_fit();
        return Err(too_large());
    }
    Ok(())
}

fn date(response: &Response<Body>) -> Option<Time> {
    let text = response.headers().get("date")?.to_str().ok()?;
    let timestamp = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Time::from(timestamp))
}

fn out_of_time(budget: Duration) -> Failure {
    let text = if budget.is_zero() {
        "no answer in time".to_owned()
    } else {
        format!("no answer within {:.1} s", budget.as_secs_f64())
    };
    Failure::new(Trouble::Unreachable, Retry::Useless, text)
}

fn failure(error: &ureq::Error, budget: Duration) -> Failure {
    use std::io::ErrorKind;
    let retry = match error {
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve)
        | ureq::Error::Rustls(_)
        | ureq::Error::Tls(_) => Retry::Down,
        // A query that was too slow once would be again.
        ureq::Error::Timeout(_) => return out_of_time(budget),
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => Retry::HelpsUnlessDown,
        ureq::Error::Io(io) => match io.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable => Retry::HelpsUnlessDown,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => return out_of_time(budget),
            _ => Retry::Helps,
        },
        ureq::Error::Protocol(_) => Retry::Helps,
        _ => Retry::Useless,
    };
    let text = match error {
        ureq::Error::Timeout(_) => format!("cannot connect within {} s", CONNECT.as_secs()),
        other => shorten(&other.to_string()),
    };
    Failure::new(Trouble::Unreachable, retry, text)
}

/// The authorities that are trusted: those of the file alone, or the public ones.
fn tls(settings: &Settings) -> Result<TlsConfig, String> {
    let Some(path) = &settings.ca_file else {
        return Ok(TlsConfig::default());
    };
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(format!("{shown}: expected certificates in PEM form")),
        }
    }
    if certificates.is_empty() {
        return Err(format!(
            "{shown}: expected certificates in PEM form, found none"
        ));
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(certificates))
        .build())
}
