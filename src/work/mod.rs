//! Floor 5: loops that run by themselves. One shape: wait until something is due, claim, do, settle.
//!
//! When a worker wakes:
//! 1. this process' own commit put something due ([`Due`]);
//! 2. a claim's answer said when the next item is due;
//! 3. the sweep, which visits every partition once in [`SWEEP_ROUND`], found what another process left;
//! 4. shutdown: no new claims; what is under way is finished.

pub mod forwarder;
pub mod replay;
pub mod timer;

use crate::{
    domain::{
        id::{PARTITIONS, Partition},
        time::{Clock, Timestamp},
    },
    store::{Claim, Claimed, Queue, Store, StoreError, due::Due},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The sweep visits every partition once in this time.
pub const SWEEP_ROUND: Duration = Duration::from_secs(5);
/// A worker looks at the clock at least this often, because a manual or shifted clock may jump.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// How long a worker leaves a store alone that did not answer.
const STORE_REST: Duration = Duration::from_secs(1);
/// Partitions claimed from at once.
const CLAIMS_AT_ONCE: usize = 16;

/// What every loop has.
#[derive(Clone)]
pub struct Desk {
    /// The worker's way to the store.
    pub store: Arc<dyn Store>,
    /// What is due, as this process knows it.
    pub due: Arc<Due>,
    /// The time.
    pub clock: Clock,
    /// Becomes true when the process shall stop.
    pub stop: watch::Receiver<bool>,
}

impl Desk {
    /// Waits until something of `queue` is due and claims it. `None`: the process stops.
    async fn next_claims(&mut self, queue: &Queue, max: usize) -> Option<Vec<(Partition, Claimed)>> {
        loop {
            if *self.stop.borrow() {
                return None;
            }
            let partitions = match self.due.queue(queue) {
                Some(times) => times.take(self.clock.now(), CLAIMS_AT_ONCE),
                None => Vec::new(),
            };
            if partitions.is_empty() {
                self.wait(queue).await;
                continue;
            }
            let claims = partitions.iter().map(|partition| self.claim(queue, *partition, max));
            let claimed = futures_util::future::join_all(claims).await;
            let claimed: Vec<_> =
                claimed.into_iter().flatten().filter(|(_, c)| !c.items.is_empty()).collect();
            if !claimed.is_empty() {
                return Some(claimed);
            }
        }
    }

    async fn claim(&self, queue: &Queue, partition: Partition, max: usize) -> Option<(Partition, Claimed)> {
        let mut token = [0; 16];
        getrandom::fill(&mut token).expect("the system has randomness");
        let claim = Claim { queue: queue.clone(), partition, max, token, doubt: None };
        match self.store.claim(&claim).await {
            Ok(claimed) => {
                if let Some(next) = claimed.next_due {
                    self.due.note(queue, partition, next);
                }
                Some((partition, claimed))
            }
            Err(error) => {
                tracing::warn!(%queue, %error, "could not claim");
                self.due.note(queue, partition, self.clock.now().plus(STORE_REST));
                None
            }
        }
    }

    /// Until the next due time, an earlier one, the stop, or [`LONGEST_NAP`].
    async fn wait(&mut self, queue: &Queue) {
        let Some(times) = self.due.queue(queue) else { return };
        let nap = times.next().map_or(LONGEST_NAP, |at| at.since(self.clock.now())).min(LONGEST_NAP);
        tokio::select! {
            () = tokio::time::sleep(nap) => {}
            () = times.moved() => {}
            _ = self.stop.changed() => {}
        }
    }
}

/// Visits every partition in turn and notes what waits there.
pub async fn sweep(mut desk: Desk) {
    let queues: Vec<Queue> = desk.due.queues().cloned().collect();
    let pause = SWEEP_ROUND / u32::from(PARTITIONS);
    for partition in Partition::all().cycle() {
        if *desk.stop.borrow() {
            return;
        }
        let rest = match sweep_one(&desk, partition, &queues).await {
            Ok(()) => pause,
            Err(error) => {
                tracing::warn!(%error, "could not sweep");
                STORE_REST
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = desk.stop.changed() => {}
        }
    }
}

async fn sweep_one(desk: &Desk, partition: Partition, queues: &[Queue]) -> Result<(), StoreError> {
    let found: Vec<Option<Timestamp>> = desk.store.sweep(partition, queues).await?;
    for (queue, due) in queues.iter().zip(found) {
        if let Some(due) = due {
            desk.due.note(queue, partition, due);
        }
    }
    Ok(())
}
