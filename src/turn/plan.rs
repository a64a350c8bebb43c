//! From a step's effects to a commit: ids, queue items, the record as it shall be.

use crate::{
    domain::{
        completion::{Completion, Status},
        id::{CitizenId, DepartmentId, Version},
        keys::Keys,
        lang::Lang,
        message::{ChannelFacts, Reply, Screen},
        metric,
        time::Timestamp,
    },
    flow::{
        effect::{Effect, TimerKind},
        event::{Canvas, Event},
        graph::Flow,
        session::{Place, Session},
        step::{self, step},
    },
    route::Routes,
    store::{
        Commit, MtHeader, MtKind, Put, Queue, QueueOp, Then,
        due::Due,
        payload::{OwedCompletion, OwedMt, TimerPayload},
        record::Record,
    },
    text::segments::segments,
};
use std::time::Duration;

/// The queue of completions that no route wants: dead letters from the start, because a person must see them.
pub const UNROUTED: &str = "unrouted";
/// How long what only tells something waits for a vendor that is down.
const NOTICE_LIFE: Duration = Duration::from_secs(86_400);

/// What one turn will change, gathered from one step or two (an expiry, then a new beginning).
pub struct Plan {
    citizen: CitizenId,
    version: Version,
    now: Timestamp,
    asked: bool,
    session: Option<Session>,
    language: Option<Lang>,
    consent: Option<u32>,
    told: bool,
    said: Option<Said>,
    /// The screen that goes out.
    pub reply: Option<Reply>,
    queues: Vec<QueueOp>,
}

/// What an invitation's first question brings.
pub struct Invited {
    /// So long after its first accepted MT the session ends, or after this moment without one.
    pub expire: (Duration, Timestamp),
    /// Past it nobody is asked any more.
    pub not_after: Timestamp,
}

/// What goes out by SMS: all that the turn says, joined.
struct Said {
    text: String,
    language: Lang,
    kind: MtKind,
    template: Option<String>,
    remind: Option<(u8, Duration)>,
}

impl Plan {
    /// Nothing yet.
    pub fn new(citizen: CitizenId, version: Version, now: Timestamp) -> Plan {
        Plan {
            citizen,
            version,
            now,
            asked: false,
            session: None,
            language: None,
            consent: None,
            told: false,
            said: None,
            reply: None,
            queues: Vec::new(),
        }
    }

    /// Steps a session and takes over what the step wishes.
    pub fn step(&mut self, flow: &Flow, session: Session, event: Event, routes: &Routes) {
        let step::Step { session, effects } = step(flow, session, event, self.now);
        for effect in effects {
            self.take(flow, &session, effect, routes);
        }
        self.language = Some(session.language);
        self.session = (session.place != Place::Over).then_some(session);
    }

    fn take(&mut self, flow: &Flow, session: &Session, effect: Effect, routes: &Routes) {
        match effect {
            Effect::Show { text, end } => {
                self.reply = Some(Reply { text, end, language: session.language });
            }
            Effect::Say { text, prompt, template, remind } => {
                let kind = if prompt { MtKind::Prompt } else { MtKind::Notice };
                self.join(Said { text, language: session.language, kind, template, remind });
            }
            Effect::Asked => self.asked = true,
            Effect::Respond(status) => {
                self.owe(completion(flow, session, status, self.citizen, self.now), routes)
            }
            Effect::StartTimer { kind: TimerKind::Expiry, due } => {
                self.wake(&TimerPayload::Expiry(session.response), due);
            }
            Effect::CancelTimer(kind) => {
                let id = timer_id(&self.citizen, kind.name());
                self.queues.insert(0, QueueOp::Cancel { queue: Queue::Timer, id });
            }
            Effect::Fault { node, fault } => {
                tracing::warn!(flow = %flow.id, node, fault = fault.name(), "a flow's fault was met and survived");
                metrics::counter!(metric::FLOW_FAULTS_TOTAL, "flow" => flow.id.to_string(), "kind" => fault.name())
                    .increment(1);
            }
        }
    }

    /// One of the engine's own sentences goes out by SMS.
    pub fn say(&mut self, text: String, language: Lang, kind: MtKind) {
        self.join(Said { text, language, kind, template: None, remind: None });
    }

    /// The kind answer to a message that opens nothing: not again for a day.
    pub fn tell(&mut self, text: String, language: Lang) {
        self.told = true;
        self.say(text, language, MtKind::Notice);
    }

    /// The citizen's consent number rises.
    pub fn consent(&mut self, number: u32) {
        self.consent = Some(number);
    }

    /// The session stays as it is.
    pub fn keep_session(&mut self, session: Option<Session>) {
        self.session = session;
    }

    /// What was said first stands first. A text joined to another is under no template.
    fn join(&mut self, said: Said) {
        self.said = Some(match self.said.take() {
            None => said,
            Some(before) => Said {
                text: format!("{}\n{}", before.text, said.text),
                template: None,
                kind: if before.kind == MtKind::Prompt { before.kind } else { said.kind },
                remind: said.remind.or(before.remind),
                language: said.language,
            },
        });
    }

    /// Puts what was said into a channel's outbox. `invited`: the session's time begins with the acceptance, and nobody is asked
    /// past the invitation's own.
    pub fn send(
        &mut self,
        by: &ChannelFacts,
        before: &Record,
        keys: &Keys,
        urgent: bool,
        invited: Option<Invited>,
    ) {
        let Some(Said { text, language, kind, template, remind }) = self.said.take() else { return };
        let (coding, segments) = segments(&text);
        let live = self.session.as_ref().filter(|_| kind == MtKind::Prompt);
        let expire = invited.as_ref().map(|invited| invited.expire);
        let then = Then { response: live.map(|s| s.response).unwrap_or_default(), remind, expire };
        let needed = live.map_or(self.now.plus(NOTICE_LIFE), |session| session.expires);
        let mt = MtHeader {
            consent: self.consent.unwrap_or(before.consent),
            kind,
            urgent,
            expires: invited.map_or(needed, |invited| needed.min(invited.not_after)),
            segments,
            then,
        };
        self.queues.push(QueueOp::Put(Put {
            queue: Queue::Outbox(by.id.clone()),
            id: keys.mt(&self.citizen, self.version).to_string(),
            generation: self.version,
            due: self.now,
            dead: None,
            payload: OwedMt { text, coding, language, template }.encode(),
            mt: Some(mt),
        }));
    }

    /// Wakes the citizen's session then.
    pub fn wake(&mut self, timer: &TimerPayload, due: Timestamp) {
        self.put(Queue::Timer, timer_id(&self.citizen, timer.kind()), due, None, timer.encode());
    }

    /// Puts a completion into the queue of every department that wants it.
    fn owe(&mut self, completion: Completion, routes: &Routes) {
        let wanted = routes.wanting(&completion);
        let id = completion.id.to_string();
        if wanted.is_empty() && completion.status == Status::Complete {
            let payload = OwedCompletion { completion, share_msisdn: false }.encode();
            let nobody = DepartmentId::parse(UNROUTED).expect("a good id");
            return self.put(Queue::Completion(nobody), id, self.now, Some(UNROUTED.to_owned()), payload);
        }
        for wanting in wanted {
            let share_msisdn = wanting.share_msisdn && completion.consents_msisdn;
            let payload = OwedCompletion { completion: completion.clone(), share_msisdn }.encode();
            self.put(Queue::Completion(wanting.department), id.clone(), self.now, None, payload);
        }
    }

    fn put(&mut self, queue: Queue, id: String, due: Timestamp, dead: Option<String>, payload: Vec<u8>) {
        let generation = self.version;
        self.queues.push(QueueOp::Put(Put { queue, id, generation, due, dead, payload, mt: None }));
    }

    /// A timer's own turn removes the timer; the engine's wish to cancel it is then none.
    pub fn drop_cancel_of(&mut self, own: &str) {
        self.queues.retain(|op| !matches!(op, QueueOp::Cancel { id, .. } if id == own));
    }

    /// The kind word to an answer that came after the end.
    pub fn say_expired(&mut self, flow: &Flow, language: Lang, screen: Screen) {
        let text = step::plain(&flow.texts.expired, language, Canvas::Screen(screen));
        self.reply = Some(Reply { text, end: true, language });
    }

    /// The plan, if it changes anything.
    pub fn or_nothing(self) -> Option<Plan> {
        (!self.queues.is_empty() || self.asked).then_some(self)
    }

    /// The record after this turn, and what happens to queues; cancels first.
    pub fn done(self, before: Record) -> (Record, Vec<QueueOp>) {
        let record = Record {
            version: self.version,
            consent: self.consent.unwrap_or(before.consent),
            asked: if self.asked { self.version } else { before.asked },
            language: self.language.or(before.language),
            session: self.session,
            told: if self.told { Some(self.now) } else { before.told },
            number: before.number,
            dialogue: before.dialogue,
        };
        (record, self.queues)
    }
}

/// Timers are named by their citizen and what for: a new one replaces the old.
fn timer_id(citizen: &CitizenId, kind: &str) -> String {
    format!("{citizen}:{kind}")
}

/// Tells this process' workers what a commit made due.
pub fn note_due(commit: &Commit, due: &Due) {
    for op in &commit.queues {
        if let QueueOp::Put(put) = op
            && put.dead.is_none()
        {
            due.note_put(put, commit.citizen.partition());
        }
    }
}

fn completion(
    flow: &Flow,
    session: &Session,
    status: Status,
    citizen: CitizenId,
    now: Timestamp,
) -> Completion {
    Completion {
        id: session.response,
        citizen,
        flow: session.flow.clone(),
        revision: session.revision,
        status,
        bearer: session.bearer,
        channel: session.channel.to_string(),
        language: session.language,
        started_at: session.started,
        completed_at: now,
        consents_msisdn: step::consents_msisdn(flow, session),
        context: session.context.clone(),
        answers: step::answers(flow, session),
    }
}
