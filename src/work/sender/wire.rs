//! What is under way by one channel: bounded, and awaited at the end.

use crate::domain::id::ChannelId;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// The fewest MTs that may be under way by one channel, however small its TPS.
const UNDER_WAY_LEAST: usize = 64;
/// The most MTs that are ever under way by one channel: each may hold a connection.
const UNDER_WAY_MOST: usize = 1024;
/// How long what is under way has when the process stops; then it is left, and its lease lapses.
const DRAIN: Duration = Duration::from_secs(20);

/// The most MTs under way by a channel of this TPS, from the claim to the settle: two seconds of it. A vendor that answers
/// within a second and a half gets the full TPS, and a slower one holds back claims.
pub fn under_way_max(tps: u32) -> usize {
    (2 * tps as usize).clamp(UNDER_WAY_LEAST, UNDER_WAY_MOST)
}

/// The MTs under way.
pub struct Wire {
    tasks: JoinSet<()>,
    free: Arc<Semaphore>,
    most: usize,
}

impl Wire {
    /// Nothing under way yet.
    pub fn new(tps: u32) -> Wire {
        let most = under_way_max(tps);
        Wire { tasks: JoinSet::new(), free: Arc::new(Semaphore::new(most)), most }
    }

    /// Waits until something more may be under way, and says how much. Zero: the process stops.
    pub async fn room(&self, stop: &mut watch::Receiver<bool>) -> usize {
        self.free_to(1, stop).await
    }

    /// Waits until nothing is under way. Zero: the process stops.
    pub async fn empty(&self, stop: &mut watch::Receiver<bool>) -> usize {
        self.free_to(self.most, stop).await
    }

    async fn free_to(&self, least: usize, stop: &mut watch::Receiver<bool>) -> usize {
        tokio::select! {
            permits = self.free.acquire_many(least as u32) => drop(permits),
            _ = stop.wait_for(|stop| *stop) => return 0,
        }
        self.free.available_permits()
    }

    /// One more under way. Only who asked for room calls it, and not more often than there was room.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let permit = self.free.clone().try_acquire_owned().expect("there was room, and nobody else takes it");
        self.tasks.spawn(async move {
            task.await;
            drop(permit);
        });
    }

    /// Forgets what has ended.
    pub fn tidy(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a send ended before its settle; its lease will lapse");
            }
        }
    }

    /// Waits for all, at most [`DRAIN`].
    pub async fn drain(mut self, channel: &ChannelId) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!(%channel, left = self.tasks.len(), "MTs were still on the wire; they are in doubt");
        }
    }
}
