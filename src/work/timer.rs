//! Due timers to the turn: an expiry ends its session by the same door as an answer.
//!
//! | dies | after restart |
//! |---|---|
//! | with a claimed timer | its lease ends and it fires again; what it had committed is recognised by the timer being gone |

use super::Desk;
use crate::{
    store::{Item, Queue},
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
        let items = claimed.into_iter().flat_map(|(_, claimed)| claimed.items);
        stream::iter(items).for_each_concurrent(TURNS_AT_ONCE, |item| fire(&turns, item)).await;
    }
}

/// A turn that fails leaves its timer to the lease: it fires again in half a minute.
async fn fire(turns: &Turns, item: Item) {
    match turns.timer(&item).await {
        Ok(TimerTurn::Fired) => tracing::debug!(citizen = %item.citizen, "a session expired"),
        Ok(TimerTurn::Stale | TimerTurn::Gone | TimerTurn::Later(_) | TimerTurn::Suppressed(_)) => {}
        Err(error) => tracing::warn!(%error, "a timer could not run; it fires again when its lease ends"),
    }
}
