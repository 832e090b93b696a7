//! Whoever alerts of the pages' commands go to: a chat and a mail server that take everything.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use anyhow::Result;

/// Serves connections on loopback until the test ends; returns the port.
fn serve(answer: fn(TcpStream) -> Result<()>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A sender that went away has its own message to say.
            std::thread::spawn(move || answer(stream).ok());
        }
    });
    Ok(port)
}

/// A chat's webhook.
pub(crate) fn chat() -> Result<u16> {
    serve(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone()?);
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
        reader.read_exact(&mut vec![0; length])?;
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        Ok(stream.write_all(answer.as_bytes())?)
    })
}

/// A mail server.
pub(crate) fn mail() -> Result<u16> {
    serve(|mut stream| {
        stream.write_all(b"220 mail.example.com\r\n")?;
        let mut in_text = false;
        for line in BufReader::new(stream.try_clone()?).lines() {
            let line = line?;
            let answer = match (in_text, line.trim()) {
                (true, ".") => {
                    in_text = false;
                    "250 OK\r\n"
                }
                (true, _) => continue,
                (false, "DATA") => {
                    in_text = true;
                    "354 go on\r\n"
                }
                (false, "QUIT") => "221 bye\r\n",
                (false, _) => "250 OK\r\n",
            };
            stream.write_all(answer.as_bytes())?;
        }
        Ok(())
    })
}
