//! Every text the engine itself can utter, per language: `flows/texts.toml`. It is no flow; a flow may say single entries
//! otherwise under `[texts]`.

use super::{
    check::words::{Writer, speaks},
    control::{self, ControlWords, Written},
    document::{WordsEntry, languages, text_entries},
    graph::{EngineTexts, Forms, Words},
};
use crate::{
    domain::lang::Lang,
    expr::{Names, Type},
    findings::{At, Findings, Source, Table, nearest},
};

/// The keys of the file beside `hint.<kind>`.
const KEYS: [&str; 15] = [
    "more",
    "back",
    "yes",
    "no",
    "skip",
    "wrong-number",
    "remind",
    "expired",
    "over",
    "closing",
    "nothing",
    "stopped",
    "started",
    "help",
    "not-me",
];
/// Said when there is no session whose names could be filled in.
const LITERAL: [&str; 6] = ["expired", "closing", "nothing", "stopped", "started", "help"];
/// The kinds of node that can be answered wrongly.
const HINTS: [&str; 4] = ["rating", "choice", "yes-no", "text"];

/// The file as it was written.
#[derive(Debug)]
pub struct TextsDocument {
    source: Source,
    languages: Vec<Lang>,
    entries: Vec<(At<String>, WordsEntry)>,
    words: Vec<Written>,
    control: ControlWords,
    /// Stands in for what this file does not have.
    spare: Option<Box<TextsDocument>>,
}

/// The engine's texts in every language of the file, for whoever speaks before there is a flow; tells every fault.
pub fn load(source: &Source, findings: &Findings) -> Option<EngineTexts> {
    let before = findings.errors();
    let document = TextsDocument::read(source, findings);
    let texts = document.checked(findings);
    texts.filter(|_| findings.errors() == before)
}

/// The names an engine's text may use: what is there with any session.
pub(super) fn names() -> Names {
    Names::flow().with("reference", Type::Text)
}

impl TextsDocument {
    /// Reads the file.
    pub(super) fn read(source: &Source, findings: &Findings) -> TextsDocument {
        let (languages, entries, words) = Table::read(source, findings, |top| {
            (languages(top), text_entries(top, &["languages", control::KEY]), control::read(top))
        });
        let languages = parse_languages(source, findings, &languages);
        let control = control::words(&words);
        TextsDocument { source: source.clone(), languages, entries, words, control, spare: None }
    }

    /// With another file to stand in for what this one does not have, being older.
    pub(super) fn with_spare(self, spare: TextsDocument) -> TextsDocument {
        let control = if self.words.is_empty() { spare.control.clone() } else { self.control };
        TextsDocument { control, spare: Some(Box::new(spare)), ..self }
    }

    /// The words about the programme itself.
    pub(super) fn control(&self) -> &ControlWords {
        &self.control
    }

    /// All its texts, with every fault.
    pub(super) fn checked(&self, findings: &Findings) -> Option<EngineTexts> {
        known_keys(&self.source, findings, &self.entries);
        self.words_checked(findings);
        let names = names();
        let writer = Writer { source: &self.source, findings, names: &names, without: &|_, _| None };
        for (_, entry) in &self.entries {
            writer.spoken_only(entry, &self.languages);
        }
        self.laid_over(&[], &self.languages, &writer, findings)
    }

    fn words_checked(&self, findings: &Findings) {
        if self.words.is_empty() && self.spare.is_some() {
            return;
        }
        control::check(&self.source, findings, &self.words);
        let tags = self.words.iter().map(|written| &written.language);
        let mut unknown: Vec<_> =
            tags.filter(|tag| !Lang::parse(&tag.value).is_some_and(|lang| self.speaks(lang))).collect();
        unknown.dedup_by_key(|tag| tag.span.start);
        for tag in unknown {
            let what = format!("`{}` is none of the languages of this file", tag.value);
            findings.error(&self.source, tag.span.clone(), what, "put its words under one of them");
        }
    }

    /// A text out of the file that stands in; where that has not got the language, in its first.
    fn spare(&self, key: &str, lang: Lang, names: &Names) -> Option<Forms> {
        let spare = self.spare.as_deref()?;
        let (_, entry) = spare.entries.iter().find(|(known, _)| known.value == key)?;
        let spoken = if speaks(entry, lang) { lang } else { *spare.languages.first()? };
        let findings = Findings::default();
        let writer = Writer { source: &spare.source, findings: &findings, names, without: &|_, _| None };
        writer.forms(entry, spoken, &|_| true)
    }

    /// The engine's texts in `languages`, with a flow's own entries laid over. Faults in `own` go to `writer`; those of this file
    /// are told by [`TextsDocument::checked`], once and not for every flow.
    pub(super) fn laid_over(
        &self,
        own: &[(At<String>, WordsEntry)],
        languages: &[Lang],
        writer: &Writer<'_>,
        base_findings: &Findings,
    ) -> Option<EngineTexts> {
        let names = names();
        let base =
            Writer { source: &self.source, findings: base_findings, names: &names, without: &|_, _| None };
        let words = |key: &str| -> Option<Words> {
            let mine = own.iter().find(|(known, _)| known.value == key).map(|(_, entry)| entry);
            let theirs = self.entries.iter().find(|(known, _)| known.value == key).map(|(_, entry)| entry);
            let sure = |name: &str| !name.contains('.');
            let forms = |lang: Lang| match (mine, theirs) {
                (Some(mine), _) if speaks(mine, lang) => writer.forms(mine, lang, &sure),
                (_, Some(theirs)) if speaks(theirs, lang) => base.forms(theirs, lang, &sure),
                _ => self.spare(key, lang, &names),
            };
            let missing: Vec<Lang> = languages
                .iter()
                .filter(|lang| {
                    !mine.is_some_and(|m| speaks(m, **lang)) && !theirs.is_some_and(|t| speaks(t, **lang))
                })
                .copied()
                .collect();
            if self.spare.is_none() {
                self.tell_missing(key, theirs, &missing, base_findings);
            }
            let all = languages.iter().map(|lang| Some((*lang, forms(*lang)?)));
            all.collect::<Option<Vec<_>>>().map(Words)
        };
        let hints = HINTS.map(|kind| Some((kind, words(&format!("hint.{kind}"))?)));
        let [
            more,
            back,
            yes,
            no,
            skip,
            wrong_number,
            remind,
            expired,
            over,
            closing,
            nothing,
            stopped,
            started,
            help,
            not_me,
        ] = KEYS.map(words);
        Some(EngineTexts {
            control: self.control.clone(),
            hints: hints.into_iter().collect::<Option<_>>()?,
            more: more?,
            back: back?,
            yes: yes?,
            no: no?,
            skip: skip?,
            wrong_number: wrong_number?,
            remind: remind?,
            expired: expired?,
            over: over?,
            closing: closing?,
            nothing: nothing?,
            stopped: stopped?,
            started: started?,
            help: help?,
            not_me: not_me?,
        })
    }

    fn tell_missing(&self, key: &str, entry: Option<&WordsEntry>, languages: &[Lang], findings: &Findings) {
        if languages.is_empty() {
            return;
        }
        let tags: Vec<_> = languages.iter().map(|lang| format!("`{lang}`")).collect();
        let what = format!("`{key}` has no text in {}", tags.join(" and "));
        let hint: Vec<_> = languages.iter().map(|lang| format!("text.{lang} = \"…\"")).collect();
        let hint = format!("[{key}] {}", hint.join(", "));
        findings.error(&self.source, entry.map_or(0..0, |entry| entry.span.clone()), what, &hint);
    }

    /// The file.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Whether the file has a language.
    pub(super) fn speaks(&self, lang: Lang) -> bool {
        self.languages.contains(&lang)
    }
}

/// Tells keys that the engine never says, and texts that must do without names.
pub(super) fn known_keys(source: &Source, findings: &Findings, entries: &[(At<String>, WordsEntry)]) {
    let known: Vec<String> =
        HINTS.iter().map(|kind| format!("hint.{kind}")).chain(KEYS.map(str::to_owned)).collect();
    for (key, entry) in entries {
        if !known.contains(&key.value) {
            let hint = match nearest(&key.value, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it says {}", known.join(", ")),
            };
            findings.error(source, key.span.clone(), format!("the engine never says `{}`", key.value), &hint);
        }
        if LITERAL.contains(&key.value.as_str()) {
            literal(source, findings, &key.value, entry);
        }
    }
}

fn literal(source: &Source, findings: &Findings, key: &str, entry: &WordsEntry) {
    for spoken in [&entry.text, &entry.ussd, &entry.latin].into_iter().flatten() {
        if let Some(at) = spoken.text.value.find("{{") {
            let span = source.inside(&spoken.text, at..at + 2);
            let what = format!("`{key}` is said when no name is known");
            findings.error(source, span, what, "write it without names");
        }
    }
}

/// Reads language tags; tells those that are none, and those that come twice.
pub(super) fn parse_languages(source: &Source, findings: &Findings, written: &[At<String>]) -> Vec<Lang> {
    let mut languages = Vec::new();
    for tag in written {
        match Lang::parse(&tag.value) {
            Some(lang) if languages.contains(&lang) => {
                findings.error(source, tag.span.clone(), format!("`{lang}` is there twice"), "");
            }
            Some(lang) => languages.push(lang),
            None => {
                let what = format!("\"{}\" is no language", tag.value);
                let hint = "two or three small letters: or, en, hi";
                findings.error(source, tag.span.clone(), what, hint);
            }
        }
    }
    languages
}
