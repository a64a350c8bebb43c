//! One item of a queue: put, replaced, cancelled, done. Every change of an item moves its queue's counters in the same act.

use super::header;
use crate::{
    domain::{
        id::{CitizenId, Partition, Version},
        time::Timestamp,
    },
    store::{Put, Queue},
};
use rusqlite::{Connection, OptionalExtension, params};

/// The counters' names. `suppressed:` is followed by the reason.
pub(super) const PUT: &str = "in";
pub(super) const DONE: &str = "done";
pub(super) const DROPPED: &str = "dropped";
pub(super) const REPLACED: &str = "replaced";
pub(super) const SUPPRESSED: &str = "suppressed:";

/// The two orders of an outbox, as they stand in `item.bulk`: replies to an MO, then the rest.
const OUTBOX_ORDERS: [bool; 2] = [false, true];

/// The orders that a queue's items wait in, first that which goes first.
pub(super) fn orders(queue: &Queue) -> &'static [bool] {
    match queue {
        Queue::Outbox(_) => &OUTBOX_ORDERS,
        Queue::Timer | Queue::Completion(_) | Queue::Join => &OUTBOX_ORDERS[..1],
    }
}

/// Where an item lies.
pub(super) struct Place<'a> {
    pub(super) queue: String,
    pub(super) partition: Partition,
    pub(super) id: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn new(queue: &Queue, partition: Partition, id: &'a str) -> Place<'a> {
        Place { queue: queue.to_string(), partition, id }
    }
}

/// The generation of what waits (or is claimed) here; a dead letter does not wait.
pub(super) fn waiting(db: &Connection, place: &Place) -> rusqlite::Result<Option<Version>> {
    generation(
        db,
        place,
        "SELECT generation FROM item WHERE queue = ?1 AND partition = ?2 AND id = ?3 AND died IS NULL",
    )
}

/// The generation of what lies here, dead or alive.
fn there(db: &Connection, place: &Place) -> rusqlite::Result<Option<Version>> {
    generation(db, place, "SELECT generation FROM item WHERE queue = ?1 AND partition = ?2 AND id = ?3")
}

fn generation(db: &Connection, place: &Place, select: &str) -> rusqlite::Result<Option<Version>> {
    db.prepare_cached(select)?
        .query_row(params![place.queue, place.partition.0, place.id], |row| row.get::<_, i64>(0))
        .optional()
        .map(|bits| bits.map(|bits| Version(bits as u64)))
}

/// Puts an item. What is there gives way unless it is newer, with its lease, its attempts and its death; an older
/// newcomer is itself what is replaced.
pub(super) fn put(db: &Connection, citizen: &CitizenId, put: &Put, now: Timestamp) -> rusqlite::Result<()> {
    let place = Place::new(&put.queue, citizen.partition(), &put.id);
    count(db, &place, PUT)?;
    if let Some(there) = there(db, &place)? {
        count(db, &place, REPLACED)?;
        if there > put.generation {
            return Ok(());
        }
        remove(db, &place)?;
    }
    let Put { queue: _, id, generation, due, dead, payload, mt } = put;
    db.prepare_cached(
        "INSERT INTO item (queue, partition, id, generation, due, at, died, why, citizen, payload, bulk, mt)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        place.queue,
        place.partition.0,
        id,
        generation.0 as i64,
        due.0,
        dead.as_ref().map(|_| now.0),
        dead,
        citizen.0,
        payload,
        mt.as_ref().is_some_and(|mt| !mt.urgent),
        mt.as_ref().map(header::encode)
    ])?;
    Ok(())
}

/// Takes an item out wherever it lies, because nobody needs it any more; where there is none, nothing.
pub(super) fn cancel(db: &Connection, place: &Place) -> rusqlite::Result<()> {
    if remove(db, place)? > 0 {
        count(db, place, &format!("{SUPPRESSED}cancelled"))?;
    }
    Ok(())
}

/// Takes out an item that nobody needs any more, for this reason.
pub(super) fn suppress(db: &Connection, place: &Place, reason: &str) -> rusqlite::Result<()> {
    remove(db, place)?;
    count(db, place, &format!("{SUPPRESSED}{reason}"))
}

/// Takes out an item that reached the other side.
pub(super) fn done(db: &Connection, place: &Place) -> rusqlite::Result<()> {
    remove(db, place)?;
    count(db, place, DONE)
}

/// Takes out an item; the caller counts why.
pub(super) fn remove(db: &Connection, place: &Place) -> rusqlite::Result<usize> {
    db.prepare_cached("DELETE FROM item WHERE queue = ?1 AND partition = ?2 AND id = ?3")?.execute(params![
        place.queue,
        place.partition.0,
        place.id
    ])
}

/// One more of `what` in this queue and partition.
pub(super) fn count(db: &Connection, place: &Place, what: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO count (queue, partition, what, n) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT (queue, partition, what) DO UPDATE SET n = n + 1",
    )?
    .execute(params![place.queue, place.partition.0, what])?;
    Ok(())
}
