//! Floor 4: the turn: load, step, route, commit, reply; again on conflict. One event handled from end to end.
//!
//! It knows no vendor and no HTTP: a bearer and a screen are fields of what comes in. Two round trips to the store each,
//! nothing else remote (P6). What may kill it where:
//!
//! | dies | after restart |
//! |---|---|
//! | before the commit | nothing happened; the telco repeats the callback |
//! | after the commit, before the answer | the repeat is recognised and gets the saved screen |
//! | with a timer in hand | its lease ends and it fires again; a stale one only removes itself |

mod channels;
mod input;
mod plan;
mod shelf;

pub use channels::Channels;
pub use plan::UNROUTED;
pub use shelf::Shelf;

use crate::{
    domain::{
        id::{CitizenId, DialogueId, EventId, Version},
        invitation::Invitation,
        keys::{self, Keys},
        message::{Bearer, ChannelFacts, Dlr, Mo, Reply, UssdStep},
        time::{Clock, Timestamp},
    },
    fail::FailPoint,
    flow::{
        event::{Canvas, Event},
        session::{Place, Session},
    },
    route::Routes,
    store::{
        Commit, Committed, Invited, Item, Load, OwnTimer, SavedDialogue, Store, StoreError,
        due::Due,
        payload::TimerPayload,
        record::{Dialogue, Record},
    },
};
use input::Typed;
use plan::Plan;
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

/// Why a turn gave no screen.
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
    LostRevision(crate::domain::id::Revision),
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

/// How a step of a dialogue ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UssdTurn {
    /// This screen goes out.
    Screen(Reply, Outcome),
    /// The dialogue is over; nobody waits for a screen.
    Closed,
}

/// The word for a turn in `matamat_turns_total{outcome}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Something moved.
    Done,
    /// The step was known; it got its screen again.
    Repeat,
    /// There was nothing to do: a code that opens nothing, an answer to nothing.
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

/// How a timer's turn ended. What is not committed the worker settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerTurn {
    /// Not now: due again then.
    Later(Timestamp),
    /// Nobody needs it any more; settle it so, for this reason.
    Suppressed(&'static str),
    /// It woke its session.
    Fired,
    /// Its session was over; it removed itself.
    Stale,
    /// It was replaced, cancelled or run before.
    Gone,
}

impl Turns {
    /// One step of a USSD dialogue. `random` names the event where the vendor gives nothing to tell a repeat by.
    pub async fn ussd(
        &self,
        facts: &ChannelFacts,
        step: &UssdStep,
        random: [u8; 16],
    ) -> Result<UssdTurn, TurnError> {
        let citizen = self.keys.citizen(&step.from);
        let session = step.session.as_deref().unwrap_or("");
        let id = keys::dialogue_id(facts.id.as_str(), &citizen, session);
        let event = input::event_id(&id, step, random);
        if !step.event.waits() {
            return self.end(citizen, id, &event).await;
        }
        let loaded = self.store.load(&Load { citizen, dialogue: Some(id), event: None }).await?;
        let dialogue = loaded.dialogue.filter(|_| !input::begins_anew(step)).unwrap_or_default();
        if let Some(reply) = dialogue.reply_to(&event) {
            return Ok(UssdTurn::Screen(reply.clone(), Outcome::Repeat));
        }
        let mut found = loaded.record;
        for _ in 0..CONFLICT_TRIES {
            let live = found.as_ref().is_some_and(|r| r.session.is_some());
            let typed = input::typed(step, &dialogue, live);
            let version = next_version(found.as_ref(), self.clock.now(), &event);
            let turn = Turning { facts, step, citizen, version };
            let Some(plan) = self.plan_ussd(&turn, found.as_ref(), &typed).await? else {
                let reply = self.shelf.idle(&typed, facts, step.language);
                return Ok(UssdTurn::Screen(reply, Outcome::Nothing));
            };
            let idle = || self.shelf.idle(&typed, facts, step.language);
            let reply = plan.reply.clone().unwrap_or_else(idle);
            if typed == Typed::OldRepeat {
                return Ok(UssdTurn::Screen(reply, Outcome::Repeat));
            }
            let record = plan.record(&turn, found.as_ref(), Some(id), &self.keys);
            let saved = dialogue.after(input::history(step), event, reply.clone());
            let commit = Commit {
                citizen,
                event: Some(event),
                expected: found.as_ref().map_or(Version::default(), |r| r.version),
                record: Some(record),
                dialogue: Some(SavedDialogue { id, dialogue: saved, ttl: input::kept(facts) }),
                mark: None,
                timer: None,
                queues: plan.queues,
            };
            match self.commit(&commit).await? {
                Committed::Done => return Ok(UssdTurn::Screen(reply, Outcome::Done)),
                Committed::Seen(dialogue) => {
                    return Ok(self.seen(&dialogue.unwrap_or_default(), &event, facts));
                }
                Committed::Conflict(record) => found = record,
                Committed::Gone => return Err(TurnError::Busy),
            }
        }
        Err(TurnError::Busy)
    }

    /// The vendor's dialogue is over: the record does not name it any more. The end of another one changes nothing, and
    /// nothing of the session is lost: it waits for the next dial.
    async fn end(&self, citizen: CitizenId, id: DialogueId, event: &EventId) -> Result<UssdTurn, TurnError> {
        let mut found = self.store.load(&Load { citizen, dialogue: None, event: None }).await?.record;
        for _ in 0..CONFLICT_TRIES {
            let Some(record) = found.filter(|record| record.dialogue == Some(id)) else {
                return Ok(UssdTurn::Closed);
            };
            let version = next_version(Some(&record), self.clock.now(), event);
            let commit = Commit {
                citizen,
                event: None,
                expected: record.version,
                record: Some(Record { version, dialogue: None, ..record }),
                dialogue: None,
                mark: None,
                timer: None,
                queues: Vec::new(),
            };
            match self.commit(&commit).await? {
                Committed::Conflict(record) => found = record,
                Committed::Done | Committed::Seen(_) | Committed::Gone => return Ok(UssdTurn::Closed),
            }
        }
        Err(TurnError::Busy)
    }

    fn seen(&self, dialogue: &Dialogue, event: &EventId, facts: &ChannelFacts) -> UssdTurn {
        let reply = dialogue.reply_to(event).cloned().unwrap_or_else(|| self.closing(facts));
        UssdTurn::Screen(reply, Outcome::Repeat)
    }

    /// The neutral closing screen of a channel: what goes out at the deadline, and whenever we have failed.
    pub fn closing(&self, facts: &ChannelFacts) -> Reply {
        self.shelf.closing(facts)
    }

    /// Wakes a session for a claimed timer.
    pub async fn timer(&self, item: &Item) -> Result<TimerTurn, TurnError> {
        FailPoint::TimerFired.pass();
        let timer = TimerPayload::decode(&item.payload).map_err(|e| StoreError::Refused(e.to_string()))?;
        let now = self.clock.now().max(item.due);
        let own = OwnTimer { id: item.id.clone(), generation: item.generation };
        let mut found = item.record.clone();
        for _ in 0..CONFLICT_TRIES {
            let session = found.as_ref().and_then(|r| r.session.as_ref());
            let woken = session.filter(|s| Some(&s.response) == timer.response()).cloned();
            let expected = found.as_ref().map_or(Version::default(), |r| r.version);
            let stale = woken.is_none();
            let mut commit = Commit {
                citizen: item.citizen,
                event: None,
                expected,
                record: None,
                dialogue: None,
                mark: None,
                timer: Some(own.clone()),
                queues: Vec::new(),
            };
            if let (Some(session), Some(record)) = (woken, &found) {
                let salt = EventId(session.response.0);
                let version = next_version(Some(record), now, &salt);
                let flow = self.flow(session.revision).await?;
                let mut plan = Plan::new(item.citizen, version, now);
                plan.step(&flow, session, Event::Expired, &self.routes);
                plan.drop_cancel_of(&own.id);
                commit.record = Some(plan.woken(record));
                commit.queues = plan.queues;
            }
            match self.commit(&commit).await? {
                Committed::Done if stale => return Ok(TimerTurn::Stale),
                Committed::Done => return Ok(TimerTurn::Fired),
                Committed::Gone | Committed::Seen(_) => return Ok(TimerTurn::Gone),
                Committed::Conflict(record) => found = record,
            }
        }
        Err(TurnError::Busy)
    }

    /// A message from a phone. `random` names the event where the vendor gives nothing to tell a repeat by; whoever keeps the
    /// message for later keeps it too.
    pub async fn mo(&self, facts: &ChannelFacts, mo: &Mo, random: [u8; 16]) -> Result<Outcome, TurnError> {
        let _ = (facts, mo, random);
        Err(TurnError::Busy)
    }

    /// A receipt that came in by a channel.
    pub async fn receipt(&self, facts: &ChannelFacts, dlr: &Dlr) -> Result<ReceiptTurn, TurnError> {
        let _ = (facts, dlr);
        Err(TurnError::Busy)
    }

    /// Takes an invitation, or knows it.
    pub async fn invite(&self, invitation: &Invitation) -> Result<Invited, TurnError> {
        let _ = invitation;
        Err(TurnError::Busy)
    }

    /// Decides a USSD step; `None` when there is nothing to say but one of the engine's own sentences.
    async fn plan_ussd(
        &self,
        turn: &Turning<'_>,
        found: Option<&Record>,
        typed: &Typed,
    ) -> Result<Option<Plan>, TurnError> {
        let now = self.clock.now();
        let mut plan = Plan::new(turn.citizen, turn.version, now);
        let mut live = found.and_then(|r| r.session.clone());
        let mut expired = None;
        if let Some(session) = live.take_if(|s| s.expires <= now) {
            let flow = self.flow(session.revision).await?;
            expired = Some((flow.clone(), session.language));
            plan.step(&flow, session, Event::Expired, &self.routes);
        }
        let screen = turn.facts.screen;
        match (live, typed) {
            (Some(mut session), _) => {
                let flow = self.flow(session.revision).await?;
                session.bearer = Bearer::Ussd;
                session.channel = turn.facts.id.clone();
                let event = match typed {
                    Typed::Answer(text) => Event::Answered { text: text.clone(), on: Canvas::Screen(screen) },
                    Typed::OldRepeat => Event::Dialled { typed: String::new(), screen },
                    // What was dialled behind the code answers the flow that the code opens, not whatever is live.
                    Typed::Dial { .. } => Event::Dialled { typed: String::new(), screen },
                };
                plan.step(&flow, session, event, &self.routes);
            }
            (None, Typed::Dial { code, typed }) => {
                let Some((flow, tail)) = self.shelf.opened_by(code, &turn.facts.flows) else {
                    return Ok(plan.or_nothing());
                };
                self.shelf.keep(&flow, &*self.store).await?;
                let typed = if tail.is_empty() { typed.clone() } else { tail };
                let session = self.begin(turn, &flow, found, now);
                plan.step(&flow, session, Event::Dialled { typed, screen }, &self.routes);
            }
            (None, Typed::Answer(_) | Typed::OldRepeat) => match expired {
                Some((flow, language)) => plan.say_expired(&flow, language, screen),
                None => return Ok(None),
            },
        }
        Ok(Some(plan))
    }

    fn begin(
        &self,
        turn: &Turning<'_>,
        flow: &crate::flow::graph::Flow,
        found: Option<&Record>,
        now: Timestamp,
    ) -> Session {
        let wanted = [turn.step.language, turn.facts.language, found.and_then(|r| r.language)];
        let spoken = wanted.into_iter().flatten().find(|lang| flow.languages.contains(lang));
        Session {
            response: self.keys.response(&turn.citizen, turn.version),
            flow: flow.id.clone(),
            revision: flow.revision,
            language: spoken.unwrap_or(flow.languages[0]),
            bearer: Bearer::Ussd,
            channel: turn.facts.id.clone(),
            started: now,
            expires: now.plus(flow.expires),
            place: Place::Fresh,
            answers: Vec::new(),
            context: flow.cut(&turn.step.context),
            invited: false,
        }
    }

    async fn flow(
        &self,
        revision: crate::domain::id::Revision,
    ) -> Result<Arc<crate::flow::graph::Flow>, TurnError> {
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

/// What stays the same through all tries of one USSD turn, and its version in this one.
struct Turning<'a> {
    facts: &'a ChannelFacts,
    step: &'a UssdStep,
    citizen: CitizenId,
    version: Version,
}

fn next_version(found: Option<&Record>, now: Timestamp, event: &EventId) -> Version {
    let salt = u16::from_be_bytes([event.0[0], event.0[1]]);
    found.map_or(Version::default(), |r| r.version).next(now.millis(), salt)
}
