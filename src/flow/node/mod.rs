//! The kinds of node, one line each; one kind per file: what it accepts and how it reads an answer.

pub mod choice;
pub mod rating;
pub mod say;
pub mod text;
pub mod yes_no;

use super::graph::{EngineTexts, Target, Words};
use crate::{
    domain::{completion::Value, lang::Lang},
    expr::Type,
    text::heard::Heard,
};

/// Goes back like `0`, and leaves an optional question unanswered.
pub const SKIP: &str = "00";
/// How much of what was typed is kept, in characters.
pub const SAID_MAX: usize = 1_000;

/// What a node asks.
#[derive(Debug)]
pub enum Kind {
    /// A number from 1 to a scale.
    Rating(rating::Rating),
    /// One of several options.
    Choice(choice::Choice),
    /// Yes (1) or no (2).
    YesNo(yes_no::YesNo),
    /// The citizen's own words.
    Text(text::Text),
    /// Says something and goes on; asks nothing.
    Say(say::Say),
}

impl Kind {
    /// The word for it in a flow file, and in a response.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Rating(_) => "rating",
            Kind::Choice(_) => "choice",
            Kind::YesNo(_) => "yes-no",
            Kind::Text(_) => "text",
            Kind::Say(_) => "say",
        }
    }

    /// What its answer is in an expression; a `say` asks nothing.
    pub fn answer(&self) -> Option<Type> {
        match self {
            Kind::Rating(rating) => Some(Type::Between(1, rating.scale.into())),
            Kind::Choice(choice) => {
                Some(Type::OneOf(choice.options.iter().map(|option| option.value.clone()).collect()))
            }
            Kind::YesNo(_) => Some(Type::Boolean),
            Kind::Text(_) => Some(Type::Text),
            Kind::Say(_) => None,
        }
    }

    /// Reads an answer: what was typed, and the same brought to one form.
    pub fn read(&self, typed: &str, heard: &Heard, language: Lang) -> Reading {
        match self {
            Kind::Rating(rating) => rating.read(heard, language),
            Kind::Choice(choice) => choice.read(heard, language),
            Kind::YesNo(asks) => asks.read(heard, language),
            Kind::Text(text) => text.read(typed, heard),
            Kind::Say(_) => Reading::Not,
        }
    }

    /// Tells every option under the question: the key to type, and what stands beside it.
    pub fn options<'a>(&'a self, texts: &'a EngineTexts, tell: &mut dyn FnMut(&str, &'a Words)) {
        match self {
            Kind::Choice(choice) => choice.options(tell),
            Kind::YesNo(_) => {
                tell("1", &texts.yes);
                tell("2", &texts.no);
            }
            Kind::Text(text) if text.optional => tell(SKIP, &texts.skip),
            Kind::Rating(_) | Kind::Text(_) | Kind::Say(_) => {}
        }
    }

    /// The question's text without its first line, where a hint leaves no room and the screen can do without: the last line
    /// of a rating tells its scale, the options of a choice tell what is asked. Nobody says yes to a question that is not
    /// on the screen.
    pub fn shorter<'t>(&self, text: &'t str) -> Option<&'t str> {
        let after = text.split_once('\n').map(|(_, after)| after);
        match self {
            Kind::Rating(_) => after,
            Kind::Choice(_) => after.or_else(|| (!text.is_empty()).then_some("")),
            Kind::YesNo(_) | Kind::Text(_) | Kind::Say(_) => None,
        }
    }

    /// How many characters of what was typed are kept.
    pub fn kept(&self) -> usize {
        match self {
            Kind::Text(text) => text.max,
            Kind::Rating(_) | Kind::Choice(_) | Kind::YesNo(_) | Kind::Say(_) => SAID_MAX,
        }
    }
}

/// What an answer is to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// An answer, and where it leads when not along the node's links.
    Understood(Value, Option<Target>),
    /// The citizen leaves an optional question unanswered.
    Skipped,
    /// Not understood.
    Not,
}

impl From<Option<Value>> for Reading {
    fn from(value: Option<Value>) -> Reading {
        value.map_or(Reading::Not, |value| Reading::Understood(value, None))
    }
}
