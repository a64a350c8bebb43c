//! Floor 1: expressions.

/// placeholder
#[derive(Debug)]
pub struct Condition;
/// placeholder
#[derive(Debug)]
pub struct Template;
