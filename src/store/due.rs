//! When work is due, as this process knows it: one time per queue and partition, fed by its own commits, by every
//! claim's answer and by the sweep, which finds what others left. Workers wait here instead of asking the store.

use super::{Put, Queue};
use crate::domain::{id::Partition, time::Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The due times of one queue.
#[derive(Debug, Default)]
pub struct DueTimes {
    times: Mutex<Times>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct Times {
    due: BTreeMap<Partition, Timestamp>,
    /// Where somebody waits for what is due: these are taken first.
    urgent: BTreeSet<Partition>,
}

impl DueTimes {
    /// Something in this partition is due then. An earlier time stays.
    pub fn note(&self, partition: Partition, due: Timestamp) {
        self.noted(self.times(), partition, due);
    }

    /// Something in this partition is due then for which somebody waits, such as the reply to an MO: behind a hundred thousand
    /// invitations its partition's turn would come after a whole round of the others.
    pub fn note_urgent(&self, partition: Partition, due: Timestamp) {
        let mut times = self.times();
        times.urgent.insert(partition);
        self.noted(times, partition, due);
    }

    /// Takes the partitions that are due at `now`, at most `max`: where somebody waits, then longest due first.
    pub fn take(&self, now: Timestamp, max: usize) -> Vec<Partition> {
        let mut times = self.times();
        let due = times.due.iter().filter(|(_, at)| **at <= now);
        let mut due: Vec<_> = due.map(|(p, at)| (!times.urgent.contains(p), *at, *p)).collect();
        due.sort();
        due.truncate(max);
        let taken: Vec<_> = due.into_iter().map(|(_, _, partition)| partition).collect();
        for partition in &taken {
            times.due.remove(partition);
            times.urgent.remove(partition);
        }
        taken
    }

    /// The earliest time known.
    pub fn next(&self) -> Option<Timestamp> {
        self.times().due.values().min().copied()
    }

    fn noted(&self, mut times: MutexGuard<'_, Times>, partition: Partition, due: Timestamp) {
        let known = times.due.entry(partition).or_insert(due);
        if due <= *known {
            *known = due;
            self.moved.notify_one();
        }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Something is due there for which somebody waits.
    pub fn note_urgent(&self, queue: &Queue, partition: Partition, due: Timestamp) {
        if let Some(times) = self.queue(queue) {
            times.note_urgent(partition, due);
        }
    }

    /// Something is due that was put: a reply to an MO is urgent.
    pub fn note_put(&self, put: &Put, partition: Partition) {
        match put.mt.is_some_and(|mt| mt.urgent) {
            true => self.note_urgent(&put.queue, partition, put.due),
            false => self.note(&put.queue, partition, put.due),
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

    #[test]
    fn where_somebody_waits_is_taken_first_and_only_once() {
        let due = DueTimes::default();
        for partition in 1..=4 {
            due.note(Partition(partition), Timestamp(i64::from(partition)));
        }
        due.note_urgent(Partition(3), Timestamp(50));
        due.note_urgent(Partition(9), Timestamp(99));
        assert_eq!(due.take(Timestamp(50), 2), [Partition(3), Partition(1)], "an earlier time stays");
        due.note(Partition(3), Timestamp(3));
        assert_eq!(due.take(Timestamp(50), 9), [Partition(2), Partition(3), Partition(4)]);
        assert_eq!(due.take(Timestamp(99), 9), [Partition(9)]);
    }
}
