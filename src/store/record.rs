//! Stored shapes, versioned; old ones stay readable. Release N reads what N-1 wrote.
//!
//! A **record** begins with a fixed header, big-endian, at offsets that the scripts know; the rest is postcard:
//!
//! ```text
//!  0      format (2; 1 is read)
//!  1..9   version
//!  9..13  consent: rises with every STOP and START; odd is stopped
//! 13..21  asked: the version of the turn that last put a new question or ended the session
//! 21..    body: sealed number, language, vendor dialogue, session; of format 2 then: when the kind answer to nothing was
//!         given last, whether an invitation began the session
//! ```
//!
//! A **dialogue** begins with the ids of the events whose replies it holds, so that a script finds a repeat by looking:
//!
//! ```text
//!  0      format (1)
//!  1..17  the last event (zeros: none)
//! 17..33  the one before
//! 33..    body: history, replies
//! ```

use crate::{
    domain::{
        completion::Value,
        id::{ChannelId, DialogueId, EventId, FlowId, ResponseId, Revision, Version},
        keys::Sealed,
        lang::Lang,
        message::{Bearer, Reply},
        time::Timestamp,
    },
    flow::session::{Given, Place, Session},
};
use serde::{Deserialize, Serialize};

/// The format of records that this release writes.
pub const RECORD_FORMAT: u8 = 2;
/// The format of dialogues and payloads that this release writes.
pub const FORMAT: u8 = 1;
/// Where a record's body begins.
const RECORD_BODY: usize = 21;
/// Where a dialogue's body begins.
const DIALOGUE_BODY: usize = 33;
/// How many steps of a dialogue keep their reply; an older repeat gets the open question.
pub const KEPT_STEPS: usize = 2;

/// One citizen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Rises with every turn and never returns.
    pub version: Version,
    /// Rises with every STOP and START that changes something; odd is stopped.
    pub consent: u32,
    /// The version of the turn that last put a new question or ended the session.
    pub asked: Version,
    /// The number, sealed.
    pub number: Sealed,
    /// The language of the citizen's last session.
    pub language: Option<Lang>,
    /// The vendor dialogue that is open; the end of another changes nothing.
    pub dialogue: Option<DialogueId>,
    /// The live session.
    pub session: Option<Session>,
    /// When the citizen was last told that a message opens nothing: at most once a day.
    pub told: Option<Timestamp>,
}

impl Record {
    /// The record of a citizen nobody has heard of yet.
    pub fn fresh(number: Sealed) -> Record {
        Record {
            version: Version::default(),
            consent: 0,
            asked: Version::default(),
            number,
            language: None,
            dialogue: None,
            session: None,
            told: None,
        }
    }

    /// Whether the citizen said STOP.
    pub fn stopped(&self) -> bool {
        self.consent % 2 == 1
    }
}

/// What is known of a vendor's USSD dialogue: what was typed so far and what the last steps were shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dialogue {
    /// The vendor's history at the last step, for vendors that send one.
    pub history: String,
    /// The last [`KEPT_STEPS`] steps, newest first.
    pub steps: Vec<(EventId, Reply)>,
}

impl Dialogue {
    /// The reply a step was given, if it is still kept.
    pub fn reply_to(&self, event: &EventId) -> Option<&Reply> {
        self.steps.iter().find(|(id, _)| id == event).map(|(_, reply)| reply)
    }

    /// The dialogue after one more step.
    pub fn after(&self, history: String, event: EventId, reply: Reply) -> Dialogue {
        let mut steps = vec![(event, reply)];
        steps.extend(self.steps.iter().take(KEPT_STEPS - 1).cloned());
        Dialogue { history, steps }
    }
}

/// The bytes are not what a release up to this one wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored record cannot be read: format {0}")]
pub struct Unreadable(pub u8);

// ---- the stored shapes: never change one; add a format ----

/// What format 2 has behind the body of format 1.
#[derive(Serialize, Deserialize, Default)]
struct RecordV2Tail {
    told: Option<i64>,
    invited: bool,
}

#[derive(Serialize, Deserialize)]
struct RecordV1 {
    sealed_key: u32,
    sealed: Vec<u8>,
    language: Option<String>,
    dialogue: Option<[u8; 16]>,
    session: Option<SessionV1>,
}

#[derive(Serialize, Deserialize)]
struct SessionV1 {
    response: [u8; 16],
    flow: String,
    revision: [u8; 32],
    language: String,
    bearer: u8,
    channel: String,
    started: i64,
    expires: i64,
    place: PlaceV1,
    answers: Vec<GivenV1>,
    context: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
enum PlaceV1 {
    Fresh,
    At { node: String, page: u8, tries: u8 },
    Over,
}

#[derive(Serialize, Deserialize)]
struct GivenV1 {
    node: String,
    value: ValueV1,
    said: String,
    at: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) enum ValueV1 {
    Integer(i64),
    Boolean(bool),
    Text(String),
}

#[derive(Serialize, Deserialize)]
struct DialogueV1 {
    history: String,
    replies: Vec<ReplyV1>,
}

#[derive(Serialize, Deserialize)]
struct ReplyV1 {
    text: String,
    end: bool,
    language: String,
}

impl Record {
    /// The bytes of format 2.
    pub fn encode(&self) -> Vec<u8> {
        let Record { version, consent, asked, number, language, dialogue, session, told } = self;
        let mut bytes = Vec::with_capacity(256);
        bytes.push(RECORD_FORMAT);
        bytes.extend_from_slice(&version.0.to_be_bytes());
        bytes.extend_from_slice(&consent.to_be_bytes());
        bytes.extend_from_slice(&asked.0.to_be_bytes());
        let body = RecordV1 {
            sealed_key: number.key,
            sealed: number.bytes.clone(),
            language: language.map(|l| l.to_string()),
            dialogue: dialogue.map(|d| d.0),
            session: session.as_ref().map(session_v1),
        };
        let tail = RecordV2Tail {
            told: told.map(|at| at.0),
            invited: session.as_ref().is_some_and(|session| session.invited),
        };
        append(append(bytes, &body), &tail)
    }

    /// Reads what a release up to this one wrote.
    pub fn decode(bytes: &[u8]) -> Result<Record, Unreadable> {
        let format = *bytes.first().unwrap_or(&0);
        let unreadable = Unreadable(format);
        if !(1..=RECORD_FORMAT).contains(&format) || bytes.len() < RECORD_BODY {
            return Err(unreadable);
        }
        let (body, rest): (RecordV1, _) =
            postcard::take_from_bytes(&bytes[RECORD_BODY..]).map_err(|_| unreadable)?;
        let tail = match format {
            1 => RecordV2Tail::default(),
            _ => postcard::from_bytes(rest).map_err(|_| unreadable)?,
        };
        let session = body.session.map(|s| session_of(s, tail.invited));
        Ok(Record {
            version: Version(u64_at(bytes, 1)),
            consent: u32::from_be_bytes(bytes[9..13].try_into().expect("four bytes")),
            asked: Version(u64_at(bytes, 13)),
            number: Sealed { key: body.sealed_key, bytes: body.sealed },
            language: body.language.as_deref().and_then(Lang::parse),
            dialogue: body.dialogue.map(DialogueId),
            session: session.transpose().map_err(|()| unreadable)?,
            told: tail.told.map(Timestamp),
        })
    }
}

impl Dialogue {
    /// The bytes of format 1.
    pub fn encode(&self) -> Vec<u8> {
        let Dialogue { history, steps } = self;
        let mut bytes = Vec::with_capacity(256);
        bytes.push(FORMAT);
        for n in 0..KEPT_STEPS {
            bytes.extend_from_slice(&steps.get(n).map_or([0; 16], |(event, _)| event.0));
        }
        let reply =
            |r: &Reply| ReplyV1 { text: r.text.clone(), end: r.end, language: r.language.to_string() };
        let replies = steps.iter().take(KEPT_STEPS).map(|(_, r)| reply(r)).collect();
        append(bytes, &DialogueV1 { history: history.clone(), replies })
    }

    /// Reads what a release up to this one wrote.
    pub fn decode(bytes: &[u8]) -> Result<Dialogue, Unreadable> {
        let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
        if unreadable.0 != FORMAT || bytes.len() < DIALOGUE_BODY {
            return Err(unreadable);
        }
        let body: DialogueV1 = postcard::from_bytes(&bytes[DIALOGUE_BODY..]).map_err(|_| unreadable)?;
        let events =
            bytes[1..DIALOGUE_BODY].chunks(16).map(|c| EventId(c.try_into().expect("sixteen bytes")));
        let reply =
            |r: ReplyV1| Some(Reply { text: r.text, end: r.end, language: Lang::parse(&r.language)? });
        let steps = events
            .zip(body.replies)
            .map(|(event, r)| reply(r).map(|reply| (event, reply)))
            .collect::<Option<_>>()
            .ok_or(unreadable)?;
        Ok(Dialogue { history: body.history, steps })
    }
}

pub(super) fn append(bytes: Vec<u8>, body: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(body, bytes).expect("plain structs always serialize into memory")
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(super) fn bearer_v1(bearer: Bearer) -> u8 {
    match bearer {
        Bearer::Sms => 1,
        Bearer::Ussd => 2,
    }
}

pub(super) fn bearer_of(bearer: u8) -> Result<Bearer, ()> {
    match bearer {
        1 => Ok(Bearer::Sms),
        2 => Ok(Bearer::Ussd),
        _ => Err(()),
    }
}

pub(super) fn value_v1(value: &Value) -> ValueV1 {
    match value {
        Value::Integer(n) => ValueV1::Integer(*n),
        Value::Boolean(b) => ValueV1::Boolean(*b),
        Value::Text(t) => ValueV1::Text(t.clone()),
    }
}

pub(super) fn value_of(value: ValueV1) -> Value {
    match value {
        ValueV1::Integer(n) => Value::Integer(n),
        ValueV1::Boolean(b) => Value::Boolean(b),
        ValueV1::Text(t) => Value::Text(t),
    }
}

fn session_v1(session: &Session) -> SessionV1 {
    let Session {
        response,
        flow,
        revision,
        language,
        bearer,
        channel,
        started,
        expires,
        place,
        answers,
        context,
        invited: _,
    } = session;
    let given = |g: &Given| {
        let Given { node, value, said, at } = g;
        GivenV1 { node: node.clone(), value: value_v1(value), said: said.clone(), at: at.0 }
    };
    SessionV1 {
        response: response.0,
        flow: flow.to_string(),
        revision: revision.0,
        language: language.to_string(),
        bearer: bearer_v1(*bearer),
        channel: channel.to_string(),
        started: started.0,
        expires: expires.0,
        place: match place {
            Place::Fresh => PlaceV1::Fresh,
            Place::At { node, page, tries } => PlaceV1::At { node: node.clone(), page: *page, tries: *tries },
            Place::Over => PlaceV1::Over,
        },
        answers: answers.iter().map(given).collect(),
        context: context.clone(),
    }
}

fn session_of(s: SessionV1, invited: bool) -> Result<Session, ()> {
    let given =
        |g: GivenV1| Given { node: g.node, value: value_of(g.value), said: g.said, at: Timestamp(g.at) };
    Ok(Session {
        response: ResponseId(s.response),
        flow: FlowId::parse(&s.flow).ok_or(())?,
        revision: Revision(s.revision),
        language: Lang::parse(&s.language).ok_or(())?,
        bearer: bearer_of(s.bearer)?,
        channel: ChannelId::parse(&s.channel).ok_or(())?,
        started: Timestamp(s.started),
        expires: Timestamp(s.expires),
        place: match s.place {
            PlaceV1::Fresh => Place::Fresh,
            PlaceV1::At { node, page, tries } => Place::At { node, page, tries },
            PlaceV1::Over => Place::Over,
        },
        answers: s.answers.into_iter().map(given).collect(),
        context: s.context,
        invited,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A citizen in the middle of a flow.
    fn sample() -> Record {
        let given = |node: &str, value, said: &str| Given {
            node: node.into(),
            value,
            said: said.into(),
            at: Timestamp(1_795_511_540_010),
        };
        Record {
            version: Version(0x01a2_0bb5_1ab0_0007),
            consent: 2,
            asked: Version(0x01a2_0bb5_1ab0_0006),
            number: Sealed { key: 1, bytes: (0..53).collect() },
            language: Lang::parse("or"),
            dialogue: Some(DialogueId([7; 16])),
            session: Some(Session {
                response: ResponseId([8; 16]),
                flow: FlowId::parse("hospital-visit").expect("an id"),
                revision: Revision([9; 32]),
                language: Lang::parse("or").expect("a tag"),
                bearer: Bearer::Ussd,
                channel: ChannelId::parse("at-ussd").expect("an id"),
                started: Timestamp(1_795_511_523_120),
                expires: Timestamp(1_795_684_323_120),
                place: Place::At { node: "contact".into(), page: 1, tries: 2 },
                answers: vec![
                    given("overall", Value::Integer(2), "୨"),
                    given("topic", Value::Text("behaviour".into()), "1"),
                    given("contact", Value::Boolean(true), "ହଁ"),
                ],
                context: vec![("visit.office".into(), "OD-DHH-07".into())],
                invited: true,
            }),
            told: Some(Timestamp(1_795_400_000_000)),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes
            .chunks(32)
            .map(|row| row.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
            .collect()
    }

    /// The sample as it was kept; `UPDATE=1` keeps a new one, for a new format.
    fn kept(name: &str, now: &[u8]) -> String {
        let path = format!("{}/src/store/samples/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, hex(now)).expect("written");
        }
        std::fs::read_to_string(&path).expect("a sample of every format is kept")
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |p: &[u8]| std::str::from_utf8(p).ok().and_then(|p| u8::from_str_radix(p, 16).ok());
        digits.chunks(2).map(|p| pair(p).expect("hexadecimal digits")).collect()
    }

    #[test]
    fn a_record_of_format_1_is_read() {
        let kept =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/samples/record-1.hex"));
        let mut expected = Record { told: None, ..sample() };
        expected.session.as_mut().expect("a session").invited = false;
        assert_eq!(Record::decode(&unhex(&kept.expect("kept"))), Ok(expected));
    }

    #[test]
    fn a_record_is_read_and_written_as_it_was() {
        let kept = kept("record-2.hex", &sample().encode());
        assert_eq!(Record::decode(&unhex(&kept)), Ok(sample()));
        assert_eq!(hex(&sample().encode()), kept, "a changed shape needs a new format");
    }

    #[test]
    fn a_dialogue_of_release_0_1_is_read_and_written_as_it_was() {
        let reply = |text: &str, end| Reply { text: text.into(), end, language: Lang::EN };
        let dialogue = Dialogue::default()
            .after("".into(), EventId([1; 16]), reply("How?", false))
            .after("2".into(), EventId([2; 16]), reply("What?", false))
            .after("2*1".into(), EventId([3; 16]), reply("ଧନ୍ୟବାଦ", true));
        assert_eq!(dialogue.reply_to(&EventId([1; 16])), None, "two steps are kept");
        let kept = kept("dialogue-1.hex", &dialogue.encode());
        assert_eq!(Dialogue::decode(&unhex(&kept)), Ok(dialogue.clone()));
        assert_eq!(hex(&dialogue.encode()), kept, "a changed shape needs a new format");
    }

    #[test]
    fn the_header_is_where_the_scripts_look() {
        let bytes = sample().encode();
        assert_eq!(bytes[0], RECORD_FORMAT);
        assert_eq!(bytes[1..9], 0x01a2_0bb5_1ab0_0007_u64.to_be_bytes());
        assert_eq!(bytes[9..13], 2_u32.to_be_bytes());
        assert_eq!(bytes[13..21], 0x01a2_0bb5_1ab0_0006_u64.to_be_bytes());
        assert!(bytes.len() <= 400, "a session's key and value fit in 400 bytes: {}", bytes.len());
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_record_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut ours = bytes.clone();
            if let Some(first) = ours.first_mut() { *first = *first % RECORD_FORMAT + 1; }
            for bytes in [&bytes, &ours] {
                let _ = Record::decode(bytes);
                let _ = Dialogue::decode(bytes);
            }
        }

        #[test]
        fn what_was_said_comes_back_exactly(said in ".*", office in ".*", number in any::<i64>()) {
            let mut record = sample();
            let session = record.session.as_mut().expect("a session");
            session.answers[1] = Given { said: said.clone(), value: Value::Text(said), ..session.answers[1].clone() };
            session.answers[0].value = Value::Integer(number);
            session.context[0].1 = office;
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }
}
