//! A step of a USSD dialogue: the answer goes out on the open request.

use super::{
    CONFLICT_TRIES, Outcome, TurnError, Turns,
    begin::Beginning,
    input::{self, Typed},
    next_version,
    plan::Plan,
    version_of,
};
use crate::{
    domain::{
        id::{CitizenId, DialogueId, EventId, Version},
        keys,
        message::{Bearer, ChannelFacts, Reply, UssdStep},
        time::Timestamp,
    },
    flow::{
        event::{Canvas, Event},
        session::Session,
    },
    store::{
        Commit, Committed, Load, SavedDialogue,
        payload::TimerPayload,
        record::{Dialogue, Record},
    },
};
use std::time::Duration;

/// How long after its last step a dialogue that was left open goes on by SMS.
pub const HAND_OVER_AFTER: Duration = Duration::from_secs(600);

/// How a step of a dialogue ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UssdTurn {
    /// This screen goes out.
    Screen(Reply, Outcome),
    /// The dialogue is over; nobody waits for a screen.
    Closed,
}

/// One try of one step: what stays the same through all of them, and its version in this one.
struct Try<'a> {
    facts: &'a ChannelFacts,
    step: &'a UssdStep,
    citizen: CitizenId,
    version: Version,
    now: Timestamp,
    typed: Typed,
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
            let now = self.clock.now();
            let version = next_version(found.as_ref(), now, &event);
            let expected = version_of(found.as_ref());
            let mut before = found.unwrap_or_else(|| Record::fresh(self.keys.seal(&citizen, &step.from)));
            let this = Try { facts, step, citizen, version, now, typed };
            let idle = || self.shelf.idle(&this.typed, facts, step.language);
            let Some(plan) = self.plan_ussd(&this, &mut before).await? else {
                return Ok(UssdTurn::Screen(idle(), Outcome::Nothing));
            };
            let reply = plan.reply.clone().unwrap_or_else(idle);
            if this.typed == Typed::OldRepeat {
                return Ok(UssdTurn::Screen(reply, Outcome::Repeat));
            }
            let saved = dialogue.after(input::history(step), event, reply.clone());
            let (record, queues) = plan.done(Record { dialogue: Some(id), ..before });
            let commit = Commit {
                citizen,
                event: Some(event),
                expected,
                record: Some(record),
                dialogue: Some(SavedDialogue { id, dialogue: saved, ttl: input::kept(facts) }),
                mark: None,
                timer: None,
                queues,
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

    /// Decides a step; `None` when there is nothing to say but one of the engine's own sentences. Takes the session out of
    /// the record: the plan puts it back.
    async fn plan_ussd(&self, this: &Try<'_>, before: &mut Record) -> Result<Option<Plan>, TurnError> {
        let now = this.now;
        let mut plan = Plan::new(this.citizen, this.version, now);
        let mut live = before.session.take();
        let mut expired = None;
        if let Some(session) = live.take_if(|s| s.expires <= now) {
            let flow = self.flow(session.revision).await?;
            expired = Some((flow.clone(), session.language));
            plan.step(&flow, session, Event::Expired, &self.routes);
        }
        let screen = this.facts.screen;
        match (live, &this.typed) {
            (Some(mut session), typed) => {
                let flow = self.flow(session.revision).await?;
                if session.bearer == Bearer::Sms {
                    hand_over_later(&mut plan, this, before, &session);
                }
                session.bearer = Bearer::Ussd;
                session.channel = this.facts.id.clone();
                let event = match typed {
                    Typed::Answer(text) => Event::Answered { text: text.clone(), on: Canvas::Screen(screen) },
                    // What was dialled behind the code answers the flow that the code opens, not whatever is live.
                    Typed::Dial { .. } | Typed::OldRepeat => Event::Dialled { typed: String::new(), screen },
                };
                plan.step(&flow, session, event, &self.routes);
            }
            (None, Typed::Dial { code, typed }) => {
                let Some((flow, tail)) = self.shelf.opened_by(code, &this.facts.flows) else {
                    return Ok(plan.or_nothing());
                };
                self.shelf.keep(&flow, &*self.store).await?;
                let typed = if tail.is_empty() { typed.clone() } else { tail };
                let session = self.begin(
                    &flow,
                    &Beginning {
                        citizen: this.citizen,
                        version: this.version,
                        now,
                        bearer: Bearer::Ussd,
                        channel: &this.facts.id,
                        languages: [this.step.language, this.facts.language, before.language],
                        context: &this.step.context,
                        invited: false,
                    },
                );
                hand_over_later(&mut plan, this, before, &session);
                plan.step(&flow, session, Event::Dialled { typed, screen }, &self.routes);
            }
            (None, Typed::Answer(_) | Typed::OldRepeat) => match expired {
                Some((flow, language)) => plan.say_expired(&flow, language, screen),
                None => return Ok(None),
            },
        }
        Ok(Some(plan))
    }
}

/// With its first step on a screen a session gets the timer that hands it over: the timer itself looks how long ago the last
/// step was, so that a step in mid-dialogue touches no queue. Whoever said STOP gets no SMS.
fn hand_over_later(plan: &mut Plan, this: &Try<'_>, before: &Record, session: &Session) {
    if let Some(channel) = this.facts.sms_via.as_ref().filter(|_| !before.stopped()) {
        let payload = TimerPayload::HandOver { response: session.response, channel: channel.clone() };
        plan.wake(&payload, this.now.plus(HAND_OVER_AFTER));
    }
}
