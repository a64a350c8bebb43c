//! The threads that read, each with a connection of its own. They see what is committed and on the disk, and never wait
//! for the writer; one that counts a long queue does not hold up the others.

use super::{
    fault::Fault,
    job::{self, Job},
};
use crate::{
    domain::time::{Clock, Timestamp},
    store::StoreError,
};
use rusqlite::Connection;
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

/// How many readers there are.
pub(super) const READERS: usize = 2;
/// How many reads may wait; the next one is refused at once.
const WAITING_MAX: usize = 4_096;

/// The threads' owner.
pub(super) struct Readers {
    queue: Option<SyncSender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts one thread for each connection.
    pub(super) fn start(connections: Vec<Connection>, clock: &Clock) -> io::Result<Readers> {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let start = |db| {
            let (waiting, clock) = (waiting.clone(), clock.clone());
            thread::Builder::new().name("store-reader".into()).spawn(move || run(&db, &clock, &waiting))
        };
        let threads = connections.into_iter().map(start).collect::<io::Result<_>>()?;
        Ok(Readers { queue: Some(queue), threads })
    }

    /// Reads. No answer is no harm: nothing was changed.
    pub(super) async fn ask<T, F>(&self, look: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection, Timestamp) -> Result<T, Fault> + Send + 'static,
    {
        job::ask(look, |job| self.send(job), StoreError::Away).await
    }

    fn send(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().expect("the queue is there until the readers are dropped");
        queue.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Away(format!("{WAITING_MAX} reads wait already")),
            TrySendError::Disconnected(_) => StoreError::Away("its readers stopped".into()),
        })
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A panic was already printed by its own thread; there is nothing to add.
            let _ = thread.join();
        }
    }
}

fn run(db: &Connection, clock: &Clock, waiting: &Mutex<Receiver<Box<dyn Job>>>) {
    while let Some(mut job) = next(waiting) {
        let read = job.run(db, clock.now());
        job.answer(read);
    }
}

/// Whoever is free holds the lock and waits; the others wait for the lock.
fn next(waiting: &Mutex<Receiver<Box<dyn Job>>>) -> Option<Box<dyn Job>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
