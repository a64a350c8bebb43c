//! Floor 3: memory. The trait, and what every store promises; `embedded` and `redis` keep it, and one list of promises
//! (`tests/it/store.rs`) runs on both.
//!
//! # What every store promises
//!
//! * An **act** happens all at once or not at all, inside one partition, however often and in whatever order acts arrive.
//! * An act whose answer was lost may be sent again, same bytes: a [`Commit`] knows its own event, a [`Claim`] its token,
//!   a [`Settle`] its generation and attempt, and the second time changes nothing.
//! * Every answer, also "seen" and "conflict", leaves only when what it speaks of has reached the durability configured.
//! * Per queue and partition `in = done + dead + suppressed + dropped + replaced + waiting` at every moment, where
//!   `waiting` and `dead` are sizes read from the queue itself (P4).
//! * Leases and due times are compared with the *store's* clock (plus the process' shift); `now` in a commit is the turn's.
//! * Every wait is bounded; an outcome that is not known is said to be [`StoreError::Unknown`].

pub mod commit;
pub mod due;
pub mod embedded;
mod lock;
pub mod mt;
pub mod payload;
pub mod record;
pub mod redis;
mod settings;
pub mod spool;

use crate::domain::{
    delivery::Verdict,
    id::{
        ChannelId, CitizenId, DepartmentId, DialogueId, EventId, MtId, Partition, Revision, VendorKey,
        Version,
    },
    time::Timestamp,
};
pub use commit::{Commit, MtHeader, MtKind, OwnTimer, Put, QueueOp, SavedDialogue, Then};
pub use mt::{
    Found, Invite, Invited, ItemState, Join, Joined, Life, LifeLine, Receipt, Received, Reserve, Reserved,
};
use record::{Dialogue, Record};
pub use settings::{Settings, SpoolSettings, StoreUrl};
use std::{fmt, future::Future, pin::Pin, time::Duration};

/// How long a claimed item is ours. All requests of a claim end within 20 s, so it is never renewed.
pub const LEASE: Duration = Duration::from_secs(30);
/// The most items one claim takes.
pub const CLAIM_MAX: usize = 100;
/// How long a citizen's record lives after its last turn (for ever once STOP was said).
pub const RECORD_TTL: Duration = Duration::from_secs(30 * 86_400);
/// How long a repeated SMS is known.
pub const EVENT_TTL: Duration = Duration::from_secs(72 * 3_600);
/// How long an MT's life is kept after its final state.
pub const LIFE_AFTER_END: Duration = Duration::from_secs(72 * 3_600);
/// How long an MT's life is kept at most.
pub const LIFE_MAX: Duration = Duration::from_secs(30 * 86_400);
/// How long a vendor's id finds its MT.
pub const VENDOR_KEY_TTL: Duration = Duration::from_secs(7 * 86_400);
/// How far ahead a slot is promised at most.
pub const SLOT_AHEAD: Duration = Duration::from_millis(200);
/// How many receipts for unknown MTs wait in one partition at most; what comes beyond is dropped and counted by whoever
/// asked.
pub const JOINS_MAX: usize = 20_000;
/// How many lines a simulated phone's thread keeps.
pub const THREAD_LINES: usize = 100;
/// How long a simulated phone's thread is kept after its last line.
pub const THREAD_TTL: Duration = Duration::from_secs(7 * 86_400);
/// How many lines of an MT's life are kept.
pub const LIFE_LINES: usize = 40;
/// How long a USSD step is known after its vendor session must be over.
pub const DIALOGUE_GRACE: Duration = Duration::from_secs(600);

/// What an answer of the store survives (`[store] durability`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of the gateway.
    Process,
    /// The death of the store's host.
    Disk,
    /// The death of a Redis primary.
    Replica,
}

impl Durability {
    /// Reads `process`, `disk` or `replica`.
    pub fn parse(text: &str) -> Option<Durability> {
        match text {
            "process" => Some(Durability::Process),
            "disk" => Some(Durability::Disk),
            "replica" => Some(Durability::Replica),
            _ => None,
        }
    }
}

/// An act under way.
pub type Act<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One queue. It has the same parts in each partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Sessions to be woken.
    Timer,
    /// Completions owed to a department. `unrouted` holds those that no route wanted, as dead letters.
    Completion(DepartmentId),
    /// MTs committed and not yet accepted by a channel's vendor. Items are named by their `MtId`.
    Outbox(ChannelId),
    /// Receipts whose MT is not known yet, in the partition of the vendor's id. Items are `<VendorKey>:<state>`.
    Join,
}

/// The queue's name in keys, metrics and commands: `timer`, `completion:ledger`, `outbox:phone`, `join`.
impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Queue::Timer => f.write_str("timer"),
            Queue::Completion(department) => write!(f, "completion:{department}"),
            Queue::Outbox(channel) => write!(f, "outbox:{channel}"),
            Queue::Join => f.write_str("join"),
        }
    }
}

/// Why an act did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is not there, and the act surely did not happen.
    #[error("the store is away: {0}")]
    Away(String),
    /// The store has no room left, and the act did not happen.
    #[error("the store is full: {0}")]
    Full(String),
    /// Whether the act happened is not known: send it again, same bytes.
    #[error("no answer from the store: {0}")]
    Unknown(String),
    /// The store answered that something is wrong: final, and a bug or a damaged store.
    #[error("the store refused: {0}")]
    Refused(String),
}

/// What a turn needs to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Whose record.
    pub citizen: CitizenId,
    /// The dialogue whose saved replies are wanted.
    pub dialogue: Option<DialogueId>,
    /// The event whose mark is looked for.
    pub event: Option<EventId>,
}

/// What [`Store::load`] found; both were read in one round trip, not in one moment: the commit decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// The citizen's record, if there is one.
    pub record: Option<Record>,
    /// The dialogue's history and saved replies, if it is known.
    pub dialogue: Option<Dialogue>,
    /// The event was marked as seen.
    pub seen: bool,
}

/// What became of a commit. One lives at a time on a turn's stack, so the record is not boxed.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// All of it happened.
    Done,
    /// The event was seen before: nothing changed. The saved replies as they are; none where the event has only a mark.
    Seen(Option<Dialogue>),
    /// Another turn was first: nothing changed. The record as it is now, so that the next try needs no load.
    Conflict(Option<Record>),
    /// The timer whose turn this is was replaced, cancelled or run before: nothing changed.
    Gone,
}

/// Asks for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Of which queue.
    pub queue: Queue,
    /// In which partition.
    pub partition: Partition,
    /// At most so many items, up to [`CLAIM_MAX`].
    pub max: usize,
    /// Random. Sent again with the same token, the claim gets the same items.
    pub token: [u8; 16],
    /// For an outbox, and only there: how long an MT is left in doubt whose lease lapsed, because its request may have left.
    /// The claim that finds it counts the attempt as unknown and does not take it; a second in a row is a dead letter.
    pub doubt: Option<Duration>,
}

/// Work that is ours for [`LEASE`], oldest due first; of an outbox what is urgent first, then the rest. What nobody needs any
/// more is not among it: the claim of an outbox, last act before the wire, suppresses what was made under another consent
/// number than the record's (`consent`), all but the confirmation while that is odd (`consent`), what has expired
/// (`expired`), prompts older than `asked` (`superseded`) and what has no record any more (`forgotten`), at most as many as
/// it may take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claimed {
    /// The items.
    pub items: Vec<Item>,
    /// When the next item that was not claimed is due, if any waits.
    pub next_due: Option<Timestamp>,
}

/// A claimed item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id in its queue.
    pub id: String,
    /// The version of the turn it comes from: only this generation can be settled.
    pub generation: Version,
    /// Which attempt this claim is, from 1.
    pub attempt: u32,
    /// When it was first claimed, by the store's clock.
    pub first_attempt: Timestamp,
    /// How many attempts in a row ended unknown just before this one.
    pub unknowns: u8,
    /// When it was due.
    pub due: Timestamp,
    /// Whose it is.
    pub citizen: CitizenId,
    /// The citizen's record as it is now, if it is still there.
    pub record: Option<Record>,
    /// What was put.
    pub payload: Vec<u8>,
    /// What was put, of an MT.
    pub mt: Option<MtHeader>,
}

/// Says how an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// The item's queue.
    pub queue: Queue,
    /// Its partition.
    pub partition: Partition,
    /// Its id.
    pub id: String,
    /// Its generation when it was claimed.
    pub generation: Version,
    /// The attempt that was made.
    pub attempt: u32,
    /// What became of it. `Accepted` counts from any attempt of this generation, also for an item that waits, is
    /// unknown or dead; any other verdict only while its own attempt holds the lease.
    pub verdict: Verdict,
    /// Of an outbox's item: what its life is told about this attempt, in the same act.
    pub sent: Option<SentLine>,
}

/// What an MT's life is told about one attempt. A settle that is [`Settled::Stale`] because a receipt came first is told
/// all the same, if it says [`Verdict::Accepted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentLine {
    /// What the vendor answered, for people: `accepted`, `429`, `no answer: …`. At most 200 characters; no number.
    pub said: String,
    /// The vendor's id, if it gave one.
    pub vendor_id: Option<String>,
    /// A line for the simulated phone's thread.
    pub thread: Option<Vec<u8>>,
}

/// What became of a settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It counted.
    Done,
    /// It did not: another generation or attempt is in its place, or it was settled before.
    Stale,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Its queue.
    pub queue: Queue,
    /// Its partition.
    pub partition: Partition,
    /// Its id.
    pub id: String,
    /// Its generation.
    pub generation: Version,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it died, by the store's clock.
    pub at: Timestamp,
    /// Why.
    pub why: String,
    /// Whose it is.
    pub citizen: CitizenId,
    /// What was put.
    pub payload: Vec<u8>,
}

/// The numbers of one queue over all partitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Items ever put.
    pub put: u64,
    /// Items that reached the other side.
    pub done: u64,
    /// Items nobody needed any more, by reason, sorted.
    pub suppressed: Vec<(String, u64)>,
    /// Dead letters a person dropped.
    pub dropped: u64,
    /// Items that gave way to a newer one.
    pub replaced: u64,
    /// Items that wait now, claimed ones included: a size, never derived.
    pub waiting: u64,
    /// Dead letters now: a size, never derived.
    pub dead: u64,
    /// The earliest due time of what waits.
    pub oldest_due: Option<Timestamp>,
}

impl Tally {
    /// P4: what went in is what came out, lies dead or waits.
    pub fn balances(&self) -> bool {
        let suppressed: u64 = self.suppressed.iter().map(|(_, n)| n).sum();
        self.put == self.done + suppressed + self.dropped + self.replaced + self.waiting + self.dead
    }
}

/// Whose keys a store was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysFound {
    /// The store had no check value; it has this one now.
    Adopted,
    /// The same keys.
    Same,
    /// Other keys: the gateway must not run.
    Other,
}

/// How the store is, for `/readyz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers and takes writes.
    Ok,
    /// It does not answer.
    Away,
    /// It answers and has no room.
    Full,
}

/// A store. See the module for what each keeps.
pub trait Store: Send + Sync {
    /// One round trip of plain reads: the record, and the dialogue when one is named.
    fn load(&self, load: &Load) -> Act<'_, Loaded>;

    /// One turn, all at once. Looks for the event *before* it looks at the version: a repeat is a repeat even after the
    /// dialogue moved on. Then, for a timer's turn, for the timer; then it compares the version.
    fn commit(&self, commit: &Commit) -> Act<'_, Committed>;

    /// Takes due work for a while: re-scores it by [`LEASE`] and raises its attempt. A lapsed lease is just due again.
    fn claim(&self, claim: &Claim) -> Act<'_, Claimed>;

    /// Says how an attempt at a claimed item went.
    fn settle(&self, settle: &Settle) -> Act<'_, Settled>;

    /// The earliest due time of each of these queues in a partition, if anything waits there. Claimed items count with
    /// the end of their lease.
    fn sweep(&self, partition: Partition, queues: &[Queue]) -> Act<'_, Vec<Option<Timestamp>>>;

    /// Dead letters of a queue, oldest first, at most `max`.
    fn dead(&self, queue: &Queue, max: usize) -> Act<'_, Vec<Dead>>;

    /// The numbers of these queues.
    fn tally(&self, queues: &[Queue]) -> Act<'_, Vec<Tally>>;

    /// Keeps a flow's revision; the same one again changes nothing.
    fn put_revision(&self, revision: Revision, stored: &[u8]) -> Act<'_, ()>;

    /// A flow's revision as it was kept.
    fn revision(&self, revision: Revision) -> Act<'_, Option<Vec<u8>>>;

    /// Compares the check value of our keys with the store's, and leaves ours where there is none.
    fn adopt_keys(&self, check: [u8; 16]) -> Act<'_, KeysFound>;

    /// Whether the store has a check value at all: a key file may be made only when it has none.
    fn has_keys(&self) -> Act<'_, bool>;

    /// The next slot of a channel, in the store's time: it moves on by segments/TPS; slots in the past lapse; nothing is
    /// promised more than [`SLOT_AHEAD`] ahead.
    fn reserve(&self, reserve: &Reserve) -> Act<'_, Reserved>;

    /// Takes an invitation: the mark that it was taken, the citizen's record if there is none, and its timer; or nothing,
    /// if it was taken before.
    fn invite(&self, invite: &Invite) -> Act<'_, Invited>;

    /// A receipt for an MT of ours. Its state is the highest ever heard. It ends the outbox item wherever that lies
    /// (waiting, claimed, unknown, dead; counted as done), and starts the timers that its settling would.
    fn receipt(&self, receipt: &Receipt) -> Act<'_, Received>;

    /// The vendor's id of an MT that was accepted. Written before the settle; makes the joins that wait for it due (those for
    /// the whole MT; one for a part is tried at its own next time).
    fn keep_vendor_id(&self, key: &VendorKey, mt: &MtId, part: u8) -> Act<'_, ()>;

    /// The MT, and its part, that a vendor's id names.
    fn by_vendor_id(&self, key: &VendorKey) -> Act<'_, Option<(MtId, u8)>>;

    /// Keeps a receipt until its MT is known. The same one again changes nothing but the queue's counts.
    fn join(&self, join: &Join) -> Act<'_, Joined>;

    /// What is known of an MT after its send or its first receipt.
    fn life(&self, mt: &MtId) -> Act<'_, Option<Life>>;

    /// An item wherever it lies, for people.
    fn find(&self, queue: &Queue, partition: Partition, id: &str) -> Act<'_, Option<Found>>;

    /// A simulated phone's thread, oldest line first.
    fn thread(&self, citizen: &CitizenId) -> Act<'_, Vec<Vec<u8>>>;

    /// Asks the store how it is.
    fn health(&self) -> Act<'_, Health>;

    /// Finishes the acts that were asked for and takes no more: what is asked afterwards is [`StoreError::Away`]. For the
    /// end of a process; a store that keeps nothing back has nothing to do.
    fn stop(&self) -> Act<'_, ()>;
}
