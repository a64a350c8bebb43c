//! Callbacks kept on disk while the store is away: a SQLite file of this gateway's own. Many telcos never ask twice, so what
//! the store cannot take has to lie somewhere before the telco gets its 200.
//!
//! # The table
//!
//! ```text
//!  spooled   id      rises, never returns: the order in which they came
//!            at      when it was put here
//!            sealed  callback.rs: channel, random, MO or DLR; sealed, because it holds numbers
//!            aside   why it could not be replayed; null: it waits
//! ```
//!
//! # What it promises
//!
//! * [`Spool::put`] answers after its fsync. Waiting puts are gathered into one, as the embedded store does with acts.
//! * What is put comes out by [`Spool::oldest`] in the order of the puts until it is removed, also after `kill -9`.
//! * It never holds more than `max` callbacks or [`BYTES_MAX`]; above that a put is refused and changes nothing.
//! * What can never be replayed is set aside, not thrown away; the next start tries it again (a channel or a key may be back).
//! * One gateway a file: `<file>.lock` is locked until the process dies.
//!
//! # What a crash may do
//!
//! | dies | after restart |
//! |---|---|
//! | before the fsync | it may be there or not; nobody was answered, and a repeat is known by its event |
//! | after the fsync, before the 200 | it is there; the telco's repeat is known by its event where the vendor names one |
//! | while it is replayed | it is still there and is replayed once more: known by its event |
//!
//! # What it leaves to others
//!
//! When to put something here (`web`), and replaying it (`work::replay`).

mod callback;
mod writer;

use super::{
    lock::{self, NotLocked},
    settings::SpoolSettings,
};
use crate::domain::{
    keys::Keys,
    time::{Clock, Timestamp},
};
pub use callback::{Kept, Spooled, lanes};
use rusqlite::{Connection, OptionalExtension};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use writer::Writer;

/// The most that the file holds, whatever the callbacks' number.
pub const BYTES_MAX: u64 = 1 << 30;
/// `PRAGMA user_version` of what this release writes.
const FORMAT: i64 = 1;
/// How long the file's connection waits for somebody else's write to it (a person with `sqlite3`) before it gives up.
const BUSY: Duration = Duration::from_secs(2);
/// SQLite's own default, written down because [`BYTES_MAX`] is counted in it.
const PAGE: u64 = 4096;

const TABLES: &str = "
    CREATE TABLE spooled (
        id     INTEGER PRIMARY KEY AUTOINCREMENT,
        at     INTEGER NOT NULL,
        sealed BLOB NOT NULL,
        aside  TEXT
    );
    CREATE INDEX spooled_waiting ON spooled (id) WHERE aside IS NULL;
";

/// Why a spool was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolOpenError {
    /// Another gateway holds the lock.
    #[error("another gateway keeps its spool here ({} is locked): give this one a file of its own, [spool] file", .0.display())]
    Locked(PathBuf),
    /// A later release made the file.
    #[error("the spool {} is of format {found}, and this release knows up to {FORMAT}", .path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: i64,
    },
    /// The file, its folder or its lock cannot be made or opened.
    #[error("the spool {}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// SQLite cannot read the file, or not as one of ours.
    #[error("the spool {}: {error}", .path.display())]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
}

/// Why the spool did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// It has no room, in callbacks or in bytes, or the disk has none. Nothing was put.
    #[error("the spool is full: {0}")]
    Full(String),
    /// The file cannot be written or read, or it was not done in time: what was put may be there.
    #[error("the spool failed: {0}")]
    Failed(String),
}

/// A callback that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// By which it is removed.
    pub id: i64,
    /// The callback, or why it cannot be read.
    pub spooled: Result<Spooled, String>,
}

/// The spool of one gateway. Dropped, it finishes what was asked and closes the file.
pub struct Spool {
    keys: Arc<Keys>,
    clock: Clock,
    writer: Writer,
    /// Held until the writer has closed the file: fields go in this order.
    _lock: File,
}

impl Spool {
    /// Opens the spool: makes the file and the folders above it where they are missing, and locks it. `None` when the
    /// configuration wants none.
    pub fn open(
        settings: &SpoolSettings,
        keys: Arc<Keys>,
        clock: Clock,
    ) -> Result<Option<Spool>, SpoolOpenError> {
        let SpoolSettings { file: path, max } = settings;
        if *max == 0 {
            return Ok(None);
        }
        let io = |error| SpoolOpenError::Io { path: path.into(), error };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io)?;
        }
        let lock = lock::lock(path).map_err(|why| match why {
            NotLocked::Held(path) => SpoolOpenError::Locked(path),
            NotLocked::Io(path, error) => SpoolOpenError::Io { path, error },
        })?;
        let (db, held) = connect(path)?;
        let writer = Writer::start(db, held, *max).map_err(io)?;
        Ok(Some(Spool { keys, clock, writer, _lock: lock }))
    }

    /// Keeps these callbacks, all or none, and answers when they are on the disk.
    pub async fn put(&self, callbacks: &[Spooled]) -> Result<(), SpoolError> {
        let at = self.clock.now();
        let rows = callbacks.iter().map(|spooled| (at, spooled.seal(&self.keys))).collect();
        self.writer.put(rows).await
    }

    /// The callbacks that wait longest, in their order, at most `max`.
    pub async fn oldest(&self, max: usize) -> Result<Vec<Waiting>, SpoolError> {
        let rows = self.writer.oldest(max).await?;
        let read = |(id, sealed): (i64, Vec<u8>)| Waiting { id, spooled: Spooled::open(&self.keys, &sealed) };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Forgets callbacks that were replayed.
    pub async fn remove(&self, ids: Vec<i64>) -> Result<(), SpoolError> {
        self.writer.remove(ids).await
    }

    /// Sets one aside that can never be replayed as things are; `why` names no number.
    pub async fn set_aside(&self, id: i64, why: String) -> Result<(), SpoolError> {
        self.writer.set_aside(id, why).await
    }

    /// How many wait.
    pub fn waiting(&self) -> u64 {
        self.writer.held().waiting
    }

    /// How many were set aside since the start.
    pub fn aside(&self) -> u64 {
        self.writer.held().aside
    }

    /// Since when the oldest that waits is here.
    pub fn oldest_at(&self) -> Option<Timestamp> {
        self.writer.held().oldest
    }

    /// How many fsyncs its puts and removals took so far.
    pub fn fsyncs(&self) -> u64 {
        self.writer.held().fsyncs
    }

    /// Ends when something waits.
    pub async fn filled(&self) {
        self.writer.filled().await;
    }
}

/// What is in the file, as the writer knows it without asking.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    waiting: u64,
    aside: u64,
    oldest: Option<Timestamp>,
    fsyncs: u64,
}

/// The connection, and what the file holds; what was set aside waits again.
fn connect(path: &Path) -> Result<(Connection, Held), SpoolOpenError> {
    let sqlite = |error| SpoolOpenError::Sqlite { path: path.into(), error };
    let db = Connection::open(path).map_err(sqlite)?;
    let found: i64 = prepare(&db).map_err(sqlite)?;
    if found > FORMAT {
        return Err(SpoolOpenError::Newer { path: path.into(), found });
    }
    let held = begin(&db, found).map_err(sqlite)?;
    Ok((db, held))
}

fn prepare(db: &Connection) -> rusqlite::Result<i64> {
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "page_size", PAGE as i64)?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // FULL: a COMMIT returns when the log is on the disk, so that a 200 never tells of what a power cut can undo.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update_and_check(None, "max_page_count", (BYTES_MAX / PAGE) as i64, |_| Ok(()))?;
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn begin(db: &Connection, found: i64) -> rusqlite::Result<Held> {
    if found == 0 {
        db.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;"))?;
    }
    db.execute("UPDATE spooled SET aside = NULL WHERE aside IS NOT NULL", [])?;
    count(db)
}

/// What the file holds, counted.
fn count(db: &Connection) -> rusqlite::Result<Held> {
    let (waiting, aside) =
        db.query_row("SELECT count(*) FILTER (WHERE aside IS NULL), count(aside) FROM spooled", [], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
    Ok(Held { waiting, aside, oldest: oldest(db)?, fsyncs: 0 })
}

/// When the oldest that waits was put here.
fn oldest(db: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let mut look = db.prepare_cached("SELECT at FROM spooled WHERE aside IS NULL ORDER BY id LIMIT 1")?;
    look.query_row([], |row| Ok(Timestamp(row.get(0)?))).optional()
}
