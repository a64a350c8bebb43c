//! The nodes of a flow: ids, kinds, words and ways, and what the ways mean together.

use super::{Checker, MOST_NODES, is_name, links, ways::Ways, words::Writer};
use crate::{
    domain::lang::Lang,
    expr::{Names, RESERVED, Type},
    flow::{
        document::{KindEntry, NodeEntry, OptionEntry},
        graph::Node,
        node::{
            Kind,
            choice::{Choice, ChoiceOption},
            rating::Rating,
            say::Say,
            text::Text,
            yes_no::YesNo,
        },
    },
};
use std::{collections::BTreeSet, ops::Range};

/// Checks every node; `None` when one of them cannot be made.
pub(super) fn nodes(checker: &Checker<'_>) -> Option<Vec<Node>> {
    let entries = &checker.document.nodes;
    if entries.is_empty() {
        checker.error(0..0, "a flow needs at least one node", "[[node]]");
        return None;
    }
    if entries.len() > MOST_NODES {
        checker.error(entries[MOST_NODES].span.clone(), format!("a flow has at most {MOST_NODES} nodes"), "");
        return None;
    }
    let reader = Reader::new(checker, entries);
    reader.ids();
    reader.asks_something();
    let made: Vec<_> = (0..entries.len()).map(|at| reader.node(at)).collect();
    reader.ways_are_good();
    made.into_iter().collect()
}

/// All nodes of one flow, seen together.
pub(super) struct Reader<'a> {
    pub checker: &'a Checker<'a>,
    pub entries: &'a [NodeEntry],
    pub ways: Ways,
    /// For each node, the nodes that are surely answered when it is asked.
    pub given: Vec<BTreeSet<usize>>,
    /// The names that conditions may use.
    pub names: Names,
    /// The names that texts may use.
    said: Names,
}

impl<'a> Reader<'a> {
    fn new(checker: &'a Checker<'a>, entries: &'a [NodeEntry]) -> Reader<'a> {
        let answers =
            entries.iter().filter_map(|node| Some((node.id.as_ref()?, answer(node.kind.as_ref()?)?)));
        let names = answers.fold(checker.names(), |names, (id, of)| names.with(&id.value, of));
        let said = names.clone().with("reference", Type::Text);
        let ways = Ways::new(entries.len(), Vec::new());
        let mut reader = Reader { checker, entries, ways, given: Vec::new(), names, said };
        let ways = (0..entries.len()).flat_map(|at| reader.ways_from(at)).collect();
        reader.ways = Ways::new(entries.len(), ways);
        reader.given = reader.ways.given();
        reader
    }

    pub fn id(&self, at: usize) -> &str {
        self.entries[at].id.as_ref().map_or("", |id| &id.value)
    }

    /// Where to tell something about a node.
    pub fn place(&self, at: usize) -> Range<usize> {
        let node = &self.entries[at];
        node.id.as_ref().map_or_else(|| node.span.clone(), |id| id.span.clone())
    }

    fn ids(&self) {
        for (at, node) in self.entries.iter().enumerate() {
            let Some(id) = &node.id else { continue };
            let group = |field: &super::ContextField| field.name.split('.').next() == Some(&id.value);
            let fault = if RESERVED.contains(&id.value.as_str()) {
                Some((
                    format!("`{}` already means something else in conditions", id.value),
                    "take another id",
                ))
            } else if id.value == links::END {
                Some(("`end` is the end of the flow".to_owned(), "take another id"))
            } else if !is_name(&id.value) {
                let what = format!("\"{}\" cannot be the id of a node", id.value);
                Some((what, "small letters, digits and _, beginning with a letter"))
            } else if self.checker.context.iter().any(group) {
                Some((format!("`{}` is a group of the context already", id.value), "take another id"))
            } else if (0..at).any(|before| self.id(before) == id.value) {
                Some((format!("there is a node `{}` already", id.value), "take another id"))
            } else {
                None
            };
            if let Some((what, hint)) = fault {
                self.checker.error(id.span.clone(), what, hint);
            }
        }
    }

    fn asks_something(&self) {
        let asks = |node: &NodeEntry| !matches!(node.kind, Some(KindEntry::Say));
        if !self.entries.iter().any(asks) {
            let hint = "add a node of the kind rating, choice, yes-no or text";
            self.checker.error(self.place(0), "this flow asks nothing", hint);
        }
    }

    fn node(&self, at: usize) -> Option<Node> {
        let entry = &self.entries[at];
        let kind = entry.kind.as_ref().map(|kind| self.kind(at, kind));
        let words = self.writer(|writer| {
            writer.words(&entry.words, &self.checker.languages, &|name| self.sure(at, name))
        });
        let next = self.next(at);
        let otherwise = self.otherwise(at);
        let (kind, words) = (kind??, words?);
        self.long_lines(at, &kind, &words);
        self.long_sms(at, &kind, &words);
        Some(Node { id: self.id(at).to_owned(), kind, words, next: next?, otherwise: otherwise? })
    }

    fn writer<T>(&self, write: impl FnOnce(&Writer<'_>) -> T) -> T {
        let without = |name: &str, lang: Lang| self.checker.without(name, lang);
        let (source, findings) = (self.checker.source, self.checker.findings);
        write(&Writer { source, findings, names: &self.said, without: &without })
    }

    /// Whether a name is sure to be there when the text of a node is shown.
    fn sure(&self, at: usize, name: &str) -> bool {
        let context = self.checker.context.iter().any(|field| field.name == name);
        context || self.always(name) || self.given[at].iter().any(|before| self.id(*before) == name)
    }

    /// Whether a name is there in every session.
    pub fn always(&self, name: &str) -> bool {
        ["flow", "language", "channel", "bearer", "now", "reference"].contains(&name)
    }

    fn kind(&self, at: usize, kind: &KindEntry) -> Option<Kind> {
        Some(match kind {
            KindEntry::Rating { scale } => Kind::Rating(Rating { scale: *scale as u8 }),
            KindEntry::Choice { options } => Kind::Choice(self.choice(at, options)?),
            KindEntry::YesNo { consents_msisdn } => Kind::YesNo(YesNo { consents_msisdn: *consents_msisdn }),
            KindEntry::Text { max, optional } => Kind::Text(Text { max: *max as usize, optional: *optional }),
            KindEntry::Say => Kind::Say(Say {}),
        })
    }

    fn choice(&self, at: usize, entries: &[OptionEntry]) -> Option<Choice> {
        if !(2..=9).contains(&entries.len()) {
            let what = format!("a choice has 2 to 9 options, not {}", entries.len());
            let hint = match entries.len() {
                0 => "options = [{ value = \"delay\", text.en = \"Delay\" }, …]",
                1 => "",
                _ => "one key answers it; ask in two questions",
            };
            self.checker.error(self.place(at), what, hint);
        }
        let options: Vec<_> = entries.iter().map(|entry| self.option(at, entry, entries)).collect();
        Some(Choice { options: options.into_iter().collect::<Option<_>>()? })
    }

    fn option(&self, at: usize, entry: &OptionEntry, all: &[OptionEntry]) -> Option<ChoiceOption> {
        if let Some(value) = &entry.value {
            let same =
                all.iter().filter_map(|other| other.value.as_ref()).find(|other| other.value == value.value);
            if same.is_some_and(|first| first.span.start < value.span.start) {
                self.checker.error(
                    value.span.clone(),
                    format!("there is an option `{}` already", value.value),
                    "",
                );
            }
            if !is_name(&value.value) {
                let what = format!("\"{}\" cannot be the value of an option", value.value);
                self.checker.error(
                    value.span.clone(),
                    what,
                    "small letters, digits and _, beginning with a letter",
                );
            }
        }
        let words = self.writer(|writer| {
            writer.words(&entry.words, &self.checker.languages, &|name| self.sure(at, name))
        });
        let goto = match &entry.goto {
            Some(goto) => Some(self.target(goto)?),
            None => None,
        };
        Some(ChoiceOption { value: entry.value.as_ref()?.value.clone(), words: words?, goto })
    }
}

/// What the answer to a node is in an expression.
fn answer(kind: &KindEntry) -> Option<Type> {
    match kind {
        KindEntry::Rating { scale } => Some(Type::Between(1, *scale)),
        KindEntry::Choice { options } => {
            let values = options.iter().filter_map(|option| Some(option.value.as_ref()?.value.clone()));
            Some(Type::OneOf(values.collect()))
        }
        KindEntry::YesNo { .. } => Some(Type::Boolean),
        KindEntry::Text { .. } => Some(Type::Text),
        KindEntry::Say => None,
    }
}
