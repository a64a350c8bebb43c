//! What the names of an expression are worth: one view over a live session, and over a finished response.
//!
//! Nothing is built until an expression asks, and then only the names it reads. A node without an answer is *absent*,
//! never none: `none <= 3` would be true, and accuse an office.

use crate::domain::{completion::Value as Answer, time::Timestamp};
use minijinja::{
    Value,
    value::{Enumerator, Object},
};
use std::{fmt, sync::Arc};

/// The values behind the names.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The answer to a node, by its id.
    pub answer: &'a dyn Fn(&str) -> Option<&'a Answer>,
    /// What an invitation brought, under dotted names.
    pub context: &'a [(String, String)],
    /// What a *text* says for a context name that was not brought. Conditions do not ask.
    pub without: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The flow's id.
    pub flow: &'a str,
    /// `complete` or `partial`; `None` while the session lives.
    pub status: Option<&'a str>,
    /// The session's language.
    pub language: &'a str,
    /// The channel's id.
    pub channel: &'a str,
    /// `sms` or `ussd`.
    pub bearer: &'a str,
    /// The moment of the event.
    pub now: Timestamp,
    /// The number a citizen can quote; texts may use it.
    pub reference: &'a str,
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({} in {})", self.flow, self.language)
    }
}

impl<'a> Scope<'a> {
    /// The value of a dotted name; undefined when it is absent.
    pub fn value(&self, name: &str) -> Value {
        if let Some(text) = self.text(name) {
            return Value::from(text);
        }
        if name == "now" {
            return Value::from(self.now.to_string());
        }
        match (self.answer)(name) {
            Some(Answer::Integer(number)) => Value::from(*number),
            Some(Answer::Boolean(truth)) => Value::from(*truth),
            Some(Answer::Text(text)) => Value::from(text.as_str()),
            None => Value::UNDEFINED,
        }
    }

    /// The value of a name that is a text as it stands.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        match name {
            "flow" => Some(self.flow),
            "status" => self.status,
            "language" => Some(self.language),
            "channel" => Some(self.channel),
            "bearer" => Some(self.bearer),
            "reference" => Some(self.reference),
            _ if name.contains('.') => {
                let name = name.strip_prefix("context.").unwrap_or(name);
                self.context.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
            }
            _ => match (self.answer)(name) {
                Some(Answer::Text(text)) => Some(text),
                _ => None,
            },
        }
    }

    /// The value of a name in a text: what was brought, or what is said without it.
    pub(super) fn spoken(&self, name: &str) -> Value {
        let value = self.value(name);
        match (self.without)(name) {
            Some(without) if value.is_undefined() => Value::from(without),
            _ => value,
        }
    }
}

/// The names one expression reads, as a tree, made when it is compiled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Each name at this level.
    names: Vec<Name>,
}

/// One name that is wanted.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    part: Box<str>,
    full: Box<str>,
    /// What is wanted of it, where it is a group.
    members: Option<Arc<Wanted>>,
}

impl Wanted {
    /// The tree of dotted names.
    pub fn of<'n>(names: impl Iterator<Item = &'n str>) -> Arc<Wanted> {
        let paths: Vec<Vec<&str>> = names.map(|name| name.split('.').collect()).collect();
        Wanted::below(&paths, "")
    }

    fn below(paths: &[Vec<&str>], above: &str) -> Arc<Wanted> {
        let mut wanted = Wanted::default();
        for path in paths {
            let Some(part) = path.first() else { continue };
            if wanted.names.iter().any(|name| *name.part == **part) {
                continue;
            }
            let full = if above.is_empty() { (*part).to_owned() } else { format!("{above}.{part}") };
            let inner: Vec<Vec<&str>> =
                paths.iter().filter(|p| p.first() == Some(part)).map(|p| p[1..].to_vec()).collect();
            let members = inner.iter().any(|p| !p.is_empty()).then(|| Wanted::below(&inner, &full));
            wanted.names.push(Name { part: (*part).into(), full: full.into(), members });
        }
        Arc::new(wanted)
    }

    /// The context for an evaluation: every wanted name that is there.
    pub fn context(self: &Arc<Wanted>, value: &dyn Fn(&str) -> Value) -> Value {
        let values = self.names.iter().map(|name| match &name.members {
            Some(members) => members.context(value),
            None => value(&name.full),
        });
        Value::from_object(Seen { values: values.collect(), wanted: self.clone() })
    }
}

/// What one evaluation sees.
#[derive(Debug)]
struct Seen {
    wanted: Arc<Wanted>,
    values: Vec<Value>,
}

impl Object for Seen {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let at = self.wanted.names.iter().position(|name| *name.part == *key)?;
        Some(self.values[at].clone()).filter(|value| !value.is_undefined())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}
