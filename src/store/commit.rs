//! Everything that one turn changes, as one value (P1).

use super::{
    Mark, Queue,
    record::{Dialogue, Record},
};
use crate::domain::{
    id::{CitizenId, DialogueId, Version},
    time::Timestamp,
};
use std::time::Duration;

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Whose turn.
    pub citizen: CitizenId,
    /// What a repeat is known by: the event's saved reply in [`Commit::dialogue`].
    pub event: Mark,
    /// The version that was loaded; [`Version::default`] when there was no record.
    pub expected: Version,
    /// The record as it shall be, or `None` when this turn changes nothing in it (a stale timer that removes itself).
    pub record: Option<Record>,
    /// The dialogue's history and replies as they shall be, with this event's reply among them.
    pub dialogue: Option<SavedDialogue>,
    /// The timer whose turn this is. It must still be there in this generation (else [`super::Committed::Gone`]), and
    /// is removed and counted as done in this act, whatever its attempt.
    pub timer: Option<OwnTimer>,
    /// What happens to queues, in order; all in this citizen's partition. Cancels come before puts.
    pub queues: Vec<QueueOp>,
}

/// A dialogue to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedDialogue {
    /// Which.
    pub id: DialogueId,
    /// History and the last replies.
    pub dialogue: Dialogue,
    /// How long it is kept.
    pub ttl: Duration,
}

/// The timer that woke a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTimer {
    /// Its item id.
    pub id: String,
    /// Its generation as claimed.
    pub generation: Version,
}

/// A change of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueOp {
    /// Takes an item out, if it is there: counts as suppressed, reason `cancelled`.
    Cancel {
        /// The queue.
        queue: Queue,
        /// The item.
        id: String,
    },
    /// Puts an item. What waits or lies dead under its id gives way if its generation is not newer, counted as `in`
    /// and `replaced`; an older newcomer is itself what is replaced. A claimed item gives way too: its settle is stale.
    Put(Put),
}

/// An item to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The queue.
    pub queue: Queue,
    /// Its id: unique in its queue. `[a-z0-9_:-]`, at most 160 bytes.
    pub id: String,
    /// The version of the turn it comes from.
    pub generation: Version,
    /// When it is due.
    pub due: Timestamp,
    /// Born dead, for this reason: nobody wants it, and a person must see it.
    pub dead: Option<String>,
    /// What the worker will read.
    pub payload: Vec<u8>,
}
