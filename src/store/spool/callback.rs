//! A callback as the spool keeps it: decoded, so that it needs no vendor and no secret to be replayed; sealed, because it
//! holds numbers. Stored shapes, versioned like records: never change one, add a format.

use crate::{
    domain::{
        id::ChannelId,
        keys::{Keys, Sealed},
        message::{Dlr, Mo, MtState},
        msisdn::Msisdn,
        time::Timestamp,
    },
    store::record::append,
};
use serde::{Deserialize, Serialize};

/// The first byte of what is sealed.
const FORMAT: u8 = 1;

/// One MO or DLR that was taken while the store could not take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// The channel it came in by.
    pub channel: ChannelId,
    /// Names its event where the vendor gives nothing to tell a repeat by: kept, so that a replay is known as a replay.
    pub random: [u8; 16],
    /// What came in.
    pub what: Kept,
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A message from a phone.
    Mo(Mo),
    /// A receipt.
    Dlr(Dlr),
}

/// Callbacks in lanes: what one citizen wrote stays in its order, in one lane; a receipt has a lane of its own, because
/// receipts converge in any order (P10). Lanes may run side by side.
pub fn lanes<T>(callbacks: Vec<T>, kept: impl Fn(&T) -> &Kept) -> Vec<Vec<T>> {
    let mut lanes: Vec<Vec<T>> = Vec::new();
    let mut of = std::collections::HashMap::new();
    for callback in callbacks {
        let Kept::Mo(Mo { from, .. }) = kept(&callback) else {
            lanes.push(vec![callback]);
            continue;
        };
        let lane = *of.entry(from.clone()).or_insert(lanes.len());
        match lanes.get_mut(lane) {
            Some(lane) => lane.push(callback),
            None => lanes.push(vec![callback]),
        }
    }
    lanes
}

#[derive(Serialize, Deserialize)]
struct SpooledV1 {
    channel: String,
    random: [u8; 16],
    what: KeptV1,
}

#[derive(Serialize, Deserialize)]
enum KeptV1 {
    Mo {
        from: String,
        to: String,
        text: String,
        id: Option<String>,
        sent: Option<i64>,
        at: i64,
    },
    Dlr {
        reference: Option<String>,
        id: Option<String>,
        part: u8,
        state: u8,
        word: String,
        code: String,
        at: i64,
    },
}

impl Spooled {
    /// Sealed bytes for the file: the sealing key's id, then nonce and ciphertext.
    pub(super) fn seal(&self, keys: &Keys) -> Vec<u8> {
        let Spooled { channel, random, what } = self;
        let body = SpooledV1 { channel: channel.to_string(), random: *random, what: KeptV1::of(what) };
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).expect("the system has randomness");
        let Sealed { key, bytes } = keys.seal_bytes(nonce, &append(vec![FORMAT], &body));
        [&key.to_be_bytes()[..], &bytes].concat()
    }

    /// Reads what a release up to this one sealed; the error is for people.
    pub(super) fn open(keys: &Keys, stored: &[u8]) -> Result<Spooled, String> {
        let (key, bytes) = stored.split_first_chunk::<4>().ok_or("it is cut off")?;
        let sealed = Sealed { key: u32::from_be_bytes(*key), bytes: bytes.to_vec() };
        let opened =
            keys.open_bytes(&sealed).ok_or("it is sealed with a key that the key file does not have")?;
        let (format, body) = opened.split_first().ok_or("it is empty")?;
        if *format != FORMAT {
            return Err(format!("it has format {format}, which this release does not know"));
        }
        let body: SpooledV1 = postcard::from_bytes(body).map_err(|_| "it cannot be read")?;
        let channel = ChannelId::parse(&body.channel).ok_or("its channel's id cannot be read")?;
        let what = body.what.kept().ok_or("its number or state cannot be read")?;
        Ok(Spooled { channel, random: body.random, what })
    }
}

impl KeptV1 {
    fn of(what: &Kept) -> KeptV1 {
        match what.clone() {
            Kept::Mo(Mo { from, to, text, id, sent, at }) => KeptV1::Mo {
                from: from.reveal().to_owned(),
                to,
                text,
                id,
                sent: sent.map(|sent| sent.0),
                at: at.0,
            },
            Kept::Dlr(Dlr { reference, id, part, state, word, code, at }) => {
                let state = state.map_or(0, |state| state as u8);
                KeptV1::Dlr { reference, id, part, state, word, code, at: at.0 }
            }
        }
    }

    fn kept(self) -> Option<Kept> {
        Some(match self {
            KeptV1::Mo { from, to, text, id, sent, at } => Kept::Mo(Mo {
                from: Msisdn::from_e164(&from)?,
                to,
                text,
                id,
                sent: sent.map(Timestamp),
                at: Timestamp(at),
            }),
            KeptV1::Dlr { reference, id, part, state, word, code, at } => {
                let state = match state {
                    0 => None,
                    known => Some(MtState::of(known)?),
                };
                Kept::Dlr(Dlr { reference, id, part, state, word, code, at: Timestamp(at) })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mo(from: &str, text: &str) -> Kept {
        Kept::Mo(Mo {
            from: Msisdn::from_e164(from).expect("a number"),
            to: "4545".into(),
            text: text.into(),
            id: Some("m-1".into()),
            sent: Some(Timestamp(1_795_511_523_000)),
            at: Timestamp(1_795_511_523_120),
        })
    }

    fn dlr(state: Option<MtState>) -> Kept {
        Kept::Dlr(Dlr {
            reference: None,
            id: Some("v-1".into()),
            part: 2,
            state,
            word: "DELIVRD".into(),
            code: "000".into(),
            at: Timestamp(1_795_511_523_120),
        })
    }

    #[test]
    fn what_is_sealed_is_what_comes_out() {
        let keys = Keys::new(&[1; 32], (7, [2; 32]), None);
        let states = MtState::ALL.into_iter().map(Some).chain([None]);
        for what in states.map(dlr).chain([mo("+919437000001", ""), mo("+919437000001", "ଭଲ \n ")]) {
            let channel = ChannelId::parse("k4545").expect("an id");
            let spooled = Spooled { channel, random: [9; 16], what };
            let sealed = spooled.seal(&keys);
            assert_eq!(Spooled::open(&keys, &sealed), Ok(spooled.clone()));
            assert_ne!(sealed, spooled.seal(&keys), "the same message twice does not look alike");
            for cut in 0..sealed.len() {
                assert!(Spooled::open(&keys, &sealed[..cut]).is_err(), "cut to {cut} bytes");
            }
        }
    }

    #[test]
    fn a_citizens_messages_stay_in_one_lane_in_their_order() {
        let (one, two) = ("+919437000001", "+919437000002");
        let all = vec![mo(one, "a"), mo(two, "b"), dlr(None), mo(one, "c"), dlr(None), mo(two, "d")];
        let expected = vec![
            vec![mo(one, "a"), mo(one, "c")],
            vec![mo(two, "b"), mo(two, "d")],
            vec![dlr(None)],
            vec![dlr(None)],
        ];
        assert_eq!(lanes(all, |kept| kept), expected);
    }
}
