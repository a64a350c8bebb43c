//! `step`: total, never fails, never waits. One event moves one session; what shall be done about it comes back as a list.
//!
//! Wrong answers are expected: the question is put again with a hint, and the third one that is not understood takes the
//! way out. `0` goes back to correct an answer, and what was answered after it is asked again; so it is where a flow
//! goes round. A long question is paged; [`MORE`] shows the rest.

use super::{
    effect::{Effect, Fault, TimerKind},
    event::{Canvas, Event},
    graph::{Flow, Form, Node, Target, Words},
    node::{Kind, Reading, SAID_MAX, SKIP},
    session::{Given, Place, Session},
};
use crate::{
    domain::{
        completion::{Answer, Status},
        lang::Lang,
        message::Screen,
        time::Timestamp,
    },
    expr::Scope,
    text::{gsm::fits, heard::Heard, page},
};
use std::borrow::Cow;

/// The key that shows the rest of a long question. No option has it: ratings end at 10, choices at 9.
pub const MORE: &str = "98";
/// The key that goes back: to the page before, else to the answer before.
pub const BACK: &str = "0";
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
    let mut walk =
        Walk { flow, session, now, screen: Screen::default(), said: String::new(), effects: Vec::new() };
    match (&walk.session.place, event) {
        (Place::Over, _) => {}
        (_, Event::Expired) => walk.expire(),
        (Place::Fresh, Event::Dialled { typed, screen }) => walk.begin(&typed, screen),
        (Place::Fresh, Event::Answered { on, .. }) => walk.begin("", screen_of(on)),
        (Place::At { .. }, Event::Dialled { screen, .. }) => walk.show_again(screen),
        (Place::At { .. }, Event::Answered { text, on }) => {
            walk.screen = screen_of(on);
            walk.answer(&text);
        }
        _ => {}
    }
    Step { session: walk.session, effects: walk.effects }
}

/// The answers of a session as a response holds them. Answers to nodes that the flow does not have are left out.
pub fn answers(flow: &Flow, session: &Session) -> Vec<Answer> {
    let answer = |given: &Given| {
        let Given { node, value, said, at } = given;
        let kind = flow.nodes.iter().find(|n| n.id == *node)?.kind.name().to_owned();
        Some(Answer { node: node.clone(), kind, value: value.clone(), said: said.clone(), at: *at })
    };
    session.answers.iter().filter_map(answer).collect()
}

/// Whether the citizen said yes, in this session, to a department seeing the number. One yes and no later no.
pub fn consents_msisdn(flow: &Flow, session: &Session) -> bool {
    let asked = |given: &&Given| {
        let node = flow.nodes.iter().find(|n| n.id == given.node);
        matches!(node.map(|n| &n.kind), Some(Kind::YesNo(asks)) if asks.consents_msisdn)
    };
    let last = session.answers.iter().rfind(asked);
    last.is_some_and(|given| given.value == crate::domain::completion::Value::Boolean(true))
}

/// One of the engine's own sentences, by itself: on the last page of a dialogue, or as an SMS.
pub fn plain(words: &Words, language: Lang, on: Canvas) -> String {
    let said = |form| {
        let text = words.pick(language, form);
        text.template.literal().unwrap_or(&text.fallback)
    };
    match on {
        Canvas::Screen(screen) => page::only(said(form(screen)), screen),
        Canvas::Sms => said(Form::Full).to_owned(),
    }
}

fn screen_of(on: Canvas) -> Screen {
    match on {
        Canvas::Screen(screen) => screen,
        Canvas::Sms => Screen::default(),
    }
}

fn form(screen: Screen) -> Form {
    if screen.latin { Form::Latin } else { Form::Screen }
}

/// One step under way.
struct Walk<'a> {
    flow: &'a Flow,
    session: Session,
    now: Timestamp,
    screen: Screen,
    /// What `say` nodes want said before the next question.
    said: String,
    effects: Vec<Effect>,
}

impl<'a> Walk<'a> {
    fn begin(&mut self, typed: &str, screen: Screen) {
        self.screen = screen;
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

    /// A redial shows the open question from its first page, whole and without a hint: what went wrong may be days ago.
    fn show_again(&mut self, screen: Screen) {
        self.screen = screen;
        match self.node() {
            Some((node, ..)) => self.show(node, 0, 0),
            None => self.lost(),
        }
    }

    /// The node the session stands at, its page and its tries; `None` when the flow does not have it.
    fn node(&self) -> Option<(&'a Node, u8, u8)> {
        let Place::At { node, page, tries } = &self.session.place else { return None };
        let found = self.flow.nodes.iter().find(|n| n.id == *node)?;
        Some((found, *page, *tries))
    }

    fn answer(&mut self, typed: &str) {
        let Some((node, page, tries)) = self.node() else { return self.lost() };
        let heard = Heard::of(typed);
        let reading = node.kind.read(typed, &heard, self.session.language);
        match (heard.as_str(), reading) {
            (BACK, _) => self.back(node, page),
            (SKIP, reading) if !matches!(reading, Reading::Skipped) => self.back(node, page),
            (MORE, _) if page == PREFACE => self.show(node, 0, tries),
            (MORE, _) if usize::from(page) + 1 < self.pages(node, tries).len() => {
                self.show(node, page + 1, tries)
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
            (_, Reading::Not) => self.show(node, 0, tries + 1),
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
            return self.show(node, page - 1, self.tries());
        }
        while let Some(last) = self.session.answers.pop() {
            if let Some(at) = self.flow.nodes.iter().position(|n| n.id == last.node) {
                return self.go(Target::Node(at));
            }
        }
        self.show(node, 0, self.tries());
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
            target = self.onward(node);
        }
        self.lost();
    }

    fn complete(&mut self) {
        let answered = !self.session.answers.is_empty();
        self.over(answered.then_some(Status::Complete));
        self.show_last();
    }

    /// The flow does not have the node the session stands at: it ends politely, with what there is.
    fn lost(&mut self) {
        let node = match &self.session.place {
            Place::At { node, .. } => node.clone(),
            Place::Fresh | Place::Over => String::new(),
        };
        self.effects.push(Effect::Fault { node, fault: Fault::Lost });
        self.expire();
        self.said.clear();
        self.show_last();
    }

    fn over(&mut self, status: Option<Status>) {
        self.session.place = Place::Over;
        self.effects.push(Effect::CancelTimer(TimerKind::Expiry));
        self.effects.push(Effect::Asked);
        self.effects.extend(status.map(Effect::Respond));
    }

    fn show_last(&mut self) {
        let mut text = std::mem::take(&mut self.said);
        if text.is_empty() {
            text = self.engine(&self.flow.texts.over).into_owned();
        }
        if !fits(&text, self.screen) {
            text = self.most_needed(&text);
        }
        self.effects.push(Effect::Show { text, end: true });
    }

    /// Nothing can follow the last screen. Of a text that does not fit it the part with the reference number is shown, else
    /// its beginning.
    fn most_needed(&self, text: &str) -> String {
        let mut pages = page::pages(text, self.screen, |_, _| String::new());
        let reference = self.session.response.reference();
        let needed = pages.iter().position(|page| page.contains(&reference)).unwrap_or(0);
        pages.swap_remove(needed)
    }

    /// Puts a new question, behind what is to be said before it. Where both leave no room for one another the question
    /// has its own pages, which the citizen turns to.
    fn ask(&mut self, node: &'a Node) {
        if self.said.is_empty() {
            return self.show(node, 0, 0);
        }
        let said = std::mem::take(&mut self.said);
        let pages = self.pages(node, 0);
        let together = format!("{said}\n{}", pages[0]);
        if pages.len() == 1 && fits(&together, self.screen) {
            return self.stand(node, 0, 0, together);
        }
        let more = format!("{MORE} {}", self.engine(&self.flow.texts.more));
        let preface = page::pages(&said, self.screen, |_, _| more.clone()).swap_remove(0);
        self.stand(node, PREFACE, 0, preface);
    }

    /// Puts a page of a question on the screen.
    fn show(&mut self, node: &'a Node, page: u8, tries: u8) {
        let mut pages = self.pages(node, tries);
        let page = page.min(u8::try_from(pages.len() - 1).unwrap_or(u8::MAX));
        let text = pages.swap_remove(usize::from(page));
        self.stand(node, page, tries, text);
    }

    /// The session stands there now, and this is on the screen.
    fn stand(&mut self, node: &'a Node, page: u8, tries: u8, text: String) {
        match &mut self.session.place {
            // The usual case keeps the name's allocation.
            Place::At { node: at, page: on, tries: tried } if *at == node.id => (*on, *tried) = (page, tries),
            place => *place = Place::At { node: node.id.clone(), page, tries },
        }
        self.effects.push(Effect::Show { text, end: false });
    }

    /// A question's pages: the text, the options, the keys that go elsewhere; after an answer that was not understood the
    /// hint before it. Where that takes a page more, what the kind can do without gives way first. A yes and its meaning
    /// stay on the page of their question, so there the hint gives way.
    fn pages(&mut self, node: &'a Node, tries: u8) -> Vec<String> {
        let text = self.text(node, &node.words);
        let plain = self.paged(node, "", &text);
        let hints = &self.flow.texts.hints;
        let Some((_, hint)) = hints.iter().find(|(kind, _)| tries > 0 && *kind == node.kind.name()) else {
            return plain;
        };
        let hint = self.engine(hint);
        let mut rest: &str = &text;
        loop {
            let hinted = self.paged(node, &hint, rest);
            if hinted.len() <= plain.len() {
                return hinted;
            }
            match node.kind.shorter(rest) {
                Some(shorter) => rest = shorter,
                None if matches!(node.kind, Kind::YesNo(_)) => return plain,
                None => return self.paged(node, &hint, &text),
            }
        }
    }

    fn paged(&mut self, node: &'a Node, hint: &str, text: &str) -> Vec<String> {
        let flow = self.flow;
        let mut body = String::with_capacity(hint.len() + text.len() + 64);
        [hint, text].into_iter().filter(|part| !part.is_empty()).for_each(|part| line(&mut body, part));
        node.kind.options(&flow.texts, &mut |key, words| {
            line(&mut body, key);
            body.push(' ');
            body.push_str(&self.text(node, words));
        });
        if !self.session.answers.is_empty() {
            let with_back = format!("{body}\n{BACK} {}", self.engine(&flow.texts.back));
            if fits(&with_back, self.screen) {
                return vec![with_back];
            }
        }
        let more = self.engine(&flow.texts.more);
        page::pages(&body, self.screen, |_, last| if last { String::new() } else { format!("{MORE} {more}") })
    }

    fn say(&mut self, text: &str) {
        line(&mut self.said, text);
    }

    /// A node's text for this screen.
    fn text(&mut self, node: &'a Node, words: &'a Words) -> Cow<'a, str> {
        let text = words.pick(self.session.language, form(self.screen));
        if let Some(literal) = text.template.literal() {
            return Cow::Borrowed(literal);
        }
        match self.scoped(|scope| text.template.render(scope).map(Cow::into_owned)) {
            Ok(rendered) => Cow::Owned(rendered),
            Err(_) => {
                self.fault(node, Fault::Text);
                Cow::Borrowed(&text.fallback)
            }
        }
    }

    /// One of the engine's sentences; a name in it that cannot be filled in leaves the fallback.
    fn engine(&self, words: &'a Words) -> Cow<'a, str> {
        let text = words.pick(self.session.language, form(self.screen));
        match text.template.literal() {
            Some(literal) => Cow::Borrowed(literal),
            None => {
                let rendered = self.scoped(|scope| text.template.render(scope).map(Cow::into_owned));
                rendered.map_or(Cow::Borrowed(&text.fallback), Cow::Owned)
            }
        }
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

fn line(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
}
