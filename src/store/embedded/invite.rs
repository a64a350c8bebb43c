//! The act of an invitation: its mark, the citizen's record if nobody knew them, and the timer that begins the dialogue.

use super::{fault::Fault, item, turn};
use crate::{
    domain::time::Timestamp,
    store::{Invite, Invited},
};
use rusqlite::{Connection, OptionalExtension, params};

/// Takes an invitation once. Never changes a record: whether the citizen may be asked is judged when the timer fires.
pub(super) fn invite(db: &Connection, invite: &Invite, now: Timestamp) -> Result<Invited, Fault> {
    let known: Option<()> = db
        .prepare_cached("SELECT 1 FROM invitation WHERE id = ?1 AND expires > ?2")?
        .query_row(params![invite.id.0, now.0], |_| Ok(()))
        .optional()?;
    if known.is_some() {
        return Ok(Invited::Repeated);
    }
    db.prepare_cached(
        "INSERT INTO invitation (id, expires) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET expires = excluded.expires",
    )?
    .execute(params![invite.id.0, invite.known_until.0])?;
    // Kept as if the timer's turn were the last one: a record is never made shorter.
    let begins = now.max(invite.timer.due);
    match turn::record(db, &invite.citizen, now)? {
        Some(_) => turn::keep_record(db, &invite.citizen, begins)?,
        None => turn::write_record(db, &invite.citizen, &invite.record, &invite.record.encode(), begins)?,
    };
    item::put(db, &invite.citizen, &invite.timer, now)?;
    Ok(Invited::Taken)
}
