//! What an outbox does that no other queue does: judges at the claim whether an MT is still needed, leaves in doubt what may
//! have left, and starts the timers that begin when a vendor has it.

use super::{
    fault::Fault,
    header,
    item::{self, Place},
};
use crate::{
    domain::{
        id::{CitizenId, Version},
        time::Timestamp,
    },
    store::{MtHeader, MtKind, Put, Queue, payload::TimerPayload, record::Record},
};
use rusqlite::{Connection, OptionalExtension, params};

/// Why nobody needs this MT any more, if so. The order matters: the first reason is the one that is counted.
pub(super) fn unneeded(
    mt: &MtHeader,
    said: Version,
    record: Option<&Record>,
    now: Timestamp,
) -> Option<&'static str> {
    let Some(record) = record else { return Some("forgotten") };
    let silenced = record.stopped() && mt.kind != MtKind::Confirmation;
    if mt.consent != record.consent || silenced {
        return Some("consent");
    }
    if mt.expires <= now {
        return Some("expired");
    }
    (mt.kind == MtKind::Prompt && said < record.asked).then_some("superseded")
}

/// A vendor has what lies here, wherever it lies: it is done, and what follows begins. Whose it was; `None`: there is
/// nothing (any more).
pub(super) fn accepted(db: &Connection, place: &Place, now: Timestamp) -> Result<Option<CitizenId>, Fault> {
    type Row = (i64, [u8; 16], Option<Vec<u8>>);
    let row: Option<Row> = db
        .prepare_cached(
            "SELECT generation, citizen, mt FROM item WHERE queue = ?1 AND partition = ?2 AND id = ?3",
        )?
        .query_row(params![place.queue, place.partition.0, place.id], |row| row.try_into())
        .optional()?;
    let Some((generation, citizen, mt)) = row else { return Ok(None) };
    let citizen = CitizenId(citizen);
    item::done(db, place)?;
    if let Some(mt) = mt {
        start(db, &citizen, Version(generation as u64), &header::decode(&mt)?, now)?;
    }
    Ok(Some(citizen))
}

/// Puts the timers that begin when a vendor has this MT.
fn start(
    db: &Connection,
    citizen: &CitizenId,
    said: Version,
    mt: &MtHeader,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let response = mt.then.response;
    let remind = mt
        .then
        .remind
        .map(|(nth, after)| (now.plus(after), TimerPayload::Remind { response, nth, asked: said }));
    let expire =
        mt.then.expire.map(|(after, cap)| (now.min(cap).plus(after), TimerPayload::Expiry(response)));
    for (due, timer) in remind.into_iter().chain(expire) {
        let put = Put {
            queue: Queue::Timer,
            id: format!("{citizen}:{}", timer.kind()),
            generation: said,
            due,
            dead: None,
            payload: timer.encode(),
            mt: None,
        };
        item::put(db, citizen, &put, now)?;
    }
    Ok(())
}
