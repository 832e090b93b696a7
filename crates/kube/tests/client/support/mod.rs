//! A real HTTPS server on loopback, with certificates made for each test.

mod pki;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ng_kube::{Client, Credentials, CredentialsError, Options};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

pub(crate) use self::pki::{Authority, Pair};

/// A request as the server saw it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Counts accepted connections from 0.
    pub(crate) connection: usize,
    /// The name the client asked for in the handshake.
    pub(crate) sni: Option<String>,
    /// Whether the client showed a certificate.
    pub(crate) has_certificate: bool,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the server does.
pub(crate) enum Reply {
    /// Code, further header lines, body.
    Answer(u16, &'static str, Vec<u8>),
    /// The body in chunks of unknown number.
    Chunked(Vec<u8>),
    /// Closes the connection without a word.
    Close,
    /// Keeps the connection open in silence.
    Hang,
}

impl Reply {
    pub(crate) fn ok(body: &str) -> Self {
        Self::Answer(200, "", body.into())
    }

    pub(crate) fn code(code: u16) -> Self {
        Self::Answer(code, "", Vec::new())
    }
}

/// The number of the request, from 0, and the request.
type Handler = dyn Fn(usize, &Received) -> Reply + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

struct Shared {
    tls: Option<Arc<ServerConfig>>,
    handler: Box<Handler>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    pub(crate) fn plain(
        handler: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, Box::new(handler))
    }

    pub(crate) fn tls(
        config: ServerConfig,
        handler: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::new(config)), Box::new(handler))
    }

    fn start(tls: Option<Arc<ServerConfig>>, handler: Box<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new(Shared {
            tls,
            handler,
            received: Arc::clone(&received),
        });
        thread::spawn(move || {
            for (connection, socket) in listener.incoming().enumerate() {
                let (shared, socket) = (Arc::clone(&shared), socket.unwrap());
                thread::spawn(move || shared.serve(socket, connection));
            }
        });
        Self { address, received }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Request lines in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.received().into_iter().map(|r| r.line).collect()
    }
}

impl Shared {
    fn serve(&self, socket: TcpStream, connection: usize) {
        let Some(config) = &self.tls else {
            return self.talk(
                socket,
                &Received {
                    connection,
                    ..Received::default()
                },
            );
        };
        let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
        let mut socket = socket;
        while tls.is_handshaking() {
            if tls.complete_io(&mut socket).is_err() {
                return;
            }
        }
        let facts = Received {
            connection,
            sni: tls.server_name().map(str::to_owned),
            has_certificate: tls.peer_certificates().is_some_and(|all| !all.is_empty()),
            ..Received::default()
        };
        self.talk(StreamOwned::new(tls, socket), &facts);
    }

    fn talk(&self, stream: impl Read + Write, facts: &Received) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read_request(&mut stream, facts) {
            let number = {
                let mut received = self.received.lock().unwrap();
                received.push(request.clone());
                received.len() - 1
            };
            let reply = (self.handler)(number, &request);
            if !write_reply(stream.get_mut(), reply) {
                return;
            }
        }
    }
}

fn read_request(stream: &mut impl BufRead, facts: &Received) -> Option<Received> {
    let mut request = facts.clone();
    request.line = read_line(stream)?;
    while let Some(line) = read_line(stream).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        request
            .headers
            .push((name.to_lowercase(), value.to_owned()));
    }
    let length = request
        .header("content-length")
        .map_or(0, |v| v.parse().unwrap());
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn read_line(stream: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(1..) => Some(line.trim_end().to_owned()),
        _ => None,
    }
}

/// Whether the connection goes on. A client that went away is no error here.
fn write_reply(stream: &mut impl Write, reply: Reply) -> bool {
    let bytes = match reply {
        Reply::Answer(code, headers, body) => {
            let head = format!(
                "HTTP/1.1 {code} X\r\nContent-Length: {}\r\n{headers}\r\n",
                body.len()
            );
            [head.into_bytes(), body].concat()
        }
        Reply::Chunked(body) => {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for chunk in body.chunks(1000) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            bytes
        }
        Reply::Close => return false,
        Reply::Hang => loop {
            thread::park();
        },
    };
    stream
        .write_all(&bytes)
        .and_then(|()| stream.flush())
        .is_ok()
}

/// A kubeconfig and what it names, on disk for as long as the test runs.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        path
    }

    /// Writes a kubeconfig with the given inside of cluster and user, and finds it as the hooks do.
    pub(crate) fn credentials(&self, cluster: &str, user: &str) -> Credentials {
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\nclusters: [{{name: k, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
        );
        let path = self.write("config", &text).display().to_string();
        let env = |name: &str| (name == "KUBECONFIG").then(|| path.clone());
        Credentials::discover(&env, self.0.path()).unwrap().unwrap()
    }

    pub(crate) fn client(&self, cluster: &str, user: &str) -> Client {
        self.try_client(cluster, user, Options::default()).unwrap()
    }

    pub(crate) fn try_client(
        &self,
        cluster: &str,
        user: &str,
        options: Options,
    ) -> Result<Client, CredentialsError> {
        Client::connect(&self.credentials(cluster, user), options)
    }
}

/// Far enough for everything that works.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// The error with its causes, as a log shows it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
