//! Receipts: they move no session, only what is known of an MT (P10).
//!
//! | dies | after restart |
//! |---|---|
//! | before the receipt is in the store | the vendor repeats it, or the spool does |
//! | after it, before the answer | the repeat tells nothing new |

use super::{TurnError, Turns};
use crate::{
    domain::{
        id::{MtId, VendorKey, Version},
        keys,
        message::{ChannelFacts, Dlr},
        wire::for_people,
    },
    store::{Join, Joined, Put, Queue, Receipt, Received, payload::JoinPayload},
};
use std::time::Duration;

/// How long a receipt for an unknown MT waits for the first time: the send may not have been answered yet.
const JOIN_FIRST: Duration = Duration::from_secs(1);

/// How a receipt ended: the word in `matamat_receipts_total{outcome}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptTurn {
    /// Its MT's state moved.
    Moved,
    /// It told nothing new.
    Known,
    /// Its MT is not known yet: it waits for it.
    Joined,
    /// It names an MT that nobody here made.
    Forged,
    /// Too many wait already; it was dropped.
    Full,
}

impl ReceiptTurn {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            ReceiptTurn::Moved => "moved",
            ReceiptTurn::Known => "known",
            ReceiptTurn::Joined => "joined",
            ReceiptTurn::Forged => "forged",
            ReceiptTurn::Full => "full",
        }
    }
}

impl Turns {
    /// A receipt that came in by a channel. Early, late, twice or out of order, its MT ends in the same state.
    pub async fn receipt(&self, facts: &ChannelFacts, dlr: &Dlr) -> Result<ReceiptTurn, TurnError> {
        if let Some(reference) = &dlr.reference {
            return match MtId::parse(reference).filter(|mt| self.keys.made(mt)) {
                Some(mt) => self.received(facts, dlr, mt, dlr.part).await,
                None => Ok(ReceiptTurn::Forged),
            };
        }
        let key = keys::vendor_key(facts.id.as_str(), dlr.id.as_deref().unwrap_or(""));
        match self.store.by_vendor_id(&key).await? {
            Some((mt, part)) => self.received(facts, dlr, mt, dlr.part.max(part)).await,
            None => self.join(facts, dlr, key).await,
        }
    }

    async fn received(
        &self,
        facts: &ChannelFacts,
        dlr: &Dlr,
        mt: MtId,
        part: u8,
    ) -> Result<ReceiptTurn, TurnError> {
        let receipt =
            Receipt { mt, channel: facts.id.clone(), part, state: dlr.state, said: said(dlr), at: dlr.at };
        Ok(match self.store.receipt(&receipt).await? {
            Received::Moved => ReceiptTurn::Moved,
            Received::Known => ReceiptTurn::Known,
        })
    }

    /// The send may not have been answered yet, or the id is nobody's: it waits for whoever comes second.
    async fn join(&self, facts: &ChannelFacts, dlr: &Dlr, key: VendorKey) -> Result<ReceiptTurn, TurnError> {
        let since = self.clock.now();
        let due = since.plus(JOIN_FIRST);
        let payload = JoinPayload {
            channel: facts.id.clone(),
            part: dlr.part,
            state: dlr.state,
            said: said(dlr),
            at: dlr.at,
            since,
        };
        let put = Put {
            queue: Queue::Join,
            id: Join::item_id(&key, dlr.state, dlr.part),
            generation: Version::default().next(since.millis(), 0),
            due,
            dead: None,
            payload: payload.encode(),
            mt: None,
        };
        Ok(match self.store.join(&Join { key, put }).await? {
            Joined::Waits => {
                self.due.note(&Queue::Join, key.partition(), due);
                ReceiptTurn::Joined
            }
            Joined::Full => ReceiptTurn::Full,
        })
    }
}

/// The vendor's word and code, for people: some vendors repeat the number there.
fn said(dlr: &Dlr) -> String {
    match dlr.code.as_str() {
        "" => for_people(&dlr.word),
        code => for_people(&format!("{} ({code})", dlr.word)),
    }
}
