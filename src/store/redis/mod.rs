//! Redis 7 or later, or Valkey: what a state runs. One [`Redis`] a worker, over one connection opened inside it.
//!
//! Everything of one citizen is in one partition, and every key of a partition has one hash tag (`keys.rs`), so an act is
//! one script in one cluster slot:
//!
//! ```text
//! mm:{tag}:c:<citizen>      STRING  the record, live session included    30 days after the last turn; for ever once STOP was said
//! mm:{tag}:u:<dialogue>     STRING  a USSD dialogue's history, replies   as long as the vendor's session, and a little
//! mm:{tag}:q:<queue>:w      ZSET    item to due time, or end of lease    while something waits
//! mm:{tag}:q:<queue>:h      HASH    item to header, short payload behind while it waits or is dead
//! mm:{tag}:q:<queue>:p      HASH    item to payload, if it is longer     while it waits or is dead
//! mm:{tag}:q:<queue>:d      ZSET    dead item to when it died            until a person drops or redrives it
//! mm:{tag}:q:<queue>:y      HASH    dead item to why                     as long
//! mm:{tag}:q:<queue>:n      HASH    in, done, dropped, replaced, s:<reason>    for ever
//! mm:{tag}:q:<queue>:t:<token>  LIST  what a claim took                  a lease
//! mm:{meta}:r:<revision>    STRING  a flow's revision                    for ever
//! mm:{meta}:keys, :format   STRING  check value; format version          for ever
//! mm:{meta}:alive           STRING  written by /readyz                   a minute
//! ```
//!
//! `<queue>` is `timer` or `completion:<department>`. Ids are raw bytes; numbers in values are big-endian at fixed offsets
//! (`record.rs`, `item.rs`), so that a script compares bytes and parses nothing.
//!
//! # What survives
//!
//! | dies | then |
//! |---|---|
//! | the gateway | all that was answered is there. What it claimed is due again when its lease is over |
//! | the connection | an act that got no answer is sent again, same bytes: it finds its own event, token, or attempt |
//! | Redis, at `process` | what its AOF or snapshot did not have yet is lost, and nothing else is wrong: an act is there whole or not at all |
//! | Redis, at `disk` | nothing: it answers after its fsync. The scripts are told again when it does not know them |
//!
//! Not here: clusters of several nodes, sentinels, durability `replica`. They are refused by name.

mod check;
mod fault;
mod holder;
mod item;
mod keys;
mod read;
mod script;
mod url;

use super::{
    Act, Claim, Claimed, Commit, Committed, Dead, Durability, Health, KeysFound, LEASE, Load, Loaded, Queue, QueueOp,
    RECORD_TTL, Settle, Settled, Store, StoreError, Tally, record::Record,
};
use crate::domain::{
    delivery::Verdict,
    id::{CitizenId, Partition, Revision},
    time::{Clock, Timestamp},
};
use fault::Fault;
use holder::{Holder, Request};
use keys::QueueKeys;
use redis::{Cmd, cmd};
use script::Act as Script;
use tokio::time::Instant;
pub use holder::{
    ACT_BOUND, BACKOFF_FIRST, BACKOFF_LAST, CHECK_TIMEOUT, CONNECT_TIMEOUT, RESENDS, RESPONSE_TIMEOUT, TIMEOUTS_IN_A_ROW,
};
pub use url::{BadUrl, Target};

/// How long the mark of `/readyz` stays, in seconds.
const ALIVE_SECONDS: u64 = 60;
/// The longest id of an item, in bytes.
const ITEM_ID_MAX: usize = 160;

/// A store in Redis. Make one inside each worker: a connection shared across threads costs a quarter more CPU.
pub struct Redis {
    holder: Holder,
    clock: Clock,
}

impl Redis {
    /// Connects, and compares what is claimed with what the server can keep: [`StoreError::Refused`] says what is wrong
    /// with it, [`StoreError::Away`] that nobody is there. Needs a Tokio runtime, as [`Redis::start`] does.
    pub async fn connect(target: &Target, claim: Durability, clock: Clock) -> Result<Redis, StoreError> {
        Ok(Redis { holder: Holder::connect(target.clone(), claim).await?, clock })
    }

    /// Away until the server is found, which it looks for by itself; one that cannot keep the claim is never used.
    pub fn start(target: &Target, claim: Durability, clock: Clock) -> Redis {
        Redis { holder: Holder::start(target.clone(), claim), clock }
    }

    /// What an operator should know of the server that was found: to be logged once, at start.
    pub fn notes(&self) -> Vec<String> {
        self.holder.notes()
    }

    fn shift(&self) -> i64 {
        self.clock.shift_ms()
    }

    async fn dead_letters(&self, queue: &Queue, max: usize) -> Result<Vec<Dead>, StoreError> {
        let last = isize::try_from(max).unwrap_or(isize::MAX) - 1;
        if last < 0 {
            return Ok(Vec::new());
        }
        let mut list = redis::pipe();
        for partition in Partition::all() {
            list.cmd("ZRANGE").arg(QueueKeys::of(queue, partition).dead).arg(0).arg(last).arg("WITHSCORES");
        }
        let oldest = read::oldest(self.holder.act(&Request::Many(list)).await?, max)?;
        let mut details = redis::pipe();
        for (_, partition, id) in &oldest {
            let keys = QueueKeys::of(queue, *partition);
            details.cmd("HGET").arg(keys.headers).arg(id);
            details.cmd("HGET").arg(keys.payloads).arg(id);
            details.cmd("HGET").arg(keys.reasons).arg(id);
        }
        match oldest.is_empty() {
            true => Ok(Vec::new()),
            false => read::dead(queue, oldest, self.holder.act(&Request::Many(details)).await?),
        }
    }

    async fn tallies(&self, queues: &[Queue]) -> Result<Vec<Tally>, StoreError> {
        let mut ask = redis::pipe();
        for queue in queues {
            for partition in Partition::all() {
                let keys = QueueKeys::of(queue, partition);
                ask.add_command(evalsha(&script::TALLY, &keys.in_order()));
            }
        }
        match queues.is_empty() {
            true => Ok(Vec::new()),
            false => read::tallies(self.holder.act(&Request::Many(ask)).await?),
        }
    }

    /// A write, because only a write shows a server that is full, a replica, or one that cannot reach its disk.
    async fn how_it_is(&self) -> Health {
        let mut set = cmd("SET");
        set.arg(keys::ALIVE).arg(1).arg("EX").arg(ALIVE_SECONDS);
        match self.holder.once(&Request::One(set), Instant::now() + RESPONSE_TIMEOUT).await {
            Ok(_) => Health::Ok,
            Err(StoreError::Full(_)) => Health::Full,
            Err(_) => Health::Away,
        }
    }
}

impl Store for Redis {
    fn load(&self, load: &Load) -> Act<'_, Loaded> {
        let mut get = cmd("MGET");
        get.arg(keys::citizen(&load.citizen));
        if let Some(dialogue) = &load.dialogue {
            get.arg(keys::dialogue(&load.citizen, dialogue));
        }
        Box::pin(async move { read::loaded(self.holder.act(&Request::One(get)).await?) })
    }

    fn commit(&self, commit: &Commit) -> Act<'_, Committed> {
        let request = commit_request(commit, self.shift());
        Box::pin(async move { read::committed(self.holder.act(&request?).await?) })
    }

    fn claim(&self, claim: &Claim) -> Act<'_, Claimed> {
        let keys = QueueKeys::of(&claim.queue, claim.partition);
        let token = keys::claim(&claim.queue, claim.partition, &claim.token);
        let mut keys: Vec<&[u8]> = keys.in_order().map(str::as_bytes).to_vec();
        keys.push(&token);
        let mut eval = evalsha(&script::CLAIM, &keys);
        eval.arg(&claim.token).arg(claim.max.min(super::CLAIM_MAX)).arg(LEASE.as_millis() as u64);
        eval.arg(keys::citizen_prefix(claim.partition)).arg(self.shift());
        Box::pin(async move { read::claimed(self.holder.act(&Request::One(eval)).await?) })
    }

    fn settle(&self, settle: &Settle) -> Act<'_, Settled> {
        let keys = QueueKeys::of(&settle.queue, settle.partition);
        let mut eval = evalsha(&script::SETTLE, &keys.in_order());
        let (verdict, more) = verdict(&settle.verdict);
        eval.arg(keys::item(&settle.id)).arg(&settle.generation.0.to_be_bytes());
        eval.arg(&settle.attempt.to_be_bytes()).arg(verdict).arg(more).arg(self.shift());
        Box::pin(async move { read::settled(self.holder.act(&Request::One(eval)).await?) })
    }

    fn sweep(&self, partition: Partition, queues: &[Queue]) -> Act<'_, Vec<Option<Timestamp>>> {
        let waiting: Vec<_> = queues.iter().map(|queue| QueueKeys::of(queue, partition).waiting).collect();
        let eval = evalsha(&script::SWEEP, &waiting);
        Box::pin(async move { read::due_times(self.holder.act(&Request::One(eval)).await?) })
    }

    fn dead(&self, queue: &Queue, max: usize) -> Act<'_, Vec<Dead>> {
        let queue = queue.clone();
        Box::pin(async move { self.dead_letters(&queue, max).await })
    }

    fn tally(&self, queues: &[Queue]) -> Act<'_, Vec<Tally>> {
        let queues = queues.to_vec();
        Box::pin(async move { self.tallies(&queues).await })
    }

    fn put_revision(&self, revision: Revision, stored: &[u8]) -> Act<'_, ()> {
        let mut set = cmd("SET");
        set.arg(keys::revision(&revision)).arg(stored).arg("NX");
        Box::pin(async move { self.holder.act(&Request::One(set)).await.map(drop) })
    }

    fn revision(&self, revision: Revision) -> Act<'_, Option<Vec<u8>>> {
        let mut get = cmd("GET");
        get.arg(keys::revision(&revision));
        Box::pin(async move { read::bytes(self.holder.act(&Request::One(get)).await?) })
    }

    fn adopt_keys(&self, check: [u8; 16]) -> Act<'_, KeysFound> {
        let mut ask = redis::pipe();
        ask.cmd("SET").arg(keys::KEYS).arg(&check).arg("NX");
        ask.cmd("GET").arg(keys::KEYS);
        Box::pin(async move { read::keys_found(self.holder.act(&Request::Many(ask)).await?, check) })
    }

    fn has_keys(&self) -> Act<'_, bool> {
        let mut ask = cmd("EXISTS");
        ask.arg(keys::KEYS);
        Box::pin(async move { read::yes(self.holder.act(&Request::One(ask)).await?) })
    }

    fn health(&self) -> Act<'_, Health> {
        Box::pin(async move { Ok(self.how_it_is().await) })
    }

    fn stop(&self) -> Act<'_, ()> {
        Box::pin(async move {
            self.holder.stop();
            Ok(())
        })
    }
}

fn evalsha(script: &Script, keys: &[impl redis::ToRedisArgs]) -> Cmd {
    let mut eval = cmd("EVALSHA");
    eval.arg(script.sha()).arg(keys.len());
    keys.iter().for_each(|key| {
        eval.arg(key);
    });
    eval
}

/// The word of a verdict for `settle.lua`, and what goes with it.
fn verdict(verdict: &Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Accepted => ("accepted", String::new()),
        Verdict::Again(due) => ("again", due.millis().to_string()),
        Verdict::Unknown(due) => ("unknown", due.millis().to_string()),
        Verdict::Dead(why) => ("dead", why.clone()),
        Verdict::Suppressed(reason) => ("suppressed", (*reason).to_owned()),
        Verdict::GivenBack => ("given-back", String::new()),
    }
}

/// A turn as `commit.lua` takes it.
fn commit_request(commit: &Commit, shift: i64) -> Result<Request, StoreError> {
    let Commit { citizen, event, expected, record, dialogue, timer, queues } = commit;
    let partition = citizen.partition();
    let mut places = Places::new(partition);
    let timer_place = timer.as_ref().map(|_| places.of(&Queue::Timer));
    let ops: Vec<_> = queues.iter().map(|op| operation(op, citizen, &mut places)).collect::<Result<_, _>>()?;

    let own = keys::citizen(citizen);
    let saved = dialogue.as_ref().map_or_else(|| own.clone(), |d| keys::dialogue(citizen, &d.id));
    let mut eval = cmd("EVALSHA");
    eval.arg(script::COMMIT.sha()).arg(places.next - 1).arg(own).arg(saved);
    for (_, _, keys) in &places.taken {
        keys.in_order().iter().for_each(|key| {
            eval.arg(key);
        });
    }
    // Without a dialogue there is nothing in which the event could be found.
    let seen = event.as_ref().filter(|_| dialogue.is_some());
    eval.arg(seen.map_or(&[][..], |e| &e.0)).arg(&expected.0.to_be_bytes());
    eval.arg(record.as_ref().map(Record::encode).unwrap_or_default()).arg(record.as_ref().map_or(0, record_ms));
    eval.arg(dialogue.as_ref().map(|d| d.dialogue.encode()).unwrap_or_default());
    eval.arg(dialogue.as_ref().map_or(1, |d| d.ttl.as_millis().max(1) as u64));
    eval.arg(timer_place.map(|p| p.to_string()).unwrap_or_default());
    eval.arg(timer.as_ref().map(|t| keys::item(&t.id)).unwrap_or_default());
    eval.arg(timer.as_ref().map(|t| t.generation.0.to_be_bytes().to_vec()).unwrap_or_default()).arg(shift);
    ops.iter().flatten().for_each(|arg| {
        eval.arg(arg);
    });
    Ok(Request::One(eval))
}

/// A record's life in milliseconds; 0: for ever, because STOP was said.
fn record_ms(record: &Record) -> u64 {
    if record.consent > 0 { 0 } else { RECORD_TTL.as_millis() as u64 }
}

/// Where each queue of a commit begins in the script's KEYS, counted from 1; the first two are the record and the dialogue.
struct Places {
    partition: Partition,
    next: usize,
    taken: Vec<(Queue, usize, QueueKeys)>,
}

impl Places {
    fn new(partition: Partition) -> Places {
        Places { partition, next: 3, taken: Vec::new() }
    }

    fn of(&mut self, queue: &Queue) -> usize {
        if let Some((_, place, _)) = self.taken.iter().find(|(known, ..)| known == queue) {
            return *place;
        }
        let place = self.next;
        self.taken.push((queue.clone(), place, QueueKeys::of(queue, self.partition)));
        self.next += QueueKeys::LEN;
        place
    }
}

/// The seven arguments of an operation, as `commit.lua` lists them.
fn operation(op: &QueueOp, citizen: &CitizenId, places: &mut Places) -> Result<[Vec<u8>; 7], StoreError> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    match op {
        QueueOp::Cancel { queue, id } => {
            let place = places.of(queue).to_string();
            Ok([bytes("c"), bytes(&place), item_id(id)?, vec![], vec![], vec![], vec![]])
        }
        QueueOp::Put(put) => {
            let place = places.of(&put.queue).to_string();
            let (header, payload) = item::encode(put, citizen);
            let kind = if put.dead.is_some() { "d" } else { "p" };
            let due = put.due.millis().to_string();
            let why = put.dead.as_deref().unwrap_or_default();
            Ok([bytes(kind), bytes(&place), item_id(&put.id)?, header, bytes(&due), payload.to_vec(), bytes(why)])
        }
    }
}

/// An id as it is stored, or a refusal of what is none: it would not come back as it was put.
fn item_id(id: &str) -> Result<Vec<u8>, StoreError> {
    let good = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':' | b'-');
    match (1..=ITEM_ID_MAX).contains(&id.len()) && id.bytes().all(good) {
        true => Ok(keys::item(id)),
        false => Err(StoreError::Refused("an item's id has 1 to 160 of a-z, 0-9, `_`, `:` and `-`".into())),
    }
}
