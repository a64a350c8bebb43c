//! What passes between a telco and a turn: a USSD step in, a reply out. SMS (`Mo`, `Mt`, `Dlr`) joins with the outbox.

use super::{id::ChannelId, lang::Lang, msisdn::Msisdn, time::Timestamp};
use std::time::Duration;

/// How a citizen reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bearer {
    /// The answer goes out later, through an outbox. No channel speaks it yet.
    Sms,
    /// The answer goes out now, on the open request.
    Ussd,
}

impl Bearer {
    /// The bearer's name in configuration, metrics and responses.
    pub fn name(self) -> &'static str {
        match self {
            Bearer::Sms => "sms",
            Bearer::Ussd => "ussd",
        }
    }
}

/// What one USSD page can show (3GPP TS 23.038: at most 182 septets or 80 UCS-2 units; networks allow less).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// GSM 7-bit septets that fit, 1 to 182.
    pub septets: u16,
    /// UTF-16 units that fit when one character needs UCS-2, 1 to 80.
    pub ucs2: u16,
    /// Latin letters only: the handsets on this line draw Indian scripts as boxes.
    pub latin: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Screen { septets: 160, ucs2: 70, latin: false }
    }
}

/// What a turn and its door need to know of a channel; nothing of its vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelFacts {
    /// The channel.
    pub id: ChannelId,
    /// How it reaches citizens.
    pub bearer: Bearer,
    /// The code or number that citizens dial or write to; empty when the channel serves every code.
    pub address: String,
    /// How long a step may take before the closing screen goes out.
    pub deadline: Duration,
    /// What its screens show.
    pub screen: Screen,
    /// The language its citizens are spoken to in, when nothing else says.
    pub language: Option<Lang>,
    /// Where national numbers belong (ISO 3166, two capital letters).
    pub country: String,
    /// How long the vendor keeps one dialogue open.
    pub session_limit: Duration,
}

/// What was typed, as the vendor tells it (`wire-formats` 0.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UssdInput {
    /// Only what was typed now.
    Last(String),
    /// Everything typed in this vendor session, joined by `*`.
    History(String),
}

/// Where in the vendor's dialogue a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UssdEvent {
    /// The dialogue begins. With [`UssdInput::History`] the turn finds this out itself.
    Start,
    /// An answer to the screen we showed.
    Continue,
    /// The citizen or the network ended it; nobody sees a screen.
    End,
    /// The network gave up waiting; nobody sees a screen.
    Timeout,
}

impl UssdEvent {
    /// The word in examples and in what `channel decode` prints.
    pub fn name(self) -> &'static str {
        match self {
            UssdEvent::Start => "start",
            UssdEvent::Continue => "continue",
            UssdEvent::End => "end",
            UssdEvent::Timeout => "timeout",
        }
    }

    /// Whether somebody waits for a screen.
    pub fn waits(self) -> bool {
        matches!(self, UssdEvent::Start | UssdEvent::Continue)
    }
}

/// One step of a USSD dialogue, decoded and authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UssdStep {
    /// Who dials.
    pub from: Msisdn,
    /// The vendor's session id; where it has none, a session a number.
    pub session: Option<String>,
    /// Begins, goes on, or is over.
    pub event: UssdEvent,
    /// What was typed.
    pub input: UssdInput,
    /// The code that was dialled, as the vendor tells it, such as `*4545*1#`; empty when it does not.
    pub code: String,
    /// The vendor's own number or key for this step, by which a repeat is known; `None` with a history, which is its own key.
    pub step: Option<String>,
    /// A language the vendor tells with the dial.
    pub language: Option<Lang>,
    /// What is known of the visit, under dotted names, sorted. No vendor tells it; `simulate --context` does.
    pub context: Vec<(String, String)>,
    /// When it came in.
    pub at: Timestamp,
}

/// What a channel understood in one callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A step of a USSD dialogue.
    Ussd(UssdStep),
}

/// A screen for an open USSD request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The page, within the screen's limits.
    pub text: String,
    /// The dialogue ends with it.
    pub end: bool,
    /// The language it is written in, for a page that reads it aloud.
    pub language: Lang,
}
