//! What items hold: owed completions, owed MTs, timers, joins. Stored shapes, versioned like records: never change one, add a format.

use super::record::{FORMAT, Unreadable, ValueV1, append, bearer_of, bearer_v1, value_of, value_v1};
use crate::domain::{
    completion::{Answer, Completion, Status},
    id::{ChannelId, CitizenId, FlowId, ResponseId, Revision, Version},
    lang::Lang,
    message::{Coding, MtState},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// A completion as a department's queue holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedCompletion {
    /// The response.
    pub completion: Completion,
    /// The citizen agreed and the route asks: the claim adds the number.
    pub share_msisdn: bool,
}

/// An MT as an outbox holds it. Its number is in the citizen's record only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedMt {
    /// The text.
    pub text: String,
    /// How it is coded: a UCS-2 text is stored as UTF-16, which is two thirds of UTF-8 in Odia.
    pub coding: Coding,
    /// The text's language.
    pub language: Lang,
    /// The DLT template.
    pub template: Option<String>,
}

/// What a timer wakes, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerPayload {
    /// The session's time is over.
    Expiry(ResponseId),
    /// The session's question was not answered.
    Remind {
        /// The session.
        response: ResponseId,
        /// Which reminder, from 1.
        nth: u8,
        /// The version of the turn that asked: stale once the record's `asked` is another.
        asked: Version,
    },
    /// A dialogue was left open: its question goes out by SMS, through this channel.
    HandOver {
        /// The session.
        response: ResponseId,
        /// Through which channel.
        channel: ChannelId,
    },
    /// An invitation begins.
    Invite(Box<InvitePayload>),
}

/// What an invitation brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitePayload {
    /// Into which flow.
    pub flow: FlowId,
    /// In which language; `None`: as ever.
    pub language: Option<Lang>,
    /// Through which channel; `None`: the first that sends.
    pub channel: Option<ChannelId>,
    /// What is known of the visit, under dotted names, sorted.
    pub context: Vec<(String, String)>,
    /// Past it nobody is asked any more.
    pub not_after: Timestamp,
}

/// A receipt that waits for its MT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinPayload {
    /// The channel it came in by.
    pub channel: ChannelId,
    /// Which part, from 1; 0: the whole.
    pub part: u8,
    /// What it means.
    pub state: Option<MtState>,
    /// The vendor's word and code.
    pub said: String,
    /// The vendor's time.
    pub at: Timestamp,
    /// When it came in: it is tried for a day.
    pub since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct OwedV1 {
    share_msisdn: bool,
    id: [u8; 16],
    citizen: [u8; 16],
    flow: String,
    revision: [u8; 32],
    partial: bool,
    bearer: u8,
    channel: String,
    language: String,
    started_at: i64,
    completed_at: i64,
    consents_msisdn: bool,
    context: Vec<(String, String)>,
    answers: Vec<(String, String, ValueV1, String, i64)>,
}

#[derive(Serialize, Deserialize)]
struct InviteV1 {
    flow: String,
    language: Option<String>,
    channel: Option<String>,
    context: Vec<(String, String)>,
    not_after: i64,
}

#[derive(Serialize, Deserialize)]
struct JoinV1 {
    channel: String,
    part: u8,
    state: u8,
    said: String,
    at: i64,
    since: i64,
}

#[derive(Serialize, Deserialize)]
struct MtV1 {
    text: TextV1,
    language: String,
    template: Option<String>,
}

#[derive(Serialize, Deserialize)]
enum TextV1 {
    /// Characters of the GSM alphabet, as UTF-8.
    Gsm7(String),
    /// UTF-16, big-endian.
    Ucs2(Vec<u8>),
}

impl OwedCompletion {
    /// A format byte and the bytes of format 1.
    pub fn encode(&self) -> Vec<u8> {
        let OwedCompletion { completion, share_msisdn } = self;
        let Completion {
            id,
            citizen,
            flow,
            revision,
            status,
            bearer,
            channel,
            language,
            started_at,
            completed_at,
            consents_msisdn,
            context,
            answers,
        } = completion;
        let answer =
            |a: &Answer| (a.node.clone(), a.kind.clone(), value_v1(&a.value), a.said.clone(), a.at.0);
        let body = OwedV1 {
            share_msisdn: *share_msisdn,
            id: id.0,
            citizen: citizen.0,
            flow: flow.to_string(),
            revision: revision.0,
            partial: *status == Status::Partial,
            bearer: bearer_v1(*bearer),
            channel: channel.clone(),
            language: language.to_string(),
            started_at: started_at.0,
            completed_at: completed_at.0,
            consents_msisdn: *consents_msisdn,
            context: context.clone(),
            answers: answers.iter().map(answer).collect(),
        };
        append(vec![FORMAT], &body)
    }

    /// Reads what a release up to this one wrote.
    pub fn decode(bytes: &[u8]) -> Result<OwedCompletion, Unreadable> {
        let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
        if unreadable.0 != FORMAT {
            return Err(unreadable);
        }
        let b: OwedV1 = postcard::from_bytes(&bytes[1..]).map_err(|_| unreadable)?;
        let answers = b.answers.into_iter().map(|(node, kind, value, said, at)| Answer {
            node,
            kind,
            value: value_of(value),
            said,
            at: Timestamp(at),
        });
        Ok(OwedCompletion {
            share_msisdn: b.share_msisdn,
            completion: Completion {
                id: ResponseId(b.id),
                citizen: CitizenId(b.citizen),
                flow: FlowId::parse(&b.flow).ok_or(unreadable)?,
                revision: Revision(b.revision),
                status: if b.partial { Status::Partial } else { Status::Complete },
                bearer: bearer_of(b.bearer).map_err(|()| unreadable)?,
                channel: b.channel,
                language: Lang::parse(&b.language).ok_or(unreadable)?,
                started_at: Timestamp(b.started_at),
                completed_at: Timestamp(b.completed_at),
                consents_msisdn: b.consents_msisdn,
                context: b.context,
                answers: answers.collect(),
            },
        })
    }
}

impl OwedMt {
    /// A format byte and the bytes of format 1.
    pub fn encode(&self) -> Vec<u8> {
        let OwedMt { text, coding, language, template } = self;
        let text = match coding {
            Coding::Gsm7 => TextV1::Gsm7(text.clone()),
            Coding::Ucs2 => TextV1::Ucs2(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        };
        append(vec![FORMAT], &MtV1 { text, language: language.to_string(), template: template.clone() })
    }

    /// Reads what a release up to this one wrote.
    pub fn decode(bytes: &[u8]) -> Result<OwedMt, Unreadable> {
        let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
        let body: MtV1 = body(bytes)?;
        let (text, coding) = match body.text {
            TextV1::Gsm7(text) => (text, Coding::Gsm7),
            TextV1::Ucs2(bytes) => {
                let units: Vec<u16> =
                    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
                (String::from_utf16(&units).map_err(|_| unreadable)?, Coding::Ucs2)
            }
        };
        let language = Lang::parse(&body.language).ok_or(unreadable)?;
        Ok(OwedMt { text, coding, language, template: body.template })
    }
}

/// The kinds of timer, in the second byte of their payload. The scripts write the first two themselves.
const EXPIRY: u8 = 1;
const REMIND: u8 = 2;
const HAND_OVER: u8 = 3;
const INVITE: u8 = 4;

impl TimerPayload {
    /// The word in the timer's item id.
    pub fn kind(&self) -> &'static str {
        match self {
            TimerPayload::Expiry(_) => "expiry",
            TimerPayload::Remind { .. } => "remind",
            TimerPayload::HandOver { .. } => "hand-over",
            TimerPayload::Invite(_) => "invite",
        }
    }

    /// The session that is woken; an invitation begins one.
    pub fn response(&self) -> Option<&ResponseId> {
        match self {
            TimerPayload::Expiry(response)
            | TimerPayload::Remind { response, .. }
            | TimerPayload::HandOver { response, .. } => Some(response),
            TimerPayload::Invite(_) => None,
        }
    }

    /// Format, kind, then: an expiry its session (18 bytes in all); a reminder its session, which one, and the version that
    /// asked, big-endian (27 bytes); a hand-over its session and the channel; an invitation its body.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            TimerPayload::Expiry(response) => [&[FORMAT, EXPIRY][..], &response.0].concat(),
            TimerPayload::Remind { response, nth, asked } => {
                [&[FORMAT, REMIND][..], &response.0, &[*nth], &asked.0.to_be_bytes()].concat()
            }
            TimerPayload::HandOver { response, channel } => {
                [&[FORMAT, HAND_OVER][..], &response.0, channel.as_str().as_bytes()].concat()
            }
            TimerPayload::Invite(invite) => {
                let InvitePayload { flow, language, channel, context, not_after } = &**invite;
                let body = InviteV1 {
                    flow: flow.to_string(),
                    language: language.map(|l| l.to_string()),
                    channel: channel.as_ref().map(|c| c.to_string()),
                    context: context.clone(),
                    not_after: not_after.0,
                };
                append(vec![FORMAT, INVITE], &body)
            }
        }
    }

    /// Reads what a release up to this one wrote.
    pub fn decode(bytes: &[u8]) -> Result<TimerPayload, Unreadable> {
        let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
        let [FORMAT, kind, rest @ ..] = bytes else { return Err(unreadable) };
        let session = || rest.first_chunk::<16>().map(|id| (ResponseId(*id), &rest[16..])).ok_or(unreadable);
        match *kind {
            EXPIRY => match session()? {
                (response, []) => Ok(TimerPayload::Expiry(response)),
                _ => Err(unreadable),
            },
            REMIND => match session()? {
                (response, [nth, asked @ ..]) => {
                    let asked: [u8; 8] = asked.try_into().map_err(|_| unreadable)?;
                    let asked = Version(u64::from_be_bytes(asked));
                    Ok(TimerPayload::Remind { response, nth: *nth, asked })
                }
                _ => Err(unreadable),
            },
            HAND_OVER => {
                let (response, channel) = session()?;
                let channel = std::str::from_utf8(channel).ok().and_then(ChannelId::parse);
                Ok(TimerPayload::HandOver { response, channel: channel.ok_or(unreadable)? })
            }
            INVITE => {
                let body: InviteV1 = postcard::from_bytes(rest).map_err(|_| unreadable)?;
                let channel = body.channel.map(|c| ChannelId::parse(&c).ok_or(unreadable)).transpose()?;
                Ok(TimerPayload::Invite(Box::new(InvitePayload {
                    flow: FlowId::parse(&body.flow).ok_or(unreadable)?,
                    language: body.language.as_deref().and_then(Lang::parse),
                    channel,
                    context: body.context,
                    not_after: Timestamp(body.not_after),
                })))
            }
            _ => Err(unreadable),
        }
    }
}

impl JoinPayload {
    /// A format byte and the bytes of format 1.
    pub fn encode(&self) -> Vec<u8> {
        let JoinPayload { channel, part, state, said, at, since } = self;
        let body = JoinV1 {
            channel: channel.to_string(),
            part: *part,
            state: state.map_or(0, |state| state as u8),
            said: said.clone(),
            at: at.0,
            since: since.0,
        };
        append(vec![FORMAT], &body)
    }

    /// Reads what a release up to this one wrote.
    pub fn decode(bytes: &[u8]) -> Result<JoinPayload, Unreadable> {
        let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
        let body: JoinV1 = body(bytes)?;
        Ok(JoinPayload {
            channel: ChannelId::parse(&body.channel).ok_or(unreadable)?,
            part: body.part,
            state: MtState::of(body.state),
            said: body.said,
            at: Timestamp(body.at),
            since: Timestamp(body.since),
        })
    }
}

fn body<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
    let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
    match bytes {
        [FORMAT, rest @ ..] => postcard::from_bytes(rest).map_err(|_| unreadable),
        _ => Err(unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn channel() -> ChannelId {
        ChannelId::parse("at-sms").expect("an id")
    }

    #[test]
    fn what_an_item_holds_comes_back() {
        let response = ResponseId([8; 16]);
        let invite = InvitePayload {
            flow: FlowId::parse("hospital-visit").expect("an id"),
            language: Lang::parse("or"),
            channel: Some(channel()),
            context: vec![("visit.office".into(), "OD-DHH-07".into())],
            not_after: Timestamp(1_795_684_323_120),
        };
        for timer in [
            TimerPayload::Expiry(response),
            TimerPayload::Remind { response, nth: 2, asked: Version(7) },
            TimerPayload::HandOver { response, channel: channel() },
            TimerPayload::Invite(Box::new(invite)),
        ] {
            assert_eq!(TimerPayload::decode(&timer.encode()), Ok(timer));
        }
        assert_eq!(TimerPayload::Expiry(response).encode().len(), 18, "settle.lua writes it");
        assert_eq!(
            TimerPayload::Remind { response, nth: 1, asked: Version(7) }.encode().len(),
            27,
            "so it does this"
        );
        let join = JoinPayload {
            channel: channel(),
            part: 2,
            state: Some(MtState::Delivered),
            said: "Success".into(),
            at: Timestamp(1),
            since: Timestamp(2),
        };
        assert_eq!(JoinPayload::decode(&join.encode()), Ok(join));
    }

    #[test]
    fn an_odia_text_takes_two_bytes_a_letter() {
        let text = "ଧନ୍ୟବାଦ".repeat(10);
        let owed = |coding| OwedMt { text: text.clone(), coding, language: Lang::EN, template: None };
        assert!(owed(Coding::Ucs2).encode().len() < 160, "{}", owed(Coding::Ucs2).encode().len());
        for coding in [Coding::Gsm7, Coding::Ucs2] {
            assert_eq!(OwedMt::decode(&owed(coding).encode()), Ok(owed(coding)));
        }
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_payload_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut ours = bytes.clone();
            if let Some(first) = ours.first_mut() { *first = FORMAT; }
            if let Some(second) = ours.get_mut(1) { *second = *second % INVITE + 1; }
            for bytes in [&bytes, &ours] {
                let _ = OwedCompletion::decode(bytes);
                let _ = OwedMt::decode(bytes);
                let _ = TimerPayload::decode(bytes);
                let _ = JoinPayload::decode(bytes);
            }
        }
    }
}
