//! When each MT starts: slots of the channel's TPS, reserved in the store, for exactly what was claimed (P9).
//!
//! The store is what holds the TPS, over all processes; here is only how many MTs are asked for at once, and that each starts
//! at its slot or not at all.

use super::{Line, judge::Ready};
use crate::{
    domain::time::Timestamp,
    store::{Reserve, Reserved},
    work::{LONGEST_NAP, STORE_REST},
};
use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// A request leaves within this time after its claim was sent, or its item goes back.
pub const LEAVES_WITHIN: Duration = Duration::from_secs(10);
/// A slot that was missed by more is reserved anew: half of the fifth of a second by which starts may bunch at the vendor; the
/// other half is the network's.
const SLOT_MISSED: Duration = Duration::from_millis(100);
/// Claims are so small that, for segments, a second of TPS is worth this many of them.
const CLAIMS_A_SECOND: u32 = 5;
/// The shortest wait for a slot: less would ask the store twice in one of its milliseconds.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// How many MTs to claim: the segments of 200 ms, in MTs as long as those of the last batch.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    segments: u32,
    typical: u32,
}

impl Batch {
    /// For a channel of this TPS, before anything was seen.
    pub fn new(tps: u32) -> Batch {
        Batch { segments: (tps / CLAIMS_A_SECOND).max(1), typical: 1 }
    }

    /// How many to claim, at least one and at most `room`.
    pub fn size(&self, room: usize) -> usize {
        ((self.segments / self.typical).max(1) as usize).min(room)
    }

    /// Learns from a batch how long MTs are, and cuts it into pieces that are reserved at once: as many segments as a
    /// batch may have, or one MT.
    pub fn cut(&mut self, batch: Vec<Ready>) -> Vec<Vec<Ready>> {
        let total: u32 = batch.iter().map(segments).sum();
        self.typical = total.div_ceil(batch.len().max(1) as u32).max(1);
        let mut pieces: Vec<Vec<Ready>> = Vec::new();
        let mut room = 0;
        for ready in batch {
            let needed = segments(&ready);
            match pieces.last_mut().filter(|_| needed <= room) {
                Some(piece) => piece.push(ready),
                None => {
                    room = self.segments.max(needed);
                    pieces.push(vec![ready]);
                }
            }
            room -= needed;
        }
        pieces
    }
}

/// The slots that an MT takes.
pub fn segments(ready: &Ready) -> u32 {
    u32::from(ready.header.segments.max(1))
}

/// What an MT waits for before it leaves.
#[derive(Clone)]
pub struct Start {
    /// Its slot.
    pub slot: Instant,
    /// Past it the item goes back, by our clock.
    pub leaves_before: Timestamp,
    /// The process stops.
    pub stop: watch::Receiver<bool>,
}

impl Line {
    /// The first of so many slots. `None`: not before `leaves_before`, or the channel rests, or the process stops.
    pub async fn reserve(
        &self,
        segments: u32,
        leaves_before: Timestamp,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Instant> {
        let reserve = Reserve { channel: self.channel.clone(), segments, tps: self.sms.tps };
        let mut ask_at = Instant::now();
        loop {
            let now = self.desk.clock.now();
            if now >= leaves_before || *stop.borrow() || self.rest.until(now).is_some() {
                return None;
            }
            let left = ask_at.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                nap(left.min(leaves_before.since(now)).min(LONGEST_NAP), stop).await;
                continue;
            }
            match self.desk.store.reserve(&reserve).await {
                Ok(Reserved::In(ahead)) => return Some(Instant::now() + ahead),
                Ok(Reserved::Wait(wait)) => ask_at = Instant::now() + wait.max(SHORTEST_WAIT),
                Err(error) => {
                    tracing::warn!(channel = %self.channel, %error, "could not reserve");
                    ask_at = Instant::now() + STORE_REST;
                }
            }
        }
    }

    /// Waits for the slot of an MT. The error: it does not leave now, and is due again then.
    pub async fn at_slot(&self, segments: u32, mut start: Start) -> Result<(), Timestamp> {
        loop {
            nap(start.slot.saturating_duration_since(Instant::now()), &mut start.stop).await;
            let now = self.desk.clock.now();
            if let Some(rest_ends) = self.rest.until(now) {
                return Err(rest_ends);
            }
            if *start.stop.borrow() || now >= start.leaves_before {
                return Err(now);
            }
            if start.slot.elapsed() <= SLOT_MISSED {
                return Ok(());
            }
            start.slot = self
                .reserve(segments, start.leaves_before, &mut start.stop)
                .await
                .ok_or_else(|| self.back_at(self.desk.clock.now()))?;
        }
    }

    /// When what could not leave at `now` is due again.
    pub fn back_at(&self, now: Timestamp) -> Timestamp {
        self.rest.until(now).unwrap_or(now)
    }
}

/// Sleeps, or until the process stops.
async fn nap(wait: Duration, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
