//! The kinds of node, one line each; one kind per file: what it accepts and how it reads an answer.

pub mod choice;
pub mod rating;
pub mod say;
pub mod text;
pub mod yes_no;

use crate::expr::Type;

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
}
