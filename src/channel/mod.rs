//! Floor 3: vendors as pure codecs. No await, no I/O, no clock (a callback carries its time), no store.
//!
//! A vendor is a described file (`vendors/<vendor>.toml`) read by one engine; only what has a protocol of its own is code.
//! What sends (`encode`, `read`) joins the trait with the outbox.

use crate::domain::{
    message::{Inbound, Reply},
    time::Timestamp,
};
use std::net::IpAddr;

/// Which of a channel's doors a callback came to: the last word of `/in/{channel}/{…}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallbackKind {
    /// A message from a phone. No channel takes it yet.
    Mo,
    /// A step of a USSD dialogue.
    Ussd,
    /// A receipt. No channel takes it yet.
    Dlr,
    /// Somebody rang and hung up. No channel takes it yet.
    MissedCall,
}

/// One request of a telco, whole and undecoded.
#[derive(Debug, Clone)]
pub struct Callback {
    /// Which door.
    pub kind: CallbackKind,
    /// The method, in capitals.
    pub method: String,
    /// What stands behind the kind in the path, percent-encoded as it came: a secret, a tail.
    pub tail: Vec<String>,
    /// The query string without `?`, as it came.
    pub query: String,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Who connected.
    pub peer: Option<IpAddr>,
    /// When it came in.
    pub at: Timestamp,
}

/// Why a callback is refused. Nothing of the callback's own text is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400: it cannot be read, or something needed is missing.
    #[error("{0}")]
    Malformed(String),
    /// 403 (401 with basic authentication): a secret or a signature is wrong or missing.
    #[error("{0}")]
    Unauthorized(String),
    /// 404: this channel has no such door.
    #[error("{0}")]
    NoSuchDoor(String),
    /// 405: this door takes other methods; they are listed.
    #[error("this door takes {0} only")]
    Method(String),
}

impl Refusal {
    /// The word in the metric `matamat_refused_total{reason}`.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::Malformed(_) => "malformed",
            Refusal::Unauthorized(_) => "unauthorized",
            Refusal::NoSuchDoor(_) => "door",
            Refusal::Method(_) => "method",
        }
    }
}

/// How a turn ended, for the channel to say it in the vendor's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnOutcome {
    /// A screen for the open request.
    Screen(Reply),
    /// Taken; nobody waits for a screen (the end of a dialogue).
    Taken,
    /// It could not be stored, and nobody waits for a screen: the vendor shall try again.
    Unstored,
}

/// What goes back to the telco.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A vendor's codec, made for one configured channel.
pub trait Channel: Send + Sync {
    /// Authenticates a callback and says what it means.
    fn decode(&self, callback: &Callback) -> Result<Vec<Inbound>, Refusal>;

    /// The vendor's words for an outcome of the callback that was decoded.
    fn answer(&self, callback: &Callback, outcome: &TurnOutcome) -> Answer;
}
