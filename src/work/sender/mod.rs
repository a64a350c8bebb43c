//! MTs from one channel's outbox to its vendor.
//!
//! ```text
//! due ─▶ claim a little ─▶ judge ─▶ reserve its segments ─▶ each at its slot: encode'd request ─▶ vendor
//!  ▲                         │ quiet hours, no number,                                            │
//!  │                         ▼ too long                                                           ▼
//!  └──────────────────── settle ◀──────── keep the vendor's id ◀──────────── read the answer: what became of it
//! ```
//!
//! It promises: a channel's TPS, over all processes (P9); a request leaves within ten seconds after its claim was sent, or
//! its item goes back with no attempt spent; requests under way are bounded, so a vendor that is slow holds back claims and
//! nothing else; a channel that rests holds up no other.
//!
//! It leaves to others: who may hear anything at all (the claim, in the store); what a vendor wants and says (`channel`).
//!
//! | dies | after restart |
//! |---|---|
//! | with claimed MTs that had not left | the lease ends; the claim that finds it cannot know, and leaves them in doubt as below |
//! | after the vendor has it, before anything was written | in doubt: where the vendor echoes our id up to ten minutes for a receipt, else the first wait of the retry list; then it is sent once more |
//! | with the vendor's id kept, before the settle | as before, and the receipt finds the MT and settles it |
//! | after the settle | nothing is lost |
//!
//! In reading order: this loop, [`judge`] (what may leave), [`pace`] (when), `carry` (how), [`outcome`] (what follows),
//! [`rest`] (when nothing leaves), [`quiet`] (hours).

mod carry;
mod judge;
mod outcome;
mod pace;
mod quiet;
mod rest;
mod wire;

use super::{CLAIMS_AT_ONCE, Desk};
use crate::{
    channel::Channel,
    domain::{
        delivery::{RetrySchedule, Verdict},
        id::{ChannelId, Partition},
        keys::Keys,
        message::{ChannelFacts, SmsFacts},
        time::Timestamp,
    },
    link::http::Http,
    store::{Claimed, Queue},
};
use chrono_tz::Tz;
use judge::{Held, Ready};
use pace::{Batch, LEAVES_WITHIN, Start, segments};
use rest::Rest;
use std::{sync::Arc, time::Duration};
use wire::Wire;
pub use wire::under_way_max;

/// How long a send is left in doubt where the vendor's receipts name our MtId.
const DOUBT_WITH_ECHO: Duration = Duration::from_secs(10 * 60);
/// How long it is left in doubt where they do not, and nothing is ever tried again.
const DOUBT_WITHOUT_RETRY: Duration = Duration::from_secs(60);

/// Sends by one channel.
pub struct Sender {
    channel: ChannelId,
    sms: SmsFacts,
    codec: Arc<dyn Channel>,
    keys: Arc<Keys>,
    http: Http,
    timezone: Tz,
}

/// What all sends of a channel share.
struct Line {
    channel: ChannelId,
    queue: Queue,
    sms: SmsFacts,
    doubt: Duration,
    codec: Arc<dyn Channel>,
    keys: Arc<Keys>,
    http: Http,
    timezone: Tz,
    rest: Rest,
    desk: Desk,
}

impl Sender {
    /// A sender for a channel; `None` when it does not send.
    pub fn new(
        facts: Arc<ChannelFacts>,
        codec: Arc<dyn Channel>,
        keys: Arc<Keys>,
        http: Http,
        timezone: Tz,
    ) -> Option<Sender> {
        let sms = facts.sms.clone()?;
        Some(Sender { channel: facts.id.clone(), sms, codec, keys, http, timezone })
    }

    /// Runs until the process stops; what is on the wire by then has its time.
    pub async fn run(self, mut desk: Desk) {
        let mut wire = Wire::new(self.sms.tps);
        let mut batch = Batch::new(self.sms.tps);
        let line = Arc::new(self.line(desk.clone()));
        while let Some(room) = line.room(&mut desk, &wire).await {
            let leaves_before = desk.clock.now().plus(LEAVES_WITHIN);
            let claimed = line.claim(&desk, batch.size(room)).await;
            let ready = line.judge_all(claimed, &mut wire);
            for piece in batch.cut(ready) {
                line.start(piece, leaves_before, &mut desk, &mut wire).await;
            }
            wire.tidy();
        }
        wire.drain(&line.channel).await;
    }

    fn line(self, desk: Desk) -> Line {
        let Sender { channel, sms, codec, keys, http, timezone } = self;
        let queue = Queue::Outbox(channel.clone());
        let rest = Rest::new(channel.clone());
        let doubt = doubt(&sms);
        Line { channel, queue, sms, doubt, codec, keys, http, timezone, rest, desk }
    }
}

fn doubt(sms: &SmsFacts) -> Duration {
    let RetrySchedule(waits) = &sms.retry;
    match sms.echoes {
        true => DOUBT_WITH_ECHO,
        false => waits.first().copied().unwrap_or(DOUBT_WITHOUT_RETRY),
    }
}

impl Line {
    /// Waits until something is due that may leave, and says how many MTs may be claimed. `None`: the process stops.
    async fn room(&self, desk: &mut Desk, wire: &Wire) -> Option<usize> {
        loop {
            desk.something_due(&self.queue).await?;
            desk.spool_empty().await?;
            if let Some(rest_ends) = self.rest.until(desk.clock.now()) {
                desk.sleep_until(rest_ends).await?;
                continue;
            }
            let room = match self.rest.probing() {
                true => wire.empty(&mut desk.stop).await.min(1),
                false => wire.room(&mut desk.stop).await,
            };
            if room > 0 && self.rest.until(desk.clock.now()).is_none() {
                return Some(room);
            }
        }
    }

    /// At most `most` MTs, from the partitions that are due longest.
    async fn claim(&self, desk: &Desk, most: usize) -> Vec<(Partition, Claimed)> {
        let partitions = desk.take_due(&self.queue, most.min(CLAIMS_AT_ONCE));
        let each = most / partitions.len().max(1);
        desk.claim_all(&self.queue, &partitions, each, Some(self.doubt)).await
    }

    /// What may leave, replies first; the rest is settled.
    fn judge_all(self: &Arc<Self>, claimed: Vec<(Partition, Claimed)>, wire: &mut Wire) -> Vec<Ready> {
        let now = self.desk.clock.now();
        let held = claimed.into_iter().flat_map(|(partition, claimed)| {
            claimed.items.into_iter().map(move |item| Held { partition, item })
        });
        let mut ready = Vec::new();
        for held in held {
            match self.judge(held, now) {
                Ok(one) => ready.push(one),
                Err(settle) => {
                    let line = self.clone();
                    wire.spawn(async move { line.desk.settle(&settle).await });
                }
            }
        }
        ready.sort_by_key(|ready| (!ready.header.urgent, ready.held.item.due));
        ready
    }

    /// Starts a piece of a batch at its slots, or gives it back.
    async fn start(
        self: &Arc<Self>,
        piece: Vec<Ready>,
        leaves_before: Timestamp,
        desk: &mut Desk,
        wire: &mut Wire,
    ) {
        let total = piece.iter().map(segments).sum();
        let Some(mut slot) = self.reserve(total, leaves_before, &mut desk.stop).await else {
            let due = self.back_at(desk.clock.now());
            for ready in piece {
                let line = self.clone();
                let back = ready.held.settle(self, Verdict::Later(due), None);
                wire.spawn(async move { line.desk.settle(&back).await });
            }
            return;
        };
        for ready in piece {
            let start = Start { slot, leaves_before, stop: desk.stop.clone() };
            slot += Duration::from_secs(1) * segments(&ready) / self.sms.tps.max(1);
            let line = self.clone();
            wire.spawn(async move { line.carry(ready, start).await });
        }
    }
}
