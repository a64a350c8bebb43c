//! Floor 5: loops that run by themselves. One shape: wait until something is due, claim, do, settle.
//!
//! When a worker wakes:
//! 1. this process' own commit put something due ([`Due`]);
//! 2. a claim's answer said when the next item is due;
//! 3. the sweep, which visits every partition once in [`SWEEP_ROUND`], found what another process left;
//! 4. shutdown: no new claims; what is under way is finished.

pub mod forwarder;
pub mod join;
pub mod replay;
pub mod sender;
pub mod timer;

use crate::{
    domain::{
        delivery::Verdict,
        id::{PARTITIONS, Partition},
        time::{Clock, Timestamp},
    },
    store::{Claim, Claimed, Item, Queue, Settle, Store, StoreError, due::Due, spool::Spool},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The sweep visits every partition once in this time.
pub const SWEEP_ROUND: Duration = Duration::from_secs(5);
/// A worker looks at the clock at least this often, because a manual or shifted clock may jump.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// How long a worker leaves a store alone that did not answer.
const STORE_REST: Duration = Duration::from_secs(1);
/// The waits before a settle is sent again that was not answered.
const SETTLE_AGAIN: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];
/// How often a worker looks whether the spool is empty, for which it waits.
const SPOOL_NAP: Duration = Duration::from_millis(20);
/// How long a partition is left alone in which nothing could be claimed although something is due.
const NOTHING_CLAIMED: Duration = Duration::from_millis(20);
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
    /// What telcos brought while the store was away, if this gateway has a spool.
    pub spool: Option<Arc<Spool>>,
}

impl Desk {
    /// Waits until something of `queue` is due and claims it. `None`: the process stops.
    async fn next_claims(&mut self, queue: &Queue, max: usize) -> Option<Vec<(Partition, Claimed)>> {
        loop {
            self.something_due(queue).await?;
            if *queue == Queue::Timer {
                self.spool_empty().await?;
            }
            let partitions = self.take_due(queue, CLAIMS_AT_ONCE);
            let claimed = self.claim_all(queue, &partitions, max, None).await;
            if !claimed.is_empty() {
                return Some(claimed);
            }
        }
    }

    /// Waits until something of `queue` is due. `None`: the process stops.
    async fn something_due(&mut self, queue: &Queue) -> Option<()> {
        while !*self.stop.borrow() {
            let times = self.due.queue(queue)?;
            if times.next().is_some_and(|at| at <= self.clock.now()) {
                return Some(());
            }
            self.wait(queue).await;
        }
        None
    }

    /// Waits until nothing that telcos brought lies in this gateway's spool: a STOP among it must be in the store before
    /// anything leaves or wakes. `None`: the process stops.
    async fn spool_empty(&mut self) -> Option<()> {
        while self.spool.as_ref().is_some_and(|spool| spool.waiting() > 0) {
            let soon = self.clock.now().plus(SPOOL_NAP);
            self.sleep_until(soon).await?;
        }
        (!*self.stop.borrow()).then_some(())
    }

    /// Takes the partitions in which something of `queue` is due, longest due first. Whoever takes them claims from them.
    fn take_due(&self, queue: &Queue, most: usize) -> Vec<Partition> {
        self.due.queue(queue).map(|times| times.take(self.clock.now(), most)).unwrap_or_default()
    }

    /// Claims at most `max` items from each partition, from all at once. Only what brought something comes back.
    async fn claim_all(
        &self,
        queue: &Queue,
        partitions: &[Partition],
        max: usize,
        doubt: Option<Duration>,
    ) -> Vec<(Partition, Claimed)> {
        let claims = partitions.iter().map(|partition| self.claim(queue, *partition, max, doubt));
        let claimed = futures_util::future::join_all(claims).await;
        claimed.into_iter().flatten().filter(|(_, claimed)| !claimed.items.is_empty()).collect()
    }

    async fn claim(
        &self,
        queue: &Queue,
        partition: Partition,
        max: usize,
        doubt: Option<Duration>,
    ) -> Option<(Partition, Claimed)> {
        let mut token = [0; 16];
        getrandom::fill(&mut token).expect("the system has randomness");
        let claim = Claim { queue: queue.clone(), partition, max, token, doubt };
        match self.store.claim(&claim).await {
            Ok(claimed) => {
                self.note_next(queue, partition, max, &claimed);
                Some((partition, claimed))
            }
            Err(error) => {
                tracing::warn!(%queue, %error, "could not claim");
                self.due.note(queue, partition, self.clock.now().plus(STORE_REST));
                None
            }
        }
    }

    /// When to claim here again. What is urgent comes first, so a claim that was filled by it may have left more of it. A claim
    /// that brought nothing although something is due met a store whose clock is behind ours: asking at once would spin.
    fn note_next(&self, queue: &Queue, partition: Partition, max: usize, claimed: &Claimed) {
        let Some(next) = claimed.next_due else { return };
        let now = self.clock.now();
        let urgent = |item: &Item| item.mt.is_some_and(|mt| mt.urgent);
        match claimed.items.last() {
            None if next <= now => self.due.note(queue, partition, now.plus(NOTHING_CLAIMED)),
            Some(last) if claimed.items.len() >= max && urgent(last) => {
                self.due.note_urgent(queue, partition, next);
            }
            _ => self.due.note(queue, partition, next),
        }
    }

    /// Settles, and sends it again where it is not known whether it counted, a bounded number of times: then the lease lapses,
    /// which is what would have happened had we died.
    async fn settle(&self, settle: &Settle) {
        if let Verdict::Again(at) | Verdict::Later(at) | Verdict::Unknown(at) = &settle.verdict {
            self.due.note(&settle.queue, settle.partition, *at);
        }
        let mut waits = SETTLE_AGAIN.into_iter();
        loop {
            let error = match self.store.settle(settle).await {
                Ok(_) => return,
                Err(error) => error,
            };
            let again = !matches!(error, StoreError::Refused(_));
            let Some(wait) = waits.next().filter(|_| again) else {
                let (queue, item) = (&settle.queue, &settle.id);
                tracing::warn!(%queue, item, %error, "could not settle; its lease will lapse");
                return;
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Until `at` by our clock. `None`: the process stops.
    async fn sleep_until(&mut self, at: Timestamp) -> Option<()> {
        while !*self.stop.borrow() {
            let nap = at.since(self.clock.now()).min(LONGEST_NAP);
            if nap.is_zero() {
                return Some(());
            }
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                _ = self.stop.changed() => {}
            }
        }
        None
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
