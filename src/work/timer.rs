//! Due timers to the turn: expiry, reminders, dialogues left open, invitations, by the same door as an answer.
//!
//! | dies | after restart |
//! |---|---|
//! | with a claimed timer | its lease ends and it fires again; what it had committed is recognised by the timer being gone |

use super::Desk;
use crate::{
    domain::{delivery::Verdict, id::Partition},
    store::{Item, Queue, Settle},
    turn::{TimerTurn, Turns},
};
use futures_util::{StreamExt, stream};

/// Timers taken by one claim.
const CLAIM: usize = 50;
/// Turns under way at once.
const TURNS_AT_ONCE: usize = 16;

/// Runs until the process stops.
pub async fn run(mut desk: Desk, turns: Turns) {
    while let Some(claimed) = desk.next_claims(&Queue::Timer, CLAIM).await {
        let items =
            claimed.into_iter().flat_map(|(at, claimed)| claimed.items.into_iter().map(move |i| (at, i)));
        let desk = &desk;
        stream::iter(items)
            .for_each_concurrent(TURNS_AT_ONCE, |(at, item)| fire(desk, &turns, at, item))
            .await;
    }
}

/// A turn that fails leaves its timer to the lease: it fires again in half a minute.
async fn fire(desk: &Desk, turns: &Turns, at: Partition, item: Item) {
    match turns.timer(&item).await {
        Ok(TimerTurn::Fired) => tracing::debug!(citizen = %item.citizen, "a timer fired"),
        Ok(TimerTurn::Stale | TimerTurn::Gone) => {}
        Ok(TimerTurn::Later(due)) => {
            desk.due.note(&Queue::Timer, at, due);
            settle(desk, at, item, Verdict::Later(due)).await;
        }
        Ok(TimerTurn::Suppressed(reason)) => settle(desk, at, item, Verdict::Suppressed(reason)).await,
        Err(error) => tracing::warn!(%error, "a timer could not run; it fires again when its lease ends"),
    }
}

async fn settle(desk: &Desk, partition: Partition, item: Item, verdict: Verdict) {
    let Item { id, generation, attempt, .. } = item;
    let settle = Settle { queue: Queue::Timer, partition, id, generation, attempt, verdict, sent: None };
    if let Err(error) = desk.store.settle(&settle).await {
        tracing::warn!(%error, "a timer could not be settled; it fires again when its lease ends");
    }
}
