//! `step`: total, never fails, never waits. One event moves one session; what shall be done about it comes back as a list.
//!
//! Wrong answers are expected: the question is put again with a hint, and the third one that is not understood takes the
//! way out. `0` goes back to correct an answer, and what was answered after it is asked again; so it is where a flow
//! goes round. The same session goes on by USSD and by SMS: only how a question is put differs, which is `put`'s business.

mod put;
mod response;

pub use response::{answers, consents_msisdn};

use super::{
    effect::{Effect, Fault, TimerKind},
    event::{Canvas, Event},
    graph::{Flow, Form, Node, Target, Words},
    node::{Kind, Reading, SAID_MAX, SKIP},
    session::{Given, Place, Session},
};
use crate::{
    domain::{completion::Status, lang::Lang, message::Screen, time::Timestamp},
    expr::Scope,
    text::{heard::Heard, page},
};

/// The key that shows the rest of a long question. No option has it: ratings end at 10, choices at 9.
pub const MORE: &str = "98";
/// The key that goes back: to the page before, else to the answer before.
pub const BACK: &str = "0";
/// The key that says "you do not mean me", under the first question of an invitation. No option has it, and no slip of the
/// finger on a short scale makes it.
pub const NOT_ME: &str = "99";
/// How many answers in a row may not be understood; the last of them takes the way out.
pub const TRIES: u8 = 3;
/// The page of a question before which something was said that leaves no room for it: [`MORE`] leads to its first page.
pub const PREFACE: u8 = u8::MAX;
/// How many answers are taken out of a direct dial; what is behind them is not looked at.
pub const DIRECT_MAX: usize = 16;

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The session as it is now.
    pub session: Session,
    /// What shall be done, numbered by place.
    pub effects: Vec<Effect>,
}

/// Moves a session by one event. Nothing happens to one that is over.
pub fn step(flow: &Flow, session: Session, event: Event, now: Timestamp) -> Step {
    let mut walk = Walk::new(flow, session, now);
    match (&walk.session.place, event) {
        (Place::Over, _) => {}
        (_, Event::Expired | Event::Stopped) => walk.expire(),
        (_, Event::NotMe { on }) => walk.on(on).not_me(),
        (Place::Fresh, Event::Dialled { typed, screen }) => walk.on(Canvas::Screen(screen)).begin(&typed),
        (Place::Fresh, Event::Answered { on, .. }) => walk.on(on).begin(""),
        (Place::Fresh, Event::Opened | Event::Invited) => walk.on(Canvas::Sms).begin(""),
        (Place::At { .. }, Event::Dialled { screen, .. }) => walk.on(Canvas::Screen(screen)).put_again(),
        (Place::At { .. }, Event::Answered { text, on }) => walk.on(on).answer(&text),
        (Place::At { .. }, Event::Opened) => walk.on(Canvas::Sms).put_again(),
        (Place::At { .. }, Event::HandedOver) => walk.on(Canvas::Sms).remind(0),
        (Place::At { .. }, Event::Reminded { nth }) => walk.on(Canvas::Sms).remind(nth),
        // Nothing is open that could be put again; a session that is live was begun already.
        (Place::Fresh, Event::HandedOver | Event::Reminded { .. }) | (Place::At { .. }, Event::Invited) => {}
    }
    Step { session: walk.session, effects: walk.effects }
}

/// One of the engine's own sentences, by itself: on the last page of a dialogue, or as an SMS.
pub fn plain(words: &Words, language: Lang, on: Canvas) -> String {
    let said = |form| {
        let text = words.pick(language, form);
        text.template.literal().unwrap_or(&text.fallback)
    };
    match on {
        Canvas::Screen(screen) => page::only(said(form(on)), screen),
        Canvas::Sms => said(form(on)).to_owned(),
    }
}

fn form(on: Canvas) -> Form {
    match on {
        Canvas::Sms => Form::Full,
        Canvas::Screen(screen) if screen.latin => Form::Latin,
        Canvas::Screen(_) => Form::Screen,
    }
}

/// One step under way.
struct Walk<'a> {
    flow: &'a Flow,
    session: Session,
    now: Timestamp,
    /// Where the next question, or the last words, go.
    on: Canvas,
    /// What is to be said before the next question.
    said: String,
    /// The DLT template of what was said last.
    template: Option<&'a str>,
    /// How many reminders of the open question were sent, this one included.
    reminded: u8,
    effects: Vec<Effect>,
}

impl<'a> Walk<'a> {
    fn new(flow: &'a Flow, session: Session, now: Timestamp) -> Walk<'a> {
        Walk {
            flow,
            session,
            now,
            on: Canvas::Screen(Screen::default()),
            said: String::new(),
            template: None,
            reminded: 0,
            effects: Vec::new(),
        }
    }

    fn on(&mut self, on: Canvas) -> &mut Walk<'a> {
        self.on = on;
        self
    }

    fn begin(&mut self, typed: &str) {
        let due = self.session.expires;
        self.effects.push(Effect::StartTimer { kind: TimerKind::Expiry, due });
        self.go(Target::Node(0));
        let answers = typed.split('*').take(DIRECT_MAX).filter(|_| !typed.is_empty());
        for answer in answers {
            if self.session.place == Place::Over {
                break;
            }
            // Only the last screen goes out.
            self.effects.retain(|effect| !matches!(effect, Effect::Show { .. }));
            self.answer(answer);
        }
    }

    fn expire(&mut self) {
        let answered = !self.session.answers.is_empty();
        self.over(answered.then_some(Status::Partial));
    }

    /// Whoever was not meant hears that, and nothing is made of what was answered.
    fn not_me(&mut self) {
        self.over(None);
        let words = &self.flow.texts.not_me;
        self.said = self.engine(words).into_owned();
        self.template = words.template(self.session.language);
        self.say_last();
    }

    /// Whether "not me" stands under the open question: whoever answered anything was meant.
    fn may_be_mistaken(&self) -> bool {
        self.session.invited && self.session.answers.is_empty()
    }

    /// Who comes back gets the open question from its beginning, whole and without a hint: what went wrong may be days ago.
    fn put_again(&mut self) {
        match self.node() {
            Some((node, ..)) => self.put(node, 0, 0),
            None => self.lost(),
        }
    }

    /// The open question goes out again to somebody who did not ask for it, so a session that lost its way ends without a word.
    fn remind(&mut self, nth: u8) {
        let Some((node, ..)) = self.node() else { return self.lose() };
        self.reminded = nth;
        if nth > 0 {
            self.said = self.engine(&self.flow.texts.remind).into_owned();
        }
        self.put(node, 0, 0);
    }

    /// The node the session stands at, its page and its tries; `None` when the flow does not have it.
    fn node(&self) -> Option<(&'a Node, u8, u8)> {
        let Place::At { node, page, tries } = &self.session.place else { return None };
        let found = self.flow.nodes.iter().find(|n| n.id == *node)?;
        Some((found, *page, *tries))
    }

    fn answer(&mut self, typed: &str) {
        let Some((node, page, tries)) = self.node() else { return self.lost() };
        // An SMS has no pages.
        let page = if self.on == Canvas::Sms { 0 } else { page };
        let heard = Heard::of(typed);
        let reading = node.kind.read(typed, &heard, self.session.language);
        match (heard.as_str(), reading) {
            (NOT_ME, _) if self.may_be_mistaken() => self.not_me(),
            (BACK, _) => self.back(node, page),
            (SKIP, reading) if !matches!(reading, Reading::Skipped) => self.back(node, page),
            (MORE, _) if page == PREFACE => self.put(node, 0, tries),
            (MORE, _) if self.has_page(node, page.saturating_add(1), tries) => {
                self.put(node, page + 1, tries)
            }
            (_, Reading::Understood(value, goto)) => {
                let said = typed.chars().take(node.kind.kept().min(SAID_MAX)).collect();
                let given = Given { node: node.id.clone(), value, said, at: self.now };
                self.forget(node);
                self.session.answers.push(given);
                let target = goto.unwrap_or_else(|| self.onward(node));
                self.go(target);
            }
            (_, Reading::Skipped) => {
                self.forget(node);
                let target = self.onward(node);
                self.go(target);
            }
            (_, Reading::Not) if tries + 1 >= TRIES => self.go(node.otherwise),
            (_, Reading::Not) => self.put(node, 0, tries + 1),
        }
    }

    /// A question that is answered anew begins its part of the way anew: what was answered to it and since then goes, so that
    /// a branch that was left accuses nobody and consents to nothing.
    fn forget(&mut self, node: &Node) {
        if let Some(before) = self.session.answers.iter().position(|given| given.node == node.id) {
            self.session.answers.truncate(before);
        }
    }

    /// To the page before; on the first page to the last answer, which is taken back; at the first question nowhere.
    fn back(&mut self, node: &'a Node, page: u8) {
        if page > 0 && page != PREFACE {
            return self.put(node, page - 1, self.tries());
        }
        while let Some(last) = self.session.answers.pop() {
            if let Some(at) = self.flow.nodes.iter().position(|n| n.id == last.node) {
                return self.go(Target::Node(at));
            }
        }
        self.put(node, 0, self.tries());
    }

    fn tries(&self) -> u8 {
        self.node().map_or(0, |(_, _, tries)| tries)
    }

    /// The first link that holds. A condition that cannot be evaluated is false: a missing rating must never accuse an office.
    fn onward(&mut self, node: &'a Node) -> Target {
        for link in &node.next {
            let Some(when) = &link.when else { return link.goto };
            match self.scoped(|scope| when.holds(scope)) {
                Ok(true) => return link.goto,
                Ok(false) => {}
                Err(_) => self.fault(node, Fault::Condition),
            }
        }
        node.otherwise
    }

    /// Goes on until a question waits or the flow is complete. A flow of only `say` nodes in a ring does not load; were
    /// there one, every node would be said once and then the session would end.
    fn go(&mut self, target: Target) {
        let mut target = target;
        for _ in 0..=self.flow.nodes.len() {
            let node = match target {
                Target::Node(at) => self.flow.nodes.get(at),
                Target::End => None,
            };
            let Some(node) = node else { return self.complete() };
            if !matches!(node.kind, Kind::Say(_)) {
                self.effects.push(Effect::Asked);
                return self.ask(node);
            }
            let text = self.text(node, &node.words);
            self.say(&text);
            self.template = node.words.template(self.session.language);
            target = self.onward(node);
        }
        self.lost();
    }

    fn complete(&mut self) {
        let answered = !self.session.answers.is_empty();
        self.over(answered.then_some(Status::Complete));
        self.say_last();
    }

    /// The flow does not have the node the session stands at: it ends politely, with what there is.
    fn lost(&mut self) {
        self.lose();
        self.said.clear();
        self.say_last();
    }

    /// The same without a word.
    fn lose(&mut self) {
        let node = match &self.session.place {
            Place::At { node, .. } => node.clone(),
            Place::Fresh | Place::Over => String::new(),
        };
        self.effects.push(Effect::Fault { node, fault: Fault::Lost });
        self.expire();
    }

    fn over(&mut self, status: Option<Status>) {
        self.session.place = Place::Over;
        self.effects.push(Effect::CancelTimer(TimerKind::Expiry));
        self.effects.push(Effect::Asked);
        self.effects.extend(status.map(Effect::Respond));
    }

    /// A fault counts once a step, however often a text is tried for room.
    fn fault(&mut self, node: &Node, fault: Fault) {
        let fault = Effect::Fault { node: node.id.clone(), fault };
        if !self.effects.contains(&fault) {
            self.effects.push(fault);
        }
    }

    /// What expressions see.
    fn scoped<T>(&self, evaluate: impl FnOnce(&Scope<'_>) -> T) -> T {
        let Walk { flow, session, now, .. } = self;
        let reference = session.response.reference();
        evaluate(&Scope {
            answer: &|node| session.answers.iter().find(|given| given.node == node).map(|given| &given.value),
            context: &session.context,
            without: &|name| flow.without(name, session.language),
            flow: session.flow.as_str(),
            status: None,
            language: session.language.as_str(),
            channel: session.channel.as_str(),
            bearer: session.bearer.name(),
            now: *now,
            reference: &reference,
        })
    }
}
