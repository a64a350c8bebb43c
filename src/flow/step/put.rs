//! How a question is put: page by page on a USSD screen, whole by SMS; and the last words. At most one text a step.

use super::{BACK, Fault, MORE, NOT_ME, PREFACE, Walk, form};
use crate::{
    domain::message::Screen,
    flow::{
        effect::Effect,
        event::Canvas,
        graph::{Node, Words},
        node::Kind,
        session::Place,
    },
    text::{gsm::fits, page},
};
use std::{borrow::Cow, time::Duration};

impl<'a> Walk<'a> {
    /// Puts a new question, behind what is to be said before it. Where both leave no room for one another on a screen the
    /// question has its own pages, which the citizen turns to.
    pub(super) fn ask(&mut self, node: &'a Node) {
        let Canvas::Screen(screen) = self.on else { return self.write(node, 0) };
        if self.said.is_empty() {
            return self.put(node, 0, 0);
        }
        let said = std::mem::take(&mut self.said);
        let pages = self.pages(node, 0, screen);
        let together = format!("{said}\n{}", pages[0]);
        if pages.len() == 1 && fits(&together, screen) {
            return self.show(node, 0, 0, together);
        }
        let more = format!("{MORE} {}", self.engine(&self.flow.texts.more));
        let preface = page::pages(&said, screen, |_, _| more.clone()).swap_remove(0);
        self.show(node, PREFACE, 0, preface);
    }

    /// Puts a page of a question on the screen; by SMS all of it.
    pub(super) fn put(&mut self, node: &'a Node, page: u8, tries: u8) {
        let Canvas::Screen(screen) = self.on else { return self.write(node, tries) };
        let mut pages = self.pages(node, tries, screen);
        let page = page.min(u8::try_from(pages.len() - 1).unwrap_or(u8::MAX));
        let text = pages.swap_remove(usize::from(page));
        self.show(node, page, tries, text);
    }

    /// Whether the open question has this page; by SMS it has none.
    pub(super) fn has_page(&mut self, node: &'a Node, page: u8, tries: u8) -> bool {
        let Canvas::Screen(screen) = self.on else { return false };
        usize::from(page) < self.pages(node, tries, screen).len()
    }

    /// Puts a question by SMS: what is said before it, the hint, its full words, its options. It is counted from here when the
    /// next reminder is due.
    fn write(&mut self, node: &'a Node, tries: u8) {
        let mut text = std::mem::take(&mut self.said);
        let hint = self.hint(node, tries).unwrap_or_default();
        let words = self.text(node, &node.words);
        [hint, words].iter().filter(|part| !part.is_empty()).for_each(|part| line(&mut text, part));
        self.options(node, &mut text);
        if self.may_be_mistaken() {
            option(&mut text, NOT_ME, &self.engine(&self.flow.texts.wrong_number));
        }
        self.stand(node, 0, tries);
        if !self.effects.contains(&Effect::Asked) {
            self.effects.push(Effect::Asked);
        }
        let template = node.words.template(self.session.language).map(str::to_owned);
        let remind = self.reminder();
        self.effects.push(Effect::Say { text: with_line_feeds(text), prompt: true, template, remind });
    }

    /// The next reminder of the open question, and how long after this prompt.
    fn reminder(&self) -> Option<(u8, Duration)> {
        let after = |nth: usize| self.flow.remind.get(nth).copied();
        let sent = usize::from(self.reminded);
        let before = sent.checked_sub(1).and_then(after).unwrap_or_default();
        Some((self.reminded.checked_add(1)?, after(sent)?.saturating_sub(before)))
    }

    /// The session stands there now, and this is on the screen.
    fn show(&mut self, node: &'a Node, page: u8, tries: u8, text: String) {
        self.stand(node, page, tries);
        self.effects.push(Effect::Show { text, end: false });
    }

    fn stand(&mut self, node: &'a Node, page: u8, tries: u8) {
        match &mut self.session.place {
            // The usual case keeps the name's allocation.
            Place::At { node: at, page: on, tries: tried } if *at == node.id => (*on, *tried) = (page, tries),
            place => *place = Place::At { node: node.id.clone(), page, tries },
        }
    }

    /// A question's pages: the text, the options, the keys that go elsewhere; after an answer that was not understood the
    /// hint before it. Where that takes a page more, what the kind can do without gives way first. A yes and its meaning
    /// stay on the page of their question, so there the hint gives way.
    fn pages(&mut self, node: &'a Node, tries: u8, screen: Screen) -> Vec<String> {
        let text = self.text(node, &node.words);
        let plain = self.paged(node, "", &text, screen);
        let Some(hint) = self.hint(node, tries) else { return plain };
        let mut rest: &str = &text;
        loop {
            let hinted = self.paged(node, &hint, rest, screen);
            if hinted.len() <= plain.len() {
                return hinted;
            }
            match node.kind.shorter(rest) {
                Some(shorter) => rest = shorter,
                None if matches!(node.kind, Kind::YesNo(_)) => return plain,
                None => return self.paged(node, &hint, &text, screen),
            }
        }
    }

    /// What is said before a question that is put again because its answer was not understood.
    fn hint(&self, node: &'a Node, tries: u8) -> Option<Cow<'a, str>> {
        let hints = &self.flow.texts.hints;
        let (_, hint) = hints.iter().find(|(kind, _)| tries > 0 && *kind == node.kind.name())?;
        Some(self.engine(hint))
    }

    fn paged(&mut self, node: &'a Node, hint: &str, text: &str, screen: Screen) -> Vec<String> {
        let mut body = String::with_capacity(hint.len() + text.len() + 64);
        [hint, text].into_iter().filter(|part| !part.is_empty()).for_each(|part| line(&mut body, part));
        self.options(node, &mut body);
        let elsewhere = if !self.session.answers.is_empty() {
            Some((BACK, &self.flow.texts.back))
        } else if self.may_be_mistaken() {
            Some((NOT_ME, &self.flow.texts.wrong_number))
        } else {
            None
        };
        // A key that goes elsewhere never costs a page: it works unsaid, too.
        if let Some((key, words)) = elsewhere {
            let mut whole = body.clone();
            option(&mut whole, key, &self.engine(words));
            if fits(&whole, screen) {
                return vec![whole];
            }
        }
        let more = self.engine(&self.flow.texts.more);
        page::pages(&body, screen, |_, last| if last { String::new() } else { format!("{MORE} {more}") })
    }

    /// The options of a question, each on its line behind its key.
    fn options(&mut self, node: &'a Node, text: &mut String) {
        let flow = self.flow;
        node.kind.options(&flow.texts, &mut |key, words| option(text, key, &self.text(node, words)));
    }

    /// The last words: on a screen they end the dialogue.
    pub(super) fn say_last(&mut self) {
        let mut text = std::mem::take(&mut self.said);
        if text.is_empty() {
            let over = &self.flow.texts.over;
            text = self.engine(over).into_owned();
            self.template = over.template(self.session.language);
        }
        let last = match self.on {
            Canvas::Screen(screen) if fits(&text, screen) => Effect::Show { text, end: true },
            Canvas::Screen(screen) => Effect::Show { text: self.most_needed(&text, screen), end: true },
            Canvas::Sms => {
                let template = self.template.map(str::to_owned);
                Effect::Say { text: with_line_feeds(text), prompt: false, template, remind: None }
            }
        };
        self.effects.push(last);
    }

    /// Nothing can follow the last screen. Of a text that does not fit it the part with the reference number is shown, else
    /// its beginning.
    fn most_needed(&self, text: &str, screen: Screen) -> String {
        let mut pages = page::pages(text, screen, |_, _| String::new());
        let reference = self.session.response.reference();
        let needed = pages.iter().position(|page| page.contains(&reference)).unwrap_or(0);
        pages.swap_remove(needed)
    }

    pub(super) fn say(&mut self, text: &str) {
        line(&mut self.said, text);
    }

    /// A node's text for where it goes. One that names leave blank (an invitation may bring nothing under a name) is said
    /// without them.
    pub(super) fn text(&mut self, node: &'a Node, words: &'a Words) -> Cow<'a, str> {
        let text = words.pick(self.session.language, form(self.on));
        if let Some(literal) = text.template.literal() {
            return Cow::Borrowed(literal);
        }
        match self.scoped(|scope| text.template.render(scope).map(Cow::into_owned)) {
            Ok(rendered) if !rendered.trim().is_empty() => Cow::Owned(rendered),
            Ok(_) => Cow::Borrowed(&text.fallback),
            Err(_) => {
                self.fault(node, Fault::Text);
                Cow::Borrowed(&text.fallback)
            }
        }
    }

    /// One of the engine's sentences; a name in it that cannot be filled in leaves the fallback.
    pub(super) fn engine(&self, words: &'a Words) -> Cow<'a, str> {
        let text = words.pick(self.session.language, form(self.on));
        match text.template.literal() {
            Some(literal) => Cow::Borrowed(literal),
            None => {
                let rendered = self.scoped(|scope| text.template.render(scope).map(Cow::into_owned));
                rendered.map_or(Cow::Borrowed(&text.fallback), Cow::Owned)
            }
        }
    }
}

/// What an invitation brought may hold line ends of any kind; an SMS has one kind.
fn with_line_feeds(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}

fn line(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
}

fn option(text: &mut String, key: &str, words: &str) {
    line(text, key);
    text.push(' ');
    text.push_str(words);
}
