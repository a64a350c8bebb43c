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
//! 63..    the payload, if it is short; else it has a field of its own, so that a claim does not copy texts to look at numbers
//! ```
//!
//! A short payload behind the header saves a timer its second field: about 90 bytes a citizen.

use crate::{
    domain::{
        id::{CitizenId, Version},
        time::Timestamp,
    },
    store::Put,
};

/// The format that this release writes.
const FORMAT: u8 = 1;
/// Where the payload begins.
const LEN: usize = 63;
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
    /// The payload, if it is short.
    pub payload: Vec<u8>,
}

/// The header of an item that is put, and its payload if that needs a field of its own.
pub fn encode<'a>(put: &'a Put, citizen: &CitizenId) -> (Vec<u8>, &'a [u8]) {
    let (behind, own): (&[u8], &[u8]) = match put.payload.len() {
        0..=SHORT => (&put.payload, &[]),
        _ => (&[], &put.payload),
    };
    let state = if put.dead.is_some() { b'd' } else { b'w' };
    let mut bytes = Vec::with_capacity(LEN + behind.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&put.generation.0.to_be_bytes());
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&[state, 0]);
    bytes.extend_from_slice(&put.due.millis().to_be_bytes());
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&citizen.0);
    bytes.extend_from_slice(behind);
    (bytes, own)
}

/// Reads a header; `None` when it is not one of a release up to this one.
pub fn decode(bytes: &[u8]) -> Option<Header> {
    if bytes.first() != Some(&FORMAT) || bytes.len() < LEN {
        return None;
    }
    let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    Some(Header {
        generation: Version(number(1)),
        attempt: u32::from_be_bytes(bytes[9..13].try_into().expect("four bytes")),
        first_attempt: Timestamp(number(13) as i64),
        unknowns: bytes[22],
        due: Timestamp(number(23) as i64),
        citizen: CitizenId(bytes[47..63].try_into().expect("sixteen bytes")),
        payload: bytes[LEN..].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Queue;

    fn check(payload: &[u8], own: &[u8]) {
        let put = Put {
            queue: Queue::Timer,
            id: "x".into(),
            generation: Version(0x0102_0304_0506_0708),
            due: Timestamp(1_795_511_523_120),
            dead: None,
            payload: payload.to_vec(),
            mt: None,
        };
        let (bytes, outside) = encode(&put, &CitizenId([7; 16]));
        assert_eq!(outside, own);
        let header = decode(&bytes).expect("our own header");
        assert_eq!((header.generation, header.due), (put.generation, put.due));
        assert_eq!((header.attempt, header.unknowns, header.citizen), (0, 0, CitizenId([7; 16])));
        assert_eq!([&header.payload, outside].concat(), payload);
    }

    #[test]
    fn a_short_payload_stands_behind_its_header() {
        check(b"", b"");
        check(&[1; SHORT], b"");
        check(&[1; SHORT + 1], &[1; SHORT + 1]);
    }

    #[test]
    fn other_bytes_are_no_header() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode(&[1; LEN - 1]), None);
        assert_eq!(decode(&[2; LEN]), None);
    }
}
