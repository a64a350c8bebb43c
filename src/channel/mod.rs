//! Floor 3: vendors as pure codecs. No await, no I/O, no clock (a callback carries its time), no store.
//!
//! A vendor is a described file (`vendors/<vendor>.toml`) read by one engine; only what has a protocol of its own is code.
//!
//! In reading order: this joint, [`settings`] and [`sending`] (a `[[channel]]`), [`description`] (a vendor's file), [`described`]
//! (the codec it drives on a [`line`]), [`guard`] and [`signature`] (who may come in), [`simulator`] (the phone for people).

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
mod ussd;
mod verdict;

use crate::{
    domain::{
        message::{Bearer, ChannelFacts, Inbound, Mt, Reply, Screen},
        secret::SecretSource,
        time::Timestamp,
        wire::{HttpRequest, HttpResponse},
    },
    findings::{Findings, Source},
};
use described::Described;
use description::Description;
use guard::Guard;
use line::Line;
use secrecy::SecretString;
pub use settings::Settings;
use settings::{Auth, Vendor, VendorSays};
use simulator::Simulator;
use std::{collections::BTreeMap, io, net::IpAddr, ops::Range, path::Path, time::Duration};

/// The described vendors: one line each.
pub const DESCRIBED: [(&str, &str); 2] = [
    ("africastalking", include_str!("vendors/africastalking.toml")),
    ("twilio", include_str!("vendors/twilio.toml")),
];

/// What the simulator says of itself.
const SIMULATED: VendorSays = VendorSays {
    screen: Screen { septets: 160, ucs2: 70, latin: false },
    session: Duration::from_secs(180),
    echoes: true,
};

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

/// What putting a channel together may ask of the roof.
pub struct Tools<'a> {
    /// Reads a file, for descriptions of a deployment's own.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// Gets a secret; the error says where it is not.
    pub secret: &'a dyn Fn(&SecretSource) -> Result<SecretString, String>,
    /// Where we are seen from outside: scheme, host and path.
    pub public_url: &'a str,
}

/// Puts a configured channel together. Faults of it and of its vendor's description go to `findings`.
pub fn build(
    settings: &Settings,
    tools: &Tools<'_>,
    findings: &Findings,
) -> Option<(ChannelFacts, Box<dyn Channel>)> {
    let guard = guard(settings, tools, findings);
    let Some(description) = describe(settings, tools, findings)? else {
        let facts = settings.facts("IN", SIMULATED);
        return Some((facts.clone(), Box::new(Simulator::new(guard?, facts.country))));
    };
    let fits = fits_bearer(settings, &description, findings);
    let secrets = secrets(settings, &description, tools, findings);
    let says =
        VendorSays { screen: description.screen, session: description.session, echoes: description.echoes() };
    let facts = settings.facts(&description.country, says);
    let line = Line {
        id: facts.id.clone(),
        country: facts.country.as_str().into(),
        doors: match settings.bearer {
            Bearer::Ussd => &[CallbackKind::Ussd],
            Bearer::Sms => &[CallbackKind::Mo, CallbackKind::Dlr],
        },
        address: facts.address.clone(),
        public_url: tools.public_url.to_owned(),
        send_url: settings.sending.as_ref().and_then(|sending| sending.url.clone()).map(|url| url.value),
        secrets: secrets?,
    };
    let codec = Described::new(description, guard?, line);
    fits.then(|| (facts, Box::new(codec) as Box<dyn Channel>))
}

/// Whether the vendor has what the channel's bearer needs.
fn fits_bearer(settings: &Settings, description: &Description, findings: &Findings) -> bool {
    let lacks = match settings.bearer {
        Bearer::Ussd if !description.takes(CallbackKind::Ussd) => "`[[in]]` of kind \"ussd\"",
        Bearer::Sms if description.send.is_none() => "[send]",
        _ => return true,
    };
    let what = format!("the vendor \"{}\" has no {lacks}", description.name);
    let hint = format!("a channel with bearer = \"{}\" needs it", settings.bearer.name());
    findings.error(&settings.source, settings.vendor.span.clone(), what, &hint);
    false
}

/// The secrets that the description asks for: all of them, and no other.
fn secrets(
    settings: &Settings,
    description: &Description,
    tools: &Tools<'_>,
    findings: &Findings,
) -> Option<BTreeMap<String, SecretString>> {
    let wanted = description.secrets(settings.bearer);
    let error =
        |span: Range<usize>, what: String, hint: &str| findings.error(&settings.source, span, what, hint);
    let known = wanted.iter().copied().collect::<Vec<_>>().join(", ");
    let mut found = BTreeMap::new();
    for secret in &settings.secrets {
        let name = &secret.name.value;
        if !wanted.contains(name.as_str()) {
            let hint =
                if known.is_empty() { "it needs none".to_owned() } else { format!("it needs: {known}") };
            let what = format!("the vendor \"{}\" knows no secret \"{name}\"", description.name);
            error(secret.name.span.clone(), what, &hint);
            continue;
        }
        match (tools.secret)(&secret.source.value) {
            Ok(value) => drop(found.insert(name.clone(), value)),
            Err(what) => error(secret.source.span.clone(), what, ""),
        }
    }
    let given = |name: &str| settings.secrets.iter().any(|secret| secret.name.value == name);
    for name in wanted.iter().filter(|name| !given(name)) {
        let what = format!("the channel \"{}\" has no secret \"{name}\"", settings.id);
        error(settings.id_span.clone(), what, &format!("secret = {{ {name} = {{ env = \"NAME\" }} }}"));
    }
    (found.len() == wanted.len() && found.len() == settings.secrets.len()).then_some(found)
}

/// The vendor's description, `None` inside for the simulator.
fn describe(settings: &Settings, tools: &Tools<'_>, findings: &Findings) -> Option<Option<Description>> {
    let source = match &settings.vendor.value {
        Vendor::Simulator => return Some(None),
        Vendor::Described(name) => {
            let (_, text) =
                DESCRIBED.iter().find(|(known, _)| known == name).expect("checked when it was read");
            Source::new(&format!("{name}.toml (bundled)"), text)
        }
        Vendor::File(path) => match (tools.read)(path) {
            Ok(text) => Source::new(&path.display().to_string(), &text),
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                findings.error(&settings.source, settings.vendor.span.clone(), what, "");
                return None;
            }
        },
    };
    description::load(&source, findings).map(Some)
}

fn guard(settings: &Settings, tools: &Tools<'_>, findings: &Findings) -> Option<Guard> {
    match &settings.auth {
        None | Some(Auth::None) => Some(Guard::Open),
        Some(Auth::Secret(at)) => match (tools.secret)(&at.value) {
            Ok(secret) => Some(Guard::Secret(secret)),
            Err(what) => {
                findings.error(&settings.source, at.span.clone(), what, "");
                None
            }
        },
    }
}

/// Every described vendor, loaded; faults go to `findings`. For tests and tools that walk the table.
pub fn all_described(findings: &Findings) -> Vec<Description> {
    let load = |(name, text): &(&str, &str)| description::load(&Source::new(name, text), findings);
    DESCRIBED.iter().filter_map(load).collect()
}
