//! `vendor = "simulator"`: the phone for people. Its wire is JSON, and the page at `/phone` speaks it.
//!
//! ```text
//! /ussd  {"msisdn": "+919437000001", "session": "s-1", "code": "*4545*1#", "event": "start", "input": "", "step": "1", "language": "or"}
//!        {"text": "…", "end": false, "language": "or"}
//! /mo    {"msisdn": "+919437000001", "text": "4", "id": "m-1"}
//!        {}
//! ```
//!
//! An SMS to it leaves no machine: it becomes a line of the citizen's thread, `{"id", "text", "at", "language"}`, which is
//! kept in the very act that settles it.

use super::{
    Answer, Callback, CallbackKind, Channel, Refusal, Request, TurnOutcome, described::unstored, guard::Guard,
};
use crate::domain::{
    lang::Lang,
    message::{Inbound, Mo, Mt, UssdEvent, UssdInput, UssdStep},
    msisdn::Msisdn,
    time::Timestamp,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

/// The codec of a simulator's channel.
#[derive(Debug)]
pub struct Simulator {
    guard: Guard,
    country: String,
}

#[derive(Deserialize)]
struct Step {
    msisdn: String,
    session: String,
    #[serde(default)]
    code: String,
    event: WireEvent,
    #[serde(default)]
    input: String,
    step: Option<String>,
    language: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum WireEvent {
    Start,
    Continue,
    End,
}

#[derive(Deserialize)]
struct Written {
    msisdn: String,
    text: String,
    #[serde(default)]
    id: String,
}

impl Simulator {
    /// The codec for a channel of this country.
    pub fn new(guard: Guard, country: String) -> Simulator {
        Simulator { guard, country }
    }

    fn number(&self, msisdn: &str) -> Result<Msisdn, Refusal> {
        Msisdn::parse(msisdn, &self.country).map_err(|why| Refusal::Malformed(format!("`msisdn`: {why}")))
    }

    fn step(&self, callback: &Callback) -> Result<Inbound, Refusal> {
        let shape = "msisdn, session and event (start, continue, end)";
        let Step { msisdn, session, code, event, input, step, language } = body(callback, shape)?;
        let from = self.number(&msisdn)?;
        if session.is_empty() {
            return Err(Refusal::Malformed("`session` is empty".into()));
        }
        Ok(Inbound::Ussd(UssdStep {
            from,
            session: Some(session),
            event: match event {
                WireEvent::Start => UssdEvent::Start,
                WireEvent::Continue => UssdEvent::Continue,
                WireEvent::End => UssdEvent::End,
            },
            input: UssdInput::Last(input),
            code,
            step,
            language: language.as_deref().and_then(Lang::parse),
            context: Vec::new(),
            at: callback.at,
        }))
    }

    fn written(&self, callback: &Callback) -> Result<Inbound, Refusal> {
        let Written { msisdn, text, id } = body(callback, "msisdn and text")?;
        Ok(Inbound::Mo(Mo {
            from: self.number(&msisdn)?,
            to: String::new(),
            text,
            id: Some(id).filter(|id| !id.is_empty()),
            sent: None,
            at: callback.at,
        }))
    }
}

/// Reads the body. What serde says may repeat a value that was sent; only where it stands is told.
fn body<T: DeserializeOwned>(callback: &Callback, shape: &str) -> Result<T, Refusal> {
    let body = callback.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&callback.body);
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = format!("the body must be JSON with {shape}; it breaks at line {line}, column {column}");
        Refusal::Malformed(what)
    })
}

impl Channel for Simulator {
    fn decode(&self, callback: &Callback) -> Result<Vec<Inbound>, Refusal> {
        if !matches!(callback.kind, CallbackKind::Ussd | CallbackKind::Mo) {
            return Err(Refusal::NoSuchDoor("the simulator has doors for ussd and mo only".into()));
        }
        if callback.method != "POST" {
            return Err(Refusal::Method("POST".into()));
        }
        self.guard.admit(callback)?;
        let inbound = match callback.kind {
            CallbackKind::Mo => self.written(callback)?,
            _ => self.step(callback)?,
        };
        Ok(vec![inbound])
    }

    fn answer(&self, callback: &Callback, outcome: &TurnOutcome) -> Answer {
        let body = match outcome {
            TurnOutcome::Unstored => return unstored(),
            _ if callback.kind != CallbackKind::Ussd => json!({}),
            TurnOutcome::Screen(reply) => {
                json!({ "text": reply.text, "end": reply.end, "language": reply.language.as_str() })
            }
            TurnOutcome::Taken => json!({ "text": "", "end": true }),
        };
        Answer {
            status: 200,
            content_type: "application/json".into(),
            headers: Vec::new(),
            body: body.to_string(),
        }
    }

    fn encode(&self, mt: &Mt, now: Timestamp) -> Result<Request, String> {
        let line = json!({
            "id": mt.id.to_string(), "text": mt.text, "at": now.to_string(), "language": mt.language.as_str(),
        });
        Ok(Request::Thread(line.to_string().into_bytes()))
    }
}
