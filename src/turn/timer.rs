//! What wakes by itself: expiry, reminders, dialogues left open, invitations. By the same door as a message: the timer is the
//! mark, and its turn commits against it.

use super::{
    CONFLICT_TRIES, TurnError, Turns,
    begin::{Beginning, INVITED_GRACE},
    next_version,
    plan::{Invited, Plan},
    ussd::HAND_OVER_AFTER,
    version_of,
};
use crate::{
    domain::{
        id::Version,
        keys,
        message::{Bearer, ChannelFacts},
        time::Timestamp,
    },
    fail::FailPoint,
    flow::{
        event::Event,
        session::{Place, Session},
    },
    store::{
        Commit, Committed, Item, OwnTimer, StoreError,
        payload::{InvitePayload, TimerPayload},
        record::Record,
    },
};
use std::{sync::Arc, time::Duration};

/// An invitation that meets a live session tries again after half the time it has left, but within these.
const INVITE_AGAIN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(3_600)];

/// How a timer's turn ended. What was not committed the worker settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerTurn {
    /// It woke its session, or began one.
    Fired,
    /// Its session was over, or what it reminds of was answered; it removed itself.
    Stale,
    /// It was replaced, cancelled or run before.
    Gone,
    /// Not now: due again then.
    Later(Timestamp),
    /// Nobody needs it any more, for this reason.
    Suppressed(&'static str),
}

/// What a timer is to do with the record it finds.
enum Decision {
    /// This plan.
    Fire(Box<Plan>),
    /// Nothing; it only removes itself.
    Stale,
    /// Not in this turn.
    Not(TimerTurn),
}

/// One try of one timer.
struct Try<'a> {
    item: &'a Item,
    now: Timestamp,
    version: Version,
}

impl Turns {
    /// Runs a claimed timer. Its `now` is never before its due time: the store said that it was due.
    pub async fn timer(&self, item: &Item) -> Result<TimerTurn, TurnError> {
        FailPoint::TimerFired.pass();
        let timer = TimerPayload::decode(&item.payload).map_err(|e| StoreError::Refused(e.to_string()))?;
        let now = self.clock.now().max(item.due);
        let event = keys::event_id(&[b"timer", item.id.as_bytes(), &item.generation.0.to_be_bytes()]);
        let mut found = item.record.clone();
        for _ in 0..CONFLICT_TRIES {
            let expected = version_of(found.as_ref());
            let this = Try { item, now, version: next_version(found.as_ref(), now, &event) };
            let decision = match &mut found {
                Some(before) => self.decide(&this, &timer, before).await?,
                None if timer.response().is_some() => Decision::Stale,
                None => Decision::Not(TimerTurn::Suppressed("forgotten")),
            };
            let (plan, outcome) = match decision {
                Decision::Fire(plan) => (Some(plan), TimerTurn::Fired),
                Decision::Stale => (None, TimerTurn::Stale),
                Decision::Not(outcome) => return Ok(outcome),
            };
            match self.commit_timer(item, expected, plan.zip(found)).await? {
                Committed::Done => return Ok(outcome),
                Committed::Gone | Committed::Seen(_) => return Ok(TimerTurn::Gone),
                Committed::Conflict(record) => found = record,
            }
        }
        Err(TurnError::Busy)
    }

    async fn commit_timer(
        &self,
        item: &Item,
        expected: Version,
        planned: Option<(Box<Plan>, Record)>,
    ) -> Result<Committed, StoreError> {
        let (record, queues) = planned.map_or((None, Vec::new()), |(mut plan, before)| {
            plan.drop_cancel_of(&item.id);
            let (record, queues) = plan.done(before);
            (Some(record), queues)
        });
        let own = OwnTimer { id: item.id.clone(), generation: item.generation };
        let commit = Commit {
            citizen: item.citizen,
            event: None,
            expected,
            record,
            dialogue: None,
            mark: None,
            timer: Some(own),
            queues,
        };
        self.commit(&commit).await
    }

    /// Takes the session out of the record where the plan puts it back.
    async fn decide(
        &self,
        this: &Try<'_>,
        timer: &TimerPayload,
        before: &mut Record,
    ) -> Result<Decision, TurnError> {
        if let TimerPayload::Invite(invite) = timer {
            return self.invited(this, invite, before).await;
        }
        let Some(session) = before.session.take_if(|s| Some(&s.response) == timer.response()) else {
            return Ok(Decision::Stale);
        };
        match timer {
            TimerPayload::Remind { asked, .. } if *asked != before.asked || before.stopped() => {
                Ok(Decision::Stale)
            }
            TimerPayload::HandOver { .. } => Ok(match left_open(&session, before, this.now) {
                Some(turn) => turn,
                None => self.wake(this, timer, session, before).await?,
            }),
            _ => self.wake(this, timer, session, before).await,
        }
    }

    /// Steps the session that a timer names.
    async fn wake(
        &self,
        this: &Try<'_>,
        timer: &TimerPayload,
        mut session: Session,
        before: &Record,
    ) -> Result<Decision, TurnError> {
        let flow = self.flow(session.revision).await?;
        let mut plan = this.plan();
        let by = match timer {
            TimerPayload::Remind { nth, .. } => {
                let Some(by) = self.channels.sending(Some(&session.channel)) else { return Ok(no_channel()) };
                plan.step(&flow, session, Event::Reminded { nth: *nth }, &self.routes);
                by
            }
            TimerPayload::HandOver { channel, .. } => {
                let Some(by) = self.channels.sending(Some(channel)) else { return Ok(no_channel()) };
                session.bearer = Bearer::Sms;
                session.channel = by.id.clone();
                plan.step(&flow, session, Event::HandedOver, &self.routes);
                by
            }
            TimerPayload::Expiry(_) | TimerPayload::Invite(_) => {
                plan.step(&flow, session, Event::Expired, &self.routes);
                return Ok(Decision::Fire(Box::new(plan)));
            }
        };
        plan.send(by, before, &self.keys, false, None);
        Ok(Decision::Fire(Box::new(plan)))
    }

    /// An invitation that is due: it waits for the end of a live session, but not past its own.
    async fn invited(
        &self,
        this: &Try<'_>,
        invite: &InvitePayload,
        before: &mut Record,
    ) -> Result<Decision, TurnError> {
        let not = |turn| Ok(Decision::Not(turn));
        if before.stopped() {
            return not(TimerTurn::Suppressed("stopped"));
        }
        if this.now > invite.not_after {
            return not(TimerTurn::Suppressed("lapsed"));
        }
        if before.session.as_ref().is_some_and(|session| session.expires > this.now) {
            let left = invite.not_after.since(this.now) / 2;
            let past = Timestamp(invite.not_after.0.saturating_add(1));
            let wait = left.clamp(INVITE_AGAIN[0], INVITE_AGAIN[1]);
            return not(TimerTurn::Later(this.now.plus(wait).min(past)));
        }
        let Some(flow) = self.shelf.by_id(&invite.flow) else {
            tracing::warn!(flow = %invite.flow, "an invitation names a flow that is not here; it begins nothing");
            return not(TimerTurn::Suppressed("no-flow"));
        };
        let Some(by) = self.channels.sending(invite.channel.as_ref()) else { return Ok(no_channel()) };
        self.shelf.keep(&flow, &*self.store).await?;
        let mut plan = this.plan();
        if let Some(session) = before.session.take() {
            let flow = self.flow(session.revision).await?;
            plan.step(&flow, session, Event::Expired, &self.routes);
        }
        let session = self.begin(&flow, &this.beginning(invite, by, before));
        plan.step(&flow, session, Event::Invited, &self.routes);
        let expire = (flow.expires, this.now.plus(INVITED_GRACE));
        let invited = Invited { expire, not_after: invite.not_after };
        plan.send(by, before, &self.keys, false, Some(invited));
        Ok(Decision::Fire(Box::new(plan)))
    }
}

impl Try<'_> {
    fn plan(&self) -> Plan {
        Plan::new(self.item.citizen, self.version, self.now)
    }

    fn beginning<'a>(
        &self,
        invite: &'a InvitePayload,
        by: &'a Arc<ChannelFacts>,
        before: &Record,
    ) -> Beginning<'a> {
        Beginning {
            citizen: self.item.citizen,
            version: self.version,
            now: self.now,
            bearer: Bearer::Sms,
            channel: &by.id,
            languages: [invite.language, by.language, before.language],
            context: &invite.context,
            invited: true,
        }
    }
}

fn no_channel() -> Decision {
    tracing::warn!("no channel of this gateway sends: a reminder, a question or an invitation was dropped");
    Decision::Not(TimerTurn::Suppressed("no-channel"))
}

/// Whether a dialogue was left open long enough to go on by SMS; else what becomes of the timer. A record's version tells
/// when its last turn was.
fn left_open(session: &Session, before: &Record, now: Timestamp) -> Option<Decision> {
    let open = session.bearer == Bearer::Ussd && matches!(session.place, Place::At { .. });
    if !open || before.stopped() || session.expires <= now {
        return Some(Decision::Stale);
    }
    let last = Timestamp((before.version.0 >> 16) as i64);
    let due = last.plus(HAND_OVER_AFTER);
    (due > now).then_some(Decision::Not(TimerTurn::Later(due)))
}
