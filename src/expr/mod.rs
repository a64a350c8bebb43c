//! Floor 1: expressions. minijinja kept strict, in a room of its own: compiled once when a file is loaded, checked in
//! the syntax tree, evaluated with a bounded amount of work.
//!
//! In reading order: [`Dialect`] (which filters, tests and functions there are), [`Names`] (which names there are, and
//! what they are), [`Condition`], [`Template`] and [`Expression`] (what can be compiled), [`Scope`] (the values).
//!
//! Faults are told with their bytes inside the expression; which file that stands in is the caller's business. Nothing
//! here knows a flow, a vendor or a file.

mod check;
mod compare;
mod condition;
mod dialect;
mod expression;
mod guard;
mod names;
mod scope;
mod span;
mod template;
#[cfg(test)]
mod tests;

pub use condition::Condition;
pub use dialect::{Dialect, Signature, Undefined};
pub use expression::Expression;
pub use names::{Names, RESERVED, Type};
pub use scope::Scope;
pub use template::Template;

use std::ops::Range;

/// The longest expression or text that is looked at, in bytes.
pub const LONGEST: usize = 8 * 1024;

/// What is wrong with an expression or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The bytes it is about, inside the source that was compiled.
    pub span: Range<usize>,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// How it is mended; empty where we do not know.
    pub hint: String,
}

/// A name that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The whole name, such as `visit.office`.
    pub name: String,
    /// Where.
    pub span: Range<usize>,
    /// It is read only where it is sure to be there, or its absence does no harm.
    pub guarded: bool,
}

/// Why an evaluation gave nothing. It names no value: what a citizen wrote is in no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A name that it reads is absent.
    #[error("a name that it reads is absent")]
    Absent,
    /// It asked for more work than one evaluation may do.
    #[error("it asked for more work than one evaluation may do")]
    TooMuch,
    /// A filter, a test or an operator could not work on the value it was given.
    #[error("a filter or an operator could not work on the value it was given")]
    Failed,
}

impl From<minijinja::Error> for EvalError {
    fn from(error: minijinja::Error) -> EvalError {
        match error.kind() {
            minijinja::ErrorKind::UndefinedError => EvalError::Absent,
            minijinja::ErrorKind::OutOfFuel => EvalError::TooMuch,
            _ => EvalError::Failed,
        }
    }
}
