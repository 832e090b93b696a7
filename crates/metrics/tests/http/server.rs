//! A small HTTP server on loopback that remembers what it was asked.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its server has failed"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
}

/// Listens until the test process ends.
pub(crate) struct Server {
    port: u16,
    seen: Arc<Seen>,
}

impl Server {
    /// Answers each request with what `answer` returns, on kept connections.
    pub(crate) fn start(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        Self::start_with(false, answer)
    }

    /// The same; closes the connection after each answer if that is asked for.
    pub(crate) fn start_with(
        closes: bool,
        answer: impl Fn(&Request) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::serve(closes, move |request, _| answer(request))
    }

    /// `answer` is told how many requests came before.
    pub(crate) fn start_counting(
        answer: impl Fn(&Request, usize) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::serve(false, answer)
    }

    fn serve(
        closes: bool,
        answer: impl Fn(&Request, usize) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::listen(move |mut stream, seen| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some(request) = read(&mut reader) {
                let number = {
                    let mut requests = seen.requests.lock().unwrap();
                    requests.push(request.clone());
                    requests.len() - 1
                };
                let sent = stream.write_all(answer(&request, number).as_bytes());
                if sent.is_err() || closes {
                    return;
                }
            }
        })
    }

    /// Reads requests and never answers.
    pub(crate) fn silent() -> Self {
        Self::listen(|stream, _| {
            let mut reader = BufReader::new(stream);
            while read(&mut reader).is_some() {}
        })
    }

    /// Sends a header, then one byte of an endless body after another.
    pub(crate) fn trickling() -> Self {
        Self::listen(|mut stream, _| {
            read(&mut BufReader::new(stream.try_clone().unwrap()));
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
            let mut sent = stream.write_all(head.as_bytes());
            while sent.is_ok() {
                thread::sleep(Duration::from_millis(20));
                sent = stream.write_all(b" ");
            }
        })
    }

    /// Answers with `size` bytes of spaces.
    pub(crate) fn huge(size: usize, tells_length: bool) -> Self {
        Self::listen(move |mut stream, _| {
            read(&mut BufReader::new(stream.try_clone().unwrap()));
            let length = if tells_length {
                format!("Content-Length: {size}\r\n")
            } else {
                String::new()
            };
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{length}\r\n");
            let mut sent = stream.write_all(head.as_bytes());
            let chunk = vec![b' '; 1 << 20];
            for _ in 0..size >> 20 {
                if sent.is_err() {
                    return;
                }
                sent = stream.write_all(&chunk);
            }
        })
    }

    fn listen(handle: impl Fn(TcpStream, &Seen) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let server = Self {
            port,
            seen: Arc::clone(&seen),
        };
        let handle = Arc::new(handle);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let (handle, seen) = (Arc::clone(&handle), Arc::clone(&seen));
                thread::spawn(move || handle(stream, &seen));
            }
        });
        server
    }

    pub(crate) fn url(&self, userinfo: &str, path: &str) -> String {
        format!("http://{userinfo}127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ').map(ToOwned::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// A whole answer.
pub(crate) fn reply(status: u16, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A good answer.
pub(crate) fn json(body: &str) -> String {
    reply(200, "application/json", body)
}

/// The page of a gateway.
pub(crate) fn html(status: u16) -> String {
    reply(
        status,
        "text/html",
        "<html><head><title>Gateway</title></head></html>",
    )
}

/// The answer to an instant query, by instance and value.
pub(crate) fn vector(at: i64, series: &[(&str, &str)]) -> String {
    let series: Vec<String> = series
        .iter()
        .map(|(instance, value)| {
            format!(r#"{{"metric":{{"instance":"{instance}"}},"value":[{at}.25,"{value}"]}}"#)
        })
        .collect();
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
        series.join(",")
    )
}
