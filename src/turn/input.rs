//! What a USSD step means: which event it is, and what was typed *now* (`wire-formats` 0.6).
//!
//! A channel remembers nothing, so vendors that send the whole history are understood here, against the history that
//! was kept with the saved replies. It is never split at the last star, because an answer may hold one.

use crate::{
    domain::{
        id::{ChannelId, DialogueId, EventId},
        keys,
        message::{ChannelFacts, Mo, UssdEvent, UssdInput, UssdStep},
    },
    store::{DIALOGUE_GRACE, record::Dialogue},
};
use std::time::Duration;

/// What a citizen did with this step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// Dialled a code, perhaps with answers behind it.
    Dial {
        /// What was dialled.
        code: String,
        /// Answers behind the code, joined by `*`.
        typed: String,
    },
    /// Answered the screen.
    Answer(String),
    /// A step that is older than what is kept of the dialogue: the open question is shown, and nothing moves.
    OldRepeat,
}

/// Without a vendor session id a start always begins the dialogue anew: the last one had the same name.
pub fn begins_anew(step: &UssdStep) -> bool {
    step.session.is_none() && step.event == UssdEvent::Start
}

/// What a repeat of this step is known by: the whole history, or the vendor's sequence number; where there is neither,
/// or a dialogue begins that has no name of its own, nothing is a repeat.
pub fn event_id(dialogue: &DialogueId, step: &UssdStep, random: [u8; 16]) -> EventId {
    match (&step.input, &step.step) {
        _ if begins_anew(step) => EventId(random),
        (UssdInput::History(history), _) => keys::event_id(&[b"history", &dialogue.0, history.as_bytes()]),
        (UssdInput::Last(_), Some(number)) => keys::event_id(&[b"step", &dialogue.0, number.as_bytes()]),
        (UssdInput::Last(_), None) => EventId(random),
    }
}

/// What a repeat of a message is known by: the vendor's id for it, else who sent what where and when by the vendor's clock;
/// without either nothing is a repeat.
pub fn mo_event(channel: &ChannelId, mo: &Mo, random: [u8; 16]) -> EventId {
    let channel = channel.as_str().as_bytes();
    match (&mo.id, mo.sent) {
        (Some(id), _) => keys::event_id(&[b"mo", channel, id.as_bytes()]),
        (None, Some(sent)) => {
            let (from, to) = (mo.from.reveal().as_bytes(), mo.to.as_bytes());
            keys::event_id(&[b"mo-text", channel, from, to, mo.text.as_bytes(), &sent.0.to_be_bytes()])
        }
        (None, None) => EventId(random),
    }
}

/// The history to be kept with this step.
pub fn history(step: &UssdStep) -> String {
    match &step.input {
        UssdInput::History(history) => history.clone(),
        UssdInput::Last(_) => String::new(),
    }
}

/// How long a dialogue of this channel is kept.
pub fn kept(facts: &ChannelFacts) -> Duration {
    facts.session_limit + DIALOGUE_GRACE
}

/// What was typed now. `live` says that the citizen is in the middle of a flow.
pub fn typed(step: &UssdStep, dialogue: &Dialogue, live: bool) -> Typed {
    let dial = |typed: &str| Typed::Dial { code: step.code.clone(), typed: typed.to_owned() };
    match &step.input {
        UssdInput::Last(text) if step.event == UssdEvent::Start && *text == step.code => dial(""),
        UssdInput::Last(text) if step.event == UssdEvent::Start => dial(text),
        UssdInput::Last(text) => Typed::Answer(text.clone()),
        UssdInput::History(all) if dialogue.steps.is_empty() => match all.rsplit_once('*') {
            _ if all.is_empty() || !live => dial(all),
            Some((_, last)) => Typed::Answer(last.to_owned()),
            None => Typed::Answer(all.clone()),
        },
        UssdInput::History(all) => continued(all, &dialogue.history, live).unwrap_or_else(|| dial(all)),
    }
}

/// What follows `known` in `all`; an older repeat when `all` is a beginning of `known`; the last segment when the two
/// have nothing to do with each other and the citizen is in a flow, else nothing.
fn continued(all: &str, known: &str, live: bool) -> Option<Typed> {
    let answer = |text: &str| Some(Typed::Answer(text.to_owned()));
    if known.is_empty() && !all.is_empty() {
        return answer(all);
    }
    match all.strip_prefix(known) {
        Some("") => Some(Typed::OldRepeat),
        Some(rest) if rest.starts_with('*') => answer(&rest[1..]),
        _ if all.is_empty() || known.strip_prefix(all).is_some_and(|rest| rest.starts_with('*')) => {
            Some(Typed::OldRepeat)
        }
        _ if live => answer(all.rsplit('*').next().unwrap_or(all)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{lang::Lang, message::Reply, msisdn::Msisdn, time::Timestamp};

    fn step(input: UssdInput) -> UssdStep {
        UssdStep {
            from: Msisdn::parse("+919437000001", "IN").expect("a number"),
            session: Some("s".into()),
            event: UssdEvent::Continue,
            input,
            code: "*4545*1#".into(),
            step: None,
            language: None,
            context: Vec::new(),
            at: Timestamp(0),
        }
    }

    /// `kept` is the history of a dialogue that is known; `None` when nothing is.
    fn check(kept: Option<&str>, live: bool, all: &str, expected: Typed) {
        let reply = Reply { text: "?".into(), end: false, language: Lang::EN };
        let dialogue = kept.map(|history| Dialogue::default().after(history.into(), EventId([1; 16]), reply));
        let got = typed(&step(UssdInput::History(all.into())), &dialogue.unwrap_or_default(), live);
        assert_eq!(got, expected, "{all:?} after {kept:?}, live: {live}");
    }

    fn dial(typed: &str) -> Typed {
        Typed::Dial { code: "*4545*1#".into(), typed: typed.into() }
    }

    fn answer(text: &str) -> Typed {
        Typed::Answer(text.into())
    }

    #[test]
    fn a_history_is_understood_against_the_one_that_was_kept() {
        check(None, false, "", dial(""));
        check(None, true, "", dial(""));
        check(None, false, "2*5", dial("2*5"));
        check(None, true, "2*5", answer("5"));
        check(None, true, "5", answer("5"));
        check(Some(""), true, "4", answer("4"));
        check(Some(""), true, "4*5", answer("4*5"));
        check(Some("4"), true, "4*2", answer("2"));
        check(Some("4"), true, "4*", answer(""));
        check(Some("4"), true, "4*2*1", answer("2*1"));
        check(Some("4"), true, "42", answer("42"));
        check(Some("4*2"), true, "4", Typed::OldRepeat);
        check(Some("4*2"), true, "", Typed::OldRepeat);
        check(Some("4*2"), true, "9*9", answer("9"));
        check(Some("4*2"), false, "9*9", dial("9*9"));
    }

    #[test]
    fn a_step_is_known_by_its_history_or_its_number() {
        let dialogue = DialogueId([3; 16]);
        let id = |input, number: Option<&str>, random| {
            event_id(&dialogue, &UssdStep { step: number.map(Into::into), ..step(input) }, [random; 16])
        };
        let history = |h: &str| UssdInput::History(h.into());
        let last = |t: &str| UssdInput::Last(t.into());
        assert_eq!(id(history("4*2"), None, 1), id(history("4*2"), None, 2));
        assert_ne!(id(history("4*2"), None, 1), id(history("4*2*1"), None, 1));
        assert_eq!(id(last("1"), Some("7"), 1), id(last("1"), Some("7"), 2));
        assert_ne!(id(last("1"), Some("7"), 1), id(last("1"), Some("8"), 1));
        assert_ne!(id(last("1"), None, 1), id(last("1"), None, 2), "the same typed twice is two steps");
    }
}
