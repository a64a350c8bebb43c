//! What passes between a telco and a turn: a USSD step in and a reply out; an MO in, an MT out, a DLR in.

use super::{
    delivery::RetrySchedule,
    id::{ChannelId, FlowId, MtId},
    lang::Lang,
    msisdn::Msisdn,
    time::Timestamp,
};
use std::time::Duration;

/// How a citizen reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bearer {
    /// The answer goes out later, through an outbox.
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
    /// The code or number that citizens dial or write to; empty when the channel serves every one.
    pub address: String,
    /// The flows that its codes and words open; empty: all.
    pub flows: Vec<FlowId>,
    /// What sends by it; `None` on a channel that only answers dials.
    pub sms: Option<SmsFacts>,
    /// Ten minutes after the last step of an unfinished dialogue its question goes out once through this channel.
    pub sms_via: Option<ChannelId>,
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

/// What sending by a channel needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsFacts {
    /// Segments a second, over all gateways, 1 to 10 000.
    pub tps: u32,
    /// When it sends nothing but replies; `None`: it sends at all hours.
    pub quiet: Option<Quiet>,
    /// The waits after sends that failed for now; then an MT is a dead letter.
    pub retry: RetrySchedule,
    /// The vendor's receipts name our MtId: an unknown send waits for one before it is sent again.
    pub echoes: bool,
    /// A longer text is dead before it is sent, because the vendor refuses it: segments, 1 to 255.
    pub segments_max: u16,
}

/// Hours of the day in which only replies go out, in `server.timezone`; may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// When they begin, in minutes after midnight, below 1440.
    pub from: u16,
    /// When they end, in minutes after midnight, below 1440; not `from`.
    pub to: u16,
}

/// How an SMS is coded (3GPP TS 23.038).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// The GSM 7-bit default alphabet with its extension.
    Gsm7,
    /// UTF-16, for everything else.
    Ucs2,
}

impl Coding {
    /// The word in descriptions.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gsm7 => "gsm7",
            Coding::Ucs2 => "ucs2",
        }
    }
}

/// A message from a phone, decoded and authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mo {
    /// Who wrote.
    pub from: Msisdn,
    /// The number or code it was sent to, as the vendor tells it; empty when it does not.
    pub to: String,
    /// The text, kept exactly.
    pub text: String,
    /// The vendor's own key for it, by which a repeat is known.
    pub id: Option<String>,
    /// The vendor's own time for it. Without an id the sender, the address, the text and this are the key; without both
    /// nothing is a repeat.
    pub sent: Option<Timestamp>,
    /// When it came in.
    pub at: Timestamp,
}

/// A message to a phone, as a channel is asked to send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mt {
    /// Ours, in what the vendor can echo.
    pub id: MtId,
    /// To whom.
    pub to: Msisdn,
    /// The text; line ends are LF.
    pub text: String,
    /// How it is coded.
    pub coding: Coding,
    /// Segments it is billed as, 1 to 255.
    pub segments: u16,
    /// The language of the text.
    pub language: Lang,
    /// The DLT template it is registered under.
    pub template: Option<String>,
}

/// Where an MT is, as far as receipts tell. Ordered: the state is the highest that was ever heard (P10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MtState {
    /// The vendor has it.
    Accepted = 1,
    /// An operator has it.
    Sent = 2,
    /// It was not delivered in time.
    Expired = 3,
    /// It was not delivered.
    Failed = 4,
    /// A rule refused it: do-not-disturb, DLT, blacklist, credit, sender.
    Rejected = 5,
    /// The phone has it.
    Delivered = 6,
}

impl MtState {
    /// All, lowest first.
    pub const ALL: [MtState; 6] = [
        MtState::Accepted,
        MtState::Sent,
        MtState::Expired,
        MtState::Failed,
        MtState::Rejected,
        MtState::Delivered,
    ];

    /// The word in descriptions and in `matamat message`.
    pub fn name(self) -> &'static str {
        match self {
            MtState::Accepted => "accepted",
            MtState::Sent => "sent",
            MtState::Expired => "expired",
            MtState::Failed => "failed",
            MtState::Rejected => "rejected",
            MtState::Delivered => "delivered",
        }
    }

    /// Reads a stored state.
    pub fn of(byte: u8) -> Option<MtState> {
        MtState::ALL.into_iter().find(|state| *state as u8 == byte)
    }

    /// Nothing more is expected.
    pub fn is_final(self) -> bool {
        self >= MtState::Expired
    }
}

/// A receipt, decoded and authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dlr {
    /// Our own id, where the vendor echoes it.
    pub reference: Option<String>,
    /// The vendor's id. One of the two is there.
    pub id: Option<String>,
    /// Which part of the MT, from 1; 0: the whole.
    pub part: u8,
    /// What the vendor's word means; `None`: a word in no list.
    pub state: Option<MtState>,
    /// The vendor's word, raw, cut to [`WORD_MAX`].
    pub word: String,
    /// The vendor's code for the reason, raw, cut to [`WORD_MAX`]; empty when there is none.
    pub code: String,
    /// The vendor's time for it, or when it came in.
    pub at: Timestamp,
}

/// The longest word or code of a receipt that is kept, in characters.
pub const WORD_MAX: usize = 64;

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
    /// A message from a phone.
    Mo(Mo),
    /// A receipt.
    Dlr(Dlr),
    /// Something that is acknowledged and otherwise ignored; the word in `matamat_refused_total{reason}`: `sender` (an
    /// alphanumeric one, which nobody can answer), `event` (a kind of callback we have no use for).
    Ignored(&'static str),
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
