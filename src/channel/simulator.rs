//! `vendor = "simulator"`: the phone for people. Its wire is JSON, and the page at `/phone` speaks it.
//!
//! ```text
//! {"msisdn": "+919437000001", "session": "s-1", "code": "*4545*1#", "event": "start", "input": "", "step": "1", "language": "or"}
//! {"text": "…", "end": false, "language": "or"}
//! ```

use super::{
    Answer, Callback, CallbackKind, Channel, Refusal, TurnOutcome, described::unstored, guard::Guard,
};
use crate::domain::{
    lang::Lang,
    message::{Inbound, UssdEvent, UssdInput, UssdStep},
    msisdn::Msisdn,
};
use serde::Deserialize;
use serde_json::json;

/// The codec of a simulator's channel.
#[derive(Debug)]
pub struct Simulator {
    guard: Guard,
    country: String,
}

#[derive(Deserialize)]
struct Wire {
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

impl Simulator {
    /// The codec for a channel of this country.
    pub fn new(guard: Guard, country: String) -> Simulator {
        Simulator { guard, country }
    }
}

impl Channel for Simulator {
    fn decode(&self, callback: &Callback) -> Result<Vec<Inbound>, Refusal> {
        if callback.kind != CallbackKind::Ussd {
            return Err(Refusal::NoSuchDoor("the simulator has a door for ussd only".into()));
        }
        if callback.method != "POST" {
            return Err(Refusal::Method("POST".into()));
        }
        self.guard.admit(callback)?;
        // What serde says may repeat a value that was sent; only where it stands is told.
        let body = callback.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&callback.body);
        let wire: Wire = serde_json::from_slice(body).map_err(|error| {
            let shape = "the body must be JSON with msisdn, session and event (start, continue, end)";
            Refusal::Malformed(format!(
                "{shape}; it breaks at line {}, column {}",
                error.line(),
                error.column()
            ))
        })?;
        let Wire { msisdn, session, code, event, input, step, language } = wire;
        let from = Msisdn::parse(&msisdn, &self.country)
            .map_err(|why| Refusal::Malformed(format!("`msisdn`: {why}")))?;
        if session.is_empty() {
            return Err(Refusal::Malformed("`session` is empty".into()));
        }
        Ok(vec![Inbound::Ussd(UssdStep {
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
        })])
    }

    fn answer(&self, _: &Callback, outcome: &TurnOutcome) -> Answer {
        let body = match outcome {
            TurnOutcome::Screen(reply) => {
                json!({ "text": reply.text, "end": reply.end, "language": reply.language.as_str() })
            }
            TurnOutcome::Taken => json!({ "text": "", "end": true }),
            TurnOutcome::Unstored => return unstored(),
        };
        Answer {
            status: 200,
            content_type: "application/json".into(),
            headers: Vec::new(),
            body: body.to_string(),
        }
    }
}
