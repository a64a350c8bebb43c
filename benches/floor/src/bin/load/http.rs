//! The least of HTTP/1.1 that a player needs: one keep-alive connection, one request at a time, a body with a length.

use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The longest that one request may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;

/// A connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
    head: String,
}

/// An answer: its status, and where its body stands in the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    from: usize,
    to: usize,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr, path: &str) -> io::Result<Connection> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "
        );
        Ok(Connection { stream, buffer: Vec::with_capacity(4096), request: Vec::with_capacity(1024), head })
    }

    /// Sends a form and reads the whole answer.
    pub async fn post(&mut self, form: &str) -> io::Result<Answer> {
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        self.request.extend_from_slice(form.len().to_string().as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        self.request.extend_from_slice(form.as_bytes());
        timeout(PATIENCE, self.exchange()).await?
    }

    /// The body of the last answer.
    pub fn body(&self, answer: Answer) -> &[u8] {
        &self.buffer[answer.from..answer.to]
    }

    async fn exchange(&mut self) -> io::Result<Answer> {
        self.stream.write_all(&self.request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(answer) = whole(&self.buffer)? {
                return Ok(answer);
            }
            if self.buffer.len() > MAX_ANSWER {
                return Err(io::Error::other("the answer is too long"));
            }
        }
    }
}

/// The answer, once all of it is there.
fn whole(buffer: &[u8]) -> io::Result<Option<Answer>> {
    let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let bad = || io::Error::other("an answer that is no HTTP");
    let head = std::str::from_utf8(&buffer[..end]).map_err(|_| bad())?;
    let status = head.get(9..12).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let to = end + 4 + length.ok_or_else(bad)?;
    Ok((buffer.len() >= to).then_some(Answer { status, from: end + 4, to }))
}
