//! A strict HTTP receiver on loopback: it keeps what it got and answers as the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// 200.
    Good,
    /// 200 with this body.
    Body(&'static str),
    /// This status, with these header lines.
    Status(u16, &'static str),
    /// Nothing, with the connection open.
    Hang,
    /// The connection is closed without a word after the request was read.
    Close,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Request {
    /// `triggeredNodes` of a webhook's body.
    pub(crate) fn nodes(&self) -> Vec<String> {
        let nodes = self.body["triggeredNodes"].as_array();
        nodes
            .into_iter()
            .flatten()
            .filter_map(|node| node.as_str().map(str::to_owned))
            .collect()
    }

    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }
}

/// The server; its threads end with the test.
pub(crate) struct Receiver {
    address: SocketAddr,
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    /// Connections that are being served.
    open: Arc<AtomicUsize>,
}

impl Receiver {
    /// `answer` gets the number of the request, from 0 on.
    pub(crate) fn start(
        answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let receiver = Self {
            address,
            url: format!("http://{address}/hook"),
            requests: Arc::default(),
            open: Arc::default(),
        };
        let (kept, open) = (Arc::clone(&receiver.requests), Arc::clone(&receiver.open));
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                open.fetch_add(1, Ordering::SeqCst);
                let (kept, open) = (Arc::clone(&kept), Arc::clone(&open));
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || {
                    serve(&stream, &kept, &*answer);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        receiver
    }

    /// Waits until everything was served that was sent by processes that have ended.
    pub(crate) fn settle(&self) {
        // Connections are taken in their order: when this one is served, those before it were taken.
        let mut last = TcpStream::connect(self.address).expect("it listens");
        last.shutdown(Shutdown::Write).expect("it is open");
        let _ = last.read(&mut [0; 1]);
        while self.open.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn good() -> Self {
        Self::start(|_, _| Answer::Good)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    /// `triggeredNodes` and `type` of what it got.
    pub(crate) fn got(&self) -> Vec<String> {
        let show = |request: &Request| format!("{} {}", request.kind(), request.nodes().join(","));
        self.requests().iter().map(show).collect()
    }
}

fn serve(
    stream: &TcpStream,
    kept: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(usize, &Request) -> Answer + Send + Sync),
) {
    let mut reader = BufReader::new(stream);
    // A connection may carry more than one request.
    while let Ok(Some(request)) = read(&mut reader) {
        let number = {
            let mut kept = kept.lock().expect("no panic");
            kept.push(request.clone());
            kept.len() - 1
        };
        let (status, headers, body) = match answer(number, &request) {
            Answer::Good => (200, "", "{}"),
            Answer::Body(body) => (200, "", body),
            Answer::Status(status, headers) => (status, headers, "{}"),
            Answer::Hang => {
                let _ = stream.set_read_timeout(Some(Duration::from_mins(1)));
                let _ = reader.read(&mut [0; 1]);
                return;
            }
            Answer::Close => return,
        };
        let text = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = stream;
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Request>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Request { head, body }))
}
