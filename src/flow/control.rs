//! The words that are about the programme itself, whatever flow a citizen is in: `[words]` of `flows/texts.toml`. A word
//! counts as the whole message only, so that "the ward was closed" (*band tha*) stops nothing.

use super::{check::start::is_answer, entry::Control};
use crate::{
    findings::{At, Findings, Source, Table, nearest},
    text::heard::Heard,
};
use std::sync::Arc;

/// Words in the form that texts are brought to, and what they ask for.
pub type ControlWords = Arc<[(Control, String)]>;

/// The key of the lists in the file.
pub const KEY: &str = "words";

const CONTROLS: [(&str, Control); 4] =
    [("stop", Control::Stop), ("start", Control::Start), ("help", Control::Help), ("not-me", Control::NotMe)];

/// One word as it was written.
#[derive(Debug)]
pub struct Written {
    control: Control,
    /// The language of its list.
    pub language: At<String>,
    word: At<String>,
}

/// Reads `words.stop.en = ["STOP"]` and so on.
pub fn read(top: &Table<'_>) -> Vec<Written> {
    let Some(words) = top.table(KEY) else { return Vec::new() };
    let mut written = Vec::new();
    for key in words.keys() {
        let Some((_, control)) = CONTROLS.iter().find(|(name, _)| *name == key.value) else {
            let known = || CONTROLS.iter().map(|(name, _)| *name);
            let hint = match nearest(&key.value, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
            };
            words.value(&key.value);
            words.error(key.span, format!("no message asks for `{}`", key.value), &hint);
            continue;
        };
        let Some(by_language) = words.table(&key.value) else { continue };
        for language in by_language.keys() {
            let list = by_language.texts(&language.value).map(|list| list.value).unwrap_or_default();
            let word = |word| Written { control: *control, language: language.clone(), word };
            written.extend(list.into_iter().map(word));
        }
    }
    written
}

/// The words, ready to be compared.
pub fn words(written: &[Written]) -> ControlWords {
    written.iter().map(|written| (written.control, Heard::of(&written.word.value).bare())).collect()
}

/// Tells words that are none or mean two things, and what nobody could ask for.
pub fn check(source: &Source, findings: &Findings, written: &[Written]) {
    let words = words(written);
    for (at, one) in written.iter().enumerate() {
        let (span, shown) = (one.word.span.clone(), &one.word.value);
        let (control, bare) = &words[at];
        let before = words[..at].iter().find(|(_, known)| known == bare);
        if !bare.chars().any(char::is_alphabetic) {
            findings.error(source, span, "a word needs a letter", "whatever has none is an answer");
        } else if is_answer(&Heard::of(shown)) {
            findings.error(source, span, format!("\"{shown}\" is an answer to a question"), "leave it out");
        } else if let Some((other, _)) = before.filter(|(other, _)| other != control) {
            let what = format!("\"{shown}\" already means {}", other.meaning());
            findings.error(source, span, what, "a word can ask for one thing only");
        }
    }
    for (key, control) in CONTROLS {
        if !words.iter().any(|(known, _)| *known == control) {
            let what = format!("no word asks for {}", control.meaning());
            findings.error(source, 0..0, what, &format!("[{KEY}] {key}.en = [\"…\"]"));
        }
    }
}
