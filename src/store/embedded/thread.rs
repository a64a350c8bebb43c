//! The last lines that simulated phones were sent, one row a phone. A stored shape: never change it, add a format.

use super::fault::Fault;
use crate::{
    domain::{id::CitizenId, time::Timestamp},
    store::{
        THREAD_LINES, THREAD_TTL,
        record::{FORMAT, Unreadable, append as encode},
    },
};
use rusqlite::{Connection, OptionalExtension, params};

/// A phone's lines, oldest first.
pub(super) fn lines(db: &Connection, citizen: &CitizenId, now: Timestamp) -> Result<Vec<Vec<u8>>, Fault> {
    let stored: Option<Vec<u8>> = db
        .prepare_cached("SELECT stored FROM thread WHERE id = ?1 AND expires > ?2")?
        .query_row(params![citizen.0, now.0], |row| row.get(0))
        .optional()?;
    Ok(stored.map(|stored| decode(&stored)).transpose()?.unwrap_or_default())
}

/// One line more; the oldest give way.
pub(super) fn append(db: &Connection, citizen: &CitizenId, line: &[u8], now: Timestamp) -> Result<(), Fault> {
    let mut lines = lines(db, citizen, now)?;
    lines.push(line.to_vec());
    lines.drain(..lines.len().saturating_sub(THREAD_LINES));
    db.prepare_cached(
        "INSERT INTO thread (id, stored, expires) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET stored = excluded.stored, expires = excluded.expires",
    )?
    .execute(params![citizen.0, encode(vec![FORMAT], &lines), now.plus(THREAD_TTL).0])?;
    Ok(())
}

fn decode(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Unreadable> {
    let unreadable = Unreadable(*bytes.first().unwrap_or(&0));
    match bytes {
        [FORMAT, lines @ ..] => postcard::from_bytes(lines).map_err(|_| unreadable),
        _ => Err(unreadable),
    }
}
