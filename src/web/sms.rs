//! Messages and receipts: taken by the store or by the spool before the telco gets its 200, or a 503 that asks for them again.
//!
//! A callback may hold many (some vendors send receipts by the thousand): citizens side by side, one citizen's messages in
//! their order, and one answer for the whole. Nobody waits for a text: the reply is in the outbox.
//!
//! | the store | the callback |
//! |---|---|
//! | takes it in time | 200 |
//! | is away, full, silent past the deadline or not open yet; or the spool is not empty, for the order's sake | spool, 200 |
//! | is away and so is the spool, or it is full | 503 |
//! | refuses it for good (a bug, a damaged store) | 503, and an error in the log |
//!
//! | dies | after restart |
//! |---|---|
//! | before the commit or the spool's fsync | nothing happened; the telco was not answered and asks again |
//! | after it, before the 200 | the repeat is known by its event, where the vendor names one |
//! | after the deadline, with a commit under way and a copy in the spool | the replay of the copy is known by its event |

use super::{Door, Hall};
use crate::{
    channel::TurnOutcome,
    domain::{
        id::ChannelId,
        message::{ChannelFacts, Inbound, Mo},
        metric,
        msisdn::Msisdn,
    },
    store::spool::{Kept, SpoolError, Spooled, lanes},
    turn::TurnError,
};
use actix_web::web::Data;
use futures_util::{StreamExt, stream};
use std::{sync::atomic::Ordering, time::Instant};

/// How many turns of one callback are under way at once.
const AT_ONCE: usize = 32;

/// Takes all of one callback, or asks the vendor for it again.
pub(super) async fn take(
    hall: Data<Hall>,
    door: &Door,
    inbound: Vec<Inbound>,
    started: Instant,
) -> TurnOutcome {
    let mut whole = true;
    let mut callbacks = Vec::with_capacity(inbound.len());
    for inbound in inbound {
        match admit(&hall, &door.facts, inbound) {
            Admitted::Yes(what) => {
                callbacks.push(Spooled { channel: door.facts.id.clone(), random: super::random(), what });
            }
            Admitted::NotNow => whole = false,
            Admitted::Ignored(reason) => {
                metrics::counter!(metric::REFUSED_TOTAL, "reason" => reason).increment(1);
            }
        }
    }
    if !callbacks.is_empty() {
        whole &= taken(hall, door, callbacks, started).await;
    }
    if whole { TurnOutcome::Taken } else { TurnOutcome::Unstored }
}

/// What becomes of one of a callback before anything is stored.
enum Admitted {
    Yes(Kept),
    /// The citizen writes too fast: dropped it would be lost, so the vendor shall ask again.
    NotNow,
    /// Acknowledged and counted for this reason.
    Ignored(&'static str),
}

fn admit(hall: &Hall, facts: &ChannelFacts, inbound: Inbound) -> Admitted {
    match inbound {
        Inbound::Mo(mo) if !ours(facts, &mo) => Admitted::Ignored("address"),
        Inbound::Mo(mo) if !hall.limiter.allows(&mo.from) => {
            hall.readiness.sms.refused.increment(1);
            tracing::info!(channel = %facts.id, from = %mo.from, "a citizen writes faster than allowed");
            Admitted::NotNow
        }
        Inbound::Mo(mo) => Admitted::Yes(Kept::Mo(mo)),
        Inbound::Dlr(dlr) => Admitted::Yes(Kept::Dlr(dlr)),
        Inbound::Ignored(reason) => Admitted::Ignored(reason),
        // No vendor sends a dial in a batch.
        Inbound::Ussd(_) => Admitted::Ignored("event"),
    }
}

/// Whether a message came to an address that this channel serves. A name that only sends (`ODGOVT`, a messaging service) is no
/// number that anybody writes to: such a channel serves whatever its vendor brings.
fn ours(facts: &ChannelFacts, mo: &Mo) -> bool {
    serves_it(&facts.address, &mo.to, &facts.country)
}

fn serves_it(ours: &str, theirs: &str, country: &str) -> bool {
    let only_sends = ours.is_empty() || ours.contains(char::is_alphabetic);
    let same = || bare(ours, country) == bare(theirs, country);
    only_sends || theirs.is_empty() || ours == theirs || same()
}

/// An address as it is compared: a long number in E.164, anything else without blanks and signs.
fn bare(address: &str, country: &str) -> String {
    match Msisdn::parse(address, country) {
        Ok(number) => number.reveal().to_owned(),
        Err(_) => {
            let address = address.strip_prefix("tel:").unwrap_or(address);
            address.chars().filter(|c| !" -().+".contains(*c)).collect::<String>().to_lowercase()
        }
    }
}

/// Runs the turns in a task of its own, because the telco may hang up; false: the vendor shall ask again.
async fn taken(hall: Data<Hall>, door: &Door, callbacks: Vec<Spooled>, started: Instant) -> bool {
    let Some(permit) = hall.tracker.permit() else {
        hall.readiness.sms.failed.increment(callbacks.len() as u64);
        return false;
    };
    let facts = door.facts.clone();
    let task = actix_web::rt::spawn(async move {
        let until = started + facts.deadline;
        let (left, refused) = match lives(&hall) {
            true => turns(&hall, &facts, callbacks, until).await,
            false => (callbacks, false),
        };
        let kept = left.is_empty() || spool(&hall, &facts.id, &left).await;
        hall.readiness.sms.seconds.record(started.elapsed().as_secs_f64());
        drop(permit);
        kept && !refused
    });
    task.await.unwrap_or(false)
}

/// The store was reached, and nobody waits in the spool who came earlier.
fn lives(hall: &Hall) -> bool {
    let spooled = hall.spool.as_ref().is_some_and(|spool| spool.waiting() > 0);
    hall.readiness.open.load(Ordering::Relaxed) && !spooled
}

/// Runs all turns; gives what is left for the spool, and whether the store refused any for good.
async fn turns(
    hall: &Hall,
    facts: &ChannelFacts,
    callbacks: Vec<Spooled>,
    until: Instant,
) -> (Vec<Spooled>, bool) {
    let lanes = lanes(callbacks, |spooled| &spooled.what);
    let runs = stream::iter(lanes).map(|callbacks| lane(hall, facts, callbacks, until));
    let ended = runs.buffer_unordered(AT_ONCE);
    let gather = |(mut left, refused): (Vec<_>, bool), (more, one): (Vec<_>, bool)| {
        left.extend(more);
        std::future::ready((left, refused | one))
    };
    ended.fold((Vec::new(), false), gather).await
}

/// Runs one citizen's turns, one after the other; the first that must wait lets the others wait behind it.
async fn lane(
    hall: &Hall,
    facts: &ChannelFacts,
    callbacks: Vec<Spooled>,
    until: Instant,
) -> (Vec<Spooled>, bool) {
    let mut refused = false;
    let mut callbacks = callbacks.into_iter();
    while let Some(callback) = callbacks.next() {
        match tokio::time::timeout_at(until.into(), one(hall, facts, &callback)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if !error.passes() => {
                tracing::error!(channel = %facts.id, %error, "a callback was refused by the store");
                hall.readiness.sms.failed.increment(1);
                refused = true;
            }
            Ok(Err(_)) | Err(_) => return (std::iter::once(callback).chain(callbacks).collect(), refused),
        }
    }
    (Vec::new(), refused)
}

async fn one(hall: &Hall, facts: &ChannelFacts, callback: &Spooled) -> Result<(), TurnError> {
    match &callback.what {
        Kept::Mo(mo) => {
            let outcome = hall.turns.mo(facts, mo, callback.random).await?;
            hall.readiness.sms.ended(outcome);
        }
        Kept::Dlr(dlr) => {
            let outcome = hall.turns.receipt(facts, dlr).await?;
            receipts(&facts.id, outcome.name(), 1);
        }
    }
    Ok(())
}

/// Keeps these until the store is back; false: there is no room, and the vendor shall ask again.
async fn spool(hall: &Hall, channel: &ChannelId, left: &[Spooled]) -> bool {
    let kept = match &hall.spool {
        None => Err(SpoolError::Full("there is none ([spool] max = 0)".into())),
        Some(spool) => {
            if spool.waiting() == 0 {
                tracing::warn!(%channel, "the store does not take callbacks: they wait in the spool");
            }
            spool.put(left).await
        }
    };
    if let Err(error) = &kept {
        tracing::error!(%channel, %error, callbacks = left.len(), "callbacks were refused; the telco was told so");
    }
    let messages = left.iter().filter(|spooled| matches!(spooled.what, Kept::Mo(_))).count() as u64;
    let meter = &hall.readiness.sms;
    let (counter, outcome) =
        if kept.is_ok() { (&meter.spooled, "spooled") } else { (&meter.failed, "failed") };
    counter.increment(messages);
    receipts(channel, outcome, left.len() as u64 - messages);
    kept.is_ok()
}

fn receipts(channel: &ChannelId, outcome: &'static str, count: u64) {
    if count > 0 {
        metrics::counter!(metric::RECEIPTS_TOTAL, "channel" => channel.to_string(), "outcome" => outcome)
            .increment(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_compared_as_numbers_are() {
        let table = [
            ("4545", "4545", true),
            ("4545", "45 45", true),
            ("4545", "tel:4545", true),
            ("4545", "4546", false),
            ("4545", "+914545", false),
            ("+919437000100", "919437000100", true),
            ("919437000100", "09437000100", true),
            ("+919437000100", " 919437000100", true),
            ("+919437000100", "+919437000101", false),
            ("+919437000100", "4545", false),
            ("ODGOVT", "odgovt", true),
            ("*4545*1#", "*4545*1#", true),
            ("*4545*1#", "*4545*2#", false),
        ];
        for (ours, theirs, same) in table {
            assert_eq!(bare(ours, "IN") == bare(theirs, "IN"), same, "{ours} and {theirs}");
        }
    }

    #[test]
    fn a_name_that_only_sends_serves_whatever_comes() {
        for (ours, theirs, serves) in [
            ("", "56767", true),
            ("ODGOVT", "56767", true),
            ("MG44444444444444444444444444444444", "+15005550010", true),
            ("4545", "56767", false),
            ("4545", "", true),
        ] {
            assert_eq!(serves_it(ours, theirs, "IN"), serves, "{theirs:?} at {ours:?}");
        }
    }
}
