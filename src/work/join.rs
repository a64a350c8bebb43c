//! Receipts that came before their MT was known: looked up again until somebody knows the vendor's id.
//!
//! | dies | after restart |
//! |---|---|
//! | with claimed receipts | their leases end and they are looked up again |
//! | after the receipt was told, before the settle | it is told once more, which changes nothing |

use super::Desk;
use crate::{
    domain::{
        delivery::Verdict,
        id::{Partition, VendorKey},
        time::Timestamp,
    },
    store::{Item, Queue, Receipt, Settle, StoreError, payload::JoinPayload},
};
use futures_util::{StreamExt, stream};
use std::time::Duration;

/// Receipts taken from one partition by one claim.
const CLAIM: usize = 50;
/// Receipts looked up at once.
const LOOKUPS_AT_ONCE: usize = 16;
/// The waits after lookups that found nothing; then [`HOURLY`].
const WAITS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600)];
/// The wait after all further ones.
const HOURLY: Duration = Duration::from_secs(3_600);
/// How long a receipt is looked up, from when it came in; then nobody ever knew it.
const LOOKED_UP_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Why a receipt was given up, in the queue's metric.
const UNKNOWN_ID: &str = "unknown-id";

/// Runs until the process stops.
pub async fn run(mut desk: Desk) {
    while let Some(claimed) = desk.next_claims(&Queue::Join, CLAIM).await {
        let items = claimed.into_iter().flat_map(|(p, c)| c.items.into_iter().map(move |item| (p, item)));
        let desk = &desk;
        let look = |(partition, item)| async move { look_up(desk, partition, item).await };
        stream::iter(items).for_each_concurrent(LOOKUPS_AT_ONCE, look).await;
    }
}

/// A lookup that fails leaves its receipt to the lease: it is looked up again in half a minute.
async fn look_up(desk: &Desk, partition: Partition, item: Item) {
    let verdict = match verdict(desk, &item).await {
        Ok(verdict) => verdict,
        Err(error) => {
            return tracing::warn!(%error, "a receipt could not be looked up; again when its lease ends");
        }
    };
    let Item { id, generation, attempt, .. } = item;
    desk.settle(&Settle { queue: Queue::Join, partition, id, generation, attempt, verdict, sent: None })
        .await;
}

async fn verdict(desk: &Desk, item: &Item) -> Result<Verdict, StoreError> {
    let key = item.id.split_once(':').and_then(|(key, _)| VendorKey::parse(key));
    let (Some(key), Ok(waits)) = (key, JoinPayload::decode(&item.payload)) else {
        return Ok(Verdict::Dead("it cannot be read".into()));
    };
    let Some((mt, part)) = desk.store.by_vendor_id(&key).await? else {
        return Ok(not_yet(&waits, item.attempt, desk.clock.now()));
    };
    let JoinPayload { channel, part: told, state, said, at, since: _ } = waits;
    // An id of one part names it, also where the receipt itself speaks of the whole.
    let part = if told == 0 { part } else { told };
    desk.store.receipt(&Receipt { mt, channel, part, state, said, at }).await?;
    Ok(Verdict::Accepted)
}

/// When a receipt whose id nobody knows is looked up again, if ever.
fn not_yet(waits: &JoinPayload, attempt: u32, now: Timestamp) -> Verdict {
    let wait = WAITS.get(attempt.saturating_sub(1) as usize).copied().unwrap_or(HOURLY);
    match now.since(waits.since) < LOOKED_UP_FOR {
        true => Verdict::Again(now.plus(wait)),
        false => Verdict::Suppressed(UNKNOWN_ID),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ChannelId;

    #[test]
    fn a_receipt_is_looked_up_ever_less_often_for_a_day() {
        let since = Timestamp(1_795_511_523_120);
        let waits = JoinPayload {
            channel: ChannelId::parse("at-sms").expect("an id"),
            part: 0,
            state: None,
            said: String::new(),
            at: since,
            since,
        };
        let (mut now, mut attempt, mut seconds) = (since, 1, Vec::new());
        while let Verdict::Again(at) = not_yet(&waits, attempt, now) {
            seconds.push(at.since(now).as_secs());
            (now, attempt) = (at, attempt + 1);
        }
        assert_eq!(seconds[..6], [1, 10, 60, 600, 3_600, 3_600]);
        assert_eq!(not_yet(&waits, attempt, now), Verdict::Suppressed(UNKNOWN_ID));
        assert!(
            (24 * 3_600..25 * 3_600).contains(&now.since(since).as_secs()),
            "{}",
            now.since(since).as_secs()
        );
    }
}
