//! The codec that a description drives.

use super::{
    Answer, Callback, CallbackKind, Channel, Refusal, Request, Sent, TurnOutcome,
    description::{Description, Replies},
    guard::Guard,
    line::Line,
    lookup::{Arrival, Lookup},
    reply::{Fixed, PLAIN},
    shape::{self, Means, Shape},
    ussd,
};
use crate::{
    domain::{
        message::{Inbound, Mt},
        time::Timestamp,
        wire::HttpResponse,
    },
    expr::Expression,
};
use minijinja::Value;
use std::collections::BTreeMap;

/// A configured channel of a described vendor.
#[derive(Debug)]
pub struct Described {
    description: Description,
    guard: Guard,
    line: Line,
}

impl Described {
    /// The codec for a line.
    pub fn new(description: Description, guard: Guard, line: Line) -> Described {
        Described { description, guard, line }
    }

    fn arrival<'a>(&'a self, callback: &'a Callback) -> Arrival<'a> {
        let (path, line) = (self.guard.tail(callback), &self.line);
        Arrival { callback, path, country: &line.country, code: &line.address }
    }
}

impl Channel for Described {
    fn decode(&self, callback: &Callback) -> Result<Vec<Inbound>, Refusal> {
        if !self.line.doors.contains(&callback.kind) || !self.description.takes(callback.kind) {
            return Err(no_door(callback));
        }
        self.guard.admit(callback)?;
        self.description.scheme.admit(callback, &self.line)?;
        self.description.read(&self.arrival(callback)).map(|(_, inbound)| inbound)
    }

    fn answer(&self, callback: &Callback, outcome: &TurnOutcome) -> Answer {
        self.description.say(&self.arrival(callback), outcome)
    }

    fn encode(&self, mt: &Mt, now: Timestamp) -> Result<Request, String> {
        let send = self.description.send.as_ref().ok_or("this vendor's description has no [send]")?;
        send.request(mt, &self.line, &self.guard, now).map(Request::Http)
    }

    fn read(&self, response: &HttpResponse) -> Sent {
        self.description.send.as_ref().map_or(Sent::Unknown, |send| send.verdicts.read(response))
    }

    fn is_signed(&self) -> bool {
        self.description.is_signed()
    }
}

impl Description {
    /// What a callback means, and which of the shapes it is of, by its place.
    pub(super) fn read(&self, arrival: &Arrival<'_>) -> Result<(usize, Vec<Inbound>), Refusal> {
        let context = Lookup::of(arrival);
        let (place, shape) = shape::find(&self.shapes, arrival.callback, &context)?;
        let now = arrival.callback.at;
        let inbound = match &shape.means {
            Means::Ussd(shape) => vec![Inbound::Ussd(ussd::step(shape, arrival, &context)?)],
            Means::Mo(shape) => vec![shape.message(&context, now)?],
            Means::Dlr(shape) => shape.receipts(&self.status, &context, now)?,
        };
        Ok((place, inbound))
    }

    /// The vendor's words for an outcome.
    pub(super) fn say(&self, arrival: &Arrival<'_>, outcome: &TurnOutcome) -> Answer {
        if *outcome == TurnOutcome::Unstored {
            return unstored();
        }
        match (&self.replies, arrival.callback.kind) {
            (Some(replies), CallbackKind::Ussd) => self.page(replies, arrival, outcome),
            _ => self.taken(arrival),
        }
    }

    /// What is said of an MO or a receipt. Where all that comes to the door is of one shape, nothing is looked up.
    fn taken(&self, arrival: &Arrival<'_>) -> Answer {
        let mut of_kind = self.shapes.iter().filter(|shape| shape.kind == arrival.callback.kind);
        let shape = match (of_kind.next(), of_kind.next()) {
            (Some(only), None) => Some(only),
            _ => {
                shape::find(&self.shapes, arrival.callback, &Lookup::of(arrival)).ok().map(|(_, shape)| shape)
            }
        };
        shape.and_then(|shape| shape.means.fixed()).map_or_else(nothing, Fixed::answer)
    }

    /// A screen in the vendor's words.
    fn page(&self, replies: &Replies, arrival: &Arrival<'_>, outcome: &TurnOutcome) -> Answer {
        let (reply, text) = match outcome {
            TurnOutcome::Screen(reply) if reply.end => (&replies.end, reply.text.as_str()),
            TurnOutcome::Screen(reply) => (&replies.goes_on, reply.text.as_str()),
            TurnOutcome::Taken | TurnOutcome::Unstored => (&replies.closed, ""),
        };
        let mut members = BTreeMap::from([("text", Value::from(text))]);
        if ["session", "code", "from"].into_iter().any(|name| reply.reads(name)) {
            members.extend(self.repeated(arrival));
        }
        Answer {
            status: 200,
            content_type: reply.content_type.clone(),
            headers: reply.headers.clone(),
            body: reply.render(&Value::from(members)),
        }
    }

    /// What an answer may repeat of the callback.
    fn repeated(&self, arrival: &Arrival<'_>) -> Vec<(&'static str, Value)> {
        let context = Lookup::of(arrival);
        let found = shape::find(&self.shapes, arrival.callback, &context);
        let Ok((_, Shape { means: Means::Ussd(shape), .. })) = found else { return Vec::new() };
        let fields =
            [("session", shape.session.as_ref()), ("code", shape.code.as_ref()), ("from", Some(&shape.from))];
        let value = |field: Option<&Expression>| field.and_then(|field| field.value(&context));
        fields.map(|(name, field)| (name, value(field).unwrap_or(Value::UNDEFINED))).into()
    }
}

pub(super) fn no_door(callback: &Callback) -> Refusal {
    Refusal::NoSuchDoor(format!("this channel has no door for {}", callback.kind.name()))
}

/// What is said at a door where nothing was described.
fn nothing() -> Answer {
    Answer { status: 200, content_type: PLAIN.into(), headers: Vec::new(), body: String::new() }
}

/// A vendor that shall try again.
pub(super) fn unstored() -> Answer {
    Answer {
        status: 503,
        content_type: "application/problem+json".into(),
        headers: Vec::new(),
        body: r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"it could not be stored; please send it again"}"#.into(),
    }
}
