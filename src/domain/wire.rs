//! Requests of ours and what came back: plain values, so that who makes them, who carries them and who reads the answer need
//! not meet.

use std::{fmt, time::Duration};

/// A request that goes out. Its `Debug` shows neither headers nor body nor query: they hold secrets and numbers (P11).
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// In capitals.
    pub method: String,
    /// Absolute, with its query.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the whole exchange may take, at most 20 s.
    pub timeout: Duration,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.url.split(['?', '#']).next().unwrap_or("");
        write!(f, "{} {place} ({} bytes)", self.method, self.body.len())
    }
}

/// What came back, whole and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, at most 64 KiB.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoResponse {
    /// It surely never left: no address, no connection.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It left, or part of it, and what became of it is not known.
    #[error("no answer: {0}")]
    Unknown(String),
}
