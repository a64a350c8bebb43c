//! The acts that only SMS has, as their scripts take them, and what they answer: slots, invitations, receipts, lives, threads.

use super::{evalsha, holder::Request, item, keys, keys::QueueKeys, read, script, turn};
use crate::{
    domain::{
        id::{CitizenId, MtId, Partition, VendorKey},
        message::MtState,
        time::Timestamp,
    },
    store::{
        Found, Invite, ItemState, Join, LIFE_LINES, Life, LifeLine, Queue, RECORD_TTL, Receipt, Reserve,
        Reserved, StoreError,
    },
};
use redis::{Cmd, Value, cmd};
use std::{collections::HashMap, time::Duration};

/// What stands before what was said in a line of a life: when (8), of what (5).
const LINE_HEAD: usize = 13;

/// Slots of a channel. Each is rounded up to a microsecond, so that a second never holds more than the channel may send.
pub fn reserve(reserve: &Reserve, shift: i64) -> Request {
    let Reserve { channel, segments, tps } = reserve;
    let micros = (u64::from(*segments) * 1_000_000).div_ceil(u64::from(*tps).max(1));
    let mut eval = evalsha(&script::RESERVE, &[keys::slot(channel)]);
    eval.arg(micros).arg(shift);
    Request::One(eval)
}

pub fn reserved(answer: Value) -> Result<Reserved, StoreError> {
    let (promised, micros) = read::of::<(u8, u64)>(answer)?;
    let time = Duration::from_micros(micros);
    Ok(if promised == 1 { Reserved::In(time) } else { Reserved::Wait(time) })
}

pub fn invite(invite: &Invite, shift: i64) -> Result<Request, StoreError> {
    let Invite { citizen, id, known_until, record, timer } = invite;
    let mut all = vec![keys::invitation(citizen, id), keys::citizen(citizen)];
    all.extend(keys::queue(&timer.queue, citizen.partition()));
    let mut eval = evalsha(&script::INVITE, &all);
    eval.arg(known_until.millis()).arg(record.encode()).arg(RECORD_TTL.as_millis() as u64).arg(shift);
    Ok(with(eval, turn::item_args(timer, citizen)?))
}

pub fn receipt(receipt: &Receipt, shift: i64) -> Request {
    let Receipt { mt, channel, part, state, said, at } = receipt;
    let mut all = keys::queue(&Queue::Outbox(channel.clone()), mt.partition());
    all.extend(keys::queue(&Queue::Timer, mt.partition()));
    all.push(keys::life(mt));
    let mut eval = evalsha(&script::RECEIPT, &all);
    eval.arg(keys::item(&mt.to_string())).arg(*part).arg(state.map_or(0, |state| state as u8));
    eval.arg(&at.millis().to_be_bytes()).arg(said).arg(shift);
    Request::One(eval)
}

pub fn keep(key: &VendorKey, mt: &MtId, part: u8, shift: i64) -> Request {
    let mut all = keys::queue(&Queue::Join, key.partition());
    all.push(keys::vendor_id(key));
    let mut eval = evalsha(&script::KEEP, &all);
    eval.arg([&mt.0[..], &[part]].concat()).arg(shift);
    for state in MtState::ALL.into_iter().map(Some).chain([None]) {
        eval.arg(keys::item(&Join::item_id(key, state, 0)));
    }
    Request::One(eval)
}

pub fn by_vendor_id(key: &VendorKey) -> Request {
    let mut get = cmd("GET");
    get.arg(keys::vendor_id(key));
    Request::One(get)
}

pub fn kept(answer: Value) -> Result<Option<(MtId, u8)>, StoreError> {
    let read = |bytes: Vec<u8>| match bytes.split_first_chunk::<16>() {
        Some((mt, [part])) => Ok((MtId(*mt), *part)),
        _ => Err(read::damaged("a vendor's id")),
    };
    read::bytes(answer)?.map(read).transpose()
}

pub fn join(join: &Join) -> Result<Request, StoreError> {
    let Join { key, put } = join;
    let eval = evalsha(&script::JOIN, &keys::queue(&Queue::Join, key.partition()));
    // It names no citizen: the vendor's id stands in its place.
    Ok(with(eval, turn::item_args(put, &CitizenId(key.0))?))
}

pub fn life(mt: &MtId) -> Request {
    let mut all = cmd("HGETALL");
    all.arg(keys::life(mt));
    Request::One(all)
}

/// The fields of a life, as `mt.lua` writes them.
pub fn life_of(answer: Value) -> Result<Option<Life>, StoreError> {
    let fields: HashMap<String, Vec<u8>> = read::of(answer)?;
    if fields.is_empty() {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for (name, value) in &fields {
        if let Some(part) = name.strip_prefix('p') {
            parts.push(part_of(part, value).ok_or_else(|| read::damaged("an MT's state"))?);
        }
    }
    parts.sort();
    let vendor_id = fields.get("v").map(|id| String::from_utf8_lossy(id).into_owned());
    Ok(Some(Life { parts, vendor_id, lines: lines_of(&fields)? }))
}

/// The lines that are kept, oldest first.
fn lines_of(fields: &HashMap<String, Vec<u8>>) -> Result<Vec<LifeLine>, StoreError> {
    let damaged = || read::damaged("a line of an MT's life");
    let last = fields.get("n").map_or(Some(0), |n| std::str::from_utf8(n).ok()?.parse().ok());
    let last: usize = last.ok_or_else(damaged)?;
    let kept = last.saturating_sub(LIFE_LINES) + 1..=last;
    kept.map(|n| fields.get(&format!("l{n}")).and_then(|line| line_of(line)).ok_or_else(damaged)).collect()
}

fn part_of(part: &str, value: &[u8]) -> Option<(u8, MtState)> {
    let state = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some((part.parse().ok()?, MtState::of(state)?))
}

fn line_of(line: &[u8]) -> Option<LifeLine> {
    let (at, _) = line.split_first_chunk()?;
    let said = String::from_utf8_lossy(line.get(LINE_HEAD..)?).into_owned();
    Some(LifeLine { at: Timestamp(i64::from_be_bytes(*at)), said })
}

pub fn find(queue: &Queue, partition: Partition, id: &str) -> Request {
    let keys = QueueKeys::of(queue, partition);
    let mut ask = redis::pipe();
    for key in [&keys.headers, &keys.payloads, &keys.reasons] {
        ask.cmd("HGET").arg(key).arg(keys::item(id));
    }
    for key in [&keys.waiting, &keys.urgent] {
        ask.cmd("ZSCORE").arg(key).arg(keys::item(id));
    }
    ask.cmd("TIME");
    Request::Many(ask)
}

/// A header, a payload and a reason, each where there is one; where it stands in either order; the server's time.
type Parts = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Option<f64>, Option<f64>, (i64, i64));

/// `shift_ms` is the clock's.
pub fn found(answer: Value, shift_ms: i64) -> Result<Option<Found>, StoreError> {
    let (header, payload, why, waiting, urgent, (seconds, micros)): Parts = read::of(answer)?;
    let now = seconds * 1_000 + micros / 1_000 + shift_ms;
    let leased = waiting.or(urgent).is_some_and(|ends| ends as i64 > now);
    let Some(header) = header else { return Ok(None) };
    let header = item::decode(&header).ok_or_else(|| read::damaged("an item's header"))?;
    let why = String::from_utf8_lossy(&why.unwrap_or_default()).into_owned();
    Ok(Some(Found {
        state: match header.state {
            item::State::Waits => ItemState::Waiting,
            item::State::Claimed if leased => ItemState::Claimed,
            item::State::Claimed => ItemState::Waiting,
            item::State::Dead => ItemState::Dead(why),
        },
        attempts: header.attempt,
        due: header.due,
        payload: payload.unwrap_or(header.payload),
    }))
}

pub fn thread(citizen: &CitizenId) -> Request {
    let mut lines = cmd("LRANGE");
    lines.arg(keys::thread(citizen)).arg(0).arg(-1);
    Request::One(lines)
}

fn with(mut eval: Cmd, args: [Vec<u8>; 4]) -> Request {
    args.iter().for_each(|arg| {
        eval.arg(arg);
    });
    Request::One(eval)
}
