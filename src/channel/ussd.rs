//! A `[[in]] kind = "ussd"` of a vendor's file: read and checked, and the step that a callback of this shape is.

use super::{
    Refusal,
    filters::inbound_names,
    lookup::Arrival,
    shape::{expression, missing, required, text},
};
use crate::{
    domain::{
        lang::Lang,
        message::{UssdEvent, UssdInput, UssdStep},
        msisdn::Msisdn,
    },
    expr::Expression,
    findings::{At, Table},
};
use minijinja::Value;

/// What is in a USSD callback.
#[derive(Debug)]
pub struct UssdIn {
    /// Who dials, in E.164.
    pub from: Expression,
    /// The vendor's session id; `None`: one session a number.
    pub session: Option<Expression>,
    /// The code that was dialled.
    pub code: Option<Expression>,
    /// What was typed.
    pub input: Option<Expression>,
    /// How much of what was typed `input` is.
    pub history: History,
    /// The vendor's sequence number.
    pub step: Option<Expression>,
    /// The language the vendor tells.
    pub language: Option<Expression>,
    /// The word that says where in the dialogue this stands.
    pub event: Option<Expression>,
    /// The words for each, compared without regard to case. A word in no list goes on.
    pub words: EventWords,
}

/// How much of what was typed a vendor sends with every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Only what was typed now.
    Last,
    /// Everything in this dialogue, joined by `*`.
    All,
    /// The same, behind the code that was dialled.
    AllWithCode,
}

/// The vendor's words.
#[derive(Debug, Default)]
pub struct EventWords {
    /// It begins.
    pub start: Vec<String>,
    /// It goes on.
    pub goes_on: Vec<String>,
    /// The citizen or the network ended it.
    pub end: Vec<String>,
    /// The network gave up waiting.
    pub timeout: Vec<String>,
}

/// Reads the keys of this kind.
pub fn read(table: &Table<'_>) -> Option<UssdIn> {
    let names = inbound_names();
    let field = |key: &str| expression(table, key, &names);
    let from = required(table, "from", "from = \"form.phoneNumber | number\"", &names);
    let (session, code, input) = (field("session"), field("code"), field("input"));
    let (step, language, event) = (field("step"), field("language"), field("event"));
    let history = history(table);
    let list = |key: &str| table.texts(key).map_or(Vec::new(), |l| l.value);
    let words = words(table, [list("start"), list("continue"), list("end"), list("timeout")]);
    brings_what_it_needs(table, history);
    Some(UssdIn {
        from: from?,
        session: session?,
        code: code?,
        input: input?,
        history: history?,
        step: step?,
        language: language?,
        event: event?,
        words,
    })
}

/// The step that a callback is.
pub fn step(shape: &UssdIn, arrival: &Arrival<'_>, context: &Value) -> Result<UssdStep, Refusal> {
    let from = text(&shape.from, context).and_then(|number| Msisdn::from_e164(&number));
    let from = from.ok_or_else(|| missing("from", &shape.from))?;
    let session = match &shape.session {
        None => None,
        Some(e) => Some(text(e, context).filter(|id| !id.is_empty()).ok_or_else(|| missing("session", e))?),
    };
    let optional = |e: &Option<Expression>| e.as_ref().and_then(|e| text(e, context));
    let typed = optional(&shape.input).unwrap_or_default();
    let code = optional(&shape.code).filter(|code| !code.is_empty());
    let code = code.unwrap_or_else(|| arrival.code.to_owned());
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
        at: arrival.callback.at,
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

fn history(table: &Table<'_>) -> Option<History> {
    let hint = "\"last\": only what was typed now; \"history\": everything so far; \"history-with-code\": that, behind the code";
    let history = table.required_text("history", hint)?;
    match history.value.as_str() {
        "last" => Some(History::Last),
        "history" => Some(History::All),
        "history-with-code" => Some(History::AllWithCode),
        other => {
            table.error(history.span, format!("there is no `history` \"{other}\""), hint);
            None
        }
    }
}

/// A step must say enough to be understood.
fn brings_what_it_needs(table: &Table<'_>, history: Option<History>) {
    let notification = !table.has("input");
    if notification && !(table.has("event") && (table.has("end") || table.has("timeout"))) {
        table.missing(
            "input",
            "only a notification of the end has none; then `event` and `end` or `timeout` are there",
        );
    } else if history == Some(History::Last) && !table.has("event") {
        table.missing("event", "without the history only a word of the vendor says where a dialogue begins");
    }
    if history == Some(History::AllWithCode) && !table.has("code") {
        table.missing("code", "the code is what the history is behind");
    }
}

/// A word in two lists would mean two things.
fn words(table: &Table<'_>, lists: [Vec<At<String>>; 4]) -> EventWords {
    let mut seen: Vec<String> = Vec::new();
    for word in lists.iter().flatten() {
        let lower = word.value.to_lowercase();
        if seen.contains(&lower) {
            table.error(word.span.clone(), format!("the word \"{}\" is listed twice", word.value), "");
        }
        seen.push(lower);
    }
    let [start, goes_on, end, timeout] =
        lists.map(|list| list.into_iter().map(|w| w.value.to_lowercase()).collect());
    EventWords { start, goes_on, end, timeout }
}
