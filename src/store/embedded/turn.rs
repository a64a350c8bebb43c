//! The act of one turn: event, timer, version, then everything it changes. Runs inside the writer's savepoint.

use super::{
    fault::Fault,
    item::{self, Place},
};
use crate::{
    domain::{
        id::{CitizenId, DialogueId, EventId, Version},
        time::Timestamp,
    },
    store::{
        Commit, Committed, OwnTimer, Queue, QueueOp, RECORD_TTL,
        record::{Dialogue, Record},
    },
};
use rusqlite::{Connection, OptionalExtension, params};

/// The `expires` of what is kept for ever.
const FOR_EVER: Timestamp = Timestamp(i64::MAX);

/// A commit with its stored shapes made, so that the one writer does not spend its time on it.
pub(super) struct Turn {
    commit: Commit,
    record: Option<Vec<u8>>,
    dialogue: Option<Vec<u8>>,
}

impl Turn {
    pub(super) fn new(commit: &Commit) -> Turn {
        Turn {
            commit: commit.clone(),
            record: commit.record.as_ref().map(Record::encode),
            dialogue: commit.dialogue.as_ref().map(|saved| saved.dialogue.encode()),
        }
    }

    pub(super) fn run(&self, db: &Connection, now: Timestamp) -> Result<Committed, Fault> {
        let commit = &self.commit;
        if let (Some(event), Some(_)) = (&commit.event, &commit.mark)
            && seen(db, event, now)?
        {
            return Ok(Committed::Seen(None));
        }
        if let Some(dialogue) = self.replied(db, now)? {
            return Ok(Committed::Seen(Some(dialogue)));
        }
        if let Some(timer) = &commit.timer
            && !timer_is_there(db, &commit.citizen, timer)?
        {
            return Ok(Committed::Gone);
        }
        let found = record(db, &commit.citizen, now)?;
        if found.as_ref().map_or(Version::default(), |r| r.version) != commit.expected {
            return Ok(Committed::Conflict(found));
        }
        self.write(db, now)?;
        Ok(Committed::Done)
    }

    fn replied(&self, db: &Connection, now: Timestamp) -> Result<Option<Dialogue>, Fault> {
        let (Some(event), Some(saved)) = (&self.commit.event, &self.commit.dialogue) else { return Ok(None) };
        Ok(dialogue(db, &saved.id, now)?.filter(|known| known.reply_to(event).is_some()))
    }

    fn write(&self, db: &Connection, now: Timestamp) -> Result<(), Fault> {
        let Commit { citizen, event, expected: _, record, dialogue, mark, timer, queues } = &self.commit;
        if let Some(timer) = timer {
            item::done(db, &Place::new(&Queue::Timer, citizen.partition(), &timer.id))?;
        }
        if let (Some(record), Some(bytes)) = (record, &self.record) {
            write_record(db, citizen, record, bytes, now)?;
        }
        if let (Some(saved), Some(bytes)) = (dialogue, &self.dialogue) {
            write_dialogue(db, &saved.id, bytes, now.plus(saved.ttl))?;
        }
        if let (Some(event), Some(ttl)) = (event, mark) {
            write_mark(db, event, now.plus(*ttl))?;
        }
        for op in queues {
            match op {
                QueueOp::Cancel { queue, id } => {
                    item::cancel(db, &Place::new(queue, citizen.partition(), id))?
                }
                QueueOp::Put(put) => item::put(db, citizen, put, now)?,
            }
        }
        Ok(())
    }
}

/// Once STOP was said the record is all that keeps us from writing to this citizen again.
fn record_expires(record: &Record, now: Timestamp) -> Timestamp {
    if record.consent == 0 { now.plus(RECORD_TTL) } else { FOR_EVER }
}

/// A citizen's record, if there is one whose time is not over.
pub(super) fn record(db: &Connection, citizen: &CitizenId, now: Timestamp) -> Result<Option<Record>, Fault> {
    let bytes: Option<Vec<u8>> = db
        .prepare_cached("SELECT record FROM citizen WHERE id = ?1 AND expires > ?2")?
        .query_row(params![citizen.0, now.0], |row| row.get(0))
        .optional()?;
    Ok(bytes.map(|bytes| Record::decode(&bytes)).transpose()?)
}

/// A vendor's dialogue, if it is known and its time is not over.
pub(super) fn dialogue(db: &Connection, id: &DialogueId, now: Timestamp) -> Result<Option<Dialogue>, Fault> {
    let bytes: Option<Vec<u8>> = db
        .prepare_cached("SELECT stored FROM dialogue WHERE id = ?1 AND expires > ?2")?
        .query_row(params![id.0, now.0], |row| row.get(0))
        .optional()?;
    Ok(bytes.map(|bytes| Dialogue::decode(&bytes)).transpose()?)
}

/// Whether an event left its mark, and its time is not over.
pub(super) fn seen(db: &Connection, event: &EventId, now: Timestamp) -> Result<bool, Fault> {
    let mark: Option<()> = db
        .prepare_cached("SELECT 1 FROM mark WHERE id = ?1 AND expires > ?2")?
        .query_row(params![event.0, now.0], |_| Ok(()))
        .optional()?;
    Ok(mark.is_some())
}

fn timer_is_there(db: &Connection, citizen: &CitizenId, timer: &OwnTimer) -> Result<bool, Fault> {
    let waiting = item::waiting(db, &Place::new(&Queue::Timer, citizen.partition(), &timer.id))?;
    Ok(waiting == Some(timer.generation))
}

/// Writes a record, of which these are the bytes.
pub(super) fn write_record(
    db: &Connection,
    citizen: &CitizenId,
    record: &Record,
    bytes: &[u8],
    now: Timestamp,
) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "INSERT INTO citizen (id, record, expires) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET record = excluded.record, expires = excluded.expires",
    )?
    .execute(params![citizen.0, bytes, record_expires(record, now).0])
}

/// A record is kept at least as if its last turn had been then.
pub(super) fn keep_record(db: &Connection, citizen: &CitizenId, then: Timestamp) -> rusqlite::Result<usize> {
    db.prepare_cached("UPDATE citizen SET expires = max(expires, ?2) WHERE id = ?1")?
        .execute(params![citizen.0, then.plus(RECORD_TTL).0])
}

fn write_dialogue(
    db: &Connection,
    id: &DialogueId,
    bytes: &[u8],
    expires: Timestamp,
) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "INSERT INTO dialogue (id, stored, expires) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET stored = excluded.stored, expires = excluded.expires",
    )?
    .execute(params![id.0, bytes, expires.0])
}

fn write_mark(db: &Connection, event: &EventId, expires: Timestamp) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "INSERT INTO mark (id, expires) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET expires = excluded.expires",
    )?
    .execute(params![event.0, expires.0])
}
