//! The kinds of node, one line each; one kind per file: what it accepts and how it reads an answer.

pub mod choice;
pub mod rating;
pub mod say;
pub mod text;
pub mod yes_no;

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
