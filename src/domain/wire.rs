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

/// The longest line of an MT's life, in characters.
pub const SAID_MAX: usize = 200;
/// So many digits in a row may be a number of somebody's, and are not shown.
const DIGITS_MAX: usize = 6;

/// Cut to [`SAID_MAX`], and every run of digits hidden that could be a phone number: vendors repeat them in their errors.
pub fn for_people(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_digit = rest.starts_with(char::is_numeric);
        let end = rest.find(|c: char| c.is_numeric() != is_digit).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let hidden = is_digit && run.chars().count() > DIGITS_MAX;
        shown.push_str(if hidden { "…" } else { run });
        rest = after;
    }
    shown.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_a_reason_is_hidden_and_a_long_reason_is_cut() {
        let table = [
            ("bad number +919876543210!", "bad number +…!"),
            ("୯୮୭୬୫୪୩୨୧୦ is odd", "… is odd"),
            ("error 123456 of 1234567", "error 123456 of …"),
            ("two\nlines", "two lines"),
            ("", ""),
        ];
        for (text, shown) in table {
            assert_eq!(for_people(text), shown);
        }
        assert_eq!(for_people(&"é".repeat(300)).chars().count(), SAID_MAX);
    }
}
