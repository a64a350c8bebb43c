//! The one thread that has the file open. It gathers what waits into one transaction, so that an fsync is paid once for
//! all of it; while the transaction is in fsync the next asks gather in the queue.

use super::{Held, SpoolError, count, oldest};
use crate::domain::time::Timestamp;
use rusqlite::{Connection, ErrorCode, params};
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::{Notify, oneshot};

/// How many asks may wait; the next one is refused at once.
const WAITING_MAX: usize = 4_096;
/// How many asks go into one transaction: an fsync is paid once for them, and the first waits for the last.
const BATCH_MAX: usize = 256;
/// How long an answer is awaited: for a disk that hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

type Answer<T> = oneshot::Sender<Result<T, SpoolError>>;
/// What tells whoever asked, once the transaction ended.
type Tell = Box<dyn FnOnce(Result<(), SpoolError>)>;

enum Ask {
    Put(Vec<(Timestamp, Vec<u8>)>, Answer<()>),
    Oldest(usize, Answer<Vec<(i64, Vec<u8>)>>),
    Remove(Vec<i64>, Answer<()>),
    Aside(i64, String, Answer<()>),
    Stop,
}

/// What the thread and its owner both see.
#[derive(Default)]
struct Shared {
    held: Mutex<Held>,
    filled: Notify,
}

impl Shared {
    fn held(&self) -> Held {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's owner.
pub(super) struct Writer {
    queue: SyncSender<Ask>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on an open file that holds `held`, for at most `max` callbacks.
    pub(super) fn start(db: Connection, held: Held, max: u64) -> io::Result<Writer> {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let shared = Arc::new(Shared { held: Mutex::new(held), filled: Notify::new() });
        let at_work = AtWork { db, max, held, shared: shared.clone() };
        let thread =
            thread::Builder::new().name("spool-writer".into()).spawn(move || at_work.run(&waiting))?;
        Ok(Writer { queue, shared, thread: Some(thread) })
    }

    pub(super) async fn put(&self, rows: Vec<(Timestamp, Vec<u8>)>) -> Result<(), SpoolError> {
        self.ask(|to| Ask::Put(rows, to)).await
    }

    pub(super) async fn oldest(&self, max: usize) -> Result<Vec<(i64, Vec<u8>)>, SpoolError> {
        self.ask(|to| Ask::Oldest(max, to)).await
    }

    pub(super) async fn remove(&self, ids: Vec<i64>) -> Result<(), SpoolError> {
        self.ask(|to| Ask::Remove(ids, to)).await
    }

    pub(super) async fn set_aside(&self, id: i64, why: String) -> Result<(), SpoolError> {
        self.ask(|to| Ask::Aside(id, why, to)).await
    }

    pub(super) fn held(&self) -> Held {
        self.shared.held()
    }

    pub(super) async fn filled(&self) {
        loop {
            let filled = self.shared.filled.notified();
            if self.held().waiting > 0 {
                return;
            }
            filled.await;
        }
    }

    async fn ask<T>(&self, ask: impl FnOnce(Answer<T>) -> Ask) -> Result<T, SpoolError> {
        let (to, answer) = oneshot::channel();
        self.queue.try_send(ask(to)).map_err(|refused| match refused {
            TrySendError::Full(_) => SpoolError::Full(format!("{WAITING_MAX} asks wait already")),
            TrySendError::Disconnected(_) => SpoolError::Failed("it stopped".into()),
        })?;
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(SpoolError::Failed("it stopped".into())),
            Err(_) => Err(SpoolError::Failed(format!("nothing in {} s", ANSWER_WITHIN.as_secs()))),
        }
    }
}

/// Waits for the thread, so that whoever opens the file next finds it closed.
impl Drop for Writer {
    fn drop(&mut self) {
        // Refused only when the thread is gone, or so busy that it sees the closed queue soon enough.
        let _ = self.queue.try_send(Ask::Stop);
        self.queue = sync_channel(0).0;
        if let Some(thread) = self.thread.take() {
            // A panic was already printed by its own thread; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// The thread itself. `held` is what the last transaction left; a new one works on a copy.
struct AtWork {
    db: Connection,
    max: u64,
    held: Held,
    shared: Arc<Shared>,
}

impl AtWork {
    fn run(mut self, waiting: &Receiver<Ask>) {
        while let Ok(first) = waiting.recv() {
            let mut stop = false;
            let gathered = std::iter::once(first).chain(waiting.try_iter().take(BATCH_MAX - 1));
            let asks: Vec<Ask> = gathered
                .filter(|ask| {
                    stop |= matches!(ask, Ask::Stop);
                    !matches!(ask, Ask::Stop)
                })
                .collect();
            self.batch(asks);
            if stop {
                return;
            }
        }
    }

    /// Does these asks in one transaction and answers all of them.
    fn batch(&mut self, asks: Vec<Ask>) {
        let mut tells: Vec<Tell> = Vec::with_capacity(asks.len());
        let mut held = self.held;
        let done = self.transaction(asks, &mut held, &mut tells);
        match &done {
            Ok(()) => self.now_holds(held),
            Err(error) => {
                tracing::error!(%error, "the spool could not be written");
                // Whatever it answers, the next BEGIN shows whether the connection is of use.
                let _ = self.db.execute_batch("ROLLBACK");
                // A COMMIT that failed leaves open what the file holds.
                if let Ok(held) = count(&self.db) {
                    self.now_holds(Held { fsyncs: self.held.fsyncs, ..held });
                }
            }
        }
        tells.into_iter().for_each(|tell| tell(done.clone()));
    }

    fn now_holds(&mut self, held: Held) {
        self.held = held;
        *self.shared.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        if held.waiting > 0 {
            self.shared.filled.notify_waiters();
        }
    }

    fn transaction(&self, asks: Vec<Ask>, held: &mut Held, tells: &mut Vec<Tell>) -> Result<(), SpoolError> {
        let before = self.db.total_changes();
        let mut begun = self.db.execute_batch("BEGIN IMMEDIATE");
        for ask in asks {
            // Once one failed the others are answered with that, not done.
            let done = begun.and_then(|()| self.one(&ask, held));
            let (tell, done) = told(ask, done);
            tells.push(tell);
            begun = done;
        }
        let done = begun.and_then(|()| {
            held.oldest = oldest(&self.db)?;
            self.db.execute_batch("COMMIT")
        });
        held.fsyncs += u64::from(self.db.total_changes() != before);
        done.map_err(failed)
    }

    /// Does one ask.
    fn one(&self, ask: &Ask, held: &mut Held) -> rusqlite::Result<Outcome> {
        match ask {
            Ask::Put(rows, _) if held.waiting + held.aside + rows.len() as u64 > self.max => {
                return Ok(Outcome::NoRoom(self.max));
            }
            Ask::Put(rows, _) => {
                let mut put = self.db.prepare_cached("INSERT INTO spooled (at, sealed) VALUES (?1, ?2)")?;
                for (at, sealed) in rows {
                    put.execute(params![at.0, sealed])?;
                }
                held.waiting += rows.len() as u64;
            }
            Ask::Oldest(max, _) => return self.look(*max).map(Outcome::Rows),
            Ask::Remove(ids, _) => {
                let mut remove =
                    self.db.prepare_cached("DELETE FROM spooled WHERE id = ?1 AND aside IS NULL")?;
                for id in ids {
                    held.waiting -= remove.execute([id])? as u64;
                }
            }
            Ask::Aside(id, why, _) => {
                let mut aside = self
                    .db
                    .prepare_cached("UPDATE spooled SET aside = ?2 WHERE id = ?1 AND aside IS NULL")?;
                let moved = aside.execute(params![id, why])? as u64;
                held.waiting -= moved;
                held.aside += moved;
            }
            Ask::Stop => {}
        }
        Ok(Outcome::Done)
    }

    fn look(&self, max: usize) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        let mut look = self
            .db
            .prepare_cached("SELECT id, sealed FROM spooled WHERE aside IS NULL ORDER BY id LIMIT ?1")?;
        look.query_map([max as i64], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }
}

/// What one ask came to inside the transaction.
enum Outcome {
    Done,
    NoRoom(u64),
    Rows(Vec<(i64, Vec<u8>)>),
}

/// How whoever asked is told, and whether the transaction goes on.
fn told(ask: Ask, done: rusqlite::Result<Outcome>) -> (Tell, rusqlite::Result<()>) {
    let (outcome, goes_on) = match done {
        Ok(outcome) => (outcome, Ok(())),
        Err(error) => (Outcome::Done, Err(error)),
    };
    let tell: Tell = match (ask, outcome) {
        // Whoever asked may have gone; what was done stands all the same.
        (Ask::Oldest(_, to), Outcome::Rows(rows)) => {
            Box::new(|committed| drop(to.send(committed.map(|()| rows))))
        }
        (Ask::Oldest(_, to), _) => Box::new(|committed| drop(to.send(committed.map(|()| Vec::new())))),
        (Ask::Put(_, to), Outcome::NoRoom(max)) => {
            let full = SpoolError::Full(format!("it holds {max} callbacks at most"));
            Box::new(|committed| drop(to.send(committed.and(Err(full)))))
        }
        (Ask::Put(_, to) | Ask::Remove(_, to) | Ask::Aside(_, _, to), _) => {
            Box::new(|committed| drop(to.send(committed)))
        }
        (Ask::Stop, _) => Box::new(drop),
    };
    (tell, goes_on)
}

fn failed(error: rusqlite::Error) -> SpoolError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => SpoolError::Full(error.to_string()),
        _ => SpoolError::Failed(error.to_string()),
    }
}
