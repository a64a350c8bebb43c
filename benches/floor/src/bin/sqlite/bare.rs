//! The bare loop: one thread that takes what waits, writes it in one transaction, syncs, and answers.

use super::Counted;
use rusqlite::{Connection, params};
use std::{
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The most turns of one transaction; the gateway's store takes as many.
const BATCH: usize = 256;

/// What the store wrote in each turn of one dialogue.
pub struct Rows {
    /// The citizen's record after each turn.
    pub records: Vec<Vec<u8>>,
    /// The dialogue's replies after each turn.
    pub dialogues: Vec<Vec<u8>>,
    /// The timer that the first turn starts and the last one cancels.
    pub timer: Vec<u8>,
    /// The completion that the last turn puts.
    pub completion: Vec<u8>,
}

struct Write {
    citizen: u128,
    turn: usize,
    answer: oneshot::Sender<()>,
}

/// A file with the store's tables, and the rows to be written into it again and again.
pub struct Bare {
    db: Option<Connection>,
    rows: Rows,
    dialled: u128,
}

impl Bare {
    /// A new file.
    pub fn open(path: &Path, rows: Rows) -> anyhow::Result<Bare> {
        let db = Connection::open(path)?;
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute_batch(
            "CREATE TABLE citizen (id BLOB PRIMARY KEY, record BLOB NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
             CREATE TABLE dialogue (id BLOB PRIMARY KEY, stored BLOB NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
             CREATE TABLE item (queue TEXT, partition INTEGER, id TEXT, generation INTEGER, due INTEGER, at INTEGER,
                 citizen BLOB, payload BLOB, PRIMARY KEY (queue, partition, id)) WITHOUT ROWID;
             CREATE INDEX item_waiting ON item (queue, partition, at);
             CREATE TABLE count (queue TEXT, partition INTEGER, what TEXT, n INTEGER, PRIMARY KEY (queue, partition, what))
                 WITHOUT ROWID;",
        )?;
        Ok(Bare { db: Some(db), rows, dialled: 0 })
    }

    /// Plays dialogues with so many in flight.
    pub fn play(&mut self, in_flight: usize, length: Duration) -> anyhow::Result<Counted> {
        let (queue, waiting) = sync_channel(in_flight);
        let db = self.db.take().expect("given back at the end of every play");
        let (rows, turns) = (&self.rows, self.rows.records.len());
        let began = Instant::now();
        let first = self.dialled;
        let (dialogues, writer) = std::thread::scope(|scope| {
            let writer = scope.spawn(move || run(db, rows, &waiting));
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let dialogues = runtime.block_on(citizens(queue, first, turns, in_flight, began + length));
            (dialogues, writer.join().expect("the writer does not panic"))
        });
        let (db, fsyncs) = writer?;
        self.db = Some(db);
        self.dialled += u128::from(dialogues);
        Ok(Counted { turns: dialogues * turns as u64, fsyncs, seconds: began.elapsed().as_secs_f64() })
    }
}

async fn citizens(
    queue: SyncSender<Write>,
    first: u128,
    turns: usize,
    in_flight: usize,
    end: Instant,
) -> u64 {
    let next = std::rc::Rc::new(std::cell::Cell::new(0_u64));
    let local = tokio::task::LocalSet::new();
    for _ in 0..in_flight {
        let (queue, next) = (queue.clone(), next.clone());
        local.spawn_local(async move {
            while Instant::now() < end {
                let citizen = spread(first + u128::from(next.get()));
                next.set(next.get() + 1);
                for turn in 0..turns {
                    let (answer, answered) = oneshot::channel();
                    let _ = queue.send(Write { citizen, turn, answer });
                    let _ = answered.await;
                }
            }
        });
    }
    drop(queue);
    local.await;
    next.get()
}

/// Ids that fall all over the tree, as hashes do.
fn spread(n: u128) -> u128 {
    (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).rotate_left(61)
}

fn run(db: Connection, rows: &Rows, waiting: &Receiver<Write>) -> rusqlite::Result<(Connection, u64)> {
    let mut fsyncs = 0;
    while let Ok(first) = waiting.recv() {
        let batch: Vec<Write> = std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).collect();
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for write in &batch {
            turn(&db, rows, write)?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
        fsyncs += 1;
        for write in batch {
            let _ = write.answer.send(());
        }
    }
    Ok((db, fsyncs))
}

fn turn(db: &Connection, rows: &Rows, write: &Write) -> rusqlite::Result<()> {
    let Write { citizen, turn, .. } = write;
    let id = citizen.to_be_bytes();
    let partition = id[0] % 64;
    db.prepare_cached(
        "INSERT INTO citizen VALUES (?1, ?2, 9) ON CONFLICT (id) DO UPDATE SET record = excluded.record, expires = 9",
    )?
    .execute(params![id, rows.records[*turn]])?;
    db.prepare_cached(
        "INSERT INTO dialogue VALUES (?1, ?2, 9) ON CONFLICT (id) DO UPDATE SET stored = excluded.stored, expires = 9",
    )?
    .execute(params![id, rows.dialogues[*turn]])?;
    let timer = format!("{citizen:032x}:expiry");
    if *turn == 0 {
        put(db, "timer", partition, &timer, &id, &rows.timer)?;
    }
    if *turn + 1 == rows.records.len() {
        db.prepare_cached("DELETE FROM item WHERE queue = 'timer' AND partition = ?1 AND id = ?2")?
            .execute(params![partition, timer])?;
        count(db, "timer", partition, "suppressed:cancelled")?;
        put(db, "completion:ledger", partition, &format!("rsp_{citizen:032x}"), &id, &rows.completion)?;
    }
    Ok(())
}

fn put(
    db: &Connection,
    queue: &str,
    partition: u8,
    id: &str,
    citizen: &[u8],
    payload: &[u8],
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO item VALUES (?1, ?2, ?3, 7, 8, 8, ?4, ?5)")?
        .execute(params![queue, partition, id, citizen, payload])?;
    count(db, queue, partition, "in")
}

fn count(db: &Connection, queue: &str, partition: u8, what: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO count VALUES (?1, ?2, ?3, 1) ON CONFLICT (queue, partition, what) DO UPDATE SET n = n + 1",
    )?
    .execute(params![queue, partition, what])?;
    Ok(())
}
