//! An act on its way from whoever asked to the thread that does it, and its answer back. Nobody who asks blocks: the queue
//! has room or the act is refused, and the answer is awaited for a bounded time.

use super::fault::Fault;
use crate::{domain::time::Timestamp, store::StoreError};
use rusqlite::Connection;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long an answer is awaited. A turn's deadline is shorter; this is for a disk that hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a thread sees of an act.
pub(super) trait Job: Send {
    /// Does it and keeps what came out. An error means that whatever it wrote must be taken back.
    fn run(&mut self, db: &Connection, now: Timestamp) -> Result<(), StoreError>;

    /// Answers with what came out, or with why it does not count.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// An act, and who waits for it.
struct Asked<T, F> {
    act: F,
    outcome: Option<Result<T, StoreError>>,
    to: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Asked<T, F>
where
    T: Send,
    F: Fn(&Connection, Timestamp) -> Result<T, Fault> + Send,
{
    fn run(&mut self, db: &Connection, now: Timestamp) -> Result<(), StoreError> {
        let outcome = (self.act)(db, now).map_err(StoreError::from);
        let failed = outcome.as_ref().map(|_| ()).map_err(StoreError::clone);
        self.outcome = Some(outcome);
        failed
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Asked { act: _, outcome, to } = *self;
        let answer = committed.and_then(|()| outcome.expect("a transaction commits after all its acts"));
        // Whoever asked may have gone; the act stands all the same.
        let _ = to.send(answer);
    }
}

/// Hands an act to a thread by `send` and waits for what comes out. `silence` says what no answer means.
pub(super) async fn ask<T, F>(
    act: F,
    send: impl FnOnce(Box<dyn Job>) -> Result<(), StoreError>,
    silence: fn(String) -> StoreError,
) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: Fn(&Connection, Timestamp) -> Result<T, Fault> + Send + 'static,
{
    let (to, answer) = oneshot::channel();
    send(Box::new(Asked { act, outcome: None, to }))?;
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(silence("it stopped".into())),
        Err(_) => Err(silence(format!("nothing in {} s", ANSWER_WITHIN.as_secs()))),
    }
}
