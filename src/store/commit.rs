//! Everything that one turn changes, as one value (P1).

use super::{
    Queue,
    record::{Dialogue, Record},
};
use crate::domain::{
    id::{CitizenId, DialogueId, EventId, ResponseId, Version},
    time::Timestamp,
};
use std::time::Duration;

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Whose turn.
    pub citizen: CitizenId,
    /// What a repeat is known by: the event's saved reply in [`Commit::dialogue`], or its mark ([`Commit::mark`]). A timer's
    /// turn has none: the timer is the mark.
    pub event: Option<EventId>,
    /// The version that was loaded; [`Version::default`] when there was no record.
    pub expected: Version,
    /// The record as it shall be, or `None` when this turn changes nothing in it (a stale timer that removes itself).
    pub record: Option<Record>,
    /// The dialogue's history and replies as they shall be, with this event's reply among them.
    pub dialogue: Option<SavedDialogue>,
    /// The event itself is kept as seen for so long. Never beside a dialogue.
    pub mark: Option<Duration>,
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
    /// What a claim and a settle of an MT look at; there if and only if the queue is an outbox.
    pub mt: Option<MtHeader>,
}

/// What the store must know of an MT without reading its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MtHeader {
    /// The citizen's consent number it was made under; a confirmation of STOP carries the number of its own STOP.
    pub consent: u32,
    /// What may suppress it.
    pub kind: MtKind,
    /// Goes before what is not: a reply to an MO.
    pub urgent: bool,
    /// After it nobody needs it.
    pub expires: Timestamp,
    /// What it is charged as, 1 to 255.
    pub segments: u16,
    /// What begins when a vendor has it, however that becomes known: by the settle or by a receipt.
    pub then: Then,
}

/// What may suppress an MT at its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MtKind {
    /// Puts a question: superseded when its generation is older than the record's `asked`.
    Prompt,
    /// Tells something: closing words, help. Never superseded.
    Notice,
    /// Confirms a STOP: goes out although the citizen said stop, if the record's consent number is still that of its STOP.
    Confirmation,
}

/// Timers that start when a vendor has an MT: items `<citizen>:<kind>` of the timer queue, of the MT's own generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Then {
    /// The session they wake; zeros when there are none.
    pub response: ResponseId,
    /// A reminder: which (from 1), and how long after the acceptance. It is stale once `asked` is not this MT's generation.
    pub remind: Option<(u8, Duration)>,
    /// The expiry of an invitation's session, so long after the acceptance or after the moment given, whichever is earlier.
    pub expire: Option<(Duration, Timestamp)>,
}
