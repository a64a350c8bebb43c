//! Floor 3: vendors as pure codecs. No await, no I/O, no clock (a callback carries its time), no store.
//!
//! A vendor is a described file (`vendors/<vendor>.toml`) read by one engine; only what has a protocol of its own is code.
//!
//! In reading order: this joint, [`settings`] and [`sending`] (a `[[channel]]`), [`description`] (a vendor's file), [`described`]
//! (the codec it drives on a [`line`]), [`guard`] and [`signature`] (who may come in), [`simulator`] (the phone for people).

mod build;
pub mod described;
pub mod description;
mod dlr;
mod example;
mod filters;
pub mod guard;
pub mod line;
mod lookup;
mod mo;
mod reply;
pub mod request;
mod send;
pub mod sending;
pub mod settings;
mod shape;
pub mod signature;
pub mod simulator;
pub mod told;
mod trial;
mod ussd;
mod verdict;

use crate::{
    domain::{
        message::{Inbound, Mt, Reply},
        time::Timestamp,
        wire::{HttpRequest, HttpResponse},
    },
    findings::{Findings, Source},
};
pub use build::{Tools, build};
use description::Description;
pub use settings::Settings;
use std::{net::IpAddr, time::Duration};

/// The described vendors: one line each.
pub const DESCRIBED: [(&str, &str); 2] = [
    ("africastalking", include_str!("vendors/africastalking.toml")),
    ("twilio", include_str!("vendors/twilio.toml")),
];

/// Which of a channel's doors a callback came to: the last word of `/in/{channel}/{…}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallbackKind {
    /// A message from a phone.
    Mo,
    /// A step of a USSD dialogue.
    Ussd,
    /// A receipt.
    Dlr,
    /// Somebody rang and hung up. No channel takes it yet.
    MissedCall,
}

impl CallbackKind {
    /// The kind that a word in the path means.
    pub fn parse(word: &str) -> Option<CallbackKind> {
        use CallbackKind::*;
        [Mo, Ussd, Dlr, MissedCall].into_iter().find(|kind| kind.name() == word)
    }

    /// The word in the path.
    pub fn name(self) -> &'static str {
        match self {
            CallbackKind::Mo => "mo",
            CallbackKind::Ussd => "ussd",
            CallbackKind::Dlr => "dlr",
            CallbackKind::MissedCall => "missed-call",
        }
    }
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

    /// The vendor's words for an outcome of the callback that was decoded. The answer to an MO or a receipt never carries a
    /// text, also where the vendor would take one.
    fn answer(&self, callback: &Callback, outcome: &TurnOutcome) -> Answer;

    /// The request that sends an MT. An error is for good and says why, without the number or the text: the channel does not
    /// send, or the MT lacks what the vendor demands.
    fn encode(&self, mt: &Mt, now: Timestamp) -> Result<Request, String>;

    /// What the vendor's answer means. Never asked of a channel whose requests go into a thread.
    fn read(&self, response: &HttpResponse) -> Sent {
        let _ = response;
        Sent::Unknown
    }

    /// Whether every callback carries the vendor's signature, so that the channel needs no secret of its own.
    fn is_signed(&self) -> bool {
        false
    }
}

/// How an MT leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// By a request to the vendor.
    Http(HttpRequest),
    /// Into the simulated phone's thread: this line is kept with the settle.
    Thread(Vec<u8>),
}

/// How a send went, by the vendor's answer: a closed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The vendor has it, and what it calls it.
    Accepted(Option<String>),
    /// Too fast: the channel rests, for so long where the vendor says. No attempt is spent.
    Throttled(Option<Duration>),
    /// Not now; an attempt is spent.
    Retry(String),
    /// Never; the reason for people.
    Permanent(String),
    /// Our fault (credentials, balance, sender): the channel rests, an alarm, no attempt is spent.
    Configuration(String),
    /// None of these: it may have been taken.
    Unknown,
}

/// Every described vendor, loaded; faults go to `findings`. For tests and tools that walk the table.
pub fn all_described(findings: &Findings) -> Vec<Description> {
    let load = |(name, text): &(&str, &str)| description::load(&Source::new(name, text), findings);
    DESCRIBED.iter().filter_map(load).collect()
}
