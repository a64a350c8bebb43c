//! What an author writes, with positions: the shape of a flow file and nothing of its sense. A value of the wrong type is
//! told here and left out; whether links lead anywhere is [`super::check`]'s business.

use crate::findings::{At, Table, nearest};
use std::{ops::Range, time::Duration};

/// A flow file.
#[derive(Debug)]
pub struct Document {
    pub id: Option<At<String>>,
    pub title: Option<At<String>>,
    pub languages: Vec<At<String>>,
    pub ussd_codes: Vec<At<String>>,
    pub sms_words: Vec<At<String>>,
    pub expires: Option<At<Duration>>,
    pub remind: Option<At<Vec<Duration>>>,
    pub context: Vec<ContextEntry>,
    pub nodes: Vec<NodeEntry>,
    /// The engine's own words that this flow says otherwise, by their key.
    pub texts: Vec<(At<String>, WordsEntry)>,
}

/// A declared name of the context.
#[derive(Debug)]
pub struct ContextEntry {
    pub name: At<String>,
    pub max: Option<At<i64>>,
    pub without: Vec<Spoken>,
    /// `without` was written.
    pub has_without: bool,
}

/// A text in one language: the language's key, and the text.
#[derive(Debug, Clone)]
pub struct Spoken {
    pub language: At<String>,
    pub text: At<String>,
}

/// One node.
#[derive(Debug)]
pub struct NodeEntry {
    /// Where its header stands.
    pub span: Range<usize>,
    pub id: Option<At<String>>,
    pub kind: Option<KindEntry>,
    pub words: WordsEntry,
    pub next: Option<NextEntry>,
    pub otherwise: Option<At<String>>,
}

/// What it asks.
#[derive(Debug)]
pub enum KindEntry {
    Rating { scale: i64 },
    Choice { options: Vec<OptionEntry> },
    YesNo { consents_msisdn: bool },
    Text { max: i64, optional: bool },
    Say,
}

/// One option of a choice.
#[derive(Debug)]
pub struct OptionEntry {
    pub value: Option<At<String>>,
    pub words: WordsEntry,
    pub goto: Option<At<String>>,
}

/// The ways onward, as written.
#[derive(Debug)]
pub struct NextEntry {
    pub span: Range<usize>,
    pub links: Vec<LinkEntry>,
}

/// One way onward.
#[derive(Debug)]
pub struct LinkEntry {
    pub span: Range<usize>,
    pub when: Option<At<String>>,
    pub goto: Option<At<String>>,
}

/// A text in its forms.
#[derive(Debug, Default, Clone)]
pub struct WordsEntry {
    /// Where to tell that something is missing.
    pub span: Range<usize>,
    pub text: Vec<Spoken>,
    pub ussd: Vec<Spoken>,
    pub latin: Vec<Spoken>,
    pub template: Vec<Spoken>,
    /// `text` is there and cannot be read, which was told.
    pub unreadable: bool,
}

const KINDS: [&str; 5] = ["rating", "choice", "yes-no", "text", "say"];
const KINDS_LATER: [&str; 4] = ["number", "date", "office", "language"];

/// The scale of a rating that names none.
const SCALE: i64 = 5;
/// How many characters of a citizen's own words are kept, when the flow does not say.
const WORDS_MAX: i64 = 160;

impl Document {
    /// Reads the top table of a flow file.
    pub fn read(top: &Table<'_>) -> Document {
        let (ussd_codes, sms_words) = top.table("start").map(|start| ways_in(&start)).unwrap_or_default();
        let document = Document {
            id: top.required_text("id", "a short name in small letters: id = \"hospital-visit\""),
            title: top.required_text("title", "a name for people: title = \"After a hospital visit\""),
            languages: languages(top),
            ussd_codes,
            sms_words,
            expires: top.duration("expires"),
            remind: top.durations("remind"),
            context: top.table("context").map(|context| context_entries(&context)).unwrap_or_default(),
            nodes: top.tables("node").iter().map(node).collect(),
            texts: top.table("texts").map(|texts| text_entries(&texts, &[])).unwrap_or_default(),
        };
        top.finish();
        document
    }
}

/// The languages of a file; the first is the default.
pub fn languages(top: &Table<'_>) -> Vec<At<String>> {
    if !top.has("languages") {
        top.missing("languages", "the first is the default: languages = [\"or\", \"en\"]");
    }
    top.texts("languages").map(|list| list.value).unwrap_or_default()
}

/// Texts under their keys, but for the keys in `other`. A key may be dotted: `hint.rating`.
pub fn text_entries(texts: &Table<'_>, other: &[&str]) -> Vec<(At<String>, WordsEntry)> {
    let mut entries = Vec::new();
    for key in texts.keys().into_iter().filter(|key| !other.contains(&key.value.as_str())) {
        let Some(entry) = texts.table(&key.value) else { continue };
        if key.value == "hint" {
            let hints = entry.keys().into_iter().filter_map(|kind| {
                let words = words(&entry.table(&kind.value)?, true);
                Some((kind.map(|kind| format!("hint.{kind}")), words))
            });
            entries.extend(hints);
        } else {
            entries.push((key, words(&entry, true)));
        }
    }
    entries
}

fn later(table: &Table<'_>, key: &str, what: &str) {
    if let Some(span) = table.key_span(key) {
        table.value(key);
        table.error(
            span,
            format!("`{}`: {what} are not built yet", table.name_of(key)),
            "leave it out for now",
        );
    }
}

/// The USSD codes and the words that open the flow.
fn ways_in(start: &Table<'_>) -> (Vec<At<String>>, Vec<At<String>>) {
    let list = |key| start.texts(key).map(|list| list.value).unwrap_or_default();
    let ways = (list("ussd"), list("sms"));
    later(start, "missed_call", "missed calls");
    start.finish();
    ways
}

fn context_entries(context: &Table<'_>) -> Vec<ContextEntry> {
    let entry = |name: At<String>| {
        let entry = context.table(&name.value)?;
        let (max, has_without) = (entry.integer("max", 1..=100), entry.has("without"));
        let without = spoken(&entry, "without");
        entry.finish();
        Some(ContextEntry { name, max, without, has_without })
    };
    context.keys().into_iter().filter_map(entry).collect()
}

fn node(table: &Table<'_>) -> NodeEntry {
    let node = NodeEntry {
        span: table.span(),
        id: table.required_text("id", "a short name for its answer: id = \"overall\""),
        kind: kind(table),
        words: words(table, false),
        next: next(table),
        otherwise: table.text("otherwise"),
    };
    table.finish();
    node
}

fn kind(table: &Table<'_>) -> Option<KindEntry> {
    let kinds = KINDS.join(", ");
    let Some(kind) = table.required_text("kind", &format!("one of {kinds}")) else {
        // Without a kind nobody can say which other keys are right.
        table.keys();
        return None;
    };
    Some(match kind.value.as_str() {
        "rating" => KindEntry::Rating { scale: table.integer("scale", 2..=10).map_or(SCALE, |at| at.value) },
        "choice" => KindEntry::Choice { options: table.tables("options").iter().map(option).collect() },
        "yes-no" => KindEntry::YesNo { consents_msisdn: consents(table) },
        "text" => KindEntry::Text {
            max: table.integer("max", 1..=1000).map_or(WORDS_MAX, |at| at.value),
            optional: table.boolean("optional").is_some_and(|at| at.value),
        },
        "say" => KindEntry::Say,
        later if KINDS_LATER.contains(&later) => {
            let what = format!("nodes of the kind `{later}` are not built yet");
            table.error(kind.span, what, &format!("for now there are {kinds}"));
            table.keys();
            return None;
        }
        other => {
            let hint = match nearest(other, KINDS.into_iter()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("one of {kinds}"),
            };
            table.error(kind.span, format!("there is no kind `{other}`"), &hint);
            table.keys();
            return None;
        }
    })
}

fn consents(table: &Table<'_>) -> bool {
    let Some(consent) = table.text("consent") else { return false };
    if consent.value != "msisdn" {
        let what = format!("`node.consent` can only be \"msisdn\", not \"{}\"", consent.value);
        table.error(consent.span, what, "a yes then lets a department see the number");
        return false;
    }
    true
}

fn option(table: &Table<'_>) -> OptionEntry {
    let option = OptionEntry {
        value: table.required_text("value", "what the answer is called in responses: value = \"delay\""),
        words: words(table, false),
        goto: table.text("goto"),
    };
    table.finish();
    option
}

fn next(table: &Table<'_>) -> Option<NextEntry> {
    let span = table.key_span("next")?;
    if table.value("next").is_some_and(|value| value.get_ref().as_array().is_some()) {
        let links = table.tables("next").iter().map(link).collect();
        return Some(NextEntry { span, links });
    }
    let goto = table.text("next")?;
    let link = LinkEntry { span: goto.span.clone(), when: None, goto: Some(goto) };
    Some(NextEntry { span, links: vec![link] })
}

fn link(table: &Table<'_>) -> LinkEntry {
    let link = LinkEntry {
        span: table.span(),
        when: table.text("when"),
        goto: table.required_text("goto", "the id of a node, or \"end\""),
    };
    table.finish();
    link
}

/// The forms of a text. `alone`: nothing else stands in this table.
fn words(table: &Table<'_>, alone: bool) -> WordsEntry {
    let span = table.key_span("text").unwrap_or_else(|| table.span());
    let words = WordsEntry {
        span,
        text: spoken(table, "text"),
        ussd: spoken(table, "ussd"),
        latin: spoken(table, "latin"),
        template: spoken(table, "template"),
        unreadable: table.value("text").is_some_and(|text| text.get_ref().as_table().is_none()),
    };
    if alone {
        table.finish();
    }
    words
}

/// `key.en = "…"`, `key.or = "…"`.
fn spoken(table: &Table<'_>, key: &str) -> Vec<Spoken> {
    let Some(value) = table.value(key) else { return Vec::new() };
    if value.get_ref().as_str().is_some() {
        let what = format!("`{}` needs a language", table.name_of(key));
        table.error(value.span(), what, &format!("write {key}.en = \"…\", {key}.or = \"…\""));
        return Vec::new();
    }
    let Some(by_language) = table.table(key) else { return Vec::new() };
    let in_language = |language: At<String>| {
        let text = by_language.text(&language.value)?;
        Some(Spoken { language, text })
    };
    by_language.keys().into_iter().filter_map(in_language).collect()
}
