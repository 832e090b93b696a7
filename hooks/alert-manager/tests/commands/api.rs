//! An API server on loopback that knows as much as a call asks for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The server; its threads end with the test.
pub(crate) struct Api {
    address: String,
    targets: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// `answer` gets path and query of a GET; `None` is a 404.
    pub(crate) fn start(answer: impl Fn(&str) -> Option<Value> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let targets: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, answer) = (Arc::clone(&targets), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream, &kept, &*answer));
            }
        });
        Self { address, targets }
    }

    /// A kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self) -> String {
        kubeconfig(&self.address)
    }

    /// What was asked for.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.targets.lock().expect("no panic").clone()
    }
}

/// A kubeconfig for an address.
pub(crate) fn kubeconfig(address: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{address}")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "users": [{"name": "test", "user": {"token": "secret-token"}}],
    })
    .to_string()
}

fn serve(
    stream: &TcpStream,
    kept: &Mutex<Vec<String>>,
    answer: &(dyn Fn(&str) -> Option<Value> + Send + Sync),
) {
    let mut lines = BufReader::new(stream).lines();
    // A connection may carry more than one request.
    while let Some(Ok(first)) = lines.next() {
        while lines
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
        {}
        let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
        kept.lock().expect("no panic").push(target.clone());
        let (status, body) = match answer(&target) {
            Some(body) => (200, body),
            None => (
                404,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}),
            ),
        };
        let body = body.to_string();
        let text = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = stream;
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}
