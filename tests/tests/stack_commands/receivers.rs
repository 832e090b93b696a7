//! Whoever alerts of the pages' commands go to: a chat and a mail server that take everything.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use ng_tests::http::Request;

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
        Request::read(&stream)?;
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
