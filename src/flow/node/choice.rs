//! `choice`: one of several options, by its number.

use crate::flow::graph::{Target, Words};

/// A choice.
#[derive(Debug)]
pub struct Choice {
    /// The options in the order of their numbers, from 1; 2 to 9 of them.
    pub options: Vec<ChoiceOption>,
}

/// One option.
#[derive(Debug)]
pub struct ChoiceOption {
    /// What the answer is called in expressions and responses.
    pub value: String,
    /// What the citizen reads.
    pub words: Words,
    /// Where it leads, when not along the node's links.
    pub goto: Option<Target>,
}
