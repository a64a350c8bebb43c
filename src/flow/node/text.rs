//! `text`: the citizen's own words.

use super::{Reading, SKIP};
use crate::{domain::completion::Value, text::heard::Heard};

/// A question to be answered freely.
#[derive(Debug)]
pub struct Text {
    /// The most characters that are kept, 1 to 1 000.
    pub max: usize,
    /// An empty answer, or the skip key, goes on without one.
    pub optional: bool,
}

impl Text {
    /// Any words. Nothing that can be seen, or the skip key, leaves an optional question unanswered.
    pub fn read(&self, typed: &str, heard: &Heard) -> Reading {
        match heard.as_str() {
            "" | SKIP if self.optional => Reading::Skipped,
            "" => Reading::Not,
            _ => Reading::Understood(Value::Text(typed.trim().chars().take(self.max).collect()), None),
        }
    }
}
