//! How a flow is begun, how long a session of it lives, and when an unanswered question goes out again. What opens a flow
//! opens no other.

use super::Checker;
use crate::{
    domain::lang::Lang,
    findings::{At, Findings, Source},
    flow::document::Document,
    text::heard::Heard,
};
use std::time::Duration;

/// How long a session lives when the flow does not say.
const EXPIRES: Duration = Duration::from_secs(48 * 3600);
/// The shortest and the longest life of a session.
const LIFE: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(30 * 86_400)];
/// The most reminders of one question: a citizen is asked, not pestered.
const MOST_REMINDERS: usize = 5;
/// How long a citizen has at least before the first.
const SOONEST_REMINDER: Duration = Duration::from_secs(60);
/// The most words that open one flow.
const MOST_WORDS: usize = 20;
/// The longest of them, in characters.
const LONGEST_WORD: usize = 40;
/// Languages whose answers no word may be, whatever the flow speaks: a word is looked for before an answer is.
const ANSWERED_IN: [&str; 3] = ["or", "hi", "en"];

impl Checker<'_> {
    pub(super) fn ussd_codes(&self) -> Vec<String> {
        let codes = &self.document.ussd_codes;
        for code in codes.iter().filter(|code| !is_code(&code.value)) {
            let what = format!("\"{}\" is no USSD code", code.value);
            self.error(code.span.clone(), what, "it begins with `*`, ends with `#`: \"*4545*1#\"");
        }
        codes.iter().map(|code| code.value.clone()).collect()
    }

    pub(super) fn sms_words(&self) -> Vec<String> {
        let words = &self.document.sms_words;
        if let Some(word) = words.get(MOST_WORDS) {
            self.error(word.span.clone(), format!("a flow has at most {MOST_WORDS} words that open it"), "");
        }
        words.iter().for_each(|word| self.sms_word(word));
        words.iter().map(|word| word.value.trim().to_owned()).collect()
    }

    /// A word opens a flow from anywhere, so it may be nothing that a citizen says for something else.
    fn sms_word(&self, word: &At<String>) {
        let heard = Heard::of(&word.value);
        let bare = heard.bare();
        let control = self.base.control().iter().find(|(_, known)| *known == bare);
        let fault = if bare.is_empty() {
            Some(("this word is empty".to_owned(), "sms = [\"HOSPITAL\"]".to_owned()))
        } else if !bare.chars().any(char::is_alphabetic) {
            let what = format!("\"{}\" holds no letter, so it is an answer", word.value);
            Some((what, "take a word: sms = [\"HOSPITAL\"]".to_owned()))
        } else if bare.chars().count() > LONGEST_WORD {
            let what = format!("a word that opens a flow has at most {LONGEST_WORD} characters");
            Some((what, String::new()))
        } else if let Some((control, _)) = control {
            let what = format!("\"{}\" already means {} to the gateway", word.value, control.meaning());
            Some((what, format!("take another word, or take it out of [words] in {}", self.texts_name())))
        } else if is_answer(&heard) {
            let what = format!("\"{}\" is an answer, and would open the flow instead", word.value);
            Some((what, "take another word".to_owned()))
        } else {
            None
        };
        if let Some((what, hint)) = fault {
            self.error(word.span.clone(), what, &hint);
        }
    }

    fn texts_name(&self) -> &str {
        &self.base.source().name
    }

    pub(super) fn expires(&self) -> Duration {
        let Some(expires) = &self.document.expires else { return EXPIRES };
        if !(LIFE[0]..=LIFE[1]).contains(&expires.value) {
            self.error(expires.span.clone(), "`expires` must lie between 1m and 30d", "expires = \"48h\"");
        }
        expires.value
    }

    pub(super) fn remind(&self, expires: Duration) -> Vec<Duration> {
        let Some(remind) = &self.document.remind else { return Vec::new() };
        let times = &remind.value;
        let fault = if times.len() > MOST_REMINDERS {
            Some(format!("a flow reminds at most {MOST_REMINDERS} times"))
        } else if times.first().is_some_and(|first| *first < SOONEST_REMINDER) {
            Some("`remind` is sooner than 1m after the question".to_owned())
        } else if !times.is_sorted_by(|one, next| one < next) {
            Some("`remind` must rise: each time is counted from the question".to_owned())
        } else if times.last().is_some_and(|last| *last >= expires) {
            Some("`remind` comes when the session is over".to_owned())
        } else {
            None
        };
        if let Some(what) = fault {
            let hint = "remind = [\"6h\", \"24h\"], below `expires`";
            self.error(remind.span.clone(), what, hint);
        }
        times.clone()
    }
}

/// Whether a citizen may mean an answer by it: a number, yes or no.
pub fn is_answer(heard: &Heard) -> bool {
    ANSWERED_IN
        .iter()
        .filter_map(|tag| Lang::parse(tag))
        .any(|language| heard.number(language).is_some() || heard.yes_no(language, true).is_some())
}

/// `*4545#`, `*4545*1#`.
fn is_code(text: &str) -> bool {
    let inner = text.strip_prefix('*').and_then(|rest| rest.strip_suffix('#'));
    text.len() <= 24
        && inner.is_some_and(|inner| {
            inner.split('*').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// What the flows before have taken: ids, USSD codes and words, with the file.
#[derive(Default)]
pub(super) struct Taken(Vec<(&'static str, String, Source)>);

impl Taken {
    pub fn claim(&mut self, source: &Source, document: &Document, findings: &Findings) {
        let same = |name: &At<String>| name.value.clone();
        let bare = |word: &At<String>| Heard::of(&word.value).bare();
        let id = document.id.iter().map(|id| ("the id", id, same(id)));
        let codes = document.ussd_codes.iter().map(|code| ("the code", code, same(code)));
        let words = document.sms_words.iter().map(|word| ("the word", word, bare(word)));
        let words = words.filter(|(.., bare)| !bare.is_empty());
        for (what, name, taken) in id.chain(codes).chain(words) {
            self.take(source, findings, what, name, taken);
        }
    }

    fn take(
        &mut self,
        source: &Source,
        findings: &Findings,
        what: &'static str,
        name: &At<String>,
        taken: String,
    ) {
        match self.0.iter().find(|(kind, known, _)| *kind == what && *known == taken) {
            Some((.., by)) if by == source => {
                let what = format!("{what} `{}` is there twice", name.value);
                findings.error(source, name.span.clone(), what, "");
            }
            Some((.., by)) => {
                let what = format!("{what} `{}` is taken by {}", name.value, by.name);
                findings.error(source, name.span.clone(), what, "every flow needs its own");
            }
            None => self.0.push((what, taken, source.clone())),
        }
    }
}
