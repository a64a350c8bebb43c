//! What is known of an MT after its send or its first receipt: the highest state of each part (P10), the vendor's id, and
//! a few lines for people. One row an MT, a stored shape: never change it, add a format.

use super::{fault::Fault, thread};
use crate::{
    domain::{
        delivery::Verdict,
        id::{CitizenId, MtId},
        message::MtState,
        time::Timestamp,
    },
    store::{
        LIFE_AFTER_END, LIFE_LINES, LIFE_MAX, Life, LifeLine, SentLine, Settle, Settled,
        record::{FORMAT, Unreadable, append},
    },
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// A life as it is kept: more than people are shown.
#[derive(Default)]
pub(super) struct Kept {
    parts: Vec<(u8, MtState)>,
    vendor_id: Option<String>,
    lines: Vec<Line>,
    /// Whose MT it is, if the item was ever seen: a settle that comes after a receipt no longer finds it.
    pub(super) citizen: Option<CitizenId>,
    expires: Timestamp,
}

struct Line {
    at: Timestamp,
    of: Of,
    said: String,
}

/// Whose word a line is. The same word of the same one is told once.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Of {
    /// The vendor's answer to this attempt.
    Attempt(u32),
    /// A receipt for this part.
    Part(u8),
}

#[derive(Serialize, Deserialize)]
struct LifeV1 {
    parts: Vec<(u8, u8)>,
    vendor_id: Option<String>,
    lines: Vec<(i64, Of, String)>,
    citizen: Option<[u8; 16]>,
}

/// The life of an MT, if it is known and its time is not over.
pub(super) fn find(db: &Connection, mt: &MtId, now: Timestamp) -> Result<Option<Kept>, Fault> {
    let row: Option<(Vec<u8>, i64)> = db
        .prepare_cached("SELECT stored, expires FROM life WHERE id = ?1 AND expires > ?2")?
        .query_row(params![mt.0, now.0], |row| row.try_into())
        .optional()?;
    Ok(row.map(|(stored, expires)| Kept::decode(&stored, Timestamp(expires))).transpose()?)
}

/// Tells an MT's life how a settle of its item went: what counted, and an acceptance that a receipt was faster than.
pub(super) fn tell(
    db: &Connection,
    settle: &Settle,
    settled: Settled,
    citizen: Option<CitizenId>,
    now: Timestamp,
) -> Result<(), Fault> {
    let accepted = settle.verdict == Verdict::Accepted;
    let Some(mt) = MtId::parse(&settle.id).filter(|_| accepted || settled == Settled::Done) else {
        return Ok(());
    };
    let mut kept = find(db, &mt, now)?.unwrap_or_else(|| Kept::begin(now));
    kept.citizen = kept.citizen.or(citizen);
    let mut news = false;
    if accepted {
        news |= kept.raise(0, MtState::Accepted, now);
    }
    if let Some(SentLine { said, vendor_id, thread }) = &settle.sent
        && kept.add(now, Of::Attempt(settle.attempt), said)
    {
        news = true;
        kept.vendor_id = vendor_id.clone().or(kept.vendor_id);
        if let (Some(line), Some(citizen)) = (thread, kept.citizen) {
            thread::append(db, &citizen, line, now)?;
        }
    }
    if news {
        kept.write(db, &mt)?;
    }
    Ok(())
}

impl Kept {
    /// A life that begins now.
    pub(super) fn begin(now: Timestamp) -> Kept {
        Kept { expires: now.plus(LIFE_MAX), ..Kept::default() }
    }

    /// A part's state is the highest that was ever heard. Whether it is new. The first final one ends the life in its time.
    pub(super) fn raise(&mut self, part: u8, state: MtState, now: Timestamp) -> bool {
        let parts = &mut self.parts;
        match parts.binary_search_by_key(&part, |(part, _)| *part) {
            Ok(at) if parts[at].1 >= state => return false,
            Ok(at) => parts[at].1 = state,
            Err(at) => parts.insert(at, (part, state)),
        }
        if state.is_final() {
            self.expires = self.expires.min(now.plus(LIFE_AFTER_END));
        }
        true
    }

    /// One line more, unless it was told before; the oldest give way. Whether it is new.
    pub(super) fn add(&mut self, at: Timestamp, of: Of, said: &str) -> bool {
        let lines = &mut self.lines;
        if lines.iter().any(|line| line.of == of && line.said == said) {
            return false;
        }
        lines.push(Line { at, of, said: said.into() });
        lines.drain(..lines.len().saturating_sub(LIFE_LINES));
        true
    }

    /// What people are shown.
    pub(super) fn shown(self) -> Life {
        let lines = self.lines.into_iter().map(|Line { at, of: _, said }| LifeLine { at, said });
        Life { parts: self.parts, vendor_id: self.vendor_id, lines: lines.collect() }
    }

    pub(super) fn write(&self, db: &Connection, mt: &MtId) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO life (id, stored, expires) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET stored = excluded.stored, expires = excluded.expires",
        )?
        .execute(params![mt.0, self.encode(), self.expires.0])?;
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let Kept { parts, vendor_id, lines, citizen, expires: _ } = self;
        let body = LifeV1 {
            parts: parts.iter().map(|(part, state)| (*part, *state as u8)).collect(),
            vendor_id: vendor_id.clone(),
            lines: lines.iter().map(|line| (line.at.0, line.of, line.said.clone())).collect(),
            citizen: citizen.map(|citizen| citizen.0),
        };
        append(vec![FORMAT], &body)
    }

    fn decode(bytes: &[u8], expires: Timestamp) -> Result<Kept, Unreadable> {
        let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
        let [FORMAT, body @ ..] = bytes else { return Err(unreadable) };
        let body: LifeV1 = postcard::from_bytes(body).map_err(|_| unreadable)?;
        let part = |(part, state)| Ok((part, MtState::of(state).ok_or(unreadable)?));
        let line = |(at, of, said)| Line { at: Timestamp(at), of, said };
        Ok(Kept {
            parts: body.parts.into_iter().map(part).collect::<Result<_, _>>()?,
            vendor_id: body.vendor_id,
            lines: body.lines.into_iter().map(line).collect(),
            citizen: body.citizen.map(CitizenId),
            expires,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_that_are_no_life_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let ours = [&[FORMAT][..], &bytes].concat();
            for bytes in [&bytes, &ours] {
                let _ = Kept::decode(bytes, Timestamp(0));
            }
        }
    }
}
