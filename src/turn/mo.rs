//! A message from a phone: the answer goes out later, through the outbox.
//!
//! STOP is final (P8): it ends the session, raises the consent number, and its one confirmation is the last MT; what else waits
//! in an outbox was made under another number and is suppressed at its claim. While the number is odd a message does
//! nothing but START.

use super::{
    CONFLICT_TRIES, Outcome, TurnError, Turns, begin::Beginning, input, next_version, plan::Plan, version_of,
};
use crate::{
    domain::{
        id::{CitizenId, EventId, Version},
        lang::Lang,
        message::{Bearer, ChannelFacts, Mo},
        time::Timestamp,
    },
    flow::{
        entry::Control,
        event::{Canvas, Event},
        graph::{EngineTexts, Words},
        step,
    },
    store::{Commit, Committed, EVENT_TTL, Load, MtKind, record::Record},
};
use std::time::Duration;

/// How often a citizen is told that a message opens nothing.
const TOLD_EVERY: Duration = Duration::from_secs(86_400);
/// A reply to an MO younger than this goes before bulk and is exempt from quiet hours.
pub const FRESH: Duration = Duration::from_secs(15 * 60);

/// One try of one message: what stays the same through all of them, and its version in this one.
struct Try<'a> {
    facts: &'a ChannelFacts,
    mo: &'a Mo,
    citizen: CitizenId,
    version: Version,
    now: Timestamp,
}

impl Turns {
    /// A message from a phone. `random` names the event where the vendor gives nothing to tell a repeat by; whoever keeps the
    /// message for later keeps it too.
    pub async fn mo(&self, facts: &ChannelFacts, mo: &Mo, random: [u8; 16]) -> Result<Outcome, TurnError> {
        let citizen = self.keys.citizen(&mo.from);
        let event = input::mo_event(&facts.id, mo, random);
        let loaded = self.store.load(&Load { citizen, dialogue: None, event: Some(event) }).await?;
        if loaded.seen {
            return Ok(Outcome::Repeat);
        }
        let mut found = loaded.record;
        for _ in 0..CONFLICT_TRIES {
            match self.mo_once(facts, mo, &event, citizen, found).await? {
                Ok(outcome) => return Ok(outcome),
                Err(record) => found = record,
            }
        }
        Err(TurnError::Busy)
    }

    /// `Err` inside: somebody else was first, and the record is this by now.
    async fn mo_once(
        &self,
        facts: &ChannelFacts,
        mo: &Mo,
        event: &EventId,
        citizen: CitizenId,
        found: Option<Record>,
    ) -> Result<Result<Outcome, Option<Record>>, TurnError> {
        let now = self.clock.now();
        let version = next_version(found.as_ref(), now, event);
        let expected = version_of(found.as_ref());
        let mut before = found.unwrap_or_else(|| Record::fresh(self.keys.seal(&citizen, &mo.from)));
        let this = Try { facts, mo, citizen, version, now };
        let planned = self.plan_mo(&this, &mut before).await?;
        let moved = planned.is_some();
        let (record, queues) = match planned {
            Some(mut plan) => {
                plan.send(facts, &before, &self.keys, now.since(mo.at) < FRESH, None);
                let (record, queues) = plan.done(before);
                (Some(record), queues)
            }
            // The mark alone: what did nothing once does nothing when it comes again.
            None => (None, Vec::new()),
        };
        let commit = Commit {
            citizen,
            event: Some(*event),
            expected,
            record,
            dialogue: None,
            mark: Some(EVENT_TTL),
            timer: None,
            queues,
        };
        Ok(match self.commit(&commit).await? {
            Committed::Done if moved => Ok(Outcome::Done),
            Committed::Done => Ok(Outcome::Nothing),
            Committed::Seen(_) => Ok(Outcome::Repeat),
            Committed::Conflict(record) => Err(record),
            Committed::Gone => return Err(TurnError::Busy),
        })
    }

    /// Decides a message; `None` when it does nothing. Takes the session out of the record: the plan puts it back.
    async fn plan_mo(&self, this: &Try<'_>, before: &mut Record) -> Result<Option<Plan>, TurnError> {
        let control = self.shelf.control(&this.mo.text);
        let live = before.session.is_some();
        match control {
            Some(Control::Stop) if !before.stopped() => self.stop(this, before).await.map(Some),
            Some(Control::Start) if before.stopped() => Ok(Some(self.start(this, before))),
            _ if before.stopped() => Ok(None),
            Some(Control::Help) => Ok(Some(self.help(this, before))),
            Some(Control::NotMe) if live => self.plan_text(this, before, true).await,
            _ => self.plan_text(this, before, false).await,
        }
    }

    async fn stop(&self, this: &Try<'_>, before: &mut Record) -> Result<Plan, TurnError> {
        let mut plan = this.plan();
        let language = self.language(this, before);
        if let Some(session) = before.session.take() {
            let event = if session.expires <= this.now { Event::Expired } else { Event::Stopped };
            match self.flow(session.revision).await {
                Ok(flow) => plan.step(&flow, session, event, &self.routes),
                Err(error) if error.passes() => return Err(error),
                // A STOP does not hang on a flow that nobody has any more.
                Err(error) => tracing::error!(%error, "a session that STOP ended gives no response"),
            }
        }
        plan.consent(before.consent + 1);
        plan.say(self.words(language, |texts| &texts.stopped), language, MtKind::Confirmation);
        Ok(plan)
    }

    fn start(&self, this: &Try<'_>, before: &mut Record) -> Plan {
        let mut plan = this.plan();
        let language = self.language(this, before);
        plan.keep_session(before.session.take());
        plan.consent(before.consent + 1);
        plan.say(self.words(language, |texts| &texts.started), language, MtKind::Notice);
        plan
    }

    fn help(&self, this: &Try<'_>, before: &mut Record) -> Plan {
        let mut plan = this.plan();
        let language = self.language(this, before);
        plan.keep_session(before.session.take());
        plan.say(self.words(language, |texts| &texts.help), language, MtKind::Notice);
        plan
    }

    /// Any other text: an answer, a word that opens a flow, or nothing.
    async fn plan_text(
        &self,
        this: &Try<'_>,
        before: &mut Record,
        not_me: bool,
    ) -> Result<Option<Plan>, TurnError> {
        let mut plan = this.plan();
        let mut expired = None;
        if let Some(session) = before.session.take_if(|s| s.expires <= this.now) {
            expired = Some(session.language);
            let flow = self.flow(session.revision).await?;
            plan.step(&flow, session, Event::Expired, &self.routes);
        }
        let opened = self.shelf.opened_by_word(&this.mo.text, &this.facts.flows);
        match (before.session.take(), opened, expired) {
            (Some(mut session), opened, _) => {
                let flow = self.flow(session.revision).await?;
                session.bearer = Bearer::Sms;
                session.channel = this.facts.id.clone();
                let event = match opened {
                    _ if not_me => Event::NotMe { on: Canvas::Sms },
                    Some(_) => Event::Opened,
                    None => Event::Answered { text: this.mo.text.clone(), on: Canvas::Sms },
                };
                plan.step(&flow, session, event, &self.routes);
            }
            (None, Some(flow), _) => {
                self.shelf.keep(&flow, &*self.store).await?;
                let session = self.begin(
                    &flow,
                    &Beginning {
                        citizen: this.citizen,
                        version: this.version,
                        now: this.now,
                        bearer: Bearer::Sms,
                        channel: &this.facts.id,
                        languages: [this.facts.language, before.language, None],
                        context: &[],
                        invited: false,
                    },
                );
                plan.step(&flow, session, Event::Opened, &self.routes);
            }
            (None, None, Some(language)) => {
                plan.say(self.words(language, |texts| &texts.expired), language, MtKind::Notice);
            }
            (None, None, None) => {
                if before.told.is_some_and(|told| this.now.since(told) < TOLD_EVERY) {
                    return Ok(None);
                }
                let language = self.language(this, before);
                plan.tell(self.words(language, |texts| &texts.nothing), language);
            }
        }
        Ok(Some(plan))
    }

    /// The language to speak in when no flow is asked: the session's, the citizen's last, the channel's, the first there is.
    fn language(&self, this: &Try<'_>, before: &Record) -> Lang {
        let session = before.session.as_ref().map(|session| session.language);
        let wishes = session.or(before.language).or(this.facts.language);
        wishes.unwrap_or_else(|| self.shelf.first_language())
    }

    fn words(&self, language: Lang, pick: impl FnOnce(&EngineTexts) -> &Words) -> String {
        step::plain(pick(self.shelf.texts()), language, Canvas::Sms)
    }
}

impl Try<'_> {
    fn plan(&self) -> Plan {
        Plan::new(self.citizen, self.version, self.now)
    }
}
