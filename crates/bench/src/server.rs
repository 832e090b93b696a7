//! A Prometheus that knows the answers beforehand: it looks for a metric's name in the query and sends fixed bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;

use crate::world::{METRICS, MORE_METRICS};

/// A server on loopback; it ends with the process.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
    posted: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    /// Serves these answers, in the order of [`METRICS`] and [`MORE_METRICS`].
    pub(crate) fn start(answers: Vec<Vec<u8>>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
        let url = format!("http://{}", listener.local_addr()?);
        let requests = Arc::new(AtomicUsize::new(0));
        let posted = Arc::new(Mutex::new(Vec::new()));
        let (answers, counter, bodies) = (
            Arc::new(answers),
            Arc::clone(&requests),
            Arc::clone(&posted),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, counter, bodies) = (
                    Arc::clone(&answers),
                    Arc::clone(&counter),
                    Arc::clone(&bodies),
                );
                std::thread::spawn(move || serve(stream, &answers, &counter, &bodies));
            }
        });
        Ok(Self {
            url,
            requests,
            posted,
        })
    }

    /// Bodies since the last call that were no queries.
    pub(crate) fn take_posted(&self) -> Vec<Vec<u8>> {
        let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut posted)
    }

    /// Requests since the last call.
    pub(crate) fn take_requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

/// Answers requests on one connection until the peer closes it.
fn serve(
    stream: TcpStream,
    answers: &[Vec<u8>],
    counter: &AtomicUsize,
    posted: &Mutex<Vec<Vec<u8>>>,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        counter.fetch_add(1, Ordering::Relaxed);
        let query = String::from_utf8_lossy(&body);
        let answer = METRICS
            .iter()
            .chain(&MORE_METRICS)
            .position(|(_, marker)| query.contains(marker))
            .and_then(|at| answers.get(at));
        if answer.is_none() {
            let mut posted = posted.lock().unwrap_or_else(PoisonError::into_inner);
            posted.push(body.clone());
        }
        let answer = answer.map_or(
            &b"{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"unknown\"}"[..],
            |answer| answer,
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        writer.write_all(head.as_bytes()).ok()?;
        writer.write_all(answer).ok()?;
    }
}
