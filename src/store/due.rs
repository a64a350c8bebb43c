//! When work is due, as this process knows it: one time per queue and partition, fed by its own commits, by every
//! claim's answer and by the sweep, which finds what others left. Workers wait here instead of asking the store.

use super::Queue;
use crate::domain::{id::Partition, time::Timestamp};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use tokio::sync::Notify;

/// The due times of one queue.
#[derive(Debug, Default)]
pub struct DueTimes {
    times: Mutex<BTreeMap<Partition, Timestamp>>,
    moved: Notify,
}

impl DueTimes {
    /// Something in this partition is due then. An earlier time stays.
    pub fn note(&self, partition: Partition, due: Timestamp) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let known = times.entry(partition).or_insert(due);
        if due <= *known {
            *known = due;
            self.moved.notify_one();
        }
    }

    /// Takes the partitions that are due at `now`, at most `max`, longest due first.
    pub fn take(&self, now: Timestamp, max: usize) -> Vec<Partition> {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due: Vec<_> = times.iter().filter(|(_, at)| **at <= now).map(|(p, at)| (*at, *p)).collect();
        due.sort();
        due.truncate(max);
        due.iter().for_each(|(_, partition)| {
            times.remove(partition);
        });
        due.into_iter().map(|(_, partition)| partition).collect()
    }

    /// The earliest time known.
    pub fn next(&self) -> Option<Timestamp> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).values().min().copied()
    }

    /// Ends when a time was noted that is earlier than what was known.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }
}

/// The due times of all queues that this process works on; the list is fixed at start.
#[derive(Debug)]
pub struct Due(BTreeMap<Queue, DueTimes>);

impl Due {
    /// Due times for these queues.
    pub fn of(queues: impl IntoIterator<Item = Queue>) -> Due {
        Due(queues.into_iter().map(|queue| (queue, DueTimes::default())).collect())
    }

    /// The queues.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.0.keys()
    }

    /// The due times of a queue; `None` for one that nobody here works on.
    pub fn queue(&self, queue: &Queue) -> Option<&DueTimes> {
        self.0.get(queue)
    }

    /// Something is due; a queue that nobody here works on is another process' business.
    pub fn note(&self, queue: &Queue, partition: Partition, due: Timestamp) {
        if let Some(times) = self.queue(queue) {
            times.note(partition, due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_time_of_a_partition_counts_and_is_taken_once() {
        let due = DueTimes::default();
        due.note(Partition(1), Timestamp(50));
        due.note(Partition(1), Timestamp(90));
        due.note(Partition(2), Timestamp(20));
        assert_eq!(due.next(), Some(Timestamp(20)));
        assert_eq!(due.take(Timestamp(60), 10), [Partition(2), Partition(1)]);
        assert_eq!(due.take(Timestamp(99), 10), []);
    }
}
