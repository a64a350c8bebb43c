//! The tables (drawn in [`super`]) and how a connection to them is opened.

use rusqlite::{Connection, OpenFlags};
use std::{path::Path, time::Duration};

/// `PRAGMA user_version` of what this release writes.
pub(super) const FORMAT: i64 = 1;
/// How long a connection waits for another process' write (a command line beside the gateway) before it gives up.
const BUSY: Duration = Duration::from_secs(5);
/// Every statement of ours stays prepared: there are fewer than this.
const STATEMENTS: usize = 128;

/// Ids, tokens and stored shapes are BLOBs, moments are milliseconds, versions and generations are the bits of a `u64`.
/// WITHOUT ROWID: a turn touches one tree for each thing it changes, and each touched page is a page more to sync.
const TABLES: &str = "
    CREATE TABLE citizen (
        id      BLOB PRIMARY KEY,
        record  BLOB NOT NULL,
        expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE dialogue (
        id      BLOB PRIMARY KEY,
        stored  BLOB NOT NULL,
        expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE item (
        queue      TEXT NOT NULL,
        partition  INTEGER NOT NULL,
        bulk       INTEGER NOT NULL DEFAULT 0,
        id         TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 160 AND id NOT GLOB '*[^a-z0-9_:-]*'),
        generation INTEGER NOT NULL,
        due        INTEGER NOT NULL,
        at         INTEGER NOT NULL,
        attempt    INTEGER NOT NULL DEFAULT 0,
        first      INTEGER,
        unknowns   INTEGER NOT NULL DEFAULT 0,
        token      BLOB,
        died       INTEGER,
        why        TEXT,
        citizen    BLOB NOT NULL,
        payload    BLOB NOT NULL,
        mt         BLOB,
        PRIMARY KEY (queue, partition, id)
    ) WITHOUT ROWID;
    CREATE INDEX item_waiting ON item (queue, partition, bulk, at) WHERE died IS NULL;
    CREATE INDEX item_claimed ON item (token) WHERE token IS NOT NULL;
    CREATE INDEX item_dead ON item (queue, died) WHERE died IS NOT NULL;
    CREATE TABLE count (
        queue     TEXT NOT NULL,
        partition INTEGER NOT NULL,
        what      TEXT NOT NULL,
        n         INTEGER NOT NULL,
        PRIMARY KEY (queue, partition, what)
    ) WITHOUT ROWID;
    CREATE TABLE mark (id BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE life (
        id      BLOB PRIMARY KEY,
        stored  BLOB NOT NULL,
        expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE vendor (
        id      BLOB PRIMARY KEY,
        mt      BLOB NOT NULL,
        part    INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE invitation (id BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE thread (
        id      BLOB PRIMARY KEY,
        stored  BLOB NOT NULL,
        expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE slot (channel TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE revision (id BLOB PRIMARY KEY, stored BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
";

/// The connection that writes. Makes the file and the tables where there are none.
pub(super) fn writer(path: Option<&Path>) -> rusqlite::Result<Connection> {
    let db = match path {
        Some(path) => Connection::open(path)?,
        None => Connection::open_in_memory()?,
    };
    prepare(&db)?;
    if path.is_some() {
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    }
    // FULL: a COMMIT returns when the log is on the disk, so that an answer never tells of what a power cut can undo.
    db.pragma_update(None, "synchronous", "FULL")?;
    Ok(db)
}

/// A connection that only reads. There is no such thing beside a store in memory.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    prepare(&db)?;
    Ok(db)
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// The format that the file has; 0 is an empty file.
pub(super) fn format(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes the tables in an empty file: all of them or none, also when two processes come at once.
pub(super) fn make(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let made = match format(db)? {
        0 => db.execute_batch(TABLES).and_then(|()| db.pragma_update(None, "user_version", FORMAT)),
        _ => Ok(()),
    };
    db.execute_batch(if made.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    made
}
