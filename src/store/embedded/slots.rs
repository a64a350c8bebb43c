//! The slots of each channel (P9): one row says when its next segment may leave.
//!
//! A row and not a number in memory: a gateway that starts again still owes the vendor the pause after a long text, and
//! nobody need be the only one who asks. It costs next to nothing: an answer that promises nothing writes nothing, and one
//! that does shares its fsync with the other acts of its batch, a few times a second for a channel.

use super::fault::Fault;
use crate::{
    domain::time::Timestamp,
    store::{Reserve, Reserved, SLOT_AHEAD},
};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// [`SLOT_AHEAD`] in microseconds, as slots are counted: at 10 000 TPS one is a tenth of a millisecond.
const AHEAD: i64 = SLOT_AHEAD.as_micros() as i64;
/// Microseconds in a second.
const SECOND: u64 = 1_000_000;
/// Microseconds in what the clock counts.
const MILLI: i64 = 1_000;

/// The next slots, if they begin soon enough. Slots in the past lapse: a quiet minute is no credit.
pub(super) fn reserve(db: &Connection, reserve: &Reserve, now: Timestamp) -> Result<Reserved, Fault> {
    let now = now.0 * MILLI;
    let next: Option<i64> = db
        .prepare_cached("SELECT next FROM slot WHERE channel = ?1")?
        .query_row([reserve.channel.as_str()], |row| row.get(0))
        .optional()?;
    let next = next.unwrap_or(now).max(now);
    let ahead = next - now;
    if ahead > AHEAD {
        // Rounded up to what the clock counts, so that it is not asked in vain.
        let wait = (ahead - AHEAD).unsigned_abs().div_ceil(MILLI.unsigned_abs());
        return Ok(Reserved::Wait(Duration::from_millis(wait)));
    }
    db.prepare_cached(
        "INSERT INTO slot (channel, next) VALUES (?1, ?2)
         ON CONFLICT (channel) DO UPDATE SET next = excluded.next",
    )?
    .execute(params![reserve.channel.as_str(), next + length(reserve)])?;
    Ok(Reserved::In(Duration::from_micros(ahead.unsigned_abs())))
}

/// How long these segments keep the channel, rounded up.
fn length(reserve: &Reserve) -> i64 {
    let length = (u64::from(reserve.segments) * SECOND).div_ceil(u64::from(reserve.tps.max(1)));
    i64::try_from(length).unwrap_or(i64::MAX / 4)
}
