//! A pretend vendor for the gateway's sends: takes every MT at once and answers as Africa's Talking does, with ids that count
//! from 0, so that `load --kind dlr` can post a receipt for each. Says once a second how many it took, when there were any.

use clap::Parser as _;
use floor::Listen;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The longest request that is read.
const REQUEST_MAX: usize = 64 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind(Listen::parse().listen).await?;
    let taken = Arc::new(AtomicU64::new(0));
    tokio::spawn(tell(taken.clone()));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, taken.clone()));
    }
}

async fn tell(taken: Arc<AtomicU64>) {
    let mut before = 0;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        let now = taken.load(Ordering::Relaxed);
        if now > before {
            println!("{} a second, {now} in all", now - before);
        }
        before = now;
    }
}

async fn serve(mut stream: TcpStream, taken: Arc<AtomicU64>) {
    let mut unread = Vec::new();
    while let Some(end) = whole(&unread) {
        if unread.len() >= end && end > 0 {
            unread.drain(..end);
            let id = taken.fetch_add(1, Ordering::Relaxed);
            let body = format!(
                "{{\"SMSMessageData\":{{\"Message\":\"Sent\",\"Recipients\":[{{\"statusCode\":101,\"number\":\"+910000000000\",\
                 \"status\":\"Success\",\"cost\":\"KES 0\",\"messageId\":\"ATXid_{id}\"}}]}}}}"
            );
            let answer = format!(
                "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            continue;
        }
        if unread.len() > REQUEST_MAX || stream.read_buf(&mut unread).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// Where the first request ends, 0 while its head is not all there; `None` for what is no HTTP.
fn whole(unread: &[u8]) -> Option<usize> {
    let Some(head) = unread.windows(4).position(|four| four == b"\r\n\r\n") else { return Some(0) };
    let text = std::str::from_utf8(&unread[..head]).ok()?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head + 4 + length.trim().parse::<usize>().ok()?)
}
