//! An item's header: what the scripts look into, big-endian, at offsets that they know.
//!
//! ```text
//!  0      format (1)
//!  1..9   generation
//!  9..13  attempt
//! 13..21  first attempt, ms; 0: none yet
//! 21      state: w waits, c claimed, d dead
//! 22      unknowns in a row
//! 23..31  due, ms, as it was asked for
//! 31..47  the token of the claim that holds it
//! 47..63  citizen
//! 63..    the payload, if it is short; else it has a field of its own
//! ```
//!
//! A short payload behind the header saves a timer its second field: about 90 bytes a citizen. An outbox's item has more in
//! its header, and its payload always behind it, because a claim of an outbox sends what it reads:
//!
//! ```text
//!  0      format (2)
//! 63..67  consent
//! 67      kind: 1 prompt, 2 notice, 3 confirmation
//! 68      1: urgent
//! 69..77  expires, ms
//! 77..79  segments
//! 79..95  then: the response
//! 95      then: which reminder; 0: none
//! 96..104 so many ms after the acceptance
//! 104..112 then: the session expires so many ms after the acceptance
//! 112..120 or after this moment, ms, if that is earlier; 0: it does not expire
//! 120..   the payload
//! ```

use crate::{
    domain::{
        id::{CitizenId, ResponseId, Version},
        time::Timestamp,
    },
    store::{MtHeader, MtKind, Put, Then},
};
use std::time::Duration;

/// The format of an item.
const FORMAT: u8 = 1;
/// The format of an outbox's item.
const MT_FORMAT: u8 = 2;
/// Where the payload begins.
const LEN: usize = 63;
/// Where the payload of an outbox's item begins.
const MT_LEN: usize = 120;
/// The longest payload that stands behind its header.
const SHORT: usize = 40;

/// A header, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The version of the turn the item comes from.
    pub generation: Version,
    /// How many attempts were begun.
    pub attempt: u32,
    /// When the first began.
    pub first_attempt: Timestamp,
    /// How many in a row ended unknown.
    pub unknowns: u8,
    /// When it was due.
    pub due: Timestamp,
    /// Whose it is.
    pub citizen: CitizenId,
    /// Where it lies: waits, claimed, dead.
    pub state: State,
    /// The payload, if it is behind the header.
    pub payload: Vec<u8>,
    /// Of an outbox's item.
    pub mt: Option<MtHeader>,
}

/// What an item does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits.
    Waits,
    /// Somebody has claimed it, and its lease may be over.
    Claimed,
    /// It is a dead letter.
    Dead,
}

/// The header of an item that is put, and its payload if that needs a field of its own.
pub fn encode<'a>(put: &'a Put, citizen: &CitizenId) -> (Vec<u8>, &'a [u8]) {
    let (behind, own): (&[u8], &[u8]) = match put.payload.len() {
        _ if put.mt.is_some() => (&put.payload, &[]),
        0..=SHORT => (&put.payload, &[]),
        _ => (&[], &put.payload),
    };
    let state = if put.dead.is_some() { b'd' } else { b'w' };
    let mut bytes = Vec::with_capacity(MT_LEN + behind.len());
    bytes.push(if put.mt.is_some() { MT_FORMAT } else { FORMAT });
    bytes.extend_from_slice(&put.generation.0.to_be_bytes());
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&[state, 0]);
    bytes.extend_from_slice(&put.due.millis().to_be_bytes());
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&citizen.0);
    if let Some(mt) = &put.mt {
        bytes.extend_from_slice(&encode_mt(mt));
    }
    bytes.extend_from_slice(behind);
    (bytes, own)
}

fn encode_mt(mt: &MtHeader) -> Vec<u8> {
    let MtHeader { consent, kind, urgent, expires, segments, then } = mt;
    let Then { response, remind, expire } = then;
    let kind = match kind {
        MtKind::Prompt => 1,
        MtKind::Notice => 2,
        MtKind::Confirmation => 3,
    };
    let (nth, remind) = remind.unwrap_or_default();
    let (expire, moment) = expire.unwrap_or((Duration::ZERO, Timestamp(0)));
    let mut bytes = Vec::with_capacity(MT_LEN - LEN);
    bytes.extend_from_slice(&consent.to_be_bytes());
    bytes.extend_from_slice(&[kind, u8::from(*urgent)]);
    bytes.extend_from_slice(&expires.millis().to_be_bytes());
    bytes.extend_from_slice(&segments.to_be_bytes());
    bytes.extend_from_slice(&response.0);
    bytes.push(nth);
    bytes.extend_from_slice(&ms(remind).to_be_bytes());
    bytes.extend_from_slice(&ms(expire).to_be_bytes());
    bytes.extend_from_slice(&moment.millis().to_be_bytes());
    bytes
}

/// Whole milliseconds; what is longer than any life is as long as that.
fn ms(duration: Duration) -> u64 {
    duration.as_millis().min(i64::MAX as u128) as u64
}

/// Reads a header; `None` when it is not one of a release up to this one.
pub fn decode(bytes: &[u8]) -> Option<Header> {
    let (mt, payload) = match *bytes.first()? {
        FORMAT => (None, bytes.get(LEN..)?),
        MT_FORMAT => (Some(decode_mt(bytes.get(..MT_LEN)?)?), &bytes[MT_LEN..]),
        _ => return None,
    };
    Some(Header {
        generation: Version(number(bytes, 1)),
        attempt: u32::from_be_bytes(part(bytes, 9)),
        first_attempt: time(bytes, 13),
        state: match bytes[21] {
            b'w' => State::Waits,
            b'c' => State::Claimed,
            b'd' => State::Dead,
            _ => return None,
        },
        unknowns: bytes[22],
        due: time(bytes, 23),
        citizen: CitizenId(part(bytes, 47)),
        payload: payload.to_vec(),
        mt,
    })
}

fn decode_mt(bytes: &[u8]) -> Option<MtHeader> {
    let ms = |at| Duration::from_millis(number(bytes, at));
    let (nth, moment) = (bytes[95], time(bytes, 112));
    Some(MtHeader {
        consent: u32::from_be_bytes(part(bytes, 63)),
        kind: match bytes[67] {
            1 => MtKind::Prompt,
            2 => MtKind::Notice,
            3 => MtKind::Confirmation,
            _ => return None,
        },
        urgent: bytes[68] == 1,
        expires: time(bytes, 69),
        segments: u16::from_be_bytes(part(bytes, 77)),
        then: Then {
            response: ResponseId(part(bytes, 79)),
            remind: (nth > 0).then(|| (nth, ms(96))),
            expire: (moment > Timestamp(0)).then(|| (ms(104), moment)),
        },
    })
}

/// Bytes of a header whose length was looked at.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("so many bytes")
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(part(bytes, at))
}

fn time(bytes: &[u8], at: usize) -> Timestamp {
    Timestamp(number(bytes, at) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Queue;

    fn check(mt: Option<MtHeader>, payload: &[u8], own: &[u8]) {
        let put = Put {
            queue: Queue::Timer,
            id: "x".into(),
            generation: Version(0x0102_0304_0506_0708),
            due: Timestamp(1_795_511_523_120),
            dead: None,
            payload: payload.to_vec(),
            mt,
        };
        let (bytes, outside) = encode(&put, &CitizenId([7; 16]));
        assert_eq!(outside, own);
        let header = decode(&bytes).expect("our own header");
        assert_eq!((header.generation, header.due), (put.generation, put.due));
        assert_eq!((header.attempt, header.unknowns, header.citizen), (0, 0, CitizenId([7; 16])));
        assert_eq!((header.state, header.mt), (State::Waits, mt));
        assert_eq!([&header.payload, outside].concat(), payload);
        let shortest = if mt.is_some() { MT_LEN } else { LEN };
        (0..shortest).for_each(|cut| assert_eq!(decode(&bytes[..cut]), None, "cut to {cut}"));
    }

    #[test]
    fn a_short_payload_stands_behind_its_header() {
        check(None, b"", b"");
        check(None, &[1; SHORT], b"");
        check(None, &[1; SHORT + 1], &[1; SHORT + 1]);
    }

    #[test]
    fn an_mts_payload_always_does() {
        let mt = MtHeader {
            consent: 3,
            kind: MtKind::Confirmation,
            urgent: true,
            expires: Timestamp(1_795_511_999_999),
            segments: 255,
            then: Then::default(),
        };
        let then = Then {
            response: ResponseId([9; 16]),
            remind: Some((2, Duration::from_secs(86_400))),
            expire: Some((Duration::from_secs(172_800), Timestamp(1_795_600_000_000))),
        };
        let calm = MtHeader { urgent: false, kind: MtKind::Prompt, then, ..mt };
        for mt in [mt, calm, MtHeader { kind: MtKind::Notice, ..calm }] {
            check(Some(mt), b"", b"");
            check(Some(mt), &[1; 4 * SHORT], b"");
        }
    }

    #[test]
    fn other_bytes_are_no_header() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode(&[3; MT_LEN]), None);
        assert_eq!(decode(&[1; LEN]), None, "no such state");
    }
}
