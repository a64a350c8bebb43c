//! Completions to one department.
//!
//! | dies | after restart |
//! |---|---|
//! | before the department has it | the lease ends and it is tried again |
//! | after it has it, before the settle | it is sent once more under the same id, by which the department tells a repeat |

use super::Desk;
use crate::{
    department::{Kind, Settings, envelope::envelope},
    domain::{
        delivery::{RetrySchedule, Verdict},
        id::{DepartmentId, Partition},
        keys::Keys,
        time::Timestamp,
    },
    fail::FailPoint,
    link::file::LineFile,
    store::{Item, Queue, Settle, payload::OwedCompletion},
};
use std::{io, sync::Arc};

/// Completions taken from one partition by one claim; many partitions go into one write.
const CLAIM: usize = 50;

/// Forwards to one department.
pub struct Forwarder {
    department: DepartmentId,
    retry: RetrySchedule,
    file: LineFile,
    keys: Arc<Keys>,
}

/// A claimed completion that was read.
struct Owed {
    partition: Partition,
    item: Item,
    line: Result<Vec<u8>, String>,
}

impl Forwarder {
    /// A forwarder for this department.
    pub fn new(settings: &Settings, keys: Arc<Keys>) -> Forwarder {
        let Settings { source: _, place: _, id, kind: Kind::File(path), retry } = settings;
        Forwarder { department: id.clone(), retry: retry.clone(), file: LineFile::new(path), keys }
    }

    /// Runs until the process stops.
    pub async fn run(mut self, mut desk: Desk) {
        let queue = Queue::Completion(self.department.clone());
        while let Some(claimed) = desk.next_claims(&queue, CLAIM).await {
            let now = desk.clock.now();
            let read = claimed.into_iter().flat_map(|(p, c)| c.items.into_iter().map(move |item| (p, item)));
            let owed: Vec<Owed> =
                read.map(|(partition, item)| Owed { partition, line: self.line(&item, now), item }).collect();
            let written = self.write(&owed).await;
            FailPoint::AfterForward.pass();
            self.settle(&desk, &queue, owed, written, now).await;
        }
    }

    /// The line for a completion, or why there can be none.
    fn line(&self, item: &Item, now: Timestamp) -> Result<Vec<u8>, String> {
        let owed = OwedCompletion::decode(&item.payload).map_err(|e| e.to_string())?;
        let sealed = item.record.as_ref().filter(|_| owed.share_msisdn).map(|r| &r.number);
        let msisdn = sealed.and_then(|sealed| self.keys.open(&item.citizen, sealed));
        let pseudonym = self.keys.pseudonym(&self.department, &item.citizen);
        let envelope = envelope(&owed.completion, &pseudonym, msisdn.as_ref(), now);
        let mut line = serde_json::to_vec(&envelope).map_err(|e| e.to_string())?;
        line.push(b'\n');
        Ok(line)
    }

    /// One write and one fsync for all, on a thread that may wait.
    async fn write(&mut self, owed: &[Owed]) -> io::Result<()> {
        let lines: Vec<u8> = owed.iter().filter_map(|o| o.line.as_ref().ok()).flatten().copied().collect();
        if lines.is_empty() {
            return Ok(());
        }
        let mut file = std::mem::replace(&mut self.file, LineFile::new("".as_ref()));
        let (file, written) = tokio::task::spawn_blocking(move || {
            let written = file.append(&lines);
            (file, written)
        })
        .await
        .expect("appending does not panic");
        self.file = file;
        written
    }

    async fn settle(
        &self,
        desk: &Desk,
        queue: &Queue,
        owed: Vec<Owed>,
        written: io::Result<()>,
        now: Timestamp,
    ) {
        if let Err(error) = &written {
            let department = &self.department;
            tracing::warn!(%department, %error, waiting = owed.len(), "could not write; will try again");
        }
        let settles = owed.into_iter().map(|Owed { partition, item, line }| {
            let verdict = match (&line, &written) {
                (Err(why), _) => Verdict::Dead(why.clone()),
                (Ok(_), Ok(())) => Verdict::Accepted,
                (Ok(_), Err(error)) => self.again(&item, error, now),
            };
            if let Verdict::Again(at) = &verdict {
                desk.due.note(queue, partition, *at);
            }
            Settle {
                queue: queue.clone(),
                partition,
                id: item.id,
                generation: item.generation,
                attempt: item.attempt,
                verdict,
                sent: None,
            }
        });
        let settles: Vec<Settle> = settles.collect();
        for settled in futures_util::future::join_all(settles.iter().map(|s| desk.store.settle(s))).await {
            if let Err(error) = settled {
                tracing::warn!(department = %self.department, %error, "could not settle; it goes out once more");
            }
        }
    }

    fn again(&self, item: &Item, error: &io::Error, now: Timestamp) -> Verdict {
        let dice = f64::from(item.id.bytes().map(u32::from).sum::<u32>() % 101) / 100.0;
        match self.retry.wait(item.attempt, dice) {
            Some(wait) => Verdict::Again(now.plus(wait)),
            None => Verdict::Dead(format!("could not write: {error}")),
        }
    }
}
