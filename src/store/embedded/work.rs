//! The acts of those who work a queue off: claim by lease, settle by attempt.

use super::{
    fault::Fault,
    header,
    item::{self, Place},
    life, outbox, turn,
};
use crate::{
    domain::{
        delivery::Verdict,
        id::{CitizenId, Version},
        time::Timestamp,
    },
    store::{CLAIM_MAX, Claim, Claimed, Item, LEASE, Queue, Settle, Settled},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// How many attempts in a row may end unknown: then a person must look.
const UNKNOWNS_MAX: u8 = 2;

/// The columns of an item that a claim reads, as [`item_of`] does.
macro_rules! select_items {
    ($rest:literal) => {
        concat!(
            "SELECT id, generation, attempt, first, unknowns, due, citizen, payload, mt, token IS NOT NULL FROM item ",
            $rest
        )
    };
}

/// An item that is due.
struct Due {
    item: Item,
    /// Somebody's lease lapsed on it.
    lapsed: bool,
}

/// Takes due items, or gives those again that this token holds.
pub(super) fn claim(db: &Connection, claim: &Claim, now: Timestamp) -> Result<Claimed, Fault> {
    let queue = claim.queue.to_string();
    let mut items = held(db, claim, &queue, now)?;
    if items.is_empty() {
        items = take(db, claim, now)?;
    }
    Ok(Claimed { items, next_due: next_due(db, claim, &queue, now)? })
}

/// What a claim with this token took before and still holds: its answer was lost.
fn held(db: &Connection, claim: &Claim, queue: &str, now: Timestamp) -> Result<Vec<Item>, Fault> {
    let mut select = db.prepare_cached(select_items!(
        "WHERE token = ?1 AND queue = ?2 AND partition = ?3 AND at > ?4 ORDER BY bulk, due, id"
    ))?;
    let mut rows = select.query(params![claim.token, queue, claim.partition.0, now.0])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(item_of(db, row, now)?.item);
    }
    Ok(items)
}

/// Takes what is due, at most so many as were asked for. As many again may be passed over, because nobody needs them or
/// because they may have left already; if there are more of those, `next_due` says so.
fn take(db: &Connection, claim: &Claim, now: Timestamp) -> Result<Vec<Item>, Fault> {
    let max = claim.max.min(CLAIM_MAX);
    let (mut taken, mut passed) = (Vec::new(), 0);
    for bulk in item::orders(&claim.queue) {
        for Due { mut item, lapsed } in due(db, claim, *bulk, 2 * max - taken.len() - passed, now)? {
            if taken.len() == max || passed == max {
                return Ok(taken);
            }
            if pass_over(db, claim, &item, lapsed, now)? {
                passed += 1;
                continue;
            }
            lease(db, claim, &mut item, now)?;
            taken.push(item);
        }
    }
    Ok(taken)
}

fn due(db: &Connection, claim: &Claim, bulk: bool, max: usize, now: Timestamp) -> Result<Vec<Due>, Fault> {
    let mut select = db.prepare_cached(select_items!(
        "WHERE queue = ?1 AND partition = ?2 AND bulk = ?3 AND at <= ?4 AND died IS NULL ORDER BY at, id LIMIT ?5"
    ))?;
    let mut rows =
        select.query(params![claim.queue.to_string(), claim.partition.0, bulk, now.0, max as i64])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(item_of(db, row, now)?);
    }
    Ok(items)
}

/// Leaves in doubt an MT whose lease lapsed, and suppresses one that nobody needs any more. False: it is to be taken.
fn pass_over(
    db: &Connection,
    claim: &Claim,
    item: &Item,
    lapsed: bool,
    now: Timestamp,
) -> Result<bool, Fault> {
    let place = Place::new(&claim.queue, claim.partition, &item.id);
    if let (Some(doubt), true) = (claim.doubt, lapsed) {
        unknown(db, &place, item.attempt, item.unknowns, now.plus(doubt), now)?;
        return Ok(true);
    }
    let Some(mt) = &item.mt else { return Ok(false) };
    let reason = outbox::unneeded(mt, item.generation, item.record.as_ref(), now);
    if let Some(reason) = reason {
        item::suppress(db, &place, reason)?;
    }
    Ok(reason.is_some())
}

fn item_of(db: &Connection, row: &Row, now: Timestamp) -> Result<Due, Fault> {
    let mt: Option<Vec<u8>> = row.get(8)?;
    let citizen = CitizenId(row.get(6)?);
    let item = Item {
        id: row.get(0)?,
        generation: Version(row.get::<_, i64>(1)? as u64),
        attempt: row.get(2)?,
        first_attempt: Timestamp(row.get::<_, Option<i64>>(3)?.unwrap_or_default()),
        unknowns: row.get(4)?,
        due: Timestamp(row.get(5)?),
        citizen,
        record: turn::record(db, &citizen, now)?,
        payload: row.get(7)?,
        mt: mt.map(|mt| header::decode(&mt)).transpose()?,
    };
    Ok(Due { item, lapsed: row.get(9)? })
}

/// Makes a due item ours: one attempt more, looked at again when the lease ends.
fn lease(db: &Connection, claim: &Claim, item: &mut Item, now: Timestamp) -> rusqlite::Result<()> {
    item.attempt += 1;
    item.first_attempt = db
        .prepare_cached(
            "UPDATE item SET at = ?4, attempt = ?5, first = coalesce(first, ?6), token = ?7
             WHERE queue = ?1 AND partition = ?2 AND id = ?3 RETURNING first",
        )?
        .query_row(
            params![
                claim.queue.to_string(),
                claim.partition.0,
                item.id,
                now.plus(LEASE).0,
                item.attempt,
                now.0,
                claim.token
            ],
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
    let mut select = db.prepare_cached(
        "SELECT at FROM item WHERE queue = ?1 AND partition = ?2 AND bulk = ?3 AND died IS NULL
         AND NOT (token IS ?4 AND at > ?5) ORDER BY at LIMIT 1",
    )?;
    let mut next = None;
    for bulk in item::orders(&claim.queue) {
        let at = params![queue, claim.partition.0, bulk, claim.token, now.0];
        let due = select.query_row(at, |row| row.get(0).map(Timestamp)).optional()?;
        next = next.into_iter().chain(due).min();
    }
    Ok(next)
}

/// An item as a settle finds it.
struct Found {
    generation: Version,
    attempt: u32,
    unknowns: u8,
    leased: bool,
    citizen: CitizenId,
}

/// Ends an attempt, and mostly its item; tells the life of an MT.
pub(super) fn settle(db: &Connection, settle: &Settle, now: Timestamp) -> Result<Settled, Fault> {
    let place = Place::new(&settle.queue, settle.partition, &settle.id);
    let found = find(db, &place, now)?.filter(|found| found.generation == settle.generation);
    let settled = match &found {
        Some(found) => end(db, settle, &place, found, now)?,
        None => Settled::Stale,
    };
    if matches!(settle.queue, Queue::Outbox(_)) {
        life::tell(db, settle, settled, found.map(|found| found.citizen), now)?;
    }
    Ok(settled)
}

fn end(
    db: &Connection,
    settle: &Settle,
    place: &Place,
    found: &Found,
    now: Timestamp,
) -> Result<Settled, Fault> {
    let &Found { attempt, unknowns, leased, .. } = found;
    let ours = leased && attempt == settle.attempt;
    match &settle.verdict {
        Verdict::Accepted => drop(outbox::accepted(db, place, now)?),
        _ if !ours => return Ok(Settled::Stale),
        Verdict::Suppressed(reason) => item::suppress(db, place, reason)?,
        Verdict::Dead(why) => die(db, place, why, now)?,
        Verdict::Unknown(due) => unknown(db, place, attempt, unknowns, *due, now)?,
        Verdict::Again(due) => waits(db, place, *due, attempt, 0)?,
        Verdict::Later(due) => waits(db, place, *due, attempt - 1, unknowns)?,
    }
    Ok(Settled::Done)
}

/// An attempt more whose end nobody knows: the item waits in doubt until `due`, or a person must look.
fn unknown(
    db: &Connection,
    place: &Place,
    attempt: u32,
    unknowns: u8,
    due: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    if unknowns + 1 < UNKNOWNS_MAX {
        return waits(db, place, due, attempt, unknowns + 1);
    }
    let why =
        format!("{UNKNOWNS_MAX} attempts in a row ended unknown: it may have arrived, so a person must look");
    die(db, place, &why, now)
}

fn find(db: &Connection, place: &Place, now: Timestamp) -> rusqlite::Result<Option<Found>> {
    db.prepare_cached(
        "SELECT generation, attempt, unknowns, token IS NOT NULL AND at > ?4 AND died IS NULL, citizen FROM item
         WHERE queue = ?1 AND partition = ?2 AND id = ?3",
    )?
    .query_row(params![place.queue, place.partition.0, place.id, now.0], |row| {
        Ok(Found {
            generation: Version(row.get::<_, i64>(0)? as u64),
            attempt: row.get(1)?,
            unknowns: row.get(2)?,
            leased: row.get(3)?,
            citizen: CitizenId(row.get(4)?),
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

/// Ends all leases: whoever held them is gone, for there is one gateway. An MT keeps its token, so that the next claim finds
/// a lapsed lease and leaves it in doubt: it may have left.
pub(super) fn end_leases(db: &Connection) -> rusqlite::Result<usize> {
    db.execute("UPDATE item SET at = due, token = iif(mt IS NULL, NULL, token) WHERE token IS NOT NULL", [])
}
