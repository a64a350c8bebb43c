//! The codec that a description drives.

use super::{
    Answer, Callback, CallbackKind, Channel, Refusal, TurnOutcome,
    description::{Description, History, ReplyBody, UssdIn},
    filters::as_text,
    guard::Guard,
    lookup::Lookup,
};
use crate::{
    domain::{
        lang::Lang,
        message::{Inbound, UssdEvent, UssdInput, UssdStep},
        msisdn::Msisdn,
    },
    expr::Expression,
};
use minijinja::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The longest input, session id or code that is taken, in characters; a longer one is cut.
const FIELD_MAX: usize = 4_000;

/// A configured channel of a described vendor.
#[derive(Debug)]
pub struct Described {
    description: Description,
    guard: Guard,
    country: Arc<str>,
}

impl Described {
    /// The codec for a channel of this country.
    pub fn new(description: Description, guard: Guard, country: String) -> Described {
        Described { description, guard, country: country.into() }
    }
}

impl Channel for Described {
    fn decode(&self, callback: &Callback) -> Result<Vec<Inbound>, Refusal> {
        if callback.kind != CallbackKind::Ussd {
            return Err(Refusal::NoSuchDoor("this channel has a door for ussd only".into()));
        }
        self.guard.admit(callback)?;
        self.description.read(callback, &self.country).map(|(_, step)| vec![Inbound::Ussd(step)])
    }

    fn answer(&self, callback: &Callback, outcome: &TurnOutcome) -> Answer {
        self.description.say(callback, &self.country, outcome)
    }
}

impl Description {
    /// What a callback means, and which of the shapes it is of, by its place.
    pub(super) fn read(&self, callback: &Callback, country: &Arc<str>) -> Result<(usize, UssdStep), Refusal> {
        let context = Lookup::of(callback, country);
        let (at, shape) = self.shape(callback, &context)?;
        Ok((at, step(shape, callback, &context)?))
    }

    /// The vendor's words for an outcome.
    pub(super) fn say(&self, callback: &Callback, country: &Arc<str>, outcome: &TurnOutcome) -> Answer {
        let (reply, text) = match outcome {
            TurnOutcome::Screen(reply) if reply.end => (&self.reply_end, reply.text.as_str()),
            TurnOutcome::Screen(reply) => (&self.reply_continue, reply.text.as_str()),
            TurnOutcome::Taken => (&self.reply_closed, ""),
            TurnOutcome::Unstored => return unstored(),
        };
        Answer {
            status: 200,
            content_type: reply.content_type.clone(),
            headers: Vec::new(),
            body: self.body(reply, text, callback, country),
        }
    }

    /// The first shape that this callback is of.
    fn shape(&self, callback: &Callback, context: &Value) -> Result<(usize, &UssdIn), Refusal> {
        let shapes = &self.inbound;
        let mut by_method =
            shapes.iter().enumerate().filter(|(_, s)| s.methods.contains(&callback.method)).peekable();
        if by_method.peek().is_none() {
            let mut methods: Vec<&str> = shapes.iter().flat_map(|s| &s.methods).map(String::as_str).collect();
            methods.dedup();
            return Err(Refusal::Method(methods.join(", ")));
        }
        let meant = |when: &Expression| when.value(context).is_some_and(|value| value.is_true());
        by_method.find(|(_, shape)| shape.when.as_ref().is_none_or(meant)).ok_or_else(|| {
            Refusal::Malformed("the request has none of the shapes that this vendor sends".into())
        })
    }

    fn body(&self, reply: &ReplyBody, text: &str, callback: &Callback, country: &Arc<str>) -> String {
        let asked = |name: &str| reply.body.reads().iter().any(|read| read.name == name);
        let of_callback: Vec<_> =
            ["session", "code", "from"].into_iter().filter(|name| asked(name)).collect();
        let mut members = BTreeMap::from([("text", Value::from(text))]);
        if !of_callback.is_empty() {
            let context = Lookup::of(callback, country);
            if let Ok((_, shape)) = self.shape(callback, &context) {
                let field = |name| match name {
                    "session" => shape.session.as_ref(),
                    "code" => shape.code.as_ref(),
                    _ => Some(&shape.from),
                };
                let value = |name| field(name).and_then(|e| e.value(&context)).unwrap_or(Value::UNDEFINED);
                members.extend(of_callback.into_iter().map(|name| (name, value(name))));
            }
        }
        let escape = Escape::of(&reply.content_type);
        reply.body.render_with(&Value::from(members), |body, value| escape.write(body, &value))
    }
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

/// How a value is kept from breaking out of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    Plain,
    Json,
    Xml,
    Form,
}

impl Escape {
    fn of(content_type: &str) -> Escape {
        let essence = content_type.split(';').next().unwrap_or("").trim().to_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Escape::Form,
            json if json.ends_with("json") => Escape::Json,
            xml if xml.ends_with("xml") || xml == "text/html" => Escape::Xml,
            _ => Escape::Plain,
        }
    }

    fn write(self, body: &mut String, value: &Value) {
        if value.is_undefined() {
            return;
        }
        let text = value.to_string();
        if value.is_safe() {
            return body.push_str(&text);
        }
        match self {
            Escape::Plain => body.push_str(&text),
            Escape::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                body.push_str(&quoted[1..quoted.len() - 1]);
            }
            Escape::Xml => text.chars().for_each(|c| match c {
                '<' => body.push_str("&lt;"),
                '>' => body.push_str("&gt;"),
                '&' => body.push_str("&amp;"),
                '"' => body.push_str("&quot;"),
                '\'' => body.push_str("&apos;"),
                c => body.push(c),
            }),
            Escape::Form => {
                body.extend(percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC));
            }
        }
    }
}

fn step(shape: &UssdIn, callback: &Callback, context: &Value) -> Result<UssdStep, Refusal> {
    let from = text(&shape.from, context).and_then(|number| Msisdn::from_e164(&number));
    let from = from.ok_or_else(|| missing("from", &shape.from))?;
    let session = match &shape.session {
        None => None,
        Some(e) => Some(text(e, context).filter(|id| !id.is_empty()).ok_or_else(|| missing("session", e))?),
    };
    let optional = |e: &Option<Expression>| e.as_ref().and_then(|e| text(e, context));
    let typed = optional(&shape.input).unwrap_or_default();
    let code = optional(&shape.code).unwrap_or_default();
    let event = event(shape, optional(&shape.event), &typed, &code);
    Ok(UssdStep {
        from,
        session,
        event,
        input: input(shape.history, event, typed, &code),
        code,
        step: optional(&shape.step),
        language: optional(&shape.language).and_then(|tag| Lang::parse(&tag.to_lowercase())),
        context: Vec::new(),
        at: callback.at,
    })
}

/// Where in the dialogue a callback stands. A word in no list goes on, and where everything so far is empty it begins; but
/// a shape without an `input` tells of an end and brings no answer, so there an unknown word is an end of some kind too.
fn event(shape: &UssdIn, word: Option<String>, typed: &str, code: &str) -> UssdEvent {
    let word = word.unwrap_or_default().to_lowercase();
    let among = |list: &[String]| list.contains(&word);
    let nothing_yet = match shape.history {
        History::Last => false,
        History::All => typed.is_empty(),
        History::AllWithCode => behind(typed, code).is_none_or(str::is_empty),
    };
    match &shape.words {
        words if among(&words.start) => UssdEvent::Start,
        words if among(&words.end) => UssdEvent::End,
        words if among(&words.timeout) || shape.input.is_none() => UssdEvent::Timeout,
        words if among(&words.goes_on) => UssdEvent::Continue,
        _ if nothing_yet => UssdEvent::Start,
        _ => UssdEvent::Continue,
    }
}

/// What was typed, without the code in front of it: vendors send it at the start (`*166*2*5#` on `*166#` is `2*5`), or
/// before every history. What does not begin with the code is kept whole.
fn input(history: History, event: UssdEvent, typed: String, code: &str) -> UssdInput {
    let without_code = || behind(&typed, code).map_or_else(|| typed.clone(), str::to_owned);
    match history {
        History::All => UssdInput::History(typed),
        History::AllWithCode => UssdInput::History(without_code()),
        History::Last if event == UssdEvent::Start => UssdInput::Last(without_code()),
        History::Last => UssdInput::Last(typed),
    }
}

/// What stands behind the code in something that begins with it; stars in front and the `#` that ends a dial do not count.
fn behind<'d>(dialled: &'d str, code: &str) -> Option<&'d str> {
    let code = code.trim_start_matches('*').trim_end_matches('#');
    let whole = dialled.strip_prefix('*').unwrap_or(dialled);
    let whole = whole.strip_suffix('#').unwrap_or(whole);
    match whole.strip_prefix(code).filter(|_| !code.is_empty())? {
        "" => Some(""),
        rest => rest.strip_prefix('*'),
    }
}

fn text(expression: &Expression, context: &Value) -> Option<String> {
    let text = as_text(&expression.value(context)?)?;
    Some(match text.char_indices().nth(FIELD_MAX) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    })
}

fn missing(field: &str, expression: &Expression) -> Refusal {
    Refusal::Malformed(format!("the field `{field}` ({}) is missing or cannot be read", expression.source()))
}
