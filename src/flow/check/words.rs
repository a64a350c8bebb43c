//! Texts as written to texts as shown: every language, every form, compiled, with what is said when filling in fails.

use crate::{
    domain::lang::Lang,
    expr::{Dialect, Names, Read, Template},
    findings::{At, Findings, Source},
    flow::{
        document::{Spoken, WordsEntry},
        graph::{Forms, Text, Words},
    },
};
use std::ops::Range;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The longest text of a flow, in characters.
const LONGEST_TEXT: usize = 1000;
/// What stands for a name that nobody said anything else about.
const STAND_IN: &str = "…";

/// Compiles the texts of one file.
pub struct Writer<'a> {
    /// The file.
    pub source: &'a Source,
    /// Where faults go.
    pub findings: &'a Findings,
    /// The names a text may use.
    pub names: &'a Names,
    /// What is said for a name that is not there.
    pub without: &'a dyn Fn(&str, Lang) -> Option<String>,
}

impl Writer<'_> {
    fn error(&self, span: Range<usize>, what: impl Into<String>, hint: &str) {
        self.findings.error(self.source, span, what, hint);
    }

    /// A text in each of the languages. `sure` says whether a name is sure to be there when the text is shown.
    pub fn words(
        &self,
        entry: &WordsEntry,
        languages: &[Lang],
        sure: &dyn Fn(&str) -> bool,
    ) -> Option<Words> {
        self.spoken_only(entry, languages);
        if !entry.unreadable {
            let missing: Vec<_> = languages.iter().filter(|lang| !speaks(entry, **lang)).copied().collect();
            self.missing(entry.span.clone(), &missing);
        }
        let forms = languages.iter().map(|lang| Some((*lang, self.forms(entry, *lang, sure)?)));
        forms.collect::<Option<Vec<_>>>().map(Words)
    }

    /// Tells that a text is not there in some languages.
    fn missing(&self, span: Range<usize>, languages: &[Lang]) {
        if languages.is_empty() {
            return;
        }
        let tags: Vec<_> = languages.iter().map(|lang| format!("`{lang}`")).collect();
        let hint: Vec<_> = languages.iter().map(|lang| format!("text.{lang} = \"…\"")).collect();
        let what = format!("there is no text in {}", tags.join(" and "));
        self.error(span, what, &format!("add {}", hint.join(", ")));
    }

    /// Tells every language that the flow does not have.
    pub fn spoken_only(&self, entry: &WordsEntry, languages: &[Lang]) {
        if languages.is_empty() {
            return; // that was told, and this would only follow from it
        }
        for spoken in [&entry.text, &entry.ussd, &entry.latin, &entry.template].into_iter().flatten() {
            let tag = &spoken.language;
            if !Lang::parse(&tag.value).is_some_and(|lang| languages.contains(&lang)) {
                let what = format!("`{}` is none of the languages of this file", tag.value);
                let known: Vec<_> = languages.iter().map(Lang::as_str).collect();
                self.error(tag.span.clone(), what, &format!("they are {}", known.join(", ")));
            }
        }
    }

    /// A text in one language; `None` when it is not there, or has a fault.
    pub fn forms(&self, entry: &WordsEntry, lang: Lang, sure: &dyn Fn(&str) -> bool) -> Option<Forms> {
        let template = find(&entry.template, lang);
        // A text under a DLT template is compared by its bytes, so its code points stay as they were registered.
        let normalise = template.is_none();
        let text = |list: &[Spoken]| {
            find(list, lang)
                .map(|at| self.text(at, lang, normalise, sure))
                .map_or(Some(None), |t| t.map(Some))
        };
        let (full, ussd, latin) = (text(&entry.text), text(&entry.ussd), text(&entry.latin));
        let template = template.map(|at| self.template_id(at)).map_or(Some(None), |id| id.map(Some));
        Some(Forms { text: full??, ussd: ussd?, latin: latin?, template: template? })
    }

    fn text(
        &self,
        at: &At<String>,
        lang: Lang,
        normalise: bool,
        sure: &dyn Fn(&str) -> bool,
    ) -> Option<Text> {
        let at = prepared(at, normalise);
        if !self.readable(&at) {
            return None;
        }
        match Template::compile(Dialect::flows(), &at.value, self.names) {
            Ok(template) => {
                self.reads_surely(&at, template.reads(), sure);
                let stand_in = |name: &str| (self.without)(name, lang).unwrap_or_else(|| STAND_IN.to_owned());
                let mut fallback = template.without(stand_in);
                if fallback.trim().is_empty() {
                    fallback = STAND_IN.to_owned(); // an SMS must hold something
                }
                Some(Text { template, fallback })
            }
            Err(faults) => {
                for fault in faults {
                    self.error(self.source.inside(&at, fault.span), fault.what, &fault.hint);
                }
                None
            }
        }
    }

    fn reads_surely(&self, at: &At<String>, reads: &[Read], sure: &dyn Fn(&str) -> bool) {
        for read in reads.iter().filter(|read| !read.guarded && !sure(&read.name)) {
            let what = format!("`{}` is not always there when this is said", read.name);
            let hint = format!("say something else without it: {{{{ {} | default('…') }}}}", read.name);
            self.error(self.source.inside(at, read.span.clone()), what, &hint);
        }
    }

    fn readable(&self, at: &At<String>) -> bool {
        let invisible = at.value.char_indices().find(|(_, c)| is_invisible(*c));
        if at.value.trim().is_empty() {
            self.error(at.span.clone(), "this text is empty", "");
        } else if at.value.chars().count() > LONGEST_TEXT {
            self.error(at.span.clone(), format!("this text is longer than {LONGEST_TEXT} characters"), "");
        } else if let Some((place, sign)) = invisible {
            let what = format!("this text holds an invisible character (U+{:04X})", u32::from(sign));
            let span = self.source.inside(at, place..place + sign.len_utf8());
            self.error(
                span,
                what,
                "type the words around it anew; they may have been copied from a document",
            );
        } else {
            return true;
        }
        false
    }

    fn template_id(&self, at: &At<String>) -> Option<String> {
        let good = (1..=30).contains(&at.value.len()) && at.value.bytes().all(|b| b.is_ascii_digit());
        if !good {
            let what = format!("a DLT template id is digits only, not \"{}\"", at.value);
            self.error(at.span.clone(), what, "copy it from the operator's DLT page");
        }
        good.then(|| at.value.clone())
    }
}

/// Whether a text is there in a language.
pub fn speaks(entry: &WordsEntry, lang: Lang) -> bool {
    find(&entry.text, lang).is_some()
}

/// A text in one language, as written.
pub fn find(list: &[Spoken], lang: Lang) -> Option<&At<String>> {
    list.iter().find(|spoken| spoken.language.value == lang.as_str()).map(|spoken| &spoken.text)
}

/// Without line ends behind the last word, and composed (NFC), so that it is counted and compared as it will be sent.
pub fn prepared(at: &At<String>, normalise: bool) -> At<String> {
    let words = at.value.trim_end();
    let value = if normalise && !is_nfc(words) { words.nfc().collect() } else { words.to_owned() };
    At { value, span: at.span.clone() }
}

/// Control signs, odd blanks and direction marks. ZWJ and ZWNJ belong to Indian words and stay.
fn is_invisible(c: char) -> bool {
    let marks = ['\u{a0}', '\u{ad}', '\u{200b}', '\u{200e}', '\u{200f}', '\u{2060}', '\u{feff}'];
    (c.is_control() && c != '\n') || marks.contains(&c) || ('\u{202a}'..='\u{202e}').contains(&c)
}
