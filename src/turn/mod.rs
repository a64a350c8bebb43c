//! Floor 4: the turn: load, step, route, commit, reply; again on conflict. One event handled from end to end.
//!
//! It knows no vendor and no HTTP: a bearer and a screen are fields of what comes in. Two round trips to the store each,
//! nothing else remote (P6). One turn says at most one MT: its texts are joined. What may kill it where:
//!
//! | dies | after restart |
//! |---|---|
//! | before the commit | nothing happened; the telco repeats the callback, or the spool does |
//! | after the commit, before the answer | the repeat is recognised; a USSD step gets the saved screen |
//! | with a timer in hand | its lease ends and it fires again; a stale one only removes itself |
//!
//! In reading order: this joint, [`ussd`] and [`mo`] (what citizens do), [`timer`] (what wakes by itself), [`receipt`] and
//! [`invite`] (what moves no session), [`plan`] (from effects to a commit), [`input`] (what a callback means), [`shelf`] and
//! [`channels`] (what there is to speak and to send by).

mod begin;
mod channels;
mod input;
mod invite;
mod mo;
mod plan;
mod receipt;
mod shelf;
mod timer;
mod ussd;

pub use channels::Channels;
pub use plan::UNROUTED;
pub use receipt::ReceiptTurn;
pub use shelf::Shelf;
pub use timer::TimerTurn;
pub use ussd::UssdTurn;

use crate::{
    domain::{
        id::{EventId, Revision, Version},
        keys::Keys,
        message::{ChannelFacts, Reply},
        time::{Clock, Timestamp},
    },
    fail::FailPoint,
    flow::graph::Flow,
    route::Routes,
    store::{Commit, Committed, Store, StoreError, due::Due, record::Record},
};
use std::sync::Arc;

/// How often a turn is run again when somebody else was first; then the citizen is asked to dial again (P3).
pub const CONFLICT_TRIES: usize = 5;

/// Runs turns. One for each worker, over the worker's own store connection; cheap to clone.
#[derive(Clone)]
pub struct Turns {
    /// The worker's own way to the store.
    pub store: Arc<dyn Store>,
    /// The flows.
    pub shelf: Arc<Shelf>,
    /// Which departments want what.
    pub routes: Arc<Routes>,
    /// What ids are made with.
    pub keys: Arc<Keys>,
    /// The time.
    pub clock: Clock,
    /// Told of everything that a commit makes due.
    pub due: Arc<Due>,
    /// The channels of this process.
    pub channels: Arc<Channels>,
}

/// Why a turn did not happen.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else was first, [`CONFLICT_TRIES`] times.
    #[error("the citizen's record changed under {CONFLICT_TRIES} tries in a row")]
    Busy,
    /// A session names a revision that neither this process nor the store has.
    #[error("the flow revision {0} is nowhere")]
    LostRevision(Revision),
}

impl TurnError {
    /// Trying again later may help. What does not pass is a bug or a damaged store.
    pub fn passes(&self) -> bool {
        match self {
            TurnError::Store(StoreError::Refused(_)) | TurnError::LostRevision(_) => false,
            TurnError::Store(StoreError::Away(_) | StoreError::Full(_) | StoreError::Unknown(_)) => true,
            TurnError::Busy => true,
        }
    }
}

/// The word for a turn in `matamat_turns_total{outcome}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Something moved.
    Done,
    /// The callback was known; a USSD step got its screen again.
    Repeat,
    /// There was nothing to do: a code or a word that opens nothing, an answer to nothing, a citizen who said STOP.
    Nothing,
}

impl Outcome {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Repeat => "repeat",
            Outcome::Nothing => "nothing",
        }
    }
}

impl Turns {
    /// The neutral closing screen of a channel: what goes out at the deadline, and whenever we have failed.
    pub fn closing(&self, facts: &ChannelFacts) -> Reply {
        self.shelf.closing(facts)
    }

    async fn flow(&self, revision: Revision) -> Result<Arc<Flow>, TurnError> {
        match self.shelf.by_revision(revision) {
            Some(flow) => Ok(flow),
            None => self.shelf.fetch(revision, &*self.store).await?.ok_or(TurnError::LostRevision(revision)),
        }
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        FailPoint::BeforeCommit.pass();
        let committed = self.store.commit(commit).await?;
        if committed == Committed::Done {
            FailPoint::AfterCommit.pass();
            plan::note_due(commit, &self.due);
        }
        Ok(committed)
    }
}

/// The version that a turn gives the record it found.
fn next_version(found: Option<&Record>, now: Timestamp, event: &EventId) -> Version {
    let salt = u16::from_be_bytes([event.0[0], event.0[1]]);
    version_of(found).next(now.millis(), salt)
}

/// What a commit expects to find.
fn version_of(found: Option<&Record>) -> Version {
    found.map_or(Version::default(), |record| record.version)
}
