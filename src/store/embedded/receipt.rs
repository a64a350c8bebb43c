//! The acts of whoever hears from a vendor: a receipt for an MT of ours, the vendor's id of one, and a receipt that waits
//! until that is known.

use super::{
    fault::Fault,
    item::{self, Place},
    life::{self, Kept, Of},
    outbox,
};
use crate::{
    domain::{
        id::{CitizenId, MtId, VendorKey},
        time::Timestamp,
    },
    store::{JOINS_MAX, Join, Joined, Queue, Receipt, Received, VENDOR_KEY_TTL},
};
use rusqlite::{Connection, OptionalExtension, params};

/// Raises a part's state, ends the MT's item wherever it lies, and leaves a line.
pub(super) fn receipt(db: &Connection, receipt: &Receipt, now: Timestamp) -> Result<Received, Fault> {
    let mut kept = life::find(db, &receipt.mt, now)?.unwrap_or_else(|| Kept::begin(now));
    let mut moved = false;
    if let Some(state) = receipt.state {
        moved = kept.raise(receipt.part, state, now);
        let (queue, id) = (Queue::Outbox(receipt.channel.clone()), receipt.mt.to_string());
        if let Some(citizen) = outbox::accepted(db, &Place::new(&queue, receipt.mt.partition(), &id), now)? {
            kept.citizen = Some(citizen);
            moved = true;
        }
    }
    if kept.add(receipt.at, Of::Part(receipt.part), &receipt.said) || moved {
        kept.write(db, &receipt.mt)?;
    }
    Ok(if moved { Received::Moved } else { Received::Known })
}

/// Keeps what the vendor calls an MT, and makes due what waits for it; what somebody works on just now finds it, too.
pub(super) fn keep_vendor_id(
    db: &Connection,
    key: &VendorKey,
    mt: &MtId,
    part: u8,
    now: Timestamp,
) -> Result<(), Fault> {
    db.prepare_cached(
        "INSERT INTO vendor (id, mt, part, expires) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET mt = excluded.mt, part = excluded.part, expires = excluded.expires",
    )?
    .execute(params![key.0, mt.0, part, now.plus(VENDOR_KEY_TTL).0])?;
    // Their ids are `<key>:<state>`, and `;` is what comes after `:`.
    db.prepare_cached(
        "UPDATE item SET due = ?5, at = ?5 WHERE queue = ?1 AND partition = ?2 AND id > ?3 AND id < ?4
         AND died IS NULL AND token IS NULL AND at > ?5",
    )?
    .execute(params![
        Queue::Join.to_string(),
        key.partition().0,
        format!("{key}:"),
        format!("{key};"),
        now.0
    ])?;
    Ok(())
}

pub(super) fn by_vendor_id(
    db: &Connection,
    key: &VendorKey,
    now: Timestamp,
) -> Result<Option<(MtId, u8)>, Fault> {
    let mut select = db.prepare_cached("SELECT mt, part FROM vendor WHERE id = ?1 AND expires > ?2")?;
    Ok(select.query_row(params![key.0, now.0], |row| Ok((MtId(row.get(0)?), row.get(1)?))).optional()?)
}

/// Keeps a receipt until its MT is known. It names no citizen: what stands in that place is the vendor's id, which has the
/// partition.
pub(super) fn join(db: &Connection, join: &Join, now: Timestamp) -> Result<Joined, Fault> {
    let place = Place::new(&Queue::Join, join.key.partition(), &join.put.id);
    if item::waiting(db, &place)?.is_none() && joins(db, &place)? >= JOINS_MAX as i64 {
        return Ok(Joined::Full);
    }
    item::put(db, &CitizenId(join.key.0), &join.put, now)?;
    Ok(Joined::Waits)
}

/// How many joins wait in a partition. By the counters, because walking over all that wait for each one more would make a
/// flood of strange receipts costlier the longer it lasts; by P4 that is the number, dead letters (a join is never one)
/// included.
fn joins(db: &Connection, place: &Place) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "SELECT coalesce(sum(CASE what WHEN ?3 THEN n ELSE -n END), 0) FROM count WHERE queue = ?1 AND partition = ?2",
    )?
    .query_row(params![place.queue, place.partition.0, item::PUT], |row| row.get(0))
}
