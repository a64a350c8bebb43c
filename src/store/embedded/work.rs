//! The acts of those who work a queue off: claim by lease, settle by attempt.

use super::{
    fault::Fault,
    item::{self, Place},
    turn,
};
use crate::{
    domain::{
        delivery::Verdict,
        id::{CitizenId, Version},
        time::Timestamp,
    },
    store::{CLAIM_MAX, Claim, Claimed, Item, LEASE, Settle, Settled},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// How many attempts in a row may end unknown: then a person must look.
const UNKNOWNS_MAX: u8 = 2;

/// Takes due items, or gives those again that this token holds.
pub(super) fn claim(db: &Connection, claim: &Claim, now: Timestamp) -> Result<Claimed, Fault> {
    let queue = claim.queue.to_string();
    let mut items = held(db, claim, &queue, now)?;
    if items.is_empty() {
        items = due(db, claim, &queue, now)?;
        for item in &mut items {
            lease(db, claim, &queue, item, now)?;
        }
    }
    for item in &mut items {
        item.record = turn::record(db, &item.citizen, now)?;
    }
    Ok(Claimed { items, next_due: next_due(db, claim, &queue, now)? })
}

/// What a claim with this token took before and still holds: its answer was lost.
fn held(db: &Connection, claim: &Claim, queue: &str, now: Timestamp) -> rusqlite::Result<Vec<Item>> {
    db.prepare_cached(
        "SELECT id, generation, attempt, first, unknowns, due, citizen, payload FROM item
         WHERE token = ?1 AND queue = ?2 AND partition = ?3 AND at > ?4 ORDER BY due, id",
    )?
    .query_map(params![claim.token, queue, claim.partition.0, now.0], item_of)?
    .collect()
}

fn due(db: &Connection, claim: &Claim, queue: &str, now: Timestamp) -> rusqlite::Result<Vec<Item>> {
    let max = claim.max.min(CLAIM_MAX) as i64;
    db.prepare_cached(
        "SELECT id, generation, attempt, first, unknowns, due, citizen, payload FROM item
         WHERE queue = ?1 AND partition = ?2 AND at <= ?3 AND died IS NULL ORDER BY at, id LIMIT ?4",
    )?
    .query_map(params![queue, claim.partition.0, now.0, max], item_of)?
    .collect()
}

fn item_of(row: &Row) -> rusqlite::Result<Item> {
    Ok(Item {
        id: row.get(0)?,
        generation: Version(row.get::<_, i64>(1)? as u64),
        attempt: row.get(2)?,
        first_attempt: Timestamp(row.get::<_, Option<i64>>(3)?.unwrap_or_default()),
        unknowns: row.get(4)?,
        due: Timestamp(row.get(5)?),
        citizen: CitizenId(row.get(6)?),
        record: None,
        payload: row.get(7)?,
        mt: None,
    })
}

/// Makes a due item ours: one attempt more, looked at again when the lease ends.
fn lease(
    db: &Connection,
    claim: &Claim,
    queue: &str,
    item: &mut Item,
    now: Timestamp,
) -> rusqlite::Result<()> {
    item.attempt += 1;
    item.first_attempt = db
        .prepare_cached(
            "UPDATE item SET at = ?4, attempt = ?5, first = coalesce(first, ?6), token = ?7
             WHERE queue = ?1 AND partition = ?2 AND id = ?3 RETURNING first",
        )?
        .query_row(
            params![queue, claim.partition.0, item.id, now.plus(LEASE).0, item.attempt, now.0, claim.token],
            |row| row.get(0).map(Timestamp),
        )?;
    Ok(())
}

/// When the first item is due that this claim did not take. At most [`CLAIM_MAX`] rows of its own are passed over.
fn next_due(
    db: &Connection,
    claim: &Claim,
    queue: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    db.prepare_cached(
        "SELECT at FROM item WHERE queue = ?1 AND partition = ?2 AND died IS NULL
         AND NOT (token IS ?3 AND at > ?4) ORDER BY at LIMIT 1",
    )?
    .query_row(params![queue, claim.partition.0, claim.token, now.0], |row| row.get(0).map(Timestamp))
    .optional()
}

/// An item as a settle finds it.
struct Found {
    generation: Version,
    attempt: u32,
    unknowns: u8,
    leased: bool,
}

/// Ends an attempt, and mostly its item.
pub(super) fn settle(db: &Connection, settle: &Settle, now: Timestamp) -> Result<Settled, Fault> {
    let place = Place::new(&settle.queue, settle.partition, &settle.id);
    let Some(found) = find(db, &place, now)?.filter(|found| found.generation == settle.generation) else {
        return Ok(Settled::Stale);
    };
    let ours = found.leased && found.attempt == settle.attempt;
    match &settle.verdict {
        Verdict::Accepted => item::done(db, &place)?,
        _ if !ours => return Ok(Settled::Stale),
        Verdict::Suppressed(reason) => {
            item::remove(db, &place)?;
            item::count(db, &place, &format!("{}{reason}", item::SUPPRESSED))?;
        }
        Verdict::Dead(why) => die(db, &place, why, now)?,
        Verdict::Unknown(_) if found.unknowns + 1 >= UNKNOWNS_MAX => {
            let why = format!(
                "{UNKNOWNS_MAX} attempts in a row ended unknown: it may have arrived, so a person must look"
            );
            die(db, &place, &why, now)?;
        }
        Verdict::Unknown(due) => waits(db, &place, *due, found.attempt, found.unknowns + 1)?,
        Verdict::Again(due) => waits(db, &place, *due, found.attempt, 0)?,
        Verdict::Later(due) => waits(db, &place, *due, found.attempt - 1, found.unknowns)?,
    }
    Ok(Settled::Done)
}

fn find(db: &Connection, place: &Place, now: Timestamp) -> rusqlite::Result<Option<Found>> {
    db.prepare_cached(
        "SELECT generation, attempt, unknowns, token IS NOT NULL AND at > ?4 AND died IS NULL FROM item
         WHERE queue = ?1 AND partition = ?2 AND id = ?3",
    )?
    .query_row(params![place.queue, place.partition.0, place.id, now.0], |row| {
        Ok(Found {
            generation: Version(row.get::<_, i64>(0)? as u64),
            attempt: row.get(1)?,
            unknowns: row.get(2)?,
            leased: row.get(3)?,
        })
    })
    .optional()
}

/// The item waits until `due`; nobody holds it.
fn waits(db: &Connection, place: &Place, due: Timestamp, attempt: u32, unknowns: u8) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE item SET due = ?4, at = ?4, attempt = ?5, unknowns = ?6, token = NULL
         WHERE queue = ?1 AND partition = ?2 AND id = ?3",
    )?
    .execute(params![place.queue, place.partition.0, place.id, due.0, attempt, unknowns])?;
    Ok(())
}

/// The item becomes a dead letter; nobody holds it.
fn die(db: &Connection, place: &Place, why: &str, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE item SET died = ?4, why = ?5, unknowns = 0, token = NULL
         WHERE queue = ?1 AND partition = ?2 AND id = ?3",
    )?
    .execute(params![place.queue, place.partition.0, place.id, now.0, why])?;
    Ok(())
}

/// Ends all leases: whoever held them is gone, for there is one gateway.
pub(super) fn end_leases(db: &Connection) -> rusqlite::Result<usize> {
    db.execute("UPDATE item SET at = due, token = NULL WHERE token IS NOT NULL", [])
}
