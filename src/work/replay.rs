//! The spool back to the store: what was taken while the store was away runs its turns, oldest first, as soon as the store
//! answers again. One citizen's messages go one after the other; citizens go side by side.
//!
//! | dies | after restart |
//! |---|---|
//! | before a turn's commit | the callback is still in the spool and is replayed |
//! | after the commit, before the spool forgot it | it is replayed once more: an MO is known by its event, whose random bytes lie beside it; a receipt told twice tells nothing new (P10) |
//! | while it sets one aside | it is tried again, as every start does with what was set aside |
//!
//! What can never run as things are (a channel that was taken out, a key that is gone, a store that refuses it) is set aside,
//! logged and counted; it stands in nobody's way, and nothing accepted is thrown away (P4).

use super::{Desk, STORE_REST};
use crate::{
    domain::{message::Bearer, metric},
    store::spool::{Kept, Spool, SpoolError, Spooled, Waiting, lanes},
    turn::{TurnError, Turns},
};
use futures_util::{StreamExt, stream};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Callbacks taken from the spool at once.
const BATCH: usize = 256;
/// Turns under way at once.
const AT_ONCE: usize = 16;

/// Replays one spool.
struct Replay {
    turns: Turns,
    spool: Arc<Spool>,
}

/// A callback that was read, and by which it is removed.
struct Read {
    id: i64,
    spooled: Spooled,
}

/// What became of one.
enum Ended {
    /// The store has it.
    Done(i64),
    /// It can never run as things are.
    Never(i64, String),
}

/// Runs until the process stops.
pub async fn run(mut desk: Desk, turns: Turns, spool: Arc<Spool>) {
    let replay = Replay { turns, spool };
    while !*desk.stop.borrow() {
        tokio::select! {
            () = replay.spool.filled() => {}
            _ = desk.stop.changed() => continue,
        }
        let went_on = match replay.round().await {
            Ok(went_on) => went_on,
            Err(error) => {
                tracing::error!(%error, "the spool cannot be replayed");
                false
            }
        };
        if !went_on {
            tokio::select! {
                () = tokio::time::sleep(STORE_REST) => {}
                _ = desk.stop.changed() => {}
            }
        }
    }
}

impl Replay {
    /// Replays the oldest; false when the store, or a busy citizen, lets some of them wait.
    async fn round(&self) -> Result<bool, SpoolError> {
        let waiting = self.spool.oldest(BATCH).await?;
        let taken = waiting.len();
        let (read, unreadable): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|one| one.spooled.is_ok());
        let never = unreadable
            .into_iter()
            .filter_map(|Waiting { id, spooled }| spooled.err().map(|why| Ended::Never(id, why)));
        let read = read
            .into_iter()
            .filter_map(|Waiting { id, spooled }| spooled.ok().map(|spooled| Read { id, spooled }));
        let ended: Vec<Ended> = never.chain(self.run(read.collect()).await).collect();
        let went_on = ended.len() == taken;
        self.forget(ended).await?;
        if went_on && self.spool.waiting() == 0 {
            tracing::info!("the spool is empty: what waited is in the store");
        }
        Ok(went_on)
    }

    /// Runs the turns, citizens side by side. When the store fails under one, no other is begun.
    async fn run(&self, callbacks: Vec<Read>) -> Vec<Ended> {
        let away = AtomicBool::new(false);
        let lanes = lanes(callbacks, |read| &read.spooled.what);
        let runs = stream::iter(lanes).map(|lane| self.lane(lane, &away)).buffer_unordered(AT_ONCE);
        runs.collect::<Vec<_>>().await.into_iter().flatten().collect()
    }

    /// Runs one citizen's, in their order; the first that must wait lets the others wait behind it.
    async fn lane(&self, lane: Vec<Read>, away: &AtomicBool) -> Vec<Ended> {
        let mut ended = Vec::with_capacity(lane.len());
        for Read { id, spooled } in lane {
            if away.load(Ordering::Relaxed) {
                break;
            }
            match self.turn(&spooled).await {
                Ok(()) => ended.push(Ended::Done(id)),
                Err(Failed::Never(why)) => ended.push(Ended::Never(id, why)),
                Err(Failed::Turn(error)) if !error.passes() => {
                    ended.push(Ended::Never(id, error.to_string()));
                }
                Err(Failed::Turn(error)) => {
                    tracing::debug!(%error, "the spool waits");
                    away.fetch_or(matches!(error, TurnError::Store(_)), Ordering::Relaxed);
                    break;
                }
            }
        }
        ended
    }

    async fn turn(&self, spooled: &Spooled) -> Result<(), Failed> {
        let Spooled { channel, random, what } = spooled;
        let facts = self.turns.channels.get(channel);
        let facts = facts.ok_or_else(|| Failed::Never(format!("there is no channel {channel} any more")))?;
        match what {
            Kept::Mo(mo) => {
                let outcome = self.turns.mo(facts, mo, *random).await?.name();
                let bearer = Bearer::Sms.name();
                metrics::counter!(metric::TURNS_TOTAL, "bearer" => bearer, "outcome" => outcome).increment(1);
            }
            Kept::Dlr(dlr) => {
                let outcome = self.turns.receipt(facts, dlr).await?.name();
                let channel = channel.to_string();
                metrics::counter!(metric::RECEIPTS_TOTAL, "channel" => channel, "outcome" => outcome)
                    .increment(1);
            }
        }
        Ok(())
    }

    async fn forget(&self, ended: Vec<Ended>) -> Result<(), SpoolError> {
        let mut done = Vec::with_capacity(ended.len());
        for ended in ended {
            match ended {
                Ended::Done(id) => done.push(id),
                Ended::Never(id, why) => {
                    tracing::error!(
                        id,
                        why,
                        "a callback of the spool cannot be replayed; the next start tries again"
                    );
                    self.spool.set_aside(id, why).await?;
                }
            }
        }
        match done.is_empty() {
            true => Ok(()),
            false => self.spool.remove(done).await,
        }
    }
}

/// Why a turn did not run.
enum Failed {
    Never(String),
    Turn(TurnError),
}

impl From<TurnError> for Failed {
    fn from(error: TurnError) -> Failed {
        Failed::Turn(error)
    }
}
