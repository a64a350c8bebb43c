//! The names an expression may use, and what each of them is.
//!
//! Names come in dots: `visit.office` is the member `office` of the group `visit`. A closed group refuses a member that
//! nobody declared; an open one takes any.

use crate::findings::nearest;
use std::collections::BTreeMap;

/// The words that no node may take as its id, because expressions already use them.
pub const RESERVED: [&str; 9] =
    ["flow", "status", "language", "channel", "bearer", "context", "visit", "now", "reference"];

/// What a value is, as far as it is known before anything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Not known: everything may be done with it.
    Any,
    /// A whole number.
    Integer,
    /// A whole number from the first to the second, both included.
    Between(i64, i64),
    /// True or false.
    Boolean,
    /// A text.
    Text,
    /// One of these texts and no other.
    OneOf(Vec<String>),
    /// A list of these.
    List(Box<Type>),
    /// Names below a name.
    Group(Names),
}

impl Type {
    /// What it is, for a sentence.
    pub fn said(&self) -> String {
        match self {
            Type::Any => "a value".to_owned(),
            Type::Integer => "a whole number".to_owned(),
            Type::Between(low, high) => format!("a whole number from {low} to {high}"),
            Type::Boolean => "true or false".to_owned(),
            Type::Text => "a text".to_owned(),
            Type::OneOf(words) => format!("one of {}", quoted(words)),
            Type::List(_) => "a list".to_owned(),
            Type::Group(_) => "a group of names".to_owned(),
        }
    }

    /// Whether a value of this type may stand where one of `wanted` is asked for.
    pub fn fits(&self, wanted: &Type) -> bool {
        match (self.plain(), wanted.plain()) {
            (_, Type::Any) | (Type::Any, _) => true,
            (Type::List(mine), Type::List(wanted)) => mine.fits(&wanted),
            (Type::Group(_), Type::Group(_)) => true,
            (mine, wanted) => mine == wanted,
        }
    }

    /// The type without its limits: a number, a text.
    fn plain(&self) -> Type {
        match self {
            Type::Between(..) => Type::Integer,
            Type::OneOf(_) => Type::Text,
            other => other.clone(),
        }
    }
}

/// `'a', 'b' or 'c'`.
pub(super) fn quoted(words: &[String]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Names and their types.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    named: BTreeMap<String, Type>,
    /// What a name is that is not in the list; `None`: it is a fault.
    others: Option<Box<Type>>,
}

/// A name that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The whole name up to and with the part that is not known.
    pub name: String,
    /// How to mend it.
    pub hint: String,
}

impl Names {
    /// A group in which every member is of one type.
    pub fn open(member: Type) -> Names {
        Names { named: BTreeMap::new(), others: Some(Box::new(member)) }
    }

    /// What every condition and text of a flow may use: `flow`, `language`, `channel`, `bearer`, `now` (RFC 3339, UTC),
    /// and the context groups, still empty.
    pub fn flow() -> Names {
        Names::default()
            .with("flow", Type::Text)
            .with("language", Type::Text)
            .with("channel", Type::Text)
            .with("bearer", Type::OneOf(vec!["sms".into(), "ussd".into()]))
            .with("now", Type::Text)
            .with("visit", Type::Group(Names::default()))
            .with("context", Type::Group(Names::open(Type::Text)))
    }

    /// What a route may use beside answers: as a flow, and `status`.
    pub fn route() -> Names {
        Names::flow().with("status", Type::OneOf(vec!["complete".into(), "partial".into()]))
    }

    /// Adds a name; a dotted one becomes a member of its groups.
    pub fn with(mut self, name: &str, of: Type) -> Names {
        self.add(name, of);
        self
    }

    /// Adds a name; a dotted one becomes a member of its groups, which are made where they are not there.
    pub fn add(&mut self, name: &str, of: Type) {
        match name.split_once('.') {
            None => {
                self.named.insert(name.to_owned(), of);
            }
            Some((group, member)) => {
                let group =
                    self.named.entry(group.to_owned()).or_insert_with(|| Type::Group(Names::default()));
                if let Type::Group(names) = group {
                    names.add(member, of);
                }
            }
        }
    }

    /// Every name at this level, in alphabetical order.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// What a dotted name is.
    pub(super) fn find(&self, path: &[&str]) -> Result<Type, Unknown> {
        let mut here = Type::Group(self.clone());
        for (depth, part) in path.iter().enumerate() {
            here = match here {
                Type::Any => Type::Any,
                Type::Group(names) => match names.named.get(*part).or(names.others.as_deref()) {
                    Some(found) => found.clone(),
                    None => return Err(names.unknown(&path[..=depth])),
                },
                other => {
                    let name = path[..=depth].join(".");
                    let hint =
                        format!("`{}` is {} and has no members", path[..depth].join("."), other.said());
                    return Err(Unknown { name, hint });
                }
            };
        }
        Ok(here)
    }

    fn unknown(&self, path: &[&str]) -> Unknown {
        let (part, above) = path.split_last().expect("a name has at least one part");
        let full = |name: &str| [above, &[name]].concat().join(".");
        let hint = match nearest(part, self.known()) {
            Some(name) => format!("did you mean `{}`?", full(name)),
            None if self.named.is_empty() => format!("nothing is declared under `{}`", above.join(".")),
            None => format!("known here: {}", self.known().map(full).collect::<Vec<_>>().join(", ")),
        };
        Unknown { name: path.join("."), hint }
    }
}
