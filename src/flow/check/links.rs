//! The ways between the nodes: where `next`, `goto` and `otherwise` lead, when, and what all of them mean together.

use super::{
    nodes::Reader,
    ways::{By, Way},
};
use crate::{
    expr::{Condition, Dialect},
    findings::{At, nearest},
    flow::{
        document::{KindEntry, LinkEntry, OptionEntry},
        graph::{Link, Target},
    },
};

/// The word for the end of a flow in `goto`.
pub(super) const END: &str = "end";

impl Reader<'_> {
    /// Where the node after this one is.
    fn following(&self, at: usize) -> Target {
        if at + 1 < self.entries.len() { Target::Node(at + 1) } else { Target::End }
    }

    /// What a written goto means, without telling a fault.
    pub fn resolve(&self, goto: &str) -> Option<Target> {
        if goto == END {
            return Some(Target::End);
        }
        (0..self.entries.len()).find(|at| self.id(*at) == goto).map(Target::Node)
    }

    pub fn target(&self, goto: &At<String>) -> Option<Target> {
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

    pub fn next(&self, at: usize) -> Option<Vec<Link>> {
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

    pub fn otherwise(&self, at: usize) -> Option<Target> {
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
    pub fn ways_from(&self, at: usize) -> Vec<Way> {
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
    pub fn ways_are_good(&self) {
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
}
