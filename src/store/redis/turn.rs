//! A turn as `commit.lua` takes it: keys, then fixed arguments, then seven an operation; and the end of an attempt, as
//! `settle.lua` does.

use super::{evalsha, holder::Request, item, keys, keys::QueueKeys, script};
use crate::{
    domain::{
        delivery::Verdict,
        id::{CitizenId, MtId, Partition},
    },
    store::{Commit, Put, Queue, QueueOp, RECORD_TTL, SentLine, Settle, StoreError, record::Record},
};
use redis::cmd;

/// The longest id of an item, in bytes.
const ITEM_ID_MAX: usize = 160;

/// A turn as `commit.lua` takes it.
pub fn request(commit: &Commit, shift: i64) -> Result<Request, StoreError> {
    let Commit { citizen, event, expected, record, dialogue, mark, timer, queues } = commit;
    let partition = citizen.partition();
    let mut places = Places::new(partition);
    let timer_place = timer.as_ref().map(|_| places.of(&Queue::Timer));
    let ops: Vec<_> =
        queues.iter().map(|op| operation(op, citizen, &mut places)).collect::<Result<_, _>>()?;

    let own = keys::citizen(citizen);
    // Without a dialogue and without a mark there is nothing by which the event could be known again.
    let known = event.as_ref().filter(|_| dialogue.is_some() || mark.is_some());
    let saved = match (dialogue, known) {
        (Some(dialogue), _) => keys::dialogue(citizen, &dialogue.id),
        (None, Some(event)) => keys::event(citizen, event),
        (None, None) => own.clone(),
    };
    let ttl = dialogue.as_ref().map(|d| d.ttl).or(*mark).unwrap_or_default();
    let mut eval = cmd("EVALSHA");
    eval.arg(script::COMMIT.sha()).arg(places.next - 1).arg(own).arg(saved);
    for (_, _, keys) in &places.taken {
        keys.in_order().iter().for_each(|key| {
            eval.arg(key);
        });
    }
    eval.arg(known.map_or(&[][..], |e| &e.0)).arg(&expected.0.to_be_bytes());
    eval.arg(record.as_ref().map(Record::encode).unwrap_or_default())
        .arg(record.as_ref().map_or(0, record_ms));
    eval.arg(dialogue.as_ref().map(|d| d.dialogue.encode()).unwrap_or_default());
    eval.arg(ttl.as_millis().max(1) as u64);
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
            let [id, header, due, payload] = item_args(put, citizen)?;
            let kind = if put.dead.is_some() { "d" } else { "p" };
            let why = put.dead.as_deref().unwrap_or_default();
            Ok([bytes(kind), bytes(&place), id, header, due, payload, bytes(why)])
        }
    }
}

/// The four arguments of an item as every script takes them: its id, its header, when it is due, and its payload unless that
/// stands behind the header.
pub fn item_args(put: &Put, citizen: &CitizenId) -> Result<[Vec<u8>; 4], StoreError> {
    if put.mt.is_some() != matches!(put.queue, Queue::Outbox(_)) {
        return Err(StoreError::Refused("an outbox's items have an MT's header, and no others".into()));
    }
    let (header, payload) = item::encode(put, citizen);
    Ok([item_id(&put.id)?, header, put.due.millis().to_string().into_bytes(), payload.to_vec()])
}

/// An id as it is stored, or a refusal of what is none: it would not come back as it was put.
fn item_id(id: &str) -> Result<Vec<u8>, StoreError> {
    let good = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':' | b'-');
    match (1..=ITEM_ID_MAX).contains(&id.len()) && id.bytes().all(good) {
        true => Ok(keys::item(id)),
        false => Err(StoreError::Refused("an item's id has 1 to 160 of a-z, 0-9, `_`, `:` and `-`".into())),
    }
}

/// A settle as `settle.lua` takes it.
pub fn settle(settle: &Settle, shift: i64) -> Result<Request, StoreError> {
    let Settle { queue, partition, id, generation, attempt, verdict, sent } = settle;
    let mut all = keys::queue(queue, *partition);
    if let Queue::Outbox(_) = queue {
        let mt = MtId::parse(id).ok_or_else(|| StoreError::Refused("an MT is named by its id".into()))?;
        all.extend(keys::queue(&Queue::Timer, *partition));
        all.push(keys::life(&mt));
    }
    let mut eval = evalsha(&script::SETTLE, &all);
    let (verdict, more) = word(verdict);
    eval.arg(item_id(id)?).arg(&generation.0.to_be_bytes()).arg(&attempt.to_be_bytes());
    eval.arg(verdict).arg(more).arg(shift);
    if let Some(SentLine { said, vendor_id, thread }) = sent {
        eval.arg(said).arg(vendor_id.as_deref().unwrap_or_default());
        eval.arg(thread.as_deref().unwrap_or_default()).arg(keys::thread_prefix(*partition));
    }
    Ok(Request::One(eval))
}

/// The word of a verdict for `settle.lua`, and what goes with it.
fn word(verdict: &Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Accepted => ("accepted", String::new()),
        Verdict::Again(due) => ("again", due.millis().to_string()),
        Verdict::Unknown(due) => ("unknown", due.millis().to_string()),
        Verdict::Dead(why) => ("dead", why.clone()),
        Verdict::Suppressed(reason) => ("suppressed", (*reason).to_owned()),
        Verdict::Later(due) => ("later", due.millis().to_string()),
    }
}
