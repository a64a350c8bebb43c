//! Answers of Redis to our own values. What is not as the scripts answer is a damaged store, and said to be.

use super::{item, keys};
use crate::{
    domain::{id::PARTITIONS, id::Partition, time::Timestamp},
    store::{
        Claimed, Committed, Dead, Item, KeysFound, Load, Loaded, Queue, StoreError, Tally,
        record::{Dialogue, Record},
    },
};
use redis::{FromRedisValue, Value};
use std::collections::BTreeMap;

/// When an item died, where it lies, and its id as it is stored.
pub type DeadAt = (i64, Partition, Vec<u8>);
/// What `tally.lua` gives: waiting, dead, first due, first urgent due, counts.
type Counted = (u64, u64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, u64)>);

/// From an `MGET` of the record, then the dialogue and the event's mark as far as they were asked for.
pub fn loaded(answer: Value, load: &Load) -> Result<Loaded, StoreError> {
    let mut found = of::<Vec<Option<Vec<u8>>>>(answer)?.into_iter();
    let record = found.next().flatten().map(|b| record(&b)).transpose()?;
    let mut asked = |is_asked: bool| is_asked.then(|| found.next().flatten()).flatten();
    let dialogue = asked(load.dialogue.is_some()).map(|b| dialogue(&b)).transpose()?;
    Ok(Loaded { record, dialogue, seen: asked(load.event.is_some()).is_some() })
}

pub fn committed(answer: Value) -> Result<Committed, StoreError> {
    let mut words = of::<Vec<Option<Vec<u8>>>>(answer)?.into_iter();
    let word = words.next().flatten().unwrap_or_default();
    let with = words.next().flatten();
    match (word.as_slice(), with) {
        (b"done", _) => Ok(Committed::Done),
        (b"gone", _) => Ok(Committed::Gone),
        (b"seen", found) => Ok(Committed::Seen(found.map(|b| dialogue(&b)).transpose()?)),
        (b"conflict", found) => Ok(Committed::Conflict(found.map(|b| record(&b)).transpose()?)),
        _ => Err(damaged("a commit's answer")),
    }
}

pub fn claimed(answer: Value) -> Result<Claimed, StoreError> {
    let mut parts = of::<Vec<Option<Vec<u8>>>>(answer)?.into_iter();
    let next_due = due_time(parts.next().flatten())?;
    let parts: Vec<_> = parts.collect();
    let items = parts.chunks(4).map(claimed_item).collect::<Result<_, _>>()?;
    Ok(Claimed { items, next_due })
}

fn claimed_item(parts: &[Option<Vec<u8>>]) -> Result<Item, StoreError> {
    let [Some(id), Some(header), payload, found] = parts else { return Err(damaged("a claim's answer")) };
    let header = item::decode(header).ok_or_else(|| damaged("an item's header"))?;
    Ok(Item {
        id: keys::item_id(id).ok_or_else(|| damaged("an item's id"))?,
        generation: header.generation,
        attempt: header.attempt,
        first_attempt: header.first_attempt,
        unknowns: header.unknowns,
        due: header.due,
        citizen: header.citizen,
        record: found.as_deref().map(record).transpose()?,
        payload: payload.clone().unwrap_or(header.payload),
        mt: header.mt,
    })
}

/// The meaning of the one word that most scripts answer.
pub fn word<T: Copy>(answer: Value, words: &[(&str, T)]) -> Result<T, StoreError> {
    let answer = of::<String>(answer)?;
    let meant = words.iter().find(|(word, _)| *word == answer);
    meant.map(|(_, meant)| *meant).ok_or_else(|| damaged("a script's answer"))
}

/// From a time for each of `sets`: each queue's first, over the sets that it has.
pub fn due_times(answer: Value, sets: &[usize]) -> Result<Vec<Option<Timestamp>>, StoreError> {
    let times = of::<Vec<Option<Vec<u8>>>>(answer)?.into_iter().map(due_time);
    let mut times = times.collect::<Result<Vec<_>, _>>()?.into_iter();
    Ok(sets.iter().map(|n| times.by_ref().take(*n).flatten().min()).collect())
}

/// A score of ours: whole milliseconds, or nothing.
fn due_time(text: Option<Vec<u8>>) -> Result<Option<Timestamp>, StoreError> {
    match text.as_deref() {
        None | Some(b"") => Ok(None),
        Some(digits) => {
            let ms = std::str::from_utf8(digits).ok().and_then(|d| d.parse::<f64>().ok());
            ms.map(|ms| Some(Timestamp(ms as i64))).ok_or_else(|| damaged("a due time"))
        }
    }
}

/// The oldest dead of all partitions, at most `max`.
pub fn oldest(answer: Value, max: usize) -> Result<Vec<DeadAt>, StoreError> {
    let lists = of::<Vec<Vec<(Vec<u8>, f64)>>>(answer)?;
    let mut all: Vec<DeadAt> = Vec::new();
    for (partition, list) in Partition::all().zip(lists) {
        all.extend(list.into_iter().map(|(id, at)| (at as i64, partition, id)));
    }
    all.sort();
    all.truncate(max);
    Ok(all)
}

/// Dead letters, from a header, a payload and a reason each. One that was taken away since it was listed is left out.
pub fn dead(queue: &Queue, listed: Vec<DeadAt>, answer: Value) -> Result<Vec<Dead>, StoreError> {
    let parts = of::<Vec<Option<Vec<u8>>>>(answer)?;
    let letters = listed.into_iter().zip(parts.chunks(3));
    letters.filter_map(|(at, parts)| dead_letter(queue, at, parts).transpose()).collect()
}

fn dead_letter(
    queue: &Queue,
    (at, partition, id): DeadAt,
    parts: &[Option<Vec<u8>>],
) -> Result<Option<Dead>, StoreError> {
    let [Some(header), payload, Some(why)] = parts else { return Ok(None) };
    let header = item::decode(header).ok_or_else(|| damaged("an item's header"))?;
    Ok(Some(Dead {
        queue: queue.clone(),
        partition,
        id: keys::item_id(&id).ok_or_else(|| damaged("an item's id"))?,
        generation: header.generation,
        attempts: header.attempt,
        at: Timestamp(at),
        why: String::from_utf8_lossy(why).into_owned(),
        citizen: header.citizen,
        payload: payload.clone().unwrap_or(header.payload),
    }))
}

/// One tally a queue, from one answer of `tally.lua` a queue and partition.
pub fn tallies(answer: Value) -> Result<Vec<Tally>, StoreError> {
    let parts = of::<Vec<Counted>>(answer)?;
    parts.chunks(usize::from(PARTITIONS)).map(tally).collect()
}

fn tally(parts: &[Counted]) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    let mut suppressed = BTreeMap::<String, u64>::new();
    for (waiting, dead, first, urgent, counts) in parts {
        tally.waiting += waiting;
        tally.dead += dead;
        let (first, urgent) = (due_time(first.clone())?, due_time(urgent.clone())?);
        tally.oldest_due = [tally.oldest_due, first, urgent].into_iter().flatten().min();
        for (what, n) in counts {
            match (what.as_str(), what.strip_prefix("s:")) {
                ("in", _) => tally.put += n,
                ("done", _) => tally.done += n,
                ("dropped", _) => tally.dropped += n,
                ("replaced", _) => tally.replaced += n,
                (_, Some(reason)) => *suppressed.entry(reason.to_owned()).or_default() += n,
                _ => return Err(damaged("a queue's counts")),
            }
        }
    }
    Ok(Tally { suppressed: suppressed.into_iter().collect(), ..tally })
}

pub fn bytes(answer: Value) -> Result<Option<Vec<u8>>, StoreError> {
    of(answer)
}

pub fn yes(answer: Value) -> Result<bool, StoreError> {
    of(answer)
}

/// From a `SET … NX` and a `GET`.
pub fn keys_found(answer: Value, ours: [u8; 16]) -> Result<KeysFound, StoreError> {
    let (set, found): (Value, Option<Vec<u8>>) = of(answer)?;
    match (set, found) {
        (_, None) => Err(damaged("the check value")),
        (Value::Nil, Some(found)) if found != ours => Ok(KeysFound::Other),
        (Value::Nil, Some(_)) => Ok(KeysFound::Same),
        (_, Some(_)) => Ok(KeysFound::Adopted),
    }
}

fn record(bytes: &[u8]) -> Result<Record, StoreError> {
    Record::decode(bytes).map_err(|e| StoreError::Refused(e.to_string()))
}

fn dialogue(bytes: &[u8]) -> Result<Dialogue, StoreError> {
    Dialogue::decode(bytes).map_err(|e| StoreError::Refused(e.to_string()))
}

/// What the client reads by itself.
pub fn of<T: FromRedisValue>(answer: Value) -> Result<T, StoreError> {
    T::from_redis_value(answer).map_err(|_| damaged("an answer"))
}

/// It is not as the scripts write it.
pub fn damaged(what: &str) -> StoreError {
    StoreError::Refused(format!("{what} is not as this release knows it"))
}
