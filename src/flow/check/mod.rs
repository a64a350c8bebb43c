//! From the document to the graph: every fault of a flow at once, with its place and a hint. A flow that comes out of here
//! can be run to its end by any citizen, whatever they type.
//!
//! Files are read by the caller; nothing here touches a disk.

mod links;
mod nodes;
mod size;
pub(super) mod start;
mod stored;
#[cfg(test)]
mod tests;
mod ways;
pub(super) mod words;

use super::{
    document::{ContextEntry, Document},
    graph::{ContextField, Flow},
    texts::{TextsDocument, known_keys, names, parse_languages},
};
use crate::{
    domain::{id::FlowId, lang::Lang},
    expr::{Names, RESERVED, Type},
    findings::{At, Findings, Source, Table},
};
use start::Taken;
use std::ops::Range;
use words::Writer;

pub use stored::reload;

/// The longest flow file, in bytes.
const LONGEST_FILE: usize = 256 * 1024;
/// The most nodes of a flow.
const MOST_NODES: usize = 100;
/// The longest value of a name of the context that declares no `max`, in characters.
const CONTEXT_MAX: usize = 30;

/// Checks one flow with the engine's texts. `None`: there are errors among the findings.
pub fn load(flow: &Source, texts: &Source, findings: &Findings) -> Option<Flow> {
    load_all(std::slice::from_ref(flow), texts, findings).pop()
}

/// Checks all flows of an installation with the engine's texts; gives those that are without a fault. Two flows with one
/// id, one USSD code or one word are a fault of the later.
pub fn load_all(flows: &[Source], texts: &Source, findings: &Findings) -> Vec<Flow> {
    let before = findings.errors();
    let base = TextsDocument::read(texts, findings);
    base.checked(findings);
    over(flows, &base, findings.errors() == before, findings)
}

/// Checks flows over texts that were read.
fn over(flows: &[Source], base: &TextsDocument, texts_are_good: bool, findings: &Findings) -> Vec<Flow> {
    let mut good = Vec::new();
    let mut taken = Taken::default();
    for source in flows {
        let before = findings.errors();
        let document = read(source, findings);
        taken.claim(source, &document, findings);
        let flow = Checker::new(source, findings, &document, base).flow();
        let flow = flow.filter(|_| texts_are_good && findings.errors() == before);
        good.extend(flow);
    }
    good
}

fn read(source: &Source, findings: &Findings) -> Document {
    if source.text.len() > LONGEST_FILE {
        findings.error(source, 0..0, format!("this file is longer than {LONGEST_FILE} bytes"), "");
    }
    Table::read(source, findings, Document::read)
}

/// One flow being checked.
struct Checker<'a> {
    source: &'a Source,
    findings: &'a Findings,
    document: &'a Document,
    base: &'a TextsDocument,
    languages: Vec<Lang>,
    context: Vec<ContextField>,
}

impl<'a> Checker<'a> {
    fn new(
        source: &'a Source,
        findings: &'a Findings,
        document: &'a Document,
        base: &'a TextsDocument,
    ) -> Checker<'a> {
        let languages = parse_languages(source, findings, &document.languages);
        let mut checker = Checker { source, findings, document, base, languages, context: Vec::new() };
        checker.context = document.context.iter().filter_map(|entry| checker.context_field(entry)).collect();
        checker
    }

    fn error(&self, span: Range<usize>, what: impl Into<String>, hint: &str) {
        self.findings.error(self.source, span, what, hint);
    }

    /// Everything of the flow. Each part is looked at, whatever the others are like.
    fn flow(&self) -> Option<Flow> {
        let (id, title) = (self.id(), self.title());
        let (ussd_codes, sms_words) = (self.ussd_codes(), self.sms_words());
        let expires = self.expires();
        let nodes = nodes::nodes(self);
        known_keys(self.source, self.findings, &self.document.texts);
        let texts = self.texts();
        let (stored, revision) = stored::store(self.source, self.base.source());
        Some(Flow {
            id: id?,
            revision,
            stored,
            title: title?,
            languages: self.languages.clone(),
            ussd_codes,
            sms_words,
            remind: self.remind(expires),
            expires,
            context: self.context.iter().map(ContextField::clone).collect(),
            nodes: nodes?,
            texts: texts?,
        })
    }

    fn id(&self) -> Option<FlowId> {
        let id = self.document.id.as_ref()?;
        let read = FlowId::parse(&id.value);
        if read.is_none() {
            let what = format!("\"{}\" cannot be the id of a flow", id.value);
            self.error(id.span.clone(), what, "small letters, digits, - and _, beginning with a letter");
        }
        read
    }

    fn title(&self) -> Option<String> {
        let title = self.document.title.as_ref()?;
        let good = (1..=100).contains(&title.value.trim().chars().count());
        if !good {
            self.error(title.span.clone(), "`title` must have 1 to 100 characters", "");
        }
        good.then(|| title.value.trim().to_owned())
    }

    fn context_field(&self, entry: &ContextEntry) -> Option<ContextField> {
        self.context_name(&entry.name);
        let name = &entry.name;
        if !entry.has_without {
            let what = format!("`{}` does not say what to say without it", name.value);
            self.error(name.span.clone(), what, "without = { en = \"this office\", or = \"…\" }");
        }
        let mut without = Vec::new();
        for lang in &self.languages {
            match words::find(&entry.without, *lang) {
                Some(text) => without.push((*lang, words::prepared(text, true).value)),
                None if entry.has_without => {
                    let what = format!("`{}` has no `without` in `{lang}`", name.value);
                    self.error(name.span.clone(), what, &format!("without = {{ {lang} = \"…\" }}"));
                }
                None => {}
            }
        }
        let max = entry.max.as_ref().map_or(CONTEXT_MAX, |max| max.value as usize);
        Some(ContextField { name: name.value.clone(), max, without })
    }

    fn context_name(&self, name: &At<String>) {
        let parts: Vec<_> = name.value.split('.').collect();
        if parts.len() < 2 || !parts.iter().all(|part| is_name(part)) {
            let what = format!("\"{}\" cannot be a name of the context", name.value);
            self.error(name.span.clone(), what, "a group, a dot and a name, in quotes: \"visit.office\"");
        } else if RESERVED.contains(&parts[0]) && !["visit", "context"].contains(&parts[0]) {
            let what = format!("`{}` already means something else in conditions", parts[0]);
            self.error(name.span.clone(), what, "take another group: \"visit.office\"");
        }
    }

    /// The names that conditions may use.
    fn names(&self) -> Names {
        self.context.iter().fold(Names::flow(), |names, field| names.with(&field.name, Type::Text))
    }

    fn without(&self, name: &str, lang: Lang) -> Option<String> {
        let field = self.context.iter().find(|field| field.name == name)?;
        field.without.iter().find(|(known, _)| *known == lang).map(|(_, text)| text.clone())
    }

    fn texts(&self) -> Option<super::graph::EngineTexts> {
        let names = names();
        let without = |name: &str, lang: Lang| self.without(name, lang);
        let writer =
            Writer { source: self.source, findings: self.findings, names: &names, without: &without };
        for (_, entry) in &self.document.texts {
            writer.spoken_only(entry, &self.languages);
        }
        let unspoken = self.languages.iter().filter(|lang| !self.base.speaks(**lang)).collect::<Vec<_>>();
        for lang in &unspoken {
            let at = self.document.languages.iter().find(|tag| tag.value == lang.as_str());
            let what = format!("the engine's own texts are not there in `{lang}`");
            let hint = format!("add it to {}, or say them all under [texts]", self.base.source().name);
            self.error(at.map_or(0..0, |tag| tag.span.clone()), what, &hint);
        }
        if !unspoken.is_empty() {
            return None;
        }
        // The faults of the engine's file were told when it was read.
        self.base.laid_over(&self.document.texts, &self.languages, &writer, &Findings::default())
    }
}

/// `[a-z][a-z0-9_]*`, at most 32 of them.
fn is_name(text: &str) -> bool {
    text.len() <= 32
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
