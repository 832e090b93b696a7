//! What a receiver of alerts is sent over HTTP.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

use anyhow::Result;

/// One request with a body of known length.
pub(crate) struct Request {
    /// Path and query.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads the one request of a connection; the answer is the caller's.
    pub(crate) fn read(stream: &TcpStream) -> Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
        Ok(Self { target, body })
    }
}
