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

/// A life, and what only the store looks at.
pub(super) struct Kept {
    pub(super) life: Life,
    /// Whose MT it is, if the item was ever seen: a settle that comes after a receipt no longer finds it.
    pub(super) citizen: Option<CitizenId>,
    /// An acceptance was told: the same settle sent again adds nothing.
    accepted: bool,
    /// When it began.
    born: Timestamp,
    expires: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct LifeV1 {
    citizen: Option<[u8; 16]>,
    accepted: bool,
    born: i64,
    parts: Vec<(u8, u8)>,
    vendor_id: Option<String>,
    lines: Vec<(i64, String)>,
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
    if settled == Settled::Stale && kept.accepted {
        return Ok(());
    }
    kept.citizen = kept.citizen.or(citizen);
    if accepted {
        kept.accepted = true;
        kept.raise(0, MtState::Accepted, now);
    }
    if let Some(SentLine { said, vendor_id, thread }) = &settle.sent {
        kept.add(LifeLine { at: now, said: said.clone() });
        kept.life.vendor_id = vendor_id.clone().or(kept.life.vendor_id);
        if let (Some(line), Some(citizen)) = (thread, kept.citizen) {
            thread::append(db, &citizen, line, now)?;
        }
    }
    Ok(kept.write(db, &mt)?)
}

impl Kept {
    /// A life that begins now.
    pub(super) fn begin(now: Timestamp) -> Kept {
        let expires = now.plus(LIFE_MAX);
        Kept { life: Life::default(), citizen: None, accepted: false, born: now, expires }
    }

    /// A part's state is the highest that was ever heard. Whether it is new.
    pub(super) fn raise(&mut self, part: u8, state: MtState, now: Timestamp) -> bool {
        let parts = &mut self.life.parts;
        match parts.binary_search_by_key(&part, |(part, _)| *part) {
            Ok(at) if parts[at].1 >= state => return false,
            Ok(at) => parts[at].1 = state,
            Err(at) => parts.insert(at, (part, state)),
        }
        if state.is_final() {
            self.expires = now.plus(LIFE_AFTER_END).min(self.born.plus(LIFE_MAX));
        }
        true
    }

    /// One line more; the oldest give way.
    pub(super) fn add(&mut self, line: LifeLine) {
        let lines = &mut self.life.lines;
        lines.push(line);
        lines.drain(..lines.len().saturating_sub(LIFE_LINES));
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
        let Kept { life: Life { parts, vendor_id, lines }, citizen, accepted, born, expires: _ } = self;
        let body = LifeV1 {
            citizen: citizen.map(|citizen| citizen.0),
            accepted: *accepted,
            born: born.0,
            parts: parts.iter().map(|(part, state)| (*part, *state as u8)).collect(),
            vendor_id: vendor_id.clone(),
            lines: lines.iter().map(|line| (line.at.0, line.said.clone())).collect(),
        };
        append(vec![FORMAT], &body)
    }

    fn decode(bytes: &[u8], expires: Timestamp) -> Result<Kept, Unreadable> {
        let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
        let [FORMAT, body @ ..] = bytes else { return Err(unreadable) };
        let body: LifeV1 = postcard::from_bytes(body).map_err(|_| unreadable)?;
        let part = |(part, state)| Ok((part, MtState::of(state).ok_or(unreadable)?));
        let line = |(at, said)| LifeLine { at: Timestamp(at), said };
        let life = Life {
            parts: body.parts.into_iter().map(part).collect::<Result<_, _>>()?,
            vendor_id: body.vendor_id,
            lines: body.lines.into_iter().map(line).collect(),
        };
        let citizen = body.citizen.map(CitizenId);
        Ok(Kept { life, citizen, accepted: body.accepted, born: Timestamp(body.born), expires })
    }
}
