//! The one thread that writes. It gathers waiting acts into one transaction, a savepoint each, so that one that fails
//! fails alone; while the transaction is in fsync the next acts gather in the queue. So a fuller house makes larger
//! batches, not more fsyncs.

use super::{
    fault::{self, Fault},
    job::{self, Job},
    sweep::Sweep,
};
use crate::{
    domain::{
        metric,
        time::{Clock, Timestamp},
    },
    store::StoreError,
};
use rusqlite::Connection;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How many acts may wait; the next one is refused at once, so that a citizen gets the closing screen and not silence.
const WAITING_MAX: usize = 4_096;
/// How many acts go into one transaction: an fsync is paid once for them, and the first waits for the last.
const BATCH_MAX: usize = 256;
/// How often an idle writer looks for what has lapsed.
const SWEEP_IDLE: Duration = Duration::from_secs(1);
/// How often a busy one does.
const SWEEP_BUSY: Duration = Duration::from_millis(250);

enum Message {
    Act(Box<dyn Job>),
    /// Look up: you are to stop.
    Wake,
}

/// What the thread and its owner both see.
#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    full: AtomicBool,
    fsyncs: AtomicU64,
}

/// The thread's owner.
pub(super) struct Writer {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    ended: watch::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `durable`: each COMMIT that wrote something is one fsync of the log.
    pub(super) fn start(db: Connection, clock: Clock, durable: bool) -> io::Result<Writer> {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let (end, ended) = watch::channel(());
        let shared = Arc::new(Shared::default());
        let at_work = AtWork {
            db,
            clock,
            durable,
            shared: shared.clone(),
            sweep: Sweep::default(),
            swept: Instant::now(),
        };
        let thread = thread::Builder::new().name("store-writer".into()).spawn(move || {
            at_work.run(waiting);
            drop(end);
        })?;
        Ok(Writer { queue, shared, ended, thread: Some(thread) })
    }

    /// Does an act, all of it or nothing, and answers when it is on the disk.
    pub(super) async fn ask<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection, Timestamp) -> Result<T, Fault> + Send + 'static,
    {
        job::ask(act, |job| self.send(job), StoreError::Unknown).await
    }

    fn send(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        if self.shared.stopping.load(Ordering::SeqCst) {
            return Err(StoreError::Away("it was stopped".into()));
        }
        self.queue.try_send(Message::Act(job)).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Away(format!("{WAITING_MAX} acts wait already")),
            TrySendError::Disconnected(_) => StoreError::Away("it stopped".into()),
        })
    }

    /// Takes no more acts, and ends when those that wait are done and the file is closed.
    pub(super) async fn stop(&self) {
        self.wake_to_stop();
        // The sender never sends: it goes when the thread ends.
        let _ = self.ended.clone().changed().await;
    }

    fn wake_to_stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // A full queue needs no waking; a thread that ended cannot be woken.
        let _ = self.queue.try_send(Message::Wake);
    }

    /// Whether the last thing that was written found no room.
    pub(super) fn full(&self) -> bool {
        self.shared.full.load(Ordering::SeqCst)
    }

    pub(super) fn fsyncs(&self) -> u64 {
        self.shared.fsyncs.load(Ordering::SeqCst)
    }
}

/// Waits for the thread, so that whoever opens the file next finds it closed.
impl Drop for Writer {
    fn drop(&mut self) {
        self.wake_to_stop();
        if let Some(thread) = self.thread.take() {
            // A panic was already printed by its own thread; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// The thread itself.
struct AtWork {
    db: Connection,
    clock: Clock,
    durable: bool,
    shared: Arc<Shared>,
    sweep: Sweep,
    swept: Instant,
}

impl AtWork {
    fn run(mut self, waiting: Receiver<Message>) {
        let mut lapsed = 0;
        loop {
            let patience = if lapsed > 0 { Duration::ZERO } else { SWEEP_IDLE };
            let jobs = match waiting.recv_timeout(patience) {
                Ok(first) => gather(first, &waiting),
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let idle = jobs.is_empty();
            self.batch(jobs);
            lapsed = if idle || self.swept.elapsed() >= SWEEP_BUSY { self.sweep() } else { 0 };
            if self.shared.stopping.load(Ordering::SeqCst) {
                return self.drain(&waiting);
            }
        }
    }

    fn drain(&mut self, waiting: &Receiver<Message>) {
        loop {
            match waiting.try_recv() {
                Ok(first) => self.batch(gather(first, waiting)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Does these acts in one transaction and answers all of them.
    fn batch(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        if jobs.is_empty() {
            return;
        }
        let committed = self.transaction(|at_work| at_work.acts(&mut jobs));
        jobs.into_iter().for_each(|job| job.answer(committed.clone()));
    }

    /// Does each act in a savepoint of its own. An error here means that the whole transaction is lost.
    fn acts(&self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        for job in jobs {
            self.execute("SAVEPOINT act")?;
            if let Err(error) = job.run(&self.db, self.clock.now()) {
                self.note_room(&error);
                // Without room or memory SQLite may have rolled back more than the statement.
                if self.db.is_autocommit() {
                    return Err(error);
                }
                self.execute("ROLLBACK TO act")?;
            }
            self.execute("RELEASE act")?;
        }
        Ok(())
    }

    /// Takes out one bite of what has lapsed, in a transaction of its own, because nobody's act may fail with it.
    fn sweep(&mut self) -> usize {
        self.swept = Instant::now();
        let now = self.clock.now();
        let mut sweep = std::mem::take(&mut self.sweep);
        let mut lapsed = 0;
        let swept = self.transaction(|at_work| {
            lapsed = sweep.bite(&at_work.db, now).map_err(|error| fault::undone(&error))?;
            Ok(())
        });
        self.sweep = sweep;
        match swept {
            Ok(()) => lapsed,
            Err(error) => {
                tracing::debug!(%error, "what has lapsed stays for now; it is ignored all the same");
                0
            }
        }
    }

    fn transaction(
        &mut self,
        work: impl FnOnce(&AtWork) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let before = self.db.total_changes();
        let done = self.execute("BEGIN IMMEDIATE").and_then(|()| work(self)).and_then(|()| self.commit());
        match &done {
            Ok(()) if self.db.total_changes() != before => self.wrote(),
            Ok(()) => {}
            Err(error) => self.note_room(error),
        }
        if !self.db.is_autocommit() {
            // Whatever it answers, the next BEGIN shows whether the connection is of use.
            let _ = self.db.execute_batch("ROLLBACK");
        }
        done
    }

    fn commit(&self) -> Result<(), StoreError> {
        let commit = self.db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        commit.map(drop).map_err(|error| fault::uncommitted(&error))
    }

    fn execute(&self, statement: &str) -> Result<(), StoreError> {
        let done = self.db.prepare_cached(statement).and_then(|mut statement| statement.execute([]));
        done.map(drop).map_err(|error| fault::undone(&error))
    }

    fn wrote(&self) {
        self.shared.full.store(false, Ordering::SeqCst);
        if self.durable {
            self.shared.fsyncs.fetch_add(1, Ordering::SeqCst);
            metrics::counter!(metric::STORE_FSYNCS_TOTAL).increment(1);
        }
    }

    fn note_room(&self, error: &StoreError) {
        if matches!(error, StoreError::Full(_)) {
            self.shared.full.store(true, Ordering::SeqCst);
        }
    }
}

/// The first act and those that wait behind it, as many as go into one transaction.
fn gather(first: Message, waiting: &Receiver<Message>) -> Vec<Box<dyn Job>> {
    let act = |message| match message {
        Message::Act(job) => Some(job),
        Message::Wake => None,
    };
    std::iter::once(first).chain(waiting.try_iter().take(BATCH_MAX - 1)).filter_map(act).collect()
}
