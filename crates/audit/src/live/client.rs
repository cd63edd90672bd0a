//! A client that notices everything: one connection, and any trouble ends it.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use super::calls::Call;

pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) replayed: bool,
    pub(super) body: Value,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a command under an id, and waits for the answer.
    pub(super) fn send(&mut self, call: &Call, id: &str) -> io::Result<Answer> {
        let Call { method, path, condition, body, .. } = call;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        if let Some(condition) = condition {
            let _ = write!(head, "{condition}\r\n");
        }
        let _ = write!(head, "content-type: application/json\r\nidempotency-key: {id}\r\n");
        let body = body.to_string();
        let _ = write!(head, "content-length: {}\r\n\r\n{body}", body.len());
        self.ask(&head)
    }

    /// Asks for a page, and waits for it.
    pub(super) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    }

    fn ask(&mut self, head: &str) -> io::Result<Answer> {
        self.stream.get_mut().write_all(head.as_bytes())?;
        let malformed = || io::Error::other("the answer is no HTTP");
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(malformed)?;
        let (mut length, mut replayed) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().map_err(|_| malformed())?,
                "idempotent-replayed" => replayed = value == "true",
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, replayed, body: serde_json::from_slice(&body)? })
    }
}
