//! Redis 7 or later, or Valkey: what a state runs. One [`Redis`] a worker, over one connection opened inside it.
//!
//! Everything of one citizen is in one partition, and every key of a partition has one hash tag (`keys.rs`), so an act is
//! one script in one cluster slot:
//!
//! ```text
//! mm:{tag}:c:<citizen>      STRING  the record, live session included    30 days after the last turn; for ever once STOP was said
//! mm:{tag}:u:<dialogue>     STRING  a USSD dialogue's history, replies   as long as the vendor's session, and a little
//! mm:{tag}:e:<event>        STRING  an SMS was seen                      as long as it may be repeated
//! mm:{tag}:i:<invitation>   STRING  an invitation was taken              until it cannot be taken any more
//! mm:{tag}:m:<MT>           HASH    an MT's life: p<part>, v, n, l<n>    72 h after its first final state; 30 days at most
//! mm:{tag}:v:<vendor's id>  STRING  MT and part                          7 days
//! mm:{tag}:s:<channel>      STRING  its next free slot, microseconds     a minute after it
//! mm:{tag}:t:<citizen>      LIST    a simulated phone's thread           7 days after its last line
//! mm:{tag}:q:<queue>:w      ZSET    item to due time, or end of lease    while something waits
//! mm:{tag}:q:<queue>:u      ZSET    the same of an outbox's urgent MTs   while one waits
//! mm:{tag}:q:<queue>:h      HASH    item to header, payload behind if it is short, or an MT's    while it waits or is dead
//! mm:{tag}:q:<queue>:p      HASH    item to payload, if it is not behind while it waits or is dead
//! mm:{tag}:q:<queue>:d      ZSET    dead item to when it died            until a person drops or redrives it
//! mm:{tag}:q:<queue>:y      HASH    dead item to why                     as long
//! mm:{tag}:q:<queue>:n      HASH    in, done, dropped, replaced, s:<reason>    for ever
//! mm:{tag}:q:<queue>:t:<token>  LIST  what a claim took                  a lease
//! mm:{meta}:r:<revision>    STRING  a flow's revision                    for ever
//! mm:{meta}:keys, :format   STRING  check value; format version          for ever
//! mm:{meta}:alive           STRING  written by /readyz                   a minute
//! ```
//!
//! `<queue>` is `timer`, `completion:<department>`, `outbox:<channel>` or `join`. Everything of a citizen and of the MTs is in
//! the citizen's partition; a vendor's id and the receipts that wait for it, and a channel's slot, have one of their own. Ids are raw bytes; numbers in values are big-endian at fixed offsets
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
mod mt;
mod read;
mod script;
mod turn;
mod url;

use super::{
    Act, Claim, Claimed, Commit, Committed, Dead, Durability, Found, Health, Invite, Invited, Join, Joined,
    KeysFound, Life, Load, Loaded, Queue, Receipt, Received, Reserve, Reserved, Settle, Settled, Store,
    StoreError, Tally,
};
use crate::domain::{
    id::{CitizenId, MtId, Partition, Revision, VendorKey},
    time::{Clock, Timestamp},
};
use fault::Fault;
pub use holder::{
    ACT_BOUND, BACKOFF_FIRST, BACKOFF_LAST, CHECK_TIMEOUT, CONNECT_TIMEOUT, RESENDS, RESPONSE_TIMEOUT,
    TIMEOUTS_IN_A_ROW,
};
use holder::{Holder, Request};
use keys::QueueKeys;
use redis::{Cmd, cmd};
use script::Act as Script;
use tokio::time::Instant;
pub use url::{BadUrl, Target};

/// How long the mark of `/readyz` stays, in seconds.
const ALIVE_SECONDS: u64 = 60;

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
        if let Some(event) = &load.event {
            get.arg(keys::event(&load.citizen, event));
        }
        let load = *load;
        Box::pin(async move { read::loaded(self.holder.act(&Request::One(get)).await?, &load) })
    }

    fn commit(&self, commit: &Commit) -> Act<'_, Committed> {
        let request = turn::request(commit, self.shift());
        Box::pin(async move { read::committed(self.holder.act(&request?).await?) })
    }

    fn claim(&self, claim: &Claim) -> Act<'_, Claimed> {
        let keys = QueueKeys::of(&claim.queue, claim.partition);
        let token = keys::claim(&claim.queue, claim.partition, &claim.token);
        let mut keys: Vec<&[u8]> = keys.in_order().map(str::as_bytes).to_vec();
        keys.push(&token);
        let mut eval = evalsha(&script::CLAIM, &keys);
        eval.arg(&claim.token).arg(claim.max.min(super::CLAIM_MAX));
        eval.arg(keys::citizen_prefix(claim.partition)).arg(self.shift());
        eval.arg(if matches!(claim.queue, Queue::Outbox(_)) { "outbox" } else { "" });
        eval.arg(claim.doubt.map_or_else(String::new, |doubt| doubt.as_millis().to_string()));
        Box::pin(async move { read::claimed(self.holder.act(&Request::One(eval)).await?) })
    }

    fn settle(&self, settle: &Settle) -> Act<'_, Settled> {
        let request = turn::settle(settle, self.shift());
        let words = [("done", Settled::Done), ("stale", Settled::Stale)];
        Box::pin(async move { read::word(self.holder.act(&request?).await?, &words) })
    }

    fn sweep(&self, partition: Partition, queues: &[Queue]) -> Act<'_, Vec<Option<Timestamp>>> {
        let sets: Vec<_> = queues.iter().map(|queue| QueueKeys::of(queue, partition).due(queue)).collect();
        let eval = evalsha(&script::SWEEP, &sets.concat());
        let sets: Vec<_> = sets.iter().map(Vec::len).collect();
        Box::pin(async move { read::due_times(self.holder.act(&Request::One(eval)).await?, &sets) })
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

    fn reserve(&self, reserve: &Reserve) -> Act<'_, Reserved> {
        let request = mt::reserve(reserve, self.shift());
        Box::pin(async move { mt::reserved(self.holder.act(&request).await?) })
    }

    fn invite(&self, invite: &Invite) -> Act<'_, Invited> {
        let request = mt::invite(invite, self.shift());
        let words = [("taken", Invited::Taken), ("repeated", Invited::Repeated)];
        Box::pin(async move { read::word(self.holder.act(&request?).await?, &words) })
    }

    fn receipt(&self, receipt: &Receipt) -> Act<'_, Received> {
        let request = mt::receipt(receipt, self.shift());
        let words = [("moved", Received::Moved), ("known", Received::Known)];
        Box::pin(async move { read::word(self.holder.act(&request).await?, &words) })
    }

    fn keep_vendor_id(&self, key: &VendorKey, mt: &MtId, part: u8) -> Act<'_, ()> {
        let request = mt::keep(key, mt, part, self.shift());
        Box::pin(async move { read::word(self.holder.act(&request).await?, &[("kept", ())]) })
    }

    fn by_vendor_id(&self, key: &VendorKey) -> Act<'_, Option<(MtId, u8)>> {
        let request = mt::by_vendor_id(key);
        Box::pin(async move { mt::kept(self.holder.act(&request).await?) })
    }

    fn join(&self, join: &Join) -> Act<'_, Joined> {
        let request = mt::join(join);
        let words = [("waits", Joined::Waits), ("full", Joined::Full)];
        Box::pin(async move { read::word(self.holder.act(&request?).await?, &words) })
    }

    fn life(&self, mt: &MtId) -> Act<'_, Option<Life>> {
        let request = mt::life(mt);
        Box::pin(async move { mt::life_of(self.holder.act(&request).await?) })
    }

    fn find(&self, queue: &Queue, partition: Partition, id: &str) -> Act<'_, Option<Found>> {
        let request = mt::find(queue, partition, id);
        Box::pin(async move { mt::found(self.holder.act(&request).await?, self.shift()) })
    }

    fn thread(&self, citizen: &CitizenId) -> Act<'_, Vec<Vec<u8>>> {
        let request = mt::thread(citizen);
        Box::pin(async move { read::of(self.holder.act(&request).await?) })
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
