//! From a step's effects to a commit: ids, queue items, the record as it shall be.

use super::Turning;
use crate::{
    domain::{
        completion::{Completion, Status},
        id::{CitizenId, DepartmentId, DialogueId, Version},
        keys::Keys,
        lang::Lang,
        message::{Reply, Screen},
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
        Commit, Put, Queue, QueueOp,
        due::Due,
        payload::{OwedCompletion, TimerPayload},
        record::Record,
    },
};

/// The queue of completions that no route wants: dead letters from the start, because a person must see them.
pub const UNROUTED: &str = "unrouted";

/// What one turn will change, gathered from one step or two (an expiry, then a new beginning).
pub struct Plan {
    citizen: CitizenId,
    version: Version,
    now: Timestamp,
    asked: bool,
    session: Option<Session>,
    language: Option<Lang>,
    /// The screen that goes out.
    pub reply: Option<Reply>,
    /// What happens to queues; cancels first.
    pub queues: Vec<QueueOp>,
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
            Effect::Say { .. } => {}
            Effect::Asked => self.asked = true,
            Effect::Respond(status) => {
                self.owe(completion(flow, session, status, self.citizen, self.now), routes)
            }
            Effect::StartTimer { kind, due } => {
                let payload = match kind {
                    TimerKind::Expiry => TimerPayload::Expiry(session.response).encode(),
                };
                self.put(Queue::Timer, timer_id(&self.citizen, kind), due, None, payload);
            }
            Effect::CancelTimer(kind) => {
                let cancel = QueueOp::Cancel { queue: Queue::Timer, id: timer_id(&self.citizen, kind) };
                self.queues.insert(0, cancel);
            }
            Effect::Fault { node, fault } => {
                tracing::warn!(flow = %flow.id, node, fault = fault.name(), "a flow's fault was met and survived");
                metrics::counter!(metric::FLOW_FAULTS_TOTAL, "flow" => flow.id.to_string(), "kind" => fault.name())
                    .increment(1);
            }
        }
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

    /// The citizen's record after a USSD turn.
    pub(super) fn record(
        &self,
        turn: &Turning<'_>,
        found: Option<&Record>,
        dialogue: Option<DialogueId>,
        keys: &Keys,
    ) -> Record {
        let fresh = || Record::fresh(keys.seal(&turn.citizen, &turn.step.from));
        let before = found.cloned().unwrap_or_else(fresh);
        Record { dialogue, ..self.woken(&before) }
    }

    /// The citizen's record after a turn that nobody dialled for.
    pub fn woken(&self, before: &Record) -> Record {
        Record {
            version: self.version,
            consent: before.consent,
            asked: if self.asked { self.version } else { before.asked },
            number: before.number.clone(),
            language: self.language.or(before.language),
            dialogue: before.dialogue,
            session: self.session.clone(),
            told: before.told,
        }
    }
}

/// Timers are named by their citizen and what for: a new one replaces the old.
pub fn timer_id(citizen: &CitizenId, kind: TimerKind) -> String {
    format!("{citizen}:{}", kind.name())
}

/// Tells this process' workers what a commit made due.
pub fn note_due(commit: &Commit, due: &Due) {
    for op in &commit.queues {
        if let QueueOp::Put(Put { queue, due: at, dead: None, .. }) = op {
            due.note(queue, commit.citizen.partition(), *at);
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
