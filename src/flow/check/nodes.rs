//! The nodes of a flow: ids, kinds, words and ways, and what the ways mean together.

use super::{
    Checker, MOST_NODES, is_name,
    ways::{By, Way, Ways},
    words::Writer,
};
use crate::{
    domain::lang::Lang,
    expr::{Condition, Dialect, Names, RESERVED, Type},
    findings::{At, nearest},
    flow::{
        document::{KindEntry, LinkEntry, NodeEntry, OptionEntry},
        graph::{Form, Link, Node, Target, Words},
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

/// The word for the end of a flow in `goto`.
const END: &str = "end";
/// What one USSD page shows when a character needs UCS-2, in UTF-16 units.
const PAGE_UNITS: usize = 70;

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
struct Reader<'a> {
    checker: &'a Checker<'a>,
    entries: &'a [NodeEntry],
    ways: Ways,
    /// For each node, the nodes that are surely answered when it is asked.
    given: Vec<BTreeSet<usize>>,
    /// Names for conditions, and for texts.
    names: Names,
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

    fn id(&self, at: usize) -> &str {
        self.entries[at].id.as_ref().map_or("", |id| &id.value)
    }

    /// Where to tell something about a node.
    fn place(&self, at: usize) -> Range<usize> {
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
            } else if id.value == END {
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
    fn always(&self, name: &str) -> bool {
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

    /// Where the node after this one is.
    fn following(&self, at: usize) -> Target {
        if at + 1 < self.entries.len() { Target::Node(at + 1) } else { Target::End }
    }

    /// What a written goto means, without telling a fault.
    fn resolve(&self, goto: &str) -> Option<Target> {
        if goto == END {
            return Some(Target::End);
        }
        (0..self.entries.len()).find(|at| self.id(*at) == goto).map(Target::Node)
    }

    fn target(&self, goto: &At<String>) -> Option<Target> {
        let target = self.resolve(&goto.value);
        if target.is_none() {
            let ids = || (0..self.entries.len()).map(|at| self.id(at)).chain([END]);
            let hint = match nearest(&goto.value, ids()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("there are {}", ids().collect::<Vec<_>>().join(", ")),
            };
            self.checker.error(goto.span.clone(), format!("there is no node `{}`", goto.value), &hint);
        }
        target
    }

    fn next(&self, at: usize) -> Option<Vec<Link>> {
        let Some(next) = &self.entries[at].next else {
            return Some(vec![Link { when: None, goto: self.following(at) }]);
        };
        let Some((last, others)) = next.links.split_last() else {
            self.checker.error(
                next.span.clone(),
                "`next` has no way in it",
                "leave it out to go to the following node",
            );
            return None;
        };
        if last.when.is_some() {
            let hint = "end the list with a way that always holds: { goto = \"…\" }";
            self.checker.error(last.span.clone(), "when this does not hold, there is no way onward", hint);
        }
        for link in others.iter().filter(|link| link.when.is_none()) {
            let hint = "give it a `when`, or put it last";
            self.checker.error(
                link.span.clone(),
                "this way always holds, so the ways after it are never taken",
                hint,
            );
        }
        let links: Vec<_> = next.links.iter().map(|link| self.link(at, link)).collect();
        links.into_iter().collect()
    }

    fn link(&self, at: usize, entry: &LinkEntry) -> Option<Link> {
        let goto = entry.goto.as_ref().and_then(|goto| self.target(goto));
        let when = match &entry.when {
            Some(when) => Some(self.condition(at, when)?),
            None => None,
        };
        Some(Link { when, goto: goto? })
    }

    fn condition(&self, at: usize, when: &At<String>) -> Option<Condition> {
        let source = self.checker.source;
        match Condition::compile(Dialect::flows(), &when.value, &self.names) {
            Ok(condition) => {
                for read in
                    condition.reads().iter().filter(|read| !read.guarded && !self.answered(at, &read.name))
                {
                    let what = format!("`{}` is not always there when this is asked", read.name);
                    let hint = format!("write `{} is defined and …`", read.name);
                    self.checker.error(source.inside(when, read.span.clone()), what, &hint);
                }
                Some(condition)
            }
            Err(faults) => {
                for fault in faults {
                    self.checker.error(source.inside(when, fault.span), fault.what, &fault.hint);
                }
                None
            }
        }
    }

    /// Whether a name is sure to be there when the ways of a node are chosen among: its own answer counts.
    fn answered(&self, at: usize, name: &str) -> bool {
        let own = self.id(at) == name && !self.optional(at);
        own || self.always(name) || self.given[at].iter().any(|before| self.id(*before) == name)
    }

    fn optional(&self, at: usize) -> bool {
        matches!(self.entries[at].kind, Some(KindEntry::Text { optional: true, .. }))
    }

    fn otherwise(&self, at: usize) -> Option<Target> {
        let entry = &self.entries[at];
        match &entry.otherwise {
            Some(goto) => {
                if matches!(entry.kind, Some(KindEntry::Say)) {
                    let hint = "leave it out: nothing is asked here";
                    self.checker.error(goto.span.clone(), "a `say` has no way out, only a `next`", hint);
                }
                self.target(goto)
            }
            None => self.last_way(at),
        }
    }

    /// The way that always holds.
    fn last_way(&self, at: usize) -> Option<Target> {
        match &self.entries[at].next {
            Some(next) => self.resolve(&next.links.last()?.goto.as_ref()?.value),
            None => Some(self.following(at)),
        }
    }

    /// Every way from a node; what leads nowhere is left out here and told elsewhere.
    fn ways_from(&self, at: usize) -> Vec<Way> {
        let entry = &self.entries[at];
        let way = |to: Option<Target>, by: By| to.map(|to| Way { from: at, to, by });
        let resolve = |goto: &Option<At<String>>| goto.as_ref().and_then(|goto| self.resolve(&goto.value));
        let onward: Vec<Option<Target>> = match &entry.next {
            Some(next) => next.links.iter().map(|link| resolve(&link.goto)).collect(),
            None => vec![Some(self.following(at))],
        };
        let options: &[OptionEntry] = match &entry.kind {
            Some(KindEntry::Choice { options }) => options,
            _ => &[],
        };
        let (asks, optional) = (!matches!(entry.kind, Some(KindEntry::Say)), self.optional(at));
        // Where every option has a way of its own, the node's ways are taken without an answer only.
        let answered = options.is_empty() || options.iter().any(|option| option.goto.is_none());
        let by = if asks { By::Answer } else { By::Saying };
        let mut ways: Vec<_> = onward.iter().filter(|_| answered).map(|to| way(*to, by)).collect();
        ways.extend(options.iter().map(|option| way(resolve(&option.goto), By::Answer)));
        ways.extend(onward.iter().filter(|_| optional).map(|to| way(*to, By::Skipping)));
        if asks {
            let out = if entry.otherwise.is_some() { resolve(&entry.otherwise) } else { self.last_way(at) };
            ways.push(way(out, By::Otherwise));
        }
        ways.into_iter().flatten().collect()
    }

    /// Tells nodes that are never met, and those that nobody comes out of. A flow with a link that leads nowhere has told
    /// that; what follows from it is no further fault.
    fn ways_are_good(&self) {
        if self.has_dangling() {
            return;
        }
        for at in self.ways.unreachable() {
            let hint = "name it in a `next`, or leave it out";
            self.checker.error(self.place(at), format!("no way leads to `{}`", self.id(at)), hint);
        }
        for round in self.ways.rounds() {
            let path: Vec<_> =
                round.iter().chain(round.first()).map(|at| format!("`{}`", self.id(*at))).collect();
            let what = format!("{} goes round without an answer that was understood", path.join(" → "));
            let hint = "someone who types nonsense must come to the end: give one of them another `otherwise` or `next`";
            self.checker.error(self.place(round[0]), what, hint);
        }
    }

    fn has_dangling(&self) -> bool {
        let dangles =
            |goto: &Option<At<String>>| goto.as_ref().is_none_or(|goto| self.resolve(&goto.value).is_none());
        self.entries.iter().any(|entry| {
            let next = entry.next.as_ref().is_some_and(|next| {
                next.links.is_empty() || next.links.iter().any(|link| dangles(&link.goto))
            });
            let options = match &entry.kind {
                Some(KindEntry::Choice { options }) => {
                    options.iter().any(|option| option.goto.is_some() && dangles(&option.goto))
                }
                _ => false,
            };
            next || options || (entry.otherwise.is_some() && dangles(&entry.otherwise))
        })
    }

    /// A page is cut at line ends. A line that does not fit one is cut inside a word, and somebody should know.
    fn long_lines(&self, at: usize, kind: &Kind, words: &Words) {
        let options: &[ChoiceOption] = match kind {
            Kind::Choice(choice) => &choice.options,
            _ => &[],
        };
        let entries: &[OptionEntry] = match &self.entries[at].kind {
            Some(KindEntry::Choice { options }) => options,
            _ => &[],
        };
        self.long_line(&self.entries[at].words.span, words, 0);
        for (entry, option) in entries.iter().zip(options) {
            self.long_line(&entry.words.span, &option.words, "1 ".len());
        }
    }

    fn long_line(&self, span: &Range<usize>, words: &Words, before: usize) {
        for lang in &self.checker.languages {
            let longest = |name: &str| {
                let field = self.checker.context.iter().find(|field| field.name == name);
                "x".repeat(field.map_or(11, |field| field.max))
            };
            let screen = words.pick(*lang, Form::Screen).template.without(longest);
            let units = screen.lines().map(|line| before + line.encode_utf16().count()).max().unwrap_or(0);
            if !screen.is_ascii() && units > PAGE_UNITS {
                let what =
                    format!("in `{lang}` a line takes up to {units} units; a USSD page shows {PAGE_UNITS}");
                let hint = format!("give it shorter words for the small screen: ussd.{lang} = \"…\"");
                self.checker.findings.note(self.checker.source, span.clone(), what, &hint);
            }
        }
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
