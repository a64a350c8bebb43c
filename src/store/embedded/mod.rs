//! A store in one file, for one machine: SQLite in this process, and nothing to install. In memory for simulations.
//!
//! # The tables
//!
//! ```text
//!  citizen     id                     record (record.rs), expires        one a citizen, with the live session in it
//!  dialogue    id                     stored (record.rs), expires        one a vendor's USSD dialogue: history, last replies
//!  mark        id                     expires                            an event that was seen and left no reply
//!  item        queue, partition, id   what waits, is claimed, or lies dead:
//!                generation             the version of the turn it comes from
//!                due                    when it asked for
//!                at                     when it is next looked at: due, or the end of its lease
//!                attempt, first         attempts so far; when the first one was
//!                unknowns               how many in a row just ended unknown
//!                token                  who holds the lease; null: nobody. The lease holds while at > now;
//!                                       a token whose time is over is a lapsed lease
//!                died, why              a dead letter since then; null: it waits
//!                citizen, payload       of a join the vendor's id stands in the citizen's place
//!                mt (header.rs), bulk   of an MT: what a claim and a settle look at; whether replies go before it
//!              item_waiting   (queue, partition, bulk, at, id) where it waits  claim, sweep and the count of what waits
//!              item_claimed   (token) where somebody holds it                  a claim that is sent again
//!              item_dead      (queue, died) where it is dead                   the list and the count of dead letters
//!  count       queue, partition, what   n                                in, done, replaced, dropped, suppressed:<reason>
//!  life        id                     stored (life.rs), expires          one an MT, after its send or its first receipt
//!  vendor      id                     mt, part, expires                  what a vendor calls an MT
//!  slot        channel                next                               when a channel's next segment may leave, in µs
//!  invitation  id                     expires                            it was taken
//!  thread      id (a citizen's)       stored (thread.rs), expires        the last lines of a simulated phone
//!  revision    id                     stored                             a flow's source, pinned by sessions
//!  meta        name                   value                              keys: the check value of the keys
//! ```
//!
//! `in = done + dropped + replaced + suppressed + what waits + what is dead`, per queue and partition: the counters move
//! in the very act that moves the item, and the two sizes are counted from `item` itself.
//!
//! # Who does what
//!
//! ```text
//!  whoever asks ──act──▶ queue (bounded) ──▶ writer, one thread   BEGIN ─ savepoint, act ─ savepoint, act ─ … ─ COMMIT, fsync
//!       ▲                                       │                 meanwhile the next acts gather in the queue
//!       └──────────────answer───────────────────┘
//!  whoever looks ─look─▶ queue (bounded) ──▶ readers, two threads, connections of their own: what is on the disk
//! ```
//!
//! The file is locked by `flock` on `<file>.lock`, which dies with the process: a second gateway is refused, a command line
//! beside it needs no lock. Because there is one gateway, all leases end when it starts.
//!
//! # What a crash may do
//!
//! | dies | after restart |
//! |---|---|
//! | before COMMIT returns | all acts of the batch happened or none (the log's last frame decides); none was answered, so each is sent again and knows its event, token or attempt |
//! | after COMMIT, before the answer | the act stands; sent again it changes nothing |
//! | with items claimed | their leases end at the start; they are due at once, one attempt more |
//! | with MTs claimed | their leases end, too, and the next claim leaves them in doubt: they may have left |
//! | between an acceptance and its settle | the receipt ends the item (by our id, or by the vendor's, which is kept first); without one it is in doubt |
//! | while sweeping | what has lapsed is ignored by its time, swept or not |
//! | the machine loses power | as above: `synchronous=FULL`, an answer leaves after its fsync |
//!
//! # What it leaves to others
//!
//! Retrying an [`StoreError::Unknown`]; when to claim (`store::due`); what a channel's vendor is asked, and when it counts as asked.

mod fault;
mod header;
mod invite;
mod item;
mod job;
mod life;
mod look;
mod outbox;
mod reader;
mod receipt;
mod schema;
mod slots;
mod sweep;
#[cfg(test)]
mod tests;
mod thread;
mod turn;
mod work;
mod writer;

use super::{
    Act, Claim, Claimed, Commit, Committed, Dead, Found, Health, Invite, Invited, Join, Joined, KeysFound,
    Life, Load, Loaded, Queue, Receipt, Received, Reserve, Reserved, Settle, Settled, Store, StoreError,
    Tally,
    lock::{self, NotLocked},
};
use crate::domain::{
    id::{CitizenId, MtId, Partition, Revision, VendorKey},
    time::{Clock, Timestamp},
};
use fault::Fault;
use life::Kept;
use reader::{READERS, Readers};
use rusqlite::Connection;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};
use turn::Turn;
use writer::Writer;

/// Why a store was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another gateway holds the lock.
    #[error("another gateway runs on this store ({} is locked): stop it first, or give this one a file of its own", .0.display())]
    Locked(PathBuf),
    /// A later release made the file.
    #[error(
        "the store is of format {found}, and this release knows up to {known}: run the release that wrote it, or a later one"
    )]
    Newer {
        /// What the file says.
        found: i64,
        /// The newest that this release reads.
        known: i64,
    },
    /// The file, its folder or its lock cannot be made or opened.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// SQLite cannot read the file, or not as one of ours.
    #[error("{}: {error}", .path.display())]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
}

impl From<NotLocked> for OpenError {
    fn from(why: NotLocked) -> OpenError {
        match why {
            NotLocked::Held(path) => OpenError::Locked(path),
            NotLocked::Io(path, error) => OpenError::Io { path, error },
        }
    }
}

/// The embedded store. Dropped, it finishes what waits and closes the file.
pub struct Embedded {
    readers: Option<Readers>,
    writer: Writer,
    /// Held until the writer and the readers have closed the file: fields go in this order.
    _lock: Option<File>,
}

impl Embedded {
    /// Opens a gateway's store: makes the file and the folders above it where they are missing, locks it, and ends the
    /// leases of the gateway that was here before.
    pub fn open(path: &Path, clock: Clock) -> Result<Embedded, OpenError> {
        let at = |error| OpenError::Io { path: path.into(), error };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(at)?;
        }
        let lock = lock::lock(path)?;
        let db = connect(path)?;
        work::end_leases(&db).map_err(|error| OpenError::Sqlite { path: path.into(), error })?;
        Embedded::start(db, Some(path), clock, Some(lock))
    }

    /// Opens the same file beside a running gateway, for a command: takes no lock and leaves its leases alone.
    pub fn beside(path: &Path, clock: Clock) -> Result<Embedded, OpenError> {
        Embedded::start(connect(path)?, Some(path), clock, None)
    }

    /// A store that is gone with this value: simulations and tests.
    pub fn memory(clock: Clock) -> Result<Embedded, OpenError> {
        let sqlite = |error| OpenError::Sqlite { path: ":memory:".into(), error };
        let db = schema::writer(None).map_err(sqlite)?;
        schema::make(&db).map_err(sqlite)?;
        Embedded::start(db, None, clock, None)
    }

    /// How many fsyncs its commits took so far; none in memory.
    pub fn fsyncs(&self) -> u64 {
        self.writer.fsyncs()
    }

    fn start(
        db: Connection,
        path: Option<&Path>,
        clock: Clock,
        lock: Option<File>,
    ) -> Result<Embedded, OpenError> {
        let at = |error| OpenError::Io { path: path.unwrap_or(Path::new(":memory:")).into(), error };
        let readers = path.map(|path| readers(path, &clock)).transpose()?;
        let writer = Writer::start(db, clock, path.is_some()).map_err(at)?;
        Ok(Embedded { readers, writer, _lock: lock })
    }

    /// Changes something, all at once or not at all.
    fn write<T, F>(&self, act: F) -> Act<'_, T>
    where
        T: Send + 'static,
        F: Fn(&Connection, Timestamp) -> Result<T, Fault> + Send + 'static,
    {
        Box::pin(self.writer.ask(act))
    }

    /// Reads. A store in memory has one connection, so there the writer reads.
    fn read<T, F>(&self, look: F) -> Act<'_, T>
    where
        T: Send + 'static,
        F: Fn(&Connection, Timestamp) -> Result<T, Fault> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => Box::pin(readers.ask(look)),
            None => Box::pin(self.writer.ask(look)),
        }
    }
}

/// The writing connection, with the tables made and their format looked at.
fn connect(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |error| OpenError::Sqlite { path: path.into(), error };
    let db = schema::writer(Some(path)).map_err(sqlite)?;
    schema::make(&db).map_err(sqlite)?;
    let found = schema::format(&db).map_err(sqlite)?;
    if found > schema::FORMAT {
        return Err(OpenError::Newer { found, known: schema::FORMAT });
    }
    Ok(db)
}

fn readers(path: &Path, clock: &Clock) -> Result<Readers, OpenError> {
    let connections = (0..READERS).map(|_| schema::reader(path)).collect::<rusqlite::Result<_>>();
    let connections = connections.map_err(|error| OpenError::Sqlite { path: path.into(), error })?;
    Readers::start(connections, clock).map_err(|error| OpenError::Io { path: path.into(), error })
}

impl Store for Embedded {
    fn load(&self, load: &Load) -> Act<'_, Loaded> {
        let load = *load;
        self.read(move |db, now| look::load(db, &load, now))
    }

    fn commit(&self, commit: &Commit) -> Act<'_, Committed> {
        let turn = Turn::new(commit);
        self.write(move |db, now| turn.run(db, now))
    }

    fn claim(&self, claim: &Claim) -> Act<'_, Claimed> {
        let claim = claim.clone();
        self.write(move |db, now| work::claim(db, &claim, now))
    }

    fn settle(&self, settle: &Settle) -> Act<'_, Settled> {
        let settle = settle.clone();
        self.write(move |db, now| work::settle(db, &settle, now))
    }

    fn sweep(&self, partition: Partition, queues: &[Queue]) -> Act<'_, Vec<Option<Timestamp>>> {
        let queues = queues.to_vec();
        self.read(move |db, _| look::sweep(db, partition, &queues))
    }

    fn dead(&self, queue: &Queue, max: usize) -> Act<'_, Vec<Dead>> {
        let queue = queue.clone();
        self.read(move |db, _| look::dead(db, &queue, max))
    }

    fn tally(&self, queues: &[Queue]) -> Act<'_, Vec<Tally>> {
        let queues = queues.to_vec();
        self.read(move |db, _| look::tally(db, &queues))
    }

    fn put_revision(&self, revision: Revision, stored: &[u8]) -> Act<'_, ()> {
        let stored = stored.to_vec();
        self.write(move |db, _| look::put_revision(db, revision, &stored))
    }

    fn revision(&self, revision: Revision) -> Act<'_, Option<Vec<u8>>> {
        self.read(move |db, _| look::revision(db, revision))
    }

    fn adopt_keys(&self, check: [u8; 16]) -> Act<'_, KeysFound> {
        self.write(move |db, _| look::adopt_keys(db, check))
    }

    fn has_keys(&self) -> Act<'_, bool> {
        self.read(|db, _| Ok(look::keys(db)?.is_some()))
    }

    fn reserve(&self, reserve: &Reserve) -> Act<'_, Reserved> {
        let reserve = reserve.clone();
        self.write(move |db, now| slots::reserve(db, &reserve, now))
    }

    fn invite(&self, invite: &Invite) -> Act<'_, Invited> {
        let invite = invite.clone();
        self.write(move |db, now| invite::invite(db, &invite, now))
    }

    fn receipt(&self, receipt: &Receipt) -> Act<'_, Received> {
        let receipt = receipt.clone();
        self.write(move |db, now| receipt::receipt(db, &receipt, now))
    }

    fn keep_vendor_id(&self, key: &VendorKey, mt: &MtId, part: u8) -> Act<'_, ()> {
        let (key, mt) = (*key, *mt);
        self.write(move |db, now| receipt::keep_vendor_id(db, &key, &mt, part, now))
    }

    fn by_vendor_id(&self, key: &VendorKey) -> Act<'_, Option<(MtId, u8)>> {
        let key = *key;
        self.read(move |db, now| receipt::by_vendor_id(db, &key, now))
    }

    fn join(&self, join: &Join) -> Act<'_, Joined> {
        let join = join.clone();
        self.write(move |db, now| receipt::join(db, &join, now))
    }

    fn life(&self, mt: &MtId) -> Act<'_, Option<Life>> {
        let mt = *mt;
        self.read(move |db, now| Ok(life::find(db, &mt, now)?.map(Kept::shown)))
    }

    fn find(&self, queue: &Queue, partition: Partition, id: &str) -> Act<'_, Option<Found>> {
        let (queue, id) = (queue.clone(), id.to_owned());
        self.read(move |db, now| look::find(db, &queue, partition, &id, now))
    }

    fn thread(&self, citizen: &CitizenId) -> Act<'_, Vec<Vec<u8>>> {
        let citizen = *citizen;
        self.read(move |db, now| thread::lines(db, &citizen, now))
    }

    /// Asks the writer, so that a disk that hangs shows; where there was no room, it tries whether there is again.
    fn health(&self) -> Act<'_, Health> {
        let full = self.writer.full();
        Box::pin(async move {
            let asked = self.writer.ask(move |db, _| if full { look::probe(db) } else { Ok(()) });
            Ok(match asked.await {
                Ok(()) => Health::Ok,
                Err(StoreError::Full(_)) => Health::Full,
                Err(_) => Health::Away,
            })
        })
    }

    fn stop(&self) -> Act<'_, ()> {
        Box::pin(async {
            self.writer.stop().await;
            Ok(())
        })
    }
}
