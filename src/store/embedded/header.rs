//! What the outbox keeps of an MT beside its text, in one column: a claim and a settle read it whole or not at all.
//! A stored shape: never change it, add a format.

use crate::{
    domain::{id::ResponseId, time::Timestamp},
    store::{
        MtHeader, MtKind, Then,
        record::{FORMAT, Unreadable, append},
    },
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct HeaderV1 {
    consent: u32,
    kind: u8,
    urgent: bool,
    expires: i64,
    segments: u16,
    response: [u8; 16],
    /// Which reminder, and how many milliseconds after the acceptance.
    remind: Option<(u8, u64)>,
    /// How many milliseconds after the acceptance or after this moment.
    expire: Option<(u64, i64)>,
}

/// A format byte and the bytes of format 1.
pub(super) fn encode(header: &MtHeader) -> Vec<u8> {
    let MtHeader { consent, kind, urgent, expires, segments, then } = header;
    let Then { response, remind, expire } = then;
    let body = HeaderV1 {
        consent: *consent,
        kind: match kind {
            MtKind::Prompt => 0,
            MtKind::Notice => 1,
            MtKind::Confirmation => 2,
        },
        urgent: *urgent,
        expires: expires.0,
        segments: *segments,
        response: response.0,
        remind: remind.map(|(nth, after)| (nth, millis(after))),
        expire: expire.map(|(after, cap)| (millis(after), cap.0)),
    };
    append(vec![FORMAT], &body)
}

/// Reads what a release up to this one wrote.
pub(super) fn decode(bytes: &[u8]) -> Result<MtHeader, Unreadable> {
    let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
    let [FORMAT, body @ ..] = bytes else { return Err(unreadable) };
    let body: HeaderV1 = postcard::from_bytes(body).map_err(|_| unreadable)?;
    let kind = match body.kind {
        0 => MtKind::Prompt,
        1 => MtKind::Notice,
        2 => MtKind::Confirmation,
        _ => return Err(unreadable),
    };
    let then = Then {
        response: ResponseId(body.response),
        remind: body.remind.map(|(nth, after)| (nth, Duration::from_millis(after))),
        expire: body.expire.map(|(after, cap)| (Duration::from_millis(after), Timestamp(cap))),
    };
    Ok(MtHeader {
        consent: body.consent,
        kind,
        urgent: body.urgent,
        expires: Timestamp(body.expires),
        segments: body.segments,
        then,
    })
}

/// The store's time has milliseconds, and no wait of a flow comes near their end.
fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_that_are_no_header_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let ours = [&[FORMAT][..], &bytes].concat();
            let _ = (decode(&bytes), decode(&ours));
        }
    }
}
