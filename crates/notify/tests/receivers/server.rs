//! A small HTTP server on loopback, in the clear or behind TLS, whose answers the test gives.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How often a waiting thread looks whether the test is over.
const LOOK: Duration = Duration::from_millis(50);

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name)?;
        Some(&found.1)
    }

    /// The value of a query parameter, as it was sent.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value)
    }
}

/// What a request is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Nothing; the connection stays open.
    Silence,
    /// A good status line, and headers for ever.
    DrippingHeaders,
    /// Good headers, and a byte of the body now and then.
    DrippingBody,
    /// The connection is closed.
    Close,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer(status, Vec::new(), body.into())
    }
}

type Answers = dyn Fn(&Call) -> Reply + Send + Sync;

/// A running server; it ends with the test.
pub(crate) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    calls: Arc<Mutex<Vec<Call>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(answers: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::run(None, Arc::new(answers))
    }

    /// The same behind TLS, and the certificate of the authority that signed for it.
    pub(crate) fn start_tls(
        answers: impl Fn(&Call) -> Reply + Send + Sync + 'static,
    ) -> (Self, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&own, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(own.serialize_der()).unwrap(),
            )
            .unwrap();
        (
            Self::run(Some(Arc::new(config)), Arc::new(answers)),
            authority,
        )
    }

    fn run(tls: Option<Arc<ServerConfig>>, answers: Arc<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let calls = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let shared = (Arc::clone(&calls), Arc::clone(&stop));
        let accept = move || {
            for stream in listener.incoming() {
                if shared.1.load(Ordering::Relaxed) {
                    return;
                }
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(LOOK)).unwrap();
                stream.set_nodelay(true).unwrap();
                let (tls, answers, shared) = (tls.clone(), Arc::clone(&answers), shared.clone());
                thread::spawn(move || {
                    let connection = Connection::new(stream, tls, shared);
                    // A client may go away at any time.
                    let _ = connection.serve(&*answers);
                });
            }
        };
        Self {
            address,
            scheme,
            calls,
            stop,
            thread: Some(thread::spawn(accept)),
        }
    }

    /// `scheme://host:port`.
    pub(crate) fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The requests so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let woken = TcpStream::connect(self.address);
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            thread.join().unwrap();
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

struct Connection {
    stream: Box<dyn Stream>,
    calls: Arc<Mutex<Vec<Call>>>,
    stop: Arc<AtomicBool>,
    buffer: Vec<u8>,
}

impl Connection {
    fn new(
        stream: TcpStream,
        tls: Option<Arc<ServerConfig>>,
        (calls, stop): (Arc<Mutex<Vec<Call>>>, Arc<AtomicBool>),
    ) -> Self {
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(config) => {
                let connection = ServerConnection::new(config).unwrap();
                Box::new(StreamOwned::new(connection, stream))
            }
        };
        Self {
            stream,
            calls,
            stop,
            buffer: Vec::new(),
        }
    }

    fn serve(mut self, answers: &Answers) -> std::io::Result<()> {
        while let Some(call) = self.call()? {
            let reply = answers(&call);
            self.calls.lock().unwrap().push(call);
            match reply {
                Reply::Answer(status, headers, body) => {
                    let mut text = format!("HTTP/1.1 {status} Status\r\n");
                    for (name, value) in headers {
                        write!(text, "{name}: {value}\r\n").unwrap();
                    }
                    write!(text, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
                    self.stream.write_all(text.as_bytes())?;
                    self.stream.flush()?;
                }
                Reply::Silence => while self.more()? {},
                Reply::DrippingHeaders => self.drip(b"HTTP/1.1 200 OK\r\nx-slow: ")?,
                Reply::DrippingBody => {
                    self.drip(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
                }
                Reply::Close => return Ok(()),
            }
        }
        Ok(())
    }

    fn drip(&mut self, start: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(start)?;
        while !self.stop.load(Ordering::Relaxed) {
            self.stream.write_all(b"o")?;
            self.stream.flush()?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Reads one request; `None` at the end.
    fn call(&mut self) -> std::io::Result<Option<Call>> {
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|part| part == b"\r\n\r\n") {
                break self.buffer.drain(..end + 4).collect::<Vec<u8>>();
            }
            if !self.more()? {
                return Ok(None);
            }
        };
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let mut first = lines.next().unwrap().split(' ');
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut call = Call {
            method: first.next().unwrap().to_owned(),
            target: first.next().unwrap().to_owned(),
            headers,
            body: Vec::new(),
        };
        let length = call
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < length {
            if !self.more()? {
                return Ok(None);
            }
        }
        call.body = self.buffer.drain(..length).collect();
        Ok(Some(call))
    }

    /// Reads a little; whether there can be more.
    fn more(&mut self) -> std::io::Result<bool> {
        let mut part = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.buffer.extend_from_slice(&part[..count]);
                    return Ok(true);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if self.stop.load(Ordering::Relaxed) {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}
