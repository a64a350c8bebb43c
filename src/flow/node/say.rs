//! `say`: says something and goes on. The last one of a flow carries the reference number.

/// A statement.
#[derive(Debug)]
pub struct Say {}
