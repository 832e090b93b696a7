//! What a server of a test is sent over HTTP.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

use anyhow::Result;

/// One request with a body of known length.
#[derive(Debug)]
pub struct Request {
    /// The first line and the headers, as they came.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads the one request of a connection; the answer is the caller's.
    pub fn read(stream: &TcpStream) -> Result<Self> {
        let mut reader = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Self { head, body })
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}
