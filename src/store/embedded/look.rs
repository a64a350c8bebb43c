//! What only looks: plain reads, on a reader's connection. Each sees one moment of the store.

use super::{fault::Fault, item, turn};
use crate::{
    domain::{
        id::{CitizenId, Partition, Revision, Version},
        time::Timestamp,
    },
    store::{Dead, Found, ItemState, KeysFound, Load, Loaded, Queue, Tally},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// The name in `meta` of the check value of the keys.
const KEYS: &str = "keys";

pub(super) fn load(db: &Connection, load: &Load, now: Timestamp) -> Result<Loaded, Fault> {
    Ok(Loaded {
        record: turn::record(db, &load.citizen, now)?,
        dialogue: load.dialogue.map(|id| turn::dialogue(db, &id, now)).transpose()?.flatten(),
        seen: load.event.map_or(Ok(false), |event| turn::seen(db, &event, now))?,
    })
}

pub(super) fn sweep(
    db: &Connection,
    at: Partition,
    queues: &[Queue],
) -> Result<Vec<Option<Timestamp>>, Fault> {
    Ok(queues.iter().map(|queue| first_due(db, at, queue)).collect::<rusqlite::Result<_>>()?)
}

fn first_due(db: &Connection, at: Partition, queue: &Queue) -> rusqlite::Result<Option<Timestamp>> {
    let mut select = db.prepare_cached(
        "SELECT at FROM item WHERE queue = ?1 AND partition = ?2 AND bulk = ?3 AND died IS NULL
         ORDER BY at LIMIT 1",
    )?;
    let name = queue.to_string();
    let mut first = None;
    for bulk in item::orders(queue) {
        let due = select.query_row(params![name, at.0, bulk], |row| row.get(0).map(Timestamp)).optional()?;
        first = first.into_iter().chain(due).min();
    }
    Ok(first)
}

/// An item wherever it lies. A lease that lapsed is none.
pub(super) fn find(
    db: &Connection,
    queue: &Queue,
    at: Partition,
    id: &str,
    now: Timestamp,
) -> Result<Option<Found>, Fault> {
    let found = |row: &Row| {
        let (why, claimed): (Option<String>, bool) = (row.get(3)?, row.get(4)?);
        let state = match why {
            Some(why) => ItemState::Dead(why),
            None if claimed => ItemState::Claimed,
            None => ItemState::Waiting,
        };
        Ok(Found { state, attempts: row.get(0)?, due: Timestamp(row.get(1)?), payload: row.get(2)? })
    };
    let mut select = db.prepare_cached(
        "SELECT attempt, due, payload, why, token IS NOT NULL AND at > ?4 FROM item
         WHERE queue = ?1 AND partition = ?2 AND id = ?3",
    )?;
    Ok(select.query_row(params![queue.to_string(), at.0, id, now.0], found).optional()?)
}

pub(super) fn dead(db: &Connection, queue: &Queue, max: usize) -> Result<Vec<Dead>, Fault> {
    let dead = |row: &Row| {
        Ok(Dead {
            queue: queue.clone(),
            partition: Partition(row.get(0)?),
            id: row.get(1)?,
            generation: Version(row.get::<_, i64>(2)? as u64),
            attempts: row.get(3)?,
            at: Timestamp(row.get(4)?),
            why: row.get(5)?,
            citizen: CitizenId(row.get(6)?),
            payload: row.get(7)?,
        })
    };
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut select = db.prepare_cached(
        "SELECT partition, id, generation, attempt, died, why, citizen, payload FROM item
         WHERE queue = ?1 AND died IS NOT NULL ORDER BY died, partition, id LIMIT ?2",
    )?;
    Ok(select.query_map(params![queue.to_string(), max], dead)?.collect::<rusqlite::Result<_>>()?)
}

/// All numbers of these queues, read in one transaction, so that they balance.
pub(super) fn tally(db: &Connection, queues: &[Queue]) -> Result<Vec<Tally>, Fault> {
    let one_moment = if db.is_autocommit() { Some(db.unchecked_transaction()?) } else { None };
    let tallies =
        queues.iter().map(|queue| tally_of(db, &queue.to_string())).collect::<rusqlite::Result<_>>()?;
    drop(one_moment);
    Ok(tallies)
}

fn tally_of(db: &Connection, queue: &str) -> rusqlite::Result<Tally> {
    let mut tally = Tally::default();
    let mut counts =
        db.prepare_cached("SELECT what, sum(n) FROM count WHERE queue = ?1 GROUP BY what ORDER BY what")?;
    let mut rows = counts.query([queue])?;
    while let Some(row) = rows.next()? {
        let (what, n): (String, i64) = (row.get(0)?, row.get(1)?);
        note(&mut tally, &what, n as u64);
    }
    (tally.waiting, tally.oldest_due) = db
        .prepare_cached("SELECT count(*), min(at) FROM item WHERE queue = ?1 AND died IS NULL")?
        .query_row([queue], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, Option<i64>>(1)?.map(Timestamp)))
        })?;
    tally.dead = db
        .prepare_cached("SELECT count(*) FROM item WHERE queue = ?1 AND died IS NOT NULL")?
        .query_row([queue], |row| row.get::<_, i64>(0))? as u64;
    Ok(tally)
}

fn note(tally: &mut Tally, what: &str, n: u64) {
    match what {
        item::PUT => tally.put = n,
        item::DONE => tally.done = n,
        item::DROPPED => tally.dropped = n,
        item::REPLACED => tally.replaced = n,
        other => {
            let reason = other.strip_prefix(item::SUPPRESSED).unwrap_or(other);
            tally.suppressed.push((reason.into(), n));
        }
    }
}

pub(super) fn revision(db: &Connection, revision: Revision) -> Result<Option<Vec<u8>>, Fault> {
    let mut select = db.prepare_cached("SELECT stored FROM revision WHERE id = ?1")?;
    Ok(select.query_row([revision.0], |row| row.get(0)).optional()?)
}

/// The one act here that writes: the same revision again changes nothing.
pub(super) fn put_revision(db: &Connection, revision: Revision, stored: &[u8]) -> Result<(), Fault> {
    let mut insert =
        db.prepare_cached("INSERT INTO revision (id, stored) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    insert.execute(params![revision.0, stored])?;
    Ok(())
}

pub(super) fn keys(db: &Connection) -> Result<Option<Vec<u8>>, Fault> {
    let mut select = db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    Ok(select.query_row([KEYS], |row| row.get(0)).optional()?)
}

/// Compares our check value with the store's, and leaves ours where there is none.
pub(super) fn adopt_keys(db: &Connection, check: [u8; 16]) -> Result<KeysFound, Fault> {
    match keys(db)? {
        Some(found) if found == check => Ok(KeysFound::Same),
        Some(_) => Ok(KeysFound::Other),
        None => {
            db.prepare_cached("INSERT INTO meta (name, value) VALUES (?1, ?2)")?
                .execute(params![KEYS, check])?;
            Ok(KeysFound::Adopted)
        }
    }
}

/// Takes a page more than there is and gives it back, to see whether there is room.
pub(super) fn probe(db: &Connection) -> Result<(), Fault> {
    db.prepare_cached("INSERT INTO meta (name, value) VALUES ('probe', zeroblob(4096))")?.execute([])?;
    db.prepare_cached("DELETE FROM meta WHERE name = 'probe'")?.execute([])?;
    Ok(())
}
